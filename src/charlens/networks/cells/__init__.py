"""Types of recurrent cell, one per file; the file's name is the type that `config.yaml` names.

A cell type is a module with

    GATES       number of H-wide column blocks in `w_x` and `b`
    STATES      names of its state tensors, the output first
    recurrent_shapes(hidden) -> {name: shape}
                the parameters beside `w_x` and `b`. AdamW lets those decay whose names begin with w
    step(a, state, p) -> state
                one step: a [S, GATES*H] = x W_x + b is the input's part, state a tuple of tensors
                in the order of STATES, [S, H] each unless `state_shapes` says otherwise, p the
                layer's parameters by name
    NAME        how tables and figures call it, a string (without it, the file's name in capitals)
    VERSION     of a type in the package: the version of these equations, counted from 1 (1 where
                there is none). Raise it when you change what is computed, and networks of this type
                are trained again. For a type of the user's own a digest of its code does that

and, where it needs them,

    state_shapes(hidden) -> {name: shape}
                shapes of the states that are not [S, H], without S: a matrix memory, a window of
                keys
    scan(a, state, p) -> (outputs, state)
                a whole window at once, where the recurrence allows it: a [T, S, GATES*H], outputs
                [T, S, H]. It computes what T steps compute: training and scoring use it, whatever
                looks inside uses `step`
    initial(hidden, generator) -> {name: tensor}
                the parameters of a layer that do not begin uniform, `b` among them

What is known of single units, for figures and analyses of units (what a type lacks is left out
there, by name):

    MEMORY      the state that holds one number per unit, [S, H], which is scored, shown and
                clamped; the last of STATES unless stated; None where there is no such state
    BOUNDED     whether MEMORY lies between -1 and 1; if not, its tanh is shown, as that of the
                LSTM's c is. Unless stated, it does where it is the output
    GATE_NAMES  names of its gates; gates lie between 0 and 1, but one called g is a candidate for
                the state, between -1 and 1, and has no saturation
    GATE_WORDS  {name: word} of gates whose letters stand for something else here than in LSTM and
                GRU: {"r": "recurrence"}
    gates_and_state(a, state, p) -> (gates, state)
                the same step, with the gates [S, H] in the order of their names
    output(gates, memory) -> output
                the output from the gates and MEMORY, any shape, where MEMORY is not the output: a
                memory that is clamped then acts on the output of the same step, too
                (`units.ablation`); without it, from the next step on

NAME, VERSION, MEMORY and GATE_WORDS are read without running the file (`store.cell_files`), so they
are written as plain values.

A new type is one new file and one entry under `grid: types:`. The file lies in `cells/` of the
folder in which Snakemake and `charlens` run, so that the package stays as it is; or here, where the
golden test stores numbers of it (`python tests/training/test_golden.py` adds its own). The compiled
code checks that its equations are those of the file: an edited type is trained by plain torch.
"""

import ast
import importlib
import importlib.util
import re
import sys
import tokenize
from types import ModuleType

from charlens.errors import InputError
from charlens.store import cell_files
from charlens.store.models import cell_of, file_of

OF_UNITS = ("MEMORY", "BOUNDED", "GATE_NAMES", "GATE_WORDS")  # what a file says of single units
CANDIDATE = "g"  # of GATE_NAMES the one that is added to the state, between -1 and 1; not a gate
GATE_WORDS = {"i": "input", "f": "forget", "o": "output", "r": "reset", "z": "update"}


def has_units(type: str) -> bool:
    """Whether a type has a state per unit, from its text: without torch, which cells import."""
    return cell_files.fact(file_of(type), "MEMORY", "") is not None


def reads_windows(type: str) -> bool:
    """Whether a type reads a whole window at once (it has a `scan`), from its text as well."""
    return "scan" in cell_files.defined(file_of(type))


def gate_word(type: str, gate: str) -> str:
    """A gate of a type in words, "forget"; from its text, too."""
    file = file_of(type)  # there is none where tables from elsewhere are read
    own = cell_files.fact(file, "GATE_WORDS", {}) if file.is_file() else {}
    return (GATE_WORDS | own).get(gate, gate)


def of_units(type: str) -> str:
    """What the file of a type says of single units, and which functions about them it has. It is
    not part of a network's version: a change concerns the analyses of units alone."""
    file = file_of(type)
    with tokenize.open(file) as opened:
        text = opened.read()
    lines = cell_files.body(file)
    said = [line for line in lines if cell_files.target(line) in OF_UNITS]
    functions = [line.name for line in lines if isinstance(line, ast.FunctionDef)]
    known = [name for name in functions if name in ("gates_and_state", "output")]
    return "; ".join([ast.get_source_segment(text, line) for line in said] + known)


def own_module(type: str) -> ModuleType:
    """The module in a file of the user's own."""
    name = f"{__name__}.{type}"
    spec = importlib.util.spec_from_file_location(name, file_of(type))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module


def cell(type: str) -> ModuleType:
    """The module of a cell type; of "lstm+block", that of lstm.

    Raises InputError where there is no such file, ModuleNotFoundError where it imports what is not
    installed.
    """
    type = cell_of(type)
    try:
        if not re.fullmatch("[a-z][a-z0-9_]*", type):
            raise ModuleNotFoundError(name=f"charlens.networks.cells.{type}")
        return importlib.import_module(f"charlens.networks.cells.{type}")
    except ModuleNotFoundError as error:
        if error.name != f"charlens.networks.cells.{type}":
            raise
        if re.fullmatch("[a-z][a-z0-9_]*", type) and file_of(type).is_file():
            return own_module(type)
        raise InputError(
            f"grid.types: no recurrent cell '{type}'; a new one is a file cells/{type}.py"
        ) from None


def memory(type: str) -> str | None:
    """The name of the state that is a unit's memory: c of the LSTM, h where that is the only state;
    None where the type has no state per unit."""
    kind = cell(type)
    return getattr(kind, "MEMORY", kind.STATES[-1])


def unit_states(type: str) -> tuple[str, ...]:
    """The states that hold one number per unit, [S, H], the output first."""
    kind = cell(type)
    others = kind.state_shapes(1) if hasattr(kind, "state_shapes") else {}
    return tuple(name for name in kind.STATES if name not in others)


def unbounded(type: str) -> bool:
    """Whether the memory may exceed -1 to 1, so that its tanh is shown."""
    kind = cell(type)
    return not getattr(kind, "BOUNDED", memory(type) == kind.STATES[0])


def gate_names(type: str) -> tuple[str, ...]:
    """The gates of a cell type and its candidate g; none where it does not give them."""
    return tuple(getattr(cell(type), "GATE_NAMES", ()))
