"""The cost of a job: the memory and time that it asks for, and its priority.

The Snakefile imports this, so it imports nothing slow: no torch.
"""

import contextlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

from charlens.networks.architecture import Architecture

GATES = {"nn": 1, "rnn": 1, "gru": 3, "lstm": 4}  # of any other type: as many as an LSTM has
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
        length = source.get("bytes", 1_000_000)
        return cls(source.get("symbols", 256), *(int(length * part) for part in fractions))


def parameters(arch: Architecture) -> int:
    """Number of parameters, but for the GRU's second bias (`architecture.count` needs torch)."""
    gates, layers, H, K = GATES.get(arch.type, 4), arch.layers, arch.hidden, arch.symbols
    if not arch.recurrent:
        return H * (arch.context * K + 1) + (H + 1) * K
    return gates * H * ((2 * layers - 1) * H + K + layers) + (H + 1) * K


def recurrent(type: str, layers: int, size: int, symbols: int) -> Architecture:
    """The network of a grid entry. Its hidden size solves `parameters` for the budget of the row
    (section 4.1); it is within 1 of `architecture.hidden_size`, which needs torch."""
    gates = GATES.get(type, 4)
    budget = parameters(Architecture("lstm", 1, size, symbols)) - symbols
    square, linear = gates * (2 * layers - 1), gates * (symbols + layers) + symbols
    hidden = (math.sqrt(linear**2 + 4 * square * budget) - linear) / (2 * square)
    return Architecture(type, layers, max(1, round(hidden)), symbols)


def preactivations(arch: Architecture) -> int:
    """Values per character that go through a nonlinearity."""
    return GATES.get(arch.type, 4) * arch.layers * arch.hidden


def multiply_adds(arch: Architecture) -> int:
    """Multiply-adds per character of a forward pass; the first layer's input is a lookup."""
    H, K = arch.hidden, arch.symbols
    if not arch.recurrent:
        return H * (arch.context + K)
    return GATES.get(arch.type, 4) * H * H * (2 * arch.layers - 1) + H * K


def memory_mb(arch: Architecture, text: Text, streams: int, unroll: int, gpu: bool = False) -> int:
    """Megabytes to ask for: at least a fifth above the peak of any backend, torch and Python.

    Every unit keeps, at every step of a window, its gates, their gradients and what autograd
    saves; added to that are the interpreter, the parameters with their optimizer, and the text.
    """
    window = 4 * streams * unroll
    units = arch.layers * arch.hidden * (6 + 6 * GATES.get(arch.type, 4))
    characters = text.train + text.val + text.test
    data = characters * (4 + 8 * arch.context)
    used = window * (units + 8 * arch.symbols) + 40 * parameters(arch) + data
    return INTERPRETER + CUDA * gpu + used // 2**20


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
