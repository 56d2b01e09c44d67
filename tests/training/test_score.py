"""Scores: one array per model, with the exact running context; and sampling from a model."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import small_split
from random_model import saved
from synthetic import run

from charlens.backends import cpu, gpus, selection
from charlens.data import split
from charlens.errors import InputError
from charlens.networks import architecture, model_file, network
from charlens.networks.architecture import Architecture
from charlens.training import first_epochs, sample, score
from charlens.training.evaluate import inputs_and_targets
from charlens.training.recipe import RMSProp
from charlens.training.train import Training


@pytest.mark.parametrize("backend", ["reference", "auto"])
@pytest.mark.parametrize("type", ["rnn", "lstm", "gru"])
def test_a_stream_begins_at_zero_and_carries_its_state_to_its_end(tmp_path, data, type, backend):
    arch = Architecture(type, 2, 6, data.symbols)
    params = saved(tmp_path / "m.safetensors", data, arch)
    scores = score.score(tmp_path / "m.safetensors", data, backend)
    assert scores.dtype == np.float32 and scores.shape == (data.test.y.size,)
    for s in range(data.streams):  # each stream alone, in one piece, from the character before it
        x = torch.from_numpy(data.test.x[s : s + 1])
        logits, _ = network.forward(arch, params, x, network.zero_state(arch, 1))
        expected = torch.log_softmax(logits, -1)[0, range(x.shape[1]), data.test.y[s].tolist()]
        got = scores.reshape(data.test.y.shape)[s]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_an_nn_runs_over_the_joined_streams(tmp_path, data, backend):
    arch = Architecture("nn", 1, 6, data.symbols, context=2)
    params = saved(tmp_path / "m.safetensors", data, arch)
    scores = score.score(tmp_path / "m.safetensors", data, backend)
    joined = data.test.y.ravel().tolist()
    for at in (
        2,
        15,
        16,
        17,
        len(joined) - 1,
    ):  # 16 begins a stream: its context is in the one before
        rows = [params["w_x"][j * data.symbols + c] for j, c in enumerate(joined[at - 2 : at])]
        hidden = torch.tanh(params["b"] + sum(rows))
        logits = hidden @ params["out.w"] + params["out.b"]
        expected = torch.log_softmax(logits, -1)[joined[at]]
        assert scores[at] == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)


@pytest.mark.skipif(cpu.status()[0] is None or gpus.available(), reason="no compiled code here")
@pytest.mark.parametrize(
    ("arch", "streams", "words"),
    [
        (Architecture("nn", 1, 3, 11, 2000), 4, "context: expected 1 to 1024 for kind nn"),
        (Architecture("lstm", 1, 70_000, 11), 4, "hidden: expected 1 to 65536 for kind lstm"),
        (Architecture("rnn", 1025, 1, 11), 4, "layers: expected 1 to 1024 for kind rnn"),
        (Architecture("gru+adamw", 1, 3, 70_000), 4, "symbols: expected 2 to 65535 for kind gru"),
        (Architecture("gru", 1, 3, 11), 1 << 25, "streams: expected 1 to 16777216 for kind gru"),
        (Architecture("gru", 1, 3, 11), 1 << 24, "streams x unroll: expected less than"),
    ],
)
def test_sizes_beyond_the_compiled_code_are_for_plain_torch(arch, streams, words, capsys):
    assert selection.choose(arch, streams, 8).name == "reference"
    said = capsys.readouterr().err
    assert said.startswith("charlens: plain torch takes over from the compiled CPU code: ")
    assert words in said and said.count("\n") == 1
    with pytest.raises(InputError, match=f"^backend fast: {words}.*; set backend: auto$"):
        selection.choose(arch, streams, 8, "fast")


@pytest.mark.parametrize("wide", [False, True])
def test_models_beyond_the_compiled_code_score_and_write(tmp_path, monkeypatch, capsys, wide):
    data = small_split(streams=2, unroll=8, symbols=11)
    arch = Architecture("nn", 1, 3, 11, context=2000)
    if wide:  # one beyond the real limit takes 80 GB
        monkeypatch.setitem(cpu.LIMITS, "hidden", 5)
        arch = Architecture("lstm", 1, 6, 11)
    path = tmp_path / "m.safetensors"
    saved(path, data, arch)
    found = score.score(path, data)
    np.testing.assert_array_equal(found, score.score(path, data, "reference"))
    assert len(b"".join(sample.sample(sample.Writer(path), 3, 1.0, 1, b""))) == 3
    if cpu.status()[0] is not None and not gpus.available():
        assert capsys.readouterr().err.count("plain torch takes over") == 2
        with pytest.raises(InputError, match="^backend fast: "):
            score.score(path, data, "fast")


def test_another_alphabet_is_refused(tmp_path, data):
    saved(tmp_path / "m.safetensors", data, Architecture("rnn", 1, 3, data.symbols))
    other = small_split(symbols=9)
    with pytest.raises(InputError, match="trained on"):
        score.score(tmp_path / "m.safetensors", other)


def test_the_lowest_validation_loss_is_best(tmp_path, data):
    paths = []
    for seed, val_loss in enumerate([1.3, 1.1, 1.1, 1.2]):
        paths.append(tmp_path / f"{seed}.safetensors")
        saved(paths[-1], data, Architecture("rnn", 1, 3, data.symbols), val_loss, seed)
    assert model_file.best(paths) == paths[1]
    about = score.metadata(paths[1])
    assert about["val_loss"] == 1.1 and about["family"] == "recurrent"
    assert about["bytes"] == paths[1].stat().st_size


def test_scores_say_which_version_made_their_network(tmp_path, data):
    path = tmp_path / "m.safetensors"
    saved(path, data, Architecture("gru", 1, 3, data.symbols), version="2.3")
    assert score.metadata(path)["version"] == "2.3"
    saved(path, data, Architecture("gru", 1, 3, data.symbols))  # from before there were versions
    assert score.metadata(path)["version"] == "1.1"
    saved(path, data, Architecture("nn", 1, 3, data.symbols, 2))
    assert score.metadata(path)["version"] == "1"


def test_scores_say_of_which_test_text_they_are(tmp_path, data):
    saved(tmp_path / "m.safetensors", data, Architecture("gru", 1, 3, data.symbols))
    split.save(tmp_path / "x.npz", data)
    out = {f"--{name}": tmp_path / file for name, file in (("out", "x.npy"), ("meta", "x.json"))}
    run(score, [tmp_path / "m.safetensors", "--split", tmp_path / "x.npz", "--backend", "reference",
                *(word for pair in out.items() for word in pair)])  # fmt: skip
    of = json.loads((tmp_path / "x.json").read_text())["test"]
    assert of == split.digest_of_test(data)
    other = dataclasses.replace(data, test=dataclasses.replace(data.test, y=data.test.y[::-1]))
    assert split.digest(other) == split.digest(data) and split.digest_of_test(other) != of


def test_a_model_that_does_not_say_which_one_it_is_gets_no_scores_file(tmp_path, data):
    arch = Architecture("gru", 1, 6, data.symbols)
    path = tmp_path / "m.safetensors"
    params = saved(path, data, arch)
    about = model_file.about(path)
    del about["seed"], about["val_loss"]
    model_file.save(path, params, about)
    with pytest.raises(InputError, match="metadata lack seed, val_loss"):
        score.metadata(path)
    with pytest.raises(InputError, match="metadata lack val_loss"):
        model_file.best([path])


def test_samples_are_drawn_from_the_model(tmp_path, data):
    arch = Architecture("gru", 1, 6, data.symbols)
    path = tmp_path / "m.safetensors"
    saved(path, data, arch)
    writer = sample.Writer(path)

    def text(*args):
        return b"".join(sample.sample(writer, *args))

    assert text(20, 1.0, 1, b"ab").startswith(b"ab") and len(text(20, 1.0, 1, b"ab")) == 22
    assert text(50, 1.0, 1, b"") == text(50, 1.0, 1, b"") != text(50, 1.0, 2, b"")
    assert text(50, 0.0, 1, b"a") == text(50, 0.0, 2, b"a")
    assert set(text(200, 1.0, 1, b"")) <= set(data.alphabet.tolist())
    with pytest.raises(InputError, match="alphabet has no 'Ü'"):
        sample.known("aÜb", writer, "--start", skip=False)
    assert sample.known("aÜb", writer, "--start", skip=True) == b"ab"


def certain(tmp_path, alphabet, likely):
    """A network without memory that draws the bytes of `likely` far more often than others."""
    arch = Architecture("rnn", 1, 2, len(alphabet))
    params = {name: torch.zeros(shape) for name, shape in architecture.shapes(arch).items()}
    params["out.b"][[alphabet.index(byte) for byte in likely]] = 9.0
    about = dataclasses.asdict(arch) | {"alphabet": alphabet.hex()}
    model_file.save(tmp_path / "c.safetensors", params, about)
    return sample.Writer(tmp_path / "c.safetensors")


def test_a_sample_holds_whole_characters_alone(tmp_path):
    alphabet = bytes(sorted(set(" абвж“”€".encode())))
    writer = certain(tmp_path, alphabet, alphabet[:1] + "аж".encode())
    for seed in range(5):
        characters = list(sample.sample(writer, 60, 1.0, seed, "ж".encode()[:1]))
        assert len(b"".join(characters).decode()) == 60  # the first completes the start
        assert all(len(character.decode()) == 1 for character in characters[2:])
    latin = certain(tmp_path, b" a\xe9\xff", b"\xe9")
    assert b"\xe9\xe9" in b"".join(sample.sample(latin, 60, 1.0, 1, b""))


def test_a_sample_ends_where_it_is_told(tmp_path):
    writer = certain(tmp_path, b"\n\rab", b"ab\r\n")
    assert sample.known("b\n", writer, "--stop", skip=False) == b"b\r\n"  # as in its training text
    text = b"".join(sample.sample(writer, 5000, 1.0, 1, b"ab", b"ab"))
    assert text.endswith(b"ab") and text.count(b"ab", 1) == 1 and len(text) < 5000


def test_sample_frequencies(tmp_path, data):
    """With zero weights what is drawn follows the output bias, sharpened by the temperature."""
    arch = Architecture("rnn", 1, 2, data.symbols)
    params = {name: torch.zeros(shape) for name, shape in architecture.shapes(arch).items()}
    params["out.b"][:3] = torch.tensor([3.0, 2.0, 1.0])
    about = dataclasses.asdict(arch) | {"alphabet": data.alphabet.tobytes().hex()}
    model_file.save(tmp_path / "m.safetensors", params, about)
    writer = sample.Writer(tmp_path / "m.safetensors")
    drawn = b"".join(sample.sample(writer, 4000, 0.5, 1, b""))
    counts = np.bincount(np.frombuffer(drawn, np.uint8) - 97, minlength=data.symbols) / 4000
    expected = torch.softmax(params["out.b"] / 0.5, 0).numpy()
    np.testing.assert_allclose(counts, expected, atol=0.03)


def test_an_lstm_in_its_first_epochs_is_compared_over_the_whole_test_split(tmp_path, data):
    recipe = {"epochs": 2, "learning_rate": 2e-3}
    lstm = Architecture("lstm", 2, 4, data.symbols)
    saved(tmp_path / "lstm.safetensors", data, lstm, recipe=recipe)
    paths = []
    for n in (1, 2):
        paths.append(tmp_path / f"{n}.safetensors")
        saved(paths[-1], data, Architecture("nn", 1, 5, data.symbols, n))
    rows = first_epochs.trajectory(
        [tmp_path / "lstm.safetensors"], paths, data, epochs=2, per_epoch=5
    )
    assert [(r["look"], r["n"]) for r in rows] == [(k, n) for k in range(1, 11) for n in (1, 2)]
    assert rows[-1]["epoch"] == 2.0 and (rows[0]["layers"], rows[0]["size"]) == (2, 8)
    # the same by hand for the last look: train two epochs, keep every probability
    training = Training(lstm, RMSProp(**recipe), data, 1, 0.0, "reference")
    for _ in range(2):
        while training.window < training.windows:
            training.update()
        training.end_epoch()
    x, y = inputs_and_targets(data, "test", lstm)
    p = training.backend.log_probs(training.params, x, network.zero_state(lstm, data.streams))
    arch, params, _ = model_file.load(paths[1])
    contexts, _ = inputs_and_targets(data, "test", arch)
    q = torch.log_softmax(network.forward(arch, params, torch.from_numpy(contexts), None)[0], -1)
    kl = (p.exp() * (p - q)).sum(-1).mean() + (q.exp() * (q - p)).sum(-1).mean()
    target = torch.from_numpy(y).long().unsqueeze(2)
    delta = (p.gather(2, target) - q.gather(2, target)).mean()
    assert rows[-1]["kl"] == pytest.approx(kl.item(), rel=1e-3)
    assert rows[-1]["delta"] == pytest.approx(delta.item(), rel=1e-3, abs=1e-5)


@pytest.fixture
def first(tmp_path, data):
    """A function that compares an LSTM's first epoch with an n-NN; `lstm` or `nn` replaces what the
    file of that name holds: {"data", "arch", and metadata}."""

    def compare(lstm=None, nn=None, history=None):
        recipe = {"epochs": 2, "learning_rate": 2e-3}
        made = {
            "lstm": {"arch": Architecture("lstm", 1, 4, 11), "recipe": recipe} | (lstm or {}),
            "nn": {"arch": Architecture("nn", 1, 5, 11, 2)} | (nn or {}),
        }
        paths = {name: tmp_path / "m" / name / "model.safetensors" for name in made}
        for name, about in made.items():
            paths[name].parent.mkdir(parents=True, exist_ok=True)
            saved(paths[name], **({"data": data} | about))
        if history:
            (paths["lstm"].parent / "history.csv").write_text(history)
        return first_epochs.trajectory([paths["lstm"]], [paths["nn"]], data, 1, 1, "reference")

    return compare


OTHER = small_split(symbols=9)


@pytest.mark.parametrize("which", ["lstm", "nn"])
@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"data": OTHER, "arch": {"symbols": 9}}, "other symbols than the corpus's"),
        ({"split": "0" * 64}, "trained on another text or split than this one"),
    ],
)
def test_first_epochs_of_another_text_are_refused(first, data, which, about, words):
    own = {"lstm": Architecture("lstm", 1, 4, 11), "nn": Architecture("nn", 1, 5, 11, 2)}[which]
    about = about | {"arch": dataclasses.replace(own, **about.get("arch", {}))}
    with pytest.raises(InputError, match=rf"{which}/model.safetensors: .*{words}"):
        first(**{which: about})
    first(**{which: {"split": split.digest(data)}})


def test_each_model_of_first_epochs_is_of_the_right_kind(first):
    with pytest.raises(InputError, match="lstm/model.safetensors: an n-NN; give it to --nns"):
        first(lstm={"arch": Architecture("nn", 1, 4, 11, 2)})
    with pytest.raises(InputError, match="nn/model.safetensors: a recurrent .*give it to --lstms"):
        first(nn={"arch": Architecture("rnn", 1, 4, 11)})


@pytest.mark.parametrize("value", ["a", -1.0, [1]])
def test_first_epochs_by_no_recipe_are_refused(first, value):
    words = r"lstm/model.safetensors: its recipe: --learning-rate: expected a positive number"
    with pytest.raises(InputError, match=words):
        first(lstm={"recipe": {"learning_rate": value}})


def test_first_epochs_that_differ_from_the_history_say_so(first, tmp_path, capsys):
    first()
    said = capsys.readouterr().err
    assert "history" not in said
    first(history="epoch,val_loss\n1,2.0\n")
    said = [line for line in capsys.readouterr().err.splitlines() if "history" in line]
    assert len(said) == 1 and "is off by" in said[0]
    # beside the candidate that the model is a copy of; the same loss
    folder = tmp_path / "m"
    (folder / "lstm").rename(folder / "dropout~0.0")
    copy = folder / "best" / "model.safetensors"
    copy.parent.mkdir()
    copy.write_bytes((folder / "dropout~0.0" / "model.safetensors").read_bytes())
    assert first_epochs.losses_in_history(copy) == {1: 2.0}
    assert first_epochs.losses_in_history(folder / "nn" / "model.safetensors") == {}


def test_bad_input_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "charlens.cli", "sample", str(tmp_path / "absent")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("charlens: error: ") and done.stderr.count("\n") == 1
