"""Claims about the first epochs of an LSTM (figure 5, middle).

The network is the one that the table of first epochs names, as in the figure.
"""

import math

import pandas as pd

from charlens.claims.evidence import Evidence, Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Finding
from charlens.store.models import network_name

FIRST = (1, 2, 3)  # the n-NNs that become the nearest one after the other ...
LATER = (3, 4, 5)  # ... and how that goes on


def nearest_nn_climbs(evidence: Evidence) -> list[Finding]:
    """The nearest n-NN to a snapshot of the LSTM is the one with the lowest KL divergence. Effect:
    rank correlation between the snapshots' order and their nearest n. The claim holds if it is
    positive and the 1-NN, the 2-NN and the 3-NN become the nearest in this order. There is only one
    training, so no interval."""
    return climbs(evidence, FIRST)


def nearest_nn_goes_on(evidence: Evidence) -> list[Finding]:
    """The nearest n-NN to a snapshot of the LSTM is the one with the lowest KL divergence. Effect:
    rank correlation between the snapshots' order and their nearest n. The claim holds if it is
    positive and, after the 3-NN, the 4-NN and then the 5-NN become the nearest. There is only one
    training, so no interval."""
    return climbs(evidence, LATER)


def climbs(evidence: Evidence, wanted: tuple[int, int, int]) -> list[Finding]:
    """The finding whether three n-NNs become the nearest in this order."""
    nearest = nearest_nn(evidence, wanted)
    effect = math.nan
    if nearest["n"].nunique() > 1:
        effect = nearest["look"].corr(nearest["n"].rank(), method="spearman")
    first = {n: nearest["epoch"][nearest["n"] == n].min() for n in wanted}
    seen = [n for n in wanted if not math.isnan(first[n])]
    in_order = [first[n] for n in seen] == sorted(first[n] for n in seen)
    if len(seen) == 3:
        verdict = HOLDS if in_order and effect > 0 else FAILS
    elif not in_order or seen == [wanted[0], wanted[2]]:
        verdict = FAILS
    else:
        verdict = UNDECIDED
    each = [f"{n}-NN" for n in wanted]
    words = [f"{n}-NN from epoch {first[n]:.2g}" for n in seen]
    words = words or [f"never the {each[0]}, {each[1]} or {each[2]}"]
    if verdict == UNDECIDED:
        words.append("the snapshots start too late or end too early to show all three")
    layers, size = nearest[["layers", "size"]].iloc[0]
    basis = f"one network, {network_name(evidence.type, layers, size)}, one seed; nearest: "
    return [Finding("", verdict, effect, math.nan, math.nan, basis + ", ".join(words))]


def nearest_nn(evidence: Evidence, wanted: tuple[int, ...]) -> pd.DataFrame:
    """The row of the nearest n-NN for each snapshot. Raises Missing without these n-NNs."""
    table = evidence.first_epochs
    if table is None or not set(wanted) <= set(table["n"]):
        evidence.require_nns(*wanted)
    if table is None:
        raise Missing("the comparison of an LSTM's first epochs with n-NNs (figure5/<corpus>.csv)")
    if not set(wanted) <= set(table["n"]):
        *most, last = (f"{n}-NN" for n in wanted)
        raise Missing(f"the comparison of an LSTM's first epochs with {', '.join(most)} and {last}")
    return table.loc[table.groupby("look")["kl"].idxmin()].sort_values("look")
