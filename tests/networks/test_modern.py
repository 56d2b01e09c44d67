"""The modern cell types against independent float64 versions of their papers' equations; scans
against steps; gradients against finite differences; shapes, states and budgets."""

import math

import modern64
import numpy as np
import pytest
import torch

from charlens.networks import architecture, cells, network
from charlens.networks.architecture import Architecture

TYPES = ("mingru", "minlstm", "rglru", "slstm", "mlstm", "mamba", "transformer")
SCANS = [type for type in TYPES if hasattr(cells.cell(type), "scan")]


def normal(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network_of(type, layers=2, hidden=6, streams=3, steps=9):
    """A network in float64 with random parameters, a text, and the state after another text."""
    arch = Architecture(type, layers, hidden, 7)
    params = {
        name: 0.4 * normal(*shape, seed=place)
        for place, (name, shape) in enumerate(architecture.shapes(arch).items())
    }
    random = torch.Generator().manual_seed(2)
    x = torch.randint(7, (streams, steps), generator=random, dtype=torch.uint8)
    _, state = network.forward(arch, params, x.flip(1)[:, :5], network.zero_state(arch, 3).double())
    return arch, params, x, state


def by_hand(arch, params, x, state):
    """Logits [S, T, K] and the last states of each layer, by the independent version."""
    p = {name: value.numpy() for name, value in params.items()}
    layers = [[part.numpy() for part in network.unpacked(arch, rows)] for rows in state]
    logits = []
    for t in range(x.shape[1]):
        y = np.eye(arch.symbols)[x[:, t].numpy()]
        for layer in range(arch.layers):
            own = {n.split(".", 2)[2]: w for n, w in p.items() if n.startswith(f"layers.{layer}.")}
            a = y @ own["w_x"] + own["b"]
            layers[layer] = getattr(modern64, arch.type)(a, layers[layer], own)
            y = layers[layer][0]
        logits.append(y @ p["out.w"] + p["out.b"])
    return np.stack(logits, axis=1), layers


@pytest.mark.parametrize("hidden", [1, 6])
@pytest.mark.parametrize("type", TYPES)
def test_the_equations(type, hidden):
    arch, params, x, state = network_of(type, hidden=hidden)
    logits, after = network.forward(arch, params, x, state)
    expected, states = by_hand(arch, params, x, state)
    np.testing.assert_allclose(logits, expected, rtol=1e-10, atol=1e-12)
    for rows, own in zip(after, states, strict=True):
        for ours, theirs in zip(network.unpacked(arch, rows), own, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("type", TYPES)
def test_step_by_step_equals_at_once(type):
    """A recorder makes the network go step by step."""
    arch, params, x, state = network_of(type)
    logits, after = network.forward(arch, params, x, state)
    stepped, end = network.forward(arch, params, x, state, record=lambda *_: None)
    torch.testing.assert_close(stepped, logits, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(end, after, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("type", TYPES)
def test_pieces_equal_the_whole(type):
    arch, params, x, state = network_of(type)
    whole, end = network.forward(arch, params, x, state)
    pieces = []
    for piece in x.split([4, 1, 4], dim=1):
        logits, state = network.forward(arch, params, piece, state)
        pieces.append(logits)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(state, end, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("type", TYPES)
def test_gradients_against_finite_differences(type):
    arch, params, x, state = network_of(type, hidden=3, steps=5)
    leaves = {name: p.clone().requires_grad_() for name, p in params.items()}
    weights = normal(3, 5, 7, seed=99)

    def value(parameters):
        return (network.forward(arch, parameters, x, state)[0] * weights).sum()

    grads = torch.autograd.grad(value(leaves), list(leaves.values()))
    for (name, p), grad in zip(params.items(), grads, strict=True):
        along = normal(*p.shape, seed=7)  # a random direction for each parameter
        up, down = (value(params | {name: p + h * along}).item() for h in (1e-6, -1e-6))
        assert (grad * along).sum().item() == pytest.approx((up - down) / 2e-6, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("type", SCANS)
def test_gradients_of_the_scan_are_those_of_the_steps(type):
    arch, params, x, state = network_of(type)
    found = []
    for record in (None, lambda *_: None):
        leaves = {name: p.clone().requires_grad_() for name, p in params.items()}
        logits, _ = network.forward(arch, leaves, x, state, record=record)
        found.append(torch.autograd.grad(logits.square().sum(), list(leaves.values())))
    for scan, steps in zip(*found, strict=True):
        torch.testing.assert_close(scan, steps, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("type", TYPES)
def test_packed_states_come_back(type):
    arch = Architecture(type, 1, 5, 7)
    states = tuple(normal(3, *shape) for shape in architecture.state_shapes(arch).values())
    rows = network.packed(arch, states)
    assert rows.shape == network.zero_state(arch, 3)[0].shape
    for ours, theirs in zip(network.unpacked(arch, rows), states, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("type", TYPES)
def test_initial_parameters_fit_their_shapes(type):
    arch = Architecture(type, 2, 10, 7)
    params = network.initialise(arch, 0.08, torch.Generator().manual_seed(1))
    assert {name: tuple(p.shape) for name, p in params.items()} == architecture.shapes(arch)
    assert all(p.isfinite().all() and p.is_contiguous() for p in params.values())


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("type", TYPES)
def test_hidden_sizes_fit_their_budget_best(type, layers):
    budget = architecture.count(Architecture("lstm", 1, 64, 87))
    hidden = architecture.hidden_size(type, layers, 64, 87)
    gaps = [
        abs(architecture.count(Architecture(type, layers, h, 87)) - budget)
        for h in (hidden - 1, hidden, hidden + 1)
    ]
    assert gaps[1] == min(gaps) < 0.05 * budget


@pytest.mark.parametrize("type", TYPES)
def test_what_is_known_of_units(type):
    """Gates lie between 0 and 1, the memory is a number per unit, and is bounded where it says."""
    arch, params, x, state = network_of(type)
    seen = []
    params = {name: 3 * p for name, p in params.items()}
    network.forward(arch, params, x, state, record=lambda _, __, values: seen.append(dict(values)))
    for values in seen:
        for name in cells.gate_names(type):
            low = -1 if name == "g" else 0
            assert values[name].shape == (3, 6)
            assert values[name].min() >= low and values[name].max() <= 1
        memory = values[cells.memory(type)]
        assert memory.shape == (3, 6)
        assert cells.unbounded(type) or memory.abs().max() <= 1


@pytest.mark.parametrize("type", [type for type in TYPES if cells.gate_names(type)])
def test_saturated_gates_give_finite_numbers(type):
    """In float32, forward and backward: nothing is divided by a gate that underflows."""
    arch, params, x, state = network_of(type)
    leaves = {
        name: (p.float() * (300 if name.endswith((".w_x", ".b")) else 1)).requires_grad_()
        for name, p in params.items()
    }
    logits, after = network.forward(arch, leaves, x, state.float())
    assert logits.isfinite().all() and after.isfinite().all()
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), x.flatten().long())
    grads = torch.autograd.grad(loss, list(leaves.values()))
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("bias", [-300.0, -120.0, -95.0, 120.0])
@pytest.mark.parametrize("type", [type for type in TYPES if cells.gate_names(type)])
def test_a_gate_that_is_shut_from_the_beginning_gives_finite_numbers(type, bias):
    """From the zero state in float32, forward and backward, one gate at a time."""
    arch, params, x, state = network_of(type)
    for gate in range(cells.cell(type).GATES):
        leaves = {name: p.float().clone() for name, p in params.items()}
        for name, p in leaves.items():
            if name.startswith("layers") and name.endswith(".b"):
                p.view(-1, arch.hidden)[gate] += bias
            p.requires_grad_()
        zero = torch.zeros_like(state).float()
        logits, after = network.forward(arch, leaves, x, zero)
        assert logits.isfinite().all() and after.isfinite().all(), gate
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), x.flatten().long())
        grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        assert all(grad.isfinite().all() for grad in grads if grad is not None), gate


def test_the_first_candidate_of_an_slstm_is_its_memory_however_small_its_gate():
    """The memory is a weighted mean of all candidates so far, and there is one."""
    kind, p = cells.cell("slstm"), {"w_h": torch.zeros(1, 4)}
    for i in (3.0, -80.0, -110.0, -1e6):
        a = torch.tensor([[i, 2.0, 0.0, 0.5]])
        _, c, n, _ = kind.step(a, (torch.zeros(1, 1),) * 4, p)
        assert c.item() == pytest.approx(math.tanh(0.5)) and n > 0


def test_the_transformer_forgets_what_is_more_than_a_hundred_characters_ago():
    arch, params, x, _ = network_of("transformer", layers=1, steps=108)
    state = network.zero_state(arch, 3).double()
    logits, _ = network.forward(arch, params, x, state)
    expected, _ = by_hand(arch, params, x, state)
    np.testing.assert_allclose(logits, expected, rtol=1e-10, atol=1e-12)
    other = x.clone()
    other[:, 0] = (x[:, 0] + 1) % 7
    changed = (network.forward(arch, params, other, state)[0] != logits).any(dim=2)
    assert changed[:, :100].all() and not changed[:, 100:].any()


def counted(type, hidden, symbols):
    return architecture.count(Architecture(type, 1, hidden, symbols)) - symbols * (hidden + 1)


def test_counts_by_hand():
    K, H = 87, 10
    assert counted("mingru", H, K) == 2 * H * (K + 1)
    assert counted("minlstm", H, K) == 3 * H * (K + 1)
    assert counted("rglru", H, K) == 3 * H * (K + 1) + H
    assert counted("slstm", H, K) == 4 * H * (K + H + 1)
    assert counted("mlstm", H, K) == 4 * H * (K + 1) + 2 * (3 * H + 1)
    convolution, selection = 2 * H * (4 + 1), 2 * H * (1 + 32) + 2 * H * (1 + 1)
    mamba = 4 * H * (K + 1) + convolution + selection + 2 * H * (16 + 1) + 2 * H * H
    assert counted("mamba", H, K) == mamba
    attention = 4 * H + H * 3 * 16 + 16 * H  # 16: four heads, each 4 wide
    assert (
        counted("transformer", H, K) == H * (K + 1) + attention + (H + 1) * 2 * H + (2 * H + 1) * H
    )
