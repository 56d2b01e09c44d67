"""Compiles and loads the library of the fast backend, once per source, flags and compiler."""

import ctypes
import fcntl
import functools
import hashlib
import os
import platform
import shlex
import subprocess
from pathlib import Path

from charlens.errors import InputError

HERE = Path(__file__).parent
SOURCES = [HERE / name for name in ("network.cpp", "product.h", "vector.h")]
FLAGS = ["-std=c++17", "-O3", "-mavx2", "-mfma", "-ffp-contract=off", "-shared", "-fPIC"]
CHOICES = ("auto", "avx2", "reference")


class NotBuilt(Exception):
    """The library cannot be had here; the message says why, in one line."""


def choice() -> str:
    """What $CHARLENS_ISA asks for. Raises InputError on an unknown value."""
    value = os.environ.get("CHARLENS_ISA") or "auto"
    if value not in CHOICES:
        raise InputError(f"CHARLENS_ISA={value}: unknown; use one of {', '.join(CHOICES)}")
    return value


def compiler() -> tuple[list[str], str]:
    """The command of the C++ compiler ($CXX or g++) and the first line of its version."""
    command = shlex.split(os.environ.get("CXX") or "g++")
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise NotBuilt(f"no C++ compiler: {shlex.join(command)} does not run") from None
    return command, done.stdout.partition("\n")[0]


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def folders() -> list[Path]:
    """Where libraries are kept: beside the sources, or in the user's cache if that is read-only."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [HERE / "build", cache / "charlens" / "fast"]


def build() -> Path:
    """The library's path, compiled if need be. Raises NotBuilt.

    The name holds a hash of sources and flags, and one of the compiler's command and version.
    Without a compiler a library of the same sources serves, whatever compiled it.
    """
    source = digest(*(path.read_bytes() for path in SOURCES), shlex.join(FLAGS).encode())
    try:
        command, version = compiler()
    except NotBuilt:
        for folder in folders():
            for path in sorted(folder.glob(f"charlens-avx2-{source}-*.so")):
                return path
        raise
    name = f"charlens-avx2-{source}-{digest(*(word.encode() for word in (*command, version)))}.so"
    for folder in folders():
        if (folder / name).exists():
            return folder / name
    for folder in folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = open(folder / "lock", "w")  # noqa: SIM115 (closed below, after an OSError is ruled out)
        except OSError:
            continue
        with lock:  # jobs that start together: one compiles, the others wait for it
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / name).exists():
                part = folder / f"{name}.{os.getpid()}.part"
                done = subprocess.run(
                    [*command, *FLAGS, str(SOURCES[0]), "-o", str(part)],
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    part.unlink(missing_ok=True)
                    error = next(iter(done.stderr.strip().splitlines()), "no message")
                    raise NotBuilt(f"{shlex.join(command)} failed: {error}")
                part.replace(folder / name)
        return folder / name
    raise NotBuilt(f"no folder can be written: {' or '.join(map(str, folders()))}")


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    library.charlens_create.restype = pointer
    library.charlens_create.argtypes = [integer] * 7
    library.charlens_destroy.restype = None
    library.charlens_destroy.argtypes = [pointer]
    library.charlens_run.restype = ctypes.c_double
    library.charlens_run.argtypes = [pointer] * 5 + [integer] + [pointer] * 4
    return library


@functools.cache
def load() -> tuple[ctypes.CDLL | None, str]:
    """The library or None, and one line why. Its calls release the interpreter lock (ctypes)."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None, f"the fast backend needs an x86-64 processor, this is {platform.machine()}"
    try:
        path = build()
        library = declare(ctypes.CDLL(str(path)))
    except (NotBuilt, OSError) as error:
        return None, " ".join(str(error).split())
    if not library.charlens_supported():
        return None, "this processor has no AVX2 and FMA"
    return library, f"compiled, AVX2: {path}"
