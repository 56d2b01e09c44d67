"""Clamped units: against float64, on a network built by hand, and as tables."""

import json
import sys
import types

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_model import saved
from synthetic import run

from charlens.data import split
from charlens.errors import InputError
from charlens.networks import model_file, network
from charlens.networks.architecture import Architecture
from charlens.units import ablation
from charlens.units.ablation import Variant


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def drawn(type, layers, hidden, symbols, seed, scale=1.0):
    arch = Architecture(type, layers, hidden, symbols)
    return arch, network.initialise(arch, scale, torch.Generator().manual_seed(seed))


# ---- the clamped pass ----


def reference(type, params, x, y, layer, unit, value):
    """Log p of every y under a network with one clamped unit (None: with none), in float64, one
    stream and one unit at a time, straight from the equations: [S, n]."""
    p = {name: value.double().numpy() for name, value in params.items()}
    layers = 1 + max(int(name.split(".")[1]) for name in p if name.startswith("layers."))
    H = p["out.w"].shape[0]

    def sigm(a):
        return 1 / (1 + np.exp(-a))

    found = np.empty(x.shape)
    for s, t in np.ndindex(x.shape):
        if t == 0:
            h, c = np.zeros((layers, H)), np.zeros((layers, H))
        below = None
        for k in range(layers):
            w = {name: p[f"layers.{k}.{name}"] for name in ("w_x", "b", "w_h")}
            a = w["b"] + (w["w_x"][x[s, t]] if below is None else below @ w["w_x"])
            clamped = unit if k == layer else None
            if type == "lstm":
                i, f, o, g = np.split(a + h[k] @ w["w_h"], 4)
                c[k] = sigm(f) * c[k] + sigm(i) * np.tanh(g)
                if clamped is not None:
                    c[k, clamped] = value
                h[k] = sigm(o) * np.tanh(c[k])
            elif type == "gru":
                r, z = np.split(a[: 2 * H] + h[k] @ w["w_h"], 2)
                g = a[2 * H :] + (sigm(r) * h[k]) @ p[f"layers.{k}.w_g"] + p[f"layers.{k}.b_g"]
                h[k] = (1 - sigm(z)) * h[k] + sigm(z) * np.tanh(g)
            else:
                h[k] = np.tanh(a + h[k] @ w["w_h"])
            if clamped is not None and type != "lstm":
                h[k, clamped] = value
            below = h[k]
        logits = below @ p["out.w"] + p["out.b"]
        found[s, t] = logits[y[s, t]] - np.logaddexp.reduce(logits)
    return found


@given(
    st.sampled_from(["lstm", "gru", "rnn"]), st.integers(1, 3), st.integers(1, 6),
    st.integers(1, 3), st.integers(1, 9), st.integers(0, 999),
)  # fmt: skip
def test_a_clamped_network_is_that_of_the_equations(type, layers, hidden, S, n, seed):
    arch, params = drawn(type, layers, hidden, 5, seed)
    random = np.random.default_rng(seed)
    x, y = (torch.from_numpy(random.integers(5, size=(S, n), dtype=np.uint8)) for _ in "xy")
    own = torch.from_numpy(random.random((2, S, n)) < 0.5)
    every = [
        Variant(layer, int(random.integers(hidden)), clamp)
        for layer in range(layers)
        for clamp in ablation.CLAMPS
    ]
    values = list(random.normal(size=len(every)).astype(np.float32).astype(float))
    sums = ablation.clamped_sums(arch, params, x, y, own, every, values, "test")
    clamps = [
        (None, None, None),
        *((v.layer, v.unit, a) for v, a in zip(every, values, strict=True)),
    ]
    for k, clamped in enumerate(clamps):
        expected = reference(type, params, x.numpy(), y.numpy(), *clamped)
        np.testing.assert_allclose(sums.loss[k], -expected.sum(axis=1), rtol=1e-5, atol=1e-5)
        chance = np.exp(expected)
        np.testing.assert_allclose(sums.probability[k], chance.sum(axis=1), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            sums.own[k], (own.numpy() * chance).sum(axis=2).T, rtol=1e-5, atol=1e-5
        )


def test_clamping_a_constant_unit_to_its_mean_changes_nothing():
    arch, params = drawn("rnn", 2, 5, 7, seed=1)
    params["layers.1.w_x"][:, 2] = params["layers.1.w_h"][:, 2] = 0  # unit 2 is tanh of its bias
    lstm, its = drawn("lstm", 1, 5, 7, seed=2)
    for block, bias in enumerate((0.3, -200.0, 0.2, 1.0)):  # i, f, o, g; it forgets at once
        at = 5 * block + 3
        its["layers.0.w_x"][:, at] = its["layers.0.w_h"][:, at] = 0
        its["layers.0.b"][at] = bias
    for (a, p), layer, unit in (((arch, params), 1, 2), ((lstm, its), 0, 3)):
        random = np.random.default_rng(3)
        x, y = (torch.from_numpy(random.integers(7, size=(3, 40), dtype=np.uint8)) for _ in "xy")
        mean, variance = ablation.moments(a, p, x)
        assert variance[layer, unit] < 1e-12 and abs(mean[layer, unit]) > 0.1
        both = [Variant(layer, unit, clamp) for clamp in ablation.CLAMPS]
        values = [mean[layer, unit].item(), 0.0]
        own = torch.ones(1, 3, 40, dtype=torch.bool)
        sums = ablation.clamped_sums(a, p, x, y, own, both, values, "test")
        for of in (sums.loss, sums.probability, sums.own):
            change = (of[1:] - of[0]).abs()
            assert change[0].max() < 1e-5 and change[1].max() > 1e-2


@pytest.mark.parametrize("type", ["mingru", "slstm", "transformer", "gru+block"])
def test_networks_of_other_types_are_clamped(type, monkeypatch):
    """Whatever their states: a unit that the output ignores changes nothing, another one does, and
    in groups the same is found."""
    arch, params = drawn(type, 2, 6, 5, seed=3)
    params["out.w"][2] = 0 if "block" not in type else params["out.w"][2]
    x = (torch.arange(60).view(3, 20) % 5).to(torch.uint8)
    y = ((x + 1) % 5).to(torch.uint8)
    variants = [Variant(1, 2, "zero"), Variant(1, 3, "zero"), Variant(0, 1, "zero")]
    own = torch.ones(1, 3, 20, dtype=torch.bool)
    found = ablation.clamped_sums(arch, params, x, y, own, variants, [0.3] * 3, "test")
    change = (found.loss[1:] - found.loss[0]).abs().amax(dim=1)
    if type in ("mingru", "transformer"):  # its memory is its output, which the last layer gives
        assert change[0] < 1e-4
    assert change[1] > 1e-3 and change[2] > 1e-3
    monkeypatch.setattr(ablation, "STATES", 1)
    monkeypatch.setattr(ablation, "ROWS", 3)
    grouped = ablation.clamped_sums(arch, params, x, y, own, variants, [0.3] * 3, "test")
    torch.testing.assert_close(grouped.loss, found.loss, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(grouped.own, found.own, rtol=1e-4, atol=1e-4)


def test_a_cell_of_ones_own_is_clamped_from_the_next_step_on(monkeypatch):
    """One without gates, whose new memory is its old output, the very same tensor."""
    own = types.ModuleType("charlens.networks.cells.own")
    own.GATES, own.STATES = 1, ("h", "memory")
    own.recurrent_shapes = lambda hidden: {}
    own.step = lambda a, state, p: (torch.tanh(a + state[1]), state[0])
    monkeypatch.setitem(sys.modules, "charlens.networks.cells.own", own)
    arch, params = drawn("own", 1, 3, 5, seed=1)
    x, y = (torch.arange(10).view(2, 5) % 5).to(torch.uint8), torch.ones(2, 5, dtype=torch.uint8)
    none = torch.zeros(0, 2, 5, dtype=torch.bool)
    sums = ablation.clamped_sums(arch, params, x, y, none, [Variant(0, 1, "mean")], [0.4], "t")
    p = {name: value.double().numpy() for name, value in params.items()}
    for s in range(2):
        h, memory, loss = np.zeros(3), np.zeros(3), 0.0
        for t in range(5):
            new = np.tanh(p["layers.0.w_x"][x[s, t]] + p["layers.0.b"] + memory)
            memory, h = h.copy(), new
            memory[1] = 0.4
            logits = h @ p["out.w"] + p["out.b"]
            loss += np.logaddexp.reduce(logits) - logits[1]
        assert sums.loss[1, s].item() == pytest.approx(loss, abs=1e-5)


# ---- a network built by hand ----

OPEN, CLOSE = 0x9C, 0x9D  # the last bytes of the typographic quotation marks
HIDDEN = 6


def quoting():
    """A text with quotations, and a network of which unit 0 alone tells whether one is open.

    The mark “ sets its c to 1, ” to 0; a unit's weights on the output are large for unit 0 and the
    last byte of ”, small for the others, which follow the letters.
    """
    random = np.random.default_rng(0)
    words = lambda n: "".join(random.choice(list("ab "), n))  # noqa: E731
    text = "".join(
        words(random.integers(1, 12)) + " “" + words(random.integers(1, 12)) + "” "
        for _ in range(900)
    ).encode()
    data = split.split(text, "streams", 8, 20, (0.4, 0.1, 0.5))
    arch = Architecture("lstm", 1, HIDDEN, data.symbols)
    generator = torch.Generator().manual_seed(1)
    params = network.initialise(arch, 1.0, generator)
    params["layers.0.w_h"].zero_()
    params["out.w"].mul_(0.05)
    code = {byte: int(np.flatnonzero(data.alphabet == byte)[0]) for byte in (OPEN, CLOSE)}
    i, f, o, g = (k * HIDDEN for k in range(4))
    params["layers.0.w_x"][:, [i, f, o, g]] = 0
    params["layers.0.b"][[i, f, o, g]] = torch.tensor([-30.0, 30.0, 30.0, 0.0])
    params["layers.0.w_x"][code[OPEN], [i, g]] = torch.tensor([60.0, 30.0])
    params["layers.0.w_x"][code[CLOSE], f] = -60.0
    params["out.w"][0, code[CLOSE]] = 6.0
    params["out.b"][code[CLOSE]] = -3.0
    return text, data, arch, params


def write(folder, text, data, arch, params, units):
    """The files of a corpus, a network, and the unit found for each hypothesis (from 1)."""
    saved(folder / "m.safetensors", data, arch, corpus="code")
    about = model_file.about(folder / "m.safetensors")
    model_file.save(folder / "m.safetensors", params, about)
    split.save(folder / "code.npz", data)
    (folder / "code.txt").write_bytes(text)
    (folder / "code.json").write_text(json.dumps({"corpus": "code", "kind": "prose"}))
    rows = [("code", "lstm 1x8", name, 1, unit) for name, unit in units.items()]
    rows.append(("other", "gru 1x8", "quote", 1, 1))
    pd.DataFrame(rows, columns=ablation.FOUND).to_csv(folder / "best.csv", index=False)
    score_units(folder, units)


def score_units(folder, units, strong=()):
    """The scores of all units, from 1: of those that were found and those in `strong` high."""
    rows = [
        ("code", "lstm 1x8", name, 1, unit, 0.95 if unit in (found, *strong) else 0.4)
        for name, found in units.items()
        for unit in range(1, HIDDEN + 1)
    ]
    columns = [*ablation.FOUND, "score"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "units.csv", index=False)


def ablate(folder, *options):
    run(ablation, [
        folder / "m.safetensors", "--split", folder / "code.npz", "--text", folder / "code.txt",
        "--info", folder / "code.json", "--hypotheses", folder / "best.csv",
        "--units", folder / "units.csv",
        "--out", folder / "a/code.csv", "--effects", folder / "a/controls/code.csv", *options,
    ])  # fmt: skip
    return pd.read_csv(folder / "a/code.csv"), pd.read_csv(folder / "a/controls/code.csv")


def test_exactly_the_unit_that_carries_the_quotations_is_used(tmp_path):
    text, data, arch, params = quoting()
    for unit in range(HIDDEN):
        write(tmp_path, text, data, arch, params, {"quote": unit + 1})
        table, effects = ablate(tmp_path)
        assert list(table["clamp"]) == ["mean", "zero"] and set(table["unit"]) == {unit + 1}
        assert list(table["used"]) == [int(unit == 0)] * 2
        assert (table["controls"] == HIDDEN - 1).all()
        assert len(effects) == 2 * HIDDEN and effects["found"].sum() == 2
        if unit == 0:  # closing marks become less probable
            assert (table["own_high"] < -0.05).all()
            others = effects[effects["found"] == 0]
            assert others["own"].abs().max() < 0.2 * table["own"].abs().min()


# ---- effects ----


def test_the_table_of_a_network(tmp_path, capsys):
    text, data, arch, params = quoting()
    units = {"quote": 2, "line_position": 4, "capitalised": 2}
    write(tmp_path, text, data, arch, params, units)
    table, effects = ablate(tmp_path, "--controls", 3, "--characters", 50)
    asked = ["wanted", "characters", "samples", "seed"]  # as the command line says
    assert list(table.columns) == ablation.COLUMNS
    assert list(effects.columns) == [*ablation.EFFECTS, *asked]
    assert effects[asked].drop_duplicates().to_numpy().tolist() == [[3, 50, 1000, 0]]
    assert set(table["corpus"]) == {"code"} and set(table["model"]) == {"lstm 1x8"}
    assert list(table["hypothesis"]) == [name for name in units for _ in range(2)]
    assert (table["controls"] == 3).all()
    assert not set(effects[effects["found"] == 0]["unit"]) & {2, 4}
    quote = table[table["hypothesis"] == "quote"].set_index("clamp")
    same = table[table["hypothesis"] == "capitalised"].set_index("clamp")
    assert (quote[["loss", "low", "high"]] == same[["loss", "low", "high"]]).all(axis=None)
    # there is no capital and no line break in the text
    empty = table[table["hypothesis"] != "quote"]
    assert empty[["own", "own_low", "own_high"]].isna().all(axis=None)
    assert (empty["used"] == 0).all()
    assert (quote["low"] <= quote["loss"]).all() and (quote["loss"] <= quote["high"]).all()
    # by hand, in float64
    x, y = (codes[:, :50] for codes in (data.test.x, data.test.y))
    first = activations_of_c(params, x)[:, :, 1]
    closing = np.zeros(y.shape, bool)
    at = data.test.at[:, None] + np.arange(50)
    for k in range(3):
        closing |= np.isin(at - k, np.flatnonzero([text[b : b + 3] == "”".encode()
                                                   for b in range(len(text))]))  # fmt: skip
    for clamp, value in (("mean", first.mean()), ("zero", 0.0)):
        before = reference("lstm", params, x, y, None, None, None)
        after = reference("lstm", params, x, y, 0, 1, value)
        assert quote.loc[clamp, "loss"] == pytest.approx((before - after).mean(), abs=2e-6)
        change = (np.exp(after) - np.exp(before))[closing].mean()
        assert quote.loc[clamp, "own"] == pytest.approx(change, abs=2e-6)
    assert "code lstm 1x8 quote: 1.2 to mean: loss " in capsys.readouterr().out
    before = (tmp_path / "a/code.csv").read_bytes()
    ablate(tmp_path, "--controls", 3, "--characters", 50)
    assert (tmp_path / "a/code.csv").read_bytes() == before


def activations_of_c(params, x):
    """c of every unit of a one-layer LSTM without recurrent weights, float64 [S, n, H]."""
    w, b = params["layers.0.w_x"].double().numpy(), params["layers.0.b"].double().numpy()
    i, f, _, g = np.split(w[x] + b, 4, axis=2)
    c = np.zeros(i.shape)
    for t in range(x.shape[1]):
        before = c[:, t - 1] if t else 0
        c[:, t] = before / (1 + np.exp(-f[:, t])) + np.tanh(g[:, t]) / (1 + np.exp(-i[:, t]))
    return c


def test_controls_are_the_nearest_in_variance():
    variance = np.array([1.0, 5.0, 1.2, 0.7, 3.0, 1.1])
    assert ablation.nearest(variance, 0, [], 2) == [5, 2]
    assert ablation.nearest(variance, 0, [5, 3], 3) == [2, 4, 1]
    assert ablation.nearest(variance, 0, [1, 2, 3, 4], 50) == [5]


@pytest.mark.parametrize(
    "own, controls, expected",
    [
        ((-0.3, -0.4, -0.2), [0.1, -0.2], True),
        ((0.3, 0.2, 0.4), [0.1, -0.2], True),  # it raises the probability, and more than any
        ((-0.3, -0.4, -0.2), [0.1, -0.31], False),
        ((-0.3, -0.4, -0.2), [0.31, 0.0], False),
        ((-0.3, -0.7, 0.1), [0.1, -0.2], False),  # it may have no effect
        ((-0.3, np.nan, np.nan), [0.1, -0.2], False),
        ((np.nan,) * 3, [np.nan], False),
        ((-0.3, -0.4, -0.2), [], False),  # beside nothing
    ],
)
def test_a_unit_is_used_where_its_effect_is_beyond_all_controls(own, controls, expected):
    assert ablation.used(own, np.array(controls)) is expected


def test_intervals_cover_the_streams():
    random = np.random.default_rng(0)
    S, inside, repeats = 60, 0, 300
    for seed in range(repeats):
        loss, counts = random.normal(2.0, 5.0, (1, S)), random.integers(0, 9, (S, 1))
        own = (0.1 * counts.T + random.normal(0, 0.3, (1, S)) * counts.T)[..., None]
        changes = ablation.Changes(
            loss, own, own.sum(axis=2), counts, 10, ablation.stream_draws(S, 300, seed)
        )
        value, low, high = changes.of_loss(0)
        assert value == pytest.approx(loss.mean() / 10) and low < value < high
        _, low, high = changes.of_own(0, 0)
        inside += low < 0.1 < high
    assert 0.88 < inside / repeats < 0.98


def test_two_streams_are_too_few_for_an_interval():
    counts = np.array([[3], [0], [2], [0]])
    own = np.array([[-0.6], [0.0], [-0.4], [0.0]])[None]
    changes = ablation.Changes(
        own[..., 0], own, own[..., 0], counts, 10, ablation.stream_draws(4, 100, 0)
    )
    value, low, high = changes.of_own(0, 0)
    assert value == pytest.approx(-0.2) and np.isnan([low, high]).all()


@pytest.mark.parametrize(
    "row, message",
    [
        (("code", "lstm 3x9", "quote", 1, 1), "has units of lstm 3x9, not of lstm 1x8"),
        (("code", "lstm 1x8", "quote", 1, 7), "lstm 1x8 has no unit 7 in layer 1"),
        (("code", "lstm 1x8", "colour", 1, 1), "no hypothesis 'colour'"),
    ],
)
def test_bad_tables_are_named(tmp_path, row, message):
    path = tmp_path / "best.csv"
    pd.DataFrame([row], columns=ablation.FOUND).to_csv(path, index=False)
    arch, about = Architecture("lstm", 1, 6, 5), {"corpus": "code", "size": 8}
    with pytest.raises(InputError, match=message):
        ablation.found_units(path, arch, about)
    path.write_text("corpus,model\n")
    with pytest.raises(InputError, match="has no column hypothesis"):
        ablation.found_units(path, arch, about)


def test_units_that_follow_the_hypothesis_too_are_no_controls_of_it(tmp_path):
    text, data, arch, params = quoting()
    units = {"quote": 1, "line_position": 2}
    write(tmp_path, text, data, arch, params, units)
    score_units(tmp_path, {"quote": 1}, strong=[3, 4])
    scores = pd.read_csv(tmp_path / "units.csv")
    score_units(tmp_path, {"line_position": 2})
    scores = pd.concat([scores, pd.read_csv(tmp_path / "units.csv").assign(score=0.2)])
    scores.to_csv(tmp_path / "units.csv", index=False)
    table, effects = ablate(tmp_path)
    controls = effects[effects["found"] == 0].groupby("hypothesis")["unit"].agg(set)
    every = set(range(1, HIDDEN + 1))
    assert controls["quote"] == every - {1, 2, 3, 4}
    assert controls["line_position"] == every - {1, 2}
    assert set(table[table["hypothesis"] == "quote"]["controls"]) == {HIDDEN - 4}
    scores[scores["hypothesis"] == "quote"].to_csv(tmp_path / "units.csv", index=False)
    with pytest.raises(InputError, match="units.csv: no score on line_position of unit 2 in layer"):
        ablate(tmp_path)


def test_nothing_found_makes_empty_tables(tmp_path):
    text, data, arch, params = quoting()
    write(tmp_path, text, data, arch, params, {})
    table, effects = ablate(tmp_path)
    assert table.empty and effects.empty and list(table.columns) == ablation.COLUMNS
