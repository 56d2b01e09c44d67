"""What `charlens doctor` says of a machine, and its checks on the processor."""

import subprocess
import sys
import time

import pytest
import torch

from charlens import cli
from charlens.backends import cuda, gpus, selection
from charlens.bench import checks, doctor, machine
from charlens.bench.checks import Check, Speed
from charlens.networks.architecture import Architecture
from charlens.store.models import LATER_TYPES, PAPER_TYPES

WINDOW = (4, 8)  # streams, steps


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """On a busy machine, too."""
    monkeypatch.setattr(checks, "WAIT", None)


# ---- facts ----


def test_limits_of_control_groups_of_version_2(tmp_path):
    (tmp_path / "job/step").mkdir(parents=True)
    (tmp_path / "own").write_text("0::/job/step\n")
    (tmp_path / "job/cpu.max").write_text("150000 100000\n")
    (tmp_path / "job/step/cpu.max").write_text("max 100000\n")
    (tmp_path / "job/memory.max").write_text("max\n")
    (tmp_path / "job/step/memory.max").write_text("4000000000\n")
    assert machine.core_limit(tmp_path, tmp_path / "own") == 1.5
    assert machine.memory_limit(tmp_path, tmp_path / "own") == 4_000_000_000


def test_limits_of_control_groups_of_version_1(tmp_path):
    (tmp_path / "cpu,cpuacct").mkdir()
    (tmp_path / "memory/job").mkdir(parents=True)
    # the path is the host's: what is mounted here may begin further down
    (tmp_path / "own").write_text("4:memory:/job\n3:cpu,cpuacct:/elsewhere/job\n0::/\n")
    (tmp_path / "cpu,cpuacct/cpu.cfs_quota_us").write_text("400000\n")
    (tmp_path / "cpu,cpuacct/cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "memory/job/memory.limit_in_bytes").write_text("1000\n")
    (tmp_path / "memory/memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
    assert machine.core_limit(tmp_path, tmp_path / "own") == 4
    assert machine.memory_limit(tmp_path, tmp_path / "own") == 1000


def test_without_limits_there_are_none(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "own").write_text("3:cpu:/\n")
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    for own in (tmp_path / "own", tmp_path / "no such file"):
        assert machine.core_limit(tmp_path, own) is None
        assert machine.memory_limit(tmp_path, own) is None


def test_it_says_why_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert machine.gpus() == "none: CUDA_VISIBLE_DEVICES=-1 hides them"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert machine.gpus() == "none: this torch was built without CUDA"
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert "no NVIDIA driver" in machine.gpus()


def test_it_says_which_backend_and_why(monkeypatch):
    arch = Architecture("lstm", 1, 8, 87)
    monkeypatch.setenv("CHARLENS_ISA", "reference")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    name, why = doctor.chosen(arch)
    assert name == "reference" and "CHARLENS_ISA=reference" in why
    # where there is a GPU, none is taken for this
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(selection, "choose", lambda *_: pytest.fail("took a GPU"))
    assert doctor.chosen(arch) == ("cuda", "torch sees a GPU")


def test_without_a_gpu_it_ends_with_the_facts(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cli.main(["doctor", "--kenlm", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for row in ("| Python |", "| cores |", "| memory |", "| KenLM |", "| lstm |", "Not run: "):
        assert row in said
    assert cli.main(["doctor", "--device", "cuda:7"]) == 1
    assert "no such device here; there is cpu" in capsys.readouterr().err


def test_it_needs_no_more_than_training_does(tmp_path):
    """On a cluster, `pip install` of the package alone is enough to examine a GPU."""
    program = (
        "import sys; sys.modules |= dict.fromkeys(['pydantic', 'yaml', 'snakemake', 'jinja2',"
        " 'matplotlib', 'sklearn', 'openTSNE']); from charlens import cli; sys.exit(cli.main())"
    )
    command = [sys.executable, "-c", program, "doctor", "--kenlm", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)  # which imports the checks, too
    assert done.returncode == 0, done.stderr
    assert "| lstm |" in done.stdout


# ---- checks ----


@pytest.mark.parametrize("type", ["lstm", "gru", "rnn", "nn"])
def test_gradients_agree_with_float64(type):
    found = checks.gradients("cpu", type, 1 if type == "nn" else 2, 6, WINDOW)
    assert len(found) == 2 and all(check.passed for check in found)
    assert float(found[0].found) < 1e-4  # float32 on a processor


@pytest.mark.parametrize("type", [*PAPER_TYPES, *LATER_TYPES, "nn"])
def test_validation_agrees_with_float64(type, monkeypatch):
    layers = 1 if type == "nn" else 2
    found = checks.validation("cpu", type, layers, 16, WINDOW)
    assert found.passed, found
    read = cuda.Reading.__call__

    def forgetful(reading):
        if type == "nn":
            reading.x[-1] = 0
        else:
            reading.state.zero_()
        read(reading)

    monkeypatch.setattr(cuda.Reading, "__call__", forgetful)
    assert not checks.validation("cpu", type, layers, 16, WINDOW).passed


def test_a_wrong_gradient_is_noticed(monkeypatch):
    right = cuda.Step.gradients

    def wrong(step):
        loss, grads, after = right(step)
        return loss, [1.05 * grad for grad in grads], after

    monkeypatch.setattr(cuda.Step, "gradients", wrong)
    found = checks.gradients("cpu", "lstm", 1, 6, WINDOW)
    assert not any(check.passed for check in found)


def test_plain_updates_agree_with_themselves():
    found = checks.capture("cpu", "gru", 2, 6, WINDOW)
    assert found.passed and found.found == "identical, uncaptured"


def test_a_wrong_capture_is_noticed(monkeypatch):
    made = checks.prepared

    def other_dropout(arch, device, dropout, capture, window):
        return made(arch, device, dropout if capture else 0.5, capture, window)

    monkeypatch.setattr(checks, "prepared", other_dropout)
    assert not checks.capture("cpu", "lstm", 1, 6, WINDOW).passed


def test_a_gpu_that_captures_nothing_fails(monkeypatch):
    made = checks.prepared
    monkeypatch.setattr(checks, "prepared", lambda arch, _, *rest: made(arch, "cpu", *rest))
    found = checks.capture("cuda:0", "lstm", 1, 6, WINDOW)
    assert not found.passed and "nothing was captured" in found.found


@pytest.mark.parametrize("type", PAPER_TYPES)
def test_networks_side_by_side_are_those_alone(type):
    found = checks.side_by_side("reference", type, 2, 8, 50_000)
    assert found.passed and found.found == "identical"


def test_networks_that_share_what_they_should_not_are_a_fault(monkeypatch):
    """A stand-in for streams that do not wait where they must."""
    surroundings = checks.turns.surroundings
    update = checks.Training.update

    def shared(*args):
        monkeypatch.setattr(checks.Training, "update", disturbed)
        return surroundings(*args)

    def disturbed(training):
        update(training)
        next(iter(training.params.values()))[:] *= 1.01

    monkeypatch.setattr(checks.turns, "surroundings", shared)
    found = checks.side_by_side("reference", "rnn", 1, 8, 50_000)
    assert not found.passed and found.found == "different"


def test_a_killed_training_resumes_to_the_same_bytes():
    found = checks.kill_and_resume("reference", 8, 50_000)
    assert found.passed, found


def test_speed_is_measured_alone_and_together():
    found = checks.speed("cpu", 8, [2], 0.05, WINDOW)
    assert found.size == 8 and found.ours > 0 and found.stock > 0
    assert found.together.keys() == {2} and found.together[2] > 0 and found.memory is None
    assert found.in_one > 0


# ---- the tables ----


def test_a_check_that_cannot_run_is_a_failed_one_and_the_others_go_on():
    def broken():
        raise RuntimeError("CUDA error: an illegal memory access\nmore")

    later = time.monotonic() + 1000
    (found,) = doctor.attempt("speed", broken, later)
    assert found == Check("speed", "RuntimeError: CUDA error: an illegal memory access", "", False)
    passed = Check("all", "well", "well", True)
    assert doctor.attempt("all", lambda: passed, later) == [passed]
    (found,) = doctor.attempt("late", lambda: pytest.fail("ran"), time.monotonic() - 1)
    assert found.found == "not run: 5 minutes are over" and not found.passed


def test_every_process_examines_the_same_gpu(monkeypatch):
    """The one that is killed and resumed would wait for the place that this process has."""
    monkeypatch.setenv(gpus.GIVEN, "")
    ok = Check("as it should", "1e-5", "1e-3", True)
    for name in ("gradients", "validation", "capture", "side_by_side", "speed"):
        monkeypatch.setattr(checks, name, lambda *_: ok)
    noted = "import os, sys; print(os.environ['CHARLENS_GPU'], file=sys.stderr); sys.exit(1)"

    def other_process(*_):
        checks.run([sys.executable, "-c", noted])

    monkeypatch.setattr(checks, "kill_and_resume", other_process)
    done, _ = doctor.examine("cuda:1", quick=True)
    seen = [check.found for check in done if not check.passed]
    assert seen == ["RuntimeError: cuda:1"]


def test_a_device_is_examined_and_a_fault_is_the_exit_status(monkeypatch, capsys, tmp_path):
    ok = Check("as it should", "1e-5", "1e-3", True)
    bad = Check("broken | badly", "0.5", "1e-3", False)
    speed = Speed(64, 64, 900.0, 300.0, {2: 1500.0}, 1200.0, 123)
    monkeypatch.setattr(checks, "gradients", lambda *_: [ok, ok])
    monkeypatch.setattr(checks, "validation", lambda *_: ok)
    monkeypatch.setattr(checks, "capture", lambda *_: ok)
    monkeypatch.setattr(checks, "side_by_side", lambda *_: ok)
    monkeypatch.setattr(checks, "kill_and_resume", lambda *_: bad)
    monkeypatch.setattr(checks, "speed", lambda *_: speed)
    assert cli.main(["doctor", "--device", "cpu", "--kenlm", str(tmp_path)]) == 1
    said = capsys.readouterr()
    # two of gradients, one of validation and one of capture, for each type and one more network
    passed = 4 * (len(PAPER_TYPES) + len(LATER_TYPES) + 1) + len(PAPER_TYPES)
    assert said.out.count("| as it should | 1e-5 | 1e-3 | passed |") == passed
    assert "| broken / badly | 0.5 | 1e-3 | FAILED |" in said.out
    assert "| LSTM 1x64 | 64 | 900 | 300 | 3.0 | 1,500 | 1,200 | 123 |" in said.out
    assert said.err.splitlines()[-1].startswith(f"charlens: error: 1 of {passed + 1} checks failed")
