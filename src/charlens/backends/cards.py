"""Which graphics card a process takes, where several local jobs share the cards of a machine."""

import functools
import os
import tempfile
from pathlib import Path

import filelock
import torch

from charlens.errors import InputError

_held = []  # locks: one that is forgotten gives its card back


@functools.cache  # one place a process, however many models it holds
def free_gpu() -> str:
    """A card with a place that no other job holds, kept until this process ends; else the first.

    Local jobs of a workflow are given no card number, so each takes a lock file per place. A card
    has $CHARLENS_GPU_JOBS places (1): small models do not fill it. Empty cards are taken first.
    Returns torch's name of the device, such as "cuda:0". Raises InputError as `gpu_jobs` does.
    """
    for place in range(gpu_jobs()):
        for card in range(torch.cuda.device_count()):
            # each user's own: another's file cannot be opened
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
    """Jobs that share a card. Raises InputError where $CHARLENS_GPU_JOBS is no number above 0."""
    said = os.environ.get("CHARLENS_GPU_JOBS", "1")
    if not said.isdigit() or int(said) < 1:
        raise InputError(f"CHARLENS_GPU_JOBS={said}: how many jobs share a card, 1 or more")
    return int(said)
