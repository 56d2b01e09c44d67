"""The search for units: scores against slow and independent ones, planted units, and the null."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import kendalltau, rankdata, spearmanr
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from charlens.errors import InputError
from charlens.networks import architecture, network
from charlens.statistics import bootstrap
from charlens.text.hypotheses import HYPOTHESES, labellings
from charlens.units import activations, selectivity


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)  # many small products: more threads only wait for each other
    with threadpool_limits(1):
        yield


# ---- scores ----


def of_each_stream(code, bins, level, top):
    """A contingency table of each stream."""
    return selectivity.contingency_tables(code, bins, level, top, np.arange(len(code)))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 9), st.integers(2, 6), st.integers(2, 5))
def test_scores_are_those_of_the_pooled_characters(seed, bins, top, streams):
    rng = np.random.default_rng(seed)
    code = rng.integers(bins, size=(streams, 30))
    level = (code * top // bins + rng.integers(top, size=code.shape)) % (top + 1)  # top: undefined
    weights = rng.integers(3, size=(2, streams)).astype(float)
    weights[:, 0] += 1
    parts = selectivity.pairs(of_each_stream(code, bins, level, top))
    for row, found in zip(weights, selectivity.scores(weights, parts, yes_no=False), strict=True):
        # the resample itself: every stream as often as it was drawn
        drawn = np.repeat(np.arange(streams), row.astype(int))
        x, y = code[drawn].ravel(), level[drawn].ravel()
        expected = kendalltau(x[y < top], y[y < top]).statistic
        assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 9))
def test_area_under_the_curve(seed, bins):
    rng = np.random.default_rng(seed)
    code, level = rng.integers(bins, size=(4, 40)), rng.integers(3, size=(4, 40))
    level[0, :2] = 0, 1
    weights = np.array([[1, 1, 1, 1], [2, 0, 1, 1]], float)
    parts = selectivity.pairs(of_each_stream(code, bins, level, 2))
    for row, found in zip(weights, selectivity.scores(weights, parts, yes_no=True), strict=True):
        drawn = np.repeat(np.arange(4), row.astype(int))
        x, y = code[drawn].ravel(), level[drawn].ravel()
        assert found == pytest.approx(roc_auc_score(y[y < 2], x[y < 2]), abs=1e-6)


def test_no_score_without_both_kinds():
    level = np.array([[0, 0, 0], [1, 0, 1]])
    parts = selectivity.pairs(of_each_stream(np.array([[0, 1, 2], [0, 1, 2]]), 3, level, 2))
    found = selectivity.scores(np.array([[2.0, 0.0], [1.0, 1.0]]), parts, yes_no=True)
    assert np.isnan(found[0]) and not np.isnan(found[1])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-4, 4, width=16), min_size=8, max_size=60))
def test_bins_keep_the_order_and_ranks_are_midranks(values):
    values = np.array(values, np.float16)
    values = values[: len(values) // 4 * 4].reshape(4, -1)
    streams = np.array([1, 3])
    keys = selectivity.ordered(values)
    bins, ranks = selectivity.bins_of(keys), selectivity.ranks_of(keys[streams])
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(bins.ravel()[order].astype(int)) >= 0).all()
    same = np.diff(values.ravel()[order]) == 0  # -0 is 0
    assert (np.diff(bins.ravel()[order].astype(int))[same] == 0).all()
    expected = rankdata(values[streams]) - (values[streams].size + 1) / 2
    if expected.any():
        expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(ranks.ravel(), expected, atol=1e-6)


def test_bins_are_even():
    values = np.random.default_rng(0).normal(size=(10, 5000)).astype(np.float16)
    bins = selectivity.bins_of(selectivity.ordered(values))
    counts = np.bincount(bins.ravel(), minlength=selectivity.BINS)
    assert (
        counts.min() > 0.5 * 50_000 / selectivity.BINS
        and counts.max() < 2 * 50_000 / selectivity.BINS
    )


def test_levels_of_a_count():
    values, defined = np.array([[5, 5, 9, 7], [9, 0, 7, 7]]), np.ones((2, 4), bool)
    defined[1, 1] = False  # the only 0
    level, top = selectivity.levels(values, defined, yes_no=False)
    assert top == 3 and level.tolist() == [[0, 0, 2, 1], [2, 3, 1, 1]]
    many = np.random.default_rng(0).integers(1000, size=(2, 5000))
    level, top = selectivity.levels(many, np.ones_like(many, bool), yes_no=False)
    assert top == selectivity.LEVELS and np.bincount(level.ravel()).min() > 200
    assert (np.diff(level.ravel()[np.argsort(many.ravel())]) >= 0).all()


def test_correlations_are_spearmans_and_labels_are_shifted():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 4, 50)).astype(np.float16)
    level = rng.integers(4, size=(4, 50))
    streams = np.array([1, 3])
    keys = [selectivity.ordered(v)[streams] for v in values]
    ranks = np.stack([selectivity.ranks_of(its).ravel() for its in keys])
    label = selectivity.label_ranks(level[streams], 4)[None]
    shifted = selectivity.circular_shifts(2, 50, 5, seed=1)
    found = selectivity.correlations(ranks, label, shifted)
    assert found.shape == (5, 3, 1)
    for k in range(5):
        moved = np.stack([np.roll(level[streams][s], -shifted[k, s, 0]) for s in range(2)])
        for u in range(3):
            expected = spearmanr(values[u][streams].ravel(), moved.ravel()).statistic
            assert found[k, u, 0] == pytest.approx(expected, abs=1e-5)
    assert (shifted[:, :, 0] != 0).all()  # never the true place


# ---- units planted among real activations ----

WORDS = [b.decode() for b in b"the old Prince said that Anna never came from war to Pierre".split()]


def some_prose(rng: random.Random) -> bytes:
    """Paragraphs with speech and brackets, some of them indented, in short lines."""
    text = []
    for _ in range(150):
        words = rng.choices(WORDS, k=rng.randint(8, 30))
        if rng.random() < 0.6:
            begin = rng.randrange(len(words) - 4)
            mark = rng.choice(['""', "()", '""'])
            words[begin] = mark[0] + words[begin]
            end = rng.randrange(begin + 2, len(words))
            words[end] += mark[1]
        indent = rng.choice(["", "    "])
        lines, line = [], indent
        for word in words:
            if len(line) + len(word) > 40:
                lines.append(line)
                line = indent
            line += (" " if line.strip() else "") + word
        text.append("\n".join([*lines, line]))
    return "\n\n".join(text).encode()


def some_code(rng: random.Random) -> bytes:
    """Functions with nested conditions, calls, comments, literals and preprocessor lines."""

    def call(depth):
        inner = call(depth - 1) if depth else rng.choice(["x", "Buffer[2]", '"a string"', "'c'"])
        return f"{rng.choice(['get', 'Set', 'run_all'])}({inner}, {rng.choice('abc')})"

    def block(depth, indent):
        lines = []
        for _ in range(rng.randint(1, 3)):
            tabs = "\t" * indent
            kind = rng.random()
            if kind < 0.35 and depth:
                lines.append(f"{tabs}if ({call(1)}) {{")
                lines += block(depth - 1, indent + 1)
                lines.append(f"{tabs}}}")
            elif kind < 0.5:
                lines.append(f"{tabs}/* a word about {rng.choice(WORDS)} and so on */")
            elif kind < 0.6:
                lines += [f"{tabs}if (a == b)", f"{tabs}\treturn {call(0)};"]
            else:
                lines.append(f"{tabs}x = {call(rng.randint(0, 3))};")
        return lines

    text = []
    for k in range(60):
        if rng.random() < 0.5:
            text.append(f"#define NAME_{k}(x) \\\n\tfirst(x) + {k}")
        text.append("\n".join([f"int f{k}(int a)", "{", *block(3, 1), "}", ""]))
    return "\n".join(text).encode()


STREAMS, UNITS = 10, 10


@pytest.fixture(scope="module", params=["prose", "code"])
def recorded(request):
    """Cells of a random network over a text [U, S, n], and the text's labels."""
    rng = random.Random(1)
    text = (some_prose if request.param == "prose" else some_code)(rng)
    n = len(text) // STREAMS
    codes = np.frombuffer(text[: STREAMS * n], np.uint8)
    alphabet, codes = np.unique(codes, return_inverse=True)
    arch = architecture.Architecture("lstm", 1, UNITS, len(alphabet))
    params = network.initialise(arch, 1.0, torch.Generator().manual_seed(1))
    x = torch.from_numpy(codes.reshape(STREAMS, n))
    c = torch.cat([w["c"] for _, w in activations.in_windows(arch, params, x, ["c"])], 2)
    values = torch.tanh(c[0]).permute(2, 0, 1).numpy().astype(np.float16)
    read = np.arange(STREAMS * n).reshape(STREAMS, n)
    yes_no = {h.name: h.yes_no for h in HYPOTHESES}
    found = {
        name: (of.values[read], of.defined[read], yes_no[name])
        for name, of in labellings(text, request.param).items()
    }
    return request.param, values, found


def test_every_planted_unit_is_found(recorded):
    """For each hypothesis one unit is replaced by its labelling and noise: it comes first."""
    kind, values, truth = recorded
    rng = np.random.default_rng(2)
    planted = np.concatenate([values, values[: len(truth)]])
    flips = {}
    for unit, name in enumerate(truth):
        value, defined, _ = truth[name]
        signal = np.where(defined, value, 0).astype(float)
        noise = 0.5 * signal[defined].std() * rng.normal(size=signal.shape)
        flips[name] = -1 if unit % 2 else 1  # off instead of on is found as well
        planted[unit] = flips[name] * (signal + noise) / signal.max()
    found = selectivity.search(planted, truth, samples=100, shifts=250, seed=0)
    assert found.hypotheses == [h.name for h in HYPOTHESES if kind in h.label]
    for unit, name in enumerate(found.hypotheses):
        for scores in (found.picked, found.score):
            strength = selectivity.strength(scores, found.yes_no)[:, unit]
            assert strength.argmax() == unit, (kind, name, strength)
        assert found.beyond[unit, unit], name
        score = found.score[unit, unit]
        assert found.low[unit, unit] <= score <= found.high[unit, unit]
        assert (score < (0.5 if found.yes_no[unit] else 0)) == (flips[name] < 0), name


def test_units_that_know_nothing_are_not_found(recorded):
    """Slow and fast noise, with memories as long as any label's: nothing is beyond the null."""
    _, values, truth = recorded
    _, S, n = values.shape
    hits = 0
    for seed in range(3):
        noise = np.random.default_rng(seed).normal(size=(6, S, n))
        for unit in range(6):
            noise[unit] = lfilter([1], [1, 1 / 2 ** (unit / 1.2) - 1], noise[unit])
        noise = np.tanh(noise / noise.std(axis=(1, 2), keepdims=True)).astype(np.float16)
        hits += selectivity.search(noise, truth, 20, 250, seed).beyond.any()
    assert hits <= 1  # each at 5%


def test_intervals_are_those_of_resampled_streams():
    rng = np.random.default_rng(3)
    label = rng.integers(2, size=(12, 40))
    values = (label * rng.uniform(0, 2, (12, 1)) + rng.normal(size=(12, 40))).astype(np.float16)
    defined = np.ones_like(label, bool)
    found = selectivity.search(values[None], {"a": (label, defined, True)}, 150, 40, seed=5)
    weights = bootstrap.stream_draws(6, 150, 5)
    assert (weights.sum(axis=1) == 6).all()
    odd = np.arange(1, 12, 2)
    slow = []
    for row in weights:
        drawn = np.repeat(odd, row.astype(int))
        slow.append(roc_auc_score(label[drawn].ravel(), values[drawn].ravel()))
    assert found.score[0, 0] == pytest.approx(
        roc_auc_score(label[odd].ravel(), values[odd].ravel()), abs=2e-3
    )
    assert found.low[0, 0] == pytest.approx(np.percentile(slow, 2.5), abs=3e-3)
    assert found.high[0, 0] == pytest.approx(np.percentile(slow, 97.5), abs=3e-3)


def test_units_that_are_hardly_ever_active_are_not_found():
    """Each of 200 independent units meets a rare label once, by one shift of 250 or without one."""
    hits, shifts = 0, 250
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = 1e-9 * rng.normal(size=(shifts + 1, 200, 1))  # rounding
        found[rng.integers(shifts + 1, size=200), np.arange(200), 0] += 0.02
        hits += selectivity.beyond_null(found[0], found[1:]).any()
    assert hits <= 6  # each at 5%: more in 1.4% of all cases


def test_what_streams_differ_in_is_no_finding_and_hides_none():
    """Some streams have more "yes", and both units are higher in these; shifted labels know that,
    too. One unit is a little lower at each "yes", against the difference between the streams."""
    rng = np.random.default_rng(0)
    share = np.tile([0.1, 0.1, 0.6, 0.6], 5)[:, None]
    label = (rng.random((20, 400)) < share).astype(int)
    blind = 2 * share + rng.normal(size=label.shape)
    values = np.stack([blind, blind - 0.4 * label]).astype(np.float16)
    truth = {"a": (label, np.ones_like(label, bool), True)}
    found = selectivity.search(values, truth, 20, 250, 0)
    assert found.score[0, 0] > 0.6  # over all streams this one tells "yes" from "no" better
    assert found.beyond[:, 0].tolist() == [False, True]


def test_labels_that_hardly_vary_are_left_out():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 10, 100)).astype(np.float16)
    ones, some = np.ones((10, 100), bool), rng.integers(2, size=(10, 100))
    rare = np.zeros((10, 100), int)
    rare[:2, :50] = 1  # in one selection stream and one evaluation stream
    truth = {
        "constant": (np.zeros((10, 100), int), ones, False),
        "rare": (rare, ones, True),
        "nowhere": (some, ~ones, True),
        "fine": (some, ones, True),
    }
    assert selectivity.search(values, truth, 10, 20, 0).hypotheses == ["fine"]
    nothing = selectivity.search(values, {"constant": truth["constant"]}, 10, 20, 0)
    assert nothing.hypotheses == [] and nothing.score.shape == (2, 0)


def test_too_few_shifts_cannot_be_corrected():
    with pytest.raises(InputError, match="cells.shifts: 20 are too few to correct for 3"):
        selectivity.beyond_null(np.zeros((2, 3)), np.random.default_rng(0).normal(size=(20, 2, 3)))


def test_a_dead_unit_explains_nothing():
    label = np.random.default_rng(0).integers(2, size=(8, 60))
    dead = np.zeros((1, 8, 60), np.float16)
    found = selectivity.search(dead, {"a": (label, np.ones_like(label, bool), True)}, 20, 40, 0)
    assert found.score[0, 0] == 0.5 and not found.beyond.any()
