"""The table of what each rule of a run cost."""

import csv
import json

import pytest

from charlens import cli
from charlens.bench import rules
from charlens.errors import InputError


def measured(path, rule, **values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rule_name": rule} | values) + "\n")


def test_each_rule_has_a_row(tmp_path, capsys):
    here = tmp_path / "benchmarks"
    measured(here / "train/a.jsonl", "train", cpu_time=2.04, s=3.0, max_rss=200.0)
    measured(here / "train/b.jsonl", "train", cpu_time=4.0, s=5.0, max_rss=150.0)
    measured(here / "table1.jsonl", "table1", cpu_time=8.0, s=1.5, max_rss=99.96)
    measured(here / "select/a.jsonl", "select", cpu_time=None, s=0.04, max_rss="NA")
    assert cli.main(["bench-rules", str(tmp_path), "--out", str(tmp_path / "rules.csv")]) == 0
    assert "train: 2 jobs, 6 CPU seconds, 8 s, 200 MB" in capsys.readouterr().out
    with open(tmp_path / "rules.csv") as file:
        assert list(csv.reader(file)) == [
            ["rule", "jobs", "cpu_s", "wall_s", "max_rss_mb"],
            ["table1", "1", "8.0", "1.5", "100.0"],
            ["train", "2", "6.0", "8.0", "200.0"],
            ["select", "1", "0.0", "0.0", "0.0"],
        ]


@pytest.mark.parametrize("content", ["{", "[]", '{"rule_name": "train", "s": {}}'])
def test_a_damaged_benchmark_is_named(tmp_path, content):
    with pytest.raises(InputError, match="no benchmarks"):
        rules.costs(tmp_path)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/a.jsonl").write_text(content)
    with pytest.raises(InputError, match="a.jsonl: no benchmark"):
        rules.costs(tmp_path)
