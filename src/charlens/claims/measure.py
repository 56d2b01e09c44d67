"""An effect, its 95% interval, and its verdict.

Unless stated otherwise, the sign of an effect is such that a positive one supports the paper.

    holds           the whole interval lies on the paper's side
    does not hold   the whole interval lies on the other side
    undecided       the interval lies on both sides, or evidence is missing
    not in this run what the claim is about was not to be trained

(Where a claim's docstring states another rule, that rule applies.)

For losses and probabilities an interval covers two sources of variation. Test text: whole test
streams are drawn with replacement, the same ones for every model. Seeds: each draw also moves each
trained network by a deviation between seeds (see `seeds`). Where no network has two seeds, the
verdict is undecided. Every basis says how many networks the effect is about and from how many seeds
each. Claims about units, gates, errors or first epochs rest on one network of each kind, and their
intervals, where there are any, are about that network.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from charlens.claims.evidence import LOSS, Evidence, GridEntry, Parts, Statistic
from charlens.claims.seeds import Spread, spread
from charlens.statistics.bootstrap import interval
from charlens.store.models import ModelKey, type_name
from charlens.store.scores import Score
from charlens.store.tables import CROSSES, FAILS, HOLDS, ONE_SEED, UNDECIDED

LEVEL = 0.05  # of all intervals together, where one of several decides

Term = tuple[float, list[Score], Statistic]  # weight, the seeds of a model, what is measured


@dataclass(frozen=True)
class Finding:
    """What was found on one corpus; `part` names a part of the claim ("" for the whole claim).

    basis: the models, and what the interval is based on, in words. reason: why it is undecided or
    not in the run, one of `tables.REASONS`, or "".
    """

    part: str
    verdict: str
    effect: float
    low: float
    high: float
    basis: str
    reason: str = ""

    def __post_init__(self):
        if self.reason and self.verdict in (HOLDS, FAILS):
            raise ValueError(f"{self.verdict}, so there is no reason why not: {self.reason}")


@dataclass(frozen=True)
class Effect:
    """A measured difference with its interval, and whether that covers variation with the seed."""

    value: float
    low: float
    high: float
    basis: str = ""
    seeds_known: bool = True

    def verdict(self, least: float = 0.0) -> str:
        """Whether the effect is above `least`, as a verdict."""
        if not self.seeds_known:
            return UNDECIDED
        return HOLDS if self.low > least else FAILS if self.high < least else UNDECIDED

    def agreement(self, tolerance: float) -> str:
        """Whether the effect lies within the tolerance of 0, as a verdict."""
        if self.seeds_known and -tolerance < self.low and self.high < tolerance:
            return HOLDS
        beyond = self.low > tolerance or self.high < -tolerance
        return FAILS if self.seeds_known and beyond else UNDECIDED

    def finding(self, part: str, verdict: str, *basis: str, reason: str | None = None) -> Finding:
        """The finding of this effect; its own basis comes last. reason: why it is undecided, where
        that is not the seed or the interval."""
        words = "; ".join(word for word in (*basis, self.basis) if word)
        if verdict != UNDECIDED:
            reason = ""
        elif reason is None:
            reason = ONE_SEED if not self.seeds_known else "" if math.isnan(self.low) else CROSSES
        return Finding(part, verdict, self.value, self.low, self.high, words, reason)


def of_all(verdicts: Collection[str]) -> str:
    """The verdict on what must be so in every case: holds if each does, not if one does not."""
    return FAILS if FAILS in verdicts else UNDECIDED if UNDECIDED in verdicts else HOLDS


def losses(weight: float, entry: GridEntry) -> Term:
    """The term for the loss of a grid entry, mean over its seeds."""
    return weight, entry.seeds, LOSS


@dataclass(frozen=True)
class Draws:
    """A measured value, and as it might have come out: with other test text and other seeds, float
    [samples]. basis and seeds_known: as of an Effect."""

    value: float
    drawn: np.ndarray
    basis: str
    seeds_known: bool


def measure(evidence: Evidence, terms: Iterable[Term], level: float = 0.95) -> Effect:
    """The sum of weight x statistic over the terms, with its interval (see `draw`)."""
    found = draw(evidence, terms)
    low = high = math.nan
    if math.isfinite(found.value):
        low, high = interval(found.drawn[~np.isnan(found.drawn)], level)
    return Effect(found.value, low, high, found.basis, found.seeds_known)


def draw(evidence: Evidence, terms: Iterable[Term], seed: int = 0) -> Draws:
    """The sum of weight x statistic over the terms, and how it varies.

    The models of a term are the seeds of one grid entry, and are averaged. All terms share the
    drawn streams (`Evidence.draws`, [samples, S]), and all terms of a trained network share its
    draws of the seed. An n-NN is assumed to vary with its seed as much as a recurrent network.
    Where that is unknown the draws are of test text alone. seed: of these draws, another one for
    networks trained independently of those drawn before. Raises Missing where a score lacks what a
    statistic needs.
    """
    random = np.random.default_rng(seed)
    value, drawn = 0.0, np.zeros(len(evidence.draws))
    trained: dict[tuple, tuple[list[Score], Parts]] = {}
    for weight, models, statistic in terms:
        for score in models:
            sums, counts = statistic.sums(evidence, score)
            with np.errstate(invalid="ignore", divide="ignore"):  # a draw without such a character
                part = (evidence.draws @ sums) / (evidence.draws @ counts)
            drawn = drawn + weight * part / len(models)
            value += weight * statistic.value(evidence, score) / len(models)
        if models[0].key.family != "ngram":  # which has no seed
            key = tuple(score.path for score in models)
            trained.setdefault(key, (models, []))[1].append((weight, statistic))
    seeds_known, used = True, []
    for models, parts in trained.values():
        known = spread(evidence, parts, models[0].key)
        if known is None:
            seeds_known = False
            continue
        drawn = drawn - known.draw(random, len(drawn), len(models))
        used.append((models[0].key, max(abs(weight) for weight, _ in parts), known))
    counts = counted([len(models) for models, _ in trained.values()])
    if seeds_known:
        basis = "; ".join(word for word in (counts, seed_basis(used)) if word)
    else:
        basis = (
            f"{counts}; the effect of the seed is unknown: no network was measured with two seeds"
        )
    return Draws(value, drawn, basis, seeds_known)


def counted(seeds: list[int]) -> str:
    """How many networks, from how many seeds each: 9 networks: 4 entries, 1 to 3 seeds each.

    seeds: the number of seeds of each grid entry or n-NN.
    """
    if not seeds:
        return ""
    least, most = min(seeds), max(seeds)
    of_each = f"{least} to {most} seeds" if least < most else plural(most, "seed")
    of_each += " each" * (len(seeds) > 1)
    entries = "1 entry" if len(seeds) == 1 else f"{len(seeds)} entries"
    networks = plural(sum(seeds), "network")
    return f"{networks}, {of_each}" if most == 1 else f"{networks}: {entries}, {of_each}"


def plural(count: int, word: str) -> str:
    """A number of things: 1 seed, 2 seeds."""
    return f"{count} {word}" + "s" * (count != 1)


def seed_basis(used: list[tuple[ModelKey, float, Spread]]) -> str:
    """In words, where an interval's variation between seeds was measured.

    used: each network, its weight, and how it varies. Recurrent networks stand in for n-NNs.
    """
    if not used:
        return ""
    mixed = [key for key, _, known in used if known.deviations is not None]
    words = []
    if len(mixed) < len(used):
        sds = {known.sd / weight: known for _, weight, known in used if known.deviations is None}
        ends = {f"{sd:.2g}": sds[sd] for sd in (min(sds), max(sds))}
        freedoms = " and ".join(str(known.freedom) for known in ends.values())
        within = " within a group" * used[0][2].grouped
        suffix = ", of recurrent networks" * any(key.family == "nn" for key, *_ in used)
        words.append(
            f"seed SD{within}{list(sds.values())[-1].whose} {' and '.join(ends)}"
            f" ({freedoms} degrees of freedom){suffix}"
        )
    if mixed:
        kinds = sorted({(type_name(key.type), key.size) for key in mixed})
        names = ", ".join(f"{type} of size {size}" for type, size in kinds)
        words.append(f"seeds in two groups, resampled: {names}")
    return "; ".join(words)
