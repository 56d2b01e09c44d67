"""The cells against an independent float64 implementation; parameter counts and budgets."""

import sys
import types

import float64
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlens.errors import InputError
from charlens.networks import architecture, cells, model_file, network
from charlens.networks.architecture import Architecture
from charlens.store import models

RECURRENT = ("rnn", "lstm", "gru")


def case(arch, streams, steps, seed, keep=None):
    """Random parameters, text, state and dropout masks for one architecture, in float64."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    params = {name: 0.5 * normal(*shape) for name, shape in architecture.shapes(arch).items()}
    shape = (streams, steps, arch.context) if arch.context else (streams, steps)
    x = torch.randint(arch.symbols, shape, generator=random, dtype=torch.uint8)
    y = torch.randint(arch.symbols, (streams, steps), generator=random, dtype=torch.uint8)
    if arch.context:
        x[0, 0, 0] = 255  # no character
        return params, x, y, None, None
    state = normal(*network.zero_state(arch, streams).shape)
    masks = None
    if keep is not None:
        masks = torch.empty(arch.layers, steps, streams, arch.hidden, dtype=torch.float64)
        masks = masks.bernoulli_(keep, generator=random) / keep
    return params, x, y, state, masks


@settings(deadline=None, max_examples=40)
@given(
    type=st.sampled_from((*RECURRENT, "nn")),
    layers=st.integers(1, 3),
    hidden=st.integers(1, 9),
    streams=st.integers(1, 4),
    steps=st.integers(1, 6),
    keep=st.sampled_from((None, 0.5, 0.9)),
    seed=st.integers(0, 10**6),
)
def test_equations_and_gradients(type, layers, hidden, streams, steps, keep, seed):
    arch = (
        Architecture("nn", 1, hidden, 7, context=layers)
        if type == "nn"
        else Architecture(type, layers, hidden, 7)
    )
    params, x, y, state, masks = case(arch, streams, steps, seed, keep)
    expected, expected_state = float64.forward(type, params, x, state, masks)
    leaves = {name: p.clone().requires_grad_() for name, p in params.items()}
    logits, after = network.forward(arch, leaves, x, state, masks)
    torch.testing.assert_close(logits.detach(), expected)
    if state is not None:
        torch.testing.assert_close(after.detach(), expected_state)
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 7), y.reshape(-1).long())
    (loss * steps).backward()
    _, grads, *_ = float64.loss_and_grads(type, params, x, y, state, masks)
    for name, leaf in leaves.items():
        torch.testing.assert_close(leaf.grad, grads[name], msg=lambda m, name=name: f"{name}: {m}")


def test_the_gru_is_not_torchs():
    """The reset gate acts before the product, and z weighs the new candidate."""
    p = {
        "w_h": torch.zeros(1, 2),
        "w_g": torch.tensor([[2.0]]),
        "b_g": torch.tensor([0.25]),
    }
    r, z, g = 0.0, 20.0, 0.5  # sigm: r = 1/2, z = 1
    (h,) = cells.cell("gru").step(torch.tensor([[r, z, g]]), (torch.tensor([[0.4]]),), p)
    assert h.item() == pytest.approx(torch.tanh(torch.tensor(0.5 + 2.0 * 0.5 * 0.4 + 0.25)).item())


def test_counts_by_hand():
    K, H = 87, 64
    assert architecture.count(Architecture("lstm", 1, H, K)) == 4 * H * (K + H + 1) + K * (H + 1)
    assert architecture.count(Architecture("rnn", 1, H, K)) == H * (K + H + 1) + K * (H + 1)
    # the GRU's candidate has two linear maps, and so two biases
    assert architecture.count(Architecture("gru", 1, H, K)) == 3 * H * (K + H + 1) + H + K * (H + 1)
    two = 4 * H * (K + H + 1) + 4 * H * (H + H + 1) + K * (H + 1)
    assert architecture.count(Architecture("lstm", 2, H, K)) == two
    assert architecture.count(Architecture("nn", 1, H, K, 3)) == 3 * K * H + H + K * (H + 1)


@pytest.mark.parametrize("symbols", [87, 101])
@pytest.mark.parametrize("size", [64, 128, 256, 512])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("type", RECURRENT)
def test_hidden_sizes_fit_their_budget_best(type, layers, size, symbols):
    budget = architecture.count(Architecture("lstm", 1, size, symbols))
    hidden = architecture.hidden_size(type, layers, size, symbols)
    gaps = {
        h: abs(architecture.count(Architecture(type, layers, h, symbols)) - budget)
        for h in range(1, 2 * hidden)
    }
    assert gaps[hidden] == min(gaps.values())
    assert gaps[hidden] < 0.03 * budget
    if (type, layers) == ("lstm", 1):
        assert hidden == size


def test_the_budgets_are_the_papers():
    """About 50K, 130K, 400K and 1.3M parameters (section 4.1)."""
    counts = [architecture.count(Architecture("lstm", 1, size, 87)) for size in (64, 128, 256, 512)]
    assert counts == [44567, 121815, 374615, 1273431]


@pytest.mark.parametrize("type", RECURRENT)
def test_in_pieces_equals_at_once(type):
    arch = Architecture(type, 2, 5, 7)
    params, x, _, state, _ = case(arch, 3, 12, seed=1)
    whole, end = network.forward(arch, params, x, state)
    first, middle = network.forward(arch, params, x[:, :5], state)
    second, last = network.forward(arch, params, x[:, 5:], middle)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)


def test_initial_parameters_are_uniform():
    arch = Architecture("lstm", 1, 64, 87)
    params = network.initialise(arch, 0.08, torch.Generator().manual_seed(1))
    values = torch.cat([p.ravel() for p in params.values()])
    assert values.abs().max() <= 0.08
    assert values.std().item() == pytest.approx(0.16 / 12**0.5, rel=0.02)
    again = network.initialise(arch, 0.08, torch.Generator().manual_seed(1))
    assert all(torch.equal(params[name], again[name]) for name in params)


def test_a_model_file_comes_back_as_it_was(tmp_path):
    arch = Architecture("gru", 2, 5, 7)
    params = network.initialise(arch, 0.08, torch.Generator().manual_seed(1))
    about = {"type": "gru", "layers": 2, "hidden": 5, "symbols": 7, "context": 0, "source": "ä"}
    about |= {"alphabet": bytes(range(7)).hex()}
    model_file.save(tmp_path / "m.safetensors", params, about)
    again, loaded, described = model_file.load(tmp_path / "m.safetensors")
    assert again == arch and described == about
    assert all(torch.equal(params[name], loaded[name]) for name in params)


def test_files_that_are_no_models(tmp_path):
    with pytest.raises(InputError, match="no such model"):
        model_file.load(tmp_path / "absent.safetensors")
    (tmp_path / "other.safetensors").write_bytes(b"<html>")
    with pytest.raises(InputError, match="not a charlens model"):
        model_file.load(tmp_path / "other.safetensors")


@pytest.fixture
def own_cell(monkeypatch):
    """A cell type with a matrix memory, a clock, and parameters that do not begin uniform."""
    own = types.ModuleType("charlens.networks.cells.own")
    own.GATES, own.STATES, own.MEMORY = 2, ("h", "M", "clock"), None
    own.state_shapes = lambda hidden: {"M": (hidden, 2), "clock": (1,)}
    own.recurrent_shapes = lambda hidden: {"w": (2,)}
    own.initial = lambda hidden, random: {
        "w": torch.tensor([1.0, 2.0]),
        "b": torch.ones(2 * hidden),
    }

    def step(a, state, p):
        _, M, clock = state
        M = 0.5 * M + a.unflatten(1, (-1, 2))
        return M @ p["w"] + clock, M, clock + 1

    own.step = step
    monkeypatch.setitem(sys.modules, "charlens.networks.cells.own", own)
    return own


def test_states_of_any_shape_are_carried(own_cell):
    arch = Architecture("own", 2, 3, 7)
    assert network.zero_state(arch, 4).shape == (2, 1 + 2 + 1, 4, 3)
    params = network.initialise(arch, 0.08, torch.Generator().manual_seed(1))
    x = torch.arange(20).view(4, 5) % 7
    logits, after = network.forward(arch, params, x, network.zero_state(arch, 4))
    h, M, clock = network.unpacked(arch, after[1])
    assert M.shape == (4, 3, 2) and torch.equal(clock, torch.full((4, 1), 5.0))
    torch.testing.assert_close(h @ params["out.w"] + params["out.b"], logits[:, -1])
    _, middle = network.forward(arch, params, x[:, :2], network.zero_state(arch, 4))
    pieces, end = network.forward(arch, params, x[:, 2:], middle)
    torch.testing.assert_close(pieces, logits[:, 2:])
    torch.testing.assert_close(end, after)


def test_a_cell_begins_its_parameters_itself(own_cell):
    params = network.initialise(Architecture("own", 2, 3, 7), 0.08, torch.Generator())
    for layer in range(2):
        assert params[f"layers.{layer}.w"].tolist() == [1, 2]
        assert (params[f"layers.{layer}.b"] == 1).all()
        assert params[f"layers.{layer}.w_x"].abs().max() <= 0.08


def test_what_a_cell_has_of_its_units(own_cell):
    assert cells.memory("own") is None and cells.unit_states("own") == ("h",)
    assert [cells.memory(type) for type in ("rnn", "lstm", "gru")] == ["h", "c", "h"]
    assert [cells.unbounded(type) for type in ("rnn", "lstm", "gru")] == [False, True, False]
    assert cells.gate_names("own") == () and cells.gate_names("gru") == ("r", "z", "g")


def test_what_a_file_says_of_units_may_be_written_as_python_allows(tmp_path, monkeypatch):
    """Over several lines, with a type, without blanks: the figures, and what makes them again."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()
    file = tmp_path / "cells/wrapped.py"
    file.write_text(
        'GATE_WORDS = {\n    "i": "insert",\n}\nGATE_NAMES: tuple = (\n    "i",\n)\nMEMORY=None\n'
        'NAME: str = "Wrapped"\n\n\ndef output(gates, c):\n    return c\n'
    )
    assert cells.gate_word("wrapped", "i") == "insert" and not cells.has_units("wrapped")
    assert models.type_name("wrapped+block") == "Wrapped+block"
    said = cells.of_units("wrapped")
    assert '"insert"' in said and said.endswith("; MEMORY=None; output")
    file.write_text(file.read_text().replace('    "i",\n)', '    "j",\n)'))
    assert cells.of_units("wrapped") != said


def test_gates_have_words():
    """The r of RG-LRU is no reset gate."""
    shown = [("gru", "r"), ("rglru", "r"), ("rglru", "i"), ("lstm+block", "f"), ("absent", "u")]
    words = [cells.gate_word(*gate) for gate in shown]
    assert words == ["reset", "recurrence", "input", "forget", "u"]


def test_an_unknown_cell_is_named():
    with pytest.raises(InputError, match="no recurrent cell 'lstn'"):
        cells.cell("lstn")
