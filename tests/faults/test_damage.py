"""Damaged artefacts: every kind of file that one job writes and another reads.

A bit is flipped, or the file cut, at a stride through each file. Every reader must notice it (one
line that names the file), or give exactly what it gives for the sound file.
"""

import argparse
import copy
import functools
import json
import math
import operator
import shutil
import sysconfig
from pathlib import Path

import machines
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import small_split
from synthetic import random_logp, write_corpus, write_score
from synthetic import run as run_verb

from charlens import files
from charlens.backends.cpu import build
from charlens.data import split
from charlens.errors import InputError
from charlens.networks import half, model_file, network
from charlens.networks.architecture import Architecture
from charlens.ngrams import fit, kenlm
from charlens.ngrams import score as ngram_score
from charlens.report import tables as report_tables
from charlens.runs import reference, settings, status
from charlens.store import corpora, reading, scores, tables
from charlens.training import checkpoint, select, snapshots, train
from charlens.training.recipe import AdamW, RMSProp

ROOT = Path(__file__).parents[2]
KENLM = ROOT / "results/kenlm"
PLACES = (60, pytest.param(400, marks=pytest.mark.faults))  # per file


def damages(content: bytes, places: int = 60):
    """What a disk may make of a file: (in words, content)."""
    step = max(1, len(content) // places)
    for at in range(0, len(content), step):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        yield f"bit flipped at {at}", bytes(flipped)
        yield f"cut at {at}", content[:at]
    yield "a hole of zeros", content[: len(content) // 2] + bytes(len(content) - len(content) // 2)
    yield "longer", content + b"\0" * 10


def as_plain(value):
    """Tensors, arrays and tables as something that == compares."""
    if isinstance(value, dict):
        return {key: as_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(one) for one in value]
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, np.ndarray):
        return value.tobytes(), str(value.dtype), value.shape
    if isinstance(value, pd.DataFrame):
        return value.to_csv()
    if isinstance(value, split.Split | split.Part):
        return as_plain(vars(value))
    if isinstance(value, scores.Score):
        return as_plain({"meta": value.meta, "logp": np.asarray(value.logp)})
    return value


ARCH = Architecture("gru", 1, 4, 11)
ABOUT = {
    "corpus": "text", "source": "random", "type": "gru", "layers": 1, "hidden": 4, "symbols": 11,
    "context": 0, "size": 4, "seed": 1, "epoch": 1, "val_loss": 2.0, "dropout": 0.0,
    "parameters": 100, "alphabet": bytes(range(11)).hex(),
}  # fmt: skip


def a_model(folder):
    params = network.initialise(ARCH, 0.08, torch.Generator().manual_seed(1))
    model_file.save(folder / "model.safetensors", params, ABOUT)
    return folder / "model.safetensors", model_file.load


def a_half_model(folder):
    whole, _ = a_model(folder)
    half.halve(whole, folder / "half.safetensors")
    return folder / "half.safetensors", model_file.load


def some_snapshots(folder):
    params = network.initialise(ARCH, 0.08, torch.Generator().manual_seed(1))
    taken = [{"epoch": epoch, "params": snapshots.take(params)} for epoch in (0.5, 1)]
    snapshots.save(folder / "snapshots.safetensors", taken, ABOUT)
    return folder / "snapshots.safetensors", snapshots.load


def a_split(folder):
    split.save(folder / "text.npz", small_split())
    return folder / "text.npz", split.load


def the_test_part(folder):
    path, _ = a_split(folder)
    return path, lambda path: corpora.read_split(path, [])


def some_scores(folder):
    logp = -np.random.default_rng(0).gamma(1, 1, 500).astype(np.float32)
    meta = {"family": "ngram", "corpus": "text", "source": "random", "n": 2, "bytes": 9}
    path = folder / "scores.npy"
    scores.write_scores(path, logp, path.with_suffix(".json"), meta | {"arpa_bytes": 9})
    return path, scores.read_score


def their_metadata(folder):
    path, _ = some_scores(folder)
    return path.with_suffix(".json"), lambda meta: scores.read_score(meta.with_suffix(".npy"))


def a_table(folder):
    files.write_csv(pd.DataFrame({"corpus": ["wp", "lk"], "loss": [1.25, 2.5]}), folder / "t.csv")
    return folder / "t.csv", tables.read_table


def provenance(folder):
    files.write_with_digest(folder / "text.json", json.dumps({"corpus": "text"}).encode())
    return folder / "text.json", reading.read_json


def a_history(folder):
    rows = [{"epoch": epoch, "train_loss": 2.5, "val_loss": 2.0 + 1 / epoch} for epoch in (1, 2, 3)]
    files.write_rows(folder / "history.csv", rows)
    return folder / "history.csv", tables.read_table


def a_trajectory(folder):
    row = dict.fromkeys(tables.TRAJECTORY, 1.25)
    files.write_rows(folder / "text.csv", [row, row])
    return folder / "text.csv", tables.read_trajectory


def the_settings(folder):
    settings.write(settings.make(machines.settings()), folder / "settings.json")
    return folder / "settings.json", settings.read


def a_checkpoint(folder):
    training = train.Training(ARCH, RMSProp(epochs=2), small_split(), 1, 0.0, "reference")
    training.update()
    path = folder / "checkpoint.pt"
    checkpoint.write_checkpoint(path, training, "identity")

    def read(path):
        found = checkpoint.read_checkpoint(path, "identity", "test", training)
        if found is None:
            raise InputError(f"{path}: set aside")
        return found

    return path, read


def a_library(folder):
    files.write_with_digest(folder / "library.so", np.random.default_rng(0).bytes(10_000))

    def read(path):
        if not build.sound(path):
            raise InputError(f"{path}: compiled again")

    return folder / "library.so", read


def the_kenlm_module(folder):
    shutil.copytree(KENLM, folder / "kenlm")
    (path,) = (folder / "kenlm/python").glob("*.so")

    def read(path):
        try:
            return kenlm.about(folder / "kenlm")
        except InputError as error:
            raise InputError(str(error).replace(path.name, path.stem)) from None

    return path, read


def an_ngram_model(folder):
    split.save(folder / "text.npz", small_split())
    about = {"corpus": "text", "source": "random"}
    files.write_with_digest(folder / "text.json", json.dumps(about).encode())
    out = folder / "3.binary"
    fit.fit(folder / "text.npz", 3, KENLM, 100, out, folder / "3.json")
    words = ["--split", folder / "text.npz", "--kenlm", KENLM, "--model", out]
    words += ["--info", folder / "3.json", "--corpus-info", folder / "text.json"]
    words += ["--out", folder / "s.npy", "--meta", folder / "s.json"]

    def read(_):
        run_verb(ngram_score, words)
        return scores.read_score(folder / "s.npy")

    return out, read


def its_sizes(folder):
    out, read = an_ngram_model(folder)
    return out.with_suffix(".json"), read


def a_text(folder):
    (folder / "text.txt").write_bytes(b"some text, and more of it\n" * 9)
    about = {"corpus": "text", "sha256": files.sha256(folder / "text.txt")}
    (folder / "text.json").write_text(json.dumps(about))
    return folder / "text.txt", corpora.read_text


KINDS = (
    a_model, a_half_model, some_snapshots, a_split, the_test_part, some_scores, their_metadata,
    a_table, provenance, a_text, a_history, a_trajectory, the_settings, a_checkpoint, a_library,
    the_kenlm_module, an_ngram_model, its_sizes,
)  # fmt: skip


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_damage_is_noticed_or_harmless(make, places, tmp_path, tally):
    if make in (the_kenlm_module, an_ngram_model, its_sizes) and not KENLM.exists():
        pytest.skip("KenLM is not built: run make setup")
    path, read = make(tmp_path)
    content, sound = path.read_bytes(), as_plain(read(path))
    count = tally("flips", make.__name__.replace("_", " "))
    for words, damaged in damages(content, places):
        path.write_bytes(damaged)
        try:
            found = read(path)
        except InputError as error:
            named = len(str(error).splitlines()) == 1 and path.stem in str(error)
            count.add("noticed" if named else "wrong", f"{words}: {error}")
        else:
            count.add("harmless" if as_plain(found) == sound else "wrong", words)
    count.check()
    assert count.counts["noticed"] > count.counts["harmless"]


@pytest.mark.parametrize("name", ["alphabet", "test_y", "test_at", "train_y"])
def test_an_array_of_a_split_under_another_name_is_missed(name, tmp_path):
    """No checksum covers the names in the directory of an archive."""
    path, read = the_test_part(tmp_path)
    content = path.read_bytes()
    at = content.rindex(f"{name}.npy".encode())
    for place in range(at, at + len(name)):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(InputError, match="text.npz: damaged"):
            read(path)


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_used(tmp_path, capsys):
    """Whatever is damaged, the model at the end is the same."""
    data = small_split()

    def trained(folder, epochs):
        about = {"corpus": "text", "source": "random", "size": None}
        train.train(ARCH, RMSProp(epochs=epochs), data, 1, 0.2, folder, about, "test", "reference")
        return (folder / "model.safetensors").read_bytes()

    whole = trained(tmp_path / "whole", 4)
    trained(tmp_path / "begun", 3)
    content = (tmp_path / "begun/checkpoint.pt").read_bytes()
    for number, (words, damaged) in enumerate(list(damages(content))[::12]):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "begun", folder)
        (folder / "checkpoint.pt").write_bytes(damaged)
        capsys.readouterr()
        assert trained(folder, 4) == whole, words
        said = capsys.readouterr().err
        assert "checkpoint.pt is damaged" in said and "resuming in epoch 3 of 4" in said, words
        assert (folder / "checkpoint.pt.damaged").read_bytes() == damaged


@pytest.mark.parametrize("make", ["table1", "status", "history"])
def test_tables_carry_a_digest_that_is_checked_on_reading(make, tmp_path):
    path = tmp_path / f"{make}.csv"
    if make == "table1":
        rows = pd.DataFrame({"corpus": ["wp"], "loss": [1.234567], "failed": [""]})
        rows[report_tables.LENGTH] = None
        outputs = argparse.Namespace(csv=path, html=tmp_path / "table1.html")
        report_tables.write(rows, "<html>", outputs)
    elif make == "status":
        planned = ["wp/ngram/order~2"]
        status.run(argparse.Namespace(planned=planned, finished=[], out=path))
    else:
        files.write_rows(path, [{"epoch": 1, "val_loss": 1.25}])
    tables.read_table(path)
    path.write_bytes(path.read_bytes().replace(b"0", b"3").replace(b"1", b"3"))
    with pytest.raises(InputError, match=f"{make}.csv: damaged"):
        tables.read_table(path)
    with pytest.raises(InputError, match=f"{make}.csv: damaged"):
        reference.copy(path, tmp_path / "published.csv")


@pytest.mark.parametrize("cut", [-1, -3, -9, 12, 1])
def test_a_table_without_a_digest_that_was_cut_is_refused(cut, tmp_path):
    path = tmp_path / "hypotheses.csv"
    content = b"corpus,model,score\nwp,lstm 2x8,0.8125\n"
    path.write_bytes(content)
    assert tables.read_table(path)["score"].tolist() == [0.8125]
    path.write_bytes(content[:cut])
    with pytest.raises(InputError, match=r"hypotheses.csv: no readable table \(cut short\); make"):
        tables.read_table(path)


def test_a_damaged_module_of_kenlm_is_one_line(tmp_path):
    """Built by an older version, which recorded no digests."""
    module = tmp_path / f"python/kenlm{sysconfig.get_config_var('EXT_SUFFIX')}"
    module.parent.mkdir()
    module.write_bytes(b"\x7fELF and no more")
    (tmp_path / "kenlm.json").write_text('{"version": "0.3.0", "max_order": 21}')
    with pytest.raises(InputError, match=r"damaged \(.*\); remove .* and build it again"):
        kenlm.load(tmp_path / "model.binary", tmp_path)


@pytest.mark.parametrize("damage", ["cut", "header", "flipped", "emptied"])
def test_a_damaged_candidate_is_not_chosen_and_is_named(damage, tmp_path):
    path, _ = a_model(tmp_path)
    other = tmp_path / "other/model.safetensors"
    other.parent.mkdir()
    params = network.initialise(ARCH, 0.08, torch.Generator().manual_seed(2))
    model_file.save(other, params, ABOUT | {"val_loss": 2.5})
    content = path.read_bytes()
    flipped = content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]
    path.write_bytes(
        {"cut": content[:-100], "header": content[:90], "flipped": flipped, "emptied": b""}[damage]
    )
    chosen = tmp_path / "best/model.safetensors"
    with pytest.raises(InputError) as error:
        select.run(argparse.Namespace(models=[other, path], out=chosen))
    assert str(error.value).startswith(f"{path}: ") and not chosen.exists()
    assert "remove it and run snakemake again" in str(error.value)


def test_what_one_step_writes_and_another_reads_carries_a_digest(tmp_path):
    about = {"corpus": "text", "source": "random", "size": None}
    train.train(
        ARCH, RMSProp(epochs=1), small_split(), 1, 0.0, tmp_path, about, "test", "reference"
    )
    run_verb(status, ["--planned", "code/ngram/order~2", "--out", tmp_path / "status.csv"])
    write_corpus(tmp_path)
    score = write_score(tmp_path / "s.npy", random_logp(100, 1))
    out = ("--csv", tmp_path / "table1.csv", "--html", tmp_path / "table1.html")
    words = ["--scores", score, "--corpora", tmp_path / "code.json", "--samples", 2, *out]
    run_verb(report_tables, words, "run_table1")
    the_settings(tmp_path)
    for name in ("history.csv", "status.csv", "table1.csv", "settings.json"):
        files.check_digest(tmp_path / name, needed=True)


def test_a_damaged_history_is_not_published(tmp_path):
    path, _ = a_history(tmp_path)
    reference.copy(path, tmp_path / "copy.csv")
    path.write_bytes(path.read_bytes().replace(b"2.5", b"1.5"))
    with pytest.raises(InputError, match="history.csv: damaged"):
        reference.copy(path, tmp_path / "copy.csv")


def test_a_kill_between_a_file_and_its_digest_raises_no_false_alarm(tmp_path, monkeypatch):
    files.write_with_digest(tmp_path / "table.csv", b"old")
    write = files.write_atomically

    def killed(path, data):
        if str(path).endswith(".sha256"):
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(files, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        files.write_with_digest(tmp_path / "table.csv", b"new")
    files.check_digest(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_bytes() == b"new"


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: saved.pop("params"),
        lambda saved: saved["params"].pop("out.b"),
        lambda saved: saved["squares"].update({"out.b": torch.zeros(3)}),
        lambda saved: saved.update(window=10**6),
        lambda saved: saved.update(history=None),
        lambda saved: saved.update(state=saved["state"].double()[..., :-1]),
    ],
)
def test_a_checkpoint_that_does_not_fit_its_training_is_set_aside(tmp_path, capsys, change):
    training = train.Training(ARCH, RMSProp(epochs=2), small_split(), 1, 0.0, "reference")
    saved, path = copy.deepcopy(training.saved_state()), tmp_path / "checkpoint.pt"
    checkpoint.check(state_of(training), training)
    change(saved)
    training.saved_state = lambda: saved
    checkpoint.write_checkpoint(path, training, "identity")
    del training.saved_state
    assert checkpoint.read_checkpoint(path, "identity", "test", training) is None
    assert "checkpoint.pt is damaged" in capsys.readouterr().err


def parts(value, path=()):
    """The paths of all that is in a checkpoint."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*path, key)
            yield from parts(value[key], (*path, key))


def others(value):
    """What does not belong in the place of a part of a checkpoint, if it is no number there."""
    yield from (None, -1, 10**6, 0.5, math.inf, True, "x", [], {}, [1], {"a": 1}, np.ones(1))
    if isinstance(value, dict):
        yield value | {"more": 1}
    elif isinstance(value, list):
        yield [*value, 1]
    elif isinstance(value, np.ndarray):
        yield from (value[:-1], value[None], value.astype(float))


SCHEDULE = snapshots.Schedule(2, 1)


def in_its_second_epoch(arch, recipe):
    """A training with snapshots, each state of which was in order."""
    training = train.Training(arch, recipe, small_split(), 1, 0.0, "reference")
    for number in range(training.windows + 2):
        if number == training.windows:
            training.end_epoch()
        training.update()
        if SCHEDULE.due(training.epoch, training.window, training.windows):
            training.take_snapshot()
        checkpoint.check(state_of(training), training, SCHEDULE)
    return training


def state_of(training):
    """A training's state as a checkpoint holds it."""
    return checkpoint.parse(checkpoint.content_of(training.saved_state()))


@pytest.mark.parametrize(
    ("arch", "recipe"),
    [(ARCH, RMSProp(epochs=2)), (Architecture("nn", 1, 4, 11, 2), AdamW(epochs=2))],
    ids=["gru, paper", "nn, adamw"],
)
def test_every_part_of_a_checkpoint_is_checked(arch, recipe):
    """Whether it is there, its type and its shape."""
    training = in_its_second_epoch(arch, recipe)
    sound = state_of(training)
    for path in parts(sound):
        old = functools.reduce(operator.getitem, path, sound)
        for new in (KeyError, *others(old)):
            saved = copy.deepcopy(sound)
            part = functools.reduce(operator.getitem, path[:-1], saved)
            if new is KeyError:
                del part[path[-1]]
            else:
                part[path[-1]] = new
            if new is old or type(new) is type(old) in (str, int, float):  # see the next test
                continue
            with pytest.raises(ValueError, match="expected params|its .* cannot be of this"):
                checkpoint.check(saved, training, SCHEDULE)


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: saved.update(epoch=3),
        lambda saved: saved.update(window=6),
        lambda saved: saved.update(seconds=math.inf),
        lambda saved: saved["history"][0].update(epoch=2),
        lambda saved: saved["history"][0].update(train_loss=math.nan),
        lambda saved: saved["history"][0].update(val_loss=1.0),  # not that of the best epoch
        lambda saved: saved["best"].update(epoch=2),
        lambda saved: saved["best"]["params"]["out.b"].fill(math.nan),
        lambda saved: saved["snapshots"][0].update(epoch=0.25),
        lambda saved: saved["snapshots"].pop(),
    ],
)
def test_numbers_of_a_checkpoint_that_contradict_each_other_are_refused(change):
    training = in_its_second_epoch(ARCH, RMSProp(epochs=2))
    saved = state_of(training)
    change(saved)
    with pytest.raises(ValueError, match="its .* cannot be of this training"):
        checkpoint.check(saved, training, SCHEDULE)


def test_a_line_break_in_a_header_makes_no_second_line(tmp_path):
    path, read = a_model(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"a\\n"'))  # of the same length
    with pytest.raises(InputError, match="damaged") as refused:
        read(path)
    assert len(str(refused.value).splitlines()) == 1


def test_both_checkpoints_damaged(tmp_path, capsys):
    for name in ("checkpoint.pt", "earlier-checkpoint.pt"):
        (tmp_path / name).write_bytes(b"nothing of use")
    path = tmp_path / "checkpoint.pt"
    assert checkpoint.read_checkpoint(path, "identity", "test", training=None) is None
    said = capsys.readouterr().err
    assert said.count("is damaged") == 2 and "starting over" in said


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library of next to nothing, compiled as the backend is."""
    if not build.runnable():
        pytest.skip("no path of the compiled code runs here")
    (tmp_path / "source.cpp").write_text("int one() { return 1; }\n")
    monkeypatch.setattr(build, "SOURCES", [tmp_path / "source.cpp"])
    monkeypatch.setattr(build, "folders", lambda: [tmp_path / "build"])
    return build.build(build.runnable()[-1])


def test_a_damaged_library_is_compiled_again(library):
    content = library.read_bytes()
    for damaged in (content[: len(content) // 2], b"", bytes(len(content))):
        library.write_bytes(damaged)
        assert build.build(build.runnable()[-1]) == library and library.read_bytes() == content


def test_without_a_compiler_a_damaged_library_is_not_used(library, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    assert build.build(build.runnable()[-1]) == library
    library.write_bytes(library.read_bytes()[:-1])
    with pytest.raises(build.NotBuilt):
        build.build(build.runnable()[-1])
