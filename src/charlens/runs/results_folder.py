"""A results folder: which run writes to it, whether it can, whether Snakemake knows how it was
made, and files dated in the future.

The Snakefile imports this, so it imports nothing slow.
"""

import contextlib
import fcntl
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path
from urllib.parse import quote

from charlens.errors import InputError
from charlens.files import holder

PROJECT = Path(__file__).parents[3]  # the folder with the Snakefile
AHEAD = 60 * 10**9  # nanoseconds by which clocks of machines may differ


def lock(folder: Path) -> None:
    """Let only one run at a time write to a results folder. Raises InputError where another does.

    The kernel releases the lock with the process, so a killed run leaves none behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / ".lock", "a+")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"{folder}: {holder(folder / '.lock')} is writing here; wait for it or stop it"
        ) from None
    except OSError:
        pass  # this file system has no locks
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    _held.append(file)


def marks(results: Path) -> tuple[Path, Path]:
    """Two files with the same random word, where Snakemake knows with which parameters the files in
    a results folder were made: one in the folder, one beside what Snakemake knows."""
    return results / ".run", Path(".snakemake/charlens") / quote(str(results), safe="")


def made_here(results: Path) -> bool:
    """Whether Snakemake knows how a results folder was made. It does not where the folder was
    copied from elsewhere or .snakemake was removed: then no change of settings would be noticed."""
    try:
        word = marks(results)[0].read_text()
    except OSError:  # a new folder
        return True
    try:
        return marks(results)[1].read_text() == word
    except OSError:
        return False


def mark(results: Path) -> None:
    """Mark a results folder as made here, unless it was made elsewhere."""
    inside, beside = marks(results)
    if not inside.exists():
        word = uuid.uuid4().hex
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(word)
        inside.write_text(word)


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


def date_now(*folders: Path) -> None:
    """Date files that are dated in the future, because a clock was ahead, now; in the same order.

    Snakemake would make what is newer than its inputs again, and refuse, and remove, what is older.
    """
    now = time.time_ns()
    paths = (path for folder in folders for path in folder.rglob("*"))
    dates = {path: path.lstat().st_mtime_ns for path in paths if not path.is_symlink()}
    ahead = sorted((path for path in dates if dates[path] > now + AHEAD), key=dates.get)
    for place, path in enumerate(ahead):
        with contextlib.suppress(OSError):  # on a file system that is read only
            os.utime(path, ns=(now, now - 1000 * (len(ahead) - place)))
    if ahead:
        print(f"charlens: {len(ahead)} files dated in the future: dated now", file=sys.stderr)


_held = []  # open files, whose locks end with this process
