"""What is published of claims, in place of evidence that is on another machine: sums of what was
measured over each test stream, and findings."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from charlens.claims.evidence import Sums
from charlens.errors import InputError
from charlens.files import write_csv
from charlens.store.scores import Score
from charlens.store.tables import MISSING, NOT_IN_RUN, read_table, reasons

# statistic, scores: its name, and the SHA-256 of the score array; sums, counts: see `Sums`, [S]
SUMS = ["corpus", "model", "statistic", "scores", "sums", "counts"]


def write_sums(sums: Sums, scores: Iterable[Score], path: str | Path) -> None:
    """Write what was measured on these scores: a row for each model and statistic."""
    keys = {score.meta.get("sha256"): score.key for score in scores}
    rows = [
        [keys[scored].corpus, keys[scored].in_tables, name, scored, *map(joined, values)]
        for (name, scored), values in sums.items()
        if scored in keys
    ]
    write_csv(pd.DataFrame(rows, columns=SUMS), path)


def joined(values: np.ndarray) -> str:
    """Numbers [S] in one field."""
    return " ".join(f"{value:.9g}" for value in values)


def read_sums(paths: Iterable[str | Path]) -> Sums:
    """What was measured elsewhere; of a score in several files, what the first one says.

    Raises InputError where a file is unusable.
    """
    found: Sums = {}
    for path in paths:
        for row in read_table(path, SUMS).itertuples():
            try:
                sums, counts = (np.array(str(v).split(), float) for v in (row.sums, row.counts))
            except ValueError:
                raise InputError(f"{path}: sums and counts: expected numbers") from None
            found.setdefault((row.statistic, row.scores), (sums, counts))
    return found


def with_published(table: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Replace findings of claims that could not be tested on a corpus by the published findings,
    where these were.

    Both tables have the columns of claims.csv (claim, where, reason, ...).
    """
    parts = []
    corpus, known = corpus_of(table), corpus_of(published)
    for (claim, name), own in table.groupby(["claim", corpus], sort=False):
        there = published[(published["claim"] == claim) & (known == name)]
        parts.append(there if untested(own) and not untested(there) else own)
    return pd.concat(parts, ignore_index=True) if parts else table


def untested(findings: pd.DataFrame) -> bool:
    """Whether all that is known of a claim is that its evidence is missing."""
    return bool(reasons(findings).isin((MISSING, NOT_IN_RUN)).all())


def corpus_of(table: pd.DataFrame) -> pd.Series:
    """The corpus of each row: `where` is a corpus, or a corpus and a part (wp: LSTM)."""
    return table["where"].str.partition(":")[0].rename("corpus")
