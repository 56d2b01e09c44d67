"""Claims about units and what they follow (figure 2): those of the LSTM that the tables name."""

import numpy as np
import pandas as pd

from charlens.claims.evidence import Evidence, Missing
from charlens.claims.measure import Effect, Finding
from charlens.units import selectivity

FOLLOWS = 0.8  # strength |2 AUC - 1| or |rank correlation| of a unit that follows a hypothesis
EXPLAINED = 0.5  # strength from which a unit counts as explained at all
MOST = 0.5  # more than this share


def strengths(units: pd.DataFrame) -> pd.DataFrame:
    """Columns weak, strength, strong: what score, low and high are worth, 0 (chance) to 1; and
    picked_strength, the same of the score where units are picked. Column measure says whether they
    are areas under the curve ("auc") or rank correlations ("tau")."""
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


def picked_units(e: Evidence) -> pd.DataFrame:
    """For each hypothesis the unit that was picked for it on the selection streams."""
    if e.hypotheses is None or e.hypotheses.empty:
        raise Missing("the units picked for each hypothesis (tables/hypotheses.csv)")
    found = e.hypotheses.dropna(subset=["score", "low", "high", "picked"])
    if found.empty:
        raise Missing("a hypothesis that the test text can decide (tables/hypotheses.csv)")
    return strengths(found)


def name(model: str) -> str:
    """The network that the tables of units name, as everywhere else: LSTM 2x512."""
    type, space, shape = model.partition(" ")
    return type.upper() + space + shape


def units_follow_hypotheses(e: Evidence) -> list[Finding]:
    """For each hypothesis a unit is picked on the selection streams and scored on the evaluation
    streams. Effect: strength of the score, |2 AUC - 1| for yes or no and |rank correlation| for
    counts; it holds from 0.8 on. The whole: the hypothesis with the strongest unit where units are
    picked."""
    units = picked_units(e)
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


def most_units_do_not(e: Evidence) -> list[Finding]:
    """Effect: the share of units that no hypothesis explains, beyond the null and with a strength
    of 0.5 or more (an area under the curve of 0.75). For each unit the selection streams say which
    hypothesis that would be, and the evaluation streams how strongly; the bounds take every unit
    at the ends of its interval. It holds if more than half are not explained."""
    if e.units is None or e.units.empty:
        raise Missing("the scores of units (tables/cells.csv)")
    measures = picked_units(e)[["hypothesis", "measure"]]
    scored = strengths(e.units.dropna(subset=["score", "low", "high", "picked"]).merge(measures))
    of_unit = scored.groupby(["model", "layer", "unit"])
    own = scored.loc[of_unit["picked_strength"].idxmax()]
    explained = own[["weak", "strength", "strong"]].ge(EXPLAINED).mul(own["beyond"], axis=0)
    unexplained = 1 - explained.mean()
    effect = Effect(unexplained["strength"], unexplained["strong"], unexplained["weak"])
    counts = f"{len(own)} units, {scored['hypothesis'].nunique()} hypotheses"
    words = f"{name(own['model'].iloc[0])}: {counts}"
    return [effect.finding("", effect.verdict(MOST), words)]
