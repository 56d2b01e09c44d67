"""Every path of the compiled backend on every x86-64 processor with AVX2: natively where the
processor has the instructions, else emulated in software (avx512_emulated.h, amx_emulated.h; that
of ARM by a program in an emulator, served.py)."""

import atexit
import contextlib
import functools
import os
import tempfile
from pathlib import Path
from unittest import mock

import served

from charlens.backends.cpu import build

HERE = Path(__file__).parent
HEADERS = [HERE / "avx512_emulated.h", HERE / "amx_emulated.h"]
AVX2_ONLY = ("-mavx2", "-mfma", "-mf16c", "-Wno-psabi")

NATIVE = build.runnable()
X86 = "avx2" in NATIVE
# Paths that can be tested here.
TESTABLE = [isa for isa in build.NEEDS if isa != "neon"] if X86 else []
NONE = "no path of the compiled code can be tested here"
TESTABLE += ["neon"] if "neon" in NATIVE or served.AVAILABLE else []


def emulated(isa: str) -> bool:
    return isa not in NATIVE


def options(isa: str) -> list[str]:
    """The compiler's options for a path: those of the backend, or those of its emulation."""
    if not emulated(isa) or isa == "neon":
        return build.options(isa)
    # The digest makes another library of it when the emulation changes.
    headers = build.digest(*(path.read_bytes() for path in HEADERS))
    chosen = [f"-DEMULATION_{headers}", "-O2"]
    if isa == "amx" and not emulated("avx512bf16"):
        chosen += build.options("avx512bf16")
    else:
        chosen += [*AVX2_ONLY, f"--include={HEADERS[0]}"]
        chosen += ["-DEMULATE_BF16"] if isa in ("amx", "avx512bf16") else []
    return [*chosen, "-D__AMX_BF16__", f"--include={HEADERS[1]}"] if isa == "amx" else chosen


@contextlib.contextmanager
def use(isa: str):
    """The backend on a path, emulated if need be."""
    chosen = {each: options(each) for each in (isa, build.float32(isa))}
    able = build.processor().union(*(build.NEEDS[each] for each in chosen))
    clear()
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, CHARLENS_ISA=isa))
        stack.enter_context(mock.patch.object(build, "processor", lambda: able))
        if isa == "neon" and emulated(isa):
            library = library_for_arm()
            stack.enter_context(mock.patch.object(build, "library", lambda isa: library))
            stack.enter_context(mock.patch.object(build, "build", lambda isa: HERE / "served.cpp"))
            build.best_path.cache_clear()
        else:
            stack.enter_context(mock.patch.object(build, "options", chosen.__getitem__))
        yield
    clear()


@functools.cache
def library_for_arm() -> served.Library:
    """The library in an emulator of a 64-bit ARM processor."""
    folder = Path(tempfile.mkdtemp())
    library = served.Library(served.program(folder))
    atexit.register(library.close)
    return library


def clear() -> None:
    """Forget which libraries were loaded."""
    build.best_path.cache_clear()
    build.library.cache_clear()
