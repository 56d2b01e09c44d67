"""Files that are either whole or absent, and locks that end with their process."""

import contextlib
import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from charlens.errors import InputError


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`: written to disk and renamed on success.

    On any failure the temporary file is removed and `path` stays as it was. The temporary name
    keeps the suffix of `path`, by which some writers choose their format. Raises InputError where
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
    """Write `data` to `path`, whole or not at all (see `atomic`)."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_csv(table, path: str | Path) -> None:
    """Write a DataFrame, to 6 significant digits. (Nothing slow is imported here: no pandas.)"""
    csv = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_atomically(path, csv.encode())


@contextlib.contextmanager
def only_one(path: Path, label: str, doing: str) -> Iterator[bool]:
    """Hold the lock file `path`; wait for a process that has it, and say what that is `doing`.

    Yields whether it had to wait. The kernel drops the lock with the process, so that no stale one
    is ever in the way; a file system without locks is done without.
    """
    waited = False
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = open(path, "a+")  # noqa: SIM115 (closed below)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            other = f"process {file.read().strip()} is {doing} already"
            print(f"{label}: {other}: waiting", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
            waited = True
        except OSError:
            break
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            break
        file.close()  # the one that had it is done, and has removed it
    with file:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield waited
        finally:
            path.unlink(missing_ok=True)
