"""What the paper concludes, put to the test: one small function per statement.

Each function looks at one corpus and returns findings: a verdict, an effect and its 95% interval.
The effect is counted so that a positive one speaks for the paper, where nothing else is said.

    holds           the whole interval lies on the paper's side
    does not hold   the whole interval lies on the other side
    undecided       the interval does not say, or something that the statement needs is missing

(Where a function's docstring states another rule, that one counts.)

For losses and probabilities an interval covers two things. Test text: whole test streams are drawn
with replacement, the same ones for every model. Seeds: a network trained from another seed has
another loss, by a standard deviation that is measured on the corpus's networks with several seeds
(on all of them, or on those of its own type where there are two or more and these differ more;
where the corpus has none, on the other corpora's, which is said), and each draw moves each trained
network by so much, with the tails of Student's t that few seeds deserve. Where no network has two
seeds, nothing can be said to separate from chance, and the verdict is undecided. Statements about
the inside of networks, their errors or their first epochs rest on one network of each kind.

The same functions, run on the paper's own tables, give the effect that the paper has.
"""

import contextlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from charlens.claims import page
from charlens.errors import InputError
from charlens.files import write_atomically, write_csv
from charlens.statistics.bootstrap import interval, pooled_sd, stream_draws
from charlens.store.corpora import by_stem, read_corpora, read_split
from charlens.store.models import types_in_order
from charlens.store.scores import Score, read_scores, with_arrays
from charlens.store.tables import (
    MODELS,
    paper_table,
    read_status,
    read_table,
    read_trajectory,
    recurrent,
)
from charlens.text.braces import brace_pairs, pairs_in_test
from charlens.units import selectivity
from charlens.units.unit_tables import ALWAYS

COLUMNS = ["claim", "where", "verdict", "effect", "low", "high", "paper", "basis"]
HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"

SMALL_N = 2  # n-gram and n-NN should agree up to this n ...
AGREE = 0.05  # ... within so many nats per character
EXISTS = 0.8  # strength |2 AUC - 1| or |rank correlation| of a cell that follows a hypothesis
EXPLAINED = 0.5  # strength from which a cell counts as explained at all
MOST = 0.5  # "mainly": more than this share

REACH = {  # characters that need long reach
    "brackets": b"()[]{}<>",
    "quotes": b"\"'",
    "newline": b"\r\n",
    "space": b" ",
}


class Missing(Exception):
    """A statement lacks what it is about: the message says what."""


@dataclass(frozen=True)
class Finding:
    """What was found on one corpus; `part` names a part of the statement ("" the whole of it)."""

    part: str
    verdict: str
    effect: float
    low: float
    high: float
    basis: str


# ---- the evidence ----


@dataclass(frozen=True)
class Cell:
    """One cell of the grid: the same network trained from one seed or several."""

    type: str
    layers: int
    size: int
    seeds: list[Score]

    @property
    def val_loss(self) -> float:
        return float(np.mean([score.meta["val_loss"] for score in self.seeds]))

    @property
    def name(self) -> str:
        return f"{self.type.upper()} {self.layers}x{self.size}"


@dataclass(eq=False)
class Evidence:
    """All that is known of one corpus. Tables that do not exist are None."""

    about: dict  # the corpus's provenance
    scores: list[Score]
    split: dict[str, np.ndarray]  # alphabet, test_y, test_at
    draws: np.ndarray  # [samples, S], see stats.stream_draws
    text: bytes | None = None
    looks: pd.DataFrame | None = None  # look, epoch, n, kl, delta: a young LSTM beside the n-NN
    gates: pd.DataFrame | None = None  # corpus, type, layers, layer, gate, unit, left, right
    cells: pd.DataFrame | None = None  # corpus, model, layer, unit, hypothesis, score, low, high
    best_cells: pd.DataFrame | None = None  # the cell picked for each hypothesis: hypotheses.csv
    oracles: pd.DataFrame | None = None  # corpus, layers, size, category, errors: figure6.csv
    planned: list[str] = field(default_factory=list)  # networks of the configuration, as in status
    everything: list["Evidence"] = field(default_factory=list)  # of all corpora, this one too
    known: dict = field(default_factory=dict)  # sums that were computed already

    @cached_property
    def grid(self) -> list[Cell]:
        """The recurrent networks, seeds of a cell together."""
        groups: dict[tuple, list[Score]] = {}
        for score in self.scores:
            if score.meta["family"] == "recurrent":
                key = tuple(score.meta[name] for name in ("type", "layers", "size"))
                groups.setdefault(key, []).append(score)
        return [Cell(*key, seeds) for key, seeds in groups.items()]

    @cached_property
    def ngrams(self) -> dict[int, Score]:
        return self._by_n("ngram")

    @cached_property
    def nns(self) -> dict[int, Score]:
        return self._by_n("nn")

    def _by_n(self, family: str) -> dict[int, Score]:
        found = {s.meta["n"]: s for s in self.scores if s.meta["family"] == family}
        return dict(sorted(found.items()))

    @property
    def finished(self) -> str:
        """How much of the grid there is, in words; nothing where it is complete."""
        trained, planned = sum(len(cell.seeds) for cell in self.grid), len(self.planned)
        return f"{trained} of {planned} networks trained" if trained < planned else ""

    def lacks(self, *types: str) -> bool:
        """Is a cell of the grid (of these types, or any) not trained from any seed?"""
        wanted = {name.rpartition(" seed~")[0] for name in self.planned}
        there = {f"type~{c.type} layers~{c.layers} size~{c.size}" for c in self.grid}
        return any(
            not types or name.split()[0].removeprefix("type~") in types for name in wanted - there
        )

    def largest_ngram(self) -> Score:
        if not self.ngrams:
            raise Missing("an n-gram model")
        return self.ngrams[max(self.ngrams)]

    def best(self, type: str | None = None) -> Score:
        """The network with the lowest validation loss, of one type or of all."""
        found = [s for cell in self.grid if type in (None, cell.type) for s in cell.seeds]
        if not found:
            raise Missing(f"a trained {type.upper() if type else 'recurrent network'}")
        return min(found, key=lambda score: score.meta["val_loss"])

    def of_type(self, type: str) -> dict[tuple[int, int], Cell]:
        """The cells of a type by (size, layers)."""
        return {(cell.size, cell.layers): cell for cell in self.grid if cell.type == type}

    @cached_property
    def characters(self) -> np.ndarray:
        """The test characters as bytes, uint8 [N], in the order of the scores."""
        return self.split["alphabet"][self.split["test_y"].ravel()]

    @cached_property
    def braces(self) -> tuple[np.ndarray, np.ndarray]:
        """Where "}" stands in the test text, and how far behind its "{"."""
        if self.text is None or self.about["kind"] != "code":
            raise Missing("a text of kind code")
        length = self.split["test_y"].shape[1]
        return pairs_in_test(brace_pairs(self.text), self.split["test_at"], length)

    def per_stream(self, values: np.ndarray) -> np.ndarray:
        """Sums [S] over each test stream of one value per test character."""
        return values.reshape(len(self.split["test_y"]), -1).sum(axis=1, dtype=np.float64)

    def seed_sd(self, parts: "Parts", type: str | None) -> tuple[float, int, str] | None:
        """How far a sum of weight x statistic of a network moves with its seed: standard deviation
        and degrees of freedom, from the networks with several seeds of this corpus, or else of all;
        from those of one type where these move further. And in words which networks these are."""
        others = [evidence.about["title"] for evidence in self.everything if evidence is not self]
        for group, whose in (([self], ""), (self.everything, f" of {' and '.join(others)}")):
            values: dict[str, list] = {}
            for evidence in group:
                for cell in evidence.grid:
                    known = []
                    for score in cell.seeds:
                        with contextlib.suppress(Missing):
                            known.append(total(evidence, score, parts))
                    if len(known) > 1 and np.isfinite(known).all():
                        values.setdefault(cell.type, []).append(known)
            if every := pooled_sd(known for cells in values.values() for known in cells):
                own = values.get(type, [])
                return (*max(every, pooled_sd(own) if len(own) > 1 else every), whose)
        return None


@dataclass(frozen=True, eq=False)
class Statistic:
    """A mean over some test characters of a model: `sum(evidence, score)` gives, for each test
    stream, the sum [S] and the number [S] of these characters. `mean(evidence, score)` gives the
    mean alone, where a digest says no more."""

    sum: Callable[[Evidence, Score], tuple[np.ndarray, np.ndarray]]
    mean: Callable[[Evidence, Score], float] | None = None

    def sums(self, evidence: Evidence, score: Score) -> tuple[np.ndarray, np.ndarray]:
        key = (self, score.path)
        if key not in evidence.known:
            evidence.known[key] = self.sum(evidence, score)
        return evidence.known[key]

    def value(self, evidence: Evidence, score: Score) -> float:
        if score.logp is None and self.mean is not None:
            return self.mean(evidence, score)
        sums, counts = self.sums(evidence, score)
        return float(sums.sum() / counts.sum()) if counts.sum() else math.nan


Parts = list[tuple[float, Statistic]]  # of one network: what it adds to an effect


def total(evidence: Evidence, score: Score, parts: Parts) -> float:
    return sum(weight * statistic.value(evidence, score) for weight, statistic in parts)


def _loss(evidence: Evidence, score: Score) -> tuple[np.ndarray, np.ndarray]:
    S, length = evidence.split["test_y"].shape
    return length * score.stream_losses(S), np.full(S, float(length))


LOSS = Statistic(_loss)


@dataclass(frozen=True)
class Effect:
    """A measured difference with its interval, and whether that covers the choice of the seeds."""

    value: float
    low: float
    high: float
    basis: str
    seeds_known: bool = True

    def verdict(self, least: float = 0.0) -> str:
        """Is the effect above `least`?"""
        if not self.seeds_known:
            return UNDECIDED
        return HOLDS if self.low > least else FAILS if self.high < least else UNDECIDED

    def agreement(self, tolerance: float) -> str:
        """Does it lie within the tolerance of 0?"""
        if self.seeds_known and -tolerance < self.low and self.high < tolerance:
            return HOLDS
        beyond = self.low > tolerance or self.high < -tolerance
        return FAILS if self.seeds_known and beyond else UNDECIDED

    def finding(self, part: str, verdict: str, *basis: str) -> Finding:
        words = "; ".join(word for word in (*basis, self.basis) if word)
        return Finding(part, verdict, self.value, self.low, self.high, words)


def measure(
    evidence: Evidence,
    terms: Iterable[tuple[float, list[Score], Statistic]],
    level: float = 0.95,
) -> Effect:
    """The sum of weight x statistic over (weight, models, statistic), with its interval.

    Models of one term are seeds of one cell and are averaged. Every term is seen on the same
    drawn streams; each trained network also moves with its seed, in all its terms at once. The
    seeds of an n-NN are taken to matter as much as a recurrent network's.
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
        if models[0].meta["family"] != "ngram":  # which has no seed
            key = tuple(score.path for score in models)
            trained.setdefault(key, (models, []))[1].append((weight, statistic))
    seeds_known, basis = True, ""
    used = {}  # standard deviation of a network by its seed: degrees of freedom
    for models, parts in trained.values():
        pooled = evidence.seed_sd(parts, models[0].meta.get("type"))
        if pooled is None:
            seeds_known = False
            continue
        sd, freedom, whose = pooled
        drawn = drawn + random.standard_t(freedom, len(drawn)) * sd / math.sqrt(len(models))
        used[sd / max(abs(weight) for weight, _ in parts)] = freedom
    if used:
        ends = sorted({f"{sd:.2g}": used[sd] for sd in (min(used), max(used))}.items())
        sds, freedoms = (" and ".join(map(str, part)) for part in zip(*ends, strict=True))
        basis = f"seed SD{whose} {sds} ({freedoms} degrees of freedom)"
    if not seeds_known:
        basis = "what a seed changes is not known: no two seeds of a network were seen at this"
    elif any(models[0].meta["family"] == "nn" for models, _ in trained.values()):
        basis += ", of recurrent networks"
    low, high = (
        interval(drawn[~np.isnan(drawn)], level) if math.isfinite(value) else (math.nan,) * 2
    )
    return Effect(value, low, high, basis, seeds_known)


def losses(weight: float, cell: Cell) -> tuple[float, list[Score], Statistic]:
    return weight, cell.seeds, LOSS


# ---- what the paper says of losses ----


def depth_helps(e: Evidence) -> list[Finding]:
    """Effect: loss of one layer minus loss of two or three (which, validation says), mean over
    the sizes and types that have both; nats per character. The choice between two speaks for
    depth, by half a seed SD at the most."""
    pairs: dict[str, list] = {}
    for type in types_in_order(cell.type for cell in e.grid):
        cells = e.of_type(type)
        for size in sorted({size for size, _ in cells}):
            deeper = [cell for (s, layers), cell in cells.items() if s == size and layers > 1]
            if (size, 1) in cells and deeper:
                best = min(deeper, key=lambda cell: cell.val_loss)
                pairs.setdefault(type, []).append((cells[size, 1], best))
    return mean_of_pairs(e, pairs, "one layer and more, of the same type and size", str.upper)


def beats_rnn(type: str) -> Callable[[Evidence], list[Finding]]:
    """Effect: loss of the RNN minus loss of this type, mean over the layers and sizes that both
    have; nats per character."""

    def beats(e: Evidence) -> list[Finding]:
        pairs: dict[int, list] = {}
        rnns = e.of_type("rnn")
        for key, cell in sorted(e.of_type(type).items()):
            if key in rnns:
                pairs.setdefault(key[0], []).append((rnns[key], cell))
        return mean_of_pairs(
            e, pairs, f"RNN and {type.upper()} of the same layers and size", "size {}".format
        )

    beats.__doc__ = beats_rnn.__doc__.replace("this type", f"the {type.upper()}")
    return beats


def mean_of_pairs(e: Evidence, groups: dict, needed: str, name: Callable) -> list[Finding]:
    """First worse minus second over all pairs of cells, and over each group of them."""
    every = [pair for pairs in groups.values() for pair in pairs]
    if not every:
        raise Missing(needed)
    findings = []
    for part, pairs in [("", every), *((name(group), pairs) for group, pairs in groups.items())]:
        share = 1 / len(pairs)
        effect = measure(
            e,
            [
                losses(w, cell)
                for pair in pairs
                for w, cell in zip((share, -share), pair, strict=True)
            ],
        )
        count = f"mean of {len(pairs)} pairs" if len(pairs) > 1 else pairs_name(pairs[0])
        findings.append(effect.finding(part, effect.verdict(), count, "" if part else e.finished))
    return findings


def pairs_name(pair: tuple[Cell, Cell]) -> str:
    return f"{pair[1].name} against {pair[0].name}"


def lstm_and_gru_mixed(e: Evidence) -> list[Finding]:
    """Effect: loss of the GRU minus loss of the LSTM, mean over layers and sizes. It holds if each
    type wins somewhere beyond chance, at a level corrected for the number of comparisons; it does
    not if the same one wins everywhere. Where a pair is missing or not separated, the other may
    still be ahead, and nothing is decided."""
    lstms, grus = e.of_type("lstm"), e.of_type("gru")
    keys = sorted(set(lstms) & set(grus))
    if not keys:
        raise Missing("LSTM and GRU of the same layers and size")
    level = 1 - 0.05 / len(keys)
    ahead: dict[str, list[str]] = {HOLDS: [], FAILS: [], UNDECIDED: []}
    for size, layers in keys:
        pair = [losses(1, grus[size, layers]), losses(-1, lstms[size, layers])]
        ahead[measure(e, pair, level).verdict()].append(f"{layers}x{size}")
    lstm, gru, neither = ahead[HOLDS], ahead[FAILS], ahead[UNDECIDED]
    share = 1 / len(keys)
    effect = measure(
        e, [losses(w, cells[k]) for k in keys for w, cells in ((share, grus), (-share, lstms))]
    )
    unknown = neither or e.lacks("lstm", "gru")
    verdict = HOLDS if lstm and gru else UNDECIDED if unknown else FAILS
    counted = [
        f"{words} {', '.join(cells)}"
        for words, cells in (("LSTM ahead at", lstm), ("GRU at", gru), ("not separated:", neither))
        if cells
    ]
    return [effect.finding("", verdict, *counted, e.finished)]


def best_beats_ngram(e: Evidence) -> list[Finding]:
    """Effect: loss of the longest n-gram minus loss of the recurrent network that is best on
    validation; nats per character. While a cell of the grid is missing, it cannot fail."""
    best, ngram = e.best(), e.largest_ngram()
    effect = measure(e, [(1, [ngram], LOSS), (-1, [best], LOSS)])
    verdict = effect.verdict()
    if verdict == FAILS and e.lacks():
        verdict = UNDECIDED
    names = (
        f"{network(best)} {best.loss:.3f} against {ngram.meta['n']}-gram {ngram.loss:.3f}",
        e.finished,
    )
    return [effect.finding("", verdict, *names)]


def network(score: Score) -> str:
    meta = score.meta
    return f"{meta['type'].upper()} {meta['layers']}x{meta['size']}"


def nn_agrees(e: Evidence) -> list[Finding]:
    """Effect: loss of the n-NN minus loss of the n-gram, for n up to 2; they agree if the interval
    lies within 0.05 nats per character of 0. The whole is the n with the largest difference."""
    effects = {n: nn_less_ngram(e, n) for n in common_n(e) if n <= SMALL_N}
    if not effects:
        raise Missing(f"an n-gram and an n-NN with the same n up to {SMALL_N}")
    worst = max(effects, key=lambda n: abs(effects[n].value))
    rows = [("", worst), *((f"n = {n}", n) for n in effects)]
    return [
        effects[n].finding(part, effects[n].agreement(AGREE), "" if part else f"n = {n}")
        for part, n in rows
    ]


def nn_falls_behind(e: Evidence) -> list[Finding]:
    """Effect: how much the n-NN's disadvantage to the n-gram grows from the smallest n to the
    largest that both have; nats per character."""
    shared = common_n(e)
    if len(shared) < 2:
        raise Missing("n-gram and n-NN models with two n in common")
    first, last = shared[0], shared[-1]
    terms = [
        (sign * side, [models[n]], LOSS)
        for n, sign in ((last, 1), (first, -1))
        for models, side in ((e.nns, 1), (e.ngrams, -1))
    ]
    effect = measure(e, terms)
    rest = [f"{e.nns[n].loss - e.ngrams[n].loss:+.3f} at n = {n}" for n in (first, last)]
    return [effect.finding("", effect.verdict(), ", ".join(rest))]


def nn_overfits(e: Evidence) -> list[Finding]:
    """A longer context makes the n-NN worse. Effect: its loss at the largest n minus its lowest at
    a smaller n; nats per character."""
    if len(e.nns) < 2:
        raise Missing("n-NN models of two n")
    *shorter, last = e.nns.values()
    least = min(shorter, key=lambda score: score.meta["val_loss"])
    effect = measure(e, [(1, [last], LOSS), (-1, [least], LOSS)])
    words = ", ".join(f"{s.loss:.3f} at n = {s.meta['n']}" for s in (least, last))
    return [effect.finding("", effect.verdict(), words)]


def common_n(e: Evidence) -> list[int]:
    return sorted(set(e.ngrams) & set(e.nns))


def nn_less_ngram(e: Evidence, n: int) -> Effect:
    return measure(e, [(1, [e.nns[n]], LOSS), (-1, [e.ngrams[n]], LOSS)])


# ---- what it says of characters ----


def mean_probability(chosen: Callable[[Evidence], np.ndarray]) -> Statistic:
    """Mean probability of the test characters that `chosen` marks: bool [N]."""

    def sums(e: Evidence, score: Score) -> tuple[np.ndarray, np.ndarray]:
        if score.logp is None:
            raise Missing("the scores of every model that this compares, character by character")
        mask = chosen(e)
        return e.per_stream(np.where(mask, score.probabilities(), 0.0)), e.per_stream(mask)

    return Statistic(sums)


def mean_probability_of(characters: bytes, others: bool = False) -> Statistic:
    """Mean probability of these characters; or of all others."""
    wanted = np.frombuffer(characters, np.uint8)

    def chosen(e: Evidence) -> np.ndarray:
        return np.isin(e.characters, wanted, invert=others)

    def mean(e: Evidence, score: Score) -> float:
        means = score.symbol_means(e.split)
        counts = np.bincount(e.split["test_y"].ravel(), minlength=len(means))
        counts = counts * np.isin(e.split["alphabet"], wanted, invert=others)
        return float(counts @ means / counts.sum()) if counts.sum() else math.nan

    return Statistic(mean_probability(chosen).sum, mean)


def gains_on_long_reach(e: Evidence) -> list[Finding]:
    """Effect: what the best LSTM gains over the longest n-gram in the mean probability of these
    characters, more than it gains on all others."""
    lstm, ngram = e.best("lstm"), e.largest_ngram()
    findings = []
    for part, characters in {"": b"".join(REACH.values()), **REACH}.items():
        if not np.isin(e.characters, np.frombuffer(characters, np.uint8)).any():
            continue
        here, there = mean_probability_of(characters), mean_probability_of(characters, others=True)
        terms = [
            (gain * side, [model], statistic)
            for statistic, side in ((here, 1), (there, -1))
            for model, gain in ((lstm, 1), (ngram, -1))
        ]
        effect = measure(e, terms)
        gain = here.value(e, lstm) - here.value(e, ngram)
        rest = there.value(e, lstm) - there.value(e, ngram)
        words = f"{gain:+.3f} here, {rest:+.3f} elsewhere"
        models = "" if part else f"{network(lstm)} against {ngram.meta['n']}-gram"
        findings.append(effect.finding(part, effect.verdict(), models, words))
    if not findings:
        raise Missing("brackets, quotes, newlines or spaces in the test text")
    return findings


def gains_on_far_braces(e: Evidence) -> list[Finding]:
    """Effect: mean probability of "}" under the best LSTM minus that under the longest n-gram, for
    braces that opened further back than the n-gram sees."""
    if e.about["kind"] != "code":
        return []
    lstm, ngram = e.best("lstm"), e.largest_ngram()
    n = ngram.meta["n"]

    def far(evidence: Evidence) -> np.ndarray:
        index, distance = evidence.braces
        mask = np.zeros(evidence.characters.size, dtype=bool)
        mask[index[distance > n]] = True
        return mask

    count = int(far(e).sum())
    if not count:
        raise Missing(f"a closing brace more than {n} characters behind its opening one")
    probability = mean_probability(far)
    effect = measure(e, [(1, [lstm], probability), (-1, [ngram], probability)])
    return [effect.finding("", effect.verdict(), f"{network(lstm)}, {count} braces")]


def young_lstm_climbs(e: Evidence) -> list[Finding]:
    """At each look in the first epochs, the n-NN nearest to the LSTM (lowest KL divergence) is
    named. It holds if the nearest is first the 1-NN, then the 2-NN, then the 3-NN, and the nearest
    n grows with the looks. Effect: rank correlation of look and nearest n; one training, so without
    an interval."""
    if e.looks is None:
        raise Missing("an LSTM's first epochs beside the n-NN (figures: young_lstm)")
    if not {1, 2, 3} <= set(e.looks["n"]):
        raise Missing("an LSTM's first epochs beside the 1-NN, the 2-NN and the 3-NN")
    nearest = e.looks.loc[e.looks.groupby("look")["kl"].idxmin()].sort_values("look")
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
    layers, size = e.looks[["layers", "size"]].iloc[0]
    if verdict == UNDECIDED:
        words.append("the looks begin too late or end too soon to see all three")
    basis = f"LSTM {layers}x{size}; nearest: {', '.join(words)}"
    return [Finding("", verdict, effect, math.nan, math.nan, basis)]


def size_removes_ngram_errors(e: Evidence) -> list[Finding]:
    """Between the smallest and the largest LSTM of figure 6, errors (less than half of the
    probability) become fewer. Effect: the share of this fall in those that an n-gram model up to
    n = 9 would not make; it holds from one half on, and not where nothing falls. One network of
    each size, so without an interval."""
    if e.oracles is None or e.oracles["size"].nunique() < 2:
        raise Missing("the errors of LSTMs of two sizes (figures/figure6.csv)")
    sizes = e.oracles["size"].min(), e.oracles["size"].max()
    small, large = (e.oracles[e.oracles["size"] == size] for size in sizes)
    fewer = small["errors"].sum() - large["errors"].sum()
    of_ngram = [own[own["category"] == "n-gram"]["errors"].sum() for own in (small, large)]
    share = (of_ngram[0] - of_ngram[1]) / fewer if fewer > 0 else math.nan
    words = f"{of_ngram[0] - of_ngram[1]:,} of {fewer:,} errors, size {sizes[0]} to {sizes[1]}"
    verdict = HOLDS if share > MOST else FAILS
    return [Finding("", verdict, share, math.nan, math.nan, words)]


# ---- what it says of gates and cells ----


def gate_units(e: Evidence, gate: str) -> pd.DataFrame:
    """The saturation of one gate's units in the LSTM."""
    if e.gates is None or e.gates.empty:
        raise Missing("the saturation of gates (tables/gates.csv)")
    units = e.gates[(e.gates["type"] == "lstm") & (e.gates["gate"].str[0] == gate)]
    if units.empty:
        raise Missing("the saturation of an LSTM's gates (tables/gates.csv)")
    return units


def share_interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share of `count` units."""
    z = 1.96
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + (z / count / 2) ** 2)
    # At the ends it is 0 and 1, which rounding misses.
    return (centre - half if share else 0.0), (centre + half if share < 1 else 1.0)


def forget_gates_stay_open(e: Evidence) -> list[Finding]:
    """Some forget gates are right-saturated (above 0.9) at 95% of the test characters or more.
    Effect: the share of such units; it holds if there is one, and does not if there is none."""
    units = gate_units(e, "f")
    stay = units["right"] >= ALWAYS
    low, high = share_interval(stay.mean(), len(units))
    words = (
        f"{stay.sum()} of {len(units)} forget gates; the most open at {units['right'].max():.1%}"
    )
    return [Finding("", HOLDS if stay.any() else FAILS, stay.mean(), low, high, words)]


def output_gates_move(e: Evidence) -> list[Finding]:
    """No output gate stays open (above 0.9) or closed (below 0.1) at 95% of the test characters or
    more. Effect: the share of units that do; it holds if there is none."""
    units = gate_units(e, "o")
    most = units[["left", "right"]].max(axis=1)
    stay = most >= ALWAYS
    low, high = share_interval(stay.mean(), len(units))
    words = f"{stay.sum()} of {len(units)} output gates; the most constant at {most.max():.1%}"
    return [Finding("", FAILS if stay.any() else HOLDS, stay.mean(), low, high, words)]


def first_layer_is_diffuse(e: Evidence) -> list[Finding]:
    """Effect: share of the time that the LSTM's gates are saturated on neither side, first layer
    minus higher layers; the interval draws units, not streams, and does not cover seeds."""
    gates = pd.concat([gate_units(e, gate) for gate in "ifo"])
    between = 1 - gates["left"] - gates["right"]
    lowest = gates["layer"].min()
    first, higher = between[gates["layer"] == lowest], between[gates["layer"] > lowest]
    if higher.empty:
        raise Missing("an LSTM of two layers or more")
    random = np.random.default_rng(0)
    drawn = [
        values.to_numpy()[random.integers(len(values), size=(2000, len(values)))].mean(axis=1)
        for values in (first, higher)
    ]
    low, high = interval(drawn[0] - drawn[1])
    value = first.mean() - higher.mean()
    words = (
        f"{first.mean():.0%} of the time in the first layer, {higher.mean():.0%} above; one network"
    )
    return [Effect(value, low, high, words).finding("", Effect(value, low, high, "").verdict())]


def strengths(cells: pd.DataFrame) -> pd.DataFrame:
    """Columns weak, strength, strong: what score, low and high are worth, 0 (chance) to 1; and
    picked_strength, the same of the score where cells are picked. Column measure says whether they
    are areas under the curve ("auc") or rank correlations ("tau")."""
    bounds = cells[["low", "score", "high"]].to_numpy(dtype=float)
    yes_no = (cells["measure"] == "auc").to_numpy()
    signed = np.where(yes_no[:, None], 2 * bounds - 1, bounds)
    size = np.abs(signed)
    crosses = signed[:, 0] * signed[:, 2] < 0
    return cells.assign(
        picked_strength=selectivity.strength(cells["picked"].to_numpy(float), yes_no),
        weak=np.where(crosses, 0, np.minimum(size[:, 0], size[:, 2])),
        strength=size[:, 1],
        strong=np.maximum(size[:, 0], size[:, 2]),
    )


def picked_cells(e: Evidence) -> pd.DataFrame:
    """For each hypothesis the cell that was picked for it, on the other half of the streams."""
    if e.best_cells is None or e.best_cells.empty:
        raise Missing("the cells picked for each hypothesis (tables/hypotheses.csv)")
    found = e.best_cells.dropna(subset=["score", "low", "high", "picked"])
    if found.empty:
        raise Missing("a hypothesis that the test text can decide (tables/hypotheses.csv)")
    return strengths(found)


def cells_follow_hypotheses(e: Evidence) -> list[Finding]:
    """For each hypothesis a cell is picked on one half of the test streams and scored on the
    other. Effect: strength of the score, |2 AUC - 1| for yes or no and |rank correlation| for
    counts; it holds from 0.8 on. The whole: the hypothesis with the strongest cell where cells are
    picked."""
    cells = picked_cells(e)
    findings = []
    rows = [("", cells.loc[cells["picked_strength"].idxmax()])]
    rows += [(row["hypothesis"], row) for _, row in cells.iterrows()]
    for part, row in rows:
        effect = Effect(row["strength"], row["weak"], row["strong"], "")
        words = f"layer {int(row['layer'])}, unit {int(row['unit'])}" + (
            "" if part else f": {row['hypothesis'].replace('_', ' ')}"
        )
        findings.append(effect.finding(part.replace("_", " "), effect.verdict(EXISTS), words))
    return findings


def most_cells_do_not(e: Evidence) -> list[Finding]:
    """Effect: the share of cells that no hypothesis explains, beyond the null and with a strength
    of 0.5 or more (an area under the curve of 0.75). For each cell one half of the test streams
    says which hypothesis that would be, and the other how strongly; the bounds take every cell at
    the ends of its interval. It holds if more than half are not explained."""
    if e.cells is None or e.cells.empty:
        raise Missing("the scores of cells (tables/cells.csv)")
    measures = picked_cells(e)[["hypothesis", "measure"]]
    cells = strengths(e.cells.dropna(subset=["score", "low", "high", "picked"]).merge(measures))
    units = cells.groupby(["model", "layer", "unit"])
    own = cells.loc[units["picked_strength"].idxmax()]
    explained = own[["weak", "strength", "strong"]].ge(EXPLAINED).mul(own["beyond"], axis=0)
    unexplained = 1 - explained.mean()
    effect = Effect(unexplained["strength"], unexplained["strong"], unexplained["weak"], "")
    words = f"{len(own)} cells, {cells['hypothesis'].nunique()} hypotheses"
    return [effect.finding("", effect.verdict(MOST), words)]


@dataclass(frozen=True)
class Claim:
    """A statement: a short name, what the paper says, and the function that tests it."""

    name: str
    says: str
    test: Callable[[Evidence], list[Finding]]


CLAIMS = (
    Claim("depth helps", "Depth of at least two layers helps.", depth_helps),
    Claim("LSTM beats RNN", "The LSTM is better than the RNN.", beats_rnn("lstm")),
    Claim("GRU beats RNN", "The GRU is better than the RNN.", beats_rnn("gru")),
    Claim("LSTM against GRU is mixed", "Between LSTM and GRU the results are mixed.",
          lstm_and_gru_mixed),
    Claim("best network beats the n-gram", "The best recurrent network beats the 20-gram.",
          best_beats_ngram),
    Claim("n-NN agrees with n-gram", "For small n, the n-gram and the n-NN perform alike.",
          nn_agrees),
    Claim("n-NN falls behind", "For larger n the n-NN falls behind the n-gram.", nn_falls_behind),
    Claim("n-NN overfits", "For larger n the n-NN overfits.", nn_overfits),
    Claim("long reach", "The LSTM gains on characters that need long reach: brackets, quotes, "
          "newline, space.", gains_on_long_reach),
    Claim("far braces", "The LSTM is better at “}” when its “{” is far away.", gains_on_far_braces),
    Claim("first a 1-NN, then more", "Early in training the LSTM resembles the 1-NN first, then "
          "the 2-NN, then the 3-NN.", young_lstm_climbs),
    Claim("size removes n-gram errors", "Most errors that a larger LSTM no longer makes are "
          "errors that an n-gram model does not make either.", size_removes_ngram_errors),
    Claim("interpretable cells exist", "Some cells keep track of something that one can name.",
          cells_follow_hypotheses),
    Claim("most cells are not", "Most cells are not interpretable.", most_cells_do_not),
    Claim("forget gates remember", "Some forget gates stay right-saturated: cells that remember "
          "for very long.", forget_gates_stay_open),
    Claim("output gates move", "No output gate is always open or always closed.",
          output_gates_move),
    Claim("first layer is diffuse", "The gates of the first layer are far more diffuse than those "
          "of higher layers.", first_layer_is_diffuse),
)  # fmt: skip


def judge(evidence: Iterable[Evidence]) -> pd.DataFrame:
    """Every statement on every corpus it is about: a row per finding, columns COLUMNS."""
    rows = []
    for e in evidence:
        paper = in_paper(e)
        for place, claim in enumerate(CLAIMS):
            theirs = {found.part: round(found.effect, 6) + 0.0 for found in look(claim, paper)}
            for found in look(claim, e):
                where = e.about["corpus"] + (f": {found.part}" if found.part else "")
                numbers = (found.effect, found.low, found.high, theirs.get(found.part, math.nan))
                rows.append([place, claim.name, where, found.verdict, *numbers, found.basis])
    rows.sort(key=lambda row: row[0])  # statement by statement, then corpus by corpus
    return pd.DataFrame([row[1:] for row in rows], columns=COLUMNS)


def look(claim: Claim, e: Evidence) -> list[Finding]:
    try:
        return claim.test(e)
    except Missing as missing:
        return [Finding("", UNDECIDED, *(math.nan,) * 3, f"missing: {missing}")]


def in_paper(e: Evidence) -> Evidence:
    """What the paper's tables 1 and 2 say of the models that are here: their losses and no more,
    so that only the effects mean something. Its validation losses are not known, its test losses
    stand in for them."""
    families = {name: family for family, name in MODELS.items()}
    names = ("corpus", "family", "type", "layers", "size", "n")
    here = {tuple(score.meta.get(name) for name in names) for score in e.scores}
    scores = []
    for row in pd.concat([paper_table(1), paper_table(2)]).to_dict("records"):
        loss, family = row["loss"], families.get(row["type"], "recurrent")
        about = {name: int(row[name]) for name in ("layers", "size", "n") if row[name] == row[name]}
        about |= {"corpus": row["corpus"], "family": family}
        about |= {"type": row["type"]} if family == "recurrent" else {}
        if tuple(about.get(name) for name in names) in here:
            digest = {"loss": loss, "streams": [loss] * len(e.split["test_y"])}
            meta = about | {"val_loss": loss, "digest": digest}
            scores.append(Score(Path("paper", *map(str, about.values())), meta, None))
    return Evidence(e.about, scores, e.split, e.draws)


# ---- the command line ----


def add_arguments(parser):
    parser.add_argument("--scores", nargs="*", default=[], help="scores of all models")
    parser.add_argument("--arrays", nargs="*", default=[], help="of models given as digests")
    parser.add_argument("--splits", nargs="+", required=True, help="corpora's .npz")
    parser.add_argument("--texts", nargs="*", default=[], help="corpora's .txt (kind code)")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--trajectory", nargs="*", default=[], help="looks of LSTM against n-NN")
    parser.add_argument(
        "--inside", nargs="*", default=[], help="gates.csv, cells.csv, hypotheses.csv, figure6.csv"
    )
    parser.add_argument("--status", help="which models are finished (.csv)")
    parser.add_argument("--resamples", type=int, default=10_000, help="of the test streams")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--csv", required=True, help="the verdicts")
    parser.add_argument("--html", required=True, help="the verdicts as a page")


def run(args):
    if args.resamples < 1000:
        raise InputError("--resamples: an interval wants 1000 or more")
    corpora = read_corpora(args.corpora)
    table = judge(gather(args, corpora))
    write_csv(table, args.csv)
    html = page.page(table, CLAIMS, corpora, args.resamples)
    write_atomically(args.html, html.encode())


def gather(args, corpora: dict[str, dict]) -> list[Evidence]:
    """Read what there is of each corpus."""
    splits, texts = by_stem(args.splits, corpora, "split"), by_stem(args.texts, [], "text")
    looks = by_stem(args.trajectory, [], "trajectory")
    scores = with_arrays(
        read_scores(args.scores, "recurrent", "nn", "ngram"), read_scores(args.arrays, "recurrent")
    )
    inside = {Path(path).name: read_table(path, ["corpus"]) for path in args.inside}

    def of(table: str, corpus: str) -> pd.DataFrame | None:
        return inside[table][inside[table]["corpus"] == corpus] if table in inside else None

    planned = recurrent(read_status(args.status)) if args.status else None
    everything: list[Evidence] = []
    for corpus, about in corpora.items():
        own = [score for score in scores if score.meta["corpus"] == corpus]
        split = read_split(splits[corpus], own)
        everything.append(
            Evidence(
                about,
                own,
                split,
                stream_draws(len(split["test_y"]), args.resamples, args.seed),
                texts[corpus].read_bytes() if corpus in texts else None,
                read_trajectory(looks[corpus]) if corpus in looks else None,
                of("gates.csv", corpus),
                of("cells.csv", corpus),
                of("hypotheses.csv", corpus),
                of("figure6.csv", corpus),
                [] if planned is None else list(planned[planned["corpus"] == corpus]["model"]),
                everything,
            )
        )
    return everything
