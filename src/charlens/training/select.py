"""`charlens select`: the best of the trained candidates, by validation loss, never by test loss."""

import argparse
import shutil
from pathlib import Path

from charlens.files import atomic
from charlens.networks.model_file import best


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", type=Path, nargs="+", help="candidates (model.safetensors)")
    parser.add_argument("--out", type=Path, required=True)


def run(args: argparse.Namespace) -> None:
    with atomic(args.out) as temporary:
        shutil.copyfile(best(args.models), temporary)
