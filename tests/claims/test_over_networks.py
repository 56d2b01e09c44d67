"""Claims about one network beside all that were measured: verdicts on constructed tables."""

import numpy as np
import pandas as pd
import pytest
from constructed import evidence, part, whole
from test_claims_units import saturation, scored, searched

from charlens.claims import gates, judge, units
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Finding
from charlens.claims.over_networks import PART, beside, counted, one_of
from charlens.store.tables import CROSSES, DIFFER, INSIDE

GRU = ["corpus", "type", "layers", "size", "layer", "gate", "unit", "left", "right"]


def inside(*networks, type="lstm", layers=2):
    """Networks from several seeds. Each: its measures, by layer and measure."""
    rows = [
        ["wp", type, layers, 64, seed, layer, measure, value]
        for seed, measured in enumerate(networks, start=1)
        for (layer, measure), value in measured.items()
    ]
    other = [["wp", "rnn", 1, 64, 1, "all", "best quote", 0.1]]  # of another type
    return pd.DataFrame(rows + other, columns=INSIDE)


def gates_open(*shares):
    return inside(*({("all", "always right f"): share} for share in shares))


def gates_constant(*shares):
    sides = [(share, 0.0) if n % 2 else (0.0, share) for n, share in enumerate(shares)]
    return inside(
        *({("all", "always left o"): left, ("all", "always right o"): right}
          for left, right in sides)
    )  # fmt: skip


def diffuse(*differences):
    return inside(
        *({(layer, f"{side} {gate}"): (0.4 - more) / 2 for gate in "ifo"
           for side in ("left", "right")
           for layer, more in (("1", difference), ("2", 0.0), ("all", 0.0))}
          for difference in differences)
    )  # fmt: skip


def one_sided(*shares):
    return inside(
        *(
            {("1", "right r"): 0.01, ("1", "left z"): share, ("all", "left z"): 0.5}
            for share in shares
        ),
        type="gru",
    )


def best_quote(*strengths):
    return inside(*({("all", "best quote"): strength} for strength in strengths))


def following(*shares):
    return inside(*({("all", "units 0.5"): share} for share in shares))


def gru(share):
    rows = [["wp", "gru", 2, 64, layer, gate, unit, share, share]
            for layer in (1, 2) for gate in "rz" for unit in (1, 2, 3)]  # fmt: skip
    return {"gates": pd.DataFrame(rows, columns=GRU)}


def lstm(**more):
    return {"gates": saturation(**({"right_f": 0.97, "left_o": 0.5, "right_o": 0.2} | more))}


def cells(*scores):
    e = searched(*((unit, "quote", *score) for unit, score in enumerate(scores)))
    return {"units": e.units, "hypotheses": e.hypotheses}


STRONG, WEAK = (0.99, 0.98, 1.0), (0.5, 0.45, 0.55)
LAYERS = [np.linspace(0.7, 0.9, 40), np.linspace(0.2, 0.4, 40)]
CLAIMS = [  # function; tables for which it holds in one network, and does not; others, likewise
    (gates.forget_gates_stay_open, lstm(), lstm(right_f=0.5), gates_open, 0.02, 0.0),
    (gates.output_gates_move, lstm(), lstm(left_o=0.995), gates_constant, 0.0, 0.02),
    (gates.first_layer_is_diffuse, lstm(between=LAYERS), lstm(between=LAYERS[::-1]),
     diffuse, 0.2, -0.2),
    (gates.first_gru_layer_is_one_sided, gru(0.01), gru(0.3), one_sided, 0.02, 0.3),
    (units.units_follow_hypotheses, cells(STRONG), cells(WEAK), best_quote, 0.9, 0.3),
    (units.most_units_do_not, cells(WEAK, WEAK, STRONG), cells(STRONG, STRONG, WEAK), following,
     0.1, 0.9),
]  # fmt: skip


@pytest.mark.parametrize(("test", "good", "bad", "others", "so", "not_so"), CLAIMS)
def test_the_others_stand_beside_the_one(test, good, bad, others, so, not_so):
    for one, verdict in ((good, HOLDS), (bad, FAILS)):
        alone = whole(test(evidence(**one)))
        assert alone.verdict == verdict and "one network, " in alone.basis
        for agree, of_networks in ((12, HOLDS), (6, UNDECIDED), (0, FAILS)):
            table = others(*[so] * agree, *[not_so] * (12 - agree))
            findings = test(evidence(**one, inside=table))
            found = part(findings, PART)
            assert found.verdict == of_networks and found.effect == pytest.approx(agree / 12)
            assert found.low < found.effect + 1e-9 and found.effect - 1e-9 < found.high
            assert f"in {agree} of 12 networks of type" in found.basis
            if agree == 6:
                least, most = sorted((so, not_so))
                assert found.basis.endswith(f"{least:.3g} to {most:.3g}")
            # the whole is as of the one network, unless most others say the opposite; that a gate
            # of theirs is constant at 95% says nothing against one network's bar of 99%
            opposite = {verdict, of_networks} == {HOLDS, FAILS}
            opposite &= (test, verdict) != (gates.output_gates_move, HOLDS)
            assert whole(findings).verdict == (UNDECIDED if opposite else verdict)
            assert (whole(findings).reason == DIFFER) == opposite
            assert "one network of 12, " in whole(findings).basis
            assert (f"{verdict} in this network, not in most" in whole(findings).basis) == opposite


@pytest.mark.parametrize(("test", "good", "bad", "others", "so", "not_so"), CLAIMS)
def test_where_no_others_are_measured_there_is_no_such_part(test, good, bad, others, so, not_so):
    alone = test(evidence(**good))
    for table in (others(so), inside(), inside({("all", "something else"): 1.0}), None):
        findings = test(evidence(**good, inside=table))
        assert [found.part for found in findings] == [found.part for found in alone]
        assert whole(findings) == whole(alone)


def test_the_only_layer_of_a_network_is_no_first_layer():
    deep, flat = one_sided(*[0.02] * 5), one_sided(*[0.3] * 9).assign(layers=1)
    table = pd.concat([deep, flat])
    findings = gates.first_gru_layer_is_one_sided(evidence(**gru(0.01), inside=table))
    assert "in 5 of 5 networks" in part(findings, PART).basis


def test_each_hypothesis_has_its_networks():
    best = scored((1, "quote", *STRONG), (2, "depth", 0.85, 0.82, 0.9))
    table = inside(*({("all", "best quote"): 0.9, ("all", "best depth"): 0.1} for _ in range(9)))
    findings = units.units_follow_hypotheses(evidence(hypotheses=best, inside=table))
    assert part(findings, f"quote: {PART}").verdict == HOLDS == part(findings, PART).verdict
    assert part(findings, f"depth: {PART}").verdict == FAILS
    assert whole(findings).verdict == HOLDS == part(findings, "depth").verdict


def test_an_undecided_whole_is_left_alone():
    found = counted("lstm", pd.Series([True] * 12), pd.Series([0.1] * 12), "share")
    one = Finding("", UNDECIDED, 0.0, -1.0, 1.0, "one network", CROSSES)
    assert beside([one], found)[0] == one
    assert one_of(evidence(inside=gates_open(0.1)), "lstm") == "one network"


def test_the_table_reaches_the_claims():
    own = lstm()["gates"].query("type == 'lstm'")
    e = evidence(gates=own, inside=gates_open(*[0.02] * 3, *[0.0] * 2))
    table = judge.judge([e])
    found = table.set_index(["claim", "where"]).loc["forget gates remember", f"wp: {PART}"]
    assert found["effect"] == pytest.approx(0.6) and found["reason"] == CROSSES
    assert judge.UNIT_TABLES["inside.csv"] == INSIDE
