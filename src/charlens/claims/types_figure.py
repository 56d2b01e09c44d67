"""`charlens types`: the losses of all types at equal parameters, in a figure and a table.

A network is compared with the LSTM of the same corpus, layers and size, on the same test streams:
the interval of a loss is that of this difference, drawn around the loss; a line behind it is the
loss of that LSTM. So two intervals that do not meet the LSTM's line say more than their width: how
hard the text is, which all share, is not in them.
"""

import argparse
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from charlens import arguments
from charlens.claims.evidence import Evidence
from charlens.claims.judge import repeated
from charlens.claims.measure import losses, measure
from charlens.files import write_csv
from charlens.report import plots
from charlens.statistics.bootstrap import draws_of_test
from charlens.store.corpora import by_stem, read_corpora, read_split
from charlens.store.models import cell_of, has_block, recipe_of, type_name, types_in_order
from charlens.store.scores import Score, by_corpus, read_scores

COLUMNS = [
    "corpus", "type", "block", "recipe", "layers", "size", "seeds", "hidden", "parameters", "loss",
    "less_lstm", "low", "high",
]  # fmt: skip
STEP = 0.2  # between marks of one type, in types
ACROSS = 2  # panels side by side
LSTM_S = "loss of the LSTM of the same size and layers"
NOTE = (
    "Bars: 95% interval of the difference from that LSTM. Where a bar reaches the LSTM’s line,"
    " the two losses are not told apart."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", nargs="+", required=True, help="of recurrent networks")
    parser.add_argument("--splits", nargs="+", required=True, help="corpora's .npz")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument(
        "--resamples", type=arguments.resamples, default=10_000, help="of the test streams"
    )
    parser.add_argument("--seed", type=arguments.seed, default=0, help="of the bootstrap")
    parser.add_argument("--seeds-from", help="a publication, as of `charlens claims`")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")
    parser.add_argument("--csv", required=True, help="one row per grid entry")


def run(args: argparse.Namespace) -> None:
    plots.check_formats(args.out)
    corpora = read_corpora(args.corpora)
    splits = by_stem(args.splits, corpora, "split")
    everything: list[Evidence] = []
    every = read_scores(args.scores, "recurrent", with_failed=True)
    failed = [score for score in every if "failed" in score.meta]
    sound = [score for score in every if "failed" not in score.meta]
    for corpus, own in by_corpus(sound, corpora, "score").items():
        split = read_split(splits[corpus], own)
        draws = draws_of_test(split, args.resamples, args.seed)
        everything.append(Evidence(corpora[corpus], own, split, draws, everything=everything))
    rows = list(everything)
    if args.seeds_from:
        everything += [repeated(corpus, args.seeds_from) for corpus in rows]
    table = pd.concat([entries(corpus) for corpus in rows], ignore_index=True)
    write_csv(table, args.csv)
    with plots.style():
        plots.save(draw(table, corpora, failed), args.out)


def entries(evidence: Evidence) -> pd.DataFrame:
    """One row per grid entry, columns COLUMNS: its loss, mean over its seeds, and the loss minus
    that of the LSTM of the same shape with its 95% interval; nats per character. 0 of the LSTM,
    empty where there is none."""
    lstms, rows = evidence.of_type("lstm"), []
    for type in types_in_order(entry.key.type for entry in evidence.grid):
        for shape, entry in sorted(evidence.of_type(type).items()):
            difference = (math.nan,) * 3
            if type == "lstm":
                difference = (0.0,) * 3
            elif shape in lstms:
                effect = measure(evidence, [losses(1, entry), losses(-1, lstms[shape])])
                difference = (effect.value, effect.low, effect.high)
            first = entry.seeds[0].meta
            rows.append([
                evidence.about["corpus"], cell_of(type), int(has_block(type)), recipe_of(type),
                entry.key.layers, entry.key.size, len(entry.seeds), first["hidden"],
                first["parameters"], float(np.mean([score.loss for score in entry.seeds])),
                *difference,
            ])  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


# ---- the figure ----


def draw(table: pd.DataFrame, corpora: dict[str, dict], failed: Sequence[Score] = ()):
    """For each corpus a panel per size, bare cells by the paper's recipe, and one with what is
    added to them, where something is. failed: networks that the note names as diverged."""
    table = table.assign(added=[added(row) for row in table.itertuples()])
    panels = []
    for corpus, about in corpora.items():
        own = table[table["corpus"] == corpus]
        for size, rows in own[own["added"] == ""].groupby("size"):
            panels.append((about["title"], f"size {size}", rows, "layers"))
        if (own["added"] != "").any():
            shapes = own[own["added"] != ""][["layers", "size"]].drop_duplicates()
            rows = own.merge(shapes)
            named = ", ".join(f"{k}x{size}" for k, size in shapes.to_numpy())
            panels.append((about["title"], f"{named}, with additions", rows, "added"))
    across = min(ACROSS, len(panels))
    lines = math.ceil(len(panels) / across)
    figure = plots.new_figure(2.9 * lines + 0.8)
    grid = figure.add_gridspec(lines, across)
    for at, (title, what, rows, by) in enumerate(panels):
        line, column = divmod(at, across)
        last = at == len(panels) - 1
        panel = figure.add_subplot(grid[line, column:] if last else grid[line, column])
        draw_panel(panel, rows, by)
        wide = plots.WIDTH if last and column == 0 else plots.WIDTH / across
        panel.set_title(plots.named(title, what, wide - 0.7))
        if column == 0:
            panel.set_ylabel("test loss, nats per character")
    add_legend(figure, table)
    notes = [NOTE, *diverged(failed, corpora)]
    of = [corpora[corpus] for corpus in dict.fromkeys(table["corpus"])]
    plots.name_sources(figure, of, "\n".join(notes))
    return figure


def diverged(failed: list[Score], corpora: dict[str, dict]) -> list[str]:
    """The networks whose trainings diverged, in a line for each corpus that has one."""
    names: dict[str, list[str]] = {}
    for score in failed:
        names.setdefault(score.key.corpus, []).append(f"{score.key.name} (seed {score.key.seed})")
    return [
        f"Diverged on {about['title']}, not shown: {', '.join(names[corpus])}."
        for corpus, about in corpora.items()
        if corpus in names
    ]


def added(row) -> str:
    """What is added to the cell of an entry: block, adamw, block+adamw, or nothing."""
    names = ["block"] * row.block + [row.recipe] * (row.recipe != "paper")
    return "+".join(names)


def draw_panel(panel: Axes, rows: pd.DataFrame, by: str) -> None:
    """A column of marks per type; side by side the values of `by`."""
    types = types_in_order(rows["type"])
    colours = plots.type_colours(types)
    order = ["", *plots.LIGHTER] if by == "added" else sorted(set(rows[by]))
    values = [value for value in order if value in set(rows[by])]
    for row in rows.itertuples():
        aside = STEP * (values.index(getattr(row, by)) - (len(values) - 1) / 2)
        at = types.index(row.type) + aside
        colour = plots.with_white(colours[row.type], row.added)
        if row.low < row.high:
            ends = [[row.less_lstm - row.low], [row.high - row.less_lstm]]
            panel.errorbar(at, row.loss, ends, color=colour, elinewidth=1, capsize=0)
        if not math.isnan(row.less_lstm) and (row.type, row.added) != ("lstm", ""):
            panel.hlines(
                row.loss - row.less_lstm, at - 0.45 * STEP, at + 0.45 * STEP, color=plots.LSTM,
                linewidth=1, zorder=2, gid="lstm",
            )  # fmt: skip
        panel.scatter(
            at, row.loss, s=26, marker=plots.layers_marker(row.layers), color=colour,
            edgecolor="white", linewidth=0.5, zorder=3,
        )  # fmt: skip
    panel.set_xticks(
        range(len(types)), [type_name(type) for type in types], rotation=40, ha="right"
    )
    panel.tick_params(axis="x", length=0)
    panel.set_xlim(-0.6, len(types) - 0.4)
    panel.margins(y=0.1)
    panel.grid(axis="y")


def add_legend(figure, table: pd.DataFrame) -> None:
    """The numbers of layers, and what is added."""

    def mark(label, shape="o", colour="#000000"):
        return Line2D([], [], ls="", marker=shape, color=colour, ms=5.5, mew=0, label=label)

    layers = [
        mark(plots.layers_label(k), plots.layers_marker(k)) for k in sorted(set(table["layers"]))
    ]
    names = [name for name in plots.LIGHTER if name in set(table["added"])]
    lighter = [
        mark(f"lighter: with {name}", "s", plots.with_white("#000000", name)) for name in names
    ]
    tick = Line2D([], [], ls="", marker="_", color=plots.LSTM, ms=7, mew=1, label=LSTM_S)
    handles = layers + lighter + [tick]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(4, len(handles)))
