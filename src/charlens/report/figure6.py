"""Figure 6: errors of the best LSTM and of smaller ones, removed category by category."""

import numpy as np
import pandas as pd

from charlens.data.split import Split, load
from charlens.errors import InputError
from charlens.files import write_csv
from charlens.report import plots
from charlens.statistics import oracles
from charlens.store import models
from charlens.store.corpora import by_stem, read_corpora, read_text
from charlens.store.models import network_name
from charlens.store.scores import Score, by_corpus, ngrams_by_n, read_scores
from charlens.store.tables import read_table

COLUMNS = ["corpus", "layers", "size", "category", "level", "errors", "share", "rate"]
COLOURS = {
    "n-gram": plots.NGRAM,
    "memory": "#17375E",
    "rare words": "#E69F00",
    "word model": plots.LSTM,
    "punctuation": "#009E73",
    "boost": "#9A9A9A",
}


def add_arguments(parser):
    parser.add_argument("--scores", nargs="+", required=True, help="recurrent and n-gram scores")
    parser.add_argument("--texts", nargs="+", required=True, help="corpora's .txt")
    parser.add_argument("--splits", nargs="+", required=True, help="corpora's .npz")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, one a row")
    parser.add_argument("--published", nargs="?", help="rows for sizes without scores here (.csv)")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")
    parser.add_argument("--csv", help="also write the numbers to this file")


def run(args):
    plots.check_formats(args.out)
    corpora = read_corpora(args.corpora)
    splits = by_stem(args.splits, corpora, "split")
    texts = by_stem(args.texts, corpora, "text")
    scores = read_scores(args.scores, "recurrent", "ngram")
    tables = [
        table(read_text(texts[corpus]), load(splits[corpus]), lstms(group), ngrams_by_n(group))
        for corpus, group in by_corpus(scores, corpora, "score").items()
    ]
    rows = with_published(pd.concat(tables), args.published)
    with plots.style():
        plots.save(draw(rows, corpora), args.out)
    if args.csv:
        write_csv(rows, args.csv)


def with_published(rows: pd.DataFrame, path: str | None) -> pd.DataFrame:
    """Add the published rows of smaller LSTMs of the same depth that have no scores here."""
    if path is None:
        return rows
    published = read_table(path, COLUMNS, "figure 6")[COLUMNS]
    kept = []
    for corpus, own in rows.groupby("corpus", sort=False):
        fits = (published["corpus"] == corpus) & (published["layers"] == own["layers"].iloc[0])
        smaller = published["size"] < own["size"].max()
        kept.append(published[fits & smaller & ~published["size"].isin(own["size"])])
    every = pd.concat([rows, *kept], ignore_index=True)
    order = {corpus: place for place, corpus in enumerate(dict.fromkeys(rows["corpus"]))}
    place = [every["corpus"].map(order), every["size"]]
    return every.iloc[np.lexsort(place[::-1])].reset_index(drop=True)


def lstms(scores: list[Score]) -> list[Score]:
    """The best LSTM and those of the same depth that are smaller, smallest first.

    Each size is represented by the best of its seeds (see `models.best`). Raises InputError where
    there is no LSTM.
    """
    found = [score for score in scores if score.key.type == "lstm"]
    if not found:
        raise InputError("figure 6 is about the errors of LSTMs: no LSTM among the scores")

    def best(scores: list[Score]) -> Score:
        return models.best(scores, lambda score: score.meta)

    layers, size = best(found).key.layers, best(found).key.size
    smaller = [score for score in found if score.key.layers == layers and score.key.size <= size]
    sizes = sorted({score.key.size for score in smaller})
    return [best([score for score in smaller if score.key.size == size]) for size in sizes]


def table(text: bytes, split: Split, networks: list[Score], ngrams: dict[int, Score]):
    """One row per network and oracle, columns COLUMNS; shares of a network's errors add up to 1.

    Raises InputError where the split or the scores are not of this text.
    """
    positions = (split.test.at[:, None] + np.arange(split.test.y.shape[1])).ravel()
    expected = split.alphabet[split.joined("test")]
    if positions[-1] >= len(text) or np.any(np.frombuffer(text, np.uint8)[positions] != expected):
        corpus = networks[0].key.corpus
        raise InputError(f"corpus {corpus}: the split was not made from this text; split it again")
    training = [stream.tobytes() for stream in split.alphabet[split.train.y]]
    by_n = {n: score.logp for n, score in ngrams.items()}
    rows = []
    for score in networks:
        if score.logp.size != positions.size:
            raise InputError(
                f"{score.path}: {score.logp.size} scores for {positions.size} test characters;"
                " score the model on this split"
            )
        applied = oracles.oracles(text, positions, training, by_n, score.logp)
        key = score.key
        which = {"corpus": key.corpus, "layers": key.layers, "size": key.size}
        rows += [which | row for row in oracles.breakdown(score.logp, applied)]
    return pd.DataFrame(rows)[COLUMNS]


def draw(rows: pd.DataFrame, corpora: dict[str, dict]):
    """Per corpus: errors of the best LSTM as they are removed, and all sizes side by side."""
    figure = plots.new_figure(3.1 * len(corpora) + 0.3)
    panels = figure.subplots(len(corpora), 2, squeeze=False, gridspec_kw={"width_ratios": [2.2, 1]})
    for (steps, sizes), (corpus, about) in zip(panels, corpora.items(), strict=True):
        own = rows[rows["corpus"] == corpus]
        best = own[own["size"] == own["size"].max()]
        draw_steps(steps, best, about["title"])
        draw_sizes(sizes, own)
    plots.name_sources(figure, corpora.values())
    return figure


def draw_steps(panel, best: pd.DataFrame, title: str):
    """A bar per level: the errors that it removes, out of those that earlier levels left."""
    left = best["rate"].sum()
    at = np.arange(len(best), dtype=float)
    at += 2.3 * (best["category"] != best["category"].shift()).cumsum().to_numpy()  # groups apart
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
            at[own].mean(), top + 0.012 * left, f"{category}\n{share:.0%}", ha="center",
            va="bottom", fontsize=7, color=shade if category != "boost" else "#555555",
        )  # fmt: skip
    lstm = network_name("lstm", *best[["layers", "size"]].iloc[0])
    panel.set_title(f"{title}\nerrors of {lstm}: {left:.1%} of the test characters (p < 0.5)")
    panel.set_xticks(at, [short(level) for level in best["level"]], rotation=90, fontsize=6.5)
    panel.tick_params(axis="x", length=0)
    panel.set_ylabel("errors left, share of test characters")
    panel.set_ylim(0, 1.16 * left or 1)
    panel.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")


def short(level: str) -> str:
    """The name of a level, shortened for a tick label."""
    return level.removeprefix("after ").replace(" times", "×")


def draw_sizes(panel, own: pd.DataFrame):
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
                light = category in ("n-gram", "rare words", "boost")
                panel.text(
                    at, bottom + height / 2, f"{share:.0%}", ha="center", va="center",
                    fontsize=6.5, color="black" if light else "white",
                )  # fmt: skip
            bottom += height
    panel.set_title("the same by size\nnumbers: of the model’s errors")
    layers = own["layers"].iloc[0]
    panel.set_xticks(range(len(sizes)), sizes, fontsize=7)
    panel.set(xlabel=f"size of the {layers}-layer LSTM", ylabel="share of test characters")
    panel.tick_params(axis="x", length=0)
    panel.set_ylim(bottom=0)
    panel.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
