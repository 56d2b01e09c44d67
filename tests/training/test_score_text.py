"""A text of one's own: scored as it stands, what the model does not know skipped and told."""

import codecs
import csv
import dataclasses
import gzip
import math

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from charlens.cli import main
from charlens.errors import InputError
from charlens.networks import model_file, network
from charlens.networks.architecture import Architecture
from charlens.training import score_text

ALPHABET = b"\n abcde"
SYMBOLS = np.frombuffer(ALPHABET, np.uint8)


def saved(path, arch, dtype=torch.float32, **more):
    params = network.initialise(arch, 0.8, torch.Generator().manual_seed(1))
    about = dataclasses.asdict(arch) | {
        "corpus": "text", "source": "random", "size": 8, "val_loss": 1.0, "dropout": 0.0,
        "alphabet": ALPHABET.hex(), **more,
    }  # fmt: skip
    params = {name: value.to(dtype) for name, value in params.items()}
    path.write_bytes(model_file.content_of(params, about, safetensors.torch.save))
    return {name: value.float() for name, value in params.items()}


def scored(tmp_path, arch, params, text, backend="auto"):
    (tmp_path / "my.txt").write_bytes(text)
    reading = score_text.read(tmp_path / "my.txt", SYMBOLS)
    return reading, score_text.score(arch, params, reading, SYMBOLS, backend)


@pytest.mark.parametrize("backend", ["reference", "auto"])
@pytest.mark.parametrize("type", ["rnn", "lstm", "gru"])
def test_each_character_is_scored_after_all_before_it(tmp_path, type, backend):
    arch = Architecture(type, 2, 6, len(ALPHABET))
    params = saved(tmp_path / "m", arch)
    text = b"abc de\nbad cab" * 20  # longer than a window
    _, logp = scored(tmp_path, arch, params, text, backend)
    codes = [ALPHABET.index(c) for c in b"\n" + text]
    params = {name: value.double() for name, value in params.items()}
    state = network.zero_state(arch, 1).double()
    logits, _ = network.forward(arch, params, torch.tensor([codes[:-1]]), state)
    expected = torch.log_softmax(logits, -1)[0, range(len(text)), codes[1:]]
    np.testing.assert_allclose(logp, expected, atol=2e-5)


def test_an_nn_sees_nothing_before_the_text(tmp_path):
    arch = Architecture("nn", 1, 6, len(ALPHABET), 2)
    params = saved(tmp_path / "m", arch)
    _, logp = scored(tmp_path, arch, params, b"ab\ncd")
    b, w, K = params["b"], params["w_x"], len(ALPHABET)
    a = ALPHABET.index(b"a")
    for at, hidden in ((0, b), (1, b + w[K + a])):
        logits = torch.tanh(hidden) @ params["out.w"] + params["out.b"]
        expected = torch.log_softmax(logits, -1)[ALPHABET.index(b"ab"[at : at + 1])]
        assert logp[at] == pytest.approx(expected.item(), abs=1e-5)


@given(st.binary(min_size=1, max_size=60).map(lambda text: text.replace(b"\0", b"\1")))
def test_the_state_carries_on_over_what_is_unknown(tmp_path_factory, text):
    arch = Architecture("lstm", 1, 5, len(ALPHABET))
    params = network.initialise(arch, 0.8, torch.Generator().manual_seed(2))
    folder = tmp_path_factory.mktemp("text")
    text = b"a" + text + "e “bad”".encode()
    reading, logp = scored(folder, arch, params, text)
    assert np.array_equal(np.isnan(logp), [c not in ALPHABET for c in text])
    without = bytes(c for c in text if c in ALPHABET)
    _, plain = scored(folder, arch, params, without)
    assert np.array_equal(logp[reading.known], plain)


def test_the_summary_says_what_was_skipped(tmp_path):
    arch = Architecture("rnn", 1, 3, len(ALPHABET))
    path = tmp_path / "m.safetensors"
    params = saved(path, arch)
    text = "ab “c” d“\t".encode() + b"\xff\xff\0"
    reading, logp = scored(tmp_path, arch, params, text)
    loss, skipped = score_text.summary(reading, logp, SYMBOLS)
    nats = -np.nanmean(logp)
    assert f"{nats:.4f} nats, {nats / math.log(2):.4f} bits per character" in loss
    assert f"perplexity {math.exp(nats):.3f}" in loss and "over 6 characters" in loss
    assert "13 of 19 characters (68.42%) are unknown to the model's alphabet of 7" in skipped
    for words in ("“ x 2", "” x 1", "\\t x 1", "\\xff x 2", "\\x00 x 1"):
        assert words in skipped
    assert len(score_text.summary(*scored(tmp_path, arch, params, b"abc"), 7)) == 1


def test_one_row_for_each_character(tmp_path, capsys):
    path, text, out = tmp_path / "m.safetensors", tmp_path / "a.txt", tmp_path / "a.csv"
    saved(path, Architecture("rnn", 1, 3, len(ALPHABET)))
    text.write_bytes(b'a,"\n\xe9b')
    assert main(["read", str(path), "--text", str(text), "--csv", str(out)]) == 0
    assert "nats" in capsys.readouterr().out
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["byte"] for row in rows] == ["97", "44", "34", "10", "233", "98"]
    assert [row["character"] for row in rows] == ["a", ",", '"', "\\n", "\\xe9", "b"]
    assert [row["logp"] == "" for row in rows] == [False, True, True, False, True, False]


def test_nothing_that_is_read_is_overwritten(tmp_path, capsys):
    """By read, explore, half and score, under whatever name."""
    model, text = tmp_path / "m.safetensors", tmp_path / "a.txt"
    saved(model, Architecture("rnn", 1, 3, len(ALPHABET)))
    text.write_bytes(b"abc\n")
    (tmp_path / "link").symlink_to(text)
    before = model.read_bytes()
    for command in (
        ["read", model, "--text", text, "--csv", tmp_path / "link"],
        ["read", model, "--text", text, "--csv", model],
        ["explore", model, "--text", text, "--out", text],
        ["explore", model, "--text", text, "--out", model],
        ["explore", model, "--text", text, "--out", tmp_path / "a.html", "--csv", text],
        ["half", model, "--out", model],
        ["score", model, "--split", text, "--out", model, "--meta", tmp_path / "a.json"],
        ["score", model, "--split", text, "--out", tmp_path / "a", "--meta", text],
    ):
        assert main(list(map(str, command))) == 1
        said = capsys.readouterr().err
        assert "would be overwritten: name another file" in said and said.count("\n") == 1
        assert model.read_bytes() == before and text.read_bytes() == b"abc\n"
    same = ["score", model, "--split", text, "--out", tmp_path / "a", "--meta", tmp_path / "a"]
    assert main(list(map(str, same))) == 1
    assert "name two files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"XYZ\xff", "none of its characters"), (None, "cannot read")],
)
def test_a_text_that_cannot_be_scored(tmp_path, content, words):
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=words):
        score_text.read(tmp_path / "x", SYMBOLS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_models_of_any_precision_are_read_as_float32(tmp_path, dtype):
    arch = Architecture("gru", 1, 4, len(ALPHABET))
    expected = saved(tmp_path / "m", arch, dtype)
    found, params, _ = model_file.load(tmp_path / "m")
    assert found == arch and all(value.dtype == torch.float32 for value in params.values())
    assert all(torch.equal(params[name], expected[name]) for name in expected)
    scored(tmp_path, arch, params, b"abc")  # the compiled code takes them


# ---- line ends and encodings ----

BREAKS = b"\n\r abcde"


def read_by(path, text, tmp_path, capsys, *options):
    (tmp_path / "text.txt").write_bytes(text)
    assert main(["read", str(path), "--text", str(tmp_path / "text.txt"), *options]) == 0
    said = capsys.readouterr()
    return said.out.partition(": ")[2], said.err


@pytest.mark.parametrize("field", [{}, {"line_ends": "CRLF"}])
def test_a_text_gets_the_line_ends_of_the_training_text(tmp_path, capsys, field):
    arch, path = Architecture("rnn", 1, 3, len(BREAKS)), tmp_path / "m"
    saved(path, arch, alphabet=BREAKS.hex(), **field)
    lf = b"ab cd\nabc\n\ncab" * 20
    crlf = lf.replace(b"\n", b"\r\n")
    loss, said = read_by(path, lf, tmp_path, capsys)
    assert "from LF to CRLF" in said
    mixed = crlf.replace(b"\r\n", b"\n", 5)
    assert read_by(path, mixed, tmp_path, capsys)[0] == loss
    same, said = read_by(path, crlf, tmp_path, capsys)
    assert same == loss and "line ends" not in said
    kept, said = read_by(path, lf, tmp_path, capsys, "--keep-line-ends")
    assert kept != loss and "line ends" not in said


def test_a_text_may_be_packed_or_in_utf16(tmp_path, capsys):
    arch, path = Architecture("rnn", 1, 3, len(ALPHABET)), tmp_path / "m"
    saved(path, arch)
    text = b"abc de\n" * 50
    loss, _ = read_by(path, text, tmp_path, capsys)
    for content, word in (
        (gzip.compress(text), "gzip"),
        (codecs.BOM_UTF16_LE + text.decode().encode("utf-16-le"), "UTF-16"),
        (codecs.BOM_UTF8 + text, "mark removed"),
    ):
        found, said = read_by(path, content, tmp_path, capsys)
        assert found == loss and word in said


def test_a_mark_is_removed_though_its_bytes_are_in_the_alphabet(tmp_path):
    alphabet = np.frombuffer(codecs.BOM_UTF8 + b"abc", np.uint8)  # the bytes of others, alone
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF8 + b"abc")
    assert score_text.read(tmp_path / "a.txt", np.sort(alphabet)).text == b"abc"
    marked = np.array([ord(c) for c in "abc\ufeff"], np.uint32)
    assert score_text.read(tmp_path / "a.txt", marked).text == "\ufeffabc"


def test_a_csv_may_go_to_standard_output(tmp_path, capfdbinary):
    path, text = tmp_path / "m", tmp_path / "text.txt"
    saved(path, Architecture("rnn", 1, 3, len(ALPHABET)))
    text.write_bytes(b"abc")
    assert main(["read", str(path), "--text", str(text), "--csv", "-"]) == 0
    said = capfdbinary.readouterr()
    assert said.out.startswith(b"offset,byte") and said.out.count(b"\n") == 4
    assert b"nats" in said.err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m", "text.txt"]


def test_a_hopeless_loss_is_told(tmp_path):
    arch = Architecture("rnn", 1, 3, len(ALPHABET))
    reading, _ = scored(tmp_path, arch, saved(tmp_path / "m", arch), b"abc")
    said = score_text.summary(reading, np.full(3, -1e4, np.float32), 7)
    assert "perplexity inf" in said[0]
