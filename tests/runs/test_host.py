"""What a run takes of its machine."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from charlens.errors import InputError
from charlens.runs import host


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    host.lock(tmp_path / "run")
    host.lock(tmp_path / "other")
    with pytest.raises(InputError, match=rf"process {os.getpid()} is writing here"):
        host.lock(tmp_path / "run")
    (tmp_path / "run/.lock").write_text("")  # as long as the other has not written its number
    with pytest.raises(InputError, match="another process is writing here"):
        host.lock(tmp_path / "run")


def test_results_that_were_copied_or_whose_snakemake_was_removed_are_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Path("results/run")
    assert host.made_here(run)  # there is nothing yet
    run.mkdir(parents=True)
    host.mark(run)
    assert host.made_here(run)
    shutil.copytree(run, "results/copy")
    assert not host.made_here(Path("results/copy"))
    shutil.rmtree(".snakemake")
    host.mark(run)  # which does not make it known what was done before
    assert not host.made_here(run)


# A scheduler that is told to stop by the thread that holds its lock, as a signal's handler is run.
TOLD = """
import signal, threading
from charlens.runs import host
from snakemake.scheduling.job_scheduler import JobScheduler
for _ in range(2):  # as where two modules of a workflow are ours
    host.end_when_told()
scheduler = object.__new__(JobScheduler)
scheduler._lock, scheduler._open_jobs = threading.Lock(), threading.Semaphore(0)
signal.signal(signal.SIGTERM, scheduler.exit_gracefully)
with scheduler._lock:
    signal.raise_signal(signal.SIGTERM)
scheduler._open_jobs.acquire()
print(scheduler._user_kill)
"""


def test_a_snakemake_that_is_told_to_stop_while_it_holds_its_lock_does_not_hang():
    done = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, timeout=300)
    assert done.stdout == "graceful\n", done.stderr


def test_a_gpu_is_asked_for_where_the_settings_want_one():
    assert host.gpus("cuda") == 1 and host.gpus("fast") == 0


def test_a_folder_that_cannot_be_written_is_named_before_any_job(tmp_path, monkeypatch):
    host.check_writable(tmp_path / "new/run")
    assert list((tmp_path / "new/run").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to .*/file/run \(Not a directory\): make"):
        host.check_writable(tmp_path / "file/run")

    def read_only(**_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with pytest.raises(InputError, match=r"\(Read-only file system\): make it writable"):
        host.check_writable(tmp_path)


def test_files_from_the_future_are_dated_now_in_their_order(tmp_path, capsys):
    now, day = time.time_ns(), 86400 * 10**9
    dates = {"text": now + day, "split": now + day + 10**6, "old": now - day, "soon": now + 10**9}
    for name, date in dates.items():
        path = tmp_path / "corpora" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        os.utime(path, ns=(date, date))
    host.date_now(tmp_path)
    assert "2 files dated in the future" in capsys.readouterr().err
    found = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("corpora/*")}
    assert dates["old"] == found["old"] and dates["soon"] == found["soon"]
    assert now - day < found["text"] < found["split"] <= time.time_ns()
    host.date_now(tmp_path)
    assert capsys.readouterr().err == ""


MANY = """
from charlens.runs import host
onstart: host.lift_rate_limit(workflow.scheduler)
rule all:
    input: expand("{n}.txt", n=range(22))
rule job:
    output: "{n}.txt"
    priority: lambda wildcards: -int(wildcards.n)
    shell: "test {wildcards.n} -lt 20 || sleep 2; touch {output}"
"""


@pytest.mark.parametrize("options", [[], ["--max-jobs-per-timespan", "5/1s"]])
def test_the_scheduler_wakes_up_for_jobs_alone(tmp_path, options):
    """Snakemake looks at its default limit again and again, the more jobs have ended, the oftener.
    A limit of the user's own counts."""
    Path(tmp_path, "Snakefile").write_text(MANY)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--verbose", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rounds = (done.stdout + done.stderr).count("Ready jobs: ")
    assert (rounds <= 30) != bool(options)
