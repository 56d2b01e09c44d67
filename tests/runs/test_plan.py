"""The configuration: what it asks for, and what is refused before any job starts."""

import copy
from pathlib import Path

import pytest
import yaml

from charlens.errors import InputError
from charlens.runs import plan

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow/schemas/config.schema.json"
PAPER = yaml.safe_load((ROOT / "config.yaml").read_text())


def merged(below, above):
    """How Snakemake lays one configuration over another."""
    both = copy.deepcopy(below)
    for key, value in above.items():
        both[key] = merged(both.get(key, {}), value) if isinstance(value, dict) else value
    return both


@pytest.mark.parametrize("path", ["config.yaml", "demo.yaml", "tests/tiny.yaml"])
def test_our_own_configurations_pass(path):
    plan.check(merged(PAPER, yaml.safe_load((ROOT / path).read_text())), SCHEMA)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 10}, ["config", "epochs"]),
        ({"training": {"epoch": 10}}, ["training", "epoch"]),
        ({"training": {"epochs": 0}}, ["training.epochs", "0"]),
        ({"training": {"epochs": "50"}}, ["training.epochs", "50", "integer"]),
        ({"training": {"learning_rate": -1}}, ["training.learning_rate", "-1"]),
        ({"split": {"layout": "stream"}}, ["split.layout", "stream"]),
        ({"grid": {"layers": [0]}}, ["grid.layers.0", "0"]),
        ({"grid": {"seeds": []}}, ["grid.seeds"]),
        ({"grid": {"types": ["gru"]}}, ["grid.types", "lstm"]),
        ({"grid": {"seeds": [{"corpora": ["wp"], "values": [1]}]}}, ["grid.seeds", "lstm 1x512"]),
        ({"grid": {"dropout": [{"sizes": [64], "values": [0.0]}]}}, ["grid.dropout", "512"]),
        ({"grid": {"dropout": [{"values": [1.0]}]}}, ["grid.dropout.0.values.0", "1.0"]),
        ({"ngrams": {"orders": [2, 22]}}, ["ngrams.orders.1", "22"]),
        ({"plain_cut": {"orders": [11]}}, ["plain_cut.orders", "11"]),
        ({"training": {"epochs": 5.0}}, ["training.epochs", "5.0", "integer"]),
        ({"grid": {"sizes": [64.0]}}, ["grid.sizes.0", "64.0"]),
        ({"training": {"learning_rate": float("nan")}}, ["training.learning_rate", "nan"]),
        ({"figures": {"tsne": {"seed": 2**32}}}, ["figures.tsne.seed", "4294967296"]),
        ({"cells": {"record": {"streams": [0, 100]}}}, ["cells.record.streams", "100", "0 to 99"]),
        (
            {"corpora": {"wp": {"sources": [{"name": "x", "package": {"module": "torch"}}]}}},
            ["corpora.wp.sources.0"],
        ),
        ({"claims": {"resamples": 100}}, ["claims.resamples", "100"]),
        ({"run": "reference"}, ["run", "reference"]),
        ({"bootstrap": {"samples": 1}}, ["bootstrap.samples", "1"]),
        ({"use": ["war"]}, ["use", "war", "wp, lk"]),
        ({"use": ["wp", "wp"]}, ["use"]),
        ({"corpora": {"wp": {"fractions": [0.8, 0.1, 0.2]}}}, ["corpora.wp.fractions", "add up"]),
        ({"corpora": {"wp": {"sources": [{"name": "x", "sha256": "abc"}]}}}, ["sha256"]),
        (
            {"corpora": {"wp": {"sources": [{"name": "x", "path": "a", "url": "http://b"}]}}},
            ["corpora.wp.sources", "path and url"],
        ),
        ({"corpora": {"wp": {"sources": [{"name": "x"}]}}}, ["corpora.wp.sources", "no url"]),
        ({"figures": {"young_lstm": {"corpora": ["prosa"]}}}, ["figures.young_lstm", "prosa"]),
        ({"plain_cut": {"corpora": ["wpp"]}}, ["plain_cut.corpora", "wpp"]),
        ({"grid": {"seeds": [{"corpora": ["wpp"], "values": [1]}]}}, ["grid.seeds", "wpp"]),
        ({"grid": {"types": ["lstm", "foo"]}}, ["grid.types", "foo", "gru, lstm, rnn"]),
        ({"grid": {"omit": [{"type": "rrn", "size": 512}]}}, ["grid.omit", "rrn", "rnn"]),
        ({"grid": {"seeds": [{"types": ["lstmm"], "values": [1]}]}}, ["grid.seeds", "lstmm"]),
        ({"plain_cut": {"recurrent": [{"type": "lstmm"}]}}, ["plain_cut.recurrent", "lstmm"]),
        ({"cells": {"gates": ["lstm", "gri"]}}, ["cells.gates", "gri"]),
        ({"cells": {"shifts": 100}}, ["cells.shifts", "100", "239"]),
        (
            {
                "cells": {
                    "passages": {"wp": [{"hypothesis": "quotes", "begins": "a", "characters": 50}]}
                }
            },
            ["cells.passages.wp.0.hypothesis", "quotes"],
        ),
        ({"training": {"learning_rate": "1e-3"}}, ["training.learning_rate", "1.0e-3"]),
        ({"backend": "gpu"}, ["backend", "gpu"]),
        ({"run": "../elsewhere"}, ["run"]),
        ({"run": "kenlm"}, ["run"]),
    ],
)
def test_what_is_wrong_is_named_in_one_line(change, words):
    with pytest.raises(InputError) as error:
        plan.check(merged(PAPER, change), SCHEMA)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_a_text_of_the_users_own_is_an_input(tmp_path, monkeypatch):
    """So that a text that was edited is brought anew."""
    sources = [
        {"name": "none", "url": "http://a"},
        {"name": "gone", "path": str(tmp_path / "gone.txt")},
        {"name": "mine", "path": str(tmp_path / "mine.txt")},
        {"name": "made", "recipe": {"archive": str(tmp_path / "a.tar.gz"), "glob": "*"}},
        {"name": "far", "recipe": {"archive": "http://a/b.tar.gz", "glob": "*"}},
    ]
    for name in ("mine.txt", "a.tar.gz"):
        (tmp_path / name).write_text("a")
    found = plan.own_files({"corpora": {"own": {"sources": sources}}}, "own")
    assert found == [str(tmp_path / "mine.txt"), str(tmp_path / "a.tar.gz")]
    monkeypatch.setenv("HOME", str(tmp_path))
    at_home = {"corpora": {"own": {"sources": [{"name": "mine", "path": "~/mine.txt"}]}}}
    assert plan.own_files(at_home, "own") == [str(tmp_path / "mine.txt")]


def test_a_cell_that_is_no_python_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "__file__", str(tmp_path / "runs/plan.py"))
    (tmp_path / "networks/cells").mkdir(parents=True)
    (tmp_path / "networks/cells/own.py").write_text("GATES = 1\ndef step(:\n")
    with pytest.raises(InputError, match=r"^grid.types: .*own.py, line 2: invalid syntax"):
        plan.check_cell("grid.types", "own")
    (tmp_path / "networks/cells/own.py").write_text("GATES = 1\nwider = STATES\ndef step(): pass\n")
    with pytest.raises(InputError, match=r"own.py has no STATES;"):
        plan.check_cell("grid.types", "own")
    (tmp_path / "networks/cells/own.py").write_text(
        "from charlens.cells.rnn import recurrent_shapes, step\nGATES, STATES = 1, ('h',)\n"
    )
    plan.check_cell("grid.types", "own")
    (tmp_path / "networks/cells/nn.py").write_text("")
    with pytest.raises(InputError, match="cannot be called nn"):
        plan.check_cell("grid.types", "nn")


def test_a_text_cut_plainly_has_no_orders_of_a_plain_cut():
    own = {"split": {"layout": "contiguous"}, "ngrams": {"orders": [2, 3]}}
    plan.check(merged(PAPER, own), SCHEMA)


def test_what_is_cut_plainly_matters_only_where_it_is_in_use():
    mine = {"use": ["mine"], "corpora": {"mine": PAPER["corpora"]["wp"]}, "ngrams": {"orders": [2]}}
    plan.check(merged(PAPER, mine), SCHEMA)


def test_one_corpus_alone_needs_no_other_setting():
    alone = merged(PAPER, {"use": ["wp"]})
    plan.check(alone, SCHEMA)
    assert plan.young(alone) == ["wp"]
    assert plan.young(PAPER) == ["wp", "lk"]


def test_the_papers_grid_has_33_cells_a_corpus():
    cells = plan.cells(PAPER, "lk")
    assert len({(cell["type"], cell["layers"], cell["size"]) for cell in cells}) == 33
    assert {"type": "rnn", "layers": 1, "size": 512, "seed": 1} not in cells
    assert cells[0]["size"] == 512  # the longest trainings begin first


def test_linux_has_a_few_cells_of_three_seeds():
    cells = plan.cells(PAPER, "lk")
    assert len(cells) == 33 + 2 * 3
    assert {(cell["layers"], cell["size"]) for cell in cells if cell["seed"] > 1} == {(1, 64)}


def test_rows_64_and_128_of_war_and_peace_have_three_seeds():
    cells = plan.cells(PAPER, "wp")
    assert len(cells) == 33 + 2 * 18
    assert {cell["size"] for cell in cells if cell["seed"] == 3} == {64, 128}


def test_dropout_costs_at_most_twice_the_plain_grid():
    assert all(len(plan.dropouts(PAPER, cell)) <= 2 for cell in plan.cells(PAPER, "wp"))


def test_the_first_dropout_entry_that_fits_counts():
    config = {
        "grid": {
            "dropout": [
                {"types": ["gru"], "layers": [2, 3], "values": [0.1]},
                {"sizes": [64], "values": [0.2]},
                {"values": [0.3]},
            ]
        }
    }
    chosen = [
        plan.dropouts(config, {"type": type, "layers": layers, "size": size})
        for type, layers, size in [("gru", 2, 64), ("gru", 1, 64), ("lstm", 2, 128)]
    ]
    assert chosen == [[0.1], [0.2], [0.3]]


def test_a_corpus_may_be_trained_in_its_own_way():
    config = merged(PAPER, {"corpora": {"wp": {"training": {"epochs": 7}}}})
    plan.check(config, SCHEMA)
    assert plan.training(config, "wp")["epochs"] == 7
    assert plan.training(config, "wp")["clip"] == plan.training(config, "lk")["clip"] == 5.0
    assert plan.training(config, "lk")["epochs"] == 50


def test_options():
    settings = {"decay_after": 10, "layout": "two words"}
    assert plan.options(settings) == "--decay-after 10 --layout 'two words'"


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    plan.lock(tmp_path / "run")
    plan.lock(tmp_path / "other")
    with pytest.raises(InputError, match="is writing here"):
        plan.lock(tmp_path / "run")
