"""Model files of strangers: whatever they say, one line, before anything in them is used."""

import math

import pytest
import torch
from safetensors.torch import save

from charlens.errors import InputError
from charlens.networks import model_file, network
from charlens.networks.architecture import Architecture

ARCH = Architecture("lstm", 1, 3, 4)
ABOUT = {
    "type": "lstm", "layers": 1, "hidden": 3, "symbols": 4, "context": 0, "alphabet": b"abcd".hex(),
    "corpus": "text", "source": "random", "size": None, "seed": 1, "epoch": 1, "val_loss": 1.5,
    "dropout": 0.0, "parameters": 100, "recipe": {"epochs": 1},
}  # fmt: skip


def write(path, described, tensors=None):
    """A file with a sound digest, whatever is in it."""
    params = network.initialise(ARCH, 0.08, torch.Generator().manual_seed(1))
    path.write_bytes(model_file.content_of({**params, **(tensors or {})}, described, save))


def refused(path) -> str:
    with pytest.raises(InputError) as error:
        model_file.load(path)
    assert str(error.value).startswith(f"{path}: ") and len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_a_sound_one_is_read(tmp_path):
    write(tmp_path / "m.safetensors", ABOUT)
    assert model_file.load(tmp_path / "m.safetensors")[0] == ARCH


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("layers", 2147483648, "expected a whole number from 1 to 1000, got 2147483648"),
        ("layers", 0, "expected a whole number from 1"),
        ("layers", True, "got True"),
        ("hidden", "3", "got '3'"),
        ("hidden", -1, "expected a whole number"),
        ("hidden", 4, "expected the shape"),
        ("symbols", 5, "alphabet: expected 5 different bytes in order, got 4 bytes"),
        ("alphabet", b"abc".hex(), "alphabet: expected 4 different bytes in order, got 3 bytes"),
        ("alphabet", b"aabc".hex(), "different bytes in order"),
        ("alphabet", "no hex", "alphabet: expected bytes in hexadecimal"),
        ("type", "../../etc", "type: expected the name of a cell type"),
        ("type", "gru", "lacks parameter"),
        ("val_loss", math.nan, "val_loss: expected a finite number"),
        ("recipe", [], "recipe: expected a JSON object"),
        ("corpus", 7, "corpus: expected text"),
        ("size", 1e9, "size: expected a whole number"),
        ("made_up", 1, "unknown field 'made_up'"),
        ("layers", 3, "lacks parameter"),
    ],
)
def test_strange_metadata(field, value, words, tmp_path):
    path = tmp_path / "m.safetensors"
    write(path, ABOUT | {field: value})
    assert words in refused(path)


@pytest.mark.parametrize("field", ["type", "layers", "hidden", "symbols", "context", "alphabet"])
def test_missing_metadata(field, tmp_path):
    path = tmp_path / "m.safetensors"
    write(path, {name: value for name, value in ABOUT.items() if name != field})
    assert f"its metadata lack {field}" in refused(path)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda tensor: tensor[:-1], "expected the shape"),
        (lambda tensor: tensor.int(), "expected one of"),
        (lambda tensor: tensor * math.nan, "holds a number that is not finite"),
        (lambda tensor: tensor[None], "expected the shape"),
    ],
)
def test_strange_tensors(change, words, tmp_path):
    path = tmp_path / "m.safetensors"
    params = network.initialise(ARCH, 0.08, torch.Generator().manual_seed(1))
    name = sorted(params)[0]
    write(path, ABOUT, {name: change(params[name]).contiguous()})
    assert name in refused(path) and words in refused(path)


def test_an_unknown_tensor(tmp_path):
    path = tmp_path / "m.safetensors"
    write(path, ABOUT, {"more": torch.zeros(2)})
    assert "has an unknown parameter 'more'" in refused(path)
