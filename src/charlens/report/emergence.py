"""`charlens emergence-table`: when skills and units appear, in one table, figure and page.

Joins the measures of watched networks (`charlens.units.emergence`). For each network and measure
the page tells when the measure was half-way to its last value, and how many epochs it took from a
quarter of the way to three quarters: a sudden skill takes a small part of the training.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from charlens.errors import InputError
from charlens.files import write_atomically, write_csv
from charlens.report.html import Entry, Grid, render
from charlens.report.plots import (
    WIDTH,
    check_formats,
    dashes,
    name_sources,
    named,
    new_figure,
    save,
    style,
    type_colours,
)
from charlens.store.corpora import read_corpora
from charlens.store.models import network_name, type_name, types_in_order
from charlens.store.tables import EMERGENCE, read_table

NETWORK = EMERGENCE[:5]
SKILLS = {  # what figure and page show, in this order
    "newline": "probability of a line break",
    "closing_quote": "probability of a closing quote",
    "strength_line_position": "best unit for the position in the line",
    "strength_quote": "best unit for the inside of quotes",
}
ACROSS = 6  # types in a row of the legend
PANELS = 4  # at most, side by side
QUARTERS = (0.25, 0.5, 0.75)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "measures", nargs="+", type=Path, help="of networks (.csv); of two, the later one counts"
    )
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--csv", required=True, help="all measures")
    parser.add_argument("--html", required=True, help="when each skill appeared, as a page")
    parser.add_argument("--out", nargs="+", required=True, help="the figure (.png, .svg)")


def run(args: argparse.Namespace) -> None:
    check_formats(args.out)
    corpora = read_corpora(args.corpora)
    table = join([read_table(path, EMERGENCE, "measures") for path in args.measures])
    table = table[table["corpus"].isin(list(corpora))]
    if table.empty:
        raise InputError("emergence-table: no measures of these corpora; name them with --corpora")
    write_csv(table, args.csv)
    found = appearances(table)
    write_atomically(args.html, page(found, corpora).encode())
    with style():
        save(draw(table, corpora), args.out)


def join(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """All networks in the order of their names, each as in the last table that has it."""
    every = pd.concat(
        [table.assign(table=place) for place, table in enumerate(tables)], ignore_index=True
    )
    last = every.groupby(NETWORK)["table"].transform("max")
    return every[every["table"] == last].sort_values([*NETWORK, "epoch"], kind="stable")[EMERGENCE]


# ---- the numbers ----


def crossing(epochs: np.ndarray, values: np.ndarray, level: float) -> float:
    """The epoch in which values that rise from below to above a level first reach it.

    epochs, values: [n], joined by straight lines; nan where the level is never reached.
    """
    above = np.flatnonzero(values >= level)
    if not len(above):
        return np.nan
    at = above[0]
    if at == 0:
        return float(epochs[0])
    share = (level - values[at - 1]) / (values[at] - values[at - 1])
    return float(epochs[at - 1] + share * (epochs[at] - epochs[at - 1]))


def appearances(table: pd.DataFrame) -> pd.DataFrame:
    """One row per network and skill: columns NETWORK, measure, last, half, rise.

    last: the value at the end of the training. half: the epoch in which half of the way from the
    first value to the last, up or down, was made. rise: epochs from a quarter of the way to three
    quarters. Both are nan where the value ends as it began.
    """
    rows = []
    for (*network, measure), own in table.groupby([*NETWORK, "measure"], sort=False):
        if measure not in SKILLS:
            continue
        own = own.sort_values("epoch")
        epochs, values = own["epoch"].to_numpy(float), own["value"].to_numpy(float)
        first, last = values[0], values[-1]
        way = (values - first) / (last - first) if last != first else np.zeros(len(values))
        quarter, half, most = (crossing(epochs, way, part) for part in QUARTERS)
        rows.append((*network, measure, last, half, most - quarter))
    return pd.DataFrame(rows, columns=[*NETWORK, "measure", "last", "half", "rise"])


# ---- the page ----


def page(found: pd.DataFrame, corpora: dict[str, dict]) -> str:
    """A table per corpus: networks down, skills across. found: of `appearances`."""
    sections = []
    for corpus, about in corpora.items():
        own = found[found["corpus"] == corpus]
        if len(own):
            sections.append((about, grid(own)))
    return render("emergence", sections=sections)


def grid(found: pd.DataFrame) -> Grid:
    """The skills of the networks of one corpus: value at the end, half-way epoch, rise."""
    shown = [measure for measure in SKILLS if measure in set(found["measure"])]
    rows = []
    for (type, layers, size, seed), own in found.groupby(NETWORK[1:], sort=False):
        by = own.set_index("measure")
        entries = []
        for measure in shown:
            if measure not in by.index:
                entries += [Entry(), Entry(), Entry()]
                continue
            row = by.loc[measure]
            entries += [Entry(f"{row['last']:.2f}"), *map(of_epochs, (row["half"], row["rise"]))]
        rows.append((f"{network_name(type, layers, size)} seed {seed}", entries))
    groups = [(SKILLS[measure], 3) for measure in shown]
    columns = ["at the end", "half-way", "rise"] * len(shown)
    return Grid("When skills and units appear", "Network", columns, rows, groups)


def of_epochs(count: float) -> Entry:
    """A number of epochs; a dash where a skill ends as it began."""
    return Entry() if np.isnan(count) else Entry(f"{count:.1f}")


# ---- the figure ----


def draw(table: pd.DataFrame, corpora: dict[str, dict]):
    """One row of panels per corpus and size, one panel per skill, one line per network."""
    shown = [measure for measure in SKILLS if measure in set(table["measure"])][:PANELS]
    groups = list(table.groupby(["corpus", "layers", "size"], sort=False))
    order = list(corpora)
    groups.sort(key=lambda group: (order.index(group[0][0]), *group[0][1:]))
    types = types_in_order(table["type"])
    figure = new_figure(1.1 + 1.9 * len(groups) + 0.15 * math.ceil(len(types) / ACROSS))
    panels = figure.subplots(len(groups), len(shown), squeeze=False, sharex="row", sharey="col")
    colours, styles = type_colours(types), dashes(types)
    lines = {type: (colours[type], styles[type]) for type in types}
    for row, ((corpus, layers, size), own) in enumerate(groups):
        for column, measure in enumerate(shown):
            panel = panels[row, column]
            draw_skill(panel, own[own["measure"] == measure], lines)
            # a free line above for the name of the row
            panel.set_title(" " if row else "\n" + wrapped(SKILLS[measure]), fontsize=7.5)
            if column == 0 or unit(measure) != unit(shown[column - 1]):
                panel.set_ylabel(unit(measure))
            if row == len(groups) - 1:
                panel.set_xlabel("epoch")
        panels[row, 0].annotate(
            named(corpora[corpus]["title"], f"{layers}x{size}", WIDTH - 1), (0, 1),
            (0, 6 if row else 30), xycoords="axes fraction", textcoords="offset points",
            fontsize=8.5, in_layout=False,
        )  # fmt: skip
    handles = [
        Line2D([], [], color=colour, linestyle=line, label=type_name(type))
        for type, (colour, line) in lines.items()
    ]
    figure.legend(
        handles=handles, loc="outside upper right", ncols=min(ACROSS, len(handles)), handlelength=3
    )
    name_sources(figure, [corpora[corpus] for corpus in dict.fromkeys(table["corpus"])])
    return figure


def unit(measure: str) -> str:
    """What the vertical axis of a skill shows."""
    return "strength" if measure.startswith("strength_") else "probability"


def draw_skill(panel: Axes, table: pd.DataFrame, lines: dict[str, tuple]) -> None:
    """The lines of one skill over the square root of the epoch, which shows the first ones.

    lines: colour and dashes of each type.
    """
    for (type, _), own in table.groupby(["type", "seed"], sort=False):
        colour, line = lines[type]
        panel.plot(
            own["epoch"], own["value"], color=colour, linestyle=line, linewidth=0.9, alpha=0.75
        )
    panel.set_xscale("function", functions=(np.sqrt, np.square))
    last = table["epoch"].max() if len(table) else 1
    panel.set_xlim(0, last)
    panel.set_ylim(0, 1)
    ticks = [epoch for epoch in (0, 1, 3, 10, 25, 50, 100) if epoch <= last]
    panel.set_xticks(ticks, [str(epoch) for epoch in ticks])
    panel.yaxis.set_major_locator(MaxNLocator(4))
    panel.grid(axis="y")


def wrapped(title: str) -> str:
    """A title in two lines of similar length."""
    words = title.split()
    cut = min(range(1, len(words)), key=lambda k: abs(len(" ".join(words[:k])) - len(title) / 2))
    return " ".join(words[:cut]) + "\n" + " ".join(words[cut:])
