"""The comparison of trained networks: its pairs, its interval, and that it resumes."""

import argparse
import csv
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import small_split

from charlens import cli
from charlens.backends import cpu, reference, selection
from charlens.bench import equal
from charlens.data import split
from charlens.errors import InputError
from charlens.networks.architecture import Architecture
from charlens.networks.version import version
from charlens.training.recipe import RMSProp
from charlens.training.train import Training

PUBLISHED = Path(__file__).parents[2] / "results/reference/bench/equal.csv"
needs_backend = pytest.mark.skipif(cpu.status()[0] is None, reason=cpu.status()[1])


def write_split(path):
    data = small_split(streams=10, unroll=10, windows=(6, 2, 2))
    parts = {f"{p}_{f}": getattr(getattr(data, p), f) for p in ("train", "val", "test") for f in
             ("x", "y", "at")}  # fmt: skip
    np.savez(path, alphabet=data.alphabet, unroll=data.unroll, **parts)
    return data


def command(folder, *more):
    return cli.main(
        ["equal", str(folder / "text.npz"), "--size", "8", "--epochs", "2", "--out",
         str(folder / "equal.csv"), *more]
    )  # fmt: skip


def rows(folder):
    with open(folder / "equal.csv", newline="") as file:
        return list(csv.DictReader(file))


@needs_backend
def test_pairs_are_trained_scored_and_kept(tmp_path, capsys, monkeypatch):
    write_split(tmp_path / "text.npz")
    assert command(tmp_path, "--entries", "lstm-1", "gru+block-2", "--seeds", "1", "2") == 0
    found = rows(tmp_path)
    isa = cpu.status()[0]
    assert [(r["type"], r["layers"], r["seed"], r["backend"]) for r in found] == [
        (type, layers, seed, half) for type, layers in (("gru+block", "2"), ("lstm", "1"))
        for seed in "12" for half in (isa, "reference")
    ]  # fmt: skip
    losses = [float(row["test_loss"]) for row in found]
    differences = [ours - theirs for ours, theirs in zip(losses[::2], losses[1::2], strict=True)]
    assert all(0 < abs(d) < 0.05 for d in differences)  # two trainings, not one twice
    said = capsys.readouterr().out
    assert f"mean difference of 4 pairs, fast minus reference: {sum(differences) / 4:+.4f}" in said

    # again: nothing is trained; one more entry joins the table
    monkeypatch.setattr(equal.train, "train", lambda *_: pytest.fail("trained again"))
    assert command(tmp_path, "--cells", "lstm-1", "--seeds", "2") == 0
    monkeypatch.undo()
    assert rows(tmp_path) == found
    assert command(tmp_path, "--cells", "rnn-1", "--seeds", "1") == 0
    assert len(rows(tmp_path)) == 10


@needs_backend
def test_a_network_is_identified_by_the_declared_version(tmp_path, monkeypatch):
    data = write_split(tmp_path / "text.npz")
    comparison = equal.Comparison(tmp_path / "equal", data, 8, 2, {})
    before = comparison.identity("rnn-1", "fast")
    assert before == f"{cpu.status()[0]}-{version('rnn')}-{comparison.digest}"
    monkeypatch.setattr(equal, "version", lambda type: "9.9")
    assert comparison.identity("rnn-1", "fast") == before.replace(version("rnn"), "9.9")
    other = small_split(streams=10, unroll=10, windows=(6, 2, 2), seed=1)
    assert equal.digest(other, RMSProp()) != comparison.digest
    assert equal.digest(data, RMSProp(clip=1.0)) != comparison.digest
    assert equal.digest(data, RMSProp(epochs=9)) == comparison.digest


def test_published_networks_are_those_of_todays_computation():
    """Their digest is of War and Peace, split as in the paper, and of the paper's recipe."""
    with open(PUBLISHED, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36
    for row in rows:
        backend, computed, digest = row["identity"].split("-")
        assert (backend, computed) == (row["backend"], version(row["type"]))
        assert digest == "64c8f8d6ff72"


@needs_backend
def test_published_networks_are_not_trained_again(tmp_path, monkeypatch):
    write_split(tmp_path / "text.npz")
    assert command(tmp_path, "--cells", "rnn-1", "--seeds", "1") == 0
    found = rows(tmp_path)
    (tmp_path / "equal.csv").rename(tmp_path / "published.csv")
    shutil.rmtree(tmp_path / "equal")
    monkeypatch.setattr(equal.train, "train", lambda *_: pytest.fail("trained again"))
    known = ("--known", str(tmp_path / "published.csv"))
    assert command(tmp_path, "--cells", "rnn-1", "--seeds", "1", *known) == 0
    assert rows(tmp_path) == found


@needs_backend
def test_one_backend_alone(tmp_path, capsys):
    write_split(tmp_path / "text.npz")
    assert command(tmp_path, "--cells", "rnn-1", "--seeds", "1", "--backend", "reference") == 0
    assert [row["backend"] for row in rows(tmp_path)] == ["reference"]
    assert "pairs" not in capsys.readouterr().out
    assert command(tmp_path, "--cells", "rnn-1", "--seeds", "1", "--half", "fast") == 0
    assert len(rows(tmp_path)) == 2


@needs_backend
def test_both_begin_from_the_same_weights():
    data = small_split()
    arch = Architecture("gru", 2, 5, data.symbols)
    one, other = (Training(arch, RMSProp(), data, 3, 0.0, name) for name in equal.BACKENDS)
    assert isinstance(one.backend, selection.Compiled) and isinstance(
        other.backend, reference.Reference
    )
    assert all(np.array_equal(one.params[name], other.params[name]) for name in one.params)


def test_mean_and_interval_by_hand():
    mean, low, high = equal.mean_and_interval([0.001, 0.003, 0.002, 0.002])
    assert mean == pytest.approx(0.002)
    # sd 0.000816, t(0.975, 3) = 3.1824
    assert high - mean == pytest.approx(3.1824 * 0.00081650 / 2, rel=1e-4)
    assert mean - low == pytest.approx(high - mean)
    assert equal.mean_and_interval([0.5]) == (0.5, -math.inf, math.inf)


def test_the_default_is_six_entries_of_all_types_and_depths():
    assert len(equal.ENTRIES) == 6
    assert {entry.split("-")[0] for entry in equal.ENTRIES} == {"rnn", "lstm", "gru"}
    assert {entry.split("-")[1] for entry in equal.ENTRIES} == {"1", "2", "3"}


@needs_backend
@pytest.mark.parametrize("entry", ["lstm", "mlstm-1", "nn-1", "lstm+adamw-1"])
def test_an_entry_that_cannot_be_compared_is_named(tmp_path, entry):
    write_split(tmp_path / "text.npz")
    parser = argparse.ArgumentParser()
    equal.add_arguments(parser)
    with pytest.raises(InputError, match=f"--entries {re.escape(entry)}: expected type-layers"):
        equal.run(parser.parse_args([str(tmp_path / "text.npz"), "--entries", entry]))


@pytest.mark.full
@needs_backend
def test_equal_quality_at_full_scale():
    """Eighteen pairs on War and Peace, hours; resumes from what `make equal` has done."""
    root = Path(__file__).parents[2] / "results"
    corpus = root / "paper/corpora/wp.npz"
    if not corpus.exists():
        pytest.skip("make equal brings the corpus")
    out = root / "bench/equal.csv"
    assert cli.main(["equal", str(corpus), "--out", str(out)]) == 0
    known = equal.read_known(out)
    pairs = equal.Comparison(out.with_suffix(""), split.load(corpus), 64, 50, known).pairs()
    assert len(pairs) == 18
    assert abs(equal.mean_and_interval([pair["difference"] for pair in pairs])[0]) <= 0.005
