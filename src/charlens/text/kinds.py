"""Prose or code: which kind of text this is, from the looks of its lines."""

import re

from charlens.text.unicode import Text, encoded

SHARE = 0.15  # of the lines: from here on a text is code, of whatever language
C_SHARE = 0.01  # of the lines: from here on that language is C or C++
LEAST = 20  # lines; a shorter text is prose
# a line of code: ends a statement or a block, is for the preprocessor, or is at either end of a
# comment
LINE = re.compile(
    rb"[^\n]*[;{}][ \t]*|[ \t]*#[ \t]*(?:include|define|undef|if|el|endif|error|pragma)[^\n]*"
    rb"|[ \t]*(?:/\*|//)[^\n]*|[^\n]*\*/[ \t]*"
)
# a line that few other languages have: for the preprocessor (without a blank after the #, which
# comments have), a member of what a pointer points to (but no method call of Perl), or a
# declaration with the type first
C_LINE = re.compile(
    rb"[ \t]*#(?:include|define|undef|if|ifdef|ifndef|endif|pragma)\b[^\n]*"
    rb"|(?![^\n]*[$:])[^\n]*[a-z_]->[a-z_]\w*+(?!\()[^\n]*"
    rb"|[ \t]*(?:(?:static|extern|const|inline|unsigned|signed)[ \t]+)*"
    rb"(?:void|char|short|int|long|float|double|bool|\w+_t|(?:struct|union|enum)[ \t]+\w+)"
    rb"\b[ \t*&]+\w+[ \t]*[\[(;=,][^\n]*"
)


def kind_of(text: Text) -> str:
    """The kind of a text, prose or code: code is C or C++, to which the labels of code apply, or so
    much like them (Java, C#) that most of these do."""
    lines = [line.rstrip(b"\r") for line in encoded(text).split(b"\n") if line.strip()]
    of_code = sum(LINE.fullmatch(line) is not None for line in lines)
    of_c = sum(C_LINE.fullmatch(line) is not None for line in lines)
    is_c = of_code >= SHARE * len(lines) and of_c >= max(1, C_SHARE * len(lines))
    return "code" if len(lines) >= LEAST and is_c else "prose"


def kind_and_reason(text: Text, given: str | None) -> tuple[str, str]:
    """The kind of a text, and in words how it is known. given: the kind that was asked for."""
    return given or kind_of(text), "given" if given else "found out; --kind sets it"
