"""The network in the page: its parameters in half precision, and the states from which it reads.

The page computes what is looked at (network.js). Segments of the text begin where the state was
kept, so that any of them can be read at once.
"""

from dataclasses import dataclass

import numpy as np
import torch

from charlens.networks.architecture import Architecture, shapes
from charlens.networks.network import Parameters
from charlens.text import line_ends, symbols, utf8

TYPES = ("lstm", "gru", "rnn")  # as CELLS of network.js
SEGMENT = 500  # characters


@dataclass(frozen=True, eq=False)
class Segments:
    """Where a text may be read from: its segments, each from the state before it."""

    begin: np.ndarray  # int64 [B]: the first character of each
    states: np.ndarray  # float32 [B, layers, states, H]


def why_not(arch: Architecture, params: Parameters) -> str | None:
    """Why a network cannot live in the page, in words; None if it can."""
    if arch.cell not in TYPES or arch.block:
        return f"the page has no forward pass for type {arch.type}"
    if any(value.abs().max() > torch.finfo(torch.float16).max for value in params.values()):
        return "a weight is too large for half precision"
    return None


def halved(params: Parameters) -> Parameters:
    """The parameters rounded to half precision, as float32."""
    return {name: value.half().float() for name, value in params.items()}


def facts(arch: Architecture, about: dict, segments: Segments) -> dict:
    """What the page's scripts must know of the network."""
    alphabet = symbols.alphabet_of(about)
    letters = symbols.text_of(alphabet)
    return {
        "type": arch.cell,
        "parameters": [[name, list(shape)] for name, shape in shapes(arch).items()],
        "segments": segments.begin.tolist(),
        "alphabet": alphabet.tolist(),
        "line_ends": line_ends.of_model(about),
        "utf8": isinstance(letters, bytes) and utf8.of_alphabet(letters),
    }


def blocks(arch: Architecture, params: Parameters, segments: Segments) -> dict[str, np.ndarray]:
    """The parameters in the order of `facts`, float16, as their bits; and the states."""
    weights = np.concatenate([params[name].numpy().ravel() for name in shapes(arch)])
    return {
        "weights": weights.astype(np.float16).view(np.uint16),
        "states": segments.states.astype(np.float32),
    }
