"""Inputs and targets of a split, and the loss of a network on them."""

import torch

from charlens.data import split
from charlens.networks.architecture import Architecture


def tensors(data, part: str, arch: Architecture):
    """Inputs and targets of a part of the split ("train", "val" or "test"), as uint8 codes.

    x [S, n], the character before each of y [S, n]; for an n-NN [S, n, context], oldest first.
    """
    piece = getattr(data, part)
    y = torch.from_numpy(piece.y)
    if arch.recurrent:
        return torch.from_numpy(piece.x), y
    contexts = split.contexts(data.joined(part), arch.context)
    return torch.tensor(contexts).view(*y.shape, arch.context), y


def target_log_probs(engine, params, x, y, state, unroll: int, exact: bool = True):
    """Log-probability in nats of every y [S, n], window by window: [S, n].

    x: see `tensors`. state: [layers, rows, S, H], updated in place; None for an n-NN. unroll:
    characters per window. exact: in float32, else as precisely as the backend trains.
    """
    pieces = []
    for at in range(0, y.shape[1], unroll):
        window = slice(at, at + unroll)
        pieces.append(engine.target_log_probs(params, x[:, window], y[:, window], state, exact))
    return torch.cat(pieces, dim=1)


def mean_loss(engine, params, x, y, state, unroll: int) -> float:
    """Mean cross-entropy of y [S, n] in nats per character, as precisely as the backend trains.

    x, state, unroll: as in `target_log_probs`.
    """
    return -target_log_probs(engine, params, x, y, state, unroll, False).double().mean().item()
