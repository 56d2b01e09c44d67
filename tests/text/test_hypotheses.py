"""Each labelling on text written for it. In these texts

‹ ›  enclose where a yes/no is yes      ⟦ ⟧  enclose where it is undefined
"""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlens.text import code, labels, prose
from charlens.text.hypotheses import HYPOTHESES, KINDS, labellings


def check(function, marked: str):
    """The labelling of the text without its marks is what the marks say."""
    values, defined, text = [], [], []
    inside, known = 0, True
    for letter in marked:
        if letter in "‹›":
            inside = int(letter == "‹")
        elif letter in "⟦⟧":
            known = letter == "⟧"
        else:
            text.append(letter)
            values.append(inside)
            defined.append(known)
    found = function("".join(text).encode("latin-1"))
    assert found.values.dtype == np.int32 and found.defined.dtype == bool
    assert list(found.defined) == defined, show(text, found.defined)
    values, known = np.array(values), np.array(defined, bool)
    assert list(found.values[known]) == list(values[known]), show(text, found.values)


def show(text, values) -> str:
    return "\n" + "".join(text).replace("\n", "↵") + "\n" + "".join(str(int(v)) for v in values)


def counts(function, text: str) -> list:
    """Values, None where undefined."""
    found = function(text.encode())
    return [int(v) if ok else None for v, ok in zip(found.values, found.defined, strict=True)]


# ---- any text ----


def test_position_in_line():
    assert counts(labels.line_position, "ab\n\nc\r\nd") == [1, 2, 0, 0, 1, 2, 0, 1]
    # before the first line feed the text's beginning counts as a line's
    assert counts(labels.line_position, "abc") == [1, 2, 3]


@pytest.mark.parametrize(
    "marked",
    [
        "a‹b›\nc⟦d⟧",
        "‹a›\r\n".replace("\r", "⟦\r⟧") + "b⟦c⟧",  # inside CR LF it is no question
        "‹\n›\n⟦x⟧",
        "a\rb⟦c⟧",  # a lone CR breaks no line
        "‹a›⟦\n⟧",
    ],
)
def test_line_ends_next(marked):
    check(labels.newline_next, marked)


def test_indentation():
    assert counts(labels.indentation, "  a b\nc\n") == [1, 2, 2, 2, 2, 0, 0, 0]
    assert counts(labels.indentation, "\n\tx\n  \ty\n") == [0, 8, 8, 0, 1, 2, 8, 8, 0]
    assert counts(labels.indentation, " \r\n a") == [1, 1, 0, 1, 1]


@pytest.mark.parametrize(
    "marked",
    ["a ‹Big› ‹NAME_2›(x)", "‹It›'s", "iPhone x_A", "‹A›-‹B›", "_A", "9A", "‹Caf\xc3\xa9› x", ""],
)
def test_capitalised_words(marked):
    check(labels.capitalised_word, marked)


# ---- prose ----


@pytest.mark.parametrize(
    "marked",
    [
        'He said, ‹"Stop›" and ran.',
        '‹"One›" and ‹"two›"--‹"three›".',
        "Don't, it's 'a quotation' of the soldiers' own",
        '‹"Don\'t›"',
        'a \\" b',
        # a long speech: the next paragraph goes on with a mark
        '‹"One.›\n\n‹"Two›" said he.',
        '‹"One.›\r\n\r\n‹"Two›" said he.',
        'said he, ⟦"One.⟧\n\nThen two.',  # never closed
        '⟦‹"One. ⟧"Two›" he said',  # the first is not closed
        '⟦So he ended.⟧" ‹"Now›" then',  # the first was not opened
        '⟦It was 5⟧" wide\n\n‹"Yes›"',  # and the next paragraph begins anew
        "",
    ],
)
def test_quotations(marked):
    check(prose.quote, marked)


def test_typographic_quotations():
    text = "a “b” c".encode()
    found = prose.quote(text)
    # from the last byte of the opening mark up to the first of the closing one
    begin, end = text.index("“".encode()) + 2, text.index("”".encode())
    assert list(np.flatnonzero(found.values)) == list(range(begin, end))
    assert found.defined.all()


@pytest.mark.parametrize(
    "marked",
    [
        "so ‹(he said›) it",
        "‹(a (b) c›)",
        "1) first 2) second",
        "a ⟦(b⟧\n\nc ‹(d›)",
        "smile :) and ‹(then›)",
    ],
)
def test_parentheses_in_prose(marked):
    check(prose.parenthesis, marked)


# ---- code ----


@pytest.mark.parametrize(
    "marked",
    [
        'x = ‹"a\\"b›"; y = ‹\'"›\';',
        "‹'\\'›' ‹'\\\\›' a",
        "1'000'000 + 0x1'F",
        "// don't\n/* can't */ ‹\"it's›\"",
        '/* "no" */ // "no"\n‹"yes›"',
        '‹"// no comment›"',
        'f(⟦"never closed⟧\n‹"x›")',
        '‹"a\\\nb›"',
        'R‹"x(a"b)y")x›" ‹"c›"',
        "#error don't do this, can't\n‹'x›'",
        "it's",  # a mere apostrophe
    ],
)
def test_literals(marked):
    check(code.quote, marked)


@pytest.mark.parametrize(
    "marked",
    [
        "a /‹* b *›/ c",
        "a /‹/ b›\nc",
        "a /‹/ b\\\nc›\nd",
        "/‹* a /* b *›/ c */",  # comments do not nest
        "/‹* // *›/ c",
        "/‹/ /* \r›\nc",
        '/‹* "a *›/ ‹"/* b›" c',
        "a /* never closed",
    ],
)
def test_comments_and_literals(marked):
    check(code.comment_or_quote, marked)


def test_comments_and_strings_are_each_set_against_plain_code():
    text = b"""a /* b */ "c" 'd' // e\n"f /* g\n"""  # the last string is not closed
    either = code.comment_or_quote(text)
    comment, string = code.comment(text), code.string(text)
    inside = either.values.astype(bool)
    assert not (comment.values & string.values).any()
    assert ((comment.values | string.values) == (inside & either.defined)).all()
    # each is undefined inside the other; plain code is defined for both
    assert (comment.defined == (comment.values.astype(bool) | ~inside)).all()
    assert (string.defined == (string.values.astype(bool) | ~inside)).all()
    assert comment.values[text.index(b"b")] == 1 == comment.values[text.index(b"e\n")]
    assert string.values[text.index(b"c")] == 1 == string.values[text.index(b"d")]


@pytest.mark.parametrize(
    "marked",
    [
        "‹#define A 1›\nint x;",
        "int y;\n  ‹# if X›\nint x;",
        "‹#define A \\\n  1 \\\r\n  + 2›\nint x;",
        "‹#define A \\\n#a›\nint x;",
        "‹#define A /* b\nc */ d›\nint x;",
        "‹#include <a> // b›\nint x;",
        '"\\\n#no"; a # b\n/*\n#no */',
        "‹#if A\r›\nint x;",
    ],
)
def test_preprocessor_lines(marked):
    check(code.preprocessor, marked)


@pytest.mark.parametrize(
    "marked",
    [
        "if ‹(a && f(b)›) c;",
        "if‹(a›)\n b; else if ‹(c›) { d; }",
        "if ‹(a == ')' /* ) */›) b;",
        "if constexpr ‹(a›) b;",
        '/* if (a) */ "if (b)" iff (c) ifdef (d) x_if (e)',
        "#define M(x) if ‹(x›) \\\n f(y)\nint z;",
        "#if (A)\n#endif",
        "{ ⟦if (a⟧\n}\nif ‹(b›) c;",  # an unbalanced one ends with its block
        "⟦if a⟧\n",
    ],
)
def test_conditions(marked):
    check(code.if_condition, marked)


@pytest.mark.parametrize(
    "marked",
    [
        "if (a) ‹b(1)›; c;",
        "if (a)\r\n\t‹b›;\r\nc;",
        "if (a) ‹{ b; { c; } d; ›} e;",
        "if (a) ‹x = (T){0, 1}, y = 2›; z;",  # braces around a value
        "if (a) ‹if (b) x = (T){0}; else c›; d;",
        "if (a) ‹b›; else c;",
        "if (a) ‹{ b; ›} else if (c) ‹{ d; ›} else { e; }",
        "if (a) ‹for (;;) if (b) c; else d›; e;",
        "if (a) ‹if (b) c›; d;",
        "if (a) ‹while (b) { c; ›} d;",
        "if (a) ‹do { b; } while (c)›; d;",
        "if (a) ‹each(x, y) { z; ›} d;",  # a macro that loops
        "if (a) ‹x = y[1]›; d;",
        'if (a) ‹{ /* } */ "}"; ›} d;',
        "⟦if (a) b⟧\n",  # its end is not there
        "{ ⟦if (a) }⟧",
        "if (a) ‹do do b; while (c); while (d)›; e;",
        "if (a) ‹if (b) c; else d›; else if (e) ‹f›;",
    ],
)
def test_what_an_if_governs(marked):
    check(code.if_body, marked)


def test_depth_of_expressions():
    assert counts(code.depth, "f(a[1])+(2)") == [0, 1, 1, 2, 2, 1, 0, 0, 1, 1, 0]
    assert counts(code.depth, "f('(',\"[\")")[1:] == [1] * 8 + [0]
    # a block inside brackets begins at 0
    assert counts(code.depth, "f({g(1);})") == [0, 1, 0, 0, 1, 1, 0, 0, 1, 0]
    assert counts(code.depth, ")a]") == [0, 0, 0]  # nothing was open


def test_unbalanced_brackets_are_lost_up_to_the_end_of_their_block():
    text = "{ f(a; }\ng(b);"
    found = counts(code.depth, text)
    at = text.index("(")
    assert found[at : text.index("}")] == [None] * (text.index("}") - at)
    assert found[text.index("g") :] == [0, 1, 1, 0, 0]
    assert counts(code.depth, "f(a") == [0, None, None]
    assert counts(code.depth, "f(a]b)") == [0, 1, 1, 1, 1, 0]  # the stray ] closes nothing


def test_each_branch_begins_where_the_if_stood():
    text = "#if A\nf(a,\n#else\ng(b,\n#endif\nc);\nh;"
    found = counts(code.depth, text)
    at = text.index
    assert found[at("(a")] == 1 and found[at("c);")] == 1 and found[at("h")] == 0
    lost = slice(at("(b"), at("#endif"))  # the second branch's bracket is never closed
    assert set(found[lost]) == {None}
    # a preprocessor line is parsed by itself
    text = "f(\n#define A(x) (x\nb);c"
    found = counts(code.depth, text)
    assert found[text.index("b")] == 1 and found[-1] == 0
    assert found[text.index("(x\n")] is None


def test_a_bracket_that_two_branches_close_is_closed_once():
    text = "int f() { if (a\n#if X\n && b)\n#else\n && c)\n#endif\n g(1); } int k(int q) { m(3); }"
    found = counts(code.depth, text)
    at = text.index
    assert None not in found and found[at("b)")] == 1
    assert found[at("1)")] == found[at("int q")] == found[at("3)")] == 1
    assert found[at("int k")] == found[-1] == 0
    inside = counts(code.depth, "foo(bar(a\n#if X\nb)\n#else\nc)\n#endif\n, d); e")
    assert inside[-6:] == [1, 1, 0, 0, 0, 0]  # d is inside foo( )


@pytest.mark.parametrize("marked", ["f‹(a (b)›) c[0]", "a[‹(1›)]", "f‹(›{ g‹(1›); ‹}›)", "⟦(a⟧"])
def test_parentheses_in_code(marked):
    check(code.parenthesis, marked)


def test_distance_from_the_open_brace():
    expected = [None, 0, 1, 0, 1, 4, 5, None, None]
    assert counts(code.brace_distance, "a{b{c}d}e") == expected
    assert counts(code.brace_distance, "a}b{c") == [None] * 5  # nothing that closes
    assert counts(code.brace_distance, '{"}"/*}*/}')[:-1] == list(range(9))


# ---- all of them ----

PIECES = st.sampled_from(
    ["(", ")", "[", "]", "{", "}", ";", "if", "else", "for", "while", "do", "#if 1\n", "#else\n",
     "#endif\n", "#define ", "\\\n", "\n", "\r\n", "\n\n", "\t", " ", '"', "'", "/*", "*/", "//",
     "R\"(", ")\"", "A", "b", "1", "\\", "“", "”", "\x00", "\xff"]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=40))
def test_any_text_can_be_labelled(pieces):
    text = "".join(pieces).encode()
    for kind in KINDS:
        for name, found in labellings(text, kind).items():
            assert found.values.shape == found.defined.shape == (len(text),), name
            (hypothesis,) = [h for h in HYPOTHESES if h.name == name]
            known = found.values[found.defined]
            assert (known >= 0).all(), name
            assert not hypothesis.yes_no or (known <= 1).all(), name


@settings(deadline=None, max_examples=100)
@given(st.lists(PIECES, max_size=30), st.lists(PIECES, max_size=10))
def test_what_was_read_does_not_change_with_what_follows(before, after):
    """Counts so far are causal; a labelling may only learn that it could not parse."""
    text, longer = "".join(before).encode(), "".join(before + after).encode()
    for function in (labels.line_position, labels.indentation):
        assert (function(longer).values[: len(text)] == function(text).values).all()


def test_long_texts_take_no_longer_than_they_should():
    text = b"if (a) " * 20_000 + b"b;"  # each is governed by the one before
    assert code.if_condition(text).values.sum() == 20_000 * 2
    assert code.if_body(text).values.sum() == len(text) - len("if (a) ;")
    text = b"if (a) b; else " * 20_000 + b"c;"
    assert code.if_body(text).values.sum() == 20_000
    text = b"if (a) " + b"do " * 20_000
    assert not code.if_body(text).values.any()
    text = b"(" * 20_000 + b"{" * 20_000
    assert not code.depth(text).defined[:20_000].any()


def test_hypotheses_have_names_of_their_own():
    names = [h.name for h in HYPOTHESES]
    assert len(set(names)) == len(names) == 12
    assert all(re.fullmatch("[a-z_]+", name) for name in names) and json.dumps(names)
