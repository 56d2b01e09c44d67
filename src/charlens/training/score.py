"""`charlens score`: the log-probability of every test character.

Scoring any model gives the same kind of array: the natural log-probability of every test character,
stream after stream, with the exact running context. A recurrent network starts each test stream
from a zero state, first reads the character before it, and carries its state to the stream's end;
an n-NN runs over the joined streams as it does in training.
"""

import argparse
from pathlib import Path

import numpy as np

from charlens.backends import base, selection
from charlens.data import split
from charlens.errors import InputError
from charlens.files import refuse_overwriting
from charlens.networks import model_file
from charlens.networks.metadata import require
from charlens.networks.version import version_of
from charlens.statistics.information import bits
from charlens.store.models import recipe_of
from charlens.store.scores import write_scores
from charlens.text import symbols, unicode
from charlens.training.evaluate import inputs_and_targets, target_log_probs


def score(path: Path, data: split.Split, backend_name: str = "auto") -> np.ndarray:
    """Log-probability of every test character in nats, float32 [N], in the joined streams' order.

    Raises InputError where the file is not a model or was trained on another alphabet than the
    split's.
    """
    arch, params, about = model_file.load_arrays(path)
    check_alphabet(path, about, data)
    backend = selection.choose(arch, data.streams, data.unroll, backend_name)
    state = backend.zero_state(data.streams)
    x, y = inputs_and_targets(data, "test", arch)
    return target_log_probs(backend, backend.to_backend(params), x, y, state, data.unroll).ravel()


def check_alphabet(path: Path, about: dict, data: split.Split) -> None:
    """Raise InputError where a model was trained on another alphabet than the split's."""
    read = symbols.symbols_are_of(data.alphabet)
    if unicode.symbols_are(about) != read:
        raise InputError(
            f"{path}: trained on {unicode.symbols_are(about)}, and the corpus is split into {read}:"
            " train it on this corpus first"
        )
    if about["alphabet"] != symbols.in_hex(data.alphabet):
        raise InputError(
            f"{path}: trained on {about['symbols']} other symbols than the corpus's"
            f" {data.symbols}: train it on this corpus first"
        )


def check_split(path: Path, about: dict, data: split.Split) -> None:
    """Raise InputError where a model was trained on another split. (Models of earlier versions do
    not say of which split they are: their alphabet has to do.)"""
    check_alphabet(path, about, data)
    if "split" in about and about["split"] != split.digest(data):
        raise InputError(
            f"{path}: trained on another text or split than this one: train it on this one first"
        )


def metadata(path: Path) -> dict:
    """What tables need to know about a model, stored beside its scores (see `store.scores`).

    Raises InputError where the file is not a model, or does not say which one.
    """
    about = model_file.about(path)
    shared = ("corpus", "source", "hidden", "parameters", "seed", "epoch", "val_loss")
    require(about, path, ("context", *shared))
    common = {name: about[name] for name in shared}
    common |= {"version": version_of(about), "bytes": path.stat().st_size}
    common |= {"failed": about["failed"]} if "failed" in about else {}
    if about["context"]:
        return {"family": "nn", "n": about["context"]} | common
    own = ("type", "layers", "size", "dropout")
    require(about, path, own)
    common |= {name: about[name] for name in own}
    if recipe_of(about["type"]) == "adamw":
        common["rate"] = about["recipe"]["learning_rate"]
    return {"family": "recurrent"} | common


# ---- command lines ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a model.safetensors")
    parser.add_argument("--split", type=Path, required=True, help="the corpus, split (.npz)")
    base.add_backend(parser)
    base.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="the scores (.npy)")
    parser.add_argument("--meta", type=Path, required=True, help="what was scored (.json)")


def run(args: argparse.Namespace) -> None:
    base.set_threads(args.threads)
    for out in (args.out, args.meta):
        refuse_overwriting(out, args.model, args.split)
    if args.out == args.meta:
        raise InputError(f"--out and --meta are both {args.out}: name two files")
    data = split.load(args.split)
    scores = score(args.model, data, args.backend)
    length = split.length_of_test(data)
    test = {"test": split.digest_of_test(data)}
    write_scores(args.out, scores, args.meta, metadata(args.model) | test | length)
    nats = -scores.mean(dtype=np.float64)
    of_bytes = "".join(f", {bits(nats / each):.4f} bits per byte" for each in length.values())
    print(f"{args.model}: {nats:.4f} nats per character{of_bytes}")
