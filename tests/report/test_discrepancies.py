"""What is far from the paper, on tables with known causes; other orders of the files."""

import json

import numpy as np
import pandas as pd
import pytest
from synthetic import random_logp, run, write_corpus, write_score

from charlens.errors import InputError
from charlens.report import discrepancies, reshuffles
from charlens.store.models import ModelKey
from charlens.store.tables import paper_table

OFFSET, SD = 0.02, 0.004


@pytest.fixture
def tables():
    """Ours: the paper's, an offset and noise; but for three entries with a known cause."""
    rng = np.random.default_rng(0)
    first = paper_table(1).query("corpus == 'wp'").rename(columns={"loss": "paper"})
    first = first.assign(seed=1, dropout=0.3, val_loss=1.0)
    first["loss"] = first["paper"] + OFFSET + rng.normal(0, SD, len(first))
    at = first.set_index(["type", "layers", "size"]).index
    # the paper printed 0.1 too much; took another row's network; took another dropout
    exact = first["paper"] + OFFSET
    for entry, loss in {
        ("rnn", 1, 128): exact[at == ("rnn", 1, 128)].item() - 0.1,
        ("gru", 2, 512): exact[at == ("gru", 2, 256)].item() - 0.08,
        ("gru", 2, 256): exact[at == ("gru", 2, 512)].item(),
        ("lstm", 3, 512): exact[at == ("lstm", 3, 512)].item() - 0.06,
    }.items():
        first.loc[at == entry, "loss"] = loss
    second = (
        paper_table(2).query("corpus == 'wp'").rename(columns={"loss": "paper", "type": "model"})
    )
    second = second.assign(hidden=128, loss=second["paper"] + rng.normal(0, 0.0005, len(second)))
    return first, second.drop(columns=["layers", "size"])


def histories(folder):
    """The validation losses of two candidates for the LSTM 3x512: 0.06 apart."""
    found = []
    for dropout, val_loss in ((0.3, 1.0), (0.0, 1.06)):
        path = folder / f"wp/type~lstm/layers~3/size~512/seed~1/dropout~{dropout}/history.csv"
        path.parent.mkdir(parents=True)
        path.write_text(f"epoch,val_loss\n1,{val_loss + 1}\n2,{val_loss}\n")
        found.append(path)
    return found


def arguments(folder, tables, *more, corpus="wp"):
    for number, table in enumerate(tables, start=1):
        table.to_csv(folder / f"table{number}.csv", index=False)
    return ["--table1", folder / "table1.csv", "--table2", folder / "table2.csv", *more,
            "--corpora", folder / f"{corpus}.json", "--csv", folder / "d.csv",
            "--shuffles-csv", folder / "s.csv", "--html", folder / "d.html"]  # fmt: skip


def test_known_causes_are_found(tmp_path, tables):
    write_corpus(tmp_path, "wp")
    run(discrepancies, arguments(tmp_path, tables, "--histories", *histories(tmp_path)))
    found = pd.read_csv(tmp_path / "d.csv", keep_default_na=False, na_values=[""])
    assert list(found.columns) == discrepancies.COLUMNS
    by_entry = found.set_index(["model", "layers", "size"])
    assert by_entry["offset"].to_numpy() == pytest.approx(OFFSET, abs=0.004)
    assert by_entry["typical"].to_numpy() == pytest.approx(SD, rel=0.8)
    slip = by_entry.loc[("rnn", 1, 128)]
    assert slip["fits"] == "slip" and slip["slip"] == -0.1 and abs(slip["slip_residual"]) < 0.01
    size = by_entry.loc[("gru", 2, 512)]
    assert size["fits"] == "size 256" and size["implied_size"] == pytest.approx(256, rel=0.05)
    candidate = by_entry.loc[("lstm", 3, 512)]
    assert candidate["fits"] == "dropout 0" and abs(candidate["candidate_residual"]) < 0.01
    # an offset alone is no finding about an entry: the others are not listed, or explained by it
    others = set(by_entry.index) - {("rnn", 1, 128), ("gru", 2, 512), ("lstm", 3, 512)}
    assert all(by_entry.loc[entry, "fits"] == "offset" for entry in others - {("gru", 2, 256)})
    page = (tmp_path / "d.html").read_text()
    assert "RNN 1x128" in page and "−0.100 on the paper’s" in page and "not known yet" in page


def test_nothing_fits_where_nothing_does(tmp_path, tables):
    first, second = tables
    first.loc[
        (first["type"] == "lstm") & (first["size"] == 64) & (first["layers"] == 1), "loss"
    ] -= 0.3
    write_corpus(tmp_path, "wp")
    run(discrepancies, arguments(tmp_path, (first, second)))
    found = pd.read_csv(tmp_path / "d.csv", keep_default_na=False, na_values=[""])
    row = found[(found["model"] == "lstm") & (found["size"] == 64)].iloc[0]
    assert row["fits"] == "none" and row["candidate"] == "" or pd.isna(row["candidate"])


def test_a_single_entry_is_its_own_offset(tmp_path, tables):
    first, second = tables
    write_corpus(tmp_path, "wp")
    one = first[:1].assign(loss=first["paper"] + 0.05)
    run(discrepancies, arguments(tmp_path, (one, second)))
    found = pd.read_csv(tmp_path / "d.csv")
    assert found["fits"].tolist() == ["offset"] and found["offset"].tolist() == [0.05]
    assert "LSTM 1x64" in (tmp_path / "d.html").read_text()


def test_deviations_of_seeds_are_pooled(tables):
    first, _ = tables
    one = first[(first["type"] == "gru") & (first["layers"] == 1)]
    two = pd.concat([one, one.assign(seed=2, loss=one["loss"] + 0.02)])
    # two values 0.02 apart have a standard deviation of 0.02 / sqrt(2)
    assert discrepancies.pooled(two, "wp", "gru") == pytest.approx(0.02 / np.sqrt(2))
    assert np.isnan(discrepancies.pooled(one, "wp", "gru"))
    # a seed that diverged has no loss, and is no degree of freedom
    failed = pd.concat([two, one.assign(seed=3, loss=np.nan)])
    assert discrepancies.pooled(failed, "wp", "gru") == discrepancies.pooled(two, "wp", "gru")
    assert np.isnan(discrepancies.pooled(pd.DataFrame(), "wp", "gru"))


def test_a_run_without_the_papers_texts_has_an_empty_table(tmp_path, tables):
    write_corpus(tmp_path, "mine")
    mine = [table.assign(corpus="mine", paper=np.nan) for table in tables]
    run(discrepancies, arguments(tmp_path, mine, corpus="mine"))
    assert (tmp_path / "d.csv").read_text() == ",".join(discrepancies.COLUMNS) + "\n"
    assert "The paper has no numbers for this text" in (tmp_path / "d.html").read_text()


def shuffled(means, seeds=(0, 1, 2, 3, 4, 5), corpus="lk"):
    rng = np.random.default_rng(1)
    rows = [
        [corpus, seed, model, mean + draw]
        for seed, draw in zip(seeds, rng.normal(0, 0.01, len(seeds)), strict=True)
        for model, mean in means.items()
    ]
    return pd.DataFrame(rows, columns=reshuffles.COLUMNS)


def test_the_place_of_the_papers_number_among_orders():
    table = shuffled({"1-gram": 2.702, "20-gram": 0.95, "LSTM 1x64": 1.355, "LSTM 1x9": 1.0})
    found = discrepancies.among_orders(table).set_index("model")
    assert list(found.columns) == [name for name in discrepancies.SHUFFLES if name != "model"]
    assert abs(found.loc["1-gram", "deviations"]) < 2 and found.loc["1-gram", "p"] > 0.05
    own = table[table["model"] == "20-gram"]["loss"]
    off = (0.889 - own.mean()) / (own.std(ddof=1) * np.sqrt(1 + 1 / 6))
    assert (
        found.loc["20-gram", "deviations"] == pytest.approx(off)
        and found.loc["20-gram", "p"] < 0.01
    )
    assert found.loc["LSTM 1x64", "paper"] == 1.355 and np.isnan(found.loc["LSTM 1x9", "p"])
    mean = found.loc["mean of the n-grams"]
    assert mean["paper"] == pytest.approx((2.702 + 0.889) / 2) and mean["orders"] == 6
    # the mean is of n-grams that every order has
    fewer = table[(table["model"] != "20-gram") | (table["seed"] > 2)]
    assert "mean of the n-grams" not in set(discrepancies.among_orders(fewer)["model"])
    # the sorted text is no random order
    sorted_too = pd.concat([table, table[:4].assign(seed=pd.NA)])
    assert discrepancies.among_orders(sorted_too)["orders"].eq(6).all()
    assert discrepancies.among_orders(pd.DataFrame()).empty
    assert discrepancies.among_orders(table[table["seed"] == 0]).empty  # one order has no spread


@pytest.mark.parametrize(("orders", "known"), [(2, False), (3, True)])
def test_too_few_orders_have_no_deviation(tmp_path, tables, orders, known):
    write_corpus(tmp_path, "lk")
    lk = [table.assign(corpus="lk") for table in tables]
    table = shuffled({"1-gram": 2.7, "20-gram": 0.9}, range(6))
    table.loc[table["model"] == "20-gram", "loss"] += 0.1 * table["seed"]
    table = table[(table["model"] == "1-gram") | (table["seed"] < orders)]
    found = discrepancies.among_orders(table).set_index("model").loc["20-gram"]
    assert found["orders"] == orders and found["low"] < found["mean"] < found["high"]
    assert found[["sd", "deviations", "p"]].notna().tolist() == [known] * 3
    entries = pd.DataFrame([["lk", "n-gram", 1]], columns=["corpus", "model", "seeds"])
    deviation = discrepancies.deviations(entries, lk[0], table, {"lk": {"bytes": 1}}).item()
    assert (deviation > 0.02) == known  # that of the 20-gram counts where it is known
    table.to_csv(tmp_path / "r.csv", index=False)
    run(discrepancies, arguments(tmp_path, lk, "--reshuffles", tmp_path / "r.csv", corpus="lk"))
    page = (tmp_path / "d.html").read_text()
    assert "nan" not in page and "from 3 orders or more" in page


def test_how_often_the_paper_is_called_unusual_by_chance(monkeypatch):
    """Where the paper's order is one more draw, p is uniform: below 0.1 in one case of ten."""
    rng, rows = np.random.default_rng(0), []
    models = [f"model {number}" for number in range(400)]
    known = dict.fromkeys((("lk", model) for model in models), 0.889)
    monkeypatch.setattr(discrepancies, "paper_losses", lambda: known)
    for model in models:
        losses = rng.normal(0.889, 0.02, 6)  # around a paper that is itself a draw
        losses += rng.normal(0, 0.02)
        rows += [["lk", seed, model, loss] for seed, loss in enumerate(losses)]
    found = discrepancies.among_orders(pd.DataFrame(rows, columns=reshuffles.COLUMNS))
    assert len(found) == 400
    assert 25 <= (found["p"] < 0.1).sum() <= 56  # 40, plus or minus 2.6 standard deviations


def test_the_order_of_the_files_counts_among_the_deviations(tmp_path, tables):
    write_corpus(tmp_path, "lk")
    lk = [table.assign(corpus="lk") for table in tables]
    shuffled({"1-gram": 2.7, "LSTM 1x64": 1.4}).to_csv(tmp_path / "r.csv", index=False)
    run(discrepancies, arguments(tmp_path, lk, "--reshuffles", tmp_path / "r.csv", corpus="lk"))
    assert pd.read_csv(tmp_path / "s.csv")["model"].tolist() == ["1-gram", "LSTM 1x64"]
    page = (tmp_path / "d.html").read_text()
    assert "Losses on other orders of the files" in page and "not known yet" not in page
    entries = pd.DataFrame([["lk", "n-gram", 1]], columns=["corpus", "model", "seeds"])
    table = shuffled({"1-gram": 2.7})
    sd = table["loss"].std(ddof=1)
    about = {"lk": {"bytes": 1}}
    found = discrepancies.deviations(entries, lk[0], table, about)
    assert found.iloc[0] == pytest.approx(np.sqrt(2) * sd)
    assert discrepancies.deviations(entries, lk[0], pd.DataFrame(), about).isna().all()


def test_candidates_that_were_not_chosen(tables):
    first, second = tables
    known = {ModelKey("wp", "nn", seed=1, n=5, candidate=hidden): loss
             for hidden, loss in ((128, 1.5), (256, 1.4))}  # fmt: skip
    known[ModelKey("wp", "recurrent", "gru", 1, 64, 1, candidate=0.1)] = 2.0  # nothing to compare
    other = discrepancies.other_candidates(first, second, known)
    assert other["candidate"].tolist() == ["hidden 256"] and other["n"].tolist() == [5]
    nn = second[(second["model"] == "n-NN") & (second["n"] == 5)]["loss"].item()
    assert other["loss"].item() == pytest.approx(nn - 0.1)


# ---- the losses on other orders ----


def test_reshuffles(tmp_path):
    about = {"shuffle": 1, "own_shuffle": None}
    size = write_corpus(tmp_path, "x")
    write_corpus(tmp_path, "x.shuffle1")
    info = tmp_path / "x.shuffle1.json"
    scores = [
        write_score(tmp_path / f"{k}.npy", random_logp(size, k), corpus=corpus, **meta)
        for k, (corpus, meta) in enumerate([
            ("x", {"family": "ngram", "n": 3}), ("x", {"size": 64}), ("x", {"size": 8}),
            ("x.shuffle1", {"size": 64}), ("x.shuffle1", {"family": "ngram", "n": 3}),
        ])
    ]  # fmt: skip
    files = ["--corpora", tmp_path / "x.json", info, "--csv", tmp_path / "r.csv"]
    with pytest.raises(InputError, match="x.shuffle1.json: lacks shuffle, own_shuffle"):
        run(reshuffles, ["--scores", *scores, *files])
    info.write_text(json.dumps(json.loads(info.read_text()) | about))
    run(reshuffles, ["--scores", *scores, *files])
    table = pd.read_csv(tmp_path / "r.csv")
    assert list(table.columns) == reshuffles.COLUMNS
    # the LSTM 3x8 was not scored on another order
    assert table["model"].tolist() == ["3-gram", "LSTM 3x64"] * 2
    assert table["seed"].isna().tolist() == [True, True, False, False]  # sorted; seed 1
    assert table["loss"].iloc[3] == pytest.approx(-np.load(scores[3]).mean(dtype=float), abs=1e-5)
    with pytest.raises(InputError, match="no reshuffle of its corpus 'y'"):
        other = write_score(tmp_path / "y.npy", random_logp(size, 9), corpus="y")
        run(reshuffles, ["--scores", other, *files])
