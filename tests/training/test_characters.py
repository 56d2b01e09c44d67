"""Networks that predict Unicode characters: trained, scored, read, and what they write."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from charlens.cli import main
from charlens.data import split
from charlens.errors import InputError
from charlens.networks import architecture, model_file
from charlens.networks.architecture import Architecture
from charlens.text import symbols, unicode
from charlens.training import sample, score, score_text
from charlens.training.recipe import RMSProp
from charlens.training.train import train

TEXT = "Ёж «сказал»: 世界 😀\r\n" * 400
FRACTIONS = (0.8, 0.1, 0.1)


def saved(path, alphabet, bias=None, type="lstm", context=0):
    """A network without memory: uniform, or with this bias of its output [K]."""
    arch = Architecture(type, 1, 4, len(alphabet), context)
    params = {name: torch.zeros(shape) for name, shape in architecture.shapes(arch).items()}
    if bias is not None:
        params["out.b"] = torch.tensor(bias)
    about = dataclasses.asdict(arch) | {"alphabet": symbols.in_hex(alphabet), "corpus": "text"}
    model_file.save(path, params, about | unicode.stated(symbols.symbols_are_of(alphabet)))
    return model_file.load(path)


@pytest.mark.parametrize("kind", ["lstm", "nn"])
def test_a_model_of_characters_is_trained_and_scored_alike_everywhere(tmp_path, kind):
    data = split.split(TEXT, "streams", 4, 20, FRACTIONS)
    arch = Architecture(kind, 1, 12, data.symbols, 2 * (kind == "nn"))
    about = {"corpus": "text", "source": "own", "size": None}
    recipe = dataclasses.replace(RMSProp(), epochs=4, learning_rate=0.02)
    train(arch, recipe, data, 1, 0.0, tmp_path, about, "test")
    path = tmp_path / "model.safetensors"
    described = model_file.about(path)
    assert described["symbols_are"] == "characters" and described["line_ends"] == "CRLF"
    assert symbols.text_of(symbols.alphabet_of(described)) == "".join(sorted(set(TEXT)))
    assert described["val_loss"] < 0.5 * math.log(data.symbols)  # it has learned
    fast, plain = (score.score(path, data, backend) for backend in ("auto", "reference"))
    np.testing.assert_allclose(fast, plain, atol=1e-5)
    in_bytes = split.split(TEXT.encode(), "streams", 4, 20, FRACTIONS)
    with pytest.raises(InputError, match="trained on characters, and the corpus is split into byt"):
        score.score(path, in_bytes)


def test_bits_per_byte_compare_models_of_bytes_and_of_characters(tmp_path, capsys):
    text = "aé中" * 50  # 1 + 2 + 3 bytes
    (tmp_path / "my.txt").write_text(text, encoding="utf-8")
    path = tmp_path / "m.safetensors"
    saved(path, symbols.numbers("aé中"))
    assert main(["read", str(path), "--text", str(tmp_path / "my.txt")]) == 0
    said = capsys.readouterr().out
    # each of 3 characters has probability 1/3: ln 3 nats each; log2 3 bits over 2 bytes on average
    assert f"{math.log(3):.4f} nats, {math.log2(3):.4f} bits per character" in said
    assert f"{math.log2(3) / 2:.4f} bits per byte of UTF-8" in said and "over 150 char" in said
    saved(path, np.unique(symbols.numbers(text.encode())))  # 6 bytes: log2 6 bits for each
    assert main(["read", str(path), "--text", str(tmp_path / "my.txt")]) == 0
    said = capsys.readouterr().out
    assert f"{math.log2(6):.4f} bits per character" in said and "per byte" not in said


def test_reading_says_what_is_unknown_in_characters(tmp_path, capsys):
    arch, params, about = saved(tmp_path / "m", symbols.numbers("\n аб"))
    (tmp_path / "my.txt").write_text("аб☃б\nж☃", encoding="utf-8")
    reading = score_text.read_for(about, tmp_path / "my.txt", False)
    assert reading.known.tolist() == [True, True, False, True, True, False, False]
    logp = score_text.score(arch, params, reading, symbols.alphabet_of(about))
    assert np.isnan(logp).sum() == 3
    lines = score_text.summary(reading, logp, symbols.alphabet_of(about))
    assert lines[-1].endswith("skipped, not scored: ☃ x 2, ж x 1")
    score_text.write_csv(tmp_path / "out.csv", reading, logp)
    rows = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "offset,code_point,character,logp" and rows[3] == "2,9731,☃,"
    assert rows[5].startswith("4,10,\\n,-1.38")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match="not UTF-8 at byte 3"):
        score_text.read_for(about, tmp_path / "latin.txt", False)


def test_line_ends_and_marks_of_a_model_of_characters(tmp_path):
    _, _, about = saved(tmp_path / "m", symbols.numbers("\n\rаб"))  # CRLF, by its alphabet
    (tmp_path / "my.txt").write_bytes("\ufeffа\nб\n".encode())
    reading = score_text.read_for(about, tmp_path / "my.txt", False)
    assert reading.text == "а\r\nб\r\n"
    assert len(reading.notes) == 2


@pytest.mark.parametrize(("type", "context"), [("lstm", 0), ("nn", 3)])
def test_samples_are_of_whole_characters(tmp_path, type, context):
    alphabet = symbols.numbers("\n aé中😀")
    saved(tmp_path / "m", alphabet, [0.0, 0.0, 1.0, 1.0, 1.0, 1.0], type, context)
    writer = sample.Writer(tmp_path / "m")
    drawn = list(sample.sample(writer, 200, 1.0, 1, "中"))
    assert len(drawn) == 201 and all(len(part.decode()) == 1 for part in drawn)
    assert set(b"".join(drawn).decode()) <= set("\n aé中😀")
    ended = b"".join(sample.sample(writer, 5000, 1.0, 1, "", "é中")).decode()
    assert ended.endswith("é中") and ended.count("é中") == 1
    assert sample.known("中é", writer, "--start", skip=False) == "中é"
    assert sample.known("中x", writer, "--start", skip=True) == "中"
    with pytest.raises(InputError, match="alphabet has no 'x'"):
        sample.known("中x", writer, "--start", skip=False)


def test_a_damaged_alphabet_is_refused(tmp_path):
    _, params, about = saved(tmp_path / "m", symbols.numbers("aé中"))
    for changed in ({"alphabet": "61ff"}, {"symbols_are": "words"}, {"alphabet": "c3a961e4b8ad"}):
        model_file.save(tmp_path / "m", params, about | changed)
        with pytest.raises(InputError, match="UTF-8|symbols_are|in order"):
            model_file.about(tmp_path / "m")
