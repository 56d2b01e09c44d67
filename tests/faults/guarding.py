"""Watches over code that is given bad input: what it may not do, and how long it may take."""

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

SECONDS = 5  # of the processor, so that a busy machine raises no alarm
MEMORY = 4 << 30  # bytes beyond what the process has
FORBIDDEN = (
    "subprocess.Popen",
    "os.system",
    "os.posix_spawn",
    "pickle.find_class",
    "socket.connect",
)
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate")

_watched: list = []  # [folder, what was done], while something is guarded


class Hang(BaseException):
    """It took longer than SECONDS."""


class Trespass(AssertionError):
    """It did what nobody who only reads a file should do."""


def _hook(event: str, arguments: tuple) -> None:
    if not _watched:
        return
    folder, done = _watched
    if event in FORBIDDEN:
        done.append(f"{event}{arguments[:2]}")
    elif event == "open":
        path, _, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and isinstance(path, str | bytes | os.PathLike) and outside(path, folder):
            done.append(f"opens {path}")
    elif event in CHANGES and outside(arguments[0], folder):
        done.append(f"{event} {arguments[0]}")


def outside(path, folder: Path) -> bool:
    path = os.fsdecode(path)
    return path != os.devnull and not Path(os.path.abspath(path)).is_relative_to(folder)


def _alarm(*_):
    raise Hang(f"longer than {SECONDS} seconds")


@contextlib.contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """Let no file outside `folder` be changed, no program be run, no name be unpickled.

    Raises Trespass afterwards, and Hang after SECONDS of processor time.
    """
    if not hasattr(guarded, "hooked"):
        sys.addaudithook(_hook)  # for good: there is no way to remove one
        guarded.hooked = True
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, _alarm)
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # of what is imported late
    done = []
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    _watched[:] = [folder, done]
    try:
        yield
    finally:
        _watched.clear()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        sys.dont_write_bytecode = bytecode
        resource.setrlimit(resource.RLIMIT_AS, limits)
    if done:
        raise Trespass("; ".join(done[:3]))
