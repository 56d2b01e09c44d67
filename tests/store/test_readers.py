"""Readers of tables and scores, and what they refuse."""

import json

import pandas as pd
import pytest
from synthetic import random_logp, write_corpus, write_score

from charlens.errors import InputError
from charlens.store.corpora import read_text
from charlens.store.models import ModelKey
from charlens.store.scores import figure_network, read_score, read_scores
from charlens.store.tables import planned_models, read_claims, read_status, read_table


def test_a_score_knows_its_model(tmp_path):
    size = write_corpus(tmp_path)
    lstm = write_score(tmp_path / "a.npy", random_logp(size, 1), layers=2, seed=3)
    ngram = write_score(tmp_path / "b.npy", random_logp(size, 2), family="ngram", n=9)
    keys = [score.key for score in read_scores([lstm, ngram], "recurrent", "ngram")]
    assert keys == [ModelKey("code", "recurrent", "lstm", 2, 64, 3), ModelKey("code", "ngram", n=9)]
    assert [key.label for key in keys] == ["LSTM 2x64 seed 3", "9-gram"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("layers", "3", "layers: expected a whole number, got '3'"),
        ("seed", 10**30, "seed: expected a whole number, got 1000"),
        ("val_loss", float("nan"), "val_loss: expected a finite number, got nan"),
        ("corpus", ["code"], "corpus: expected text, got"),
        ("family", [], "expected family recurrent, nn, ngram, got"),
    ],
)
def test_metadata_of_another_type_are_refused(tmp_path, field, value, words):
    path = write_score(tmp_path / "a.npy", [-1.0], size=None)
    assert read_score(path).key.size is None
    about = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps(about | {field: value}))
    with pytest.raises(InputError, match=f"a.json: {words}"):
        read_score(path)


def test_text_in_the_place_of_numbers_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("corpus,loss\nwp,1.25\nlk,x\n")
    with pytest.raises(InputError, match="a.csv: column loss: expected numbers"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("corpus,loss\n")
    assert read_table(tmp_path / "a.csv").empty


def test_the_lstm_of_figures_4_and_5(tmp_path):
    def score(layers, val_loss, type="lstm"):
        path = tmp_path / f"{type}{layers}{val_loss}.npy"
        return read_score(
            write_score(path, [-5 + val_loss], layers=layers, val_loss=val_loss, type=type)
        )

    # The lower the validation loss, the higher the test loss: it must not matter.
    scores = [score(2, 1.0), score(3, 1.4), score(3, 1.3), score(3, 0.1, "gru")]
    assert figure_network(scores) is scores[2]
    with pytest.raises(InputError, match="no LSTM among the scores"):
        figure_network(scores[3:])


def test_planned_models(tmp_path):
    rows = ["wp,type~lstm layers~2 size~64 seed~2,1", "wp,nn context~3 seed~1,0",
            "lk,ngram order~21,1", "lk,type~gru layers~1 size~64 seed~1,0"]  # fmt: skip
    (tmp_path / "status.csv").write_text("corpus,model,finished\n" + "\n".join(rows) + "\n")
    assert planned_models(read_status(tmp_path / "status.csv")) == [
        ModelKey("wp", "recurrent", "lstm", 2, 64, 2),
        ModelKey("wp", "nn", seed=1, n=3),
        ModelKey("lk", "ngram", n=20),
        ModelKey("lk", "recurrent", "gru", 1, 64, 1),
    ]


def test_unusable_tables_and_texts_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(InputError, match="a.csv: no readable table .*make it again"):
        read_table(path)
    path.write_text("a,b\n1,2\n")
    assert list(read_table(path, ["b"])["b"]) == [2]
    with pytest.raises(InputError, match="a.csv: has no column c, d; make it again"):
        read_table(path, ["a", "c", "d"])
    path.write_text("a,b\n0,1,2\n")  # pandas would take the first for an index
    with pytest.raises(InputError, match="a.csv: .*more values than there are columns"):
        read_table(path, ["a", "b"])
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="a.csv: needs the columns corpus,model,finished"):
        read_status(path)
    with pytest.raises(InputError, match="x.txt: no readable text .No such file"):
        read_text(tmp_path / "x.txt")


def test_why_a_claim_is_undecided_in_any_version(tmp_path):
    """A claims.csv of an older version says it in its basis alone."""
    path = tmp_path / "claims.csv"
    rows = [
        ("holds", "9 networks", ""),
        ("undecided", "missing: a text", "missing"),
        ("not in this run", "not in this run: no GRU", "not in this run"),
        ("undecided", "2 networks; the effect of the seed is unknown: none", "one seed"),
        ("undecided", "2 networks", "interval crosses the bar"),
        ("holds", "", ""),
    ]
    for older in (False, True):
        table = pd.DataFrame(rows, columns=["verdict", "basis", "reason"]).assign(claim="a")
        table.drop(columns="reason" if older else []).to_csv(path, index=False)
        assert read_claims(path, ["claim"])["reason"].tolist() == [row[2] for row in rows]
    pd.DataFrame([("undecided", "missing: a text", "one seed")], columns=table.columns[:3]).to_csv(
        path, index=False
    )
    assert read_claims(path)["reason"].tolist() == ["one seed"]
    path.write_text("claim,basis\na,b\n")
    with pytest.raises(InputError, match="has no column verdict"):
        read_claims(path)
