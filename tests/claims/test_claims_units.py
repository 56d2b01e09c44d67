"""Claims about units and gates: verdicts on constructed tables."""

import numpy as np
import pandas as pd
import pytest
from constructed import evidence, part, whole

from charlens.claims import gates, units
from charlens.claims.evidence import Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED


def saturation(right_f, left_o, right_o, between=((0.9, 0.9), (0.4, 0.4))):
    rows = []
    for layer, shares in enumerate(between, start=1):
        for unit, share in enumerate(shares, start=1):
            rows.append(["wp", "lstm", 2, 64, layer, "i", unit, 1 - share, 0.0])
            first = layer == unit == 1
            rows.append(["wp", "lstm", 2, 64, layer, "f", unit, 0, right_f if first else 1 - share])
            o = (left_o, right_o) if first else (1 - share, 0)
            rows.append(["wp", "lstm", 2, 64, layer, "o", unit, *o])
    rows.append(["wp", "gru", 2, 64, 1, "r", 1, 1.0, 0.0])  # not about this one
    return pd.DataFrame(
        rows, columns=["corpus", "type", "layers", "size", "layer", "gate", "unit", "left", "right"]
    )


def test_gates():
    e = evidence(gates=saturation(right_f=0.97, left_o=0.5, right_o=0.2))
    forget = whole(gates.forget_gates_stay_open(e))
    assert forget.verdict == HOLDS and forget.effect == 0.25 and "1 of 4" in forget.basis
    assert 0 < forget.low < 0.25 < forget.high < 1
    moving = gates.output_gates_move(e)
    assert whole(moving).verdict == HOLDS and whole(moving).effect == 0.6
    assert "closed at 60.0%" in whole(moving).basis and "LSTM 2x64, one seed" in whole(moving).basis
    assert part(moving, "bar 50%").effect == 0.75 and part(moving, "bar 50%").verdict == FAILS
    assert part(moving, "bar 70%").effect == 0 and part(moving, "bar 70%").verdict == HOLDS
    closed = evidence(gates=saturation(right_f=0.5, left_o=0.99, right_o=0.0))
    assert whole(gates.forget_gates_stay_open(closed)).verdict == FAILS
    assert whole(gates.output_gates_move(closed)).verdict == FAILS
    nearly = gates.output_gates_move(evidence(gates=saturation(0.5, left_o=0.96, right_o=0.0)))
    assert whole(nearly).verdict == HOLDS and part(nearly, "bar 95%").verdict == FAILS
    opened = evidence(gates=saturation(right_f=0.5, left_o=0.0, right_o=0.99))
    assert whole(gates.output_gates_move(opened)).verdict == FAILS


@pytest.mark.parametrize(
    ("between", "verdict"),
    [
        ([np.linspace(0.7, 0.9, 40), np.linspace(0.2, 0.4, 40)], HOLDS),
        ([np.linspace(0.2, 0.4, 40), np.linspace(0.7, 0.9, 40)], FAILS),
        ([np.linspace(0.2, 0.4, 40)] * 2, UNDECIDED),
    ],
)
def test_diffuse_first_layer(between, verdict):
    table = saturation(0.5, 0.3, 0.2, between)
    assert whole(gates.first_layer_is_diffuse(evidence(gates=table))).verdict == verdict
    one_layer = evidence(gates=table[table["layer"] == 1])
    with pytest.raises(Missing, match="two layers"):
        gates.first_layer_is_diffuse(one_layer)


@pytest.mark.parametrize(
    ("reset", "update", "verdict"),
    [
        ([0.0, 0.01, 0.02], [0.01, 0.02, 0.03], HOLDS),
        ([0.0, 0.01, 0.02], [0.2, 0.3, 0.4], FAILS),
        ([0.2, 0.3, 0.4], [0.01, 0.02, 0.03], FAILS),
        ([0.0, 0.01, 0.02], [0.0, 0.02, 0.12], UNDECIDED),
    ],
)
def test_first_gru_layer(reset, update, verdict):
    rows = [
        ["wp", "gru", 2, 64, layer, gate, unit, *sides]
        for layer in (1, 2)
        for gate, shares in (("r", reset), ("z", update))
        for unit, share in enumerate(shares, start=1)
        for value in [share if layer == 1 else 0.5]
        for sides in [(0.4, value) if gate == "r" else (value, 0.4)]
    ]
    columns = ["corpus", "type", "layers", "size", "layer", "gate", "unit", "left", "right"]
    table = pd.DataFrame(rows, columns=columns)
    findings = gates.first_gru_layer_is_one_sided(evidence(gates=table))
    assert whole(findings).verdict == verdict
    assert part(findings, "reset, right").effect == pytest.approx(np.mean(reset))
    assert part(findings, "update, left").effect == pytest.approx(np.mean(update))
    assert "GRU 2x64" in whole(findings).basis and "50.0% in higher" in whole(findings).basis
    with pytest.raises(Missing, match="type gru"):
        gates.first_gru_layer_is_one_sided(evidence(gates=table.assign(type="lstm")))


def scored(*rows):
    """Rows of unit, hypothesis, score, low, high; the score where it was picked is the same, and
    beyond the null and both baselines."""
    table = pd.DataFrame(
        [["wp", "LSTM", 1, *row] for row in rows],
        columns=["corpus", "model", "layer", "unit", "hypothesis", "score", "low", "high"],
    )
    measure = np.where(table["hypothesis"].isin(["depth", "line_position"]), "tau", "auc")
    found = {"beyond": True, "beyond_baselines": True}
    return table.assign(measure=measure, picked=table["score"], **found)


def searched(*rows):
    """All cells, and those picked: the first of each hypothesis."""
    table = scored(*rows)
    best = table.groupby("hypothesis", sort=False).head(1)
    return evidence(units=table.drop(columns=["measure"]), hypotheses=best)


def test_strengths():
    table = units.strengths(
        scored(
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
    findings = units.units_follow_hypotheses(searched(row))
    assert whole(findings).verdict == verdict == part(findings, row[1].replace("_", " ")).verdict


def test_the_strongest_hypothesis_is_chosen_where_cells_are_picked():
    best = scored((1, "quote", 0.91, 0.905, 0.93), (2, "depth", 0.85, 0.82, 0.9))
    best["picked"] = [0.98, 0.9]  # 0.96 and 0.9 in strength
    found = whole(units.units_follow_hypotheses(evidence(hypotheses=best)))
    assert found.effect == pytest.approx(0.82) and found.basis.startswith("quote: ")


GOOD, BAD, OPEN = (0.99, 0.98, 1.0), (0.84, 0.83, 0.86), (0.92, 0.85, 0.95)


@pytest.mark.parametrize(
    ("comment", "string", "verdict"),
    [
        (GOOD, GOOD, HOLDS),
        (GOOD, BAD, FAILS),  # tells comments from code, and not strings
        (BAD, OPEN, FAILS),
        (GOOD, OPEN, UNDECIDED),
        (GOOD, (0.01, 0.0, 0.02), FAILS),  # on in comments, off in strings
        (GOOD, (np.nan,) * 3, UNDECIDED),  # no strings in this text
    ],
)
@pytest.mark.parametrize("low_when_true", [False, True])
def test_a_hypothesis_of_two_parts_needs_both(comment, string, verdict, low_when_true):
    table = scored((7, "comment_or_quote", 0.98, 0.97, 0.99))
    names = [f"{name}{bound}" for name in ("comment", "string") for bound in ("", "_low", "_high")]
    for name, score in zip(names, (*comment, *string), strict=True):
        table[name] = score
    if low_when_true:
        table[["score", "low", "high", *names]] = 1 - table[["score", "low", "high", *names]]
    findings = units.units_follow_hypotheses(evidence(hypotheses=table))
    assert whole(findings).verdict == verdict == part(findings, "comment or quote").verdict
    assert part(findings, "comment or quote").effect == pytest.approx(0.96)
    if not np.isnan(string).any():
        found = part(findings, "comment or quote: string")
        assert found.effect == pytest.approx(2 * string[0] - 1)
        assert found.low < found.effect < found.high
    else:
        assert "not scored against plain code: string" in whole(findings).basis
    missing = evidence(hypotheses=table.drop(columns=names))  # as an older version published
    assert whole(units.units_follow_hypotheses(missing)).verdict == UNDECIDED


def test_some_units_are_interpretable_whatever_becomes_of_one_with_parts():
    table = scored((1, "comment_or_quote", 0.99, 0.98, 1.0), (2, "quote", 0.95, 0.94, 0.96))
    for name, scores in (("comment", GOOD), ("string", BAD)):
        for bound, score in zip(("", "_low", "_high"), scores, strict=True):
            table[f"{name}{bound}"] = [score, np.nan]
    findings = units.units_follow_hypotheses(evidence(hypotheses=table))
    assert whole(findings).verdict == HOLDS and whole(findings).basis.startswith("quote: ")
    assert part(findings, "comment or quote").verdict == FAILS


def test_most_cells_depend_on_the_strength():
    rows = [(unit, "quote", score, score - 0.01, score + 0.01) for unit, score in
            enumerate([0.99, 0.82, 0.82, 0.82, 0.5])]  # fmt: skip
    findings = units.most_units_do_not(searched(*rows))
    assert whole(findings).verdict == UNDECIDED and whole(findings).effect == pytest.approx(0.2)
    assert part(findings, "strength 0.6").verdict == FAILS
    assert part(findings, "strength 0.7").verdict == HOLDS
    assert part(findings, "strength 0.7").effect == pytest.approx(0.8)
    assert "of the explained: quote 100%" in whole(findings).basis
    assert "one network, LSTM, one seed" in whole(findings).basis


def test_most_cells_are_not_interpretable():
    weak, strong, open_ = (0.5, 0.4, 0.6), (0.95, 0.9, 0.99), (0.75, 0.6, 0.9)

    def verdict(*scores):
        rows = [(unit, "quote", *score) for unit, score in enumerate(scores)]
        return whole(units.most_units_do_not(searched(*rows)))

    found = verdict(weak, weak, weak, strong)
    assert (found.verdict, found.effect) == (HOLDS, 0.75)
    assert verdict(weak, strong, strong, strong).verdict == FAILS
    assert verdict(weak, open_, open_, strong).verdict == UNDECIDED
    # one hypothesis out of several is enough for a cell: the one that was picked, beyond the null
    rows = [(1, "quote", *weak), (1, "depth", 0.9, 0.8, 0.95), (2, "quote", *weak)]
    e = searched(*rows)
    assert whole(units.most_units_do_not(e)).effect == 0.5
    e.units["picked"] = [0.99, 0.5, 0.5]
    assert whole(units.most_units_do_not(e)).effect == 1.0
    e.units["picked"] = [0.5, 0.9, 0.5]
    for column in ("beyond", "beyond_baselines"):
        without = evidence(
            units=e.units.assign(**{column: [True, False, True]}), hypotheses=e.hypotheses
        )
        assert whole(units.most_units_do_not(without)).effect == 1.0


def test_a_unit_that_is_no_stronger_than_the_baselines_follows_nothing():
    """Of several the strongest beyond both counts; a table by an older version says nothing."""
    best = scored((1, "capitalised", 0.99, 0.98, 1.0), (2, "depth", 0.85, 0.82, 0.9))
    findings = units.units_follow_hypotheses(
        evidence(hypotheses=best.assign(beyond_baselines=[False, True]))
    )
    assert part(findings, "capitalised").verdict == FAILS
    assert "no stronger than the baselines" in part(findings, "capitalised").basis
    assert whole(findings).verdict == HOLDS and whole(findings).basis.startswith("depth: ")
    neither = evidence(hypotheses=best.assign(beyond_baselines=False))
    assert whole(units.units_follow_hypotheses(neither)).verdict == FAILS
    for older in (best.drop(columns="beyond_baselines"), best.assign(beyond_baselines=np.nan)):
        with pytest.raises(Missing, match="baselines of units"):
            units.units_follow_hypotheses(evidence(hypotheses=older))
