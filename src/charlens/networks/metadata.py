"""What a model file may say: types and bounds of its metadata, names and shapes of its tensors.

Model files may come from strangers, so nothing in them is used before it is checked here.
"""

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from charlens.errors import InputError
from charlens.text import line_ends, symbols, unicode

if TYPE_CHECKING:
    from charlens.networks.architecture import Architecture

TYPE = re.compile(r"[a-z][a-z0-9_]*(\+block)?(\+adamw)?")
INTEGERS = {  # smallest and largest value of the fields that hold whole numbers
    "layers": (1, 1000),
    "hidden": (1, 1 << 20),
    "symbols": (1, symbols.MOST),
    "context": (0, 1 << 16),
    "size": (1, 1 << 20),
    "parameters": (1, 1 << 40),
    "seed": (0, 1 << 64),
    "epoch": (0, 1 << 32),
}
TEXTS = ("type", "corpus", "source", "alphabet", "symbols_are", "version", "failed", "line_ends",
         "split")  # fmt: skip
NUMBERS = ("val_loss", "dropout")
OTHERS = ("recipe", "epochs")  # epochs: of snapshots
FLOATS = ("float16", "bfloat16", "float32", "float64")
NEEDED = ("type", "layers", "hidden", "symbols", "context", "alphabet")  # to use the network
IDENTITY = ("corpus", "size", "seed", "val_loss")  # to say in tables which one it is


def check(described: object, path) -> None:
    """Raise InputError where a field of a model's metadata is unknown, has another type than it
    should or is out of bounds.

    Fields may be missing; see `require`. path: of the model, for the message.
    """
    if not isinstance(described, dict):
        raise InputError(f"{path}: not a charlens model: its metadata are no JSON object")
    for name, value in described.items():
        if name not in (*INTEGERS, *TEXTS, *NUMBERS, *OTHERS):
            raise InputError(
                f"{path}: unknown field {name!r}: damaged, or by a newer version, which charlens"
                " must be updated to"
            )
        if value is None and name == "size":  # of a network that is in no row of table 1
            continue
        if (wanted := expected(name, value)) is not None:
            shown = repr(value) if len(repr(value)) < 60 else repr(value)[:56] + " ..."
            raise InputError(f"{path}: {name}: expected {wanted}, got {shown}")
    if {"alphabet", "symbols"} <= described.keys():
        kind = unicode.symbols_are(described)
        alphabet = unicode.decoded(bytes.fromhex(described["alphabet"]), kind, path)
        if list(alphabet) != sorted(set(alphabet)) or len(alphabet) != described["symbols"]:
            raise InputError(
                f"{path}: alphabet: expected {described['symbols']} different {kind} in order, got"
                f" {len(alphabet)} {kind}"
            )
    if described.get("type") == "nn" and "context" in described and not described["context"]:
        raise InputError(f"{path}: context: expected at least 1 for an n-NN, got 0")


def expected(name: str, value: object) -> str | None:
    """What a field should hold, in words; None where its value is fine or the field unknown."""
    if name in INTEGERS:
        least, most = INTEGERS[name]
        if type(value) is not int or not least <= value <= most:
            return f"a whole number from {least} to {most}"
    elif name in NUMBERS:
        if type(value) not in (int, float) or not math.isfinite(value):
            return "a finite number"
    elif name in TEXTS:
        if not isinstance(value, str):
            return "text"
        if name == "type" and not TYPE.fullmatch(value):
            return "the name of a cell type"
        if name == "alphabet" and not re.fullmatch("([0-9a-f]{2})+", value):
            return "bytes in hexadecimal"
        if name == "symbols_are" and value not in (unicode.BYTES, unicode.CHARACTERS):
            return f"{unicode.BYTES} or {unicode.CHARACTERS}"
        if name == "line_ends" and value not in line_ends.CONVENTIONS:
            return f"one of {', '.join(line_ends.CONVENTIONS)}"
    elif name == "recipe" and not isinstance(value, dict):
        return "a JSON object"
    elif name == "epochs" and not (
        isinstance(value, list)
        and value
        and all(type(epoch) in (int, float) and math.isfinite(epoch) for epoch in value)
    ):
        return "a list of epochs"
    return None


def require(described: dict, path, names: Iterable[str] = NEEDED) -> None:
    """Raise InputError where the metadata lack one of these fields, by default one of those that
    are needed to use the network."""
    if missing := [name for name in names if name not in described]:
        raise InputError(f"{path}: not a usable model: its metadata lack {', '.join(missing)}")


def check_tensors(tensors: dict, arch: "Architecture", path, snapshots: int | None = None) -> None:
    """Raise InputError unless the tensors are the parameters of this architecture, all finite.

    tensors: of torch or numpy, in any precision. snapshots: their number, where each
    tensor is stacked along a first axis.
    """
    from charlens.networks.architecture import shapes

    wanted = shapes(arch)
    if strange := sorted(wanted.keys() ^ tensors.keys()):
        what = "lacks" if strange[0] in wanted else "has an unknown"
        raise InputError(
            f"{path}: {what} parameter {strange[0]!r} of {describe(arch)};"
            " get a fresh copy, or train it again"
        )
    for name, shape in wanted.items():
        shape, got = (shape if snapshots is None else (snapshots, *shape)), tensors[name]
        if tuple(got.shape) != shape:
            raise InputError(
                f"{path}: {name}: expected the shape {shape} of {describe(arch)}, got"
                f" {tuple(got.shape)}"
            )
        if str(got.dtype).rpartition(".")[2] not in FLOATS:
            raise InputError(f"{path}: {name}: expected one of {FLOATS}, got {got.dtype}")
        if not bool((abs(got) < math.inf).all()):
            raise InputError(
                f"{path}: {name}: holds a number that is not finite; get a fresh copy, or train it"
                " again"
            )


def describe(arch: "Architecture") -> str:
    """An architecture in words, for messages."""
    return f"type {arch.type}, {arch.layers} layers, {arch.hidden} hidden units"
