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

from charlens.backends import compiler
from charlens.errors import InputError

HERE = Path(__file__).parent
SOURCES = [HERE / name for name in ("network.cpp", "product.h", "tiles.h", "vector.h")]
FLAGS = ["-std=c++17", "-O3", "-ffp-contract=off", "-shared", "-fPIC"]

# The instruction sets, best first: the processor flags that each needs (as Linux names them), which
# the compiler takes as options. The first two multiply in bfloat16, the others in float32.
AVX2 = ("avx2", "fma")
AVX512 = (*AVX2, "avx512f", "avx512bw", "avx512dq", "avx512vl")
NEEDS = {
    "amx": (*AVX512, "avx512_bf16", "amx_tile", "amx_bf16"),
    "avx512bf16": (*AVX512, "avx512_bf16"),
    "avx512": AVX512,
    "avx2": AVX2,
}
OPTIONS = {"avx512_bf16": "-mavx512bf16", "amx_tile": "-mamx-tile", "amx_bf16": "-mamx-bf16"}
CHOICES = ("auto", *NEEDS, "reference")


class NotBuilt(Exception):
    """The library cannot be had here; the message says why, in one line."""


def choice() -> str:
    """What $CHARLENS_ISA asks for. Raises InputError on an unknown value."""
    value = os.environ.get("CHARLENS_ISA") or "auto"
    if value not in CHOICES:
        raise InputError(f"CHARLENS_ISA={value}: unknown; use one of {', '.join(CHOICES)}")
    return value


@functools.cache
def processor() -> frozenset[str]:
    """What this processor, and the system for it, can do; empty where Linux does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())


def runnable() -> list[str]:
    """The instruction sets that this processor has, best first."""
    return [isa for isa, needs in NEEDS.items() if processor().issuperset(needs)]


def float32(isa: str) -> str:
    """The instruction set that goes with `isa` where products are to be float32."""
    return "avx512" if isa in ("amx", "avx512bf16") else isa


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def folders() -> list[Path]:
    """Where libraries are kept: beside the sources, or in the user's cache if that is read-only."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [HERE / "build", cache / "charlens" / "fast"]


def build(isa: str) -> Path:
    """The library's path, compiled if need be. Raises NotBuilt.

    The name holds a hash of sources and flags, and one of the compiler's command and version.
    Without a compiler a library of the same sources serves, whatever compiled it.
    """
    flags = [*FLAGS, *(OPTIONS.get(flag, f"-m{flag}") for flag in NEEDS[isa])]
    source = digest(*(path.read_bytes() for path in SOURCES), shlex.join(flags).encode())
    try:
        command, version = compiler.find()
    except InputError as error:
        for folder in folders():
            for path in sorted(folder.glob(f"charlens-{isa}-{source}-*.so")):
                return path
        raise NotBuilt(str(error)) from None
    name = f"charlens-{isa}-{source}-{digest(*(word.encode() for word in (*command, version)))}.so"
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
                    [*command, *flags, str(SOURCES[0]), "-o", str(part)],
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


@functools.cache
def library(isa: str) -> ctypes.CDLL:
    """The library for an instruction set; calls let other threads run. Raises NotBuilt."""
    try:
        loaded = ctypes.CDLL(str(build(isa)))
    except OSError as error:
        raise NotBuilt(str(error)) from None
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    loaded.charlens_create.restype = pointer
    loaded.charlens_create.argtypes = [integer] * 7
    loaded.charlens_destroy.restype = None
    loaded.charlens_destroy.argtypes = [pointer]
    loaded.charlens_run.restype = ctypes.c_double
    loaded.charlens_run.argtypes = (
        [pointer] * 5 + [integer] + [pointer] * 2 + [ctypes.c_float] + [pointer] * 2
    )
    loaded.charlens_rmsprop.restype = None
    loaded.charlens_rmsprop.argtypes = [integer] + [pointer] * 4 + [ctypes.c_float] * 5
    loaded.charlens_ready.restype = integer
    if not loaded.charlens_ready():
        raise NotBuilt(f"{isa} was refused by the system, or gave wrong sums when tried")
    return loaded


@functools.cache
def found(wanted: str) -> tuple[str | None, str]:
    """The best instruction set that is wanted ("auto": any) and works, or None; one line why."""
    if wanted == "reference":
        return None, "CHARLENS_ISA=reference"
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None, f"the fast backend needs an x86-64 processor, this is {platform.machine()}"
    able = [isa for isa in runnable() if wanted in ("auto", isa)]
    if not able:
        lacks = "AVX2 and FMA" if wanted == "auto" else f"what CHARLENS_ISA={wanted} asks for"
        return None, f"this processor lacks {lacks}"
    why = ""
    for isa in able:  # an older compiler may not know the newest
        try:
            library(isa), library(float32(isa))
        except NotBuilt as error:
            why = why or " ".join(str(error).split())
        else:
            return isa, f"compiled, {isa}: {build(isa).parent}"
    return None, why
