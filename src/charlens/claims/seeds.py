"""How much a number varies with the seed of a network.

Most numbers vary little and evenly. But some networks learn from one seed what they do not learn
from another: on War and Peace, where lines end at a fixed width, some count the length of the line
and some do not. The networks of a corpus then fall into two groups (`upper_group`), seen in the
probability that they give to a line break, and the deviations of their seeds are no bell. So there
are two cases, by the networks of the same type and size as the one in question, or of the same size
alone where none of its type has two seeds:

    both groups occur among the seeds of one entry: the deviations of all their seeds from their
    entries' means are resampled as they are
    all are in one group, or have one seed each: the deviation is a Student's t variable, scaled by
    the standard deviation between seeds in the same group, pooled over all entries of the corpus,
    or over those of its own type where there are two or more and they vary more

Where a corpus has fewer than 16 networks they count as one group, for chance would see two too
often. Where no network of the corpus has two seeds, those of the same text in another publication
stand in (`claims: seeds_from`), and else those of the other corpora, as one group. The simulation
in tests/claims/test_seeds.py gives the coverage: 93% to 97% for intervals of 95%.
"""

import contextlib
import math
from dataclasses import dataclass

import numpy as np

from charlens.claims.evidence import Evidence, GridEntry, Missing, Parts, total
from charlens.statistics.intervals import pooled_sd
from charlens.store.models import ModelKey
from charlens.text import line_ends

LINE_BREAKS = (ord("\r"), ord("\n"))
FEWEST = 16  # networks among which two groups are looked for; among fewer, chance makes some
APART = 2  # standard deviations within a group: two groups have a wider gap between them


@dataclass(frozen=True, eq=False)
class Spread:
    """How much a number varies with the seed.

    sd: the standard deviation within a group; freedom: its degrees of freedom; whose: in words, the
    other corpora that it was measured on ("" if on this one). deviations: of the seeds of the same
    type and size, float [D], where both groups occur among them; else None. grouped: whether the
    corpus's networks fall into two groups.
    """

    sd: float
    freedom: int
    whose: str = ""
    deviations: np.ndarray | None = None
    grouped: bool = False

    def draw(self, random: np.random.Generator, samples: int, seeds: int) -> np.ndarray:
        """Deviations of a mean over so many seeds from the mean over all seeds, [samples]."""
        if self.deviations is None:
            return random.standard_t(self.freedom, samples) * self.sd / math.sqrt(seeds)
        drawn = random.choice(self.deviations, (samples, seeds)).mean(axis=1)
        # their scale is as uncertain as a standard deviation with so many degrees of freedom
        return drawn * np.sqrt(self.freedom / random.chisquare(self.freedom, samples))


def two_groups(values: np.ndarray) -> np.ndarray | None:
    """Which of the values [M] are in the upper of two groups, bool [M]; None if there is one group.

    There are two if the widest gap between neighbours, with two values or more on either side,
    exceeds twice the standard deviation of each group. Of fewer than 16 values it is not said: by
    chance alone, 16 values of one group seem to be of two in 2% of all cases where they are normal
    and in 6% where they are uniform, 6 values in 22% and 34% (see tests/claims/test_seeds.py).
    """
    ordered = np.sort(values)
    if len(ordered) < FEWEST:
        return None
    gaps = np.diff(ordered)[1:-1]
    at = int(gaps.argmax()) + 2
    widest = gaps.max()
    if widest <= APART * max(ordered[:at].std(ddof=1), ordered[at:].std(ddof=1)):
        return None
    return values >= ordered[at]


def upper_group(evidence: Evidence) -> dict | None:
    """Whether each network of the grid, by the path of its score, has learned where lines end; None
    where the networks of the corpus do not fall into two groups.

    They are grouped by the mean probability of the character that begins a line break.
    """
    if "upper group" not in evidence.known:
        evidence.known["upper group"] = find_upper_group(evidence)
    return evidence.known["upper group"]


def line_break(split: dict[str, np.ndarray]) -> int | None:
    """The symbol that begins most line breaks of a text; None if it has none.

    split: see `corpora.read_split`. Where it holds no text, since only the digests of scores are
    here, the line ends that the networks record decide, or else the alphabet.
    """
    alphabet, training = split["alphabet"], split.get("train_y")
    if training is not None and training.size:
        return line_ends.first_symbol(alphabet, (training, split["test_y"]))
    known = [symbol for symbol in LINE_BREAKS if symbol in alphabet]
    if str(split.get("line_ends", "")) in (line_ends.LF, line_ends.MIXED):
        known.reverse()  # in a mixture it is not known which begins most: "\n" is in every one
    return known[0] if known else None


def find_upper_group(evidence: Evidence) -> dict | None:
    """See `upper_group`."""
    symbol = line_break(evidence.split)
    if symbol is None:
        return None
    code = evidence.split["alphabet"].tolist().index(symbol)
    means = np.array([score.symbol_means(evidence.split)[code] for score in evidence.networks])
    learned = two_groups(means)
    if learned is None:
        return None
    return {
        score.path: bool(is_up) for score, is_up in zip(evidence.networks, learned, strict=True)
    }


def of_seeds(evidence: Evidence, entry: GridEntry, parts: Parts) -> list[tuple[bool, float]]:
    """Group and sum of weight x statistic of each seed of an entry that has what it needs."""
    found, upper = [], upper_group(evidence) or {}
    for score in entry.seeds:
        with contextlib.suppress(Missing):
            found.append((upper.get(score.path, False), total(evidence, score, parts)))
    return found if all(math.isfinite(value) for _, value in found) else []


def spread(evidence: Evidence, parts: Parts, key: ModelKey) -> Spread | None:
    """How much the sum of weight x statistic of a network varies with its seed (see above); None
    where no network has two seeds."""
    others = [other for other in evidence.everything if other is not evidence]
    again = [other for other in others if other.about["corpus"] == evidence.about["corpus"]]
    for group, same_text in (([evidence], True), (again, True), (others, False)):
        titles = " and ".join(of.about["title"] for of in group if of is not evidence)
        whose = f" of {titles}" if titles else ""
        repeated = [
            (entry.key, seeds)
            for corpus in group
            for entry in corpus.grid
            if len(entry.seeds) > 1 and len(seeds := of_seeds(corpus, entry, parts)) > 1
        ]
        if not repeated:
            continue
        of_size = [(own.type, seeds) for own, seeds in repeated if own.size == key.size]
        of_type = [(type, seeds) for type, seeds in of_size if type == key.type]
        alike = [seeds for _, seeds in of_type or of_size]
        mixed = any(len({group for group, _ in seeds}) == 2 for seeds in alike)
        within = [(own.type, same) for own, seeds in repeated for same in by_group(seeds)]
        pooled = pooled_sd(values for _, values in within)
        if mixed and same_text:
            deviations, freedom = from_means([[value for _, value in seeds] for seeds in alike])
            sd = pooled[0] if pooled else math.nan
            return Spread(sd, freedom, whose, deviations, grouped=True)
        if pooled is None:
            continue
        own = [values for type, values in within if type == key.type and len(values) > 1]
        sd, freedom = max(pooled, pooled_sd(own) if len(own) > 1 else pooled)
        return Spread(sd, freedom, whose, grouped=upper_group(evidence) is not None)
    return None


def by_group(seeds: list[tuple[bool, float]]) -> list[list[float]]:
    """The values of the seeds in the lower group, and those in the upper, where there are any."""
    groups = [[value for upper, value in seeds if upper == which] for which in (False, True)]
    return [values for values in groups if values]


def from_means(groups: list[list[float]]) -> tuple[np.ndarray, int]:
    """Deviations of values from the mean of their group, and their degrees of freedom.

    The deviations of a group of k are scaled by sqrt(k / (k - 1)), so that their mean square is
    that of single seeds.
    """
    scaled = [
        (np.array(values) - np.mean(values)) * math.sqrt(len(values) / (len(values) - 1))
        for values in groups
    ]
    return np.concatenate(scaled), sum(len(values) - 1 for values in groups)
