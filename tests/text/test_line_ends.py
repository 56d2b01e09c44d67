"""Line ends: the convention of a text and of a model, and the change from one to the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlens.text import line_ends
from charlens.text.line_ends import CR, CRLF, LF, MIXED


@pytest.mark.parametrize(
    ("text", "found"),
    [(b"a\nb\n", LF), (b"a\r\nb\r\n", CRLF), (b"a\r\nb\n", MIXED), (b"ab", None), (b"", None)],
)
def test_the_convention_of_a_text_and_of_its_codes(text, found):
    assert line_ends.of_text(text) == found
    alphabet, codes = np.unique(np.frombuffer(b"." + text, np.uint8), return_inverse=True)
    assert line_ends.of_pairs(alphabet, codes[None, :-1], codes[None, 1:]) == found


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (b"a\nb\n", b"\n"),
        (b"a\r\nb\r\n", b"\r"),
        (b"a\nb\nc\r\n", b"\n"),  # a stray one among line feeds
        (b"a\r\nb\r\nc\n", b"\r"),
        (b"a\rb\rc\n", b"\n"),  # carriage returns that end no line
        (b"a\rb\r", b"\r"),
        (b"ab", None),
        (b"", None),
    ],
)
def test_the_symbol_that_begins_most_line_breaks(text, first):
    alphabet, codes = np.unique(np.frombuffer(b"." + text, np.uint8), return_inverse=True)
    found = line_ends.first_symbol(alphabet, [codes[None, :1], codes[None]])
    assert found == (None if first is None else ord(first))


def test_carriage_returns_alone_are_line_ends_of_a_text_that_is_read():
    assert line_ends.of_text(b"a\rb") == CR
    assert line_ends.converted(b"a\rb\r", LF) == b"a\nb\n"
    assert line_ends.converted(b"a\rb\r", CRLF) == b"a\r\nb\r\n"
    assert "from CR to LF" in line_ends.note(b"a\rb", LF)
    assert line_ends.converted(b"a\rb\nc", LF) == b"a\rb\nc"  # a stray one


@given(st.lists(st.sampled_from(["a", "\n", "\r\n"])).map("".join))
def test_a_converted_text_has_the_convention_and_nothing_else_changes(text):
    text = text.encode()
    for wanted in (LF, CRLF):
        changed = line_ends.converted(text, wanted)
        assert line_ends.of_text(changed) in (None, wanted)
        assert changed.replace(b"\r\n", b"\n") == text.replace(b"\r\n", b"\n")
        assert (line_ends.note(text, wanted) is None) == (changed == text)
    assert line_ends.converted(text, MIXED) == line_ends.converted(text, None) == text


def test_a_model_without_the_field_is_judged_by_its_alphabet():
    assert line_ends.of_model({"alphabet": b"\n\ra".hex()}) == CRLF
    assert line_ends.of_model({"alphabet": b"\na".hex()}) == LF
    assert line_ends.of_model({"alphabet": b"\ra".hex()}) is None
    assert line_ends.of_model({"alphabet": b"\n\ra".hex(), "line_ends": MIXED}) == MIXED
