"""`charlens cells`: what the units of a corpus's networks do over its test split (section 4.2).

    --gates      for each unit of each gate, the share of test characters at which it is saturated:
                 left (below 0.1), right (above 0.9) (figure 3)
    --cells      the scores of every unit of the best LSTM against every hypothesis, see
                 `selectivity`, and whether they exceed both baselines, see `baselines`
    --untrained  the same for an untrained network of the same shape
    --out        the network, the hypotheses that were tested, what the last k characters tell of
                 each, and passages with tanh(c) of the units that were found (figure 2)

A network reads every test stream from a zero state, as in scoring. "Best" is lowest validation
loss. Memory is bounded: the units' values are kept on disk, as float16, until they are scored.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from charlens import arguments
from charlens.backends import base
from charlens.errors import InputError
from charlens.files import only_one, write_csv, write_with_digest
from charlens.networks import model_file
from charlens.networks.architecture import Architecture
from charlens.progress import say
from charlens.store import models
from charlens.store.reading import read_json
from charlens.store.tables import UNITS
from charlens.text.hypotheses import HYPOTHESES
from charlens.training.train import describe
from charlens.units import baselines, selectivity
from charlens.units.activations import (
    fill_memories,
    load_recurrent,
    mapped,
    require_memory,
    untrained,
)
from charlens.units.labels import labels_of_parts, read_corpus
from charlens.units.parts import part_scores
from charlens.units.passages import PASSAGE, passages, wanted_passages
from charlens.units.saturation import GATES, gate_rows, observe, saturating_gates

OUTPUTS = {  # option: the file's name beside a model
    "gates": "gates.csv", "cells": "cells.csv", "untrained": "untrained.csv", "out": "found.json",
}  # fmt: skip


def best_by_type(paths: list[Path]) -> list[Path]:
    """For each type with gates, its best network with 3 layers or, without any, the deepest."""
    types = dict.fromkeys(model_file.about(path)["type"] for path in paths)
    return [
        models.best(paths, model_file.about, type, paper_depth=True)
        for type in types
        if saturating_gates(type)
    ]


def unit_rows(
    found: selectivity.Found, beaten, arch: Architecture, corpus: str, name: str
) -> pd.DataFrame:
    """One row per unit and hypothesis, columns UNITS; layers and units are counted from 1.

    beaten: bool [U, Y], see `baselines.beyond_baselines`.
    """
    U, Y = found.score.shape
    unit, hypothesis = np.divmod(np.arange(U * Y), max(1, Y))
    return pd.DataFrame(
        {
            "corpus": corpus,
            "model": name,
            "layer": unit // arch.hidden + 1,
            "unit": unit % arch.hidden + 1,
            "hypothesis": np.array(found.hypotheses, dtype=object)[hypothesis],
            **{
                column: getattr(found, column).ravel()
                for column in ("score", "low", "high", "picked", "beyond")
            },
            "beyond_baselines": beaten.ravel(),
        },
        columns=UNITS,
    )


# ---- the job ----


def analyse(args: argparse.Namespace) -> None:
    """Analyse the networks of a corpus, in one process at a time. Raises as `analyse_corpus`."""
    info = read_json(args.info)
    lock = args.cells.with_name(f".{info['corpus']}.lock")
    with only_one(lock, info["corpus"], "analysing its networks"):
        analyse_corpus(args, info["corpus"], info["kind"])


def analyse_corpus(args: argparse.Namespace, corpus: str, kind: str) -> None:
    """Write all tables and the report; kind: "prose" or "code".

    Raises InputError where a file or an option is unusable.
    """
    data, text = read_corpus(args.split, args.text, args.info)
    wanted = wanted_passages(args.passages, corpus)
    if data.streams < 2 * selectivity.STREAMS:
        say(  # which a run shows
            "charlens",
            f"{corpus}: {data.streams} streams are too few to select units on some and evaluate"
            f" them on others: nothing is tested (at least {2 * selectivity.STREAMS})",
        )
    chosen = model_file.best_for_units(args.models)
    require_memory(model_file.about(chosen)["type"])
    by_type = best_by_type(args.models)
    x = torch.from_numpy(data.test.x)
    reads = data.train.read_at(), data.test.read_at()
    train_labels, labels = labels_of_parts(text, kind, *reads)
    gates = []
    for stale in args.cells.parent.glob(f".tmp-{corpus}-*"):  # left by a killed process
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(dir=args.cells.parent, prefix=f".tmp-{corpus}-") as folder:
        for path in dict.fromkeys([*by_type, chosen]):
            arch, params, about = load_recurrent(path, data)
            values = None
            if path == chosen:
                shape = (arch.layers * arch.hidden, *x.shape)
                values = mapped(Path(folder, "values.npy"), np.float16, shape)
                best = arch, params, about, values
            counts = observe(arch, params, x, values)
            if path in by_type:
                size = about["size"] or arch.hidden
                gates.append(gate_rows(counts, arch, size, corpus, x.numel()))
            print(f"{corpus} {describe(arch, about['size'])}: read {x.numel():,} characters")
        arch, params, about, values = best
        name = describe(arch, about["size"])
        found = selectivity.search(values, labels, args.samples, args.shifts, args.seed)
        shown = passages(arch, params, data, text, labels, found, values, wanted, PASSAGE[kind])
        parts = part_scores(found, values, text, kind, reads[1], args.samples, args.seed)
        fill_memories(arch, untrained(arch, about, args.seed), x, values)
        control = selectivity.search(values, labels, args.samples, args.shifts, args.seed)
    tested_labels = {hypothesis: labels[hypothesis] for hypothesis in found.hypotheses}
    guessed = baselines.last_characters(data.train.x, train_labels, data.test.x, data.symbols)
    last = baselines.score_last(guessed, tested_labels, args.samples, args.seed)
    report = {
        "corpus": corpus,
        "model": name,
        **{key: about[key] for key in ("type", "layers", "size", "hidden", "seed", "val_loss")},
        "samples": args.samples,
        "shifts": args.shifts,
        # by these `charlens publish` knows whether settings or networks have changed since
        "options": {"seed": args.seed, "passages": wanted},
        "networks": models.looked_at(args.models, model_file.about),
        "streams": len(selectivity.selection_and_evaluation(data.streams)[1]),
        "hypotheses": tested(labels, found, last),
        "parts": parts,
        "passages": shown,
    }
    write_csv(pd.concat(gates) if gates else pd.DataFrame(columns=GATES), args.gates)
    for one, path in ((found, args.cells), (control, args.untrained)):
        beaten = baselines.beyond_baselines(one, control, last)
        write_csv(unit_rows(one, beaten, arch, corpus, name), path)
    write_with_digest(args.out, (json.dumps(report, indent=1) + "\n").encode())
    print_strongest(found, arch, f"{corpus} {name}")


def tested(labels: dict, found: selectivity.Found, last: baselines.LastCharacters) -> list[dict]:
    """The report's entry for each hypothesis that applies to the text.

    last_k: the strength of the predictor from the last k characters.
    """
    known = {
        name: {"k": int(k), "last_k": round(float(strength), 6)}
        for name, k, strength in zip(found.hypotheses, last.k, last.strength, strict=True)
    }
    return [
        {
            "hypothesis": h.name,
            "title": h.title,
            "yes_no": h.yes_no,
            "searched": h.name in found.hypotheses,
            "mean": round(float(values[defined].mean()), 6) if defined.any() else None,
            "undefined": round(float(1 - defined.mean()), 6),
            **known.get(h.name, {"k": None, "last_k": None}),
        }
        for h in HYPOTHESES
        if h.name in labels
        for values, defined, _ in [labels[h.name]]
    ]


def print_strongest(found: selectivity.Found, arch: Architecture, label: str) -> None:
    """One line per hypothesis: its strongest unit and how that scores on the evaluation streams."""
    for y, hypothesis in enumerate(found.hypotheses):
        unit = found.selected[y]
        at = f"{unit // arch.hidden + 1}.{unit % arch.hidden + 1}"
        score, low, high = (part[unit, y] for part in (found.score, found.low, found.high))
        measure = "AUC" if found.yes_no[y] else "tau"
        print(f"{label} {hypothesis}: {at} {measure} {score:.3f} ({low:.3f} to {high:.3f})")


# ---- command lines ----


def fill_in(args: argparse.Namespace) -> None:
    """Take what was not given from the run of the first model, results/<run>/models/<corpus>/...:
    the corpus is that run's, and tables go to a folder `cells` beside the model.

    Raises InputError where the model lies in no run and an input is missing.
    """
    model = args.models[0].absolute()
    runs = [folder.parent for folder in model.parents if folder.name == "models"]
    for option, suffix in (("split", "npz"), ("text", "txt"), ("info", "json")):
        if getattr(args, option) is None:
            if not runs:
                raise InputError(
                    f"{args.models[0]} lies in no run: give --split, --text and --info"
                )
            corpus = models.ModelKey.parse(model).corpus
            setattr(args, option, runs[-1] / "corpora" / f"{corpus}.{suffix}")
    for option, name in OUTPUTS.items():
        if getattr(args, option) is None:
            setattr(args, option, model.parent / "cells" / name)
            getattr(args, option).parent.mkdir(parents=True, exist_ok=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models", type=Path, nargs="+", help="recurrent networks: the units of the best LSTM are"
        " scored, and gates of the best of each type with 3 layers (or the most)",
    )  # fmt: skip
    of_run = "(default: that of the run in which the first model lies)"
    parser.add_argument("--split", type=Path, help=f"the corpus, split (.npz) {of_run}")
    parser.add_argument("--text", type=Path, help=f"the corpus (.txt) {of_run}")
    parser.add_argument("--info", type=Path, help=f"its provenance (.json) {of_run}")
    parser.add_argument(
        "--samples", type=arguments.resamples, default=1000, help="bootstrap samples of streams"
    )
    parser.add_argument(
        "--shifts",
        type=arguments.count,
        default=250,
        help="circular shifts of the labels, for the null",
    )
    parser.add_argument(
        "--seed", type=arguments.seed, default=0, help="of the bootstrap and the null"
    )
    parser.add_argument("--passages", default="[]", metavar="JSON", help="more passages to show")
    base.add_threads(parser)
    beside = "(default: cells/{} beside the first model)"
    outputs = {
        "gates": "saturation of gates (.csv)",
        "cells": "scores of units (.csv)",
        "untrained": "those of an untrained network (.csv)",
        "out": "what was found (.json)",
    }
    for option, what in outputs.items():
        shown = f"{what} {beside.format(OUTPUTS[option])}"
        parser.add_argument(f"--{option}", type=Path, help=shown)


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    fill_in(args)
    with threadpool_limits(args.threads):  # numpy's products
        analyse(args)
