"""What is said of a cell type of the user's own before it is trained."""

import re

import pytest
from project import ROOT
from synthetic import run

from charlens.errors import InputError
from charlens.networks import own_cell
from charlens.store.models import LATER_TYPES, PAPER_TYPES

GOOD = """
import torch

GATES = 2
GATE_NAMES = ("f",)
STATES = ("h", "c")
MEMORY = "c"


def recurrent_shapes(hidden):
    return {"w_h": (hidden, 2 * hidden)}


def initial(hidden, generator):
    return {"b": torch.ones(2 * hidden)}


def gates_and_state(a, state, p):
    h, c = state
    f, g = (a + h @ p["w_h"]).chunk(2, dim=1)
    f = torch.sigmoid(f)
    c = f * c + (1 - f) * torch.tanh(g)
    return (f,), (torch.tanh(c), c)


def step(a, state, p):
    return gates_and_state(a, state, p)[1]


def scan(a, state, p):
    outputs = []
    for each in a:
        state = step(each, state, p)
        outputs.append(state[0])
    return torch.stack(outputs), state
"""
STEP = "    return gates_and_state(a, state, p)[1]\n"
WRONG = [  # a line of the good cell, what stands there instead, what is said
    ("import torch", "import tortch", "cannot be imported (ModuleNotFoundError: No module"),
    ('{"w_h": (hidden, 2 * hidden)}', '{"w_h": (hidden, hidden)}', "step: RuntimeError: "),
    ('{"w_h": (hidden, 2 * hidden)}', '("w_h",)', "recurrent_shapes: expected names and shapes"),
    ('{"w_h": (', '{"b": (9,), "w_h": (', "recurrent_shapes: b is there in every type"),
    ('{"b": torch', '{"bias": torch', "initial: no parameter bias; there are w_x, b, w_h"),
    ("torch.ones(2 * hidden)", "torch.ones(hidden)", "initial: b is [5], expected [10]"),
    ('MEMORY = "c"', 'MEMORY = "m"', "MEMORY: no state m; STATES has h, c"),
    (STEP, STEP[:-1] + "[0]\n", "step: expected a tuple of the states (h, c,), got Tensor"),
    (STEP, "    return None\n", "step: expected a tuple of the states (h, c,), got NoneType"),
    (STEP, STEP[:-1] + "[:1]\n", "step: expected a tuple of the states (h, c,), got 1 values"),
    ("tanh(c), c)", "tanh(c), c.sum(1))", "state c is [3], expected [3, 5]"),
    ("f = torch.sigmoid(f)", "f = f.log()", "has numbers that are not finite"),
    ("f = torch.sigmoid(f)", "f = (f * 0).sqrt()", "respect to the input's part is not finite"),
    ('("f",)', '("f", "g")', "gates_and_state: expected 2 gates, as GATE_NAMES has"),
    (STEP, "    return tuple(s / 2 for s in gates_and_state(a, state, p)[1])\n",
     "gates_and_state: state h is not what step computes: off by up to 0."),
    ("step(each, state, p)", "step(each, (state[0] * 0, state[1]), p)",
     "scan: the outputs is not what step computes: off by up to 0."),
    ("    return torch.stack(outputs), state", "    return torch.stack(outputs)",
     "scan: expected two values, the outputs and the new state"),
    ("    outputs = []\n", "    outputs, state = [], tuple(s * 0 for s in state)\n",
     "scan: the outputs is not what step computes"),
    ("torch.stack(outputs), state", "torch.stack(outputs).detach(), state",
     "scan: the output depends neither on the input nor on a parameter"),
    ("outputs.append(state[0])", "outputs.append(state[0].detach() + 0 * each[:, :5])",
     "scan: the gradient with respect to the input's part is not what step computes"),
    ("torch.stack(outputs), state", "torch.stack(outputs) + (a.sum() * 0).sqrt(), state",
     "scan: the gradient with respect to the input's part is not finite"),
    ("def scan(", "globals()['scan'] = lambda *given: window(*given)\n\n\ndef window(",
     "scan: define it in the file"),
    ('("f",)', '("c",)', "GATE_NAMES: c is the name of another gate or of a state"),
    ("return (f,), (", "return (g,), (", "gate f is not between 0 and 1; a candidate is called g"),
    ("(f,), (torch.tanh(c), c)", "(f,), (torch.tanh(c - c.mean(0)), c)",
     "step: beside other streams, state h is not what step computes"),
    ("    c = f * c + (1 - f) * torch.tanh(g)\n",
     "    c = f * c + 9 * torch.tanh(g)\n    globals()['BOUNDED'] = True\n",
     "step: c reaches 11; write BOUNDED = False"),
    ('MEMORY = "c"', 'def state_shapes(hidden):\n    return {"c": (hidden,)}',
     "MEMORY: state c is not one number per unit"),
    ('MEMORY = "c"', 'def output(gates, c):\n    return c',
     "output is not what step computes: off by up to"),
    ('{"w_h": (', '{"w_g": (hidden,), "w_h": (', "step: does not use w_g: use it, or leave it out"),
    ("torch.ones(2 * hidden)", "torch.ones(2 * hidden).double()",
     "initial: b is of torch.float64, expected torch.float32"),
    ("torch.ones(2 * hidden)", "torch.arange(2 * hidden)", "initial: b is of torch.int64"),
    ("torch.ones(2 * hidden)", "torch.rand(2 * hidden)",
     "initial: b differs from call to call: draw with the generator"),
    ("    c = f * c + (1", "    c = torch.rand(1) * f * c + (1",
     "step: gives another output when it is called again: it must not draw"),
    ("h @ p[", "h[:, :5] @ p[", "(checked with 6 hidden units, 4 streams, 4 steps)"),
    ("    h, c = state\n", "    h, c = state\n    assert len(h) == 3\n", "step: AssertionError"),
    ("GATES = 2\n", "GATES = 2.0\n", "GATES: expected a whole number of 1 or more, got 2.0"),
    ("GATES = 2\n", "GATES = 0\n", "GATES: expected a whole number of 1 or more, got 0"),
    ('("h", "c")', '"hc"', 'STATES: expected names, the output first: ("h", "c"), got \'hc\''),
    ("import torch\n", "import torch\nraise SystemExit\n", "cannot be imported (SystemExit"),
]  # fmt: skip


@pytest.fixture
def cell(tmp_path, monkeypatch):
    """Writes a cell of a new name; returns its type."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()

    def write(text: str) -> str:
        # imported modules are kept by name
        type = f"mine{abs(hash((str(tmp_path), text)))}"
        (tmp_path / f"cells/{type}.py").write_text(text)
        return type

    return write


def test_a_good_cell(cell, capsys):
    type = cell(GOOD)
    run(own_cell, [type])
    assert capsys.readouterr().out == f"cells/{type}.py: usable\n"


def test_the_cell_of_the_documentation_is_whole(cell):
    page = (ROOT / "docs/own-cell.md").read_text()
    own_cell.check(cell(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]))


@pytest.mark.parametrize(("line", "instead", "said"), WRONG)
def test_a_wrong_cell_is_one_line(line, instead, said, cell):
    assert line in GOOD
    type = cell(GOOD.replace(line, instead))
    with pytest.raises(InputError) as error:
        own_cell.check(type)
    words = str(error.value)
    assert re.match(f"cells/{type}.py(:| cannot)", words) and "\n" not in words
    assert said in words


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("mine", GOOD.replace("GATES = 2", ""), "cells/mine.py has no GATES"),
        ("mine", GOOD.replace('STATES = ("h", "c")', ""), "cells/mine.py has no STATES"),
        ("nn", GOOD, "a cell type cannot be called nn"),
        ("lstm", GOOD, "cells/lstm.py is not used: there is a type of that name"),
        ("Mine", GOOD, "no cell type 'Mine': names of types, and of their files, are lower case"),
    ],
)
def test_what_a_run_refuses_is_refused(name, text, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()
    (tmp_path / f"cells/{name}.py").write_text(text)
    with pytest.raises(InputError, match=re.escape(said)):
        own_cell.check(name)


def test_the_output_may_have_any_name(cell):
    own_cell.check(cell(GOOD.replace('STATES = ("h", "c")', 'STATES = ("y", "c")')))


def test_a_file_may_be_named_by_its_path(cell, capsys):
    type = cell(GOOD)
    run(own_cell, [f"cells/{type}.py"])
    assert capsys.readouterr().out == f"cells/{type}.py: usable\n"


@pytest.mark.parametrize("type", [*PAPER_TYPES, *LATER_TYPES])
def test_the_types_of_the_package_pass(type):
    own_cell.check(type)
