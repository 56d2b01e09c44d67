"""`charlens kenlm`: build KenLM from source.

It consists of `lmplz`, `build_binary` and the `kenlm` Python module, all of one highest order.

The module is not installed by pip: pip prefers a cached one with KenLM's default of order 6, and
builds neither tool. cmake, ninja and Cython come from the Python (or conda) environment, and Boost
from a wheel on PyPI, so that nobody needs root; the machine provides only a C++ compiler and
Python's C headers. The wheel is unpacked for the build alone: installed, it would bound the version
of NumPy. The libraries that KenLM needs are kept beside its programs, so that the folder may move.
"""

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import TextIO

from charlens import arguments
from charlens.backends import compiler
from charlens.errors import InputError
from charlens.files import only_one, sha256
from charlens.ngrams import fit, kenlm

VERSION = "0.3.0"
SHA256 = "c4628bb9fb63c8a6f9240035b8b037385cfc404cb72e933cf48878291edac1e8"
BOOST = Path(__file__).with_name("boost.lock")
BOOST_LIBRARIES = ("program_options", "system", "thread")
LOG_LINES = 15  # last lines of the log, shown if a step fails


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder to build into")
    parser.add_argument(
        "--max-order", type=arguments.whole(2), default=21, help="highest order of a model"
    )
    parser.add_argument(
        "--threads", type=arguments.count, default=os.cpu_count(), help="compilers at once"
    )


def run(args: argparse.Namespace) -> None:
    build(args.out, args.max_order, args.threads)


def build(out: str | Path, max_order: int = 21, threads: int = 1) -> None:
    """Build KenLM into the folder `out`, which is replaced as a whole or not at all.

    It holds bin/lmplz, bin/build_binary, their libraries in lib/, python/kenlm.*.so and kenlm.json
    (version, max_order, a digest of each file).
    The output of the build goes to the file `<out>-build.log`.

    Raises InputError if a compiler, Python's headers or a build tool is missing (before anything
    is written), or if a step fails; the end of the log then goes to stderr.
    """
    cxx, _ = compiler.find()
    include = find_python_headers()
    cmake, ninja = find_tool("cmake"), find_tool("ninja")
    if importlib.util.find_spec("Cython") is None:
        raise InputError("Cython is missing: install the environment from the lock file")

    out = Path(out).absolute()
    with only_one(out.with_name(f".{out.name}.lock"), str(out), "building KenLM") as waited:
        if not (waited and (out / "kenlm.json").exists()):
            build_in(out, cxx, include, cmake, ninja, max_order, threads)


def build_in(
    out: Path, cxx: list[str], include: Path, cmake: str, ninja: str, max_order: int, threads: int
) -> None:
    """Build KenLM into `out` by way of a folder beside it. Raises InputError if a step fails."""
    log = out.with_name(out.name + "-build.log")
    work = out.with_name(out.name + ".tmp")
    shutil.rmtree(work, ignore_errors=True)  # left by a build that was killed
    work.mkdir(parents=True)
    try:
        with open(log, "w") as log_file:
            source, boost = fetch(work, log_file), fetch_boost(work, log_file)
            result = work / "kenlm"
            compile_tools(source, boost, result, cxx, cmake, ninja, max_order, threads, log_file)
            keep_libraries(boost / "lib", result / "lib")
            compile_module(source, result, cxx, include, max_order, log_file)
        about = {"version": VERSION, "max_order": max_order}
        made = sorted(path for path in result.rglob("*") if path.is_file())
        about |= {"sha256": {str(path.relative_to(result)): sha256(path) for path in made}}
        (result / "kenlm.json").write_text(json.dumps(about) + "\n")
        check(result, max_order, work)
        shutil.rmtree(out, ignore_errors=True)
        result.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def find_python_headers() -> Path:
    """The folder of Python.h. Raises InputError if it is missing."""
    folder = Path(sysconfig.get_path("include"))
    if not (folder / "Python.h").is_file():
        raise InputError(
            f"no {folder}/Python.h: install Python's C headers (Debian: the package python3-dev)"
        )
    return folder


def find_tool(name: str) -> str:
    """The path of a program, first in this Python's environment. Raises InputError if missing."""
    own = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([own, os.environ.get("PATH", "")]))
    if found is None:
        raise InputError(f"{name} is missing: install the environment from the lock file")
    return found


def fetch(work: Path, log_file: TextIO) -> Path:
    """Download and unpack the pinned source distribution in `work`. Returns its folder."""
    pinned = work / "kenlm.txt"
    pinned.write_text(f"kenlm=={VERSION} --hash=sha256:{SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "kenlm"]
    # pip builds the metadata: with the setuptools of this environment, not a downloaded one.
    command += ["--no-build-isolation", "--require-hashes", "-r", pinned, "-d", work]
    step(f"download kenlm {VERSION}", command, log_file)
    with tarfile.open(work / f"kenlm-{VERSION}.tar.gz") as archive:
        # Python before 3.11.4 has no filter; the archive is pinned by its hash.
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(work, **safely)
    return work / f"kenlm-{VERSION}"


def fetch_boost(work: Path, log_file: TextIO) -> Path:
    """Download and unpack the pinned wheel of Boost in `work`. Returns the folder of its lib."""
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary", ":all:"]
    command += ["--target", work / "boost", "--require-hashes", "-r", BOOST]
    step("download Boost", command, log_file)
    return work / "boost" / "cmeel.prefix"


def compile_tools(
    source: Path,
    boost: Path,
    result: Path,
    cxx: list[str],
    cmake: str,
    ninja: str,
    max_order: int,
    threads: int,
    log_file: TextIO,
) -> None:
    """Build lmplz and build_binary, and the static libraries to which the module is linked."""
    here = "@loader_path" if sys.platform == "darwin" else "$ORIGIN"
    configure = [cmake, "-S", source, "-B", source / "build", "-G", "Ninja", "-Wno-dev"]
    configure += [f"-DCMAKE_MAKE_PROGRAM={ninja}", f"-DKENLM_MAX_ORDER={max_order}"]
    configure += ["-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_PREFIX_PATH={boost};{sys.prefix}"]
    configure += [f"-DCMAKE_INSTALL_RPATH={here}/../lib", "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON"]
    # Optional parts of KenLM that are not needed: reading compressed text, mixing models.
    for package in ("ZLIB", "BZip2", "LibLZMA", "Eigen3"):
        configure.append(f"-DCMAKE_DISABLE_FIND_PACKAGE_{package}=ON")
    step("configure KenLM", configure, log_file, CXX=shlex.join(cxx))
    names = ["lmplz", "build_binary"]
    command = [cmake, "--build", source / "build", "--parallel", str(threads), "--target", *names]
    step("compile KenLM", command, log_file)
    (result / "bin").mkdir(parents=True)
    for name in names:
        shutil.copy2(source / "build" / "bin" / name, result / "bin" / name)


def keep_libraries(source: Path, target: Path) -> None:
    """Copy the libraries of Boost that KenLM's programs are linked to, where they look for them."""
    target.mkdir()
    for name in BOOST_LIBRARIES:
        for path in source.glob(f"libboost_{name}.*"):
            if not path.is_symlink():
                shutil.copy2(path, target / path.name)


def compile_module(
    source: Path, result: Path, cxx: list[str], include: Path, max_order: int, log_file: TextIO
) -> None:
    """Build the Python module, linked to the libraries of `compile_tools`."""
    # The C++ file in the source distribution is from a Cython that supports Python only up to 3.12.
    generated = source / "build" / "kenlm.cpp"
    cython = [sys.executable, "-m", "cython", "-3", "--cplus", source / "python" / "kenlm.pyx"]
    step("translate KenLM's Python module", [*cython, "-o", generated], log_file)
    module = result / "python" / f"kenlm{sysconfig.get_config_var('EXT_SUFFIX')}"
    module.parent.mkdir()
    command = [*cxx, "-O3", "-DNDEBUG", "-std=c++11", "-fPIC", "-shared"]
    command += [f"-DKENLM_MAX_ORDER={max_order}", f"-I{source}", f"-I{include}"]
    command += [generated, source / "python" / "score_sentence.cc"]
    command += [source / "build" / "lib" / name for name in ("libkenlm.a", "libkenlm_util.a")]
    # Apple's linker has no librt, and must be told that Python's symbols come from Python itself.
    system = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-lrt"]
    step("compile KenLM's Python module", [*command, "-pthread", *system, "-o", module], log_file)


def check(result: Path, max_order: int, work: Path) -> None:
    """Check that all parts run and agree: estimate, pack and load a model of the highest order.

    Raises InputError if they do not.
    """
    text = work / "check.txt"
    text.write_text("00 01\n")
    packed = fit.estimate(text, max_order, result, 8, work)[0]
    order = kenlm.load(packed, result).order
    if order != max_order:
        raise InputError(f"KenLM was built for order {order}, not {max_order}: see its build log")


def step(what: str, command: list[str | Path], log_file: TextIO, **variables: str) -> None:
    """Run one command of the build, to do `what`. Raises InputError if it fails."""
    print("$", shlex.join(map(str, command)), file=log_file, flush=True)
    env = {**os.environ, **variables}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=log_file, stderr=subprocess.STDOUT, env=env
    )
    if done.returncode:
        tail = Path(log_file.name).read_text(errors="replace").splitlines()[-LOG_LINES:]
        print(*tail, sep="\n", file=sys.stderr)
        raise InputError(f"cannot {what} (exit status {done.returncode}): see {log_file.name}")
