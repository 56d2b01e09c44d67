"""How long the rest of a run takes on this machine (`make estimate`).

Two steps: `charlens calibrate` times a small and a large network of each type for a second or more;
`charlens estimate` reads the pending jobs from `snakemake --summary` and adds up their times.

The seconds of an update per character are taken to be a * preactivations + b * multiply-adds, with
a and b of each cell type fitted to the measurements; a block and the AdamW recipe leave them as
they are. Jobs side by side share caches and memory, so a busy machine is somewhat slower.
"""

import argparse
import csv
import json
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from charlens import arguments
from charlens.backends import base
from charlens.data.split import Part, Split
from charlens.errors import InputError
from charlens.files import write_atomically
from charlens.networks.architecture import Architecture
from charlens.progress import duration, say
from charlens.runs import console, cost, host
from charlens.store.models import ModelKey, cell_of, original, recipe_of
from charlens.text.symbols import code_type
from charlens.training.recipe import from_options
from charlens.training.train import Training
from charlens.training.train import describe as label

START_SECONDS = 4  # until Python has started, and torch where it is needed
OTHER_SECONDS = 2  # of a job that neither trains nor scores
NGRAM_SECONDS = 2.5  # of estimating, or of scoring, an n-gram model, per million characters

Job = tuple[str, ModelKey | str]  # a rule, and its model or file (see `file_of`)
Rates = dict[str, list[float]]  # cell type -> a, b


# ---- the speed of this machine ----


def prepare(arch: Architecture, streams: int, unroll: int, backend: str, dropout=0.0) -> Training:
    """A training on a random text of two windows, by the recipe of the network's type."""
    draw, codes = np.random.default_rng(0), code_type(arch.symbols)

    def part() -> Part:
        x, y = draw.integers(arch.symbols, size=(2, streams, 2 * unroll), dtype=codes)
        return Part(x, y, np.arange(streams, dtype=np.int64) * 2 * unroll)

    alphabet = np.arange(arch.symbols, dtype=np.uint8 if codes == np.uint8 else np.uint32)
    data = Split(alphabet, unroll, part(), part(), part())
    recipe = from_options(recipe_of(arch.type), {})
    return Training(arch, recipe, data, seed=1, dropout=dropout, name=backend)


def update(training: Training) -> None:
    """One update; the text starts over where it ends."""
    training.window %= training.windows
    training.update()


def seconds_per_character(training: Training, seconds: float) -> float:
    """Seconds per character of the fastest update within `seconds`, since other load only makes
    updates slower. Processor time; on a GPU wall time."""
    clock = time.process_time if training.backend.device == "cpu" else time.perf_counter
    update(training)
    taken: list[float] = []
    while len(taken) < 3 or sum(taken) < seconds:
        before = clock()
        update(training)
        taken.append(clock() - before)
    return max(min(taken), 1e-9) / (training.y.shape[0] * training.unroll)


def fit(measured: dict[Architecture, float]) -> Rates:
    """The rates a, b >= 0 of each cell type by least relative squares.

    measured: seconds per character.
    """
    from scipy.optimize import nnls  # here, because it takes a second to import

    rates = {}
    for cell in {arch.cell for arch in measured}:
        own = [(arch, seconds) for arch, seconds in measured.items() if arch.cell == cell]
        features = [[cost.preactivations(a) / s, cost.multiply_adds(a) / s] for a, s in own]
        rates[cell] = nnls(np.array(features), np.ones(len(own)))[0].tolist()
    return rates


def update_seconds(rates: Rates, arch: Architecture) -> float:
    """Seconds per character of an update. Raises KeyError for a cell type that was not measured."""
    a, b = rates[arch.cell]
    return a * cost.preactivations(arch) + b * cost.multiply_adds(arch)


# ---- the pending jobs ----


def pending(summary: Iterable[str]) -> set[Job]:
    """The pending jobs in the output of `snakemake --summary`. Raises InputError for other text."""
    rows = csv.DictReader(summary, delimiter="\t")
    if not {"output_file", "rule", "plan"} <= set(rows.fieldnames or ()):
        raise InputError("expected the output of `snakemake --summary`, got something else")
    left: set[Job] = set()
    for row in rows:
        if row["plan"] == "update pending":
            rule = console.kind(row["rule"])
            try:
                left.add((rule, ModelKey.parse(row["output_file"])))
            except InputError:
                left.add((rule, file_of(row["output_file"])))
    return left


def file_of(path: str) -> str:
    """The name of a file that is of no model, such as table1 or wp; before it the type, if it lies
    in a folder types/<type>/<folder>: mingru/wp."""
    found = re.search(r"/types/([^/]+)/.+/[^/]+$", path)
    return "/".join([*found.groups(), Path(path).stem] if found else [Path(path).stem])


def network_of(job: Job, run: dict) -> ModelKey | None:
    """The network that a job trains or scores; None where its time depends on none. run: what
    `charlens calibrate` writes."""
    rule, model = job
    if rule == "trajectory":  # its file is named after its type and corpus
        type, _, corpus = model.rpartition("/")
        first = run["first_epochs"]
        return ModelKey(corpus, "recurrent", type or "lstm", first["layers"], first["size"])
    of_network = rule in ("train", "train_nn", "train_adamw", "score", "score_nn")
    return model if of_network and isinstance(model, ModelKey) else None


def cell_of_job(job: Job, run: dict) -> str | None:
    """The cell type, or nn, on whose speed the time of a job depends, or None."""
    network = network_of(job, run)
    return network and cell_of(network.type or "nn")


def seconds(job: Job, run: dict, rates: Rates) -> float:
    """Seconds of a job. run: what `charlens calibrate` writes."""
    rule, model = job
    network = network_of(job, run) or model
    if not isinstance(network, ModelKey):
        return OTHER_SECONDS
    corpus = original(network.corpus)  # a twin, or a reshuffled text, takes as long
    text = cost.Text(**run["texts"][corpus])
    if rule in ("ngram", "ngram_reshuffled", "score_ngram"):
        return START_SECONDS + NGRAM_SECONDS * (text.train + text.val + text.test) / 1e6
    if rule in ("train", "train_nn"):
        updates = cost.training(text, run["epochs"][corpus])
    elif rule == "train_adamw":
        updates = cost.training(text, run["adamw_epochs"])
    elif rule in ("score", "score_nn"):
        updates = cost.FORWARD * text.test
    elif rule == "trajectory":
        first = run["first_epochs"]
        updates = cost.first_epochs(text, first["epochs"], first["snapshots"])
    else:
        return OTHER_SECONDS
    arch = cost.network(network, text.symbols, max(run["hidden"]))
    return START_SECONDS + updates * update_seconds(rates, arch)


def total(durations: Iterable[float], workers: int) -> float:
    """Seconds until all jobs are done, the longest first; at least those of the longest one."""
    durations = list(durations)
    return max(sum(durations) / workers, max(durations, default=0))


def describe(jobs: set[Job], run: dict, workers: int) -> str:
    """One line: how long the jobs take on so many workers."""
    taken = {job: seconds(job, run, run["rates"]) for job in jobs}
    trained = sum(each for (rule, _), each in taken.items() if rule.startswith("train"))
    workers = 1 if run["gpus"] else workers  # the jobs that matter take turns on a GPU
    side_by_side, alone = total(taken.values(), workers), sum(taken.values())
    return (
        f"time: about {duration(side_by_side)} for {len(jobs)} jobs, {workers} side by side"
        f" ({duration(alone)} one after the other, {duration(trained)} of it training)"
    )


# ---- command line ----


def add_calibrate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--settings", required=True, help="networks to time, and more (JSON)")
    parser.add_argument(
        "--info", type=Path, nargs="+", required=True, help="provenance of each corpus"
    )
    base.add_backend(parser)
    parser.add_argument("--seconds", type=arguments.seconds, default=1.0, help="for each network")
    parser.add_argument("--out", type=Path, required=True, help="the measurements (.json)")


def run_calibrate(args: argparse.Namespace) -> None:
    """Time the networks of --settings and write the rates with all that `seconds` needs."""
    base.set_threads(1)
    run, measured = json.loads(args.settings), {}
    fractions = run.pop("fractions")
    texts = {info.stem: cost.Text.of(info, {}, fractions[info.stem]) for info in args.info}
    symbols = max(text.symbols for text in texts.values())
    for model in run.pop("networks"):
        arch = cost.network(ModelKey("", **model), symbols, 0)
        training = prepare(arch, run["streams"], run["unroll"], args.backend)
        measured[arch] = seconds_per_character(training, args.seconds)
        say(
            "calibrate",
            f"{label(arch, model.get('size'))}: {1e-3 / measured[arch]:,.0f}k characters/s",
        )
    run["texts"] = {corpus: asdict(text) for corpus, text in texts.items()}
    run["rates"] = fit(measured)
    write_atomically(args.out, json.dumps(run, indent=2).encode() + b"\n")


def cores(text: str) -> int:
    """--cores, a number or all."""
    return host.cores() if text == "all" else arguments.count(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("calibration", type=Path, help="what charlens calibrate wrote")
    parser.add_argument("--cores", type=cores, default="all", help="jobs side by side (all)")


def run(args: argparse.Namespace) -> None:
    """Read the output of `snakemake --summary` from standard input and print one line.

    Raises InputError for an unusable calibration.
    """
    try:
        about = json.loads(args.calibration.read_text())
        if not {"rates", "first_epochs", "adamw_epochs"} <= set(about):
            raise ValueError("not a calibration by this version")
    except (OSError, ValueError) as error:
        raise InputError(f"{args.calibration}: {error}; run make estimate") from error
    try:
        print(describe(pending(sys.stdin), about, args.cores))
    except KeyError as missing:
        raise InputError(
            f"{args.calibration}: has no entry for {missing}; run make estimate"
        ) from missing
