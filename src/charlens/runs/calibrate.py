"""Measure how fast this machine trains and scores each shape, a few seconds at most for each.

The text is made up: the time of an update depends on the shape alone. Rates are characters per
second of processor time (on a GPU, of time), one job on its own; jobs side by side share caches
and memory, so that a full machine is somewhat slower.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from charlens.backends import base
from charlens.data.split import Part, Split
from charlens.files import atomic
from charlens.networks.architecture import Architecture, hidden_size
from charlens.progress import say, time_left
from charlens.runs import estimate
from charlens.runs.estimate import Rates, Shape
from charlens.training.recipe import Recipe
from charlens.training.train import Training


def made_up(symbols: int, streams: int, unroll: int, windows: int = 2) -> Split:
    """A random text as a split."""
    draw = np.random.default_rng(0)

    def part():
        shape = (streams, windows * unroll)
        x, y = (draw.integers(symbols, size=shape, dtype=np.uint8) for _ in "xy")
        return Part(x, y, np.arange(streams, dtype=np.int64) * shape[1])

    return Split(np.arange(symbols, dtype=np.uint8), unroll, part(), part(), part())


def architecture(shape: Shape, symbols: int) -> Architecture:
    if shape.context:
        return Architecture("nn", 1, shape.size, symbols, shape.context)
    hidden = hidden_size(shape.type, shape.layers, shape.size, symbols)
    return Architecture(shape.type, shape.layers, hidden, symbols)


def prepare(arch: Architecture, dropout: float, streams: int, unroll: int, name: str) -> Training:
    """A training on a made-up text of two windows, which `update` goes round in."""
    data = made_up(arch.symbols, streams, unroll)
    return Training(arch, Recipe(), data, seed=1, dropout=dropout, name=name)


def update(training: Training) -> None:
    """One real update; the text begins again where it ends."""
    training.window %= training.windows
    training.update()


def score(training: Training, exact: bool) -> None:
    """One window, as in scoring or, not exact, as in validation."""
    x, y = (codes[:, : training.unroll] for codes in (training.val_x, training.val_y))
    training.backend.target_log_probs(training.params, x, y, training.state, exact)


def rate(step, characters: int, seconds: float, clock) -> float:
    """Characters per second of the fastest call of `step`, after one to warm up.

    The fastest, for all else that a machine does only ever makes a call slower.
    """
    step()
    best, begun = float("inf"), clock()
    while best == float("inf") or clock() - begun < seconds:
        before = clock()
        step()
        best = min(best, max(clock() - before, 1e-9))
    return characters / best


def measure(shape: Shape, symbols, streams, unroll, name: str, seconds: float) -> Rates:
    arch = architecture(shape, symbols)
    training = prepare(arch, 0.1 if shape.dropout else 0.0, streams, unroll, name)
    clock = time.process_time if training.backend.device == "cpu" else time.perf_counter
    window = streams * unroll
    return Rates(
        rate(lambda: update(training), window, seconds, clock),
        rate(lambda: score(training, exact=False), window, seconds / 8, clock),
        rate(lambda: score(training, exact=True), window, seconds / 8, clock),
    )


# ---- command line ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shapes", required=True, help="JSON: a list of the models' shapes")
    parser.add_argument("--symbols", type=int, required=True)
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--unroll", type=int, required=True)
    parser.add_argument("--backend", choices=base.BACKENDS, default="auto")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each shape")
    parser.add_argument("--out", type=Path, required=True, help="the rates (.csv)")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    rates, begun = {}, time.perf_counter()
    shapes = [Shape(**shape) for shape in json.loads(args.shapes)]
    for done, shape in enumerate(shapes, start=1):
        rates[shape] = measure(
            shape, args.symbols, args.streams, args.unroll, args.backend, args.seconds
        )
        name = f"{shape.context}-nn" if shape.context else f"{shape.type} {shape.layers}x"
        say(
            f"calibrate {done}/{len(shapes)} {name}{' ' * bool(shape.context)}{shape.size}",
            f"{rates[shape].train / 1e3:.0f}k chars/s {time_left(begun, 0, done / len(shapes))}",
        )
    with atomic(args.out) as temporary, open(temporary, "w", newline="") as file:
        estimate.write_rates(file, rates)
