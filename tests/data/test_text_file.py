"""Files that are no plain text: recognised, or refused by name."""

import bz2
import gzip
import lzma

import pytest

from charlens.data import text_file
from charlens.data.text_file import decoded
from charlens.errors import InputError

TEXT = "Все счастливые семьи, all happy families.\n" * 30
PLAIN = TEXT.encode()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_characters_with_a_mark_become_utf8(encoding):
    text, done = decoded(("\ufeff" + TEXT).encode(encoding), "own.txt")
    assert text == PLAIN
    assert done == f"converted from {encoding[:6].upper()} to UTF-8"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_refused(encoding):
    for text in (TEXT, "English alone"):
        with pytest.raises(InputError, match=r"own.txt: UTF-16 without a byte order mark"):
            decoded(text.encode(encoding), "own.txt")


def test_the_mark_of_utf8():
    assert decoded(b"\xef\xbb\xbf" + PLAIN, "own.txt") == (PLAIN, "UTF-8 byte order mark removed")
    kept = decoded(b"\xef\xbb\xbf" + PLAIN, "own.txt", keep_mark=True)
    assert kept == (b"\xef\xbb\xbf" + PLAIN, "UTF-8 byte order mark kept")


def test_gzip_is_unpacked():
    assert decoded(gzip.compress(PLAIN), "own.gz") == (PLAIN, "unpacked from gzip")
    text, done = decoded(gzip.compress(TEXT.encode("utf-16")), "own.gz")
    assert text == PLAIN and done == "unpacked from gzip, converted from UTF-16 to UTF-8"


@pytest.mark.parametrize(
    "content, words",
    [
        (gzip.compress(PLAIN)[:-9], "damaged gzip"),
        (gzip.compress(PLAIN)[:50] + b"\xff" * 50, "damaged gzip"),
        (b"\x1f\x8b and so on", "damaged gzip"),
        (bz2.compress(PLAIN), "packed with bzip2: unpack it first"),
        (lzma.compress(PLAIN), "packed with xz"),
        (b"PK\x03\x04 and so on", "packed with zip"),
        (b"\xff\xfea\0b", "damaged UTF-16"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(content, words):
    with pytest.raises(InputError) as error:
        decoded(content, "own.txt")
    assert f"own.txt: {words}" in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(monkeypatch):
    monkeypatch.setattr(text_file, "LARGEST", 1000)
    with pytest.raises(InputError, match="holds more than 1,000 bytes"):
        decoded(gzip.compress(bytes(10**6)), "own.gz")


@pytest.mark.parametrize("content", [PLAIN, b"", b"x", b"\0", b"int\xff\xfe;", b"a\0\0b" * 100])
def test_all_else_stays_as_it_is(content):
    assert decoded(content, "own.txt") == (content, "")
