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
import hashlib
import json
import math
from pathlib import Path

import torch

from charlens import estimate, fast, model, score, split, train
from charlens.errors import InputError
from charlens.files import atomic
from charlens.model import Architecture
from charlens.train import Recipe

CELLS = ("lstm-1", "lstm-3", "rnn-1", "rnn-2", "gru-2", "gru-3")
BACKENDS = ("fast", "reference")
COLUMNS = ["type", "layers", "size", "seed", "epochs", *BACKENDS, "difference"]


def folder_of(root: Path, cell: str, size: int, seed: int, epochs: int, backend: str) -> Path:
    return root / f"cell~{cell}" / f"size~{size}" / f"seed~{seed}" / f"epochs~{epochs}" / backend


def compute(folder: Path, arch: Architecture, recipe: Recipe, data, about, seed, backend) -> None:
    """Train and score one network, unless that was done; the test loss goes into test.json."""
    if (folder / "test.json").exists():
        return
    label = f"{train.describe(arch, about['size'])} seed {seed} {backend}"
    train.train(arch, recipe, data, seed, 0.0, folder, about, label, backend)
    loss = -score.score(folder / "model.safetensors", data).mean(dtype=float)
    with atomic(folder / "test.json") as temporary:
        temporary.write_text(json.dumps({"test_loss": loss}) + "\n")


def pairs(root: Path, size: int, epochs: int) -> list[dict]:
    """Every pair of which both halves are finished, as the rows of the CSV."""
    found = []
    for path in sorted(root.glob(f"cell~*/size~{size}/seed~*/epochs~{epochs}/fast/test.json")):
        other = path.parent.parent / "reference" / "test.json"
        if other.exists():
            cell, _, seed = (part.partition("~")[2] for part in path.parts[-6:-3])
            type, layers = cell.split("-")
            ours, theirs = (json.loads(p.read_text())["test_loss"] for p in (path, other))
            values = (type, int(layers), size, int(seed), epochs, ours, theirs, ours - theirs)
            found.append(dict(zip(COLUMNS, values, strict=True)))
    return found


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


def describe(rows: list[dict]) -> str:
    lines = [f"{'':10}{'seed':>5}{'fast':>9}{'reference':>11}{'difference':>12}"]
    for row in rows:
        name = f"{row['type']} {row['layers']}x{row['size']}"
        lines.append(
            f"{name:10}{row['seed']:5}{row['fast']:9.4f}{row['reference']:11.4f}"
            f"{row['difference']:+12.4f}"
        )
    mean, low, high = mean_and_interval([row["difference"] for row in rows])
    lines.append(
        f"mean difference of {len(rows)} pairs, fast minus reference:"
        f" {mean:+.4f}, 95% interval [{low:+.4f}, {high:+.4f}]"
    )
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("split", type=Path, help="the corpus, split (.npz)")
    parser.add_argument("--cells", nargs="+", default=CELLS, metavar="TYPE-LAYERS")
    parser.add_argument("--size", type=int, default=64, help="row of table 1")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--out", type=Path, default=Path("results/bench/equal.csv"))
    parser.add_argument("--models", type=Path, help="folder of the models (beside --out)")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    isa, why = fast.status()
    if isa is None:
        raise InputError(f"there is no fast backend to compare: {why}")
    data = split.load(args.split)
    # other code, another instruction set or text is another comparison
    digest = hashlib.sha256(args.split.read_bytes() + estimate.code()).hexdigest()[:8]
    root = (args.models or args.out.with_suffix("")) / isa / f"{args.split.stem}-{digest}"
    recipe = Recipe(epochs=args.epochs)
    about = {"corpus": args.split.stem, "source": str(args.split), "size": args.size}
    for cell in args.cells:
        type, _, layers = cell.partition("-")
        if type not in fast.KINDS or not layers.isdigit() or int(layers) < 1:
            raise InputError(f"--cells {cell}: a type and its layers, as in {' '.join(CELLS)}")
        hidden = model.hidden_size(type, int(layers), args.size, data.symbols)
        arch = Architecture(type, int(layers), hidden, data.symbols)
        for seed in args.seeds:
            for backend in BACKENDS:
                folder = folder_of(root, cell, args.size, seed, args.epochs, backend)
                compute(folder, arch, recipe, data, about, seed, backend)
            rows = pairs(root, args.size, args.epochs)
            with atomic(args.out) as temporary, open(temporary, "w", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
    print(f"{args.split.stem}, {args.epochs} epochs, fast: {isa}")
    print(describe(rows))
