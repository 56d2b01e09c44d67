"""The predictor from the last k characters, and which units exceed it and the untrained network."""

from dataclasses import replace

import numpy as np
import pytest

from charlens.units import baselines, selectivity

SYMBOLS = 6


def text(seed, streams=10, n=2000):
    return np.random.default_rng(seed).integers(SYMBOLS, size=(streams, n)).astype(np.uint8)


def last_two(codes):
    """Yes where the last two characters are alike in parity: neither alone tells anything."""
    before = np.pad(codes[:, :-1], ((0, 0), (1, 0)))
    defined = np.ones(codes.shape, bool)
    defined[:, 0] = False
    return (codes + before) % 2, defined, True


def strengths(predicted, labels):
    found = selectivity.scored(baselines.as_units(predicted), {"a": labels})
    return selectivity.strength(found.score, found.yes_no)[:, 0]


def test_a_label_of_the_last_two_characters_takes_two_characters():
    train, test = text(0), text(1, n=500)
    labels = {"a": last_two(train)}
    predicted = baselines.last_characters(train, labels, test, SYMBOLS)["a"]
    assert predicted.shape == (baselines.MOST, 10, 500)
    found = strengths(predicted, last_two(test))
    assert found[0] < 0.1 and (found[1:] > 0.999).all()
    last = baselines.score_last({"a": predicted}, {"a": last_two(test)}, 50, 0)
    assert last.k[0] >= 2 and last.strength[0] > 0.999 and last.drawn.shape == (1, 50)


def test_means_by_hand_and_shorter_contexts_where_there_are_none():
    train = np.array([[0, 1, 0, 1, 2, 1]])
    labels = {
        "count": (np.array([[3, 5, 1, 9, 0, 4]]), np.array([[1, 1, 1, 1, 0, 1]], bool), False)
    }
    test = np.array([[1, 0, 1, 2, 3]])
    predicted = baselines.last_characters(train, labels, test, 4)["count"][:, 0]
    mean = (3 + 5 + 1 + 9 + 4) / 5
    # after 2 no label is defined, and 3 is new: the mean of all
    np.testing.assert_allclose(predicted[0], [6, 2, 6, mean, mean])
    # "01" was labelled 5 and 9; the stream's first character has nothing before it
    np.testing.assert_allclose(predicted[1], [6, 1, 7, mean, mean])
    # "101" was labelled 9
    np.testing.assert_allclose(predicted[2], [6, 1, 9, mean, mean])
    np.testing.assert_allclose(predicted[4], predicted[2])


def test_the_fit_knows_the_training_streams_alone():
    """Predictions for a test stream are the same, whatever the other test streams hold."""
    train, test, other = text(0), text(1), text(2)
    labels = {"a": last_two(train)}
    other[3] = test[3]
    found = [baselines.last_characters(train, labels, x, SYMBOLS)["a"][:, 3] for x in (test, other)]
    np.testing.assert_array_equal(*found)


def test_contexts_do_not_reach_across_streams():
    codes = np.array([[1, 2, 3], [3, 0, 1]])
    assert baselines.contexts(codes, 2, 4).tolist() == [[-1, 6, 11], [-1, 12, 1]]
    assert (baselines.contexts(codes, 5, 4) == -1).all()


@pytest.mark.parametrize("yes_no", [True, False])
def test_a_unit_counts_beyond_both_baselines_alone(yes_no):
    """A label with a part that the last character tells and a part that it does not."""
    rng = np.random.default_rng(0)
    train, test = text(0, 20, 800), text(1, 20, 800)

    def label(codes, hidden):
        values = (codes >= 3) * 2 + hidden
        values = (values >= 2).astype(int) if yes_no else values
        return values, np.ones(codes.shape, bool), yes_no

    hidden = rng.integers(-1, 2, size=test.shape)
    labels = {"a": label(test, hidden)}
    guessed = baselines.last_characters(
        train, {"a": label(train, rng.integers(-1, 2, size=train.shape))}, test, SYMBOLS
    )
    last = baselines.score_last(guessed, labels, 200, 0)
    units = np.stack([
        (test >= 3) + 0.1 * rng.normal(size=test.shape),  # what the last character tells
        labels["a"][0] + 0.1 * rng.normal(size=test.shape),  # all of it
        rng.normal(size=test.shape),  # nothing
    ]).astype(np.float16)  # fmt: skip
    fresh = selectivity.scored(units[2:], labels, 200, 0)
    found = selectivity.scored(units, labels, 200, 0)
    assert baselines.beyond_baselines(found, fresh, last)[:, 0].tolist() == [False, True, False]
    # samples of streams without one of the labels say nothing, and do not count
    gone = found.drawn.copy()
    gone[:, :, ::10] = np.nan
    some = replace(found, drawn=gone)
    assert baselines.beyond_baselines(some, fresh, last)[:, 0].tolist() == [False, True, False]
    none = replace(found, drawn=np.full_like(gone, np.nan))
    assert not baselines.beyond_baselines(none, fresh, last).any()
    # an untrained network with a unit as good takes that away
    as_good = selectivity.scored(units[1:], labels, 200, 0)
    assert not baselines.beyond_baselines(found, as_good, last).any()
