"""Checkpoints: the state of a training under way, and which training it is of."""

import hashlib
import io
import json
from dataclasses import asdict
from pathlib import Path

import torch

from charlens.files import write_atomically
from charlens.networks.version import version
from charlens.progress import say


def fingerprint(arch, recipe, data, seed, dropout) -> str:
    """Two trainings with the same fingerprint are the same training, up to its last epoch."""
    settings = asdict(recipe) | asdict(arch) | {"seed": seed, "dropout": dropout}
    settings |= {"version": version(arch.type)}
    settings |= {"streams": data.streams, "unroll": data.unroll}  # which the codes do not tell
    del settings["epochs"]  # a longer training goes on from a shorter one
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for content in (data.train.y, data.val.y):
        digest.update(content)
    return digest.hexdigest()


def write_checkpoint(path: Path, training, identity: str) -> None:
    content = io.BytesIO()  # torch.save itself hides which error the disk gave
    torch.save(training.snapshot() | {"identity": identity}, content)
    write_atomically(path, content.getbuffer())


def read_checkpoint(path: Path, identity: str, label: str) -> dict | None:
    """The snapshot in a checkpoint, or None where there is none of this very training."""
    if not path.exists():
        return None
    try:
        snapshot = torch.load(path, weights_only=True, map_location="cpu")
        matches = snapshot.pop("identity") == identity
    except Exception as error:  # whatever a broken file makes torch raise
        say(label, f"{path} cannot be read ({type(error).__name__}): beginning anew")
        return None
    if not matches:
        say(label, "the checkpoint is of other settings, data or code: beginning anew")
        return None
    return snapshot
