"""The page of claims: the paper's statements, what was measured, and the verdicts."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from charlens.report.html import anchor, render
from charlens.store.tables import FAILS, HOLDS, NOT_IN_RUN, UNDECIDED


class Verdict(NamedTuple):
    """How a verdict is shown."""

    style: str  # a class of the page's style
    sign: str
    words: str


class Interval(NamedTuple):
    """Positions of an interval, its effect and zero in a drawing, in pixels."""

    width: int
    zero: float
    low: float
    effect: float
    high: float


VERDICTS = {
    HOLDS: Verdict("holds", "✓", HOLDS),
    FAILS: Verdict("fails", "✗", FAILS),
    UNDECIDED: Verdict("undecided", "?", UNDECIDED),
    NOT_IN_RUN: Verdict("undecided", "–", NOT_IN_RUN),
}
REACH, MARGIN = 50, 8  # pixels from zero to the farthest bound of a section, and beyond it


def page(
    table: pd.DataFrame,
    claims: Iterable,
    corpora: dict[str, dict],
    resamples: int,
    newer: Iterable = (),
) -> str:
    """An overview of all claims, then a section per claim with its findings.

    table: one row per finding (claim, where, verdict, effect, low, high, paper, basis), where
    `where` is a corpus, or "corpus: part of the claim". claims: of type `catalog.Claim`, in order.
    resamples: how many of the test streams. newer: claims about types that the paper does not have.
    """
    table = table.assign(
        corpus=table["where"].str.split(":").str[0],
        part=table["where"].str.partition(":")[2].str.strip(),
    )
    titles = {corpus: about["title"] for corpus, about in corpora.items()}
    papers = table["claim"].isin([claim.name for claim in claims])
    return render(
        "claims",
        summary=summary(table[papers], titles),
        claims=[section(claim, table[table["claim"] == claim.name], titles) for claim in claims],
        newer=[section(claim, table[table["claim"] == claim.name], titles) for claim in newer],
        corpora=corpora.values(),
        resamples=resamples,
    )


def summary(table: pd.DataFrame, titles: dict[str, str]) -> list[tuple[str, str]]:
    """The title of each corpus, and how many claims have each verdict there."""
    lines = []
    for corpus, title in titles.items():
        own = table[(table["part"] == "") & (table["corpus"] == corpus)]["verdict"]
        counts = " · ".join(f"{verdict}: {(own == verdict).sum()}" for verdict in VERDICTS)
        lines.append((title, counts))
    return lines


def section(claim, rows: pd.DataFrame, titles: dict[str, str]) -> dict:
    """A claim, its verdict on each corpus (None where it does not apply), and its findings."""
    whole = rows[rows["part"] == ""].set_index("corpus")["verdict"]
    bounds = rows[["effect", "low", "high"]].abs().to_numpy()
    farthest = bounds[bounds == bounds].max(initial=0)
    return {
        "anchor": anchor(claim.name),
        "says": claim.says,
        "how": " ".join((claim.test.__doc__ or "").split()),
        "verdicts": [VERDICTS[whole[c]] if c in whole else None for c in titles],
        "findings": [finding(row, titles, farthest) for row in rows.itertuples()],
    }


def finding(row, titles: dict[str, str], farthest: float) -> dict:
    """A row of a claim's table as text, and the drawing of its interval."""
    # An interval of no width says how little depends on what it resamples, and nothing else.
    ranged = number(row.low) != number(row.high)
    return {
        "part": row.part,
        "name": row.part or titles[row.corpus],
        "verdict": VERDICTS[row.verdict],
        "effect": number(row.effect),
        "range": f"{number(row.low)} to {number(row.high)}" if ranged else "",
        "interval": interval(row, farthest) if ranged and farthest else None,
        "paper": number(row.paper),
        "basis": row.basis,
    }


def number(value: float) -> str:
    """A number with three decimals, its sign and a real minus; a dash for nan."""
    if math.isnan(value):
        return "–"
    return f"{round(value, 3) + 0.0:+.3f}".replace("-", "−")


def interval(row, farthest: float) -> Interval:
    """The drawing of a row's interval.

    farthest: the largest absolute bound or effect of the section, which sets its scale.
    """
    middle = REACH + MARGIN

    def at(value: float) -> float:
        return round(middle + REACH * value / farthest, 1)

    return Interval(2 * middle, at(0), at(row.low), at(row.effect), at(row.high))
