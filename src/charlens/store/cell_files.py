"""What the file of a cell type says, from its text: cells import torch, which tables and the
Snakefile do without. `networks.cells` documents the names."""

import ast
import functools
from pathlib import Path

from charlens.errors import InputError

NONE = type(None)
# What is read of a file without running it: the types of its values, and how it is written.
FACTS = {
    "NAME": ((str,), 'NAME = "Light GRU"'),
    "VERSION": ((int,), "VERSION = 2"),
    "MEMORY": ((str, NONE), 'MEMORY = "c", or None'),
    "GATE_WORDS": ((dict,), 'GATE_WORDS = {"r": "recurrence"}'),
}


@functools.cache
def parsed(file: Path, text: bytes) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or "?"
        raise InputError(f"{file}, line {line}: {error.args[0]}") from None


def body(file: Path) -> list[ast.stmt]:
    """The statements at the top level of a file. Raises InputError where it is not Python."""
    return parsed(file, file.read_bytes()).body


def target(line: ast.stmt) -> str | None:
    """The single name that a statement assigns to, with or without a type."""
    targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
    return getattr(targets[0], "id", None) if len(targets) == 1 else None


def defined(file: Path) -> set[str]:
    """The names that a file defines or imports, one by one, at its top level."""
    found = set()
    for line in body(file):
        if isinstance(line, ast.FunctionDef):
            found.add(line.name)
        elif isinstance(line, ast.ImportFrom):
            found |= {name.asname or name.name for name in line.names}
        else:
            names = (node for node in ast.walk(line) if isinstance(node, ast.Name))
            found |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
    return found


def fact(file: Path, name: str, default=None):
    """The value of one of FACTS in a file, or the default where the file does not have it.

    Raises InputError where it is not written as a plain value of the right type.
    """
    if name not in defined(file):
        return default
    types, example = FACTS[name]
    for line in body(file):
        if target(line) == name:
            try:
                value = ast.literal_eval(line.value)
            except (TypeError, ValueError):
                break
            if type(value) in types:
                return value
            break
    raise InputError(f"{file}: write {name} as in `{example}`")
