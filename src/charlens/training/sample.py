"""`charlens sample`: text written by a trained network, one character at a time.

A network of bytes that was trained on UTF-8 draws only bytes that make whole characters.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from charlens import arguments
from charlens.backends import base, selection
from charlens.errors import InputError
from charlens.networks import model_file
from charlens.text import line_ends, symbols, unicode, utf8
from charlens.training import score_text


class Writer:
    """A network that writes: it reads one character at a time and predicts the next.

    Raises InputError where the file is not a model.
    """

    def __init__(self, path: Path):
        self.arch, params, self.about = model_file.load_arrays(path)
        self.alphabet = symbols.alphabet_of(self.about)
        self.letters = symbols.text_of(self.alphabet)
        self.backend = selection.choose(self.arch, streams=1, unroll=1)
        self.params, self.state = self.backend.to_backend(params), self.backend.zero_state(1)
        self.codes = symbols.code_type(len(self.alphabet))
        self.recent = [np.iinfo(self.codes).max] * self.arch.context  # the context of an n-NN
        self.log_probs = None  # float64 [K]: of the next character

    def read(self, symbol: int) -> None:
        """Read one symbol of the alphabet."""
        self.recent.append(int(np.flatnonzero(self.alphabet == symbol)[0]))
        seen = self.recent[-self.arch.context :] if self.arch.context else self.recent[-1]
        x = np.array([[seen]], self.codes)
        predicted = self.backend.log_probs(self.params, x, self.state)
        self.log_probs = np.asarray(predicted)[0, 0].astype(np.float64)

    def draw(self, temperature: float, random: np.random.Generator, allowed: np.ndarray) -> int:
        """The next symbol. temperature: 0 takes the likeliest. allowed: bool [K], at least one."""
        log_probs = np.where(allowed, self.log_probs, -np.inf)
        if temperature > 0:
            p = np.exp((log_probs - log_probs.max()) / temperature)
            code = random.choice(len(p), p=p / p.sum())
        else:
            code = int(log_probs.argmax())
        return int(self.alphabet[code])


def sample(
    writer: Writer, length: int, temperature: float, seed: int,
    start: unicode.Text, stop: unicode.Text | None = None,
) -> Iterator[bytes]:  # fmt: skip
    """Yield `start` and then characters drawn from the network, each as its bytes.

    length: the number of characters drawn, at most: the text ends before with `stop`, if that is
    given and drawn. temperature: divides the log-probabilities; 0 takes the most likely character
    each time. start, stop: of symbols of the alphabet. With an empty start the network first reads
    a newline.
    """
    alphabet, in_bytes = writer.alphabet, isinstance(writer.letters, bytes)
    of_utf8 = in_bytes and utf8.of_alphabet(writer.letters)
    random = np.random.default_rng(seed)
    if not start:
        writer.read(int(alphabet[score_text.before(alphabet)]))
    for symbol in symbols.numbers(start).tolist():
        writer.read(symbol)
        yield as_bytes(symbol, in_bytes)
    written = utf8.begun(start) if of_utf8 else b""  # of the character that is being drawn
    character, end = written, unicode.encoded(stop) if stop else b""
    drawn, characters = b"", 0
    while characters < length:
        allowed = utf8.follow(character)[alphabet] if of_utf8 else np.ones(len(alphabet), bool)
        if not allowed.any():  # the alphabet completes no such character
            allowed[:] = True
        symbol = writer.draw(temperature, random, allowed)
        writer.read(symbol)
        character += as_bytes(symbol, in_bytes)
        if of_utf8 and utf8.begun(character):
            continue
        yield character[len(written) :]
        characters += 1
        drawn = (drawn + character)[-len(end) :] if end else b""
        character = written = b""
        if end and drawn == end:
            return


def as_bytes(symbol: int, in_bytes: bool) -> bytes:
    """A symbol as it is printed: the byte itself, or a character in UTF-8."""
    return bytes([symbol]) if in_bytes else chr(symbol).encode()


def known(text: str, writer: Writer, option: str, skip: bool) -> unicode.Text:
    """A text of the command line as the network reads it: of symbols of its alphabet, with the line
    ends of its training text.

    skip: leave out what the alphabet lacks; else raises InputError, which names the letter.
    """
    converted = line_ends.converted(os.fsencode(text), line_ends.of_model(writer.about))
    kept, in_bytes = [], isinstance(writer.letters, bytes)
    for letter in os.fsdecode(converted):
        read_as = os.fsencode(letter) if in_bytes else letter
        if all(symbol in writer.letters for symbol in read_as):
            kept.append(read_as)
        elif not skip:
            shown = os.fsencode(letter) if "\udc80" <= letter <= "\udcff" else letter
            raise InputError(
                f"{option}: the model's alphabet has no {shown!r}; choose another text, or leave"
                " out such letters with --skip-unknown, as charlens read does"
            )
    return (b"" if in_bytes else "").join(kept)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a model.safetensors")
    parser.add_argument(
        "--length",
        type=arguments.whole(0),
        default=1000,
        help="characters to draw (default: %(default)s)",
    )
    parser.add_argument(
        "--temperature", type=arguments.real(0), default=1.0, help="divides the log-probabilities:"
        " below 1 the text is more likely and less varied, above 1 wilder, 0 takes the most likely"
        " character each time (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=arguments.seed, default=1, help="of the draws: the same seed, the same text"
        " (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--start", default="", metavar="TEXT", help="what the text begins with (default: nothing;"
        " the network first reads a line end)",
    )  # fmt: skip
    parser.add_argument(
        "--stop", default="", metavar="TEXT", help="end once this is drawn, such as \".\" or"
        " $'\\n' (default: end after --length)",
    )  # fmt: skip
    parser.add_argument(
        "--skip-unknown", action="store_true", help="leave out letters of --start that the model's"
        " alphabet lacks (default: refuse them)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    base.set_threads(1)
    writer = Writer(args.model)
    start = known(args.start, writer, "--start", args.skip_unknown)
    stop = known(args.stop, writer, "--stop", skip=False)
    written = sys.stdout.buffer
    for character in sample(writer, args.length, args.temperature, args.seed, start, stop):
        written.write(character)
        written.flush()
    written.write(b"\n")
