"""The text of a study: files, folders and patterns, decoded and joined.

Many files are shuffled: in the order of their names the test text may come from one folder alone.
"""

import glob
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from charlens.data import text_file
from charlens.errors import InputError
from charlens.text import line_ends, unicode
from charlens.text.unicode import Text

SEED = 0  # of the order of the files
C_FILES = {".c", ".h", ".cc", ".hh", ".cpp", ".hpp", ".cxx", ".hxx", ".cu", ".cuh", ".inl", ".ipp"}
NAMED = 3  # files in a note; of more, how many there are
MOSTLY = 0.5  # share of a folder's bytes in C_FILES from which on nothing else of it is read


@dataclass(frozen=True, eq=False)
class Joined:
    """The files as one text."""

    text: Text
    files: list[str]  # in their order in the text
    notes: list[str]  # what was found, done and left out, in words


def join(paths: Iterable[str], kind: str | None = None) -> Joined:
    """The text of files, of all files below folders, and of those that patterns match.

    kind: prose or code, if it was given. Of a folder, hidden files and what is no text are left
    out, and all but C and C++ where code is wanted or prevails. Raises InputError where nothing is
    found or a file that was named is no text.
    """
    texts, notes, left_out = {}, [], Counter()
    for path in paths:
        for found in matches(path):
            if found.is_dir():
                in_folder(found, kind, texts, notes, left_out)
            else:
                add(found, texts, notes)
    if not texts:
        nothing = f"{', '.join(paths)}: no file that holds a text"
        raise InputError("; ".join([nothing, *in_words(left_out)]))
    once: dict[Path, Path] = {}  # by what a link or another spelling leads to
    for path in sorted(texts):
        once.setdefault(path.resolve(), path)
    if len(once) < len(texts):
        left_out["other names of the same file"] = len(texts) - len(once)
    order = list(once.values())
    random.Random(SEED).shuffle(order)
    parts = [texts[path] for path in order]
    text = b"".join(map(ended, parts))
    if len(order) > 1:
        notes.insert(0, f"{len(order):,} files, shuffled (seed {SEED}) and joined")
    notes += in_words(left_out)
    if found := line_ends.of_text(text):
        words = "LF and CRLF, mixed" if found == line_ends.MIXED else found
        notes.append(f"line ends: {words}, kept")
    notes.append(f"encoding: {encoding(text)}{not_unicode(order, parts)}")
    text = unicode.decoded(text, unicode.chosen("auto", text), "the text")
    notes.append(f"what models predict: {predicted(text)}")
    return Joined(text, [str(path.absolute()) for path in order], notes)


def in_words(left_out: Counter) -> list[str]:
    """What was left out, by reason."""
    return [f"left out: {why}: {count:,}" for why, count in left_out.items()]


def ended(text: bytes) -> bytes:
    """A text whose last line ends as the others do."""
    end = {line_ends.CRLF: b"\r\n", line_ends.CR: b"\r"}.get(line_ends.of_text(text), b"\n")
    return text if text.endswith((b"\n", end)) else text + end


def matches(path: str) -> list[Path]:
    """The file or folder of this name, or what the pattern matches. Raises InputError if none."""
    if Path(path).exists():
        return [Path(path)]
    found = [Path(name) for name in sorted(glob.glob(path, recursive=True))]
    if not found:
        raise InputError(f"{path}: no such file or folder, and no pattern that matches one")
    return [name for name in found if name.is_file()]


def add(path: Path, texts: dict[Path, bytes], notes: list[str]) -> None:
    """Read one file into `texts`. Raises InputError if it is no text."""
    text, done = text_file.decoded(text_file.read(path), path)
    if b"\0" in text:
        raise InputError(
            f"{path}: holds zero bytes, as no text does: remove it, or convert it to UTF-8"
        )
    if text:
        texts[path] = text
        if done:
            notes.append(f"{path.name}: {done}")


def in_folder(folder: Path, kind, texts: dict, notes: list[str], left_out: Counter) -> None:
    """Read the files below a folder into `texts`; count those that are `left_out`, by reason."""
    own: dict[Path, bytes] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        try:
            add(path, own, notes)
        except InputError:
            left_out["files that hold no text"] += 1
    of_c = {path: text for path, text in own.items() if path.suffix.lower() in C_FILES}
    size = sum(map(len, own.values()))
    if kind == "code" or (kind is None and sum(map(len, of_c.values())) > MOSTLY * size):
        if len(of_c) < len(own):
            left_out[f"files of {folder} that are not C or C++"] += len(own) - len(of_c)
        own = of_c
    texts |= own


def encoding(text: bytes) -> str:
    """How the characters of a text are encoded, in words."""
    if text.isascii():
        return "ASCII"
    if is_utf8(text):
        return f"UTF-8, {len(text.decode()):,} characters in {len(text):,} bytes"
    return "not UTF-8: each byte is taken as a character"


def not_unicode(paths: list[Path], parts: list[bytes]) -> str:
    """Which of several files are not UTF-8, in words: nothing where all or none are."""
    names = [path.name for path, part in zip(paths, parts, strict=True) if not is_utf8(part)]
    if len(names) in (0, len(parts)):
        return ""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f", because of {', '.join(names[:NAMED])}{more}"


def is_utf8(text: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def predicted(text: Text) -> str:
    """What the models of a study predict, in words."""
    different = f"{len(set(text)):,} different ones"
    if isinstance(text, bytes):
        return f"bytes, {different}"
    once = sum(count == 1 for count in Counter(text).values())
    rare = f", {once:,} of which occur{'s' * (once == 1)} once" if once else ""
    return f"Unicode characters, {different}{rare}"
