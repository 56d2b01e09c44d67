"""Effects, their intervals, and what seeds do to them."""

import numpy as np
import pytest
from constructed import LENGTH, S, evidence, network, ngram, seeds, whole

from charlens.claims import losses
from charlens.claims.evidence import LOSS
from charlens.claims.measure import Effect, Finding, measure
from charlens.statistics.bootstrap import interval, stream_draws
from charlens.store.tables import CROSSES, FAILS, HOLDS, NOT_IN_RUN, ONE_SEED, UNDECIDED


@pytest.mark.parametrize(
    ("low", "high", "seeds_known", "reason"),
    [
        (-1, 1, True, CROSSES), (-1, 1, False, ONE_SEED), (1, 2, False, ONE_SEED),
        (1, 2, True, ""), (-2, -1, True, ""), (np.nan, np.nan, True, ""),
    ],
)  # fmt: skip
def test_an_effect_says_why_it_decides_nothing(low, high, seeds_known, reason):
    effect = Effect(0.0, low, high, "2 networks", seeds_known)
    found = effect.finding("", effect.verdict())
    assert found.reason == reason
    assert effect.finding("", UNDECIDED, reason="not all trained").reason == "not all trained"
    assert effect.finding("", HOLDS, reason="not all trained").reason == ""


def test_what_is_decided_has_no_reason_why_not():
    for verdict in (HOLDS, FAILS):
        with pytest.raises(ValueError, match=f"{verdict}, so there is no reason"):
            Finding("", verdict, 0.0, 0.0, 0.0, "", CROSSES)
    for verdict in (UNDECIDED, NOT_IN_RUN):
        assert Finding("", verdict, 0.0, 0.0, 0.0, "", CROSSES).reason == CROSSES


def test_the_bootstrap_is_paired():
    # The two models share the noise of the text: their difference is far surer than either loss.
    e = evidence(ngram(20, 1.2), ngram(9, 1.21), seeds("lstm", 1, 64, 1.3))
    one = measure(e, [(1, [e.ngrams[20]], LOSS)])
    both = measure(e, [(1, [e.ngrams[9]], LOSS), (-1, [e.ngrams[20]], LOSS)])
    assert one.value == pytest.approx(1.2, abs=1e-4)
    assert both.value == pytest.approx(0.01, abs=1e-4)
    assert both.high - both.low < (one.high - one.low) / 20
    streams = -e.ngrams[20].logp.reshape(S, LENGTH).mean(axis=1, dtype=float)
    by_hand = [streams[np.repeat(np.arange(S), d.astype(int))].mean() for d in e.draws]
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
    found = whole(losses.beats_rnn("lstm")(close))
    assert found.verdict == UNDECIDED and found.low < 0 < found.high
    assert found.effect == pytest.approx(0.01, abs=1e-4)
    quiet = evidence(seeds("rnn", 1, 64, 1.45), seeds("lstm", 1, 64, 1.44))
    assert whole(losses.beats_rnn("lstm")(quiet)).verdict == HOLDS  # the same but for the seeds


def test_a_type_that_varies_more_than_the_others_keeps_its_own_spread():
    # Many quiet networks do not hide two that seeds do not separate.
    quiet = [seeds("gru", layers, 512, 1.2) for layers in range(1, 12)]
    pair = network("rnn", 1, 256, 1.45), network("lstm", 1, 256, 1.43)
    loud = [seeds("lstm", layers, 64, 1.43, 0.05) for layers in (1, 2)]
    assert whole(losses.beats_rnn("lstm")(evidence(*quiet, *pair))).verdict == HOLDS
    found = whole(losses.beats_rnn("lstm")(evidence(*quiet, *pair, *loud)))
    assert found.verdict == UNDECIDED  # the RNN's is that of all: 4 of 26 degrees are loud
    assert "seed SD 0.02 and 0.05 (26 and 4 degrees" in found.basis
    # one that varies less than the others is not trusted more, nor is a single network
    calm = measure(evidence(*quiet, *loud), [(1, quiet[0][:1], LOSS)])
    assert "seed SD 0.02 (26 degrees" in calm.basis
    one = whole(losses.beats_rnn("lstm")(evidence(*quiet, *pair, loud[0])))
    assert "seed SD 0.014 (24 degrees" in one.basis


def test_a_seed_moves_a_network_in_all_its_terms_at_once():
    cells = seeds("lstm", 1, 64, 1.3, spread=0.1)
    effect = measure(evidence(cells), [(1, cells[:1], LOSS), (-0.99, cells[:1], LOSS)])
    assert effect.high - effect.low < 0.02  # not 0.5, as if drawn once for each
    assert "seed SD 0.001 (2 degrees" in effect.basis


def test_without_a_second_seed_nothing_is_decided():
    e = evidence(network("rnn", 1, 64, 1.9), network("lstm", 1, 64, 1.4), ngram(20, 1.2))
    for test in (losses.beats_rnn("lstm"), losses.best_beats_ngram):
        found = whole(test(e))
        assert found.verdict == UNDECIDED and "two seeds" in found.basis
        assert abs(found.effect) > 0.1  # and yet it was measured


def test_seeds_of_another_corpus_stand_in():
    e = evidence(network("rnn", 1, 64, 1.9), network("lstm", 1, 64, 1.4))
    other = evidence(seeds("gru", 1, 64, 1.4))
    other.about["title"] = "Peace"
    e.everything = [e, other]
    found = whole(losses.beats_rnn("lstm")(e))
    assert found.verdict == HOLDS and "seed SD of Peace 0.001 (2 degrees" in found.basis
