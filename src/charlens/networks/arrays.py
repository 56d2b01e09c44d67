"""Parameters and states as numpy arrays, for what is done without torch: importing it takes longer
than many a job, and the compiled code does not need it (but for Mamba).
"""

from typing import TYPE_CHECKING

import numpy as np

from charlens.networks.architecture import Architecture, shapes, state_rows
from charlens.networks.cells import cell

if TYPE_CHECKING:
    from torch import Tensor


def on_host(tensor: "np.ndarray | Tensor") -> np.ndarray:
    """A tensor of torch, on whichever device, as a numpy array; not copied where it is on the CPU.
    A numpy array stays as it is."""
    return tensor if isinstance(tensor, np.ndarray) else tensor.detach().cpu().numpy()


def initialise(arch: Architecture, scale: float, seed: int) -> dict[str, np.ndarray]:
    """Initial parameters, those of `network.initialise` with a generator of this seed, bit for bit.

    scale: bound of the uniform distribution (section 4.1).
    """
    if arch.block or (arch.recurrent and hasattr(cell(arch.type), "initial")):  # not uniform
        import torch

        from charlens.networks import network

        drawn = network.initialise(arch, scale, torch.Generator().manual_seed(seed))
        return {name: value.numpy() for name, value in drawn.items()}
    # torch draws from the same generator (MT19937 with one word of seed) and makes 24 bits of a
    # word a uniform number, which it scales by a fused multiply and add: one rounding
    words = np.random.RandomState(seed % 2**32)
    low, width = np.float64(np.float32(-scale)), np.float64(np.float32(scale) - np.float32(-scale))
    params = {}
    for name, shape in shapes(arch).items():
        bits = words.randint(0, 2**32, shape, np.uint32) % 2**24
        params[name] = (bits / 2**24 * width + low).astype(np.float32)
    return params


def zero_state(arch: Architecture, streams: int) -> np.ndarray | None:
    """The state before a stream's first character: [layers, rows, S, H] zeros; None for n-NN."""
    if not arch.recurrent:
        return None
    return np.zeros((arch.layers, sum(state_rows(arch)), streams, arch.hidden), np.float32)
