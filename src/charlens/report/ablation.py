"""`charlens ablation`: what clamped units change (see `charlens ablate`), as table and figure."""

import argparse

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from charlens.errors import InputError
from charlens.files import write_csv
from charlens.report import fonts, plots
from charlens.store.corpora import by_stem, read_corpora
from charlens.store.models import shown
from charlens.store.tables import read_table
from charlens.text.hypotheses import HYPOTHESES

COLUMNS = ["hypothesis", "clamp", "layer", "unit", "used"]
EFFECTS = ["model", "hypothesis", "clamp", "layer", "unit", "found", "own", "others"]
CLAMPS = {"mean": "clamped to its mean", "zero": "clamped to zero"}
LINEAR = 1e-3  # changes of probability up to this are drawn on a linear scale, larger ones on a log
KEY, INDENT, LINE = 1.55, 0.2, 0.137  # inches: the key's width, that of its numbers, and a line
PANEL = 2.25  # inches: of a panel, about
NO_CHARACTERS = "no unit has characters of its own here"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--found", nargs="+", required=True, help="effects of found units (.csv)")
    parser.add_argument("--effects", nargs="+", required=True, help="and of their controls (.csv)")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, one a row")
    parser.add_argument("--csv", required=True, help="effects of the found units of all corpora")
    parser.add_argument("--effects-csv", required=True, help="what the figure shows")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")


def run(args: argparse.Namespace) -> None:
    plots.check_formats(args.out)
    corpora = read_corpora(args.corpora)
    found = joined(args.found, corpora, COLUMNS, "effects of units")
    effects = joined(args.effects, corpora, EFFECTS, "effects of controls")
    points = with_used(effects, found)
    with plots.style():
        plots.save(draw(points, corpora), args.out)
    write_csv(found, args.csv)
    write_csv(points, args.effects_csv)


def joined(paths, corpora: dict[str, dict], columns: list[str], what: str) -> pd.DataFrame:
    """The tables of several corpora as one. Raises InputError where one is missing or unusable."""
    files = by_stem(paths, corpora, what)
    return pd.concat(
        [read_table(files[corpus], ["corpus", *columns], what) for corpus in corpora],
        ignore_index=True,
    )


def with_used(effects: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """The effects with a column `used`: 0 or 1 as in the table of found units, 0 for controls.

    Raises InputError where the two are not about the same units.
    """
    keys = ["corpus", "hypothesis", "clamp", "layer", "unit"]
    points = effects.merge(found[[*keys, "used"]], on=keys, how="left")
    if points[points["found"] == 1]["used"].isna().any() or (points["found"].sum() != len(found)):
        raise InputError("--effects are of other units than --found: run charlens ablate again")
    return points.assign(used=points["used"].fillna(0).astype(int))[["corpus", *EFFECTS, "used"]]


def draw(points: pd.DataFrame, corpora: dict[str, dict]):
    """A row per corpus, a panel per clamp: the fall of the mean probability of a unit's own
    characters across, of all others up. Found units have numbers; a key beside them names these."""
    drawn = points.dropna(subset=["own", "others"])
    drawn = drawn.assign(own=-drawn["own"], others=-drawn["others"])
    rows = {corpus: drawn[drawn["corpus"] == corpus] for corpus in corpora}
    keys = {corpus: key_of(rows[corpus]) for corpus in corpora}
    heights = [
        max(2.9, 1.1 + LINE * len(keys[corpus])) if len(rows[corpus]) else 0.7 for corpus in corpora
    ]
    figure = plots.new_figure(sum(heights) + 0.5)
    panels = figure.subplots(
        len(corpora), len(CLAMPS) + 1, squeeze=False,
        height_ratios=heights, width_ratios=[PANEL] * len(CLAMPS) + [KEY],
    )  # fmt: skip
    for (*row, beside), (corpus, about) in zip(panels, corpora.items(), strict=True):
        own = rows[corpus]
        draw_key(beside, keys[corpus])
        if own.empty:
            for panel in row:
                panel.set_axis_off()
            found_any = points[points["corpus"] == corpus]["found"].any()
            why = NO_CHARACTERS if found_any else "no unit was found"
            row[0].set_title(plots.named(about["title"], why, plots.WIDTH - KEY))
            continue
        for at, (panel, (clamp, words)) in enumerate(zip(row, CLAMPS.items(), strict=True)):
            draw_panel(panel, own[own["clamp"] == clamp], own)
            network = shown(own["model"].iloc[0])
            heading = "" if at else plots.named(about["title"], network, PANEL)
            panel.set_title(f"{heading}\n{words}")
            panel.set_xlabel("fall of mean p, own characters")
        row[0].set_ylabel("fall of mean p, all other characters")
    handles = [
        panels[0][0].scatter([], [], color=plots.LSTM, s=22, label="used"),
        panels[0][0].scatter(
            [], [], facecolors="white", edgecolors=plots.LSTM, s=22, label="not beyond its controls"
        ),
        panels[0][0].scatter([], [], color="#999999", s=9, label="controls"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3, handletextpad=0.2)
    plots.name_sources(figure, corpora.values())
    for (*row, _), corpus in zip(panels, corpora, strict=True):
        numbers = numbered(rows[corpus])
        for panel, clamp in zip(row, CLAMPS, strict=True):
            marks = rows[corpus][(rows[corpus]["found"] == 1) & (rows[corpus]["clamp"] == clamp)]
            labels = [(m.own, m.others, str(numbers[m.hypothesis])) for m in marks.itertuples()]
            at = marks[["own", "others"]].to_numpy(float)
            plots.label_points(panel, labels, at, fontweight="bold")
    return figure


def numbered(points: pd.DataFrame) -> dict[str, int]:
    """The number of each hypothesis with a mark."""
    found = points[points["found"] == 1]["hypothesis"].unique()
    return {name: number for number, name in enumerate(found, start=1)}


def key_of(points: pd.DataFrame) -> list[tuple[str, str]]:
    """Lines that tell hypotheses, and their units, by their numbers: (number or nothing, text)."""
    found = points[points["found"] == 1].drop_duplicates("hypothesis")
    lines = []
    for row, number in zip(found.itertuples(), numbered(points).values(), strict=True):
        named = f"{title_of(row.hypothesis)} ({row.layer}.{row.unit})"
        first, *others = fonts.wrapped(named, KEY - INDENT - 0.05, plots.SMALL)
        lines += [(str(number), first), *(("", line) for line in others)]
    return lines


def draw_key(panel: Axes, lines: list[tuple[str, str]]) -> None:
    """The lines of `key_of` in a panel that shows nothing else."""
    panel.set_axis_off()
    for at, (number, text) in enumerate(lines):
        for inches, words, side, weight in (
            (INDENT - 0.06, number, "right", "bold"), (INDENT, text, "left", "normal")
        ):  # fmt: skip
            panel.annotate(
                words, (0, 1), (72 * inches, -72 * LINE * at), xycoords="axes fraction",
                textcoords="offset points", ha=side, va="top", fontsize=plots.SMALL,
                fontweight=weight, in_layout=False, annotation_clip=False,
            )  # fmt: skip


def title_of(hypothesis: str) -> str:
    """A hypothesis for readers; the name itself of one that this version does not know."""
    titles = {known.name: known.title for known in HYPOTHESES}
    return titles.get(hypothesis, hypothesis.replace("_", " "))


def draw_panel(panel: Axes, points: pd.DataFrame, of_corpus: pd.DataFrame):
    """Controls as a grey cloud, found units in colour.

    of_corpus: the points of both panels of a row, which share their axes' limits.
    """
    for set_scale, set_limits, axis, column in (
        (panel.set_xscale, panel.set_xlim, panel.xaxis, "own"),
        (panel.set_yscale, panel.set_ylim, panel.yaxis, "others"),
    ):
        set_scale("symlog", linthresh=LINEAR)
        low, high = of_corpus[column].min(), of_corpus[column].max()
        set_limits(min(2 * low, -0.3 * LINEAR), max(2 * high, LINEAR))
        powers = [10.0**k for k in range(-3, 1)]
        ticks = [-p for p in powers[::-1]] + [0] + powers
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda p, _: f"{p:g}".replace("-", "−").replace("0.", "."))
    panel.tick_params(axis="x", labelsize=7)
    panel.axhline(0, color="#CCCCCC", linewidth=0.6, zorder=0)
    panel.axvline(0, color="#CCCCCC", linewidth=0.6, zorder=0)
    if not points["found"].any():
        panel.text(0.5, 0.5, NO_CHARACTERS, transform=panel.transAxes, ha="center", va="bottom",
                   fontsize=plots.SMALL)  # fmt: skip
    controls = points[points["found"] == 0]
    panel.scatter(
        controls["own"], controls["others"], s=9, color="#999999", alpha=0.35, linewidths=0,
        rasterized=True,
    )  # fmt: skip
    found = points[points["found"] == 1]
    colours = np.where(found["used"] == 1, plots.LSTM, "white")
    panel.scatter(
        found["own"], found["others"], s=22, c=colours, edgecolors=plots.LSTM, linewidths=0.9,
        zorder=3,
    )  # fmt: skip
