"""Choose among trained models on validation, never on test.

This reads model files without torch, so that the many small selection jobs start at once.
"""

import argparse
import json
import shutil
import struct
from pathlib import Path

from charlens.errors import InputError
from charlens.files import atomic


def about(path: Path) -> dict:
    """What a model file says of its model. Raises InputError where it is not one of ours."""
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
    """The model file with the lowest validation loss; the first of equals."""
    return min(paths, key=lambda path: about(path)["val_loss"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", type=Path, nargs="+", help="candidates (model.safetensors)")
    parser.add_argument("--out", type=Path, required=True)


def run(args: argparse.Namespace) -> None:
    with atomic(args.out) as temporary:
        shutil.copyfile(best(args.models), temporary)
