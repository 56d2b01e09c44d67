"""Checkpoints that cannot be read now, but may be sound (tests/faults has the damaged ones)."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from charlens.data import split
from charlens.errors import InputError
from charlens.networks.architecture import Architecture
from charlens.training import checkpoint, train
from charlens.training.recipe import RMSProp


@pytest.fixture
def training() -> train.Training:
    text = np.random.default_rng(0).choice(np.frombuffer(b"abcd \n", np.uint8), 3000).tobytes()
    data = split.split(text, "streams", streams=5, unroll=10, fractions=(0.8, 0.1, 0.1))
    arch = Architecture("rnn", 1, 4, data.symbols)
    return train.Training(arch, RMSProp(epochs=2), data, 1, 0.0, "reference")


@pytest.fixture
def written(tmp_path, training) -> Path:
    path = tmp_path / "checkpoint.pt"
    training.update()
    checkpoint.write_checkpoint(path, training, "identity")
    return path


def read(path, training):
    return checkpoint.read_checkpoint(path, "identity", "test", training)


def test_one_that_cannot_be_read_for_a_moment_is_kept(written, training, monkeypatch, capsys):
    """As on a network file system: training from the beginning would lose what is in it."""

    def fails(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with monkeypatch.context() as patched, pytest.raises(InputError) as refused:
        patched.setattr(Path, "read_bytes", fails)
        read(written, training)
    assert str(refused.value).startswith(
        f"{written}: cannot be read (Input/output error); run again"
    )
    assert capsys.readouterr().err == ""
    assert [path.name for path in written.parent.iterdir()] == ["checkpoint.pt"]
    assert read(written, training)["window"] == 1


@pytest.mark.parametrize("error", [MemoryError, ImportError("failed to map segment")])
def test_what_the_machine_lacks_is_no_damage(written, training, monkeypatch, error):
    def fails(content):
        raise error

    with monkeypatch.context() as patched, pytest.raises((MemoryError, ImportError)):
        patched.setattr(checkpoint, "parse", fails)
        read(written, training)
    assert [path.name for path in written.parent.iterdir()] == ["checkpoint.pt"]
    assert read(written, training)["window"] == 1
