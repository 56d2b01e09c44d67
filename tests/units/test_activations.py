"""Gates and states: against float64, in windows and in one piece, and as a file."""

import errno
import json
import os
import sys
import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_model import saved
from synthetic import run

from charlens.data import split
from charlens.errors import InputError
from charlens.networks import network
from charlens.networks.architecture import Architecture
from charlens.units import activations, emergence, saturation


def by_hand(type, params, x, state):
    """Every gate and state in float64, straight from the equations: name -> [layers, S, T, H]."""
    params = {name: p.double() for name, p in params.items()}
    state = state.double().clone()
    found = {}
    for t in range(x.shape[1]):
        y = None
        for layer in range(len(state)):
            w = {
                n.split(".", 2)[2]: p for n, p in params.items() if n.startswith(f"layers.{layer}")
            }
            into = w["b"] + (w["w_x"][x[:, t].long()] if y is None else y @ w["w_x"])
            h = state[layer, 0]
            if type == "lstm":
                i, f, o, g = (into + h @ w["w_h"]).chunk(4, dim=1)
                seen = {"i": i.sigmoid(), "f": f.sigmoid(), "o": o.sigmoid(), "g": g.tanh()}
                seen["c"] = seen["f"] * state[layer, 1] + seen["i"] * seen["g"]
                seen["h"] = seen["o"] * seen["c"].tanh()
                state[layer, 1] = seen["c"]
            elif type == "gru":
                into_r, into_z, into_g = into.chunk(3, dim=1)
                of_r, of_z = (h @ w["w_h"]).chunk(2, dim=1)
                seen = {"r": (into_r + of_r).sigmoid(), "z": (into_z + of_z).sigmoid()}
                seen["g"] = (into_g + (seen["r"] * h) @ w["w_g"] + w["b_g"]).tanh()
                seen["h"] = (1 - seen["z"]) * h + seen["z"] * seen["g"]
            else:
                seen = {"h": (into + h @ w["w_h"]).tanh()}
            state[layer, 0] = y = seen["h"]
            for name, value in seen.items():
                found.setdefault(name, {})[layer, t] = value
    layers, steps = range(len(state)), range(x.shape[1])
    return {
        name: torch.stack([torch.stack([at[k, t] for t in steps], 1) for k in layers])
        for name, at in found.items()
    }, state


def drawn(type, layers, hidden, symbols, seed, scale=0.5):
    arch = Architecture(type, layers, hidden, symbols)
    return arch, network.initialise(arch, scale, torch.Generator().manual_seed(seed))


def test_what_each_cell_shows():
    assert activations.names("lstm") == ("i", "f", "o", "g", "c", "h")
    assert activations.names("gru") == ("r", "z", "g", "h")
    assert activations.names("rnn") == ("h",)


def test_units_are_scored_on_memories_of_which_tanh_is_constant():
    """The c of an LSTM counts to 60; probes read what a layer passes on."""
    arch = Architecture("lstm", 1, 1, 2)
    params = network.initialise(arch, 0.0, torch.Generator())
    params["layers.0.b"] += 100  # every gate is open
    x = torch.zeros(40, 60, dtype=torch.uint8)
    values = np.empty((1, 40, 60), np.float16)
    saturation.observe(arch, params, x, values)
    counted = np.arange(1, 61)
    assert (values == counted).all()
    at = np.broadcast_to(counted, (40, 60))
    labels = {"position": (at, np.ones((40, 60), bool), False)}
    assert emergence.strengths(arch, params, x.numpy(), labels)["strength_position"] > 0.95
    state = torch.tensor([1.0, -40.0, -50.0])
    assert torch.equal(activations.read_by_probes("mingru", state), state)
    assert torch.equal(activations.read_by_probes("lstm", state), state.tanh())
    assert torch.equal(activations.as_shown("mingru", state), state.tanh())


def test_an_untrained_network_begins_as_the_trained_one_did():
    arch = Architecture("gru", 2, 5, 7)
    for about, scale in (({"recipe": {"init": 0.02}}, 0.02), ({}, 0.08)):
        values = torch.cat([p.flatten() for p in activations.untrained(arch, about, 3).values()])
        assert 0.9 * scale < values.abs().max() <= scale


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(["lstm", "gru", "rnn"]), st.integers(1, 3), st.integers(1, 9),
    st.integers(1, 5), st.integers(1, 12), st.integers(0, 999),
)  # fmt: skip
def test_every_gate_and_state_is_that_of_the_equations(type, layers, hidden, S, T, seed):
    arch, params = drawn(type, layers, hidden, 7, seed)
    random = torch.Generator().manual_seed(seed)
    x = torch.randint(7, (S, T), generator=random).to(torch.uint8)
    state = torch.randn(network.zero_state(arch, S).shape, generator=random)
    expected, after = by_hand(type, params, x, state)
    found = activations.activations(arch, params, x, state)
    assert tuple(found) == activations.names(type)
    for name, values in found.items():
        assert values.dtype == torch.float32 and values.shape == (layers, S, T, hidden)
        torch.testing.assert_close(values.double(), expected[name], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.double(), after, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("type", ["lstm", "gru", "rnn"])
def test_windows_are_the_whole_to_the_bit(type, monkeypatch):
    arch, params = drawn(type, 3, 37, 11, seed=1)
    x = torch.randint(11, (5, 61), generator=torch.Generator().manual_seed(2))
    whole = activations.activations(arch, params, x, network.zero_state(arch, 5))
    for window in (1, 7, 60, 100):
        monkeypatch.setattr(activations, "WINDOW", window)
        pieces = list(activations.in_windows(arch, params, x))
        for name, values in whole.items():
            assert torch.equal(torch.cat([piece[name] for _, piece in pieces], 2), values)


@pytest.mark.parametrize("type", ["lstm", "gru", "rnn"])
def test_h_is_what_the_network_predicts_from(type):
    arch, params = drawn(type, 2, 8, 11, seed=3)
    x = torch.randint(11, (4, 30), generator=torch.Generator().manual_seed(2))
    logits, after = network.forward(arch, params, x, network.zero_state(arch, 4))
    state = network.zero_state(arch, 4)
    (h,) = activations.activations(arch, params, x, state, only=["h"]).values()
    ours = h[-1] @ params["out.w"] + params["out.b"]
    torch.testing.assert_close(ours, logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state, after, rtol=1e-4, atol=1e-5)


def test_a_cell_that_names_no_gates_shows_its_states(monkeypatch):
    own = types.ModuleType("charlens.networks.cells.own")
    own.GATES, own.STATES = 1, ("h", "memory")
    own.recurrent_shapes = lambda hidden: {}
    own.step = lambda a, state, p: (torch.tanh(a + state[1]), state[0])
    monkeypatch.setitem(sys.modules, "charlens.networks.cells.own", own)
    assert activations.names("own") == ("memory", "h")
    arch, params = drawn("own", 2, 3, 5, seed=1)
    x = torch.arange(5).view(1, 5)
    found = activations.activations(arch, params, x, network.zero_state(arch, 1))
    assert torch.equal(found["memory"][:, :, 1:], found["h"][:, :, :-1])


def test_a_cell_without_a_state_per_unit_is_named(monkeypatch):
    own = types.ModuleType("charlens.networks.cells.own")
    own.GATES, own.STATES, own.MEMORY = 1, ("h", "C"), None
    own.state_shapes = lambda hidden: {"C": (hidden, hidden)}
    own.recurrent_shapes = lambda hidden: {}
    own.step = lambda a, state, p: (a, state[1])
    monkeypatch.setitem(sys.modules, "charlens.networks.cells.own", own)
    assert activations.names("own") == ("h",)
    arch, params = drawn("own", 1, 3, 5, seed=1)
    with pytest.raises(InputError, match="type own has no state per unit .MEMORY in cells/own.py"):
        next(activations.memories(arch, params, torch.zeros(1, 5, dtype=torch.uint8)))


# ---- the file ----


def counting(function, lengths):
    """The function, which notes how many characters each call reads."""

    def counted(arch, params, x, *rest):
        lengths.append(x.shape[1])
        return function(arch, params, x, *rest)

    return counted


def recorded(tmp_path, data, *options, type="lstm"):
    arch = Architecture(type, 2, 6, data.symbols)
    params = saved(tmp_path / "m.safetensors", data, arch)
    split.save(tmp_path / "s.npz", data)
    out = tmp_path / "x.npz"
    run(activations, [tmp_path / "m.safetensors", "--split", tmp_path / "s.npz", *options,
                      "--out", out])  # fmt: skip
    return arch, params, dict(np.load(out))


def test_a_stretch_of_two_streams_in_a_file(tmp_path, data, monkeypatch):
    monkeypatch.setattr(activations, "WINDOW", 5)
    options = ("--streams", 3, 1, "--characters", 12)
    begun = []
    monkeypatch.setattr(activations, "activations", counting(activations.activations, begun))
    arch, params, arrays = recorded(tmp_path, data, *options)
    x = torch.from_numpy(data.test.x[[3, 1], :12])
    expected, _ = by_hand("lstm", params, x, network.zero_state(arch, 2))
    assert begun == [5, 5, 2]
    for name, values in expected.items():
        assert arrays[name].dtype == np.float32
        np.testing.assert_allclose(arrays[name], values, rtol=1e-4, atol=1e-5)
    assert (arrays["x"] == data.test.x[[3, 1], :12]).all()
    assert (arrays["y"] == data.test.y[[3, 1], :12]).all()
    assert list(arrays["at"]) == list(data.test.at[[3, 1]])
    about = json.loads(str(arrays["about"]))
    assert about["type"] == "lstm" and about["streams"] == [3, 1] and about["characters"] == 12
    assert bytes.fromhex(about["alphabet"]) == arrays["alphabet"].tobytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".tmp")]
    # the same once more: the same bytes
    first = (tmp_path / "x.npz").read_bytes()
    recorded(tmp_path, data, *options)
    assert (tmp_path / "x.npz").read_bytes() == first


def test_some_names_alone_and_all_of_a_stream(tmp_path, data):
    _, _, arrays = recorded(tmp_path, data, "--only", "f", "c", "--characters", 10**6)
    assert set(arrays) == {"f", "c", "about", "alphabet", "at", "x", "y"}
    assert arrays["c"].shape == (2, 1, data.test.x.shape[1], 6)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--only", "z"], "--only z: a cell of type lstm has i, f, o, g, c, h"),
        (["--streams", 4], "--streams 4: there are streams 0 to 3"),
    ],
)
def test_what_cannot_be_recorded_is_said(tmp_path, data, options, message):
    with pytest.raises(InputError, match=message):
        recorded(tmp_path, data, *options)


def test_an_nn_has_no_gates_or_states(tmp_path, data):
    saved(tmp_path / "n.safetensors", data, Architecture("nn", 1, 6, data.symbols, context=2))
    with pytest.raises(InputError, match="no gates or states"):
        activations.load_recurrent(tmp_path / "n.safetensors", data)


def test_a_full_disk_is_an_error_before_the_file_is_filled(tmp_path, monkeypatch):
    """And not a bus error while it is."""
    asked = []

    def full(handle, offset, size):
        asked.append(size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)  # which macOS lacks
    with pytest.raises(InputError, match=r"no space left on device while writing .*values\.npy"):
        activations.mapped(tmp_path / "values.npy", np.float16, (10, 4, 100))
    assert asked[0] >= 2 * 10 * 4 * 100


def test_a_system_that_allocates_nothing_ahead_records_all_the_same(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    made = activations.mapped(tmp_path / "values.npy", np.float16, (2, 3))
    assert made.shape == (2, 3) and (tmp_path / "values.npy").exists()
