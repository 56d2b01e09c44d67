"""The kinds of token, and that nothing is found inside of a comment or a literal."""

import pytest

from charlens.text.lexer import lexer

found = lexer(rb"(?P<word> [a-z]+ )")


def tokens(text: bytes) -> list[tuple[str, bytes]]:
    return [(m.lastgroup, text[m.start(m.lastgroup) : m.end()]) for m in found(text)]


@pytest.mark.parametrize(
    "text, kind",
    [
        (b"/* a\n// b */", "comment"),
        (b"// a \\\n b", "comment"),
        (b"// a \\\r\n b", "comment"),
        (b'"a \\" b"', "string"),
        (b'"a \\\n b"', "string"),
        (b'"a', "unclosed"),
        (rb"'\''", "char"),
        (b'u8R"x(a)" b)x"', "raw"),
        (b"1'000.5e", "number"),
        (b"#if", "if"),
        (b"# \tifndef", "if"),
        (b"#elifdef", "else"),
        (b"#else", "else"),
        (b"#endif", "endif"),
        (b"# error don't \\\n do this", "message"),
        (b"#warning /* a", "message"),
        (b"#define", "directive"),
        (b"#iffy", "directive"),
        (b"#", "directive"),
    ],
)
def test_kinds(text, kind):
    assert tokens(text) == [(kind, text)]
    assert tokens(b"a\n \t" + text + b"\nz") == [("word", b"a"), (kind, text), ("word", b"z")]


@pytest.mark.parametrize(
    "text, words",
    [
        (b"a /* b", [b"a", b"b"]),
        (b"it's", [b"it", b"s"]),
        (b'"a\nb', [b"b"]),
        (b"a # if", [b"a", b"if"]),  # not at the beginning of its line
        (b"/**/ a // b\nc", [b"a", b"c"]),
    ],
)
def test_what_is_left_as_code(text, words):
    assert [word for kind, word in tokens(text) if kind == "word"] == words


def test_what_begins_many_comments_and_closes_none_takes_no_longer():
    """At each the lexer would look through all of the rest: minutes for this text."""
    text = b"/* a */ src/*.c y\n" + b"src/*.c y\n" * 100_000
    assert sum(kind == "comment" for kind, _ in tokens(text)) == 1
    assert tokens(b"a */* b")[-1] == ("word", b"b")
