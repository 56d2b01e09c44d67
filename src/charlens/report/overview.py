"""`charlens report`: report.html, the short report of a run: what was found, in words, then every
figure and table, and the explorers.

The page lies in the folder of the run and links to what is there.
"""

import argparse
import json
import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from charlens.data.checks import size_in_words
from charlens.files import write_atomically
from charlens.report.html import anchor, render
from charlens.statistics.information import bits
from charlens.store import models
from charlens.store.corpora import read_corpora
from charlens.store.models import network_name, shown, type_name
from charlens.store.tables import (
    CROSSES,
    DIFFER,
    FAILS,
    HOLDS,
    NOT_IN_RUN,
    ONE_SEED,
    UNDECIDED,
    UNFINISHED,
    VERDICTS,
    read_claims,
    read_table,
    read_table1,
)

WORDS = {  # of one claim with a verdict, and of several
    HOLDS: ("holds", "hold"),
    FAILS: ("does not hold", "do not hold"),
    UNDECIDED: ("is undecided", "are undecided"),
    NOT_IN_RUN: ("is not in this run", "are not in this run"),
}
WHY = {  # a claim has no verdict, by its reason
    ONE_SEED: "one seed of each network, so that the effect of the seed is unknown",
    CROSSES: "the interval lies on both sides of the bar",
    UNFINISHED: "not everything that is planned is trained",
    DIFFER: "one network says it, and most others the opposite",
    "": "what was found does not decide it",
}
FIGURES = {  # file: title, what it shows
    "figure4": (
        "Errors of the best LSTM",
        "beside n-gram and n-NN models: which characters it gains on them",
    ),
    "figure2-*": (
        "Units that follow the text",
        "passages coloured by the unit that follows each hypothesis best",
    ),
    "ablation": (
        "Clamped units",
        "what the network loses where a unit that was found is held at its mean",
    ),
    "figure6": ("Errors by cause", "what each kind of context would remove"),
    "figure5": ("Reach", "the first epochs of an LSTM; in code, closing braces by distance"),
    "figure3": ("Gates", "how often each gate is nearly open or closed"),
    "emergence": ("Emergence", "when skills and units appear in training"),
    "errors": ("Errors by size", "which errors go away with size"),
    "types": ("Losses by type", "all types at equal parameters, by depth"),
    "figure1": ("Likeness of the networks", "a map: near means that they predict alike"),
    "comparison": ("Beside the paper", "test losses here against the paper's"),
}
TABLES = {
    "claims": "the paper's conclusions, put to the test",
    "table1": "test losses of the recurrent networks",
    "table2": "test losses of n-gram and n-NN models",
    "cells": "units, hypotheses, gates",
    "inside": "units and gates by type, size and depth",
    "emergence": "when skills and units appear",
    "comparison": "our numbers beside the paper's",
    "plain_cut": "what the paper's split is worth",
    "discrepancies": "what is far from the paper, and why",
}


OF_TYPES = {  # the same of a type, in types/<type>/: file, and what it shows
    "figure4.svg": "its errors",
    "figure2-*.svg": "units that follow the text",
    "ablation.svg": "clamped units",
    "figure6.svg": "errors by cause",
    "figure5.svg": "reach",
    "tables/cells.html": "units, hypotheses, gates",
    "explorer/*.html": "explorer",
}


class Picture(NamedTuple):
    """A figure of the page."""

    path: str  # from the page
    title: str
    shows: str


def pictures(run: Path, made: Collection[Path] | None = None) -> list[Picture]:
    """The figures of a run that exist and are among `made` (None: any), in the order of FIGURES."""
    return [
        Picture(path.relative_to(run).as_posix(), title, shows)
        for pattern, (title, shows) in FIGURES.items()
        for path in sorted(run.glob(f"figures/{pattern}.svg"))
        if made is None or path in made
    ]


def of_types(run: Path, made: Collection[Path] | None = None) -> dict[str, list[tuple[str, str]]]:
    """By the name of each type that the settings name, what was made of it as of the LSTM: paths
    from the page, and what each shows. made: as in `pictures`."""
    found = {}
    for folder in sorted(run.glob("types/*")):
        links = [
            (path.relative_to(run).as_posix(), shows)
            for pattern, shows in OF_TYPES.items()
            for path in sorted(folder.glob(pattern))
            if made is None or path in made
        ]
        if links:
            found[type_name(folder.name)] = links
    return found


def best(table: pd.DataFrame, corpus: str) -> tuple[str, float]:
    """The best network of table 1 on a corpus (see `models.best`), and its test loss."""
    rows = [row.dropna() for _, row in table[table["corpus"] == corpus].iterrows()]
    row = models.best(rows, lambda row: row)
    loss = float(row.get("loss", math.nan))
    return network_name(row["type"], int(row["layers"]), int(row["size"])), loss


def failed(table: pd.DataFrame, corpus: str) -> list[tuple[str, str]]:
    """The networks of table 1 whose training diverged on a corpus, and how."""
    own = table[table["corpus"] == corpus]
    if "failed" not in own:
        return []
    return [
        (network_name(row.type, row.layers, row.size), row.failed)
        for row in own.dropna(subset="failed").itertuples()
    ]


def best_fixed(table: pd.DataFrame, corpus: str) -> tuple[str, float]:
    """The model of table 2 with the lowest test loss on a corpus, and that loss."""
    own = table[table["corpus"] == corpus]
    row = own.loc[own["loss"].idxmin()]
    return f"{int(row['n'])}-{'NN' if row['model'] == 'n-NN' else 'gram'}", float(row["loss"])


class Lengths(NamedTuple):
    """Mean lengths in bytes: of a character of UTF-8, and of what the models predict."""

    character: float
    symbol: float


def loss(nats: float, lengths: Lengths) -> str:
    """A loss in words. nats: per symbol."""
    if lengths.character == 1:
        return f"{nats:.3f} nats ({bits(nats):.3f} bits) per character"
    of_byte = nats / lengths.symbol
    return (
        f"{of_byte * lengths.character:.3f} nats per character ({bits(of_byte):.3f} bits per byte)"
    )


def lengths_in(run: Path, corpus: str, table1: pd.DataFrame) -> Lengths:
    """The lengths of a corpus: of a text that is read as bytes, the mean character of all of it; of
    one that is read as characters, that of the test text, to which losses belong."""
    own = table1[table1["corpus"] == corpus].iloc[0]
    if pd.notna(each := own.get("bytes_per_character", math.nan)):
        return Lengths(each, each)
    text = (run / f"corpora/{corpus}.txt").read_bytes()
    try:
        return Lengths(len(text) / len(text.decode()), 1.0)
    except ValueError:
        return Lengths(1.0, 1.0)


def units(table: pd.DataFrame, corpus: str, titles: Mapping[str, str]) -> list[dict]:
    """The best unit of each hypothesis on a corpus, the strongest first.

    titles: of the hypotheses.
    """
    own = table[table["corpus"] == corpus].sort_values("strength", ascending=False)
    return [
        {
            "title": titles.get(row.hypothesis, row.hypothesis),
            "unit": f"{int(row.layer)}.{int(row.unit)}",
            "measure": {"auc": "AUC", "tau": "tau"}.get(row.measure, row.measure),
            "score": f"{row.score:.2f} ({row.low:.2f} to {row.high:.2f})".replace("-", "−"),
            "follows": follows(row),
        }
        for row in own.itertuples()
        if math.isfinite(row.score)
    ]


def looked_into(table: pd.DataFrame, corpus: str) -> str:
    """The network whose units were ranked, which is also that of the explorer."""
    own = table.loc[table["corpus"] == corpus, "model"]
    return shown(own.iloc[0]) if len(own) else "the best LSTM"


def follows(row) -> str:
    """Whether the unit of a row follows its hypothesis, in words."""
    if not row.beyond:
        return "no more than by chance"
    return "yes" if row.beyond_baselines else "no more than its baselines"


def verdicts(table: pd.DataFrame, corpus: str) -> dict[str, list[tuple[str, list[str]]]]:
    """The claims with each verdict on a corpus, on the whole (not on parts of it), by the reason
    why they are undecided or not in this run."""
    own = table[table["where"].str.partition(":")[0] == corpus].drop_duplicates("claim")
    found: dict[str, dict[str, list[str]]] = {verdict: {} for verdict in VERDICTS}
    for row in own.itertuples():
        found[row.verdict].setdefault(reason(row), []).append(row.claim)
    return {verdict: list(by_reason.items()) for verdict, by_reason in found.items()}


def reason(row) -> str:
    """Why a claim has no verdict; "" where it has one."""
    if row.verdict in (HOLDS, FAILS):
        return ""
    return WHY.get(row.reason) or row.basis.removeprefix("not in this run: ")


def of_corpus(run: Path, corpus: str, about: dict, tables: Mapping, titles: Mapping) -> dict:
    """What the page says about a corpus. tables: by name. titles: of the hypotheses."""
    network, network_loss = best(tables["table1"], corpus)
    fixed, fixed_loss = best_fixed(tables["table2"], corpus)
    lengths = lengths_in(run, corpus, tables["table1"])
    return {
        "title": about["title"],
        "source": f"{about['source']}, {size_in_words(about)}",
        "best": (network, loss(network_loss, lengths)),
        "fixed": (fixed, loss(fixed_loss, lengths)),
        "leads": network_loss < fixed_loss,
        "failed": failed(tables["table1"], corpus),
        "looked_into": looked_into(tables["hypotheses"], corpus),
        "units": units(tables["hypotheses"], corpus, titles),
        "verdicts": verdicts(tables["claims"], corpus),
        "explorer": f"explorer/{corpus}.html",
    }


def trained_minutes(histories: Iterable[Path]) -> float:
    """Minutes that these trainings took, one after the other, in all their attempts. Raises
    InputError where a history is missing or unusable."""
    seconds = (read_table(path, ["seconds"])["seconds"].sum() for path in histories)
    return float(sum(seconds)) / 60


def has_rows(run: Path, name: str) -> bool:
    """Whether a table was made and is not empty, as that of what is far from the paper is where the
    paper does not have the text."""
    numbers = run / f"tables/{name}.csv"
    empty = numbers.is_file() and len(numbers.read_text().splitlines()) < 2
    return (run / f"tables/{name}.html").is_file() and not empty


def page(
    run: Path, titles: Mapping[str, str], made: Collection[Path] | None = None,
    histories: Iterable[Path] | None = None,
) -> str:  # fmt: skip
    """The page for the run in this folder.

    titles: of the hypotheses, by name. made: the figures (.svg) and tables (.html) of the run, and
    histories: of its trainings, if the folder may hold others from other settings.

    Raises InputError where a table is missing or unusable.
    """
    names = {
        "table2": ["corpus", "model", "n", "loss"],
        "hypotheses": [
            "corpus",
            "model",
            "hypothesis",
            "measure",
            "layer",
            "unit",
            "score",
            "strength",
            "beyond",
            "beyond_baselines",
        ],
    }
    tables = {
        name: read_table(run / f"tables/{name}.csv", columns) for name, columns in names.items()
    }
    tables["claims"] = read_claims(run / "tables/claims.csv", ["claim", "where"])
    networks = ["corpus", "type", "layers", "size", "val_loss", "loss"]
    tables["table1"] = read_table1(run / "tables/table1.csv", networks)
    known = read_corpora(
        run / f"corpora/titled/{corpus}.json"
        for corpus in dict.fromkeys(tables["table1"]["corpus"])
    )
    own = run / "study.json"
    return render(
        "overview",
        name=" and ".join(about["title"] for about in known.values()),
        corpora=[of_corpus(run, corpus, about, tables, titles) for corpus, about in known.items()],
        study=json.loads(own.read_text()) if own.is_file() else None,
        pictures=pictures(run, made),
        of_types=of_types(run, made),
        tables=[
            (name, shows)
            for name, shows in TABLES.items()
            if has_rows(run, name) and (made is None or run / f"tables/{name}.html" in made)
        ],
        minutes=trained_minutes(
            run.glob("models/**/*~*/history.csv") if histories is None else histories
        ),
        anchor=anchor,
        words=WORDS,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="folder of the run, such as results/demo")
    parser.add_argument(
        "--made", type=Path, nargs="*", help="its figures (.svg) and tables (.html) (all in there)"
    )
    parser.add_argument(
        "--histories", type=Path, nargs="*", help="of its trainings (.csv) (all in there)"
    )
    parser.add_argument("--out", type=Path, required=True, help="the page (.html), in that folder")


def run(args: argparse.Namespace) -> None:
    from charlens.text.hypotheses import HYPOTHESES

    titles = {h.name: h.title for h in HYPOTHESES}
    write_atomically(args.out, page(args.folder, titles, args.made, args.histories).encode())
