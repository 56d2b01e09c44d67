"""Prose or code: which kind of text this is, from the looks of its lines."""

import re

from charlens.text.unicode import Text, encoded

SHARE = 0.15  # of the lines: from here on a text is code
LEAST = 20  # lines; a shorter text is prose
# a line of C or C++: ends a statement or a block, is for the preprocessor, or is at either end of a
# comment
LINE = re.compile(
    rb"[^\n]*[;{}][ \t]*|[ \t]*#[ \t]*(?:include|define|undef|if|el|endif|error|pragma)[^\n]*"
    rb"|[ \t]*(?:/\*|//)[^\n]*|[^\n]*\*/[ \t]*"
)


def kind_of(text: Text) -> str:
    """The kind of a text, prose or code: code is C or C++, whose labels apply to nothing else."""
    lines = [line.rstrip(b"\r") for line in encoded(text).split(b"\n") if line.strip()]
    of_code = sum(LINE.fullmatch(line) is not None for line in lines)
    return "code" if len(lines) >= LEAST and of_code >= SHARE * len(lines) else "prose"
