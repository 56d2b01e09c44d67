"""Claims about what is inside the newer types: units, whether they are used, whether what is known
is spread over many, and the first epochs.

Each is the claim about the paper's LSTM, put to the tables in types/<type>/ (settings: figures:
types): one network of each type, from one seed.
"""

import math
from collections.abc import Callable
from dataclasses import replace

from charlens.claims.ablation import interpretable_units_are_used
from charlens.claims.evidence import Evidence, Missing, NothingThere, NotInRun
from charlens.claims.first_epochs import nearest_nn_climbs
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Effect, Finding, of_all
from charlens.claims.types import bare
from charlens.claims.units import units_follow_hypotheses
from charlens.statistics.intervals import share_interval
from charlens.store.models import shown, type_name
from charlens.store.tables import ONE_SEED, UNFINISHED
from charlens.units.unit_tables import told

MOST = 0.5  # more than this share


EACH = """The claim holds if it does for every newer type of the run, and does not if it does not
    for one. A type in which there is nothing to judge is named and does not count. Overall effect:
    the share of the types judged for which it holds. A type's interval is 95% for that type alone,
    and about one network of it."""


def newer_have_interpretable_units(evidence: Evidence) -> list[Finding]:
    return of_each(evidence, some_units_follow)


newer_have_interpretable_units.__doc__ = f"""For each newer type as for the LSTM: a unit is selected
    for a hypothesis on the selection streams, and follows it if its strength on the evaluation
    streams is above 0.8. Effect: the strength of the unit that is strongest on the selection
    streams. That the units of one network do not follow the text leaves a type undecided. {EACH}"""


def some_units_follow(evidence: Evidence) -> list[Finding]:
    """The finding whether a network has a unit that follows a hypothesis: one that has none does
    not show that its type has none."""
    found, *_ = units_follow_hypotheses(evidence)
    if found.verdict == FAILS:
        found = replace(found, verdict=UNDECIDED, reason=ONE_SEED)
    return [found]


def newer_use_interpretable_units(evidence: Evidence) -> list[Finding]:
    return of_each(evidence, interpretable_units_are_used)


newer_use_interpretable_units.__doc__ = f"""For each newer type as for the LSTM: the units that
    follow the text are clamped to their mean. Effect: the share of them whose characters change
    their probability more than under any of the control units. {EACH}"""


def newer_first_resemble_a_1nn(evidence: Evidence) -> list[Finding]:
    return of_each(evidence, nearest_nn_climbs)


newer_first_resemble_a_1nn.__doc__ = f"""For each newer type as for the LSTM: the snapshots
    with the lowest KL divergence from the 1-NN, the 2-NN and the 3-NN come in this order, the first
    of them after the first snapshot. Effect: the epochs from the first of them to the last, at
    least. {EACH}"""


def newer_spread_what_they_know(evidence: Evidence) -> list[Finding]:
    return of_each(evidence, told_by_many)


newer_spread_what_they_know.__doc__ = f"""For each hypothesis, the best unit, the probe on all units
    of a layer, the last characters alone and the probe on an untrained network have a strength
    each, in the layer where it is largest. A hypothesis is told if the unit or the probe exceeds
    the other two by 0.05, and by many units if the probe exceeds the unit by as much. Effect: the
    share of the hypotheses told that many units tell. It holds for a type if Wilson's interval,
    over the hypotheses, is above half, and does not if it is below. The strengths themselves are
    point estimates. {EACH}"""


def told_by_many(evidence: Evidence) -> list[Finding]:
    """The finding whether a network's probes tell most hypotheses better than its best units.

    Raises Missing where there are no probes, or none tells anything.
    """
    if evidence.probes is None or evidence.probes.empty:
        raise Missing("probes on all units of a layer (tables/probes.csv)")
    best = told(evidence.probes)
    best = best[best["by"] != "baselines alone"]
    if best.empty:
        raise NothingThere("a hypothesis that units tell more of than the baselines")
    many = int((best["by"] == "many units").sum())
    effect = Effect(many / len(best), *share_interval(many, len(best)))
    each = ", ".join(
        f"{row.hypothesis.replace('_', ' ')} {row.probe:.2f} by all, {row.single:.2f} by one"
        for row in best.itertuples()
    )
    words = f"one network, {shown(best['model'].iloc[0])}, one seed: {each}"
    return [effect.finding("", effect.verdict(MOST), words)]


def of_each(evidence: Evidence, test: Callable[[Evidence], list[Finding]]) -> list[Finding]:
    """A claim about the LSTM, put to each newer type: see EACH. Raises Missing where the tables of
    none are here."""
    types, parts, lacking, nothing = bare(evidence.newer_types), [], {}, {}
    for type in types:
        try:
            first, *_ = test(evidence.of(type))
        except NothingThere as missing:
            nothing.setdefault(str(missing), []).append(type_name(type))
            continue
        except Missing as missing:
            lacking[type_name(type)] = missing
            continue
        parts.append(replace(first, part=type_name(type)))
    if not parts:
        reasons = " or ".join(dict.fromkeys([*nothing, *map(str, lacking.values())]))
        planned = nothing or any(not isinstance(each, NotInRun) for each in lacking.values())
        raise (Missing if planned else NotInRun)(f"of every newer type: {reasons}")
    verdicts = [found.verdict for found in parts]
    verdict = of_all([*verdicts, UNDECIDED] if lacking else verdicts)
    reason = ""
    if verdict == UNDECIDED:
        open_ones = (found.reason for found in parts if found.verdict == UNDECIDED)
        reason = UNFINISHED if lacking else next(open_ones)
    words = [
        f"{said}: {', '.join(found.part for found in parts if found.verdict == said)}"
        for said in (HOLDS, FAILS, UNDECIDED)
        if said in verdicts
    ]
    words += [f"without {what}: {', '.join(without)}" for what, without in nothing.items()]
    if lacking:
        words.append(f"not looked at: {', '.join(lacking)}")
    share = verdicts.count(HOLDS) / len(parts)
    return [Finding("", verdict, share, math.nan, math.nan, "; ".join(words), reason), *parts]
