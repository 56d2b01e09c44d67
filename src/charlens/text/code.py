"""Labels of C and C++ code (section 4.2), as `text.labels` defines them.

Marks in comments, strings and character literals are not code. Each preprocessor line is parsed by
itself. Each branch of an #if starts in the state before the #if, and the code after the #endif
continues from the first branch.
"""

import functools
import re
from dataclasses import dataclass

import numpy as np

from charlens.text.braces import brace_pairs
from charlens.text.labels import Labels, spans
from charlens.text.lexer import lexer

tokens = lexer(
    rb"""
    (?P<splice>   \\ \r? \n )
  | (?P<newline>  \n )
  | (?P<keyword>  (?<!\w) (?: if | else | for | while | switch | do ) (?!\w) )
  | (?P<mark>     [()\[\]{};] )
    """
)
CONDITIONALS = {"if": b"#if", "else": b"#else", "endif": b"#endif"}
CLOSES = {b")": b"(", b"]": b"[", b"}": b"{"}
BLANKS = re.compile(rb"\s*")
VALUE_CONTINUES = re.compile(rb"\s*[,;.)]")  # after a "}" that ends a value, not a statement


@dataclass
class Piece:
    """Code that is parsed together: one preprocessor line, or all code outside of those.

    tokens: keywords, marks and #if, #else, #endif, each with its offset. match: from the index of
    each matched bracket to that of its partner. unclosed: spans [begin, end) of unmatched brackets.
    """

    tokens: list[tuple[bytes, int]]
    match: dict[int, int]
    unclosed: list[tuple[int, int]]


@dataclass
class Scan:
    """The result of one pass over a text, as spans [begin, end).

    comments, literals, directives: from the opening mark (already read) to the closing one.
    unclosed: strings not closed on their line.
    """

    comments: list[tuple[int, int]]
    literals: list[tuple[int, int]]
    unclosed: list[tuple[int, int]]
    directives: list[tuple[int, int]]
    pieces: list[Piece]


@functools.lru_cache(maxsize=1)  # nine labellings share one scan
def scan(text: bytes) -> Scan:
    """Scan C or C++ text once, token by token."""
    found = Scan([], [], [], [], [])
    outer: list[tuple[bytes, int]] = []  # tokens outside of preprocessor lines
    inner: list[tuple[bytes, int]] | None = None  # tokens of the open preprocessor line

    def end_line(at: int) -> None:
        nonlocal inner
        if inner is not None:
            found.directives[-1] = (found.directives[-1][0], at)
            found.pieces.append(_piece(inner, at))
            inner = None

    for token in tokens(text):
        kind, begin, end = token.lastgroup, token.start(), token.end()
        match kind:
            case "keyword" | "mark":
                (outer if inner is None else inner).append((token.group(), begin))
            case "newline":
                end_line(begin)
            case "comment":
                line = token.group().startswith(b"//")
                found.comments.append((begin + 1, end if line else end - 1))
                if line and text[end : end + 1] != b"\n":
                    end_line(end)
            case "string" | "char":
                found.literals.append((begin, end - 1))
            case "raw":
                found.literals.append((begin + token.group().index(b'"'), end - 1))
            case "unclosed":
                found.unclosed.append((begin, end))
            case "if" | "else" | "endif" | "message" | "directive":
                if inner is None:  # otherwise it is a # in the body of a macro
                    at = token.start(kind)
                    if kind in CONDITIONALS:
                        outer.append((CONDITIONALS[kind], at))
                    inner = []
                    found.directives.append((at, len(text)))
    end_line(len(text))
    found.pieces.append(_piece(outer, len(text)))
    return found


def _piece(tokens: list[tuple[bytes, int]], end: int) -> Piece:
    """Match the brackets of these tokens, up to the offset `end`.

    A bracket without a partner is dropped; the span over which one was open is unclosed.
    """
    match, unclosed = {}, []
    opened: list[int] = []  # indices of open brackets
    branches: list[list] = []  # per open #if: brackets open at it, and after its first branch

    def drop(indices, at):
        unclosed.extend((tokens[index][1], at) for index in indices)

    for index, (token, at) in enumerate(tokens):
        if token in b"([{":
            opened.append(index)
        elif token in CLOSES:
            if token == b"}":  # closes a block whatever is open in it
                keep = len(opened)
                while keep and tokens[opened[keep - 1]][0] != b"{":
                    keep -= 1
                if keep:
                    drop(opened[keep:], at)
                    del opened[keep:]
            if opened and tokens[opened[-1]][0] == CLOSES[token]:
                partner = opened.pop()
                match[partner], match[index] = index, partner
        elif token == b"#if":
            branches.append([opened.copy(), None])
        elif token == b"#else" and branches:
            before, first = branches[-1]
            if first is None:
                branches[-1][1] = opened
            else:
                drop((i for i in opened if i not in before), at)
            opened = before.copy()
        elif token == b"#endif" and branches:
            before, first = branches.pop()
            if first is not None:
                drop((i for i in opened if i not in before), at)
                opened = first
    drop((index for index in opened if tokens[index][0] != b"{"), end)
    return Piece(tokens, match, unclosed)


def quote(text: bytes) -> Labels:
    """Yes/no [N]: inside a string or character literal.

    Undefined in a string that is not closed on its line.
    """
    found = scan(text)
    return spans(text, found.literals + found.unclosed, found.unclosed)


def comment_or_quote(text: bytes) -> Labels:
    """Yes/no [N]: inside a comment, string or character literal; undefined as in `quote`."""
    found = scan(text)
    return spans(text, found.comments + found.literals + found.unclosed, found.unclosed)


def comment(text: bytes) -> Labels:
    """Yes/no [N]: inside a comment, against plain code; undefined in strings and literals."""
    found = scan(text)
    return spans(text, found.comments, found.literals + found.unclosed)


def string(text: bytes) -> Labels:
    """Yes/no [N]: inside a string or character literal, against plain code; undefined in comments
    and as in `quote`."""
    found = scan(text)
    return spans(text, found.literals, found.comments + found.unclosed)


def preprocessor(text: bytes) -> Labels:
    """Yes/no [N]: inside a preprocessor line, from its # to its end, with continuation lines."""
    return spans(text, scan(text).directives)


def parenthesis(text: bytes) -> Labels:
    """Yes/no [N]: inside ( ) within the innermost block.

    Undefined where a bracket is never closed.
    """
    return _nesting(text, b"(", yes_no=True)


def depth(text: bytes) -> Labels:
    """Count [N]: open ( and [ since the innermost block began.

    Undefined where one is never closed. Comments and strings have the depth around them.
    """
    return _nesting(text, b"([", yes_no=False)


def _nesting(text: bytes, counted: bytes, yes_no: bool) -> Labels:
    """The number of open `counted` brackets since the innermost block began."""
    change = np.zeros(len(text) + 1, np.int32)
    unclosed = []
    for piece in scan(text).pieces:
        unclosed += piece.unclosed
        above = [0]  # brackets open since each of the open blocks began
        for index, (token, at) in enumerate(piece.tokens):
            other = piece.match.get(index)
            if other is None or piece.match[other] != index:
                continue  # not closed; or closed already, in another branch of an #if
            if token in counted:
                change[at] += 1
                above[-1] += 1
            elif token == b"{":
                change[at] -= above[-1]
                change[piece.tokens[other][1]] += above[-1]
                above.append(0)
            elif token == b"}":
                if len(above) > 1:
                    above.pop()
            elif token in CLOSES and CLOSES[token] in counted:
                change[at] -= 1
                above[-1] -= 1
    values = np.cumsum(change[:-1], dtype=np.int32)
    return Labels(values.clip(0, 1 if yes_no else None), spans(text, (), unclosed).defined)


def if_condition(text: bytes) -> Labels:
    """Yes/no [N]: inside the parentheses of an if.

    Undefined from the if to the end of its line if they are not closed.
    """
    inside, undefined = [], []
    for piece in scan(text).pieces:
        for index, (token, at) in enumerate(piece.tokens):
            if token == b"if":
                opening = _parenthesis_after(piece, index)
                if opening is None:
                    undefined.append(_rest_of_line(text, at))
                else:
                    inside.append((piece.tokens[opening][1], piece.tokens[piece.match[opening]][1]))
    return spans(text, inside, undefined)


def if_body(text: bytes) -> Labels:
    """Yes/no [N]: inside the statement or block that an if governs; else if counts, else does not.

    Undefined from the if to the end of its line if the end of the statement is not found.
    """
    inside, undefined = [], []
    for piece in scan(text).pieces:
        ends: dict[int, int | None] = {}  # of the statements that begin with these tokens
        for index in range(len(piece.tokens) - 1, -1, -1):  # the inner ones first
            token, at = piece.tokens[index]
            if token == b"do":
                ends[index] = _do_end(text, piece, index, ends)
            elif token == b"if":
                opening = _parenthesis_after(piece, index)
                last = None
                if opening is not None:
                    last = _statement_end(text, piece, piece.match[opening] + 1, ends)
                ends[index] = _else_end(text, piece, last, ends)
                if last is None:
                    undefined.append(_rest_of_line(text, at))
                else:
                    closing = piece.tokens[piece.match[opening]][1]
                    begin = BLANKS.match(text, closing + 1).end()
                    inside.append((begin, piece.tokens[last][1]))
    return spans(text, inside, undefined)


def brace_distance(text: bytes) -> Labels:
    """Count [N]: bytes read since the innermost open "{", which the next "}" would close.

    Undefined outside of braces. Braces are matched as for figure 5 (`brace_pairs`), including those
    in macros.
    """
    opened = np.full(len(text), -1, np.int32)
    pairs = brace_pairs(text)
    for begin, end in pairs[np.argsort(pairs[:, 0])]:  # the inner ones last
        opened[begin:end] = begin
    return Labels(np.arange(len(text), dtype=np.int32) - opened, opened >= 0)


def _rest_of_line(text: bytes, at: int) -> tuple[int, int]:
    end = text.find(b"\n", at)
    return at, len(text) if end < 0 else end


def _parenthesis_after(piece: Piece, index: int) -> int | None:
    """The index of the "(" that follows a keyword, if it is closed."""
    follows = index + 1 < len(piece.tokens) and piece.tokens[index + 1][0] == b"("
    return index + 1 if follows and index + 1 in piece.match else None


def _statement_end(text: bytes, piece: Piece, index: int, ends: dict) -> int | None:
    """The index of the ";" or "}" that ends the statement beginning at this token.

    ends: the same for each if and do after it. None if no end is found.
    """
    tokens, match = piece.tokens, piece.match
    first = index
    while index < len(tokens):
        token = tokens[index][0]
        if token in (b"if", b"do"):
            return ends[index]
        if token == b";":
            return index
        if token == b"{":  # also after a name with parentheses: a loop macro
            last = match.get(index)
            if last is None or index == first:
                return last
            if not VALUE_CONTINUES.match(text, tokens[last][1] + 1):
                return last
            index = last + 1
            continue
        if token in (b"for", b"while", b"switch"):
            opening = _parenthesis_after(piece, index)
            if opening is None:
                return None
            index = match[opening] + 1
        elif token in (b"(", b"["):
            if index not in match:
                return None
            index = match[index] + 1
        elif token.startswith(b"#"):
            index += 1
        else:  # a closing bracket, a stray else
            return None
    return None


def _else_end(text: bytes, piece: Piece, last: int | None, ends: dict) -> int | None:
    """The end, including any else, of an if whose own statement ends at token `last`."""
    if last is None or last + 1 == len(piece.tokens):
        return last
    if piece.tokens[last + 1][0] != b"else":
        return last
    return _statement_end(text, piece, last + 2, ends)


def _do_end(text: bytes, piece: Piece, index: int, ends: dict) -> int | None:
    """The end of a do: that of the `while (...);` after its statement."""
    last = _statement_end(text, piece, index + 1, ends)
    return None if last is None else _statement_end(text, piece, last + 1, ends)
