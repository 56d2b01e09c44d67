"""Trainings that are told to stop: by SIGTERM, and by a scheduler's warning, SIGUSR1."""

import os
import signal

import pytest
from conftest import small_split

from charlens.networks.architecture import Architecture
from charlens.training import checkpoint, train
from charlens.training.recipe import RMSProp
from charlens.training.train import Training

ABOUT = {"corpus": "text", "source": "random", "size": None}


def trained(folder):
    data = small_split(windows=(6, 2, 2))
    arch = Architecture("gru", 1, 5, data.symbols)
    train.train(arch, RMSProp(epochs=2), data, 1, 0.2, folder, ABOUT, "test", "reference")


def stop(folder, monkeypatch, number) -> SystemExit:
    """Train, with a signal in the middle of an epoch's fourth update."""
    update = Training.update

    def interrupted(self):
        if self.window == 3:
            os.kill(os.getpid(), number)
        update(self)

    monkeypatch.setattr(Training, "update", interrupted)
    with pytest.raises(SystemExit) as stopped:
        trained(folder)
    monkeypatch.setattr(Training, "update", update)
    return stopped.value


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_training_that_is_told_to_stop_loses_no_update(tmp_path, monkeypatch, capsys, number):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    handler = signal.getsignal(number)
    assert stop(tmp_path, monkeypatch, number).code == 128 + number
    assert signal.getsignal(number) is handler
    saved = checkpoint.parse((tmp_path / "checkpoint.pt").read_bytes())
    assert (saved["epoch"], saved["window"]) == (1, 4)
    assert f"{number.name} in epoch 1: checkpoint written" in capsys.readouterr().err
    trained(tmp_path)
    assert "resuming in epoch 1 of 2" in capsys.readouterr().err
    trained(tmp_path / "straight")
    models = [path / "model.safetensors" for path in (tmp_path, tmp_path / "straight")]
    assert models[0].read_bytes() == models[1].read_bytes()


SCONTROL = """#!/bin/sh
echo "$@" >> "$ASKED"
[ -z "$REFUSED" ] || { echo 'Requested operation is presently disabled' >&2; exit 1; }
"""


@pytest.mark.parametrize("refused", ["", "yes"])
def test_a_warned_training_asks_slurm_to_queue_it_again(tmp_path, monkeypatch, capsys, refused):
    (tmp_path / "scontrol").write_text(SCONTROL)
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.setenv("REFUSED", refused)
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    stopped = stop(tmp_path / "a", monkeypatch, signal.SIGTERM)
    assert stopped.code == 143 and not (tmp_path / "asked").exists()  # cancelled: it stays so
    stopped = stop(tmp_path / "b", monkeypatch, signal.SIGUSR1)
    assert stopped.code == 138 and (tmp_path / "asked").read_text() == "requeue 17\n"
    said = "not requeued: Requested operation" if refused else "queued again"
    assert f"Slurm job 17: {said}" in capsys.readouterr().err
