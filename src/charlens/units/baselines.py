"""What a unit has to exceed before training can be said to have made it follow a hypothesis.

    the untrained network    its best unit, selected and evaluated as in the trained one. Even an
                             untrained network remembers the last few characters.
    the last k characters    a predictor that sees nothing else, k = 1 to MOST: the mean label of
                             the training characters that end in the same k characters; where there
                             are none, the last k - 1, and so on down to the mean of all labels.

The predictors are fitted by counting on the training streams and scored on the test streams as if
they were units: k is selected on the selection streams, and that k is evaluated on the evaluation
streams.
"""

from dataclasses import dataclass

import numpy as np

from charlens.units import selectivity

MOST = 5  # characters
OUTSIDE = 2.5  # per cent of the bootstrap samples below the interval, and above it


@dataclass(frozen=True, eq=False)
class LastCharacters:
    """The last-k predictor of each of Y hypotheses."""

    k: np.ndarray  # int [Y], the one selected
    strength: np.ndarray  # [Y] on the evaluation streams
    drawn: np.ndarray  # [Y, samples]: strength in each bootstrap sample


def contexts(codes: np.ndarray, k: int, symbols: int) -> np.ndarray:
    """The last k codes at each character as one number, int64 [S, n]; -1 where the stream has
    fewer. codes: [S, n] below `symbols`; the one at the character itself is the last.

    With thousands of symbols the number wraps around: two contexts hardly ever have the same.
    """
    found = np.full(codes.shape, -1, np.int64)
    n = codes.shape[1] - k + 1
    if n > 0:
        number = np.zeros((len(codes), n), np.int64)
        base = symbols if symbols**k < 2**63 else symbols | 1
        for back in range(k):
            number = number * base + codes[:, back : back + n]
        found[:, k - 1 :] = number & np.iinfo(np.int64).max
    return found


def last_characters(train: np.ndarray, labels: dict, test: np.ndarray, symbols: int) -> dict:
    """The predictions {hypothesis: float64 [MOST, S, n]} at the test characters, for k = 1 to MOST.

    train, test: codes [S, m] and [S, n], as read. labels: {hypothesis: (values [S, m], defined
    [S, m], ...)} of the training characters; undefined ones do not count.
    """
    predicted = {}
    for name, (values, defined, *_) in labels.items():
        predicted[name] = [np.full(test.shape, values[defined].mean() if defined.any() else 0.0)]
    for k in range(1, MOST + 1):
        known, place = np.unique(contexts(train, k, symbols), return_inverse=True)
        wanted = contexts(test, k, symbols)
        at = np.searchsorted(known, wanted).clip(max=len(known) - 1)
        found = (known[at] == wanted) & (wanted >= 0)
        for name, (values, defined, *_) in labels.items():
            count = np.bincount(place.ravel(), defined.ravel(), len(known))
            total = np.bincount(place.ravel(), np.where(defined, values, 0).ravel(), len(known))
            mean = total / count.clip(1)
            shorter = predicted[name][-1]
            predicted[name].append(np.where(found & (count[at] > 0), mean[at], shorter))
    return {name: np.stack(of[1:]) for name, of in predicted.items()}


def as_units(predicted: np.ndarray) -> np.ndarray:
    """Predictions as values of a unit: in the same order, with mean 0, float16 in [-1, 1]."""
    centred = predicted - predicted.mean()
    return (centred / (np.abs(centred).max() or 1)).astype(np.float16)


def score_last(predicted: dict, labels: dict, samples: int, seed: int) -> LastCharacters:
    """Select and evaluate the last-k predictor of each hypothesis of `labels`.

    predicted: from `last_characters`. labels: {hypothesis: (values [S, n], defined [S, n],
    yes_no)} of the test characters. samples, seed: of the bootstrap, as in `selectivity.scored`.
    """
    k, strength, drawn = [], [], []
    for name, of in labels.items():
        found = selectivity.scored(as_units(predicted[name]), {name: of}, samples, seed)
        best = int(found.selected[0])
        k.append(best + 1)
        strength.append(selectivity.strength(found.score[best, 0], found.yes_no[0]))
        drawn.append(selectivity.strength(found.drawn[best, 0], found.yes_no[0]))
    return LastCharacters(
        np.array(k, int), np.array(strength, float), np.array(drawn).reshape(len(k), samples)
    )


def beyond_baselines(
    found: selectivity.Found, untrained: selectivity.Found, last: LastCharacters
) -> np.ndarray:
    """Which units exceed the best of both baselines: bool [U, Y].

    They do if the 95% interval of the difference in strength lies above 0. Unit and baselines are
    resampled together, over the evaluation streams; samples of streams that lack one of the labels,
    of which nothing has a strength, do not count. The interval is each unit's own: it is not
    corrected for the number of units.
    """
    U, Y = found.score.shape
    beyond = np.zeros((U, Y), bool)
    for y in range(Y):
        untrained_best = untrained.drawn[untrained.selected[y], y]
        bar = np.maximum(selectivity.strength(untrained_best, found.yes_no[y]), last.drawn[y])
        gain = selectivity.strength(found.drawn[:, y], found.yes_no[y]) - bar
        defined = ~np.isnan(found.drawn[:, y]).all(axis=0)
        if defined.any():
            beyond[:, y] = np.percentile(gain[:, defined], OUTSIDE, axis=1) > 0
    return beyond
