"""Model files: a network's parameters and, as metadata, everything else about it.

A model file is in the safetensors format: tensors by name (see `network`), and under "charlens" a
JSON object with the architecture, the version of the computation, the alphabet, the recipe and the
result of the training, and last "sha256", a digest of all this and the tensors. The metadata are
read without torch, and so are the parameters by `load_arrays`, so that small jobs start at once.
"""

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from charlens.errors import InputError
from charlens.files import damaged, write_atomically
from charlens.networks import arrays, metadata
from charlens.networks.version import equations, version, version_of
from charlens.store import models
from charlens.store.reading import reason

if TYPE_CHECKING:
    from charlens.networks.architecture import Architecture
    from charlens.networks.network import Parameters

LARGEST = 1 << 32  # bytes of a model file


def about(path: Path) -> dict:
    """The metadata of a model file.

    Raises InputError where the file is missing, damaged or not a model, and where its metadata
    describe no network.
    """
    return read(path)[0]


def read(path: Path) -> tuple[dict, bytes]:
    """The metadata of a model file, checked, and its whole content. Raises as `about`."""
    try:
        if Path(path).stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than any charlens model")
        content = Path(path).read_bytes()  # length of the header, header, tensors
        (length,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + length])
        described = json.loads(header["__metadata__"]["charlens"])
        stated = described.pop("sha256", None)
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; name the model file in it") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such model; train it first") from None
    except OSError as error:
        raise InputError(f"{path}: no readable model ({error.strerror})") from None
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(
            f"{path}: not a charlens model, or damaged; if it is of a run, remove it and run"
            " snakemake again, which makes it anew"
        ) from None
    if stated is not None and stated != digest(described, content[8 + length :]):
        raise damaged(path)
    metadata.check(described, path)
    return described, content


def digest(described: dict, tensors: bytes) -> str:
    """The digest of a model file: of its metadata and of its tensors' bytes."""
    return hashlib.sha256(json.dumps(described).encode() + b"\0" + tensors).hexdigest()


def content_of(tensors: dict, described: dict, serialize: Callable) -> bytes:
    """The content of a model file with these metadata, its digest included.

    tensors: of torch or numpy, as `serialize` (safetensors' `save` for either) takes them.
    """
    plain = serialize(tensors)
    (length,) = struct.unpack_from("<Q", plain)
    # one entry of metadata: safetensors writes several in any order
    whole = described | {"sha256": digest(described, plain[8 + length :])}
    return serialize(tensors, metadata={"charlens": json.dumps(whole)})


def best(paths: list[Path]) -> Path:
    """The model file with the lowest validation loss (see `models.best`).

    Raises InputError where one is missing, not a model, or without a validation loss.
    """

    def judged(path):
        described = about(path)
        metadata.require(described, path, ("type", "layers", "val_loss"))
        return described

    return models.best(paths, judged)


def best_for_units(paths: list[Path]) -> Path:
    """The model file of `models.best_for_units`."""
    return models.best_for_units(paths, about)


def save(path: Path, params: "Parameters", described: dict) -> None:
    """Write a self-contained model file: float32 tensors and `described` as its metadata.

    params: shaped as in `architecture.shapes`. described: the architecture's fields, the alphabet
    (hex) and how the network was trained.
    Raises InputError where the disk is full or `path` cannot be written.
    """
    from safetensors.numpy import save as serialize

    # safetensors wants contiguous tensors
    tensors = {name: np.ascontiguousarray(arrays.on_host(value)) for name, value in params.items()}
    write_atomically(path, content_of(tensors, described, serialize))


def tensors_in(content: bytes, deserialize: Callable, path: Path) -> dict:
    """The tensors in the content of a model file, of torch or numpy as `deserialize` (safetensors'
    `load` for either) makes them. Raises InputError where it is damaged."""
    from safetensors import SafetensorError

    try:
        return deserialize(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: damaged ({reason(error)}); train it again, or restore it"
        ) from None


def load(path: Path) -> "tuple[Architecture, Parameters, dict]":
    """Architecture, float32 parameters and metadata of a model file, half-precision ones included.

    The parameters are shaped as in `architecture.shapes`.
    Raises InputError where the file is missing, damaged or not a model.
    """
    import torch

    arch, params, described = load_arrays(path)
    return arch, {name: torch.from_numpy(value) for name, value in params.items()}, described


def load_arrays(path: Path) -> "tuple[Architecture, dict[str, np.ndarray], dict]":
    """As `load`, with parameters of numpy; writable, in memory of their own."""
    described, content = read(path)
    metadata.require(described, path)
    arch = architecture_of(described)
    tensors = tensors_in(content, deserialize, path)
    metadata.check_tensors(tensors, arch, path)
    check_equations(described, path)
    return arch, {name: in_float32(value) for name, value in tensors.items()}, described


def check_equations(described: dict, path: Path) -> None:
    """Raise InputError where a cell's file has other equations than a network was trained with."""
    type = described["type"]
    if type == "nn":
        return
    made, now = equations(version_of(described)), equations(version(type))
    if made != now:
        raise InputError(
            f"{path}: was trained with version {made} of {type}, whose file has version {now} now:"
            " restore that file, or train the network again"
        )


def deserialize(content: bytes) -> dict:
    """The tensors in the content of a safetensors file: of numpy, or of torch where numpy
    lacks the type of one (bfloat16). Raises as safetensors' `load` does."""
    import safetensors.numpy

    try:
        return safetensors.numpy.load(content)
    except KeyError:
        import safetensors.torch

        return safetensors.torch.load(content)


def in_float32(tensor) -> np.ndarray:
    """A tensor of numpy or torch as a float32 array in memory of its own."""
    return np.array(
        tensor if isinstance(tensor, np.ndarray) else tensor.float().numpy(), np.float32
    )


def architecture_of(described: dict) -> "Architecture":
    """The architecture that a model file's metadata describes."""
    from charlens.networks.architecture import Architecture

    return Architecture(**{field: described[field] for field in asdict(Architecture("", 0, 0, 0))})
