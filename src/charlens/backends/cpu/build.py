"""Compiles and loads the library of the CPU backend, once per source, options and compiler."""

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock

from charlens.backends import compiler
from charlens.errors import InputError
from charlens.files import check_digest, write_with_digest

HERE = Path(__file__).parent
SOURCES = [*sorted(HERE.glob("*.cpp")), *sorted(HERE.glob("*.h"))]
FLAGS = ["-std=c++17", "-O3", "-ffp-contract=off", "-shared", "-fPIC"]

# The paths, best first: the processor flags that each needs, as Linux names them. The first two
# multiply in bfloat16, the others in float32. NEON ("asimd") is that of every 64-bit ARM processor.
AVX2 = ("avx2", "fma")
AVX512 = (*AVX2, "avx512f", "avx512bw", "avx512dq", "avx512vl")
NEEDS = {
    "amx": (*AVX512, "avx512_bf16", "amx_tile", "amx_bf16"),
    "avx512bf16": (*AVX512, "avx512_bf16"),
    "avx512": AVX512,
    "avx2": AVX2,
    "neon": ("asimd",),
}
X86, ARM = ("x86_64", "amd64"), ("aarch64", "arm64")  # names of machines
# The compiler's options for these flags, where they differ from -m and the name.
OPTIONS = {"avx512_bf16": "-mavx512bf16", "amx_tile": "-mamx-tile", "amx_bf16": "-mamx-bf16",
           "asimd": "-march=armv8-a"}  # fmt: skip
CHOICES = ("auto", *NEEDS, "reference")


class NotBuilt(Exception):
    """There is no library for a path on this machine; the message says why, in one line."""


def choice() -> str:
    """What $CHARLENS_ISA asks for. Raises InputError on an unknown value."""
    value = os.environ.get("CHARLENS_ISA") or "auto"
    if value not in CHOICES:
        raise InputError(f"CHARLENS_ISA={value}: unknown; use one of {', '.join(CHOICES)}")
    return value


@functools.cache
def processor() -> frozenset[str]:
    """The flags of this processor that the system supports; empty where Linux does not say."""
    if platform.machine().lower() in ARM:
        return frozenset({"asimd"})
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())


def runnable() -> list[str]:
    """The paths that this processor can run, best first."""
    return [isa for isa, needs in NEEDS.items() if processor().issuperset(needs)]


def float32(isa: str) -> str:
    """The float32 path that stands in for a bfloat16 path; a float32 path is its own."""
    return "avx512" if isa in ("amx", "avx512bf16") else isa


def options(isa: str) -> list[str]:
    """The compiler's options for a path."""
    return [OPTIONS.get(flag, f"-m{flag}") for flag in NEEDS[isa]]


def digest(*parts: bytes) -> str:
    """A hash of the parts, 12 hex digits."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def folders() -> list[Path]:
    """Where libraries are kept: beside the sources, or in the user's cache if that is read-only."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [HERE / "build", cache / "charlens" / "fast"]


def units() -> list[Path]:
    """The sources that are compiled, each on its own."""
    return [source for source in SOURCES if source.suffix == ".cpp"]


def build(isa: str) -> Path:
    """The library of a path, compiled if necessary. Raises NotBuilt where that fails.

    Its name holds a hash of sources and options, and one of the compiler's command and version.
    Without a compiler, any library of the same sources and options is used.
    """
    flags = [*FLAGS, *options(isa)]
    source = digest(*(path.read_bytes() for path in SOURCES), shlex.join(flags).encode())
    try:
        command, version = compiler.find()
    except InputError as error:
        for folder in folders():
            for path in sorted(folder.glob(f"charlens-{isa}-{source}-*.so")):
                if sound(path):
                    return path
        raise NotBuilt(str(error)) from None
    name = f"charlens-{isa}-{source}-{digest(*(word.encode() for word in (*command, version)))}.so"
    for folder in folders():
        if sound(folder / name):
            return folder / name
    for folder in folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Of jobs that start together, one compiles and the others wait for it.
            with FileLock(folder / "lock"):
                if not sound(folder / name):
                    compile_library([*command, *flags], folder / name)
        except (OSError, InputError):  # the folder cannot be written
            continue
        return folder / name
    raise NotBuilt(f"no folder can be written: {' or '.join(map(str, folders()))}")


def compile_library(command: list[str], path: Path) -> None:
    """Compile the library into `path`, which appears complete or not at all, with its digest.

    Raises NotBuilt with the first line of the compiler's message, OSError where the folder cannot
    be written.
    """
    with tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as folder:
        made = Path(folder) / path.name
        done = subprocess.run([*command, *units(), "-o", made], capture_output=True, text=True)
        if done.returncode:
            error = next(iter(done.stderr.strip().splitlines()), "no message")
            raise NotBuilt(f"{shlex.join(command)} failed: {error}")
        write_with_digest(path, made.read_bytes())


def sound(path: Path) -> bool:
    """Whether a library exists and is what was compiled; a damaged one would crash, or compute
    something else."""
    try:
        check_digest(path, needed=True)
    except (InputError, OSError):
        return False
    return True


@functools.cache
def library(isa: str) -> ctypes.CDLL:
    """The library of a path, loaded; its calls release the interpreter lock.

    Raises NotBuilt where it cannot be built or loaded, or fails its own test.
    """
    try:
        loaded = ctypes.CDLL(str(build(isa)))
    except OSError as error:
        raise NotBuilt(str(error)) from None
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    loaded.charlens_create.restype = pointer
    loaded.charlens_create.argtypes = [integer] * 8
    loaded.charlens_destroy.restype = None
    loaded.charlens_destroy.argtypes = [pointer]
    loaded.charlens_run.restype = ctypes.c_double
    loaded.charlens_run.argtypes = (
        [pointer] * 5 + [integer] + [pointer] * 2 + [ctypes.c_float] + [pointer] * 2
    )
    loaded.charlens_rmsprop.restype = None
    loaded.charlens_rmsprop.argtypes = [integer] + [pointer] * 4 + [ctypes.c_float] * 5
    loaded.charlens_scan.restype = integer
    loaded.charlens_scan.argtypes = [integer] * 3 + [pointer] * 3
    loaded.charlens_scan_backward.restype = integer
    loaded.charlens_scan_backward.argtypes = [integer] * 3 + [pointer] * 3
    loaded.charlens_ready.restype = integer
    if not loaded.charlens_ready():
        raise NotBuilt(f"{isa}: the system refused it, or it computed wrong sums when tried")
    return loaded


@functools.cache
def best_path(wanted: str) -> tuple[str | None, str]:
    """The best working path among those wanted ("auto": all), or None, and one line that says why.

    wanted: one of CHOICES.
    """
    if wanted == "reference":
        return None, "CHARLENS_ISA=reference"
    machine = platform.machine()
    if machine.lower() not in X86 + ARM:
        return None, f"the compiled CPU backend needs x86-64 or 64-bit ARM, this is {machine}"
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
