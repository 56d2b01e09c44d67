"""What a study says before it trains, and where it writes."""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest

from charlens.cli import main
from charlens.errors import InputError
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
