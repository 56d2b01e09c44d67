"""What a run prints while it goes on."""

import re
import subprocess
import sys

import pytest

from charlens.runs import console

LSTM = "results/a/models/wp/type~lstm/layers~2/size~{}/seed~1/dropout~0.3/model.safetensors"


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(console, "TRAININGS", {})
    return console.Run(clock=Clock(), cores=1)


def test_jobs_of_one_kind_take_what_they_took(run):
    assert run.plan({"score": 4, "all": 1, "total": 5}).startswith("4 jobs, about")
    run.start(1, "score", {"corpus": "wp"}, ["results/a/tables/x.csv"], [])
    run.clock.now = 20.0
    assert run.finish(1) == ["[1/4] score wp: 20 s; about 60 s left"]
    run.start(2, "score", {"corpus": "wp"}, [], [])
    run.clock.now = 25.0
    assert run.seconds_left() == pytest.approx(55)
    run.cores = 2
    assert run.seconds_left() == pytest.approx(27.5)
    run.clock.now = 100.0  # longer than expected: nothing is subtracted twice
    assert run.seconds_left() == pytest.approx(20)


def test_a_training_counts_by_its_work(run):
    console.TRAININGS.update({LSTM.format(64): 10, LSTM.format(512): 1000})
    run.plan({"train": 2, "total": 2})
    run.start(1, "train", {}, [LSTM.format(64)], [])
    run.clock.now = 5.0
    said = run.finish(1)
    assert said == ["[1/2] train wp LSTM 2x64, dropout 0.3: 5 s; about 8 min left"]
    assert run.seconds_left() == pytest.approx(500)


def test_a_guess_is_scaled_by_how_far_off_others_were(run):
    run.plan({"cells": 1, "figure1": 10, "total": 11})
    before = run.seconds_left()
    first = console.JOBS["cells"]
    assert before == pytest.approx(first + 10 * console.JOB)
    run.start(1, "cells", {}, [], [])
    run.clock.now = 2 * first
    run.finish(1)
    scale = (console.TRUST + 2 * first) / (console.TRUST + first)
    assert run.seconds_left() == pytest.approx(scale * 10 * console.JOB)


def test_a_slow_start_says_little(run):
    """The first job of a run reads its programs from a cold disk."""
    run.plan({"fetch": 1, "figure1": 10, "total": 11})
    run.start(1, "fetch", {}, [], [])
    run.clock.now = 4 * console.JOBS["fetch"]
    run.finish(1)
    assert run.seconds_left() < 1.2 * 10 * console.JOB


def test_short_jobs_say_nothing_about_trainings(run):
    """A run begins with jobs of no time: its trainings still take what they take."""
    console.TRAININGS.update({LSTM.format(64): 10_000, LSTM.format(128): 10_000})
    run.plan({"fetch": 1, "train": 2, "total": 3})
    run.start(1, "fetch", {}, [], [])
    run.finish(1)
    assert run.seconds_left() == pytest.approx(20_000 * console.TRAINING)


def test_what_trainings_say_themselves_counts(run, tmp_path):
    """One has ended early (it diverged), another says that it takes 10 minutes."""
    works = {64: 1000, 128: 1000, 256: 1000}
    console.TRAININGS.update({LSTM.format(size): work for size, work in works.items()})
    run.plan({"train": 3, "total": 3})
    run.start(1, "train", {}, [LSTM.format(64)], [])
    run.clock.now = 20.0
    run.finish(1)
    log = tmp_path / "log"
    log.write_text("wp lstm 2x128: epoch 5/10 train 1.5 val 1.6 best 1.6  9k chars/s 8 min left\n")
    run.start(2, "train", {}, [LSTM.format(128)], [str(log)])
    run.clock.now = 140.0
    assert run.pulse()[1] == "    about 13 min left"
    assert run.rates()["train"] == pytest.approx((20 + 120 + 480) / 2000)
    assert run.seconds_left() == pytest.approx(480 + 310)


def test_the_last_job_and_one_that_fails(run):
    run.plan({"score": 1, "total": 1})
    run.start(1, "score", {}, [], [])
    run.fail(1)
    assert run.finish(1) == [] and run.pulse() == []
    run.start(1, "score", {}, [], [])
    run.clock.now = 3.0
    assert run.finish(1) == ["[1/1] score: 3 s"]


def test_what_a_log_says_to_the_user_is_shown(run, tmp_path):
    log = tmp_path / "log"
    log.write_text("wp lstm: epoch 1\ncharlens: plain torch takes over\nwp lstm: epoch 2\n")
    run.plan({"train": 1, "total": 1})
    run.start(1, "train", {}, [], [str(log)])
    assert run.pulse()[0] == "    running train: wp lstm: epoch 2"
    assert run.finish(1)[1:] == ["    charlens: plain torch takes over"]
    run.start(2, "train", {}, [], [str(tmp_path / "none")])
    assert run.pulse()[0].endswith("running train: ")


SNAKEFILE = """
rule all:
    input: "b"
rule first:
    output: "a"
    log: "first.log"
    shell: "echo charlens: take note > {log}; touch {output}"
rule second:
    input: "a"
    output: "b"
    log: "second.log"
    shell: "echo this is why > {log}; test -f well && touch {output}"
"""


def test_snakemake_says_one_line_per_job(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)

    def snakemake(*arguments):
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--logger", "charlens"]
        done = subprocess.run(
            [*command, "--show-failed-logs", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    code, said = snakemake("--dry-run")
    assert code == 0 and "rule first:" in said and "Job stats:" in said  # as without the plugin
    code, said = snakemake()
    lines = said.splitlines()
    assert code and lines[0].startswith("2 jobs, about")
    assert re.fullmatch(r"\[1/2\] first: \d+ s; about \d+ s left", lines[1])
    assert lines[2] == "    charlens: take note"
    assert "rule second" in said and "this is why" in said and "rule first" not in said
    (tmp_path / "well").touch()
    code, said = snakemake()
    assert code == 0 and "[1/1] second: " in said
    code, said = snakemake()
    assert code == 0 and "Nothing to be done" in said
