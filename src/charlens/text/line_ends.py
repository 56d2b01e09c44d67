"""Line ends: a line feed alone (LF), a carriage return and a line feed (CRLF), or, in old texts, a
carriage return alone (CR).

A network that was trained on the one has never seen the other: it is surprised at the end of each
line, and its units lose count. So a model file records the convention of its training text, and a
text that is read with the model is converted.
"""

import re
from collections.abc import Iterable

import numpy as np

LF, CRLF, MIXED, CR = "LF", "CRLF", "mixed", "CR"
CONVENTIONS = (LF, CRLF, MIXED)  # of training texts
BREAK = {LF: b"\n", CRLF: b"\r\n"}


def of_text(text: bytes) -> str | None:
    """The convention of a text: LF, CRLF, MIXED or CR; None if it is a single line."""
    feeds = text.count(b"\n")
    if not feeds:
        return CR if b"\r" in text else None
    return _convention(text.count(b"\r\n"), feeds)


def of_pairs(alphabet: np.ndarray, before: np.ndarray, codes: np.ndarray) -> str | None:
    """The convention of a text given as codes, and the code before each; None without line feeds.

    alphabet: [K], bytes or code points. before, codes: [S, n].
    """
    line_feed = alphabet[codes] == ord("\n")
    returns = alphabet[before[line_feed]] == ord("\r")
    return _convention(int(returns.sum()), int(line_feed.sum()))


def first_symbol(alphabet: np.ndarray, streams: Iterable[np.ndarray]) -> int | None:
    """The symbol that begins most line breaks of streams of codes, [S, n] each: a carriage return
    or a line feed; None if there are no line breaks.

    A carriage return alone breaks a line only in a text without line feeds.
    """
    feeds = after_return = returns = 0
    for codes in streams:
        symbols = alphabet[codes]
        feed, back = symbols == ord("\n"), symbols == ord("\r")
        feeds, returns = feeds + int(feed.sum()), returns + int(back.sum())
        after_return += int((feed[:, 1:] & back[:, :-1]).sum())
    if feeds:
        return ord("\r") if after_return > feeds - after_return else ord("\n")
    return ord("\r") if returns else None


def of_model(about: dict) -> str | None:
    """The convention of a model's training text, from its metadata; None if it is not known.

    Files from before it was recorded are judged by their alphabet: one that has a carriage return
    is of a text with CRLF, as the paper's War and Peace is.
    """
    if "line_ends" in about:
        return about["line_ends"]
    alphabet = bytes.fromhex(about["alphabet"])  # UTF-8, whatever its symbols are
    if b"\n" not in alphabet:
        return None
    return CRLF if b"\r" in alphabet else LF


def converted(text: bytes, wanted: str | None) -> bytes:
    """The text with this convention; as it is where none, or a mixture, is wanted."""
    found = of_text(text)
    if wanted not in BREAK or found in (None, wanted):
        return text
    return re.sub(rb"\r" if found == CR else rb"\r?\n", BREAK[wanted], text)


def note(text: bytes, wanted: str | None) -> str | None:
    """What `converted` changes in a text, in words; None if nothing."""
    found = of_text(text)
    if wanted not in BREAK or found in (None, wanted):
        return None
    return (
        f"line ends converted from {found} to {wanted}, as in the model's training text"
        " (--keep-line-ends leaves them)"
    )


def _convention(returns: int, line_feeds: int) -> str | None:
    if not line_feeds:
        return None
    return CRLF if returns == line_feeds else MIXED if returns else LF
