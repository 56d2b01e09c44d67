"""Figure 3: how often each unit of each gate is left- and right-saturated (< 0.1, > 0.9)."""

import numpy as np
import pandas as pd

from charlens.errors import InputError
from charlens.report import plots
from charlens.store.corpora import read_corpora
from charlens.store.found import model_name
from charlens.store.models import types_in_order
from charlens.store.tables import read_table

GATES = {"i": "input", "f": "forget", "o": "output", "r": "reset", "z": "update"}
# a colour and a shape for each layer, distinct in lightness too
LAYERS = [("#17375E", "o"), ("#C1272D", "^"), ("#E69F00", "s"), ("#009E73", "D"), ("#777777", "v")]
ACROSS = 5  # panels side by side


def add_arguments(parser):
    parser.add_argument("--gates", required=True, help="saturation of every unit (.csv)")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, one a row")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")


def run(args):
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
    """A panel per gate; a row of panels per corpus, or several where one is too wide."""
    rows = []  # (corpus, its panels)
    for corpus in corpora:
        own = panels(gates[gates["corpus"] == corpus])
        rows += [(corpus, own[at : at + ACROSS]) for at in range(0, len(own), ACROSS)]
    across = max(len(own) for _, own in rows)
    side = (plots.WIDTH - 0.5) / max(across, 3)
    figure = plots.new_figure(len(rows) * (side + 0.85) + 0.3)
    figure.get_layout_engine().set(hspace=0.06)
    grid = figure.subplots(len(rows), across, squeeze=False, sharex=True, sharey=True)
    for line, (corpus, own) in zip(grid, rows, strict=True):
        draw_row(line, own, gates[gates["corpus"] == corpus], corpora[corpus]["title"])
    deepest = max(gates["layer"])
    handles = [mark(grid[0][0], [], [], layer, f"layer {layer}") for layer in range(1, deepest + 1)]
    figure.legend(handles=handles, loc="outside upper right", ncols=deepest, handletextpad=0.2)
    plots.name_sources(figure, corpora.values())
    return figure


def draw_row(line, own: list[tuple[str, str, str]], gates: pd.DataFrame, title: str):
    """The panels of a corpus; a network is named above the first of its gates."""
    for panel in line[len(own) :]:
        panel.set_axis_off()
    for at, (panel, (type, network, gate)) in enumerate(zip(line, own, strict=False)):
        draw_gate(panel, gates[(gates["type"] == type) & (gates["gate"] == gate)])
        heading = f"{title}: " if at == 0 else ""
        if at == 0 or own[at - 1][1] != network:
            heading += network
        panel.set_title(f"{heading}\n{GATES.get(gate, gate)} gate")
        panel.set_xlabel("time below 0.1")
        panel.tick_params(labelbottom=True)
    line[0].set_ylabel("time above 0.9")


def draw_gate(panel, units: pd.DataFrame):
    """One point per unit: the shares of time in which it is left- and right-saturated."""
    panel.plot([0, 1], [1, 0], color="#BBBBBB", linewidth=0.6, zorder=0)  # always saturated
    for layer, of_layer in units.groupby("layer"):
        mark(panel, of_layer["left"], of_layer["right"], layer)
    panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), box_aspect=1)
    panel.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    panel.set_yticks([0, 0.5, 1], ["0", ".5", "1"])


def mark(panel, left, right, layer: int, label: str | None = None):
    """A point for each unit of a layer. left, right: shares of time, [units]."""
    colour, shape = LAYERS[(layer - 1) % len(LAYERS)]
    return panel.scatter(
        np.asarray(left), np.asarray(right), s=9, marker=shape, facecolors="none",
        edgecolors=colour, linewidths=0.6, alpha=0.8, label=label,
        rasterized=True,  # thousands of points: as shapes they make an SVG of a megabyte
    )  # fmt: skip
