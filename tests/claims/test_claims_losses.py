"""Claims about losses: verdicts on constructed arrays."""

import numpy as np
import pytest
from constructed import evidence, network, ngram, nn, part, planned, seeds, whole

from charlens.claims import losses
from charlens.claims.evidence import Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED


@pytest.mark.parametrize(("deep", "verdict"), [(1.30, HOLDS), (1.50, FAILS), (1.4, UNDECIDED)])
def test_depth(deep, verdict):
    e = evidence(
        seeds("lstm", 1, 64, 1.4),
        network("lstm", 2, 64, deep, val_loss=1.0),
        network("lstm", 3, 64, 0.5, val_loss=2.0),  # validation says: not this one
        network("gru", 2, 64, 1.0),  # no shallow one to compare with
    )
    findings = losses.depth_helps(e)
    assert whole(findings).verdict == verdict == part(findings, "LSTM").verdict
    assert whole(findings).effect == pytest.approx(1.4 - deep, abs=1e-3)
    assert [f.part for f in findings] == ["", "LSTM"]


def test_a_mean_may_hold_where_a_part_does_not():
    e = evidence(
        seeds("rnn", 1, 64, 1.40), network("lstm", 1, 64, 1.45),
        network("rnn", 1, 256, 1.40), network("lstm", 1, 256, 1.20),
    )  # fmt: skip
    findings = losses.beats_rnn("lstm")(e)
    assert whole(findings).verdict == HOLDS and "2 pairs" in whole(findings).basis
    assert part(findings, "size 64").verdict == FAILS
    assert part(findings, "size 256").verdict == HOLDS


@pytest.mark.parametrize(
    ("pairs", "verdict"),
    [
        ([(1.40, 1.30), (1.20, 1.30)], HOLDS),  # each wins once
        ([(1.40, 1.30), (1.40, 1.20)], FAILS),  # the GRU always does
        ([(1.40, 1.40), (1.30, 1.30)], UNDECIDED),  # neither ever does
    ],
)
def test_mixed(pairs, verdict):
    cells = [seeds("rnn", 1, 64, 1.4)]
    for layers, (lstm, gru) in enumerate(pairs, start=1):
        cells += [network("lstm", layers, 64, lstm), network("gru", layers, 64, gru)]
    found = whole(losses.lstm_and_gru_mixed(evidence(*cells)))
    assert found.verdict == verdict
    assert found.effect == pytest.approx(np.mean([g - l for l, g in pairs]), abs=1e-3)  # noqa: E741
    more = planned(("lstm", 3, 512), ("gru", 3, 512))  # where the other type may still win
    partial = whole(losses.lstm_and_gru_mixed(evidence(*cells, planned=more)))
    assert partial.verdict == (HOLDS if verdict == HOLDS else UNDECIDED)


def test_what_is_not_separated_may_still_be_won_by_the_other():
    cells = [seeds("rnn", 1, 64, 1.4)]
    for layers, gru in ((1, 1.30), (2, 1.30), (3, 1.4001)):
        cells += [network("lstm", layers, 64, 1.4), network("gru", layers, 64, gru)]
    found = whole(losses.lstm_and_gru_mixed(evidence(*cells)))
    assert found.verdict == UNDECIDED and "not separated: 3x64" in found.basis
    assert found.high < 0  # although the GRU is better on the whole


def test_best_against_the_ngram():
    cells = [seeds("lstm", 1, 64, 1.3), network("gru", 3, 512, 1.1), ngram(9, 1.0), ngram(20, 1.2)]
    found = whole(losses.best_beats_ngram(evidence(*cells)))
    assert found.verdict == HOLDS and "GRU 3x512" in found.basis and "20-gram" in found.basis
    small = [seeds("lstm", 1, 64, 1.3), ngram(20, 1.2)]
    own = planned(*[("lstm", 1, 64, seed) for seed in (1, 2, 3)])
    assert whole(losses.best_beats_ngram(evidence(*small, planned=own))).verdict == FAILS
    more = own + planned(("gru", 3, 512))
    partial = whole(losses.best_beats_ngram(evidence(*small, planned=more)))
    assert partial.verdict == UNDECIDED and "3 of 4 networks trained" in partial.basis
    one_seed = evidence(network("lstm", 1, 64, 1.3), small[1], planned=own)
    assert not one_seed.lacks() and one_seed.finished == "1 of 3 networks trained"


@pytest.mark.parametrize(("off", "verdict"), [(0.003, HOLDS), (0.3, FAILS), (0.05, UNDECIDED)])
def test_nn_agrees(off, verdict):
    e = evidence(
        seeds("lstm", 1, 64, 1.4), ngram(1, 2.4), nn(1, 2.4), ngram(2, 1.9), nn(2, 1.9 - off),
        ngram(6, 1.2), nn(6, 2.0),
    )  # fmt: skip
    findings = losses.nn_agrees(e)
    assert whole(findings).verdict == verdict and "2-NN against 2-gram" in whole(findings).basis
    assert part(findings, "n = 1").verdict == HOLDS
    assert [f.part for f in findings] == ["", "n = 1", "n = 2"]


@pytest.mark.parametrize(("last", "verdict"), [(1.4, HOLDS), (1.1, FAILS), (1.21, UNDECIDED)])
def test_nn_falls_behind(last, verdict):
    # at n = 1 the n-NN is 0.01 behind
    e = evidence(seeds("lstm", 1, 64, 1.4), ngram(1, 2.4), nn(1, 2.41), ngram(6, 1.2), nn(6, last))
    assert whole(losses.nn_falls_behind(e)).verdict == verdict
    with pytest.raises(Missing, match="two values of n"):
        losses.nn_falls_behind(evidence(ngram(1, 2.4), nn(1, 2.4)))


@pytest.mark.parametrize(("last", "verdict"), [(1.5, HOLDS), (1.3, FAILS), (1.4, UNDECIDED)])
def test_nn_overfits(last, verdict):
    e = evidence(seeds("lstm", 1, 64, 1.4), nn(1, 2.4), nn(4, 1.4), nn(5, 1.45), nn(6, last))
    found = whole(losses.nn_overfits(e))
    assert found.verdict == verdict and found.effect == pytest.approx(last - 1.4, abs=1e-3)
    with pytest.raises(Missing, match="two values of n"):
        losses.nn_overfits(evidence(nn(1, 2.4)))
