"""Checkpoints: the state of a training in progress, and which training it belongs to.

A checkpoint file holds a digest and then what it is the digest of: the state in the safetensors
format, its tensors by number and all else as JSON. The checkpoint before it is kept and used where
the newest is damaged.
"""

import hashlib
import io
import json
import math
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import safetensors.numpy

from charlens.data import split
from charlens.errors import InputError
from charlens.files import write_atomically
from charlens.networks import arrays
from charlens.networks.architecture import Architecture
from charlens.networks.version import version
from charlens.progress import say
from charlens.store.reading import reason
from charlens.training.recipe import Recipe, RMSProp
from charlens.training.snapshots import Schedule

TENSOR = "tensor"  # in the JSON of a checkpoint: the number of one
HISTORY = {"epoch", "learning_rate", "train_loss", "val_loss", "seconds", "backend"}


def fingerprint(
    arch: Architecture, recipe: Recipe, data: split.Split, seed: int, dropout: float, schedule=None
) -> str:
    """Identify a training: a hash of settings, version and data. The paper's recipe is the same
    whatever the last epoch is, so that is no part of it.

    dropout: probability. data: the split. schedule: of snapshots. Returns hex digits.
    """
    settings = asdict(recipe) | asdict(arch) | {"seed": seed, "dropout": dropout}
    settings |= {"version": version(arch.type)}
    settings |= {"streams": data.streams, "unroll": data.unroll}  # not evident from the codes
    if schedule:
        settings |= {"snapshots": asdict(schedule)}
    if isinstance(recipe, RMSProp):
        del settings["epochs"]  # a longer training resumes a shorter one: its rates are the same
    settings |= {"data": split.digest(data)}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def write_checkpoint(path: Path, training, identity: str) -> None:
    """Save a training's state. Raises InputError where the disk is full or cannot be written."""
    content = content_of(training.saved_state() | {"identity": identity})
    if path.exists():
        os.replace(path, earlier(path))
    write_atomically(path, content)


def read_checkpoint(
    path: Path, identity: str, label: str, training, schedule: Schedule | None = None
) -> dict | None:
    """The state in the newest sound checkpoint (see `Training.saved_state`); None if there is none.

    A damaged checkpoint, or one that does not fit `training`, is set aside, and one of another
    training ignored, with a progress line that says so. Raises InputError where one cannot be read:
    it may be sound, and days of training in it.
    """
    damaged = False
    for place in (path, earlier(path)):
        try:
            content = place.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InputError(
                f"{place}: cannot be read ({reason(error)}); run again, or remove it to train from"
                " the beginning"
            ) from error
        try:
            saved = parse(content)
            if matches := saved.pop("identity") == identity:
                check(saved, training, schedule)
        except (MemoryError, ImportError):  # of this machine, not of the file
            raise
        except Exception as error:  # whatever a broken file makes libraries raise
            aside = place.with_name(f"{place.name}.damaged")
            os.replace(place, aside)
            words = reason(error) or type(error).__name__
            say(label, f"{place} is damaged ({words}): moved to {aside}")
            damaged = True
            continue
        if matches:
            return saved
        say(label, "the checkpoint is of other settings, data or version: starting over")
        return None
    if damaged:
        say(label, "no sound checkpoint: starting over")
    return None


def earlier(path: Path) -> Path:
    """Where the checkpoint before the newest is."""
    return path.with_name(f"earlier-{path.name}")


def content_of(saved: dict) -> bytes:
    """The content of a checkpoint file."""
    tensors = {}

    def plain(value):
        """The value without its tensors, which are put aside and referred to by number."""
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items()}
        if isinstance(value, list):
            return [plain(part) for part in value]
        if not hasattr(value, "shape"):
            return value
        number = str(len(tensors))
        tensors[number] = np.ascontiguousarray(arrays.on_host(value))
        return {TENSOR: number}

    described = json.dumps(plain(saved))
    content = safetensors.numpy.save(tensors, metadata={"state": described})
    return hashlib.sha256(content).digest() + content


def parse(content: bytes) -> dict:
    """What a checkpoint file holds, its tensors as numpy arrays. Raises ValueError where its digest
    differs."""
    digest, content = content[:32], content[32:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its digest differs")
    if content.startswith(b"PK"):
        return parse_torch(content)
    tensors = safetensors.numpy.load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])

    def whole(value: dict):
        return tensors[value[TENSOR]].copy() if value.keys() == {TENSOR} else value

    return json.loads(header["__metadata__"]["state"], object_hook=whole)


def parse_torch(content: bytes) -> dict:
    """The same of a checkpoint that an earlier version wrote by `torch.save`."""
    import torch

    saved = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")

    def whole(value):
        if isinstance(value, dict):
            return {name: whole(part) for name, part in value.items()}
        if isinstance(value, list):
            return [whole(part) for part in value]
        return value.numpy() if isinstance(value, torch.Tensor) else value

    return whole(saved)


def check(saved: dict, training, schedule: Schedule | None = None) -> None:
    """Raise ValueError, which names a part, unless a state as `parse` returns it is one that this
    training can be in: each part has its types, shapes and range, and they agree with each other.

    schedule: of snapshots.
    """
    own = training.saved_state()
    if saved.keys() != own.keys():
        raise ValueError(f"expected {', '.join(own)}, got {', '.join(saved)}")
    shapes = {name: tuple(value.shape) for name, value in own["params"].items()}
    state, epoch, window, history = (saved[n] for n in ("state", "epoch", "window", "history"))

    def taken():
        return schedule.taken(epoch, window, training.windows) if schedule else []

    fits = {  # in an order in which each may rely on those before
        "params": lambda: are_parameters(saved["params"], shapes),
        "squares": lambda: are_parameters(saved["squares"], shapes),
        "means": lambda: "means" not in own or are_parameters(saved["means"], shapes),
        "state": lambda: (
            state is None if own["state"] is None else is_array(state, tuple(own["state"].shape))
        ),
        "epoch": lambda: type(epoch) is int and epoch >= 1,
        "window": lambda: type(window) is int and 0 <= window <= training.windows,
        "loss_sum": lambda: type(saved["loss_sum"]) is float,
        "seconds": lambda: is_finite(saved["seconds"]),
        "history": lambda: is_history(history, epoch - 1),
        "best": lambda: is_best(saved["best"], history, shapes),
        "snapshots": lambda: are_snapshots(saved["snapshots"], taken(), shapes),
    }
    for name, fit in fits.items():
        if not fit():
            raise ValueError(f"its {name} cannot be of this training")


def is_finite(value) -> bool:
    """Whether a value is a finite number."""
    return type(value) is float and math.isfinite(value)


def is_array(value, shape: tuple[int, ...], type="float32") -> bool:
    """Whether a value is an array of this shape and type."""
    return isinstance(value, np.ndarray) and value.shape == shape and value.dtype == type


def are_parameters(value, shapes: dict, type="float32", finite=False) -> bool:
    """Whether a value holds arrays with these names, shapes and type, and finite numbers. (Those
    of a training are not finite where it is about to diverge.)"""
    return (
        isinstance(value, dict)
        and value.keys() == shapes.keys()
        and all(is_array(array, shapes[name], type) for name, array in value.items())
        and not (finite and any(not np.isfinite(array).all() for array in value.values()))
    )


def is_history(value, epochs: int) -> bool:
    """Whether a value is the history of so many epochs, none of which diverged."""
    numbers = HISTORY - {"epoch", "backend"}
    return (
        isinstance(value, list)
        and len(value) == epochs
        and all(isinstance(row, dict) and row.keys() == HISTORY for row in value)
        and all(type(row["epoch"]) is int and type(row["backend"]) is str for row in value)
        and all(is_finite(row[name]) for row in value for name in numbers)
        and [row["epoch"] for row in value] == list(range(1, epochs + 1))
    )


def is_best(value, history: list[dict], shapes: dict) -> bool:
    """Whether a value is what is kept of the first epoch with the lowest loss in a history."""
    if not history:
        return value is None
    lowest = min(history, key=lambda row: row["val_loss"])
    return (
        isinstance(value, dict)
        and value.keys() == {"epoch", "val_loss", "params"}
        and type(value["epoch"]) is int
        and is_finite(value["val_loss"])
        and all(value[name] == lowest[name] for name in ("epoch", "val_loss"))
        and are_parameters(value["params"], shapes, finite=True)
    )


def are_snapshots(value, epochs: list[float], shapes: dict) -> bool:
    """Whether a value holds the snapshots of these (fractional) epochs."""
    return (
        isinstance(value, list)
        and all(isinstance(one, dict) and one.keys() == {"epoch", "params"} for one in value)
        and all(is_finite(one["epoch"]) for one in value)
        and [one["epoch"] for one in value] == epochs
        and all(are_parameters(one["params"], shapes, "float16", finite=True) for one in value)
    )
