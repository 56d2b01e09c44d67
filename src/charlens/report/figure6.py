"""Figure 6: errors of the best LSTM and of smaller ones, removed category by category; a page with
examples of each kind of error."""

import argparse
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from charlens.data.split import Split, load
from charlens.errors import InputError
from charlens.files import write_atomically, write_csv
from charlens.report import fonts, plots
from charlens.report.html import render
from charlens.statistics import oracles
from charlens.store import models
from charlens.store.corpora import by_stem, read_corpora, read_text
from charlens.store.models import network_name, type_name
from charlens.store.scores import Score, by_corpus, ngrams_by_n, read_scores
from charlens.text import symbols, unicode

COLUMNS = ["corpus", "layers", "size", "category", "level", "errors", "share", "rate"]
EXAMPLES, BEFORE, AFTER = 4, 50, 15  # of a level; characters shown on either side
VISIBLE = {ord("\n"): "↵", ord("\r"): "←", ord("\t"): "⇥"}
RUNS = "Words: runs of letters. Part of this text has no spaces, so that many are whole phrases."
WIDE = 4.2  # inches: of the left panel
LETTER = 0.6  # width of a letter of a label, in bars
DEFINITIONS = ["corpus", "layers", "size", "definition", "category", "errors", "share"]
# of each category; those side by side are distinct in grey
SHADES = plots.NGRAM, "#17375E", "#E69F00", plots.LSTM, "#009E73", "#BDBDBD"
COLOURS = dict(zip(oracles.CATEGORIES, SHADES, strict=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", nargs="+", required=True, help="recurrent and n-gram scores")
    parser.add_argument("--texts", nargs="+", required=True, help="corpora's .txt")
    parser.add_argument("--splits", nargs="+", required=True, help="corpora's .npz")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, one a row")
    parser.add_argument("--type", default="lstm", help="the networks' type (default: lstm)")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")
    parser.add_argument("--csv", help="also write the numbers to this file")
    parser.add_argument(
        "--definitions-csv", help="also write the best LSTM's errors by other definitions"
    )
    parser.add_argument("--html", help="also write a page with examples of each kind of error")


def run(args: argparse.Namespace) -> None:
    plots.check_formats(args.out)
    corpora = read_corpora(args.corpora)
    splits = by_stem(args.splits, corpora, "split")
    texts = by_stem(args.texts, corpora, "text")
    scores = read_scores(args.scores, "recurrent", "ngram")
    tables, definitions, sections, note = [], [], [], ""
    for corpus, group in by_corpus(scores, corpora, "score").items():
        text, split = read_text(texts[corpus]), load(splits[corpus])
        note = RUNS if unicode.unspaced(text) else note
        networks, ngrams = of_type(group, args.type), ngrams_by_n(group)
        best = networks[-1]
        positions = positions_in_text(text, split, networks)
        made = {
            name: applied(text, split, positions, ngrams, **definition)
            for name, definition in oracles.DEFINITIONS.items()
        }
        tables.append(table(networks, made["default"]))
        definitions.append(by_definition(best, made))
        removed = oracles.removed(best.logp, made["default"])
        examples = examples_of(text, positions, best.logp, removed)
        sections.append((corpora[corpus], best.key.name, examples))
    rows = pd.concat(tables)
    with plots.style():
        plots.save(draw(rows, corpora, args.type, note), args.out)
    if args.csv:
        write_csv(rows, args.csv)
    if args.definitions_csv:
        write_csv(pd.concat(definitions), args.definitions_csv)
    if args.html:
        page = render("figure6", sections=sections, colours=COLOURS, examples=EXAMPLES)
        write_atomically(args.html, page.encode())


def with_published(rows: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Add the rows of another table of smaller LSTMs of the same depth that have none here, where
    they were made with the same oracles."""
    published = published[COLUMNS]
    kept = []
    for corpus, own in rows.groupby("corpus", sort=False):
        fits = (published["corpus"] == corpus) & (published["layers"] == own["layers"].iloc[0])
        smaller = published["size"] < own["size"].max()
        added = published[fits & smaller & ~published["size"].isin(own["size"])]
        levels = set(own["level"])
        kept += [rows for _, rows in added.groupby("size") if set(rows["level"]) == levels]
    every = pd.concat([rows, *kept], ignore_index=True)
    order = {corpus: place for place, corpus in enumerate(dict.fromkeys(rows["corpus"]))}
    place = [every["corpus"].map(order), every["size"]]
    return every.iloc[np.lexsort(place[::-1])].reset_index(drop=True)


def of_type(scores: list[Score], type: str = "lstm") -> list[Score]:
    """The best LSTM, or network of another type, and those of the same depth that are smaller,
    smallest first.

    Each size is represented by the best of its seeds (see `models.best`). Raises InputError where
    there is no network of the type.
    """
    found = [score for score in scores if score.key.type == type]
    if not found:
        name = type_name(type)
        raise InputError(f"figure 6 is about the errors of {name}s: no {name} among the scores")

    def best(scores: list[Score]) -> Score:
        return models.best(scores, lambda score: score.meta)

    layers, size = best(found).key.layers, best(found).key.size
    smaller = [score for score in found if score.key.layers == layers and score.key.size <= size]
    sizes = sorted({score.key.size for score in smaller})
    return [best([score for score in smaller if score.key.size == size]) for size in sizes]


def positions_in_text(text: unicode.Text, split: Split, scores: list[Score]) -> np.ndarray:
    """The offset in the text of every test character, int64 [N].

    Raises InputError where the split or a score is not of this text.
    """
    if not split.is_of(text):
        corpus = scores[0].key.corpus
        raise InputError(f"corpus {corpus}: the split was not made from this text; split it again")
    positions = split.test.predicted_at().ravel()
    for score in scores:
        if score.logp.size != positions.size:
            raise InputError(
                f"{score.path}: {score.logp.size} scores for {positions.size} test characters;"
                " score the model on this split"
            )
    return positions


def applied(
    text: unicode.Text, split: Split, positions: np.ndarray, ngrams: dict[int, Score], **definition
):
    """The oracles for a corpus, but for the boost; see `oracles.oracles`."""
    training = [symbols.text_of(stream) for stream in split.alphabet[split.train.y]]
    by_n = {n: score.logp for n, score in ngrams.items()}
    return oracles.oracles(text, positions, training, by_n, **definition)


def table(networks: list[Score], made: list[oracles.Oracle]) -> pd.DataFrame:
    """One row per network and oracle, columns COLUMNS; shares of a network's errors add up to 1.

    made: see `applied`.
    """
    rows = []
    for score in networks:
        key = score.key
        which = {"corpus": key.corpus, "layers": key.layers, "size": key.size}
        rows += [which | row for row in oracles.breakdown(score.logp, made)]
    return pd.DataFrame(rows)[COLUMNS]


def by_definition(best: Score, made: dict[str, list[oracles.Oracle]]) -> pd.DataFrame:
    """The errors of a network by category, however two of them are defined: columns DEFINITIONS.

    made: the oracles by definition, see `oracles.DEFINITIONS`.
    """
    parts = []
    for definition, own in made.items():
        rows = table([best], own).groupby(COLUMNS[:4], sort=False)[["errors", "share"]].sum()
        parts.append(rows.reset_index().assign(definition=definition))
    return pd.concat(parts, ignore_index=True)[DEFINITIONS]


def examples_of(
    text: unicode.Text, positions: np.ndarray, logp: np.ndarray, removed: Iterable[oracles.Oracle]
) -> list[tuple[str, list[tuple[str, list[dict]]]]]:
    """EXAMPLES errors of each level, by category, chosen at random (seed 0): see `example`.

    positions: int64 [N]; logp: float [N]; removed: see `oracles.removed`.
    """
    random, found = np.random.default_rng(0), {}
    for category, level, own in removed:
        errors = np.flatnonzero(own)
        chosen = np.sort(random.choice(errors, min(EXAMPLES, len(errors)), replace=False))
        shown = [example(text, int(positions[k]), float(np.exp(logp[k]))) for k in chosen]
        if shown:
            found.setdefault(category, []).append((level, shown))
    return list(found.items())


def example(text: unicode.Text, position: int, probability: float) -> dict:
    """The text before an error, the character itself, the text after it, its probability."""

    def visible(begin: int, end: int) -> str:
        shown = text[max(0, begin) : end]
        shown = shown.decode(errors="replace") if isinstance(shown, bytes) else shown
        return shown.translate(VISIBLE)

    return {
        "before": visible(position - BEFORE, position),
        "error": visible(position, position + 1),
        "after": visible(position + 1, position + 1 + AFTER),
        "probability": probability,
    }


def draw(rows: pd.DataFrame, corpora: dict[str, dict], type: str = "lstm", note: str = ""):
    """Per corpus: errors of the best LSTM as they are removed, and all sizes side by side.

    note: about the text, below the figure.
    """
    figure = plots.new_figure(3.1 * len(corpora) + 0.3)
    panels = figure.subplots(len(corpora), 2, squeeze=False, gridspec_kw={"width_ratios": [2.2, 1]})
    for (steps, sizes), (corpus, about) in zip(panels, corpora.items(), strict=True):
        own = rows[rows["corpus"] == corpus]
        best = own[own["size"] == own["size"].max()]
        draw_steps(steps, best, about["title"], type)
        draw_sizes(sizes, own, type)
    plots.name_sources(figure, corpora.values(), note)
    return figure


def places(best: pd.DataFrame) -> tuple[np.ndarray, dict[str, float]]:
    """Where the bars stand, [levels], and the middle of each category.

    A category is as wide as its bars or its label, whichever is more, so that labels stay apart.
    """
    at, middles, begin = [], {}, 0.0
    for category, own in best.groupby("category", sort=False):
        width = max(len(own), LETTER * len(category))
        middles[category] = begin + width / 2
        at.append(begin + (width - len(own)) / 2 + 0.5 + np.arange(len(own)))
        begin += width + 1
    return np.concatenate(at), middles


def draw_steps(panel: Axes, best: pd.DataFrame, title: str, type: str):
    """A bar per level: the errors that it removes, out of those that earlier levels left."""
    left = best["rate"].sum()
    at, middles = places(best)
    bottoms = left - best["rate"].cumsum().to_numpy()
    for category, shade in COLOURS.items():
        own = (best["category"] == category).to_numpy()
        if not own.any():
            continue
        panel.bar(at[own], bottoms[own], 0.86, color="#EFEFEF")
        panel.bar(at[own], best["rate"].to_numpy()[own], 0.86, bottom=bottoms[own], color=shade)
        share = best["share"].to_numpy()[own].sum()
        top = (bottoms + best["rate"].to_numpy())[own][0]
        panel.text(
            middles[category], top + 0.03 * left, f"{category}\n{share:.0%}", ha="center",
            va="bottom", fontsize=7, color="#333333",
        )  # fmt: skip
        half = LETTER * len(category) / 2
        panel.barh(
            top + 0.02 * left, 2 * half, 0.012 * left, left=middles[category] - half, color=shade
        )
    lstm = network_name(type, *best[["layers", "size"]].iloc[0])
    title = fonts.shortened(title, WIDE, 8.5)
    panel.set_title(f"{title}\nerrors of {lstm}: {left:.1%} of the test characters (p < 0.5)")
    panel.set_xticks(at, [short(level) for level in best["level"]], rotation=90, fontsize=6.5)
    panel.tick_params(axis="x", length=0)
    panel.set_ylabel("errors left, share of test characters")
    panel.set_ylim(0, 1.19 * left or 1)
    panel.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")


def short(level: str) -> str:
    """The name of a level, shortened for a tick label."""
    return level.removeprefix("after ").replace(" times", "×")


def draw_sizes(panel: Axes, own: pd.DataFrame, type: str):
    """One stacked bar per size; the category that is removed first is on top."""
    sizes = sorted(set(own["size"]))
    for at, size in enumerate(sizes):
        model = own[own["size"] == size]
        bottom = 0.0
        for category, shade in reversed(COLOURS.items()):
            height = model[model["category"] == category]["rate"].sum()
            panel.bar(at, height, 0.7, bottom=bottom, color=shade, edgecolor="white", linewidth=0.4)
            share = height / (model["rate"].sum() or 1)
            if share > 0.045:
                panel.text(
                    at, bottom + height / 2, f"{share:.0%}", ha="center", va="center",
                    fontsize=6.5, color=plots.letters_on(shade),
                )  # fmt: skip
            bottom += height
    panel.set_title("the same by size\nnumbers: of the model’s errors")
    layers = own["layers"].iloc[0]
    panel.set_xticks(range(len(sizes)), sizes, fontsize=7)
    panel.set(
        xlabel=f"size of the {layers}-layer {type_name(type)}", ylabel="share of test characters"
    )
    panel.tick_params(axis="x", length=0)
    panel.set_ylim(bottom=0)
    panel.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
