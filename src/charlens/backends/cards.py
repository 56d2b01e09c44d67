"""Which graphics card a process takes, where several local jobs share the cards of a machine."""

import functools
import os
import tempfile
from pathlib import Path

import filelock
import torch

from charlens.errors import InputError

_held = []  # locks, which are released when this process ends


@functools.cache  # one place per process, however many models it holds
def free_gpu() -> str:
    """A card with a free place, held until this process ends; the first card where none is free.

    Local jobs of a workflow are not told which card to use, so each locks a file that stands for a
    place. A card has $CHARLENS_GPU_JOBS places (default 1), since a small model does not fill it;
    empty cards are taken first. Returns torch's name of the device, such as "cuda:0". Raises
    InputError as `gpu_jobs` does.
    """
    for place in range(gpu_jobs()):
        for card in range(torch.cuda.device_count()):
            # one file per user: another user's cannot be opened
            name = f"charlens-{os.getuid()}-gpu-{card}" + (f"-{place}" if place else "")
            lock = filelock.FileLock(Path(tempfile.gettempdir()) / f"{name}.lock")
            try:
                lock.acquire(blocking=False)
            except OSError:  # held by another job (filelock.Timeout), or no locks here
                continue
            _held.append(lock)
            return f"cuda:{card}"
    return "cuda:0"


def gpu_jobs() -> int:
    """How many jobs share a card. Raises InputError where $CHARLENS_GPU_JOBS is not 1 or more."""
    value = os.environ.get("CHARLENS_GPU_JOBS", "1")
    if not value.isdigit() or int(value) < 1:
        raise InputError(
            f"CHARLENS_GPU_JOBS={value}: expected how many jobs share a card, 1 or more"
        )
    return int(value)
