"""Model files: a network's parameters and, as metadata, everything else about it.

A model file is in the safetensors format: tensors by name (see `network`), and under "charlens" a
JSON object with the architecture, the version of the computation, the alphabet, the recipe and the
result of the training. The metadata are read without torch, so that small jobs start at once.
"""

import json
import struct
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from charlens.errors import InputError
from charlens.files import write_atomically
from charlens.store import models

if TYPE_CHECKING:
    from charlens.networks.architecture import Architecture
    from charlens.networks.network import Parameters


def about(path: Path) -> dict:
    """The metadata of a model file. Raises InputError where it is missing or not a model."""
    try:
        with open(path, "rb") as file:  # safetensors: length of the header, header, tensors
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, 1 << 24)))
        return json.loads(header["__metadata__"]["charlens"])
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; name the model file in it") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such model; train it first") from None
    except (struct.error, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not a charlens model") from None


def best(paths: list[Path]) -> Path:
    """The model file with the lowest validation loss (see `models.best`).

    Raises InputError where one is missing or not a model.
    """
    return models.best(paths, about)


def save(path: Path, params: "Parameters", described: dict) -> None:
    """Write a self-contained model file: float32 tensors and `described` as its metadata.

    params: shaped as in `architecture.shapes`. described: the architecture's fields, the alphabet
    (hex) and how the network was trained.
    Raises InputError where the disk is full or `path` cannot be written.
    """
    from safetensors.torch import save as serialize

    # safetensors wants contiguous tensors of their own
    tensors = {name: value.detach().cpu().contiguous() for name, value in params.items()}
    write_atomically(path, serialize(tensors, metadata={"charlens": json.dumps(described)}))


def load(path: Path) -> "tuple[Architecture, Parameters, dict]":
    """Architecture, float32 parameters and metadata of a model file, half-precision ones included.

    The parameters are shaped as in `architecture.shapes`.
    Raises InputError where the file is missing, damaged or not a model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    described = about(path)
    try:
        params = {name: value.float() for name, value in load_file(path).items()}
    except SafetensorError as error:
        raise InputError(f"{path}: damaged ({error}); train it again, or restore it") from None
    return architecture_of(described), params, described


def architecture_of(described: dict) -> "Architecture":
    """The architecture that a model file's metadata describes."""
    from charlens.networks.architecture import Architecture

    return Architecture(**{field: described[field] for field in asdict(Architecture("", 0, 0, 0))})
