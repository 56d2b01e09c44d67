"""Claims about figures 5 (first epochs) and 6 (errors by size): verdicts on constructed tables."""

import pandas as pd
import pytest
from constructed import evidence, whole

from charlens.claims import error_causes, first_epochs
from charlens.claims.evidence import Missing
from charlens.claims.measure import FAILS, HOLDS, UNDECIDED

LOOKS = 10  # snapshots, of a tenth of an epoch each


def snapshots(lowest, bottom=0.1):
    """The divergence from each n-NN falls to its lowest at a snapshot, and rises after it.

    lowest: by n, which snapshot. An untrained network is nearest to the 1-NN: the others are
    farther, the more so the larger their n.
    """
    rows = [
        (look, look / 10, n, bottom * n + abs(look - at), 0.0)
        for look in range(1, LOOKS + 1)
        for n, at in lowest.items()
    ]
    table = pd.DataFrame(rows, columns=["look", "epoch", "n", "kl", "delta"])
    return table.assign(layers=3, size=128)


ORDERS = [
    ((2, 5, 8), HOLDS),
    ((2, 3, 4), HOLDS),
    ((5, 2, 8), FAILS),  # the first one comes second
    ((2, 8, 5), FAILS),
    ((8, 5, 2), FAILS),
    ((2, 5, 1), FAILS),  # before all of the others, whenever that was
    ((10, 5, 8), FAILS),  # after all of the others, whenever that will be
    ((2, 2, 8), UNDECIDED),  # at the same snapshot
    ((1, 5, 8), UNDECIDED),  # perhaps earlier yet: the divergence only ever rises
    ((2, 5, 10), HOLDS),  # perhaps later yet, which changes nothing
    ((2, 10, 10), UNDECIDED),
    ((1, 1, 1), UNDECIDED),
    ((10, 10, 10), UNDECIDED),
]


@pytest.mark.parametrize(("lowest", "verdict"), ORDERS)
def test_what_is_resembled_first(lowest, verdict):
    table = snapshots(dict(zip((1, 2, 3), lowest, strict=True)))
    found = whole(first_epochs.nearest_nn_climbs(evidence(first_epochs=table)))
    assert found.verdict == verdict
    assert found.effect == pytest.approx((lowest[2] - lowest[0]) / 10)
    begins = "one network, LSTM 3x128, one seed; lowest KL divergence: 0.100 from the 1-NN in epoch"
    assert found.basis.startswith(begins)
    ends = {1: ", the first snapshot", 10: ", the last snapshot"}
    for n, look in zip((1, 2, 3), lowest, strict=True):
        assert f"{n / 10:.3f} from the {n}-NN in epoch {look / 10:.2g}{ends.get(look, '')}" in (
            found.basis
        )
    outside = bool({1, 10} & set(lowest))
    assert ("too late or end too early" in found.basis) == (verdict == UNDECIDED and outside)
    assert ("too far apart" in found.basis) == (verdict == UNDECIDED and not outside)


@pytest.mark.parametrize(("lowest", "verdict"), ORDERS)
def test_the_resemblance_goes_on(lowest, verdict):
    table = snapshots({1: 1, 2: 1} | dict(zip((3, 4, 5), lowest, strict=True)))
    found = whole(first_epochs.nearest_nn_goes_on(evidence(first_epochs=table)))
    assert found.verdict == verdict
    with pytest.raises(Missing, match="3-NN, 4-NN and 5-NN"):
        first_epochs.nearest_nn_goes_on(evidence(first_epochs=snapshots({1: 2, 2: 5})))


def test_the_page_says_which_n_nns_are_meant():
    first, later = (
        " ".join(test.__doc__.split())
        for test in (first_epochs.nearest_nn_climbs, first_epochs.nearest_nn_goes_on)
    )
    assert "the 1-NN, the 2-NN and the 3-NN" in first
    assert "the 3-NN, the 4-NN and the 5-NN" in later


def test_nearest_nn_needs_the_three_nn():
    table = snapshots({1: 2, 2: 5, 3: 8})
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
