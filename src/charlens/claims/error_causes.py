"""The claim about the errors that a larger LSTM no longer makes (section 4.4, figure 6)."""

import math

from charlens.claims.evidence import Evidence, Missing
from charlens.claims.measure import FAILS, HOLDS, Finding
from charlens.store.models import network_name

MOST = 0.5  # more than this share


def size_removes_ngram_errors(evidence: Evidence) -> list[Finding]:
    """An error is a character given a probability below 0.5. The largest LSTM of figure 6 makes
    fewer errors than the smallest. Effect: the share of the errors removed that an n-gram model up
    to n = 9 would not make. The claim holds if that is more than half, and does not otherwise.
    There is one network of each size, so no interval."""
    evidence.require(type=("lstm",), size=())
    if evidence.oracles is None or evidence.oracles["size"].nunique() < 2:
        raise Missing("the errors of LSTMs of two sizes (figures/figure6.csv)")
    sizes = evidence.oracles["size"].min(), evidence.oracles["size"].max()
    small, large = (evidence.oracles[evidence.oracles["size"] == size] for size in sizes)
    fewer = small["errors"].sum() - large["errors"].sum()
    of_ngram = [own[own["category"] == "n-gram"]["errors"].sum() for own in (small, large)]
    share = (of_ngram[0] - of_ngram[1]) / fewer if fewer > 0 else math.nan
    names = (network_name("lstm", own["layers"].iloc[0], own["size"].iloc[0])
             for own in (small, large))  # fmt: skip
    words = f"{' to '.join(names)}: {of_ngram[0] - of_ngram[1]:,} of {fewer:,} errors removed"
    words += "; two networks, one seed each"
    verdict = HOLDS if share > MOST else FAILS
    return [Finding("", verdict, share, math.nan, math.nan, words)]
