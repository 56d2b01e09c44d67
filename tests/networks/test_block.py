"""The block around a cell, against a numpy version; counts, budgets, pieces, names."""

import math

import modern64
import numpy as np
import pytest
import torch

from charlens.networks import architecture, cells, network, version
from charlens.networks.architecture import Architecture
from charlens.networks.cells import lstm
from charlens.networks.version import version as version_of_type

erf = np.vectorize(math.erf)


def normal(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn(type, layers=2, hidden=5, symbols=7):
    arch = Architecture(type, layers, hidden, symbols)
    params = {
        name: 0.5 * normal(*shape, seed=place)
        for place, (name, shape) in enumerate(architecture.shapes(arch).items())
    }
    x = torch.randint(symbols, (3, 6), generator=torch.Generator().manual_seed(1)).byte()
    return arch, params, x


def rms(x, gain):
    return gain * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)


def by_hand(arch, params, x):
    """Logits [S, T, K] of minGRUs in blocks, from a zero state."""
    p = {name: value.numpy() for name, value in params.items()}
    states = [np.zeros((len(x), arch.hidden)) for _ in range(arch.layers)]
    logits = []
    for t in range(x.shape[1]):
        u = p["embed.w"][x[:, t].numpy()]
        for layer in range(arch.layers):
            own = {n.split(".", 2)[2]: w for n, w in p.items() if n.startswith(f"layers.{layer}.")}
            a = rms(u, own["block.norm"]) @ own["w_x"] + own["b"]
            (states[layer],) = modern64.mingru(a, [states[layer]], own)
            y = u + states[layer]
            gate, value = np.split(rms(y, own["block.mlp_norm"]) @ own["block.w_in"], 2, axis=-1)
            u = y + (gate * (1 + erf(gate / 2**0.5)) / 2 * value) @ own["block.w_out"]
        logits.append(rms(u, p["out.norm"]) @ p["out.w"] + p["out.b"])
    return np.stack(logits, axis=1)


def test_the_equations():
    arch, params, x = drawn("mingru+block")
    logits, _ = network.forward(arch, params, x, network.zero_state(arch, 3).double())
    np.testing.assert_allclose(logits, by_hand(arch, params, x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("type", ["lstm+block", "gru+block+adamw", "mlstm+block"])
def test_pieces_and_steps_equal_the_whole(type):
    arch, params, x = drawn(type)
    begin = network.zero_state(arch, 3).double()
    whole, end = network.forward(arch, params, x, begin)
    first, middle = network.forward(arch, params, x[:, :2], begin)
    second, last = network.forward(arch, params, x[:, 2:], middle, record=lambda *_: None)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)


def test_dropout_acts_on_the_cells_output():
    arch, params, x = drawn("mingru+block", layers=1)
    begin = network.zero_state(arch, 3).double()
    nothing, _ = network.forward(arch, params, x, begin, torch.zeros(1, 6, 3, 5).double())
    without = params | {"layers.0.w_x": torch.zeros(5, 10).double()}
    without["layers.0.b"] = torch.zeros(10).double()
    torch.testing.assert_close(nothing, network.forward(arch, without, x, begin)[0])


def test_counts_by_hand():
    K, H = 87, 10
    block = 2 * H + H * 4 * H + 2 * H * H
    lstm = 4 * H * (H + H + 1)
    ends = K * H + H + K * (H + 1)  # embedding, last normalisation, classifier
    assert architecture.count(Architecture("lstm+block", 3, H, K)) == 3 * (lstm + block) + ends


def test_it_begins_with_gains_of_one():
    arch = Architecture("lstm+block", 2, 5, 7)
    params = network.initialise(arch, 0.08, torch.Generator().manual_seed(1))
    gains = [p for name, p in params.items() if name.endswith("norm")]
    assert len(gains) == 5 and all((gain == 1).all() for gain in gains)
    assert params["layers.1.block.w_in"].abs().max() <= 0.08


def test_a_parameter_of_the_cell_may_be_called_norm(monkeypatch):
    monkeypatch.setattr(lstm, "recurrent_shapes", lambda hidden: {"norm": (hidden, hidden)})
    params = network.initialise(Architecture("lstm+block", 1, 5, 7), 0.08, torch.Generator())
    assert (params["layers.0.norm"].abs() <= 0.08).all()
    assert (params["layers.0.block.norm"] == 1).all()


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_budgets_include_the_block(layers):
    budget = architecture.count(Architecture("lstm", 1, 128, 87))
    hidden = architecture.hidden_size("gru+block", layers, 128, 87)
    ours = architecture.count(Architecture("gru+block", layers, hidden, 87))
    assert abs(ours - budget) < 0.02 * budget


def test_types_with_additions(monkeypatch):
    arch = Architecture("lstm+block+adamw", 1, 5, 7)
    assert arch.cell == "lstm" and arch.block and not Architecture("lstm+adamw", 1, 5, 7).block
    assert cells.cell("lstm+adamw") is cells.cell("lstm")
    assert version_of_type("lstm+block+adamw") == "1.1+block1+adamw1"
    monkeypatch.setattr(version, "BLOCK", 2)
    version_of_type.cache_clear()
    assert version_of_type("gru+block") == "1.1+block2" and version_of_type("gru") == "1.1"
    version_of_type.cache_clear()
