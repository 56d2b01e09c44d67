"""`charlens read`: score a text of your own with a trained network.

The text is one stream: the network starts from a zero state, reads a newline first, and carries its
state to the end. Characters are bytes. A character that the network's alphabet lacks is skipped: it
is neither scored nor read, as if it were not there. The output always says how many were skipped.
"""

import argparse
import csv
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from charlens.backends import base, selection
from charlens.data import split
from charlens.errors import InputError
from charlens.files import atomic
from charlens.networks import model_file, network
from charlens.statistics.information import bits

WINDOW = 100  # characters at a time


@dataclass(frozen=True, eq=False)
class Reading:
    """A text as a model reads it."""

    name: str  # of the file
    text: bytes
    known: np.ndarray  # bool [N]: is the character in the model's alphabet?
    codes: np.ndarray  # uint8 [known characters]: their codes in that alphabet


def read(path: Path, alphabet: bytes) -> Reading:
    """The text in a file.

    Raises InputError where the file cannot be read or is empty, or the alphabet has none of its
    characters.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if not text:
        raise InputError(f"{path}: the file is empty; give a text")
    code = np.full(256, -1)
    code[list(alphabet)] = range(len(alphabet))
    codes = code[np.frombuffer(text, np.uint8)]
    known = codes >= 0
    if not known.any():
        raise InputError(f"{path}: the model's alphabet has none of its characters")
    return Reading(path.name, text, known, codes[known].astype(np.uint8))


def before(alphabet: bytes) -> int:
    """The code read before a text's first character: newline, if the alphabet has it, else 0."""
    return max(alphabet.find(b"\n"), 0)


def score(arch, params, reading: Reading, alphabet: bytes, backend_name="auto") -> np.ndarray:
    """Log-probability of each character in nats, float32 [N]; NaN where it is unknown."""
    engine = selection.choose(arch, 1, WINDOW, backend_name)
    params = base.to_device(params, engine.device)
    state = network.zero_state(arch, 1)
    state = None if state is None else state.to(engine.device)
    y = torch.from_numpy(reading.codes)[None]
    if arch.recurrent:
        x = torch.cat([torch.tensor([[before(alphabet)]], dtype=torch.uint8), y[:, :-1]], dim=1)
    else:
        x = torch.from_numpy(split.contexts(reading.codes, arch.context))[None]
    logp = np.full(len(reading.text), np.nan, np.float32)
    logp[reading.known] = np.concatenate(
        [
            engine.target_log_probs(params, x[:, at : at + WINDOW], y[:, at : at + WINDOW], state)
            .numpy()
            .ravel()
            for at in range(0, y.shape[1], WINDOW)
        ]
    )
    return logp


def summary(reading: Reading, logp: np.ndarray, symbols: int) -> list[str]:
    """The mean loss of the scored characters, and which characters were skipped, in words.

    logp: [N], from `score`. symbols: K, the size of the alphabet.
    """
    nats = -float(np.nanmean(logp, dtype=np.float64))
    lines = [
        f"{nats:.4f} nats, {bits(nats):.4f} bits per character, perplexity"
        f" {math.exp(nats):.3f}, over {int(reading.known.sum()):,} characters"
    ]
    missing = len(reading.text) - int(reading.known.sum())
    if missing:
        lines.append(
            f"{missing:,} of {len(reading.text):,} characters ({missing / len(reading.text):.2%})"
            f" are unknown to the model's alphabet of {symbols}: skipped, not scored:"
            f" {unknown(reading)}"
        )
    return lines


def unknown(reading: Reading, most: int = 8) -> str:
    """The most frequent unknown characters with their counts, decoded where they are UTF-8.

    A character of several bytes is named where all of its bytes are unknown. most: how many are
    listed.
    """
    skipped = bytearray(len(reading.text))  # zeros separate the runs of unknown bytes
    codes = np.frombuffer(reading.text, np.uint8)
    np.frombuffer(skipped, np.uint8)[~reading.known] = codes[~reading.known]
    counts = Counter()
    for run in bytes(skipped).split(b"\0"):
        counts.update(run.decode(errors="surrogateescape"))
    zeros = int((~reading.known & (codes == 0)).sum())
    if zeros:
        counts["\0"] = zeros
    words = [f"{visible(character)} x {count:,}" for character, count in counts.most_common(most)]
    return ", ".join(words) + (", ..." if len(counts) > most else "")


def visible(character: str) -> str:
    """A character in printable form: \\n for a newline, \\x80 for a byte that is not UTF-8."""
    if "\udc80" <= character <= "\udcff":  # one byte, by surrogateescape
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isprintable() else ascii(character)[1:-1]


def write_csv(path: Path, reading: Reading, logp: np.ndarray) -> None:
    """Write one row per character: offset, byte, character, logp in nats (empty where unknown).

    logp: [N], from `score`. Raises InputError where the file cannot be written.
    """
    with atomic(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["offset", "byte", "character", "logp"])
        for offset, (byte, value) in enumerate(zip(reading.text, logp.tolist(), strict=True)):
            shown = chr(byte) if 32 <= byte < 127 else ascii(chr(byte))[1:-1]
            writer.writerow([offset, byte, shown, "" if math.isnan(value) else f"{value:.6f}"])


# ---- command lines ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a model.safetensors")
    parser.add_argument("--text", type=Path, required=True, help="any file")
    parser.add_argument(
        "--csv", type=Path, help="write the log-probability of each character (.csv)"
    )
    parser.add_argument("--backend", choices=base.BACKENDS, default="auto")
    parser.add_argument("--threads", type=int, default=1)


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    arch, params, about = model_file.load(args.model)
    alphabet = bytes.fromhex(about["alphabet"])
    reading = read(args.text, alphabet)
    logp = score(arch, params, reading, alphabet, args.backend)
    print(f"{args.text}: {'; '.join(summary(reading, logp, len(alphabet)))}")
    if args.csv:
        write_csv(args.csv, reading, logp)
