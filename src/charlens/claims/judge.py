"""`charlens claims`: put every claim to the test.

Each claim is tested by a small function that takes the evidence on one corpus and returns findings:
a verdict, an effect and its 95% interval (see `measure`). Run on the paper's own tables, the same
functions give the effect in the paper.
"""

import argparse
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from charlens import arguments
from charlens.claims import page
from charlens.claims.catalog import CLAIMS, NEWER, Claim, claims_about
from charlens.claims.evidence import Evidence, Missing, NotInRun
from charlens.claims.measure import Finding
from charlens.claims.published import read_sums, with_published, write_sums
from charlens.errors import InputError
from charlens.files import write_atomically, write_csv
from charlens.statistics.bootstrap import draws_of_test
from charlens.store.corpora import by_stem, read_corpora, read_split, read_text
from charlens.store.models import ModelKey, digests_of_networks
from charlens.store.scores import Score, read_scores
from charlens.store.tables import (
    INSIDE,
    MISSING,
    MODELS,
    NOT_IN_RUN,
    PROBES,
    UNDECIDED,
    paper_table,
    planned_models,
    read_claims,
    read_status,
    read_table,
    read_trajectory,
)

COLUMNS = ["claim", "where", "verdict", "effect", "low", "high", "paper", "basis", "reason"]
FOUND = ["model", "hypothesis", "layer", "unit", "score", "low", "high", "picked"]
CLAMPED = ["model", "hypothesis", "layer", "unit", "clamp", "own", "own_low", "own_high",
           "controls", "used"]  # fmt: skip
UNIT_TABLES = {  # the tables about units, gates and errors, and the columns that are read
    "gates.csv": ["type", "layers", "size", "layer", "gate", "left", "right"],
    "cells.csv": [*FOUND, "beyond"],
    "hypotheses.csv": [*FOUND, "measure"],
    "ablation.csv": CLAMPED,
    "probes.csv": PROBES,
    "figure6.csv": ["layers", "size", "category", "errors"],
    "inside.csv": INSIDE,
}
OF_TYPES = {  # tables in types/<type>/, by field of Evidence; figure5/<corpus>.csv beside them
    "hypotheses": "hypotheses.csv",
    "ablation": "ablation.csv",
    "probes": "probes.csv",
}
HISTORY = ["epoch", "train_loss", "val_loss"]


def judge(evidence: Iterable[Evidence]) -> pd.DataFrame:
    """Every claim on every corpus that it applies to: a row per finding, columns COLUMNS."""
    rows = []
    for corpus in evidence:
        paper = in_paper(corpus)
        for place, claim in enumerate(claims_about(corpus)):
            theirs = {found.part: round(found.effect, 6) + 0.0 for found in findings(claim, paper)}
            for found in findings(claim, corpus):
                where = corpus.about["corpus"] + (f": {found.part}" if found.part else "")
                numbers = (found.effect, found.low, found.high, theirs.get(found.part, math.nan))
                words = (found.basis, found.reason)
                rows.append([place, claim.name, where, found.verdict, *numbers, *words])
    rows.sort(key=lambda row: row[0])  # claim by claim, then corpus by corpus
    return pd.DataFrame([row[1:] for row in rows], columns=COLUMNS)


def findings(claim: Claim, evidence: Evidence) -> list[Finding]:
    """A claim's findings; a single undecided one where evidence is missing, or the run was not to
    have it."""
    try:
        return claim.test(evidence)
    except NotInRun as missing:
        words = f"not in this run: {missing}"
        return [Finding("", NOT_IN_RUN, *(math.nan,) * 3, words, NOT_IN_RUN)]
    except Missing as missing:
        return [Finding("", UNDECIDED, *(math.nan,) * 3, f"missing: {missing}", MISSING)]


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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", nargs="*", default=[], help="scores of all models")
    parser.add_argument("--splits", nargs="+", required=True, help="corpora's .npz")
    parser.add_argument("--texts", nargs="*", default=[], help="corpora's .txt")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--trajectory", nargs="*", default=[], help="an LSTM's first epochs (.csv)")
    parser.add_argument("--histories", nargs="*", default=[], help="of n-NN trainings (.csv)")
    parser.add_argument(
        "--nn-hidden",
        nargs="*",
        type=arguments.count,
        default=[],
        help="candidates that n-NNs are to have",
    )
    parser.add_argument("--inside", nargs="*", default=[], help=", ".join(UNIT_TABLES))
    parser.add_argument(
        "--of-types", nargs="*", default=[], help="types/<type>/tables/..., with"
        f" {', '.join(OF_TYPES.values())}, and types/<type>/figure5/<corpus>.csv",
    )  # fmt: skip
    parser.add_argument(
        "--seeds-from", help="a publication: how much its losses vary with the seed stands in where"
        " no network here has two seeds",
    )  # fmt: skip
    parser.add_argument("--status", help="which models are finished (.csv)")
    parser.add_argument("--published", help="findings for what cannot be tested here (.csv)")
    parser.add_argument(
        "--published-sums", nargs="*", default=[], help="what was measured on scores of which only"
        " a digest is here (.csv)",
    )  # fmt: skip
    parser.add_argument(
        "--resamples", type=arguments.resamples, default=10_000, help="of the test streams"
    )
    parser.add_argument("--seed", type=arguments.seed, default=0, help="of the bootstrap")
    parser.add_argument("--csv", required=True, help="the verdicts")
    parser.add_argument("--sums-csv", help="what was measured in each test stream, to be published")
    parser.add_argument("--html", required=True, help="the verdicts as a page")


def run(args: argparse.Namespace) -> None:
    corpora = read_corpora(args.corpora)
    evidence = gather(args, corpora)
    table = judge(evidence)
    if args.published:
        table = with_published(table, read_claims(args.published, COLUMNS[:-1]))
    write_csv(table, args.csv)
    if args.sums_csv:
        sums = {key: found for corpus in evidence for key, found in corpus.sums.items()}
        write_sums(sums, [score for corpus in evidence for score in corpus.scores], args.sums_csv)
    newer = NEWER if any(corpus.newer_types for corpus in evidence) else ()
    html = page.page(table, CLAIMS, corpora, args.resamples, newer)
    write_atomically(args.html, html.encode())


def gather(args: argparse.Namespace, corpora: dict[str, dict]) -> list[Evidence]:
    """Read the evidence on each corpus. Raises InputError where a file is unusable."""
    splits, texts = by_stem(args.splits, corpora, "split"), by_stem(args.texts, [], "text")
    trajectories = by_stem(args.trajectory, [], "trajectory")
    scores = read_scores(args.scores, "recurrent", "nn", "ngram")
    inside = {
        path.name: read_table(path, ["corpus", *UNIT_TABLES.get(path.name, [])])
        for path in map(Path, args.inside)
    }
    of_types = read_of_types(args.of_types)
    histories = {ModelKey.parse(path): read_table(path, HISTORY) for path in args.histories}
    planned = planned_models(read_status(args.status)) if args.status else []

    def of(table: str, corpus: str) -> pd.DataFrame | None:
        return inside[table][inside[table]["corpus"] == corpus] if table in inside else None

    everything: list[Evidence] = []
    sums = read_sums(args.published_sums)
    for corpus, about in corpora.items():
        own = [score for score in scores if score.key.corpus == corpus]
        split = read_split(splits[corpus], own)
        everything.append(
            Evidence(
                about,
                own,
                split,
                draws_of_test(split, args.resamples, args.seed),
                text=read_text(texts[corpus]) if corpus in texts else None,
                first_epochs=(
                    read_trajectory(trajectories[corpus]) if corpus in trajectories else None
                ),
                gates=of("gates.csv", corpus),
                units=of("cells.csv", corpus),
                hypotheses=of("hypotheses.csv", corpus),
                ablation=of("ablation.csv", corpus),
                probes=of("probes.csv", corpus),
                oracles=of("figure6.csv", corpus),
                inside=of("inside.csv", corpus),
                of_types={t: tables[corpus] for t, tables in of_types.items() if corpus in tables},
                histories={key: h for key, h in histories.items() if key.corpus == corpus},
                planned=[key for key in planned if key.corpus == corpus],
                hidden=args.nn_hidden,
                sums=sums,
                everything=everything,
            )
        )
    if args.seeds_from:
        everything += [repeated(corpus, args.seeds_from) for corpus in list(everything)]
    return everything[: len(corpora)]


def read_of_types(paths: Iterable[str]) -> dict[str, dict[str, dict[str, pd.DataFrame]]]:
    """The tables about single networks of other types: by type, by corpus, by field of Evidence.

    Raises InputError where a path or a file is unusable.
    """
    found: dict[str, dict[str, dict[str, pd.DataFrame]]] = {}
    for path in map(Path, paths):
        *_, folder, type, kind, _ = ("", "", "", "", *path.parts)
        if folder != "types" or kind not in ("tables", "figure5"):
            raise InputError(f"--of-types {path}: expected types/<type>/tables/<table>.csv")
        of_type = found.setdefault(type, {})
        if kind == "figure5":
            of_type.setdefault(path.stem, {})["first_epochs"] = read_trajectory(path)
            continue
        columns = UNIT_TABLES.get(path.name, [])
        for field, name in OF_TYPES.items():
            if name == path.name:
                for corpus, own in read_table(path, ["corpus", *columns]).groupby("corpus"):
                    of_type.setdefault(corpus, {})[field] = own
    return found


def repeated(corpus: Evidence, publication: str) -> Evidence:
    """The published networks of a corpus, from several seeds, of which only digests are known.

    Raises InputError where there are none, or a digest is of another text or split.
    """
    name = corpus.about["corpus"]
    paths = digests_of_networks(publication, name)
    if not paths:
        raise InputError(f"--seeds-from {publication}: no published networks of {name}")
    scores = read_scores(paths, "recurrent")
    for score in scores:
        score.stream_losses(len(corpus.split["test_y"]))
        if score.meta["source"] != corpus.about["source"]:
            raise InputError(
                f"--seeds-from {publication}: {name} is of {score.meta['source']} there, and of"
                f" {corpus.about['source']} here: losses of two texts are not compared"
            )
    about = corpus.about | {"title": f"{corpus.about['title']} in {publication}"}
    return Evidence(about, scores, corpus.split, corpus.draws)
