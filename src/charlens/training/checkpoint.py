"""Checkpoints: the state of a training in progress, and which training it belongs to.

A checkpoint file holds a digest and then what it is the digest of: the state in the safetensors
format, its tensors by number and all else as JSON. The checkpoint before it is kept and used where
the newest is damaged.
"""

import hashlib
import io
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import safetensors.numpy

from charlens.files import write_atomically
from charlens.networks import arrays
from charlens.networks.version import version
from charlens.progress import say
from charlens.training.recipe import Recipe

TENSOR = "tensor"  # in the JSON of a checkpoint: the number of one
HISTORY = {"epoch", "learning_rate", "train_loss", "val_loss", "seconds", "backend"}


def fingerprint(arch, recipe, data, seed, dropout, schedule=None) -> str:
    """Identify a training: a hash of settings, version and data. The paper's recipe is the same
    whatever the last epoch is, so that is no part of it.

    dropout: probability. data: the split. schedule: of snapshots. Returns hex digits.
    """
    settings = asdict(recipe) | asdict(arch) | {"seed": seed, "dropout": dropout}
    settings |= {"version": version(arch.type)}
    settings |= {"streams": data.streams, "unroll": data.unroll}  # not evident from the codes
    if schedule:
        settings |= {"snapshots": asdict(schedule)}
    if isinstance(recipe, Recipe):
        del settings["epochs"]  # a longer training resumes a shorter one: its rates are the same
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for content in (data.train.y, data.val.y):
        digest.update(content)
    return digest.hexdigest()


def write_checkpoint(path: Path, training, identity: str) -> None:
    """Save a training's state. Raises InputError where the disk is full or cannot be written."""
    content = content_of(training.saved_state() | {"identity": identity})
    if path.exists():
        os.replace(path, earlier(path))
    write_atomically(path, content)


def read_checkpoint(path: Path, identity: str, label: str, training) -> dict | None:
    """The state in the newest sound checkpoint (see `Training.saved_state`); None if there is none.

    A damaged checkpoint, or one that does not fit `training`, is set aside, and one of another
    training ignored, with a progress line that says so.
    """
    damaged = False
    for place in (path, earlier(path)):
        if not place.exists():
            continue
        try:
            saved = parse(place.read_bytes())
            if matches := saved.pop("identity") == identity:
                check(saved, training)
        except Exception as error:  # whatever a broken file makes libraries raise
            aside = place.with_name(f"{place.name}.damaged")
            os.replace(place, aside)
            say(label, f"{place} is damaged ({error or type(error).__name__}): moved to {aside}")
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


def shape(state) -> tuple[int, ...]:
    """The shape of a carried state; none for an n-NN."""
    return tuple(getattr(state, "shape", ()))


def check(saved: dict, training) -> None:
    """Raise ValueError unless a state has the parts of this training's, with their shapes."""
    own, best = training.saved_state(), saved["best"] or saved | {"val_loss": 0.0}
    networks = [saved["params"], saved["squares"], best["params"]]
    networks += [one["params"] for one in saved["snapshots"]]
    wanted = {name: tuple(value.shape) for name, value in own["params"].items()}
    fits = (
        saved.keys() == own.keys()
        and all({n: p.shape for n, p in params.items()} == wanted for params in networks)
        and all(
            str(p.dtype).endswith("float32") for params in networks[:3] for p in params.values()
        )
        and shape(saved["state"]) == shape(own["state"])
        and type(saved["epoch"]) is int
        and type(saved["window"]) is int
        and 0 <= saved["window"] <= training.windows
        and len(saved["history"]) == saved["epoch"] - 1
        and isinstance(saved["loss_sum"] + saved["seconds"], float)
        and isinstance(best["epoch"] + best["val_loss"], float)
        and all(row.keys() >= HISTORY for row in saved["history"])
    )
    if not fits:
        raise ValueError("not the state of this training")
