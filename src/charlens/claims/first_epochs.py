"""The claim about the first epochs of an LSTM (figure 5, middle).

The network is the one that the table of first epochs names, as in the figure.
"""

import math

from charlens.claims.evidence import Evidence, Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Finding
from charlens.store.models import network_name


def nearest_nn_climbs(evidence: Evidence) -> list[Finding]:
    """The nearest n-NN to a snapshot of the LSTM is the one with the lowest KL divergence. Effect:
    rank correlation between the snapshots' order and their nearest n. The claim holds if it is
    positive and the 1-NN, the 2-NN and the 3-NN become the nearest in this order. There is only one
    training, so no interval."""
    table = evidence.first_epochs
    if table is None:
        raise Missing("the comparison of an LSTM's first epochs with n-NNs (figure5/<corpus>.csv)")
    if not {1, 2, 3} <= set(table["n"]):
        raise Missing("the comparison of an LSTM's first epochs with the 1-NN, 2-NN and 3-NN")
    nearest = table.loc[table.groupby("look")["kl"].idxmin()].sort_values("look")
    effect = math.nan
    if nearest["n"].nunique() > 1:
        effect = nearest["look"].corr(nearest["n"].rank(), method="spearman")
    first = {n: nearest["epoch"][nearest["n"] == n].min() for n in (1, 2, 3)}
    seen = [n for n in (1, 2, 3) if not math.isnan(first[n])]
    in_order = [first[n] for n in seen] == sorted(first[n] for n in seen)
    if len(seen) == 3:
        verdict = HOLDS if in_order and effect > 0 else FAILS
    elif not in_order or seen == [1, 3]:
        verdict = FAILS
    else:
        verdict = UNDECIDED
    words = [f"{n}-NN from epoch {first[n]:.2g}" for n in seen] or ["never the 1-NN, 2-NN or 3-NN"]
    if verdict == UNDECIDED:
        words.append("the snapshots start too late or end too early to show all three")
    layers, size = table[["layers", "size"]].iloc[0]
    basis = f"{network_name('lstm', layers, size)}; nearest: {', '.join(words)}"
    return [Finding("", verdict, effect, math.nan, math.nan, basis)]
