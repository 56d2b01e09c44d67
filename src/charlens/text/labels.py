"""What a cell may keep track of: hypotheses, each a labelling of every character of a text.

A labelling is a small function of the text alone. It returns one value per byte, which is what is
true once that byte has been read (a network colours a character by what it holds after reading it),
and where that value is defined: what a labelling cannot parse it says so and leaves out.

    inside something    from its opening mark, read, until its closing mark has been read
    a count             so far: what comes later in the line or the text plays no part

In prose a quotation mark is `"` or a typographic double one; an apostrophe never is. Quotations and
parentheses end with their paragraph. Code is C or C++: marks in comments, strings and characters
are none; each preprocessor line is parsed by itself; each branch of an #if begins where the #if
stood, and what follows the #endif goes on from the first branch.
"""

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from charlens.text.braces import LITERAL, TO_LINE_END, brace_pairs

KINDS = ("prose", "code")
GOES_ON = re.compile(rb"\s*[,;.)]")  # after a "}" that ends a value, not the statement
TAB = 8  # columns


@dataclass(frozen=True, eq=False)
class Labels:
    """values: int32 [N], 0 or 1 for yes/no; defined: bool [N], without which a value is none."""

    values: np.ndarray
    defined: np.ndarray


@dataclass(frozen=True)
class Hypothesis:
    """What cells are held against. `label` holds one function of the text for each kind of text."""

    name: str
    title: str
    yes_no: bool  # else a count
    label: dict[str, Callable[[bytes], Labels]]


def labellings(text: bytes, kind: str) -> dict[str, Labels]:
    """Every labelling that applies to this kind of text (prose or code), by hypothesis."""
    return {h.name: h.label[kind](text) for h in HYPOTHESES if kind in h.label}


def spans(text: bytes, inside: Iterable[tuple], undefined: Iterable[tuple] = ()) -> Labels:
    """Yes from each first offset up to, without, the second; undefined likewise."""
    values = np.zeros(len(text), np.int32)
    defined = np.ones(len(text), bool)
    for begin, end in inside:
        values[begin:end] = 1
    for begin, end in undefined:
        defined[begin:end] = False
    return Labels(values, defined)


# ---- lines and words: any text ----


def line_position(text: bytes) -> Labels:
    """Bytes read since the line began; 0 at the line feed itself."""
    at = np.arange(len(text), dtype=np.int32)
    return Labels(at - _line_starts(text), np.ones(len(text), bool))


def newline_next(text: bytes) -> Labels:
    """Will the next character begin a line break (LF, or CR LF)? Undefined inside CR LF."""
    line_break = np.zeros(len(text) + 1, np.int32)
    inside = np.zeros(len(text), bool)
    for found in re.finditer(rb"\r?\n", text):
        line_break[found.start()] = 1
        inside[found.start() : found.end() - 1] = True
    inside[-1:] = True  # nobody knows what follows the last character
    return Labels(line_break[1:], ~inside)


def indentation(text: bytes) -> Labels:
    """Columns of blank space with which the line begins, as far as it was read; a tab goes to the
    next multiple of 8."""
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
    values[np.frombuffer(text, np.uint8) == 10] = 0  # at the line feed the next line has begun
    return Labels(values, np.ones(len(text), bool))


def capitalised_word(text: bytes) -> Labels:
    """Inside a word that begins with a capital letter (A to Z), from that letter to its last."""
    words = re.finditer(rb"(?<![\w\x80-\xff])[A-Z][\w\x80-\xff]*", text)
    return spans(text, (word.span() for word in words))


def _line_starts(text: bytes) -> np.ndarray:
    """For each byte the offset of the last line feed up to it, or -1."""
    at = np.arange(len(text), dtype=np.int32)
    return np.maximum.accumulate(np.where(np.frombuffer(text, np.uint8) == 10, at, np.int32(-1)))


# ---- prose ----

PARAGRAPH = re.compile(rb"(?:\r?\n[ \t]*(?=\r?\n))+\r?\n")  # between two paragraphs
MARK = re.compile(rb'(?<!\\)"|\xe2\x80[\x9c\x9d]')
OPENING, CLOSING = b"\xe2\x80\x9c", b"\xe2\x80\x9d"


def prose_quote(text: bytes) -> Labels:
    """Inside a quotation in double quotes.

    Marks open and close in turn. A mark in the place of the other kind (an opening one has blank
    space before it and none after, a closing one the reverse) shows that one is missing: what lies
    between the last mark and it is undefined. So is a quotation still open where its paragraph
    ends, unless the next paragraph goes on with an opening mark, as long speeches are printed.
    """
    inside, undefined = [], []
    for begin, end, after in _paragraphs(text):
        opened, last = None, begin
        for mark in MARK.finditer(text, begin, end):
            opens = _opens(text, mark, begin, end)
            if opens is None:
                opens = opened is None
            if opens == (opened is not None):  # not its turn
                undefined.append((last, mark.start()))
            elif not opens:
                inside.append((opened, mark.start()))
            opened, last = (mark.end() - 1 if opens else None), mark.end() - 1
        if opened is not None:
            inside.append((opened, end))
            if not MARK.match(text, after):
                undefined.append((opened, end))
    return spans(text, inside, undefined)


def _opens(text: bytes, mark: re.Match, begin: int, end: int) -> bool | None:
    """Whether a mark must open (True) or close (False) a quotation; None if its place is silent."""
    if mark.group() != b'"':
        return mark.group() == OPENING
    before = text[max(begin, mark.start() - 1) : mark.start()]
    after = text[mark.end() : min(end, mark.end() + 1)]
    free_before, free_after = not before.strip(), not after.strip()
    if free_before == free_after:
        return None
    return free_before


def prose_parenthesis(text: bytes) -> Labels:
    """Inside ( ); undefined from a "(" that its paragraph does not close. A lone ")" is none."""
    inside, undefined = [], []
    for begin, end, _ in _paragraphs(text):
        opened = []
        for mark in re.compile(rb"[()]").finditer(text, begin, end):
            if mark.group() == b"(":
                opened.append(mark.start())
            elif opened:
                inside.append((opened.pop(), mark.start()))
        undefined += [(start, end) for start in opened]
    return spans(text, inside, undefined)


def _paragraphs(text: bytes):
    """Begin, end, and begin of the next one, of each paragraph; blank lines part them."""
    begin = 0
    for gap in PARAGRAPH.finditer(text):
        yield begin, gap.start(), gap.end()
        begin = gap.end()
    yield begin, len(text), len(text)


# ---- code ----

TOKEN = re.compile(
    LITERAL
    + rb"""
  | (?P<directive> ^ [ \t]* \# [ \t]*
        (?: (?: error | warning ) \b %s  |  (?P<which> \w* ) ) )    # messages may hold anything
  | (?P<splice>   \\ \r? \n )
  | (?P<newline>  \n )
  | (?P<word>     (?<!\w) (?: if | else | for | while | switch | do ) (?!\w) )
  | (?P<mark>     [()\[\]{};] )
    """
    % TO_LINE_END,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
CLOSES = {b")": b"(", b"]": b"[", b"}": b"{"}


@dataclass
class Piece:
    """Code parsed together: all but the preprocessor lines, or one of these.

    tokens: keywords, brackets, semicolons and #if, #else, #endif, with their offsets; match: for
    each bracket that was opened and closed the index of its partner, by index; lost: spans of
    brackets that were opened and whose closing was not found.
    """

    tokens: list[tuple[bytes, int]]
    match: dict[int, int]
    lost: list[tuple[int, int]]


@dataclass
class Scan:
    """comments, quotes and directives: spans from the opening mark, read, to the closing one."""

    comments: list[tuple[int, int]]
    quotes: list[tuple[int, int]]
    unquoted: list[tuple[int, int]]  # strings that their line does not close
    directives: list[tuple[int, int]]
    pieces: list[Piece]


@functools.lru_cache(maxsize=1)  # seven labellings read the same scan
def scan(text: bytes) -> Scan:
    """Read C or C++ once, token by token."""
    found = Scan([], [], [], [], [])
    outer: list[tuple[bytes, int]] = []
    inner: list[tuple[bytes, int]] | None = None  # tokens of the preprocessor line that is open

    def end_line(at):
        nonlocal inner
        if inner is not None:
            found.directives[-1] = (found.directives[-1][0], at)
            found.pieces.append(_piece(inner, at))
            inner = None

    for token in TOKEN.finditer(text):
        kind, begin, end = token.lastgroup, token.start(), token.end()
        if kind == "comment":
            line = token.group().startswith(b"//")
            found.comments.append((begin + 1, end if line else end - 1))
            if line and text[end : end + 1] != b"\n":
                end_line(end)
        elif kind == "string" and not token["ended"]:
            found.unquoted.append((begin, end))
        elif kind in ("string", "char"):
            found.quotes.append((begin, end - 1))
        elif kind == "raw":
            found.quotes.append((begin + token.group().index(b'"'), end - 1))
        elif kind == "directive" and inner is None:  # within one it is the # of a macro's body
            at = begin + token.group().index(b"#")
            which = token["which"]
            if which in (b"if", b"ifdef", b"ifndef"):
                outer.append((b"#if", at))
            elif which in (b"else", b"elif", b"elifdef", b"elifndef"):
                outer.append((b"#else", at))
            elif which == b"endif":
                outer.append((b"#endif", at))
            inner = []
            found.directives.append((at, len(text)))
        elif kind == "newline":
            end_line(begin)
        elif kind in ("word", "mark"):
            (outer if inner is None else inner).append((token.group(), begin))
    end_line(len(text))
    found.pieces.append(_piece(outer, len(text)))
    return found


def _piece(tokens: list[tuple[bytes, int]], end: int) -> Piece:
    """Match the brackets. What does not fit is dropped, and where it stood open is lost."""
    match, lost = {}, []
    opened: list[int] = []  # indices of open brackets
    branches: list[
        list
    ] = []  # per open #if: brackets open at it, brackets open after its first branch

    def drop(indices, at):
        lost.extend((tokens[index][1], at) for index in indices)

    for index, (token, at) in enumerate(tokens):
        if token in b"([{":
            opened.append(index)
        elif token in CLOSES:
            if token == b"}":  # closes a block whatever stands open in it
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
    return Piece(tokens, match, lost)


def code_quote(text: bytes) -> Labels:
    """Inside a string or character literal; undefined in a string that its line does not close."""
    found = scan(text)
    return spans(text, found.quotes + found.unquoted, found.unquoted)


def comment_or_quote(text: bytes) -> Labels:
    """Inside a comment, a string or a character literal."""
    found = scan(text)
    return spans(text, found.comments + found.quotes + found.unquoted, found.unquoted)


def preprocessor(text: bytes) -> Labels:
    """Inside a preprocessor line, continuation lines included, from its # to its end."""
    return spans(text, scan(text).directives)


def code_parenthesis(text: bytes) -> Labels:
    """Inside ( ), seen from the innermost block; undefined where a bracket is never closed."""
    return _nesting(text, b"(", yes_no=True)


def depth(text: bytes) -> Labels:
    """How many ( and [ stand open since the innermost block began; undefined where one is never
    closed. Comments and strings go on at the depth around them."""
    return _nesting(text, b"([", yes_no=False)


def _nesting(text: bytes, counted: bytes, yes_no: bool) -> Labels:
    change = np.zeros(len(text) + 1, np.int32)
    lost = []
    for piece in scan(text).pieces:
        lost += piece.lost
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
    return Labels(values.clip(0, 1 if yes_no else None), spans(text, (), lost).defined)


def if_condition(text: bytes) -> Labels:
    """Inside the parentheses of an if; undefined to the end of the line where they do not close."""
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
    """Inside the statement or block that an if governs; that of its else is not, an else if is.

    Undefined to the end of the line where the end of the statement is not found.
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
                    begin = re.compile(rb"\s*").match(text, closing + 1).end()
                    inside.append((begin, piece.tokens[last][1]))
    return spans(text, inside, undefined)


def brace_distance(text: bytes) -> Labels:
    """Bytes read since the innermost open "{", which is what the next "}" would close; undefined
    outside of braces. Braces are those of figure 5: one in a macro counts like any other."""
    opened = np.full(len(text), -1, np.int32)
    pairs = brace_pairs(text)
    for begin, end in pairs[np.argsort(pairs[:, 0])]:  # the inner ones later
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
    """The index of the ";" or "}" with which the statement ends that begins at this token.

    ends: the same for each if and do that comes later. None where no end is found.
    """
    tokens, match = piece.tokens, piece.match
    first = index
    while index < len(tokens):
        token = tokens[index][0]
        if token in (b"if", b"do"):
            return ends[index]
        if token == b";":
            return index
        if token == b"{":  # also after a name with parentheses: a macro that loops
            last = match.get(index)
            if last is None or index == first or not GOES_ON.match(text, tokens[last][1] + 1):
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
    """The end of an if whose own statement ends at token `last`, with its else."""
    if last is None or piece.tokens[last + 1 : last + 2] == []:
        return last
    if piece.tokens[last + 1][0] != b"else":
        return last
    return _statement_end(text, piece, last + 2, ends)


def _do_end(text: bytes, piece: Piece, index: int, ends: dict) -> int | None:
    """The end of a do: that of the statement which its while and parentheses make."""
    last = _statement_end(text, piece, index + 1, ends)
    return None if last is None else _statement_end(text, piece, last + 1, ends)


# ---- the hypotheses ----


def everywhere(label) -> dict:
    return dict.fromkeys(KINDS, label)


HYPOTHESES = (
    Hypothesis("line_position", "position in line", False, everywhere(line_position)),
    Hypothesis("quote", "inside quotes", True, {"prose": prose_quote, "code": code_quote}),
    Hypothesis("if_condition", "inside an if condition", True, {"code": if_condition}),
    Hypothesis("if_body", "inside what an if governs", True, {"code": if_body}),
    Hypothesis("comment_or_quote", "inside a comment or quote", True, {"code": comment_or_quote}),
    Hypothesis("depth", "depth of an expression", False, {"code": depth}),
    Hypothesis("newline_next", "line ends next", True, everywhere(newline_next)),
    Hypothesis("brace_distance", "distance from the open brace", False, {"code": brace_distance}),
    Hypothesis("indentation", "indentation", False, everywhere(indentation)),
    Hypothesis(
        "parenthesis", "inside a parenthesis", True,
        {"prose": prose_parenthesis, "code": code_parenthesis},
    ),
    Hypothesis("preprocessor", "inside a preprocessor line", True, {"code": preprocessor}),
    Hypothesis("capitalised", "inside a capitalised word", True, everywhere(capitalised_word)),
)  # fmt: skip
