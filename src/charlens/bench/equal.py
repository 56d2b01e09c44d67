"""Does the fast backend train networks as good as the reference's?

Small networks of all types and depths are trained by both backends from the same initial weights,
on the same windows, with several seeds each, and scored on the test split by one scorer. What is
compared are pairs: the difference of the test losses, fast minus reference, with a 95% interval of
its mean over all pairs (Student's t). A pair is never the same to the bit: the two round
differently, and training amplifies that until it is like another seed.

It may be stopped at any moment and goes on from there; several may run side by side on different
cells. The paper's recipe at full scale takes hours, nearly all of them the reference's.
"""

import argparse
import csv
import functools
import hashlib
import itertools
import json
import math
from pathlib import Path

import torch

from charlens.backends import cpu
from charlens.data import split
from charlens.errors import InputError
from charlens.files import atomic
from charlens.networks import architecture
from charlens.networks.architecture import Architecture
from charlens.training import checkpoint, score, train
from charlens.training.recipe import Recipe

CELLS = ("lstm-1", "lstm-3", "rnn-1", "rnn-2", "gru-2", "gru-3")
HALVES = ("fast", "reference")
SEEDS = (1, 2, 3)
# of the CSV; a row is a network
COLUMNS = ["type", "layers", "size", "seed", "epochs", "backend", "test_loss", "identity"]


class Comparison:
    """What is compared, and where its networks lie: root/cell~*/size~*/seed~*/epochs~*/<half>.

    A half's name is its identity, a digest of text, recipe and code: of train.py, model.py and the
    cell, and for the fast half of the compiled backend. So the reference's networks serve every
    version of that. known: identity -> test loss, of networks that need not be at hand.
    """

    def __init__(self, root: Path, data, size: int, epochs: int, known: dict[str, float]):
        self.root, self.data, self.size, self.known = root, data, size, known
        self.recipe = Recipe(epochs=epochs)
        self.backends = dict(zip(HALVES, (cpu.status()[0], "reference"), strict=True))
        code = sorted([*Path(cpu.__file__).parent.glob("*.py"), *cpu.build.SOURCES])
        self.compiled = b"".join(path.read_bytes() for path in code)
        # each digest takes in the whole text, and is asked for again and again
        self.identity = functools.cache(self._identity)

    def architecture(self, cell: str) -> Architecture:
        type, _, layers = cell.partition("-")
        if type not in cpu.KINDS or not layers.isdigit() or int(layers) < 1:
            raise InputError(f"--cells {cell}: a type and its layers, as in {' '.join(CELLS)}")
        hidden = architecture.hidden_size(type, int(layers), self.size, self.data.symbols)
        return Architecture(type, int(layers), hidden, self.data.symbols)

    def _identity(self, cell: str, seed: int, half: str) -> str:
        arch, epochs = self.architecture(cell), str(self.recipe.epochs)
        made_of = (
            checkpoint.fingerprint(arch, self.recipe, self.data, seed, 0.0) + epochs
        ).encode()
        digest = hashlib.sha256(made_of + (self.compiled if half == "fast" else b"")).hexdigest()
        return f"{self.backends[half]}-{digest[:12]}"

    def folder(self, cell: str, seed: int, half: str) -> Path:
        place = self.root / f"cell~{cell}" / f"size~{self.size}" / f"seed~{seed}"
        return place / f"epochs~{self.recipe.epochs}" / self.identity(cell, seed, half)

    def loss(self, cell: str, seed: int, half: str) -> float | None:
        """The test loss of a network, or None where it is not trained yet."""
        path = self.folder(cell, seed, half) / "test.json"
        if path.exists():
            return json.loads(path.read_text())["test_loss"]
        return self.known.get(self.identity(cell, seed, half))

    def compute(self, cell: str, seed: int, half: str, about: dict) -> None:
        """Train and score a network, unless that was done; the test loss goes into test.json."""
        if self.loss(cell, seed, half) is not None:
            return
        folder, arch = self.folder(cell, seed, half), self.architecture(cell)
        label = f"{train.describe(arch, self.size)} seed {seed} {half}"
        train.train(arch, self.recipe, self.data, seed, 0.0, folder, about, label, half)
        loss = -score.score(folder / "model.safetensors", self.data).mean(dtype=float)
        with atomic(folder / "test.json") as temporary:
            temporary.write_text(json.dumps({"test_loss": loss}) + "\n")

    def finished(self) -> list[dict]:
        """Every finished network, whichever process trained it, as the rows of the CSV."""
        rows = []
        for (cell, seed), half in itertools.product(self._begun(), HALVES):
            if (loss := self.loss(cell, seed, half)) is not None:
                type, _, layers = cell.partition("-")
                shape = (type, int(layers), self.size, seed, self.recipe.epochs)
                values = (*shape, self.backends[half], loss, self.identity(cell, seed, half))
                rows.append(dict(zip(COLUMNS, values, strict=True)))
        return rows

    def pairs(self) -> list[dict]:
        """Every pair of which both halves are finished."""
        found = []
        for cell, seed in self._begun():
            ours, theirs = (self.loss(cell, seed, half) for half in HALVES)
            if ours is not None and theirs is not None:
                found.append({"cell": cell, "seed": seed, "fast": ours, "reference": theirs,
                              "difference": ours - theirs})  # fmt: skip
        return found

    def _begun(self) -> list[tuple[str, int]]:
        """Cells and seeds of which there is anything at hand, and those of the full comparison."""
        places = self.root.glob(f"cell~*/size~{self.size}/seed~*/epochs~{self.recipe.epochs}")
        parts = ([part.partition("~")[2] for part in place.parts] for place in places)
        here = {(cell, int(seed)) for *_, cell, _, seed, _ in parts}
        return sorted(here.union(itertools.product(CELLS, SEEDS)))


def read_known(path: Path) -> dict[str, float]:
    """Identity -> test loss of the networks in a CSV; empty where there is no such file."""
    if not path.exists():
        return {}
    with open(path, newline="") as file:
        return {row["identity"]: float(row["test_loss"]) for row in csv.DictReader(file)}


def mean_and_interval(differences: list[float]) -> tuple[float, float, float]:
    """Mean and its 95% interval; the interval is infinite where there are fewer than two."""
    n = len(differences)
    mean = math.fsum(differences) / n
    if n < 2:
        return mean, -math.inf, math.inf
    from scipy.stats import t

    variance = math.fsum((d - mean) ** 2 for d in differences) / (n - 1)
    half = t.ppf(0.975, n - 1) * math.sqrt(variance / n)
    return mean, mean - half, mean + half


def describe(pairs: list[dict], size: int) -> str:
    lines = [f"{'':10}{'seed':>5}{'fast':>9}{'reference':>11}{'difference':>12}"]
    for pair in pairs:
        type, _, layers = pair["cell"].partition("-")
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
    parser.add_argument("--cells", nargs="+", default=CELLS, metavar="TYPE-LAYERS")
    parser.add_argument("--size", type=int, default=64, help="row of table 1")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--out", type=Path, default=Path("results/bench/equal.csv"))
    parser.add_argument("--half", choices=HALVES, help="train only these (both)")
    parser.add_argument("--known", type=Path, default=Path("results/reference/bench/equal.csv"),
                        help="networks trained elsewhere, taken as they are")  # fmt: skip
    parser.add_argument("--models", type=Path, help="folder of the models (beside --out)")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    isa, why = cpu.status()
    if isa is None:
        raise InputError(f"there is no fast backend to compare: {why}")
    root = args.models or args.out.with_suffix("")
    known = read_known(args.known)
    comparison = Comparison(root, split.load(args.split), args.size, args.epochs, known)
    about = {"corpus": args.split.stem, "source": str(args.split), "size": args.size}
    for cell in args.cells:
        comparison.architecture(cell)
    for cell, seed in itertools.product(args.cells, args.seeds):
        for half in HALVES if args.half is None else [args.half]:
            comparison.compute(cell, seed, half, about)
        with atomic(args.out) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=COLUMNS)
            writer.writeheader()
            writer.writerows(comparison.finished())
    print(f"{args.split.stem}, {args.epochs} epochs, fast: {isa}")
    if pairs := comparison.pairs():
        print(describe(pairs, args.size))
