"""Claims about n-gram and n-NN: verdicts on constructed arrays and histories."""

import numpy as np
import pytest
from constructed import evidence, history, ngram, nn, part, seeds, whole

from charlens.claims import baselines
from charlens.claims.evidence import Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED
from charlens.store.tables import UNFINISHED


@pytest.mark.parametrize(("off", "verdict"), [(0.003, HOLDS), (0.3, FAILS), (0.05, UNDECIDED)])
def test_nn_agrees(off, verdict):
    e = evidence(
        seeds("lstm", 1, 64, 1.4), ngram(1, 2.4), nn(1, 2.4), ngram(2, 1.9), nn(2, 1.9 - off),
        ngram(6, 1.2), nn(6, 2.0),
    )  # fmt: skip
    findings = baselines.nn_agrees(e)
    assert whole(findings).verdict == verdict and "2-NN against 2-gram" in whole(findings).basis
    assert part(findings, "n = 1").verdict == HOLDS
    assert [f.part for f in findings] == ["", "n = 1", "n = 2"]


@pytest.mark.parametrize(("last", "verdict"), [(1.4, HOLDS), (1.1, FAILS), (1.21, UNDECIDED)])
def test_nn_falls_behind(last, verdict):
    # at n = 1 the n-NN is 0.01 behind
    e = evidence(seeds("lstm", 1, 64, 1.4), ngram(1, 2.4), nn(1, 2.41), ngram(6, 1.2), nn(6, last))
    assert whole(baselines.nn_falls_behind(e)).verdict == verdict
    with pytest.raises(Missing, match="two values of n"):
        baselines.nn_falls_behind(evidence(ngram(1, 2.4), nn(1, 2.4)))


@pytest.mark.parametrize(("last", "verdict"), [(1.5, HOLDS), (1.3, FAILS), (1.4, UNDECIDED)])
def test_nn_loss_rises(last, verdict):
    e = evidence(seeds("lstm", 1, 64, 1.4), nn(1, 2.4), nn(4, 1.4), nn(5, 1.45), nn(6, last))
    found = whole(baselines.nn_loss_rises(e))
    assert found.verdict == verdict and found.effect == pytest.approx(last - 1.4, abs=1e-3)
    with pytest.raises(Missing, match="two values of n"):
        baselines.nn_loss_rises(evidence(nn(1, 2.4)))


def of_histories(histories, **more):
    split = {"alphabet": np.arange(87, dtype=np.uint8)}
    return evidence(histories=histories, split=split, **more)


FALLING, TURNING = [2.0, 1.8, 1.7], [2.0, 1.5, 1.6]
TRAINING = [2.0, 1.4, 1.2]


@pytest.mark.parametrize(
    ("small", "large", "verdict"),
    [
        (FALLING, FALLING, FAILS),
        (FALLING, TURNING, HOLDS),
        (TURNING, FALLING, HOLDS),  # a candidate that was not chosen, too
        (FALLING, [2.0, 1.5, 1.504], FAILS),  # within what an epoch changes
    ],
)
def test_nn_overfits(small, large, verdict):
    histories = history(1, 128, [2.5, 2.45, 2.4]) | history(2, 128, TURNING, TRAINING)
    histories |= history(5, 128, small, TRAINING) | history(5, 256, large, TRAINING)
    findings = baselines.nn_overfits(of_histories(histories))
    assert whole(findings).verdict == verdict == part(findings, "n = 5").verdict
    assert part(findings, "n = 1").verdict == FAILS and part(findings, "n = 2").verdict == HOLDS
    assert part(findings, "n = 1").effect == pytest.approx(0.01)  # the gap
    assert whole(findings).effect == pytest.approx(max(0, *[h[2] - min(h) for h in (small, large)]))


def test_a_rise_without_a_gap_is_not_overfitting():
    noisy = history(1, 128, [2.4]) | history(4, 128, [1.5, 1.4, 1.45], [1.5, 1.4, 1.4])
    assert whole(baselines.nn_overfits(of_histories(noisy))).verdict == FAILS


def test_an_nn_whose_training_diverged_does_not_overfit():
    histories = history(1, 128, [2.5, 2.4]) | history(3, 128, [1.8, 1.7])
    sound = whole(baselines.nn_overfits(of_histories(histories)))
    histories |= history(3, 256, [2.25, 2.0, 1.9, 4.1]) | history(3, 512, [1.9, float("nan")])
    histories |= history(3, 1024, [3.0, 4.8])  # beyond 1.05 log K
    found = whole(baselines.nn_overfits(of_histories(histories)))
    assert (found.verdict, found.effect, found.basis) == (FAILS, 0, sound.basis)


def test_an_nn_that_overfits_beyond_twice_its_best_has_not_diverged():
    histories = history(1, 128, [2.5, 2.4]) | history(3, 128, [1.8, 1.5, 3.2], [1.8, 0.9, 0.2])
    found = whole(baselines.nn_overfits(of_histories(histories)))
    assert (found.verdict, found.effect) == (HOLDS, pytest.approx(1.7))


def fitted(*best):
    """For the n-NNs from n = 2 on, trained with 128 and 256 units: which of these is the best."""
    found = {}
    for n, chosen in enumerate(best, start=2):
        for units in (128, 256):
            found |= history(n, units, [2.0, 1.8 if units == chosen else 1.9])
    return found


@pytest.mark.parametrize(
    ("best", "hidden", "verdict"),
    [
        ((256, 256, 256), [128, 256, 512], UNDECIDED),
        ((256, 256, 128), [128, 256, 1024, 2048], UNDECIDED),
        ((256, 128, 128), [128, 256, 512], FAILS),  # more units are not better in most
        ((256, 256, 256), [128, 256], FAILS),  # all are tried
        ((256, 256, 256), [64, 128, 256], FAILS),  # a smaller one would not overfit
        ((256, 256, 256), [], FAILS),  # it is not known what is to be tried
    ],
)
def test_candidates_still_to_be_tried_leave_open_whether_an_nn_overfits(best, hidden, verdict):
    findings = baselines.nn_overfits(of_histories(fitted(*best), hidden=hidden))
    found, more = whole(findings), [units for units in hidden if units > 256]
    assert found.verdict == verdict and (found.reason == UNFINISHED) == (verdict == UNDECIDED)
    if verdict == UNDECIDED:
        count = best.count(256)
        assert (
            f"the largest tried is the best in {count} of 3, they may be too small" in found.basis
        )
        assert "512 hidden" in found.basis or "1,024 and 2,048 hidden units" in found.basis
    for n, chosen in enumerate(best, start=2):  # each n-NN for itself
        own = UNDECIDED if chosen == 256 and more else FAILS
        assert part(findings, f"n = {n}").verdict == own


def test_an_nn_that_overfits_does_so_whatever_is_still_to_be_tried():
    histories = history(1, 128, [2.5, 2.45, 2.4]) | history(5, 128, TURNING, TRAINING)
    findings = baselines.nn_overfits(of_histories(histories, hidden=[128, 256]))
    assert whole(findings).verdict == HOLDS == part(findings, "n = 5").verdict


def test_where_capacity_limits_an_nn():
    histories = history(1, 128, [2.5, 2.4]) | history(3, 128, [1.8, 1.7]) | history(4, 128, [1.6])
    histories |= history(3, 256, [1.7, 1.6]) | history(4, 256, [1.7])
    findings = baselines.nn_overfits(of_histories(histories))
    assert "capacity limits 2 of 3 n-NNs" in whole(findings).basis  # at n = 4, 128 units are best
    assert "256 of up to 256 hidden units chosen, best in epoch 2 of 2" in findings[2].basis
    with pytest.raises(Missing, match="histories"):
        baselines.nn_overfits(of_histories(history(2, 128, [2.0])))
