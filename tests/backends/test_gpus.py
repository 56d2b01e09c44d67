"""Which GPU a job takes: pretended GPUs, real processes."""

import os
import random
import selectors
import subprocess
import sys
from collections import Counter

import pytest
import torch

from charlens.backends import gpus
from charlens.errors import InputError

# A job on the GPUs that $CUDA_VISIBLE_DEVICES names: says which one it has taken, and keeps it.
JOB = """
import os, sys, types
visible = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
sys.modules["torch"] = torch = types.ModuleType("torch")
torch.cuda = types.SimpleNamespace(
    device_count=lambda: len(visible),
    get_device_properties=lambda n: types.SimpleNamespace(uuid=f"GPU-{visible[n]}"),
)
from charlens.backends import gpus
gpus.POLL_SECONDS = 0.05
print(visible[int(gpus.free_gpu().removeprefix("cuda:"))], flush=True)
sys.stdin.read()
"""


class Jobs:
    """Running jobs, and the GPU of each that has one."""

    def __init__(self, folder, places: int):
        self.environment = os.environ | {"TMPDIR": str(folder), "CHARLENS_GPU_JOBS": str(places)}
        self.environment["CUDA_MPS_PIPE_DIRECTORY"] = str(folder)
        (folder / "control").touch()  # as if MPS ran
        self.gpu: dict[subprocess.Popen, str] = {}
        self.started: list[subprocess.Popen] = []
        self.waiting = selectors.DefaultSelector()

    def start(self, visible: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", JOB],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment | {"CUDA_VISIBLE_DEVICES": visible},
        )
        self.started.append(process)
        self.waiting.register(process.stdout, selectors.EVENT_READ, process)

    def wait(self) -> None:
        """Until a job has taken a GPU."""
        (ready, _), *_ = self.waiting.select(timeout=300)
        self.waiting.unregister(ready.fileobj)
        self.gpu[ready.data] = ready.fileobj.readline().strip()

    def kill(self, process: subprocess.Popen) -> None:
        del self.gpu[process]
        process.kill()

    def end(self) -> list[str]:
        """What each job said on stderr."""
        for process in self.started:
            process.kill()
        return [process.communicate()[1] for process in self.started]


@pytest.fixture
def jobs(tmp_path):
    made = []

    def make(places: int) -> Jobs:
        made.append(Jobs(tmp_path, places))
        return made[-1]

    yield make
    for its in made:
        its.end()


def test_forty_jobs_on_three_gpus_with_two_places_each_killed_one_by_one(jobs):
    its, draw, most = jobs(places=2), random.Random(0), Counter()
    for _ in range(40):
        its.start("0,1,2")
    for _ in range(40):
        if len(its.gpu) == 6:
            its.kill(draw.choice(list(its.gpu)))
        its.wait()
        most |= Counter(its.gpu.values())
    assert most == {"0": 2, "1": 2, "2": 2}  # never more, and all of them used
    for process in list(its.gpu):
        its.kill(process)
    for _ in range(6):  # none is left locked
        its.start("0,1,2")
        its.wait()
    said = its.end()
    assert Counter(its.gpu.values()) == {"0": 2, "1": 2, "2": 2}
    waited = [line for line in said if line]
    assert waited and all("2 jobs on each of 3 GPUs: waiting" in line for line in waited)


def test_runs_that_see_different_gpus_do_not_block_each_other(jobs):
    its = jobs(places=1)
    for visible in ("a,b", "c,d", "b,a", "d,c"):
        its.start(visible)
        its.wait()
    assert sorted(its.gpu.values()) == ["a", "b", "c", "d"]


def test_the_first_place_of_every_gpu_comes_first(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(gpus, "gpu_id", str)
    monkeypatch.setattr(gpus.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(gpus, "_held", [])
    monkeypatch.setenv("CHARLENS_GPU_JOBS", "2")
    taken = [gpus.free_gpu.__wrapped__() for _ in range(4)]
    assert taken == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    monkeypatch.setenv("CHARLENS_GPU_JOBS", "many")
    with pytest.raises(InputError, match="CHARLENS_GPU_JOBS=many"):
        gpus.gpu_jobs()


def test_a_gpu_that_is_named_is_used_free_or_not(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(gpus, "take", lambda *_: pytest.fail("asked for a place"))
    monkeypatch.setenv(gpus.GIVEN, "cuda:1")
    assert gpus.free_gpu.__wrapped__() == "cuda:1"
    monkeypatch.setenv(gpus.GIVEN, "cuda:2")
    with pytest.raises(InputError, match="CHARLENS_GPU=cuda:2: there is cuda:0, cuda:1"):
        gpus.free_gpu.__wrapped__()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_known_by_its_uuid():
    assert gpus.gpu_id(0).count("-") >= 4


def test_a_line_says_where_jobs_would_take_turns_on_a_gpu(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(gpus, "gpu_id", lambda number: "card")
    monkeypatch.setattr(gpus, "take", lambda gpu, place: True)

    def said(places: str) -> str:
        monkeypatch.setenv("CHARLENS_GPU_JOBS", places)
        assert gpus.free_gpu.__wrapped__() == "cuda:0"
        return capsys.readouterr().err

    assert said("1") == ""
    assert "MPS does not run: they take turns" in said("3")
    (tmp_path / "control").touch()
    assert said("3") == ""
