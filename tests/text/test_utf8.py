"""UTF-8 byte by byte."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from charlens.text import utf8


@given(st.text(min_size=1), st.data())
def test_each_byte_of_a_text_may_follow(text, data):
    written = text.encode("utf-8", "ignore")
    for at, byte in enumerate(written):
        assert utf8.follow(utf8.begun(written[:at]))[byte]
    assert utf8.begun(written) == b""


@given(st.integers(0, 2**32 - 1))
def test_whatever_may_follow_makes_a_text(seed):
    random, text = np.random.default_rng(seed), b""
    while len(text) < 40 or utf8.begun(text):
        text += bytes([random.choice(np.flatnonzero(utf8.follow(utf8.begun(text))))])
    text.decode()


def test_the_alphabet_of_a_text_in_utf8():
    assert utf8.of_alphabet(bytes(sorted(set("“жё”".encode()))))
    for other in (b"abc", b"a\xff", b"\xe9", b"\x80\x81", "Ünï".encode("latin-1")):
        assert not utf8.of_alphabet(other)
