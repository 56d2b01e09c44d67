"""`charlens ablation`: what clamped units change (see `charlens ablate`), as table and figure."""

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, NullLocator

from charlens.errors import InputError
from charlens.files import write_csv
from charlens.report import plots
from charlens.store.corpora import by_stem, read_corpora
from charlens.store.models import shown
from charlens.store.tables import read_table

COLUMNS = ["hypothesis", "clamp", "layer", "unit", "used"]
EFFECTS = ["model", "hypothesis", "clamp", "layer", "unit", "found", "own", "others"]
CLAMPS = {"mean": "clamped to its mean", "zero": "clamped to zero"}
LINEAR = 1e-3  # changes of probability up to this are drawn on a linear scale, larger ones on a log
GAP = 0.08  # between labels, of a panel's height


def add_arguments(parser):
    parser.add_argument("--found", nargs="+", required=True, help="effects of found units (.csv)")
    parser.add_argument("--effects", nargs="+", required=True, help="and of their controls (.csv)")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, one a row")
    parser.add_argument("--csv", required=True, help="effects of the found units of all corpora")
    parser.add_argument("--effects-csv", required=True, help="what the figure shows")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")


def run(args):
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
    return points.assign(used=points["used"].fillna(0).astype(int))


def draw(points: pd.DataFrame, corpora: dict[str, dict]):
    """A row per corpus, a panel per clamp: the fall of the mean probability of a unit's own
    characters across, of all others up."""
    points = points.dropna(subset=["own", "others"])
    points = points.assign(own=-points["own"], others=-points["others"])
    figure = plots.new_figure(2.9 * len(corpora) + 0.5)
    panels = figure.subplots(len(corpora), len(CLAMPS), squeeze=False)
    for row, (corpus, about) in zip(panels, corpora.items(), strict=True):
        own = points[points["corpus"] == corpus]
        for at, (panel, (clamp, words)) in enumerate(zip(row, CLAMPS.items(), strict=True)):
            if own.empty:
                panel.set_axis_off()
                continue
            draw_panel(panel, own[own["clamp"] == clamp], own)
            heading = "" if at else f"{about['title']}: {shown(own['model'].iloc[0])}"
            panel.set_title(f"{heading}\n{words}")
        row[0].set_ylabel("fall of mean p, all other characters")
    for panel in panels[-1]:
        panel.set_xlabel("fall of mean p, own characters")
    handles = [
        panels[0][0].scatter([], [], color=plots.LSTM, s=22, label="used"),
        panels[0][0].scatter(
            [], [], facecolors="white", edgecolors=plots.LSTM, s=22, label="not beyond its controls"
        ),
        panels[0][0].scatter([], [], color="#999999", s=9, label="controls"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3, handletextpad=0.2)
    plots.name_sources(figure, corpora.values())
    return figure


def draw_panel(panel, points: pd.DataFrame, of_corpus: pd.DataFrame):
    """Controls as a grey cloud, found units in colour with their hypotheses beside the panel.

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
    panel.tick_params(axis="x", labelsize=6.5)
    panel.axhline(0, color="#CCCCCC", linewidth=0.6, zorder=0)
    panel.axvline(0, color="#CCCCCC", linewidth=0.6, zorder=0)
    controls = points[points["found"] == 0]
    panel.scatter(
        controls["own"], controls["others"], s=9, color="#999999", alpha=0.35, linewidths=0,
        rasterized=True,
    )  # fmt: skip
    found = points[points["found"] == 1].sort_values(["others", "own"])
    colours = np.where(found["used"] == 1, plots.LSTM, "white")
    panel.scatter(
        found["own"], found["others"], s=22, c=colours, edgecolors=plots.LSTM, linewidths=0.9,
        zorder=3,
    )  # fmt: skip
    to_axes = panel.transScale + panel.transLimits
    heights = to_axes.transform(found[["own", "others"]].to_numpy().reshape(-1, 2))[:, 1]
    for height, row in zip(apart(heights), found.itertuples(), strict=True):
        panel.annotate(
            row.hypothesis.replace("_", " "), (row.own, row.others), (1.04, height),
            textcoords="axes fraction", va="center", fontsize=7,
            arrowprops={
                "arrowstyle": "-", "color": "#AAAAAA", "linewidth": 0.5, "shrinkA": 1,
                "shrinkB": 2, "relpos": (0, 0.5),
            },
        )  # fmt: skip


def apart(heights: np.ndarray) -> np.ndarray:
    """Heights of labels, increasing [N], moved apart so that none overlap; panel fractions."""
    steps = GAP * np.arange(len(heights))
    raised = np.maximum.accumulate(heights - steps) + steps
    return np.minimum(raised, 1 - steps[::-1])
