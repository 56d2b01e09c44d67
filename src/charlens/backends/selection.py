"""Backend selection: CUDA, the compiled CPU code, or plain torch.

Every backend computes the same equations behind the same calls, so that a training started
on one can be finished on another. Codes and dropout masks are numpy arrays. Parameters and states
are of numpy for the compiled code, which but for Mamba needs no torch (importing that takes longer
than many a job), and of torch for the others. Shapes: x codes [S, T] (an n-NN: contexts [S, T, n]),
y [S, T], state [layers, rows, S, H] (an n-NN: None), which every call advances to the window's end
in place. Losses and log-probabilities are in nats.

    to_backend(params) -> params
        parameters by name, of numpy or torch, as this backend computes with them
    zero_state(streams) -> state
        before a stream's first character
    loss_and_grads(params, x, y, state, dropout, grads) -> mean loss per character
        fills `grads` with the gradient of -log p, summed over time steps, averaged over streams and
        truncated at the window's beginning; dropout: a `base.Dropout`, or None
    target_log_probs(params, x, y, state, exact=True) -> [S, T]
        log-probability of each y; exact: in float32, else at least as precisely as in training
    log_probs(params, x, state) -> [S, T, K]
        log-probability of every symbol

A backend may also make a whole update at once, clipping and RMSProp included, where that is faster:

    update(params, squares, x, y, state, dropout, rate, recipe) -> mean loss per character
        squares: the optimizer's mean squares by name, shaped as the parameters
    adamw_update(params, means, squares, x, y, state, dropout, rate, number, recipe)
        the same by AdamW; number: of the update, counted from 1

The loss is a number, or a tensor on a GPU, which goes on computing until that is read.
"""

import contextlib
import functools
import sys
from pathlib import Path

import numpy as np

from charlens.backends import cpu, gpus
from charlens.errors import InputError
from charlens.files import write_atomically
from charlens.networks import arrays
from charlens.networks.architecture import Architecture
from charlens.store.models import file_of, has_block

NETWORKS = Path(arrays.__file__).parent
SCANS = ("mamba",)  # types of which the scan alone is compiled


class Compiled:
    """The compiled CPU code of `charlens.backends.cpu`, on one thread (the setting `fast`)."""

    device = "cpu"

    def __init__(self, arch: Architecture, streams: int, unroll: int):
        network = cpu.Network(arch.cell, *sizes(arch, streams, unroll))
        self.arch = arch
        self.loss_and_grads = network.loss_and_grads
        self.update = network.update
        self.target_log_probs = network.target_log_probs
        self.log_probs = network.log_probs
        self.name = f"fast ({cpu.status()[0]})"

    def to_backend(self, params) -> dict[str, np.ndarray]:
        """Parameters by name, of numpy or torch, as contiguous arrays."""
        return {name: np.ascontiguousarray(arrays.on_host(p)) for name, p in params.items()}

    def zero_state(self, streams: int) -> np.ndarray | None:
        """The state before a stream's first character, see `network`."""
        return arrays.zero_state(self.arch, streams)


def sizes(arch: Architecture, streams: int, unroll: int) -> tuple:
    """The arguments of `cpu.Network` after the cell type."""
    of_window = (streams, unroll)
    return (arch.layers, arch.hidden, arch.symbols, *of_window, arch.context, arch.block)


def choose(arch: Architecture, streams: int, unroll: int, name: str = "auto"):
    """The backend for a network that works on windows of [streams, unroll] characters.

    name: the setting `backend`, one of `base.BACKENDS`. `auto` takes CUDA where torch sees a GPU,
    else the compiled code, else plain torch, with one line on stderr that says why. Raises
    InputError where a backend was requested by name and is unavailable on this machine.
    """
    if name == "cuda" or name == "auto" and gpus.available():
        if not gpus.available():
            raise InputError("backend cuda: torch sees no GPU here; set backend: auto")
        from charlens.backends.cuda import Cuda  # which builds on the reference

        return Cuda(arch, gpus.free_gpu())
    if name == "reference":
        return plain_torch(arch)
    available, why = cpu.status()
    if available:
        why = unable(arch, streams, unroll)
        if why is None:
            return compiled(arch, streams, unroll)
    if name == "fast":
        raise InputError(f"backend fast: {why}; set backend: auto")
    print(f"charlens: plain torch takes over from the compiled CPU code: {why}", file=sys.stderr)
    return plain_torch(arch)


def unable(arch: Architecture, streams: int, unroll: int) -> str | None:
    """Why the compiled code cannot compute a network, in words; None where it can."""
    if arch.cell in cpu.KINDS:
        try:
            cpu.check_sizes(arch.cell, *sizes(arch, streams, unroll))
        except ValueError as error:
            return str(error)
    elif arch.cell not in SCANS:
        return f"it knows {', '.join((*cpu.KINDS, *SCANS))}, not '{arch.cell}'"
    if not same_equations(arch.cell):
        return f"cells/{arch.cell}.py has other equations than it"
    if arch.block and arch.cell not in SCANS and not same_equations(f"{arch.cell}+block"):
        return "networks/block.py or network.py has other equations than it"
    return None


def compiled(arch: Architecture, streams: int, unroll: int):
    """The backend `fast` for a network that it can compute."""
    if arch.cell in SCANS:
        from charlens.backends.mamba import Mamba  # which builds on the reference

        return Mamba(arch)
    return Compiled(arch, streams, unroll)


def plain_torch(arch: Architecture):
    """The reference backend, which imports torch."""
    from charlens.backends.reference import Reference

    return Reference(arch)


@functools.cache
def same_equations(type: str) -> bool:
    """Whether the compiled code has the equations of the files of a cell type, or of one in a block
    (such as lstm+block), forward and backward.

    An edited cell type must not be trained with the old equations. That they are the same is noted
    beside the compiled library, and holds as long as neither that nor the files with the equations
    change, so that torch is imported for it but once.
    """
    library = cpu.build.build(cpu.build.float32(cpu.status()[0]))
    of_cell = [NETWORKS / "network.py", NETWORKS / "recurrence.py", file_of(type)]
    of_cell += [Path(__file__).with_name(f"{type}.py")] if type in SCANS else []
    of_cell += [NETWORKS / "block.py"] if has_block(type) else []
    texts = [file.read_bytes() for file in ([NETWORKS / "nn.py"] if type == "nn" else of_cell)]
    kept = library.with_name(f"equations-{type}-{cpu.build.digest(library.name.encode(), *texts)}")
    with contextlib.suppress(OSError, ValueError):
        if kept.read_text() == "same":
            return True
    if not compare_equations(type):
        return False
    with contextlib.suppress(OSError, InputError):  # the folder cannot be written
        write_atomically(kept, b"same")
    return True


def compare_equations(type: str) -> bool:
    """Whether the compiled code and plain torch compute the same on a network small enough to be
    computed in float32, from a state that is large enough to reveal bounds on it: ten times that
    after a window."""
    import torch

    from charlens.networks import network

    arch = Architecture(type, 1 if type == "nn" else 2, 5, 7, 2 if type == "nn" else 0)
    random = torch.Generator().manual_seed(0)
    try:
        # (parameters of size 1 would let Mamba's products of its input with itself explode)
        params = network.initialise(arch, 0.5 if type == "mamba" else 1.0, random)
        if arch.block:  # so small that what a normalisation adds to the mean square counts
            params["embed.w"] *= 0.1
        x = torch.randint(7, (3, 4, 2) if type == "nn" else (3, 4), generator=random).byte()
        y = torch.randint(7, (3, 4), generator=random).byte()
        begin, found = network.zero_state(arch, 3), []
        if begin is not None:
            plain_torch(arch).log_probs(params, x, begin)
            begin *= 10
        with torch.enable_grad():  # whatever the caller is about to do
            for one in (compiled(arch, 3, 4), plain_torch(arch)):
                state = None if begin is None else begin.clone()
                found.append(one.log_probs(params, x, state))
                if state is not None:
                    found.append(state)
                    state = begin.clone()
                grads = {name: torch.zeros_like(value) for name, value in params.items()}
                one.loss_and_grads(params, x, y, state, None, grads)
                found += grads.values()
    except (KeyError, ValueError, IndexError, RuntimeError, TypeError, AttributeError, InputError):
        return False  # other parameters, of other shapes, or other functions
    half = len(found) // 2
    return all(
        torch.allclose(a, b, atol=1e-4 * max(1.0, float(b.abs().max())))
        for a, b in zip(found[:half], found[half:], strict=True)
    )
