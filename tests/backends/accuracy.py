"""How exact are the gradients? Every path of the compiled backend, and stock bfloat16 autocast,
against float64.

    PYTHONPATH=tests python tests/backends/accuracy.py [--networks 18] [--large] [--later]
                                                       [--blocks] [--paths avx2,amx]

A case is a network of random shape (type, 1 to 3 layers, hidden units, alphabet, streams, steps),
at initialisation or trained, with or without dropout, and a window of program text. The error of a
gradient is |g - g64| / |g64|, one number per parameter tensor. `float64.py` shares no code with
either candidate.

Networks are trained once, on the path avx2, and every path is given the same cases: what one path
is measured on depends neither on its own roundings nor on the processor.

Trained means past the plateau on which a network knows how frequent each letter is, and nothing
else: there the gradient is next to nothing, so that beside it every rounding is large. The small
variant trains small networks, most of them on small windows; the large one has the paper's windows,
its hidden units up to row 256, and an epoch of training.
"""

import argparse
import functools
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import float64
import numpy as np
import paths
import torch

from charlens.backends import cpu, selection
from charlens.backends.base import Dropout
from charlens.backends.reference import Reference
from charlens.data import split
from charlens.networks.architecture import Architecture
from charlens.training.recipe import RMSProp
from charlens.training.train import Training

TYPES = ("rnn", "lstm", "gru")  # of the paper
LATER = ("mingru", "minlstm", "rglru", "slstm")
BLOCKS = tuple(f"{type}+block" for type in (*TYPES, *LATER))
DROPOUT = (0.0, 0.1, 0.3)


@dataclass(frozen=True)
class Case:
    """One network, one window of input, the true gradients, and the errors of autocast's."""

    label: str
    trained: bool
    arch: Architecture
    params: dict[str, torch.Tensor]
    x: torch.Tensor
    y: torch.Tensor
    state: torch.Tensor
    dropout: Dropout | None
    true: dict[str, torch.Tensor]
    autocast: dict[str, float]


@dataclass(frozen=True)
class Error:
    """Relative errors of one tensor's gradient on one case."""

    case: str
    trained: bool
    tensor: str
    ours: float
    autocast: float


class Autocast(Reference):
    """The reference as stock torch runs it in mixed precision."""

    def _log_probs(self, *args):
        # (autocast does not know lerp)
        lerp = functools.partial(mock.patch, new=lambda h, g, z: (1 - z) * h + z * g)
        with (
            lerp("torch.Tensor.lerp"),
            lerp("torch.lerp"),
            torch.autocast("cpu", dtype=torch.bfloat16),
        ):
            log_probs, after = super()._log_probs(*args)
        return log_probs.float(), after


@functools.cache
def text(large: bool) -> bytes:
    """C++ headers that come with torch: 0.4 MB, or as much as War and Peace."""
    folder = Path(torch.__file__).parent / "include" / ("ATen" if large else "c10/core")
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*.h")))[:3_260_000]


def begin(seed: int, large: bool, types: tuple[str, ...]) -> Training:
    """A training of random shape, not begun yet. Seeds take the kinds of stack in turn."""
    r = random.Random(seed)
    type, layers = types[seed % len(types)], seed // len(types) % 3 + 1
    if large:
        hidden, streams, unroll = r.choice([37, 45, 64, 76, 96, 128, 151, 257]), 100, 100
    else:
        hidden = r.choice([31, 37, 48, 64, 65, 96])
        streams, unroll = r.choice([17, 40, 65]), r.choice([20, 33, 50])
    symbols = r.choice([30, 64, 97])
    return new(Architecture(type, layers, hidden, symbols), streams, unroll, seed, large)


def new(arch: Architecture, streams: int, unroll: int, seed: int, large: bool) -> Training:
    data = split.split(text(large), "streams", streams, unroll, [0.8, 0.1, 0.1])
    for codes in (data.train.x, data.train.y):
        codes %= arch.symbols  # a smaller alphabet is had by letting characters share a code
    training = Training(arch, RMSProp(), data, seed, 0.0, "fast")
    training.window = random.Random(seed).randrange(training.windows)
    return training


def on_large_windows(training: Training, seed: int) -> Training:
    """The network on the paper's windows, where small networks train in bfloat16, too."""
    large = new(training.arch, 100, 100, seed, large=False)
    for name, p in large.params.items():
        p[:] = training.params[name]
    return large


def update(training: Training, times: int) -> float:
    """So many updates, round and round the text; their mean loss."""
    training.loss_sum = 0.0
    for _ in range(times):
        training.window %= training.windows
        training.update()
    return training.loss_sum / times


def learn(training: Training, large: bool) -> None:
    """Train for an epoch (where that is long), and until the network has left the plateau."""
    counts = np.bincount(np.asarray(training.y).ravel())
    share = counts[counts > 0] / counts.sum()
    entropy = -(share * np.log(share)).sum()
    if large:
        update(training, training.windows)
    for _ in range(200):
        if update(training, 20) < entropy - 0.5:
            return
    raise AssertionError(f"{training.arch} does not leave the plateau")


def case(training: Training, dropout: float, trained: bool) -> Case:
    """The training's next window."""
    training.window %= training.windows
    training.dropout = dropout
    at = slice(training.window * training.unroll, (training.window + 1) * training.unroll)
    arch, drawn = training.arch, training.mask()
    x, y = (torch.tensor(codes[:, at]) for codes in (training.x, training.y))
    training.dropout = 0.0
    params = {name: torch.tensor(p) for name, p in training.params.items()}
    state = torch.tensor(training.state)
    masks = None if drawn is None else drawn.mask(arch.hidden) * drawn.scale
    _, true, _, _ = float64.loss_and_grads(arch.type, params, x, y, state, masks)
    grads = {name: torch.zeros_like(p) for name, p in params.items()}
    Autocast(arch).loss_and_grads(params, x, y, state.clone(), drawn, grads)
    when = "trained" if trained else "at the beginning"
    label = (
        f"{arch.type} {arch.layers}x{arch.hidden}, {arch.symbols} symbols,"
        f" {len(y)} x {training.unroll}, dropout {dropout:g}, {when}"
    )
    autocast = relative(grads, true)
    return Case(label, trained, arch, params, x, y, state, drawn, true, autocast)


def relative(grads, true) -> dict[str, float]:
    return {name: float((grads[name] - t).norm() / t.norm()) for name, t in true.items()}


def cases(networks: int, large: bool = False, progress=None, types=TYPES) -> list[Case]:
    """Two windows of each of so many networks at initialisation and of as many trained ones, half
    of the smaller ones on large windows."""
    found = []
    with paths.use("avx2"):
        for seed in range(networks):
            dropout = DROPOUT[seed % len(DROPOUT)]
            for trained in (False, True):
                training = begin(1000 * trained + seed, large, types)
                if trained:
                    learn(training, large)
                if training.arch.hidden < cpu.BFLOAT16_UNITS and seed % 2 and not large:
                    training = on_large_windows(training, seed)
                training.window %= training.windows
                at = training.window * training.unroll
                before = training.x[:, at : at + training.unroll]
                training.backend.log_probs(training.params, before, training.state)
                for each in (dropout, 0.0):
                    training.window += 1
                    found.append(case(training, each, trained))
            if progress is not None:
                print(f"{seed + 1} of {networks} networks", file=progress, flush=True)
    return found


def gradients(of: Case) -> dict[str, torch.Tensor]:
    """What the path in use computes."""
    arch, (streams, unroll) = of.arch, of.y.shape
    network = cpu.Network(arch.cell, *selection.sizes(arch, streams, unroll))
    grads = {name: torch.zeros_like(p) for name, p in of.params.items()}
    network.loss_and_grads(of.params, of.x, of.y, of.state.clone(), of.dropout, grads)
    return grads


def errors(of: Case, compute=gradients) -> list[Error]:
    ours = relative(compute(of), of.true)
    return [Error(of.label, of.trained, name, ours[name], of.autocast[name]) for name in of.true]


def measure(isa: str, given: list[Case]) -> list[Error]:
    """The errors of one path (native or emulated)."""
    with paths.use(isa):
        return [error for one in given for error in errors(one)]


def within(found: list[Error], limit: float) -> float:
    """Share of tensors of which our error is at most `limit`."""
    return sum(error.ours <= limit for error in found) / len(found)


def worse(found: list[Error], times: float, floor: float) -> list[Error]:
    """Where our error is above `times` that of autocast, and above what float32 rounding makes."""
    return [error for error in found if error.ours > max(times * error.autocast, floor)]


def quantile(values, share: float) -> float:
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=18)
    parser.add_argument("--large", action="store_true", help="shapes of the paper, slow")
    parser.add_argument("--later", action="store_true", help="the types after the paper's")
    parser.add_argument("--blocks", action="store_true", help="types in a block")
    parser.add_argument("--paths", default=",".join(paths.TESTABLE))
    args = parser.parse_args()
    torch.set_num_threads(1)
    types = BLOCKS if args.blocks else LATER if args.later else TYPES
    given = cases(args.networks, args.large, sys.stderr, types)
    for isa in args.paths.split(","):
        found = measure(isa, given)
        print(f"{isa} ({'emulated' if paths.emulated(isa) else 'native'}), {len(given)} cases")
        print(f"{'':28}{'median':>10}{'99%':>10}{'largest':>10}{'<= 1e-2':>10}")
        for trained in (False, True):
            some = [error for error in found if error.trained == trained]
            for name in ("ours", "autocast"):
                values = [getattr(error, name) for error in some]
                print(
                    f"{'trained' if trained else 'at the beginning':18}{name:10}"
                    f"{quantile(values, 0.5):10.1e}{quantile(values, 0.99):10.1e}"
                    f"{max(values):10.1e}{sum(v <= 1e-2 for v in values) / len(values):10.2%}"
                )
        bad = worse(found, 2, 1e-4)
        print(f"above twice autocast's: {len(bad)}")
        for error in sorted(found, key=lambda e: e.ours)[-5:]:
            print(f"  {error.ours:.1e} {error.autocast:.1e}  {error.tensor}  {error.case}")


if __name__ == "__main__":
    main()
