"""Snakemake in this project's workflow, in a folder of its own or in a copy of the project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = ("Snakefile", "config.yaml", "profiles", "src", "tests/tiny.yaml", "workflow")
TINY = ["--configfile", "tests/tiny.yaml"]


def command(*args, project=ROOT, cores=2):
    return [sys.executable, "-m", "snakemake", "--snakefile", str(project / "Snakefile"),
            "--cores", str(cores), *args]  # fmt: skip


def finish(process: list[str], check, cwd, environment):
    done = subprocess.run(
        process, capture_output=True, text=True, env=os.environ | environment, cwd=cwd
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def snakemake(folder, *args, check=True, **environment):
    """Run this project's workflow in a folder."""
    return finish(command("--directory", str(folder), *args), check, ROOT, environment)


def own(project, *args, check=True, **environment):
    """Run the workflow of a copy of this project, in that copy."""
    environment["PYTHONPATH"] = str(project / "src")
    return finish(command(*args, project=project), check, project, environment)


def copy_project(folder: Path) -> None:
    """Copy what a run of this project needs into a folder."""
    for name in PROJECT:
        (folder / name).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)


def copy_kenlm(folder: Path) -> None:
    """Copy KenLM, if `make` has built it, to where a run in this folder has its own. It is newer
    there than the code that builds it, however old it is, so that no run builds it again."""
    built = ROOT / "results/kenlm"
    if built.exists():
        shutil.copytree(built, folder / "results/kenlm")
        for path in ("results/kenlm", "results/kenlm/.snakemake_timestamp"):
            Path(folder, path).touch()


def counts(output: str) -> dict[str, int]:
    rows = (line.split() for line in output.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
