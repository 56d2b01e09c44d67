"""Runs on Slurm, with pretended commands of Slurm; tests/slurm has a real one.

The plugin is in a folder of its own (Makefile): with it in the environment, no snakemake command
would start on a machine without Slurm.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from charlens.errors import InputError
from charlens.runs import host, slurm

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / ".venv/slurm"
INSTALLED = importlib.util.find_spec(slurm.PLUGIN)
needs_plugin = pytest.mark.usefixtures("plugin")


@pytest.fixture
def plugin(monkeypatch):
    """Snakemake has the plugin for Slurm, here and in processes."""
    if not INSTALLED:
        if not PLUGIN.exists():
            pytest.skip("needs Snakemake's plugin for Slurm: make .venv/slurm")
        monkeypatch.syspath_prepend(PLUGIN)
        monkeypatch.setenv("PYTHONPATH", str(PLUGIN))


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Puts shell scripts in place of Slurm's commands; a call of one is a line of `calls`. Those
    that no test gives fail: no Slurm that a machine may have is asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setattr(slurm, "_name", [])
    monkeypatch.delenv("CHARLENS_GPUS", raising=False)

    def write(**scripts):
        for name, script in scripts.items():
            (folder / name).write_text(f'#!/bin/sh\necho {name} "$@" >> "$CALLS"\n{script}\n')
            (folder / name).chmod(0o755)

    write(**dict.fromkeys(("sinfo", "squeue", "sacct", "scontrol", "scancel"), "exit 1"))
    return write


# ---- the profile ----


@needs_plugin
@pytest.mark.parametrize(("gres", "gpus"), [("(null)", 0), ("gpu:a100:4(S:0-1)", 1)])
def test_the_cluster_says_whether_it_has_gpus(commands, monkeypatch, gres, gpus):
    commands(sinfo=f"echo GRES; echo '{gres}'")
    monkeypatch.setattr(host.shutil, "which", lambda _: None)  # the login node has none
    assert slurm.begin().startswith("charlens-") and slurm.begin() == slurm.begin()
    assert host.gpus.__wrapped__("auto") == gpus and host.gpus.__wrapped__("fast") == 0


@needs_plugin
def test_the_environment_overrides_what_the_cluster_says(commands, monkeypatch):
    commands(sinfo="echo gpu:4")
    monkeypatch.setenv("CHARLENS_GPUS", "0")
    slurm.begin()
    assert host.gpus.__wrapped__("auto") == 0
    monkeypatch.setenv("CHARLENS_GPUS", "two")
    with pytest.raises(InputError, match="CHARLENS_GPUS=two: expected 0 or 1"):
        host.gpus.__wrapped__("auto")


@needs_plugin
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("sleep 60", "no answer in 0.1 s"),
        ("echo slurm_load_partitions: Unable to contact slurm controller >&2; exit 1", "Unable"),
    ],
)
def test_a_controller_that_does_not_answer_ends_the_run(commands, monkeypatch, script, said):
    commands(sinfo=script)
    monkeypatch.setattr(slurm, "ANSWER_SECONDS", 0.1)
    with pytest.raises(SystemExit) as ended:
        slurm.begin()
    line = ended.value.code
    assert line.startswith("charlens: error: Slurm does not answer (sinfo: ") and said in line
    assert "\n" not in line and "leave out --workflow-profile" in line


def test_a_missing_plugin_ends_the_run(commands, monkeypatch):
    monkeypatch.setattr(slurm, "PLUGIN", "no_such_plugin")
    with pytest.raises(SystemExit, match="plugin for Slurm is not installed: run make slurm"):
        slurm.begin()


def snakemake(folder, *options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--directory", str(folder), *options]
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.skipif(INSTALLED is not None, reason="asks for Slurm: make slurm was run")
def test_slurm_is_not_asked_where_nobody_wants_it(commands, tmp_path):
    assert snakemake(tmp_path, "--list", "--cores", "1").returncode == 0
    assert not (tmp_path / "calls").exists()


@needs_plugin
def test_a_run_on_a_dead_cluster_ends_with_a_line(commands, tmp_path):
    commands(sinfo="echo Unable to contact slurm controller >&2; exit 1")
    done = snakemake(tmp_path, "--workflow-profile", "profiles/slurm")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("charlens: error: Slurm does not answer (sinfo:")


def test_the_plugin_is_refused_where_slurm_is_missing(tmp_path):
    """With it, Snakemake would not start."""
    for tool in ("make", "sh"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    done = subprocess.run(
        ["make", "--assume-old=.venv/.ready", "slurm"],
        cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    said = done.stderr.splitlines()
    assert done.returncode == 2 and said[0].startswith("make: neither sacct nor squeue is here")


def submissions(output: str) -> tuple[int, int]:
    """How many jobs of a dry run are submitted, and in how many submissions."""
    rules = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = re.split(r"\n(?=(?:use )?rule )", rules)
    local = {re.search(r"rule (\w+)", rule)[1] for rule in rules if "localrule: True" in rule}
    local |= {"select_nn", "all"}  # `select` for the n-NN; and the target
    counts = Counter()
    for row in output.split("\nJob stats:")[1].split("\n\n")[0].splitlines():
        if len(words := row.split()) == 2 and words[1].isdigit():
            counts[words[0]] = int(words[1])
    jobs = sum(count for rule, count in counts.items() if rule not in {*local, "total"})
    alone = re.findall(r"^\[.*\]\n(?:local)?rule (\w+):", output, re.MULTILINE)
    groups = re.findall(r"^\[.*\] Group job \w+", output, re.MULTILINE)
    return jobs, sum(rule not in local for rule in alone) + len(groups)


@needs_plugin
def test_the_paper_on_a_cluster_without_gpus(commands, tmp_path):
    commands(sinfo="echo '(null)'")
    done = snakemake(tmp_path, "-n", "--workflow-profile", "profiles/slurm")
    planned = done.stdout + done.stderr
    assert done.returncode == 0, planned
    assert "gpu=0" in planned and "gpu=1" not in planned
    # trainings are warned of their limit, which is a day at most
    trainings = re.findall(r"rule train\w*:.*?resources: (.*?)\n", planned, re.DOTALL)
    assert len(trainings) == 169 + 40 + 60
    assert all("slurm_extra=--signal=USR1@180" in its for its in trainings)
    minutes = [int(re.search(r"runtime=(\d+)", its)[1]) for its in trainings]
    assert min(minutes) == 30 and max(minutes) == 24 * 60
    jobs, submitted = submissions(planned)
    page = (ROOT / "docs/clusters.md").read_text().replace("\n", " ")
    short, together = jobs - len(trainings), submitted - len(trainings)
    assert f"submitted together, {short} of them in {together} submissions" in page


@needs_plugin
def test_trainings_ask_for_a_gpu_and_its_memory_where_there_are_some(commands, tmp_path):
    commands(sinfo="echo gpu:2")
    done = snakemake(
        tmp_path, "-n", "--workflow-profile", "profiles/slurm", "--configfile", "tests/tiny.yaml"
    )
    planned = done.stdout + done.stderr
    trainings = re.findall(r"rule train\w*:.*?resources: (.*?)\n", planned, re.DOTALL)
    assert trainings and all("gpu=1" in its for its in trainings)
    assert all(int(re.search(r"mem_mb=(\d+)", its)[1]) > 3000 for its in trainings)
    (score, *_) = re.findall(r"rule score:.*?resources: (.*?)\n", planned, re.DOTALL)
    assert "gpu=0" in score and "mem_mb=2000" in score


def test_a_machine_that_can_have_no_slurm_of_one_node_is_told_from_one_that_fails(tmp_path):
    """Without apt-get; or without root, which comes first."""
    for tool in ("bash", "mktemp", "mkdir", "rm"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    command = [ROOT / "tests/slurm/node.sh", "true"]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 77 and done.stderr.startswith("node.sh: "), done.stderr


# ---- jobs of an earlier run ----

# Jobs 1 and 2 are of an earlier run of this folder, and end when they are cancelled.
SQUEUE = """[ -n "$DEAD" ] && exit 1
[ -e "$CALLS.gone" ] || printf '1 charlens-1-2_uuid\\n2 charlens-1-2_uuid\\n'
printf '3 charlens-1-22_uuid\\n4 sleep\\n'"""


def test_jobs_of_a_killed_run_are_cancelled(commands, tmp_path, monkeypatch, capsys):
    commands(squeue=SQUEUE, scancel='touch "$CALLS.gone"')
    results = tmp_path / "results"
    results.mkdir()
    slurm.take_over(results)  # nothing is known of an earlier one
    assert not (tmp_path / "calls").exists() and not list(results.iterdir())

    (results / ".slurm").write_text("charlens-1-2\n")
    monkeypatch.setattr(slurm, "_name", ["charlens-5-6"])
    slurm.take_over(results)
    assert "scancel 1 2\n" in (tmp_path / "calls").read_text()
    assert "cancelling 2 Slurm jobs of an earlier run" in capsys.readouterr().err
    assert (results / ".slurm").read_text() == "charlens-5-6\n"
    slurm.end(results)
    assert not list(results.iterdir())


def test_a_local_run_cancels_them_too(commands, tmp_path):
    commands(squeue=SQUEUE, scancel='touch "$CALLS.gone"')
    (tmp_path / ".slurm").write_text("charlens-1-2\n")
    slurm.take_over(tmp_path)
    assert "scancel 1 2\n" in (tmp_path / "calls").read_text()
    assert not (tmp_path / ".slurm").exists()


def test_jobs_that_may_run_stop_a_run(commands, tmp_path, monkeypatch):
    commands(squeue=SQUEUE, scancel="")
    (tmp_path / ".slurm").write_text("charlens-1-2\n")
    monkeypatch.setattr(slurm, "GONE_SECONDS", 0)
    with pytest.raises(InputError, match="jobs 1 2 are still running after scancel"):
        slurm.take_over(tmp_path)
    monkeypatch.setenv("DEAD", "yes")
    with pytest.raises(InputError, match=r"Slurm does not answer \(squeue: .*remove .*\.slurm"):
        slurm.take_over(tmp_path)
    assert (tmp_path / ".slurm").exists()
