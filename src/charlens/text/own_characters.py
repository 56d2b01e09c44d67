"""The characters that a hypothesis is about: those that a unit following it should help predict.

    line_position, newline_next      the first character of each line break (CR LF or LF)
    quote                            the closing mark; of one of several bytes all of them, though
                                     what comes after the first is easy to predict
    comment_or_quote                 the same, and the end of a comment: */, or its line break
    if_condition, parenthesis        the closing )
    depth                            the closing ) or ]
    if_body                          the closing }
    brace_distance                   each } of a matched pair
    preprocessor                     the line break that ends it (of CR LF the CR)
    indentation                      the blanks at the beginning of a line
    capitalised                      the letters after the capital

"Closing" is where the labels say so: yes turns to no, or a count falls. So marks that mean
something else (a ) in a string, an apostrophe) do not count, nor do those beside undefined labels.
"""

from collections.abc import Callable

import numpy as np

from charlens.errors import InputError
from charlens.text.braces import brace_pairs
from charlens.text.labels import Labels, newline_next
from charlens.text.stand_ins import CLOSING

Characters = Callable[[bytes, Labels], np.ndarray]


def own_characters(hypothesis: str, text: bytes, labels: Labels) -> np.ndarray:
    """Which characters of a text [N] a hypothesis is about, bool [N]; labels: its labels of it.

    Raises InputError where it is not said of the hypothesis.
    """
    if hypothesis not in OWN:
        raise InputError(f"text/own_characters.py: OWN: say which characters {hypothesis} is about")
    return OWN[hypothesis](text, labels)


def _change(labels: Labels, sign: int) -> np.ndarray:
    """Where a label rises (sign 1) or falls (-1) with a character, both defined: bool [N]."""
    steps = np.sign(np.diff(labels.values, prepend=0))  # before the text there is nothing: 0
    return (steps == sign) & labels.defined & np.append(True, labels.defined[:-1])


def _at_break(text: bytes, found: np.ndarray) -> np.ndarray:
    """The same [N], with the first character of a line break CR LF in place of the second."""
    letters = np.frombuffer(text, np.uint8)
    second = found[1:] & (letters[1:] == ord("\n")) & (letters[:-1] == ord("\r"))
    found[1:] &= ~second
    found[:-1] |= second
    return found


def _closing(marks: bytes) -> Characters:
    def found(text: bytes, labels: Labels) -> np.ndarray:
        of_marks = np.isin(np.frombuffer(text, np.uint8), list(marks))
        return _at_break(text, _change(labels, -1) & of_marks)

    return found


def _line_breaks(text: bytes, labels: Labels) -> np.ndarray:
    found = np.zeros(len(text), bool)
    found[1:] = newline_next(text).values[:-1] == 1
    found[:1] = text[:1] == b"\n" or text[:2] == b"\r\n"
    return found


def _quote(text: bytes, labels: Labels) -> np.ndarray:
    found = _closing(b"\"'\xe2" + CLOSING.encode())(text, labels)
    typographic = np.flatnonzero(found & (np.frombuffer(text, np.uint8) == 0xE2))
    found[(typographic[:, None] + [1, 2]).clip(max=len(text) - 1)] = True  # its other two bytes
    return found


def _comment_or_quote(text: bytes, labels: Labels) -> np.ndarray:
    found = _closing(b"\"'/\r\n")(text, labels)
    letters = np.frombuffer(text, np.uint8)
    star = np.flatnonzero(found & (letters == ord("/"))) - 1
    found[star] = True  # the label ends with the / of */
    return found


def _braces(text: bytes, labels: Labels) -> np.ndarray:
    found = np.zeros(len(text), bool)
    found[brace_pairs(text)[:, 1]] = True
    return found


def _after_the_first(text: bytes, labels: Labels) -> np.ndarray:
    inside = labels.values == 1
    return inside & np.append(False, inside[:-1])


OWN: dict[str, Characters] = {
    "line_position": _line_breaks,
    "quote": _quote,
    "if_condition": _closing(b")"),
    "if_body": _closing(b"}"),
    "comment_or_quote": _comment_or_quote,
    "depth": _closing(b")]"),
    "newline_next": _line_breaks,
    "brace_distance": _braces,
    "indentation": lambda text, labels: _change(labels, 1),
    "parenthesis": _closing(b")"),
    "preprocessor": _closing(b"\r\n"),
    "capitalised": _after_the_first,
}
