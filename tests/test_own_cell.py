"""A cell type of twenty lines in a folder of the user's own, named in a configuration, appears in
every table and figure. The package is left alone."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from project import ROOT, copy_kenlm

from charlens.claims.catalog import NEWER
from charlens.errors import InputError
from charlens.networks import cells, model_file, version
from charlens.units.left_out import left_out

CELL = '''"""A leaky unit with an input gate."""

import torch

VERSION = 7
GATES = 2
GATE_NAMES = ("i",)
STATES = ("h",)


def recurrent_shapes(hidden):
    return {"w_h": (hidden, hidden)}


def gates_and_state(a, state, p):
    i, g = a.chunk(2, dim=1)
    i = torch.sigmoid(i)
    return (i,), ((1 - i) * state[0] + i * torch.tanh(g + state[0] @ p["w_h"]),)


def step(a, state, p):
    return gates_and_state(a, state, p)[1]
'''
CONFIG = {
    "run": "own",
    "grid": {
        "types": ["lstm", "leaky", "blind"], "layers": [1], "dropout": [{"values": [0.0]}],
        "seeds": [{"values": [1]}],
        "variants": [{"layers": [1], "sizes": [8], "add": ["block+adamw"]}],
    },
    "adamw": {"rates": [0.01], "epochs": 2},
    "contiguous_split": {"corpora": []},
    "reshuffles": {"corpora": []},
    "nn": {"contexts": [1, 2], "hidden": [8]},
    "cells": {
        "inside": [], "gates": ["lstm", "leaky"], "ablation": {"controls": 2, "characters": 60},
    },
    "figures": {"types": ["leaky", "blind"], "emergence": {"corpora": []}},
}  # fmt: skip
TARGETS = ("table1", "figure1", "figure3", "inside", "types", "claims")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The working folder in which a small run with two types of the user's own was made."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "cells").mkdir()
    (folder / "cells/leaky.py").write_text(CELL)
    (folder / "cells/blind.py").write_text(  # without gates, or a state per unit
        "from charlens.networks.cells.rnn import GATES, STATES, recurrent_shapes, step\n"
        "MEMORY = None\n"
    )
    (folder / "own.yaml").write_text(yaml.safe_dump(CONFIG))
    copy_kenlm(folder)
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2",
        "--directory", str(folder), "--rerun-triggers", "mtime",
        "--configfile", "tests/tiny.yaml", str(folder / "own.yaml"), "--", *TARGETS,
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return folder / "results/own"


@pytest.mark.full
def test_table_1(run):
    table = pd.read_csv(run / "tables/table1.csv")
    rows = set(zip(table["type"], table["block"], table["recipe"], strict=True))
    assert {("leaky", 0, "paper"), ("leaky", 1, "adamw"), ("lstm", 1, "adamw")} <= rows
    (budget,) = table["parameters"][(table["type"] == "lstm") & (table["block"] == 0)]
    assert (table["parameters"] / budget - 1).abs().max() < 0.1
    page = (run / "tables/table1.html").read_text()
    assert ">LEAKY<" in page and ">block+adamw<" in page
    best = run / "models/code/type~leaky/layers~1/size~8/seed~1/best/model.safetensors"
    own = version.version("rnn").replace(".1", ".7")  # and a digest of the cell's code
    assert model_file.about(best)["version"].startswith(f"{own}-")


@pytest.mark.full
def test_figure_1_and_gates(run):
    assert {"leaky", "blind", "lstm"} <= set(pd.read_csv(run / "figures/figure1.csv")["type"])
    gates = pd.read_csv(run / "tables/gates.csv")
    assert set(gates["gate"][gates["type"] == "leaky"]) == {"i"}
    assert "LEAKY" in (run / "figures/figure3.svg").read_text()
    inside = pd.read_csv(run / "tables/inside.csv")
    assert {"left i", "right i"} <= set(inside["measure"][inside["type"] == "leaky"])


@pytest.mark.full
def test_units_and_ablation(run):
    units = pd.read_csv(run / "types/leaky/tables/cells.csv")
    assert set(units["model"]) == {"leaky 1x8"} and np.isfinite(units["picked"]).all()
    ablation = pd.read_csv(run / "types/leaky/tables/ablation.csv")
    assert set(ablation["model"]) <= {"leaky 1x8"}
    assert (run / "types/leaky/ablation.png").exists()
    assert "LEAKY 1x8" in (run / "types/leaky/figure2-code.svg").read_text()


@pytest.mark.full
@pytest.mark.parametrize("type", ["leaky", "blind"])
def test_figures_4_to_6(run, type):
    for figure in ("figure4", "figure5", "figure6"):
        svg = (run / f"types/{type}/{figure}.svg").read_text()
        assert f"{type.upper()} 1x8" in svg and "LSTM" not in svg, figure
        assert len(pd.read_csv(run / f"types/{type}/{figure}.csv"))


@pytest.mark.full
def test_the_explorer(run):
    page = (run / "types/leaky/explorer/code.html").read_text()
    assert "LEAKY 1×8" in page


@pytest.mark.full
def test_claims_about_types(run):
    table = pd.read_csv(run / "tables/claims.csv")
    found = table[table["claim"].isin([claim.name for claim in NEWER])]
    assert len(set(found["claim"])) == len(NEWER) - 1  # lines are counted in prose
    parts = found["where"].str.partition(": ")[2]
    for claim in ("newer beats LSTM and GRU", "depth of two helps newer types"):
        assert found["basis"][found["claim"] == claim].str.startswith("not in this run").all()
    for words in ("close far braces", "have interpretable cells", "first resemble a 1-NN"):
        claim = f"newer types {words}"
        own = found["claim"] == claim
        missing = found["basis"][own].str.startswith(("missing", "not in this run"))
        assert "LEAKY" in set(parts[own]) or missing.all(), claim
    assert "LEAKY" in (run / "figures/types.svg").read_text()


@pytest.mark.full
def test_what_a_type_lacks_is_left_out_by_name(run):
    table = pd.read_csv(run / "tables/left_out.csv")
    assert set(table["type"]) == {"blind"} and len(table) == 2
    assert not (run / "types/blind/tables").exists()


def test_the_modern_types_lack_little():
    table = left_out(["lstm", "rnn", "mingru", "mamba", "transformer+block"])
    assert table["type"].tolist() == ["rnn", "mamba", "transformer+block"]
    assert table["output"].str.startswith("gates").all()


def test_a_type_that_is_nowhere_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no recurrent cell 'leaky'; a new one is a file cells/"):
        cells.cell("leaky")
