"""Checks of a text against the facts that its source states: size, symbols, digest; and
the file of the user's own that a source names."""

import hashlib
import os
from pathlib import Path

from charlens.text import unicode

CHECKS = ("bytes", "symbols", "sha256")


class Unavailable(Exception):
    """A source cannot provide its text: the message says why, and the next source is tried."""


def facts(text: bytes) -> dict:
    """The facts that a source may state of its text: bytes, symbols (distinct bytes) and sha256."""
    return {
        "bytes": len(text),
        "symbols": len(set(text)),
        "sha256": hashlib.sha256(text).hexdigest(),
    }


def described(text: bytes, kind: str) -> dict:
    """What a provenance says of a text whose symbols are of this kind: its facts; `symbols` is the
    size of its alphabet. Raises InputError where it is to be read as characters and is no UTF-8."""
    if kind == unicode.BYTES:
        return facts(text)
    read = unicode.decoded(text, kind, "the text")
    own = {"symbols": len(set(read)), "characters": len(read)}
    return facts(text) | own | unicode.stated(kind)


def size_in_words(about: dict) -> str:
    """The length of a corpus and the size of its alphabet, from its provenance."""
    if unicode.symbols_are(about) == unicode.CHARACTERS:
        return (
            f"{about['characters']:,} characters in {about['bytes']:,} bytes, {about['symbols']:,}"
            " of them different"
        )
    return f"{about['bytes']:,} bytes, {about['symbols']} symbols"


def fits(text: bytes, source: dict) -> bool:
    """Whether `text` agrees with everything that the source states."""
    found = facts(text)
    return all(source[check] == found[check] for check in stated(source))


def checked(text: bytes, source: dict) -> bytes:
    """Return `text`. Raises Unavailable if it is empty or contradicts its source."""
    if not text:
        raise Unavailable("the text is empty")
    if not fits(text, source):
        raise Unavailable(f"expected {expected(source)}; got {describe(text)}")
    return text


def expected(source: dict) -> str:
    """Describe in words the facts that a source states of its text."""
    return _facts_in_words({check: source[check] for check in stated(source)}) or "nothing stated"


def describe(text: bytes) -> str:
    """Describe a text in words, so that a wrong one can be recognised."""
    if not text:
        return "an empty file"
    return _facts_in_words(facts(text)) + (", an HTML page" if is_html(text) else "")


def is_html(text: bytes) -> bool:
    """Whether `text` starts like a web page."""
    start = text[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head"))


def stated(source: dict) -> list[str]:
    """The names of the checks that a source states."""
    return [check for check in CHECKS if source.get(check) is not None]


def _facts_in_words(facts: dict) -> str:
    words = {"bytes": "{:,} bytes", "symbols": "{} symbols", "sha256": "sha256 {:.12}..."}
    return ", ".join(words[check].format(value) for check, value in facts.items())


def own_file(source: dict) -> Path | None:
    """The user's own file that a source names: a text, or the archive of a recipe."""
    path = source.get("path") or (source.get("recipe") or {}).get("archive")
    return local(path) if path and "://" not in path else None


def local(path: str) -> Path:
    """A path in which a leading ~ or ~user is that user's home, where there is such a user."""
    return Path(os.path.expanduser(path))
