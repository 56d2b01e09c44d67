"""Tables 1 and 2 beside the paper's: every cell's difference, and how well the two agree."""

import html

import numpy as np
import pandas as pd

from charlens.errors import InputError
from charlens.files import write_atomically, write_csv
from charlens.report import plots
from charlens.report.html import document, grid, networks_head, signed, source_line
from charlens.store.corpora import read_corpora
from charlens.store.models import types_in_order
from charlens.store.tables import read_table

COLUMNS = ["corpus", "model", "layers", "size", "n", "seeds", "ours", "paper", "difference"]
SUMMARY = ["corpus", "models", "cells", "mean_abs", "median_abs", "rank_correlation", "far"]
FAR = 0.03  # nats: a cell further off than this is named
BASELINES = ["n-gram", "n-NN"]
STRONGEST = 0.1  # nats: the difference that has the full colour
NAMED = 0.08  # nats: a point further off is named in the figure


def add_arguments(parser):
    parser.add_argument("--table1", nargs="?", help="losses of the recurrent networks (.csv)")
    parser.add_argument("--table2", nargs="?", help="losses of n-gram and n-NN models (.csv)")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--csv", required=True, help="one row per cell that the paper has, too")
    parser.add_argument("--summary-csv", required=True, help="mean and median difference, ranks")
    parser.add_argument("--html", required=True, help="the comparison as a page")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")


def run(args):
    plots.check_formats(args.out)
    corpora = read_corpora(args.corpora)
    losses = (read_table(path) if path else pd.DataFrame() for path in (args.table1, args.table2))
    cells = compare(*losses)
    cells = cells[cells["corpus"].isin(list(corpora))]
    if cells.empty:
        raise InputError("compare: the paper has no numbers for any of these models")
    corpora = {key: about for key, about in corpora.items() if key in set(cells["corpus"])}
    summary = summarise(cells, corpora)
    write_atomically(args.html, page(cells, summary, corpora).encode())
    with plots.style():
        plots.save(draw(cells, corpora), args.out)
    write_csv(summary, args.summary_csv)
    write_csv(cells, args.csv)


# ---- the numbers ----


def compare(table1: pd.DataFrame, table2: pd.DataFrame) -> pd.DataFrame:
    """One row per cell of either table that the paper has, too: columns COLUMNS, losses in nats.

    `model` is the recurrent type, "n-gram" or "n-NN"; ours is the mean over the seeds of a cell.
    """
    parts = [table1.rename(columns={"type": "model"}), table2]
    rows = pd.concat([part.reindex(columns=[*COLUMNS[:5], "loss", "paper"]) for part in parts])
    rows = rows.dropna(subset=["paper"])
    keys = ["corpus", "model", "layers", "size", "n"]
    cells = rows.groupby(keys, dropna=False, sort=False).agg(
        seeds=("loss", "size"), ours=("loss", "mean"), paper=("paper", "first")
    )
    cells = cells.reset_index().astype({name: "Int64" for name in ("layers", "size", "n")})
    cells["difference"] = cells["ours"] - cells["paper"]
    return cells[COLUMNS]


def summarise(cells: pd.DataFrame, corpora) -> pd.DataFrame:
    """Agreement by corpus, for the recurrent networks, the baselines, and all: columns SUMMARY.

    mean_abs, median_abs: of |ours - paper|, nats; rank_correlation: Spearman's, over cells; far:
    how many cells are off by more than FAR.
    """
    baseline = cells["model"].isin(BASELINES)
    groups = {
        "recurrent": ~baseline,
        **{name: cells["model"] == name for name in BASELINES},
        "all": baseline | True,
    }
    rows = []
    for corpus in corpora:
        for name, chosen in groups.items():
            own = cells[chosen & (cells["corpus"] == corpus)]
            if own.empty:
                continue
            off = own["difference"].abs()
            ranks = own["ours"].corr(own["paper"], method="spearman") if len(own) > 2 else np.nan
            far = int((off > FAR).sum())
            rows.append([corpus, name, len(own), off.mean(), off.median(), ranks, far])
    return pd.DataFrame(rows, columns=SUMMARY)


def name(row) -> str:
    if row.model in BASELINES:
        return f"{row.n}-{row.model.removeprefix('n-')}"
    return f"{row.model.upper()} {row.layers}x{row.size}"


# ---- the page ----

OWN_STYLE = """
td.compared { padding: .35em .3em; }
td.compared .small { color: #222; }
.legend { display: inline-block; width: 1.1em; height: .8em; margin: 0 .2em 0 .8em; }
.summary { width: auto; }
.summary th:first-child { width: 12em; }
"""

ABOUT = f"""Test cross-entropy in nats per character. In each cell: ours, the paper's, and ours
minus the paper's. The colour is that difference, full at {STRONGEST:g} nats:"""


def page(cells: pd.DataFrame, summary: pd.DataFrame, corpora: dict[str, dict]) -> str:
    sections = "\n".join(
        f"<section>\n<h2>{html.escape(about['title'])}</h2>\n{source_line(about)}\n"
        f"{summary_table(summary[summary['corpus'] == key])}"
        f"{recurrent_table(cells[cells['corpus'] == key])}"
        f"{baseline_table(cells[cells['corpus'] == key])}"
        f"{far_cells(cells[cells['corpus'] == key])}</section>"
        for key, about in corpora.items()
    )
    legend = "".join(
        f'<span class="legend" style="background:{colour(value)}"></span>{words}'
        for value, words in ((-STRONGEST, "ours is lower"), (STRONGEST, "ours is higher"))
    )
    return document(
        "Beside the paper",
        OWN_STYLE,
        f"<h1>Tables 1 and 2 beside the paper’s</h1>\n<p>{ABOUT}{legend}.</p>\n{sections}",
    )


def summary_table(summary: pd.DataFrame) -> str:
    head = (
        "<tr><th></th><th>cells</th><th>mean |difference|</th><th>median</th>"
        f"<th>rank correlation</th><th>off by more than {FAR:g}</th></tr>"
    )
    rows = "\n".join(
        f"<tr><th>{row.models}</th><td>{row.cells}</td><td>{row.mean_abs:.4f}</td>"
        f"<td>{row.median_abs:.4f}</td>"
        f"<td>{'–' if np.isnan(row.rank_correlation) else f'{row.rank_correlation:.3f}'}</td>"
        f"<td>{row.far}</td></tr>"
        for row in summary.itertuples()
    )
    return grid("Agreement", head, rows).replace("<table>", '<table class="summary">')


def recurrent_table(cells: pd.DataFrame) -> str:
    own = cells[~cells["model"].isin(BASELINES)]
    if own.empty:
        return ""
    types = types_in_order(own["model"])
    columns = [(t, k) for t in types for k in sorted(set(own[own["model"] == t]["layers"]))]
    rows = []
    for size in sorted(set(own["size"])):
        entries = [
            own[(own["model"] == t) & (own["layers"] == k) & (own["size"] == size)]
            for t, k in columns
        ]
        rows.append(f"<tr><th>{size}</th>{''.join(map(entry, entries))}</tr>")
    return grid("Table 1", networks_head(columns), "\n".join(rows))


def baseline_table(cells: pd.DataFrame) -> str:
    own = cells[cells["model"].isin(BASELINES)]
    if own.empty:
        return ""
    contexts = sorted(set(own["n"]))
    head = "<tr><th>n</th>" + "".join(f"<th>{n}</th>" for n in contexts) + "</tr>"
    rows = "\n".join(
        f"<tr><th>{model}</th>"
        + "".join(entry(own[(own["model"] == model) & (own["n"] == n)]) for n in contexts)
        + "</tr>"
        for model in BASELINES
        if model in set(own["model"])
    )
    return grid("Table 2", head, rows)


def entry(rows: pd.DataFrame) -> str:
    """One cell: ours, the paper's, the difference, coloured."""
    if rows.empty:
        return "<td>–</td>"
    row = rows.iloc[0]
    return (
        f'<td class="compared" style="background:{colour(row.difference)}">{row.ours:.3f}'
        f'<span class="small">{row.paper:.3f}</span>'
        f'<span class="small">{signed(row.difference)}</span></td>'
    )


def far_cells(cells: pd.DataFrame) -> str:
    far = cells[cells["difference"].abs() > FAR]
    if far.empty:
        return f'<p class="note">No cell is off by more than {FAR:g} nats.</p>\n'
    names = ", ".join(f"{name(row)} ({signed(row.difference)})" for row in far.itertuples())
    return f'<p class="note">Off by more than {FAR:g} nats: {names}.</p>\n'


def colour(difference: float) -> str:
    """White at 0, orange where ours is higher, blue where it is lower: apart for any eye."""
    strength = min(1.0, abs(difference) / STRONGEST)
    full = (244, 165, 96) if difference > 0 else (120, 172, 222)
    return "#" + "".join(f"{round(255 + strength * (part - 255)):02x}" for part in full)


# ---- the figure ----


def draw(cells: pd.DataFrame, corpora: dict[str, dict]):
    """Per corpus a row: the recurrent networks, and the baselines, whose losses range further."""
    baseline = cells["model"].isin(BASELINES)
    kinds = {
        kind: chosen
        for kind, chosen in (("recurrent networks", ~baseline), ("n-gram and n-NN", baseline))
        if chosen.any()
    }
    figure = plots.new_figure(4.1 * len(corpora) + 0.1)
    panels = figure.subplots(len(corpora), len(kinds), squeeze=False)
    for row, (corpus, about) in zip(panels, corpora.items(), strict=True):
        for panel, (kind, chosen) in zip(row, kinds.items(), strict=True):
            own = cells[chosen & (cells["corpus"] == corpus)]
            if own.empty:
                panel.set_axis_off()
                continue
            draw_panel(panel, own)
            panel.set_title(f"{about['title']}: {kind}")
            panel.text(
                0.98, 0.02, agreement(own), transform=panel.transAxes, ha="right",
                va="bottom", fontsize=7.5, linespacing=1.4,
            )  # fmt: skip
    plots.name_sources(figure, corpora.values())
    return figure


def agreement(own: pd.DataFrame) -> str:
    off = own["difference"].abs()
    text = f"{len(own)} cells\nmean |difference| {off.mean():.3f}\nmedian {off.median():.3f}"
    if len(own) > 2:
        text += f"\nrank correlation {own['ours'].corr(own['paper'], method='spearman'):.3f}"
    return text


def draw_panel(panel, cells: pd.DataFrame):
    both = cells[["ours", "paper"]].to_numpy()
    margin = 0.08 * (np.ptp(both) or 1)
    ends = (both.min() - margin, both.max() + margin)
    panel.plot(ends, ends, color="#999999", linewidth=0.7, zorder=1)
    markers = {1: "o", 2: "s", 3: "^"}
    for type_, shade in plots.type_colours(set(cells["model"]) - set(BASELINES)).items():
        own = cells[cells["model"] == type_]
        for layers in sorted(set(own["layers"])):
            here = own[own["layers"] == layers]
            panel.scatter(
                here["paper"], here["ours"], s=26, marker=markers.get(layers, "D"), color=shade,
                edgecolor="white", linewidth=0.4, label=f"{type_.upper()} {layers}", zorder=3,
            )  # fmt: skip
    for model, marker, shade in zip(BASELINES, "x+", (plots.NGRAM, "#444444"), strict=True):
        own = cells[cells["model"] == model]
        if len(own):
            panel.scatter(
                own["paper"], own["ours"], s=30, marker=marker, color=shade, linewidth=1.1,
                label=model, zorder=2,
            )  # fmt: skip
    for row in cells[cells["difference"].abs() > NAMED].itertuples():
        panel.annotate(
            name(row), (row.paper, row.ours), (5, 0), textcoords="offset points", va="center",
            fontsize=7, color="#333333",
        )  # fmt: skip
    panel.set(xlim=ends, ylim=ends)
    panel.yaxis.set_major_locator(panel.xaxis.get_major_locator())
    panel.set_box_aspect(1)
    panel.set(xlabel="loss in the paper, nats per character", ylabel="loss here")
    panel.legend(loc="upper left", ncols=2, handletextpad=0.2, columnspacing=0.8, borderaxespad=0)
