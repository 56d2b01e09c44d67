"""The profile for Slurm on a Slurm of one node (node.sh): results byte for byte those of a local
run, and runs that are cancelled, warned, stopped and killed in between. `.ci/run` leaves out what
is marked as full."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from project import copy_kenlm

ROOT = Path(__file__).parents[2]
PROFILE = ["--workflow-profile", "profiles/slurm"]
LONG = ["training={epochs: 12}"]  # long enough to be stopped in the middle
WAIT = 3 * 3600  # seconds at most, for a run to end
LOOKS = 9000  # at most, 0.2 s apart, at what is waited for

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(
        "CHARLENS_SLURM_NODE" not in os.environ, reason="needs make test-slurm, which sets Slurm up"
    ),
]


def model(run: str, network: str) -> str:
    type, seed = network.split("-")
    where = f"code/type~{type}/layers~1/size~8/seed~{seed}/dropout~0.0"
    return f"results/{run}/models/{where}/model.safetensors"


class Run:
    """A run of Snakemake in a folder."""

    def __init__(self, folder: Path, *options: str, gpus="0", config="tests/tiny.yaml"):
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--directory", str(folder), *options, "--configfile", config]
        self.said = folder / f"said-{time.monotonic_ns()}"
        path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        if gpus is not None:
            environment["CHARLENS_GPUS"] = gpus
        with open(self.said, "w") as file:
            self.process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, env=environment
            )

    @property
    def output(self) -> str:
        return self.said.read_text()

    def end(self, status=0) -> str:
        """Wait for the end; what the run said."""
        assert self.process.wait(WAIT) == status, self.output
        return self.output


def wait_for(what):
    """Wait until `what()` is true, and return it. A busy machine takes longer to look as well."""
    for _ in range(LOOKS):
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError(what)


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def queue() -> dict[str, tuple[str, str]]:
    """State and comment of each job that waits or runs."""
    rows = slurm("squeue", "--noheader", "--format=%i|%T|%k").splitlines()
    return {row.split("|")[0]: tuple(row.split("|")[1:]) for row in rows}


def jobs(state: str) -> list[str]:
    return [id for id, (its, comment) in queue().items() if its == state and "rule_" in comment]


def log(folder: Path, target: str) -> str:
    """What the attempts at a training have said so far."""
    file = folder / Path(target).with_name("attempts.log")
    return file.read_text() if file.exists() else ""


@pytest.fixture(autouse=True)
def an_empty_queue():
    yield
    if left := list(queue()):
        slurm("scancel", *left)
    wait_for(lambda: not queue())


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    """A folder in which two networks were trained locally."""
    folder = tmp_path_factory.mktemp("local")
    targets = [model("tiny", "rnn-1"), model("tiny", "gru-1"), model("tiny", "gru-2")]
    Run(folder, *targets, "--cores", "2", "--config", *LONG).end()
    return folder


@pytest.fixture
def folder(local, tmp_path) -> Path:
    """A folder with the corpus alone."""
    shutil.copytree(local / ".snakemake", tmp_path / ".snakemake")
    shutil.copytree(local / "results/tiny/corpora", tmp_path / "results/tiny/corpora")
    return tmp_path


@pytest.fixture
def same(local):
    """Asserts that networks are those of the local run, byte for byte."""

    def check(folder, *networks, run="tiny"):
        for network in networks:
            ours, theirs = model(run, network), model("tiny", network)
            assert (folder / ours).read_bytes() == (local / theirs).read_bytes()

    return check


def start(folder, *networks, run="tiny") -> Run:
    """Start a run on Slurm that trains some networks."""
    targets = [model(run, network) for network in networks]
    return Run(folder, *targets, *PROFILE, "--config", *LONG, f"run={run}")


def in_the_middle(folder, *networks, run="tiny", number=None) -> dict[str, int]:
    """Wait until networks are being trained, and pause them, however fast this machine is.

    number: how many of them (all). Returns the process of each; what ends a job lets it go on.
    """
    paused = {}

    def enough():
        for network in set(networks) - set(paused):
            target = model(run, network)
            process = training(folder, target)
            if process and "epoch 2/" in log(folder, target):
                os.kill(process, signal.SIGSTOP)
                paused[network] = process
        return len(paused) == (number or len(networks))

    wait_for(enough)
    return paused


def training(folder: Path, target: str) -> int | None:
    """The process that trains a network, if any."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
            its = "train" in words and str(Path(target).parent) in words
            if its and (process / "cwd").samefile(folder):
                return int(process.name)
        except OSError:
            continue  # it has just ended
    return None


# ---- jobs that end before their time ----


@pytest.mark.full
def test_a_cancelled_training_is_submitted_again_and_resumes(folder, same):
    run = start(folder, "rnn-1")
    in_the_middle(folder, "rnn-1")
    slurm("scancel", *jobs("RUNNING"))
    assert "Trying to restart" in run.end()
    same(folder, "rnn-1")
    said = log(folder, model("tiny", "rnn-1"))
    assert re.search(r"SIGTERM in epoch \d+: checkpoint written", said)
    (logged,) = (folder / "results/tiny/logs/train").rglob("*.log")
    assert logged.read_text() == said and "resuming in epoch" in said  # of both attempts


def test_a_warned_training_is_queued_again_and_uses_up_no_retry(folder, same):
    run = start(folder, "rnn-1")
    (process,) = in_the_middle(folder, "rnn-1").values()
    (job,) = jobs("RUNNING")
    slurm("scancel", "--signal=USR1", job)  # as Slurm does before the limit
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGCONT)
    wait_for(lambda: job in jobs("PENDING"))
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")  # not in two minutes
    assert "Trying to restart" not in run.end()
    same(folder, "rnn-1")
    said = log(folder, model("tiny", "rnn-1"))
    assert "SIGUSR1 in epoch" in said and f"Slurm job {job}: queued again" in said
    assert "resuming in epoch" in said


@pytest.mark.full
def test_a_time_limit_is_warned_of(folder, same):
    extra = ["train:runtime=3", "train:slurm_extra='--signal=USR1@60'"]
    target = model("tiny", "rnn-1")
    run = Run(folder, target, *PROFILE, "--set-resources", *extra, "--config", *LONG)
    in_the_middle(folder, "rnn-1")  # Slurm lets it go on when it warns it
    (job,) = jobs("RUNNING")
    wait_for(lambda: job in jobs("PENDING"))
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")
    assert "Trying to restart" not in run.end()
    same(folder, "rnn-1")


# ---- runs that end before their time ----


@pytest.mark.full
def test_a_run_that_is_told_to_stop_waits_for_its_jobs(folder, same):
    run = start(folder, "rnn-1", "gru-1")
    processes = in_the_middle(folder, "rnn-1", "gru-1")
    run.process.send_signal(signal.SIGTERM)
    for process in processes.values():
        os.kill(process, signal.SIGCONT)
    assert "Will exit after finishing currently running jobs" in run.end(1)
    assert not queue()
    same(folder, "rnn-1", "gru-1")


def test_a_killed_run_leaves_jobs_that_the_next_one_cancels(folder, same):
    networks = "rnn-1", "gru-1", "gru-2"
    killed = start(folder, *networks)
    running = in_the_middle(folder, *networks, number=2)  # so many fit on the node
    assert len(jobs("PENDING")) == 1
    orphans = set(queue())
    killed.process.kill()
    killed.process.wait()

    seen, twice, vanished, done = set(), [], [], threading.Event()

    def watch():
        while not done.is_set():
            comments = [comment for _, comment in queue().values()]
            twice.extend(one for one in comments if comments.count(one) > 1)
            there = {network for network in networks if (folder / model("tiny", network)).exists()}
            vanished.extend(seen - there)
            seen.update(there)
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        said = start(folder, *networks).end()
    finally:
        done.set()
        watcher.join()
    assert "results/tiny: cancelling 3 Slurm jobs of an earlier run" in said
    assert not orphans & set(queue()) and not twice and not vanished
    same(folder, *networks)
    for network in running:  # which were cancelled with a checkpoint
        assert "SIGTERM in epoch" in log(folder, model("tiny", network))
    assert not (folder / "results/tiny/.slurm").exists()


@pytest.mark.full
def test_two_runs_at_once_leave_each_others_jobs_and_logs_alone(folder, same):
    shutil.copytree(folder / "results/tiny", folder / "results/other")
    filler = slurm("sbatch", "--parsable", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 999")
    one = start(folder, "gru-1")
    (waiting,) = wait_for(lambda: jobs("PENDING"))
    slurm("scontrol", "hold", waiting)
    slurm("scancel", filler.strip())
    other = start(folder, "rnn-1", run="other")
    other.end()
    assert "cancelling" not in other.output
    slurm("scontrol", "release", waiting)
    one.end()
    assert "Trying to restart" not in one.output
    same(folder, "gru-1")
    same(folder, "rnn-1", run="other")


# ---- whole runs ----


def compare(config: str, run: str, tmp_path: Path, *targets: str) -> int:
    """Run a configuration here and on Slurm, and compare what is computed. How many files it is."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        copy_kenlm(tmp_path / name)
    here = Run(tmp_path / "here", *targets, "--cores", "2", config=config)
    # the node pretends to have GPUs: the profile asks for them
    there = Run(tmp_path / "there", *targets, *PROFILE, gpus=None, config=config)
    asked = wait_for(lambda: jobs("RUNNING") or there.process.poll())
    assert "gpu:1" in slurm("scontrol", "show", "job", asked[0]), there.output
    there.end()
    here.end()
    compared = 0
    for pattern in ("tables/*.csv", "figures/*.csv", "scores/**/*.npy", "models/**/*.safetensors"):
        for path in (tmp_path / f"here/results/{run}").glob(pattern):
            other = tmp_path / "there" / path.relative_to(tmp_path / "here")
            assert path.read_bytes() == other.read_bytes(), path
            compared += 1
    submitted = there.output.count("has been submitted with SLURM jobid")
    print(f"{run}: {compared} files are the same, after {submitted} submissions")
    return compared


def test_table_1_is_the_same_on_slurm(tmp_path):
    assert compare("tests/tiny.yaml", "tiny", tmp_path, "results/tiny/tables/table1.csv") > 15


@pytest.mark.full
def test_the_tiny_run_is_the_same_on_slurm(tmp_path):
    assert compare("tests/tiny.yaml", "tiny", tmp_path) > 30


@pytest.mark.full
def test_the_demo_is_the_same_on_slurm(tmp_path):
    assert compare("demo.yaml", "demo", tmp_path) > 100
