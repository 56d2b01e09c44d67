"""The machine of a run: its GPUs, a lock on the results folder, whether Snakemake knows how these
were made, locks that dead runs left, signals.

The Snakefile imports this, so it imports nothing slow.
"""

import _thread
import contextlib
import fcntl
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

from charlens.errors import InputError
from charlens.files import holder

DEFAULT_RATE = (100, 1.0)  # jobs per so many seconds, which Snakemake starts at most
AHEAD = 60 * 10**9  # nanoseconds by which clocks of machines may differ


@functools.cache
def gpus(backend: str) -> int:
    """GPUs that a training job asks for: 1 where there is a GPU or the settings require one.

    $CHARLENS_GPUS says whether there is one, where it is not this machine that trains.
    Raises InputError where it is neither 0 nor 1.
    """
    if backend == "auto":
        if (value := os.environ.get("CHARLENS_GPUS")) is not None:
            if value not in ("0", "1"):
                raise InputError(f"CHARLENS_GPUS={value}: expected 0 or 1, the GPUs of a training")
            return int(value)
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
        with contextlib.suppress(metadata.PackageNotFoundError):  # without importing it
            hidden = hidden or metadata.version("torch").endswith("+cpu")
        return int(shutil.which("nvidia-smi") is not None and not hidden)
    return int(backend == "cuda")


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def run_jobs_here(source: Path) -> None:
    """Let jobs run in the environment that runs Snakemake, activated or not, and with the code of
    this checkout, whichever is installed there. source: its src/."""
    here = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", os.defpath)])
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(source), *([others] if others else [])])


def end_when_told() -> None:
    """Let SIGTERM end a run at any moment.

    Snakemake's handler takes a lock, which the code that it interrupts may hold: both would wait
    for ever (as of 9.27). In a thread of its own it waits until the lock is free.
    """
    from snakemake.scheduling.job_scheduler import JobScheduler

    handler = JobScheduler.exit_gracefully
    handler = getattr(handler, "__wrapped__", handler)  # where another module was here before

    @functools.wraps(handler)
    def exit_gracefully(scheduler, *_):
        _thread.start_new_thread(handler, (scheduler,))  # which itself takes no lock

    JobScheduler.exit_gracefully = exit_gracefully


def lift_rate_limit(scheduler) -> None:
    """Lift Snakemake's default limit on how many jobs start in a second.

    While jobs wait for a free core, its scheduler wakes up to look at that limit: once a second for
    every job that has started. After some hundred jobs this takes a core. A limit that the user has
    set stays. scheduler: Snakemake's, before the first job.
    """
    limit = scheduler.job_rate_limiter
    if limit is not None and (limit.max_jobs, limit.timespan) == DEFAULT_RATE:
        scheduler.job_rate_limiter = None


def lock(folder: Path) -> None:
    """Let only one run at a time write to a results folder. Raises InputError where another does.

    The kernel releases the lock with the process, so a killed run leaves none behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / ".lock", "a+")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"{folder}: {holder(folder / '.lock')} is writing here; wait for it or stop it"
        ) from None
    except OSError:
        pass  # this file system has no locks
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    _held.append(file)


def marks(results: Path) -> tuple[Path, Path]:
    """Two files with the same random word, where Snakemake knows with which parameters the files in
    a results folder were made: one in the folder, one beside what Snakemake knows."""
    return results / ".run", Path(".snakemake/charlens") / quote(str(results), safe="")


def made_here(results: Path) -> bool:
    """Whether Snakemake knows how a results folder was made. It does not where the folder was
    copied from elsewhere or .snakemake was removed: then no change of settings would be noticed."""
    try:
        word = marks(results)[0].read_text()
    except OSError:  # a new folder
        return True
    try:
        return marks(results)[1].read_text() == word
    except OSError:
        return False


def mark(results: Path) -> None:
    """Mark a results folder as made here, unless it was made elsewhere."""
    inside, beside = marks(results)
    if not inside.exists():
        word = uuid.uuid4().hex
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(word)
        inside.write_text(word)


def unlock_after_a_kill(folder: Path = Path(".snakemake")) -> None:
    """Take back the lock of a Snakemake that was killed in this working directory.

    Snakemake's own lock outlives a killed process. Every process that reads our Snakefile also
    holds a lock of the kernel's, which does not: if nobody else holds it, and the last who did ran
    on this machine, Snakemake's lock is a dead run's, and `snakemake --unlock` removes it.
    """
    try:
        folder.mkdir(exist_ok=True)
        file = open(folder / "charlens.lock", "a+")  # noqa: SIM115
    except OSError:  # a dry run in a folder that is not writable
        return
    _held.append(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.seek(0)
        here, last = socket.gethostname(), file.read()
        if last == here and list(folder.glob("locks/*")):
            command = [sys.executable, "-m", "snakemake", *sys.argv[1:], "--unlock"]
            subprocess.run(command, capture_output=True, check=False)
        file.truncate(0)
        file.write(here)
        file.flush()
    except OSError:  # another process is alive; or this file system has no locks
        pass
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def check_writable(folder: Path) -> None:
    """Make a results folder, if it is missing. Raises InputError where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write to {folder} ({error.strerror}): make it writable, or run in a copy of"
            " the project"
        ) from None


def date_now(*folders: Path) -> None:
    """Date files that are dated in the future, because a clock was ahead, now; in the same order.

    Snakemake would make what is newer than its inputs again, and refuse, and remove, what is older.
    """
    now = time.time_ns()
    paths = (path for folder in folders for path in folder.rglob("*"))
    dates = {path: path.lstat().st_mtime_ns for path in paths if not path.is_symlink()}
    ahead = sorted((path for path in dates if dates[path] > now + AHEAD), key=dates.get)
    for place, path in enumerate(ahead):
        with contextlib.suppress(OSError):  # on a file system that is read only
            os.utime(path, ns=(now, now - 1000 * (len(ahead) - place)))
    if ahead:
        print(f"charlens: {len(ahead)} files dated in the future: dated now", file=sys.stderr)


_held = []
