"""The claim that a network uses the units that follow the text (section 4.2 leaves it open).

It is about the LSTM that hypotheses.csv names.
"""

import pandas as pd

from charlens.claims.evidence import Evidence, Missing, NothingThere
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Effect, Finding
from charlens.claims.units import MOST, beyond_baselines, picked_units
from charlens.statistics.intervals import share_interval
from charlens.store.models import shown
from charlens.units.selectivity import EXPLAINED

ALPHA = 0.05  # probability of one used unit, or of as many, by chance


def interpretable_units_are_used(evidence: Evidence) -> list[Finding]:
    """The paper shows interpretable units and leaves open whether they matter. A unit is
    interpretable if it was selected for a hypothesis and its score exceeds the null distribution
    and both baselines, with a strength of 0.5 or more. Its state is clamped to its mean over the
    test split. It is used if that changes the mean probability of the characters that the
    hypothesis is about more than clamping any of its control units does, which are of the same
    layer, vary as much and do not follow the hypothesis, and if the interval over test streams
    excludes 0. Effect of a unit: the fall of that probability. Effect of the whole: the share of
    interpretable units that are used, with Wilson's interval over the units of this one network; a
    unit that stands for several hypotheses counts once, and is used if it is for one of them. The
    claim holds if the whole interval is above one half and as many used units are improbable by
    chance (the basis says how improbable; a unit like its C controls is beyond all of them with
    probability 1 / (C + 1), one that stands for several hypotheses at most as often as their sum;
    binomial test, 5%), and does not if the whole interval is at most one half. Undecided is a
    used unit with fewer than 19 controls, and an unused one whose interval includes 0 or is
    missing."""
    units = clamped_units(evidence)
    findings = [whole(units)]
    for row in units.itertuples():
        effect = Effect(0.0 - row.own, 0.0 - row.own_high, 0.0 - row.own_low)
        words = f"layer {int(row.layer)}, unit {int(row.unit)}; {row.controls} controls"
        reason = None
        if row.used:
            verdict = HOLDS if 1 / (row.controls + 1) <= ALPHA else UNDECIDED
            reason = ""  # too few controls
        else:
            verdict = FAILS if effect.low * effect.high > 0 else UNDECIDED
        title = row.hypothesis.replace("_", " ")
        findings.append(effect.finding(title, verdict, words, reason=reason))
    return findings


def clamped_units(evidence: Evidence) -> pd.DataFrame:
    """The interpretable units, one row per hypothesis, with what clamping them to their mean does.

    Raises Missing where there is none, or not all of them were clamped.
    """
    picked = picked_units(evidence)
    beyond = picked["beyond"].astype(bool) & beyond_baselines(picked, "hypotheses")
    picked = picked[beyond & (picked["strength"] >= EXPLAINED)]
    if picked.empty:
        raise NothingThere("an interpretable unit")
    if evidence.ablation is None or evidence.ablation.empty:
        raise Missing("units that were clamped (tables/ablation.csv)")
    to_mean = evidence.ablation[evidence.ablation["clamp"] == "mean"]
    keys = ["model", "hypothesis", "layer", "unit"]
    columns = ["own", "own_low", "own_high", "controls", "used"]
    units = picked[keys].merge(to_mean[keys + columns], on=keys)
    if len(units) < len(picked):
        raise Missing("the units of tables/hypotheses.csv in tables/ablation.csv")
    return units


def whole(units: pd.DataFrame) -> Finding:
    """The share of the units that are used, each unit once."""
    from scipy.stats import binomtest  # here, because it takes a second to import

    chances = units.assign(chance=1 / (units["controls"] + 1))
    each = chances.groupby(["layer", "unit"]).agg({"used": "max", "chance": "sum"})
    used, count = int(each["used"].sum()), len(each)
    p = binomtest(used, count, min(1, each["chance"].max()), alternative="greater").pvalue
    effect = Effect(used / count, *share_interval(used, count))
    most = effect.low > MOST and p < ALPHA
    verdict = FAILS if effect.high <= MOST else HOLDS if most else UNDECIDED
    words = f"{shown(units['model'].iloc[0])}: {used} of {count} units; by chance p = {p:.2g}"
    return effect.finding("", verdict, words)
