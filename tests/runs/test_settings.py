"""The settings: what is refused before any job starts, and how they are kept."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from charlens.errors import InputError
from charlens.runs import grid, schema, settings, values
from charlens.store import models
from charlens.text.hypotheses import labellings

ROOT = Path(__file__).parents[2]
PAPER = yaml.safe_load((ROOT / "config.yaml").read_text())


def merged(below, above):
    """How Snakemake lays one configuration over another."""
    both = copy.deepcopy(below)
    for key, value in above.items():
        both[key] = merged(both.get(key, {}), value) if isinstance(value, dict) else value
    return both


def made(**change):
    return settings.make(merged(PAPER, change))


def refused(change) -> list[str]:
    with pytest.raises(InputError) as error:
        settings.make(merged(PAPER, change))
    return str(error.value).splitlines()


@pytest.mark.parametrize("path", ["config.yaml", "demo.yaml", "tests/tiny.yaml"])
def test_our_own_configurations_pass(path):
    made(**yaml.safe_load((ROOT / path).read_text()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 10}, ["epochs", "unknown key; did you mean training.epochs or adamw.epochs?"]),
        ({"training": {"epoch": 10}}, ["training.epoch", "unknown key; there are epochs, learn"]),
        ({"corpora": {"wp": {"titel": "x"}}}, ["corpora.wp.titel", "there are title, "]),
        ({"grid": {"seeds": [1]}}, ["grid.seeds.0", "({key: value}) of corpora, types", "got 1"]),
        ({"figures": None}, ["figures", "({key: value}) of tsne, ", "got None"]),
        ({"run": "my run"}, ["run", "letters, digits, _ and -", "got 'my run'"]),
        ({"grid": {"types": ["LSTM"]}}, ["grid.types.0", "lower case letters", "got 'LSTM'"]),
        ({"training": {"epochs": 0}}, ["training.epochs", "0"]),
        ({"training": {"epochs": "fifty"}}, ["training.epochs", "whole number", "fifty"]),
        ({"training": {"epochs": "1e1"}}, ["training.epochs", "whole number", "1e1"]),
        ({"training": {"epochs": True}}, ["training.epochs", "whole number", "True"]),
        ({"training": {"clip": True}}, ["training.clip", "number", "True"]),
        ({"training": {"learning_rate": -1}}, ["training.learning_rate", "-1"]),
        ({"split": {"layout": "stream"}}, ["split.layout", "stream"]),
        ({"grid": {"layers": [0]}}, ["grid.layers.0", "0"]),
        ({"grid": {"seeds": []}}, ["grid.seeds"]),
        ({"grid": {"types": ["gru"]}}, ["grid.types", "lstm"]),
        ({"grid": {"seeds": [{"corpora": ["wp"], "values": [1]}]}}, ["grid.seeds", "lstm 1x512"]),
        ({"grid": {"dropout": [{"sizes": [64], "values": [0.0]}]}}, ["grid.dropout", "512"]),
        ({"grid": {"dropout": [{"values": [1.0]}]}}, ["grid.dropout.0.values.0", "1.0"]),
        ({"ngrams": {"orders": [2, 22]}}, ["ngrams.orders.1", "22"]),
        ({"contiguous_split": {"orders": [11]}}, ["contiguous_split.orders.0", "11"]),
        ({"reshuffles": {"orders": [11]}}, ["reshuffles.orders.0", "11"]),
        ({"training": {"epochs": 5.0}}, ["training.epochs", "5.0", "whole number"]),
        ({"grid": {"sizes": [64.0]}}, ["grid.sizes.0", "64.0"]),
        ({"training": {"learning_rate": float("nan")}}, ["training.learning_rate", "nan"]),
        ({"figures": {"tsne": {"seed": 2**32}}}, ["figures.tsne.seed", "4294967296"]),
        (
            {"cells": {"record": {"streams": [0, 100]}}},
            ["cells.record.streams.1", "0 to 99", "100"],
        ),
        (
            {"corpora": {"wp": {"sources": [{"name": "x", "package": {"module": "torch"}}]}}},
            ["corpora.wp.sources.0.package", "either attribute or glob"],
        ),
        ({"claims": {"resamples": 100}}, ["claims.resamples", "100"]),
        ({"run": "reference"}, ["run", "reference"]),
        ({"bootstrap": {"samples": 1}}, ["bootstrap.samples", "1"]),
        ({"use": ["war"]}, ["use", "war", "wp, lk"]),
        ({"use": ["wp", "wp"]}, ["use"]),
        ({"corpora": {"wp": {"fractions": [0.8, 0.1, 0.2]}}}, ["corpora.wp.fractions", "add up"]),
        (
            {"corpora": {"wp": {"sources": [{"name": "x", "path": "a", "sha256": "abc"}]}}},
            ["corpora.wp.sources.0.sha256", "abc"],
        ),
        (
            {"corpora": {"wp": {"sources": [{"name": "x", "path": "a", "url": "http://b"}]}}},
            ["corpora.wp.sources.0", "path and url"],
        ),
        ({"corpora": {"wp": {"sources": [{"name": "x"}]}}}, ["corpora.wp.sources.0", "no url"]),
        (
            {"figures": {"first_epochs": {"corpora": ["prosa"]}}},
            ["figures.first_epochs.corpora", "prosa"],
        ),
        ({"contiguous_split": {"corpora": ["wpp"]}}, ["contiguous_split.corpora", "wpp"]),
        ({"reshuffles": {"corpora": ["wpp"]}}, ["reshuffles.corpora", "wpp"]),
        (
            {"grid": {"seeds": [{"corpora": ["wpp"], "values": [2]}, {"values": [1]}]}},
            ["grid.seeds.0.corpora", "wpp"],
        ),
        ({"grid": {"types": ["lstm", "foo"]}}, ["grid.types.1", "foo", "gru, lstm, mamba"]),
        ({"grid": {"omit": [{"type": "rrn", "size": 512}]}}, ["grid.omit.0.type", "rrn", "rnn"]),
        (
            {"grid": {"seeds": [{"types": ["lstmm"], "values": [1]}]}},
            ["grid.seeds.0.types.0", "lstmm"],
        ),
        (
            {"contiguous_split": {"recurrent": [{"type": "lstmm"}]}},
            ["contiguous_split.recurrent.0.type", "lstmm"],
        ),
        ({"cells": {"gates": ["lstm", "gri"]}}, ["cells.gates.1", "gri"]),
        (
            {"figures": {"emergence": {"types": ["lstm", "lstm+block+adamw"]}}},
            ["figures.emergence.types.1", "lstm+block+adamw", "AdamW recipe"],
        ),
        ({"cells": {"shifts": 100}}, ["cells.shifts", "100", "239"]),
        (
            {
                "cells": {
                    "passages": {"wp": [{"hypothesis": "quotes", "begins": "a", "characters": 50}]}
                }
            },
            ["cells.passages.wp.0.hypothesis", "quotes"],
        ),
        ({"corpora": {"a b": PAPER["corpora"]["wp"]}}, ["corpora.a b", "a b"]),
        ({"use": None}, ["use", "list", "None"]),
        ({"grid": {"omit": [{}]}}, ["grid.omit.0", "type, layers or size"]),
        ({"grid": {"omit": [{"type": "lstm"}]}}, ["grid.omit", "lstm"]),
        ({"plain_cut": {"orders": [3]}}, ["plain_cut", "contiguous_split"]),
        ({"figures": {"young_lstm": {}}}, ["figures.young_lstm", "figures.first_epochs"]),
        (
            {"figures": {"first_epochs": {"looks": 3}}},
            ["figures.first_epochs.looks", "figures.first_epochs.snapshots"],
        ),
        ({"backend": "gpu"}, ["backend", "gpu"]),
        ({"run": "../elsewhere"}, ["run"]),
        ({"run": "kenlm"}, ["run"]),
    ],
)
def test_what_is_wrong_is_named_in_one_line(change, words):
    (line,) = refused(change)
    assert all(word in line for word in words), line
    assert line.startswith(f"{words[0]}:"), line


def test_every_mistake_has_a_line_of_its_own():
    lines = refused(
        {
            "epochs": 3,
            "use": ["war"],
            "grid": {"sizes": [64, 0]},
            "training": {"clip": -1, "decay": 2},
            "ngrams": {"orders": [2]},
        }
    )
    keys = [line.partition(":")[0] for line in lines]
    assert keys == ["grid.sizes.1", "training.decay", "training.clip", "epochs", "use"]


def test_a_missing_key_is_named():
    incomplete = {key: value for key, value in PAPER.items() if key != "explorer"}
    with pytest.raises(InputError, match="^explorer: missing"):
        settings.make(incomplete)


@pytest.mark.parametrize("name", ["a\n", "a" * 300, "-x", "a b", "a/b", "..", "{a}", "a;b", ""])
def test_names_are_parts_of_paths_and_commands(name):
    for change, key in (
        ({"run": name}, "run"),
        ({"corpora": {name: PAPER["corpora"]["wp"]}}, "corpora"),
        ({"grid": {"types": ["lstm", name]}}, "grid.types.1"),
    ):
        (line,) = refused(change)
        assert key in line


def test_numbers_may_be_text():
    """As --config gives them, and as YAML reads 1e-3."""
    its = made(
        training={"epochs": "7", "learning_rate": "1e-3", "clip": "5"}, grid={"sizes": ["64"]}
    )
    assert its.training.epochs == 7 and its.training.learning_rate == 1e-3
    assert its.training.clip == 5.0 and its.grid.sizes == [64]


@pytest.mark.parametrize("value", ["1_0", "٣", "nan", "1e", "0x1"])
def test_only_plain_numbers_may_be_text(value):
    with pytest.raises(InputError, match="training.learning_rate: expected"):
        made(training={"learning_rate": value})


def test_a_text_of_ones_own_is_not_compared_with_the_paper():
    with pytest.raises(InputError, match=r"corpora.wp.sources.0: wp is a text of the paper"):
        made(corpora={"wp": {"sources": [{"name": "mine", "path": "mine.txt"}]}})
    copy = {"name": "a copy", "path": "wp.txt", "bytes": 3258246}
    made(corpora={"wp": {"sources": [copy]}})


def test_a_key_that_occurs_twice_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("a: &a {b: 1}\nc: {<<: *a, b: 2}\nd: {b: 1}\n")
    settings.refuse_duplicates(path)
    path.write_text("training: {epochs: 1}\nuse: [wp]\ntraining: {clip: 3}\n")
    with pytest.raises(InputError, match="mine.yaml, line 3: training occurs twice"):
        settings.refuse_duplicates(path)


def test_results_of_other_settings_are_not_taken_over(tmp_path):
    path = tmp_path / "settings.json"
    settings.refuse_others(made(), path)  # there are none
    settings.write(made(), path)
    settings.refuse_others(made(mirror="elsewhere"), path)
    settings.refuse_others(made(networks_per_job=6), path)
    with pytest.raises(InputError, match=r"other settings \(training.epochs\)"):
        settings.refuse_others(made(training={"epochs": 7}), path)


def test_a_cell_type_that_is_no_python_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "CELLS", tmp_path)
    own = tmp_path / "own.py"
    own.write_text("GATES = 1\ndef step(:\n")
    with pytest.raises(ValueError, match=r"own.py, line 2: invalid syntax"):
        values.cell_type("own")
    own.write_text("GATES = 1\nwider = STATES\ndef step(): pass\n")
    with pytest.raises(ValueError, match=r"own.py has no STATES;"):
        values.cell_type("own")
    own.write_text(
        "from charlens.networks.cells.rnn import recurrent_shapes, step\n"
        "GATES, STATES = 1, ('h',)\n"
    )
    assert values.cell_type("own") == "own"
    (tmp_path / "nn.py").write_text("")
    with pytest.raises(ValueError, match="cannot be called nn"):
        values.cell_type("nn")


def test_a_file_with_a_fault_is_named_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells/lstm.py").write_text("")
    (line,) = refused({})
    assert line.endswith("cells/lstm.py is not used: there is a type of that name; rename the file")


def test_no_corpus_needs_first_epochs():
    assert made(figures={"first_epochs": {"corpora": []}}).figures.first_epochs.corpora == []


def test_a_cell_type_may_lie_beside_the_run(tmp_path, monkeypatch):
    """In cells/ of the working folder, where the package is left alone."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no cell type 'mine'"):
        values.cell_type("mine")
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells/mine.py").write_text(
        "from charlens.networks.cells.rnn import recurrent_shapes, step\n"
        "GATES, STATES = 1, ('h',)\nVERSION = 3\n"
    )
    assert values.cell_type("mine") == "mine" and values.cell_type("mine+block") == "mine+block"


def test_a_cell_file_that_would_not_be_read_is_refused(tmp_path, monkeypatch):
    """One that a type of the package hides, and what is written so that only Python reads it."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "cells/mine.py"
    own.parent.mkdir()
    cell = "from charlens.networks.cells.rnn import recurrent_shapes, step\n"
    cell += "GATES, STATES = 1, ('h',)\n"
    for line in (
        "VERSION = 1 + 1",
        "VERSION = '2'",
        "VERSION: int",
        "if GATES:\n    MEMORY = None",
        "MEMORY = STATES[0]",
        "MEMORY, VERSION = None, 1",
        "NAME = 'my'.upper()",
        "GATE_WORDS = dict(r='recurrence')",
        "from charlens.networks.cells.mamba import MEMORY",
    ):
        own.write_text(f"{cell}{line}\n")
        with pytest.raises(ValueError, match=r"write (\w+) as in `\1 = ") as refused:
            values.cell_type("mine")
        assert str(refused.value).split(" write ")[1].split()[0] in line
    own.write_text(f"{cell}VERSION: int=2  # again\nMEMORY=None\n")
    assert values.cell_type("mine") == "mine"
    own.rename(own.with_name("gru.py"))
    with pytest.raises(ValueError, match="cells/gru.py is not used"):
        values.cell_type("gru")


def test_the_modern_run_is_sound():
    modern = yaml.safe_load((ROOT / "modern.yaml").read_text())
    its = settings.make(merged(PAPER, modern))
    keys = grid.recurrent(its, "wp")
    assert len(keys) == 10 * 3 * 2 + 10 * 3
    assert {key.type for key in keys if key.layers == 2 and key.size == 128} >= {
        "transformer", "transformer+block", "lstm+adamw", "mamba+block+adamw",
    }  # fmt: skip


def test_orders_of_the_contiguous_split_matter_only_where_it_is_compared():
    off = {"corpora": []}
    made(split={"layout": "contiguous"}, ngrams={"orders": [2, 3]}, reshuffles=off)
    made(use=["mine"], corpora={"mine": PAPER["corpora"]["wp"]}, ngrams={"orders": [2]})


def test_passages_may_be_of_every_hypothesis():
    allowed = schema.Passage.model_fields["hypothesis"].annotation.__args__
    known = {name for kind in ("prose", "code") for name in labellings(b"a b", kind)}
    assert set(allowed) == known | {"none"}


def test_a_corpus_may_be_trained_in_its_own_way():
    its = made(corpora={"wp": {"training": {"epochs": 7}}})
    assert its.training_of("wp")["epochs"] == its.training_of("wp.contiguous")["epochs"] == 7
    assert its.training_of("wp")["clip"] == its.training_of("lk")["clip"] == 5.0
    assert its.training_of("lk")["epochs"] == 50


def test_a_twin_is_split_contiguously():
    its = made()
    assert its.split_of("wp") == {"layout": "streams", "streams": 100, "unroll": 100}
    assert its.split_of("wp.contiguous") == its.split_of("wp") | {"layout": "contiguous"}


def test_settings_are_kept_beside_the_results(tmp_path):
    path = tmp_path / "settings.json"
    settings.write(made(run="kept", training={"epsilon": 1e-9}), path)
    assert settings.read(path) == made(run="kept", training={"epsilon": 1e-9})
    before = path.stat().st_mtime_ns
    settings.write(settings.read(path), path)
    assert path.stat().st_mtime_ns == before
    # they are a whole configuration, which changes nothing over the paper's
    assert settings.make(merged(PAPER, json.loads(path.read_text()))) == settings.read(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "not the settings"), ("[]", "not the settings"), ('{"run": 1}', "run: expected")],
)
def test_unusable_settings_are_named(tmp_path, content, said):
    path = tmp_path / "settings.json"
    with pytest.raises(InputError, match="settings.json is missing"):
        settings.read(path)
    path.write_text(content)
    with pytest.raises(InputError, match=f"settings.json: {said}"):
        settings.read(path)


def test_published_settings_compare_equal_to_those_of_the_paper():
    published = json.loads((ROOT / "results/reference/settings.json").read_text())
    published.pop("analysis", None)  # how losses are analysed keeps no models apart
    assert published.pop("hidden") == made().nn.hidden  # nor do candidates still to be tried
    assert settings.comparable(made()) == published
    assert settings.comparable(made(backend="reference")) == published
    assert settings.comparable(made(training={"epochs": 9})) != published


def test_options():
    values = {"decay_after": 10, "layout": "two words"}
    assert settings.options(values) == "--decay-after 10 --layout 'two words'"
    assert settings.options(made().bootstrap) == "--samples 100 --seed 0"


def test_the_documented_schema_is_that_of_the_settings():
    """`make format` writes it."""
    written = (ROOT / "workflow/schemas/config.schema.json").read_text()
    assert json.loads(written) == settings.schema()


def test_the_schema_says_what_every_key_is():
    text = json.dumps(settings.schema())
    for word in ("RMSProp", "Row of table 1", "Bound on each element of the gradient"):
        assert word in text
