"""The profiles for clusters: each can be read, and names rules that there are."""

import os
import re
from pathlib import Path

import pytest
import yte

ROOT = Path(__file__).parents[2]
ENGINES = ("lsf", "sge", "htcondor")
RULES = {
    name
    for path in (ROOT / "workflow/rules").glob("*.smk")
    for name in re.findall(r"^rule (\w+):|^use rule \w+ as (\w+) with", path.read_text(), re.M)
    for name in name
    if name
}
TRAININGS = ("train", "train_watched", "train_adamw", "train_nn")


def profile(name: str, monkeypatch, gpus: str | None = None) -> dict:
    """A profile as Snakemake reads it, where the environment has CHARLENS_GPUS."""
    monkeypatch.delenv("CHARLENS_GPUS", raising=False)
    if gpus is not None:
        monkeypatch.setenv("CHARLENS_GPUS", gpus)
    return yte.process_yaml((ROOT / f"profiles/{name}/config.yaml").read_text())


@pytest.mark.parametrize("name", ["cluster", *ENGINES])
def test_profiles_name_rules_that_there_are(name, monkeypatch):
    found = profile(name, monkeypatch)
    assert set(found.get("set-resources", {})) <= RULES
    groups = found.get("groups", {})
    assert set(groups) <= RULES
    assert set(groups.values()) == set(found.get("group-components", {}))


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_adds_to_what_is_shared(name, monkeypatch):
    assert not set(profile(name, monkeypatch)) & set(profile("cluster", monkeypatch))
    assert profile(name, monkeypatch)["executor"] == name


def test_trainings_ask_for_a_gpu_where_the_environment_says_so(monkeypatch):
    asks = {
        "lsf": ("lsf_extra", "''", "'-gpu num=1'"),
        "sge": ("sge_resources", "''", "'gpu=1'"),
        "htcondor": ("request_gpus", 0, 1),
    }
    for name, (resource, without, with_one) in asks.items():
        for rule in TRAININGS:
            for gpus, wanted in ((None, without), ("0", without), ("1", with_one)):
                found = profile(name, monkeypatch, gpus)["set-resources"][rule][resource]
                assert found == wanted, (name, rule, gpus)


def test_jobs_are_planned_without_a_gpu_unless_told(monkeypatch):
    profile("cluster", monkeypatch)
    assert os.environ["CHARLENS_GPUS"] == "0"
    profile("cluster", monkeypatch, "1")
    assert os.environ["CHARLENS_GPUS"] == "1"


def test_groups_and_reasons_to_run_again_are_those_of_slurm(monkeypatch):
    slurm = (ROOT / "profiles/slurm/config.yaml").read_text()
    shared = profile("cluster", monkeypatch)
    for rule, group in shared["groups"].items():
        assert f"\n  {rule}: {group}\n" in slurm
    assert "\nrerun-triggers: [mtime, params, input, software-env]\n" in slurm
    assert shared["rerun-triggers"] == ["mtime", "params", "input", "software-env"]
