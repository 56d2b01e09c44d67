"""Checkpoints: the state of a training in progress, and which training it belongs to.

A checkpoint file holds a digest and then what it is the digest of. The checkpoint before it is kept
and used where the newest is damaged.
"""

import hashlib
import io
import json
import os
from dataclasses import asdict
from pathlib import Path

import torch

from charlens.files import write_atomically
from charlens.networks.version import version
from charlens.progress import say
from charlens.training.recipe import Recipe

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
    content = io.BytesIO()  # torch.save itself would hide the disk's error
    torch.save(training.saved_state() | {"identity": identity}, content)
    content = content.getvalue()
    if path.exists():
        os.replace(path, earlier(path))
    write_atomically(path, hashlib.sha256(content).digest() + content)


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
        except Exception as error:  # whatever a broken file makes torch raise
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


def parse(content: bytes) -> dict:
    """What a checkpoint file holds. Raises ValueError where its digest differs."""
    digest, content = content[:32], content[32:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its digest differs")
    return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")


def check(saved: dict, training) -> None:
    """Raise ValueError unless a state has the parts of this training's, with their shapes."""
    own, best = training.saved_state(), saved["best"] or saved | {"val_loss": 0.0}
    networks = [saved["params"], saved["squares"], best["params"]]
    networks += [one["params"] for one in saved["snapshots"]]
    wanted = {name: value.shape for name, value in own["params"].items()}
    fits = (
        saved.keys() == own.keys()
        and all({n: p.shape for n, p in params.items()} == wanted for params in networks)
        and all(p.dtype == torch.float32 for params in networks[:3] for p in params.values())
        and getattr(saved["state"], "shape", None) == getattr(own["state"], "shape", None)
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
