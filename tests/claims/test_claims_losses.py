"""Claims about losses: verdicts on constructed arrays."""

import itertools

import pytest
from constructed import evidence, network, ngram, part, planned, seeds, whole

from charlens.claims import losses
from charlens.claims.evidence import Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED
from charlens.store.models import PAPER_TYPES


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


@pytest.mark.parametrize(
    ("large", "verdict", "words"),
    [
        (1.20, HOLDS, "from size 256 on; size 64: the RNN leads; size 128: not shown;"),
        (1.60, FAILS, "size 64: the RNN leads; size 128: not shown; size 256: the RNN leads"),
        (1.40, UNDECIDED, "size 256: not shown"),
    ],
)
def test_from_which_size_on_the_rnn_is_beaten(large, verdict, words):
    e = evidence(
        seeds("rnn", 1, 64, 1.40), network("lstm", 1, 64, 1.45),
        network("rnn", 1, 128, 1.40), network("lstm", 1, 128, 1.40),
        network("rnn", 1, 256, 1.40), network("lstm", 1, 256, large),
    )  # fmt: skip
    findings = losses.beats_rnn("lstm")(e)
    assert whole(findings).verdict == verdict == part(findings, "size 256").verdict
    assert words in whole(findings).basis and "LSTM 1x256 against the RNN" in whole(findings).basis
    assert whole(findings).effect == part(findings, "size 256").effect
    assert part(findings, "size 64").verdict == FAILS


def test_a_lead_that_is_lost_again_does_not_count():
    e = evidence(
        seeds("rnn", 1, 64, 1.40), network("gru", 1, 64, 1.20),
        network("rnn", 1, 128, 1.40), network("gru", 1, 128, 1.50),
        network("rnn", 1, 256, 1.40), network("gru", 1, 256, 1.20),
    )  # fmt: skip
    found = whole(losses.beats_rnn("gru")(e))
    assert found.verdict == HOLDS
    assert found.basis.startswith(
        "from size 256 on; size 64: the GRU leads; size 128: the RNN leads;"
    )
    with pytest.raises(Missing, match="RNN and LSTM"):
        losses.beats_rnn("lstm")(e)


MIXED = [
    # losses of the LSTM and of the GRU at sizes 64, 128, 256
    ([(1.40, 1.30), (1.30, 1.25), (1.20, 1.25)], HOLDS),  # each leads somewhere
    ([(1.40, 1.30), (1.30, 1.25), (1.20, 1.20)], HOLDS),  # the lead vanishes
    ([(1.40, 1.30), (1.30, 1.25), (1.20, 1.15)], FAILS),  # the GRU leads at every size
    ([(1.40, 1.40), (1.30, 1.30), (1.20, 1.20)], UNDECIDED),  # neither ever does
]


@pytest.mark.parametrize(("pairs", "verdict"), MIXED)
def test_mixed(pairs, verdict):
    cells = [seeds("rnn", 1, 64, 1.4)]
    for size, (lstm, gru) in zip((64, 128, 256), pairs, strict=True):
        cells += [network("lstm", 1, size, lstm), network("gru", 1, size, gru)]
    findings = losses.lstm_and_gru_mixed(evidence(*cells))
    leads = [lstm - gru for lstm, gru in pairs]
    assert whole(findings).verdict == verdict
    assert whole(findings).effect == pytest.approx((leads[0] - leads[2]) / 2, abs=1e-3)
    assert part(findings, "lead of the GRU, size 64").effect == pytest.approx(leads[0], abs=1e-3)
    more = planned(("lstm", 1, 512), ("gru", 1, 512))  # where the lead may still vanish
    partial = whole(losses.lstm_and_gru_mixed(evidence(*cells, planned=more)))
    assert partial.verdict == (UNDECIDED if verdict == FAILS else verdict)


def test_a_lead_that_seeds_do_not_rule_out_has_not_vanished():
    # 0.01 apart, with seeds 0.02 apart: neither a lead nor none
    cells = [seeds("lstm", 1, size, 1.4, spread=0.02) for size in (64, 128)]
    cells += [network("gru", 1, 64, 1.1), network("gru", 1, 128, 1.39)]
    found = whole(losses.lstm_and_gru_mixed(evidence(*cells)))
    assert found.verdict == UNDECIDED and "the GRU ahead at size 64" in found.basis
    assert "size 128" not in found.basis.split("seed SD")[0]
    with pytest.raises(Missing, match="two sizes"):
        losses.lstm_and_gru_mixed(evidence(cells[0], cells[2]))


@pytest.mark.parametrize(("pairs", "verdict"), MIXED)
def test_a_third_layer(pairs, verdict):
    cells = [seeds("rnn", 1, 64, 1.4), network("gru", 3, 64, 1.0)]  # no two layers to compare with
    for size, (three, two) in zip((64, 128, 256), pairs, strict=True):
        cells += [network("lstm", 3, size, three), network("lstm", 2, size, two)]
    findings = losses.third_layer_mixed(evidence(*cells))
    assert whole(findings).verdict == verdict
    lead = part(findings, "lead of two layers, size 128")
    assert lead.effect == pytest.approx(pairs[1][0] - pairs[1][1], abs=1e-3)
    assert "LSTM 2x128 against three layers" in lead.basis
    if verdict == HOLDS:
        assert "two layers ahead at size 64, 128" in whole(findings).basis
    with pytest.raises(Missing, match="two layers and of three"):
        losses.third_layer_mixed(evidence(cells[0]))


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


def test_the_papers_claims_are_about_its_own_types():
    """Whatever newer types and blocks do: these claims stand beside the paper's numbers."""
    shapes = list(itertools.product((1, 2, 3), (64, 128)))
    own = [seeds(type, n, size, 1.5 - n / 100) for n, size in shapes for type in PAPER_TYPES]
    newer = [seeds("mamba", n, size, 1.0 + n / 5) for n, size in shapes]
    newer.append(seeds("lstm+block", 2, 128, 0.9))
    for claim in (losses.depth_helps, losses.third_layer_mixed, losses.best_beats_ngram):
        ours, all_of_them = (
            claim(evidence(*some, ngram(20, 2.0))) for some in (own, [*own, *newer])
        )
        assert [f.part for f in ours] == [f.part for f in all_of_them]
        assert [f.effect for f in ours] == pytest.approx([f.effect for f in all_of_them])
