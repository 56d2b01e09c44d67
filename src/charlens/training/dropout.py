"""The dropout draw: which outputs of the layers are kept in each window (section 4.1).

Dropout acts on each layer's output, between layers and before the softmax, never on the recurrence.
"""

import math

import numpy as np

from charlens.backends.base import Dropout
from charlens.networks.architecture import Architecture


def draw_mask(
    arch: Architecture, streams: int, unroll: int, p: float, seed: int, epoch: int, window: int
) -> Dropout | None:
    """The mask of one window, [layers, T, S, H] (section 4.1); None where nothing is dropped.

    p: the probability that an output is dropped, 0 <= p < 1. streams, unroll: S and T. epoch,
    window: counted from 1 and from 0. The mask depends on the seed, the epoch and the window alone,
    so a resumed training draws the same masks, on whichever backend. An n-NN has no dropout.

    Sixteen bits are drawn per unit, so 1 - p is rounded to a multiple of 2^-16.
    """
    if p == 0 or not arch.recurrent:
        return None
    units = 16 * math.ceil(arch.hidden / 16)
    shape = (arch.layers, unroll, streams, units)
    random = np.random.SFC64([seed, epoch, window])
    draws = random.random_raw(math.prod(shape) // 4).view(np.int16)
    level = min(round((1 - p) * 2**16) - 2**15, 2**15 - 1)
    bits = np.packbits(draws < np.int16(level), bitorder="little")
    return Dropout(bits.reshape(*shape[:-1], units // 8), 1 / (1 - p))
