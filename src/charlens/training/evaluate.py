"""Inputs and targets of a split, and the loss of a network on them."""

import numpy as np

from charlens.data import split
from charlens.networks.architecture import Architecture


def inputs_and_targets(data: split.Split, part: str, arch: Architecture):
    """Inputs and targets of a part of the split ("train", "val" or "test"), as codes.

    x [S, n], the character before each of y [S, n]; for an n-NN [S, n, context], oldest first.
    """
    piece = getattr(data, part)
    if arch.recurrent:
        return piece.x, piece.y
    contexts = split.contexts(data.joined(part), arch.context)
    return contexts.reshape(*piece.y.shape, arch.context), piece.y


def target_log_probs(backend, params, x, y, state, unroll: int, exact: bool = True):
    """Log-probability in nats of every y [S, n], window by window: float32 [S, n].

    x: see `inputs_and_targets`. state: [layers, rows, S, H], updated in place; None for an n-NN.
    unroll: characters per window. exact: in float32, else as precisely as the backend trains.
    """
    pieces = []
    for at in range(0, y.shape[1], unroll):
        window = slice(at, at + unroll)
        found = backend.target_log_probs(params, x[:, window], y[:, window], state, exact)
        pieces.append(np.asarray(found))
    return np.concatenate(pieces, axis=1)


def mean_loss(backend, params, x, y, state, unroll: int) -> float:
    """Mean cross-entropy of y [S, n] in nats per character, as precisely as the backend trains.

    x, state, unroll: as in `target_log_probs`.
    """
    logp = target_log_probs(backend, params, x, y, state, unroll, exact=False)
    return -logp.mean(dtype=np.float64).item()
