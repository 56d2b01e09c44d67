"""Which version of the computation made a network.

What a training computes has a declared version, so that code may be renamed, moved and commented
without making finished networks out of date. Two numbers, both counted from 1:

    VERSION   here: everything that all trainings share (the split, initialisation, the order of
              the data, dropout draws, the loss, RMSProp, the n-NN, the backends)
    VERSION   in networks/cells/<type>.py: the equations of that cell type

Whoever changes what is computed raises the number beside it; the golden test
(tests/training/test_golden.py) fails until then. Finished networks of another version are trained
again, and their checkpoints are not resumed.

The Snakefile imports this module, so it imports nothing slow: cell types are read as text.
"""

import functools
import re
from pathlib import Path

VERSION = 1
CELLS = Path(__file__).parent / "cells"


@functools.cache
def version(type: str) -> str:
    """The version of a network: the shared one, then that of its cell type, such as "1.1".

    A cell type without a VERSION has version 1. An n-NN ("nn") has only the shared version: "1".
    """
    if type == "nn":
        return str(VERSION)
    own = re.search(r"^VERSION = (\d+)", (CELLS / f"{type}.py").read_text(), re.MULTILINE)
    return f"{VERSION}.{own[1] if own else 1}"


def version_of(described: dict) -> str:
    """The version that made a network, from the metadata of its model file or of its scores.

    The first networks were published without one: theirs is "1.1", an n-NN's "1".
    """
    recurrent = described.get("type", "nn") != "nn"
    return described.get("version", "1.1" if recurrent else "1")
