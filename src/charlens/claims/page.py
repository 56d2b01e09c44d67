"""The page of verdicts: what the paper says, what was measured, and whether it holds."""

import html
import math
from collections.abc import Iterable

import pandas as pd

from charlens.report.html import document, source_line

VERDICTS = {  # class, sign, in words
    "holds": ("yes", "✓", "holds"),
    "does not hold": ("no", "✗", "does not hold"),
    "undecided": ("open", "?", "undecided"),
}

OWN_STYLE = """
h2 { margin: 1.9em 0 .2em; }
table { margin: .6em 0 0; }
col.number { width: 13.5em; } col.verdict { width: 8.5em; } col.drawing { width: 11.5em; }
col.paper { width: 6.5em; }
th, td { text-align: left; white-space: normal; }
th:first-child { width: 9em; }
thead th { font-weight: normal; font-size: .87em; color: #444; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
th, td { vertical-align: top; }
tr.part th { padding-left: 1.6em; color: #444; }
td.basis { font-size: .87em; color: #444; }
.chip { display: inline-block; white-space: nowrap; padding: 0 .55em; border-radius: .7em;
           font-size: .9em; }
.yes { background: #d7ecd9; color: #0b4d1c; }
.no { background: #f6d5d0; color: #7c1408; }
.open { background: #e7e7e7; color: #3c3c3c; }
p.sum { font-size: 1.15em; }
svg { vertical-align: middle; }
.overview th:first-child { width: 21em; }
"""

ABOUT = """Each statement is tested by one small function on the probabilities that the models give
to the same test characters. <b>Holds</b>: the whole 95% interval of the effect is on the paper’s
side. <b>Does not hold</b>: all of it is on the other side. <b>Undecided</b>: it is on both, or
something is missing, and what is missing is said. Where a section states another rule, that one
counts. Intervals of losses and probabilities come from {resamples:,} resamples of whole test
streams, the same for all models, and of the seeds from which networks are trained: models that
only another seed would set apart are not called different. What is said of the inside of networks,
of their errors and of their first epochs rests on one network of each kind. <b>In the paper</b>:
the same effect, from the paper’s own tables, over the same models. Each section’s drawings share
one scale; the tick is 0."""


def page(table: pd.DataFrame, claims: Iterable, corpora: dict[str, dict], resamples: int) -> str:
    """A self-contained HTML page: an overview, then a section per statement."""
    claims = list(claims)
    table = table.assign(
        corpus=table["where"].str.split(":").str[0],
        part=table["where"].str.partition(":")[2].str.strip(),
    )
    whole = table[table["part"] == ""]
    titles = {corpus: about["title"] for corpus, about in corpora.items()}
    sections = "\n".join(
        section(claim, table[table["claim"] == claim.name], titles)
        for claim in claims
        if claim.name in set(table["claim"])
    )
    sources = "\n".join(
        f"<p><b>{html.escape(about['title'])}</b></p>{source_line(about)}"
        for about in corpora.values()
    )
    return document(
        "Does the paper hold?",
        OWN_STYLE,
        f"<h1>Does the paper hold?</h1>\n{summary(whole, titles)}\n"
        f"<p>{ABOUT.format(resamples=resamples)}</p>\n"
        f"{overview(whole, claims, titles)}\n{sections}\n<h2>The texts</h2>\n{sources}",
    )


def summary(whole: pd.DataFrame, titles: dict[str, str]) -> str:
    """How many statements have which verdict, corpus by corpus."""
    lines = []
    for corpus, title in titles.items():
        own = whole[whole["corpus"] == corpus]["verdict"]
        counts = " · ".join(f"{verdict}: {(own == verdict).sum()}" for verdict in VERDICTS)
        lines.append(f'<p class="sum"><b>{html.escape(title)}</b> · {counts}</p>')
    return "\n".join(lines)


def overview(whole: pd.DataFrame, claims: list, titles: dict[str, str]) -> str:
    head = "".join(f"<th>{html.escape(title)}</th>" for title in titles.values())
    rows = []
    for claim in claims:
        own = whole[whole["claim"] == claim.name].set_index("corpus")["verdict"]
        cells = "".join(f"<td>{chip(own[c]) if c in own else '–'}</td>" for c in titles)
        says = f'<a href="#{anchor(claim.name)}">{html.escape(claim.says)}</a>'
        rows.append(f"<tr><th>{says}</th>{cells}</tr>")
    return (
        f'<table class="overview">\n<thead><tr><th>The paper says</th>{head}</tr></thead>\n'
        f"<tbody>\n{chr(10).join(rows)}\n</tbody>\n</table>"
    )


def section(claim, rows: pd.DataFrame, titles: dict[str, str]) -> str:
    """What the paper says, how it is tested, and each finding with its interval drawn."""
    bounds = rows[["effect", "low", "high"]].abs().to_numpy()
    reach = bounds[bounds == bounds].max(initial=0)
    body = []
    for row in rows.itertuples():
        name = row.part or titles[row.corpus]
        kind = ' class="part"' if row.part else ""
        body.append(
            f"<tr{kind}><th>{html.escape(name)}</th><td>{chip(row.verdict)}</td>"
            f'<td class="number">{effect(row)}</td><td>{drawing(row, reach)}</td>'
            f'<td class="number">{number(row.paper)}</td>'
            f'<td class="basis">{html.escape(row.basis)}</td></tr>'
        )
    how = " ".join((claim.test.__doc__ or "").split())
    return (
        f'<section id="{anchor(claim.name)}">\n<h2>{html.escape(claim.says)}</h2>\n'
        f'<p class="note">{html.escape(how)}</p>\n<table>\n'
        '<col><col class="verdict"><col class="number"><col class="drawing"><col class="paper">'
        "<col>\n<thead><tr><th></th><th></th><th>effect (95% interval)</th><th></th>"
        "<th>in the paper</th><th>from</th></tr></thead>\n"
        "<tbody>\n" + "\n".join(body) + "\n</tbody>\n</table>\n</section>"
    )


def anchor(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def chip(verdict: str) -> str:
    kind, sign, words = VERDICTS[verdict]
    return f'<span class="chip {kind}">{sign} {words}</span>'


def effect(row) -> str:
    if math.isnan(row.low):
        return number(row.effect)
    return f"{number(row.effect)} <small>({number(row.low)} to {number(row.high)})</small>"


def number(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{round(value, 3) + 0.0:+.3f}".replace("-", "−")


def drawing(row, reach: float) -> str:
    """The interval as a line with the effect as a dot, beside a tick at zero."""
    if math.isnan(row.low) or not reach:
        return ""
    half = 70

    def at(value: float) -> float:
        return round(half + 10 + half * value / reach, 1)

    low, middle, high = at(row.low), at(row.effect), at(row.high)
    colour = {"holds": "#1a7a35", "does not hold": "#b3261e", "undecided": "#777"}[row.verdict]
    return (
        f'<svg width="{2 * half + 20}" height="14" role="img" aria-label="interval">'
        f'<line x1="{at(0)}" x2="{at(0)}" y1="0" y2="14" stroke="#999"/>'
        f'<line x1="{low}" x2="{high}" y1="7" y2="7" stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="{middle}" cy="7" r="3.2" fill="{colour}"/></svg>'
    )
