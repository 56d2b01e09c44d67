"""The newer cell types against packages of these cells: sLSTM and mLSTM of their authors' xlstm,
RG-LRU of its authors' recurrentgemma, Mamba of mambapy.

`make test` puts them into .venv/cells (requirements-cells.lock). Where they compute in float32 in
places, as much is allowed. No package has minGRU and minLSTM by the equations that ours follow:
those at hand have the variant in log space.
"""

import importlib
import math
import sys
import types
from pathlib import Path

import pytest
import torch

from charlens.networks import cells, network
from charlens.networks.architecture import Architecture

FOLDER = Path(__file__).parents[2] / ".venv/cells"
S, T, H = 3, 12, 8  # streams, steps, units


@pytest.fixture(autouse=True)
def packages(monkeypatch):
    """The packages can be imported, in float64 where they create tensors of their own."""
    if not FOLDER.is_dir():
        pytest.skip("no .venv/cells: make test installs the packages of these cells there")
    monkeypatch.syspath_prepend(FOLDER)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("xlstm", "mambapy", "recurrentgemma"):
            del sys.modules[name]


def normal(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(type):
    """A layer's random preactivations a [T, S, G H], its random parameters, and zero states."""
    arch, kind = Architecture(type, 1, H, 7), cells.cell(type)
    a = normal(T, S, kind.GATES * H).requires_grad_()
    shapes = kind.recurrent_shapes(H).items()
    p = {name: 0.5 * normal(*shape, seed=2 + place) for place, (name, shape) in enumerate(shapes)}
    zero = network.zero_state(arch, S).double()[0]
    return a, p, network.unpacked(arch, zero)


def by_steps(type, a, state, p):
    """h [T, S, H] and the last states, by our steps."""
    h = []
    for one in a:
        state = cells.cell(type).step(one, state, p)
        h.append(state[0])
    return torch.stack(h), state


def assert_same(ours, theirs, a, inputs=None, rtol=1e-9):
    """Outputs and their gradients by the preactivations agree."""
    weights = normal(*ours.shape, seed=9)
    grads = [torch.autograd.grad((h * weights).sum(), a, retain_graph=True)[0]
             for h in (ours, theirs)]  # fmt: skip
    torch.testing.assert_close(theirs, ours, rtol=rtol, atol=rtol)
    torch.testing.assert_close(grads[1], grads[0], rtol=rtol, atol=rtol)
    assert ours.abs().max() > 1e-2 and grads[0].abs().max() > 1e-2


def test_slstm():
    vanilla = importlib.import_module("xlstm.blocks.slstm.src.vanilla")
    a, p, state = layer("slstm")
    h, (_, ratio, _, _) = by_steps("slstm", a, state, p)
    order = [0, 1, 3, 2]  # i, f, z, o there
    theirs = torch.cat([a.chunk(4, dim=2)[gate] for gate in order], dim=2)
    r = torch.cat([p["w_h"].chunk(4, dim=1)[gate] for gate in order], dim=1)
    states, _, _ = vanilla.slstm_forward(
        theirs, torch.zeros(4, S, H, dtype=torch.float64), r.t()[None],
        torch.zeros(4 * H, dtype=torch.float64),
        vanilla.slstm_pointwise_function_registry["slstm"],
    )  # fmt: skip
    assert_same(h, states[0, 1:], a)
    torch.testing.assert_close(states[1, -1] / states[2, -1], ratio, rtol=1e-9, atol=1e-9)


def mlstm_terms(a, p):
    """q, k, v [S, 1 head, T, H], the preactivations of both gates [S, 1, T, 1], and o [T, S, H]."""
    q, k, v, o = a.chunk(4, dim=2)
    gates = torch.cat([q, k, v], dim=2) @ p["w_g"] + p["b_g"]
    heads = [part.transpose(0, 1)[:, None] for part in (q, k, v, *gates.split(1, dim=2))]
    return heads, torch.sigmoid(o)


def test_mlstm_at_once():
    backends = importlib.import_module("xlstm.blocks.mlstm.backends")
    a, p, state = layer("mlstm")
    terms, o = mlstm_terms(a, p)
    theirs = backends.parallel_stabilized_simple(*terms, eps=0.0)[:, 0].transpose(0, 1) * o
    assert_same(cells.cell("mlstm").scan(a, state, p)[0], theirs, a)


def test_mlstm_step_by_step():
    backends = importlib.import_module("xlstm.blocks.mlstm.backends")
    a, p, state = layer("mlstm")
    terms, o = mlstm_terms(a, p)
    h, (_, C, n, m) = by_steps("mlstm", a, state, p)
    theirs, states = [], (
        torch.zeros(S, 1, H, H, dtype=torch.float64), torch.zeros(S, 1, H, 1, dtype=torch.float64),
        torch.zeros(S, 1, 1, 1, dtype=torch.float64),
    )  # fmt: skip
    for t in range(T):
        # .clone(): their function reshapes its arguments in place
        now = [part[:, :, t : t + 1].clone() for part in terms]
        out, states = backends.recurrent_step_stabilized_simple(*states, *now, eps=0.0)
        theirs.append(out[:, 0, 0] * o[t])
    assert_same(h, torch.stack(theirs), a)
    for ours, other in zip((C, n, m), states, strict=True):
        torch.testing.assert_close(other.reshape(ours.shape), ours, rtol=1e-9, atol=1e-9)


def test_rglru(monkeypatch):
    bare = types.ModuleType("recurrentgemma")  # what is there imports JAX, and then all of torch's
    bare.__path__ = [str(FOLDER / "recurrentgemma")]
    torchs = types.ModuleType("recurrentgemma.torch")
    torchs.__path__ = [str(FOLDER / "recurrentgemma/torch")]
    monkeypatch.setitem(sys.modules, "recurrentgemma", bare)
    monkeypatch.setitem(sys.modules, "recurrentgemma.torch", torchs)
    layers = importlib.import_module("recurrentgemma.torch.layers")
    _, p, _ = layer("rglru")
    x = normal(T, S, H).requires_grad_()
    theirs = layers.RGLRU(H, 1).double()
    with torch.no_grad():
        theirs.a_param.copy_(-p["lambda"])  # softplus(-x) is -log sigm(x)
    r, i = (gate.w[0] for gate in (theirs.a_gate, theirs.input_gate))
    a = torch.cat([x @ r, x @ i, x], dim=2)  # all of the layer's input, as there
    before = normal(S, H, seed=5).float()  # they add up in float32
    h, last = cells.cell("rglru").scan(a, (before.double(),), p)
    positions = torch.arange(1, T + 1).expand(S, T)  # 0 would forget the state
    found, after = theirs(x.transpose(0, 1), positions, before)
    assert_same(h, found.transpose(0, 1), x, rtol=1e-5)
    torch.testing.assert_close(after.double(), last[0], rtol=1e-5, atol=1e-5)


def test_mamba():
    mamba = importlib.import_module("mambapy.mamba")
    block = mamba.MambaBlock(mamba.MambaConfig(d_model=H, n_layers=1)).double()
    _, p, state = layer("mamba")
    kind = cells.cell("mamba")
    p |= {"A_log": kind.initial(H, torch.Generator())["A_log"].double(), "b_t": p["b_t"] - 1}
    x = normal(T, S, H).requires_grad_()
    w_x = 0.5 * normal(H, 4 * H, seed=7)
    with torch.no_grad():
        for own, weight in {
            block.in_proj.weight: w_x.t(), block.conv1d.weight: p["c"].flip(0).t()[:, None],
            block.conv1d.bias: p["c_b"], block.x_proj.weight: p["w_d"].t(),
            block.dt_proj.weight: p["w_t"].t(), block.dt_proj.bias: p["b_t"],
            block.A_log: p["A_log"], block.D: p["D"], block.out_proj.weight: p["w_o"].t(),
        }.items():  # fmt: skip
            own.copy_(weight)
    h, _ = kind.scan(x @ w_x, state, p)
    assert_same(h, block(x.transpose(0, 1)).transpose(0, 1), x, rtol=1e-5)
    assert len(p["w_t"]) == block.config.dt_rank == math.ceil(H / 16)


def test_they_are_the_versions_of_the_lock():
    lock = Path(__file__).parents[2].joinpath("requirements-cells.lock").read_text()
    for name in ("xlstm", "mambapy", "recurrentgemma"):
        (info,) = FOLDER.glob(f"{name}-*.dist-info")
        version = info.name.removeprefix(f"{name}-").removesuffix(".dist-info")
        assert f"{name}=={version} " in lock
