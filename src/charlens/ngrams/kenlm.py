"""Use a KenLM compiled by `build`: its tools, its Python module, and its words.

Each character is one word to KenLM: its byte or code point in hexadecimal, in two digits or more.
"""

import importlib.util
import re
import signal
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import psutil

from charlens.errors import InputError
from charlens.files import sha256
from charlens.store.reading import read_json, require

PATIENCE = 300  # seconds in which a tool may do nothing
NO_MEMORY = re.compile("thread_resource_error|bad_alloc|allocate memory", re.IGNORECASE)


def words(alphabet: np.ndarray) -> list[str]:
    """The word for each symbol of the alphabet [K]: its byte or code point in hexadecimal."""
    return [f"{symbol:02x}" for symbol in alphabet]


def sentence(alphabet: np.ndarray, codes: np.ndarray) -> str:
    """Codes [N] as one line of words; alphabet: [K]."""
    names = words(alphabet)
    return " ".join(names[code] for code in codes)


def load(model: str | Path, kenlm: str | Path):
    """Load a packed model with the Python module in the folder `kenlm`, never with another one.

    Raises InputError if the module is missing or rejects the file.
    """
    about(kenlm)
    path = Path(kenlm) / "python" / f"kenlm{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not path.is_file():
        raise InputError(f"{kenlm}: built for another Python: delete it and build KenLM again")
    spec = importlib.util.spec_from_file_location("kenlm", path)
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError as error:
        raise InputError(f"{path}: damaged ({error}); remove {kenlm} and build it again") from None
    try:
        return module.Model(str(model))
    except OSError as error:
        raise InputError(
            f"{model}: KenLM cannot read it ({error}); remove it and run snakemake again"
        ) from error


def about(kenlm: str | Path) -> dict:
    """The version and max_order of the KenLM in a folder.

    Raises InputError if there is none, or if one of its files is not what was built.
    """
    path = Path(kenlm) / "kenlm.json"
    if not path.exists():
        raise InputError(f"{kenlm}: no KenLM: build it with `charlens kenlm --out`")
    found = read_json(path)
    require(found, ("version", "max_order"), path)
    for name, stated in found.get("sha256", {}).items():
        if not (path.parent / name).is_file() or sha256(path.parent / name) != stated:
            raise InputError(
                f"{path.parent / name}: damaged; remove {path.parent} and build KenLM again"
            )
    return found


def run_tool(command: Iterable[object]) -> None:
    """Run one of KenLM's tools. Raises InputError with the reason that it printed if it fails.

    Where lmplz cannot make a temporary file, its threads wait for one another for ever. A tool that
    hangs is killed.
    """
    command = [str(word) for word in command]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            said = wait(process)
        finally:
            process.kill()  # where it has not ended
    if process.returncode == 0:
        return
    if said is None:
        raise InputError(
            f"{command[0]} failed: it hung, as it does where it cannot make a temporary file: free"
            " some disk space and rerun"
        )
    # The reason is the last line, except for the "ERROR" with which build_binary ends.
    lines = [line.strip() for line in said.splitlines()]
    reason = [line for line in lines if line not in ("", "ERROR")][-1:]
    if process.returncode == -signal.SIGKILL:
        reason = ["killed, probably because memory ran out: run fewer jobs at a time"]
    elif NO_MEMORY.search(said):
        reason.append("(memory or threads ran out: rerun with more, or with fewer jobs at a time)")
    elif "No space left" in said:
        reason.append("(free some disk space and rerun)")
    raise InputError(f"{command[0]} failed: {' '.join(reason) or process.returncode}")


def wait(process: subprocess.Popen) -> str | None:
    """Wait for a process. Returns what it wrote to stderr; None where it hangs: it has used no
    processor time for PATIENCE seconds."""
    used = None
    while True:
        try:
            return process.communicate(timeout=PATIENCE)[1]
        except subprocess.TimeoutExpired:
            try:
                before, used = used, psutil.Process(process.pid).cpu_times()
            except psutil.Error:  # it has just ended
                continue
            if used == before:
                return None
