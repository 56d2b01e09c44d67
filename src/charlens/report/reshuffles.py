"""Losses on the same files in other random orders: what a loss owes to the order."""

import argparse
import math

import pandas as pd

from charlens.errors import InputError
from charlens.files import write_csv
from charlens.store.corpora import read_corpora
from charlens.store.models import PAPER_TYPES, original
from charlens.store.reading import require
from charlens.store.scores import Score, read_scores

COLUMNS = ["corpus", "seed", "model", "loss"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", nargs="+", required=True, help="on the text and its reshuffles")
    parser.add_argument("--corpora", nargs="+", required=True, help=".json of both")
    parser.add_argument("--csv", required=True, help="one row per order of the files and model")


def run(args: argparse.Namespace) -> None:
    corpora = read_corpora(args.corpora)
    write_csv(table(read_scores(args.scores, "recurrent", "ngram"), corpora), args.csv)


def table(scores: list[Score], corpora: dict[str, dict]) -> pd.DataFrame:
    """One row per order of a corpus's files and model, columns COLUMNS; the corpus's own order
    first. seed: of the shuffle, empty where the files are sorted. loss: nats per character.

    Models that were not scored on a reshuffled text are left out. corpora: the provenance of the
    texts and of the reshuffled ones. Raises InputError if a score's corpus is not among them.
    """
    seeds: dict[str, int | None] = {}
    for corpus, about in corpora.items():
        if corpus != original(corpus):
            require(about, ("shuffle", "own_shuffle"), f"{corpus}.json")
            seeds |= {corpus: about["shuffle"], original(corpus): about["own_shuffle"]}
    rows = []
    for score in sorted(scores, key=place):
        corpus = score.meta["corpus"]
        if corpus not in seeds:
            raise InputError(f"{score.path}: no reshuffle of its corpus {corpus!r} is given")
        own = corpus == original(corpus)
        rows.append([original(corpus), seeds[corpus], score.key.label, score.loss, own])
    found = pd.DataFrame(rows, columns=[*COLUMNS, "own"]).astype({"seed": "Int64"})
    several = found.groupby(["corpus", "model"])["own"].transform(lambda own: (~own).any())
    by = ["corpus", "own", "seed"]
    found = found[several].sort_values(by, ascending=[True, False, True], kind="stable")
    return found[COLUMNS]


def place(score: Score) -> tuple:
    """Where a model stands in a table: n-grams by n, then networks by type, depth and size."""
    key = score.key
    types = PAPER_TYPES.index(key.type) if key.type in PAPER_TYPES else len(PAPER_TYPES)
    return key.n or math.inf, types, key.layers or 0, key.size or 0, key.seed or 0
