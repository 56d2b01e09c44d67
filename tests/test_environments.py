"""Environments have the versions of the lock files, whose hashes pip checks."""

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from charlens.ngrams import build

ROOT = Path(__file__).parents[1]
HASHED = [
    *(ROOT / f"requirements{kind}.lock" for kind in ("", "-slurm", "-cells")),
    build.BOOST,
]
TORCH = ROOT / "requirements-torch.lock"
PYTHONS = ("3.11", "3.12", "3.13")  # of the lock files
# Wheels that install on these platforms, by the tags of Python packaging: a C library of 2.28 or
# later, and macOS 14 or later.
WHEELS = {
    "Linux aarch64": [
        f"manylinux{of}_aarch64" for of in (2014, *(f"_2_{n}" for n in range(17, 29)))
    ],
    "macOS arm64": ["macosx_14_0_arm64"],
}


def pins(lock: Path) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes of each package of a lock file, which has nothing else but comments."""
    text = re.sub(r"^#.*\n", "", lock.read_text(), flags=re.M).replace("\\\n", "")
    rows = re.findall(r"^([\w.-]+)==([\w.]+)((?: +--hash=sha256:[0-9a-f]{64})*)$", text, re.M)
    assert len(rows) == len(text.splitlines()) == len({name for name, _, _ in rows})
    return {name: (version, hashes.split()) for name, version, hashes in rows}


def test_the_lock_is_for_these_versions_of_python():
    for lock in (HASHED[0], TORCH):
        assert "for Python 3.11 to 3.13" in lock.read_text()


@pytest.mark.parametrize("lock", HASHED, ids=lambda lock: lock.name)
def test_every_pin_has_hashes(lock):
    assert pins(lock) and "torch" not in pins(lock)
    assert all(hashes for _, hashes in pins(lock).values())


def test_torch_alone_has_none():
    assert [(name, hashes) for name, (_, hashes) in pins(TORCH).items()] == [("torch", [])]


def test_set_up_ends_where_a_file_is_not_the_locked_one(tmp_path):
    """Set-up by the Makefile, from a lock of one small package with the hashes of another."""
    (version, _), (_, others) = (pins(HASHED[0])[name] for name in ("mdurl", "pluggy"))
    for name in ("Makefile", "pyproject.toml", TORCH.name):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "requirements.lock").write_text(f"mdurl=={version} {' '.join(others)}\n")
    command = ["make", ".venv/.ready", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    if "No matching distribution found" in done.stderr:
        pytest.skip("no package index answers")
    assert done.returncode and "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / ".venv/.ready").exists()


def test_the_image_installs_what_make_does_and_nothing_else():
    recipe = (ROOT / "envs/Dockerfile").read_text()
    (python,) = re.findall(r"^FROM python:(\d+\.\d+)-", recipe, re.M)
    assert python in PYTHONS and f"RUN make setup PYTHON=python{python}\n" in recipe
    assert "pip install" not in recipe and "==" not in recipe


def test_the_image_leaves_out_what_a_checkout_may_have_made():
    ignored = (ROOT / "envs/Dockerfile.dockerignore").read_text().split()
    made = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()}
    assert {".venv", ".snakemake", "node_modules", "results/*"} <= set(ignored) & made


def test_the_conda_environment_is_filled_from_the_locks():
    recipe = (ROOT / "envs/environment.yaml").read_text()
    for command in ("--require-hashes -r requirements.lock", "-r requirements-torch.lock"):
        assert f"#   pip install {command}\n" in recipe
    conda = yaml.safe_load(recipe)["dependencies"]
    (python,) = (word.partition("=")[2] for word in conda if word.startswith("python "))
    assert python.strip() in PYTHONS
    assert not any("=" in word for word in conda if not word.startswith("python "))


def compiled_pins() -> list[tuple[str, str]]:
    """Name and version of each pin whose wheel is of one platform alone, and of the Boost that
    KenLM is built with. (The others, and what is built from source, are plain Python.)"""
    installed = pins(HASHED[0]) | pins(TORCH)
    compiled = {name: pin for name, pin in installed.items() if not plain_python(name)}
    return [(name, version) for name, (version, _) in (compiled | pins(build.BOOST)).items()]


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
