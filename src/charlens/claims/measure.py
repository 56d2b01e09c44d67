"""An effect, its 95% interval, and its verdict.

Unless stated otherwise, the sign of an effect is such that a positive one supports the paper.

    holds           the whole interval lies on the paper's side
    does not hold   the whole interval lies on the other side
    undecided       the interval lies on both sides, or evidence is missing

(Where a claim's docstring states another rule, that rule applies.)

For losses and probabilities an interval covers two sources of variation. Test text: whole test
streams are drawn with replacement, the same ones for every model. Seeds: each draw also moves each
trained network by a Student's t variable, scaled by the standard deviation between seeds. That is
measured on the corpus's networks with several seeds: on all of them, or on those of its own type
where there are two or more and they vary more. Where the corpus has none, the other corpora's are
used, and the basis says so. Where no network has two seeds, the verdict is undecided. Claims about
units, gates, errors or first epochs rest on one network of each kind.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from charlens.claims.evidence import LOSS, Evidence, GridEntry, Parts, Statistic
from charlens.statistics.bootstrap import interval
from charlens.store.scores import Score

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
Term = tuple[float, list[Score], Statistic]  # weight, the seeds of a model, what is measured


@dataclass(frozen=True)
class Finding:
    """What was found on one corpus; `part` names a part of the claim ("" for the whole claim).

    basis: the models, and what the interval is based on, in words.
    """

    part: str
    verdict: str
    effect: float
    low: float
    high: float
    basis: str


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

    def finding(self, part: str, verdict: str, *basis: str) -> Finding:
        """The finding of this effect; its own basis comes last."""
        words = "; ".join(word for word in (*basis, self.basis) if word)
        return Finding(part, verdict, self.value, self.low, self.high, words)


def losses(weight: float, entry: GridEntry) -> Term:
    """The term for the loss of a grid entry, mean over its seeds."""
    return weight, entry.seeds, LOSS


def measure(evidence: Evidence, terms: Iterable[Term], level: float = 0.95) -> Effect:
    """The sum of weight x statistic over the terms, with its interval.

    The models of a term are the seeds of one grid entry, and are averaged. All terms share the
    drawn streams (`Evidence.draws`, [samples, S]), and all terms of a trained network share its
    draws of the seed. An n-NN is assumed to vary with its seed as much as a recurrent network.
    Raises Missing where a score lacks what a statistic needs.
    """
    random = np.random.default_rng(0)
    value, drawn = 0.0, np.zeros(len(evidence.draws))
    trained: dict[tuple, tuple[list[Score], Parts]] = {}
    for weight, models, statistic in terms:
        for score in models:
            sums, counts = statistic.sums(evidence, score)
            with np.errstate(invalid="ignore", divide="ignore"):  # a draw without such a character
                part = (evidence.draws @ sums) / (evidence.draws @ counts)
            drawn = drawn + weight * part / len(models)
            value += weight * statistic.value(evidence, score) / len(models)
        if models[0].key.kind != "ngram":  # which has no seed
            key = tuple(score.path for score in models)
            trained.setdefault(key, (models, []))[1].append((weight, statistic))
    seeds_known = True
    used = {}  # standard deviation between seeds: its degrees of freedom, whose networks
    for models, parts in trained.values():
        pooled = evidence.seed_sd(parts, models[0].key.type)
        if pooled is None:
            seeds_known = False
            continue
        sd, *rest = pooled
        drawn = drawn + random.standard_t(rest[0], len(drawn)) * sd / math.sqrt(len(models))
        used[sd / max(abs(weight) for weight, _ in parts)] = rest
    basis = seed_basis(used, any(models[0].key.kind == "nn" for models, _ in trained.values()))
    if not seeds_known:
        basis = "the effect of the seed is unknown: no network was measured with two seeds"
    low, high = (
        interval(drawn[~np.isnan(drawn)], level) if math.isfinite(value) else (math.nan,) * 2
    )
    return Effect(value, low, high, basis, seeds_known)


def seed_basis(used: dict[float, list], nn: bool) -> str:
    """In words, where an interval's variation between seeds was measured.

    used: standard deviations, each with its degrees of freedom and whose networks they are of.
    nn: whether an n-NN is among the models, for which recurrent networks stand in.
    """
    if not used:
        return ""
    ends = sorted({f"{sd:.2g}": used[sd][0] for sd in (min(used), max(used))}.items())
    sds, freedoms = (" and ".join(map(str, part)) for part in zip(*ends, strict=True))
    whose = list(used.values())[-1][1]
    suffix = ", of recurrent networks" if nn else ""
    return f"seed SD{whose} {sds} ({freedoms} degrees of freedom){suffix}"
