"""Texts as bytes and as characters, and back."""

import numpy as np
import pytest

from charlens.errors import InputError
from charlens.text import symbols, unicode

TEXT = "naïve “Wörld” 世界 😀\r\n"


@pytest.mark.parametrize("text", [TEXT, TEXT.encode(), "", b""])
def test_a_text_survives_as_numbers(text):
    numbers = symbols.numbers(text)
    assert len(numbers) == len(text) and list(numbers) == [
        letter if isinstance(letter, int) else ord(letter) for letter in text
    ]
    assert symbols.text_of(numbers) == text


def test_an_alphabet_is_held_in_hexadecimal_and_says_what_it_is_of():
    for text in (TEXT, TEXT.encode()):
        alphabet = np.unique(symbols.numbers(text))
        about = {"alphabet": symbols.in_hex(alphabet)}
        about |= unicode.stated(symbols.symbols_are_of(alphabet))
        found = symbols.alphabet_of(about)
        assert found.dtype == alphabet.dtype and np.array_equal(found, alphabet)


def test_models_from_before_are_of_bytes():
    assert symbols.alphabet_of({"alphabet": "0a6180ff"}).tolist() == [10, 97, 128, 255]
    assert unicode.stated(unicode.BYTES) == {}


def test_bytes_of_each_symbol():
    alphabet = symbols.numbers("\x7f\x80\u07ff\u0800\uffff\U00010000")
    lengths = [len(letter.encode()) for letter in symbols.text_of(alphabet)]
    assert symbols.bytes_each(alphabet).tolist() == lengths == [1, 2, 2, 3, 3, 4]
    assert symbols.bytes_each(symbols.numbers(b"\x7f\xff")).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"plain ASCII", "bytes"),
        ("Война и мир".encode(), "characters"),
        ("He was naïve. ".encode() + 2000 * b"plain ", "bytes"),  # a trifle
        ("“So,” he said. ".encode() + 20 * b"plain ", "characters"),
        ("Война".encode("koi8-r"), "bytes"),
        ("Война".encode()[:-1], "bytes"),  # not UTF-8 to the end
        (b"", "bytes"),
    ],
)
def test_characters_are_chosen_where_the_text_needs_them(text, kind):
    assert unicode.chosen("auto", text) == kind
    assert unicode.chosen("bytes", text) == "bytes"
    assert unicode.chosen("characters", text) == "characters"


def test_only_utf8_is_read_as_characters():
    assert unicode.decoded(b"\xff", "bytes", "a.txt") == b"\xff"
    assert unicode.decoded("ß".encode(), "characters", "a.txt") == "ß"
    with pytest.raises(InputError, match=r"a\.txt: not UTF-8 at byte 2"):
        unicode.decoded(b"ab\xff", "characters", "a.txt")


@pytest.mark.parametrize(("count", "type"), [(2, np.uint8), (255, np.uint8), (256, np.uint16)])
def test_the_largest_number_is_no_code(count, type):
    assert symbols.code_type(count) is type
    assert count <= np.iinfo(type).max


@pytest.mark.parametrize(("text", "unspaced"), [
    ("文件系统的（根）目录。APT 是工具", True), ("これは文です", True), ("ภาษาไทย", True),
    ("Он сказал: «да».", False), ("한국어는 띄어 쓴다", False), ("some 中 in English", False),
    ("文".encode(), False),
])  # fmt: skip
def test_scripts_that_put_no_spaces_between_words(text, unspaced):
    assert unicode.unspaced(text) == unspaced
