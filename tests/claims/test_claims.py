"""Verdicts on constructed arrays for which the right one is known."""

import dataclasses
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import TEXT, random_logp, run, write_corpus, write_score

from charlens.claims import claims
from charlens.claims.claims import FAILS, HOLDS, LOSS, UNDECIDED, Evidence, Missing, measure
from charlens.errors import InputError
from charlens.statistics.bootstrap import interval, pooled_sd, stream_draws
from charlens.store.scores import Score, with_arrays

S, LENGTH = 40, 50
QUIET = 0.001  # nats: what a seed changes, where nothing else is said
NOTHING = {"alphabet": np.frombuffer(b"ab", np.uint8), "test_at": np.arange(S)}


def model(name, loss, noise=0.02, **meta):
    """A model whose streams have losses around `loss`; the noise is the same for every model but
    for a hundredth of it, as it is where two models read the same text."""
    shared = np.random.default_rng(1).normal(size=S)
    own = np.random.default_rng(zlib.crc32(name.encode())).normal(size=S)
    streams = loss + noise * (shared - shared.mean()) + 0.01 * noise * (own - own.mean())
    logp = -np.repeat(streams, LENGTH).astype(np.float32)
    return Score(Path(name), {"corpus": "wp", **meta}, logp)


def network(type, layers, size, loss, seed=1, **more):
    about = {"family": "recurrent", "type": type, "layers": layers, "size": size, "seed": seed}
    name = f"{type}-{layers}-{size}-{seed}"
    return model(name, loss, **about, val_loss=more.pop("val_loss", loss), **more)


def seeds(type, layers, size, loss, spread=QUIET, count=3):
    """One cell from several seeds, `spread` apart."""
    offsets = spread * (np.arange(count) - (count - 1) / 2)
    return [network(type, layers, size, loss + o, n + 1) for n, o in enumerate(offsets)]


def ngram(n, loss):
    return model(f"ngram-{n}", loss, family="ngram", n=n)


def nn(n, loss):
    return model(f"nn-{n}", loss, family="nn", n=n, seed=1, val_loss=loss)


def evidence(*scores, characters=None, **more):
    flat = [s for score in scores for s in (score if isinstance(score, list) else [score])]
    y = np.zeros((S, LENGTH), np.uint8) if characters is None else characters
    about = {"corpus": "wp", "title": "War", "kind": more.pop("kind", "prose")}
    split = NOTHING | {"test_y": y} | more.pop("split", {})
    e = Evidence(about, flat, split, stream_draws(S, 2000, 0), **more)
    e.everything = [e]
    return e


def planned(*cells):
    """(type, layers, size, seed or 1) as the status table names networks."""
    return [
        "type~{} layers~{} size~{} seed~{}".format(*cell, *[1][len(cell) - 3 :]) for cell in cells
    ]


def whole(findings):
    (found,) = [f for f in findings if f.part == ""]
    return found


def part(findings, name):
    (found,) = [f for f in findings if f.part == name]
    return found


# ---- the bootstrap ----


@pytest.mark.parametrize("count", [1, 7, 384, 723])
def test_no_unit_and_every_unit_have_intervals_that_end_at_0_and_1(count):
    low, high = claims.share_interval(0.0, count)
    assert low == 0 and high == pytest.approx(1.96**2 / (count + 1.96**2))  # Wilson, by hand
    assert claims.share_interval(1.0, count) == (pytest.approx(1 - high), 1)


def test_draws_take_as_many_streams_as_there_are():
    draws = stream_draws(7, 1000, 0)
    assert draws.shape == (1000, 7) and (draws.sum(axis=1) == 7).all()
    assert draws.mean(axis=0) == pytest.approx(np.ones(7), abs=0.15)
    assert not np.array_equal(draws, stream_draws(7, 1000, 1))


def test_interval_is_the_percentiles():
    assert interval(np.arange(1001.0)) == pytest.approx((25, 975))
    assert interval(np.arange(1001.0), 0.5) == pytest.approx((250, 750))


def test_pooled_sd():
    assert pooled_sd([[1.0, 3.0], [10.0], [5.0, 5.0, 5.0]]) == pytest.approx((np.sqrt(2 / 3), 3))
    assert pooled_sd([[1.0], [2.0]]) is None and pooled_sd([]) is None


def test_the_bootstrap_is_paired():
    # The two models share the noise of the text: their difference is far surer than either loss.
    e = evidence(ngram(20, 1.2), ngram(9, 1.21), seeds("lstm", 1, 64, 1.3))
    one = measure(e, [(1, [e.ngrams[20]], LOSS)])
    both = measure(e, [(1, [e.ngrams[9]], LOSS), (-1, [e.ngrams[20]], LOSS)])
    assert one.value == pytest.approx(1.2, abs=1e-4)
    assert both.value == pytest.approx(0.01, abs=1e-4)
    assert both.high - both.low < (one.high - one.low) / 20
    losses = -e.ngrams[20].logp.reshape(S, LENGTH).mean(axis=1, dtype=float)
    by_hand = [losses[np.repeat(np.arange(S), d.astype(int))].mean() for d in e.draws]
    assert (one.low, one.high) == pytest.approx(np.percentile(by_hand, [2.5, 97.5]), abs=1e-6)


def test_the_intervals_cover_the_truth():
    # Streams of two models that differ by 0.01 in the mean: 95 of 100 intervals should hold it.
    hits = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        values = 0.01 + 0.05 * rng.normal(size=S)
        low, high = interval(stream_draws(S, 1000, trial) @ values / S)
        hits += low < 0.01 < high
    assert 180 <= hits <= 198


def test_what_streams_separate_and_seeds_do_not_is_undecided():
    close = evidence(
        seeds("rnn", 1, 64, 1.45, spread=0.02), seeds("lstm", 1, 64, 1.44, spread=0.02)
    )
    found = whole(claims.beats_rnn("lstm")(close))
    assert found.verdict == UNDECIDED and found.low < 0 < found.high
    assert found.effect == pytest.approx(0.01, abs=1e-4)
    quiet = evidence(seeds("rnn", 1, 64, 1.45), seeds("lstm", 1, 64, 1.44))
    assert whole(claims.beats_rnn("lstm")(quiet)).verdict == HOLDS  # the same but for the seeds


def test_a_type_that_varies_more_than_the_others_keeps_its_own_spread():
    # Many quiet networks do not hide two that seeds do not separate.
    quiet = [seeds("gru", layers, 512, 1.2) for layers in range(1, 12)]
    pair = network("rnn", 1, 256, 1.45), network("lstm", 1, 256, 1.43)
    loud = [seeds("lstm", layers, 64, 1.43, 0.05) for layers in (1, 2)]
    assert whole(claims.beats_rnn("lstm")(evidence(*quiet, *pair))).verdict == HOLDS
    found = whole(claims.beats_rnn("lstm")(evidence(*quiet, *pair, *loud)))
    assert found.verdict == UNDECIDED  # the RNN's is that of all: 4 of 26 degrees are loud
    assert "seed SD 0.02 and 0.05 (26 and 4 degrees" in found.basis
    # one that varies less than the others is not trusted more, nor is a single network
    calm = measure(evidence(*quiet, *loud), [(1, quiet[0][:1], LOSS)])
    assert "seed SD 0.02 (26 degrees" in calm.basis
    one = whole(claims.beats_rnn("lstm")(evidence(*quiet, *pair, loud[0])))
    assert "seed SD 0.014 (24 degrees" in one.basis


def test_a_seed_moves_a_network_in_all_its_terms_at_once():
    cells = seeds("lstm", 1, 64, 1.3, spread=0.1)
    effect = measure(evidence(cells), [(1, cells[:1], LOSS), (-0.99, cells[:1], LOSS)])
    assert effect.high - effect.low < 0.02  # not 0.5, as if drawn once for each
    assert "seed SD 0.001 (2 degrees" in effect.basis


def test_without_a_second_seed_nothing_is_decided():
    e = evidence(network("rnn", 1, 64, 1.9), network("lstm", 1, 64, 1.4), ngram(20, 1.2))
    for test in (claims.beats_rnn("lstm"), claims.best_beats_ngram):
        found = whole(test(e))
        assert found.verdict == UNDECIDED and "two seeds" in found.basis
        assert abs(found.effect) > 0.1  # and yet it was measured


def test_seeds_of_another_corpus_stand_in():
    e = evidence(network("rnn", 1, 64, 1.9), network("lstm", 1, 64, 1.4))
    other = evidence(seeds("gru", 1, 64, 1.4))
    other.about["title"] = "Peace"
    e.everything = [e, other]
    found = whole(claims.beats_rnn("lstm")(e))
    assert found.verdict == HOLDS and "seed SD of Peace 0.001 (2 degrees" in found.basis


# ---- losses ----


@pytest.mark.parametrize(("deep", "verdict"), [(1.30, HOLDS), (1.50, FAILS), (1.4, UNDECIDED)])
def test_depth(deep, verdict):
    e = evidence(
        seeds("lstm", 1, 64, 1.4),
        network("lstm", 2, 64, deep, val_loss=1.0),
        network("lstm", 3, 64, 0.5, val_loss=2.0),  # validation says: not this one
        network("gru", 2, 64, 1.0),  # no shallow one to compare with
    )
    findings = claims.depth_helps(e)
    assert whole(findings).verdict == verdict == part(findings, "LSTM").verdict
    assert whole(findings).effect == pytest.approx(1.4 - deep, abs=1e-3)
    assert [f.part for f in findings] == ["", "LSTM"]


def test_a_mean_may_hold_where_a_part_does_not():
    e = evidence(
        seeds("rnn", 1, 64, 1.40), network("lstm", 1, 64, 1.45),
        network("rnn", 1, 256, 1.40), network("lstm", 1, 256, 1.20),
    )  # fmt: skip
    findings = claims.beats_rnn("lstm")(e)
    assert whole(findings).verdict == HOLDS and "2 pairs" in whole(findings).basis
    assert part(findings, "size 64").verdict == FAILS
    assert part(findings, "size 256").verdict == HOLDS


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [
        ([(1.40, 1.30), (1.20, 1.30)], HOLDS),  # each wins once
        ([(1.40, 1.30), (1.40, 1.20)], FAILS),  # the GRU always does
        ([(1.40, 1.40), (1.30, 1.30)], UNDECIDED),  # neither ever does
    ],
)
def test_mixed(losses, verdict):
    cells = [seeds("rnn", 1, 64, 1.4)]
    for layers, (lstm, gru) in enumerate(losses, start=1):
        cells += [network("lstm", layers, 64, lstm), network("gru", layers, 64, gru)]
    found = whole(claims.lstm_and_gru_mixed(evidence(*cells)))
    assert found.verdict == verdict
    assert found.effect == pytest.approx(np.mean([g - l for l, g in losses]), abs=1e-3)  # noqa: E741
    more = planned(("lstm", 3, 512), ("gru", 3, 512))  # where the other type may still win
    partial = whole(claims.lstm_and_gru_mixed(evidence(*cells, planned=more)))
    assert partial.verdict == (HOLDS if verdict == HOLDS else UNDECIDED)


def test_what_is_not_separated_may_still_be_won_by_the_other():
    cells = [seeds("rnn", 1, 64, 1.4)]
    for layers, gru in ((1, 1.30), (2, 1.30), (3, 1.4001)):
        cells += [network("lstm", layers, 64, 1.4), network("gru", layers, 64, gru)]
    found = whole(claims.lstm_and_gru_mixed(evidence(*cells)))
    assert found.verdict == UNDECIDED and "not separated: 3x64" in found.basis
    assert found.high < 0  # although the GRU is better on the whole


def test_best_against_the_ngram():
    cells = [seeds("lstm", 1, 64, 1.3), network("gru", 3, 512, 1.1), ngram(9, 1.0), ngram(20, 1.2)]
    found = whole(claims.best_beats_ngram(evidence(*cells)))
    assert found.verdict == HOLDS and "GRU 3x512" in found.basis and "20-gram" in found.basis
    small = [seeds("lstm", 1, 64, 1.3), ngram(20, 1.2)]
    own = planned(*[("lstm", 1, 64, seed) for seed in (1, 2, 3)])
    assert whole(claims.best_beats_ngram(evidence(*small, planned=own))).verdict == FAILS
    more = own + planned(("gru", 3, 512))
    partial = whole(claims.best_beats_ngram(evidence(*small, planned=more)))
    assert partial.verdict == UNDECIDED and "3 of 4 networks trained" in partial.basis
    one_seed = evidence(network("lstm", 1, 64, 1.3), small[1], planned=own)
    assert not one_seed.lacks() and one_seed.finished == "1 of 3 networks trained"


@pytest.mark.parametrize(("off", "verdict"), [(0.003, HOLDS), (0.3, FAILS), (0.05, UNDECIDED)])
def test_nn_agrees(off, verdict):
    e = evidence(
        seeds("lstm", 1, 64, 1.4), ngram(1, 2.4), nn(1, 2.4), ngram(2, 1.9), nn(2, 1.9 - off),
        ngram(6, 1.2), nn(6, 2.0),
    )  # fmt: skip
    findings = claims.nn_agrees(e)
    assert whole(findings).verdict == verdict and "n = 2" in whole(findings).basis
    assert part(findings, "n = 1").verdict == HOLDS
    assert [f.part for f in findings] == ["", "n = 1", "n = 2"]


@pytest.mark.parametrize(("last", "verdict"), [(1.4, HOLDS), (1.1, FAILS), (1.21, UNDECIDED)])
def test_nn_falls_behind(last, verdict):
    # at n = 1 the n-NN is 0.01 behind
    e = evidence(seeds("lstm", 1, 64, 1.4), ngram(1, 2.4), nn(1, 2.41), ngram(6, 1.2), nn(6, last))
    assert whole(claims.nn_falls_behind(e)).verdict == verdict
    with pytest.raises(Missing, match="two n"):
        claims.nn_falls_behind(evidence(ngram(1, 2.4), nn(1, 2.4)))


@pytest.mark.parametrize(("last", "verdict"), [(1.5, HOLDS), (1.3, FAILS), (1.4, UNDECIDED)])
def test_nn_overfits(last, verdict):
    e = evidence(seeds("lstm", 1, 64, 1.4), nn(1, 2.4), nn(4, 1.4), nn(5, 1.45), nn(6, last))
    found = whole(claims.nn_overfits(e))
    assert found.verdict == verdict and found.effect == pytest.approx(last - 1.4, abs=1e-3)
    with pytest.raises(Missing, match="two n"):
        claims.nn_overfits(evidence(nn(1, 2.4)))


# ---- characters ----


def probable(name, probability, **meta):
    return Score(Path(name), {"corpus": "wp", **meta}, np.log(probability).ravel())


def lstms_and_ngram(lstm, ngram, **meta):
    """The best LSTM from two seeds, and the 20-gram, with given probabilities [S, n]."""
    about = {"family": "recurrent", "type": "lstm", "layers": 3, "size": 64, "val_loss": 1.0}
    return [
        probable("a", lstm, **about, seed=1),
        probable("b", lstm * 0.999, **(about | {"val_loss": 1.1}), seed=2),
        probable("c", ngram, family="ngram", n=20),
    ]


def test_gains_on_characters_of_long_reach():
    rng = np.random.default_rng(0)
    alphabet = np.frombuffer(b'\n "(ae', np.uint8)
    y = rng.integers(len(alphabet), size=(S, LENGTH)).astype(np.uint8)
    lstm, ngram = rng.uniform(0.3, 0.5, (2, S, LENGTH))
    lstm[y == 0] += 0.2  # newlines: a gain
    lstm[y == 2] -= 0.2  # quotes: a loss
    e = evidence(*lstms_and_ngram(lstm, ngram), characters=y, split={"alphabet": alphabet})
    findings = claims.gains_on_long_reach(e)
    assert part(findings, "newline").verdict == HOLDS
    assert part(findings, "newline").effect == pytest.approx(0.2 + 0.2 / 5, abs=0.02)
    assert part(findings, "quotes").verdict == FAILS
    assert part(findings, "space").verdict == UNDECIDED == part(findings, "brackets").verdict
    assert whole(findings).effect == pytest.approx(0, abs=0.02)


def test_a_gain_everywhere_is_no_gain_on_these():
    rng = np.random.default_rng(0)
    alphabet = np.frombuffer(b" ae", np.uint8)
    y = rng.integers(3, size=(S, LENGTH)).astype(np.uint8)
    ngram = rng.uniform(0.3, 0.5, (S, LENGTH))
    e = evidence(*lstms_and_ngram(ngram + 0.1, ngram), characters=y, split={"alphabet": alphabet})
    assert whole(claims.gains_on_long_reach(e)).effect == pytest.approx(0, abs=1e-6)
    assert [f.part for f in claims.gains_on_long_reach(e)] == ["", "space"]


def test_far_braces():
    line = b"f() { " + b"x = 1; " * 4 + b"}{ }"  # one pair far apart, one near
    text = line.ljust(LENGTH, b" ") * S
    codes = np.frombuffer(text, np.uint8)
    alphabet = np.unique(codes)
    split = {"alphabet": alphabet, "test_at": np.arange(S) * LENGTH}
    y = np.searchsorted(alphabet, codes).reshape(S, LENGTH)
    far, near = len(line) - 4, len(line) - 1
    lstm, ngram = np.full((2, S, LENGTH), 0.5)
    lstm[:, far], ngram[:, far] = 0.8 + 0.01 * np.random.default_rng(0).normal(size=S), 0.6
    lstm[:, near], ngram[:, near] = 0.1, 0.9  # near ones do not count
    e = evidence(
        *lstms_and_ngram(lstm, ngram), characters=y, split=split, text=text, kind="code"
    )  # fmt: skip
    found = whole(claims.gains_on_far_braces(e))
    assert found.verdict == HOLDS and found.effect == pytest.approx(0.2, abs=0.01)
    assert f"{S} braces" in found.basis
    assert claims.gains_on_far_braces(evidence(*lstms_and_ngram(lstm, ngram))) == []  # prose


# ---- the young LSTM ----


def looks(*nearest):
    rows = [
        (look, look / 10, n, 0.1 if n == near else 0.5, 0.0)
        for look, near in enumerate(nearest, start=1)
        for n in (1, 2, 3, 4)
    ]
    table = pd.DataFrame(rows, columns=["look", "epoch", "n", "kl", "delta"])
    return table.assign(layers=3, size=128)


@pytest.mark.parametrize(
    ("nearest", "verdict"),
    [
        ((1, 1, 2, 2, 3, 4), HOLDS),
        ((1, 2, 1, 3), HOLDS),  # a step back does not change who came first
        ((2, 1, 3, 3), FAILS),
        ((1, 3, 3, 3), FAILS),  # the 2-NN is left out
        ((1, 1, 2, 2), UNDECIDED),  # ended too soon
        ((2, 3, 3, 3), UNDECIDED),  # began too late
        ((4, 4), UNDECIDED),
        ((1, 2, 3, 1, 1, 1), FAILS),  # and back again
        ((4, 1, 2, 3), FAILS),
    ],
)
def test_young_lstm(nearest, verdict):
    found = whole(claims.young_lstm_climbs(evidence(looks=looks(*nearest))))
    assert found.verdict == verdict
    assert found.basis.startswith("LSTM 3x128; nearest")


def test_young_lstm_needs_the_three_nn():
    table = looks(1, 2, 3)
    with pytest.raises(Missing, match="2-NN"):
        claims.young_lstm_climbs(evidence(looks=table[table["n"] != 2]))


def errors(**sizes):
    """n-gram and other errors by size, as in figure6.csv."""
    rows = [
        ("wp", 2, int(size[1:]), category, "", count)
        for size, counts in sizes.items()
        for category, count in zip(("n-gram", "boost"), counts, strict=True)
    ]
    return pd.DataFrame(rows, columns=["corpus", "layers", "size", "category", "level", "errors"])


@pytest.mark.parametrize(
    ("large", "effect", "verdict"), [((20, 90), 0.8, HOLDS), ((80, 30), 0.2, FAILS)]
)
def test_size_removes_ngram_errors(large, effect, verdict):
    table = errors(s64=(100, 110), s128=(99, 100), s512=large)
    found = whole(claims.size_removes_ngram_errors(evidence(oracles=table)))
    assert (found.verdict, round(found.effect, 6)) == (verdict, effect)
    assert "size 64 to 512" in found.basis
    more = whole(
        claims.size_removes_ngram_errors(
            evidence(oracles=table[::-1].assign(size=table["size"].to_numpy()))
        )
    )  # a larger one with more errors
    assert more.verdict == FAILS
    with pytest.raises(Missing, match="two sizes"):
        claims.size_removes_ngram_errors(evidence(oracles=errors(s64=(100, 110))))


# ---- gates and cells ----


def gates(right_f, left_o, right_o, between=((0.9, 0.9), (0.4, 0.4))):
    rows = []
    for layer, shares in enumerate(between, start=1):
        for unit, share in enumerate(shares, start=1):
            rows.append(["wp", "lstm", 2, layer, "i", unit, 1 - share, 0.0])
            first = layer == unit == 1
            rows.append(["wp", "lstm", 2, layer, "f", unit, 0, right_f if first else 1 - share])
            o = (left_o, right_o) if first else (1 - share, 0)
            rows.append(["wp", "lstm", 2, layer, "o", unit, *o])
    rows.append(["wp", "gru", 2, 1, "r", 1, 1.0, 0.0])  # not about this one
    return pd.DataFrame(
        rows, columns=["corpus", "type", "layers", "layer", "gate", "unit", "left", "right"]
    )


def test_gates():
    e = evidence(gates=gates(right_f=0.97, left_o=0.5, right_o=0.2))
    forget = whole(claims.forget_gates_stay_open(e))
    assert forget.verdict == HOLDS and forget.effect == 0.25 and "1 of 4" in forget.basis
    assert 0 < forget.low < 0.25 < forget.high < 1
    assert whole(claims.output_gates_move(e)).verdict == HOLDS
    closed = evidence(gates=gates(right_f=0.5, left_o=0.99, right_o=0.0))
    assert whole(claims.forget_gates_stay_open(closed)).verdict == FAILS
    assert whole(claims.output_gates_move(closed)).verdict == FAILS
    opened = evidence(gates=gates(right_f=0.5, left_o=0.0, right_o=0.99))
    assert whole(claims.output_gates_move(opened)).verdict == FAILS


@pytest.mark.parametrize(
    ("between", "verdict"),
    [
        ([np.linspace(0.7, 0.9, 40), np.linspace(0.2, 0.4, 40)], HOLDS),
        ([np.linspace(0.2, 0.4, 40), np.linspace(0.7, 0.9, 40)], FAILS),
        ([np.linspace(0.2, 0.4, 40)] * 2, UNDECIDED),
    ],
)
def test_diffuse_first_layer(between, verdict):
    table = gates(0.5, 0.3, 0.2, between)
    assert whole(claims.first_layer_is_diffuse(evidence(gates=table))).verdict == verdict
    one_layer = evidence(gates=table[table["layer"] == 1])
    with pytest.raises(Missing, match="two layers"):
        claims.first_layer_is_diffuse(one_layer)


def cells(*rows):
    """Rows of unit, hypothesis, score, low, high; the score where it was picked is the same, and
    beyond the null."""
    table = pd.DataFrame(
        [["wp", "LSTM", 1, *row] for row in rows],
        columns=["corpus", "model", "layer", "unit", "hypothesis", "score", "low", "high"],
    )
    measure = np.where(table["hypothesis"].isin(["depth", "line_position"]), "tau", "auc")
    return table.assign(measure=measure, picked=table["score"], beyond=True)


def searched(*rows):
    """All cells, and those picked: the first of each hypothesis."""
    table = cells(*rows)
    best = table.groupby("hypothesis", sort=False).head(1)
    return evidence(cells=table.drop(columns=["measure"]), best_cells=best)


def test_strengths():
    table = claims.strengths(
        cells(
            (1, "quote", 0.05, 0.02, 0.10),
            (1, "depth", -0.6, -0.7, -0.5),
            (1, "quote", 0.52, 0.45, 0.60),
        )  # fmt: skip
    )
    assert table[["weak", "strength", "strong"]].to_numpy() == pytest.approx(
        np.array([[0.8, 0.9, 0.96], [0.5, 0.6, 0.7], [0, 0.04, 0.2]])
    )


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ((1, "quote", 0.99, 0.97, 1.0), HOLDS),
        ((1, "quote", 0.01, 0.0, 0.03), HOLDS),  # off instead of on
        ((1, "quote", 0.92, 0.85, 0.95), UNDECIDED),
        ((1, "quote", 0.7, 0.65, 0.75), FAILS),
        ((1, "line_position", 0.85, 0.82, 0.9), HOLDS),
        ((1, "line_position", 0.6, 0.5, 0.7), FAILS),  # 0.6 is a rank correlation, not an area
    ],
)
def test_interpretable_cells_exist(row, verdict):
    findings = claims.cells_follow_hypotheses(searched(row))
    assert whole(findings).verdict == verdict == part(findings, row[1].replace("_", " ")).verdict


def test_the_strongest_hypothesis_is_chosen_where_cells_are_picked():
    best = cells((1, "quote", 0.91, 0.905, 0.93), (2, "depth", 0.85, 0.82, 0.9))
    best["picked"] = [0.98, 0.9]  # 0.96 and 0.9 in strength
    found = whole(claims.cells_follow_hypotheses(evidence(best_cells=best)))
    assert found.effect == pytest.approx(0.82) and "unit 1: quote" in found.basis


def test_most_cells_are_not_interpretable():
    weak, strong, open_ = (0.5, 0.4, 0.6), (0.95, 0.9, 0.99), (0.75, 0.6, 0.9)

    def verdict(*scores):
        rows = [(unit, "quote", *score) for unit, score in enumerate(scores)]
        return whole(claims.most_cells_do_not(searched(*rows)))

    found = verdict(weak, weak, weak, strong)
    assert (found.verdict, found.effect) == (HOLDS, 0.75)
    assert verdict(weak, strong, strong, strong).verdict == FAILS
    assert verdict(weak, open_, open_, strong).verdict == UNDECIDED
    # one hypothesis out of several is enough for a cell: the one that was picked, beyond the null
    rows = [(1, "quote", *weak), (1, "depth", 0.9, 0.8, 0.95), (2, "quote", *weak)]
    e = searched(*rows)
    assert whole(claims.most_cells_do_not(e)).effect == 0.5
    e.cells["picked"] = [0.99, 0.5, 0.5]
    assert whole(claims.most_cells_do_not(e)).effect == 1.0
    e.cells["picked"], e.cells["beyond"] = [0.5, 0.9, 0.5], [True, False, True]
    assert whole(claims.most_cells_do_not(e)).effect == 1.0


# ---- all together ----


def test_what_is_missing_is_said():
    table = claims.judge([evidence()])
    assert list(table.columns) == claims.COLUMNS
    assert len(table) == len(claims.CLAIMS) - 1  # braces are for code
    assert (table["verdict"] == UNDECIDED).all()
    assert table["basis"].str.startswith("missing: ").all() and table["effect"].isna().all()


def test_the_papers_own_effects_stand_beside_ours():
    cells = [network(type, n, 64, 1.4) for type in ("lstm", "gru", "rnn") for n in (1, 2, 3)]
    e = evidence(*cells, ngram(1, 2.3), nn(1, 2.3), ngram(6, 1.2), nn(6, 1.3), ngram(20, 1.1))
    table = claims.judge([e]).set_index(["claim", "where"])["paper"]
    # by hand, from the paper's tables of War and Peace, row 64
    means = {"lstm": (1.449, 1.442, 1.540), "rnn": (1.446, 1.401, 1.396)}
    assert table["depth helps", "wp: LSTM"] == pytest.approx(1.449 - 1.442, abs=1e-6)
    assert table["LSTM beats RNN", "wp"] == pytest.approx(
        np.mean(means["rnn"]) - np.mean(means["lstm"]), abs=1e-6
    )
    assert table["best network beats the n-gram", "wp"] == pytest.approx(1.195 - 1.373)
    assert table["n-NN falls behind", "wp"] == pytest.approx(1.321 - 1.203)
    assert table["n-NN overfits", "wp"] == pytest.approx(1.321 - 2.399)
    assert np.isnan(table["long reach", "wp"])  # of characters the paper has no numbers
    e.about["corpus"] = "mine"
    for score in e.scores:
        score.meta["corpus"] = "mine"
    assert claims.judge([e])["paper"].isna().all()


def test_every_claim_says_how_it_is_tested():
    names = [claim.name for claim in claims.CLAIMS]
    assert len(set(names)) == len(names)
    for claim in claims.CLAIMS:
        assert len(claim.test.__doc__) > 40 and "{" not in claim.test.__doc__
    assert all(dataclasses.asdict(claim)["says"].endswith(".") for claim in claims.CLAIMS)


def arguments(tmp_path, *scores):
    return [
        *("--scores", *scores, "--splits", tmp_path / "code.npz"),
        *("--texts", tmp_path / "code.txt", "--corpora", tmp_path / "code.json"),
        *("--csv", tmp_path / "c.csv", "--html", tmp_path / "c.html", "--resamples", 1000),
    ]


def test_the_command(tmp_path):
    size = write_corpus(tmp_path, text=TEXT)
    scores = [
        write_score(tmp_path / f"{n}.npy", random_logp(size, n), seed=n, layers=1) for n in (1, 2)
    ]
    scores.append(write_score(tmp_path / "g.npy", random_logp(size, 9), family="ngram", n=2))
    run(claims, arguments(tmp_path, *scores))
    table = pd.read_csv(tmp_path / "c.csv")
    assert set(table["verdict"]) <= {HOLDS, FAILS, UNDECIDED}
    assert {c.split(":")[0] for c in table["where"]} == {"code"}
    far = table[table["claim"] == "far braces"].iloc[0]
    assert np.isfinite(far[["effect", "low", "high"]].astype(float)).all()
    page = (tmp_path / "c.html").read_text()
    assert "Does the paper hold?" in page and page.count("<section") == len(claims.CLAIMS)
    assert "http" not in page and "made up" in page
    first = (tmp_path / "c.csv").read_bytes()
    run(claims, arguments(tmp_path, *scores))
    assert (tmp_path / "c.csv").read_bytes() == first


def published(score, split=None):
    """What is left of a score on another machine."""
    split = split or NOTHING | {"test_y": np.zeros((S, LENGTH), np.uint8)}
    about = score.meta | {"digest": score.digest(split)}
    return dataclasses.replace(score, meta=about, logp=None)


def test_digests_give_the_same_verdicts_on_losses():
    scores = [*seeds("lstm", 1, 64, 1.4), *seeds("lstm", 2, 64, 1.38), ngram(20, 1.5)]
    here, elsewhere = (claims.judge([evidence(*some)]) for some in (scores, map(published, scores)))
    assert list(here["verdict"]) == list(elsewhere["verdict"])
    decided = here["effect"].notna()
    assert {"depth helps", "best network beats the n-gram"} == set(here[decided]["claim"])
    numbers = ["effect", "low", "high"]
    assert elsewhere[decided][numbers].to_numpy() == pytest.approx(
        here[decided][numbers].to_numpy(), abs=1e-4
    )
    assert (here["basis"] == elsewhere["basis"]).all()


def test_characters_need_arrays():
    rng = np.random.default_rng(0)
    alphabet = np.frombuffer(b" ae", np.uint8)
    y = rng.integers(3, size=(S, LENGTH)).astype(np.uint8)
    probability = rng.uniform(0.3, 0.5, (S, LENGTH))
    scores = lstms_and_ngram(probability + 0.2 * (y == 0), probability)
    split = {"alphabet": alphabet, "test_y": y}
    digests = [published(scores[0], split), *scores[1:]]
    more = {"characters": y, "split": {"alphabet": alphabet}}
    with pytest.raises(Missing, match="character by character"):
        claims.gains_on_long_reach(evidence(*digests, **more))
    # in half precision it is here: that says how characters compare, the digest what the loss is
    halved = dataclasses.replace(scores[0], logp=scores[0].logp + 0.001)
    both = with_arrays(digests, [halved])
    assert both[0].loss == digests[0].loss
    assert all(a.logp is b.logp for a, b in zip(both[1:], scores[1:], strict=True))
    other = dataclasses.replace(halved, meta=halved.meta | {"dropout": 0.3})  # another model
    assert with_arrays(digests, [other])[0].logp is None
    assert whole(claims.gains_on_long_reach(evidence(*both, **more))).verdict == HOLDS
    # what a seed changes is known from digests, too
    seeds = [scores[0], published(scores[1], split), scores[2]]
    basis = [whole(claims.gains_on_long_reach(evidence(*s, **more))).basis for s in (scores, seeds)]
    assert basis[0] == basis[1] and "seed SD" in basis[0]


def test_bad_input(tmp_path):
    size = write_corpus(tmp_path)
    score = write_score(tmp_path / "a.npy", random_logp(size - 1, 1))
    with pytest.raises(InputError, match="score the model on this split"):
        run(claims, arguments(tmp_path, score))
    with pytest.raises(InputError, match="1000 or more"):
        run(claims, [*arguments(tmp_path)[:-1], 10])
    with pytest.raises(InputError, match="gates.csv: no readable table"):
        run(claims, [*arguments(tmp_path), "--inside", tmp_path / "gates.csv"])
