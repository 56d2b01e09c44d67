"""How a training ends when it is told to: with a checkpoint.

SIGTERM stops it: `kill`, `scancel`, a time limit that is reached. SIGUSR1 is the warning that many
schedulers send some time before the limit (`sbatch --signal=USR1@120`): a training in a Slurm job
then asks for the job to be queued again, where it resumes. That is no failure, so it does not use
up the retries of a workflow.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator

from charlens.progress import say


class Stopped(Exception):
    """A training that was told to stop, after its checkpoint is written. number: the signal."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def noticed() -> Iterator[Callable[[], int]]:
    """Note SIGTERM and SIGUSR1 instead of dying of them.

    Yields a function that returns the last of the two that has arrived, 0 where none has.
    """
    arrived = [0]
    signals = (signal.SIGTERM, signal.SIGUSR1)
    before = [signal.signal(each, lambda number, _: arrived.append(number)) for each in signals]
    try:
        yield lambda: arrived[-1]
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)


def status(number: int, label: str) -> int:
    """The exit status of a training that a signal has stopped, after its checkpoint is written.

    After SIGUSR1 in a Slurm job the job is queued again. label: begins the progress line.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if number == signal.SIGUSR1 and job and shutil.which("scontrol"):
        asked = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
        done = "queued again" if asked.returncode == 0 else f"not requeued: {asked.stderr.strip()}"
        say(label, f"Slurm job {job}: {done}")
    return 128 + number
