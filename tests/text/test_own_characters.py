"""The characters that hypotheses are about, marked below texts."""

import pytest

from charlens.text.hypotheses import HYPOTHESES
from charlens.text.own_characters import OWN, own_characters

LABEL = {hypothesis.name: hypothesis.label for hypothesis in HYPOTHESES}


def test_every_hypothesis_is_about_some_characters():
    assert set(OWN) == set(LABEL)


@pytest.mark.parametrize(
    "name, kind, text, marks",
    [
        ("line_position", "prose", b"ab\r\n\r\nc\nd", b"..^.^..^."),
        ("newline_next", "prose", b"\r\nab\n", b"^...^"),
        ("newline_next", "code", b"a\rb\n", b"...^"),  # a lone CR is no line break
        ("quote", "prose", b'"it\'s so" he "said"', b"........^.........^"),
        ("quote", "prose", "“so” he".encode(), b".....^^^..."),
        # the first paragraph of a long speech has no closing mark
        ("quote", "prose", b'"one\n\n"two"\n', b"..........^."),
        ("quote", "code", b"f(\"a)'\", ')'); // \"x\"", b"......^....^........."),
        ("comment_or_quote", "code", b'/* a */ x = "*/"; // b\ny', b".....^^........^......^."),
        ("if_condition", "code", b"if (f(a)) b();", b"........^....."),
        ("if_body", "code", b"if (a) { { b; } } while (c) { }", b"................^.............."),
        ("depth", "code", b"f(g(a)[1], ')')", b".....^..^.....^"),
        ("parenthesis", "code", b"f(g(a), ')')", b"...........^"),
        ("parenthesis", "prose", b"a (b (c) d) e)", b"..........^..."),
        ("brace_distance", "code", b'{ "}" { } } }', b"........^.^.."),
        ("indentation", "code", b"\t  a b\nc\n d", b"^^^......^."),
        ("preprocessor", "code", b"#if a \\\n b\nc\n", b"..........^.."),
        ("preprocessor", "code", b"#if a\r\nb\r\n", b".....^...."),
        ("comment_or_quote", "code", b"a; // b\r\nc", b".......^.."),
        ("capitalised", "prose", b"Anna sees iB", b".^^^........"),
    ],
)  # fmt: skip
def test_the_marked_characters(name, kind, text, marks):
    own = own_characters(name, text, LABEL[name][kind](text))
    assert own.dtype == bool and len(own) == len(text)
    assert bytes(b"^"[0] if o else b"."[0] for o in own) == marks


def test_a_text_of_one_character():
    for hypothesis in HYPOTHESES:
        for label in hypothesis.label.values():
            assert len(own_characters(hypothesis.name, b"a", label(b"a"))) == 1
