"""The effect of the paper's split: the same models under it and under a contiguous split.

The paper cuts each of 100 streams in time (split layout `streams`), so its test text lies among its
training text. The contiguous split puts the test text at the end. The two have different test
characters, so each network is compared with an n-gram model on the same characters, and its
advantage under one split with that under the other. The advantage that remains under the contiguous
split does not come from having seen the neighbourhood of the test text.

(Files, columns and the rule that users rely on call the contiguous split `plain_cut`.)
"""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from charlens.errors import InputError
from charlens.files import write_atomically, write_csv
from charlens.report.html import Entry, Grid, render, signed
from charlens.statistics.bootstrap import interval, stream_draws
from charlens.store.corpora import read_corpora, read_split
from charlens.store.models import ModelKey, twin, types_in_order
from charlens.store.scores import Score, read_scores

COLUMNS = ["corpus", "model", "paper_split", "plain_cut", "change", "low", "high"]
ADVANTAGE = [f"advantage_{name}" for name in ("paper_split", "plain_cut", "change", "low", "high")]


def add_arguments(parser):
    parser.add_argument("--scores", nargs="+", required=True, help="scores under both splits")
    parser.add_argument("--splits", nargs="+", required=True, help="the .npz of both splits")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--resamples", type=int, default=10_000, help="of the test streams")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--csv", required=True, help="one row per model")
    parser.add_argument("--html", required=True, help="the table as a page")


def run(args):
    corpora = read_corpora(args.corpora)
    scores = read_scores(args.scores, "recurrent", "ngram")
    splits = {Path(path).name.removesuffix(".npz"): path for path in args.splits}
    tables = []
    for corpus in corpora:
        # The two splits have different test streams, so their draws are independent.
        paper = side(corpus, scores, splits, args.resamples, args.seed)
        contiguous = side(twin(corpus), scores, splits, args.resamples, args.seed + 1)
        tables.append(compare(corpus, paper, contiguous))
    table = pd.concat(tables, ignore_index=True)
    write_csv(table, args.csv)
    write_atomically(args.html, page(table, corpora, args.resamples).encode())


# ---- the numbers ----


@dataclasses.dataclass(frozen=True)
class Side:
    """The models of a corpus under one split, and bootstrap draws of its S test streams.

    draws: how often each stream occurs in each draw, [R, S]; see `stream_draws`.
    """

    scores: dict[ModelKey, Score]
    draws: np.ndarray

    def loss(self, model: ModelKey, minus: ModelKey | None = None) -> tuple[float, np.ndarray]:
        """Mean test loss in nats per character, and the same for each draw, [R].

        minus: a model whose loss is subtracted.
        """
        streams = self.scores[model].stream_losses(self.draws.shape[1])
        if minus is not None:
            streams = streams - self.scores[minus].stream_losses(len(streams))
        return float(streams.mean()), self.draws @ streams / len(streams)


def side(name: str, scores: list[Score], splits: dict[str, str], resamples: int, seed: int) -> Side:
    """The models scored on the split of this name.

    Raises InputError where there is no such split, or a score has another number of test
    characters.
    """
    if name not in splits:
        raise InputError(f"corpus {name}: no split given (a file named {name}.npz)")
    own = [score for score in scores if score.meta["corpus"] == name]
    streams = len(read_split(splits[name], own)["test_y"])
    return Side({model(score): score for score in own}, stream_draws(streams, resamples, seed))


def model(score: Score) -> ModelKey:
    """The model of a score, whatever the split."""
    return dataclasses.replace(score.key, corpus="")


def compare(corpus: str, paper: Side, contiguous: Side) -> pd.DataFrame:
    """One row per model that both splits have: columns COLUMNS, then ADVANTAGE, nats per character.

    change: loss under the contiguous split minus loss under the paper's, with its 95% interval over
    test streams. advantage: loss of the longest n-gram minus loss of the network, under each split,
    and its change; empty for n-grams. Raises InputError where no n-gram was scored on both.
    """
    shared = [key for key in paper.scores if key in contiguous.scores]
    ngrams = sorted((key for key in shared if key.kind == "ngram"), key=lambda key: key.n)
    if not ngrams:
        raise InputError(f"corpus {corpus}: no n-gram under both splits among the scores")
    networks = [key for key in shared if key.kind == "recurrent"]
    types = types_in_order(key.type for key in networks)
    networks.sort(key=lambda key: (types.index(key.type), key.layers, key.size, key.seed))
    rows = []
    for key in ngrams + networks:
        losses = change(paper.loss(key), contiguous.loss(key))
        advantages = [np.nan] * len(ADVANTAGE)
        if key in networks:
            advantages = change(*(s.loss(ngrams[-1], minus=key) for s in (paper, contiguous)))
        rows.append([corpus, key.label, *losses, *advantages])
    return pd.DataFrame(rows, columns=COLUMNS + ADVANTAGE)


def change(paper: tuple, contiguous: tuple) -> list[float]:
    """Both values, their difference and its 95% interval, from (value, draws [R]) of each."""
    low, high = interval(contiguous[1] - paper[1])
    return [paper[0], contiguous[0], contiguous[0] - paper[0], low, high]


# ---- the page ----

SIDES = ["paper’s split", "contiguous split", "change"]


def page(table: pd.DataFrame, corpora: dict[str, dict], resamples: int) -> str:
    """Losses under both splits, and advantages over the longest n-gram, corpus by corpus."""
    sections = []
    for corpus, about in corpora.items():
        own = table[table["corpus"] == corpus]
        networks = own.dropna(subset=["advantage_change"])
        grids = [loss_grid(own)] + ([advantage_grid(own, networks)] if len(networks) else [])
        sections.append((about, grids))
    return render("contiguous_split", sections=sections, resamples=resamples)


def loss_grid(table: pd.DataFrame) -> Grid:
    """The losses of a corpus's models under both splits, and their change."""
    rows = [
        (row.model, [Entry(f"{row.paper_split:.3f}"), Entry(f"{row.plain_cut:.3f}"),
                     with_range(row.change, row.low, row.high)])
        for row in table.itertuples()
    ]  # fmt: skip
    return Grid("Test loss", "Model", SIDES, rows)


def advantage_grid(table: pd.DataFrame, networks: pd.DataFrame) -> Grid:
    """The networks' advantage over the longest n-gram under both splits, and its change.

    table: all models of the corpus, its n-grams in order of n. networks: those to show.
    """
    longest = table["model"][table["model"].str.endswith("-gram")].iloc[-1]
    rows = [
        (row.model, [Entry(signed(row.advantage_paper_split)),
                     Entry(signed(row.advantage_plain_cut)),
                     with_range(row.advantage_change, row.advantage_low, row.advantage_high)])
        for row in networks.itertuples()
    ]  # fmt: skip
    return Grid(f"Advantage over the {longest}", "Network", SIDES, rows)


def with_range(value: float, low: float, high: float) -> Entry:
    """A signed value, and its interval in small print."""
    return Entry(signed(value), [f"{signed(low)} to {signed(high)}"])
