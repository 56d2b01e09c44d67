"""The claims, and the verb that tests them all.

Each claim is tested by a small function that takes the evidence on one corpus and returns findings:
a verdict, an effect and its 95% interval (see `measure`). Run on the paper's own tables, the same
functions give the effect in the paper.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from charlens.claims import (
    ablation,
    baselines,
    captions,
    error_causes,
    first_epochs,
    gates,
    likeness,
    losses,
    page,
    reach,
    units,
)
from charlens.claims.evidence import Evidence, Missing
from charlens.claims.measure import UNDECIDED, Finding
from charlens.claims.published import with_published
from charlens.errors import InputError
from charlens.files import write_atomically, write_csv
from charlens.statistics.bootstrap import stream_draws
from charlens.store.corpora import by_stem, read_corpora, read_split, read_text
from charlens.store.models import ModelKey
from charlens.store.scores import Score, read_scores, with_arrays
from charlens.store.tables import (
    MODELS,
    paper_table,
    planned_networks,
    read_status,
    read_table,
    read_trajectory,
)

COLUMNS = ["claim", "where", "verdict", "effect", "low", "high", "paper", "basis"]
FOUND = ["model", "hypothesis", "layer", "unit", "score", "low", "high", "picked"]
CLAMPED = ["model", "hypothesis", "layer", "unit", "clamp", "own", "own_low", "own_high",
           "controls", "used"]  # fmt: skip
INSIDE = {  # the tables about units, gates and errors, and the columns that are read
    "gates.csv": ["type", "layers", "size", "layer", "gate", "left", "right"],
    "cells.csv": [*FOUND, "beyond"],
    "hypotheses.csv": [*FOUND, "measure"],
    "ablation.csv": CLAMPED,
    "figure6.csv": ["layers", "size", "category", "errors"],
}
HISTORY = ["epoch", "train_loss", "val_loss"]


@dataclass(frozen=True)
class Claim:
    """A claim: a short name, the paper's statement, and the function that tests it.

    The function raises Missing where its evidence is incomplete; its docstring is printed on the
    page.
    """

    name: str
    says: str
    test: Callable[[Evidence], list[Finding]]


CLAIMS = (
    Claim("depth helps", "Networks with at least two layers outperform those with one.",
          losses.depth_helps),
    Claim("3 layers against 2 is mixed", "Neither three layers nor two are consistently better.",
          losses.third_layer_mixed),
    Claim("LSTM beats RNN", "The LSTM outperforms the RNN.", losses.beats_rnn("lstm")),
    Claim("GRU beats RNN", "The GRU outperforms the RNN.", losses.beats_rnn("gru")),
    Claim("LSTM against GRU is mixed", "Neither the LSTM nor the GRU is consistently better.",
          losses.lstm_and_gru_mixed),
    Claim("best network beats the n-gram", "The best recurrent network outperforms the 20-gram.",
          losses.best_beats_ngram),
    Claim("n-NN agrees with n-gram", "For small n, the n-NN and the n-gram perform equally well.",
          baselines.nn_agrees),
    Claim("n-NN falls behind", "For larger n, the n-NN falls behind the n-gram.",
          baselines.nn_falls_behind),
    Claim("n-NN's loss rises", "At the largest n, the n-NN’s loss is higher than at a smaller one.",
          baselines.nn_loss_rises),
    Claim("n-NN overfits", "For larger n, the n-NN overfits.", baselines.nn_overfits),
    Claim("deviations are small", "The standard deviation of every loss over bootstrap samples of "
          "the test set is below 0.004.", captions.deviations_are_small),
    Claim("networks are small", "The best network takes megabytes (11 MB in the paper), the "
          "20-gram gigabytes (3 GB).", captions.networks_are_small),
    Claim("RNNs lie apart", "RNNs predict differently from LSTMs and GRUs, which predict alike.",
          likeness.rnns_lie_apart),
    Claim("long reach", "The LSTM gains most over the n-gram on characters that depend on "
          "long-range context: brackets, quotes, newline, space.", reach.gains_on_long_reach),
    Claim("far braces", "The LSTM predicts “}” better than the n-gram when its “{” is far away.",
          reach.gains_on_far_braces),
    Claim("brace gain decays", "The gain on “}” grows with the distance to its “{” up to about 60 "
          "characters, then decays.", reach.brace_gain_decays),
    Claim("first a 1-NN, then more", "Early in training, the LSTM resembles first the 1-NN, "
          "then the 2-NN, then the 3-NN.", first_epochs.nearest_nn_climbs),
    Claim("then a 4-NN and a 5-NN", "The resemblance goes on to the 4-NN and the 5-NN.",
          first_epochs.nearest_nn_goes_on),
    Claim("size removes n-gram errors", "Most of the errors that a larger LSTM removes are "
          "errors that an n-gram model does not make.",
          error_causes.size_removes_ngram_errors),
    Claim("interpretable cells exist", "Some units are interpretable.",
          units.units_follow_hypotheses),
    Claim("interpretable cells are used", "The network uses the units that are interpretable: they "
          "are not only there.", ablation.interpretable_units_are_used),
    Claim("most cells are not", "Most units are not interpretable.", units.most_units_do_not),
    Claim("forget gates remember", "Some forget gates are almost always open (right-saturated): "
          "their units remember for very long.", gates.forget_gates_stay_open),
    Claim("output gates move", "No output gate is always open or always closed.",
          gates.output_gates_move),
    Claim("first GRU layer is one-sided", "In the first layer of the GRU, the reset gate is almost "
          "never right-saturated, and the update gate almost never left-saturated.",
          gates.first_gru_layer_is_one_sided),
    Claim("first layer is diffuse", "The gates of the first layer are saturated far less often "
          "than those of higher layers.", gates.first_layer_is_diffuse),
)  # fmt: skip


def judge(evidence: Iterable[Evidence]) -> pd.DataFrame:
    """Every claim on every corpus that it applies to: a row per finding, columns COLUMNS."""
    rows = []
    for corpus in evidence:
        paper = in_paper(corpus)
        for place, claim in enumerate(CLAIMS):
            theirs = {found.part: round(found.effect, 6) + 0.0 for found in findings(claim, paper)}
            for found in findings(claim, corpus):
                where = corpus.about["corpus"] + (f": {found.part}" if found.part else "")
                numbers = (found.effect, found.low, found.high, theirs.get(found.part, math.nan))
                rows.append([place, claim.name, where, found.verdict, *numbers, found.basis])
    rows.sort(key=lambda row: row[0])  # claim by claim, then corpus by corpus
    return pd.DataFrame([row[1:] for row in rows], columns=COLUMNS)


def findings(claim: Claim, evidence: Evidence) -> list[Finding]:
    """A claim's findings; a single undecided one where evidence is missing."""
    try:
        return claim.test(evidence)
    except Missing as missing:
        return [Finding("", UNDECIDED, *(math.nan,) * 3, f"missing: {missing}")]


def in_paper(evidence: Evidence) -> Evidence:
    """Evidence from the paper's tables 1 and 2, on the models that are scored here.

    It consists of losses alone, so only the effects of its findings have a meaning. The paper gives
    no validation losses; its test losses stand in for them.
    """
    kinds = {name: kind for kind, name in MODELS.items()}
    here = {replace(score.key, seed=None) for score in evidence.scores}
    scores = []
    for row in pd.concat([paper_table(1), paper_table(2)]).to_dict("records"):
        loss, kind = row["loss"], kinds.get(row["type"], "recurrent")
        about = {name: int(row[name]) for name in ("layers", "size", "n") if row[name] == row[name]}
        about |= {"corpus": row["corpus"], "family": kind}
        about |= {"type": row["type"]} if kind == "recurrent" else {}
        key = ModelKey.of(about)
        if key in here:
            digest = {"loss": loss, "streams": [loss] * len(evidence.split["test_y"])}
            meta = about | {"val_loss": loss, "digest": digest}
            scores.append(Score(Path("paper", key.path), meta, None))
    return Evidence(evidence.about, scores, evidence.split, evidence.draws)


# ---- the command line ----


def add_arguments(parser):
    parser.add_argument("--scores", nargs="*", default=[], help="scores of all models")
    parser.add_argument("--arrays", nargs="*", default=[], help="of models given as digests")
    parser.add_argument("--splits", nargs="+", required=True, help="corpora's .npz")
    parser.add_argument("--texts", nargs="*", default=[], help="corpora's .txt (kind code)")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--trajectory", nargs="*", default=[], help="an LSTM's first epochs (.csv)")
    parser.add_argument("--histories", nargs="*", default=[], help="of n-NN trainings (.csv)")
    parser.add_argument("--inside", nargs="*", default=[], help=", ".join(INSIDE))
    parser.add_argument("--status", help="which models are finished (.csv)")
    parser.add_argument("--published", help="findings for what cannot be tested here (.csv)")
    parser.add_argument("--resamples", type=int, default=10_000, help="of the test streams")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--csv", required=True, help="the verdicts")
    parser.add_argument("--html", required=True, help="the verdicts as a page")


def run(args):
    if args.resamples < 1000:
        raise InputError(f"--resamples {args.resamples}: an interval needs 1000 or more")
    corpora = read_corpora(args.corpora)
    table = judge(gather(args, corpora))
    if args.published:
        table = with_published(table, read_table(args.published, COLUMNS))
    write_csv(table, args.csv)
    html = page.page(table, CLAIMS, corpora, args.resamples)
    write_atomically(args.html, html.encode())


def gather(args, corpora: dict[str, dict]) -> list[Evidence]:
    """Read the evidence on each corpus. Raises InputError where a file is unusable."""
    splits, texts = by_stem(args.splits, corpora, "split"), by_stem(args.texts, [], "text")
    trajectories = by_stem(args.trajectory, [], "trajectory")
    scores = with_arrays(
        read_scores(args.scores, "recurrent", "nn", "ngram"), read_scores(args.arrays, "recurrent")
    )
    inside = {
        path.name: read_table(path, ["corpus", *INSIDE.get(path.name, [])])
        for path in map(Path, args.inside)
    }
    histories = {ModelKey.parse(path): read_table(path, HISTORY) for path in args.histories}
    planned = planned_networks(read_status(args.status)) if args.status else []

    def of(table: str, corpus: str) -> pd.DataFrame | None:
        return inside[table][inside[table]["corpus"] == corpus] if table in inside else None

    everything: list[Evidence] = []
    for corpus, about in corpora.items():
        own = [score for score in scores if score.key.corpus == corpus]
        split = read_split(splits[corpus], own)
        everything.append(
            Evidence(
                about,
                own,
                split,
                stream_draws(len(split["test_y"]), args.resamples, args.seed),
                text=read_text(texts[corpus]) if corpus in texts else None,
                first_epochs=(
                    read_trajectory(trajectories[corpus]) if corpus in trajectories else None
                ),
                gates=of("gates.csv", corpus),
                units=of("cells.csv", corpus),
                hypotheses=of("hypotheses.csv", corpus),
                ablation=of("ablation.csv", corpus),
                oracles=of("figure6.csv", corpus),
                histories={key: h for key, h in histories.items() if key.corpus == corpus},
                planned=[key for key in planned if key.corpus == corpus],
                everything=everything,
            )
        )
    return everything
