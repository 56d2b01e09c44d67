"""Cards of networks and texts, the crate of a publication, and what catalogs of software read."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from charlens.runs import model_cards
from charlens.runs.reference import Publication

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results/reference"


@pytest.fixture(scope="module")
def crate() -> dict[str, dict]:
    """The entities of the published crate, by their ids."""
    graph = json.loads((REFERENCE / "ro-crate-metadata.json").read_text())["@graph"]
    assert len({one["@id"] for one in graph}) == len(graph)
    return {one["@id"]: one for one in graph}


def referred(value) -> list[str]:
    """The ids that a value refers to."""
    if isinstance(value, list):
        return [id for one in value for id in referred(one)]
    return [value["@id"]] if isinstance(value, dict) else []


def test_everything_that_the_crate_lists_is_there_and_described(crate):
    for part in referred(crate["./"]["hasPart"]):
        assert (REFERENCE / part).exists() and part in crate
        assert (REFERENCE / part).is_dir() == (crate[part]["@type"] == "Dataset")
    for one in crate.values():
        for key in set(one) - {"conformsTo", "identifier", "url"}:
            for id in referred(one[key]):
                assert id in crate or id == "https://w3id.org/ro/crate/1.1", (one["@id"], key, id)


def test_everything_published_is_in_the_crate(crate):
    parts = {id.rstrip("/") for id in referred(crate["./"]["hasPart"])}
    published = Publication(REFERENCE)
    there = {published.below(path).parts[0] for path in published.files("**/*")}
    assert there - {"ro-crate-metadata.json"} == parts


def test_the_crate_describes_a_run_of_the_workflow(crate):
    run, workflow = crate["#run"], crate[crate["./"]["mainEntity"]["@id"]]
    assert run["instrument"]["@id"] == workflow["@id"] == "Snakefile"
    assert "ComputationalWorkflow" in workflow["@type"]
    assert {"tables/", "figures/"} <= set(referred(run["result"]))
    assert "settings.json" in referred(run["object"])


def test_the_date_changes_with_the_content_alone(tmp_path):
    path = tmp_path / "crate.json"
    crate = {"@graph": [{"@id": "./", "name": "one"}]}
    first = model_cards.dated(crate, path)
    path.write_bytes(
        first.replace(json.loads(first)["@graph"][0]["datePublished"].encode(), b"1999")
    )
    assert b"1999" in model_cards.dated({"@graph": [{"@id": "./", "name": "one"}]}, path)
    assert b"1999" not in model_cards.dated({"@graph": [{"@id": "./", "name": "other"}]}, path)


@pytest.mark.skipif(
    importlib.util.find_spec("rocrate_validator") is None,
    reason="the validator of crates is not installed: pip install roc-validator",
)
def test_the_crate_is_valid():
    """Needs a network: the validator fetches the vocabulary."""
    command = [sys.executable, "-m", "rocrate_validator.cli", "-y", "validate", "--no-paging"]
    command += ["-p", "workflow-run-crate-0.5", "-l", "required", str(REFERENCE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_published_network_and_text_has_a_card():
    published = Publication(REFERENCE)
    for pattern in ("models/*.safetensors", "corpora/*.json"):
        for path in published.files(pattern):
            head = path.with_suffix(".md").read_text().split("---\n")[1]
            assert isinstance(yaml.safe_load(head), dict)


def test_a_card_says_what_the_file_says():
    card = (REFERENCE / "models/wp-lstm.md").read_text()
    about = model_cards.model_file.about(REFERENCE / "models/wp-lstm.safetensors")
    assert f"# LSTM {about['layers']}x{about['size']} on War and Peace" in card
    assert f"{about['layers']} layers of {about['hidden']} units" in card
    assert f"{about['val_loss']:.4f} nats" in card
    text = json.loads((REFERENCE / "corpora/wp.json").read_text())
    assert text["sha256"] in (REFERENCE / "corpora/wp.md").read_text()


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0" and citation["message"] and citation["authors"]
    about = json.loads((ROOT / "codemeta.json").read_text())
    assert citation["version"] == about["version"]
    assert f'\nversion = "{about["version"]}"\n' in (ROOT / "pyproject.toml").read_text()
