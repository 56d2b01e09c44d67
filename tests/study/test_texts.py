"""The files of a study: found, decoded, shuffled, joined."""

import codecs
import gzip

import pytest

from charlens.errors import InputError
from charlens.study import texts

C = b"int f(int a)\n{\n\treturn a;\n}\n"


def test_files_folders_and_patterns(tmp_path):
    for k in range(9):
        (tmp_path / f"deep/{k}").mkdir(parents=True)
        (tmp_path / f"deep/{k}/a.txt").write_bytes(b"file %d" % k)
    joined = texts.join([str(tmp_path / "deep/*/a.txt")])
    assert sorted(joined.text.splitlines()) == [b"file %d" % k for k in range(9)]
    assert joined.text != b"".join(b"file %d\n" % k for k in range(9))  # shuffled
    assert texts.join([str(tmp_path / "deep")]).text == joined.text
    one = str(tmp_path / "deep/3/a.txt")
    assert texts.join([one, one]).text == b"file 3\n"
    with pytest.raises(InputError, match="no pattern that matches"):
        texts.join([str(tmp_path / "absent*")])


def test_what_is_packed_marked_or_wide_is_decoded_and_named(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"one\n"))
    (tmp_path / "b").write_bytes(codecs.BOM_UTF8 + "двa\n".encode())
    (tmp_path / "c").write_bytes("три\n".encode("utf-16"))
    joined = texts.join([str(tmp_path / name) for name in ("a.gz", "b", "c")])
    assert sorted(joined.text.splitlines()) == ["one", "двa", "три"]  # read as characters
    said = "; ".join(joined.notes)
    assert "a.gz: unpacked" in said and "c: converted from UTF-16" in said and "b: " in said


def test_a_folder_of_code_gives_its_code_alone(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config.c").write_bytes(C)
    (tmp_path / "a.c").write_bytes(C * 9)
    (tmp_path / "README").write_bytes(b"words\n")
    (tmp_path / "image").write_bytes(b"\0\1")
    joined = texts.join([str(tmp_path)])
    assert joined.text == C * 9
    assert "left out: files that hold no text: 1" in joined.notes
    assert f"left out: files of {tmp_path} that are not C or C++: 1" in joined.notes
    assert b"words" in texts.join([str(tmp_path)], "prose").text
    with pytest.raises(InputError, match="no text"):
        texts.join([str(tmp_path / "image")])


def test_what_was_left_out_is_said_where_nothing_is_left(tmp_path):
    (tmp_path / "a.py").write_bytes(b"words\n")
    with pytest.raises(
        InputError, match="no file that holds a text; left out: .* not C or C[+]+: 1"
    ):
        texts.join([str(tmp_path)], "code")


def test_a_file_that_keeps_the_text_from_being_unicode_is_named(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes("война\n".encode())
    (tmp_path / "readme").write_bytes("café\n".encode("latin-1"))
    joined = texts.join([str(tmp_path)])
    said = "encoding: not UTF-8: each byte is taken as a character, because of readme"
    assert said in joined.notes
    (tmp_path / "readme").unlink()
    assert not any("because" in note for note in texts.join([str(tmp_path)]).notes)


def test_line_ends_are_kept_and_named(tmp_path):
    for text, words in (
        (b"a\r\nb\r\n", "CRLF, kept"),
        (b"a\r\nb\n", "mixed"),
        (b"a\n", "LF, kept"),
        (b"a\rb\r", "CR, kept"),
    ):
        (tmp_path / "a").write_bytes(text)
        joined = texts.join([str(tmp_path / "a")])
        assert joined.text == text and any(words in note for note in joined.notes)


def test_files_that_end_without_a_line_break_get_their_own(tmp_path):
    for name, text in (("a", b"a\r\nb"), ("b", b"c\r\nd")):
        (tmp_path / name).write_bytes(text)
    joined = texts.join([str(tmp_path / "a"), str(tmp_path / "b")])
    assert sorted(joined.text.split(b"\r\n")) == [b"", b"a", b"b", b"c", b"d"]
    (tmp_path / "b").write_bytes(b"a\rb")
    assert texts.join([str(tmp_path / "b")]).text == b"a\rb\r"
    (tmp_path / "a").write_bytes(b"a\nb")
    assert texts.join([str(tmp_path / "a")]).text == b"a\nb\n"


def test_a_file_is_taken_once_by_whatever_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/a.txt").write_bytes(b"once\n")
    (tmp_path / "own/link.txt").symlink_to("a.txt")
    joined = texts.join(["own", "own/a.txt", str(tmp_path / "own/a.txt")])
    assert joined.text == b"once\n" and len(joined.files) == 1
    assert "left out: other names of the same file: 2" in joined.notes


def test_what_models_predict_is_said(tmp_path):
    for text, words in (
        ("plain\n", "bytes, 6 different ones"),
        ("Да, да.\n", "Unicode characters, 7 different ones, 6 of which occur once"),
        ("дада\n", "Unicode characters, 3 different ones, 1 of which occurs once"),
    ):
        (tmp_path / "a").write_text(text, encoding="utf-8")
        joined = texts.join([str(tmp_path / "a")])
        assert joined.notes[-1] == f"what models predict: {words}"
