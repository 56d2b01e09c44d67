"""The cost of a job: the memory and time that it asks for, and its priority.

The Snakefile imports this, so it imports nothing slow: no torch.
"""

import contextlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from charlens.networks.architecture import Architecture
from charlens.store.models import ModelKey


class Cell(NamedTuple):
    """What a layer of a cell type takes."""

    gates: int  # H-wide blocks of w_x
    squares: float  # its other matrices, in H x H
    vectors: int = 0  # its other parameters, in H
    kept: int = 0  # further numbers per unit that autograd keeps of each step
    wide: int = 0  # the same per step and stream, whatever H
    matrices: int = 0  # H x H numbers per stream: a matrix memory, what autograd keeps, gradients


LSTM = Cell(4, 4)  # any other type is taken for one
CELLS = {
    "nn": Cell(1, 0),
    "rnn": Cell(1, 1),
    "gru": Cell(3, 3),
    "lstm": LSTM,
    "mingru": Cell(2, 0),
    "minlstm": Cell(3, 0),
    "rglru": Cell(3, 0),
    "slstm": Cell(4, 4, kept=30),
    "mlstm": Cell(4, 0, 6, kept=40, wide=800, matrices=8),
    "mamba": Cell(4, 2.25, 110, kept=260),
    "transformer": Cell(1, 8, 7, kept=40, wide=4 * 200 * 5),
}
BLOCK = Cell(0, 6, kept=24)
FORWARD = 1 / 3  # of the multiply-adds of an update; the backward pass takes the rest
# Megabytes of Python and torch: 220 for the CPU build of torch, about 740 for the one on PyPI.
INTERPRETER = 900
CUDA = 3000  # megabytes of the host's memory that a process on a GPU takes
# Multiply-adds per second of a training. The slowest of the published histories has 4e9 (an n-NN
# with a wide input, on AVX2), most have 20e9 to 300e9.
SLOWEST = 4e9
LEAST_MINUTES, MOST_MINUTES = 30, 24 * 60  # that a training asks for


@dataclass(frozen=True)
class Text:
    """Distinct symbols of a corpus, and characters in each part of its split."""

    symbols: int
    train: int
    val: int
    test: int

    @classmethod
    def of(cls, info: Path, source: dict, fractions: list[float]) -> "Text":
        """A corpus as described by `info`, its provenance, or, before it is fetched, by `source` in
        the settings. Guesses for what neither says: 256 symbols, a million characters."""
        with contextlib.suppress(OSError, ValueError):
            source = json.loads(info.read_text())
        length = source.get("characters", source.get("bytes", 1_000_000))
        return cls(source.get("symbols", 256), *(int(length * part) for part in fractions))


def parameters(arch: Architecture) -> int:
    """Number of parameters, but for some vectors (`architecture.count` needs torch)."""
    H, K = arch.hidden, arch.symbols
    if not arch.recurrent:
        return H * (arch.context * K + 1) + (H + 1) * K
    square, linear = growth(arch)
    return round(square * H * H + linear * H) + K


def growth(arch: Architecture) -> tuple[float, int]:
    """How the parameters grow with H: by so many H x H, and H times as many numbers."""
    cell, layers, K = CELLS.get(arch.cell, LSTM), arch.layers, arch.symbols
    linear = (cell.gates + cell.vectors) * layers + K  # with the biases and the classifier
    if arch.block:
        return layers * (cell.gates + cell.squares + BLOCK.squares), linear + K
    return (layers - 1) * cell.gates + layers * cell.squares, linear + K * cell.gates


def recurrent(type: str, layers: int, size: int, symbols: int) -> Architecture:
    """The network of a grid entry. Its hidden size solves `parameters` for the budget of the row
    (section 4.1); it is within 1 of `architecture.hidden_size`, which needs torch."""
    budget = parameters(Architecture("lstm", 1, size, symbols)) - symbols
    square, linear = growth(Architecture(type, layers, 1, symbols))
    hidden = budget / linear
    if square:
        hidden = (math.sqrt(linear**2 + 4 * square * budget) - linear) / (2 * square)
    return Architecture(type, layers, max(1, round(hidden)), symbols)


def network(model: ModelKey, symbols: int, hidden: int) -> Architecture:
    """The network of a model. hidden: units of an n-NN whose candidate is yet to be chosen."""
    if model.family == "nn":
        return Architecture("nn", 1, int(model.candidate or hidden), symbols, model.n)
    return recurrent(model.type, model.layers, model.size, symbols)


def preactivations(arch: Architecture) -> int:
    """Values per character that go through a nonlinearity."""
    return CELLS.get(arch.cell, LSTM).gates * arch.layers * arch.hidden


def multiply_adds(arch: Architecture) -> int:
    """Multiply-adds per character of a forward pass; the first layer's input is a lookup."""
    H, K = arch.hidden, arch.symbols
    if not arch.recurrent:
        return H * (arch.context + K)
    return round(growth(arch)[0] * H * H) + H * K


def process_mb(gpu: bool) -> int:
    """Megabytes that a process takes whatever it trains."""
    return INTERPRETER + CUDA * gpu


def memory_mb(arch: Architecture, text: Text, streams: int, unroll: int, gpu: bool = False) -> int:
    """Megabytes to ask for: at least a fifth above the peak of any backend, torch and Python.

    Every unit keeps, at every step of a window, its gates, their gradients and what autograd
    saves; added to that are matrix memories, the interpreter, the parameters with their optimizer,
    and the text.
    """
    window = 4 * streams * unroll
    cell = CELLS.get(arch.cell, LSTM)
    kept = 6 + 6 * cell.gates + cell.kept + BLOCK.kept * arch.block
    units = arch.layers * (arch.hidden * kept + cell.wide)
    characters = text.train + text.val + text.test
    data = characters * (4 + 8 * arch.context)
    memories = 4 * streams * arch.layers * cell.matrices * arch.hidden**2
    used = window * (units + 8 * arch.symbols) + memories + 40 * parameters(arch) + data
    return process_mb(gpu) + used // 2**20


def training(text: Text, epochs: int) -> float:
    """The work of a training, validations included, in characters of updates."""
    return epochs * (text.train + FORWARD * text.val)


def runtime_minutes(arch: Architecture, updates: float, attempt: int) -> int:
    """Minutes to ask for: what the training takes on the slowest machine, times the attempt.

    At most a day, which most clusters grant: a training that needs longer resumes.
    """
    seconds = 3 * multiply_adds(arch) * updates / SLOWEST
    return min(MOST_MINUTES, attempt * max(LEAST_MINUTES, math.ceil(seconds / 60)))


def first_epochs(text: Text, epochs: int, snapshots: int) -> float:
    """The same for figure 5. Its snapshots (so many per epoch) are scored on the test streams and
    compared with every n-NN, which takes about as long again."""
    return epochs * (text.train + 2 * FORWARD * snapshots * text.test)


def priority(*work: tuple[Architecture, float]) -> int:
    """The priority of a job: its work and that of the jobs that wait for it, in giga multiply-adds.
    The longest chains start first, so that no core idles at the end.

    work: networks, and the characters of updates of each.
    """
    return max(1, round(sum(3 * multiply_adds(arch) * n for arch, n in work) / 1e9))
