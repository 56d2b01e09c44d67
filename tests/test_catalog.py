"""What the Snakemake workflow catalog asks of a workflow of standardized usage."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def plan(*args) -> list[str]:
    """The jobs of the demo, as a dry run counts them; "name count" of each."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "host", *args]
    done = subprocess.run(
        [*command, "--configfile", "demo.yaml", "--config", "run=nothing"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [" ".join(line.split()) for line in re.findall(r"^[a-z]\w+ +\d+$", done.stdout, re.M)]


def test_the_settings_are_those_that_the_catalog_reads():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    deployment = usage["software-stack-deployment"]
    assert set(deployment) == {"conda", "apptainer", "apptainer+conda"}
    assert all(isinstance(value, bool) for value in [*deployment.values(), usage["report"]])


def test_the_readme_names_workflow_and_snakemake():
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme and "workflow" in readme


def test_the_configuration_is_described():
    page = (ROOT / "config/README.md").read_text()
    keys = yaml.safe_load((ROOT / "config.yaml").read_text())
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", page, re.M)))
    assert named and set(named) <= set(keys)
    example = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    assert set(example) <= set(keys)


def test_the_workflow_is_found_in_its_folder_and_is_the_same():
    assert any((ROOT / "workflow/rules").glob("*.smk"))
    root = plan()
    assert "train 26" in root and "all 1" in root
    inner = plan("--snakefile", "workflow/Snakefile")
    assert inner == ["everything 1" if job == "all 1" else job for job in root]


@pytest.mark.parametrize("way", ["relative", "link"])
def test_the_checkout_may_be_named_in_any_way(way, tmp_path):
    """Files of the package are inputs by the same names, so nothing is made again."""
    (tmp_path / "link").symlink_to(ROOT)
    folder = f"../{ROOT.name}" if way == "relative" else tmp_path / "link"
    command = [sys.executable, "-m", "snakemake", "-n", "-s", f"{folder}/Snakefile", "-d", folder]
    done = subprocess.run(
        [
            *command,
            "--configfile",
            f"{folder}/demo.yaml",
            "--config",
            "run=nothing",
            "--",
            "table1",
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert re.search(r"[ ,]src/charlens/report/tables.py", said) and f"{ROOT}/src/" not in said
