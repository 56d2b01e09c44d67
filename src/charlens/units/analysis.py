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
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from charlens import arguments
from charlens.backends import base
from charlens.data import split
from charlens.errors import InputError
from charlens.files import only_one, write_csv, write_with_digest
from charlens.networks import cells, model_file
from charlens.progress import say
from charlens.store import models
from charlens.store.corpora import read_text
from charlens.store.reading import read_json
from charlens.store.tables import UNITS
from charlens.text import symbols, unicode
from charlens.text.hypotheses import HYPOTHESES
from charlens.text.own_characters import own_characters
from charlens.text.stand_ins import parsed
from charlens.training.train import describe
from charlens.units import baselines, selectivity
from charlens.units.activations import (
    fill_memories,
    in_windows,
    load_recurrent,
    mapped,
    offsets,
    put_by_unit,
    require_memory,
    untrained,
)
from charlens.units.parts import part_scores
from charlens.units.passages import PASSAGE, passages, wanted_passages

LEFT, RIGHT = 0.1, 0.9  # a gate is left-saturated below, right-saturated above
GATES = ["corpus", "type", "layers", "size", "layer", "gate", "unit", "left", "right"]
OUTPUTS = {  # option: the file's name beside a model
    "gates": "gates.csv", "cells": "cells.csv", "untrained": "untrained.csv", "out": "found.json",
}  # fmt: skip


# ---- which models ----


def best_for_units(paths: list[Path]) -> Path:
    """The model file of `models.best_for_units`."""
    return models.best_for_units(paths, model_file.about)


def best_by_type(paths: list[Path]) -> list[Path]:
    """For each type with gates, its best network with 3 layers or, without any, the deepest."""
    types = dict.fromkeys(model_file.about(path)["type"] for path in paths)
    return [
        models.best(paths, model_file.about, type, paper_depth=True)
        for type in types
        if saturating_gates(type)
    ]


def saturating_gates(type: str) -> list[str]:
    """The gates of a cell type whose saturation is measured: i, f, o of LSTM, r, z of GRU."""
    return [name for name in cells.gate_names(type) if name != cells.CANDIDATE]


# ---- the pass over the test split ----


def observe(arch, params, x: torch.Tensor, values: np.ndarray | None):
    """Read the test streams x, codes [S, n], and count saturation (figure 3).

    Returns {gate: int64 [2, layers, H]}: at how many characters each unit was left- and
    right-saturated. values: float16 [layers * H, S, n], filled with the units' memory; None if it
    is not wanted.
    """
    gates, state_name = saturating_gates(arch.type), cells.memory(arch.type)
    counts = {gate: torch.zeros(2, arch.layers, arch.hidden, dtype=torch.int64) for gate in gates}
    recorded = gates if values is None else [*gates, state_name]
    for at, window in in_windows(arch, params, x, recorded):
        for gate in gates:
            counts[gate][0] += (window[gate] < LEFT).sum(dim=(1, 2))
            counts[gate][1] += (window[gate] > RIGHT).sum(dim=(1, 2))
        if values is not None:
            put_by_unit(values, at, window[state_name])
    return counts


def gate_rows(counts, arch, size: int, corpus: str, characters: int) -> pd.DataFrame:
    """Figure 3: one row per unit of each gate, columns GATES; layers and units count from 1.

    counts: {gate: [2, layers, H]} from `observe`, over so many `characters`.
    """
    rows = [
        (corpus, arch.type, arch.layers, size, layer + 1, gate, unit + 1, *(share / characters))
        for gate, count in counts.items()
        for layer in range(arch.layers)
        for unit, share in enumerate(count[:, layer].T.numpy())
    ]
    return pd.DataFrame(rows, columns=GATES)


def read_labels(text: unicode.Text, kind: str, read: np.ndarray):
    """The labels of the characters read: {hypothesis: (values, defined, yes_no)}.

    read: their offsets in the text, int [S, n]; labels are undefined at -1, before the text.
    values: int32 [S, n]; defined: bool [S, n].
    """
    found, text = {}, parsed(text)
    for hypothesis in HYPOTHESES:
        if kind in hypothesis.label:
            labels = hypothesis.label[kind](text)  # of the whole text: they depend on what precedes
            defined = labels.defined[read] & (read >= 0)
            found[hypothesis.name] = labels.values[read], defined, hypothesis.yes_no
    return found


def labels_of_parts(text: unicode.Text, kind: str, *reads: np.ndarray) -> list[dict]:
    """`read_labels` for several arrays of offsets [S, n], which differ in n: a dict for each."""
    every = read_labels(text, kind, np.concatenate(reads, axis=1))
    ends, found = np.cumsum([read.shape[1] for read in reads]), []
    for read, end in zip(reads, ends, strict=True):
        own = slice(end - read.shape[1], end)
        found.append({name: (v[:, own], d[:, own], yes) for name, (v, d, yes) in every.items()})
    return found


def own_in_test(data, text: unicode.Text, kind: str, names: Iterable[str], n: int) -> torch.Tensor:
    """The characters that each hypothesis is about, among the first n that each test stream
    predicts: bool [Y, S, n]."""
    at, text = data.test.at[:, None] + np.arange(n), parsed(text)
    labels = {h.name: h.label[kind] for h in HYPOTHESES if kind in h.label}
    own = [own_characters(name, text, labels[name](text))[at] for name in names]
    return torch.from_numpy(np.stack(own)) if own else torch.zeros(0, *at.shape, dtype=torch.bool)


def unit_rows(found: selectivity.Found, beaten, arch, corpus: str, name: str) -> pd.DataFrame:
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
    data = split.load(args.split)
    text = read_text(args.text, args.info)
    check_text(args, data, text)
    wanted = wanted_passages(args.passages, corpus)
    if data.streams < 2 * selectivity.STREAMS:
        say(  # which a run shows
            "charlens",
            f"{corpus}: {data.streams} streams are too few to select units on some and evaluate"
            f" them on others: nothing is tested (at least {2 * selectivity.STREAMS})",
        )
    chosen = best_for_units(args.models)
    require_memory(model_file.about(chosen)["type"])
    by_type = best_by_type(args.models)
    x = torch.from_numpy(data.test.x)
    reads = offsets(data.train), offsets(data.test)
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


def check_text(args: argparse.Namespace, data, text: unicode.Text) -> None:
    """Raise InputError if the split was not made from this text."""
    positions = data.test.at[:, None] + np.arange(data.test.y.shape[1])
    found = symbols.numbers(text)
    if positions.max() >= len(text) or np.any(found[positions] != data.alphabet[data.test.y]):
        raise InputError(f"{args.split} was not made from {args.text}: rerun charlens split")


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


def print_strongest(found: selectivity.Found, arch, label: str) -> None:
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
