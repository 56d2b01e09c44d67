"""Which errors go away with size: figure 6's categories over all types, depths and sizes."""

import argparse
import math
from itertools import zip_longest

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from charlens.data.split import load
from charlens.files import write_csv
from charlens.report import fonts, plots
from charlens.report.figure6 import COLOURS, applied, positions_in_text
from charlens.statistics import oracles
from charlens.store.corpora import by_stem, read_corpora, read_text
from charlens.store.models import cell_of, type_name, types_in_order
from charlens.store.scores import Score, by_corpus, ngrams_by_n, read_scores

ACROSS = 4  # panels side by side
CROWDED = 14  # bars in a panel: of more, the fewest layers and the middle ones are named
COLUMNS = ["corpus", "type", "layers", "size", "seed", "category", "errors", "share", "ngrams"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", nargs="+", required=True, help="recurrent and n-gram scores")
    parser.add_argument("--texts", nargs="+", required=True, help="corpora's .txt")
    parser.add_argument("--splits", nargs="+", required=True, help="corpora's .npz")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, one a row")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")
    parser.add_argument("--csv", required=True, help="one row per network and category")


def run(args: argparse.Namespace) -> None:
    plots.check_formats(args.out)
    corpora = read_corpora(args.corpora)
    splits = by_stem(args.splits, corpora, "split")
    texts = by_stem(args.texts, corpora, "text")
    scores = read_scores(args.scores, "recurrent", "ngram")
    parts = []
    for corpus, group in by_corpus(scores, corpora, "score").items():
        text, split, ngrams = read_text(texts[corpus]), load(splits[corpus]), ngrams_by_n(group)
        networks = [score for score in group if score.key.family == "recurrent"]
        positions = positions_in_text(text, split, networks)
        parts.append(table(networks, applied(text, split, positions, ngrams)))
    rows = pd.concat(parts, ignore_index=True)
    with plots.style():
        plots.save(draw(rows, corpora), args.out)
    write_csv(rows, args.csv)


def table(networks: list[Score], made: list[oracles.Oracle]) -> pd.DataFrame:
    """One row per network and category, columns COLUMNS, in the order of figure 6.

    errors: test characters given a probability below one half; share: of the network's errors;
    ngrams: the n of the n-gram oracles, "1 2 3", since the errors that one oracle removes depend on
    those before it. made: see `figure6.applied`.
    """
    rows = []
    ngrams = " ".join(level.split()[-1] for category, level, _ in made if category == "n-gram")
    for score in networks:
        levels = pd.DataFrame(oracles.breakdown(score.logp, made))
        counts = levels.groupby("category", sort=False)[["errors", "share"]].sum()
        which = {name: getattr(score.key, name) for name in COLUMNS[:5]}
        counts = counts.reset_index().assign(ngrams=ngrams)
        rows += [which | row for row in counts.to_dict("records")]
    return pd.DataFrame(rows, columns=COLUMNS)


# ---- the figure ----


def draw(rows: pd.DataFrame, corpora: dict[str, dict]):
    """A panel per type, ACROSS in a row, corpus by corpus: the mean over seeds of each grid entry.
    Types with something added are in the table alone."""
    rows = rows[rows["corpus"].isin(list(corpora))]
    types = types_in_order(rows["type"].map(cell_of))
    shown = [corpus for corpus in corpora if corpus in set(rows["corpus"])]
    across = min(len(types), ACROSS)
    lines = math.ceil(len(types) / across)  # of a corpus
    figure = plots.new_figure(2.5 * lines * len(shown) + 0.7)
    grid = figure.subplots(lines * len(shown), across, sharey="row", squeeze=False)
    for place, corpus in enumerate(shown):
        of_corpus = grid[lines * place : lines * (place + 1)]
        for panel, type in zip_longest(of_corpus.ravel(), types):
            if type is None:
                panel.set_axis_off()
                continue
            draw_panel(panel, rows[(rows["corpus"] == corpus) & (rows["type"] == type)])
            panel.set_title(type_name(type))
        for panel in of_corpus[:, 0]:
            panel.set_ylabel("errors, thousands")
        drawn = [panel for panel in of_corpus.ravel() if panel.axison]
        top = max(panel.dataLim.y1 for panel in drawn)
        widest = max(panel.dataLim.x1 for panel in drawn)
        for panel in drawn:  # bars are of one width in all panels
            panel.set(xlim=(-0.8, widest + 0.3), ylim=(0, 1.05 * top))
        first = of_corpus[0, 0]
        title = fonts.shortened(corpora[corpus]["title"], plots.WIDTH / ACROSS, 8.5)
        first.set_title(f"{title}\n{first.get_title(loc='left')}")
    handles = [Patch(color=shade, label=category) for category, shade in COLOURS.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    plots.name_sources(figure, (corpora[corpus] for corpus in shown))
    return figure


def draw_panel(panel: Axes, own: pd.DataFrame):
    """Stacked bars: a group per size, a bar per number of layers, named below it; the category that
    is removed first is on top."""
    means = own.groupby(["size", "layers", "category"])["errors"].mean().unstack()
    at, begin, middles = [], 0.0, {}
    for size, bars in means.groupby(level="size", sort=True):
        at += [begin + k for k in range(len(bars))]
        middles[size] = begin + (len(bars) - 1) / 2
        begin += len(bars) + 0.8
    bottom = 0.0
    for category, shade in reversed(COLOURS.items()):
        if category in means:
            height = means[category].fillna(0).to_numpy() / 1000
            panel.bar(at, height, 0.9, bottom=bottom, color=shade, edgecolor="white", linewidth=0.4)
            bottom = bottom + height
    layers = means.index.get_level_values("layers")
    crowded, named_layers = len(at) > CROWDED, (layers.min(), (layers.min() + layers.max()) // 2)
    shown = [str(k) if not crowded or k in named_layers else "" for k in layers]
    panel.set_xticks(at, shown, fontsize=6)
    panel.tick_params(axis="x", length=0, pad=1)
    for size, middle in middles.items():
        panel.annotate(
            str(size), (middle, 0), (0, -12), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", va="top", fontsize=7.5,
        )  # fmt: skip
    panel.set_xlabel("size (above it: layers)", labelpad=13)
