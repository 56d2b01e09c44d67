"""Atomic writes, and locks that end with their process."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from charlens.errors import InputError

if TYPE_CHECKING:
    from filelock import FileLock


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces `path` on success (fsync, then rename).

    On any failure the temporary file is removed and `path` stays as it was. The temporary name
    keeps the suffix of `path`, from which some writers choose their format. Raises InputError if
    the disk is full or `path` cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".tmp{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"no space left on device while writing {path}: free some and rerun"
            ) from error
        if str(error.filename) in (str(temporary), str(path.parent)):
            raise InputError(f"cannot write {path}: {error.strerror}") from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` atomically. Raises InputError if that fails (see `atomic`)."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_csv(table, path: str | Path) -> None:
    """Write a DataFrame atomically, with 6 significant digits. (This module imports no pandas.)"""
    csv = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_atomically(path, csv.encode())


@contextlib.contextmanager
def only_one(path: Path, label: str, doing: str) -> Iterator[bool]:
    """Hold the lock file `path` (see `try_lock`); if another process holds it, say so and wait.

    Yields whether it had to wait. label, doing: for the message, the thing that is locked and the
    work of the process that holds the lock.
    """
    lock = try_lock(path)
    waited = lock is None
    if waited:
        print(f"{label}: {holder(path)} is already {doing}: waiting", file=sys.stderr, flush=True)
        lock = try_lock(path, wait=True)
    try:
        yield waited
    finally:
        # Before the release: a process that waits for the removed file acquires a new one.
        path.unlink(missing_ok=True)
        lock.release()


def try_lock(path: Path, wait: bool = False) -> "FileLock | None":
    """Acquire the lock file `path`; None if another process holds it (with `wait`: wait for it).

    The lock ends with `release()`, with the last reference to it, or with the process: a killed one
    leaves no stale lock. On a file system without locks, nothing is locked.
    """
    from filelock import FileLock, Timeout  # here, because most jobs take no lock

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, fallback_to_soft=False)  # a soft lock would outlive a killed process
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        return None
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
    path.write_text(str(os.getpid()))
    return lock


def holder(path: Path) -> str:
    """The process that holds the lock file `path`, in words."""
    try:
        return f"process {path.read_text().strip()}"
    except OSError:  # it has just released the lock
        return "another process"
