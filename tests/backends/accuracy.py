"""How exact are the gradients? The backend in use, and stock bfloat16 autocast, against float64.

    python tests/accuracy.py [--cases 240] [--large]        CHARLENS_ISA chooses the backend's path

A case is a random shape (type, 1 to 3 layers, hidden units, alphabet, streams, steps) in a random
state (at initialisation or after training, with or without dropout) on a window of program text.
The error of a gradient is |g - g64| / |g64|, one number per parameter tensor. `float64.py` shares
no code with either candidate.

Trained means after an epoch, and past the plateau on which a network knows how frequent each letter
is, and nothing else: there the gradient is next to nothing, so that beside it every rounding is
large. The small variant trains small networks on small windows; the large one has the paper's
windows, and its hidden units up to row 256.
"""

import argparse
import functools
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import float64
import torch

from charlens.backends import cpu
from charlens.backends.reference import Reference
from charlens.data import split
from charlens.networks.architecture import Architecture
from charlens.training.recipe import Recipe
from charlens.training.train import Training

TYPES = ("rnn", "lstm", "gru")
DROPOUT = (0.0, 0.1, 0.3)


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
        lerp = mock.patch("torch.lerp", lambda h, g, z: (1 - z) * h + z * g)
        with lerp, torch.autocast("cpu", dtype=torch.bfloat16):
            log_probs, after = super()._log_probs(*args)
        return log_probs.float(), after


@functools.cache
def text(large: bool) -> bytes:
    """C++ headers that come with torch: 0.4 MB, or as much as War and Peace."""
    folder = Path(torch.__file__).parent / "include" / ("ATen" if large else "c10/core")
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*.h")))[:3_260_000]


def begin(seed: int, large: bool) -> Training:
    """A training of random shape, not begun yet. Seeds take the nine kinds of stack in turn."""
    r = random.Random(seed)
    type, layers = TYPES[seed % 3], seed // 3 % 3 + 1
    if large:
        hidden, streams, unroll = r.choice([37, 45, 64, 76, 96, 128, 151, 257]), 100, 100
    else:
        hidden = r.choice([16, 31, 48, 64, 65, 96])
        streams, unroll = r.choice([17, 40, 65]), r.choice([20, 33, 50])
    data = split.split(text(large), "streams", streams, unroll, [0.8, 0.1, 0.1])
    symbols = r.choice([30, 64, data.symbols])
    for codes in (data.train.x, data.train.y):
        codes %= symbols  # a smaller alphabet is had by letting characters share a code
    arch = Architecture(type, layers, hidden, symbols)
    on_cpu = "fast" if cpu.status()[0] else "reference"
    training = Training(arch, Recipe(), data, seed, 0.0, on_cpu)
    training.window = r.randrange(training.windows)
    return training


def update(training: Training, times: int) -> float:
    """So many updates, round and round the text; their mean loss."""
    training.loss_sum = 0.0
    for _ in range(times):
        training.window %= training.windows
        training.update()
    return training.loss_sum / times


def learn(training: Training, large: bool) -> None:
    """Train for an epoch (where that is long), and until the network has left the plateau."""
    counts = training.y.flatten().bincount().double()
    share = counts[counts > 0] / counts.sum()
    entropy = -(share * share.log()).sum()
    if large:
        update(training, training.windows)
    for _ in range(200):
        if update(training, 20) < entropy - 0.5:
            return
    raise AssertionError(f"{training.arch} does not leave the plateau")


def errors(training: Training, dropout: float, trained: bool) -> list[Error]:
    """One case, the training's next window: an Error for each of its parameter tensors."""
    training.window %= training.windows
    training.dropout = dropout
    at = slice(training.window * training.unroll, (training.window + 1) * training.unroll)
    x, y, kept = training.x[:, at], training.y[:, at], training.mask()
    found = []
    for engine in (training.backend, Autocast(training.arch)):
        grads = {name: torch.zeros_like(p) for name, p in training.params.items()}
        engine.loss_and_grads(training.params, x, y, training.state.clone(), kept, grads)
        found.append(grads)
    arch = training.arch
    masks = None if kept is None else kept.mask(arch.hidden) * kept.scale
    _, true, _, _ = float64.loss_and_grads(arch.type, training.params, x, y, training.state, masks)
    when = "trained" if trained else "at the beginning"
    label = (
        f"{arch.type} {arch.layers}x{arch.hidden}, {arch.symbols} symbols,"
        f" {len(y)} x {training.unroll}, dropout {dropout:g}, {when}"
    )
    ours, autocast = ({n: float((g[n] - t).norm() / t.norm()) for n, t in true.items()}
                      for g in found)  # fmt: skip
    return [Error(label, trained, name, ours[name], autocast[name]) for name in true]


def measure(cases: int, large: bool = False, progress=None) -> list[Error]:
    """So many cases: half at initialisation, half in trained networks, of each of which several
    windows are looked at, some updates apart."""
    found, looks, done = [], 6, 0
    for seed in range(cases // 2):
        training = begin(seed, large)
        training.backend.log_probs(training.params, training.x[:, :5], training.state)
        found += errors(training, random.Random(seed).choice(DROPOUT), False)
    while done < cases - cases // 2:
        training = begin(1000 + done // looks, large)
        learn(training, large)
        for look in range(looks):
            update(training, 5)
            found += errors(training, DROPOUT[look % len(DROPOUT)], True)
            training.dropout = 0.0
        done += looks
        if progress is not None:
            print(f"{done} of {cases - cases // 2} trained cases", file=progress, flush=True)
    return found


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
    parser.add_argument("--cases", type=int, default=240)
    parser.add_argument("--large", action="store_true", help="shapes of the paper, slow")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(args.cases, args.large, sys.stderr)
    print(f"{len(found)} tensors of {args.cases} cases, relative error of the gradient")
    print(f"{'':28}{'median':>10}{'99%':>10}{'largest':>10}{'<= 1e-2':>10}")
    for trained in (False, True):
        some = [error for error in found if error.trained == trained]
        for name in ("ours", "autocast"):
            values = [getattr(error, name) for error in some]
            print(
                f"{'trained' if trained else 'at the beginning':18}{name:10}"
                f"{quantile(values, 0.5):10.1e}{quantile(values, 0.99):10.1e}{max(values):10.1e}"
                f"{sum(v <= 1e-2 for v in values) / len(values):10.2%}"
            )
    print(f"all of ours at most 1e-2: {within(found, 1e-2):.2%}")
    bad = worse(found, 2, 1e-5)
    print(f"above twice autocast's: {len(bad)}")
    for error in sorted(bad, key=lambda e: e.ours / e.autocast)[-10:]:
        print(f"  {error.ours:.1e} {error.autocast:.1e}  {error.tensor}  {error.case}")


if __name__ == "__main__":
    main()
