"""The numbers that figures 1, 4 and 5 show, and that they can be drawn from little."""

import warnings

import numpy as np
import pandas as pd
import pytest
from synthetic import TEXT, random_logp, run, write_corpus, write_score

from charlens.errors import InputError
from charlens.report import figure1, figure4, figure5, plots
from charlens.store import tables
from charlens.store.corpora import read_split
from charlens.store.scores import read_score


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def out(tmp_path):
    return ["--out", tmp_path / "f.png", tmp_path / "f.svg", "--csv", tmp_path / "f.csv"]


def score(path, logp, **meta):
    return read_score(write_score(path, logp, **meta))


def drawn(tmp_path):
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "f.svg").read_text()
    assert "<text" in svg and "made up" in svg  # text is text, and the source is named
    return pd.read_csv(tmp_path / "f.csv", keep_default_na=False, na_values=[""])


# ---- figure 1 ----


def test_differences_keep_the_distances_of_probabilities(tmp_path, monkeypatch):
    monkeypatch.setattr(figure1, "CHUNK", 64)  # several pieces, the last one short
    scores = [score(tmp_path / f"{k}.npy", random_logp(300, k)) for k in range(6)]
    points = figure1.differences(scores)
    assert points.shape == (6, 6)
    p = np.exp(np.stack([s.logp for s in scores]).astype(np.float64))
    expected = np.linalg.norm(p[:, None] - p[None], axis=2)
    assert np.linalg.norm(points[:, None] - points[None], axis=2) == pytest.approx(expected)


def test_like_models_are_neighbours():
    rng = np.random.default_rng(0)
    centres = np.repeat(20 * np.eye(3), 8, axis=0)
    points = centres + rng.normal(size=centres.shape)
    at = figure1.embed(points, 5, 0, "x")
    assert np.array_equal(at, figure1.embed(points, 5, 0, "x"))
    distance = np.linalg.norm(at[:, None] - at[None], axis=2) + 1e9 * np.eye(24)
    assert np.array_equal(distance.argmin(axis=1) // 8, np.repeat(range(3), 8))


def test_perplexity_is_lowered_when_models_are_few(capsys):
    points = np.random.default_rng(0).normal(size=(7, 7))
    figure1.embed(points, 10, 0, "x")
    assert capsys.readouterr().err == (
        "charlens: x: perplexity 10 lowered to 2: there are 7 models\n"
    )
    figure1.embed(points, 5, 0, "x")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("models", [1, 2, 3, 4, 5, 12])
def test_figure1(tmp_path, out, models):
    write_corpus(tmp_path)
    names = [
        write_score(
            tmp_path / f"{k}.npy",
            random_logp(500, k),
            type=["lstm", "rnn", "gru", "qrnn"][k % 4],
            layers=1 + k % 4,
            size=64 << k % 3,
        )
        for k in range(models)
    ]
    arguments = ["--scores", *names, "--corpora", tmp_path / "code.json", "--perplexity", 10]
    run(figure1, [*arguments, *out])
    table = drawn(tmp_path)
    assert list(table.columns) == ["corpus", "type", "layers", "size", "seed", "x", "y"]
    assert len(table) == models and np.isfinite(table[["x", "y"]]).all(axis=None)


def test_figure1_of_identical_models(tmp_path, out):
    write_corpus(tmp_path)
    names = [write_score(tmp_path / f"{k}.npy", random_logp(50, 0)) for k in range(5)]
    arguments = ["--scores", *names, "--corpora", tmp_path / "code.json", "--perplexity", 2]
    run(figure1, [*arguments, *out])
    assert np.isfinite(drawn(tmp_path)[["x", "y"]]).all(axis=None)


# ---- figure 4 ----


def test_error_overlap(tmp_path):
    right, wrong = np.log(0.5), np.log(0.49)  # p = 0.5 is no error
    lstm = score(tmp_path / "l.npy", [right, right, wrong, wrong, wrong])
    ngrams = {
        2: score(tmp_path / "2.npy", [wrong, right, wrong, right, wrong], family="ngram", n=2),
        9: score(tmp_path / "9.npy", [right, right, right, right, right], family="ngram", n=9),
    }
    errors = figure4.error_overlap(lstm, ngrams)
    assert errors["n"].tolist() == [2, 9]
    assert errors["both"].to_numpy() == pytest.approx([0.4, 0])
    assert errors["lstm"].to_numpy() == pytest.approx([0.2, 0.6])
    assert errors["ngram"].to_numpy() == pytest.approx([0.2, 0])
    assert set(errors["model"]) == {"n-gram"}


def test_overlap_shares_add_up(tmp_path):
    lstm = score(tmp_path / "l.npy", random_logp(1000, 1))
    ngram = score(tmp_path / "n.npy", random_logp(1000, 2), family="ngram", n=4)
    errors = figure4.error_overlap(lstm, {4: ngram}).iloc[0]
    assert errors["both"] + errors["lstm"] == pytest.approx(np.mean(np.exp(lstm.logp) < 0.5))
    assert errors["both"] + errors["ngram"] == pytest.approx(np.mean(np.exp(ngram.logp) < 0.5))


def test_character_means(tmp_path):
    split = {
        "alphabet": np.frombuffer(b"\n aq\xc3", np.uint8),  # "q" is not in the test text
        "test_y": np.array([[0, 1, 1], [2, 2, 4]], np.uint8),
        "test_at": np.array([0, 10]),
    }
    lstm = score(tmp_path / "l.npy", np.log([0.9, 0.2, 0.4, 0.5, 0.7, 0.1]))
    ngram = score(tmp_path / "n.npy", np.log([0.1, 0.2, 0.2, 0.6, 0.8, 0.1]), family="ngram", n=20)
    means = figure4.character_means(lstm, ngram, split)
    assert means["character"].tolist() == [r"\n", "<s>", r"\xc3", "a"]
    assert means["count"].tolist() == [1, 2, 1, 2]
    assert means["lstm"].to_numpy() == pytest.approx([0.9, 0.3, 0.1, 0.6])
    assert means["ngram"].to_numpy() == pytest.approx([0.1, 0.2, 0.1, 0.7])
    assert means["difference"].to_numpy() == pytest.approx([0.8, 0.1, 0, -0.1])
    assert set(means["n"]) == {20} and set(means["layers"]) == {3}


def test_characters():
    letters = [plots.character(ord(letter), "characters") for letter in "ё世\x85\u200b \x01"]
    assert letters == ["ё", "世", "U+0085", "U+200B", "<s>", r"\x01"]
    shown = [plots.character(byte) for byte in b" \n\t\r$~\x00\x7f\x80\xff"]
    assert shown == ["<s>", r"\n", r"\t", r"\r", "$", "~", r"\x00", r"\x7f", r"\x80", r"\xff"]


def test_wide_labels_do_not_touch():
    labels = figure4.stagger(["a", "<s>", r"\n", r"\xc3", r"\xa9", "b", r"\t"], range(7))
    assert labels == ["a", "\n<s>", r"\n", "\n" + r"\xc3", r"\xa9", "\nb", r"\t"]


def two_models(tmp_path, size, corpus="code", **lstm):
    return [
        write_score(tmp_path / f"{corpus}-l.npy", random_logp(size, 1), corpus=corpus, **lstm),
        write_score(tmp_path / f"{corpus}-n.npy", random_logp(size, 2), corpus=corpus,
                    family="ngram", n=20),
    ]  # fmt: skip


def figure4_arguments(tmp_path, *corpora):
    return [
        *("--splits", *(tmp_path / f"{corpus}.npz" for corpus in corpora)),
        *("--corpora", *(tmp_path / f"{corpus}.json" for corpus in corpora)),
    ]


def test_figure4(tmp_path, out):
    scores = two_models(tmp_path, write_corpus(tmp_path), layers=1)
    scores += two_models(tmp_path, write_corpus(tmp_path, "prose", "prose", bytes(range(256)) * 9),
                         "prose")  # fmt: skip
    size = read_score(scores[0]).characters
    scores += [
        write_score(tmp_path / f"nn{n}.npy", random_logp(size, n), family="nn", n=n) for n in (1, 2)
    ]
    run(figure4, ["--scores", *scores, *figure4_arguments(tmp_path, "code", "prose"), *out])
    table = drawn(tmp_path)
    assert table.groupby(["corpus", "panel"]).size().to_dict() == {
        ("code", "characters"): len(set(TEXT)),
        ("code", "errors"): 3,
        ("prose", "characters"): 256,
        ("prose", "errors"): 1,
    }
    assert set(table[table["corpus"] == "code"]["layers"]) == {1}
    errors = table[(table["corpus"] == "code") & (table["panel"] == "errors")]
    assert errors[["model", "n"]].to_numpy().tolist() == [["n-gram", 20], ["n-NN", 1], ["n-NN", 2]]


def test_figures_come_out_the_same(tmp_path, out):
    scores = two_models(tmp_path, write_corpus(tmp_path))
    files = []
    for _ in range(2):
        run(figure4, ["--scores", *scores, *figure4_arguments(tmp_path, "code"), *out])
        files.append([(tmp_path / f"f.{end}").read_bytes() for end in ("png", "svg", "csv")])
    assert files[0] == files[1]


# ---- figure 5 ----


def test_brace_means(tmp_path, monkeypatch):
    monkeypatch.setattr(figure5, "LEAST", 1)
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    lstm = score(tmp_path / "l.npy", np.log(p))
    ngram = score(tmp_path / "n.npy", np.log(p / 2), family="ngram", n=20)
    index, distance = np.array([1, 3, 5]), np.array([1, 9, 20])
    means = figure5.brace_means(lstm, ngram, index, distance)
    assert means[["from", "below", "pairs"]].to_numpy().tolist() == [[1, 20, 2], [20, 40, 1]]
    assert means["distance"].to_numpy() == pytest.approx([3, 20])
    assert means["lstm"].to_numpy() == pytest.approx([0.3, 0.6])
    assert means["ngram"].to_numpy() == pytest.approx([0.15, 0.3])
    assert means["lstm_se"].iloc[0] == pytest.approx(0.1)  # of 0.2 and 0.4
    assert np.isnan(means["lstm_se"].iloc[1])


def test_the_gain_on_braces_is_measured_brace_by_brace(tmp_path, monkeypatch):
    """Both models read the same braces: what makes one harder for both is no error of the gain."""
    monkeypatch.setattr(figure5, "LEAST", 1)
    hard = np.random.default_rng(0).uniform(0.2, 0.6, 200)
    gain = 0.2 + 0.01 * np.random.default_rng(1).normal(size=hard.size)
    lstm = score(tmp_path / "l.npy", np.log(hard + gain))
    ngram = score(tmp_path / "n.npy", np.log(hard), family="ngram", n=20)
    means = figure5.brace_means(lstm, ngram, np.arange(200), np.full(200, 9)).iloc[0]
    assert means["gain"] == pytest.approx(means["lstm"] - means["ngram"], abs=1e-6)
    assert means["gain_se"] == pytest.approx(0.01 / np.sqrt(200), rel=0.2)
    assert means["gain_se"] < np.hypot(means["lstm_se"], means["ngram_se"]) / 10


def write_first_epochs(path, contexts=(1, 2)):
    rows = [(3, 64, look, look / 10, n, 1 / (look + n), 0.1 * look) for look in range(1, 4)
            for n in contexts]  # fmt: skip
    pd.DataFrame(rows, columns=tables.TRAJECTORY).to_csv(path, index=False)
    return path


def figure5_arguments(tmp_path, *corpora):
    texts = (tmp_path / f"{corpus}.txt" for corpus in corpora)
    return [*figure4_arguments(tmp_path, *corpora), "--texts", *texts]


def test_figure5(tmp_path, out):
    size = write_corpus(tmp_path)
    write_corpus(tmp_path, "prose", "prose", b"no braces here " * 40)
    trajectories = [write_first_epochs(tmp_path / f"{corpus}.csv") for corpus in ("prose", "code")]
    scores = two_models(tmp_path, size)
    arguments = figure5_arguments(tmp_path, "prose", "code")
    run(figure5, ["--scores", *scores, *arguments, "--trajectory", *trajectories, *out])
    table = drawn(tmp_path)
    assert set(table["corpus"]) == {"code"}
    # Lines of TEXT: "f1(x) { if (x) { ... } /* { */ z[1]; }": per line two pairs.
    split = read_split(tmp_path / "code.npz", [])
    closing = split["alphabet"][split["test_y"]] == ord("}")
    assert table["pairs"].sum() == pytest.approx(closing.sum() * 2 / 3, abs=8)


def test_figure5_of_code_alone_and_of_prose_alone(tmp_path, out):
    scores = two_models(tmp_path, write_corpus(tmp_path))
    run(figure5, ["--scores", *scores, *figure5_arguments(tmp_path, "code"), *out])
    assert len(drawn(tmp_path))
    write_corpus(tmp_path, "prose", "prose")
    trajectory = write_first_epochs(tmp_path / "prose.csv", range(1, 12))
    arguments = ["--scores", *scores, "--corpora", tmp_path / "prose.json"]
    run(figure5, [*arguments, "--trajectory", trajectory, *out])
    assert len(drawn(tmp_path)) == 0
    with pytest.raises(InputError, match="neither a corpus of kind code nor a trajectory"):
        run(figure5, [*arguments, *out])


def test_figure5_without_pairs(tmp_path, out):
    scores = two_models(tmp_path, write_corpus(tmp_path, text=b"int x;\n" * 50))
    run(figure5, ["--scores", *scores, *figure5_arguments(tmp_path, "code"), *out])
    assert len(drawn(tmp_path)) == 0


# ---- bad input ----


def refused(module, arguments, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        run(module, arguments)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("f.*"))


def test_bad_input(tmp_path, out):
    size = write_corpus(tmp_path)
    scores = two_models(tmp_path, size)
    lstm, ngram = scores
    arguments = figure5_arguments(tmp_path, "code")
    corpora = ["--corpora", tmp_path / "code.json"]
    no_text = figure4_arguments(tmp_path, "code")
    for module, inputs, message in (
        (figure4, ["--scores", lstm, *no_text, *out], "no n-gram model among the scores"),
        (figure4, ["--scores", ngram, *no_text, *out], "no LSTM among the scores"),
        (figure4, ["--scores", *scores, *corpora, "--splits", "x.npz", *out], "code: no split"),
        (figure4, ["--scores", *scores, *no_text, "--out", "f.pdf"], "f.pdf: .* .png or .svg"),
        (figure5, ["--scores", *scores, *no_text, *out], "corpus code: no text given"),
    ):
        refused(module, inputs, message, tmp_path)

    inputs = ["--scores", *scores, *arguments, *out]
    trajectory = tmp_path / "code.csv"
    head = ",".join(tables.TRAJECTORY)
    for content, message in (
        ("", "code.csv: no readable trajectory"),
        ("look,epoch\n1,2\n", f"code.csv: needs the columns {head}"),
        (f"{head}\n", "code.csv: needs .* at least one row"),
        (f"{head}\n3,64,1,0.1,1,,2\n", "code.csv: holds a number that is not finite"),
        (f"{head}\n3,64,1,0.1,1,x,2\n", "code.csv: holds a value that is not a number"),
    ):
        trajectory.write_text(content)
        refused(figure5, [*inputs, "--trajectory", trajectory], message, tmp_path)

    (tmp_path / "code.txt").write_bytes(TEXT[7:])
    refused(figure5, inputs, "code.npz was not made from .*code.txt", tmp_path)
    (tmp_path / "code.txt").unlink()
    refused(figure5, inputs, "code.txt: no readable text", tmp_path)

    for name in (lstm, ngram):
        np.save(name, random_logp(size - 1, 0).astype(np.float32))
    refused(figure4, inputs[: inputs.index("--texts")] + out, "but .*code.npz has", tmp_path)
    (tmp_path / "code.npz").write_bytes(b"nonsense")
    refused(figure5, inputs, "code.npz: damaged", tmp_path)
