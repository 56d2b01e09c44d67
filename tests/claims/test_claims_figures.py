"""Claims about figures 5 (first epochs) and 6 (errors by size): verdicts on constructed tables."""

import pandas as pd
import pytest
from constructed import evidence, whole

from charlens.claims import error_causes, first_epochs
from charlens.claims.evidence import Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED


def snapshots(*nearest, known=(1, 2, 3, 4)):
    rows = [
        (look, look / 10, n, 0.1 if n == near else 0.5, 0.0)
        for look, near in enumerate(nearest, start=1)
        for n in known
    ]
    table = pd.DataFrame(rows, columns=["look", "epoch", "n", "kl", "delta"])
    return table.assign(layers=3, size=128)


@pytest.mark.parametrize(
    ("nearest", "verdict"),
    [
        ((1, 1, 2, 2, 3, 4), HOLDS),
        ((1, 2, 1, 3), HOLDS),  # a step back does not change who came first
        ((2, 1, 3, 3), FAILS),
        ((1, 3, 3, 3), FAILS),  # the 2-NN is left out
        ((1, 1, 2, 2), UNDECIDED),  # ended too soon
        ((2, 3, 3, 3), UNDECIDED),  # began too late
        ((4, 4), UNDECIDED),
        ((1, 2, 3, 1, 1, 1), FAILS),  # and back again
        ((4, 1, 2, 3), FAILS),
    ],
)
def test_nearest_nn(nearest, verdict):
    found = whole(first_epochs.nearest_nn_climbs(evidence(first_epochs=snapshots(*nearest))))
    assert found.verdict == verdict
    assert found.basis.startswith("one network, LSTM 3x128, one seed; nearest")


@pytest.mark.parametrize(
    ("nearest", "verdict"),
    [
        ((1, 2, 3, 4, 5), HOLDS),
        ((3, 4, 3, 5), HOLDS),
        ((3, 5, 4), FAILS),
        ((3, 5, 5), FAILS),
        ((1, 2, 3, 4), UNDECIDED),
        ((1, 2, 2), UNDECIDED),
    ],
)
def test_the_resemblance_goes_on(nearest, verdict):
    table = snapshots(*nearest, known=(1, 2, 3, 4, 5))
    found = whole(first_epochs.nearest_nn_goes_on(evidence(first_epochs=table)))
    assert found.verdict == verdict
    with pytest.raises(Missing, match="3-NN, 4-NN and 5-NN"):
        first_epochs.nearest_nn_goes_on(evidence(first_epochs=snapshots(1, 2)))


def test_nearest_nn_needs_the_three_nn():
    table = snapshots(1, 2, 3)
    with pytest.raises(Missing, match="2-NN"):
        first_epochs.nearest_nn_climbs(evidence(first_epochs=table[table["n"] != 2]))


def errors(**sizes):
    """n-gram and other errors by size, as in figure6.csv."""
    rows = [
        ("wp", 2, int(size[1:]), category, "", count)
        for size, counts in sizes.items()
        for category, count in zip(("n-gram", "boost"), counts, strict=True)
    ]
    return pd.DataFrame(rows, columns=["corpus", "layers", "size", "category", "level", "errors"])


@pytest.mark.parametrize(
    ("large", "effect", "verdict"), [((20, 90), 0.8, HOLDS), ((80, 30), 0.2, FAILS)]
)
def test_size_removes_ngram_errors(large, effect, verdict):
    table = errors(s64=(100, 110), s128=(99, 100), s512=large)
    found = whole(error_causes.size_removes_ngram_errors(evidence(oracles=table)))
    assert (found.verdict, round(found.effect, 6)) == (verdict, effect)
    assert found.basis.startswith("LSTM 2x64 to LSTM 2x512: ")
    more = whole(
        error_causes.size_removes_ngram_errors(
            evidence(oracles=table[::-1].assign(size=table["size"].to_numpy()))
        )
    )  # a larger one with more errors
    assert more.verdict == FAILS
    with pytest.raises(Missing, match="two sizes"):
        error_causes.size_removes_ngram_errors(evidence(oracles=errors(s64=(100, 110))))
