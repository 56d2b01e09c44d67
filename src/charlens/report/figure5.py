"""Figure 5: closing braces by distance, and the first epochs of an LSTM against n-NN models."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.ticker import NullLocator

from charlens.errors import InputError
from charlens.files import write_csv
from charlens.report import plots
from charlens.store.corpora import by_stem, read_corpora, read_split, read_text
from charlens.store.models import network_name
from charlens.store.scores import Score, best_lstm, by_corpus, ngrams_by_n, read_scores
from charlens.store.tables import read_trajectory
from charlens.text.braces import brace_pairs, pairs_in_test

BRACES = ["layers", "size", "n", "from", "below", "distance", "pairs"]
BRACES += ["lstm", "lstm_se", "ngram", "ngram_se"]
FEW = 5  # a mean of fewer pairs of braces is not drawn
EDGES = np.array([1, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 2**62])


def add_arguments(parser):
    parser.add_argument("--scores", nargs="+", required=True, help="recurrent and n-gram scores")
    parser.add_argument("--splits", nargs="+", default=[], help="corpora's .npz (kind code)")
    parser.add_argument("--texts", nargs="+", default=[], help="corpora's .txt (kind code)")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, one a row")
    parser.add_argument("--trajectory", nargs="*", default=[], help="an LSTM's first epochs (.csv)")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")
    parser.add_argument("--csv", help="also write the numbers of the left panels to this file")


def run(args):
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
        ngrams = ngrams_by_n(group)
        braces[corpus] = brace_means(best_lstm(group), ngrams[max(ngrams)], index, distance)
    with plots.style():
        plots.save(draw(braces, trajectories, corpora), args.out)
    if args.csv:
        write_csv(table(braces), args.csv)


def braces_in_test(text: Path, split: Path, scores: list[Score]) -> tuple[np.ndarray, np.ndarray]:
    """The "}" of the test text with their "{" in the same stream: position and distance, [Q].

    The whole text is parsed, so that streams that begin inside a block are treated correctly.
    Raises InputError if a file is unusable or the split was made from another text.
    """
    arrays, content = read_split(split, scores), read_text(text)
    codes = arrays["test_y"]
    index, distance = pairs_in_test(brace_pairs(content), arrays["test_at"], codes.shape[1])
    if np.any(arrays["alphabet"][codes.ravel()[index]] != ord("}")):
        raise InputError(f"{split} was not made from {text}: braces are not where they should be")
    return index, distance


def brace_means(lstm: Score, ngram: Score, index: np.ndarray, distance: np.ndarray) -> pd.DataFrame:
    """Mean probability of "}", by distance from its "{".

    index, distance: [Q], of `braces_in_test`. Returns one row per bucket with pairs in it: layers
    and size of the LSTM, n of the n-gram model, from and below (distances in characters), distance
    (geometric mean), pairs, and for each model its mean probability and standard error.
    """
    bucket = np.searchsorted(EDGES, distance, side="right") - 1
    probabilities = {"lstm": lstm.probabilities()[index], "ngram": ngram.probabilities()[index]}
    rows = []
    for b in np.unique(bucket):
        here = bucket == b
        row = {
            "layers": lstm.key.layers,
            "size": lstm.key.size,
            "n": ngram.key.n,
            "from": EDGES[b],
            "below": EDGES[b + 1],
            "distance": np.exp(np.log(distance[here]).mean()),
            "pairs": here.sum(),
        }
        for name, probability in probabilities.items():
            row[name] = probability[here].mean()
            row[f"{name}_se"] = standard_error(probability[here])
        rows.append(row)
    return pd.DataFrame(rows, columns=BRACES)


def standard_error(values: np.ndarray) -> float:
    """The standard error of the mean of values [Q]; NaN for a single value."""
    return values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else np.nan


def draw(
    braces: dict[str, pd.DataFrame],
    trajectories: dict[str, pd.DataFrame],
    corpora: dict[str, dict],
):
    """Columns for braces, KL divergence and difference of losses, each with a panel per corpus."""
    # Each column fills from the top; an empty one is left out.
    columns = ["braces"] * bool(braces) + ["kl", "delta"] * bool(trajectories)
    rows = max(len(braces), len(trajectories))
    figure = plots.new_figure(2.7 * rows + 0.3)
    grid = figure.add_gridspec(2 * rows, len(columns), height_ratios=[5, 1] * rows)
    for column, kind in enumerate(columns):
        shown = braces if kind == "braces" else trajectories
        for row, corpus in enumerate(corpus for corpus in corpora if corpus in shown):
            title = corpora[corpus]["title"]
            if kind == "braces":
                means = figure.add_subplot(grid[2 * row, column])
                pairs = figure.add_subplot(grid[2 * row + 1, column], sharex=means)
                draw_braces(means, pairs, braces[corpus], title)
            else:
                panel = figure.add_subplot(grid[2 * row : 2 * row + 2, column])
                draw_first_epochs(panel, trajectories[corpus], kind, title)
    plots.name_sources(figure, corpora.values())
    return figure


def draw_braces(means, pairs, braces: pd.DataFrame, title: str):
    """Two panels: mean probabilities, and numbers of pairs below. braces: of `brace_means`."""
    means.set_title(f"{title}\nmean probability of “}}”")
    if braces.empty:
        means.text(0.5, 0.5, "no pair within a stream", transform=means.transAxes, ha="center")
        pairs.set_axis_off()
        return
    lstm, ngram = plots.model_names(braces)
    drawn = braces[braces["pairs"] >= FEW]
    for name, label, colour, marker, line in (
        ("lstm", lstm, plots.LSTM, "o", "-"),
        ("ngram", ngram, plots.NGRAM, "s", "--"),
    ):
        means.errorbar(
            drawn["distance"], drawn[name], drawn[f"{name}_se"], label=label,
            color=colour, marker=marker, linestyle=line, markersize=4, capsize=2, elinewidth=0.8,
        )  # fmt: skip
    means.set(xscale="log", ylim=(0, 1))
    means.grid(axis="y")
    means.legend(loc="best", borderaxespad=0.2)
    means.tick_params(axis="x", which="both", length=0, labelbottom=False)
    # A bar for each bucket, as wide as its distances.
    last = min(braces["below"].iloc[-1], 3 * braces["distance"].iloc[-1])
    edges = np.append(braces["below"].iloc[:-1], last)
    pairs.bar(
        braces["from"], braces["pairs"], edges - braces["from"], align="edge", color="#B5B5B5",
        edgecolor="white",
    )  # fmt: skip
    pairs.set_xlabel("characters since “{”")
    pairs.xaxis.set_major_formatter(lambda distance, _: f"{distance:,.0f}")
    pairs.xaxis.set_minor_locator(NullLocator())
    plots.log_counts(pairs, braces["pairs"], "pairs")


def draw_first_epochs(panel, snapshots: pd.DataFrame, kind: str, title: str):
    """A line per n-NN over the epochs of the LSTM. kind: the column drawn, kl or delta (nats)."""
    contexts = sorted(snapshots["n"].unique())
    shades = colormaps["viridis"](np.linspace(0.0, 0.88, len(contexts)))
    for n, shade, marker in zip(contexts, shades, "osD^vP*X" * len(contexts), strict=False):
        line = snapshots[snapshots["n"] == n].sort_values("epoch")
        panel.plot(
            line["epoch"], line[kind], color=shade, marker=marker, markersize=3.5, markevery=3,
            linewidth=1.1, label=f"{n}-NN",
        )  # fmt: skip
    names = {"kl": "symmetric KL divergence", "delta": "Δ loss: n-NN minus LSTM"}
    panel.set_title(f"{title}\n{names[kind]}")
    lstm = network_name("lstm", *snapshots[["layers", "size"]].iloc[0])
    panel.set(xlabel=f"epoch of {lstm}", ylabel="nats per character")
    panel.set_xlim(left=0)
    panel.grid(axis="y")
    if kind == "kl":
        panel.set_ylim(bottom=0)
    else:
        panel.axhline(0, color="black", linewidth=0.6, zorder=1)
        # Every line rises from the loss of the untrained LSTM, so the lower right is free.
        panel.legend(loc="lower right", ncols=2, borderaxespad=0, columnspacing=1, labelspacing=0.3)


def table(braces: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The numbers of the left panels: one row per corpus and bucket."""
    parts = [means.assign(corpus=corpus) for corpus, means in braces.items()]
    columns = ["corpus", *BRACES]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)
