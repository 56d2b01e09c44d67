"""What the backends share: dropout masks, threads, the options of the command line."""

import argparse
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from charlens import arguments
from charlens.errors import InputError
from charlens.networks.architecture import Architecture

if TYPE_CHECKING:
    from torch import Tensor

BACKENDS = ("auto", "reference", "fast", "cuda")


class Dropout(NamedTuple):
    """The dropout mask of one window, and the factor on the outputs that it keeps (section 4.1).

    A set bit keeps an output: unit u has bit u % 8 of byte u // 8. Rows are padded to a multiple of
    16 units with arbitrary bits. Drawn by `charlens.training.dropout`.
    """

    bits: np.ndarray  # uint8 [layers, T, S, 2 ceil(H / 16)]
    scale: float  # 1 / (1 - p)

    def mask(self, hidden: int) -> "Tensor":
        """The mask as bool [layers, T, S, H], true where an output is kept."""
        import torch

        bits = np.unpackbits(np.asarray(self.bits), axis=-1, count=hidden, bitorder="little")
        return torch.from_numpy(bits.view(bool))


def used_gradient(name: str, gradient: "Tensor | None", arch: Architecture) -> "Tensor":
    """A parameter's gradient, in the parameter's shape.

    gradient: from autograd, None for a parameter that the network does not use. Raises InputError
    in that case.
    """
    if gradient is None:
        raise InputError(
            f"cells/{arch.cell}.py: its step does not use {name.rpartition('.')[2]}: use it, or"
            " leave it out of recurrent_shapes"
        )
    return gradient


def set_threads(threads: int) -> None:
    """Let torch use so many processor cores, now or when it is imported."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def add_backend(parser: argparse.ArgumentParser) -> None:
    """The option --backend of every verb that lets its user choose."""
    parser.add_argument(
        "--backend", choices=BACKENDS, default="auto", help="who does the arithmetic; auto: a GPU"
        " if there is one, else the compiled CPU code (fast), else plain torch (reference)",
    )  # fmt: skip


def add_threads(parser: argparse.ArgumentParser) -> None:
    """The option --threads of every verb that computes with a network."""
    parser.add_argument(
        "--threads", type=cores, default=1, help="processor cores to use, of those that there are"
    )


def cores(text: str) -> int:
    """A type of argument: a number of cores; all that there are where it is larger."""
    return min(arguments.count(text), os.cpu_count() or 1)
