"""What all figures share: style, colours, legible characters, and reproducible files."""

import math
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from matplotlib.transforms import Bbox, offset_copy

from charlens.errors import InputError
from charlens.files import atomic
from charlens.report import fonts
from charlens.store.models import cell_of, network_name, types_in_order
from charlens.text import unicode

WIDTH = 7.2  # inches: the text width of a page, so that font sizes are those in print
SMALL = 7.0  # points: the smallest letters

# Red LSTM and blue n-gram as in the paper; with the grey n-NN distinct in grey print. Types are
# distinct for the colour-blind as well, but in grey by their places, shapes or dashes alone.
LSTM = "#C1272D"
NGRAM = "#5BA4DC"
NN = "#444444"
NEUTRAL = "#DADADA"
TYPES = {
    "lstm": LSTM,
    "rnn": "#E69F00",
    "gru": "#17375E",
    "mingru": "#009E73",
    "minlstm": "#70CC80",
    "rglru": "#6322E6",
    "slstm": "#A65B99",
    "mlstm": "#4C1313",
    "mamba": "#33CCCC",
    "transformer": "#555555",
}
OTHER_TYPES = ["#3973E6", "#1E0F66", "#1930A6"]
LIGHTER = {"block": 0.3, "adamw": 0.45, "block+adamw": 0.6}  # how much white, with an addition

DASHES = [
    "-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (2.5, 1.2)),
    (0, (6, 1.2, 1, 1.2, 1, 1.2)), (0, (9, 2)), (0, (3, 1, 1, 1)), (0, (1, 3)),
    (0, (9, 1.5, 3, 1.5)), (0, (5, 4)), (0, (3, 3, 1, 3)),
]  # fmt: skip
MARK = 7.0  # points: as wide as the marks that labels must not cover
# where a label may stand from its point (points), the best place first
PLACES = [
    (across * distance, up * distance)
    for distance in (5, 10, 16, 24)
    for across, up in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, 1), (1, 1), (-1, -1))
]
SIDES = {1: "left", 0: "center", -1: "right"}
HEIGHTS = {1: "bottom", 0: "center", -1: "top"}

STYLE = {
    "font.family": fonts.OWN,
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "text.hinting": "none",  # else a letter of a PNG is as wide as whole pixels allow
    "text.parse_math": False,  # "$" is a character like any other here
    "svg.fonttype": "none",
    "svg.hashsalt": "charlens",
}


def style():
    """The context in which every figure is drawn."""
    return matplotlib.rc_context(STYLE)


def new_figure(height: float) -> Figure:
    """An empty figure as wide as a page. height: inches."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def name_sources(figure: Figure, corpora: Iterable[dict], note: str = "") -> None:
    """Name below the figure the text of each corpus. note: a line above them."""
    lines = "\n".join(lines_below(corpora, note))
    figure.supxlabel(lines, fontsize=SMALL, color="#555555", x=0.01, ha="left", linespacing=1.4)


def lines_below(corpora: Iterable[dict], note: str = "") -> list[str]:
    """The lines that `name_sources` writes."""
    named = [": ".join(dict.fromkeys([about["title"], about["source"]])) for about in corpora]
    parts = [part for part in [*note.split("\n"), *named] if part]
    return [line for part in parts for line in fonts.wrapped(part, WIDTH - 0.2, SMALL)]


def named(title: str, what: str, inches: float, size: float = STYLE["axes.titlesize"]) -> str:
    """The heading of a panel as wide as this: a text's title, shortened to what fits, and what it
    shows. (The whole title stands below the figure, see `name_sources`.)"""
    room = max(1.0, inches - fonts.width(f": {what}", size))
    return f"{fonts.shortened(title, room, size)}: {what}"


def check_formats(paths: Iterable[str]) -> None:
    """Raise InputError, before any work is done, unless all are .png or .svg files."""
    for path in paths:
        if Path(path).suffix not in (".png", ".svg"):
            raise InputError(f"--out {path}: a figure is written as .png or .svg")


def save(figure: Figure, paths: Iterable[str]) -> None:
    """Write the figure to each path. The same figure gives the same bytes: no date, no version.

    Raises InputError where a path cannot be written.
    """
    fonts.provide(figure)
    metadata = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}
    for path in paths:
        with atomic(path) as temporary:
            figure.savefig(temporary, dpi=200, metadata=metadata[Path(path).suffix])


def log_counts(panel: Axes, counts: Iterable[int], label: str) -> None:
    """Make the vertical axis of a panel of counts logarithmic, with few, plain ticks."""
    top = max(counts)
    panel.set_yscale("log")
    panel.set_ylim(0.5, 3 * top)  # a count of 1 is visible
    panel.set_yticks([10**k for k in range(0, 1 + math.floor(math.log10(top)), 2)])
    panel.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_ylabel(label)


def label_points(
    panel: Axes, labels: Iterable[tuple[float, float, str]], marks: np.ndarray, **style
) -> None:
    """Write a text beside each point (x, y, text), within the panel and where it covers no mark,
    text or legend; a text for which there is no such place is left out.

    marks: [M, 2], the points that must stay visible, in the units of the axes. style: of the texts.
    Call this when all else is drawn: the places depend on the layout of the figure.
    """
    panel.figure.draw_without_rendering()
    reach = MARK / 2 * panel.figure.dpi / 72
    taken = [Bbox([at - reach, at + reach]) for at in panel.transData.transform(marks)]
    taken += [shown.get_window_extent() for shown in (*panel.texts, panel.get_legend()) if shown]
    for x, y, text in labels:
        given = {"fontsize": 7, "color": "#333333", "in_layout": False} | style
        label = panel.text(x, y, text, **given)
        for across, up in PLACES:
            shifted = offset_copy(panel.transData, panel.figure, across, up, units="points")
            label.set(transform=shifted, ha=SIDES[np.sign(across)], va=HEIGHTS[np.sign(up)])
            box = label.get_window_extent()
            if within(box, panel.bbox) and not any(map(box.overlaps, taken)):
                taken.append(box)
                if (across, up) not in PLACES[:8]:  # further away: a line leads to the point
                    panel.annotate(
                        "", (x, y), (across, up), textcoords="offset points", in_layout=False,
                        arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.5,
                                    "shrinkA": 0, "shrinkB": 0},
                    )  # fmt: skip
                break
        else:
            label.remove()


def within(box: Bbox, frame: Bbox) -> bool:
    """Is all of a box in the frame?"""
    return bool(np.all(box.min >= frame.min) and np.all(box.max <= frame.max))


def type_colours(types: Iterable[str]) -> dict[str, str]:
    """The colour of each type that occurs, in the order of a legend."""
    order = types_in_order(types)
    others, cells = cycle(OTHER_TYPES), {}
    for type_ in order:
        cell = cell_of(type_)
        if cell not in cells:
            cells[cell] = TYPES.get(cell) or next(others)
    return {type_: with_white(cells[cell_of(type_)], type_.partition("+")[2]) for type_ in order}


def dashes(types: Iterable[str]) -> dict[str, str | tuple]:
    """A style of lines for each type, so that they are told apart without colour."""
    return dict(zip(types_in_order(types), cycle(DASHES), strict=False))


def with_white(colour: str, added: str) -> str:
    """The colour of a cell type, lighter where something is added to the cell."""
    share = LIGHTER.get(added, 0.0)
    return to_hex([share + (1 - share) * part for part in to_rgb(colour)]) if share else colour


def luminance(colour) -> float:
    """How light a colour is to the eye, 0 (black) to 1, as WCAG defines it."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other) -> float:
    """How well letters of one colour are seen on the other: 1 (not at all) to 21, as in WCAG."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def letters_on(colour) -> str:
    """Black or white, whichever is seen better on a colour."""
    return max(("black", "white"), key=lambda letters: contrast(letters, colour))


def layers_marker(layers: int) -> str | tuple[int, int]:
    """Circle, square, triangle, ...; for very many a star with as many points."""
    return dict(enumerate("os^Dp*PXv<>d", start=1)).get(layers, (layers, 1))


def layers_label(layers: int) -> str:
    """The number of layers for a legend."""
    return f"{layers} layer" if layers == 1 else f"{layers} layers"


def model_names(rows: pd.DataFrame, type: str = "lstm") -> tuple[str, str]:
    """Names of the network (columns layers, size) and the n-gram model (n) of a table: LSTM 3x512,
    20-gram."""
    layers, size, n = rows[["layers", "size", "n"]].iloc[0]
    return network_name(type, layers, size), f"{n}-gram"


def character(symbol: int, kind: str = unicode.BYTES) -> str:
    """A symbol of this kind as figures show it; "<s>" is the space, as in the paper's Figure 4."""
    names = {ord(" "): "<s>", ord("\n"): r"\n", ord("\t"): r"\t", ord("\r"): r"\r"}
    if symbol in names:
        return names[symbol]
    if kind == unicode.CHARACTERS and symbol > 0x7F:
        return chr(symbol) if chr(symbol).isprintable() else f"U+{symbol:04X}"
    return chr(symbol) if 0x21 <= symbol < 0x7F else rf"\x{symbol:02x}"
