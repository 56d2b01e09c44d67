"""Published findings in place of those whose evidence is on another machine."""

import pandas as pd

from charlens.store.tables import MISSING, NOT_IN_RUN, reasons


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
