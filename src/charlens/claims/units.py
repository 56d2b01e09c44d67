"""Claims about units and the hypotheses they follow (section 4.2, figure 2).

They are about the LSTM that the tables of units name: one network, from one seed. What the others
say stands beside it (see `over_networks`).
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from charlens.claims.evidence import Evidence, Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Effect, Finding
from charlens.claims.over_networks import PART, STANDS, beside, counted, measures, one_of
from charlens.store.models import shown
from charlens.store.tables import MISSING
from charlens.text.hypotheses import PARTS
from charlens.units import selectivity
from charlens.units.selectivity import EXPLAINED, FOLLOWS

BARS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # strengths for which the share of units is given
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


def beyond_baselines(units: pd.DataFrame, table: str) -> pd.Series:
    """Which units are stronger than both baselines, an untrained network and the last characters.

    Raises Missing where the table, by an older version, does not say.
    """
    if "beyond_baselines" not in units or units["beyond_baselines"].isna().any():
        raise Missing(f"the baselines of units (tables/{table}.csv)")
    return units["beyond_baselines"].astype(bool)


def units_follow_hypotheses(evidence: Evidence) -> list[Finding]:
    """For each hypothesis, a unit is selected on the selection streams and scored on the evaluation
    streams. Effect: the strength of the score, |2 AUC - 1| for yes/no hypotheses and |rank
    correlation| for counts. A unit follows a hypothesis if the whole interval is above 0.8, and if
    it is stronger than both baselines, the best unit of an untrained network and a predictor from
    the last characters. It follows a hypothesis of several parts, such as comments and quotes, only
    if it follows each of them, scored against the text outside of all; the parts stand below it.
    The overall verdict is that of the hypothesis with the strongest unit on the selection streams,
    of the units beyond both baselines where there are any, and of the hypotheses without parts. The
    interval is over streams, and about this unit."""
    units = picked_units(evidence)
    units = units.assign(beaten=beyond_baselines(units, "hypotheses"))
    first = units
    for wanted in (~units["hypothesis"].isin(PARTS), units["beaten"]):
        own = first[wanted[first.index]]
        first = first if own.empty else own
    findings, first = [], first["picked_strength"].idxmax()
    for index, row in units.iterrows():
        found, *parts = follows(evidence, row)
        others = in_others(evidence, row["hypothesis"], f"{found.part}: {PART}")
        if index == first:
            overall = replace(found, part="", basis=f"{found.part}: {found.basis}")
            every = in_others(evidence, row["hypothesis"], PART)
        findings += [found, *parts, *others]
    whole, *every = beside([overall], every)
    return [whole, *every, *findings]


def in_others(evidence: Evidence, hypothesis: str, part: str) -> list[Finding]:
    """In how many networks a unit follows a hypothesis by its score alone, whatever the baselines
    and the parts of the hypothesis."""
    networks = measures(evidence, evidence.type)
    if f"best {hypothesis}" not in networks:
        return []
    best = networks[f"best {hypothesis}"].dropna()
    what = f"the best unit's strength on {hypothesis.replace('_', ' ')} by its score alone,"
    return counted(evidence.type, best >= FOLLOWS, best, what, part)


def follows(evidence: Evidence, row: pd.Series) -> list[Finding]:
    """Whether the unit of a row follows the row's hypothesis, and each of its parts, if any."""
    title = row["hypothesis"].replace("_", " ")
    words = f"{one_of(evidence, evidence.type)}, {shown(row['model'])}, one seed:"
    words += f" layer {int(row['layer'])},"
    words += f" unit {int(row['unit'])}"
    effect = Effect(row["strength"], row["weak"], row["strong"])
    findings, missing = [], []
    for part in PARTS.get(row["hypothesis"], ()):
        scores = [row.get(f"{part.name}{bound}", np.nan) for bound in ("", "_low", "_high")]
        if np.isnan(scores).any():
            missing.append(part.name)
            continue
        side = 1 if row["score"] >= 0.5 else -1  # high inside the whole, or low
        value, *bounds = (side * (2 * score - 1) for score in scores)
        own = Effect(value, min(bounds), max(bounds))
        findings.append(own.finding(f"{title}: {part.name}", own.verdict(FOLLOWS), words))
    verdicts = [effect.verdict(FOLLOWS), *(found.verdict for found in findings)]
    if missing:
        verdicts.append(UNDECIDED)
        words += f"; not scored against plain code: {' and '.join(missing)}"
    if not row["beaten"]:
        verdicts.append(FAILS)
        words += "; no stronger than the baselines"
    verdict = next(v for v in (FAILS, UNDECIDED, HOLDS) if v in verdicts)
    reason = MISSING if missing and verdicts.count(UNDECIDED) == 1 else None
    return [effect.finding(title, verdict, words, reason=reason), *findings]


def most_units_do_not(evidence: Evidence) -> list[Finding]:
    """A hypothesis explains a unit if the unit's score exceeds the null distribution and both
    baselines, and has at least some strength. It is selected for each unit on the selection streams
    and scored on the evaluation streams. Effect: the share of units that are not explained; the
    bounds take every unit at one end of its interval. Each part takes another strength; it holds if
    more than half of the units are not explained. The claim holds if that is so at a strength of
    0.5 (an area under the curve of 0.75), and does not hold if it is not even so at 0.8. It is
    about the units of one network."""
    if evidence.units is None or evidence.units.empty:
        raise Missing("the scores of units (tables/cells.csv)")
    measures = picked_units(evidence)[["hypothesis", "measure"]]
    scored = strengths(
        evidence.units.dropna(subset=["score", "low", "high", "picked"]).merge(measures)
    )
    of_unit = scored.groupby(["model", "layer", "unit"])
    own = scored.loc[of_unit["picked_strength"].idxmax()]
    beyond = own["beyond"].astype(bool) & beyond_baselines(own, "cells")
    own = own.assign(beyond=beyond)
    at = {bar: unexplained(own, bar) for bar in BARS}
    verdicts = {bar: effect.verdict(MOST) for bar, effect in at.items()}
    verdict, reason = verdicts[EXPLAINED], None
    if verdict == FAILS and verdicts[FOLLOWS] != FAILS:
        verdict, reason = UNDECIDED, ""  # it depends on the strength
    whose = f"{one_of(evidence, evidence.type)}, {shown(own['model'].iloc[0])}, one seed"
    words = f"{whose}: {len(own)} units, {scored['hypothesis'].nunique()} hypotheses"
    explained = own[own["beyond"] & (own["strength"] >= EXPLAINED)]
    of_each = by_hypothesis(explained["hypothesis"])
    findings = [at[EXPLAINED].finding("", verdict, words, of_each, reason=reason)]
    for bar in BARS:
        count = round((1 - at[bar].value) * len(own))
        words = f"{whose}: {count} of {len(own)} units explained"
        findings.append(at[bar].finding(f"strength {bar:g}", verdicts[bar], words))
    return beside(findings, most_in_others(evidence))


def most_in_others(evidence: Evidence) -> list[Finding]:
    """In how many networks most units follow no hypothesis, by their scores alone."""
    networks = measures(evidence, evidence.type)
    if f"units {EXPLAINED:g}" not in networks:
        return []
    follow = networks[f"units {EXPLAINED:g}"].dropna()
    what = f"share of the units that follow a hypothesis with a strength of {EXPLAINED:g} by their"
    what += " scores alone,"
    return counted(evidence.type, 1 - follow > MOST, follow, what)


def unexplained(own: pd.DataFrame, bar: float) -> Effect:
    """The share of units that no hypothesis explains with this strength. own: one row per unit."""
    explained = own[["weak", "strength", "strong"]].ge(bar).mul(own["beyond"], axis=0)
    share = 1 - explained.mean()
    return Effect(share["strength"], share["strong"], share["weak"])


def by_hypothesis(explained: pd.Series) -> str:
    """The hypotheses of the explained units, the commonest first, with their shares."""
    shares = explained.value_counts(normalize=True)
    names = (f"{which.replace('_', ' ')} {share:.0%}" for which, share in shares.items())
    return f"of the explained: {', '.join(names)}" if len(shares) else ""


for test in (units_follow_hypotheses, most_units_do_not):
    test.__doc__ = f"{test.__doc__} {STANDS}"
