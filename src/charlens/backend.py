"""Who does the arithmetic: the compiled CPU code where it runs, plain torch everywhere else.

Every backend computes the same equations behind the same three calls, so that a training begun
by one can be finished by another.

    loss_and_grads(params, x, y, state, dropout, grads) -> mean nats per character
        fills `grads` with the gradient of the sum over time steps and the mean over streams of
        -log p, truncated at the window's beginning; moves `state` to the window's end in place;
        dropout: None, or what is kept of every layer's output
    target_log_probs(params, x, y, state, exact=True) -> [S, T]
        log-probability of each y, in float32 or, not exact, at least as precisely as in training
    log_probs(params, x, state) -> [S, T, K]            log-probability of every symbol

A backend may also make a whole update at once, clipping and RMSProp included, where that is faster:

    update(params, squares, x, y, state, dropout, rate, recipe) -> mean nats per character
"""

import fcntl
import functools
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from charlens import fast
from charlens.errors import InputError
from charlens.model import Architecture, Parameters, forward, initialise, zero_state

BACKENDS = ("auto", "reference", "fast", "cuda")


class Dropout(NamedTuple):
    """What one window keeps of every layer's outputs, and the factor on what is kept.

    A bit says of a unit whether it is kept: unit u has bit u % 8 of byte u // 8. Rows are filled up
    to a multiple of 16 units, with bits that mean nothing.
    """

    bits: Tensor  # uint8 [layers, T, S, 2 ceil(H / 16)], on the CPU
    scale: float  # 1 / (1 - p)

    def kept(self, hidden: int) -> Tensor:
        """The same as bool [layers, T, S, H]."""
        bits = np.unpackbits(self.bits.numpy(), axis=-1, count=hidden, bitorder="little")
        return torch.from_numpy(bits.view(bool))


class Reference:
    """Plain torch with autograd, on any device."""

    def __init__(self, arch: Architecture, device: str = "cpu"):
        self.arch, self.device = arch, device
        self.name = "reference" if device == "cpu" else "cuda"

    def loss_and_grads(self, params, x, y, state, dropout, grads) -> float:
        masks = None
        if dropout is not None:
            masks = dropout.kept(self.arch.hidden).to(self.device) * dropout.scale
        leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
        log_probs, after = self._log_probs(leaves, x, state, masks)
        loss = -self._of_targets(log_probs, y).sum() / len(x)
        used = [leaves[name] for name in grads]
        found = torch.autograd.grad(loss, used, allow_unused=True)
        for (name, grad), value in zip(grads.items(), found, strict=True):
            grad.copy_(of_used(name, value, self.arch))
        self._move(state, after)
        return loss.item() / x.shape[1]

    @torch.no_grad()
    def target_log_probs(self, params, x, y, state, exact: bool = True) -> Tensor:
        log_probs, after = self._log_probs(params, x, state)
        self._move(state, after)
        return self._of_targets(log_probs, y).cpu()

    @torch.no_grad()
    def log_probs(self, params, x, state) -> Tensor:
        log_probs, after = self._log_probs(params, x, state)
        self._move(state, after)
        return log_probs.cpu()

    def _log_probs(self, params, x, state, masks=None):
        logits, after = forward(self.arch, params, x.to(self.device), state, masks)
        return torch.log_softmax(logits, dim=-1), after

    def _of_targets(self, log_probs, y):
        return log_probs.gather(2, y.to(self.device).long().unsqueeze(2)).squeeze(2)

    @staticmethod
    def _move(state, after):
        if state is not None:
            state.copy_(after.detach())


class Fast:
    """The compiled CPU code of `charlens.fast`, on one thread."""

    device = "cpu"

    def __init__(self, arch: Architecture, streams: int, unroll: int):
        network = fast.Network(
            arch.type, arch.layers, arch.hidden, arch.symbols, streams, unroll, arch.context
        )
        self.loss_and_grads = network.loss_and_grads
        self.update = network.update
        self.target_log_probs = network.target_log_probs
        self.log_probs = network.log_probs
        self.name = f"fast ({fast.status()[0]})"


def choose(arch: Architecture, streams: int, unroll: int, name: str = "auto"):
    """The backend for a model that works on windows of [streams, unroll] characters.

    `auto` takes CUDA where torch sees a GPU, else the compiled code, else the reference, with
    one line on stderr when the reference has to step in. Raises InputError where the backend
    asked for by name cannot run here.
    """
    if name == "auto" and torch.cuda.is_available() or name == "cuda":
        if not torch.cuda.is_available():
            raise InputError("backend cuda: torch sees no GPU here; set backend: auto")
        from charlens.cuda import Cuda  # which builds on the reference

        return Cuda(arch, free_gpu())
    if name == "reference":
        return Reference(arch)
    available, why = fast.status()
    if available and arch.type in fast.KINDS and same_equations(arch.type):
        return Fast(arch, streams, unroll)
    if available and arch.type in fast.KINDS:
        why = f"cells/{arch.type}.py has other equations than it"
    elif available:
        why = f"it knows {', '.join(fast.KINDS)}, not '{arch.type}'"
    if name == "fast":
        raise InputError(f"backend fast: {why}; set backend: auto")
    print(f"charlens: plain torch takes over from the compiled CPU code: {why}", file=sys.stderr)
    return Reference(arch)


def of_used(name: str, gradient: Tensor | None, arch: Architecture) -> Tensor:
    """A parameter's gradient. Raises InputError where the cell does not use the parameter."""
    if gradient is None:
        raise InputError(
            f"cells/{arch.type}.py: its step does not use {name.rpartition('.')[2]}: use it, or"
            " leave it out of recurrent_shapes"
        )
    return gradient


@functools.cache
def same_equations(type: str) -> bool:
    """Does the compiled code compute what the cell's file says, forward and backward? Tried on a
    network so small that it is computed in float32, and from a state that is large, where bounds
    would show. (An edited cell must not be trained with the old equations.)"""
    arch = Architecture(type, 1 if type == "nn" else 2, 5, 7, 2 if type == "nn" else 0)
    random = torch.Generator().manual_seed(0)
    try:
        params = initialise(arch, 1.0, random)
        x = torch.randint(7, (3, 4, 2) if type == "nn" else (3, 4), generator=random).byte()
        y = torch.randint(7, (3, 4), generator=random).byte()
        begin = zero_state(arch, 3)
        if begin is not None:
            begin.normal_(0, 10, generator=random)
        found = []
        for one in (Fast(arch, 3, 4), Reference(arch)):
            state = None if begin is None else begin.clone()
            found.append(one.log_probs(params, x, state))
            if state is not None:
                found.append(state)
                state = begin.clone()
            grads = {name: torch.zeros_like(value) for name, value in params.items()}
            one.loss_and_grads(params, x, y, state, None, grads)
            found += grads.values()
    except (KeyError, ValueError, IndexError, RuntimeError, InputError):
        return False  # other parameters, or of other shapes
    half = len(found) // 2
    return all(
        torch.allclose(a, b, atol=1e-4) for a, b in zip(found[:half], found[half:], strict=True)
    )


@functools.cache  # one place a process, however many models it holds
def free_gpu() -> str:
    """A card with a place that no other job holds, kept until this process ends; else the first.

    Local jobs of a workflow are given no card number, so each takes a lock file per place. A card
    has $CHARLENS_GPU_JOBS places (1): small models do not fill it. Empty cards are taken first.
    """
    for place in range(gpu_jobs()):
        for card in range(torch.cuda.device_count()):
            # each user's own: another's file cannot be opened
            name = f"charlens-{os.getuid()}-gpu-{card}" + (f"-{place}" if place else "")
            lock = open(Path(tempfile.gettempdir()) / f"{name}.lock", "a")  # noqa: SIM115
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            _held.append(lock)
            return f"cuda:{card}"
    return "cuda:0"


def gpu_jobs() -> int:
    """Jobs that share a card. Raises InputError where $CHARLENS_GPU_JOBS is no number above 0."""
    said = os.environ.get("CHARLENS_GPU_JOBS", "1")
    if not said.isdigit() or int(said) < 1:
        raise InputError(f"CHARLENS_GPU_JOBS={said}: how many jobs share a card, 1 or more")
    return int(said)


_held = []  # open lock files: closing one gives its card back


def to_device(params: Parameters, device: str) -> Parameters:
    return {name: value.to(device).contiguous() for name, value in params.items()}
