"""The claim that interpretable units are used: verdicts on constructed tables."""

import pandas as pd
import pytest
from constructed import evidence, part, whole

from charlens.claims import ablation
from charlens.claims.evidence import Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED

HYPOTHESES = ("quote", "newline_next", "depth", "line_position")


def clamped(*rows, controls=50):
    """Evidence on a unit for each hypothesis, all interpretable. rows: (own, low, high, used)."""
    names = HYPOTHESES[: len(rows)]
    picked = pd.DataFrame(
        [["wp", "lstm 2x64", name, "auc", 2, unit, 0.95, 0.93, 0.97, 0.95, True, True]
         for unit, name in enumerate(names, start=1)],
        columns=["corpus", "model", "hypothesis", "measure", "layer", "unit", "score", "low",
                 "high", "picked", "beyond", "beyond_baselines"],
    ).assign(strength=0.9)  # fmt: skip
    effects = [
        ["wp", "lstm 2x64", 2, unit, name, clamp, 0.1, 0.0, 0.2, *row[:3], controls,
         row[3] if clamp == "mean" else 1 - row[3]]
        for unit, (name, row) in enumerate(zip(names, rows, strict=True), start=1)
        for clamp in ("mean", "zero")
    ]  # fmt: skip
    columns = "corpus model layer unit hypothesis clamp loss low high own own_low own_high controls"
    table = pd.DataFrame(effects, columns=[*columns.split(), "used"])
    return evidence(hypotheses=picked, ablation=table)


USED, UNUSED, UNCLEAR = (-0.3, -0.4, -0.2, 1), (-0.01, -0.02, -0.005, 0), (-0.01, -0.02, 0.01, 0)


@pytest.mark.parametrize(
    ("row", "controls", "verdict"),
    [
        (USED, 50, HOLDS),
        ((0.3, 0.2, 0.4, 1), 50, HOLDS),  # clamped, it makes its characters more probable
        (UNUSED, 50, FAILS),
        (UNCLEAR, 50, UNDECIDED),
        ((-0.3, float("nan"), float("nan"), 0), 50, UNDECIDED),  # its characters are too rare
        (USED, 19, HOLDS),
        (USED, 18, UNDECIDED),  # one unit of 19 is beyond the others whatever it does
        (UNUSED, 3, FAILS),
    ],
)
def test_a_unit(row, controls, verdict):
    found = part(ablation.interpretable_units_are_used(clamped(row, controls=controls)), "quote")
    assert found.verdict == verdict and found.effect == pytest.approx(-row[0])
    assert not (found.effect < found.low or found.effect > found.high)
    assert f"layer 2, unit 1; {controls} controls" in found.basis


@pytest.mark.parametrize(
    ("rows", "controls", "verdict", "share"),
    [
        ([USED] * 4, 50, HOLDS, 1.0),
        ([USED] * 4, 1, UNDECIDED, 1.0),  # by chance with probability 1/16
        ([USED] * 3, 50, UNDECIDED, 1.0),  # at least 44%
        ([USED, USED, USED, UNUSED], 50, UNDECIDED, 0.75),
        ([USED, USED, UNUSED], 2, UNDECIDED, 2 / 3),
        ([USED, UNUSED, UNUSED], 50, UNDECIDED, 1 / 3),  # at most 79%
        ([USED, UNUSED], 50, UNDECIDED, 0.5),
        ([UNCLEAR] * 3, 50, UNDECIDED, 0.0),
        ([UNUSED] * 4, 50, FAILS, 0.0),  # at most 49%
    ],
)
def test_all_units(rows, controls, verdict, share):
    found = whole(ablation.interpretable_units_are_used(clamped(*rows, controls=controls)))
    assert (found.verdict, found.effect) == (verdict, pytest.approx(share))
    assert 0 <= found.low <= found.effect <= found.high <= 1
    assert found.basis.startswith("LSTM 2x64: ") and f"of {len(rows)} units" in found.basis


def test_a_unit_that_stands_for_several_hypotheses_counts_once():
    e = clamped(USED, USED, UNUSED, UNUSED)
    for table in (e.hypotheses, e.ablation):
        table["unit"] = table["unit"].replace({2: 1, 3: 1})  # used for two hypotheses of three
    found = whole(ablation.interpretable_units_are_used(e))
    assert found.effect == 0.5 and "1 of 2 units" in found.basis
    # of three hypotheses it is used for one by chance at most three times as often
    assert f"by chance p = {1 - (1 - 3 / 51) ** 2:.2g}" in found.basis


def test_only_interpretable_units_count():
    e = clamped(USED, UNUSED, UNUSED, UNUSED)
    e.hypotheses["strength"] = [0.9, 0.4, 0.9, 0.9]
    e.hypotheses["score"] = [0.95, 0.7, 0.95, 0.95]
    e.hypotheses["beyond"] = [True, True, False, True]
    e.hypotheses["beyond_baselines"] = [True, True, True, False]
    findings = ablation.interpretable_units_are_used(e)
    assert whole(findings).effect == 1.0 and len(findings) == 2


def test_what_is_missing_is_said():
    e = clamped(USED)
    for change, words in (
        ({"ablation": None}, "tables/ablation.csv"),
        ({"ablation": e.ablation.assign(unit=7)}, "in tables/ablation.csv"),
        ({"ablation": e.ablation.assign(model="lstm 3x64")}, "in tables/ablation.csv"),
        ({"hypotheses": None}, "tables/hypotheses.csv"),
        ({"hypotheses": e.hypotheses.assign(beyond=False)}, "an interpretable unit"),
    ):
        tables = {"hypotheses": e.hypotheses, "ablation": e.ablation} | change
        with pytest.raises(Missing, match=words):
            ablation.interpretable_units_are_used(evidence(**tables))
