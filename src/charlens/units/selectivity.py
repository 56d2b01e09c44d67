"""Which unit follows which hypothesis: every unit of a network against every labelling of the text.

The paper finds such units by eye (section 4.2, figure 2). Here each pair of unit and hypothesis has
a score, over the characters where the labels are defined:

    yes/no    area under the ROC curve (AUC): the probability that the unit is higher at a "yes"
              character than at a "no" character; 0.5 is chance, and 0 is as good as 1 (the unit is
              off instead of on)
    a count   Kendall's rank correlation tau-b, -1 to 1

Their common measure is the strength |2 AUC - 1| or |tau|. Both scores count the pairs of characters
that unit and label put in the same order, minus the pairs that they put in opposite orders. So a
bootstrap over streams needs only these counts for every pair of streams, small matrices C, X, Y
(see `pairs`): for a resample that draws stream s w_s times, tau is exactly
w'Cw / sqrt(w'Xw w'Yw).

Units are selected on the selection streams (the even test streams) and evaluated on the evaluation
streams (the odd ones). Values are taken as float16 and binned by equal counts: BINS for yes/no,
fewer for counts, whose levels are binned likewise. Values in the same bin are ties.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from charlens.errors import InputError
from charlens.statistics.bootstrap import stream_draws

BINS = 256
COUNT_BINS = 64
LEVELS = 32  # of a count: distinct values, or bins where there are more
# A hypothesis is tested only if the selection streams and the evaluation streams each have
LEAST = 20  # characters of either kind, and
STREAMS = 3  # streams with both kinds.
ALPHA = 0.05  # probability of finding any unit if none follows the text
ROUNDING = 1e-6  # deviations of correlations below it are none
EXPLAINED = 0.5  # strength from which a hypothesis explains a unit ...
FOLLOWS = 0.8  # ... and from which the unit follows it
SHARES = (EXPLAINED, FOLLOWS)  # for which the share of units is reported
BLOCK = 128  # units at a time


@dataclass(frozen=True, eq=False)
class Found:
    """Scores of U units against Y hypotheses; low and high bound the 95% interval of `score`."""

    hypotheses: list[str]
    yes_no: np.ndarray  # bool [Y]
    picked: np.ndarray  # [U, Y] on the selection streams
    score: np.ndarray  # [U, Y] on the evaluation streams
    low: np.ndarray  # [U, Y]
    high: np.ndarray  # [U, Y]
    beyond: np.ndarray  # bool [U, Y]: beyond the null, corrected for all U x Y tests
    drawn: np.ndarray | None = None  # float32 [U, Y, samples]: `score` in each bootstrap sample

    @cached_property
    def selected(self) -> np.ndarray:
        """The unit of each hypothesis that is strongest on the selection streams: int [Y]."""
        return strength(self.picked, self.yes_no).argmax(axis=0)


def strength(scores: np.ndarray, yes_no: np.ndarray) -> np.ndarray:
    """|2 AUC - 1| where yes_no, |tau| elsewhere, 0 where there is no score (nan).

    scores: [U, Y], yes_no: bool [Y], or other shapes that broadcast.
    """
    return np.nan_to_num(np.abs(np.where(yes_no, 2 * scores - 1, scores)))


def selection_and_evaluation(streams: int) -> tuple[np.ndarray, np.ndarray]:
    """The selection and the evaluation streams of so many test streams: [ceil(S/2)], [S//2]."""
    return np.arange(0, streams, 2), np.arange(1, streams, 2)


# ---- labels and values as small whole numbers ----


def levels(values: np.ndarray, defined: np.ndarray, yes_no: bool) -> tuple[np.ndarray, int]:
    """Labels [S, n] as int64 levels [S, n], 0 ... L - 1 in the same order, L if undefined; and L.

    defined: bool [S, n].
    """
    if yes_no:
        return np.where(defined, values != 0, 2).astype(np.int64), 2
    distinct, counts = np.unique(values[defined], return_counts=True)
    if len(distinct) > LEVELS:
        # bins of equal counts; a value belongs to the bin in which its middle rank lies
        middle = (np.cumsum(counts) - counts / 2) / counts.sum()
        of_each = np.unique((middle * LEVELS).astype(np.int64), return_inverse=True)[1]
    else:
        of_each = np.arange(len(distinct))
    top = int(of_each.max()) + 1 if len(of_each) else 0
    place = np.searchsorted(distinct, values).clip(0, max(0, len(distinct) - 1))
    return np.where(defined, of_each[place] if top else 0, top).astype(np.int64), top


def testable(level: np.ndarray, top: int) -> bool:
    """Whether the labels vary enough, on selection and on evaluation streams, to be scored.

    level: [S, n], and top: from `levels`.
    """
    if top < 2:
        return False
    for streams in selection_and_evaluation(len(level)):
        counts = _by_stream(level[streams], top)
        commonest = counts.sum(axis=0).argmax()
        rest = np.delete(counts, commonest, axis=1)
        both = (counts[:, commonest] > 0) & (rest.sum(axis=1) > 0)
        if rest.sum() < LEAST or counts[:, commonest].sum() < LEAST or both.sum() < STREAMS:
            return False
    return True


def _by_stream(level, top):
    """How often each level occurs in each stream: [S, top]."""
    keys = np.arange(len(level))[:, None] * (top + 1) + level
    counts = np.bincount(keys.ravel(), minlength=len(level) * (top + 1))
    return counts.reshape(len(level), top + 1)[:, :top]


def ordered(values: np.ndarray) -> np.ndarray:
    """float16 values as uint16 in the same order and shape; -0 equals 0."""
    raw = np.ascontiguousarray(values, np.float16).view(np.uint16)
    raw = np.where(raw == 0x8000, 0, raw)
    return np.where(raw & 0x8000, ~raw, raw | 0x8000)


def bins_of(keys: np.ndarray) -> np.ndarray:
    """One unit's values in bins of equal counts, uint8 [S, n]. keys: `ordered` values [S, n]."""
    counts = np.bincount(keys.ravel(), minlength=1 << 16)
    middle = np.cumsum(counts) - counts / 2
    bins = (middle * (BINS / keys.size)).astype(np.uint8)  # < BINS: the last middle < size
    return bins.take(keys)


def ranks_of(keys: np.ndarray) -> np.ndarray:
    """One unit's values as centred midranks of norm 1, float32 [S, n]; all 0 if it never changes.

    keys: `ordered` values [S, n].
    """
    counts = np.bincount(keys.ravel(), minlength=1 << 16)
    middle = np.cumsum(counts) - counts / 2 - keys.size / 2
    norm = np.sqrt((counts * middle**2).sum())
    ranks = (middle / norm if norm else np.zeros_like(middle)).astype(np.float32)
    return ranks.take(keys)


# ---- scores and intervals ----


def contingency_tables(
    code: np.ndarray, bins: int, level: np.ndarray, top: int, table: np.ndarray
) -> np.ndarray:
    """Contingency tables, float32 [tables, bins, top], from bins and levels [S, n].

    table: [S], the one in which the characters of each stream are counted.
    """
    size = bins * (top + 1)
    keys = code * np.int64(top + 1) + (level + size * table[:, None])
    counts = np.bincount(keys.ravel(), minlength=size * (table.max() + 1))
    return counts.reshape(-1, bins, top + 1)[:, :, :top].astype(np.float32)


def pairs(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a score needs of each pair of streams, from their tables [S, bins, L].

    Three float64 [S, S], over all pairs of a character in one stream and a character in the other:
    C, those in the same order minus those in opposite orders; X, those that differ in the unit; Y,
    those that differ in the label.
    """
    S, bins, L = counts.shape
    signed = _sign(L) @ (_sign(bins) @ counts).transpose(0, 2, 1)  # [S, L, bins]
    concordance = counts.reshape(S, -1) @ signed.transpose(0, 2, 1).reshape(S, -1).T
    unit, label = counts.sum(axis=2, dtype=np.float64), counts.sum(axis=1, dtype=np.float64)
    everything = np.outer(unit.sum(axis=1), unit.sum(axis=1))
    return concordance.astype(np.float64), everything - unit @ unit.T, everything - label @ label.T


def _sign(size: int) -> np.ndarray:
    """[size, size]: the sign of row minus column."""
    at = np.arange(size)
    return np.sign(at[:, None] - at).astype(np.float32)


def scores(weights: np.ndarray, parts, yes_no: bool) -> np.ndarray:
    """The score [R] for each row of stream weights [R, S]; nan where it is undefined.

    parts: C, X and Y of `pairs`.
    """
    concordance, unit, label = ((weights @ part * weights).sum(axis=1) for part in parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        if yes_no:
            return (1 + concordance / label) / 2
        return concordance / np.sqrt(unit * label)


# ---- the null ----


def circular_shifts(streams: int, length: int, shifts: int, seed: int) -> np.ndarray:
    """Positions [shifts, S, n] that shift each stream by a random offset (see `beyond_null`)."""
    random = np.random.default_rng(seed)
    offsets = random.integers(1, max(2, length), (shifts, streams, 1))
    return (np.arange(length) + offsets) % length


def label_ranks(level: np.ndarray, top: int) -> np.ndarray:
    """Levels [S, n] as centred midranks of norm 1, float32 [S, n], 0 where undefined."""
    counts = np.bincount(level.ravel(), minlength=top + 1)[:top]
    middle = np.cumsum(counts) - counts / 2 - counts.sum() / 2
    norm = np.sqrt((counts * middle**2).sum())
    return np.append(middle / (norm or 1), 0).astype(np.float32)[level]


def correlations(ranks: np.ndarray, labels: np.ndarray, shifted: np.ndarray) -> np.ndarray:
    """Rank correlations [shifts, U, Y] of units with shifted labels.

    ranks: [U, S * n]. labels: [Y, S, n]. shifted: positions from `circular_shifts`.
    """
    streams = np.arange(labels.shape[1])[:, None]
    found = [ranks @ labels[:, streams, at].reshape(len(labels), -1).T for at in shifted]
    return np.stack(found)


def beyond_null(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Which correlations [U, Y] exceed those with circularly shifted labels [shifts, U, Y].

    Labels shifted within their streams keep their autocorrelation and their frequency in each
    stream, but are unrelated to the characters at which they now stand. Each correlation is
    standardised by the mean of its null distribution (not 0 if streams differ in both unit and
    label) and its standard deviation, the observed one among them: each is as likely as the others
    to be the largest if the unit is unrelated to the label. If no unit follows the text, the
    probability of finding any is ALPHA: the threshold is a quantile of the maximum over all units
    (Westfall and Young), at ALPHA / Y for each of the Y hypotheses (Bonferroni). But any network
    that reads the text follows it to some degree, even an untrained one: see `analysis`.

    Raises InputError if there are too few shifts for that correction.
    """
    shifts, _, Y = null.shape
    every = np.concatenate([observed[None], null])
    centre, spread = every.mean(axis=0, dtype=np.float64), every.std(axis=0, dtype=np.float64)
    spread[spread < ROUNDING] = np.inf
    largest = np.sort(np.abs((null - centre) / spread).max(axis=1), axis=0)
    rank = math.ceil((shifts + 1) * (1 - ALPHA / max(1, Y)))
    if rank > shifts:
        needed = math.ceil(Y / ALPHA) - 1
        raise InputError(
            f"cells.shifts: {shifts} are too few to correct for {Y} hypotheses: at least {needed}"
        )
    return np.abs((observed - centre) / spread) > largest[rank - 1]


# ---- the search ----


def search(values, labels: dict, samples: int, shifts: int, seed: int) -> Found:
    """Score every unit against every hypothesis, and compare with the null (section 4.2).

    Arguments as in `scored`. shifts: of the null distribution. Raises InputError if they are too
    few.
    """
    found = scored(values, labels, samples, seed)
    if not found.hypotheses:
        return found
    level = {name: levels(*labels[name]) for name in found.hypotheses}
    return replace(found, beyond=beyond_shifts(values, level, shifts, seed))


def scored(values, labels: dict, samples: int = 0, seed: int = 0) -> Found:
    """Score every unit against every hypothesis; `beyond` is False, since there is no null.

    values: float16 [U, S, n], read a unit at a time. labels: {hypothesis: (values [S, n], defined
    [S, n], yes_no)}; those that do not vary enough are left out. samples: of the bootstrap over
    streams; with 0 the intervals are nan.
    """
    U, S, _ = values.shape
    level = {name: levels(*of) for name, of in labels.items()}
    names = [name for name in labels if testable(*level[name])]
    yes_no = np.array([labels[name][2] for name in names], dtype=bool)
    picked, score, low, high = (np.full((U, len(names)), np.nan) for _ in range(4))
    drawn = np.full((U, len(names), samples), np.nan, np.float32)
    found = Found(names, yes_no, picked, score, low, high, np.zeros(score.shape, bool), drawn)
    if not names:
        return found
    _, evaluation = selection_and_evaluation(S)
    weights, all_once = stream_draws(len(evaluation), samples, seed), np.ones((1, len(evaluation)))
    # one table for the selection streams, and then one for each evaluation stream, or for all
    table = np.zeros(S, np.int64)
    table[evaluation] = np.arange(len(evaluation)) + 1 if samples else 1
    for u in range(U):
        bins = bins_of(ordered(values[u]))
        for y, name in enumerate(names):
            counts = contingency_tables(*coarse(bins, yes_no[y]), *level[name], table)
            # by six digits, as in tables, so that near ties select the same unit everywhere
            picked[u, y] = float(f"{pooled_score(counts[:1], yes_no[y]):.6g}")
            if not samples:
                score[u, y] = pooled_score(counts[1:], yes_no[y])
                continue
            parts = pairs(counts[1:])
            score[u, y] = scores(all_once, parts, yes_no[y])[0]
            drawn[u, y] = scores(weights, parts, yes_no[y])
            if not np.isnan(drawn[u, y]).all():
                low[u, y], high[u, y] = np.nanpercentile(drawn[u, y], [2.5, 97.5])
    return found


def coarse(bins: np.ndarray, yes_no: bool) -> tuple[np.ndarray, int]:
    """Bins as a score of this kind takes them, and how many there are."""
    size = BINS if yes_no else COUNT_BINS
    return bins // (BINS // size), size


def whole_score(values: np.ndarray, level: np.ndarray, top: int, yes_no: bool) -> float:
    """The score of one unit over all characters; nan where it is undefined.

    values: float16 [S, n]. level, top: from `levels`.
    """
    bins, table = bins_of(ordered(values)), np.zeros(len(values), np.int64)
    return pooled_score(contingency_tables(*coarse(bins, yes_no), level, top, table), yes_no)


def pooled_score(counts: np.ndarray, yes_no: bool) -> float:
    """The score over all characters of the streams with these tables [S, bins, L]; nan where it is
    undefined."""
    return float(scores(np.ones((1, 1)), pairs(counts.sum(axis=0, keepdims=True)), yes_no)[0])


def beyond_shifts(values, level: dict, shifts: int, seed: int) -> np.ndarray:
    """Which units are `beyond_null` on the evaluation streams: bool [U, Y].

    values: as in `scored`. level: {hypothesis: `levels`} of those that were scored.
    """
    U, S, n = values.shape
    _, evaluation = selection_and_evaluation(S)
    shifted = circular_shifts(len(evaluation), n, shifts, seed)
    unshifted = np.broadcast_to(np.arange(n), (1, len(evaluation), n))
    label = np.stack([label_ranks(of[evaluation], top) for of, top in level.values()])
    observed, null = np.zeros((U, len(level))), np.zeros((shifts, U, len(level)), np.float32)
    for begin in range(0, U, BLOCK):
        block = range(begin, min(U, begin + BLOCK))
        ranks = np.empty((len(block), len(evaluation) * n), np.float32)
        for u in block:
            ranks[u - begin] = ranks_of(ordered(values[u])[evaluation]).ravel()
        observed[block] = correlations(ranks, label, unshifted)[0]
        null[:, block] = correlations(ranks, label, shifted)
    return beyond_null(observed, null)
