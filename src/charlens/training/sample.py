"""`charlens sample`: text written by a trained network, one character at a time."""

import argparse
import math
import os
import sys
from pathlib import Path

import numpy as np
import torch

from charlens.backends import base, selection
from charlens.data.split import NONE
from charlens.errors import InputError
from charlens.networks import model_file, network


def sample(path: Path, length: int, temperature: float, seed: int, start: bytes):
    """Yield `start` and then `length` characters drawn from the network, as bytes of length one.

    temperature: divides the log-probabilities; 0 takes the most likely character each time. With
    an empty start the network first reads a newline. Raises InputError where the file is not a
    model, or its alphabet lacks a character of the start.
    """
    arch, params, about = model_file.load(path)
    alphabet = bytes.fromhex(about["alphabet"])
    for character in start:
        if character not in alphabet:
            raise InputError(f"--start: the model's alphabet has no {bytes([character])!r}")
    engine = selection.choose(arch, streams=1, unroll=1)
    params = base.to_device(params, engine.device)
    state = network.zero_state(arch, 1)
    state = None if state is None else state.to(engine.device)
    recent = [NONE] * arch.context  # the context of an n-NN
    random = np.random.default_rng(seed)

    def read(character: int) -> np.ndarray:
        """Log-probabilities [K] of the next character."""
        recent.append(alphabet.index(character))
        seen = recent[-arch.context :] if arch.context else recent[-1]
        x = torch.tensor([[seen]], dtype=torch.uint8)
        return engine.log_probs(params, x, state)[0, 0].numpy().astype(np.float64)

    before = b"" if start else (b"\n" if b"\n" in alphabet else alphabet[:1])
    for character in before + start:
        log_probs = read(character)
    yield from (bytes([character]) for character in start)
    for _ in range(length):
        if temperature > 0:
            p = np.exp((log_probs - log_probs.max()) / temperature)
            code = random.choice(len(p), p=p / p.sum())
        else:
            code = int(log_probs.argmax())
        yield bytes([alphabet[code]])
        log_probs = read(alphabet[code])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a model.safetensors")
    parser.add_argument("--length", type=int, default=1000, help="characters (default 1000)")
    parser.add_argument("--temperature", type=float, default=1.0, help="0: always the most likely")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", default="", help="the first characters")


def run(args: argparse.Namespace) -> None:
    if not 0 <= args.temperature < math.inf or args.length < 0:
        raise InputError("--temperature and --length must be 0 or more, and finite")
    torch.set_num_threads(1)
    written = sys.stdout.buffer
    start = os.fsencode(args.start)
    for character in sample(args.model, args.length, args.temperature, args.seed, start):
        written.write(character)
        written.flush()
    written.write(b"\n")
