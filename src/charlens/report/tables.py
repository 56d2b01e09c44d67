"""Tables 1 and 2: test cross-entropy of every model, beside the paper's."""

import html
from collections.abc import Iterable

import numpy as np
import pandas as pd

from charlens.files import write_atomically
from charlens.report.html import (
    document,
    grid,
    megabytes,
    networks_head,
    signed,
    small,
    source_line,
    starts,
)
from charlens.statistics.bootstrap import bootstrap_sd
from charlens.statistics.information import bits
from charlens.store.corpora import read_corpora
from charlens.store.models import types_in_order
from charlens.store.scores import Score, by_corpus, read_scores
from charlens.store.tables import MODELS, paper_table

TABLE1 = [
    "corpus", "type", "layers", "size", "hidden", "parameters", "dropout", "seed", "epoch",
    "val_loss", "loss", "sd", "paper", "bytes", "source",
]  # fmt: skip
TABLE2 = ["corpus", "model", "n", "hidden", "loss", "sd", "paper", "bytes", "arpa_bytes", "source"]


def add_arguments(parser):
    parser.add_argument("--scores", nargs="+", required=True, help="score arrays of all models")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--samples", type=int, default=100, help="bootstrap samples")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--csv", required=True, help="the table, one row per model")
    parser.add_argument("--html", required=True, help="the table as a page")


def run_table1(args):
    corpora = read_corpora(args.corpora)
    scores = by_corpus(read_scores(args.scores, "recurrent"), corpora, "recurrent model")
    table = table1(scores, args.samples, args.seed)
    write(table, page("Table 1", table, table1_section, corpora, args.samples), args)


def run_table2(args):
    corpora = read_corpora(args.corpora)
    scores = by_corpus(read_scores(args.scores, "ngram", "nn"), corpora, "n-gram or n-NN")
    table = table2(scores, args.samples, args.seed)
    write(table, page("Table 2", table, table2_section, corpora, args.samples), args)


def write(table: pd.DataFrame, content: str, args):
    csv = table.to_csv(index=False, lineterminator="\n")
    write_atomically(args.csv, csv.encode())
    write_atomically(args.html, content.encode())


# ---- the numbers ----


def table1(scores: dict[str, list[Score]], samples: int, seed: int) -> pd.DataFrame:
    """One row per recurrent model, columns TABLE1; losses in nats per character."""
    rows = loss_rows(scores, samples, seed)
    paper = paper_table(1).set_index(["corpus", "type", "layers", "size"])["loss"]
    rows["paper"] = [
        paper.get(key)
        for key in zip(rows.corpus, rows.type, rows.layers, rows["size"], strict=True)
    ]
    return in_order(rows, scores, ["corpus", "size", "type", "layers", "seed"])[TABLE1]


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

    The models of a corpus share their bootstrap samples (the paper's Table 1: 100 samples). A
    digest brings its own deviation.
    """
    rows = []
    for group in scores.values():
        arrays = [score.logp for score in group if score.logp is not None]
        deviations = iter(bootstrap_sd(-np.stack(arrays), samples, seed) if arrays else ())
        for score in group:
            sd = score.meta["digest"]["sd"] if score.logp is None else next(deviations)
            rows.append({**score.meta, "loss": round(score.loss, 6), "sd": round(sd, 6)})
    return pd.DataFrame(rows)


def in_order(rows: pd.DataFrame, corpora: Iterable[str], keys: list[str]) -> pd.DataFrame:
    """Rows by these keys: corpora as they were given, types and models as in the paper."""
    places = {"corpus": list(corpora), "model": list(MODELS.values())}
    if "type" in rows:
        places["type"] = types_in_order(rows["type"])

    def place(column: pd.Series) -> pd.Series:
        order = places.get(column.name)
        return column.map(order.index) if order else column

    return rows.sort_values(keys, key=place, ignore_index=True)


# ---- the pages ----


ABOUT = """Test cross-entropy in nats per character, low is good; ± its standard deviation from
{samples} bootstrap samples of the test characters. Below each: the paper's number where the paper
has one, with the difference from it; the same loss in bits per character.{seeds}"""


def page(number: str, table: pd.DataFrame, section, corpora: dict[str, dict], samples: int) -> str:
    """A self-contained HTML page with one section per corpus."""
    per_cell = table.groupby(CELL[number], dropna=False).size().max()
    seeds = ""
    if per_cell > 1:
        seeds = (
            f" Every entry is the mean over its seeds (up to {per_cell}); ± is then the mean of"
            " their deviations, and the line “seeds” gives their range."
        )
    sections = "\n".join(
        f"<section>\n<h2>{html.escape(corpus['title'])}</h2>\n{source_line(corpus)}\n"
        f"{section(table[table['corpus'] == key])}\n</section>"
        for key, corpus in corpora.items()
    )
    about = ABOUT.format(samples=samples, seeds=seeds)
    heading = f"<h1>{number}: {TITLE[number]}</h1>"
    return document(number, "", f"{heading}\n<p>{about}</p>\n{sections}")


TITLE = {"Table 1": "recurrent networks", "Table 2": "fixed-context baselines"}
CELL = {"Table 1": ["corpus", "type", "layers", "size"], "Table 2": ["corpus", "model", "n"]}


def table1_section(table: pd.DataFrame) -> str:
    types = types_in_order(table["type"])
    columns = [(t, k) for t in types for k in sorted(set(table[table["type"] == t]["layers"]))]
    head = networks_head(columns)
    best = table["val_loss"].idxmin()

    def body(entry) -> str:
        rows = []
        for size in sorted(set(table["size"])):
            cells = []
            for i, (t, k) in enumerate(columns):
                here = table["type"].eq(t) & table["layers"].eq(k) & table["size"].eq(size)
                cells.append(f"<td{starts(columns, i)}>{entry(table[here])}</td>")
            rows.append(f"<tr><th>{size}</th>{''.join(cells)}</tr>")
        return "\n".join(rows)

    return (
        grid("Test loss", head, body(lambda rows: loss_entry(rows, best in rows.index)))
        + '<p class="note">Bold: the model with the lowest validation loss.</p>\n'
        + grid(
            "Hidden size, parameters; dropout (of those trained) and epoch, chosen on validation",
            head,
            body(model_entry),
        )
    )


def table2_section(table: pd.DataFrame) -> str:
    contexts = sorted(set(table["n"]))
    models = [model for model in MODELS.values() if model in set(table["model"])]
    head = "<tr><th>n</th>" + "".join(f"<th>{n}</th>" for n in contexts) + "</tr>"

    def body(entry) -> str:
        rows = []
        for model in models:
            here = table[table["model"] == model]
            cells = "".join(f"<td>{entry(here[here['n'] == n])}</td>" for n in contexts)
            rows.append(f"<tr><th>{model}</th>{cells}</tr>")
        return "\n".join(rows)

    return grid("Test loss", head, body(loss_entry)) + grid(
        "Model files (n-gram: as ARPA text, and packed; n-NN: with hidden size)",
        head,
        body(size_entry),
    )


def loss_entry(rows: pd.DataFrame, best: bool = False) -> str:
    """Loss and deviation, the paper's number and the difference, bits: one cell's seeds."""
    if rows.empty:
        return "–"
    loss, paper = rows["loss"].mean(), rows["paper"].iloc[0]
    lines = [f"± {rows['sd'].mean():.4f}"]
    if len(rows) > 1:
        lines.append(f"seeds {rows['loss'].min():.3f}–{rows['loss'].max():.3f}")
    if pd.notna(paper):
        lines += [f"paper {paper:.3f}", f"diff. {signed(loss - paper)}"]
    lines.append(f"{bits(loss):.3f} bits")
    emphasis = ' class="best"' if best else ""
    return f"<span{emphasis}>{loss:.3f}</span>{small(lines)}"


def model_entry(rows: pd.DataFrame) -> str:
    """Hidden size, parameters, and what validation chose."""
    if rows.empty:
        return "–"
    first = rows.iloc[0]
    dropouts = ", ".join(f"{dropout:g}" for dropout in sorted(set(rows["dropout"])))
    epochs = ", ".join(str(epoch) for epoch in rows["epoch"])
    lines = [f"{first['parameters'] / 1000:,.0f}K param.", f"dropout {dropouts}", f"epoch {epochs}"]
    return f"{first['hidden']}{small(lines)}"


def size_entry(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "–"
    first = rows.iloc[0]
    if first["model"] == "n-gram":
        return f"{megabytes(first['arpa_bytes'])}{small([megabytes(first['bytes']) + ' packed'])}"
    return f"{megabytes(first['bytes'])}{small(['hidden ' + str(first['hidden'])])}"
