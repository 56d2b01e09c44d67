"""`charlens split`: from a text to streams for training, validation and test (section 4.1).

The paper's layout, "streams": the text, cut to N whole batches of S x U characters, is laid
out as S streams, and each STREAM is cut in time, so that all three parts sample the whole text.

    text     |------- stream 0 -------|------- stream 1 -------| ... |------ stream S-1 ------|
    streams  | train      |val |test  | train      |val |test  | ... | train      |val |test  |

The layout "contiguous" cuts the TEXT into three parts and lays each out as S streams.

    text     | train                                           | ... |val        |test        |
"""

import argparse
import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from charlens import arguments
from charlens.errors import InputError
from charlens.files import write_atomically
from charlens.store.corpora import read_text
from charlens.store.reading import read_json, require
from charlens.text import symbols, unicode

PARTS = ("train", "val", "test")
LAYOUTS = ("streams", "contiguous")
LISTED = 20  # symbols that are named, at most


@dataclass(frozen=True, eq=False)
class Part:
    """One of the three parts: S streams of n characters; n is a multiple of the unroll."""

    x: np.ndarray  # [S, n]: codes, each of the character before that in y
    y: np.ndarray  # [S, n]: codes, the characters to predict
    at: np.ndarray  # int64 [S]: offset in the text, in symbols, of y[s, 0]

    def predicted_at(self) -> np.ndarray:
        """The offset in the text of each character to predict, int64 [S, n]."""
        return self.at[:, None] + np.arange(self.y.shape[1])

    def read_at(self) -> np.ndarray:
        """The offset in the text of each character read, int64 [S, n]; -1 before the text."""
        return self.predicted_at() - 1


@dataclass(frozen=True, eq=False)
class Split:
    """A text as streams of codes; a code is an index into the alphabet of the whole text, uint8, or
    uint16 where that has more than 255 symbols (see `text.symbols`)."""

    alphabet: np.ndarray  # [K]: the distinct bytes (uint8) or characters (uint32), sorted
    unroll: int  # U, the length of a window in characters
    train: Part
    val: Part
    test: Part

    @property
    def symbols(self) -> int:
        """K, the size of the alphabet."""
        return len(self.alphabet)

    @property
    def streams(self) -> int:
        """S, the number of parallel streams, which is the batch size."""
        return len(self.train.y)

    def joined(self, part: str) -> np.ndarray:
        """The codes of a part stream by stream, [N], where N = S * n.

        For "test" this is the order of every score file.
        """
        return getattr(self, part).y.ravel()

    def is_of(self, text: unicode.Text) -> bool:
        """Whether the test part was cut from this text."""
        at, expected = self.test.predicted_at(), self.alphabet[self.test.y]
        return at.max() < len(text) and np.array_equal(symbols.numbers(text)[at], expected)


def digest(data: Split) -> str:
    """Identifies what a network is trained and validated on: both parts and where each ends."""
    return digest_of(data.train, data.val)


def digest_of_test(data: Split) -> str:
    """Identifies the test text that a model is scored on."""
    return digest_of(data.test)


def digest_of(*parts: Part) -> str:
    """Identifies the text that these parts predict, and its shape."""
    found = hashlib.sha256()
    for part in parts:
        found.update(f"{part.y.dtype} {part.y.shape}".encode())
        found.update(np.ascontiguousarray(part.y))
    return found.hexdigest()


def split(
    text: unicode.Text,
    layout: str,
    streams: int,
    unroll: int,
    fractions: Sequence[float | Fraction],
    name: str = "text",
) -> Split:
    """Split `text` into train, val and test (the rest); section 4.1, see above for the layouts.

    `fractions` are the shares of the three parts. The first character of the text is preceded by
    the last one that the split holds. Raises InputError, naming the corpus `name`, if the text is
    too short, has one symbol or too many, or the fractions are not positive with sum 1.
    """
    # Through str: 0.7 means 7/10 and not the nearest float, so that floor(0.7 * 10) is 7.
    shares = [Fraction(str(fraction)) for fraction in fractions]
    if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise InputError(
            f"split.fractions {', '.join(map(str, fractions))}: "
            "expected three positive numbers with sum 1"
        )
    batch = streams * unroll
    batches = len(text) // batch
    # A part gets a whole batch if the text has at least 1 / share; the last part gets the rest.
    needed = batch * max(math.ceil(1 / share) for share in shares[:2])
    values = symbols.numbers(text)
    kind = symbols.symbols_are_of(values)
    if len(text) < needed:
        raise InputError(
            f"corpus {name}: {len(text):,} {kind} are too few: train, val and test need a whole "
            f"batch of {streams} x {unroll} characters each, {needed:,} {kind} in all: give more "
            f"text or a smaller split.streams or split.unroll"
        )
    alphabet = np.unique(values)
    if kind == unicode.BYTES and len(alphabet) > 255:
        raise InputError(
            f"corpus {name}: all 256 byte values occur, at most 255 are allowed: is it a text?"
        )
    if len(alphabet) > symbols.MOST:
        raise InputError(
            f"corpus {name}: {len(alphabet):,} different characters, at most {symbols.MOST:,} are"
            " allowed: is it a text?"
        )
    if len(alphabet) < 2:
        raise InputError(f"corpus {name}: the same character throughout: is it a text?")
    codes = np.searchsorted(alphabet, values[: batches * batch])
    cut = codes.astype(symbols.code_type(len(alphabet)))

    train = math.floor(shares[0] * batches)
    val = math.floor(shares[1] * batches)
    borders = [0, train, train + val, batches]
    parts = {}
    for part, begin, end in zip(PARTS, borders, borders[1:], strict=False):
        length = (end - begin) * unroll
        if layout == "streams":
            at = np.arange(streams) * batches * unroll + begin * unroll
        else:
            at = begin * batch + np.arange(streams) * length
        offsets = at[:, None] + np.arange(length)
        # Offset -1, before the text, is the last character of the cut text.
        parts[part] = Part(x=cut[offsets - 1], y=cut[offsets], at=at)
    return Split(alphabet=alphabet, unroll=unroll, **parts)


def contexts(joined: np.ndarray, n: int) -> np.ndarray:
    """The n characters before each position of a joined part, oldest first: [N, n].

    joined: codes [N], see `Split.joined`. Positions before the first hold the largest number of
    their type, which is no code. The input of the n-NN (table 2).
    """
    padded = np.concatenate([np.full(n, np.iinfo(joined.dtype).max, joined.dtype), joined])
    windows = np.lib.stride_tricks.sliding_window_view(padded, n)[: len(joined)]
    return np.ascontiguousarray(windows)


def equal(one: Split, other: Split) -> bool:
    """Whether two splits are the same in every array."""
    arrays = (
        [data.alphabet, *(array for name in PARTS for array in vars(getattr(data, name)).values())]
        for data in (one, other)
    )
    return one.unroll == other.unroll and all(map(np.array_equal, *arrays))


def unseen(split: Split) -> dict[int, dict[str, int]]:
    """The symbols that do not occur in train, as numbers, each with its counts in val and in
    test."""
    counts = {part: np.bincount(split.joined(part), minlength=split.symbols) for part in PARTS}
    return {
        int(symbol): {"val": int(counts["val"][code]), "test": int(counts["test"][code])}
        for code, symbol in enumerate(split.alphabet)
        if counts["train"][code] == 0 and counts["val"][code] + counts["test"][code] > 0
    }


def bytes_per_character(alphabet: np.ndarray, codes: np.ndarray) -> float:
    """The mean length in bytes, in UTF-8, of some characters, given as codes; 1 where they are
    bytes."""
    counts = np.bincount(codes.ravel(), minlength=len(alphabet))
    return float(counts @ symbols.bytes_each(alphabet) / codes.size)


def length_of_test(split: Split) -> dict:
    """What the metadata of a score says of the length of test characters: nothing where they are
    bytes."""
    if symbols.symbols_are_of(split.alphabet) == unicode.BYTES:
        return {}
    each = bytes_per_character(split.alphabet, split.test.y)
    return {"bytes_per_character": round(each, 6)}


def save(path: str | Path, split: Split) -> None:
    """Write a split as .npz: alphabet, unroll, and x, y and at of each part (`train_x`, ...).

    Raises InputError if the file cannot be written.
    """
    arrays = {"alphabet": split.alphabet, "unroll": np.int64(split.unroll)}
    for name in PARTS:
        part = getattr(split, name)
        arrays |= {f"{name}_x": part.x, f"{name}_y": part.y, f"{name}_at": part.at}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def load(path: str | Path) -> Split:
    """Read what `save` wrote. Raises InputError if `path` is missing or is not a split."""
    try:
        with np.load(path) as arrays:
            parts = {
                name: Part(x=arrays[f"{name}_x"], y=arrays[f"{name}_y"], at=arrays[f"{name}_at"])
                for name in PARTS
            }
            found = Split(alphabet=arrays["alphabet"], unroll=int(arrays["unroll"]), **parts)
    except FileNotFoundError:
        raise InputError(f"{path}: no such split: create it with charlens split") from None
    except Exception:  # a damaged archive raises many types, numpy's words advise unsafe loading
        raise InputError(f"{path} is not a split, or damaged: rerun charlens split") from None
    if not consistent(found):
        raise InputError(f"{path} is not a split, or damaged: rerun charlens split")
    return found


def consistent(split: Split) -> bool:
    """Whether shapes fit together and every code is one of the alphabet."""
    K, U, of = split.alphabet.size, split.unroll, split.alphabet.dtype
    most = 255 if of == np.uint8 else symbols.MOST
    if of not in (np.uint8, np.uint32) or split.alphabet.ndim != 1 or not 0 < K <= most or U < 1:
        return False
    for part in (split.train, split.val, split.test):
        shape = part.y.shape
        if part.x.shape != shape or len(shape) != 2 or part.at.shape != shape[:1]:
            return False
        if not all(shape) or shape[1] % U:
            return False
        if part.at.dtype != np.int64 or (part.at < 0).any():
            return False
        for codes in (part.x, part.y):
            if codes.dtype != symbols.code_type(K) or codes.max() >= K:
                return False
    return True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", required=True, metavar="TXT", help="the text, from fetch")
    parser.add_argument("--info", required=True, metavar="JSON", help="its origin, from fetch")
    parser.add_argument("--layout", choices=LAYOUTS, default="streams", help="default: %(default)s")
    parser.add_argument("--streams", type=arguments.count, default=100, help="default: %(default)s")
    parser.add_argument("--unroll", type=arguments.count, default=100, help="default: %(default)s")
    parser.add_argument(
        "--fractions",
        type=arguments.fraction,
        nargs=3,
        default=(Fraction("0.8"), Fraction("0.1"), Fraction("0.1")),
        metavar=("TRAIN", "VAL", "TEST"),
        help="default: 0.8 0.1 0.1",
    )
    parser.add_argument("--out", required=True, metavar="OUT.npz", help="the split, written")


def run(args: argparse.Namespace) -> None:
    info = read_json(Path(args.info))
    require(info, ("corpus",), args.info)
    text, name = read_text(args.text, args.info), info["corpus"]
    result = split(text, args.layout, args.streams, args.unroll, args.fractions, name)
    save(args.out, result)
    sizes = ", ".join(f"{part} {result.joined(part).size:,}" for part in PARTS)
    print(f"{name}: {sizes} characters, {result.symbols:,} symbols, {result.streams} streams")
    if new := unseen(result):
        letters = symbols.text_of(np.array(list(new), result.alphabet.dtype))
        words = ", ".join(
            f"{letters[k : k + 1]!r} ({count['val']} in val, {count['test']} in test)"
            for k, count in enumerate(list(new.values())[:LISTED])
        )
        more = f", and {len(new) - LISTED:,} more" if len(new) > LISTED else ""
        print(f"{name}: symbols that do not occur in training: {words}{more}")
