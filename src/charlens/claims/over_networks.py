"""What a claim about one network is in all networks of its type that were measured (inside.csv).

A claim about units or gates rests on one network, but every network of the grid is measured in
short (see `units.inside`). The part "over networks" of such a claim says in how many of them it
holds: over types of one kind, all sizes, depths and seeds. It holds if it does in most, and does
not if it does in few: if Wilson's interval of their share lies above or below a half. Networks of
several sizes are no sample of one kind, so that interval is a rough measure. The verdict on the one
network stands unless its part says the opposite; then it is undecided.
"""

from dataclasses import replace

import pandas as pd

from charlens.claims.evidence import Evidence
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Effect, Finding
from charlens.statistics.intervals import share_interval
from charlens.store.models import type_name
from charlens.store.tables import DIFFER
from charlens.units.inside_table import wide

PART = "over networks"
MOST = 0.5  # more than this share of the networks
STANDS = """The part "over networks" counts the networks of the type, of all sizes, depths and
    seeds, for which it is so by their short measures; the interval is Wilson's, over networks. The
    verdict is undecided where these say the opposite of the one network."""


def measures(evidence: Evidence, type: str, layer: str = "all") -> pd.DataFrame:
    """The measures of each network of a type, a row per network: over all layers, or in one."""
    if evidence.inside is None:
        return pd.DataFrame()
    table = evidence.inside
    return wide(table[table["type"] == type].astype({"layer": str}), layer)


def one_of(evidence: Evidence, type: str) -> str:
    """The words for the one network that a claim rests on: one network of 17."""
    count = len(measures(evidence, type))
    return f"one network of {count}" if count > 1 else "one network"


def counted(
    type: str, so: pd.Series, values: pd.Series, what: str, part: str = PART
) -> list[Finding]:
    """The finding in how many networks it is so; none where fewer than two are measured.

    so: whether it is in each network, bool; values: the share on which that depends; what it is,
    in words.
    """
    if len(so) < 2:
        return []
    effect = Effect(float(so.mean()), *share_interval(int(so.sum()), len(so)))
    verdict = effect.verdict(MOST)
    span = f"{values.min():.3g} to {values.max():.3g}"
    words = f"in {int(so.sum())} of {len(so)} networks of type {type_name(type)}: {what} {span}"
    return [effect.finding(part, verdict, words)]


def beside(findings: list[Finding], found: list[Finding]) -> list[Finding]:
    """The findings of a claim, the first of them the whole, and then those over networks, the
    first of which may contradict the whole."""
    whole, *parts = findings
    if found and {whole.verdict, found[0].verdict} == {HOLDS, FAILS}:
        basis = f"{whole.basis}; {whole.verdict} in this network, not in most: {found[0].basis}"
        whole = replace(whole, verdict=UNDECIDED, basis=basis, reason=DIFFER)
    return [whole, *parts, *found]
