"""What `charlens watch` makes of the files that a run writes."""

import os
import time
from pathlib import Path

import pytest
from machines import settings, write_network

from charlens import cli
from charlens.runs import settings as of_run
from charlens.runs import watch
from charlens.store.models import ModelKey

LSTM = "type~lstm/layers~1/size~8/seed~1/dropout~0.0"
GRU = "type~gru/layers~1/size~8/seed~1/dropout~0.1"
HISTORY = """epoch,learning_rate,train_loss,val_loss,seconds,backend
1,0.002,2.5,2.25,60.0,fast (avx2)
2,0.002,2.0,2.125,60.0,fast (avx2)
"""
LOG = """Building DAG of jobs...
Job stats:
job      count
-----  -------
train        3
total        9

[Thu Nov 26 09:44:08 2026]
rule train:
    input: results/small/corpora/code.npz
    output: results/small/models/code/a/model.safetensors, results/small/models/code/a/history.csv
    jobid: 7
    wildcards: corpus=code
[Thu Nov 26 09:44:08 2026]
localrule figure4:
    output: results/small/figures/figure4.png (update), results/small/figures/figure4.svg
    jobid: 8
[Thu Nov 26 09:44:09 2026]
rule split:
    output: results/small/corpora/code.npz
    jobid: 9
[Thu Nov 26 09:44:19 2026]
Finished jobid: 9 (Rule: split)
4 of 9 steps (44%) done
[Thu Nov 26 09:44:20 2026]
Error in rule train:
    message: None
    jobid: 7
"""


@pytest.fixture
def folder(tmp_path):
    """A run of three trainings and a 1-NN, of which nothing is made yet."""
    folder = tmp_path / "results/small"
    (folder / "corpora").mkdir(parents=True)
    (folder / "corpora/code.json").write_text('{"bytes": 100000, "symbols": 50}')
    of_run.write(of_run.make(settings()), folder / "settings.json")
    return folder


def begin(folder, path, log, age=0.0):
    place = folder / f"models/code/{path}"
    place.mkdir(parents=True)
    (place / "attempts.log").write_text(log)
    date = time.time() - age
    os.utime(place / "attempts.log", (date, date))


def finish(folder, path):
    write_network(folder, path, 2.125, scored=False)
    (folder / f"models/code/{path}/history.csv").write_text(HISTORY)


def states(run):
    return {one.key.path.removeprefix("code/"): one.state for one in run.trainings}


def test_trainings_wait_run_stop_and_are_done(folder):
    begin(
        folder, GRU, "code gru 1x8: epoch 1/50 train 2.5 val 2.4 best 2.4  90k chars/s 80 s left\n"
    )
    stopped = GRU.replace("0.1", "0.0")
    begin(folder, stopped, "killed before it said anything\n", age=watch.QUIET + 60)
    finish(folder, LSTM)
    run = watch.look(folder)
    assert states(run) == {
        LSTM: "done", GRU: "running", stopped: "stopped", "nn/context~1/seed~1/hidden~8": "waiting"
    }  # fmt: skip
    (done,) = run.of("done")
    assert (done.done, done.train, done.best, done.seconds) == (2, 2.0, 2.125, 120)
    said = watch.summary(run)
    assert "trainings 1 of 4, 1 running, 1 stopped, scored 0 of 5 models" in said
    assert said.endswith("of training left") and not watch.over(run)


def test_the_last_progress_line_counts(folder, tmp_path):
    log = tmp_path / "attempts.log"
    log.write_text(
        "wp lstm 2x64: resuming in epoch 3 of 50\n"
        "wp lstm 2x64: epoch 3/50 train 1.5000 val 1.4000 best 1.3900  120k chars/s 45 s left\n"
        "wp lstm 2x64: epoch 4/50  40% train 1.4500 1 h 02 min left\n"
    )
    said = watch.said(log)
    assert (said.done, said.train, said.best, said.left) == (3.4, 1.45, 1.39, 3720)
    log.write_text("wp lstm 2x64: epoch 4/50  40% train 1.4500 12 min left\n")
    assert watch.said(log).left == 720
    log.write_text("wp lstm 2x64: 4 jobs on each of 1 GPUs: waiting for one of them to end\n")
    assert watch.said(log).train is None


def test_every_progress_line_of_a_training_is_understood(tmp_path, data, capsys, monkeypatch):
    from charlens.networks.architecture import Architecture
    from charlens.training import train
    from charlens.training.recipe import RMSProp

    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0)
    about = {"corpus": "text", "source": "random", "size": None}
    arch = Architecture("rnn", 1, 4, data.symbols)
    train.train(arch, RMSProp(epochs=2), data, 1, 0, tmp_path, about, "text rnn 1x4", "reference")
    lines = [line for line in capsys.readouterr().err.splitlines() if ": epoch " in line]
    assert len(lines) > 4 and all(watch.LINE.search(line) for line in lines)


def test_losses_stand_beside_the_papers():
    key = ModelKey("wp", "recurrent", "lstm", 2, 64, 1, candidate=0.1)
    shown = watch.row(watch.Training(key, "running", 50, 3.4, 1.45, 1.39, 3720.0))
    assert shown == ["wp LSTM 2x64, dropout 0.1", "running", "3.4/50", "1.450", "1.390", "1.442",
                     "1 h 02 min"]  # fmt: skip
    assert watch.beside(ModelKey("wp", "nn", seed=1, n=2)) == "1.931"
    assert watch.beside(ModelKey("wp", "recurrent", "mingru", 2, 64, 1)) == ""


def test_what_snakemake_has_begun_and_finished(folder):
    logs = folder.parents[1] / ".snakemake/log"
    logs.mkdir(parents=True)
    (logs / "2026-11-26T094406.1.snakemake.log").write_text(LOG)
    (logs / "2026-11-26T095000.1.snakemake.log").write_text("results/other/figure.png\n")
    (folder / ".lock").write_text(str(os.getpid()))
    jobs = watch.snakemake(folder, folder.name)
    assert (jobs.done, jobs.total, jobs.failed) == (4, 9, ("train",))
    assert jobs.begun == ("figures/figure4.png",) and not jobs.ended
    assert "also begun: figures/figure4.png" in watch.picture(watch.look(folder))
    (folder / ".lock").write_text(f"{2**22 + 1}")  # beyond the largest number of a process
    assert watch.snakemake(folder, folder.name).ended  # it was killed
    (folder / ".lock").write_text(str(os.getpid()))
    (logs / "2026-11-26T094406.1.snakemake.log").write_text(LOG + "Complete log(s): there\n")
    assert watch.snakemake(folder, folder.name).ended


@pytest.mark.parametrize("named", ["by its link", "elsewhere", "from within"])
def test_a_run_in_another_folder_is_found_by_its_name(folder, named, tmp_path, monkeypatch):
    """As that of `charlens study --out`, to which a link in results/ leads."""
    project = folder.parents[1]
    (project / ".snakemake/log").mkdir(parents=True)
    (project / ".snakemake/log/2026-11-26T094406.1.snakemake.log").write_text(LOG)
    elsewhere, run = tmp_path / "mine", folder.name
    if named != "from within":
        folder.rename(elsewhere)
        folder.symlink_to(elsewhere)
    monkeypatch.setattr(watch, "PROJECT", project)
    monkeypatch.chdir(folder if named == "from within" else tmp_path)
    asked = {"by its link": folder, "elsewhere": elsewhere, "from within": Path(".")}[named]
    assert watch.snakemake(asked, run).total == 9


def test_the_time_left_is_that_of_the_pace_so_far(folder):
    its = of_run.read(folder / "settings.json")
    assert watch.time_left(its, folder, watch.look(folder).trainings) is None  # nothing to go by
    finish(folder, LSTM)
    alone = watch.look(folder).left
    assert alone > 0
    said = "code gru 1x8: epoch 1/50  50% train 2.4 100 h 00 min left\n"
    begin(folder, GRU, said)
    begin(folder, GRU.replace("0.1", "0.0"), said)
    run = watch.look(folder)
    assert [one.left for one in run.of("running")] == [360_000, 360_000]
    assert 360_000 <= run.left < 2 * 360_000  # side by side


def test_afterwards_everything_is_shown_once(folder, capsys):
    finish(folder, LSTM)
    assert cli.main(["watch", str(folder)]) == 0  # nothing runs: it does not wait
    said = capsys.readouterr().out
    assert "code LSTM 1x8, dropout 0" in said and said.endswith("Nothing runs.\n")
    assert "1-NN" not in said
    assert cli.main(["watch", "--all", str(folder)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["code", "1-NN,", "hidden", "8", "waiting", "0/50"] in rows


def test_news_are_lines_where_there_is_no_terminal(folder, capsys, monkeypatch):
    begin(
        folder,
        LSTM,
        "code lstm 1x8: epoch 1/50 train 2.5 val 2.4 best 2.4  90k chars/s 80 s left\n",
    )

    def in_between(seconds):
        finish_running = folder / f"models/code/{LSTM}"
        (finish_running / "attempts.log").unlink()
        finish_running.rmdir()
        finish(folder, LSTM)

    monkeypatch.setattr(watch.time, "sleep", in_between)
    assert cli.main(["watch", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and "\x1b" not in "".join(lines)
    assert "trainings 0 of 4, 1 running" in lines[0]
    assert lines[1] == "done: code LSTM 1x8, dropout 0: validation 2.125"
    assert "trainings 1 of 4" in lines[2]


def test_a_folder_that_is_no_run_is_one_clear_line(tmp_path, capsys):
    assert cli.main(["watch", str(tmp_path)]) == 1
    assert "settings.json is missing: run snakemake once" in capsys.readouterr().err
