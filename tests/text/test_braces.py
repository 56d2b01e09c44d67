"""Brace matching on constructed cases, and against a plain stack."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlens.text.braces import brace_pairs, pairs_in_test


def blocks(text: bytes) -> list[bytes]:
    """Each block from its "{" to its "}", in the order in which they close."""
    return [text[a : b + 1] for a, b in brace_pairs(text)]


def test_nesting_and_order():
    assert brace_pairs(b"a{b{}c}{}").tolist() == [[3, 4], [1, 6], [7, 8]]


def test_nothing_to_match():
    assert brace_pairs(b"").shape == (0, 2)
    assert brace_pairs(b"no braces").dtype == np.int64


@pytest.mark.parametrize(
    "hidden",
    [
        b'"}"',
        rb'"\"}"',
        rb'"\\\"}"',
        b'"a\\\n}"',  # a continued string
        b'"a\\\r\n}"',
        b"'}'",
        rb"'\''; '}'",
        rb"'\\'; '}'",
        b"'\"'; '}'; '\"'",
        b"L'}'",
        b"// }\n",
        b"// \" ' }\n",
        b"// } \\\n } still the comment\n",
        b"// } \\\r\n } still the comment\r\n",
        b"/* } \n * } ' \" // */",
        b"/**/ /*}*/",
        b'"/*"; "}"; "*/"',
        b"1'000'000; '}'",
        b"0xff'ff; '}'",
        b'R"(")})"',
        b'u8R"x()"})x"',
        b"\n#error don't } here\n",
        b'\n # warning "unterminated }\n',
        b"\n#error it's } \\\n } continued\n",
    ],
)
def test_hidden_braces_are_no_blocks(hidden):
    text = b"{ " + hidden + b" }"
    assert blocks(text) == [text]


@pytest.mark.parametrize(
    "harmless",
    [
        b'"unterminated { \n',  # ends with its line, and so does what it hides
        b"it's \n",  # no literal, hides nothing
        b"'\n",
        b"a / b",
        b"#define STR(x) #x",
        b"/* it's \"open */",
        b"/ *",
        b"x = y '",
    ],
)
def test_stray_quotes_do_not_derail(harmless):
    text = b"{" + harmless + b"{}}"
    assert blocks(text) == [b"{}", text]


def test_an_unterminated_comment_hides_nothing():
    assert blocks(b"{ /* } {}") == [b"{ /* }", b"{}"]


def test_unmatched_braces_are_left_out():
    assert blocks(b"} {} }") == [b"{}"]
    assert blocks(b"{ {}") == [b"{}"]
    assert blocks(b"{ { a } } } {b}") == [b"{ a }", b"{ { a } }", b"{b}"]


def test_two_openings_in_alternative_branches():
    text = b"{\n#ifdef A\nif (a) {\n#else\nif (b) {\n#endif\nx\n}\n}"
    first, whole = blocks(text)
    assert first.startswith(b"{\n#else") and first.endswith(b"x\n}")
    assert whole == text


def test_two_closings_in_alternative_branches():
    text = b"{\n{\n#if A\n1 }\n#elif B\n2 }\n#else\n3 }\n#endif\n}"
    assert [block[-3:-1] for block in blocks(text)] == [b"1 ", b"2 ", b"3 ", b"f\n"]
    opening = brace_pairs(text)[:, 0].tolist()
    assert opening == [2, 2, 2, 0]


def test_openings_and_closings_under_the_same_condition():
    text = b"{\n#ifdef A\n{\n#endif\nx\n#ifdef A\n}\n#endif\n}"
    assert blocks(text)[-1] == text


def test_nested_conditionals():
    text = b"{\n#if A\n# if B\n{\n# else\n{\n# endif\n#else\n{\n#endif\n}}"
    assert blocks(text)[-1] == text and len(blocks(text)) == 2


def test_stray_conditionals_are_ignored():
    text = b"{\n#else\n#endif\n{\n#if A\n}}"
    assert blocks(text)[-1] == text


def test_words_that_only_begin_like_a_conditional():
    text = b"{\n#iffy\n{\n#elsewhere\n}\n#endiffy\n}"
    assert blocks(text)[-1] == text


@settings(deadline=None)
@given(st.text("{} ab\n;", max_size=60))
def test_plain_code_is_a_plain_stack(text):
    stack, pairs = [], []
    for at, character in enumerate(text):
        if character == "{":
            stack.append(at)
        elif character == "}" and stack:
            pairs.append([stack.pop(), at])
    assert brace_pairs(text.encode()).tolist() == pairs


@settings(deadline=None)
@given(st.text("{}\"'\\/*\n\r#ifelsndRu8() ", max_size=80))
def test_pairs_are_braces_in_order_whatever_the_text(text):
    text = text.encode()
    pairs = brace_pairs(text)
    assert all(text[a : a + 1] == b"{" and text[b : b + 1] == b"}" and a < b for a, b in pairs)
    assert np.all(np.diff(pairs[:, 1]) > 0)


TOKENS = [b"{", b"}", b'"}"', b"'{'", b"/* { */", b"// }\n", b"x", b"\n#error {'\n", b"7'7", b" "]


@settings(deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=30))
def test_hidden_braces_change_nothing(tokens):
    # "7'7" next to another token must stay a number of its own.
    whole = b" ".join(tokens)
    bare = b" ".join(t if t in (b"{", b"}") else b"." * len(t) for t in tokens)
    assert np.array_equal(brace_pairs(whole), brace_pairs(bare))


def test_pairs_within_one_test_stream():
    # Two streams, [10, 20) and [30, 40).
    pairs = np.array(
        [
            [12, 15],  # inside the first
            [10, 19],  # from end to end
            [9, 12],  # begins before
            [15, 20],  # ends behind
            [12, 31],  # from one stream to the other
            [31, 38],  # inside the second
            [21, 25],  # between
            [0, 3],  # before all
            [50, 60],  # behind all
        ]
    )
    index, distance = pairs_in_test(pairs, np.array([10, 30]), 10)
    assert index.tolist() == [5, 9, 18]
    assert distance.tolist() == [3, 9, 7]


def test_no_pairs_in_test():
    index, distance = pairs_in_test(brace_pairs(b""), np.array([10, 30]), 10)
    assert index.size == distance.size == 0
