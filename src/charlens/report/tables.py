"""Tables 1 and 2: test cross-entropy of every model, beside the paper's numbers."""

import argparse
import itertools
from collections.abc import Iterable
from functools import partial

import numpy as np
import pandas as pd

from charlens import arguments
from charlens.errors import InputError
from charlens.files import write_atomically, write_with_digest
from charlens.report.html import (
    Entry,
    file_size,
    grid_of_contexts,
    grid_of_networks,
    grid_of_variants,
    render,
    signed,
)
from charlens.statistics.bootstrap import bootstrap_sd
from charlens.statistics.information import bits
from charlens.store.corpora import read_corpora
from charlens.store.models import (
    PAPER_TYPES,
    ModelKey,
    cell_of,
    has_block,
    recipe_of,
    types_in_order,
)
from charlens.store.scores import Score, by_corpus, read_scores
from charlens.store.tables import MODELS, paper_table

LENGTH = "bytes_per_character"  # column of both where some corpus is read as characters
TABLE1 = [
    "corpus", "type", "layers", "size", "hidden", "parameters", "dropout", "seed", "epoch",
    "val_loss", "loss", "sd", "paper", "bytes", "source", "failed", LENGTH,
]  # fmt: skip
# columns of table 1 where some type is not the paper's; rate: of AdamW, the highest, as chosen
VARIANT = ["block", "recipe", "rate"]
TABLE2 = [
    "corpus", "model", "n", "hidden", "loss", "sd", "paper", "bytes", "arpa_bytes", "source",
    "failed", LENGTH,
]  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", nargs="+", required=True, help="score arrays of all models")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--samples", type=arguments.whole(2), default=100, help="bootstrap samples")
    parser.add_argument("--seed", type=arguments.seed, default=0, help="of the bootstrap")
    parser.add_argument("--csv", required=True, help="the table, one row per model")
    parser.add_argument("--html", required=True, help="the table as a page")


def run_table1(args: argparse.Namespace) -> None:
    corpora = read_corpora(args.corpora)
    scores = read_scores(args.scores, "recurrent", with_failed=True)
    scores = by_corpus(scores, corpora, "recurrent model")
    table = table1(scores, args.samples, args.seed)
    write(with_variants(table), table1_page(table, corpora, args.samples), args)


def run_table2(args: argparse.Namespace) -> None:
    corpora = read_corpora(args.corpora)
    scores = read_scores(args.scores, "ngram", "nn", with_failed=True)
    scores = by_corpus(scores, corpora, "n-gram or n-NN")
    table = table2(scores, args.samples, args.seed)
    write(table, table2_page(table, corpora, args.samples), args)


def write(table: pd.DataFrame, page: str, args: argparse.Namespace) -> None:
    """Write a table to --csv and its page to --html. The reasons of failed networks are a column
    only where there are some, and so is the length of characters."""
    if table[LENGTH].isna().all():
        table = table.drop(columns=LENGTH)
    if (table["failed"] == "").all():
        table = table.drop(columns="failed")
    csv = table.to_csv(index=False, lineterminator="\n")
    write_with_digest(args.csv, csv.encode())
    write_atomically(args.html, page.encode())


# ---- the numbers ----


def table1(scores: dict[str, list[Score]], samples: int, seed: int) -> pd.DataFrame:
    """One row per recurrent model, columns TABLE1 and `rate`; losses in nats per character.

    As written (`with_variants`), where some type is not the paper's, `type` is the cell type alone
    and the columns VARIANT, at the end, say what is added to it. Raises InputError for a network
    whose hidden units were chosen by hand: it has no row in the table.
    """
    for score in itertools.chain.from_iterable(scores.values()):
        if score.meta["size"] is None:
            raise InputError(f"{score.path}: no size, a row of table 1: train it with --size")
    rows = loss_rows(scores, samples, seed)
    paper = paper_table(1).set_index(["corpus", "type", "layers", "size"])["loss"]
    rows["paper"] = [
        paper.get(key)
        for key in zip(rows.corpus, rows.type, rows.layers, rows["size"], strict=True)
    ]
    rows["rate"] = rows.get("rate", np.nan)  # of no network by the paper's recipe
    order = ["corpus", "size", "type", "layers", "seed"]
    return in_order(rows, scores, order)[[*TABLE1, "rate"]]


def has_addition(table: pd.DataFrame) -> pd.Series:
    """Which rows are of types like lstm+block."""
    return table["type"].str.contains("+", regex=False)


def with_variants(table: pd.DataFrame) -> pd.DataFrame:
    """Table 1 as it is written: what is added to the cell in columns of its own, where some type is
    not the paper's."""
    types = table["type"]
    bare = table.drop(columns="rate")
    if set(types) <= set(PAPER_TYPES):
        return bare
    block, recipe = types.map(has_block).astype(int), types.map(recipe_of)
    added = pd.concat([block, recipe, table["rate"]], axis=1, keys=VARIANT)
    return bare.assign(type=types.map(cell_of)).join(added)


def table2(scores: dict[str, list[Score]], samples: int, seed: int) -> pd.DataFrame:
    """One row per n-gram or n-NN model, columns TABLE2; losses in nats per character."""
    rows = loss_rows(scores, samples, seed)
    rows["model"] = rows["family"].map(MODELS)
    paper = paper_table(2).set_index(["corpus", "type", "n"])["loss"]
    rows["paper"] = [paper.get(key) for key in zip(rows.corpus, rows.model, rows.n, strict=True)]
    rows = rows.reindex(columns=[*TABLE2, "seed"])  # n-grams alone have no hidden, nor a seed
    whole = {"hidden": "Int64", "arpa_bytes": "Int64"}
    return in_order(rows.astype(whole), scores, ["corpus", "model", "n", "seed"])[TABLE2]


def loss_rows(scores: dict[str, list[Score]], samples: int, seed: int) -> pd.DataFrame:
    """Each model's metadata with its test loss and the loss's standard deviation.

    The models of a corpus share their bootstrap samples (the paper's table 1: 100 samples). A
    digest holds its own deviation. A network whose training diverged has neither, but a reason in
    the column `failed`.
    """
    rows = []
    for group in scores.values():
        arrays = [score.logp for score in group if score.logp is not None]
        deviations = iter(bootstrap_sd(-np.stack(arrays), samples, seed) if arrays else ())
        for score in group:
            sd = score.meta["digest"]["sd"] if score.logp is None else next(deviations)
            row = {"loss": round(score.loss, 6), "sd": round(sd, 6), "failed": "", LENGTH: np.nan}
            row |= score.meta
            rows.append(row | {"loss": np.nan, "sd": np.nan} if row["failed"] else row)
    return pd.DataFrame(rows)


def in_order(rows: pd.DataFrame, corpora: Iterable[str], keys: list[str]) -> pd.DataFrame:
    """Rows sorted by these keys: corpora as given, types and models as in the paper."""
    places = {"corpus": list(corpora), "model": list(MODELS.values())}
    if "type" in rows:
        places["type"] = types_in_order(rows["type"])

    def place(column: pd.Series) -> pd.Series:
        order = places.get(column.name)
        return column.map(order.index) if order else column

    return rows.sort_values(keys, key=place, ignore_index=True)


# ---- the pages ----


def table1_page(table: pd.DataFrame, corpora: dict[str, dict], samples: int) -> str:
    """Table 1 as a page: losses, then what validation chose, corpus by corpus."""
    sections, best = [], {}
    for corpus, about in corpora.items():
        own = table[table["corpus"] == corpus]
        good = own[own["failed"] == ""]
        first = good["val_loss"].idxmin() if len(good) else None
        if first is not None:
            best[corpus] = ModelKey.of(own.loc[first].to_dict() | {"family": "recurrent"}).label
        bare, loss = own[~has_addition(own)], partial(loss_entry, best=first)
        losses = grid_of_networks("Test loss", bare, loss)
        grids = [grid_of_networks(CHOSEN, bare, model_entry)]
        if len(bare) < len(own):
            grids = [
                grid_of_variants(ADDED, own, loss),
                *grids,
                grid_of_variants(CHOSEN_ADDED, own, model_entry),
            ]
        sections.append((about, losses, grids))
    seeds = most_seeds(table, ["corpus", "type", "layers", "size"])
    return render(
        "table1", sections=sections, best=best, samples=samples, seeds=seeds,
        in_bytes=table[LENGTH].notna().any(),
    )  # fmt: skip


def table2_page(table: pd.DataFrame, corpora: dict[str, dict], samples: int) -> str:
    """Table 2 as a page: losses, then the sizes of the model files, corpus by corpus."""
    sections = []
    for corpus, about in corpora.items():
        own = table[table["corpus"] == corpus]
        losses = grid_of_contexts("Test loss", own, loss_entry)
        sections.append((about, losses, grid_of_contexts(FILES, own, size_entry)))
    seeds = most_seeds(table, ["corpus", "model", "n"])
    in_bytes = table[LENGTH].notna().any()
    return render("table2", sections=sections, samples=samples, seeds=seeds, in_bytes=in_bytes)


CHOSEN = (
    "Hidden units and parameters; dropout (among the values trained) and epoch, chosen on"
    " validation"
)
CHOSEN_ADDED = CHOSEN.replace("dropout", "dropout, or by AdamW the learning rate")
ADDED = (
    "Test loss in a block (normalisation, residual, gated MLP) and by the AdamW recipe (with"
    " warm-up, cosine, weight decay)"
)
FILES = "Model files (n-gram: as ARPA text, and packed; n-NN: with its number of hidden units)"


def most_seeds(table: pd.DataFrame, keys: list[str]) -> int:
    """The largest number of seeds of an entry."""
    return int(table.groupby(keys).size().max())


def loss_entry(rows: pd.DataFrame, best: int | None = None) -> Entry:
    """Loss and deviation, the paper's number and the difference, bits: one row per seed.

    best: the index of the row to emphasise, in this entry or another. Where every training
    diverged, the reason.
    """
    failed = rows[rows["failed"] != ""]
    rows = rows[rows["failed"] == ""]
    if rows.empty:
        return Entry("failed", list(failed["failed"]))
    loss, paper = rows["loss"].mean(), rows["paper"].iloc[0]
    lines = [f"± {rows['sd'].mean():.4f}"]
    if len(rows) > 1:
        lines.append(f"seeds {rows['loss'].min():.3f}–{rows['loss'].max():.3f}")
    if len(failed):
        lines.append(f"{len(failed)} failed")
    if pd.notna(paper):
        lines += [f"paper {paper:.3f}", f"diff. {signed(loss - paper)}"]
    each = rows[LENGTH].iloc[0]
    lines.append(f"{bits(loss):.3f} bits" if pd.isna(each) else per_byte(loss, each))
    return Entry(f"{loss:.3f}", lines, best in rows.index)


def per_byte(loss: float, each: float) -> str:
    """A loss in bits per byte. loss: in nats per character. each: bytes in a character."""
    return f"{bits(loss / each):.3f} bits/byte"


def model_entry(rows: pd.DataFrame) -> Entry:
    """Hidden units, parameters, and what validation chose: one row per seed."""
    first = rows.iloc[0]
    dropouts = ", ".join(f"{dropout:g}" for dropout in sorted(set(rows["dropout"])))
    epochs = ", ".join(str(epoch) for epoch in rows["epoch"])
    lines = [f"{first['parameters'] / 1000:,.0f}K param.", f"dropout {dropouts}"]
    if rates := sorted(set(rows["rate"].dropna())):
        lines.append(f"rate {', '.join(f'{rate:g}' for rate in rates)}")
    return Entry(str(first["hidden"]), [*lines, f"epoch {epochs}"])


def size_entry(rows: pd.DataFrame) -> Entry:
    """The sizes of a model's files."""
    first = rows.iloc[0]
    if first["model"] == "n-gram":
        return Entry(file_size(first["arpa_bytes"]), [f"{file_size(first['bytes'])} packed"])
    return Entry(file_size(first["bytes"]), [f"{first['hidden']} units"])
