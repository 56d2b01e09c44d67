"""Which version of the computation made a network.

What a training computes has a declared version, so that code may be renamed, moved and commented
without making finished networks out of date. Two numbers, both counted from 1:

    VERSION   here: everything that all trainings share (the split, initialisation, the order of
              the data, dropout draws, the loss, RMSProp, the n-NN, the backends)
    VERSION   in networks/cells/<type>.py: the equations of that cell type

and two more, of what is added to a cell type (see `store.models.VARIANTS`):

    BLOCK, ADAMW    here: the block around a cell; the AdamW recipe

Whoever changes what is computed raises the number beside it; the golden test
(tests/training/test_golden.py) fails until then. Finished networks of another version are trained
again, and their checkpoints are not resumed.

A cell type of the user's own, which no golden test guards, needs none: a digest of its code is part
of its version.

The Snakefile imports this module, so it imports nothing slow: cell types are read as text.
"""

import ast
import functools
import hashlib
from pathlib import Path

from charlens.networks.cells import OF_UNITS
from charlens.store import cell_files
from charlens.store.models import OWN, file_of, has_block, recipe_of

VERSION = 1
BLOCK = ADAMW = 1


@functools.cache
def version(type: str) -> str:
    """The version of a network: the shared one, then that of its cell type, such as "1.1", and
    those of what is added to it, as in "1.1+block1". A cell type without a VERSION has version 1;
    one of the user's own has the digest of its code, too: "1.1-5d41402a".

    An n-NN ("nn") has only the shared version: "1".
    """
    if type == "nn":
        return str(VERSION)
    file = file_of(type)
    own = cell_files.fact(file, "VERSION", 1)
    added = f"+block{BLOCK}" if has_block(type) else ""
    added += f"+adamw{ADAMW}" if recipe_of(type) == "adamw" else ""
    code = f"-{code_digest(file)}" if file.parent == OWN else ""
    return f"{VERSION}.{own}{code}{added}"


def code_digest(file: Path) -> str:
    """A digest of what a cell's file computes: of its code without comments, docstrings and what it
    says of single units (`cells.of_units`)."""
    kept = []
    for line in ast.parse(file.read_bytes()).body:  # a copy, which is changed
        if cell_files.target(line) in ("NAME", *OF_UNITS):
            continue
        for node in ast.walk(line):
            body = getattr(node, "body", None)
            if isinstance(body, list) and len(body) > 1 and is_text(body[0]):
                body.pop(0)
        if not is_text(line):
            kept.append(dumped(line))
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:8]


def dumped(value) -> str:
    """A syntax tree as text: as `ast.dump` of Python 3.11, whatever Python runs this."""
    if isinstance(value, list):
        return f"[{', '.join(map(dumped, value))}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    fields = []
    for name in value._fields:
        content = getattr(value, name, None)
        optional = content is None and getattr(type(value), name, ...) is None
        if not optional and not (name == "type_params" and not content):  # Python 3.12 has these
            fields.append(f"{name}={dumped(content)}")
    return f"{type(value).__name__}({', '.join(fields)})"


def is_text(line: ast.stmt) -> bool:
    """Whether a statement is a string alone, as docstrings are."""
    return isinstance(line, ast.Expr) and isinstance(getattr(line.value, "value", None), str)


def equations(version: str) -> str:
    """The part of a recurrent network's version that says how it computes: neither the shared one
    nor that of the recipe."""
    return version.partition(".")[2].partition("+adamw")[0]


def version_of(described: dict) -> str:
    """The version that made a network, from the metadata of its model file or of its scores.

    The first networks were published without one: theirs is "1.1", an n-NN's "1".
    """
    recurrent = described.get("type", "nn") != "nn"
    return described.get("version", "1.1" if recurrent else "1")
