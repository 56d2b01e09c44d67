"""What a study says before it trains, and where it writes."""

from pathlib import Path

import pytest

from charlens.cli import main
from charlens.errors import InputError
from charlens.progress import Progress
from charlens.study import study

PROSE = b'He said: "Come now, Ann!" and then he left (again).\n' * 1500


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


def test_a_short_text_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "a.txt").write_bytes(b"short\n" * 100)
    assert main(["study", str(tmp_path / "a.txt"), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "600 characters are too few" in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("status", [0, 1])
def test_the_workflow_reports_its_progress_and_its_failure(tmp_path, capsys, monkeypatch, status):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho a line\necho '1 of 4 steps (25%) done'\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setattr(study.sys, "executable", str(program))
    monkeypatch.setattr(Progress, "at", lambda self, share: print(self.label, share))
    log = tmp_path / "study.log"
    if status:
        with pytest.raises(InputError, match="study.log says why"):
            study.run_workflow(tmp_path / "study.yaml", log)
    else:
        study.run_workflow(tmp_path / "study.yaml", log)
    assert "study 0.25" in capsys.readouterr().out
    assert log.read_text().startswith("a line\n1 of 4 steps")
