"""One byte for each character of a text, by which labels are found.

Labels look at ASCII alone: line breaks, blanks, brackets, quotation marks, letters. What a
character beyond ASCII means to them is one of a few things, and it gets a byte that means the same:

    letters                       A for a capital, else a
    blank space                   a space
    full-width parentheses        ( and )
    quotation marks               OPENING and CLOSING, those of the text's own style
    all else                      OTHER

A text of bytes is its own stand-in, but for OPENING and CLOSING themselves: there, labels know the
typographic double marks alone.
"""

import functools
import unicodedata
from collections import Counter

from charlens.text.unicode import Text

OPENING, CLOSING, OTHER = "\x02", "\x03", "\x1a"
# opening and closing marks: “English” and «French», „German“, „Polish”, 「Japanese」
STYLES = ("“”", "«»", "„“", "„”", "「」")
CONTROLS = bytes.maketrans((OPENING + CLOSING).encode(), (OTHER * 2).encode())
PARENTHESES = {"（": "(", "）": ")"}


@functools.lru_cache(maxsize=2)  # many labellings share one text
def parsed(text: Text) -> bytes:
    """A byte for each symbol of a text [N], for `hypotheses` and what else looks at bytes."""
    if isinstance(text, bytes):
        return text.translate(CONTROLS)
    known = quotation_marks(text) | PARENTHESES
    table = {ord(letter): known.get(letter) or stand_in(letter) for letter in set(text)}
    return text.translate(table).encode("ascii")


def stand_in(letter: str) -> str:
    """What stands in for a character that is no quotation mark."""
    if letter.isascii():
        return OTHER if letter in (OPENING, CLOSING) else letter
    if letter.isspace():
        return " "
    if letter.isalnum() or unicodedata.category(letter).startswith("M"):
        return "A" if letter.isupper() or letter.istitle() else "a"
    return OTHER


def quotation_marks(text: str) -> dict[str, str]:
    """The typographic marks of a text and what stands in for them: of the style that is used most.
    Marks of other styles, such as those of quotations within quotations, count for nothing."""
    counts = Counter(letter for letter in text if letter in "“”«»„「」")
    opening, closing = max(STYLES, key=lambda pair: min(counts[pair[0]], counts[pair[1]]))
    if not min(counts[opening], counts[closing]):
        return {}
    if opening == "«" and after_blank(text, "»") > after_blank(text, "«"):
        opening, closing = closing, opening  # »as in German books«
    return {opening: OPENING, closing: CLOSING}


def after_blank(text: str, mark: str) -> int:
    """How often a mark begins a line or follows a space."""
    return text.count(" " + mark) + text.count("\n" + mark)
