"""`charlens select`: the best of the trained candidates, by validation loss, never by test loss."""

import argparse
from pathlib import Path

from charlens.files import write_atomically
from charlens.networks import model_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", type=Path, nargs="+", help="candidates (model.safetensors)")
    parser.add_argument("--out", type=Path, required=True, help="the best of them, copied")


def run(args: argparse.Namespace) -> None:
    best = model_file.best(args.models)
    model_file.load_arrays(best)  # refuses a damaged one by its own name
    write_atomically(args.out, best.read_bytes())
