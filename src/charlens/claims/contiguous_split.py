"""The effect of the paper's split: the same models under it and under a contiguous split.

The paper cuts each of 100 streams in time (split layout `streams`), so its test text lies among its
training text. The contiguous split puts the test text at the end. The two have different test
characters, so each network is compared with an n-gram model on the same characters, and its
advantage under one split with that under the other. The advantage that remains under the contiguous
split does not come from having seen the neighbourhood of the test text.

Under the contiguous split the test streams are neighbouring pieces of one text, whose losses are
alike, so ten neighbours are drawn together (`bootstrap.draws_of_test`).

The network under one split is trained independently of that under the other, so intervals cover the
seeds of both, too. How much a seed changes a loss is measured on all networks of the corpus that
are given (see `claims.seeds`). The loss of a network is the mean over its seeds under a split.

(Files, columns and the rule that users rely on call the contiguous split `plain_cut`.)
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from charlens import arguments
from charlens.claims.evidence import LOSS, Evidence
from charlens.claims.measure import Draws, draw
from charlens.errors import InputError
from charlens.files import write_atomically, write_csv
from charlens.report.html import Entry, Grid, render, signed
from charlens.statistics.bootstrap import draws_of_test, interval
from charlens.store.corpora import read_corpora, read_split
from charlens.store.models import ModelKey, twin, types_in_order
from charlens.store.scores import Score, read_scores

COLUMNS = ["corpus", "model", "paper_split", "plain_cut", "change", "low", "high"]
ADVANTAGE = [f"advantage_{name}" for name in ("paper_split", "plain_cut", "change", "low", "high")]
SEEDS = ["seeds_paper_split", "seeds_plain_cut", "covers"]
TEXT, TEXT_AND_SEEDS = "test text", "test text and seeds"  # what an interval covers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scores", nargs="+", required=True,
        help="under both splits; of the corpora, other networks too, to see the effect of a seed",
    )  # fmt: skip
    parser.add_argument("--splits", nargs="+", required=True, help="the .npz of both splits")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument(
        "--resamples", type=arguments.resamples, default=10_000, help="of the test streams"
    )
    parser.add_argument("--seed", type=arguments.seed, default=0, help="of the bootstrap")
    parser.add_argument("--csv", required=True, help="one row per model")
    parser.add_argument("--html", required=True, help="the table as a page")


def run(args: argparse.Namespace) -> None:
    corpora = read_corpora(args.corpora)
    scores = read_scores(args.scores, "recurrent", "ngram")
    splits = {Path(path).name.removesuffix(".npz"): path for path in args.splits}
    papers: list[Evidence] = []  # of all corpora: one stands in for another without two seeds
    pairs = []
    for corpus, about in corpora.items():
        # The two splits have different test streams, so their draws are independent.
        paper = side(corpus, about, scores, splits, args.resamples, args.seed)
        other = side(twin(corpus), about, scores, splits, args.resamples, args.seed + 1)
        papers.append(paper)
        paper.everything = papers
        pairs.append((corpus, paper, other))
    for _, _, other in pairs:
        other.everything = [other, *papers]
    table = pd.concat([compare(*pair) for pair in pairs], ignore_index=True)
    write_csv(table, args.csv)
    write_atomically(args.html, page(table, corpora, args.resamples).encode())


# ---- the numbers ----


def side(
    name: str,
    about: dict,
    scores: list[Score],
    splits: Mapping[str, str],
    resamples: int,
    seed: int,
) -> Evidence:
    """The models scored on the split of this name. about: the corpus, whatever the split.

    Raises InputError where there is no such split, or a score has another number of test
    characters.
    """
    if name not in splits:
        raise InputError(f"corpus {name}: no split given (a file named {name}.npz)")
    own = [score for score in scores if score.meta["corpus"] == name]
    split = read_split(splits[name], own)
    return Evidence(about, own, split, draws_of_test(split, resamples, seed))


def models(evidence: Evidence) -> dict[ModelKey, list[Score]]:
    """The n-grams and networks of a side, whatever the split, seeds of a network together."""
    found = {entry.key: entry.seeds for entry in evidence.grid}
    found |= {score.key: [score] for score in evidence.ngrams.values()}
    return {replace(key, corpus=""): seeds for key, seeds in found.items()}


def compare(corpus: str, paper: Evidence, contiguous: Evidence) -> pd.DataFrame:
    """One row per model that both splits have: columns COLUMNS, ADVANTAGE, SEEDS; nats per
    character.

    change: loss under the contiguous split minus loss under the paper's, with its 95% interval.
    advantage: loss of the longest n-gram minus loss of the network, under each split, and its
    change; empty for n-grams. seeds: of a network, under each split. covers: what the intervals
    cover, TEXT or TEXT_AND_SEEDS. Raises InputError where no n-gram was scored on both.
    """
    sides = (models(paper), models(contiguous))
    shared = [key for key in sides[0] if key in sides[1]]
    ngrams = sorted((key for key in shared if key.family == "ngram"), key=lambda key: key.n)
    if not ngrams:
        raise InputError(f"corpus {corpus}: no n-gram under both splits among the scores")
    networks = [key for key in shared if key.family == "recurrent"]
    types = types_in_order(key.type for key in networks)
    networks.sort(key=lambda key: (types.index(key.type), key.layers, key.size))
    evidence = (paper, contiguous)
    rows = []
    for key in ngrams + networks:
        losses = [
            draw(of, [(1, known[key], LOSS)], seed)
            for seed, (of, known) in enumerate(zip(evidence, sides, strict=True))
        ]
        advantages, seeds, covers = [np.nan] * len(ADVANTAGE), [np.nan] * 2, TEXT
        if key in networks:
            gains = [
                draw(of, [(1, known[ngrams[-1]], LOSS), (-1, known[key], LOSS)], seed)
                for seed, (of, known) in enumerate(zip(evidence, sides, strict=True))
            ]
            advantages, seeds = change(*gains), [len(known[key]) for known in sides]
            covers = TEXT_AND_SEEDS if all(found.seeds_known for found in losses) else TEXT
        rows.append([corpus, key.name, *change(*losses), *advantages, *seeds, covers])
    table = pd.DataFrame(rows, columns=COLUMNS + ADVANTAGE + SEEDS)
    return table.astype(dict.fromkeys(SEEDS[:2], "Int64"))


def change(paper: Draws, contiguous: Draws) -> list[float]:
    """Both values, their difference and its 95% interval."""
    low, high = interval(contiguous.drawn - paper.drawn)
    return [paper.value, contiguous.value, contiguous.value - paper.value, low, high]


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
        (named(row), [Entry(f"{row.paper_split:.3f}"), Entry(f"{row.plain_cut:.3f}"),
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
        (named(row), [Entry(signed(row.advantage_paper_split)),
                     Entry(signed(row.advantage_plain_cut)),
                     with_range(row.advantage_change, row.advantage_low, row.advantage_high)])
        for row in networks.itertuples()
    ]  # fmt: skip
    return Grid(f"Advantage over the {longest}", "Network", SIDES, rows)


def named(row) -> str:
    """The model of a row, with the seeds of a network, and what its range leaves out."""
    if pd.isna(row.seeds_paper_split):
        return row.model
    seeds = sorted({int(row.seeds_paper_split), int(row.seeds_plain_cut)})
    counted = " and ".join(map(str, seeds)) + (" seed" if seeds == [1] else " seeds")
    return f"{row.model}, {counted}" + (", test text alone" if row.covers == TEXT else "")


def with_range(value: float, low: float, high: float) -> Entry:
    """A signed value, and its interval in small print."""
    return Entry(signed(value), [f"{signed(low)} to {signed(high)}"])
