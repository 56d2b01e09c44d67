"""n-grams: KenLM's probabilities, its running context, its sizes, and what can go wrong."""

import itertools
import json
import math
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from kneser_ney import FALLBACK, KneserNey

from charlens import cli, files
from charlens.data import split as splits
from charlens.errors import InputError
from charlens.ngrams import build, fit, score
from charlens.ngrams import kenlm as kenlm_tools

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def kenlm(tmp_path_factory):
    """A built KenLM: the one that CHARLENS_KENLM names, the project's own, or a new one."""
    for folder in (os.environ.get("CHARLENS_KENLM"), ROOT / "results" / "kenlm"):
        if folder and (Path(folder) / "kenlm.json").is_file():
            return Path(folder)
    folder = tmp_path_factory.mktemp("kenlm") / "kenlm"
    build.build(folder, threads=os.cpu_count())
    return folder


@pytest.fixture
def fitted(kenlm, tmp_path):
    """A function: fit an order to training streams, score test streams, by the command line."""

    def fit(train, test, order, alphabet=b"abcdez"):
        split = save_split(tmp_path / "split.npz", train, test, alphabet)
        model, info = tmp_path / "ngrams" / "model.binary", tmp_path / "ngrams" / "model.json"
        corpus = tmp_path / "corpus.json"
        corpus.write_text('{"corpus": "toy", "source": "made up"}')
        scores, meta = tmp_path / "scores.npy", tmp_path / "scores.json"
        paths = ["--split", split, "--kenlm", kenlm, "--info", info]
        more = ["--order", order, "--memory-mb", 64, "--out", model]
        assert cli.main([str(word) for word in ["ngram", *paths, *more]]) == 0
        more = ["--model", model, "--corpus-info", corpus, "--out", scores, "--meta", meta]
        assert cli.main([str(word) for word in ["score-ngram", *paths, *more]]) == 0
        return np.load(scores), json.loads(meta.read_text())

    return fit


def save_split(path, train, test, alphabet=b"abcdez"):
    """A split whose streams are the byte strings given, all of a part of one length."""
    code = {byte: code for code, byte in enumerate(alphabet)}

    def part(streams):
        y = np.array([[code[byte] for byte in stream] for stream in streams], np.uint8)
        return splits.Part(x=y, y=y, at=np.zeros(len(y), np.int64))

    alphabet = np.frombuffer(alphabet, np.uint8)
    splits.save(path, splits.Split(alphabet, 1, part(train), part(train), part(test)))
    return path


def random_text(seed, length, letters=b"abcde"):
    """Letters of which some are much commoner than others, in every context."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(list(letters), size=length, p=rng.dirichlet([0.7] * len(letters)))
    return bytes(chosen.tolist())


def test_probabilities_worked_out_by_hand(fitted):
    # The text "aba", order 2. Bigrams: <s>a ab ba a</s>, each once. No two occur twice, so all
    # discounts are the fallback: 0.5 for count 1, 1 for count 2.
    # Unigrams count the words before them: a 2 (<s>, b), b 1, </s> 1; 4 in all. Discounts free
    # (1 + 0.5 + 0.5) / 4 = 1/2, shared by the 4 words a, b, </s>, <unk>: 1/8 each. So
    #   p(a) = (2 - 1) / 4 + 1/8 = 3/8,  p(b) = p(</s>) = (1 - 0.5) / 4 + 1/8 = 1/4,
    #   p(<unk>) = 1/8.
    # After a come b and </s>, once each: (0.5 + 0.5) / 2 = 1/2 is free. So
    #   p(b|a) = (1 - 0.5) / 2 + 1/2 p(b) = 3/8,  p(a|a) = 1/2 p(a) = 3/16,
    #   p(<unk>|a) = 1/2 p(<unk>) = 1/16.
    # After b comes a, once: p(a|b) = (1 - 0.5) / 1 + 1/2 p(a) = 11/16.
    # Training never saw z and q: each has half of p(<unk>). After z, no context is left.
    scores, meta = fitted([b"aba"], [b"abaaza"], 2, alphabet=b"abqz")
    assert np.exp(scores) == pytest.approx([3 / 8, 3 / 8, 11 / 16, 3 / 16, 1 / 32, 3 / 8])
    assert scores.dtype == np.float32
    assert (meta["family"], meta["corpus"], meta["source"]) == ("ngram", "toy", "made up")
    assert meta["n"] == 1 and {"split", "test"} <= meta.keys()


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("length", [5, 40, 600])
def test_probabilities_against_kneser_ney(fitted, length, seed, order):
    train = random_text(seed, length)
    test = random_text(seed, 300) + random_text(seed + 10, 300, b"abcdez")
    scores, _ = fitted([train], [test], order, alphabet=b"abcdez")
    reference = KneserNey(words(train), order)
    unseen = len(set(b"abcdez") - set(train))
    expected = []
    context = []
    for word in words(test):
        known = word in reference.words
        expected.append(math.log(reference.p(word if known else "<unk>", context)))
        expected[-1] -= 0 if known else math.log(unseen)
        context = [*context, word] if known else []
    assert scores == pytest.approx(expected, abs=2e-6, rel=2e-6)
    if (length, order) == (600, 4):  # the closed form of the discounts, not only the fallback
        assert any(discounts != FALLBACK for discounts in reference.discounts)


def words(text):
    return [f"{byte:02x}" for byte in text]


def test_reference_sums_to_one():
    reference = KneserNey(random_text(3, 80).decode(), 3)
    for context in ["", "a", "ab", "de", "zz"]:
        total = sum(reference.p(word, context) for word in reference.words)
        assert total == pytest.approx(1, abs=1e-12)


def test_context_runs_across_the_joins(fitted):
    train = random_text(5, 400)
    test = random_text(6, 60)
    joined, _ = fitted([train], [test], 4)
    streams, _ = fitted([train[:100], train[100:200], train[200:300], train[300:]],
                        [test[:20], test[20:40], test[40:]], 4)  # fmt: skip
    assert (joined == streams).all()


@pytest.mark.parametrize("order", [2, 3, 21])
def test_probabilities_of_the_alphabet_sum_to_at_most_one(fitted, order):
    """What is missing is what KenLM keeps for </s>, and for <unk> where nothing is unseen."""
    train, context = random_text(7, 400, b"abcd"), random_text(8, 30, b"abcd")
    for alphabet in (b"abcd", b"abcdez"):
        total = 0
        for byte in alphabet:
            scores, _ = fitted([train], [context + bytes([byte])], order, alphabet)
            total += math.exp(scores[-1])
        assert 0.9 < total < 1


def test_order_21_sees_20_characters(fitted):
    """What follows 19 times e hangs on the character before them."""
    train = (b"a" + b"e" * 19 + b"b" + b"c" + b"e" * 19 + b"d") * 10
    after = {}
    for order in (20, 21):
        scores, meta = fitted([train], [train], order)
        assert meta["n"] == order - 1
        after[order] = np.exp(scores[np.frombuffer(train, np.uint8) == ord("b")][1:])
    assert after[20] == pytest.approx(0.5, abs=0.1)
    assert (after[21] > 0.85).all()


def test_sizes(kenlm, tmp_path):
    """bytes and arpa_bytes are the sizes of the packed and the text form; no text form stays."""
    train = random_text(9, 500)
    split = save_split(tmp_path / "split.npz", [train], [train])
    model, info = tmp_path / "models" / "3.binary", tmp_path / "models" / "3.json"
    fit.fit(split, 3, kenlm, 64, model, info)
    (tmp_path / "train.txt").write_text(" ".join(words(train)) + "\n")
    lmplz = [kenlm / "bin" / "lmplz", "-o", 3, "--discount_fallback", "-S", "64M"]
    arpa = tmp_path / "3.arpa"
    kenlm_tools.run_tool([*lmplz, "--text", tmp_path / "train.txt", "--arpa", arpa])
    sizes = {"order": 3, "bytes": model.stat().st_size, "arpa_bytes": arpa.stat().st_size}
    assert json.loads(info.read_text()) == sizes | {"sha256": files.sha256(model)}
    kept = [path.name for path in model.parent.iterdir() if path.name[0] != "."]  # no digests
    assert sorted(kept) == ["3.binary", "3.json"]


def test_order_out_of_range(kenlm, tmp_path):
    split = save_split(tmp_path / "split.npz", [b"ab"], [b"ab"])
    for order in (1, 99):
        with pytest.raises(InputError, match=f"order {order}: .* 2 to "):
            fit.fit(split, order, kenlm, 64, tmp_path / "x.binary", tmp_path / "x.json")


def test_no_kenlm(tmp_path):
    split = save_split(tmp_path / "split.npz", [b"ab"], [b"ab"])
    with pytest.raises(InputError, match="no KenLM"):
        fit.fit(split, 2, tmp_path, 64, tmp_path / "x.binary", tmp_path / "x.json")


def test_failure_leaves_nothing(kenlm, tmp_path):
    """No memory at all, and a disk that is full when the text form is written."""
    split = save_split(tmp_path / "split.npz", [b"ab"], [b"ab"])
    out = tmp_path / "models" / "2.binary"
    with pytest.raises(InputError, match="lmplz failed: Sort block size"):
        fit.fit(split, 2, kenlm, 0, out, out.with_suffix(".json"))
    assert list(out.parent.iterdir()) == []

    with pytest.raises(InputError, match=r"No space left on device.*\(free some") as raised:
        text = tmp_path / "text"
        text.write_text("61 62\n")
        lmplz = [kenlm / "bin" / "lmplz", "-o", 2, "--discount_fallback", "-S", "64M"]
        kenlm_tools.run_tool([*lmplz, "--text", text, "--arpa", "/dev/full"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "said", ["boost::thread_resource_error: Resource temporarily unavailable", "std::bad_alloc"]
)
def test_without_memory_or_threads_it_is_one_line_with_a_remedy(said, tmp_path):
    tool = tmp_path / "lmplz"
    tool.write_text(f"#!/bin/sh\necho '  what():  {said}' >&2\nexit 134\n")
    tool.chmod(0o755)
    with pytest.raises(InputError) as error:
        kenlm_tools.run_tool([tool])
    assert str(error.value) == (
        f"{tool} failed: what():  {said} (memory or threads ran out: rerun with more, or with fewer"
        " jobs at a time)"
    )


def test_a_tool_that_hangs_is_killed(tmp_path, monkeypatch):
    """As lmplz does where it cannot make a temporary file."""
    tool = tmp_path / "lmplz"
    tool.write_text("#!/bin/sh\nexec sleep 10000\n")
    tool.chmod(0o755)
    monkeypatch.setattr(kenlm_tools, "PATIENCE", 0.1)
    with pytest.raises(InputError, match=r"lmplz failed: it hung.*free some disk space and rerun"):
        kenlm_tools.run_tool([tool])


def test_a_tool_that_takes_long_is_left_alone(tmp_path, monkeypatch):
    """As long as it uses processor time."""
    tool, long, used = tmp_path / "lmplz", tmp_path / "long", itertools.count()
    tool.write_text(f"#!/bin/sh\nuntil test -e '{long}'; do sleep 0.1; done\n")
    tool.chmod(0o755)

    def cpu_times(process):
        seconds = next(used)
        if seconds == 3:
            long.touch()
        return seconds

    monkeypatch.setattr(kenlm_tools, "PATIENCE", 0.1)
    monkeypatch.setattr(kenlm_tools.psutil.Process, "cpu_times", cpu_times)
    kenlm_tools.run_tool([tool])
    assert next(used) > 3


def test_model_that_is_none(kenlm, tmp_path):
    split = save_split(tmp_path / "split.npz", [b"ab"], [b"ab"])
    (tmp_path / "x.binary").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="KenLM cannot read it") as raised:
        score.score(splits.load(split), tmp_path / "x.binary", kenlm)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("cxx", [None, "/no/such/compiler"])
def test_missing_compiler(tmp_path, monkeypatch, capsys, cxx):
    """One line, and nothing is begun."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    if cxx:
        monkeypatch.setenv("CXX", cxx)
    assert cli.main(["kenlm", "--out", str(tmp_path / "kenlm")]) == 1
    message = capsys.readouterr().err
    assert message.startswith("charlens: error: no C++ compiler")
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_build_that_fails(tmp_path, monkeypatch, capsys):
    """A compiler that cannot compile: the log's last lines, one line that names the log."""
    monkeypatch.setenv("CXX", "true")
    monkeypatch.setattr(build, "fetch", lambda work, log_file: work)
    monkeypatch.setattr(build, "fetch_boost", lambda work, log_file: work)
    assert cli.main(["kenlm", "--out", str(tmp_path / "kenlm")]) == 1
    assert "charlens: error: cannot configure KenLM" in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["kenlm-build.log"]


def test_the_folder_needs_nothing_from_elsewhere_and_may_move(kenlm, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(kenlm, moved)
    build.check(moved, json.loads((moved / "kenlm.json").read_text())["max_order"], tmp_path)
    if shutil.which("ldd"):
        for name in ("lmplz", "build_binary"):
            told = subprocess.run(["ldd", moved / "bin" / name], capture_output=True, text=True)
            libraries = [line for line in told.stdout.splitlines() if "boost" in line]
            assert all(str(tmp_path) in line for line in libraries), libraries


def test_war_and_peace(kenlm, tmp_path):
    """Two of the paper's table 2, to the last digit."""
    text = Path(os.environ.get("CORPORA_MIRROR", "")) / "warpeace_input.txt"
    if not text.is_file():
        pytest.skip("CORPORA_MIRROR names no folder with warpeace_input.txt")
    split = tmp_path / "wp.npz"
    splits.save(split, splits.split(text.read_bytes(), "streams", 100, 100, (0.8, 0.1, 0.1), "wp"))
    for order, loss in [(2, 2.399), (4, 1.521)]:
        model = tmp_path / "wp.binary"
        fit.fit(split, order, kenlm, 500, model, tmp_path / "wp.json")
        scores = score.score(splits.load(split), model, kenlm)
        assert scores.shape == (330_000,)
        assert -scores.mean(dtype=np.float64) == pytest.approx(loss, abs=0.001)
