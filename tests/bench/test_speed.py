"""The benchmark: what is made of its measurements, and a miniature of the measuring itself."""

from pathlib import Path

import pytest
import torch
import yaml

from charlens.bench import peers, speed
from charlens.networks.architecture import Architecture
from charlens.progress import duration
from charlens.runs import estimate
from charlens.runs.settings import make
from charlens.store.models import ModelKey

ROOT = Path(__file__).parents[2]
PAPER = make(yaml.safe_load((ROOT / "config.yaml").read_text()))
MEASURED = {
    ("lstm", 1, 64): {"stock": 1e5, "autocast": 2e5, "ours": 6e5, "dropout": 5e5,
                           "validate": 9e5, "score": 8e5},
    ("gru", 2, 64): {"stock": 1e5, "autocast": 5e4, "ours": 4e5, "dropout": 3e5,
                          "validate": 9e5, "score": 8e5},
}  # fmt: skip
COLUMNS = [
    "type", "layers", "size", "hidden", "backend", "chars_per_s", "ratio_fp32", "ratio_best",
]  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No results of this checkout are looked at."""
    monkeypatch.chdir(tmp_path)


def test_ratios_are_to_float32_and_to_the_better_stock_setting():
    table = speed.rows(MEASURED)
    assert list(table[0]) == COLUMNS
    ratios = {(r["type"], r["backend"]): (r["ratio_fp32"], r["ratio_best"]) for r in table}
    assert ratios["lstm", "ours"] == (6, 3) and ratios["gru", "ours"] == (4, 4)
    assert ratios["lstm", "stock"] == (1, 0.5) and ratios["gru", "autocast"] == (0.5, 0.5)
    assert speed.least(table)[:2] == [
        "LSTM, 1 layer: at least 6.0 x stock float32, 3.0 x best stock",
        "GRU: at least 4.0 x stock float32, 4.0 x best stock",
    ]


def test_the_tables_say_what_was_measured():
    table = speed.rows(MEASURED)
    assert (
        "| LSTM 1 x 64 | 64 | 100 | 200 | 600 | 6.0 | 3.0 |" in speed.markdown(table).splitlines()
    )
    # 3 x (4 x 64 x 64 + 64 x 87) multiply-adds a character, 6e5 characters a second
    share = 3 * (4 * 64 * 64 + 64 * 87) * 6e5 / 1e11
    assert f"{share:.0%}" in speed.text(table, {"float32": 5e10, "bfloat16": 1e11})


def test_planning_is_timed_and_its_jobs_are_estimated(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    mine = tmp_path / "mine.yaml"
    mine.write_text("use: [wp]\ngrid: {types: [lstm], layers: [1], sizes: [64, 128]}\n")
    head, row = speed.planning(mine).splitlines()
    assert head.split() == ["snakemake", "-n", "jobs", "seconds", "per", "100", "jobs"]
    name, jobs, seconds, per_hundred = row.split()
    assert name == "mine" and float(per_hundred) == pytest.approx(
        100 * float(seconds) / int(jobs), abs=0.1
    )
    planned = estimate.pending(speed.snakemake(mine, "--summary").splitlines())
    trained = {model for rule, model in planned if rule == "train"}
    assert {(model.type, model.size) for model in trained} == {("lstm", 64), ("lstm", 128)}
    assert len(planned) <= int(jobs)
    nn = {backend: {Architecture("nn", 1, 128, 87, 3): 1e-6} for backend in speed.BACKENDS}
    lines = speed.estimates(speed.read_settings(mine), planned, MEASURED, nn, cores=2)
    assert lines[0].startswith("plain grid, one seed, no dropout (2 jobs), 2 side by side: stock ")
    assert lines[1].startswith(f"whole run ({len(planned)} jobs)")


@pytest.mark.parametrize("config", ["modern.yaml", "demo.yaml"])
def test_types_that_are_not_timed_are_named(config, monkeypatch):
    """Of a run with types and additions that the benchmark does not time, the rest is estimated."""
    monkeypatch.chdir(ROOT)
    settings = speed.read_settings(Path(config))
    corpus, jobs = settings.use[0], {("trajectory", f"mamba/{settings.use[0]}")}
    for type, candidate in (("lstm", 0.0), ("lstm+adamw", 0.01), ("mingru+block", 0.0)):
        key = ModelKey(corpus, "recurrent", type, 1, 64, 1, candidate=candidate)
        jobs |= {("train_adamw" if "adamw" in type else "train", key), ("score", key.chosen)}
    nn = {backend: {Architecture("nn", 1, 128, 87, 3): 1e-6} for backend in speed.BACKENDS}
    grid, whole, without = speed.estimates(settings, jobs, MEASURED, nn, cores=1)
    assert "(1 jobs)" in grid and "whole run (4 jobs)" in whole
    assert without.startswith("without minGRU, Mamba, which are not timed")


def test_a_run_that_cannot_be_planned_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    mine = tmp_path / "mine.yaml"
    mine.write_text("use: [nowhere]\n")
    with pytest.raises(speed.InputError, match="(?s)mine.yaml: snakemake .*nowhere"):
        speed.planning(mine)


def test_the_estimate_is_the_sum_of_its_jobs():
    model = ModelKey("wp", "recurrent", "lstm", 1, 64, 1, candidate=0.0)
    nn = {backend: {Architecture("nn", 1, 128, 87, 3): 1e-6} for backend in speed.BACKENDS}
    measured = {("lstm", 1, 64): MEASURED["lstm", 1, 64]}
    jobs = {("train", model), ("train", model.chosen)}  # the second is not of the plain grid
    grid, whole = speed.estimates(PAPER, jobs, measured, nn, cores=1)
    bytes = PAPER.corpora["wp"].sources[0].bytes
    for backend in speed.BACKENDS:
        seconds = 4 + 50 * (0.8 + 0.1 / 3) * bytes / MEASURED["lstm", 1, 64][backend]
        assert f"{backend} {duration(seconds)}" in grid
    assert "(1 jobs)" in grid and "(2 jobs)" in whole


def test_every_candidate_updates_every_shape(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda loss: loss)  # which would take minutes
    for type in ("lstm", "gru", "rnn"):
        steps = speed.candidates(type, 2, 3)
        working = set(peers.working(type, 2, 3))
        assert {"stock", "without oneDNN", "torch.compile"} <= working
        assert set(steps) == working | {"ours", "dropout", "validate", "score"}
        for step in steps.values():
            step()


def test_where_autocast_fails_float32_stands_in():
    rates = {name: r for name, r in MEASURED["lstm", 1, 64].items() if name != "autocast"}
    by = speed.by_entry(speed.rows({("lstm", 1, 64): rates}))["lstm", 1, 64, 64]
    assert by["autocast"]["chars_per_s"] == 100_000 and by["ours"]["ratio_best"] == 6


def test_bfloat16_on_a_processor_without_it_takes_no_hours(monkeypatch, capsys):
    sizes = []

    def slow(steps, _):
        steps["mm"]()
        return {"mm": 0.6}

    monkeypatch.setattr(speed, "take_turns", slow)
    monkeypatch.setattr(torch, "mm", lambda a, b: sizes.append(len(a)))
    assert speed.peak(torch.bfloat16) == pytest.approx(512**3 / 0.6) and sizes == [512]
    assert speed.too_slow({"float32": 1e10, "bfloat16": 4e9}) == []
    assert speed.too_slow({"float32": 1e10, "bfloat16": 5e8}) == ["autocast"]
    assert "products in bfloat16 reach 5% of float32's" in capsys.readouterr().err
    assert "autocast" not in peers.working("rnn", 1, 3, ["autocast"])


def test_turns_are_taken_by_all():
    calls = []
    taken = speed.take_turns({name: (lambda n=name: calls.append(n)) for name in "ab"}, 0)
    assert calls == ["a", "a", "b", "b"] * 3  # three rounds; the first of two warms up
    assert taken.keys() == {"a", "b"}


def test_nothing_measured_is_one_clear_line(tmp_path):
    with pytest.raises(speed.InputError, match="make bench"):
        speed.read(tmp_path / "none.csv")
