"""A study of a text in two scripts, end to end: models of Unicode characters, one with a cell of
one's own (test_own_cell.py looks at all that is made of such a type)."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from project import ROOT, copy_kenlm
from test_own_cell import CELL

from charlens.networks import model_file
from charlens.study import plan, study
from charlens.text import symbols

NAMES = ["Анна", "Пьер", "Ёжик", "王明", "李华"]
VERBS = ["сказала", "ушёл", "смотрит", "看见了", "знает"]
LETTERS = [chr(0x4E00 + 7 * k) for k in range(300)]  # more than codes of one byte have room for


def story(sentences: int, seed: int = 0) -> str:
    """Sentences with quotations, parentheses and capitals, in characters of one to four bytes."""
    draw = random.Random(seed)
    parts = []
    for _ in range(sentences):
        said = "".join(draw.choices(LETTERS, k=3))
        parts.append(f"{draw.choice(NAMES)} {draw.choice(VERBS)}: «{said}» (да) 😀.\n")
    return "".join(parts)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of a study of very small networks."""
    folder = tmp_path_factory.mktemp("unicode")
    for name in ("Snakefile", "config.yaml", "profiles", "src", "workflow"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    copy_kenlm(folder)
    text = story(1000)
    (folder / "text.txt").write_text(text, encoding="utf-8")
    chosen = plan.Plan(("lstm",), streams=10, layers=(1,), sizes=(8,), epochs=2, seconds=0)
    config = plan.configuration("own", "Story", "prose", "characters", "text.txt", chosen)
    config["ngrams"] = {"orders": [2, 3]}
    config["nn"] = {"contexts": [1], "hidden": [8]}
    config["grid"]["types"].append("leaky")
    config["cells"] = {"gates": ["lstm", "leaky"]}
    (folder / "cells").mkdir()
    (folder / "cells/leaky.py").write_text(CELL)
    (folder / "own.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--configfile", "own.yaml", "--cores", "2"]
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "results/own"


def test_all_models_predict_characters(finished):
    info = json.loads((finished / "corpora/text.json").read_text())
    text = story(1000)
    assert info["symbols_are"] == "characters" and info["characters"] == len(text)
    assert info["symbols"] == len(set(text)) > 255
    for path in finished.rglob("model.safetensors"):
        about = model_file.about(path)
        assert symbols.text_of(symbols.alphabet_of(about)) == "".join(sorted(set(text)))
    for table in ("table1", "table2"):
        rows = pd.read_csv(finished / f"tables/{table}.csv")
        assert (rows["loss"] < np.log(info["symbols"])).all()
        each = rows["bytes_per_character"]
        assert abs(each - len(text.encode()) / len(text)).max() < 0.05  # of the test text
        assert "bits/byte" in (finished / f"tables/{table}.html").read_text()


def test_the_users_own_cell_is_where_the_others_are(finished):
    for table in ("tables/table1", "figures/figure1", "tables/inside", "tables/gates"):
        assert "leaky" in set(pd.read_csv(finished / f"{table}.csv")["type"]), table
    assert "LEAKY" in (finished / "tables/table1.html").read_text()
    assert "LEAKY" in (finished / "figures/types.svg").read_text()
    assert "leaky" not in set(
        pd.read_csv(finished / "tables/left_out.csv")["type"]
    )  # it lacks nothing


def test_labels_and_pages_are_of_characters(finished):
    found = json.loads((finished / "cells/text.json").read_text())
    searched = {h["hypothesis"] for h in found["hypotheses"] if h["searched"]}
    assert searched >= {"quote", "parenthesis"}
    for passage in found["passages"]:
        assert len(passage["text"]) == len(passage["values"])
        assert passage["text"] in story(1000)
    report = (finished / "report.html").read_text()
    assert "bits per byte" in report and "different" in report
    assert "\ufffd" not in report
    assert '"symbols_are":"characters"' in (finished / "explorer/text.html").read_text()


def test_a_study_says_what_it_predicts(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.txt").write_text(story(2500), encoding="utf-8")
    monkeypatch.setattr(study, "run_workflow", lambda *args: None)
    monkeypatch.setattr(plan, "rates", lambda *args: None)
    chosen = plan.Plan(plan.TYPES, streams=10, layers=(1,), sizes=(8,), epochs=5, seconds=60)
    monkeypatch.setattr(plan, "plan", lambda *args: chosen)
    monkeypatch.setattr(study, "PROJECT", ROOT)
    monkeypatch.setattr(study, "prepare", lambda folder, run: folder.mkdir())
    study.study([str(tmp_path / "a.txt")], 1, None, tmp_path / "out")
    said = capsys.readouterr().out
    assert "what models predict: Unicode characters, 3" in said
    assert " characters, 10 streams" in said
    assert "inside quotes" in said and "too little" not in said.split("inside quotes")[1][:60]
    settings = json.loads((tmp_path / "out/study.yaml").read_text())
    assert settings["corpora"]["text"]["symbols"] == "characters"
