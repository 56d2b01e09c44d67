"""Figure 1, right: a t-SNE map of the recurrent networks of each corpus."""

import argparse
import math
import sys
from collections.abc import Iterable, Iterator
from itertools import zip_longest

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from charlens import arguments
from charlens.files import write_csv
from charlens.report import fonts, plots
from charlens.store.corpora import read_corpora
from charlens.store.models import cell_of, type_name
from charlens.store.scores import CHUNK, Score, by_corpus, read_scores

PILE = 5  # a group of so many marks that overlap is magnified
LARGER = 1.3  # an inset is drawn where it is at least so much larger
INSET = 0.4  # share of a panel's side
ACROSS = 5  # types in a row of the legend
FEW = 4  # fewer models than this have too few neighbours for t-SNE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", nargs="+", required=True, help="score arrays of all models")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, one a panel")
    parser.add_argument("--perplexity", type=arguments.real(1), required=True, help="of the t-SNE")
    parser.add_argument("--seed", type=arguments.seed, default=0, help="of the t-SNE")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")
    parser.add_argument("--csv", help="also write the coordinates to this file")


def run(args: argparse.Namespace) -> None:
    plots.check_formats(args.out)
    corpora = read_corpora(args.corpora)
    groups = by_corpus(read_scores(args.scores, "recurrent"), corpora, "recurrent model")
    maps = {
        corpus: embed(differences(scores), args.perplexity, args.seed, corpus)
        for corpus, scores in groups.items()
    }
    with plots.style():
        plots.save(draw(groups, maps, corpora), args.out)
    if args.csv:
        write_csv(table(groups, maps), args.csv)


def differences(scores: list[Score]) -> np.ndarray:
    """Coordinates [M, M] of M networks, at the same distances as their [M, N] probabilities.

    t-SNE needs distances alone, and those of M points fit in M dimensions: they come from the
    M x M inner products, summed over the N test characters piece by piece. Where only the digest
    of some network is available, they come from the sketches of all. Float64.
    """
    inner = np.zeros((len(scores), len(scores)))
    for piece in probabilities(scores):
        piece = piece - piece.mean(axis=0)
        inner += piece @ piece.T
    variance, axes = np.linalg.eigh(inner)
    variance, axes = variance[::-1], axes[:, ::-1]  # principal component first
    # An axis has no sign of its own: fix one, so that the map does not flip between machines.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(len(scores))])
    return axes * np.sqrt(variance.clip(min=0))


def probabilities(scores: list[Score]) -> Iterator[np.ndarray]:
    """The networks' probabilities in pieces, [M, up to CHUNK]; or their sketches, [M, SKETCH]."""
    if any(score.logp is None for score in scores):
        yield np.stack([score.sketch() for score in scores]).astype(np.float64)
        return
    for start in range(0, scores[0].characters, CHUNK):
        yield np.stack([score.probabilities(slice(start, start + CHUNK)) for score in scores])


def embed(points: np.ndarray, perplexity: float, seed: int, corpus: str) -> np.ndarray:
    """A map [M, 2] of the points [M, D]: t-SNE, or for M < FEW the first two principal components.

    The perplexity, an effective number of neighbours, must be below the M - 1 that there are:
    otherwise it is lowered to a third of M - 1, and a line on stderr says so.
    """
    from sklearn.manifold import TSNE  # here, because it takes seconds to import

    m = len(points)
    if m < FEW:
        print(
            f"charlens: {corpus}: {m} model(s) are too few for t-SNE: principal components drawn",
            file=sys.stderr,
        )
        return np.pad(points, ((0, 0), (0, 2)))[:, :2]
    if perplexity >= m - 1:
        lowered = max(1.0, (m - 1) / 3)
        print(
            f"charlens: {corpus}: perplexity {perplexity:g} lowered to {lowered:.3g}: "
            f"there are {m} models",
            file=sys.stderr,
        )
        perplexity = lowered
    spread = points[:, 0].std() or 1.0
    tsne = TSNE(
        perplexity=perplexity,
        method="exact",
        init=points[:, :2] / spread * 1e-4,
        learning_rate="auto",
        random_state=seed,
    )
    return tsne.fit_transform(points).astype(np.float64)


def draw(groups: dict[str, list[Score]], maps: dict[str, np.ndarray], corpora: dict[str, dict]):
    """A panel per corpus, two in a row, and one legend. maps: [M, 2] for M scores."""
    models = pd.DataFrame([score.meta for scores in groups.values() for score in scores])
    sizes, colours = marker_areas(models["size"]), plots.type_colours(models["type"])
    columns = min(2, len(groups))
    rows = math.ceil(len(groups) / columns)
    figure = plots.new_figure((3.4 if columns > 1 else 5.5) * rows + 1.1)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(groups) :]:
        panel.set_axis_off()
    for panel, (corpus, scores) in zip(panels, groups.items(), strict=False):
        draw_marks(panel, scores, maps[corpus], sizes, colours)
        panel.set_aspect("equal", adjustable="datalim")  # distances are all that a map shows
        panel.set_box_aspect(1)
        panel.margins(0.12)
        method = "t-SNE" if len(scores) >= FEW else "principal components"
        number = f"{len(scores)} networks" if len(scores) > 1 else "1 network"
        title = fonts.shortened(corpora[corpus]["title"], 3.0, 8.5)
        panel.set_title(f"{title}\n{method} of {number}, all seeds")
    add_legend(figure, models["layers"], sizes, colours)
    plots.name_sources(figure, corpora.values())
    figure.draw_without_rendering()  # the layout says which marks overlap
    for panel, (corpus, scores) in zip(panels, groups.items(), strict=False):
        magnify(panel, scores, maps[corpus], sizes, colours)
    return figure


def draw_marks(panel: Axes, scores: list[Score], points: np.ndarray, sizes: dict, colours: dict):
    """points: [M, 2], one for each score."""
    # The smallest networks last, so that no larger one hides them.
    for i in sorted(range(len(scores)), key=lambda i: -scores[i].meta["size"]):
        meta = scores[i].meta
        panel.scatter(
            *points[i], s=sizes[meta["size"]], marker=plots.layers_marker(meta["layers"]),
            color=colours[meta["type"]], alpha=0.8, edgecolor="white", linewidth=0.5,
        )  # fmt: skip
    panel.set(xticks=[], yticks=[])
    panel.spines[["top", "right"]].set_visible(True)


def magnify(panel: Axes, scores: list[Score], points: np.ndarray, sizes: dict, colours: dict):
    """Draw the marks that cover one another once more, in an inset where the fewest marks are.
    Needs the layout of the figure; arguments as in `draw_marks`."""
    places = panel.transData.transform(points)
    widths = np.sqrt([sizes[score.meta["size"]] for score in scores]) * panel.figure.dpi / 72
    pile = points[largest_pile(places, widths)]
    if len(pile) < PILE or np.ptp(pile, axis=0).max() == 0:
        return
    middle, reach = (pile.min(axis=0) + pile.max(axis=0)) / 2, 0.65 * np.ptp(pile, axis=0).max()
    if 2 * reach / np.ptp(panel.get_xlim()) > INSET / LARGER:
        return
    shown = [i for i in range(len(scores)) if np.abs(points[i] - middle).max() <= reach]
    within = panel.transAxes.inverted().transform(places)
    steps = np.linspace(0.02, 0.98 - INSET, 15)
    corners = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)  # lower left ones
    far = np.abs(within[None] - corners[:, None] - INSET / 2).max(axis=2)  # [corners, M]
    corner = corners[np.sum(far < INSET / 2 + 0.03, axis=1).argmin()]
    inset = panel.inset_axes((*corner, INSET, INSET))
    draw_marks(inset, [scores[i] for i in shown], points[shown], sizes, colours)
    inset.set(xlim=middle[0] + [-reach, reach], ylim=middle[1] + [-reach, reach], box_aspect=1)
    panel.indicate_inset_zoom(inset, edgecolor="#777777", alpha=1, linewidth=0.6, zorder=0.5)


def largest_pile(places: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Which marks belong to the largest group in which each overlaps another.

    places [M, 2] and widths [M] in the same units. Returns indices, ascending.
    """
    from scipy.sparse.csgraph import connected_components  # the same

    gaps = np.linalg.norm(places[:, None] - places[None], axis=2)
    _, group = connected_components(gaps < (widths[:, None] + widths[None]) / 2, directed=False)
    return np.flatnonzero(group == np.bincount(group).argmax())


def marker_areas(sizes: Iterable[int]) -> dict[int, float]:
    """The marker area (square points) of each size: even steps in width, at most 8.4 pt."""
    sizes = sorted(set(sizes), reverse=True)
    return {size: max(3.0, 8.4 - 1.8 * step) ** 2 for step, size in enumerate(sizes)}


def add_legend(figure, layers: Iterable[int], sizes: dict[int, float], colours: dict[str, str]):
    """Rows for the types (lighter: with something added), the layers and the sizes."""

    def mark(label, shape="o", colour="#777777", width=8.0):
        return Line2D([], [], ls="", marker=shape, color=colour, ms=width, mew=0, label=label)

    cells = [type_ for type_ in colours if cell_of(type_) == type_]
    added = dict.fromkeys(type_.partition("+")[2] for type_ in colours if type_ not in cells)
    rows = [
        *(
            [mark(type_name(type_), colour=colours[type_]) for type_ in cells[at : at + ACROSS]]
            for at in range(0, len(cells), ACROSS)
        ),
        [mark(f"with {name}", colour=plots.with_white("#000000", name)) for name in added],
        [mark(plots.layers_label(k), plots.layers_marker(k)) for k in sorted(set(layers))],
        [mark(f"size {size}", width=math.sqrt(sizes[size])) for size in sorted(sizes)],
    ]
    # a legend fills its columns first
    columns = zip_longest(*filter(None, rows), fillvalue=mark("", ""))
    handles = [handle for column in columns for handle in column]
    figure.legend(handles=handles, loc="outside upper center", ncols=max(map(len, rows)))


def table(groups: dict[str, list[Score]], maps: dict[str, np.ndarray]) -> pd.DataFrame:
    """One row per network: its place on the map of its corpus. maps: [M, 2] for each corpus."""
    return pd.DataFrame(
        [
            {**{key: score.meta[key] for key in ("corpus", "type", "layers", "size", "seed")},
             "x": x, "y": y}
            for corpus, scores in groups.items()
            for score, (x, y) in zip(scores, maps[corpus], strict=True)
        ]
    )  # fmt: skip
