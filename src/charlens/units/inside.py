"""`charlens inside`: units and gates of one network, in short (section 4.2).

What `charlens cells` measures in the best networks, without intervals and null distributions, so
that every network of the grid can be measured. Rows of columns `store.tables.INSIDE`, for all
layers together and for each:

    best <hypothesis>         the strength, on the evaluation streams, of the unit selected for it
    units <least>             the share of units with at least this strength on the evaluation
                              streams, each on the hypothesis selected for it
    left <gate>, right ...    the share of test characters at which the gate is saturated, mean over
                              units
    always left <gate>, ...   the share of units whose gate always is, at ALWAYS of the characters
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from charlens.backends import base
from charlens.files import write_csv
from charlens.networks.cells import memory
from charlens.store.reading import read_json, require
from charlens.store.tables import ALWAYS, INSIDE
from charlens.training.train import describe
from charlens.units import selectivity
from charlens.units.activations import load_recurrent, mapped
from charlens.units.labels import read_corpus, read_labels
from charlens.units.saturation import observe


def unit_measures(found: selectivity.Found, units: slice) -> dict[str, float]:
    """Of some of the units: the best strength for each hypothesis, and the shares of SHARES."""
    picked = selectivity.strength(found.picked[units], found.yes_no)
    strength = selectivity.strength(found.score[units], found.yes_no)
    best = picked.argmax(axis=0)
    measured = {f"best {name}": strength[best[y], y] for y, name in enumerate(found.hypotheses)}
    own = strength[np.arange(len(picked)), picked.argmax(axis=1)] if found.hypotheses else picked
    for least in selectivity.SHARES if found.hypotheses else ():
        measured[f"units {least:g}"] = (own >= least).mean()
    return measured


def gate_measures(shares: dict[str, np.ndarray], layers: slice) -> dict[str, float]:
    """Saturation in some of the layers. shares: {gate: [2, layers, H]}, of the test characters."""
    measured = {}
    for gate, of in shares.items():
        for side, share in zip(("left", "right"), of[:, layers], strict=True):
            measured[f"{side} {gate}"] = share.mean()
            measured[f"always {side} {gate}"] = (share >= ALWAYS).mean()
    return measured


def measure(args: argparse.Namespace) -> pd.DataFrame:
    """The rows of one network, none of one that diverged. Raises InputError where a file is
    unusable."""
    info = read_json(args.info)
    require(info, ("corpus", "kind"), args.info)
    data, text = read_corpus(args.split, args.text, args.info)
    arch, params, about = load_recurrent(args.model, data)
    if "failed" in about:
        print(f"{info['corpus']} {describe(arch, about['size'])}: diverged, so nothing to measure")
        return pd.DataFrame(columns=INSIDE)
    labels = read_labels(text, info["kind"], data.test.read_at())
    x = torch.from_numpy(data.test.x)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = f".tmp-{args.out.stem}-"
    for stale in args.out.parent.glob(f"{temporary}*"):  # left by a killed process
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(dir=args.out.parent, prefix=temporary) as folder:
        shape = (arch.layers * arch.hidden, *x.shape)
        values = None  # of a type without a state per unit, whose gates alone are measured
        if memory(arch.type) is not None:
            values = mapped(Path(folder, "values.npy"), np.float16, shape)
        counts = observe(arch, params, x, values)
        found = None if values is None else selectivity.scored(values, labels)
    shares = {gate: count.numpy() / x.numel() for gate, count in counts.items()}
    of_layers = {"all": (0, arch.layers)} | {str(k + 1): (k, k + 1) for k in range(arch.layers)}
    network = (info["corpus"], arch.type, arch.layers, about["size"] or arch.hidden, about["seed"])
    rows = [
        (*network, layer, name, value)
        for layer, (begin, end) in of_layers.items()
        for name, value in (
            (unit_measures(found, slice(begin * arch.hidden, end * arch.hidden)) if found else {})
            | gate_measures(shares, slice(begin, end))
        ).items()
    ]
    print(f"{info['corpus']} {describe(arch, about['size'])}: {shape[0]} units")
    return pd.DataFrame(rows, columns=INSIDE)


# ---- command lines ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a recurrent network")
    parser.add_argument("--split", type=Path, required=True, help="the corpus, split (.npz)")
    parser.add_argument("--text", type=Path, required=True, help="the corpus (.txt)")
    parser.add_argument("--info", type=Path, required=True, help="its provenance (.json)")
    base.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="what was measured (.csv)")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    with threadpool_limits(args.threads):  # numpy's products
        write_csv(measure(args), args.out)
