"""What a study says before it trains, and where it writes."""

import json
import os
import re
from contextlib import nullcontext
from pathlib import Path

import pytest

from charlens.cli import main
from charlens.errors import InputError
from charlens.study import study

PROSE = b'He said: "Come now, Ann!" and then he left (again).\n' * 1500
CELL = "from charlens.networks.cells.rnn import recurrent_shapes, step\nGATES, STATES = 1, ('h',)\n"


def test_what_the_test_text_holds():
    lines = study.prospects(PROSE, "prose", 10)
    quotes = next(line for line in lines if line.startswith("inside quotes"))
    assert "% of the test text" in quotes and "too little" not in quotes
    without = study.prospects(PROSE.replace(b'"', b""), "prose", 10)
    assert any(line.startswith("inside quotes: 0.0%") and "too little" in line for line in without)


def test_where_it_writes(tmp_path):
    inside = study.PROJECT / "results"
    assert study.run_name(inside / "mine") == "mine"
    with pytest.raises(InputError, match="can be no run"):
        study.run_name(inside / "reference")
    elsewhere = study.run_name(tmp_path / "my texts")
    assert elsewhere.startswith("my-texts-") and elsewhere != study.run_name(Path("/my texts"))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/texts/book.txt", "study-book"),
        ("/texts/My Novel.txt", "study-My-Novel"),
        ("/texts/pg2600.utf8.txt", "study-pg2600-utf8"),
        ("/texts/notes/**/*.txt", "study-notes"),
        ("/texts/война.txt", "study-text"),
        (f"/texts/{'long' * 20}.txt", f"study-{'long' * 8}lo"),
        ("/texts/study", "study-study"),
        ("/texts/../notes/.", "study-notes"),
    ],
)
def test_the_folder_is_named_after_the_first_path(path, name):
    folder = study.default_folder(path)
    assert folder == study.PROJECT / "results" / name
    assert study.run_name(folder) == name


def test_what_is_in_the_folder_already_stays(tmp_path, capsys, monkeypatch):
    """A study goes on in its own folder or in an empty one, and in no other."""
    monkeypatch.setattr(study, "PROJECT", tmp_path)
    monkeypatch.setattr(study, "planned", lambda *_: {"grid": {"layers": [1], "sizes": [64]}})
    monkeypatch.setattr(study, "run_workflow", lambda *_: None)
    (tmp_path / "Snakefile").touch()
    for name in ("a/book.txt", "b/book.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(PROSE)
    folder = tmp_path / "results/study-book"
    assert main(["study", str(tmp_path / "a/book.txt")]) == 0
    planned = (folder / "study.json").read_bytes()
    assert main(["study", str(tmp_path / "a/book.txt")]) == 0
    assert "as planned before" in capsys.readouterr().out
    assert main(["study", str(tmp_path / "b/book.txt")]) == 1
    assert "study-book holds another study of" in capsys.readouterr().err
    assert (folder / "study.json").read_bytes() == planned
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "text.txt").write_text("my own")
    assert main(["study", str(tmp_path / "a/book.txt"), "--out", str(mine)]) == 1
    assert "mine is not empty, and holds no study" in capsys.readouterr().err
    assert [path.name for path in mine.iterdir()] == ["text.txt"]
    (mine / "text.txt").unlink()
    assert main(["study", str(tmp_path / "a/book.txt"), "--out", str(mine)]) == 0


def test_a_file_whose_name_is_no_text_has_a_title(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "PROJECT", tmp_path)
    monkeypatch.setattr(study, "run_workflow", lambda *_: None)
    titles = []
    grid = {"grid": {"layers": [1], "sizes": [64]}}
    monkeypatch.setattr(study, "planned", lambda run, title, *_: titles.append(title) or grid)
    (tmp_path / "Snakefile").touch()
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    path.write_bytes(PROSE)
    assert main(["study", str(path), "--out", str(tmp_path / "out")]) == 0
    assert titles == ["caf\ufffd.txt"]


def test_a_short_text_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "a.txt").write_bytes(b"short\n" * 100)
    assert main(["study", str(tmp_path / "a.txt"), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "600 characters are too few" in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("type", ["nothing", "lstm+block", "../lstm"])
def test_a_type_that_is_not_there_is_refused_in_one_line(tmp_path, capsys, type):
    (tmp_path / "a.txt").write_bytes(PROSE)
    out = tmp_path / "out"
    assert main(["study", str(tmp_path / "a.txt"), "--type", type, "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert f"--type {type}: no such cell type; there are lstm, rnn, gru, mingru" in said
    assert said.count("\n") == 1 and not out.exists()


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("GATES = 1\ndef step(:\n", "mine.py, line 2: invalid syntax"),
        ("", "mine.py has no GATES"),
        (CELL + "import nowhere\n", "mine.py cannot be imported (ModuleNotFoundError: No module"),
        (CELL + "NUMBER = 1 / 0\n", "mine.py cannot be imported (ZeroDivisionError: division by"),
    ],
)
def test_a_type_of_ones_own_that_cannot_be_used_is_refused_in_one_line(
    tmp_path, monkeypatch, capsys, cell, words
):
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells/mine.py").write_text(cell)
    (tmp_path / "Snakefile").touch()
    (tmp_path / "a.txt").write_bytes(PROSE)
    monkeypatch.setattr(study, "PROJECT", tmp_path)
    assert main(["study", str(tmp_path / "a.txt"), "--type", "mine"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("charlens: error: --type mine: ") and words in said
    assert said.count("\n") == 1 and not (tmp_path / "results").exists()


@pytest.mark.parametrize("minutes", ["inf", "nan", "-1", "0", "1e300", "-inf"])
def test_minutes_that_are_none_are_refused_in_one_line(tmp_path, monkeypatch, capsys, minutes):
    monkeypatch.setattr(study, "study", lambda *_: None)
    assert main(["study", "a.txt", f"--minutes={minutes}"]) == 1
    said = capsys.readouterr().err
    assert "--minutes: expected a number, at least 0.1 and at most " in said
    assert said.count("\n") == 1


def test_types_beside_the_papers_are_planned_wherever_the_command_is_given(
    tmp_path, monkeypatch, capsys
):
    """One of the package, and one of the user's own, which lies beside the Snakefile."""
    own = tmp_path / "project"
    (own / "cells").mkdir(parents=True)
    gru = (study.PROJECT / "src/charlens/networks/cells/gru.py").read_text()
    (own / "cells/lightgru.py").write_text(gru.replace('NAME = "GRU"', 'NAME = "Light"'))
    (own / "Snakefile").touch()
    (tmp_path / "a.txt").write_bytes(PROSE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study, "PROJECT", own)
    monkeypatch.setattr(study, "run_workflow", lambda *_: None)
    command = ["study", "a.txt", "--minutes", "1", "--out", "out"]
    assert main([*command, "--type", "minlstm", "--type", "lightgru", "--type", "lstm"]) == 0
    its = json.loads((tmp_path / "out/study.yaml").read_text())
    assert its["grid"]["types"] == ["lstm", "gru", "rnn", "minlstm", "lightgru"]
    assert its["figures"]["types"] == ["minlstm", "lightgru"]
    said = capsys.readouterr().out
    assert re.search(r"^\d+ networks \(LSTM, GRU, RNN, minLSTM, \w+\), layers", said, re.MULTILINE)
    assert main([*command, "--type", "minlstm"]) == 0  # planned anew
    its = json.loads((tmp_path / "out/study.yaml").read_text())
    assert its["grid"]["types"] == ["lstm", "gru", "rnn", "minlstm"]


@pytest.mark.parametrize("fails", [False, True])
def test_the_workflow_reports_its_progress_and_its_failure(tmp_path, capsys, monkeypatch, fails):
    """A workflow of two jobs, run as a study runs its own, under the project's logger."""
    (tmp_path / "profiles/default").mkdir(parents=True)
    (tmp_path / "profiles/default/config.yaml").write_text("logger: [charlens]\n")
    (tmp_path / "Snakefile").write_text(
        "rule last:\n    input: 'first.txt'\n    output: 'last.txt'\n"
        f"    shell: '{'exit 1' if fails else 'touch {output}'}'\n"
        "rule first:\n    output: 'first.txt'\n    shell: 'touch {output}'\n"
    )
    settings, log = tmp_path / "study.yaml", tmp_path / "study.log"
    settings.write_text("{}")
    monkeypatch.setattr(study, "PROJECT", tmp_path)
    with pytest.raises(InputError, match="study.log says why") if fails else nullcontext():
        study.run_workflow(settings, log)
    said = capsys.readouterr().err
    assert re.search(r"^2 jobs, about .* left$", said, re.MULTILINE)
    assert re.search(r"^\[1/2\] first: .* left$", said, re.MULTILINE)
    assert ("[2/2] last" in said) != fails
    assert log.read_text() == said
