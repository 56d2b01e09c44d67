"""Figure 3: how often each unit of each gate is left- and right-saturated (< 0.1, > 0.9).

The paper draws the layers of a gate in one panel; here each has its own, or they hide one another.
"""

import argparse

import pandas as pd
from matplotlib.axes import Axes

from charlens.errors import InputError
from charlens.networks.cells import gate_word
from charlens.report import fonts, plots
from charlens.store.corpora import read_corpora
from charlens.store.found import model_name
from charlens.store.models import types_in_order
from charlens.store.tables import read_table

# a colour and a shape for each layer, darker with depth; none is the colour of a type
LAYERS = [("#A678C2", "o"), ("#6F3A94", "^"), ("#35104A", "s")]
ACROSS = 5  # panels side by side
SIDE = 1.24  # inches: of a panel with its margin
HEADINGS = 0.75  # inches: above and below the panels of a corpus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gates", required=True, help="saturation of every unit (.csv)")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, one a row")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")


def run(args: argparse.Namespace) -> None:
    """Raises InputError where a corpus has no gates in the table."""
    plots.check_formats(args.out)
    corpora = read_corpora(args.corpora)
    columns = ["corpus", "type", "layers", "size", "layer", "gate", "left", "right"]
    gates = read_table(args.gates, columns)
    missing = [corpus for corpus in corpora if corpus not in set(gates["corpus"])]
    if missing:
        raise InputError(f"{args.gates}: no gates of corpus {missing[0]}; rerun charlens cells")
    with plots.style():
        plots.save(draw(gates, corpora), args.out)


def panels(gates: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(type, network, gate) of each panel: types as in the paper, gates as the type names them."""
    types = types_in_order(gates["type"])
    found = gates[["corpus", "type", "layers", "size", "gate"]].drop_duplicates().to_dict("records")
    named = [(row["type"], model_name(row), row["gate"]) for row in found]
    return sorted(named, key=lambda panel: types.index(panel[0]))


def draw(gates: pd.DataFrame, corpora: dict[str, dict]):
    """Per corpus a panel for each gate (across) and layer (down); several such blocks where the
    gates of a corpus are too many for one line."""
    blocks = []  # (corpus, its panels, how many layers)
    for corpus in corpora:
        rows = gates[gates["corpus"] == corpus]
        own = panels(rows)
        for part in (own[at : at + ACROSS] for at in range(0, len(own), ACROSS)):
            shown = rows[rows["type"].isin([type for type, _, _ in part])]
            blocks.append((corpus, part, int(shown["layer"].max())))
    heights = [layers * SIDE + HEADINGS for _, _, layers in blocks]
    figure = plots.new_figure(sum(heights) + 0.35)
    parts = figure.subfigures(len(blocks), 1, height_ratios=heights, squeeze=False).ravel()
    for part, (corpus, own, layers) in zip(parts, blocks, strict=True):
        grid = part.subplots(layers, ACROSS, squeeze=False, sharex=True, sharey=True)
        rows = gates[gates["corpus"] == corpus]
        draw_block(grid, own, rows, corpora[corpus]["title"])
    plots.name_sources(figure, corpora.values())
    return figure


def draw_block(grid, own: list[tuple[str, str, str]], gates: pd.DataFrame, title: str):
    """The panels of a corpus; a network is named above the first of its gates."""
    for at, (column, (type, network, gate)) in enumerate(zip(grid.T, own, strict=False)):
        units = gates[(gates["type"] == type) & (gates["gate"] == gate)]
        for layer, panel in enumerate(column, start=1):
            if layer in set(units["layer"]):
                draw_gate(panel, units, layer)
                lowest = panel
            else:
                panel.set_axis_off()
        heading = "" if at and own[at - 1][1] == network else network
        if at == 0:  # over a single panel there is no room for both in one line
            alone = len(own) > 1 and own[1][1] != network
            if alone:
                heading = f"{fonts.shortened(title, SIDE, 8.5)}:\n{network}"
            else:
                room = SIDE * sum(name == network for _, name, _ in own)
                heading = plots.named(title, network, room)
        column[0].set_title(f"{heading}\n{gate_word(type, gate)} gate")
        lowest.set_xlabel("share of time < 0.1")
        lowest.tick_params(labelbottom=True)
    for panel in grid[:, len(own) :].ravel():
        panel.set_axis_off()
    for layer, row in enumerate(grid, start=1):
        first = next(panel for panel in row if panel.axison)  # the first network may have fewer
        first.set_ylabel(f"layer {layer}\nshare > 0.9")
        first.tick_params(labelleft=True)


def draw_gate(panel: Axes, units: pd.DataFrame, layer: int):
    """One point per unit of a layer: the shares of time in which it is left- and right-saturated.
    Grey, behind them: the other layers. units: those of the gate, in all layers."""
    panel.plot([0, 1], [1, 0], color="#BBBBBB", linewidth=0.6, zorder=0)  # always saturated
    colour, shape = LAYERS[(layer - 1) % len(LAYERS)]
    here = units["layer"] == layer
    for rows, shade, marker, order in ((~here, "#DDDDDD", "o", 1), (here, colour, shape, 2)):
        panel.scatter(
            units["left"][rows], units["right"][rows], s=6, marker=marker, facecolors="none",
            edgecolors=shade, linewidths=0.6, zorder=order,
            rasterized=True,  # thousands of points: as shapes they make an SVG of a megabyte
        )  # fmt: skip
    panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), box_aspect=1)
    panel.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    panel.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
