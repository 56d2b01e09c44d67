"""Whole runs of the workflow, struck from outside: each ends with the same files.

A run here is the tiny configuration up to the scores of an n-gram model and, in full, of a network.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from project import ROOT, TINY, command, copy_kenlm, copy_project, own

SCORES = "results/tiny/scores/code"
NGRAM, NETWORK = f"{SCORES}/ngram/order~2.npy", f"{SCORES}/type~gru/layers~1/size~8/seed~1.npy"
STRIKES = {  # signal, and whether all processes of the run get it
    "SIGKILL to all": (signal.SIGKILL, True),
    "SIGKILL to Snakemake": (signal.SIGKILL, False),
    "SIGTERM to Snakemake": (signal.SIGTERM, False),
    "SIGINT to all": (signal.SIGINT, True),
}
HANG = 3600  # seconds in which a run that is struck has ended, whatever else the machine does


class Run:
    """A copy of the project in which a run is made. seconds: of an undisturbed one."""

    def __init__(self, folder, *targets):
        self.targets = targets
        self.folder, self.results, self.started = folder, folder / "results/tiny", []
        copy_project(folder)
        copy_kenlm(folder)
        begun = time.monotonic()
        self.finish()
        self.seconds, self.sound = time.monotonic() - begun, self.files()

    def start(self, said=subprocess.DEVNULL) -> subprocess.Popen:
        process = subprocess.Popen(
            command(*self.targets, *TINY, project=self.folder),
            stdout=said, stderr=subprocess.STDOUT, cwd=self.folder, text=True,
            env=os.environ | {"PYTHONPATH": str(self.folder / "src")}, start_new_session=True,
        )  # fmt: skip
        self.started.append(process.pid)
        return process

    def finish(self) -> None:
        own(self.folder, *self.targets, *TINY)

    def files(self) -> dict[str, bytes]:
        """What was computed, by name: no logs, and of a history not the seconds of an epoch."""
        found = {}
        for part in ("corpora", "models", "ngrams", "scores"):
            for path in (self.results / part).rglob("*"):
                name = path.relative_to(self.results).as_posix()
                passing = "checkpoint" in name or path.name == "attempts.log"
                if not path.is_file() or "/." in name or passing:
                    continue
                content = path.read_bytes()
                if path.name == "history.csv":
                    content = b"\n".join(row.split(b",")[3] for row in content.splitlines())
                found[name] = content
        return found

    def empty(self) -> None:
        """Begin anew, once no job is left that survived its Snakemake."""
        while self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.started.pop(), signal.SIGKILL)
        for path in self.results.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if not (ROOT / "results/kenlm").exists():
        pytest.skip("KenLM is not built: run make setup")
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def run(folder) -> Run:
    return Run(folder / "run", NGRAM, NETWORK)


def check(run: Run, count, words: str) -> None:
    """Finish the run, and compare what there is."""
    run.finish()
    count.add("harmless" if run.files() == run.sound else "wrong", words)


def strike(run: Run, kills: int, count) -> None:
    """Strike a run so many times, and begin anew where it has finished."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    draw, words = random.Random(seed), []
    run.empty()
    while len(words) < kills:
        process = run.start()
        name = draw.choice(list(STRIKES))
        number, to_all = STRIKES[name]
        after = draw.uniform(0, run.seconds)
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            (os.killpg if to_all else os.kill)(process.pid, number)
            process.wait(HANG)
            words.append(f"{name} after {after:.1f} s")
        if process.returncode == 0:  # finished before the blow
            assert run.files() == run.sound, words
            run.empty()
    run.finish()
    for _ in words:
        count.add("harmless" if run.files() == run.sound else "wrong", words)
    count.check()


def test_struck_five_times(folder, tally):
    strike(Run(folder / "ngram", NGRAM), 5, tally("runs", "killed"))


@pytest.mark.faults
def test_struck_fifty_times(run, tally):
    strike(run, 50, tally("runs", "killed"))


@pytest.mark.faults
def test_two_at_once(run, tally, tmp_path):
    run.empty()
    said = [open(tmp_path / name, "w+") for name in ("one", "two")]  # noqa: SIM115
    both = [run.start(file) for file in said]
    count = tally("runs", "two at once")
    for process, file in zip(both, said, strict=True):
        refused = process.wait() != 0
        file.seek(0)
        assert not refused or "is writing here" in file.read()
    check(run, count, "two at once")
    count.check()


@pytest.fixture
def disk(run):
    """A file system of 20 MB in the place of the results, where one may be mounted."""
    run.empty()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(run.results)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"mount: {error}")
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    yield run.results
    subprocess.run(["umount", "--lazy", str(run.results)], check=True)


@pytest.mark.faults
def test_a_small_disk(run, disk, tally):
    """With less and less room, the run fails and says why; with more, it ends as ever."""
    count = tally("runs", "small disk")
    filler = disk / "filler"
    for free in (100_000, 1_000_000, 3_000_000):
        space = os.statvfs(disk)
        filler.write_bytes(bytes(max(0, space.f_bavail * space.f_frsize - free)))
        done = own(run.folder, *run.targets, *TINY, check=False)
        said = done.stdout + done.stderr
        filler.unlink()
        assert done.returncode == 0 or "o space left" in said, said
        assert "Bus error" not in said, said
    check(run, count, "small disk")
    count.check()


@pytest.mark.faults
def test_a_disk_that_turns_read_only(run, disk, tally):
    count = tally("runs", "read-only disk")
    remount = ["mount", "-o", "remount,ro", str(disk)]
    own(run.folder, NGRAM, *TINY)
    subprocess.run(remount, check=True)
    done = own(run.folder, *run.targets, *TINY, check=False)
    assert done.returncode != 0 and "ead-only" in done.stdout + done.stderr
    subprocess.run([*remount[:2], "remount,rw", str(disk)], check=True)
    check(run, count, "read-only")
    count.check()
