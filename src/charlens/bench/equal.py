"""Does the fast backend train networks that are as good as those of the reference?

Small networks of all types and depths are trained by both backends from the same initial weights,
on the same windows, with several seeds each, and scored on the test split by the same code. The
result is the difference of the test losses of each pair, fast minus reference, and a 95% interval
of its mean over all pairs (Student's t). A pair always differs a little: the backends round
differently, and training amplifies that until it is like another seed.

It may be stopped at any moment and resumes from there; several processes may run side by side on
different entries. The paper's recipe at full scale takes hours, nearly all for the reference.
"""

import argparse
import csv
import hashlib
import itertools
import json
import math
from dataclasses import asdict
from pathlib import Path

import torch

from charlens import arguments
from charlens.backends import cpu
from charlens.data import split
from charlens.errors import InputError
from charlens.files import write_atomically, write_rows
from charlens.networks import architecture
from charlens.networks.architecture import Architecture
from charlens.networks.version import version
from charlens.store.models import cell_of, recipe_of
from charlens.training import score, train
from charlens.training.recipe import RMSProp

ENTRIES = ("lstm-1", "lstm-3", "rnn-1", "rnn-2", "gru-2", "gru-3")  # type-layers
BACKENDS = ("fast", "reference")
SEEDS = (1, 2, 3)
# of the CSV; a row is a network
COLUMNS = ["type", "layers", "size", "seed", "epochs", "backend", "test_loss", "identity"]


class Comparison:
    """The networks of a comparison, in root/<entry>/size~*/seed~*/epochs~*/<identity>.

    known: test losses of networks trained elsewhere, by folder below root.
    """

    def __init__(
        self, root: Path, data: split.Split, size: int, epochs: int, known: dict[Path, float]
    ):
        self.root, self.data, self.size, self.known = root, data, size, known
        self.recipe = RMSProp(epochs=epochs)
        # the fast one by its path, since paths round differently
        self.names = dict(zip(BACKENDS, (cpu.status()[0], "reference"), strict=True))
        self.digest = digest(data, self.recipe)

    def architecture(self, entry: str) -> Architecture:
        """The network of an entry such as lstm-3 or gru+block-1. Raises InputError for anything
        else."""
        type, _, layers = entry.partition("-")
        if (
            cell_of(type) not in cpu.GATES
            or recipe_of(type) != "paper"
            or not layers.isdigit()
            or int(layers) < 1
        ):
            raise InputError(f"--entries {entry}: expected type-layers, as in {' '.join(ENTRIES)}")
        hidden = architecture.hidden_size(type, int(layers), self.size, self.data.symbols)
        return Architecture(type, int(layers), hidden, self.data.symbols)

    def identity(self, entry: str, backend: str) -> str:
        """The backend, the version of the computation, and a digest of text and recipe."""
        return f"{self.names[backend]}-{version(entry.partition('-')[0])}-{self.digest}"

    def folder(self, entry: str, seed: int, backend: str) -> Path:
        """The folder of a network."""
        identity = self.identity(entry, backend)
        return self.root / place(entry, self.size, seed, self.recipe.epochs, identity)

    def loss(self, entry: str, seed: int, backend: str) -> float | None:
        """The test loss of a network (nats), or None where it is not trained yet."""
        folder = self.folder(entry, seed, backend)
        if (path := folder / "test.json").exists():
            return json.loads(path.read_text())["test_loss"]
        return self.known.get(folder.relative_to(self.root))

    def compute(self, entry: str, seed: int, backend: str, about: dict) -> None:
        """Train and score a network, unless that was done, and write its test loss to test.json."""
        if self.loss(entry, seed, backend) is not None:
            return
        folder, arch = self.folder(entry, seed, backend), self.architecture(entry)
        label = f"{train.describe(arch, self.size)} seed {seed} {backend}"
        train.train(arch, self.recipe, self.data, seed, 0.0, folder, about, label, backend)
        loss = -score.score(folder / "model.safetensors", self.data).mean(dtype=float)
        write_atomically(folder / "test.json", json.dumps({"test_loss": loss}).encode() + b"\n")

    def finished(self) -> list[dict]:
        """The rows of the CSV: every finished network, whichever process trained it."""
        rows = []
        for (entry, seed), backend in itertools.product(self._begun(), BACKENDS):
            if (loss := self.loss(entry, seed, backend)) is not None:
                type, _, layers = entry.partition("-")
                shape = (type, int(layers), self.size, seed, self.recipe.epochs)
                values = (*shape, self.names[backend], loss, self.identity(entry, backend))
                rows.append(dict(zip(COLUMNS, values, strict=True)))
        return rows

    def pairs(self) -> list[dict]:
        """Every pair with both networks finished."""
        found = []
        for entry, seed in self._begun():
            fast, reference = (self.loss(entry, seed, backend) for backend in BACKENDS)
            if fast is not None and reference is not None:
                found.append({"entry": entry, "seed": seed, "fast": fast, "reference": reference,
                              "difference": fast - reference})  # fmt: skip
        return found

    def _begun(self) -> list[tuple[str, int]]:
        """Entries and seeds that have a folder, and those of the full comparison."""
        folders = self.root.glob(f"*/size~{self.size}/seed~*/epochs~{self.recipe.epochs}")
        here = {(path.parts[-4], int(path.parts[-2].partition("~")[2])) for path in folders}
        return sorted(here.union(itertools.product(ENTRIES, SEEDS)))


def digest(data: split.Split, recipe: RMSProp) -> str:
    """A digest of what all networks of a comparison share: text, split and recipe."""
    settings = asdict(recipe) | {"streams": data.streams, "unroll": data.unroll}
    del settings["epochs"]  # which have a column of their own
    found = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for part in (data.train, data.val, data.test):
        found.update(part.y)
    return found.hexdigest()[:12]


def place(entry: str, size: int, seed: int, epochs: int, identity: str) -> Path:
    """The folder of a network, below the root."""
    return Path(entry, f"size~{size}", f"seed~{seed}", f"epochs~{epochs}", identity)


def read_known(path: Path) -> dict[Path, float]:
    """Folder -> test loss of the networks in a CSV; empty where there is no such file."""
    if not path.exists():
        return {}
    with open(path, newline="") as file:
        return {
            place(f"{row['type']}-{row['layers']}", row["size"], row["seed"], row["epochs"],
                  row["identity"]): float(row["test_loss"])
            for row in csv.DictReader(file)
        }  # fmt: skip


def mean_and_interval(differences: list[float]) -> tuple[float, float, float]:
    """The mean and its 95% interval, which is infinite for a single difference."""
    n = len(differences)
    mean = math.fsum(differences) / n
    if n < 2:
        return mean, -math.inf, math.inf
    from scipy.stats import t

    variance = math.fsum((d - mean) ** 2 for d in differences) / (n - 1)
    margin = t.ppf(0.975, n - 1) * math.sqrt(variance / n)
    return mean, mean - margin, mean + margin


def describe(pairs: list[dict], size: int) -> str:
    """A table of the pairs, and the mean of their differences, as text."""
    lines = [f"{'':10}{'seed':>5}{'fast':>9}{'reference':>11}{'difference':>12}"]
    for pair in pairs:
        type, _, layers = pair["entry"].partition("-")
        lines.append(
            f"{f'{type} {layers}x{size}':10}{pair['seed']:5}{pair['fast']:9.4f}"
            f"{pair['reference']:11.4f}{pair['difference']:+12.4f}"
        )
    mean, low, high = mean_and_interval([pair["difference"] for pair in pairs])
    lines.append(
        f"mean difference of {len(pairs)} pairs, fast minus reference:"
        f" {mean:+.4f}, 95% interval [{low:+.4f}, {high:+.4f}]"
    )
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("split", type=Path, help="the corpus, split (.npz)")
    parser.add_argument(
        "--entries",
        "--cells",
        nargs="+",
        default=ENTRIES,
        metavar="TYPE-LAYERS",
        help="networks that are trained on both backends",
    )
    parser.add_argument("--size", type=arguments.count, default=64, help="row of table 1")
    parser.add_argument(
        "--seeds", type=arguments.seed, nargs="+", default=SEEDS, help="one training each"
    )
    parser.add_argument(
        "--epochs", type=arguments.count, default=RMSProp().epochs, help="of each training"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("results/bench/equal.csv"), help="the losses (.csv)"
    )
    parser.add_argument(
        "--backend", "--half", choices=BACKENDS, help="train with this one only (both)"
    )
    parser.add_argument("--known", type=Path, default=Path("results/reference/bench/equal.csv"),
                        help="networks trained elsewhere, taken as they are")  # fmt: skip
    parser.add_argument("--models", type=Path, help="folder of the models (beside --out)")


def run(args: argparse.Namespace) -> None:
    """Raises InputError where this machine has no fast backend, and for unknown entries."""
    torch.set_num_threads(1)
    isa, why = cpu.status()
    if isa is None:
        raise InputError(
            f"the fast backend is unavailable on this machine: {why}; see charlens doctor"
        )
    root = args.models or args.out.with_suffix("")
    known = read_known(args.known)
    comparison = Comparison(root, split.load(args.split), args.size, args.epochs, known)
    about = {"corpus": args.split.stem, "source": str(args.split), "size": args.size}
    for entry in args.entries:
        comparison.architecture(entry)
    for entry, seed in itertools.product(args.entries, args.seeds):
        for backend in BACKENDS if args.backend is None else [args.backend]:
            comparison.compute(entry, seed, backend, about)
        write_rows(args.out, comparison.finished())
    print(f"{args.split.stem}, {args.epochs} epochs, fast: {isa}")
    if pairs := comparison.pairs():
        print(describe(pairs, args.size))
