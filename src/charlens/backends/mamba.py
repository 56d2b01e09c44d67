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


class Mamba(Reference):
    """Stacks of Mamba, bare or in blocks, in float32 on every path of the compiled code."""

    def __init__(self, arch: Architecture):
        super().__init__(arch)
        self.name = f"fast ({cpu.status()[0]})"
        self.scan = functools.partial(mamba.some_steps, selective_scan=selective_scan)


def selective_scan(d, u, z, B, C, A, D, s) -> tuple[Tensor, Tensor]:
    """`mamba.selective_scan` by the compiled code, on float32 tensors."""
    return _SelectiveScan.apply(d, u, z, B, C, A, D, s)


class _SelectiveScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *inputs):
        inputs = tuple(tensor.contiguous() for tensor in inputs)
        y, after = torch.empty_like(inputs[0]), torch.empty_like(inputs[-1])
        done = library().charlens_scan(*y.shape, addresses(inputs), y.data_ptr(), after.data_ptr())
        check(done, y)
        ctx.save_for_backward(*inputs)
        ctx.mark_non_differentiable(after)
        return y, after

    @staticmethod
    @once_differentiable
    def backward(ctx, dy, _):
        inputs, dy = ctx.saved_tensors, dy.contiguous()
        grads = [torch.empty_like(tensor) for tensor in inputs[:-1]]  # truncated: none by s
        done = library().charlens_scan_backward(
            *dy.shape, addresses(inputs), dy.data_ptr(), addresses(grads)
        )
        check(done, dy)
        return *grads, None


def check(done: int, window: Tensor) -> None:
    """Raises MemoryError where the compiled code had no memory for a window [T, S, E]."""
    if not done:
        raise MemoryError(f"no memory for the scan of {len(window)} steps")


def library() -> ctypes.CDLL:
    """The library of the path in use."""
    return cpu.build.library(cpu.status()[0])


def addresses(tensors) -> ctypes.Array:
    """Where the tensors lie."""
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
