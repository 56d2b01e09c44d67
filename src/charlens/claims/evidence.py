"""What claims are tested on: the models of a corpus, tables about them, statistics of a model."""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from charlens.errors import InputError
from charlens.store import models, scores
from charlens.store.models import PAPER_TYPES, ModelKey, cell_of, type_name, types_in_order
from charlens.store.scores import Score
from charlens.text import code, prose
from charlens.text.braces import brace_pairs, pairs_in_test
from charlens.text.stand_ins import CLOSING, parsed


class Missing(Exception):
    """A claim cannot be tested for lack of evidence; the message says what is missing."""


class NothingThere(Missing):
    """What a claim is about was looked for and is not there; the message says what."""


class NotInRun(Missing):
    """The run was not to have what a claim is about; the message says what."""


@dataclass(frozen=True)
class GridEntry:
    """One entry of the grid: the same network trained from one seed or several."""

    key: ModelKey  # without a seed
    seeds: list[Score]

    @property
    def val_loss(self) -> float:
        """Validation loss, mean over the seeds; nats per character."""
        return float(np.mean([score.meta["val_loss"] for score in self.seeds]))


# Sums of a statistic over each test stream [S] and numbers of characters [S], by its name and the
# SHA-256 of the score array.
Sums = dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]
# Tables about single networks: those of the LSTM, and (`Evidence.of_types`) of other types.
OF_ONE = ("first_epochs", "gates", "units", "hypotheses", "ablation", "probes", "oracles")


@dataclass
class Evidence:
    """Everything known about one corpus. Tables that do not exist are None."""

    about: dict  # the corpus's provenance
    scores: list[Score]
    split: dict[str, np.ndarray]  # see corpora.read_split
    draws: np.ndarray  # [samples, S]: see bootstrap.stream_draws
    text: bytes | None = None
    first_epochs: pd.DataFrame | None = None  # see tables.read_trajectory
    gates: pd.DataFrame | None = None  # gates.csv: saturation of every unit of every gate
    units: pd.DataFrame | None = None  # cells.csv: the score of every unit and hypothesis
    hypotheses: pd.DataFrame | None = None  # hypotheses.csv: the unit picked for each hypothesis
    ablation: pd.DataFrame | None = None  # ablation.csv: what clamping these units changes
    probes: pd.DataFrame | None = None  # probes.csv: what all units of a layer tell together
    oracles: pd.DataFrame | None = None  # figure6.csv: errors by size and category
    inside: pd.DataFrame | None = None  # inside.csv: units and gates of all networks, in short
    type: str = "lstm"  # of the networks that these tables, OF_ONE, are about
    of_types: dict[str, dict[str, pd.DataFrame]] = field(default_factory=dict)  # type: name: table
    histories: dict[ModelKey, pd.DataFrame] = field(default_factory=dict)  # of n-NN candidates
    planned: list[ModelKey] = field(default_factory=list)  # models of the configured run, if known
    hidden: list[int] = field(default_factory=list)  # candidates to be tried for n-NNs, if known
    everything: list["Evidence"] = field(default_factory=list)  # of all corpora, this one included
    known: dict = field(default_factory=dict)  # computed so far: see Statistic, seeds.upper_group
    sums: "Sums" = field(default_factory=dict)  # of named statistics, computed here or published

    @cached_property
    def grid(self) -> list[GridEntry]:
        """The recurrent networks, seeds of an entry together."""
        groups: dict[ModelKey, list[Score]] = {}
        for score in self.networks:
            groups.setdefault(replace(score.key, seed=None), []).append(score)
        return [GridEntry(key, seeds) for key, seeds in groups.items()]

    @cached_property
    def networks(self) -> list[Score]:
        """Scores of the recurrent networks."""
        return [score for score in self.scores if score.key.family == "recurrent"]

    @property
    def planned_grid(self) -> list[ModelKey]:
        """The recurrent networks that the run is to have."""
        return [key for key in self.planned if key.family == "recurrent"]

    @property
    def networks_of_run(self) -> list[ModelKey]:
        """The recurrent networks that the run is to have, or has."""
        return [*self.planned_grid, *(entry.key for entry in self.grid)]

    @property
    def newer_types(self) -> list[str]:
        """The types of the run that the paper does not have, with what is added to them."""
        types = {key.type for key in self.networks_of_run}
        return [type for type in types_in_order(types) if cell_of(type) not in PAPER_TYPES]

    def of(self, type: str) -> "Evidence":
        """The same with the tables about networks of another type in place of those about LSTMs."""
        tables = self.of_types.get(type, {})
        return replace(self, type=type, **{name: tables.get(name) for name in OF_ONE})

    @cached_property
    def ngrams(self) -> dict[int, Score]:
        """Scores of the n-gram models by n, in order of n."""
        return self._by_n("ngram")

    @cached_property
    def nns(self) -> dict[int, Score]:
        """Scores of the n-NNs by n, in order of n."""
        return self._by_n("nn")

    def _by_n(self, family: str) -> dict[int, Score]:
        found = {score.key.n: score for score in self.scores if score.key.family == family}
        return dict(sorted(found.items()))

    @property
    def finished(self) -> str:
        """How many networks of the grid are trained, in words; "" where all are."""
        trained, planned = len(self.networks), len(self.planned_grid)
        return f"{trained} of {planned} networks trained" if trained < planned else ""

    def require(self, **needed: tuple) -> None:
        """Raise NotInRun unless the run is to have networks with each of these values, such as
        type=("lstm", "gru"), and with more than one value of each field named with ()."""
        if not self.planned:  # unknown
            return
        for name, values in needed.items():
            there = {getattr(key, name) for key in self.networks_of_run}
            for value in values:
                if value not in there:
                    named = type_name(value) if name == "type" else f"network of {value} {name}"
                    raise NotInRun(f"no {named}")
            if len(there) == 1 and not values:
                raise NotInRun(f"{name}: {there.pop()} alone")

    def require_nns(self, *wanted: int) -> None:
        """Raise NotInRun unless the run is to have the n-NN for each of these n."""
        there = {key.n for key in self.planned if key.family == "nn"} | set(self.nns)
        for n in wanted if self.planned else ():
            if n not in there:
                raise NotInRun(f"no {n}-NN")

    def lacks(self, *types: str) -> bool:
        """Whether an entry of the grid (of these types, or any) is trained from no seed."""
        wanted = {replace(key, seed=None) for key in self.planned_grid}
        missing = wanted - {entry.key for entry in self.grid}
        return any(not types or key.type in types for key in missing)

    def largest_ngram(self) -> Score:
        """The n-gram model with the longest context. Raises Missing where there is none."""
        if not self.ngrams:
            raise Missing("an n-gram model")
        return self.ngrams[max(self.ngrams)]

    def best(self) -> Score:
        """The best network of the paper's types (see `models.best`). Raises Missing where there is
        none."""
        networks = [score for score in self.networks if score.key.type in PAPER_TYPES]
        if not networks:
            raise Missing("a trained LSTM, RNN or GRU")
        return models.best(networks, lambda score: score.meta)

    def figure_lstm(self) -> Score:
        """The LSTM of figures 4 and 5 (`scores.figure_network`), which claims about these figures
        are about. Raises Missing where there is none.
        """
        self.require(type=("lstm",))
        with contextlib.suppress(InputError):
            return scores.figure_network(self.networks)
        raise Missing("a trained LSTM")

    def of_type(self, type: str) -> dict[tuple[int, int], GridEntry]:
        """The grid entries of a type by (size, layers)."""
        own = [entry for entry in self.grid if entry.key.type == type]
        return {(entry.key.size, entry.key.layers): entry for entry in own}

    @cached_property
    def characters(self) -> np.ndarray:
        """The test characters as numbers [N], bytes or code points, in the order of the scores."""
        return self.split["alphabet"][self.split["test_y"].ravel()]

    @cached_property
    def braces(self) -> tuple[np.ndarray, np.ndarray]:
        """Index of each "}" in the test text, and distance to its "{" in characters: int [Q] each.

        Raises Missing where the text is not code or was not given.
        """
        if self.text is None or self.about["kind"] != "code":
            raise Missing("a text of kind code")
        length = self.split["test_y"].shape[1]
        return pairs_in_test(brace_pairs(parsed(self.text)), self.split["test_at"], length)

    @cached_property
    def quotes(self) -> tuple[np.ndarray, np.ndarray]:
        """Index of each closing quotation mark in the test text, and distance to its opening one in
        characters: int [Q] each. Raises Missing where the text was not given."""
        if self.text is None:
            raise Missing("the text")
        text = parsed(self.text)
        found = {"prose": prose.quote, "code": code.quote}[self.about["kind"]](text)
        inside = np.where(found.defined, found.values, 0)
        opening, closing = np.flatnonzero(np.diff(inside, prepend=0, append=0)).reshape(-1, 2).T
        after = np.frombuffer(text + b" ", np.uint8)[closing]
        marks = b"\"'\xe2" + CLOSING.encode()
        marked = np.isin(after, np.frombuffer(marks, np.uint8))  # not a paragraph's end
        pairs = np.stack([opening, closing], axis=1)[marked]
        return pairs_in_test(pairs, self.split["test_at"], self.split["test_y"].shape[1])

    @cached_property
    def nested(self) -> tuple[np.ndarray, np.ndarray]:
        """Index of each ")" and "]" in the test text, and the number of brackets open before it,
        its own included: int [Q] each. Raises Missing where the text is not code or not given."""
        if self.text is None or self.about["kind"] != "code":
            raise Missing("a text of kind code")
        depth = code.depth(parsed(self.text)).values
        length = self.split["test_y"].shape[1]
        at = (self.split["test_at"][:, None] + np.arange(length)).ravel()  # in the text
        before = depth[np.maximum(at - 1, 0)]
        marks = np.isin(self.characters, np.frombuffer(b")]", np.uint8))
        index = np.flatnonzero(marks & (depth[at] == before - 1))
        return index, before[index]

    def per_stream(self, values: np.ndarray) -> np.ndarray:
        """Sums [S] over each test stream of one value per test character [N]."""
        return values.reshape(len(self.split["test_y"]), -1).sum(axis=1, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Statistic:
    """A mean over some test characters under a model.

    sum(evidence, score): for each test stream the sum [S] and the number [S] of these characters.
    mean(evidence, score): the mean alone, for scores of which only a digest is known.
    name: under which its sums are published, and stand in where only a digest is known; "" where
    they are not. It says everything that the sums depend on, but for the text and the split.
    """

    sum: Callable[[Evidence, Score], tuple[np.ndarray, np.ndarray]]
    mean: Callable[[Evidence, Score], float] | None = None
    name: str = ""

    def sums(self, evidence: Evidence, score: Score) -> tuple[np.ndarray, np.ndarray]:
        """The sum [S] and the number [S], computed once per score.

        Raises Missing where the score lacks what the statistic needs.
        """
        key, published = (self, score.path), (self.name, score.meta.get("sha256"))
        if key not in evidence.known:
            if score.logp is None and published in evidence.sums:
                return evidence.sums[published]
            evidence.known[key] = self.sum(evidence, score)
            if all(published):
                evidence.sums[published] = evidence.known[key]
        return evidence.known[key]

    def value(self, evidence: Evidence, score: Score) -> float:
        """The mean over all streams, nan where there is no such character. Raises as `sums`."""
        published = (self.name, score.meta.get("sha256")) in evidence.sums
        if score.logp is None and self.mean is not None and not published:
            return self.mean(evidence, score)
        sums, counts = self.sums(evidence, score)
        return float(sums.sum() / counts.sum()) if counts.sum() else math.nan


Parts = list[tuple[float, Statistic]]  # weight, statistic: a network's contribution to an effect


def total(evidence: Evidence, score: Score, parts: Parts) -> float:
    """The sum of weight x statistic of a network."""
    return sum(weight * statistic.value(evidence, score) for weight, statistic in parts)


def _loss(evidence: Evidence, score: Score) -> tuple[np.ndarray, np.ndarray]:
    S, length = evidence.split["test_y"].shape
    return length * score.stream_losses(S), np.full(S, float(length))


LOSS = Statistic(_loss)
