"""`charlens bench-types`: training speed of every cell type, bare and in a block, beside the LSTM.

One-layer and two-layer networks at the parameter budget of a row of table 1; thousands of
characters per second of updates of plain torch on one thread, in processor time, the fastest of
three or more:

    step    one call of `step` after the other, as for a cell without a scan (on windows of 10
            characters, so that what autograd keeps stays small)
    window  as `charlens train` does it by plain torch: by `scan` where the type has one
    best    as `charlens train` does it: by the compiled code where that knows the type

ratio: of `best` to the LSTM's `best`.
"""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pandas as pd
import torch

from charlens import arguments
from charlens.backends import selection
from charlens.bench.speed import STREAMS, SYMBOLS, UNROLL, compiled
from charlens.errors import InputError
from charlens.files import write_csv
from charlens.networks import cells, network
from charlens.networks.architecture import Architecture, hidden_size
from charlens.runs import estimate
from charlens.store.models import LATER_TYPES, PAPER_TYPES

COLUMNS = ["type", "layers", "size", "hidden", "step", "window", "best", "ratio"]
FEW = 10  # characters of a window that is read step by step


@contextlib.contextmanager
def without_scan(type: str) -> Iterator[None]:
    """Within it, networks of a type go step by step."""
    known = {name: value for name, value in vars(cells.cell(type)).items() if name != "scan"}
    with mock.patch.object(network, "cell", lambda _: SimpleNamespace(**known)):
        yield


def speed(arch: Architecture, unroll: int, backend: str, seconds: float) -> float:
    """Thousands of characters per second of updates."""
    training = estimate.prepare(arch, STREAMS, unroll, backend)
    return 1e-3 / estimate.seconds_per_character(training, seconds)


def measure(type: str, layers: int, size: int, seconds: float) -> dict[str, float]:
    """The row of a type, but for the ratio."""
    hidden = hidden_size(type, layers, size, SYMBOLS)
    arch = Architecture(type, layers, hidden, SYMBOLS)
    with without_scan(type):
        step = speed(arch, FEW, "reference", seconds)
    best = window = speed(arch, UNROLL, "reference", seconds)
    if compiled() == "fast" and selection.unable(arch, STREAMS, UNROLL) is None:
        best = speed(arch, UNROLL, "fast", seconds)
    row = {"type": type, "layers": layers, "size": size, "hidden": hidden}
    return row | {"step": round(step, 1), "window": round(window, 1), "best": round(best, 1)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    bare = [*PAPER_TYPES, *LATER_TYPES]
    types = [*bare, *(f"{type}+block" for type in bare)]
    parser.add_argument("--types", nargs="+", default=types, help="lstm first (default: all)")
    parser.add_argument("--depths", type=arguments.count, nargs="+", default=[1, 2], help="layers")
    parser.add_argument(
        "--size", type=arguments.count, default=128, help="row of table 1 (default 128)"
    )
    parser.add_argument("--seconds", type=arguments.seconds, default=3.0, help="for each speed")
    out = Path("results/bench/types.csv")
    parser.add_argument("--out", type=Path, default=out, help="the speeds (.csv)")


def run(args: argparse.Namespace) -> None:
    if args.types[0] != "lstm":
        raise InputError("--types: name lstm first, with which the others are compared")
    torch.set_num_threads(1)
    rows, of_lstm = [], {}
    for type in args.types:
        for layers in args.depths:
            row = measure(type, layers, args.size, args.seconds)
            of_lstm.setdefault(layers, row["best"])
            rows.append(row | {"ratio": round(row["best"] / of_lstm[layers], 3)})
            print(
                f"{type} {layers}x{args.size}: {row['step']:.1f}k step by step,"
                f" {row['window']:.1f}k by the window, {row['best']:.1f}k at best,"
                f" {rows[-1]['ratio']:.2f} of the LSTM",
                flush=True,
            )
    write_csv(pd.DataFrame(rows, columns=COLUMNS), args.out)
