"""The paper's whole run at full scale but for its trainings, with one seed of each network.

Networks that are not trained stand for those that would be: what a rule costs does not depend on
their weights. The table of all rules is printed, and kept in the file that $RULES_CSV names. This
takes hours."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from project import ROOT, copy_kenlm, copy_project, own

from charlens.bench.rules import costs
from charlens.data import split
from charlens.networks import architecture, arrays, model_file, version
from charlens.runs import grid, settings
from charlens.runs.reference import Publication
from charlens.store.models import ModelKey
from charlens.text import symbols
from charlens.training import snapshots

PUBLISHED = ROOT / "results/reference"
MODEL = "model.safetensors"
TRAINED = "train", "train_watched", "train_nn", "trajectory"
ONE_SEED = {"grid": {"seeds": [{"values": [1]}]}}


def stand_in(folder: Path, key: ModelKey, plan: settings.Settings, histories: dict) -> None:
    """Write what training a network would have written, with its initial parameters and the history
    of one that was trained."""
    run = folder / "results/paper"
    data = split.load(run / f"corpora/{key.corpus}.npz")
    text = json.loads((run / f"corpora/{key.corpus}.json").read_text())
    if key.family == "nn":
        arch = architecture.Architecture("nn", 1, int(key.candidate), data.symbols, key.n)
    else:
        hidden = architecture.hidden_size(key.type, key.layers, key.size, data.symbols)
        arch = architecture.Architecture(key.type, key.layers, hidden, data.symbols)
    like = [k for k in histories if (k.family, k.type, k.size) == (key.family, key.type, key.size)]
    history = pd.read_csv(histories[key if key in histories else like[0]])
    best = history.loc[history["val_loss"].idxmin()]
    params = arrays.initialise(arch, plan.training.init, key.seed)
    about = dataclasses.asdict(arch) | {
        "corpus": key.corpus, "source": text["source"], "size": key.size,
        "version": version.version(arch.type), "parameters": architecture.count(arch),
        "dropout": key.candidate if key.family == "recurrent" else 0.0, "seed": key.seed,
        "epoch": int(best["epoch"]), "val_loss": float(best["val_loss"]),
        "alphabet": symbols.in_hex(data.alphabet), "split": split.digest(data),
    }  # fmt: skip
    out = run / "models" / key.path
    out.mkdir(parents=True)
    history.to_csv(out / "history.csv", index=False)
    if key in grid.watched(plan, key.corpus):
        looks = plan.figures.emergence
        schedule = snapshots.Schedule(looks.snapshots, looks.epochs)
        epochs = schedule.taken(plan.training.epochs, 100, 100)
        taken = [{"epoch": epoch, "params": snapshots.take(params)} for epoch in epochs]
        snapshots.save(out / "snapshots.safetensors", taken, about)
    model_file.save(out / MODEL, params, about)


@pytest.mark.full
def test_every_rule_but_the_trainings_finishes_at_full_scale(tmp_path_factory):
    if not os.environ.get("CORPORA_MIRROR"):
        pytest.skip("needs the corpora: name their folder in $CORPORA_MIRROR")
    folder = tmp_path_factory.mktemp("full")
    copy_project(folder)
    copy_kenlm(folder)
    Path(folder, "one_seed.yaml").write_text(yaml.safe_dump(ONE_SEED))
    paper = yaml.safe_load((ROOT / "config.yaml").read_text())
    plan = settings.make(paper | {"grid": paper["grid"] | ONE_SEED["grid"]})
    trainings = [k for k in grid.trainings(plan) if k.candidates != "rate"]
    corpora = dict.fromkeys(key.corpus for key in trainings)
    options = ["--configfile", "one_seed.yaml", "--rerun-triggers", "mtime", "--"]
    own(folder, *options, *(f"results/paper/corpora/{name}.npz" for name in corpora))
    histories = Publication(PUBLISHED).histories()
    for key in trainings:
        stand_in(folder, key, plan, histories)
    own(
        folder, *options, *(f"results/paper/models/{k.chosen.path}/best/{MODEL}" for k in trainings)
    )
    # the first epochs that are published; newer than the networks, so that none are trained
    figure5 = folder / "results/paper/figure5"
    shutil.copytree(PUBLISHED / "figure5", figure5, copy_function=shutil.copy)
    own(folder, *options)
    found = {row["rule"]: row for row in costs(folder / "results/paper")}
    assert not set(found) & set(TRAINED), "a stand-in was trained"
    print(pd.DataFrame(found.values()).to_string(index=False))
    if out := os.environ.get("RULES_CSV"):
        pd.DataFrame(found.values()).to_csv(out, index=False)
    shutil.rmtree(folder)
