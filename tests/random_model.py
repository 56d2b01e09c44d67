"""A model file with random parameters, for tests that need a network but no training."""

import dataclasses

import torch

from charlens.networks import architecture, model_file, network
from charlens.text import symbols, unicode


def saved(path, data, arch, val_loss=1.0, seed=1, **more):
    """Write a model file of a network over the split's alphabet; returns its parameters."""
    params = network.initialise(arch, 0.5, torch.Generator().manual_seed(seed))
    about = dataclasses.asdict(arch) | {
        "corpus": "text", "source": "random", "size": 8, "parameters": architecture.count(arch),
        "dropout": 0.0, "seed": seed, "epoch": 1, "val_loss": val_loss,
        "alphabet": symbols.in_hex(data.alphabet),
        **unicode.stated(symbols.symbols_are_of(data.alphabet)), **more,
    }  # fmt: skip
    model_file.save(path, params, about)
    return params
