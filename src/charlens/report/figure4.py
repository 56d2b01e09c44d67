"""Figure 4: where the best three-layer LSTM, the n-gram and the n-NN models err, and on which
characters."""

import argparse
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from charlens.files import write_csv
from charlens.report import fonts, plots
from charlens.statistics import oracles
from charlens.store.corpora import by_stem, read_corpora, read_split
from charlens.store.models import network_name
from charlens.store.scores import Score, by_corpus, figure_network, ngrams_by_n, read_scores
from charlens.store.tables import MODELS
from charlens.text import symbols

SHOWN = 32  # characters drawn
TITLE = 2.4  # inches: of a text, above the left panel
BREAK = "//"  # where an axis leaves something out
# the colour and the hatching of errors that the LSTM does not make
OTHERS = {"n-gram": (plots.NGRAM, "////"), "n-NN": (plots.NN, "\\\\\\\\")}
LEVEL = 4  # letters of a label; longer ones, such as U+4E2D, are turned upright
LINES = 3  # of labels, at most
BAR, APART = 2.0, 0.4  # in letters: a bar's width where all SHOWN are drawn, and between two labels
RARE = 1 / 5000  # a character with a smaller share of the test text is not drawn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", nargs="+", required=True, help="recurrent, n-gram, n-NN scores")
    parser.add_argument("--splits", nargs="+", required=True, help="corpora's .npz")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, one a row")
    parser.add_argument("--type", default="lstm", help="the networks' type (default: lstm)")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")
    parser.add_argument("--csv", help="also write the numbers of both kinds of panel to this file")


def run(args: argparse.Namespace) -> None:
    plots.check_formats(args.out)
    corpora = read_corpora(args.corpora)
    scores = read_scores(args.scores, "recurrent", "ngram", "nn")
    splits = by_stem(args.splits, corpora, "split")
    errors, characters = {}, {}
    for corpus, group in by_corpus(scores, corpora, "score").items():
        split = read_split(splits[corpus], group)
        lstm, ngrams = figure_network(group, args.type), ngrams_by_n(group)
        nns = {score.meta["n"]: score for score in group if score.meta["family"] == "nn"}
        others = [error_overlap(lstm, models) for models in (ngrams, nns) if models]
        errors[corpus] = pd.concat(others, ignore_index=True)
        characters[corpus] = character_means(lstm, ngrams[max(ngrams)], split)
    with plots.style():
        plots.save(draw(errors, characters, corpora, args.type), args.out)
    if args.csv:
        write_csv(table(errors, characters), args.csv)


def error_overlap(lstm: Score, others: dict[int, Score]) -> pd.DataFrame:
    """Shares of the test characters that an LSTM and another model get wrong, or one of them alone.

    others: n-gram or n-NN models by n. Returns one row per n, ascending: layers and size of the
    LSTM, n, the shares both, lstm, ngram (the last two: errors of the LSTM alone, of the other
    model alone), and the kind of the other model. An error is a probability below 0.5.
    """
    lstm_errs = oracles.errors(lstm.logp)
    rows = []
    for n, other in sorted(others.items()):
        other_errs = oracles.errors(other.logp)
        rows.append(
            {
                "layers": lstm.key.layers,
                "size": lstm.key.size,
                "n": n,
                "both": np.mean(lstm_errs & other_errs),
                "lstm": np.mean(lstm_errs & ~other_errs),
                "ngram": np.mean(~lstm_errs & other_errs),
                "model": MODELS[other.meta["family"]],
            }
        )
    return pd.DataFrame(rows)


def character_means(lstm: Score, ngram: Score, split: dict[str, np.ndarray]) -> pd.DataFrame:
    """Mean probability of the correct character, by character, largest LSTM advantage first.

    split: arrays of the corpus's .npz (test_y [S, T], alphabet [K]). Returns one row per symbol of
    the test text: byte (or code point), character, layers and size of the LSTM, n of the n-gram
    model, count, lstm, ngram, difference (the last three: probabilities).
    """
    count = np.bincount(split["test_y"].ravel(), minlength=len(split["alphabet"]))
    means = {"lstm": lstm.symbol_means(split), "ngram": ngram.symbol_means(split)}
    which = {"layers": lstm.key.layers, "size": lstm.key.size, "n": ngram.key.n}
    rows = pd.DataFrame({"byte": split["alphabet"], **which, "count": count, **means})
    kind = symbols.symbols_are_of(split["alphabet"])
    rows.insert(1, "character", [plots.character(symbol, kind) for symbol in rows["byte"]])
    rows["difference"] = rows["lstm"] - rows["ngram"]
    rows = rows[rows["count"] > 0]
    return rows.sort_values(["difference", "byte"], ascending=[False, True], ignore_index=True)


def draw(
    errors: dict[str, pd.DataFrame],
    characters: dict[str, pd.DataFrame],
    corpora: dict[str, dict],
    type: str = "lstm",
):
    """Per corpus, errors on the left, characters above their counts on the right.

    type: of the network; tables call its columns lstm, whatever it is.
    """
    figure = plots.new_figure(2.9 * len(corpora) + 0.3)
    grid = figure.add_gridspec(
        2 * len(corpora), 2, width_ratios=[1, 1.9], height_ratios=[5, 1] * len(corpora)
    )
    for row, (corpus, provenance) in enumerate(corpora.items()):
        overlap = figure.add_subplot(grid[2 * row : 2 * row + 2, 0])
        draw_overlap(overlap, errors[corpus], provenance["title"], type)
        means = figure.add_subplot(grid[2 * row, 1])
        counts = figure.add_subplot(grid[2 * row + 1, 1], sharex=means)
        draw_characters(means, counts, characters[corpus], type)
    plots.name_sources(figure, corpora.values())
    return figure


def draw_overlap(panel: Axes, errors: pd.DataFrame, title: str, type: str):
    """Areas over n, one on top of the other: first beside the n-gram, then beside the n-NN models.
    errors: of `error_overlap`."""
    lstm = network_name(type, *errors[["layers", "size"]].iloc[0])
    left, ticks = 0.0, {}
    for model, rows in errors.groupby("model", sort=False):
        at = left + np.arange(len(rows), dtype=float)
        if len(rows) == 1:  # an area needs some width
            at, rows = left + np.array([-0.5, 0.5]), pd.concat([rows, rows])
        # Errors of the LSTM alone at the bottom: together with the grey part they are all its
        # errors.
        top = np.zeros(len(rows))
        for column, label, colour, hatch in (
            ("lstm", f"{lstm} alone", plots.type_colours([type])[type], ""),
            ("both", "both", plots.NEUTRAL, ""),
            ("ngram", f"{model} alone", *OTHERS[model]),
        ):
            below, top = top, top + rows[column].to_numpy()
            panel.fill_between(
                at, below, top, label=label, facecolor=colour, hatch=hatch, edgecolor="white",
                linewidth=0,
            )  # fmt: skip
        ticks |= {left + k: n for k, n in enumerate(rows["n"].unique())}
        for place in left + np.flatnonzero(np.diff(rows["n"]) > 1) + 0.5:
            draw_break(panel, place)
        panel.text(
            at.mean(), -0.11, f"n of the {model}", transform=panel.get_xaxis_transform(),
            ha="center", va="top", fontsize=7.5,
        )  # fmt: skip
        left = at[-1] + 2
    panel.set_title(f"{fonts.shortened(title, TITLE, 8.5)}\ntest errors (p < 0.5)")
    panel.set_xticks(list(ticks), ticks.values())
    panel.set_xlim(min(0, *ticks) - 0.6, left - 1.4)
    panel.set_ylim(0, 1.32)  # room for the legend
    panel.spines["left"].set_bounds(0, 1)
    panel.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    panel.set_ylabel("share of test characters")
    handles, labels = panel.get_legend_handles_labels()
    entries = dict(zip(labels, handles, strict=True))  # a label of both models counts once
    panel.legend(
        entries.values(), entries, loc="upper left", ncols=2, borderaxespad=0, labelspacing=0.3,
        handlelength=1, handletextpad=0.4, columnspacing=0.7, fontsize=7,
    )  # fmt: skip


def draw_break(panel: Axes, place: float):
    """Mark that the horizontal axis leaves something out at this place."""
    panel.text(
        place, 0, BREAK, transform=panel.get_xaxis_transform(), ha="center", va="center",
        fontsize=7.5, zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "boxstyle": "square,pad=0.02"},
    )  # fmt: skip


def draw_characters(means, counts, characters: pd.DataFrame, type: str):
    """Bars per character in two panels: means, and counts below. characters: `character_means`."""
    least = RARE * characters["count"].sum()
    shown = characters[characters["count"] >= least]
    cut = len(shown) > SHOWN
    if cut:
        shown = pd.concat([shown.head(SHOWN // 2), shown.tail(SHOWN // 2)])
    at = np.arange(len(shown), dtype=float)
    if cut:
        at[SHOWN // 2 :] += 1
        hidden = np.sum(characters["count"] >= least) - SHOWN
        means.text(SHOWN // 2, 0.02, f"… {hidden} more", ha="center", va="bottom", rotation=90,
                   fontsize=plots.SMALL, color="#555555")  # fmt: skip
    lstm, ngram = plots.model_names(shown, type)
    colour = plots.type_colours([type])[type]
    means.bar(at - 0.21, shown["lstm"], 0.42, color=colour, label=lstm)
    means.bar(
        at + 0.21, shown["ngram"], 0.42, color=plots.NGRAM, label=ngram,
        hatch="/////", edgecolor="white", linewidth=0,
    )  # fmt: skip
    means.set_title("mean probability of the correct character\n")  # 2nd line: the legend
    means.set(ylim=(0, 1), xlim=(-0.8, at[-1] + 0.8), ylabel="probability")
    means.set_yticks([0, 0.5, 1])
    means.grid(axis="y")
    means.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.1, borderpad=0.3)
    means.tick_params(axis="x", length=0)
    _, lacking = fonts.covering("".join(shown["character"]))
    labels = [fonts.spelled(label, lacking) for label in shown["character"]]
    means.set_xticks(at, stagger(labels, at), family="DejaVu Sans Mono")
    for tick, label in zip(means.get_xticklabels(), labels, strict=True):
        tick.set_rotation(90 if len(label) > LEVEL else 0)
    counts.bar(at, shown["count"], 0.7, color="#8A8A8A")
    plots.log_counts(counts, shown["count"], "count")
    counts.tick_params(axis="x", length=0, labelbottom=False)
    counts.set_xlabel(choice(cut, least))


def choice(cut: bool, least: float) -> str:
    """The characters drawn, in words."""
    which = f"characters seen {np.ceil(least):.0f} times or more" if least > 1 else "all characters"
    end = SHOWN // 2
    return f"{which}: first and last {end} by difference" if cut else f"{which}, by difference"


def stagger(labels: list[str], at: Iterable[float]) -> list[str]:
    """Lower each level label by as many lines as keep it apart from those on its left.

    at: where the labels stand, in bars.
    """
    ends = [-np.inf] * LINES  # of what stands in each line, in letters
    staggered = []
    for place, label in zip(at, labels, strict=True):
        if len(label) > LEVEL:  # upright, through all lines
            staggered.append(label)
            ends = [BAR * place + 0.5] * LINES
            continue
        begin, end = BAR * place - len(label) / 2, BAR * place + len(label) / 2
        free = [line for line in range(LINES) if ends[line] + APART <= begin]
        line = free[0] if free else int(np.argmin(ends))
        staggered.append("\n" * line + label)
        ends[line] = end
    return staggered


def table(errors: dict[str, pd.DataFrame], characters: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Both kinds of panel as one table, told apart by its second column; the last names the kind of
    model beside the LSTM.

    errors: both, lstm, ngram are shares of the test characters (the last two: the LSTM alone, the
    other model alone, whatever its kind).
    characters: lstm, ngram are mean probabilities of this character where it is the correct one.
    """
    parts = []
    for corpus in errors:
        parts.append(errors[corpus].assign(corpus=corpus, panel="errors"))
        of_characters = characters[corpus].assign(corpus=corpus, panel="characters")
        parts.append(of_characters.assign(model=MODELS["ngram"]))
    which = ["corpus", "panel", "layers", "size", "n", "byte", "character", "count"]
    rows = pd.concat(parts).astype({"byte": "Int64", "count": "Int64"})
    return rows[[*which, "both", "lstm", "ngram", "difference", "model"]]
