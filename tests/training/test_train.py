"""The recipe, and trainings that are killed and resumed."""

import contextlib
import dataclasses
import hashlib
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import small_split

from charlens import cli, files
from charlens.backends import base, cpu, selection
from charlens.data import split
from charlens.errors import InputError
from charlens.networks import block, cells, model_file, network
from charlens.networks.architecture import Architecture
from charlens.networks.version import version
from charlens.runs import additions, schema, settings
from charlens.training import checkpoint, evaluate, recipe, rmsprop, score, train
from charlens.training.dropout import draw_mask
from charlens.training.recipe import AdamW, RMSProp, divergence
from charlens.training.train import Training

ROOT = Path(__file__).parents[2]
ABOUT = {"corpus": "text", "source": "random", "size": None}


def trained(directory, data, epochs=3, dropout=0.3, backend="auto", arch=None, **values):
    arch = arch or Architecture("lstm", 2, 6, data.symbols)
    train.train(
        arch, RMSProp(epochs=epochs, **values), data, 1, dropout, directory, ABOUT, "test", backend
    )
    return model_file.load(directory / "model.safetensors")


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a) and a.keys() == b.keys()


def test_the_learning_rate_falls_from_epoch_11_on():
    recipe = RMSProp()
    assert [recipe.rate(epoch) for epoch in (1, 10)] == [2e-3, 2e-3]
    assert recipe.rate(11) == pytest.approx(2e-3 * 0.95)
    assert recipe.rate(50) == pytest.approx(2e-3 * 0.95**40)


def test_rmsprop_is_torchs_after_clipping():
    ours = torch.randn(50, generator=torch.Generator().manual_seed(0))
    theirs = ours.clone().requires_grad_()
    square, recipe = torch.zeros(50), RMSProp()
    stock = torch.optim.RMSprop([theirs], lr=2e-3, alpha=0.95, eps=1e-8)
    for step in range(20):
        grad = 10 * torch.randn(50, generator=torch.Generator().manual_seed(step))
        theirs.grad = grad.clamp(-5, 5)
        stock.step()
        rmsprop.rmsprop_(ours, grad, square, 2e-3, recipe)
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-6, atol=1e-7)


def test_gradients_are_summed_over_time_and_averaged_over_streams(data):
    arch = Architecture("rnn", 1, 5, data.symbols)
    training = Training(arch, RMSProp(), data, seed=1, dropout=0, name="reference")
    params = {name: p.clone().requires_grad_() for name, p in training.params.items()}
    x, y = (torch.from_numpy(codes[:, :8]) for codes in (training.x, training.y))
    logits, _ = network.forward(arch, params, x, training.state)
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 11), y.reshape(-1).long())
    (8 * loss).backward()
    mean = training.backend.loss_and_grads(
        training.params, x, y, training.state, None, training.grads
    )
    assert mean == pytest.approx(loss.item())
    for name, p in params.items():
        torch.testing.assert_close(training.grads[name], p.grad)


def test_training_learns_what_there_is_to_learn(tmp_path, data):
    _, _, about = trained(tmp_path, data, epochs=30, dropout=0)
    counts = np.bincount(data.train.y.ravel(), minlength=data.symbols) / data.train.y.size
    entropy = -np.sum(counts[counts > 0] * np.log(counts[counts > 0]))
    assert about["val_loss"] < entropy + 0.15 < np.log(data.symbols)


def test_the_best_epoch_is_kept(tmp_path, data):
    _, params, about = trained(tmp_path, data, epochs=6, dropout=0)
    assert about["version"] == version("lstm")
    rows = np.genfromtxt(tmp_path / "history.csv", delimiter=",", names=True)
    assert about["val_loss"] == rows["val_loss"].min()
    assert about["epoch"] == rows["epoch"][rows["val_loss"].argmin()]
    arch = model_file.architecture_of(about)
    training = Training(arch, RMSProp(), data, 1, 0, "auto")
    loss = evaluate.mean_loss(
        training.backend, params, training.val_x, training.val_y, training.state, data.unroll
    )
    assert loss == pytest.approx(about["val_loss"], abs=1e-6)


@pytest.mark.parametrize("arch", [("lstm", 2, 6), ("gru", 1, 5), ("rnn", 3, 4), ("nn", 1, 7, 3)])
def test_interrupted_equals_uninterrupted(tmp_path, data, arch, monkeypatch):
    type, layers, hidden, *context = arch
    arch = Architecture(type, layers, hidden, data.symbols, *context)
    _, whole, _ = trained(tmp_path / "whole", data, arch=arch)

    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0)  # a checkpoint after every window
    updates, update = 0, Training.update

    def break_off(self):
        nonlocal updates
        updates += 1
        if updates % 4 == 0:
            raise KeyboardInterrupt
        update(self)

    monkeypatch.setattr(Training, "update", break_off)
    for _ in range(100):
        try:
            _, pieced, _ = trained(tmp_path / "pieced", data, arch=arch)
            break
        except KeyboardInterrupt:
            continue
    assert updates > 15
    assert same(whole, pieced)


def moment(path):
    """When a file was last replaced; None where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime_ns


def test_sigkill_at_any_moment(tmp_path):
    """The real command in a process of its own, killed again and again."""
    data = small_split(streams=10, unroll=20, windows=(40, 4, 4))
    parts = {f"{p}_{f}": getattr(getattr(data, p), f) for p in ("train", "val", "test") for f in
             ("x", "y", "at")}  # fmt: skip
    np.savez(tmp_path / "split.npz", alphabet=data.alphabet, unroll=data.unroll, **parts)
    (tmp_path / "info.json").write_text(json.dumps({"corpus": "text", "source": "random"}))
    command = [
        sys.executable, "-c",
        "import sys; from charlens import cli; from charlens.training import train;"
        "train.CHECKPOINT_SECONDS = 0;"
        "sys.exit(cli.main())",
        "train", str(tmp_path / "split.npz"), "--info", str(tmp_path / "info.json"),
        "--type", "lstm", "--hidden", "16", "--dropout", "0.2", "--epochs", "4", "--out",
    ]  # fmt: skip
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    saved, log = tmp_path / "pieced" / "checkpoint.pt", tmp_path / "log"
    command.append(str(tmp_path / "pieced"))
    kills = 0
    for more in range(1, 7):  # killed after so many more checkpoints, wherever it is then
        with log.open("a") as stderr:
            process = subprocess.Popen(command, stderr=stderr)
        seen = {moment(saved)}
        while process.poll() is None and len(seen) <= more:
            seen.add(moment(saved))
            time.sleep(0.001)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills >= 1
    with log.open("a") as stderr:
        subprocess.run(command, stderr=stderr, check=True)
    assert "resuming in epoch" in log.read_text()
    whole = model_file.load(tmp_path / "whole" / "model.safetensors")[1]
    assert same(whole, model_file.load(tmp_path / "pieced" / "model.safetensors")[1])
    assert not list((tmp_path / "pieced").glob(".tmp*"))


def test_a_longer_training_resumes_a_shorter_one(tmp_path, data, capsys):
    trained(tmp_path / "a", data, epochs=2)
    _, longer, _ = trained(tmp_path / "a", data, epochs=4)
    assert "resuming in epoch 3 of 4" in capsys.readouterr().err
    _, straight, _ = trained(tmp_path / "b", data, epochs=4)
    assert same(longer, straight)


@pytest.mark.parametrize("change", ["settings", "data", "windows", "version", "broken"])
def test_a_checkpoint_of_another_training_is_not_used(tmp_path, data, capsys, monkeypatch, change):
    trained(tmp_path, data, epochs=1)
    other, rate = data, 2e-3
    if change == "settings":
        rate = 1e-3
    elif change == "data":
        other = small_split(seed=5)
    elif change == "windows":  # over the same codes in the same order
        other = dataclasses.replace(data, unroll=data.unroll // 2)
    elif change == "version":
        monkeypatch.setattr(checkpoint, "version", lambda type: "2.1")
    else:
        (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    capsys.readouterr()
    (tmp_path / "model.safetensors").unlink()
    trained(tmp_path, other, epochs=1, learning_rate=rate)
    assert capsys.readouterr().err.count("starting over") == 1


def test_where_the_training_text_ends_is_part_of_a_training():
    """In the contiguous layout the codes of training and validation, one after the other, are the
    same wherever the border is."""
    text, arch = bytes(range(97, 105)) * 500, Architecture("gru", 1, 5, 8)
    prints = {
        checkpoint.fingerprint(
            arch, RMSProp(), split.split(text, "contiguous", 2, 5, parts), 1, 0.0
        )
        for parts in ([0.8, 0.1, 0.1], [0.5, 0.4, 0.1])
    }
    assert len(prints) == 2


def test_one_backend_finishes_what_another_began(tmp_path, data):
    trained(tmp_path / "a", data, epochs=1, backend="reference", dropout=0.2)
    _, mixed, _ = trained(tmp_path / "a", data, epochs=3, dropout=0.2)
    _, straight, _ = trained(tmp_path / "b", data, epochs=3, backend="reference", dropout=0.2)
    for name in mixed:
        torch.testing.assert_close(mixed[name], straight[name], rtol=1e-2, atol=2e-3)


def test_a_second_process_waits_for_the_first(tmp_path, capsys):
    with files.only_one(tmp_path / ".lock", "first", "training this model"):
        code = (
            "import sys; from pathlib import Path; from charlens import files\n"
            "with files.only_one(Path(sys.argv[1]), 'second', 'training this model'): pass"
        )
        other = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / ".lock")], stderr=subprocess.PIPE, text=True
        )
        assert f"second: process {os.getpid()} is already training" in other.stderr.readline()
        assert other.poll() is None
    assert other.wait(timeout=30) == 0


@pytest.mark.parametrize("rate", [1e38, 10.0])
def test_a_training_that_diverges_ends_with_the_network_before(tmp_path, data, rate, capsys):
    """A rate of 10 gives finite losses, far above those of the uniform distribution."""
    _, params, about = trained(tmp_path, data, epochs=3, learning_rate=rate)
    said = capsys.readouterr().err
    assert re.search(r"^charlens: .*: training diverged in epoch 1: the loss is", said, re.M)
    assert "lower training.learning_rate" in about["failed"] and about["epoch"] == 0
    untrained = network.initialise(
        model_file.architecture_of(about), 0.08, torch.Generator().manual_seed(1)
    )
    assert same(params, untrained)
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 2
    # once more: the same end
    assert trained(tmp_path, data, epochs=3, learning_rate=rate)[2] == about


def test_a_training_that_gets_twice_as_bad_keeps_its_best_epoch(tmp_path, data, monkeypatch):
    losses = iter([1.0, 2.1])
    monkeypatch.setattr(train, "mean_loss", lambda *_: next(losses))

    def update(self):  # training losses of 1 and 2
        self.loss_sum += self.epoch
        self.window += 1

    monkeypatch.setattr(Training, "update", update)
    _, _, about = trained(tmp_path, data, epochs=5)
    assert "in epoch 2: the validation loss is 2.1, after 1;" in about["failed"]
    assert (about["epoch"], about["val_loss"]) == (1, 1.0)


@pytest.mark.parametrize(
    ("train_losses", "val_losses", "why"),
    [
        ([2.0, 1.0, 1.5], [2.0, 1.0, 2.1], "the validation loss is 2.1, after 1"),
        ([2.0, 1.0, 1.5], [2.0, 1.0, 1.9], None),
        # all but nothing, and still all but nothing
        ([1e-3, 1e-8, 2e-8], [1e-3, 6.3e-9, 1.7e-8], None),
        ([1e-3, 1e-2, 1e-1], [1e-3, 1e-2, 0.2], None),
        ([1e-3, 1e-2, 0.5], [1e-3, 1e-2, 0.5], "the validation loss is 0.5, after 0.001"),
        # overfits
        ([2.0, 1.0, 0.1], [2.0, 1.0, 2.5], None),
        ([2.0, 2.0], [2.0, 2.6], "the loss is 2.6, that of the uniform distribution 2.398"),
        ([2.6], [2.0], "the loss is 2.6, that of the uniform distribution 2.398"),
        ([2.5], [2.5], None),  # nothing is learned yet
        ([2.0, math.nan], [2.0, 2.0], "the loss is not finite"),
        ([2.0, 2.0], [2.0, math.inf], "the loss is not finite"),
    ],
)
def test_what_a_diverged_training_is(train_losses, val_losses, why):
    rows = zip(train_losses, val_losses, strict=True)
    history = [{"train_loss": t, "val_loss": v} for t, v in rows]
    assert divergence(history, symbols=11) == why


def test_a_training_of_the_second_recipe_that_diverges_names_its_settings(tmp_path, data):
    arch = Architecture("rnn+adamw", 1, 4, data.symbols)
    recipe = AdamW(epochs=1, learning_rate=1e30, warm_up=0.0)
    train.train(arch, recipe, data, 1, 0.0, tmp_path, ABOUT, "test", "reference")
    about = model_file.about(tmp_path / "model.safetensors")
    assert about["failed"].endswith("lower adamw.rates or adamw.max_norm")


def test_a_network_that_failed_is_chosen_last(tmp_path, data):
    trained(tmp_path / "failed", data, epochs=1, learning_rate=10.0)
    trained(tmp_path / "good", data, epochs=1)
    paths = [tmp_path / name / "model.safetensors" for name in ("failed", "good")]
    assert model_file.best(paths) == paths[1]
    assert "failed" in score.metadata(paths[0]) and "failed" not in score.metadata(paths[1])


def test_a_parameter_that_a_cell_does_not_use_is_named(monkeypatch, data, tmp_path):
    module = cells.cell("rnn")
    shapes = module.recurrent_shapes
    monkeypatch.setattr(module, "recurrent_shapes", lambda hidden: shapes(hidden) | {"w_q": (1, 1)})
    monkeypatch.setattr(selection, "same_equations", selection.compare_equations)
    with pytest.raises(InputError, match=r"^cells/rnn.py: its step does not use w_q"):
        Training(Architecture("rnn", 2, 4, data.symbols), RMSProp(), data, 1, 0.0, "auto").update()


@pytest.mark.parametrize("type", [*cpu.KINDS, *selection.SCANS])
def test_an_edited_cell_is_not_trained_with_the_old_equations(type, monkeypatch, capsys):
    if cpu.status()[0] is None:
        pytest.skip("no compiled code here")
    # the edits are in memory, so what was found before about the files does not count
    monkeypatch.setattr(selection, "same_equations", selection.compare_equations)
    arch = Architecture(type, 1, 4, 5, 2 if type == "nn" else 0)
    with torch.no_grad():  # as where a network is only scored
        assert selection.choose(arch, 2, 3).name.startswith("fast")
    if type == "nn":
        return
    module = cells.cell(type)
    name = "scan" if hasattr(module, "scan") else "step"  # what trains
    own = getattr(module, name)

    edits = {
        "scaled": lambda a, state, p: [1.001 * own(a, state, p)[0], *own(a, state, p)[1:]],
        "bounded": lambda a, state, p: own(a, [h.clamp(-3, 3) for h in state], p),
        "gradient": lambda a, state, p: own(a, [h.detach() for h in state], p),
    }
    if name == "scan":  # no gradient flows into the state before a window anyway
        edits["gradient"] = lambda a, state, p: own(a.detach() + 0 * a, state, p)
    for edited in edits.values():
        monkeypatch.setattr(module, name, edited)
        assert selection.choose(arch, 2, 3).name == "reference"
        assert f"cells/{type}.py has other equations" in capsys.readouterr().err
    monkeypatch.setattr(module, name, own)
    monkeypatch.setattr(module, "recurrent_shapes", lambda hidden: {"w_h": (hidden, 1)})
    assert selection.choose(arch, 2, 3).name == "reference"


def test_an_edited_block_is_not_trained_with_the_old_equations(monkeypatch, capsys):
    if cpu.status()[0] is None:
        pytest.skip("no compiled code here")
    monkeypatch.setattr(selection, "same_equations", selection.compare_equations)
    arch = Architecture("gru+block", 1, 4, 5)
    own, normalised = block.after_cell, block.normalised

    def other_epsilon(x, gain):
        return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 2e-6) * gain

    edits = {
        "after_cell": [lambda u, h, p: own(u, 1.001 * h, p), lambda u, h, p: own(u, h.detach(), p)],
        "normalised": [lambda x, gain: 1.001 * normalised(x, gain), other_epsilon],
    }
    for name, edited in edits.items():
        for one in edited:
            assert selection.choose(arch, 2, 3).name.startswith("fast")
            with monkeypatch.context() as edit:
                edit.setattr(block, name, one)
                assert selection.choose(arch, 2, 3).name == "reference"
            assert "networks/block.py or network.py has other" in capsys.readouterr().err
            assert selection.choose(Architecture("gru", 1, 4, 5), 2, 3).name.startswith("fast")


def test_equations_are_compared_again_only_where_a_file_changed(tmp_path, monkeypatch):
    if cpu.status()[0] is None:
        pytest.skip("no compiled code here")
    file, compared = tmp_path / "lstm.py", []
    file.write_text("VERSION = 1")
    same = selection.same_equations.__wrapped__  # as in a process of its own
    monkeypatch.setattr(cpu.build, "build", lambda isa: tmp_path / "library.so")
    monkeypatch.setattr(selection, "file_of", lambda type: file)
    monkeypatch.setattr(selection, "compare_equations", lambda _: compared.append(1) or found)
    for found, times in ((False, 3), (True, 1)):  # a difference is not noted: it may be mended
        file.write_text(f"# {found}")
        compared.clear()
        assert [same("lstm") for _ in range(3)] == [found] * 3 and len(compared) == times
    for kept in tmp_path.glob("equations-*"):
        kept.write_bytes(b"")  # damaged
    assert same("lstm") and len(compared) == 2


def test_a_checkpoint_of_an_earlier_version_is_resumed(tmp_path, data):
    """It was written by torch.save."""
    arch, recipe = Architecture("gru", 1, 5, data.symbols), RMSProp(epochs=2)
    straight, training = (Training(arch, recipe, data, 1, 0.2, "auto") for _ in "ab")
    training.update()
    saved = checkpoint.parse(checkpoint.content_of(training.saved_state() | {"identity": "a"}))
    saved["params"], saved["squares"] = (
        {name: torch.from_numpy(value) for name, value in saved[group].items()}
        for group in ("params", "squares")
    )
    saved["state"] = torch.from_numpy(saved["state"])
    content = io.BytesIO()
    torch.save(saved, content)
    content = content.getvalue()
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(hashlib.sha256(content).digest() + content)
    resumed = Training(arch, recipe, data, 1, 0.2, "auto")
    resumed.restore(checkpoint.read_checkpoint(path, "a", "test", resumed))
    for one in (straight, straight, resumed):
        one.update()
    for name, value in straight.params.items():
        assert np.array_equal(np.asarray(value), np.asarray(resumed.params[name]))


@pytest.fixture
def command(tmp_path, data):
    """A function that runs `charlens train` of a type with these options; returns its status."""
    split.save(tmp_path / "a.npz", data)
    (tmp_path / "a.json").write_text('{"corpus": "a", "source": "b"}')
    argv = ["train", tmp_path / "a.npz", "--info", tmp_path / "a.json", "--out", tmp_path / "m"]

    def run(type, *options):
        return cli.main([*map(str, argv), "--type", type, "--hidden", "3", *options])

    return run


RNN, NN, ADAMW = ("rnn",), ("nn", "--context", "2"), ("rnn+adamw",)


def test_a_finished_network_is_not_lost_to_another(tmp_path, command, capsys):
    """As where --out is forgotten in a loop; more or fewer epochs are the same network."""
    assert command("rnn", "--epochs", "1") == 0
    before = (tmp_path / "m/model.safetensors").read_bytes()
    for type, options, other in (
        ("lstm", [], "another type"),
        ("rnn", ["--seed", "2"], "another seed"),
        ("rnn", ["--dropout", "0.5"], "another dropout"),
        ("rnn", ["--clip", "1"], "another recipe"),
    ):
        capsys.readouterr()
        assert command(type, "--epochs", "1", *options) == 1
        said = capsys.readouterr().err
        assert f"model.safetensors: a network of {other} is there" in said
        assert said.count("\n") == 1 and (tmp_path / "m/model.safetensors").read_bytes() == before
    assert command("rnn", "--epochs", "2") == 0
    (tmp_path / "m/model.safetensors").write_bytes(b"damaged")
    assert command("rnn", "--epochs", "2", "--seed", "2") == 0


def test_a_network_of_another_version_than_the_runs_is_not_trained(tmp_path, command, capsys):
    """The file of its cell was edited after the run began."""
    assert command("rnn", "--epochs", "1", "--version", "1.1-12345678") == 1
    assert "rnn is of version 1.1 now" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
    assert command("rnn", "--epochs", "1", "--version", "1.1") == 0


@pytest.mark.parametrize("type", ["lstm+adam", "lstm+blcok", "lstm+adamw+block", "lstmm"])
def test_a_type_that_is_misspelt_is_not_trained(tmp_path, command, capsys, type):
    assert command(type, "--epochs", "1") == 1
    assert f"type '{type}'" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_a_file_is_no_folder_and_more_threads_than_cores_are_all_cores(tmp_path, command, capsys):
    assert base.cores("100000") == os.cpu_count()
    (tmp_path / "m").touch()
    assert command("rnn", "--epochs", "1") == 1
    assert "--out" in (said := capsys.readouterr().err) and "m: a file; name a folder" in said


@pytest.mark.parametrize(
    ("type", "options", "words"),
    [
        (RNN, ["--dropout", "1"], "--dropout 1: expected at least 0 and below 1"),
        (RNN, ["--dropout", "nan"], "--dropout: expected a number, at least 0, got nan"),
        (RNN, ["--epochs", "0"], "--epochs: expected at least 1, got 0"),
        (RNN, ["--layers", "0"], "--layers: expected a whole number, at least 1, got 0"),
        (RNN, ["--threads", "0"], "--threads: expected a whole number, at least 1, got 0"),
        # of another type
        (NN, ["--dropout", "0.3"], "--dropout: leave it out: --type nn has none"),
        (NN, ["--layers", "1"], "--layers: leave it out: --type nn has none"),
        (NN, ["--size", "64"], "--size: leave it out: --type nn has none"),
        (("nn",), [], "--type nn needs --context and --hidden"),
        (NN, ["--context", "0"], "--context: expected a whole number, at least 1, got 0"),
        (RNN, ["--context", "2"], "--context: leave it out: --type rnn has none"),
        (RNN, ["--snapshot-epochs", "2"], "--snapshot-epochs needs --snapshots"),
    ],
)
def test_options_are_checked(tmp_path, capsys, command, type, options, words):
    assert command(*type, *options) == 1
    assert capsys.readouterr().err == f"charlens: error: {words}\n"
    assert not (tmp_path / "m").exists()


# a value of each hyperparameter that is within its bounds, and some that are not
VALUES = {
    "epochs": ("1",),
    "learning-rate": ("0.1", "0", "-1", "nan", "inf"),
    "decay": ("1", "0", "1.1", "nan"),
    "decay-after": ("0", "-1"),
    "smoothing": ("0", "1", "2", "-0.1", "nan"),
    "epsilon": ("1e-9", "0", "nan"),
    "clip": ("5", "0", "-5", "nan", "inf"),
    "warm-up": ("0", "-1", "inf"),
    "final": ("1", "1.1", "-0.1", "nan"),
    "beta1": ("0", "1", "nan"),
    "beta2": ("0", "1", "nan"),
    "weight-decay": ("0", "-1", "nan"),
    "max-norm": ("1", "0", "-1", "nan"),
    "init": ("0.1", "0", "-0.1", "nan"),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("type", [RNN, NN, ADAMW])
def test_hyperparameters_are_those_of_the_recipe_and_within_bounds(command, capsys, type, name):
    own = AdamW if type == ADAMW else RMSProp
    sound, *others = VALUES[name]
    if name.replace("-", "_") not in dataclasses.asdict(own()):
        assert command(*type, f"--{name}={sound}") == 1
        optimizer = "AdamW" if type == ADAMW else "RMSProp"
        words = f"--{name}: leave it out: {optimizer}, which trains this type, has none"
        assert capsys.readouterr().err == f"charlens: error: {words}\n"
        return
    for value in others:
        assert command(*type, f"--{name}={value}") == 1
        said = capsys.readouterr().err
        assert said.startswith(f"charlens: error: --{name}: expected ") and said.count("\n") == 1
    assert command(*type, "--epochs=1", f"--{name}={sound}") == 0


def test_every_hyperparameter_has_bounds_that_settings_share():
    every = dataclasses.asdict(RMSProp()) | dataclasses.asdict(AdamW())
    assert set(recipe.SOUND) == set(every) == {name.replace("-", "_") for name in VALUES}
    for name, (sound, *others) in VALUES.items():
        field = name.replace("-", "_")
        for section in (schema.OwnTraining, additions.AdamWSettings):
            if field in section.model_fields:
                section(**{field: type(every[field])(sound)})
                for value in others:
                    with pytest.raises(ValueError, match=field):
                        section(**{field: type(every[field])(value)})


@pytest.mark.parametrize("type", [RNN, NN, ADAMW])
def test_what_the_settings_say_are_options_of_a_type(command, type):
    """As the rules train, train_nn and train_adamw pass it."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    made = settings.make(config | {"backend": "reference"})
    values = made.adamw_training if type == ADAMW else made.training_of("wp")
    more = {RNN: ["--layers=1", "--dropout=0.1"], NN: [], ADAMW: ["--learning-rate=0.01"]}[type]
    assert command(*type, *more, *settings.arguments(values | {"epochs": 1})) == 0


def test_a_provenance_without_a_corpus_is_named(tmp_path, capsys, command):
    (tmp_path / "a.json").write_text("{}")
    assert command("rnn") == 1
    assert "a.json: lacks corpus, source" in capsys.readouterr().err


def test_a_damaged_model_is_named(tmp_path, data):
    trained(tmp_path, data, epochs=1)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="model.safetensors: damaged"):
        model_file.load(path)


def test_the_least_dropout_keeps_nearly_all(data):
    arch = Architecture("rnn", 1, 9, data.symbols)
    mask = Training(arch, RMSProp(), data, 1, 1e-6, "auto").mask().mask(9)
    assert mask.shape == (1, data.unroll, data.streams, 9) and mask.float().mean() > 0.99


def test_a_dropout_mask_follows_from_seed_epoch_and_window_alone(data):
    arch = Architecture("lstm", 2, 40, data.symbols)

    def mask(seed, window, epoch=1):
        drawn = draw_mask(arch, data.streams, data.unroll, 0.3, seed, epoch, window)
        assert drawn.scale == 1 / 0.7
        return drawn.mask(40).float()

    first = mask(1, 0)
    assert first.shape == (2, data.unroll, data.streams, 40)
    assert torch.equal(first, mask(1, 0))
    assert first.mean().item() == pytest.approx(0.7, abs=5 * math.sqrt(0.21 / first.numel()))
    # independent of one another: epochs, windows, seeds, units, layers
    for a, b in (
        (first, mask(1, 0, epoch=2)),
        (first, mask(1, 1)),
        (first, mask(2, 0)),
        (first[..., :20], first[..., 20:]),
        (first[0], first[1]),
    ):
        both = (a * b).mean().item()
        assert both == pytest.approx(0.49, abs=5 * math.sqrt(0.25 / a.numel()))
