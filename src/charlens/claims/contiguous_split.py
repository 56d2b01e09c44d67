"""What the paper's split is worth: the same models under it and under a plain contiguous cut.

The paper cuts each of 100 streams in time, so that its test text lies among its training text. The
plain cut puts the test text at the end. The two have different test characters: losses are
compared with an n-gram of the same layout on the same characters, and these differences between
the layouts. What remains of a network's advantage over the n-gram under the plain cut is what does
not come from having seen the neighbourhood.
"""

import html
from pathlib import Path

import numpy as np
import pandas as pd

from charlens.errors import InputError
from charlens.files import write_atomically, write_csv
from charlens.report.html import document, grid, signed, source_line
from charlens.statistics.bootstrap import interval, stream_draws
from charlens.store.corpora import read_corpora, read_split
from charlens.store.models import twin, types_in_order
from charlens.store.scores import Score, read_scores

COLUMNS = ["corpus", "model", "paper_split", "plain_cut", "change", "low", "high"]
ADVANTAGE = [f"advantage_{name}" for name in ("paper_split", "plain_cut", "change", "low", "high")]


def add_arguments(parser):
    parser.add_argument("--scores", nargs="+", required=True, help="scores under both layouts")
    parser.add_argument("--splits", nargs="+", required=True, help="the .npz under both layouts")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--resamples", type=int, default=10_000, help="of the test streams")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--csv", required=True, help="one row per model")
    parser.add_argument("--html", required=True, help="the table as a page")


def run(args):
    corpora = read_corpora(args.corpora)
    scores = read_scores(args.scores, "recurrent", "ngram")
    splits = {Path(path).name.removesuffix(".npz"): path for path in args.splits}
    tables = []
    for corpus in corpora:
        sides = []
        for number, name in enumerate((corpus, twin(corpus))):
            own = [score for score in scores if score.meta["corpus"] == name]
            if name not in splits:
                raise InputError(f"corpus {name}: no split given (a file named {name}.npz)")
            streams = len(read_split(splits[name], own)["test_y"])
            # Other streams, so drawn independently.
            draws = stream_draws(streams, args.resamples, args.seed + number)
            sides.append(Side({model(score): score for score in own}, draws))
        tables.append(compare(corpus, *sides))
    table = pd.concat(tables, ignore_index=True)
    write_csv(table, args.csv)
    write_atomically(args.html, page(table, corpora, args.resamples).encode())


class Side:
    """The models of a corpus under one layout, and bootstrap draws of its test streams."""

    def __init__(self, scores: dict[tuple, Score], draws: np.ndarray):
        self.scores, self.draws = scores, draws

    def loss(self, key: tuple, less: tuple | None = None) -> tuple[float, np.ndarray]:
        """Mean test loss of a model (less that of another), and the same for every draw [R]."""
        streams = self.scores[key].stream_losses(self.draws.shape[1])
        if less is not None:
            streams = streams - self.scores[less].stream_losses(len(streams))
        return float(streams.mean()), self.draws @ streams / len(streams)


def model(score: Score) -> tuple:
    """What makes two scores the same model: the n of an n-gram, or type, layers, size, seed."""
    meta = score.meta
    if meta["family"] == "ngram":
        return ("n-gram", meta["n"])
    return (meta["type"], meta["layers"], meta["size"], meta["seed"])


def name(key: tuple) -> str:
    if key[0] == "n-gram":
        return f"{key[1]}-gram"
    type, layers, size, seed = key
    return f"{type.upper()} {layers}x{size}" + (f" seed {seed}" if seed != 1 else "")


def compare(corpus: str, paper: Side, plain: Side) -> pd.DataFrame:
    """One row per model that both layouts have: columns COLUMNS, then ADVANTAGE.

    change: loss under the plain cut minus loss under the paper's split, with its 95% interval over
    test streams. advantage: loss of the longest n-gram minus loss of the model, under each layout,
    and its change; empty for n-grams.
    """
    shared = [key for key in paper.scores if key in plain.scores]
    ngrams = sorted(key for key in shared if key[0] == "n-gram")
    if not ngrams:
        raise InputError(f"corpus {corpus}: no n-gram under both layouts among the scores")
    networks = [key for key in shared if key[0] != "n-gram"]
    order = types_in_order(key[0] for key in networks)
    networks.sort(key=lambda key: (order.index(key[0]), *key[1:]))
    rows = []
    for key in ngrams + networks:
        row = [corpus, name(key), *change(paper.loss(key), plain.loss(key))]
        advantages = [np.nan] * len(ADVANTAGE)
        if key in networks:
            sides = [side.loss(ngrams[-1], less=key) for side in (paper, plain)]
            advantages = change(*sides)
        rows.append([*row, *advantages])
    return pd.DataFrame(rows, columns=COLUMNS + ADVANTAGE)


def change(paper: tuple, plain: tuple) -> list[float]:
    """Both values, their difference, and its interval."""
    low, high = interval(plain[1] - paper[1])
    return [paper[0], plain[0], plain[0] - paper[0], low, high]


# ---- the page ----

ABOUT = """The paper lays each text out as parallel streams and cuts each stream in time, so its
test text lies between pieces of its training text. Here the same models, trained and tested once
more with the test text as one piece at the end of the text. Test loss in nats per character; the
range is the 95% interval over {resamples:,} resamples of whole test streams (one seed each). The
two layouts have different test characters. Advantage: loss of the longest n-gram minus loss of the
network, on the same characters; what is left of it under the plain cut does not come from having
seen the neighbourhood of the test text."""


def page(table: pd.DataFrame, corpora: dict[str, dict], resamples: int) -> str:
    sections = "\n".join(
        f"<section>\n<h2>{html.escape(about['title'])}</h2>\n{source_line(about)}\n"
        f"{loss_table(table[table['corpus'] == key])}"
        f"{advantage_table(table[table['corpus'] == key])}</section>"
        for key, about in corpora.items()
    )
    return document(
        "What the split is worth",
        "",
        "<h1>What the paper’s split is worth</h1>\n"
        f"<p>{ABOUT.format(resamples=resamples)}</p>\n{sections}",
    )


def loss_table(table: pd.DataFrame) -> str:
    head = "<tr><th>Model</th><th>paper’s split</th><th>plain cut</th><th>change</th></tr>"
    rows = "\n".join(
        f"<tr><th>{row.model}</th><td>{row.paper_split:.3f}</td><td>{row.plain_cut:.3f}</td>"
        f"<td>{with_range(row.change, row.low, row.high)}</td></tr>"
        for row in table.itertuples()
    )
    return grid("Test loss", head, rows)


def advantage_table(table: pd.DataFrame) -> str:
    networks = table.dropna(subset=["advantage_change"])
    if networks.empty:
        return ""
    longest = table["model"][table["model"].str.endswith("-gram")].iloc[-1]
    head = "<tr><th>Network</th><th>paper’s split</th><th>plain cut</th><th>change</th></tr>"
    rows = "\n".join(
        f"<tr><th>{row.model}</th><td>{signed(row.advantage_paper_split)}</td>"
        f"<td>{signed(row.advantage_plain_cut)}</td>"
        f"<td>{with_range(row.advantage_change, row.advantage_low, row.advantage_high)}</td></tr>"
        for row in networks.itertuples()
    )
    return grid(f"Advantage over the {longest}", head, rows)


def with_range(value: float, low: float, high: float) -> str:
    return f'{signed(value)}<span class="small">{signed(low)} to {signed(high)}</span>'
