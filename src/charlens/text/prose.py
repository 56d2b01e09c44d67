"""Labels of prose (section 4.2), as `text.labels` defines them.

Quotations and parentheses end with their paragraph at the latest. A quotation mark is `"` or a
typographic double one; an apostrophe is not.
"""

import re
from collections.abc import Iterator

from charlens.text import stand_ins
from charlens.text.labels import Labels, spans

PARAGRAPH_BREAK = re.compile(rb"(?:\r?\n[ \t]*(?=\r?\n))+\r?\n")
QUOTATION_MARK = re.compile(rb'(?<!\\)"|\xe2\x80[\x9c\x9d]|[\x02\x03]')
# the typographic opening mark: in UTF-8, and as it stands for a character (see `stand_ins`)
OPENING = (b"\xe2\x80\x9c", stand_ins.OPENING.encode())
PARENTHESIS = re.compile(rb"[()]")


def quote(text: bytes) -> Labels:
    """Yes/no [N]: inside a quotation in double quotes.

    Marks open and close alternately. An opening mark has blank space before it and none after, a
    closing one the reverse. If the next mark is of the wrong kind, one is missing, and the text
    since the previous mark is undefined. So is a quotation that is not closed in its paragraph,
    unless the next paragraph starts with a mark, as in long speeches.
    """
    inside, undefined = [], []
    for begin, end, following in _paragraphs(text):
        opened, last = None, begin
        for mark in QUOTATION_MARK.finditer(text, begin, end):
            opens = _opens(text, mark, begin, end)
            if opens is None:
                opens = opened is None
            if opens == (opened is not None):  # a mark is missing before this one
                undefined.append((last, mark.start()))
            elif not opens:
                inside.append((opened, mark.start()))
            opened, last = (mark.end() - 1 if opens else None), mark.end() - 1
        if opened is not None:
            inside.append((opened, end))
            if not QUOTATION_MARK.match(text, following):
                undefined.append((opened, end))
    return spans(text, inside, undefined)


def _opens(text: bytes, mark: re.Match, begin: int, end: int) -> bool | None:
    """Whether a mark must open (True) or close (False); None if its surroundings do not tell."""
    if mark.group() != b'"':
        return mark.group() in OPENING
    before = text[max(begin, mark.start() - 1) : mark.start()]
    after = text[mark.end() : min(end, mark.end() + 1)]
    blank_before, blank_after = not before.strip(), not after.strip()
    return None if blank_before == blank_after else blank_before


def parenthesis(text: bytes) -> Labels:
    """Yes/no [N]: inside ( ); undefined from a "(" that is not closed in its paragraph.

    A lone ")" is ignored.
    """
    inside, undefined = [], []
    for begin, end, _ in _paragraphs(text):
        opened = []
        for mark in PARENTHESIS.finditer(text, begin, end):
            if mark.group() == b"(":
                opened.append(mark.start())
            elif opened:
                inside.append((opened.pop(), mark.start()))
        undefined += [(start, end) for start in opened]
    return spans(text, inside, undefined)


def _paragraphs(text: bytes) -> Iterator[tuple[int, int, int]]:
    """The start and end of each paragraph, and the start of the next; blank lines separate them."""
    begin = 0
    for gap in PARAGRAPH_BREAK.finditer(text):
        yield begin, gap.start(), gap.end()
        begin = gap.end()
    yield begin, len(text), len(text)
