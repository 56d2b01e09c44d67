"""Snakemake's own process: where its jobs run, how it ends, how often it wakes up, and the lock
that a killed one leaves.

The Snakefile imports this, so it imports nothing slow.
"""

import _thread
import contextlib
import fcntl
import functools
import os
import socket
import subprocess
import sys
from pathlib import Path

DEFAULT_RATE = (100, 1.0)  # jobs per so many seconds, which Snakemake starts at most


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


_held = []  # open files, whose locks end with this process
