"""The machine of a run: its GPUs, and a lock on the results folder.

The Snakefile imports this, so it imports nothing slow.
"""

import contextlib
import fcntl
import functools
import os
import shutil
from importlib import metadata
from pathlib import Path

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


def lock(folder: Path) -> None:
    """Let only one run at a time write to a results folder. Raises InputError where another does.

    The kernel releases the lock with the process, so a killed run leaves none behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / ".lock", "a+")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise InputError(
            f"{folder}: process {file.read().strip()} is writing here; wait for it or stop it"
        ) from None
    except OSError:
        pass  # this file system has no locks
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    _held.append(file)


_held = []
