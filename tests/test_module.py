"""The workflow as a module of another one, which brings a text of its own."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from project import ROOT, copy_kenlm

OUTER = f"""
configfile: "config.yaml"


rule coded:  # an input of theirs that is called as ours are
    input: code="{{name}}.py"
    output: "{{name}}.coded"
    shell: "cp {{input}} {{output}}"


module charlens:
    snakefile: "{ROOT}/Snakefile"
    prefix: "analysis"
    config: config["charlens"]


use rule * from charlens as charlens_*


rule words:
    input: "words.txt"
    output: "mine.txt"
    shell: "cp {{input}} {{output}}"


rule count:
    input: "mine.txt"
    output: "count.txt"
    shell: "wc -c < {{input}} > {{output}}"
"""
CONFIG = {
    "run": "mine",
    "use": ["mine"],
    "corpora": {
        "mine": {
            "title": "Words",
            "kind": "prose",
            "sources": [{"name": "my file", "path": "mine.txt"}],
        }
    },
    "split": {"streams": 100, "unroll": 50},
    "grid": {"types": ["lstm"], "layers": [1], "sizes": [8], "seeds": [{"values": [1]}]},
    "training": {"epochs": 2},
    "nn": {"contexts": [1, 2], "hidden": [8]},
    "ngrams": {"orders": [2, 3]},
    "claims": {"resamples": 1000},
    "cells": {"ablation": {"controls": 3, "characters": 100}},
    "figures": {
        "first_epochs": {"epochs": 1, "snapshots": 3},
        "emergence": {"corpora": ["mine"], "types": ["lstm"], "sizes": [8], "epochs": 1},
    },
}


@pytest.fixture
def outer(tmp_path) -> Path:
    """The folder of another workflow: its Snakefile, configuration and text of 300 KB."""
    (tmp_path / "Snakefile").write_text(OUTER)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"charlens": CONFIG}))
    draw = random.Random(0)
    words = ["".join(draw.choices("etaoinsh", k=draw.randint(1, 8))) for _ in range(500)]
    lines = [" ".join(draw.choices(words, k=9)) + ".\n" for _ in range(6200)]
    (tmp_path / "words.txt").write_text("".join(lines))
    copy_kenlm(tmp_path / "analysis")
    return tmp_path


def snakemake(outer: Path, *args: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", *args],
        cwd=outer,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(outer: Path, *args: str) -> str:
    process = snakemake(outer, *args)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    return output


def killed_at(outer: Path, pattern: str, *args: str) -> None:
    """Start Snakemake; SIGKILL it and its jobs as soon as a file of this pattern is there."""
    process = snakemake(outer, *args)
    while not list(outer.glob(pattern)):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert list(outer.glob(".snakemake/locks/*"))  # what would ask for --unlock


def test_everything_is_planned_below_the_prefix(outer):
    output = run(outer, "--dry-run", "charlens_all")
    made = re.findall(r"^    output: (.*)$", output, re.MULTILINE)
    made.remove("mine.txt")  # by the other workflow
    assert all(path.startswith("analysis/results/") for line in made for path in line.split(", "))
    assert "analysis/results/mine/report.html" in made


def test_a_text_that_another_rule_makes(outer):
    """It is made first, once, and again where what it is made from is newer."""
    target = "analysis/results/mine/corpora/mine.npz"
    assert "rule words:" in run(outer, "--dry-run", target)
    run(outer, target)
    assert "Nothing to be done" in run(outer, target)
    (outer / "words.txt").write_text((outer / "words.txt").read_text() + "One more line.\n" * 999)
    jobs = run(outer, "--dry-run", target)
    assert "rule words:" in jobs and "rule charlens_split:" in jobs


def test_a_killed_run_resumes_without_unlocking(outer):
    target = "analysis/results/mine/tables/table2.csv"
    killed_at(outer, "analysis/results/mine/models/**/checkpoint.pt", target)
    # A job that was just ending may have left its files: Snakemake asks the outer run about them.
    run(outer, target, "count", "--rerun-incomplete")
    assert (outer / target).is_file()
    assert int((outer / "count.txt").read_text()) == (outer / "mine.txt").stat().st_size
    assert "Nothing to be done" in run(outer, target)
    made = {path.name for path in outer.iterdir()}
    assert made == {".snakemake", "Snakefile", "analysis", "config.yaml", "count.txt", "mine.txt",
                    "words.txt"}  # fmt: skip


def test_a_second_run_waits_for_the_first(outer):
    target = "analysis/results/mine/tables/table2.csv"
    first = snakemake(outer, target)
    while not list(outer.glob(".snakemake/locks/*")) and first.poll() is None:
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGSTOP)  # it must not end before the second has begun
    second = snakemake(outer, target)
    assert "cannot be locked" in second.communicate()[0] and second.returncode != 0
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()


@pytest.mark.full
def test_every_table_figure_and_the_report(outer):
    killed_at(outer, "analysis/results/mine/models/**/checkpoint.pt", "charlens_all")
    run(outer, "charlens_all")
    results = outer / "analysis/results/mine"
    for name in ("tables/table1.csv", "tables/claims.html", "figures/figure6.png", "report.html"):
        assert (results / name).stat().st_size > 0
    assert "Nothing to be done" in run(outer, "charlens_all")
