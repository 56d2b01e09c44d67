"""The split: the paper's rule, both layouts, contexts and bad input."""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlens.data.split import (
    LAYOUTS,
    PARTS,
    Part,
    Split,
    add_arguments,
    contexts,
    length_of_test,
    load,
    run,
    save,
    split,
    unseen,
)
from charlens.errors import InputError

PAPER = (0.8, 0.1, 0.1)


def text_of(part, alphabet):
    """The characters of a part, stream by stream."""
    return [alphabet[stream].tobytes() for stream in part.y]


def command(folder, text, *options):
    """Run `charlens split` on a text; the path of its output."""
    (folder / "a.txt").write_bytes(text)
    (folder / "a.json").write_text(json.dumps({"corpus": "tale"}))
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    files = ["--text", folder / "a.txt", "--info", folder / "a.json", "--out", folder / "a.npz"]
    run(parser.parse_args([*map(str, files), *options]))
    return folder / "a.npz"


def test_streams_by_hand():
    # 2 streams x unroll 1, 6 whole batches and one byte too many: streams "abcdef" and "ghijkl",
    # floor(0.5 * 6) = 3 batches of training, floor(0.34 * 6) = 2 of validation, 1 of test.
    result = split(b"abcdefghijklz", "streams", 2, 1, (0.5, 0.34, 0.16))
    assert result.alphabet.tobytes() == b"abcdefghijklz"
    assert (result.symbols, result.streams, result.unroll) == (13, 2, 1)
    assert text_of(result.train, result.alphabet) == [b"abc", b"ghi"]
    assert text_of(result.val, result.alphabet) == [b"de", b"jk"]
    assert text_of(result.test, result.alphabet) == [b"f", b"l"]
    assert result.alphabet[result.train.x[0]].tobytes() == b"lab"  # l: the last of the cut text
    assert result.alphabet[result.test.x].tobytes() == b"ek"
    assert [list(part.at) for part in (result.train, result.val, result.test)] == [
        [0, 6],
        [3, 9],
        [5, 11],
    ]
    assert result.alphabet[result.joined("train")].tobytes() == b"abcghi"


def test_contiguous_by_hand():
    result = split(b"abcdefghijklz", "contiguous", 2, 1, (0.5, 0.34, 0.16))
    assert text_of(result.train, result.alphabet) == [b"abc", b"def"]
    assert text_of(result.val, result.alphabet) == [b"gh", b"ij"]
    assert text_of(result.test, result.alphabet) == [b"k", b"l"]
    assert list(result.test.at) == [10, 11]


texts = st.builds(
    # A short random text repeated: long enough for a batch of each part.
    lambda seed, length: (seed * (length // len(seed) + 1))[:length],
    st.binary(min_size=1, max_size=50),
    st.integers(min_value=0, max_value=3000),
)


@settings(deadline=None)
@given(
    text=texts,
    layout=st.sampled_from(LAYOUTS),
    streams=st.integers(1, 7),
    unroll=st.integers(1, 9),
    fractions=st.sampled_from([PAPER, (0.9, 0.05, 0.05), (0.34, 0.33, 0.33), (0.1, 0.2, 0.7)]),
)
def test_parts_tile_the_text(text, layout, streams, unroll, fractions):
    batches = len(text) // (streams * unroll)
    try:
        result = split(text, layout, streams, unroll, fractions)
    except InputError:
        # Too short for a whole batch of the smaller of the first two parts, or of one character.
        assert batches * min(fractions[:2]) < 1 + 1e-9 or len(set(text)) < 2
        return
    codes = np.frombuffer(text, np.uint8)
    assert list(result.alphabet) == sorted(set(text))
    length = batches * streams * unroll
    times = np.zeros(length, int)
    for name in PARTS:
        part = getattr(result, name)
        assert part.x.dtype == part.y.dtype == np.uint8 and part.at.dtype == np.int64
        assert part.x.shape == part.y.shape and part.y.shape[0] == len(part.at) == streams
        assert part.y.shape[1] % unroll == 0 and part.y.shape[1] > 0
        where = part.at[:, None] + np.arange(part.y.shape[1])
        np.testing.assert_array_equal(result.alphabet[part.y], codes[where])
        before = np.where(where == 0, length - 1, where - 1)
        np.testing.assert_array_equal(result.alphabet[part.x], codes[before])
        np.testing.assert_array_equal(part.x[:, 1:], part.y[:, :-1])
        np.testing.assert_array_equal(result.joined(name), np.concatenate(list(part.y)))
        np.add.at(times, where, 1)
    assert (times == 1).all()  # no gap, no overlap
    sizes = {layout: split(text, layout, streams, unroll, fractions) for layout in LAYOUTS}
    for name in PARTS:  # the same numbers of batches, whatever the layout
        assert len({getattr(other, name).y.shape for other in sizes.values()}) == 1


def test_fractions_are_decimal():
    # As floats 0.29 * 100 is 28.999999999999996, and 0.57 * 100 is 56.99999999999999.
    result = split(bytes(range(100)), "streams", 1, 1, (0.29, 0.57, 0.14))
    assert [getattr(result, part).y.size for part in PARTS] == [29, 57, 14]


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.2), (1.0, 0.0, 0.0), (0.9, 0.2, -0.1)])
def test_bad_fractions(fractions):
    with pytest.raises(InputError, match="split.fractions"):
        split(b"a" * 1000, "streams", 2, 5, fractions)


def test_too_short_says_what_is_needed():
    # floor(0.1 N) is a whole batch from N = 10 on: 10 batches of 2 x 5.
    assert split(b"ab" * 50, "streams", 2, 5, PAPER).val.y.size == 10
    for text in (b"ab" * 50)[:99], b"":
        with pytest.raises(InputError, match=r"corpus tale: \d+ bytes .* 100 bytes .*unroll"):
            split(text, "streams", 2, 5, PAPER, "tale")


def test_all_256_byte_values_are_refused():
    assert split(bytes(range(255)) * 10, "streams", 2, 5, PAPER).symbols == 255
    with pytest.raises(InputError, match="all 256 byte values"):
        split(bytes(range(256)) * 10, "streams", 2, 5, PAPER)


def test_a_text_of_one_character_is_refused():
    assert split(b"ab" * 500, "streams", 2, 5, PAPER).symbols == 2
    with pytest.raises(InputError, match="corpus .*: the same character"):
        split(b"a" * 1000, "streams", 2, 5, PAPER)


def test_contexts():
    joined = np.array([4, 7, 1, 9], np.uint8)
    expected = [[255, 255, 255], [255, 255, 4], [255, 4, 7], [4, 7, 1]]
    assert contexts(joined, 3).tolist() == expected
    assert contexts(joined, 1)[:, 0].tolist() == [255, 4, 7, 1]
    assert contexts(joined, 6).shape == (4, 6)
    assert contexts(joined, 6).dtype == np.uint8


def test_save_and_load(tmp_path):
    before = split(b"some words and more " * 20, "streams", 4, 5, PAPER)
    save(tmp_path / "a.npz", before)
    after = load(tmp_path / "a.npz")
    np.testing.assert_array_equal(after.alphabet, before.alphabet)
    assert after.unroll == 5
    for name in PARTS:
        for array in "x", "y", "at":
            old, new = (getattr(getattr(which, name), array) for which in (before, after))
            np.testing.assert_array_equal(new, old)
            assert new.dtype == old.dtype
    first = (tmp_path / "a.npz").read_bytes()
    save(tmp_path / "a.npz", before)
    assert (tmp_path / "a.npz").read_bytes() == first  # no time stamp inside


@pytest.mark.parametrize("content", [None, b"", b"<html>", b"PK\x03\x04 broken"])
def test_load_refuses_what_is_no_split(tmp_path, content):
    if content is not None:
        (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="no such split|is not a split") as error:
        load(tmp_path / "a.npz")
    assert "\n" not in str(error.value)


def test_command(tmp_path, capsys):
    out = command(tmp_path, b"abcde" * 100, "--streams", "5", "--unroll", "2")
    assert load(out).train.y.shape == (5, 80)
    assert capsys.readouterr().out == (
        "tale: train 400, val 50, test 50 characters, 5 symbols, 5 streams\n"
    )


def test_command_names_unseen_symbols(tmp_path, capsys):
    text = b"ab" * 40 + b"a#" * 5 + b"b\xff#" + b"a" * 7
    out = command(tmp_path, text, "--streams", "1", "--unroll", "5")
    assert unseen(load(out)) == {ord("#"): {"val": 5, "test": 1}, 255: {"val": 0, "test": 1}}
    summary, line = capsys.readouterr().out.splitlines()
    assert line == (
        r"tale: symbols that do not occur in training: "
        r"b'#' (5 in val, 1 in test), b'\xff' (0 in val, 1 in test)"
    )


def test_a_text_of_characters(tmp_path):
    text = "".join(chr(0x4E00 + 7 * k % 200) for k in range(2000)) + "ab\n" * 20
    made = split(text, "streams", 4, 10, PAPER)
    assert made.symbols > 100 and made.alphabet.dtype == np.uint32
    assert made.train.y.dtype == np.uint8  # 255 symbols or fewer
    joined = "".join(chr(made.alphabet[code]) for code in made.train.y[1])
    assert text[made.train.at[1] :].startswith(joined)
    save(tmp_path / "a.npz", made)
    after = load(tmp_path / "a.npz")
    assert np.array_equal(after.alphabet, made.alphabet)
    assert np.array_equal(after.test.x, made.test.x)


def test_codes_of_a_large_alphabet(tmp_path):
    text = "".join(chr(0x4E00 + k % 300) for k in range(3000))
    made = split(text, "streams", 5, 10, PAPER)
    assert made.symbols == 300 and made.train.x.dtype == np.uint16
    context = contexts(made.joined("train"), 2)
    assert context.dtype == np.uint16 and context[0].tolist() == [65_535, 65_535]
    save(tmp_path / "a.npz", made)
    assert np.array_equal(load(tmp_path / "a.npz").val.y, made.val.y)
    with pytest.raises(InputError, match="65,600 different characters"):
        split("".join(map(chr, range(0x10000, 0x20040))) * 2, "streams", 5, 10, PAPER)


def test_the_mean_length_of_the_test_characters():
    codes = np.array([[0, 0, 1, 2]], np.uint8)
    part = Part(codes, codes, np.zeros(1, np.int64))
    letters = Split(np.array([0x61, 0xE9, 0x4E2D], np.uint32), 4, part, part, part)
    assert length_of_test(letters) == {"bytes_per_character": 1.75}  # (1 + 1 + 2 + 3) / 4
    assert length_of_test(Split(np.arange(97, 100, dtype=np.uint8), 4, part, part, part)) == {}


@pytest.mark.parametrize(
    "text, options, message",
    [
        (b"", [], "0 bytes are too few"),
        (b"abc", ["--layout", "contiguous"], "3 bytes are too few"),
    ],
)
def test_command_refuses_and_leaves_nothing(tmp_path, text, options, message):
    with pytest.raises(InputError, match=message):
        command(tmp_path, text, *options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.txt"]


@pytest.mark.parametrize(
    "file, fractions, sizes, symbols",
    [
        ("warpeace_input.txt", PAPER, [2_600_000, 320_000, 330_000], 87),
        ("linux_input.txt", (0.9, 0.05, 0.05), [5_580_000, 310_000, 310_000], 101),
    ],
)
def test_the_papers_corpora(file, fractions, sizes, symbols):
    path = Path(os.environ.get("CORPORA_MIRROR", ""), file)
    if not path.is_file():
        pytest.skip(f"CORPORA_MIRROR holds no {file}")
    result = split(path.read_bytes(), "streams", 100, 100, fractions)
    assert [result.joined(part).size for part in PARTS] == sizes
    assert result.symbols == symbols
