"""The claim about the first epochs of an LSTM (figure 5, middle).

It is about the network that the table of its first epochs names, which is the one in the figure.
"""

import math

from charlens.claims.evidence import Evidence, Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED, Finding
from charlens.store.models import network_name


def nearest_nn_climbs(e: Evidence) -> list[Finding]:
    """At each snapshot of the first epochs, the n-NN nearest to the LSTM (lowest KL divergence) is
    named. It holds if the nearest is first the 1-NN, then the 2-NN, then the 3-NN, and the nearest
    n grows with the snapshots. Effect: rank correlation of snapshot and nearest n; one training,
    so without an interval."""
    table = e.first_epochs
    if table is None:
        raise Missing("an LSTM's first epochs beside the n-NN (figure5/<corpus>.csv)")
    if not {1, 2, 3} <= set(table["n"]):
        raise Missing("an LSTM's first epochs beside the 1-NN, the 2-NN and the 3-NN")
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
    words = [f"{n}-NN from epoch {first[n]:.2g}" for n in seen] or ["none of these is ever nearest"]
    if verdict == UNDECIDED:
        words.append("the snapshots begin too late or end too soon to see all three")
    layers, size = table[["layers", "size"]].iloc[0]
    basis = f"{network_name('lstm', layers, size)}; nearest: {', '.join(words)}"
    return [Finding("", verdict, effect, math.nan, math.nan, basis)]
