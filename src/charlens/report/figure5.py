"""Figure 5: closing braces by distance, and the first epochs of an LSTM against n-NN models."""

import argparse
import math
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from charlens.errors import InputError
from charlens.files import write_csv
from charlens.report import fonts, plots
from charlens.store.corpora import by_stem, read_corpora, read_split, read_text
from charlens.store.models import network_name, type_name
from charlens.store.scores import Score, by_corpus, figure_network, ngrams_by_n, read_scores
from charlens.store.tables import read_trajectory
from charlens.text.braces import brace_pairs, pairs_in_test
from charlens.text.stand_ins import parsed

BRACES = ["layers", "size", "n", "from", "below", "distance", "pairs"]
BRACES += ["lstm", "lstm_se", "ngram", "ngram_se", "gain", "gain_se"]
WIDTH = 20  # characters: the edges of buckets of distances are multiples of it
HEADING = 9.5  # points: what a row is about
MOST = 8  # ticks of a logarithmic axis
NAMED = 0.07  # share of an axis: a shorter stretch of the strip has no number
LEAST = 30  # pairs of braces in a bucket; means of fewer are not joined by a line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", nargs="+", required=True, help="recurrent and n-gram scores")
    parser.add_argument("--splits", nargs="+", default=[], help="corpora's .npz (kind code)")
    parser.add_argument("--texts", nargs="+", default=[], help="corpora's .txt (kind code)")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, one a row")
    parser.add_argument("--trajectory", nargs="*", default=[], help="an LSTM's first epochs (.csv)")
    parser.add_argument("--type", default="lstm", help="the networks' type (default: lstm)")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")
    parser.add_argument("--csv", help="also write the numbers of the left panels to this file")


def run(args: argparse.Namespace) -> None:
    """Raises InputError where no corpus is code or has a trajectory."""
    plots.check_formats(args.out)
    corpora = read_corpora(args.corpora)
    code = [corpus for corpus in corpora if corpora[corpus]["kind"] == "code"]
    splits, texts = by_stem(args.splits, code, "split"), by_stem(args.texts, code, "text")
    trajectories = {
        corpus: read_trajectory(path)
        for corpus, path in by_stem(args.trajectory, [], "trajectory").items()
        if corpus in corpora
    }
    # Code first, as in the paper.
    drawn = code + [corpus for corpus in corpora if corpus in trajectories and corpus not in code]
    corpora = {corpus: corpora[corpus] for corpus in drawn}
    if not corpora:
        raise InputError("figure5: neither a corpus of kind code nor a trajectory to draw")
    scores = read_scores(args.scores, "recurrent", "ngram")
    scores = [score for score in scores if score.meta["corpus"] in code]
    code_corpora = {corpus: corpora[corpus] for corpus in code}
    braces = {}
    for corpus, group in by_corpus(scores, code_corpora, "score").items():
        index, distance = braces_in_test(texts[corpus], splits[corpus], group)
        ngrams, lstm = ngrams_by_n(group), lstm_of_row(group, trajectories.get(corpus), args.type)
        braces[corpus] = brace_means(lstm, ngrams[max(ngrams)], index, distance)
    with plots.style():
        plots.save(draw(braces, trajectories, corpora, args.type), args.out)
    if args.csv:
        write_csv(table(braces), args.csv)


def lstm_of_row(scores: list[Score], trajectory: pd.DataFrame | None, type: str = "lstm") -> Score:
    """The LSTM, or network of another type, whose first epochs the row shows; where these or its
    scores are missing, the best one of the paper's depth."""
    if trajectory is not None:
        wanted = (type, *trajectory[["layers", "size"]].iloc[0])
        same = [s for s in scores if tuple(map(s.meta.get, ("type", "layers", "size"))) == wanted]
        if same:
            return figure_network(same, type)
    return figure_network(scores, type)


def braces_in_test(text: Path, split: Path, scores: list[Score]) -> tuple[np.ndarray, np.ndarray]:
    """The "}" of the test text with their "{" in the same stream: position and distance, [Q].

    The whole text is parsed, so that streams that begin inside a block are treated correctly.
    Raises InputError if a file is unusable or the split was made from another text.
    """
    arrays, content = read_split(split, scores), read_text(text)
    codes = arrays["test_y"]
    index, distance = pairs_in_test(brace_pairs(parsed(content)), arrays["test_at"], codes.shape[1])
    if np.any(arrays["alphabet"][codes.ravel()[index]] != ord("}")):
        raise InputError(f"{split} was not made from {text}: braces are not where they should be")
    return index, distance


def bucket_edges(distance: np.ndarray) -> np.ndarray:
    """The edges of buckets of distances [Q], in characters: multiples of WIDTH, as narrow as LEAST
    pairs in each allow. Too few pairs at the end belong to the last bucket."""
    steps = np.arange(0, distance.max() + WIDTH + 1, WIDTH)
    pairs, kept = 0, [1]
    for end, more in zip(steps[1:], np.histogram(distance, steps)[0], strict=True):
        pairs += more
        if pairs >= LEAST:
            kept.append(end)
            pairs = 0
    if pairs:
        kept = [*kept[: max(1, len(kept) - 1)], steps[-1]]
    return np.array(kept)


def brace_means(lstm: Score, ngram: Score, index: np.ndarray, distance: np.ndarray) -> pd.DataFrame:
    """Mean probability of "}", by distance from its "{".

    index, distance: [Q], of `braces_in_test`. Returns one row per bucket with pairs in it: layers
    and size of the LSTM, n of the n-gram model, from and below (distances in characters), distance
    (geometric mean), pairs, for each model its mean probability and standard error, and the same
    for the gain, the LSTM's probability of a brace minus the n-gram's: both read the same braces.
    """
    bounds = bucket_edges(distance) if len(distance) else np.array([1])
    bucket = np.searchsorted(bounds, distance, side="right") - 1
    measured = {"lstm": lstm.probabilities()[index], "ngram": ngram.probabilities()[index]}
    measured["gain"] = measured["lstm"] - measured["ngram"]
    rows = []
    for b in np.unique(bucket):
        here = bucket == b
        row = {
            "layers": lstm.key.layers,
            "size": lstm.key.size,
            "n": ngram.key.n,
            "from": bounds[b],
            "below": bounds[b + 1],
            "distance": np.exp(np.log(distance[here]).mean()),
            "pairs": here.sum(),
        }
        for name, values in measured.items():
            row[name] = values[here].mean()
            row[f"{name}_se"] = standard_error(values[here])
        rows.append(row)
    return pd.DataFrame(rows, columns=BRACES)


def standard_error(values: np.ndarray) -> float:
    """The standard error of the mean of values [Q]; NaN for a single value."""
    return values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else np.nan


def draw(
    braces: dict[str, pd.DataFrame],
    trajectories: dict[str, pd.DataFrame],
    corpora: dict[str, dict],
    type: str = "lstm",
):
    """A row of panels per corpus: braces, KL divergence, difference of losses, as it has them."""
    figure = plots.new_figure(2.7 * len(corpora) + 0.3)
    rows = figure.subfigures(len(corpora), 1, squeeze=False).ravel()
    for row, (corpus, about) in zip(rows, corpora.items(), strict=True):
        columns = ["braces"] * (corpus in braces) + ["kl", "delta"] * (corpus in trajectories)
        grid = row.add_gridspec(
            2, len(columns), height_ratios=[5, 1],
            width_ratios=[1.35 if kind == "braces" else 1 for kind in columns],
        )  # fmt: skip
        networks = networks_of(braces.get(corpus), trajectories.get(corpus), type)
        title = plots.named(about["title"], networks, plots.WIDTH - 0.2, HEADING)
        row.suptitle(title, fontsize=HEADING, x=0.01, ha="left")
        for column, kind in enumerate(columns):
            if kind == "braces":
                means = row.add_subplot(grid[0, column])
                pairs = row.add_subplot(grid[1, column], sharex=means)
                draw_braces(means, pairs, braces[corpus], type)
            elif kind == "kl":
                panel = row.add_subplot(grid[0, column])
                strip = row.add_subplot(grid[1, column], sharex=panel)
                draw_first_epochs(panel, trajectories[corpus], kind)
                draw_nearest(strip, trajectories[corpus])
                panel.set_xlabel("")
                panel.tick_params(axis="x", length=0, labelbottom=False)
            else:
                panel = row.add_subplot(grid[:, column])
                draw_first_epochs(panel, trajectories[corpus], kind)
                row.legend(
                    *panel.get_legend_handles_labels(), loc="outside right center", handlelength=1.4
                )
    plots.name_sources(figure, corpora.values())
    return figure


def networks_of(braces: pd.DataFrame | None, snapshots: pd.DataFrame | None, type: str) -> str:
    """The network of a row in words; both where the panels are about two."""
    shapes = {
        what: network_name(type, *rows[["layers", "size"]].iloc[0])
        for what, rows in (("braces", braces), ("first epochs", snapshots))
        if rows is not None and len(rows)
    }
    if len(set(shapes.values())) > 1:
        braces_of, epochs_of = shapes.values()
        shape = epochs_of.removeprefix(type_name(type)).strip()
        return f"{braces_of} (braces), {shape} (first epochs)"
    return next(iter(shapes.values()), type_name(type))


def draw_braces(means, pairs, braces: pd.DataFrame, type: str):
    """Two panels: mean probabilities, and numbers of pairs below. braces: of `brace_means`."""
    means.set_title("mean probability of “}” (bars: ±1 SE)\n")  # 2nd line: the legend
    if braces.empty:
        means.text(0.5, 0.5, "no pair within a stream", transform=means.transAxes, ha="center")
        pairs.set_axis_off()
        return
    _, ngram = plots.model_names(braces, type)
    enough = braces["pairs"] >= LEAST
    for name, label, colour, marker, line in (
        (
            "lstm",
            fonts.shortened(type_name(type), 1.1, 7.5),
            plots.type_colours([type])[type],
            "o",
            "-",
        ),
        ("ngram", ngram, plots.NGRAM, "s", "--"),
    ):
        for rows, style in ((braces[enough], {"linestyle": line, "label": label}),
                            (braces[~enough], {"linestyle": "", "alpha": 0.4})):  # fmt: skip
            means.errorbar(
                rows["distance"], rows[name], rows[f"{name}_se"], color=colour, marker=marker,
                markersize=3, capsize=0, elinewidth=0.8, linewidth=1.1, **style,
            )  # fmt: skip
    for row in braces[~enough].itertuples():
        means.annotate(
            f"n = {row.pairs}", (row.distance, max(row.lstm, row.ngram)), (0, 6), ha="center",
            textcoords="offset points", fontsize=7, color="#555555",
        )  # fmt: skip
    means.set(xscale="log", ylim=(0, 1), ylabel="probability")
    means.grid(axis="y")
    if enough.any():
        means.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.1, borderpad=0.3
        )
    means.tick_params(axis="x", which="both", length=0, labelbottom=False)
    # A bar for each bucket, as wide as its distances.
    last = min(braces["below"].iloc[-1], 3 * braces["distance"].iloc[-1])
    edges = np.append(braces["below"].iloc[:-1], last)
    pairs.bar(
        braces["from"], braces["pairs"], edges - braces["from"], align="edge", color="#B5B5B5",
        edgecolor="white", linewidth=0.4,
    )  # fmt: skip
    pairs.set(xlabel="characters since “{”", ylabel="pairs")
    limits = braces["from"].min() / 1.1, last * 1.1
    pairs.set_xlim(*limits)
    pairs.set_xticks(log_ticks(*limits))
    pairs.xaxis.set_major_formatter(lambda distance, _: f"{distance:,.0f}")
    pairs.xaxis.set_minor_locator(NullLocator())
    pairs.set_ylim(0, 1.1 * braces["pairs"].max())


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic axis between these limits, at least two."""
    powers = [10.0**k for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    for steps in ([1], [1, 3], [1, 2, 5], range(1, 10), np.arange(10, 100) / 10):
        ticks = [step * power for power in powers for step in steps if low <= step * power <= high]
        if len(ticks) > 1:
            return ticks[:: math.ceil(len(ticks) / MOST)]
    return [low, high]


def shades_of(snapshots: pd.DataFrame) -> dict[int, tuple]:
    """A colour for each n-NN."""
    contexts = sorted(snapshots["n"].unique())
    colours = colormaps["viridis"](np.linspace(0.0, 0.88, len(contexts)))
    return dict(zip(contexts, map(tuple, colours), strict=True))


def draw_first_epochs(panel: Axes, snapshots: pd.DataFrame, kind: str):
    """A line per n-NN over a network's epochs. kind: the column drawn, kl or delta (nats)."""
    for (n, shade), marker in zip(shades_of(snapshots).items(), cycle("osD^vP*X"), strict=False):
        line = snapshots[snapshots["n"] == n].sort_values("epoch")
        panel.plot(
            line["epoch"], line[kind], color=shade, marker=marker, markersize=3.5, markevery=3,
            linewidth=1.1, label=f"{n}-NN",
        )  # fmt: skip
    titles = {"kl": "symmetric KL divergence", "delta": "difference of losses"}
    panel.set_title(titles[kind])
    units = {"kl": "nats per character", "delta": "n-NN minus network, nats"}
    panel.set(xlabel="epoch", ylabel=units[kind])
    panel.set_xlim(0, 1.03 * snapshots["epoch"].max())
    panel.grid(axis="y")
    if kind == "kl":
        panel.set_ylim(bottom=0)
    else:
        panel.axhline(0, color="black", linewidth=0.6, zorder=1)


def draw_nearest(strip, snapshots: pd.DataFrame):
    """A row of squares, one for each snapshot, in the colour of the n-NN with the least divergence,
    and its n in each stretch."""
    nearest = snapshots.sort_values(["epoch", "kl"]).drop_duplicates("epoch")
    epochs, ns = nearest["epoch"].to_numpy(float), nearest["n"].to_numpy()
    middles = (epochs[1:] + epochs[:-1]) / 2
    ends = np.append(middles, epochs[-1] + (epochs[-1] - middles[-1] if len(middles) else 0.1))
    begins = np.insert(middles, 0, epochs[0] - (middles[0] - epochs[0] if len(middles) else 0.1))
    shades = shades_of(snapshots)
    starts = np.flatnonzero(np.append(True, ns[1:] != ns[:-1]))
    for start, stop in pairwise([*starts, len(ns)]):
        shade = shades[ns[start]]
        left, right = begins[start], ends[stop - 1]
        strip.barh(0, right - left, 1, left=left, color=shade, edgecolor="white", linewidth=0.4)
        if right - left > NAMED * epochs[-1]:
            strip.text(
                (left + right) / 2, 0, str(ns[start]), ha="center", va="center",
                fontsize=plots.SMALL, color=plots.letters_on(shade),
            )  # fmt: skip
    strip.set(yticks=[], ylim=(-0.5, 0.5), xlabel="epoch")
    strip.set_title("n of the nearest n-NN", fontsize=plots.SMALL, pad=2)
    strip.spines["left"].set_visible(False)


def table(braces: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The numbers of the left panels: one row per corpus and bucket."""
    parts = [means.assign(corpus=corpus) for corpus, means in braces.items()]
    columns = ["corpus", *BRACES]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)
