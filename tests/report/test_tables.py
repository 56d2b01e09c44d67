"""What tables 1 and 2 say, and how they refuse bad input."""

import json

import numpy as np
import pandas as pd
import pytest
from synthetic import random_logp, run, write_corpus, write_score

from charlens.errors import InputError
from charlens.report import html, tables
from charlens.store import tables as stored
from charlens.store.corpora import read_corpora
from charlens.store.scores import read_score, read_scores

TABLE1 = "corpus,type,layers,size,hidden,parameters,dropout,seed,epoch,val_loss,loss,sd,paper,bytes"
TABLE2 = "corpus,model,n,hidden,loss,sd,paper,bytes,arpa_bytes"


@pytest.fixture
def outputs(tmp_path):
    return ["--csv", tmp_path / "out.csv", "--html", tmp_path / "out.html"]


def corpora(folder, *names):
    for name in names:
        write_corpus(folder, name, source=f"source of {name}")
    return ["--corpora", *(folder / f"{name}.json" for name in names)]


def made(tmp_path):
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    return pd.read_csv(tmp_path / "out.csv"), page


def test_paper_numbers():
    first, second = stored.paper_table(1), stored.paper_table(2)
    assert len(first) == 66 and len(second) == 32
    # Row and column sums of the tables as printed.
    wp = first[first["corpus"] == "wp"]
    assert wp[wp["size"] == 64]["loss"].sum() == pytest.approx(12.917)
    assert wp[wp["type"] == "gru"]["loss"].sum() == pytest.approx(14.9)
    lk = second[(second["corpus"] == "lk") & (second["type"] == "n-gram")]
    assert lk["loss"].tolist()[-1] == 0.889 and lk["n"].tolist() == [*range(1, 10), 20]


def test_a_network_without_a_row_in_table_1_is_named(tmp_path, outputs):
    names, logp = corpora(tmp_path, "wp"), random_logp(900, 1)
    scores = [write_score(tmp_path / "a.npy", logp, corpus="wp", size=None)]
    with pytest.raises(InputError, match="no size, a row of table 1: train it with --size"):
        run(tables, ["--scores", *scores, *names, *outputs], "run_table1")


def test_a_network_whose_training_diverged_is_shown_with_its_reason(tmp_path, outputs):
    names, logp = corpora(tmp_path, "wp"), random_logp(900, 1)
    why = "training diverged in epoch 3: the loss is 33"
    scores = [
        write_score(tmp_path / "a.npy", logp, corpus="wp", layers=1),
        write_score(tmp_path / "b.npy", logp, corpus="wp", layers=2, failed=why, val_loss=0.1),
        write_score(tmp_path / "c.npy", logp, corpus="wp", layers=1, seed=2, failed=why),
    ]
    run(tables, ["--scores", *scores, *names, *outputs], "run_table1")
    table, page = made(tmp_path)
    by_key = table.set_index(["layers", "seed"])
    assert by_key["failed"].fillna("").tolist() == ["", why, why]
    assert by_key["loss"].isna().tolist() == [False, True, True]
    assert "1 failed" in page and why in page
    assert [score.meta["layers"] for score in read_scores(scores, "recurrent")] == [1]


def test_table1(tmp_path, outputs):
    names = corpora(tmp_path, "wp", "mine")
    logp = random_logp(900, 1)
    scores = [
        write_score(tmp_path / "a.npy", logp, corpus="mine", type="gru", layers=1),
        write_score(tmp_path / "b.npy", logp, corpus="wp", type="gru", layers=2, size=512),
        write_score(tmp_path / "c.npy", logp, corpus="wp", type="rnn", layers=1, size=512),
        write_score(tmp_path / "d.npy", logp, corpus="wp", type="rnn", layers=3, size=64),
        write_score(tmp_path / "e.npy", logp, corpus="wp", type="lstm", layers=3, size=64),
        write_score(tmp_path / "f.npy", logp, corpus="wp", type="lstm", layers=1, size=64),
        write_score(tmp_path / "g.npy", logp, corpus="wp", family="ngram"),  # not for this table
    ]
    run(tables, ["--scores", *scores, *names, *outputs], "run_table1")
    table, page = made(tmp_path)
    assert ",".join(table.columns) == TABLE1 + ",source"
    keys = table[["corpus", "size", "type", "layers"]].to_numpy().tolist()
    assert keys == [
        ["wp", 64, "lstm", 1],
        ["wp", 64, "lstm", 3],
        ["wp", 64, "rnn", 3],
        ["wp", 512, "rnn", 1],
        ["wp", 512, "gru", 2],
        ["mine", 64, "gru", 1],
    ]
    assert table["paper"].fillna(0).tolist() == [1.449, 1.540, 1.396, 0, 1.201, 0]
    assert table["loss"].to_numpy() == pytest.approx(-logp.mean(), abs=1e-6)
    assert table["sd"].to_numpy() == pytest.approx(logp.std() / 30, rel=0.3)
    assert table["sd"].nunique() == 1  # paired: the same losses, the same deviation
    assert set(table["source"]) == {"made up"}
    loss = -logp.mean()
    assert f"{loss:.3f}" in page and f"{loss / np.log(2):.3f} bits" in page
    assert "paper 1.449" in page and f"diff. {html.signed(loss - 1.449)}" in page
    assert "source of wp" in page and "source of mine" in page
    assert page.count("not the paper’s text") == 1  # wp: another size than the paper's file
    assert "the mean over" not in page and "http" not in page


def test_table1_with_blocks_and_the_second_recipe(tmp_path, outputs):
    """They are types of their own, told apart by two more columns, and by a third with the learning
    rate that was chosen; the paper's number is not theirs."""
    names, found = corpora(tmp_path, "wp"), {}
    rates = {"lstm+block+adamw": {"rate": 0.003}, "gru+adamw": {"rate": 0.01}}
    for type in ("lstm+block+adamw", "mingru", "lstm", "lstm+block", "gru+adamw"):
        about = {"type": type, "layers": 1, "size": 64} | rates.get(type, {})
        path = tmp_path / f"{type}.npy"
        found[type] = write_score(path, np.full(50, -1.0), corpus="wp", **about)
    run(tables, ["--scores", *found.values(), *names, *outputs], "run_table1")
    table, page = made(tmp_path)
    assert table.columns[-3:].tolist() == ["block", "recipe", "rate"]
    assert table["rate"].fillna(0).tolist() == [0, 0, 0.003, 0.01, 0]
    assert page.count("rate 0.003") == page.count("rate 0.01") == 1
    assert table[["type", "block", "recipe"]].to_numpy().tolist() == [
        ["lstm", 0, "paper"], ["lstm", 1, "paper"], ["lstm", 1, "adamw"], ["gru", 0, "adamw"],
        ["mingru", 0, "paper"],
    ]  # fmt: skip
    assert table["paper"].notna().tolist() == [True, False, False, False, False]
    assert ">1x64<" in page and ">block+adamw<" in page and "minGRU" in page
    whole = stored.read_table1(tmp_path / "out.csv")
    assert whole["type"].tolist() == [
        "lstm", "lstm+block", "lstm+block+adamw", "gru+adamw", "mingru",
    ]  # fmt: skip


def test_table1_of_several_seeds_and_an_unknown_type(tmp_path, outputs):
    names = corpora(tmp_path, "mine")
    scores = [
        write_score(tmp_path / f"{seed}.npy", np.full(50, -1.0 * seed), corpus="mine", seed=seed)
        for seed in (3, 1)
    ]
    scores.append(write_score(tmp_path / "x.npy", np.full(50, -5.0), corpus="mine", type="qrnn"))
    run(tables, ["--scores", *scores, *names, *outputs], "run_table1")
    table, page = made(tmp_path)
    assert table[["type", "seed", "loss"]].to_numpy().tolist() == [
        ["lstm", 1, 1.0],
        ["lstm", 3, 3.0],
        ["qrnn", 1, 5.0],
    ]
    assert ">2.000<" in page and "seeds 1.000–3.000" in page and "the mean over its seeds" in page
    assert "QRNN" in page
    assert table["block"].tolist() == [0, 0, 0] and set(table["recipe"]) == {"paper"}


def test_table2(tmp_path, outputs):
    names = corpora(tmp_path, "lk")
    logp = random_logp(400, 2)
    scores = [
        write_score(tmp_path / "a.npy", logp, corpus="lk", family="nn", n=1, hidden=256),
        write_score(tmp_path / "b.npy", logp, corpus="lk", family="ngram", n=20, bytes=5 * 10**8),
        write_score(tmp_path / "c.npy", logp, corpus="lk", family="ngram", n=1),
        write_score(tmp_path / "d.npy", logp, corpus="lk", family="recurrent"),
    ]
    run(tables, ["--scores", *scores, *names, *outputs], "run_table2")
    table, page = made(tmp_path)
    assert ",".join(table.columns) == TABLE2 + ",source"
    assert table[["model", "n", "paper"]].to_numpy().tolist() == [
        ["n-gram", 1, 2.702],
        ["n-gram", 20, 0.889],
        ["n-NN", 1, 2.707],
    ]
    assert table["hidden"].fillna(0).tolist() == [0, 0, 256]
    assert table["arpa_bytes"].fillna(0).tolist() == [3000, 3000, 0]
    assert "256.0" not in (tmp_path / "out.csv").read_text()
    assert "500 MB packed" in page and "256 units" in page


def test_ngrams_alone(tmp_path, outputs):
    names = corpora(tmp_path, "lk")
    score = write_score(tmp_path / "a.npy", random_logp(99, 1), corpus="lk", family="ngram", n=9)
    run(tables, ["--scores", score, *names, *outputs], "run_table2")
    table, page = made(tmp_path)
    assert ",".join(table.columns) == TABLE2 + ",source"
    assert table["paper"].tolist() == [0.933] and table["hidden"].isna().all()
    assert "n-NN</th>" not in page


def test_differences_have_a_sign():
    assert [html.signed(x) for x in (0.0121, -0.0121, 0.0001, -0.0001)] == [
        "+0.012",
        "−0.012",
        "±0",
        "±0",
    ]


def test_pages_escape_what_users_write(tmp_path, outputs):
    write_corpus(tmp_path, "mine", source="<b>&")
    score = write_score(tmp_path / "a.npy", random_logp(50, 1), corpus="mine")
    arguments = ["--scores", score, "--corpora", tmp_path / "mine.json", *outputs]
    run(tables, arguments, "run_table1")
    assert "&lt;b&gt;&amp;" in made(tmp_path)[1]


def test_bad_score_files(tmp_path):
    path = tmp_path / "a.npy"

    def refused(*words):
        with pytest.raises(InputError) as error:
            read_score(path)
        message = str(error.value)
        assert "\n" not in message and all(word in message for word in words), message

    np.save(path, np.zeros(5))
    refused("a.json is missing")
    path.with_suffix(".json").write_text("{")
    refused("a.json: no readable JSON")
    path.with_suffix(".json").write_text("[]")
    refused("a.json: expected a JSON object, got a list")
    path.with_suffix(".json").write_text('{"family": "lstm"}')
    refused("a.json: expected family recurrent, nn, ngram, got 'lstm'")
    path.with_suffix(".json").write_text('{"family": "ngram", "corpus": "x", "n": 3}')
    refused("a.json: lacks source, bytes, arpa_bytes")
    write_score(path, [-1, -2, np.nan, -np.inf])
    refused("a.npy: score nan at test position 2", "2 such")
    write_score(path, np.zeros((2, 3)))
    refused("a.npy: expected one float per test character, got float32 of shape (2, 3)")
    write_score(path, [])
    refused("a.npy: expected one float per test character, got float32 of shape (0,)")
    path.write_bytes(b"nonsense")
    refused("a.npy: damaged")
    path.unlink()
    refused("a.npy: no readable score array (No such file or directory)")


def test_bad_combinations(tmp_path, outputs):
    names = corpora(tmp_path, "wp", "lk")
    wp = write_score(tmp_path / "a.npy", random_logp(9, 1), corpus="wp")
    lk = write_score(tmp_path / "b.npy", random_logp(9, 1), corpus="lk")
    short = write_score(tmp_path / "c.npy", random_logp(8, 1), corpus="wp")
    other = write_score(tmp_path / "d.npy", random_logp(9, 1), corpus="other")
    for scores, message in (
        ([wp], "corpus lk: no recurrent model among the scores given"),
        ([wp, short, lk], "c.npy: 8 scores, but .*a.npy has 9"),
        ([wp, lk, other], "d.npy: its corpus 'other' is not among those given"),
    ):
        with pytest.raises(InputError, match=message):
            run(tables, ["--scores", *scores, *names, *outputs], "run_table1")
    assert not (tmp_path / "out.csv").exists() and not (tmp_path / "out.html").exists()


def test_bad_corpora(tmp_path):
    with pytest.raises(InputError, match="x.json is missing"):
        read_corpora([tmp_path / "x.json"])
    (tmp_path / "x.json").write_text(json.dumps({"corpus": "x", "title": "X"}))
    with pytest.raises(InputError, match="x.json: lacks kind, source, bytes, symbols"):
        read_corpora([tmp_path / "x.json"])
