"""Figures of a publication, drawn again from the numbers behind them."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from charlens.report import ablation, figure4, figure5, figure6
from charlens.runs.reference import Publication
from charlens.store.corpora import read_corpora
from charlens.store.tables import read_table, read_trajectory


def by_corpus(path: Path) -> dict[str, pd.DataFrame]:
    """The rows of a table, corpus by corpus."""
    table = read_table(path)
    return {corpus: rows.reset_index(drop=True) for corpus, rows in table.groupby("corpus")}


def corpora_of(out: Path, known: Iterable[str]) -> dict[str, dict]:
    """The provenance of these corpora."""
    known = set(known)
    return read_corpora(path for path in Publication(out).corpora() if path.stem in known)


def draw4(out: Path):
    """Figure 4 from its table."""
    groups = by_corpus(out / "figures/figure4.csv")
    for corpus, rows in groups.items():  # an older version named no model: all are n-gram models
        models = rows.get("model", pd.Series(index=rows.index, dtype=object))
        groups[corpus] = rows.assign(model=models.fillna("n-gram"))
    errors, characters = (
        {c: rows[rows["panel"] == panel].reset_index(drop=True) for c, rows in groups.items()}
        for panel in ("errors", "characters")
    )
    return figure4.draw(errors, characters, corpora_of(out, groups))


def draw5(out: Path):
    """Figure 5 from its table and the first epochs of the LSTMs."""
    braces = by_corpus(out / "figures/figure5.csv")
    first_epochs = {p.stem: read_trajectory(p) for p in sorted(out.glob("figure5/*.csv"))}
    corpora = corpora_of(out, {*braces, *first_epochs})
    ordered = sorted(corpora, key=lambda corpus: corpora[corpus]["kind"] != "code")
    return figure5.draw(braces, first_epochs, {corpus: corpora[corpus] for corpus in ordered})


def draw6(out: Path):
    """Figure 6 from its table."""
    rows = read_table(out / "figures/figure6.csv")
    return figure6.draw(rows, corpora_of(out, rows["corpus"]))


def draw_ablation(out: Path):
    """The figure of clamped units from its table."""
    rows = read_table(out / "figures/ablation.csv")
    return ablation.draw(rows, corpora_of(out, rows["corpus"]))


DRAWN = {"figure4": draw4, "figure5": draw5, "figure6": draw6, "ablation": draw_ablation}
