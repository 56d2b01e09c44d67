"""Types of recurrent cell, one per file; the file's name is the type that `config.yaml` names.

A cell type is a module with

    GATES       number of H-wide column blocks in `w_x` and `b`
    STATES      names of its state tensors: the output first, the unit's memory last (one and the
                same where there is only one state); a memory other than the output is shown as
                its tanh, as the LSTM's c is
    recurrent_shapes(hidden) -> {name: shape}
                the parameters beside `w_x` and `b`
    step(a, state, p) -> state
                one step: a [S, GATES*H] = x W_x + b is the input's part, state a tuple of [S, H]
                tensors, p the layer's parameters by name
    NAME        how tables and figures call it, a string (without it, the file's name in capitals)
    VERSION     the version of these equations, counted from 1 (1 where there is none): raise it
                when you change what is computed, and networks of this type are trained again

and, if its gates are to be shown (otherwise only its states are),

    GATE_NAMES  their names; gates lie between 0 and 1, but one called g is a candidate for the
                state, between -1 and 1, and has no saturation
    gates_and_state(a, state, p) -> (gates, state)
                the same step, with the gates [S, H] in the order of their names
    output(gates, memory) -> output
                the output from the gates and the memory, any shape, where the two states differ:
                a memory that is clamped then acts on the output of the same step, too
                (`units.ablation`); without it, from the next step on

A new type is one new file here and one entry under `grid: types:`; nothing else changes but the
golden test's stored numbers (`python tests/training/test_golden.py` adds its own). The compiled
code checks that its equations are those of the file: an edited type is trained by plain torch.
"""

import importlib
import re
from types import ModuleType

from charlens.errors import InputError


def cell(type: str) -> ModuleType:
    """The module of a cell type.

    Raises InputError where there is no such file, ModuleNotFoundError where it imports what is not
    installed.
    """
    try:
        if not re.fullmatch("[a-z][a-z0-9_]*", type):
            raise ModuleNotFoundError(name=f"charlens.networks.cells.{type}")
        return importlib.import_module(f"charlens.networks.cells.{type}")
    except ModuleNotFoundError as error:
        if error.name != f"charlens.networks.cells.{type}":
            raise
        raise InputError(
            f"grid.types: no recurrent cell '{type}';"
            f" a new one is a file src/charlens/networks/cells/{type}.py"
        ) from None
