"""Mamba on a processor: plain torch but for the selective scan, which is compiled.

In plain torch the scan takes more than four fifths of the time: each of its operations goes through
the expanded states, 16 numbers per channel, of a whole piece of the window. Compiled (see
`cpu/selective_scan.cpp`), all operations of a channel happen while its states are in the L1 cache.
"""

import ctypes
import functools

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charlens.backends import cpu
from charlens.backends.reference import Reference
from charlens.networks.architecture import Architecture
from charlens.networks.cells import mamba

STATES = 16  # numbers per channel, as compiled


class Mamba(Reference):
    """Stacks of Mamba, bare or in blocks, in float32 on every path of the compiled code."""

    def __init__(self, arch: Architecture):
        super().__init__(arch)
        self.name = f"fast ({cpu.status()[0]})"
        self.scan = functools.partial(mamba.one_piece, selective_scan=selective_scan)


def selective_scan(d, u, z, B, C, A, D, s) -> tuple[Tensor, Tensor]:
    """`mamba.selective_scan` by the compiled code.

    Raises ValueError that names an argument of another shape, or that is not float32 on the CPU.
    """
    return _SelectiveScan.apply(d, u, z, B, C, A, D, s)


class _SelectiveScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *inputs):
        inputs = [tensor.contiguous() for tensor in inputs]
        of_inputs = addresses(inputs, inputs[0].shape)
        y, after = torch.empty_like(inputs[0]), torch.empty_like(inputs[-1])
        check(library().charlens_scan(*y.shape, of_inputs, y.data_ptr(), after.data_ptr()), y)
        ctx.save_for_backward(*inputs)
        ctx.mark_non_differentiable(after)
        return y, after

    @staticmethod
    @once_differentiable
    def backward(ctx, dy, _):
        inputs, dy = ctx.saved_tensors, dy.contiguous()
        grads = [torch.empty_like(tensor) for tensor in inputs[:-1]]  # truncated: none by s
        of_inputs, of_grads = (addresses(tensors, dy.shape) for tensors in (inputs, grads))
        done = library().charlens_scan_backward(*dy.shape, of_inputs, dy.data_ptr(), of_grads)
        check(done, dy)
        return *grads, None


def addresses(tensors, window: torch.Size) -> ctypes.Array:
    """Where the inputs of a window [T, S, E] lie, or their gradients, in the order of
    `selective_scan`. Raises ValueError as that does."""
    T, S, E = window
    shapes = dict.fromkeys("duz", (T, S, E)) | dict.fromkeys("BC", (T, S, STATES))
    shapes |= {"A": (E, STATES), "D": (E,), "s": (S, E, STATES)}
    named = zip(tensors, shapes.items(), strict=False)  # there are no gradients by s
    found = [cpu.address(tensor, shape, name) for tensor, (name, shape) in named]
    return (ctypes.c_void_p * len(found))(*found)


def check(done: int, window: Tensor) -> None:
    """Raises MemoryError where the compiled code had no memory for a window [T, S, E]."""
    if not done:
        raise MemoryError(f"no memory for the scan of {len(window)} steps")


def library() -> ctypes.CDLL:
    """The library of the path in use."""
    return cpu.build.library(cpu.status()[0])
