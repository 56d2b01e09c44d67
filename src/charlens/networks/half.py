"""Trained networks in half precision, for people without the hardware to train them.

A network is rewritten with float16 tensors and the same metadata. Weights are small (training
starts within 0.08 of zero), so they stay within float16's range and are only rounded to its 11
significant bits.
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from charlens.errors import InputError
from charlens.files import refuse_overwriting, write_atomically
from charlens.networks import model_file


def halve(model: Path, out: Path) -> None:
    """Write `model` with float16 tensors.

    Raises InputError where the file is missing, damaged or not a model, or a weight exceeds the
    range of float16.
    """
    described, content = model_file.read(model)
    tensors = {}
    for name, value in model_file.tensors_in(content, load, model).items():
        if np.abs(value).max(initial=0) > np.finfo(np.float16).max:
            raise InputError(f"{model}: {name} is too large for half precision; publish it whole")
        tensors[name] = value.astype(np.float16)
    write_atomically(out, model_file.content_of(tensors, described, save))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", type=Path, nargs="+", help="candidates; the best is taken")
    parser.add_argument("--out", type=Path, required=True, help="the model (.safetensors)")


def run(args: argparse.Namespace) -> None:
    refuse_overwriting(args.out, *args.models)
    model = model_file.best(args.models)
    halve(model, args.out)
    print(f"{args.out}: {model}, {args.out.stat().st_size / 1e6:.2f} MB")
