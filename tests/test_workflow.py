"""The Snakemake workflow itself: the tiny configuration end to end, and what is made again."""

import ast
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from project import TINY, command, copy_kenlm, copy_project, counts, finish, own

from charlens import files
from charlens.runs import settings
from charlens.store import tables as stored
from charlens.units import ablation, saturation

MODEL = "model.safetensors"
RECURRENT = {f"{type}-{layers}" for type in ("lstm", "rnn", "gru") for layers in (1, 3)}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A copy of this project in which the tiny configuration was run: its results/tiny."""
    folder = tmp_path_factory.mktemp("workflow")
    copy_project(folder)
    copy_kenlm(folder)
    # killed once in the middle of it all: the same command resumes
    process = subprocess.Popen(
        command(*TINY, project=folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src")},
        start_new_session=True,
    )
    models = folder / "results/tiny/models"
    while not list(models.rglob("checkpoint.pt")) and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    own(folder, *TINY)
    return folder / "results/tiny"


def test_table1(tiny):
    table = pd.read_csv(tiny / "tables/table1.csv")
    columns = (
        "corpus type layers size hidden parameters dropout seed epoch val_loss loss sd paper bytes"
    )
    assert list(table.columns[:14]) == columns.split()
    assert set(table.type + "-" + table.layers.astype(str)) == RECURRENT
    assert table.loss.between(2, 5).all() and table.sd.between(1e-4, 0.1).all()
    row = table[(table.type == "gru") & (table.layers == 1)].iloc[0]
    scores = np.load(tiny / "scores/code/type~gru/layers~1/size~8/seed~1.npy")
    assert row.loss == pytest.approx(-scores.mean(dtype=float), abs=1e-6)
    assert (table.source == "torch/include/c10/core").all()


def test_table2(tiny):
    table = pd.read_csv(tiny / "tables/table2.csv")
    assert list(table.columns[:9]) == (
        ["corpus", "model", "n", "hidden", "loss", "sd", "paper", "bytes", "arpa_bytes"]
    )
    assert list(table.n[table.model == "n-gram"]) == [1, 2, 20]
    assert list(table.n[table.model == "n-NN"]) == [1, 2]
    assert table.loss.between(0.5, 5).all()


def test_cells_and_gates(tiny):
    cells = pd.read_csv(tiny / "tables/cells.csv")
    assert list(cells.columns) == stored.UNITS
    assert {"line_position", "comment_or_quote", "newline_next"} <= set(cells.hypothesis)
    assert (cells.low <= cells.high).all()
    gates = pd.read_csv(tiny / "tables/gates.csv")
    assert list(gates.columns) == saturation.GATES
    assert set(gates.type + gates.gate) == {"lstmi", "lstmf", "lstmo", "grur", "gruz"}
    assert set(gates.layers) == {3} and (gates.left + gates.right <= 1).all()


def test_probes_and_all_networks(tiny):
    probes = pd.read_csv(tiny / "tables/probes.csv")
    assert list(probes.columns) == stored.PROBES and probes.layer.min() == 1
    inside = pd.read_csv(tiny / "tables/inside.csv")
    assert list(inside.columns) == stored.INSIDE
    chosen = inside[["type", "layers", "seed"]].drop_duplicates().to_numpy().tolist()
    assert sorted(chosen) == [["gru", 1, 1], ["gru", 1, 2], ["gru", 3, 1]]
    assert inside.value.between(0, 1).all()
    assert "3 networks" in (tiny / "tables/inside.html").read_text()


def test_clamped_units(tiny):
    table = pd.read_csv(tiny / "tables/ablation.csv")
    assert list(table.columns) == ablation.COLUMNS
    best = pd.read_csv(tiny / "tables/hypotheses.csv").dropna(subset=["unit"])
    keys = ["corpus", "model", "hypothesis", "layer", "unit"]
    for clamp in ("mean", "zero"):
        own = table[table["clamp"] == clamp]
        assert (own[keys].to_numpy() == best[keys].to_numpy()).all()
    assert (table["low"] <= table["high"]).all()
    # of eight units nearly all may be found, or follow the same hypothesis
    assert (table["controls"] >= 1).mean() > 0.8
    assert not table[table["controls"] == 0]["used"].any()
    assert set(table["used"]) <= {0, 1}
    for kind in ("png", "svg"):
        assert (tiny / f"figures/ablation.{kind}").stat().st_size > 10_000


def test_every_score_is_of_the_same_characters(tiny):
    scores = [np.load(path) for path in (tiny / "scores/code").rglob("*.npy")]
    with np.load(tiny / "corpora/code.npz") as split:
        assert {s.shape for s in scores} == {(split["test_y"].size,)}
    assert len(scores) == 7 + 3 + 2  # one network from two seeds
    assert all(s.dtype == np.float32 and np.isfinite(s).all() and (s <= 0).all() for s in scores)


@pytest.mark.parametrize("number", [1, "2-code", 3, 4, 5, 6])
@pytest.mark.parametrize("kind", ["png", "svg"])
def test_figures(tiny, number, kind):
    assert (tiny / f"figures/figure{number}.{kind}").stat().st_size > 10_000


def test_the_workflow_report_holds_every_table_and_figure(tiny):
    page = (tiny / "workflow-report.html").read_text()
    for category in (
        "Does the paper hold?",
        *(f"Table {k}" for k in range(1, 4)),
        "Units and gates",
        *(f"Figure {k}" for k in range(1, 7)),
    ):
        assert category in page
    assert "<html" in page and len(page) > 500_000


def test_the_reports_link_to_the_explorer_beside_them(tiny):
    for name in ("report.html", "workflow-report.html"):
        assert 'href="explorer/code.html"' in (tiny / name).read_text().replace('\\"', '"')
    page = (tiny / "explorer/code.html").read_text()
    assert "Some C++ headers" in page and 'id="block-label.' in page


def test_claims(tiny):
    table = pd.read_csv(tiny / "tables/claims.csv")
    assert list(table.columns) == [
        "claim",
        "where",
        "verdict",
        "effect",
        "low",
        "high",
        "paper",
        "basis",
        "reason",
    ]
    assert set(table["verdict"]) <= {"holds", "does not hold", "undecided", "not in this run"}
    # one cell has two seeds, gates and cells are looked into: all is there but a second size, two
    # layers, and a 3-NN
    absent = table[table["verdict"] == "not in this run"]["claim"]
    assert set(absent) == {
        "3 layers against 2 is mixed",
        "LSTM against GRU is mixed",
        "first a 1-NN, then more",
        "then a 4-NN and a 5-NN",
        "size removes n-gram errors",
    }
    missing = table["basis"].str.contains("missing|two seeds|networks trained")
    lacking = {"n-NN overfits"}
    # whether a unit of an untrained network happens to be interpretable is left open
    assert set(table[missing]["claim"]) - {"interpretable cells are used"} == lacking
    assert "Does the paper hold?" in (tiny / "tables/claims.html").read_text()


def test_errors_by_oracle_add_up(tiny):
    table = pd.read_csv(tiny / "figures/figure6.csv")
    assert table.groupby(["layers", "size"])["share"].sum().to_numpy() == pytest.approx(1)


def test_errors_of_every_network(tiny):
    table = pd.read_csv(tiny / "tables/errors.csv")
    networks = table.groupby(["type", "layers", "size", "seed"])
    assert len(networks) == 7 and networks["share"].sum().to_numpy() == pytest.approx(1, abs=1e-5)


def test_other_orders_of_the_files(tiny):
    table = pd.read_csv(tiny / "tables/reshuffles.csv")
    assert set(table["model"]) == {"LSTM 1x8", "1-gram"} and len(table) == 3 * 2
    texts = [(tiny / f"corpora/code{name}.txt").read_bytes() for name in ("", ".shuffle1")]
    assert texts[0] != texts[1] and sorted(texts[0]) == sorted(texts[1])
    assert not list(tiny.glob("ngrams/code.shuffle*/*.binary"))  # the scores alone are kept
    assert pd.read_csv(tiny / "tables/discrepancies.csv").empty  # the paper has no such text
    assert len(pd.read_csv(tiny / "tables/shuffle_offsets.csv")) == 2


def test_the_plain_cut(tiny):
    table = pd.read_csv(tiny / "tables/plain_cut.csv").set_index("model")
    assert list(table.index) == ["1-gram", "20-gram", "LSTM 1x8"]
    scores = np.load(tiny / "scores/code.contiguous/type~lstm/layers~1/size~8/seed~1.npy")
    assert table.loc["LSTM 1x8", "plain_cut"] == pytest.approx(-scores.mean(dtype=float), abs=1e-4)


@contextlib.contextmanager
def edited(path: Path, change):
    """A file as `change` makes it, for a while."""
    before, then = path.read_text(), path.stat()
    assert (after := change(before)) != before
    path.write_text(after)
    try:
        yield
    finally:
        path.write_text(before)
        os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))


def planned(tiny) -> dict[str, int]:
    """Jobs by rule of a dry run."""
    return counts(own(tiny.parents[1], *TINY, "-n", "-q", "rules").stdout)


def commented_and_renamed(code: str) -> str:
    functions = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)]
    names = [node for function in functions for node in ast.walk(function)]
    local = next(n.id for n in names if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    return re.sub(rf"\b{local}\b", f"{local}_renamed", code) + "\n# a comment\n"


def test_a_finished_run_has_nothing_to_do_whatever_is_commented_and_renamed(tiny):
    code = tiny.parents[1] / "src/charlens"
    with contextlib.ExitStack() as stack:
        for name in ("training/train.py", "networks/network.py", "networks/cells/gru.py"):
            stack.enter_context(edited(code / name, commented_and_renamed))
        # no network, no mirror: nothing is looked for
        done = own(tiny.parents[1], *TINY, CORPORA_MIRROR="/nonexistent")
        assert "Nothing to be done" in done.stdout + done.stderr


def test_a_raised_version_plans_the_trainings_that_it_is_about(tiny):
    networks = tiny.parents[1] / "src/charlens/networks"
    raised = partial(re.sub, r"(?m)^VERSION = .*", "VERSION = 99")
    with edited(networks / "version.py", raised):
        jobs = planned(tiny)
        trained = jobs["train"] + jobs["train_watched"]
        assert (trained, jobs["train_nn"], jobs["trajectory"]) == (13, 4, 1)
    with edited(networks / "cells/gru.py", raised):
        jobs = planned(tiny)
        # one layer from two seeds, three layers with two dropouts
        assert jobs["train"] + jobs["train_watched"] == 4
        assert not {"train_nn", "trajectory"} & set(jobs)


def test_code_of_an_older_date_counts_as_well(tiny):
    """As that of a release that was unpacked over this one has."""
    figure = tiny.parents[1] / "src/charlens/report/figure4.py"
    with edited(figure, lambda code: code + "\n# a comment\n"):
        os.utime(figure, (0, 0))
        assert "figure4" in planned(tiny)


def test_results_without_what_snakemake_knows_of_them_keep_their_settings(tiny):
    known, away = tiny.parents[1] / ".snakemake", tiny.parents[1] / "away"
    known.rename(away)
    try:
        others = ["--config", "training={epochs: 99}"]
        done = own(tiny.parents[1], *TINY, "-n", *others, check=False)
        assert done.returncode and "other settings (training.epochs)" in done.stderr + done.stdout
        assert own(tiny.parents[1], *TINY, "-n").returncode == 0  # the same settings
    finally:
        shutil.rmtree(known, ignore_errors=True)
        away.rename(known)


OWN = {
    "run": "own", "use": ["mine"],
    "corpora": {"mine": {
        "title": "Mine", "kind": "prose", "fractions": [0.8, 0.1, 0.1],
        "sources": [{"name": "mine", "path": "mine.txt"}],
    }},
    "contiguous_split": {"corpora": ["mine"], "orders": [2]}, "reshuffles": {"corpora": []},
    "figures": {"first_epochs": {"corpora": ["mine"]}, "emergence": {"corpora": []}},
}  # fmt: skip


@pytest.fixture(scope="module")
def mine(tmp_path_factory) -> Path:
    """A project with a text of the user's own, which was fetched and, once more, for the contiguous
    split."""
    folder = tmp_path_factory.mktemp("mine")
    copy_project(folder)
    (folder / "mine.txt").write_text("a text of my own\n" * 2000)
    (folder / "mine.yaml").write_text(yaml.safe_dump(OWN))
    own(folder, *MINE, *TEXTS)
    return folder


MINE = ("--configfile", "tests/tiny.yaml", "mine.yaml", "--")
TEXTS = ["results/own/corpora/mine.txt", "results/own/corpora/mine.contiguous.txt"]


def test_a_text_whose_file_was_replaced_by_an_older_one_is_read_again(mine):
    plan = own(mine, *MINE[:-1], "-n", "-q", "rules", "--", *TEXTS).stdout
    assert not counts(plan)
    (mine / "mine.txt").write_text("another text, older\n" * 2000)
    os.utime(mine / "mine.txt", (0, 0))
    own(mine, *MINE, *TEXTS)
    assert "another" in (mine / TEXTS[0]).read_text()
    assert (mine / TEXTS[0]).read_bytes() == (mine / TEXTS[1]).read_bytes()
    (mine / "mine.txt").rename(mine / "gone.txt")  # what the run has outlives the file
    plan = own(mine, *MINE[:-1], "-n", "-q", "rules", "--", TEXTS[1]).stdout
    (mine / "gone.txt").rename(mine / "mine.txt")
    assert not counts(plan)


def test_jobs_run_the_code_of_this_checkout_whichever_is_installed(mine):
    code = mine / "src/charlens/cli.py"
    with edited(code, lambda text: "raise SystemExit('this checkout')\n" + text):
        again = command(*MINE[:-1], "--forceall", "--", TEXTS[0], project=mine)
        done = finish(again, False, mine, {"PYTHONPATH": ""})
    assert done.returncode and "this checkout" in done.stdout + done.stderr


def test_another_word_about_units_plans_their_analyses_alone(tiny):
    gru = tiny.parents[1] / "src/charlens/networks/cells/gru.py"
    with edited(gru, lambda code: code + '\nGATE_WORDS = {"r": "forget"}  # a comment\n'):
        jobs = planned(tiny)
    assert {"cells", "look_inside", "emergence", "ablate", "figure3", "explorer"} <= jobs.keys()
    with edited(gru, lambda code: code + '\nNAME = "GRUs"\n'):
        named = planned(tiny)
    assert {"title", "table1", "figure1", "report"} <= named.keys()
    computing = {"split", "train", "train_watched", "train_nn", "ngram", "score", "trajectory"}
    assert not computing & (jobs.keys() | named.keys()) and "cells" not in named


def test_another_title_plans_what_shows_it(tiny):
    title = ["--config", "corpora={code: {title: Another}}"]
    jobs = counts(own(tiny.parents[1], *TINY, "-n", "-q", "rules", *title).stdout)
    assert {"title", "table1", "figure4", "report"} <= jobs.keys()
    made = {"fetch", "reshuffle", "split", "train", "train_nn", "ngram", "score", "cells", "ablate"}
    assert not made & jobs.keys()


def test_a_comment_in_a_figure_plans_what_shows_it(tiny):
    figure = tiny.parents[1] / "src/charlens/report/figure4.py"
    with edited(figure, lambda code: code + "\n# a comment\n"):
        assert set(planned(tiny)) == {"figure4", "workflow_report", "report", "all", "total"}


def test_whatever_one_job_writes_and_another_reads_carries_a_digest(tiny):
    found = [*tiny.rglob("*.csv"), *tiny.rglob("*.json")]
    assert len(found) > 50
    for path in found:
        files.check_digest(path, needed=True)


def test_all_settings_are_kept_beside_the_results(tiny):
    its = settings.read(tiny / "settings.json")
    assert its.run == "tiny" and its.training.epochs == 2 and its.training.clip == 5.0


def test_targets_are_made_again_alone_and_the_longest_training_goes_first(tiny):
    folder = tiny.parents[1]
    cells = ["type~rnn/layers~1", "type~lstm/layers~3", "type~gru/layers~1"]
    targets = [
        f"results/tiny/models/code/{cell}/size~8/seed~1/dropout~0.0/model.safetensors"
        for cell in cells
    ]
    before = [(folder / target).read_bytes() for target in targets]
    for target in targets:
        shutil.rmtree((folder / target).parent)
    # one core: the order in which jobs begin is the order of their priorities
    said = own(folder, *targets, *TINY, "--cores", "1", "--printshellcmds")
    output = said.stdout + said.stderr
    begun = re.findall(r"wildcards: corpus=code, type=(\w+), layers=(\d)", output)
    priorities = [int(n) for n in re.findall(r"priority: (\d+)", output)]
    assert begun[0] == ("lstm", "3") and len(begun) == len(priorities) == 3
    assert priorities == sorted(priorities, reverse=True)
    assert [(folder / target).read_bytes() for target in targets] == before


def test_networks_trained_side_by_side_are_those_trained_alone(tiny):
    folder = tiny.parents[1]
    two = ("--config", "networks_per_job=2")
    again = counts(own(folder, *TINY, *two, "-n", "-q", "rules").stdout)
    assert set(again) == {"workflow_report", "report", "all", "total"}  # which name the rules
    targets = [
        f"results/tiny/models/code/type~{type}/layers~3/size~8/seed~1/dropout~{dropout}/{MODEL}"
        for type in ("lstm", "gru")
        for dropout in (0.0, 0.1)
    ]
    models = [folder / target for target in targets]
    before = [model.read_bytes() for model in models]
    for model in models:
        shutil.rmtree(model.parent)
    jobs = counts(own(folder, *targets, *TINY, *two, "-n", "-q", "rules").stdout)
    begun = sorted(job for job in jobs if job.startswith("train"))
    assert len(begun) == 2
    for job, type in zip(begun, ("gru", "lstm"), strict=True):
        assert re.fullmatch(rf"train_side_by_side_code_{type}_3x8_\d+_11", job)
    own(folder, *targets, *TINY, *two)
    assert [model.read_bytes() for model in models] == before
    for model in models:
        lines = model.with_name("attempts.log").read_text().splitlines()
        assert any("epoch 2/2" in line for line in lines)
        # without the compiled code, a word about that comes first
        lines = [line for line in lines if not line.startswith("charlens: plain torch takes over")]
        assert all(("dropout 0.1" in line) == ("0.1" in str(model)) for line in lines)


def test_an_estimate_counts_what_a_dry_run_plans(tiny):
    folder = tiny.parents[1]
    own(folder, "calibrate", *TINY)
    target = "results/tiny/models/code/type~rnn/layers~1/size~8/seed~1/best/model.safetensors"
    for options, left in ([], 0), ([target, "--forceall"], 4):
        summary = own(folder, *options, "--summary", *TINY).stdout
        verb = ["estimate", "results/calibration.json", "--cores", "2"]
        done = subprocess.run(
            [sys.executable, "-m", "charlens.cli", *verb],
            cwd=folder, input=summary, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert re.search(rf"for {left} jobs, 2 side by side", done.stdout), summary
