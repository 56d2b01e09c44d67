"""Snapshots of a network while it is trained: its parameters at several times, in one file.

They show when a unit or a skill appears (see `charlens.units.emergence`). Snapshots are kept in
half precision and travel in the checkpoint, so that a resumed training loses none.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from charlens.errors import InputError
from charlens.files import write_atomically
from charlens.networks import metadata
from charlens.networks.architecture import Architecture
from charlens.networks.model_file import architecture_of, content_of, read, tensors_in
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


def take(params: Parameters) -> Parameters:
    """A copy of the parameters in half precision, on the CPU.

    Raises InputError where a parameter exceeds the range of float16.
    """
    copied = {name: value.detach().to("cpu", torch.float16) for name, value in params.items()}
    if not all(value.isfinite().all() for value in copied.values()):
        raise InputError(
            "snapshots: a parameter is too large for half precision; lower training.learning_rate"
        )
    return copied


def save(path: Path, snapshots: list[dict], described: dict) -> None:
    """Write snapshots ({"epoch", "params"}) and a model's metadata to a .safetensors file.

    Each parameter is stacked along a new first axis, one entry per snapshot. Raises InputError
    where `path` cannot be written.
    """
    from safetensors.torch import save as serialize

    names = snapshots[0]["params"]
    tensors = {name: torch.stack([one["params"][name] for one in snapshots]) for name in names}
    described = described | {"epochs": [one["epoch"] for one in snapshots]}
    write_atomically(path, content_of(tensors, described, serialize))


def load(path: Path) -> tuple[Architecture, list[tuple[float, Parameters]], dict]:
    """Architecture, (fractional epoch, float32 parameters) of each snapshot, and metadata.

    Raises InputError where the file is missing, damaged or holds no snapshots.
    """
    from safetensors.torch import load as deserialize

    described, content = read(path)
    metadata.require(described, path)
    if "epochs" not in described:
        raise InputError(f"{path}: a model, not the snapshots of a training")
    stacked = tensors_in(content, deserialize, path)
    arch, epochs = architecture_of(described), described["epochs"]
    metadata.check_tensors(stacked, arch, path, snapshots=len(epochs))
    found = [
        (epoch, {name: value[index].float() for name, value in stacked.items()})
        for index, epoch in enumerate(epochs)
    ]
    return arch, found, described
