"""Skills and units of a network at the snapshots of its training."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import run

from charlens.data import split
from charlens.errors import InputError
from charlens.networks import network
from charlens.networks.architecture import Architecture
from charlens.store.tables import EMERGENCE
from charlens.training import snapshots, train
from charlens.training.recipe import RMSProp
from charlens.units import emergence

LINE = b'He said "come in" to %s,\r\nand she said "not now".\r\n'
TEXT = b"".join(LINE % name for name in [b"Ann", b"Robert", b"a friend of his"] * 400)
SCHEDULE = snapshots.Schedule(2, 1)
EPOCHS = [0.5, 1, 2]  # nearly: a snapshot is taken after a whole window


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A text with quotations, its split, and the snapshots of a short training."""
    folder = tmp_path_factory.mktemp("emergence")
    torch.set_num_threads(1)
    data = split.split(TEXT, "streams", 8, 25, (0.5, 0.1, 0.4))
    split.save(folder / "prose.npz", data)
    (folder / "prose.txt").write_bytes(TEXT)
    about = {"corpus": "prose", "source": "made up", "size": 8}
    (folder / "prose.json").write_text(json.dumps(about | {"kind": "prose"}))
    for name, arch in {
        "lstm": Architecture("lstm", 1, 6, data.symbols),
        "nn": Architecture("nn", 1, 6, data.symbols, 2),
    }.items():
        recipe = RMSProp(epochs=2, learning_rate=0.02)
        train.train(
            arch, recipe, data, 3, 0.0, folder / name, about, name, "reference", schedule=SCHEDULE
        )
    return folder


def look(folder, out, model="lstm", **changed):
    files = {"split": "prose.npz", "text": "prose.txt", "info": "prose.json"} | changed
    options = [word for name, file in files.items() for word in (f"--{name}", folder / file)]
    run(emergence, [folder / model / "snapshots.safetensors", *options, "--backend", "reference",
                    "--out", out])  # fmt: skip
    return pd.read_csv(out)


def test_every_snapshot_has_every_measure(folder, tmp_path):
    table = look(folder, tmp_path / "found.csv")
    assert list(table.columns) == [*EMERGENCE, "characters"]
    assert set(table["characters"]) == {1000}
    assert set(table["corpus"]) == {"prose"} and set(table["seed"]) == {3}
    measures = set(table["measure"])
    assert {"loss", "newline", "closing_quote", "strength_line_position"} <= measures
    for measure in measures:
        epochs = list(table[table["measure"] == measure]["epoch"])
        assert epochs == pytest.approx(EPOCHS, abs=0.01)
    assert table[table["measure"] != "loss"]["value"].between(0, 1).all()


def test_probabilities_agree_with_a_pass_in_float64(folder, tmp_path):
    table = look(folder, tmp_path / "found.csv")
    data = split.load(folder / "prose.npz")
    arch, found, _ = snapshots.load(folder / "lstm" / "snapshots.safetensors")
    epoch, params = found[-1]
    params = {name: value.double() for name, value in params.items()}
    x = torch.from_numpy(data.test.x)
    logits, _ = network.forward(arch, params, x, network.zero_state(arch, 8).double())
    target = torch.from_numpy(data.test.y).long().unsqueeze(2)
    logp = logits.log_softmax(2).gather(2, target)[..., 0].numpy()
    at = data.test.at[:, None] + np.arange(data.test.y.shape[1])
    byte = np.frombuffer(TEXT, np.uint8)
    follows = np.frombuffer(b" " + TEXT, np.uint8)  # the character before each
    closing = (byte[at] == ord('"')) & (follows[at] != ord(" "))
    expected = {
        "loss": -logp.mean(),
        "newline": np.exp(logp)[byte[at] == ord("\r")].mean(),
        "closing_quote": np.exp(logp)[closing].mean(),
    }
    own = table[table["epoch"] == epoch].set_index("measure")["value"]
    for measure, value in expected.items():
        assert own[measure] == pytest.approx(value, abs=2e-5)


def test_the_best_unit_is_found(folder):
    """A network without weights follows nothing; one unit that sees marks follows them."""
    data = split.load(folder / "prose.npz")
    x, mark = data.test.x, int(np.flatnonzero(data.alphabet == ord('"'))[0])
    labels = {"mark": ((x == mark).astype(np.int32), np.ones(x.shape, bool), True)}
    arch = Architecture("rnn", 1, 3, data.symbols)
    random = network.initialise(arch, 0.1, torch.Generator())
    params = {name: torch.zeros_like(value) for name, value in random.items()}
    assert emergence.strengths(arch, params, x, labels) == {"strength_mark": 0}
    params["layers.0.w_x"][mark, 1] = 3.0
    assert emergence.strengths(arch, params, x, labels) == {"strength_mark": 1}


def test_an_n_nn_has_nothing_to_watch(folder, tmp_path):
    with pytest.raises(InputError, match="no state"):
        look(folder, tmp_path / "found.csv", model="nn")


def test_another_text_is_refused(folder, tmp_path):
    (folder / "other.txt").write_bytes(TEXT[::-1])
    with pytest.raises(InputError, match="was not made from"):
        look(folder, tmp_path / "found.csv", text="other.txt")
