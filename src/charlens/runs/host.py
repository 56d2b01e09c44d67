"""The machine of a run: its GPUs, and a lock on the results folder.

The Snakefile imports this, so it imports nothing slow.
"""

import contextlib
import fcntl
import functools
import os
import shutil
import tempfile
import time
from importlib import metadata
from pathlib import Path

from charlens.errors import InputError

AHEAD = 60 * 10**9  # nanoseconds by which clocks of machines may differ


@functools.cache
def gpus(backend: str) -> int:
    """GPUs that a training job asks for: 1 where there is a GPU or the settings require one."""
    if backend == "auto":
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


def date_now(*folders: Path) -> int:
    """Date files that are dated in the future, because a clock was ahead, now; in the same order.

    Snakemake would make what is newer than its inputs again, and refuse, and remove, what is older.
    Returns the number of files.
    """
    now = time.time_ns()
    paths = (path for folder in folders for path in folder.rglob("*"))
    dates = {path: path.lstat().st_mtime_ns for path in paths if not path.is_symlink()}
    ahead = sorted((path for path in dates if dates[path] > now + AHEAD), key=dates.get)
    for place, path in enumerate(ahead):
        with contextlib.suppress(OSError):  # on a file system that is read only
            os.utime(path, ns=(now, now - 1000 * (len(ahead) - place)))
    return len(ahead)


_held = []
