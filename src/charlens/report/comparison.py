"""Tables 1 and 2 beside the paper's: the difference of every entry, and how well they agree; and
the numbers of the paper's text beside ours."""

import argparse
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from charlens.errors import InputError
from charlens.files import write_atomically, write_csv
from charlens.report import plots
from charlens.report.figure5 import LEAST
from charlens.report.html import Entry, Grid, grid_of_contexts, grid_of_networks, render, signed
from charlens.store.corpora import read_corpora
from charlens.store.models import ModelKey, network_name, type_name
from charlens.store.tables import MODELS, paper_text, read_table, read_table1

COLUMNS = ["corpus", "model", "layers", "size", "n", "seeds", "ours", "paper", "difference"]
SUMMARY = ["corpus", "models", "cells", "mean_abs", "median_abs", "rank_correlation", "far"]
TEXT = ["corpus", "where", "quantity", "unit", "paper", "ours", "basis", "source"]
KINDS = {word: kind for kind, word in MODELS.items()}  # n-gram: ngram, n-NN: nn
FAR = 0.03  # nats: entries further off than this are named on the page
STRONGEST = 0.1  # nats: the difference that has the full colour
TITLE = 3.0  # inches: the width of a panel's title, at most
ACROSS = 6  # marks in a row of the figure's legend
NAMED = 0.08  # nats: points further off than this are named in the figure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table1", nargs="?", help="losses of the recurrent networks (.csv)")
    parser.add_argument("--table2", nargs="?", help="losses of n-gram and n-NN models (.csv)")
    parser.add_argument("--figure5", nargs="?", help="closing braces by distance (.csv)")
    parser.add_argument("--figure6", nargs="?", help="errors of LSTMs by oracle (.csv)")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--csv", required=True, help="one row per entry that the paper has as well")
    parser.add_argument("--summary-csv", required=True, help="mean and median difference, ranks")
    parser.add_argument("--text-csv", required=True, help="numbers of the paper's text beside ours")
    parser.add_argument("--html", required=True, help="the comparison as a page")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")


def run(args: argparse.Namespace) -> None:
    """Raises InputError where the paper has no number for any of the models."""
    plots.check_formats(args.out)
    corpora = read_corpora(args.corpora)
    losses = [
        read_table1(args.table1) if args.table1 else pd.DataFrame(),
        read_table(args.table2) if args.table2 else pd.DataFrame(),
    ]
    entries = compare(*losses)
    entries = entries[entries["corpus"].isin(list(corpora))]
    if entries.empty:
        raise InputError("compare: the paper has no numbers for any of these models")
    corpora = {key: about for key, about in corpora.items() if key in set(entries["corpus"])}
    summary = summarise(entries, corpora)
    figures = {
        name: read_table(path) if path else pd.DataFrame()
        for name, path in (("figure5", args.figure5), ("figure6", args.figure6))
    }
    text = compare_text(**figures)
    text = text[text["corpus"].isin(list(corpora))]
    write_atomically(args.html, page(entries, summary, text, corpora).encode())
    with plots.style():
        plots.save(draw(entries, corpora), args.out)
    write_csv(summary, args.summary_csv)
    write_csv(text, args.text_csv)
    write_csv(entries, args.csv)


# ---- the numbers ----


def compare(table1: pd.DataFrame, table2: pd.DataFrame) -> pd.DataFrame:
    """One row per entry of either table that the paper has as well: columns COLUMNS, in nats.

    `model` is the recurrent type, "n-gram" or "n-NN"; ours is the mean over the entry's seeds.
    """
    parts = [table1.rename(columns={"type": "model"}), table2]
    rows = pd.concat([part.reindex(columns=[*COLUMNS[:5], "loss", "paper"]) for part in parts])
    rows = rows.dropna(subset=["loss", "paper"])  # no loss: the training diverged
    keys = ["corpus", "model", "layers", "size", "n"]
    entries = rows.groupby(keys, dropna=False, sort=False).agg(
        seeds=("loss", "size"), ours=("loss", "mean"), paper=("paper", "first")
    )
    entries = entries.reset_index().astype({name: "Int64" for name in ("layers", "size", "n")})
    entries["difference"] = entries["ours"] - entries["paper"]
    return entries[COLUMNS]


def summarise(entries: pd.DataFrame, corpora) -> pd.DataFrame:
    """Agreement by corpus, for the recurrent networks, each baseline, and all: columns SUMMARY.

    cells: how many entries; mean_abs, median_abs: of |ours - paper|, nats; rank_correlation:
    Spearman's; far: how many entries are off by more than FAR.
    """
    groups = {"recurrent": ~baseline(entries)}
    groups |= {model: entries["model"] == model for model in KINDS}
    groups |= {"all": entries["model"].notna()}
    rows = []
    for corpus in corpora:
        for name, chosen in groups.items():
            own = entries[chosen & (entries["corpus"] == corpus)]
            if len(own):
                off = own["difference"].abs()
                far = int((off > FAR).sum())
                agreement = (off.mean(), off.median(), rank_correlation(own), far)
                rows.append([corpus, name, len(own), *agreement])
    return pd.DataFrame(rows, columns=SUMMARY)


def baseline(entries: pd.DataFrame) -> pd.Series:
    """Which entries are of n-gram and n-NN models."""
    return entries["model"].isin(list(KINDS))


def rank_correlation(entries: pd.DataFrame) -> float:
    """Spearman's, of our losses with the paper's; NaN for fewer than three entries."""
    if len(entries) < 3:
        return np.nan
    return entries["ours"].corr(entries["paper"], method="spearman")


def name(row) -> str:
    """The model of a row: LSTM 2x64, 3-NN, 20-gram."""
    if row.model in KINDS:
        return ModelKey(row.corpus, KINDS[row.model], n=row.n).name
    return ModelKey(row.corpus, "recurrent", row.model, row.layers, row.size).name


# ---- the numbers of the paper's text ----


def compare_text(figure5: pd.DataFrame, figure6: pd.DataFrame) -> pd.DataFrame:
    """The numbers of the paper's text (`tables.paper_text`) beside ours: columns TEXT.

    basis: where ours comes from. ours is NaN where a figure has no such number.
    """
    ours = {"share": partial(ngram_share, figure6), "characters": partial(peak_of_gain, figure5)}
    text = paper_text().rename(columns={"value": "paper"})
    found = [ours[row.unit](row.corpus) for row in text.itertuples()]
    return text.assign(ours=[value for value, _ in found], basis=[b for _, b in found])[TEXT]


def ngram_share(figure6: pd.DataFrame, corpus: str) -> tuple[float, str]:
    """The share of the best LSTM's errors that the n-gram oracle removes, and the LSTM's name."""
    own = figure6[figure6["corpus"] == corpus] if len(figure6) else figure6
    if own.empty:
        return np.nan, ""
    best = own[own["size"] == own["size"].max()]
    lstm = network_name("lstm", *best[["layers", "size"]].iloc[0])
    return best[best["category"] == "n-gram"]["share"].sum(), f"{lstm}, figure 6"


def peak_of_gain(figure5: pd.DataFrame, corpus: str) -> tuple[float, str]:
    """The distance in characters at which the LSTM's gain on "}" over the n-gram model is largest,
    among the buckets that figure 5 joins by a line, that bucket, and how far the buckets around it
    reach without a break whose gain is not two standard errors less.

    A table by an older version does not have the gain's standard error, and so no reach."""
    own = figure5[figure5["corpus"] == corpus] if len(figure5) else figure5
    own = own[own["pairs"] >= LEAST].sort_values("from") if len(own) else own
    if own.empty:
        return np.nan, ""
    gain = own["lstm"] - own["ngram"]
    best = own.loc[gain.idxmax()]
    lstm = network_name("lstm", *best[["layers", "size"]])
    words = f"{lstm}, figure 5: {best['from']:g} to {best['below']:g} characters,"
    words += f" {best['pairs']:g} pairs"
    if "gain_se" in own and own["gain_se"].notna().all():
        error = own["gain_se"]
        alike = gain.max() - gain < 2 * np.hypot(error, error[gain.idxmax()])
        run = own[unbroken(alike.to_numpy(), own.index.get_loc(gain.idxmax()))]
        reach = f"{run['from'].min():g} to {run['below'].max():g}"
        words += f"; from {reach} it is as large within errors"
    return best["distance"], words


def unbroken(marked: np.ndarray, at: int) -> np.ndarray:
    """Which of the values [M] are marked and belong to the run of marked ones around `at`; bool."""
    runs = np.cumsum(np.append(0, marked[1:] != marked[:-1]))
    return runs == runs[at]


# ---- the page ----


def page(
    entries: pd.DataFrame, summary: pd.DataFrame, text: pd.DataFrame, corpora: dict[str, dict]
) -> str:
    """Both tables with every difference coloured, their agreement, and the numbers of the text,
    corpus by corpus."""
    sections = []
    for corpus, about in corpora.items():
        own = entries[entries["corpus"] == corpus]
        far = own[own["difference"].abs() > FAR]
        section = {
            "about": about,
            "agreement": agreement_grid(summary[summary["corpus"] == corpus]),
            "losses": loss_grids(own),
            "text": text_grid(text[text["corpus"] == corpus]),
            "far": [f"{name(row)} ({signed(row.difference)})" for row in far.itertuples()],
        }
        sections.append(section)
    key = [(colour(-STRONGEST), "ours is lower"), (colour(STRONGEST), "ours is higher")]
    return render("comparison", sections=sections, key=key, strongest=STRONGEST, far=FAR)


def agreement_grid(summary: pd.DataFrame) -> Grid:
    """How well the entries of each kind of model agree with the paper's."""
    columns = ["entries", "mean |difference|", "median", "rank correlation"]
    rows = []
    for row in summary.itertuples():
        ranks = "–" if np.isnan(row.rank_correlation) else f"{row.rank_correlation:.3f}"
        texts = [
            str(row.cells),
            f"{row.mean_abs:.4f}",
            f"{row.median_abs:.4f}",
            ranks,
            str(row.far),
        ]
        rows.append((row.models, [Entry(text) for text in texts]))
    return Grid("Agreement", "", [*columns, f"off by more than {FAR:g}"], rows)


def text_grid(text: pd.DataFrame) -> Grid | None:
    """The numbers of the paper's text beside ours; None where there is none."""
    if text.empty:
        return None
    rows = []
    for row in text.itertuples():
        form = "{:.0%}" if row.unit == "share" else "{:.0f} " + row.unit
        ours = Entry() if np.isnan(row.ours) else Entry(form.format(row.ours), [row.basis])
        paper = Entry(form.format(row.paper), [f"{row.where}, {row.source}"])
        rows.append((f"{row.quantity[0].upper()}{row.quantity[1:]}", [ours, paper]))
    return Grid("Numbers of the paper’s text", "", ["ours", "paper"], rows)


def loss_grids(entries: pd.DataFrame) -> list[Grid]:
    """Tables 1 and 2, each if it has entries."""
    networks, baselines = entries[~baseline(entries)], entries[baseline(entries)]
    grids = []
    if len(networks):
        typed = networks.rename(columns={"model": "type"})
        grids.append(grid_of_networks("Table 1", typed, compared))
    if len(baselines):
        grids.append(grid_of_contexts("Table 2", baselines, compared))
    return grids


def compared(rows: pd.DataFrame) -> Entry:
    """Ours, the paper's and the difference, coloured, of the one row of an entry."""
    row = rows.iloc[0]
    lines = [f"{row['paper']:.3f}", signed(row["difference"])]
    return Entry(f"{row['ours']:.3f}", lines, colour=colour(row["difference"]))


def colour(difference: float) -> str:
    """White at 0, orange where ours is higher, blue where it is lower: distinct to any eye."""
    strength = min(1.0, abs(difference) / STRONGEST)
    full = (244, 165, 96) if difference > 0 else (120, 172, 222)
    return "#" + "".join(f"{round(255 + strength * (part - 255)):02x}" for part in full)


# ---- the figure ----


def draw(entries: pd.DataFrame, corpora: dict[str, dict]):
    """A row of panels per corpus: recurrent networks, and baselines, whose losses range wider."""
    of_baseline = baseline(entries)
    which = [model for model in KINDS if model in set(entries["model"])]
    kinds = {"recurrent networks": ~of_baseline, " and ".join(which): of_baseline}
    kinds = {kind: chosen for kind, chosen in kinds.items() if chosen.any()}
    figure = plots.new_figure(4.4 * len(corpora) + 0.6)
    panels = figure.subplots(len(corpora), len(kinds), squeeze=False)
    drawn = []
    for row, (corpus, about) in zip(panels, corpora.items(), strict=True):
        for panel, (kind, chosen) in zip(row, kinds.items(), strict=True):
            own = entries[chosen & (entries["corpus"] == corpus)]
            if own.empty:
                panel.set_axis_off()
                continue
            draw_panel(panel, own)
            panel.set_title(
                plots.named(about["title"], kind, min(TITLE, plots.WIDTH / len(kinds) - 0.6))
            )
            panel.set_xlabel(f"{panel.get_xlabel()}\n{agreement(own)}", linespacing=1.5)
            drawn.append((panel, own))
    named = {}
    for panel, _ in drawn:
        handles, texts = panel.get_legend_handles_labels()
        named |= dict(zip(texts, handles, strict=True))
    figure.legend(
        named.values(), named, loc="outside upper left", ncols=ACROSS, handletextpad=0.2,
        columnspacing=1,
    )  # fmt: skip
    plots.name_sources(figure, corpora.values())
    for panel, own in drawn:
        far = own[own["difference"].abs() > NAMED]
        labels = [(row.paper, row.ours, name(row)) for row in far.itertuples()]
        diagonal = np.repeat(np.linspace(*panel.get_xlim(), 200)[:, None], 2, axis=1)
        plots.label_points(panel, labels, np.vstack([own[["paper", "ours"]], diagonal]))
    return figure


def agreement(entries: pd.DataFrame) -> str:
    """The text below a panel."""
    off = entries["difference"].abs()
    number = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
    text = f"{number}: mean |difference| {off.mean():.3f}, median {off.median():.3f}"
    if not np.isnan(ranks := rank_correlation(entries)):
        text += f",\nrank correlation {ranks:.3f}"
    return text


def draw_panel(panel: Axes, entries: pd.DataFrame):
    """Our losses against the paper's, a point per entry, with the diagonal."""
    both = entries[["ours", "paper"]].to_numpy()
    margin = 0.08 * (np.ptp(both) or 1)
    ends = (both.min() - margin, both.max() + margin)
    panel.plot(ends, ends, color="#999999", linewidth=0.7, zorder=1)
    draw_points(panel, entries)
    panel.set(xlim=ends, ylim=ends)
    panel.yaxis.set_major_locator(panel.xaxis.get_major_locator())
    panel.set_box_aspect(1)
    losses = "loss {}, nats per character"
    panel.set(xlabel=losses.format("in the paper"), ylabel=losses.format("here"))


def draw_points(panel: Axes, entries: pd.DataFrame):
    """Recurrent networks by type (colour) and layers (shape); n-gram and n-NN models."""
    for type, shade in plots.type_colours(entries["model"][~baseline(entries)]).items():
        for layers, own in entries[entries["model"] == type].groupby("layers"):
            panel.scatter(
                own["paper"], own["ours"], s=26, marker=plots.layers_marker(layers), color=shade,
                edgecolor="white", linewidth=0.4, zorder=3,
                label=f"{type_name(type)}, {plots.layers_label(layers)}",
            )  # fmt: skip
    for model, marker, shade in zip(KINDS, "x+", (plots.NGRAM, plots.NN), strict=True):
        own = entries[entries["model"] == model]
        if len(own):
            panel.scatter(
                own["paper"], own["ours"], s=30, marker=marker, color=shade, linewidth=1.1,
                label=model, zorder=2,
            )  # fmt: skip
