"""Which version of the computation made a model.

What a training computes has a declared version, so that code may be renamed, moved and commented
without making finished models out of date. Two numbers, both counted from 1:

    VERSION                here: everything that trainings have in common (initialisation, the order
                           of the data, dropout draws, the loss, RMSProp, the n-NN, the backends)
    VERSION                in networks/cells/<type>.py: the equations of that type of cell

Whoever changes what is computed raises the number beside it; the golden test
(tests/training/test_golden.py) fails until then. Finished models of another version are trained
again, and their checkpoints are not resumed.

The Snakefile imports this, so it imports nothing slow: cells are parsed, not imported.
"""

import ast
import functools
from pathlib import Path

VERSION = 1
CELLS = Path(__file__).parent / "cells"


@functools.cache
def version(type: str) -> str:
    """The version of a model of this type of cell ("nn": an n-NN), such as "1.1": the common one,
    then the cell's. A cell without a VERSION has version 1."""
    if type == "nn":
        return str(VERSION)
    own = 1
    for node in ast.parse((CELLS / f"{type}.py").read_bytes()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "VERSION":
            own = ast.literal_eval(node.value)
    return f"{VERSION}.{own}"
