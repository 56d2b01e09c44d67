"""`charlens read`: score a text of your own with a trained network.

The text is one stream: the network starts from a zero state, reads a newline first, and carries its
state to the end. Characters are bytes, or Unicode characters where the network predicts these
(`text.symbols`). One that the network's alphabet lacks is skipped: it
is neither scored nor read, as if it were not there. The output always says how many were skipped.
Line ends become those of the network's training text, see `text.line_ends`.
"""

import argparse
import csv
import itertools
import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from charlens.backends import base, selection
from charlens.data import split, text_file
from charlens.errors import InputError
from charlens.files import atomic, refuse_overwriting
from charlens.networks import model_file
from charlens.networks.architecture import Architecture
from charlens.progress import Progress, say
from charlens.statistics.information import bits
from charlens.text import line_ends, symbols, unicode

WINDOW = 100  # characters at a time
MARK = "\ufeff"  # the byte order mark


@dataclass(frozen=True, eq=False)
class Reading:
    """A text as a model reads it."""

    name: str  # of the file
    text: unicode.Text
    known: np.ndarray  # bool [N]: is the character in the model's alphabet?
    codes: np.ndarray  # [known characters]: their codes in that alphabet
    notes: list[str]  # what was changed in the text, in words

    def part(self, begin: int, end: int) -> "Reading":
        """The characters from `begin` to before `end`."""
        first, last = np.count_nonzero(self.known[:begin]), np.count_nonzero(self.known[:end])
        text, known = self.text[begin:end], self.known[begin:end]
        return replace(self, text=text, known=known, codes=self.codes[first:last])


def read(path: Path, alphabet: np.ndarray, ends: str | None = None) -> Reading:
    """The text in a file, read as bytes (alphabet: uint8 [K]) or as characters (uint32 [K]).

    ends: the line ends that it gets, see `line_ends.converted`; None leaves its own. Raises
    InputError where the file cannot be read or is empty, is to be read as characters and is not
    UTF-8, or the alphabet has none of it.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    read = symbols.symbols_are_of(alphabet)
    # of bytes it cannot be told whether the training text had the mark
    mark = read == unicode.CHARACTERS and ord(MARK) in alphabet
    text, done = text_file.decoded(text, path, keep_mark=mark)
    if not text:
        raise InputError(f"{path}: the file is empty; give a text")
    notes = [note for note in (done, line_ends.note(text, ends)) if note]
    text = unicode.decoded(line_ends.converted(text, ends), read, path)
    read_as = symbols.numbers(text)
    known = np.isin(read_as, alphabet)
    if not known.any():
        raise InputError(f"{path}: the model's alphabet has none of its characters")
    codes = np.searchsorted(alphabet, read_as[known]).astype(symbols.code_type(len(alphabet)))
    return Reading(path.name, text, known, codes, notes)


def before(alphabet: np.ndarray) -> int:
    """The code read before a text's first character: newline, if the alphabet has it, else 0."""
    return max([0, *np.flatnonzero(alphabet == ord("\n")).tolist()])


def score(
    arch: Architecture,
    params,
    reading: Reading,
    alphabet: np.ndarray,
    backend_name="auto",
) -> np.ndarray:
    """Log-probability of each character in nats, float32 [N]; NaN where it is unknown."""
    backend = selection.choose(arch, 1, WINDOW, backend_name)
    params, state = backend.to_backend(params), backend.zero_state(1)
    y = reading.codes[None]
    if arch.recurrent:
        x = np.insert(reading.codes[:-1], 0, before(alphabet))[None]
    else:
        x = split.contexts(reading.codes, arch.context)[None]
    parts, progress = [], Progress(reading.name, "scored")
    for at in range(0, y.shape[1], WINDOW):
        window = slice(at, at + WINDOW)
        found = backend.target_log_probs(params, x[:, window], y[:, window], state)
        parts.append(np.asarray(found)[0])
        progress.at(min(1, (at + WINDOW) / y.shape[1]))
    logp = np.full(len(reading.text), np.nan, np.float32)
    logp[reading.known] = np.concatenate(parts)
    return logp


def summary(reading: Reading, logp: np.ndarray, alphabet: np.ndarray) -> list[str]:
    """The mean loss of the scored characters, and which characters were skipped, in words.

    logp: [N], from `score`. alphabet: [K].
    """
    nats = -np.nanmean(logp, dtype=np.float64)
    with np.errstate(over="ignore"):
        perplexity = np.exp(nats)
    lines = [
        f"{nats:.4f} nats, {bits(nats):.4f} bits per character, perplexity"
        f" {perplexity:.3f}, over {int(reading.known.sum()):,} characters"
    ]
    if isinstance(reading.text, str):
        each = split.bytes_per_character(alphabet, reading.codes)
        lines.append(f"{bits(nats / each):.4f} bits per byte of UTF-8")
    missing = len(reading.text) - int(reading.known.sum())
    if missing:
        lines.append(
            f"{missing:,} of {len(reading.text):,} characters ({missing / len(reading.text):.2%})"
            f" are unknown to the model's alphabet of {len(alphabet):,}: skipped, not scored:"
            f" {unknown(reading)}"
        )
    return lines


def unknown(reading: Reading, most: int = 8) -> str:
    """The most frequent unknown characters with their counts, decoded where they are UTF-8.

    A character of several bytes is named where all of its bytes are unknown. most: how many are
    listed.
    """
    if isinstance(reading.text, str):
        return listed(Counter(itertools.compress(reading.text, ~reading.known)), most)
    skipped = bytearray(len(reading.text))  # zeros separate the runs of unknown bytes
    codes = np.frombuffer(reading.text, np.uint8)
    np.frombuffer(skipped, np.uint8)[~reading.known] = codes[~reading.known]
    counts = Counter()
    for run in bytes(skipped).split(b"\0"):
        counts.update(run.decode(errors="surrogateescape"))
    zeros = int((~reading.known & (codes == 0)).sum())
    if zeros:
        counts["\0"] = zeros
    return listed(counts, most)


def listed(counts: Counter[str], most: int) -> str:
    """The most frequent characters with their counts, in words."""
    words = [f"{visible(character)} x {count:,}" for character, count in counts.most_common(most)]
    return ", ".join(words) + (", ..." if len(counts) > most else "")


def visible(character: str) -> str:
    """A character in printable form: \\n for a newline, \\x80 for a byte that is not UTF-8."""
    if "\udc80" <= character <= "\udcff":  # one byte, by surrogateescape
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isprintable() else ascii(character)[1:-1]


def write_csv(path: Path, reading: Reading, logp: np.ndarray) -> None:
    """Write one row per character: offset, byte (of a text of characters: code_point), character,
    logp in nats (empty where unknown).

    logp: [N], from `score`. Raises InputError where the file cannot be written.
    """
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        whole = isinstance(reading.text, str)
        writer.writerow(["offset", "code_point" if whole else "byte", "character", "logp"])
        numbers = symbols.numbers(reading.text).tolist()
        for offset, (number, value) in enumerate(zip(numbers, logp.tolist(), strict=True)):
            shown = chr(number) if 32 <= number < 127 else ascii(chr(number))[1:-1]
            shown = visible(chr(number)) if whole else shown
            writer.writerow([offset, number, shown, "" if math.isnan(value) else f"{value:.6f}"])


# ---- command lines ----


def add_line_ends(parser: argparse.ArgumentParser) -> None:
    """The option of all verbs that read a text with a model."""
    parser.add_argument(
        "--keep-line-ends", action="store_true", help="leave the text's line ends (default: they"
        " become those of the model's training text, LF or CRLF)",
    )  # fmt: skip


def read_for(about: dict, path: Path, keep_line_ends: bool) -> Reading:
    """The text in a file as a model of this metadata reads it; says what is changed in it. Raises
    as `read`."""
    ends = None if keep_line_ends else line_ends.of_model(about)
    reading = read(path, symbols.alphabet_of(about), ends)
    for note in reading.notes:
        say(str(path), note)
    return reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a model.safetensors")
    parser.add_argument("--text", type=Path, required=True, help="any file")
    add_line_ends(parser)
    parser.add_argument(
        "--csv", type=Path, help="write the log-probability of each character in nats (.csv; -:"
        " standard output)",
    )  # fmt: skip
    base.add_backend(parser)
    base.add_threads(parser)


def run(args: argparse.Namespace) -> None:
    base.set_threads(args.threads)
    refuse_overwriting(args.csv, args.model, args.text)
    arch, params, about = model_file.load_arrays(args.model)
    alphabet = symbols.alphabet_of(about)
    reading = read_for(about, args.text, args.keep_line_ends)
    logp = score(arch, params, reading, alphabet, args.backend)
    print(f"{args.text}: {'; '.join(summary(reading, logp, alphabet))}")
    if args.csv:
        write_csv(args.csv, reading, logp)
