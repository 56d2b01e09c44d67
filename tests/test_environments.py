"""Environments other than that of `make` have the same versions: those of the one lock."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")  # of requirements.lock


def test_the_lock_is_for_these_versions_of_python():
    assert "for Python 3.11 to 3.13" in (ROOT / "requirements.lock").read_text()


def test_the_image_installs_what_make_does_and_nothing_else():
    recipe = (ROOT / "envs/Dockerfile").read_text()
    (python,) = re.findall(r"^FROM python:(\d+\.\d+)-", recipe, re.M)
    assert python in PYTHONS and f"RUN make setup PYTHON=python{python}\n" in recipe
    assert "pip install" not in recipe and "==" not in recipe


def test_the_image_leaves_out_what_a_checkout_may_have_made():
    ignored = (ROOT / "envs/Dockerfile.dockerignore").read_text().split()
    made = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()}
    assert {".venv", ".snakemake", "node_modules", "results/*"} <= set(ignored) & made


def test_the_conda_environment_installs_the_lock():
    environment = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())
    *conda, pip = environment["dependencies"]
    assert "-r ../requirements.lock" in pip["pip"]
    (python,) = (word.partition("=")[2] for word in conda if word.startswith("python "))
    assert python.strip() in PYTHONS
    assert not any("=" in word for word in conda if not word.startswith("python "))
