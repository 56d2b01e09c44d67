"""Keys of models: path, words, label and back; and the one rule for the best network."""

import pytest

from charlens.errors import InputError
from charlens.store import models
from charlens.store.models import ModelKey, best, deepest, types_in_order

LSTM = ModelKey("wp", "recurrent", "lstm", 2, 64, 1)
KEYS = {
    "wp/type~lstm/layers~2/size~64/seed~1": (LSTM, "LSTM 2x64"),
    "wp/type~lstm/layers~2/size~64/seed~2": (
        ModelKey("wp", "recurrent", "lstm", 2, 64, 2), "LSTM 2x64 seed 2",
    ),
    "wp/type~my_cell/layers~2/size~64/seed~1/dropout~0.1": (
        ModelKey("wp", "recurrent", "my_cell", 2, 64, 1, candidate=0.1), "MY_CELL 2x64",
    ),
    "wp/type~mingru+block/layers~2/size~128/seed~1/dropout~0.0": (
        ModelKey("wp", "recurrent", "mingru+block", 2, 128, 1, candidate=0.0),
        "minGRU+block 2x128",
    ),
    "wp/type~lstm+block+adamw/layers~2/size~128/seed~1/rate~0.003": (
        ModelKey("wp", "recurrent", "lstm+block+adamw", 2, 128, 1, candidate=0.003),
        "LSTM+block+adamw 2x128",
    ),
    "lk.contiguous/nn/context~3/seed~1": (
        ModelKey("lk.contiguous", "nn", seed=1, n=3), "3-NN",
    ),
    "lk/nn/context~3/seed~2/hidden~256": (
        ModelKey("lk", "nn", seed=2, n=3, candidate=256), "3-NN seed 2",
    ),
    "lk/ngram/order~21": (ModelKey("lk", "ngram", n=20), "20-gram"),
}  # fmt: skip


@pytest.mark.parametrize("path", KEYS)
def test_a_path_and_its_key_say_the_same(path):
    key, label = KEYS[path]
    assert ModelKey.parse(path) == key
    assert key.path == path and key.label == label
    assert ModelKey.parse(f"/some/results/scores/{path}.npy") == key
    assert ModelKey.parse(f"results/models/{path}/best/model.safetensors") == key


@pytest.mark.parametrize("path", KEYS)
def test_tables_name_a_model_by_its_path_in_words(path):
    corpus, _, below = path.partition("/")
    assert ModelKey.parse(f"{corpus}/{below.replace('/', ' ')}") == KEYS[path][0]


@pytest.mark.parametrize("dropout", ["0", "0.0", "0.25", "1e-05"])
def test_a_candidate_is_written_as_it_was_read(dropout):
    path = f"{LSTM.path}/dropout~{dropout}"
    key = ModelKey.parse(f"models/{path}/model.safetensors")
    assert key.path == path and key.candidate == float(dropout)
    assert key.chosen == LSTM and key.name == LSTM.name


@pytest.mark.parametrize(
    "path",
    [
        "results/tables/table1.csv", "wp/type~lstm/layers~2/size~64", "type~lstm/layers~2",
        "wp/type~lstm/layers~two/size~64/seed~1", "wp/nn/context~3", "wp/ngram/order~x", "",
    ],
)  # fmt: skip
def test_what_is_no_path_of_a_model_is_refused(path):
    with pytest.raises(InputError, match=r"expected a path like .*order~21"):
        ModelKey.parse(path)


def test_the_key_of_metadata():
    meta = {"corpus": "wp", "type": "lstm", "layers": 2, "size": 64, "seed": 1, "dropout": 0.1}
    assert ModelKey.of(meta | {"family": "recurrent", "val_loss": 1.0}) == LSTM
    assert ModelKey.of({"corpus": "wp", "family": "ngram", "n": 20}).label == "20-gram"


def test_types_are_in_the_papers_order():
    assert types_in_order(["qrnn", "gru", "atom", "lstm", "gru"]) == ["lstm", "gru", "atom", "qrnn"]


def network(type, layers, val_loss):
    return {"type": type, "layers": layers, "val_loss": val_loss}


def test_the_best_has_the_lowest_validation_loss():
    networks = [network("lstm", 2, 1.2), network("gru", 1, 1.1), network("lstm", 3, 1.1)]
    assert best(networks, dict) is networks[1]  # the first of equals
    assert best(networks, dict, "lstm") is networks[2]
    with pytest.raises(InputError, match="no trained RNN"):
        best(networks, dict, "rnn")
    with pytest.raises(InputError, match="no trained network"):
        best([], dict)


def test_the_best_of_the_papers_depth():
    two = [network("lstm", 2, 1.0), network("lstm", 1, 0.5)]
    three = [network("lstm", 3, 1.4), network("lstm", 3, 1.3), network("lstm", 4, 1.0)]
    gru = [network("gru", 3, 0.1)]
    assert best(two + three + gru, dict, "lstm", paper_depth=True) is three[1]
    assert best(two + gru, dict, "lstm", paper_depth=True) is two[0]  # the deepest there is
    assert deepest(two + three + gru, "lstm") == three[:2]
    assert deepest(two + gru, "lstm") == two[:1] and deepest(gru, "lstm") == []
    with pytest.raises(InputError, match="no trained LSTM"):
        best(gru, dict, "lstm", paper_depth=True)


def test_a_cell_type_may_have_a_name_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "CELLS", tmp_path)
    models.type_name.cache_clear()
    (tmp_path / "light.py").write_text('"""A cell."""\n\nNAME = "Light GRU"\nGATES = 2\n')
    (tmp_path / "plain.py").write_text("GATES = 1\n")
    assert models.network_name("light", 2, 64) == "Light GRU 2x64"
    assert models.shown("light 2x64") == "Light GRU 2x64"
    assert models.type_name("plain") == "PLAIN" and models.type_name("absent") == "ABSENT"
    models.type_name.cache_clear()
