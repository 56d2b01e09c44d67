"""Runs on a Slurm cluster: what profiles/slurm asks, and the jobs that a killed run leaves behind.

The profile calls `begin` before anything is submitted; the Snakefile calls `take_over` when a run
starts and `end` when it ends. It imports this, so it imports nothing slow.
"""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

from charlens.errors import InputError

PLUGIN = "snakemake_executor_plugin_slurm"
ANSWER_SECONDS = 20  # within which Slurm's controller answers
GONE_SECONDS = 300  # within which cancelled jobs have ended

_name: list[str] = []  # of this run, where it is one on Slurm


# ---- the profile ----


def begin() -> str:
    """The name of this run, with which the names of all its jobs begin.

    Ends this process with a line on stderr where the plugin is missing or Slurm does not answer.
    Tells the jobs (by $CHARLENS_GPUS, unless it is set) whether the cluster has GPUs.
    """
    if not _name:
        try:
            if importlib.util.find_spec(PLUGIN) is None:
                raise InputError(
                    "Snakemake's plugin for Slurm is not installed: run make slurm,"
                    " or pip install -r requirements-slurm.lock"
                )
            os.environ.setdefault("CHARLENS_GPUS", str(int("gpu" in ask("sinfo", "--format=%G"))))
        except InputError as error:
            sys.exit(f"charlens: error: {error}; leave out --workflow-profile to run without Slurm")
        _name.append(f"charlens-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
    return _name[0]


def ask(*command: str) -> str:
    """What a Slurm command prints. Raises InputError where it fails or does not answer in time."""
    try:
        done = subprocess.run(
            [*command], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True
        )
    except FileNotFoundError:
        fault = "no such command"
    except subprocess.TimeoutExpired:
        fault = f"no answer in {ANSWER_SECONDS} s"
    except subprocess.CalledProcessError as error:
        fault = error.stderr.strip().rpartition("\n")[2] or f"exit status {error.returncode}"
    else:
        return done.stdout
    raise InputError(f"Slurm does not answer ({command[0]}: {fault})")


# ---- jobs of an earlier run ----


def take_over(folder: Path) -> None:
    """Cancel the jobs that a killed run has left in the queue, and note the name of this one.

    folder: of the results, which this run has locked: no other run writes to it, so jobs that still
    would are orphans. Trainings lose nothing by it: cancelled ones write a checkpoint. Raises
    InputError where Slurm does not answer, or the jobs do not end.
    """
    note = folder / ".slurm"
    if note.exists():
        try:
            cancel(note.read_text().strip(), folder)
        except InputError as error:
            raise InputError(
                f"{folder}: jobs of an earlier run may be in Slurm's queue, and {error};"
                f" if there are none, remove {note}"
            ) from error
        note.unlink()
    if _name:
        note.write_text(f"{_name[0]}\n")


def cancel(name: str, folder: Path) -> None:
    """Cancel the jobs of a run and wait until they have ended."""
    if orphans := jobs(name):
        print(
            f"{folder}: cancelling {len(orphans)} Slurm jobs of an earlier run",
            file=sys.stderr,
            flush=True,
        )
        ask("scancel", *orphans)
    deadline = time.monotonic() + GONE_SECONDS
    while left := jobs(name):
        if time.monotonic() > deadline:
            raise InputError(f"jobs {' '.join(left)} are still running after scancel")
        time.sleep(1)


def jobs(name: str) -> list[str]:
    """The ids of a run's jobs that wait or run."""
    listed = ask("squeue", "--me", "--noheader", "--format=%i %j")
    rows = (line.split(maxsplit=1) for line in listed.splitlines())
    return [id for id, job in rows if job.startswith(f"{name}_")]


def end(folder: Path) -> None:
    """Forget the name of a run that has succeeded: none of its jobs is left."""
    if _name:
        (folder / ".slurm").unlink(missing_ok=True)
