"""What Snakemake plans of the paper and of a text of one's own, and what it refuses."""

import os
import re
import shutil
import subprocess
import time
from functools import partial

import numpy as np
import pytest
import yaml
import yte
from project import ROOT, TINY, command, counts, snakemake


def test_the_plan_of_the_paper(tmp_path):
    planned = counts(snakemake(tmp_path, "-n", "-q", "rules").stdout)
    seeds, plain = 2 * (9 + 9) + 2 * 3, 2  # further seeds, and one network under the plain cut
    watched = 4 * 7  # seeds 4 to 10 of the networks that are watched, which are not in `seeds`
    orders = 5  # of the files of Linux, with one network each
    assert planned["select"] == 66 + seeds + watched + plain + orders
    assert planned["train_watched"] == 4 * 10
    # one candidate at size 64, two above
    trained = 2 * (9 + 2 * 24) + 2 * (9 + 2 * 9) + 2 * 3 + watched + plain + orders
    assert planned["train"] + planned["train_watched"] == trained
    assert planned["ngram"] == 2 * 20 and planned["ngram_reshuffled"] == 10 * orders  # both splits
    assert planned["score_ngram"] == 2 * 20 + 10 * orders and planned["reshuffle"] == orders
    assert planned["select_nn"] == 12 and planned["train_nn"] == 60
    trainings = sum(planned[rule] for rule in ("train", "train_watched", "train_nn"))
    said = f"Of the paper's {planned['total']} jobs {trainings} are trainings"
    assert said in (ROOT / "docs/clusters.md").read_text()


def test_the_ngrams_alone_ask_for_no_training(tmp_path):
    planned = counts(snakemake(tmp_path, "ngrams", "-n", "-q", "rules").stdout)
    assert planned["ngram"] == 20 and "train" not in planned and "train_nn" not in planned


def test_a_bad_configuration_stops_before_any_job(tmp_path):
    done = snakemake(tmp_path, "--config", "epochs=3", "training={clip: 0}", check=False)
    assert done.returncode != 0
    for line in ("epochs: unknown key", "training.clip: expected greater than 0, got '0'"):
        assert line in done.stdout + done.stderr
    assert not (tmp_path / "results").exists()


MINE = """
run: mine
use: [mine]
corpora:
  mine:
    title: My text
    kind: prose
    fractions: [0.8, 0.1, 0.1]
    sources: [{name: mine, path: README.md}]
split: {layout: contiguous, streams: 20, unroll: 50}
grid: {layers: [1, 2], sizes: [64], seeds: [{values: [1]}]}
"""


def test_a_text_of_ones_own(tmp_path):
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "mine.yaml").write_text(MINE)
    mine = ["--configfile", tmp_path / "mine.yaml"]
    planned = counts(snakemake(tmp_path, *mine, "-n", "-q", "rules").stdout)
    # no first epochs, no braces: no figure 5, and yet a report
    assert planned["report"] == 1 and "figure5" not in planned and "trajectory" not in planned
    # which is of all that the command line said
    options = [*mine, "--config", "run=other", "backend=fast"]
    done = snakemake(tmp_path, *options, "-n", "-p", "report")
    for setting in ('"run":"other"', '"backend":"fast"'):
        assert setting in done.stdout + done.stderr


def test_selections_of_a_file_count_for_the_grid_of_the_command_line(tmp_path):
    """But none that the command line itself makes, or the file for its own grid."""
    demo = ["corpora", "-n", "-q", "rules", "--configfile", "demo.yaml"]
    snakemake(tmp_path, *demo, "--config", "grid={sizes: [128]}")
    done = snakemake(tmp_path, *demo, "--config", "cells={inside: [{size: 7}]}", check=False)
    assert "cells.inside.0: matches no network of the grid; correct or remove it" in done.stdout
    (tmp_path / "mine.yaml").write_text(f"{MINE}cells: {{inside: [{{size: 7}}]}}\n")
    file = [*demo[:-1], tmp_path / "mine.yaml", "--config", "backend=fast"]
    assert "cells.inside.0: matches" in snakemake(tmp_path, *file, check=False).stdout


def run_mine(folder, *args, change=("", ""), **options):
    """Run the workflow on a text of one's own, with changed settings."""
    (folder / "mine.yaml").write_text(MINE.replace(*change))
    return snakemake(folder, *args, "--configfile", folder / "mine.yaml", **options)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """A folder in which a text of one's own was fetched and split."""
    folder = tmp_path_factory.mktemp("mine")
    words = np.random.default_rng(0).integers(97, 123, (4000, 5), np.uint8)
    (folder / "README.md").write_bytes(b" ".join(word.tobytes() for word in words))
    run_mine(folder, "corpora")
    return folder


@pytest.fixture
def mine(fetched, tmp_path):
    """Runs the workflow in a copy of that folder, which is tmp_path."""
    shutil.copytree(fetched, tmp_path, dirs_exist_ok=True)
    return partial(run_mine, tmp_path)


def test_a_text_of_ones_own_outlives_its_original(mine, tmp_path):
    text, target = tmp_path / "results/mine/corpora/mine.txt", "results/mine/corpora/mine.npz"
    content = text.read_bytes()
    (tmp_path / "README.md").rename(tmp_path / "moved.md")
    assert "Nothing to be done" in (done := mine("corpora")).stdout + done.stderr
    # the settings name another file, which is missing: refused, and nothing is removed
    done = mine("corpora", change=("README.md", "gone.md"), check=False)
    assert done.returncode != 0 and "no file gone.md" in done.stdout + done.stderr
    assert text.read_bytes() == content and (tmp_path / target).exists()
    # another one that turns out to be none, as a job finds
    (tmp_path / "empty.md").write_bytes(b"")
    done = mine("corpora", change=("README.md", "empty.md"), check=False)
    assert "the text is empty" in done.stdout + done.stderr
    assert text.read_bytes() == content and (tmp_path / target).exists()


def test_another_title_makes_only_what_shows_it_again(mine, tmp_path):
    shown = "results/mine/corpora/titled/mine.json"
    mine(shown)
    before = (tmp_path / shown).read_text()
    title = ("My text", "Another title")
    done = mine("corpora", shown, "-n", "-q", "rules", change=title)
    assert set(counts(done.stdout)) == {"title", "total"}
    mine(shown, change=title)
    assert (tmp_path / shown).read_text() == before.replace(*title)


def test_a_clock_that_was_ahead_stops_no_run(mine, tmp_path):
    corpora, tomorrow = tmp_path / "results/mine/corpora", time.time() + 86400
    for path in corpora.glob("mine.*"):
        os.utime(path, (tomorrow, tomorrow))
    (corpora / "mine.npz").unlink()
    done = mine("corpora")
    assert "files dated in the future: dated now" in done.stderr
    assert (corpora / "mine.npz").exists() and "fetch" not in counts(done.stderr)


def test_results_that_cannot_be_written_are_one_line(tmp_path):
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "mine.yaml").write_text(MINE)
    (tmp_path / "results").write_text("no folder")
    done = snakemake(tmp_path, "corpora", "--configfile", tmp_path / "mine.yaml", check=False)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if "results/mine" in line]
    assert said == [
        "charlens: error: cannot write to results/mine (Not a directory): make it writable, or run"
        " in a copy of the project"
    ]


def test_every_rule_has_a_line_of_help():
    done = subprocess.run(command("--list"), capture_output=True, text=True, cwd=ROOT)
    lines = [line for line in done.stdout.splitlines() if line and line[0].isalpha()]
    for rule in ("all", "table1", "table2", "ngrams", "figures", "report", "train", "figure5"):
        (line,) = [line for line in lines if line.split()[0] == rule]
        assert len(line.split()) > 3, f"rule {rule} says nothing of itself"


SIDE_BY_SIDE = [
    f"results/tiny/models/code/type~gru/layers~3/size~8/seed~1/dropout~{dropout}/model.safetensors"
    for dropout in (0.0, 0.1)
]
ALONE = "results/tiny/models/code/type~rnn/layers~1/size~8/seed~1/dropout~0.0/model.safetensors"


def resources(folder, *args, **environment) -> dict[str, dict[str, str]]:
    """What two rules ask for in a dry run: `train`, and the one that trains two networks."""
    targets = [*SIDE_BY_SIDE, ALONE, "-n", *TINY, "--config", "networks_per_job=2"]
    said = snakemake(folder, *targets, *args, **environment).stdout
    found = re.findall(r"^rule (train\w*):\n(?:    .*\n)*?    resources: (.*)", said, re.M)
    assert len(found) == 2
    return {rule: dict(pair.split("=", 1) for pair in asked.split(", ")) for rule, asked in found}


def test_a_job_of_several_networks_gets_what_profiles_set_for_trainings(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARLENS_GPUS", "1")
    of_train = {"gpu_model": "a100", "mem_mb": 5000}
    for engine in ("slurm", "lsf", "sge", "htcondor"):
        # that of Slurm asks Slurm before it says anything
        read = yaml.safe_load if engine == "slurm" else yte.process_yaml
        text = (ROOT / f"profiles/{engine}/config.yaml").read_text()
        of_train |= read(text)["set-resources"]["train"]
    profile = tmp_path / "profile/config.yaml"
    profile.parent.mkdir()
    profile.write_text(yaml.safe_dump({"set-resources": {"train": of_train}}))
    asked = resources(tmp_path, "--workflow-profile", str(profile.parent))
    train = asked.pop("train")
    ((name, several),) = asked.items()
    expected = {
        "slurm_extra": "--signal=USR1@180",
        "lsf_extra": "-gpu num=1",
        "sge_resources": "gpu=1",
        "request_gpus": "1",
        "gpu": "1",
        "gpu_model": "a100",
    }
    assert train.items() >= expected.items() and several.items() >= expected.items()
    # a profile's memory is that of one network
    assert train["mem_mb"] == train["htcondor_request_mem_mb"] == "5000"
    assert several["mem_mb"] == several["htcondor_request_mem_mb"] != "5000"
    # what is set for the rule itself comes first
    own = ["train:lsf_extra='train'", f"{name}:lsf_extra='mine'", f"{name}:mem_mb=7000"]
    its = resources(tmp_path, "--set-resources", *own)[name]
    assert its["lsf_extra"] == "mine" and its["mem_mb"] == "7000"


def test_a_job_of_several_networks_is_one_process_and_asks_for_a_day_at_most(tmp_path):
    one, several = resources(tmp_path, CHARLENS_GPUS="1").values()
    if one["runtime"] == "60":
        one, several = several, one
    assert (one["runtime"], several["runtime"]) == ("30", "60")
    assert 3900 < int(one["mem_mb"]) < int(several["mem_mb"]) < int(one["mem_mb"]) + 500
    long = resources(tmp_path, "training={epochs: 100000000}")
    assert {its["runtime"] for its in long.values()} == {"1440"}


def test_corpora_whose_names_differ_in_a_sign_have_jobs_of_their_own(tmp_path):
    (tmp_path / "README.md").write_text("words")
    mine = yaml.safe_load(MINE) | {"use": ["a-b", "a_b"], "networks_per_job": 2}
    mine["corpora"] = dict.fromkeys(mine["use"], mine["corpora"]["mine"])
    mine["grid"] = {"layers": [1], "sizes": [64], "seeds": [{"values": [1, 2]}]}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine))
    target = "results/mine/models/{}/type~gru/layers~1/size~64/seed~1/best/model.safetensors"
    both = [target.format(corpus) for corpus in mine["use"]]
    planned = snakemake(
        tmp_path, *both, "--configfile", tmp_path / "mine.yaml", "-n", "-q", "rules"
    )
    assert sum(rule.startswith("train_side_by_side") for rule in counts(planned.stdout)) == 2


def test_a_further_seed_trains_nothing_again_that_is_there(tmp_path):
    """Though it could share a job with networks that are there."""
    seeds = "grid: {seeds: [{types: [gru], values: [1, 2]}, {values: [1]}]}\nnetworks_per_job: 4\n"
    (tmp_path / "seeds.yaml").write_text(seeds)
    run = partial(snakemake, tmp_path)
    every = [*TINY, tmp_path / "seeds.yaml"]
    run(*SIDE_BY_SIDE, *TINY)
    further = [path.replace("seed~1", "seed~2") for path in SIDE_BY_SIDE]
    dry = [*every, "-n", "--quiet", "rules"]
    planned = counts(run(*SIDE_BY_SIDE, *further, *dry).stdout)
    (job,) = planned.keys() - {"total"}
    assert re.fullmatch(r"train_side_by_side_code_gru_3x8_\d+_0011", job)
    # a node goes by the name of its job, which has the networks that it began with
    first = tmp_path / further[0]
    first.parent.mkdir(parents=True)
    first.touch()
    node = ["--mode", "remote", "--target-jobs", f"{job}:", "--allowed-rules", job]
    assert counts(run(*dry, *node).stdout) == {job: 1, "total": 1}
    first.unlink()
    run(*SIDE_BY_SIDE, *further, *every)
    assert "Nothing to be done" in run(*SIDE_BY_SIDE, *further, *dry).stdout
