"""Atomic and durable writes, digests of what was written, and locks that end with their process."""

import contextlib
import csv
import ctypes
import errno
import hashlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from charlens.errors import InputError

if TYPE_CHECKING:
    from filelock import FileLock


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces `path` on success.

    File and folder are synced, so that after a power loss `path` is the old file or the new one. On
    any failure the temporary file is removed and `path` stays as it was. A link stays a link; what
    is no regular file (a pipe, /dev/stdout) is written to; "-" is standard output. The temporary
    name keeps the suffix of `path`, from which some writers choose their format. Raises InputError
    if the disk is full or `path` cannot be written.
    """
    path = Path(path)
    if str(path) == "-" or (path.exists() and not path.is_file()):
        with stream(path) as temporary:
            yield temporary
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    temporary = path.with_name(f".tmp{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full(path) from error
        if str(error.filename) in (str(temporary), str(path.parent)):
            raise InputError(f"cannot write {path}: {error.strerror}") from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def stream(path: Path) -> Iterator[Path]:
    """Yield a temporary path, the content of which is then copied to the pipe or device `path`,
    or to standard output ("-")."""
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; choose another path")
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder, path.name)
        yield temporary
        to_stdout = str(path) == "-"
        target = open(1 if to_stdout else path, "wb", closefd=not to_stdout)  # noqa: SIM115
        with open(temporary, "rb") as content, target:
            shutil.copyfileobj(content, target)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some systems sync no folders
            raise
    finally:
        os.close(handle)


def allocate(path: Path) -> None:
    """Give a file that will be mapped into memory its space on the disk now: filled later, a full
    disk would end the process by a bus error. Raises InputError where the disk is full."""
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    try:
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full(path) from error
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # some systems cannot
            raise


def full(path: Path) -> InputError:
    """The error for a full disk."""
    return InputError(f"no space left on device while writing {path}: free some and rerun")


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names on the disk in one step. Returns whether the system can; if not, both stay
    as they were."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)  # Linux
    here, both = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    paths = here, os.fsencode(one), here, os.fsencode(other)
    return rename is not None and rename(*paths, both) == 0


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` atomically. Raises InputError if that fails (see `atomic`)."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_csv(table, path: str | Path) -> None:
    """Write a DataFrame atomically, with 6 significant digits. (This module imports no pandas.)"""
    csv = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_with_digest(path, csv.encode())


def write_rows(path: str | Path, rows: list[dict]) -> None:
    """Write rows with the same keys as a CSV file with a digest. Raises InputError as `atomic`."""
    content = io.StringIO(newline="")
    writer = csv.DictWriter(content, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_with_digest(path, content.getvalue().encode())


def refuse_overwriting(out: Path | None, *read: Path | None) -> None:
    """Raise InputError where a file that is to be written is one of those that are read."""
    for path in read:
        if out and path and out.exists() and path.exists() and out.samefile(path):
            raise InputError(f"{out} is read here and would be overwritten: name another file")


# ---- digests ----


def sha256(path: Path) -> str:
    """The SHA-256 digest of a file, in hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damaged(path: str | Path) -> InputError:
    """The error for a file that is not what was written."""
    return InputError(
        f"{path}: damaged, or changed since it was written; remove it and run snakemake again,"
        " which makes it anew"
    )


def check_stated(path: str | Path, stated: str | None) -> None:
    """Raise InputError where a file exists whose digest is not the stated one (None: unknown)."""
    path = Path(path)
    if stated is not None and path.is_file() and stated != sha256(path):
        raise damaged(path)


def write_with_digest(path: str | Path, data: bytes) -> None:
    """Write `data` atomically, and its digest to a hidden file beside it.

    For formats that have no place for a digest; see `check_digest`. Killed halfway, it leaves a
    file without a digest, which is not checked. Raises InputError as `atomic`.
    """
    beside = _beside(Path(path))
    with contextlib.suppress(OSError):
        beside.unlink()
    write_atomically(path, data)
    if Path(path).is_file():  # and not a pipe
        write_atomically(beside, hashlib.sha256(data).hexdigest().encode())


def check_digest(path: str | Path, needed: bool = False) -> None:
    """Raise InputError where the digest beside a file differs from the file's.

    needed: whether there must be one; else a file without one is not checked.
    """
    path = Path(path)
    beside = _beside(path)
    stated = beside.read_text(errors="replace").strip() if beside.exists() else None
    if needed and not path.is_file():
        raise InputError(f"{path}: no such file")
    check_stated(path, "" if needed and stated is None else stated)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.sha256")


# ---- locks ----


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
        number = path.read_text().strip()
    except OSError:  # it has just released the lock
        number = ""
    return f"process {number}" if number else "another process"  # it may be writing its number
