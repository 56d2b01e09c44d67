"""Claims about what is inside newer types: verdicts on constructed tables."""

import pandas as pd
import pytest
from constructed import evidence, part, planned, whole
from test_claims_ablation import UNUSED, USED, clamped
from test_claims_figures import snapshots
from test_claims_units import searched

from charlens.claims import types_inside
from charlens.claims.evidence import Missing, NotInRun
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED
from charlens.store.models import ModelKey
from charlens.store.tables import ONE_SEED, PROBES

OWN = planned(("mingru", 1, 64), ("minlstm", 1, 64), ("mingru+block", 1, 64))
STRONG, WEAK = (1, "quote", 0.97, 0.95, 0.98), (1, "quote", 0.6, 0.55, 0.65)


def types(first, second=None):
    """Evidence with tables of minGRU and, if given, of minLSTM."""
    tables = {"mingru": first} | ({} if second is None else {"minlstm": second})
    return evidence(planned=OWN, of_types=tables)


def units(row):
    return {"hypotheses": searched(row).hypotheses}


def ablation(*rows):
    own = clamped(*rows)
    return {"hypotheses": own.hypotheses, "ablation": own.ablation}


def first_epochs(*lowest):
    return {"first_epochs": snapshots(dict(enumerate(lowest, start=1)))}


def probes(*rows):
    """rows: best unit, probe, last characters, untrained."""
    table = [["wp", "mingru 1x64", 1, f"h{n}", 1, *row] for n, row in enumerate(rows)]
    return {"probes": pd.DataFrame(table, columns=PROBES)}


SPREAD, SINGLE, NOTHING = (0.5, 0.9, 0.1, 0.1), (0.9, 0.9, 0.1, 0.1), (0.5, 0.6, 0.6, 0.1)
CASES = [  # the claim's function, tables for which it holds for a type, and does not
    (types_inside.newer_use_interpretable_units, ablation(*[USED] * 4), ablation(*[UNUSED] * 4)),
    (types_inside.newer_spread_what_they_know, probes(*[SPREAD] * 4), probes(*[SINGLE] * 4)),
    (types_inside.newer_first_resemble_a_1nn, first_epochs(2, 5, 8), first_epochs(5, 2, 8)),
]


@pytest.mark.parametrize(("test", "good", "bad"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_each_type_counts(test, good, bad):
    findings = test(types(good, good))
    assert whole(findings).verdict == HOLDS and whole(findings).effect == 1
    assert whole(findings).basis == "holds: minGRU, minLSTM"
    assert [found.part for found in findings] == ["", "minGRU", "minLSTM"]
    assert part(findings, "minGRU").verdict == HOLDS
    mixed = whole(test(types(good, bad)))
    assert (mixed.verdict, mixed.effect) == (FAILS, 0.5)
    assert mixed.basis == "holds: minGRU; does not hold: minLSTM"
    partial = whole(test(types(good)))
    assert partial.verdict == UNDECIDED and partial.basis.endswith("not looked at: minLSTM")
    assert whole(test(types(bad))).verdict == FAILS
    with pytest.raises(Missing, match="of every newer type: "):
        test(evidence(planned=OWN))


def test_one_network_without_such_a_unit_leaves_its_type_open():
    findings = types_inside.newer_have_interpretable_units(types(units(STRONG), units(WEAK)))
    assert (whole(findings).verdict, whole(findings).effect) == (UNDECIDED, 0.5)
    assert part(findings, "minGRU").verdict == HOLDS
    alone = part(findings, "minLSTM")
    assert (alone.verdict, alone.reason) == (UNDECIDED, ONE_SEED)


def test_n_nns_that_no_run_was_to_have_are_not_missing():
    test = types_inside.newer_first_resemble_a_1nn
    with pytest.raises(NotInRun, match="of every newer type: no 1-NN"):
        test(evidence(planned=OWN))
    nns = [ModelKey("wp", "nn", seed=1, n=n) for n in (1, 2, 3)]
    with pytest.raises(Missing, match="figure 5") as raised:
        test(evidence(planned=OWN + nns))
    assert not isinstance(raised.value, NotInRun)


def test_the_first_epochs_are_of_the_type():
    found = part(types_inside.newer_first_resemble_a_1nn(types(first_epochs(1, 2, 3))), "minGRU")
    assert found.basis.startswith("one network, minGRU 3x128, one seed")


@pytest.mark.parametrize(
    ("rows", "share", "verdict"),
    [
        ([*[SPREAD] * 9, SINGLE], 0.9, HOLDS),
        ([SPREAD, *[SINGLE] * 9], 0.1, FAILS),
        ([SPREAD, SPREAD, SINGLE], 2 / 3, UNDECIDED),  # of three hypotheses nothing follows
        ([*[SPREAD] * 4, NOTHING, NOTHING], 1.0, HOLDS),  # what the baselines tell does not count
    ],
)
def test_what_is_spread(rows, share, verdict):
    findings = types_inside.newer_spread_what_they_know(types(probes(*rows)))
    found = part(findings, "minGRU")
    assert (found.verdict, found.effect) == (verdict, pytest.approx(share))
    assert "minGRU 1x64, one seed: h0 0.90 by all, 0.50 by one" in found.basis


def test_nothing_told_is_missing():
    with pytest.raises(Missing, match="a hypothesis that units tell more of"):
        types_inside.newer_spread_what_they_know(types(probes(NOTHING)))


@pytest.mark.parametrize(
    ("test", "good", "nothing", "what"),
    [
        (
            types_inside.newer_use_interpretable_units,
            ablation(*[USED] * 4),
            units(WEAK),
            "an interpretable unit",
        ),
        (
            types_inside.newer_spread_what_they_know,
            probes(*[SPREAD] * 4),
            probes(NOTHING),
            "a hypothesis that units tell more of than the baselines",
        ),
    ],
)
def test_a_type_with_nothing_to_judge_is_named_and_leaves_nothing_open(test, good, nothing, what):
    overall = whole(test(types(good, nothing)))
    assert (overall.verdict, overall.effect) == (HOLDS, 1.0)
    assert overall.basis == f"holds: minGRU; without {what}: minLSTM"
