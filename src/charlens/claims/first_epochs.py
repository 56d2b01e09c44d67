"""Claims about the first epochs of an LSTM (figure 5, middle).

The network is the one that the table of first epochs names, as in the figure.
"""

import math
from itertools import combinations

import pandas as pd

from charlens.claims.evidence import Evidence, Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Finding
from charlens.store.models import network_name

FIRST = (1, 2, 3)  # the n-NNs that are resembled most one after the other ...
LATER = (3, 4, 5)  # ... and how that goes on


RULE = """The network resembles an n-NN most at the snapshot with the lowest KL divergence from it.
    (Which n-NN is the nearest to a snapshot says less: a network that has learned nothing yet is
    nearest to the flattest, whatever comes later.) At the first snapshot there may have been a
    lower one before it, at the last one after it. Effect: the epochs from the lowest for the
    {first}-NN to that for the {last}-NN, at least. The claim holds if the lowest for the
    {first}-NN, the {middle}-NN and the {last}-NN come in this order, the first of them after the
    first snapshot; that for the {last}-NN may be at the last one, since a lower one would come
    later still. It does not hold if one comes before that of a smaller n. There is only one
    training, so no interval."""


def nearest_nn_climbs(evidence: Evidence) -> list[Finding]:
    return climbs(evidence, FIRST)


def nearest_nn_goes_on(evidence: Evidence) -> list[Finding]:
    return climbs(evidence, LATER)


for test, (first, middle, last) in ((nearest_nn_climbs, FIRST), (nearest_nn_goes_on, LATER)):
    test.__doc__ = RULE.format(first=first, middle=middle, last=last)


def climbs(evidence: Evidence, wanted: tuple[int, int, int]) -> list[Finding]:
    """The finding whether three n-NNs are resembled most in this order."""
    table = snapshots(evidence, wanted)
    lowest = [table.loc[table["kl"][table["n"] == n].idxmin()] for n in wanted]
    epochs = [row["epoch"] for row in lowest]
    begin, end = table["epoch"].min(), table["epoch"].max()
    verdict = UNDECIDED
    if any(later < earlier for earlier, later in combinations(epochs, 2)):
        verdict = FAILS
    elif begin < epochs[0] < epochs[1] < epochs[2]:
        verdict = HOLDS
    at = {begin: ", the first snapshot", end: ", the last snapshot"}
    words = [
        f"{row['kl']:.3f} from the {n}-NN in epoch {row['epoch']:.2g}{at.get(row['epoch'], '')}"
        for n, row in zip(wanted, lowest, strict=True)
    ]
    if verdict == UNDECIDED:
        outside = {begin, end} & set(epochs)
        why = "start too late or end too early" if outside else "lie too far apart"
        words.append(f"the snapshots {why} to tell")
    network = network_name(evidence.type, *table[["layers", "size"]].iloc[0])
    basis = f"one network, {network}, one seed; lowest KL divergence: {'; '.join(words)}"
    return [Finding("", verdict, epochs[-1] - epochs[0], math.nan, math.nan, basis)]


def snapshots(evidence: Evidence, wanted: tuple[int, ...]) -> pd.DataFrame:
    """The table of first epochs. Raises Missing without these n-NNs."""
    table = evidence.first_epochs
    if table is None or not set(wanted) <= set(table["n"]):
        evidence.require_nns(*wanted)
    if table is None:
        raise Missing("first epochs beside n-NNs (figure 5)")
    if not set(wanted) <= set(table["n"]):
        *most, last = (f"{n}-NN" for n in wanted)
        raise Missing(f"first epochs beside {', '.join(most)} and {last} (figure 5)")
    return table
