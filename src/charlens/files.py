"""Files that are either whole or absent."""

import contextlib
import errno
import os
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
