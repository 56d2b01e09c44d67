"""Checkpoints: the state of a training in progress, and which training it belongs to."""

import hashlib
import io
import json
from dataclasses import asdict
from pathlib import Path

import torch

from charlens.files import write_atomically
from charlens.networks.version import version
from charlens.progress import say


def fingerprint(arch, recipe, data, seed, dropout, schedule=None) -> str:
    """Identify a training: a hash of settings, version and data, but not of its last epoch.

    dropout: probability. data: the split. schedule: of snapshots. Returns hex digits.
    """
    settings = asdict(recipe) | asdict(arch) | {"seed": seed, "dropout": dropout}
    settings |= {"version": version(arch.type)}
    settings |= {"streams": data.streams, "unroll": data.unroll}  # not evident from the codes
    if schedule:
        settings |= {"snapshots": asdict(schedule)}
    del settings["epochs"]  # a longer training resumes a shorter one
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for content in (data.train.y, data.val.y):
        digest.update(content)
    return digest.hexdigest()


def write_checkpoint(path: Path, training, identity: str) -> None:
    """Save a training's state. Raises InputError where the disk is full or cannot be written."""
    content = io.BytesIO()  # torch.save itself would hide the disk's error
    torch.save(training.saved_state() | {"identity": identity}, content)
    write_atomically(path, content.getbuffer())


def read_checkpoint(path: Path, identity: str, label: str) -> dict | None:
    """The state in a checkpoint (see `Training.saved_state`), or None where there is none.

    A checkpoint that is damaged or of another training is ignored, with a progress line that says
    so.
    """
    if not path.exists():
        return None
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        matches = saved.pop("identity") == identity
    except Exception as error:  # whatever a broken file makes torch raise
        say(label, f"{path} cannot be read ({type(error).__name__}): starting over")
        return None
    if not matches:
        say(label, "the checkpoint is of other settings, data or version: starting over")
        return None
    return saved
