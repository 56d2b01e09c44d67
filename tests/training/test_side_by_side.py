"""Several trainings in one process: each network is, to the bit, what it is alone."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from conftest import small_split

from charlens import cli
from charlens.backends import cpu, cuda, reference, selection
from charlens.data import split
from charlens.networks import model_file
from charlens.networks.architecture import Architecture
from charlens.store.models import cell_of
from charlens.training import checkpoint, side_by_side, train
from charlens.training.recipe import RMSProp
from charlens.training.train import Training

ABOUT = {"corpus": "text", "source": "random", "size": None}
DATA = small_split(windows=(6, 2, 2))
BACKENDS = {
    "reference": reference.Reference,
    "gpu": lambda arch: cuda.Cuda(arch, "cpu", capture=False),
    "fast": lambda arch: selection.compiled(arch, len(DATA.train.x), DATA.unroll),
}
NETWORKS = [(1, 0.0), (1, 0.3), (2, 0.3)]  # seed, dropout


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    if request.param == "fast" and not cpu.status()[0]:
        pytest.skip(f"no compiled code here: {cpu.status()[1]}")
    monkeypatch.setattr(selection, "choose", lambda arch, *_: BACKENDS[request.param](arch))
    return request.param


def updates(folder, seed, dropout, type="lstm", **recipe):
    arch = Architecture(type, 2, 6, DATA.symbols)
    recipe = RMSProp(**{"epochs": 2} | recipe)
    place = folder / f"{seed}-{dropout}"
    return train.updates(arch, recipe, DATA, seed, dropout, place, ABOUT, f"{seed} {dropout}")


def models(folder):
    return [(folder / f"{s}-{d}/model.safetensors").read_bytes() for s, d in NETWORKS]


def alone(folder, **more):
    for network in NETWORKS:
        side_by_side.finish([updates(folder, *network, **more)], "alone")
    return models(folder)


def together(folder, **more):
    side_by_side.finish([updates(folder, *network, **more) for network in NETWORKS], "three")
    return models(folder)


@pytest.mark.parametrize(
    "type", ["lstm", "gru", "rnn", "minlstm", "gru+block", "slstm", "mamba", "transformer"]
)
def test_networks_side_by_side_are_those_trained_alone(tmp_path, backend, type):
    if backend == "fast" and cell_of(type) not in (*cpu.KINDS, *selection.SCANS):
        pytest.skip(f"the compiled code has no {type}")
    before = alone(tmp_path / "alone", type=type)
    assert together(tmp_path / "together", type=type) == before and len(set(before)) == 3


def test_all_are_stopped_with_a_checkpoint_and_resume(tmp_path, backend, monkeypatch, capsys):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    update = Training.update

    def interrupted(self):
        if (self.window, self.seed, self.dropout) == (3, *NETWORKS[1]):
            os.kill(os.getpid(), signal.SIGTERM)
        update(self)

    monkeypatch.setattr(Training, "update", interrupted)
    with pytest.raises(SystemExit) as stopped:
        together(tmp_path)
    assert stopped.value.code == 128 + signal.SIGTERM
    monkeypatch.setattr(Training, "update", update)
    for seed, dropout in NETWORKS:
        saved = checkpoint.parse((tmp_path / f"{seed}-{dropout}/checkpoint.pt").read_bytes())
        assert (saved["epoch"], saved["window"]) in [(1, 3), (1, 4)]
    assert capsys.readouterr().err.count("checkpoint written") == 3
    assert together(tmp_path) == alone(tmp_path / "alone")


def test_a_job_of_several_is_queued_again_once(tmp_path, monkeypatch):
    """A scheduler is asked by the process, not by each training."""
    asked = []
    monkeypatch.setattr(side_by_side.stopping, "status", lambda *said: asked.append(said) or 138)
    update = Training.update

    def warned(self):
        update(self)
        if self.window == 2:
            os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr(Training, "update", warned)
    with pytest.raises(SystemExit):
        together(tmp_path)
    assert asked == [(signal.SIGUSR1, "three")]


def test_one_that_diverges_leaves_the_others_alone(tmp_path, monkeypatch):
    before = alone(tmp_path / "alone")
    fault = Training.fault

    def faulty(self, row):
        return "made up" if (self.seed, self.dropout) == NETWORKS[1] else fault(self, row)

    monkeypatch.setattr(Training, "fault", faulty)
    after = together(tmp_path / "together")
    assert after[0] == before[0] and after[2] == before[2]
    about = model_file.about(tmp_path / "together/1-0.3/model.safetensors")
    assert "made up" in about["failed"]


def test_an_error_of_one_ends_all_and_leaves_no_lock(tmp_path, monkeypatch):
    update = Training.update

    def broken(self):
        if (self.seed, self.window) == (2, 3):
            raise train.InputError("out of order")
        update(self)

    monkeypatch.setattr(Training, "update", broken)
    with pytest.raises(train.InputError, match="out of order"):
        together(tmp_path)
    assert not list(tmp_path.rglob(".lock"))
    monkeypatch.setattr(Training, "update", update)
    assert together(tmp_path) == alone(tmp_path / "alone")


# ---- the command line ----


@pytest.fixture
def command(tmp_path):
    split.save(tmp_path / "text.npz", DATA)
    (tmp_path / "text.json").write_text(json.dumps({"corpus": "text", "source": "random"}))
    words = ["train", tmp_path / "text.npz", "--info", tmp_path / "text.json", "--type", "gru"]
    return [*map(str, words), "--hidden", "5", "--epochs", "2", "--backend", "reference"]


def test_the_command_line_takes_several_seeds_and_folders(tmp_path, command):
    several = ["--seed", "1", "2", "--dropout", "0.1", "--out", tmp_path / "a", tmp_path / "b"]
    run = [sys.executable, "-m", "charlens.cli", *command, *several]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stderr
    assert "text gru 1x5 seed 2 dropout 0.1: epoch 2/2" in said
    for name, seed in (("a", 1), ("b", 2)):
        assert cli.main([*command, "--seed", str(seed), "--dropout", "0.1",
                         "--out", str(tmp_path / f"alone-{name}")]) == 0  # fmt: skip
        one, other = (tmp_path / folder / "model.safetensors" for folder in (name, f"alone-{name}"))
        assert one.read_bytes() == other.read_bytes()
        lines = (tmp_path / name / side_by_side.LINES).read_text().splitlines()
        assert len(lines) == 2 and all(f"seed {seed} " in line for line in lines)


@pytest.mark.parametrize("options, said", [
    (["--seed", "1", "2", "--out", "a"], "--seed: 2 values for 1 folders"),
    (["--seed", "1", "2", "--out", "a", "b", "c"], "--seed: 2 values for 3 folders"),
    (["--dropout", "0", "0.1", "--out", "a"], "--dropout: 2 values for 1 folders"),
    (["--dropout", "0", "1", "--out", "a", "b"], "--dropout 1: expected at least 0"),
    (["--seed", "1", "2", "--out", "a", "./a"], "--out: a folder is named twice"),
    (["--seed", "1", "-2", "--out", "a", "b"], "--seed"),
])  # fmt: skip
def test_mistakes_are_one_line(command, options, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*command, *options]) == 1
    line = capsys.readouterr().err.strip()
    assert said in line and "\n" not in line
    assert not (tmp_path / "a").exists()


# ---- on a GPU ----


def test_there_is_no_stream_without_a_gpu(monkeypatch):
    monkeypatch.setattr(side_by_side.gpus, "available", lambda: False)
    with side_by_side.own_stream("auto"), side_by_side.own_stream("reference"):
        pass


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_each_has_a_stream_and_is_what_it_is_alone(tmp_path, monkeypatch):
    before = alone(tmp_path / "alone")
    around = [side_by_side.Surroundings(tmp_path, side_by_side.own_stream("cuda"))
              for _ in NETWORKS]  # fmt: skip
    three = [updates(tmp_path / "together", *network) for network in NETWORKS]
    side_by_side.finish(three, "three", around)
    assert models(tmp_path / "together") == before
