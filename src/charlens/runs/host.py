"""The machine of a run: its GPUs and processor cores.

The Snakefile imports this, so it imports nothing slow.
"""

import contextlib
import functools
import os
import shutil
from importlib import metadata

from charlens.errors import InputError


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
