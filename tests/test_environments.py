"""Environments other than that of `make` have the same versions: those of the one lock."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from charlens.ngrams import build

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")  # of requirements.lock
# Wheels that install on these platforms, by the tags of Python packaging: a C library of 2.28 or
# later, and macOS 14 or later.
WHEELS = {
    "Linux aarch64": [
        f"manylinux{of}_aarch64" for of in (2014, *(f"_2_{n}" for n in range(17, 29)))
    ],
    "macOS arm64": ["macosx_14_0_arm64"],
}


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


def compiled_pins() -> list[tuple[str, str]]:
    """Name and version of each pin whose wheel is of one platform alone, and of the Boost that
    KenLM is built with. (The others, and what is built from source, are plain Python.)"""
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^([\w.-]+)==(\S+)", lock, re.M)
    compiled = [(name, version) for name, version in pins if not plain_python(name)]
    return [*compiled, ("cmeel-boost", build.BOOST)]


def plain_python(name: str) -> bool:
    tags = re.findall(r"^Tag: (.+)", metadata.distribution(name).read_text("WHEEL"), re.M)
    return all(tag.endswith("-any") for tag in tags)


def test_the_pins_with_compiled_code_are_found():
    assert {"torch", "numpy", "cmeel-boost"} <= dict(compiled_pins()).keys()
    assert plain_python("snakemake")


@pytest.mark.full
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", WHEELS)
def test_every_pin_has_a_wheel_for(platform, python):
    """Nothing is downloaded: pip only says which versions it could install there."""
    command = [sys.executable, "-m", "pip", "index", "versions", "--only-binary=:all:"]
    command += ["--python-version", python, *(f"--platform={tag}" for tag in WHEELS[platform])]
    missing = []
    for name, version in compiled_pins():
        done = subprocess.run([*command, name], capture_output=True, text=True)
        found = re.search(r"^Available versions: (.+)", done.stdout, re.M)
        if found is None or version not in found[1].split(", "):
            missing.append(f"{name}=={version}")
    assert not missing
