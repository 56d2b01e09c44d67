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


def read_checkpoint(path: Path, identity: str, label: str) -> dict | None:
    """The state in the newest sound checkpoint (see `Training.saved_state`); None if there is none.

    A damaged checkpoint is set aside, and one of another training ignored, with a progress line
    that says so.
    """
    damaged = False
    for place in (path, earlier(path)):
        if not place.exists():
            continue
        try:
            saved = parse(place.read_bytes())
            matches = saved.pop("identity") == identity
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
