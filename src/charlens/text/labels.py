"""Labels of a text, one per character, and the labellings that apply to any text.

A label describes the state after its character was read, because figure 2 colours a character by
the state of a unit after reading it. Where a labelling cannot parse the text its labels are
undefined, and those characters are excluded. Texts are bytes here, N of them: of a text that is
read as characters each has one (see `stand_ins`).

    yes/no [N]    inside something: from its opening mark, once read, until the closing one is read
    count [N]     up to and including this character, whatever follows
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

TAB = 8  # columns


@dataclass(frozen=True, eq=False)
class Labels:
    """values: int32 [N], 0 or 1 for yes/no; defined: bool [N], whether each value is valid."""

    values: np.ndarray
    defined: np.ndarray


def spans(
    text: bytes, inside: Iterable[tuple[int, int]], undefined: Iterable[tuple[int, int]] = ()
) -> Labels:
    """Yes/no [N]: 1 in each span [begin, end) of `inside`; undefined in those of `undefined`."""
    values = np.zeros(len(text), np.int32)
    defined = np.ones(len(text), bool)
    for begin, end in inside:
        values[begin:end] = 1
    for begin, end in undefined:
        defined[begin:end] = False
    return Labels(values, defined)


def line_position(text: bytes) -> Labels:
    """Count [N]: bytes read since the line began; 0 at the line feed itself."""
    at = np.arange(len(text), dtype=np.int32)
    line_feeds = np.where(np.frombuffer(text, np.uint8) == 10, at, np.int32(-1))
    return Labels(at - np.maximum.accumulate(line_feeds), np.ones(len(text), bool))


def newline_next(text: bytes) -> Labels:
    """Yes/no [N]: the next character begins a line break (LF or CR LF).

    Undefined inside CR LF and at the last character.
    """
    line_break = np.zeros(len(text) + 1, np.int32)
    inside = np.zeros(len(text), bool)
    for found in re.finditer(rb"\r?\n", text):
        line_break[found.start()] = 1
        inside[found.start() : found.end() - 1] = True
    inside[-1:] = True  # nothing is known to follow the last character
    return Labels(line_break[1:], ~inside)


def indentation(text: bytes) -> Labels:
    """Count [N]: columns of blank space read at the beginning of the line.

    A tab extends to the next multiple of 8 columns.
    """
    values = np.zeros(len(text), np.int32)
    for line in re.finditer(rb"[^\n]*\n?", text):
        columns = 0
        at = line.start()
        for byte in text[at : line.end()]:
            if byte not in b" \t":
                break
            columns += TAB - columns % TAB if byte == 9 else 1
            values[at] = columns
            at += 1
        values[at : line.end()] = columns
    values[np.frombuffer(text, np.uint8) == 10] = 0  # after the line feed the next line has begun
    return Labels(values, np.ones(len(text), bool))


def capitalised_word(text: bytes) -> Labels:
    """Yes/no [N]: inside a word that begins with a capital letter (A to Z), including it."""
    words = re.finditer(rb"(?<![\w\x80-\xff])[A-Z][\w\x80-\xff]*", text)
    return spans(text, (word.span() for word in words))
