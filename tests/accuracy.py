"""How exact are the gradients? The backend in use, and stock bfloat16 autocast, against float64.

    python tests/accuracy.py [--cases 240] [--large]        CHARLENS_ISA chooses the backend's path

A case is a random shape (type, 1 to 3 layers, hidden units, alphabet, streams, steps), with or
without dropout, at initialisation or after training for a while, on program text, with the state
that has been carried there. On each, the error of a gradient is |g - g64| / |g64|, one number per
parameter tensor, of both candidates. `float64.py` shares no code with either.
"""

import argparse
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import float64
import torch

from charlens import split
from charlens.backend import Reference
from charlens.model import Architecture
from charlens.train import Recipe, Training

TYPES = ("rnn", "lstm", "gru")


@dataclass(frozen=True)
class Error:
    """Relative errors of one tensor's gradient on one case."""

    case: str
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


def text() -> bytes:
    """C++ headers that come with torch."""
    folder = Path(torch.__file__).parent / "include/c10/core"
    return b"".join(path.read_bytes() for path in sorted(folder.glob("*.h")))


def case(seed: int, large: bool) -> tuple[Training, str]:
    """A training at the moment at which its next gradient is to be looked at."""
    r = random.Random(seed)
    type, layers = TYPES[seed % 3], seed // 3 % 3 + 1  # all nine of them in turn
    trained, dropout = seed // 9 % 2 == 1, r.choice([0.0, 0.0, 0.1, 0.3])
    if large:
        hidden, streams, unroll = r.choice([64, 100, 128, 161, 256, 300]), 100, 100
    else:
        hidden = r.choice([8, 16, 17, 24, 31, 32, 48, 64])
        streams, unroll = r.choice([17, 25, 40]), r.choice([10, 20, 30])
    data = split.split(text(), "streams", streams, unroll, [0.8, 0.1, 0.1])
    # a smaller alphabet is had by letting characters share a code
    symbols = r.choice([20, 50, data.symbols])
    for part in (data.train, data.val):
        part.x[...] %= symbols
        part.y[...] %= symbols
    arch = Architecture(type, layers, hidden, symbols)
    training = Training(arch, Recipe(), data, seed, dropout, "auto")
    # an epoch, or in the small variant what takes a fraction of a second and changes the weights
    # as much; one at initialisation begins after a few steps of reading
    updates = (training.windows - 1 if large else 40) if trained else 0
    training.window = r.randrange(max(1, training.windows - updates))
    for _ in range(min(updates, training.windows - 1 - training.window)):
        training.update()
    if not trained:
        training.backend.log_probs(training.params, training.x[:, :unroll], training.state)
    label = (
        f"{type} {layers}x{hidden}, {symbols} symbols, {streams} x {unroll},"
        f" dropout {dropout:g}, {'trained' if trained else 'at the beginning'}"
    )
    return training, label


def errors(seed: int, large: bool = False) -> list[Error]:
    """One case: an Error for each of its parameter tensors."""
    training, label = case(seed, large)
    at = slice(training.window * training.unroll, (training.window + 1) * training.unroll)
    x, y, masks = training.x[:, at], training.y[:, at], training._masks()
    found = []
    for engine in (training.backend, Autocast(training.arch)):
        grads = {name: torch.zeros_like(p) for name, p in training.params.items()}
        engine.loss_and_grads(training.params, x, y, training.state.clone(), masks, grads)
        found.append(grads)
    _, true, _, _ = float64.loss_and_grads(
        training.arch.type, training.params, x, y, training.state, masks
    )
    ours, autocast = ({n: float((g[n] - t).norm() / t.norm()) for n, t in true.items()}
                      for g in found)  # fmt: skip
    return [Error(label, name, ours[name], autocast[name]) for name in true]


def measure(cases: int, large: bool = False, progress=None) -> list[Error]:
    found = []
    for seed in range(cases):
        found += errors(seed, large)
        if progress is not None and (seed + 1) % 20 == 0:
            print(f"{seed + 1} of {cases} cases", file=progress)
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
    print(f"{'':10}{'median':>10}{'99%':>10}{'largest':>10}")
    for name in ("ours", "autocast"):
        values = [getattr(error, name) for error in found]
        print(
            f"{name:10}{quantile(values, 0.5):10.1e}{quantile(values, 0.99):10.1e}"
            f"{max(values):10.1e}"
        )
    print(f"at most 1e-2: {within(found, 1e-2):.2%}")
    bad = worse(found, 2, 1e-5)
    print(f"above twice autocast's: {len(bad)}")
    for error in sorted(bad, key=lambda e: e.ours / e.autocast)[-10:]:
        print(f"  {error.ours:.1e} {error.autocast:.1e}  {error.tensor}  {error.case}")


if __name__ == "__main__":
    main()
