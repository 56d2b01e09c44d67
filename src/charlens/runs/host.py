"""What a run takes of the machine that it runs on: its GPUs, and a results folder for itself.

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
    """GPUs that a training job asks for: 1 where there is one or the settings want one."""
    if backend == "auto":
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
        with contextlib.suppress(metadata.PackageNotFoundError):  # asked without importing it
            hidden = hidden or metadata.version("torch").endswith("+cpu")
        return int(shutil.which("nvidia-smi") is not None and not hidden)
    return int(backend == "cuda")


def lock(folder: Path) -> None:
    """Let one run at a time write to a results folder. Raises InputError where another does.

    The kernel drops the lock with the process, so that a killed run leaves none behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / ".lock", "a+")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise InputError(
            f"{folder}: process {file.read().strip()} is writing here; wait for it or end it"
        ) from None
    except OSError:
        pass  # a file system without locks: go on without
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    _held.append(file)


_held = []
