"""Snakemake's own process: how it ends, and how often it wakes up."""

import subprocess
import sys
from pathlib import Path

import pytest

# A scheduler that is told to stop by the thread that holds its lock, as a signal's handler is run.
TOLD = """
import signal, threading
from charlens.runs import snakemake_process
from snakemake.scheduling.job_scheduler import JobScheduler
for _ in range(2):  # as where two modules of a workflow are ours
    snakemake_process.end_when_told()
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


MANY = """
from charlens.runs import snakemake_process
onstart: snakemake_process.lift_rate_limit(workflow.scheduler)
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
