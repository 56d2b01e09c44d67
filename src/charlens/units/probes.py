"""`charlens probes`: is what no single unit shows spread over many, or absent? (section 4.2)

For each layer and hypothesis a linear probe reads all units of the layer at once: logistic
regression for a yes/no, ridge regression on the ranks of a count. It is fitted on the beginning of
each training stream; the regularisation is the one with the greatest strength on the beginning of
each validation stream. On the evaluation streams its output is scored as a unit is. Beside it
stand the best single unit of the layer, the predictor from the last k characters (`baselines`), and
the same probe on the layer of an untrained network.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from charlens import arguments
from charlens.backends import base
from charlens.data import split
from charlens.errors import InputError
from charlens.files import write_csv
from charlens.networks import model_file
from charlens.networks.architecture import Architecture
from charlens.networks.network import Parameters
from charlens.store.found import read_found
from charlens.store.reading import read_json, require
from charlens.store.tables import PROBES, UNITS, read_table
from charlens.training.train import describe
from charlens.units import selectivity
from charlens.units.activations import (
    load_recurrent,
    memories,
    read_by_probes,
    untrained,
)
from charlens.units.baselines import as_units
from charlens.units.labels import labels_of_parts, read_corpus

PENALTIES = (1e4, 1e2, 1.0)  # on squared weights, against losses summed over the characters
ITERATIONS = 100  # of the logistic regression
OPTIONS = ("characters", "val_characters", "seed")


# ---- one probe ----


def targets(values: np.ndarray, defined: np.ndarray, yes_no: bool) -> np.ndarray:
    """What a probe is fitted to, at the characters with a defined label: 0 and 1, or the midrank of
    a count, with mean 0 and variance 1. values, defined: [N]."""
    if yes_no:
        return (values[defined] != 0).astype(int)
    level, top = selectivity.levels(values, defined, yes_no)
    return selectivity.label_ranks(level, top)[defined] * np.sqrt(defined.sum())


def best_probe(units, labels, val_units, val_labels, yes_no: bool) -> np.ndarray:
    """The weights [H] of the probe with the greatest strength on validation characters.

    units: float32 [N, H] at training characters, standardised. labels: (values [N], defined [N]).
    val_units, val_labels: the same at validation characters. Weights are 0 where the labels do not
    vary. (An intercept changes no strength.)
    """
    values, defined = labels
    target, weights = targets(values, defined, yes_no), np.zeros(units.shape[1])
    if len(np.unique(target)) < 2:
        return weights
    own = units if defined.all() else units[defined]
    level, top = selectivity.levels(*val_labels, yes_no)
    model = Ridge()
    if yes_no:
        model = LogisticRegression(max_iter=ITERATIONS, tol=1e-4, warm_start=True)
    best = -1.0
    for penalty in PENALTIES:
        model.set_params(**({"C": 1 / penalty} if yes_no else {"alpha": penalty}))
        with warnings.catch_warnings():
            # a fit that ends after ITERATIONS is a candidate like the others: validation chooses
            warnings.simplefilter("ignore", ConvergenceWarning)
            tried = np.ravel(model.fit(own, target).coef_)
        score = selectivity.whole_score(as_units(val_units @ tried)[None], level[None], top, yes_no)
        if (strength := selectivity.strength(score, yes_no)) > best:
            best, weights = strength, tried.copy()
    return weights


# ---- all probes of a network ----


def beginnings(arch: Architecture, params: Parameters, part: split.Part, n: int) -> np.ndarray:
    """The units' memory over the first n characters of each stream, as a probe reads it: float32
    [layers, S * n, H]."""
    x = torch.from_numpy(np.ascontiguousarray(part.x[:, :n]))
    states = [read_by_probes(arch.type, state) for _, state in memories(arch, params, x)]
    return torch.cat(states, 2).flatten(1, 2).numpy()


def fit_probes(
    arch: Architecture, params: Parameters, train: split.Part, val: split.Part, labels, val_labels
) -> np.ndarray:
    """A probe of each layer for each hypothesis: weights on the units' memory, [layers, H, Y].

    labels: {hypothesis: (values [S, n], defined [S, n], yes_no)} at the first n characters of each
    training stream. val_labels: the same of the validation streams, with another n.
    """
    every = [
        beginnings(arch, params, part, next(iter(of.values()))[0].shape[1])
        for part, of in ((train, labels), (val, val_labels))
    ]
    weights = np.zeros((arch.layers, arch.hidden, len(labels)), np.float32)
    for layer in range(arch.layers):
        mean, sd = every[0][layer].mean(axis=0), every[0][layer].std(axis=0)
        sd[sd == 0] = np.inf
        units, val_units = ((of[layer] - mean) / sd for of in every)
        for y, name in enumerate(labels):
            own, other = ([of.ravel() for of in some[name][:2]] for some in (labels, val_labels))
            weights[layer, :, y] = best_probe(units, own, val_units, other, labels[name][2]) / sd
    return weights


def probe_strengths(
    arch: Architecture, params: Parameters, weights: np.ndarray, x: np.ndarray, labels: dict
) -> np.ndarray:
    """The strengths of probes on the evaluation streams, [layers, Y].

    weights: from `fit_probes`. x: codes of the test streams [S, n]. labels: {hypothesis: (values
    [S, n], defined [S, n], yes_no)}, in the order of the weights.
    """
    outputs = np.empty((*x.shape, arch.layers, len(labels)), np.float32)
    folded = torch.from_numpy(weights)[:, None]
    for at, state in memories(arch, params, torch.from_numpy(x)):
        told = read_by_probes(arch.type, state) @ folded
        outputs[:, at : at + state.shape[2]] = told.permute(1, 2, 0, 3).numpy()
    strengths = np.zeros((arch.layers, len(labels)))
    for layer, y in np.ndindex(strengths.shape):
        name = list(labels)[y]
        values = as_units(outputs[:, :, layer, y])[None]
        found = selectivity.scored(values, {name: labels[name]})
        strengths[layer, y] = selectivity.strength(found.score, found.yes_no)[0, 0]
    return strengths


# ---- the job ----


def probe_corpus(args: argparse.Namespace) -> pd.DataFrame:
    """The rows of a corpus, columns PROBES and OPTIONS, by which `charlens publish` knows whether
    settings have changed since. Raises InputError where a file is unusable, or where the scores of
    units are of another network."""
    info = read_json(args.info)
    require(info, ("corpus", "kind"), args.info)
    found = read_found([args.found], [info["corpus"]])[info["corpus"]]
    data, text = read_corpus(args.split, args.text, args.info)
    path = model_file.best_for_units(args.models)
    arch, params, about = load_recurrent(path, data)
    name = describe(arch, about["size"])
    if (found["model"], found.get("val_loss")) != (name, about["val_loss"]):
        raise InputError(f"{args.found} is about another network than {path}: rerun charlens cells")
    last_k = {e["hypothesis"]: e["last_k"] for e in found["hypotheses"] if e["searched"]}
    single = best_of_layers(read_table(args.cells, UNITS), found)
    n = [
        min(part.x.shape[1], max(1, characters // data.streams))
        for part, characters in ((data.train, args.characters), (data.val, args.val_characters))
    ]
    train, val, test = (
        {hypothesis: of[hypothesis] for hypothesis in last_k}
        for of in labels_of_parts(
            text,
            info["kind"],
            data.train.read_at()[:, : n[0]],
            data.val.read_at()[:, : n[1]],
            data.test.read_at(),
        )
    )
    fresh = untrained(arch, about, args.seed)
    strengths = []
    for weights_of in (params, fresh) if last_k else ():
        weights = fit_probes(arch, weights_of, data.train, data.val, train, val)
        strengths.append(probe_strengths(arch, weights_of, weights, data.test.x, test))
    rows = [
        (info["corpus"], name, layer + 1, hypothesis, *single[layer + 1, hypothesis],
         strengths[0][layer, y], last_k[hypothesis], strengths[1][layer, y])
        for y, hypothesis in enumerate(last_k)
        for layer in range(arch.layers)
    ]  # fmt: skip
    options = {name: getattr(args, name) for name in OPTIONS}
    return pd.DataFrame(rows, columns=PROBES).assign(**options)


def best_of_layers(cells: pd.DataFrame, found: dict) -> dict[tuple[int, str], tuple[int, float]]:
    """The unit of each layer that is selected for each hypothesis, and its strength on the
    evaluation streams."""
    kinds = {entry["hypothesis"]: entry["yes_no"] for entry in found["hypotheses"]}
    best = {}
    for (layer, hypothesis), own in cells.groupby(["layer", "hypothesis"]):
        row = own.iloc[selectivity.strength(own["picked"].to_numpy(), kinds[hypothesis]).argmax()]
        strength = selectivity.strength(row["score"], kinds[hypothesis])
        best[layer, hypothesis] = (int(row["unit"]), float(strength))
    return best


# ---- command lines ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models", type=Path, nargs="+", help="recurrent networks: the best LSTM is probed"
    )
    parser.add_argument("--split", type=Path, required=True, help="the corpus, split (.npz)")
    parser.add_argument("--text", type=Path, required=True, help="the corpus (.txt)")
    parser.add_argument("--info", type=Path, required=True, help="its provenance (.json)")
    parser.add_argument("--found", type=Path, required=True, help="what charlens cells found")
    parser.add_argument("--cells", type=Path, required=True, help="scores of units (.csv)")
    parser.add_argument(
        "--characters", type=arguments.count, default=150_000, help="that the probes are fitted on"
    )
    parser.add_argument(
        "--val-characters",
        type=arguments.count,
        default=50_000,
        help="that choose the regularisation",
    )
    parser.add_argument("--seed", type=arguments.seed, default=0, help="of the untrained network")
    base.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="the strengths (.csv)")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    with threadpool_limits(args.threads):  # numpy's products
        table = probe_corpus(args)
    write_csv(table, args.out)
    for row in table.itertuples():
        print(
            f"{row.corpus} {row.model} layer {row.layer} {row.hypothesis}: unit {row.unit}"
            f" {row.single:.3f}, probe {row.probe:.3f}, last characters {row.last_k:.3f},"
            f" untrained probe {row.untrained:.3f}"
        )
