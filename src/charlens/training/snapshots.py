"""Snapshots of a network while it is trained: its parameters at several times, in one file.

They show when a unit or a skill appears (see `charlens.units.emergence`). Snapshots are kept in
half precision and travel in the checkpoint, so that a resumed training loses none.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from charlens.errors import InputError
from charlens.files import write_atomically
from charlens.networks import arrays, metadata
from charlens.networks.architecture import Architecture
from charlens.networks.model_file import (
    architecture_of,
    content_of,
    deserialize,
    in_float32,
    read,
    tensors_in,
)  # fmt: skip

if TYPE_CHECKING:
    from charlens.networks.network import Parameters


@dataclass(frozen=True)
class Schedule:
    """When snapshots are taken: `per_epoch` in each of the first `epochs`, then one per epoch."""

    per_epoch: int
    epochs: int

    def due(self, epoch: int, window: int, windows: int) -> bool:
        """Whether to take one after so many of an epoch's windows; epochs count from 1."""
        times = self.per_epoch if epoch <= self.epochs else 1
        return window in {round(part * windows / times) for part in range(1, times + 1)}

    def taken(self, epoch: int, window: int, windows: int) -> list[float]:
        """The fractional epochs of those taken after so many of an epoch's windows."""
        past = [(whole, number) for whole in range(1, epoch) for number in range(1, windows + 1)]
        past += [(epoch, number) for number in range(1, window + 1)]
        return [moment(*at, windows) for at in past if self.due(*at, windows)]


def moment(epoch: int, window: int, windows: int) -> float:
    """The fractional epoch after so many of an epoch's windows; epochs count from 1."""
    return round(epoch - 1 + window / windows, 4)


def take(params: "Parameters") -> dict[str, np.ndarray]:
    """A copy of the parameters in half precision, of numpy.

    Raises InputError where a parameter is not finite or exceeds the range of float16.
    """
    with np.errstate(over="ignore"):
        copied = {n: arrays.on_host(value).astype(np.float16) for n, value in params.items()}
    if not all(np.isfinite(value).all() for value in copied.values()):
        largest = np.max([np.abs(arrays.on_host(value)).max() for value in params.values()])
        if math.isfinite(largest):
            raise InputError(f"a parameter is {largest:.4g}, too large for half precision")
        raise InputError("a parameter is not finite")
    return copied


def save(path: Path, snapshots: list[dict], described: dict) -> None:
    """Write snapshots ({"epoch", "params"}) and a model's metadata to a .safetensors file.

    Each parameter is stacked along a new first axis, one entry per snapshot. Raises InputError
    where `path` cannot be written.
    """
    from safetensors.numpy import save as serialize

    names = snapshots[0]["params"]
    tensors = {name: np.stack([one["params"][name] for one in snapshots]) for name in names}
    described = described | {"epochs": [one["epoch"] for one in snapshots]}
    write_atomically(path, content_of(tensors, described, serialize))


def load(path: Path) -> "tuple[Architecture, list[tuple[float, Parameters]], dict]":
    """Architecture, (fractional epoch, float32 parameters) of each snapshot, and metadata.

    Raises InputError where the file is missing, damaged or holds no snapshots.
    """
    import torch

    described, content = read(path)
    metadata.require(described, path)
    if "epochs" not in described:
        raise InputError(f"{path}: a model, not the snapshots of a training")
    stacked = tensors_in(content, deserialize, path)
    arch, epochs = architecture_of(described), described["epochs"]
    metadata.check_tensors(stacked, arch, path, snapshots=len(epochs))
    stacked = {name: torch.from_numpy(in_float32(value)) for name, value in stacked.items()}
    found = [
        (epoch, {name: value[index] for name, value in stacked.items()})
        for index, epoch in enumerate(epochs)
    ]
    return arch, found, described
