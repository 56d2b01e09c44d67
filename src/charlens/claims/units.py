"""Claims about units and the hypotheses they follow (section 4.2, figure 2).

They are about the LSTM that the tables of units name.
"""

import numpy as np
import pandas as pd

from charlens.claims.evidence import Evidence, Missing
from charlens.claims.measure import Effect, Finding
from charlens.units import selectivity

FOLLOWS = 0.8  # strength |2 AUC - 1| or |rank correlation| of a unit that follows a hypothesis
EXPLAINED = 0.5  # strength from which a hypothesis explains a unit
MOST = 0.5  # more than this share


def strengths(units: pd.DataFrame) -> pd.DataFrame:
    """The table with the strength of its scores, 0 (chance) to 1, in four more columns.

    strength is that of `score`; weak and strong are the smallest and largest within its interval;
    picked_strength is that on the selection streams. The column `measure` says whether scores are
    areas under the curve ("auc") or rank correlations ("tau").
    """
    bounds = units[["low", "score", "high"]].to_numpy(dtype=float)
    yes_no = (units["measure"] == "auc").to_numpy()
    signed = np.where(yes_no[:, None], 2 * bounds - 1, bounds)
    size = np.abs(signed)
    crosses = signed[:, 0] * signed[:, 2] < 0
    return units.assign(
        picked_strength=selectivity.strength(units["picked"].to_numpy(float), yes_no),
        weak=np.where(crosses, 0, np.minimum(size[:, 0], size[:, 2])),
        strength=size[:, 1],
        strong=np.maximum(size[:, 0], size[:, 2]),
    )


def picked_units(evidence: Evidence) -> pd.DataFrame:
    """For each hypothesis, the unit that was selected for it on the selection streams.

    Raises Missing where there is none.
    """
    if evidence.hypotheses is None or evidence.hypotheses.empty:
        raise Missing("the units selected for each hypothesis (tables/hypotheses.csv)")
    found = evidence.hypotheses.dropna(subset=["score", "low", "high", "picked"])
    if found.empty:
        raise Missing("a hypothesis that could be tested on this text (tables/hypotheses.csv)")
    return strengths(found)


def name(model: str) -> str:
    """The name of a network as pages show it: LSTM 2x512 for "lstm 2x512"."""
    type, space, shape = model.partition(" ")
    return type.upper() + space + shape


def units_follow_hypotheses(evidence: Evidence) -> list[Finding]:
    """For each hypothesis, a unit is selected on the selection streams and scored on the evaluation
    streams. Effect: the strength of the score, |2 AUC - 1| for yes/no hypotheses and |rank
    correlation| for counts. A unit follows a hypothesis if the whole interval is above 0.8. The
    overall verdict is that of the hypothesis with the strongest unit on the selection streams."""
    units = picked_units(evidence)
    findings = []
    rows = [("", units.loc[units["picked_strength"].idxmax()])]
    rows += [(row["hypothesis"], row) for _, row in units.iterrows()]
    for part, row in rows:
        effect = Effect(row["strength"], row["weak"], row["strong"])
        words = f"{name(row['model'])}, layer {int(row['layer'])}, unit {int(row['unit'])}" + (
            "" if part else f": {row['hypothesis'].replace('_', ' ')}"
        )
        findings.append(effect.finding(part.replace("_", " "), effect.verdict(FOLLOWS), words))
    return findings


def most_units_do_not(evidence: Evidence) -> list[Finding]:
    """A hypothesis explains a unit if the unit's score exceeds the null distribution and has a
    strength of 0.5 or more (an area under the curve of 0.75). It is selected for each unit on the
    selection streams and scored on the evaluation streams. Effect: the share of units that are not
    explained; the bounds take every unit at one end of its interval. The claim holds if more than
    half are not explained."""
    if evidence.units is None or evidence.units.empty:
        raise Missing("the scores of units (tables/cells.csv)")
    measures = picked_units(evidence)[["hypothesis", "measure"]]
    scored = strengths(
        evidence.units.dropna(subset=["score", "low", "high", "picked"]).merge(measures)
    )
    of_unit = scored.groupby(["model", "layer", "unit"])
    own = scored.loc[of_unit["picked_strength"].idxmax()]
    explained = own[["weak", "strength", "strong"]].ge(EXPLAINED).mul(own["beyond"], axis=0)
    unexplained = 1 - explained.mean()
    effect = Effect(unexplained["strength"], unexplained["strong"], unexplained["weak"])
    counts = f"{len(own)} units, {scored['hypothesis'].nunique()} hypotheses"
    words = f"{name(own['model'].iloc[0])}: {counts}"
    return [effect.finding("", effect.verdict(MOST), words)]
