"""Publishing what exists of a run; digests of scores; models in half precision."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import small_split
from machines import (
    NETWORKS,
    STREAMS,
    UNROLL,
    Verbs,
    choose,
    describe,
    files,
    settings,
    watch,
    write_clamped,
    write_first_epochs,
    write_found,
    write_measures,
    write_network,
    write_run,
)
from machines import score as write_scores
from synthetic import TEXT, random_logp, run, write_score

from charlens.data import split
from charlens.errors import InputError
from charlens.networks import architecture, half, model_file
from charlens.report import figure1, tables
from charlens.runs import merge, publish, reference, remake, status
from charlens.store import tables as stored
from charlens.store.models import ModelKey
from charlens.store.scores import by_corpus, read_score
from charlens.training import score
from charlens.training.recipe import RMSProp
from charlens.training.train import train

LSTM, GRU, WORSE_GRU, NN = NETWORKS
GRU_SCORES = f"scores/code/{GRU.rpartition('/')[0]}.json"


def test_status(tmp_path, capsys):
    planned = ["code/type~lstm/layers~2/size~64/seed~1", "code/nn/context~3/seed~1"]
    out = tmp_path / "status.csv"
    run(status, ["--planned", *planned, "--finished", f"r/scores/{planned[1]}.npy", "--out", out])
    table = stored.read_status(out)
    assert table["model"].tolist() == ["type~lstm layers~2 size~64 seed~1", "nn context~3 seed~1"]
    assert table["finished"].tolist() == [0, 1]
    assert "code: 1 of 2 models finished; missing: LSTM 2x64" in capsys.readouterr().out


@pytest.fixture
def verbs(monkeypatch):
    found = Verbs()
    monkeypatch.setattr(remake, "verb", found)
    monkeypatch.setattr(publish, "verb", found)
    return found


def some(*names):
    return {name: NETWORKS[name] for name in names}


def test_publish(tmp_path, verbs):
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    before = files(source)
    run(publish, [source, published])
    assert "train" not in verbs.called and "score" not in verbs.called
    assert files(source) == before  # a training may be running in it
    found = files(published)
    assert list(sorted(found)) == sorted([
        "README.md", "corpora/code.json", "histories/candidates.csv", "settings.json",
        "Snakefile", "ro-crate-metadata.json", "corpora/code.md", "models/code-gru.md",
        "models/code-lstm.md",
        *(f"histories/code/{name}/history.csv" for name in NETWORKS),
        *(f"figures/figure{n}.{end}" for n in (1, 4, 5, 6) for end in ("csv", "png", "svg")),
        "figures/figure6_definitions.csv",
        *(f"figures/ablation.{end}" for end in ("csv", "png", "svg")),
        *(f"figures/{name}.{end}" for name in ("errors", "figure2-code", "figure3")
          for end in ("png", "svg")),
        "models/code-gru.safetensors", "models/code-lstm.safetensors",
        *(f"scores/code/{name}.json" for name in
          ("ngram/order~2", "ngram/order~3", "nn/context~1/seed~1")),
        *(f"scores/code/type~{type}/layers~1/size~8/seed~1.json" for type in ("lstm", "gru")),
        *(f"tables/{name}.csv" for name in
          ("ablation", "cells", "claims", "discrepancies", "errors", "explained", "gates",
           "hypotheses", "inside", "probes", "shuffle_offsets", "status", "table1", "table2")),
        *(f"tables/{name}.html" for name in
          ("cells", "claims", "discrepancies", "inside", "table1", "table2")),
    ])  # fmt: skip
    assert json.loads(found[GRU_SCORES])["dropout"] == 0.0
    table = pd.read_csv(published / "histories/candidates.csv")
    assert list(table.columns) == reference.CANDIDATES
    assert table[["candidate", "val_loss", "chosen"]].to_numpy().tolist() == [
        ["hidden~8", 2.5, 1], ["dropout~0.0", 1.6, 1], ["dropout~0.1", 1.7, 0],
        ["dropout~0.0", 1.5, 1],
    ]  # fmt: skip
    page = found["README.md"].decode()
    assert "| claim | Code |\n| --- | --- |\n| depth helps | holds |" in page
    assert "| code | 2 of 2 | 1 of 1 | 2 of 2 |" in page
    assert "Missing" not in page  # the paper has no such corpus to compare with
    assert "| code | size 8 | dropout 0.1 | 1 | 0 |" in page
    # once more: the same
    run(publish, [source, published])
    assert files(published) == found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reference", "small"]


def test_what_is_trained_and_not_scored_is_scored_and_what_is_missing_is_named(tmp_path, verbs):
    source, published = tmp_path / "small", tmp_path / "reference"
    write_run(source, some(WORSE_GRU, NN), ngrams=())
    write_network(source, GRU, NETWORKS[GRU], scored=False)  # while the other is scored already
    # a training that goes on has a checkpoint and no model yet
    (source / f"models/code/{LSTM}").mkdir(parents=True)
    (source / f"models/code/{LSTM}/history.csv").write_text("epoch,val_loss\n1,2.0\n")
    publish.publish(source, published)
    assert verbs.called.count("score") == 1
    assert json.loads((published / GRU_SCORES).read_text())["val_loss"] == NETWORKS[GRU]
    assert not {"cells", "figure2", "figure3", "figure4", "figure5"} & set(verbs.called)
    assert not (published / f"histories/code/{LSTM}").exists()
    page = (published / "README.md").read_text()
    assert "- code: LSTM 1x8, 1-gram, 2-gram\n" in page
    assert "figure 3, figure 4, figure 5, figure 6" in page


@pytest.mark.parametrize(
    ("numbers", "called"), [("1.5,", []), (",1.4", []), ("1.5,1.4", ["compare"])]
)
def test_only_what_the_paper_has_numbers_for_is_compared(numbers, called, tmp_path, verbs):
    """A run may have finished nothing yet but networks of newer types, or one that diverged."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/table1.csv").write_text(f"corpus,type,loss,paper\nwp,lstm,{numbers}\n")
    remake.comparison(tmp_path, [tmp_path / "corpora/wp.json"])
    assert verbs.called == called


MINGRU = "type~mingru/layers~1/size~8/seed~1/dropout~0.0"


def with_types(folder, *types, networks=NETWORKS):
    """A run that also looks at these types."""
    made = settings()
    return write_run(
        folder, networks, figures=made["figures"] | {"types": list(types)},
        grid=made["grid"] | {"types": ["lstm", "gru", "mingru"]},
    )  # fmt: skip


def test_other_types_are_published_beside_the_lstm(tmp_path, verbs):
    source, published = tmp_path / "small", tmp_path / "reference"
    with_types(source, "gru", "mingru", networks=NETWORKS | {MINGRU: 1.4})
    publish.publish(source, published)
    own = {path for path in files(published) if path.startswith("types/gru/")}
    assert own == {
        *(f"types/gru/figure{n}.{end}" for n in (4, 5, 6) for end in ("csv", "png", "svg")),
        "types/gru/figure6_definitions.csv", "types/gru/tables/cells.html",
        "types/gru/figure2-code.png", "types/gru/figure2-code.svg",
        *(f"types/gru/tables/{name}.csv" for name in
          ("cells", "explained", "gates", "hypotheses", "probes")),
    }  # fmt: skip
    assert verbs.called.count("cells") == 3 and verbs.called.count("types") == 1
    assert model_file.about(published / "models/code-mingru.safetensors")["val_loss"] == 1.4
    page = (published / "README.md").read_text()
    assert "clamped units of minGRU, first epochs of minGRU" in page and "units of GRU" not in page
    # what takes long is taken where the run has it, and is newer than the networks
    write_clamped(source / "types/mingru")
    write_first_epochs(source, "mingru")
    publish.publish(source, published)
    found = files(published)
    assert {"types/mingru/ablation.png", "types/mingru/tables/ablation.csv",
            "types/mingru/figure5/code.csv", "types/gru/figure4.csv"} <= set(found)  # fmt: skip
    page = found["README.md"].decode()
    assert "units of minGRU" not in page and "first epochs of minGRU" not in page
    best = published / "types/mingru/tables/hypotheses.csv"
    (published / "types/gru/tables/hypotheses.csv").write_text("corpus,model\ncode,gru 1x8\n")
    planned = list(reference.Publication(published).digests())
    lacking = ["units, gates and errors of minGRU 1x8 (those of 2x8 are shown)"]
    for model, said in (("mingru 1x8", []), ("mingru 2x8", lacking)):
        best.write_text(f"corpus,model\ncode,{model}\n")
        assert reference.lacking_of_types(published, planned) == said


def test_a_type_that_is_not_trained_yet_is_named(tmp_path, verbs):
    source, published = with_types(tmp_path / "small", "mingru"), tmp_path / "reference"
    publish.publish(source, published)
    assert not (published / "types").exists() and "types" not in verbs.called
    page = (published / "README.md").read_text()
    assert "- code: minGRU 1x8\n" in page and "units of minGRU, clamped units of minGRU" in page


def test_a_type_whose_only_network_diverged_is_published_as_failed(tmp_path, verbs):
    """Its figures are left out by name, and everything else is made."""
    source, published = tmp_path / "small", tmp_path / "reference"
    with_types(source, "gru", "mingru", networks=NETWORKS | {MINGRU: 3.0})
    model = source / f"models/code/{MINGRU}/model.safetensors"
    describe(model, failed="diverged in epoch 3")
    write_scores(model, source / f"scores/code/{MINGRU.rpartition('/')[0]}.npy")
    publish.publish(source, published)
    assert (published / "types/gru/figure4.csv").exists()
    assert not (published / "types/mingru").exists()
    assert not (published / "models/code-mingru.safetensors").exists()
    page = (published / "README.md").read_text()
    assert "- code: minGRU 1x8 failed: diverged in epoch 3\n" in page
    assert ", 1 diverged |" in page.partition("| code | ")[2].partition("\n")[0]
    assert "units of minGRU" in page


def test_networks_by_the_second_recipe_are_published(tmp_path, verbs):
    added = {"layers": [1], "sizes": [8], "add": ["adamw"]}
    grid = settings()["grid"] | {"variants": [added]}
    more = {"grid": grid, "adamw": {"rates": [0.01, 0.02], "weight_decay": 0.2}}
    source, published = write_run(tmp_path / "small", **more), tmp_path / "reference"
    for rate, loss, decay in ((0.01, 1.3, 0.2), (0.02, 1.2, 0.2), (0.03, 1.1, 0.2)):
        path = f"type~lstm+adamw/layers~1/size~8/seed~1/rate~{rate}"
        write_network(source, path, loss, recipe={"weight_decay": decay})
    path = "type~lstm+adamw/layers~1/size~8/seed~1/rate~0.01"
    describe(source / f"models/code/{path}/model.safetensors", dropout=0.3, val_loss=1.1)
    path = "type~gru+adamw/layers~1/size~8/seed~1/rate~0.01"
    write_network(source, path, 1.2, recipe={"weight_decay": 0.1})  # not that of the settings
    publish.publish(source, published)
    digest = published / "scores/code/type~lstm+adamw/layers~1/size~8/seed~1.json"
    assert json.loads(digest.read_text())["rate"] == 0.02  # the best of those tried
    page = (published / "README.md").read_text()
    assert "- code: GRU+adamw 1x8\n" in page
    assert json.loads((published / "settings.json").read_text())["corpora"]["code"]["adamw"]


def test_networks_with_something_added_join_those_without(tmp_path, verbs):
    """In either order; the recipe of what is published stays known."""
    added = {"variants": [{"layers": [1], "sizes": [8], "add": ["adamw"]}]}
    recipe = {"rates": [0.01], "weight_decay": 0.2}
    plain, more = write_run(tmp_path / "plain/small"), tmp_path / "more/small"
    write_run(more, grid=settings()["grid"] | added, adamw=recipe)
    path = "type~lstm+adamw/layers~1/size~8/seed~1/rate~0.01"
    write_network(more, path, 1.2, recipe={"weight_decay": 0.2})
    one, other, both = (tmp_path / name for name in ("one", "other", "both"))
    publish.publish(more, one)
    publish.publish(plain, other)
    shutil.copytree(other, both)
    publish.publish(more, both)
    merge.merge(one, other)
    for published in (one, both):
        about = json.loads((published / "settings.json").read_text())["corpora"]["code"]
        assert about["adamw"]["weight_decay"] == 0.2
        assert list(published.glob("scores/code/type~lstm+adamw/**/*.json"))
        change(more, "adamw", weight_decay=0.3)
        with pytest.raises(InputError, match="holds code with adamw .*'weight_decay': 0.2"):
            publish.publish(more, published)
        change(more, "adamw", weight_decay=0.2)


def test_a_publication_of_another_run_within_one_stays(tmp_path, verbs):
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    publish.publish(source, published)
    publish.publish(source, published / "modern")
    inner = files(published / "modern")
    publish.publish(source, published)
    assert files(published / "modern") == inner
    assert len(files(published)) == 2 * len(inner)
    assert len(reference.Publication(published).files("**/*")) == len(inner)


def test_what_was_found_inside_networks_is_looked_for_again_only_if_they_are_newer(tmp_path, verbs):
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    write_found(source, LSTM, GRU)
    path = source / f"inside/code/{LSTM.rpartition('/')[0]}.csv"
    verbs.measure(model_file.about(source / f"models/code/{LSTM}/model.safetensors"), path)
    publish.publish(source, published)
    assert not {"ablate", "cells", "probes"} & set(verbs.called)
    assert {"ablation", "cell-tables"} <= set(verbs.called)
    assert verbs.called.count("inside") == 1  # of the GRU
    shutil.rmtree(source / f"models/code/{LSTM}")
    write_network(source, LSTM, 1.4)
    publish.publish(source, published)
    assert verbs.called.count("cells") == verbs.called.count("probes") == 1
    assert verbs.called.count("inside") == 3
    # clamping takes long: it is not repeated here, and what is of an older network is not taken
    assert "ablate" not in verbs.called and verbs.called.count("ablation") == 1


def change(source, section, **values):
    """Change settings of a run."""
    path = source / "settings.json"
    its = json.loads(path.read_text())
    its[section] |= values
    path.write_text(json.dumps(its))


def test_what_was_found_by_other_settings_or_of_another_candidate_is_looked_for_again(
    tmp_path, verbs
):
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    measured = source / f"inside/code/{GRU.rpartition('/')[0]}.csv"
    write_found(source, LSTM, GRU)
    verbs.measure(model_file.about(source / f"models/code/{GRU}/model.safetensors"), measured)

    def made(*wanted):
        verbs.called.clear()
        publish.publish(source, published)
        return [verbs.called.count(name) for name in wanted]

    assert made("cells", "probes", "inside") == [0, 0, 1]  # of the LSTM
    # another candidate of the GRU is left, which was trained before
    grid = settings()["grid"]["dropout"]
    change(source, "grid", dropout=[{"types": ["gru"], "values": [0.1]}, grid[1]])
    assert made("inside") == [2]
    choose(source, ModelKey.parse(f"code/{WORSE_GRU}"))
    os.utime(measured, (1, 1))  # older than this choice
    assert made("cells", "probes", "inside") == [1, 1, 2]
    write_found(source, LSTM, WORSE_GRU)
    assert made("cells", "probes") == [0, 0]
    probes = settings()["cells"]["probes"]
    for changed in (
        {"samples": 2000}, {"shifts": 300}, {"seed": 1}, {"probes": probes | {"characters": 9}},
        {"passages": {"code": [{"hypothesis": "none", "begins": "x", "characters": 9}]}},
    ):  # fmt: skip
        change(source, "cells", **changed)
        assert made("cells", "probes") == [1, 1]
        write_found(source, LSTM, WORSE_GRU)
    assert made("cells", "probes") == [0, 0]
    older = json.loads((source / "cells/code.json").read_text())
    del older["options"]
    (source / "cells/code.json").write_text(json.dumps(older))
    os.utime(source / "probes/code.csv")
    assert made("cells", "probes") == [1, 1]


def test_clamped_units_that_were_not_found_now_or_by_other_settings_are_left_out(tmp_path, verbs):
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"

    def taken():
        shutil.rmtree(published, ignore_errors=True)
        publish.publish(source, published)
        return (published / "tables/ablation.csv").exists()

    assert taken()
    write_clamped(source, unit=2)
    assert not taken()
    write_clamped(source)
    for asked in ({"controls": 3}, {"characters": 100}):
        change(source, "cells", ablation=asked)
        assert not taken()
    change(source, "cells", ablation={})
    assert taken()


@pytest.mark.parametrize("other", [
    {"epochs": 3}, {"snapshots": 4}, {"corpora": ["wp"]}, {"contexts": [1, 2]}, {"chosen": NN},
])  # fmt: skip
def test_first_epochs_by_other_settings_are_left_out(other, tmp_path, verbs):
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    write_first_epochs(source)
    publish.publish(source, published)
    assert (published / "figure5/code.csv").exists()
    shutil.rmtree(published)
    if "contexts" in other:
        write_first_epochs(source, **other)
    elif "chosen" in other:  # once more, among trained candidates, after the first epochs were made
        for path in (source / "corpora/code.npz", *source.rglob("*~*/model.safetensors")):
            os.utime(path, (0, 0))
        os.utime(source / "figure5/code.csv", (1, 1))
    else:
        first = json.loads((source / "settings.json").read_text())["figures"]["first_epochs"]
        change(source, "figures", first_epochs=first | other)
    publish.publish(source, published)
    assert not (published / "figure5/code.csv").exists()


WATCHED = {"corpora": ["code"], "types": ["lstm", "gru"], "layers": [1], "sizes": [8]}


def test_watched_networks_are_analysed_where_they_are_not_yet(tmp_path, verbs):
    source, published = tmp_path / "small", tmp_path / "reference"
    write_run(source, figures=settings()["figures"] | {"emergence": WATCHED})
    for name in (LSTM, GRU):
        watch(source, name)
    snapshots = source / f"models/code/{LSTM}/snapshots.safetensors"
    write_measures(snapshots, source / f"emergence/code/{LSTM}.csv", 0.7)
    publish.publish(source, published)
    assert verbs.called.count("emergence") == 1
    table = pd.read_csv(published / "tables/emergence.csv")
    assert table.groupby("type")["value"].max().to_dict() == {"gru": 0.1, "lstm": 0.7}
    assert (published / "figures/emergence.png").exists()


def test_watched_networks_by_other_settings(tmp_path, verbs):
    source, published = tmp_path / "small", tmp_path / "reference"
    figures = settings()["figures"] | {"emergence": WATCHED | {"types": ["lstm"]}}
    write_run(source, figures=figures)
    watch(source, LSTM)
    snapshots = source / f"models/code/{LSTM}/snapshots.safetensors"
    measures = source / f"emergence/code/{LSTM}.csv"

    def made():
        verbs.called.clear()
        publish.publish(source, published)
        return verbs.called.count("emergence")

    write_measures(snapshots, measures, 0.7)
    assert made() == 0
    write_measures(snapshots, measures, 0.7, characters=500)
    assert made() == 1  # units were scored on fewer characters
    write_measures(snapshots, measures, 0.7)
    measures.write_text("".join(measures.read_text().splitlines(keepends=True)[:-1]))
    assert made() == 1  # not of all snapshots
    write_measures(snapshots, measures, 0.7)
    shutil.rmtree(published)
    change(source, "figures", emergence=figures["emergence"] | {"snapshots": 5})
    assert made() == 0  # the network is to be trained again
    assert not (published / "tables/emergence.csv").exists()


def test_what_was_published_from_another_machine_stays(tmp_path, verbs):
    here, there, published = (tmp_path / name for name in ("here", "there", "reference"))
    write_run(there, some(LSTM, WORSE_GRU))
    publish.publish(there, published)
    before = files(published)
    # this one has another candidate of the GRU, which is better, and the n-NN
    write_run(here, some(GRU, NN), ngrams=())
    publish.publish(here, published)
    after = files(published)
    assert json.loads(after[GRU_SCORES])["dropout"] == 0.0
    gru = {GRU_SCORES, "models/code-gru.safetensors", "models/code-gru.md"}
    for name in before.keys() - gru:
        if name.startswith(
            ("scores", "models", "figures/figure4", "tables/cells", "histories/code")
        ):
            assert after[name] == before[name]
    assert (
        b"code,type~gru layers~1 size~8 seed~1,dropout~0.1,2,1.700000,0"
        in (after["histories/candidates.csv"])
    )
    assert "| code | 2 of 2 | 1 of 1 | 2 of 2 |" in after["README.md"].decode()


def test_a_candidate_that_was_trained_anew_replaces_the_published_one(tmp_path, verbs):
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    publish.publish(source, published)
    shutil.rmtree(source)
    write_run(source, NETWORKS | {GRU: 1.65})  # worse, and what the code gives now
    publish.publish(source, published)
    assert json.loads((published / GRU_SCORES).read_text())["val_loss"] == 1.65
    assert model_file.about(published / "models/code-gru.safetensors")["val_loss"] == 1.65


@pytest.mark.parametrize(
    "stale", [{"version": "0.9"}, {"recipe": {"epochs": 9}}, {"split": "of other fractions"}]
)
def test_a_model_of_another_recipe_split_or_version_is_not_published(
    stale, tmp_path, verbs, monkeypatch
):
    """It still lies in the run's folder until it has been trained again."""
    monkeypatch.setattr(publish.RunFiles, "split_digest", lambda *_: "of these fractions")
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    recipe = {"epochs": settings()["training"]["epochs"], "learning_rate": 0.002}
    for name in NETWORKS:
        describe(source / f"models/code/{name}/model.safetensors", recipe=recipe)
    describe(source / f"models/code/{GRU}/model.safetensors", **stale)
    publish.publish(source, published)
    # of the two candidates the other one is left, although its validation loss is higher
    assert json.loads((published / GRU_SCORES).read_text())["dropout"] == 0.1
    assert not (published / f"histories/code/{GRU}/history.csv").exists()
    assert (published / f"histories/code/{LSTM}/history.csv").exists()


@pytest.mark.parametrize(("section", "values"), [
    ("split", {"streams": 7}), ("split", {"unroll": 20}), ("split", {"layout": "contiguous"}),
    ("corpora", {"fractions": [0.7, 0.2, 0.1]}),
])  # fmt: skip
def test_a_split_that_is_not_the_one_of_the_settings_is_refused(section, values, tmp_path, verbs):
    source = write_run(tmp_path / "small")
    if section == "corpora":
        values = {"code": settings()["corpora"]["code"] | values}
    change(source, section, **values)
    with pytest.raises(InputError, match="code.npz: not the split of code.txt by the settings"):
        publish.publish(source, tmp_path / "reference")


def test_twins_are_those_of_the_settings_and_of_the_same_text(tmp_path, verbs):
    chosen = {"orders": [2], "recurrent": [{"type": "lstm"}], "corpora": ["code"]}
    source = write_run(tmp_path / "small", contiguous_split=chosen)
    for end in ("npz", "txt", "json"):
        shutil.copyfile(source / f"corpora/code.{end}", source / f"corpora/code.contiguous.{end}")
    data = split.split(TEXT, "contiguous", STREAMS, UNROLL, [0.8, 0.1, 0.1])
    split.save(source / "corpora/code.contiguous.npz", data)
    for name in (LSTM, GRU):
        write_network(source, name, 1.5, corpus="code.contiguous")

    def published():
        folder = tmp_path / "reference"
        shutil.rmtree(folder, ignore_errors=True)
        publish.publish(source, folder)
        return [path.parts[-4] for path in folder.glob("scores/code.contiguous/**/*.json")]

    assert published() == ["type~lstm"]
    info = source / "corpora/code.contiguous.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"sha256": "another"}))
    assert published() == []
    shutil.copyfile(source / "corpora/code.json", info)
    change(source, "contiguous_split", corpora=[])
    assert published() == []


def test_scores_of_another_test_text_are_not_published(tmp_path, verbs):
    """The split digest of a network is of what it is trained on."""
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    data = split.load(source / "corpora/code.npz")
    lstm = source / f"scores/code/{LSTM.rpartition('/')[0]}.json"
    bigram = source / "scores/code/ngram/order~2.json"

    def scored(**more):
        verbs.called.clear()
        shutil.rmtree(published, ignore_errors=True)
        for path in (lstm, bigram):
            path.write_text(json.dumps(json.loads(path.read_text()) | more))
        publish.publish(source, published)
        there = (published / "scores/code/ngram/order~2.json").exists()
        return verbs.called.count("score"), there

    # by an earlier version, newer than the split
    assert scored(split=split.digest(data)) == (0, True)
    for path in (lstm, bigram):
        os.utime(path.with_suffix(".npy"), (0, 0))
    assert scored() == (1, False)
    assert scored(test=split.digest_of_test(data)) == (0, True)
    assert scored(test="another") == (1, False)


def test_scores_and_first_epochs_of_an_older_split_are_not_published(tmp_path, verbs, monkeypatch):
    monkeypatch.setattr(publish.RunFiles, "split_digest", lambda *_: "this")
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    write_first_epochs(source)
    order2, order3 = (source / f"scores/code/ngram/order~{n}.json" for n in (2, 3))
    about = json.loads(order2.read_text())
    # what says of which split it is counts by that; what does not, by its date
    order2.write_text(json.dumps(about | {"split": "another"}))
    os.utime(order3.with_suffix(".npy"), (0, 0))
    os.utime(source / "figure5/code.csv", (0, 0))
    publish.publish(source, published)
    assert not (published / "figure5").exists()
    assert not (published / "scores/code/ngram").exists()
    order2.write_text(json.dumps(about | {"split": "this"}))
    os.utime(source / "figure5/code.csv")
    publish.publish(source, published)
    assert (published / "figure5/code.csv").exists()
    assert [path.stem for path in (published / "scores/code/ngram").iterdir()] == ["order~2"]


def test_refusals_leave_what_is_published(tmp_path, verbs):
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    publish.publish(source, published)
    before = files(published)

    def refused(message, **more):
        (source / "settings.json").write_text(json.dumps(settings(**more)))
        with pytest.raises(InputError, match=message):
            publish.publish(source, published)
        assert files(published) == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["reference", "small"]

    refused("holds the run 'small', .*small is 'other'", run="other")
    refused(
        "holds code with training {.*'epochs': 50", training=settings()["training"] | {"epochs": 9}
    )
    refused("holds code, which .*small does not use", use=["wp"])
    corpus = source / "corpora/code.json"
    info = corpus.read_text()
    corpus.write_text(info.replace("made up", "another file"))
    refused("source is 'made up', in .* 'another file': losses on two texts")
    corpus.write_text(info)
    (source / "settings.json").unlink()
    with pytest.raises(InputError, match="settings.json is missing: run snakemake once"):
        publish.publish(source, published)
    shutil.rmtree(source)
    write_run(source, {})
    with pytest.raises(InputError, match="no model is finished: there is nothing to publish"):
        publish.publish(source, published)
    assert files(published) == before


def test_only_a_publication_is_replaced(tmp_path, verbs):
    """A run, above all the one that is published, or any other folder is left as it is."""
    source, other = write_run(tmp_path / "small"), write_run(tmp_path / "other")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").touch()
    for folder, message in (
        (source, "small is a run, no publication"),
        (other, "other is a run, no publication"),
        (mine, "mine: no publication: it has no settings.json"),
        (mine / "thesis.tex", "thesis.tex: no publication"),
    ):
        before = files(tmp_path)
        with pytest.raises(InputError, match=message):
            publish.publish(source, folder)
        assert files(tmp_path) == before
    (tmp_path / "empty").mkdir()
    publish.publish(source, tmp_path / "empty")
    assert (tmp_path / "empty/settings.json").exists()
    with pytest.raises(InputError, match="other is a run, no publication"):
        merge.merge(tmp_path / "empty", other)
    with pytest.raises(InputError, match="empty is a publication, no run"):
        publish.publish(tmp_path / "empty", tmp_path / "copy")


def test_less_does_not_replace_more(tmp_path, verbs):
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    publish.publish(source, published)
    before = files(published)
    grid = settings()["grid"] | {"types": ["lstm"]}  # the GRU is planned no more
    (source / "settings.json").write_text(json.dumps(settings(grid=grid)))
    with pytest.raises(InputError, match="has 5 finished models; with .* it would have 4"):
        publish.publish(source, published)
    assert files(published) == before


def test_killed_between_the_last_two_steps(tmp_path, verbs):
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    publish.publish(source, published)
    before = files(published)
    published.rename(tmp_path / ".reference.old")
    (tmp_path / ".reference.new").mkdir()  # left behind
    shutil.rmtree(source)
    write_run(source, {})
    with pytest.raises(InputError, match="no model is finished"):
        publish.publish(source, published)
    assert files(published) == before


def test_a_verb_that_fails_is_one_line(tmp_path):
    with pytest.raises(InputError, match="charlens half: .*none: no such model; train it first$"):
        remake.verb("half", tmp_path / "none", "--out", tmp_path / "out")


def test_the_verbs_are_given_what_they_need(tmp_path, monkeypatch):
    """As in a run of one's own, but for the networks themselves, which are made up."""
    verbs = Verbs(light=False)
    for module in (remake, publish):
        monkeypatch.setattr(module, "verb", verbs)
    source, published = write_run(tmp_path / "small"), tmp_path / "reference"
    publish.publish(source, published)
    assert len(pd.read_csv(published / "tables/table1.csv")) == 2
    assert list(pd.read_csv(published / "tables/table2.csv")["model"]) == ["n-gram"] * 2 + ["n-NN"]
    claims = pd.read_csv(published / "tables/claims.csv").set_index("claim")
    assert np.isfinite(claims.loc["far braces", "effect"]).all()
    assert set(pd.read_csv(published / "figures/figure6.csv")["size"]) == {8}


# ---- digests ----


def test_a_digest_says_what_the_array_does(tmp_path):
    streams, size = 6, 60_000
    y = np.random.default_rng(0).integers(3, size=(streams, size // streams)).astype(np.uint8)
    split = {"alphabet": np.frombuffer(b"abcd", np.uint8), "test_y": y}
    arrays = [
        write_score(tmp_path / f"{k}.npy", random_logp(size, k, loss=1 + k / 5)) for k in range(3)
    ]
    digests = []
    for array in map(read_score, arrays):
        path = array.path.with_suffix(".json")
        path.write_text(json.dumps(array.meta | {"digest": array.digest(split)}))
        digests.append(read_score(path))
        assert digests[-1].logp is None and digests[-1].characters == size
        assert digests[-1].loss == pytest.approx(array.loss, abs=1e-6)
        assert digests[-1].stream_losses(streams) == pytest.approx(
            array.stream_losses(streams), abs=1e-5
        )
        assert digests[-1].symbol_means(split) == pytest.approx(array.symbol_means(split), abs=1e-5)
        assert array.symbol_means(split)[1] == pytest.approx(
            array.probabilities()[y.ravel() == 1].mean()
        )
        assert path.stat().st_size < 5000
    both = [[read_score(array) for array in arrays], digests]
    exact, folded = (figure1.differences(scores) for scores in both)
    distances = [np.linalg.norm(p[:, None] - p[None], axis=2) for p in (exact, folded)]
    assert distances[1] == pytest.approx(distances[0], rel=0.1)
    mixed = figure1.differences([both[0][0], *digests[1:]])
    assert np.linalg.norm(mixed[:, None] - mixed[None], axis=2) == pytest.approx(distances[1])
    # in a table they differ by the bootstrap's own chance
    rows, same = (tables.loss_rows({"code": scores}, 200, 0) for scores in both)
    assert list(same["loss"]) == list(rows["loss"])
    assert same["sd"].to_numpy() == pytest.approx(rows["sd"].to_numpy(), rel=0.2)


def test_digests_are_checked(tmp_path):
    array = read_score(write_score(tmp_path / "a.npy", random_logp(100, 0)))
    path = tmp_path / "a.json"
    with pytest.raises(InputError, match="a.json: holds no digest"):
        read_score(path)
    path.write_text(json.dumps(array.meta | {"digest": {"loss": 1.0}}))
    with pytest.raises(InputError, match="lacks characters, sd, streams, symbols, sketch"):
        read_score(path)
    digest = array.digest({"alphabet": np.arange(2), "test_y": np.zeros((4, 25), np.uint8)})
    path.write_text(json.dumps(array.meta | {"digest": digest | {"sketch": "AAAA"}}))
    with pytest.raises(InputError, match="its sketch is damaged"):
        read_score(path)
    path.write_text(json.dumps(array.meta | {"digest": digest}))
    with pytest.raises(InputError, match="expected 5 test streams, got 4"):
        read_score(path).stream_losses(5)
    score = read_score(path)
    other = read_score(write_score(tmp_path / "b.npy", random_logp(100, 1), source="another"))
    with pytest.raises(InputError, match="losses on two texts are not compared"):
        by_corpus([score, other], {"code": {}}, "model")


# ---- half precision ----


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A GRU that has learnt something."""
    folder = tmp_path_factory.mktemp("trained")
    torch.set_num_threads(1)
    data = small_split(windows=(40, 5, 20))
    arch = architecture.Architecture("gru", 2, 16, data.symbols)
    recipe = RMSProp(epochs=3, learning_rate=0.01)
    about = {"corpus": "x", "source": "made up"}
    train(arch, recipe, data, 1, 0.0, folder, about | {"size": 16}, "x", "reference")
    return folder / "model.safetensors", data


def test_half_precision_barely_changes_scores(trained, tmp_path):
    path, data = trained
    small = tmp_path / "half.safetensors"
    half.halve(path, small)
    assert model_file.about(small) == model_file.about(path)
    assert small.stat().st_size < 0.6 * path.stat().st_size + 1500
    whole, halved = (score.score(p, data, "reference") for p in (path, small))
    assert whole.mean() > -np.log(data.symbols) + 0.1  # it has learnt
    assert not np.array_equal(whole, halved)
    assert abs(whole.mean(dtype=float) - halved.mean(dtype=float)) < 5e-4
    assert np.abs(whole - halved).max() < 0.02


def test_half_takes_the_best_and_refuses_what_does_not_fit(trained, tmp_path):
    path, _ = trained
    arch, params, about = model_file.load(path)
    better = tmp_path / "better.safetensors"
    model_file.save(better, params, about | {"val_loss": about["val_loss"] - 1, "epoch": 99})
    out = tmp_path / "out.safetensors"
    run(half, [path, better, "--out", out])
    assert model_file.about(out)["epoch"] == 99
    params["out.b"] = params["out.b"] + torch.tensor(1e6)
    model_file.save(better, params, about)
    with pytest.raises(InputError, match="out.b is too large for half precision"):
        half.halve(better, out)


def test_status_files_are_checked(tmp_path):
    pd.DataFrame({"a": [1]}).to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(InputError, match="needs the columns corpus,model,finished"):
        stored.read_status(tmp_path / "s.csv")
