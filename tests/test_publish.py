"""What is finished, what is published of it, and models in half precision."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import small_split
from synthetic import run

from charlens import half, model, plan, publish, score, select
from charlens.errors import InputError
from charlens.train import Recipe, train

PLANNED = [
    "results/r/scores/wp/type~lstm/layers~2/size~64/seed~1.npy",
    "results/r/scores/wp/type~gru/layers~1/size~64/seed~2.npy",
    "results/r/scores/wp/nn/context~3/seed~1.npy",
    "results/r/scores/lk/ngram/order~21.npy",
]


def test_status():
    below = [path.removeprefix("results/r/") for path in PLANNED]
    table = publish.status(below, PLANNED[1:3])
    assert list(table.columns) == publish.STATUS
    assert table["finished"].tolist() == [0, 1, 1, 0]
    assert table["corpus"].tolist() == ["wp", "wp", "wp", "lk"]
    names = [publish.short(name) for name in table["model"]]
    assert names == ["LSTM 2x64", "GRU 1x64 seed 2", "3-NN", "20-gram"]
    assert publish.recurrent(table)["finished"].tolist() == [0, 1]


def run_folder(folder, finished=2):
    """A run with tables, figures, scores, a text and a model."""
    files = {
        "tables/table1.csv": "a", "tables/claims.html": "b", "figures/figure1.png": "c",
        "figures/figure1.svg": "d", "corpora/wp.json": "e", "corpora/wp.txt": "secret",
        "corpora/wp.npz": "secret", "scores/wp/type~lstm/layers~2/size~64/seed~1.npy": "secret",
        "scores/wp/type~lstm/layers~2/size~64/seed~1.json": "f",
        "models/wp/type~lstm/layers~2/size~64/seed~1/dropout~0.0/history.csv": "g",
        "models/wp/type~lstm/layers~2/size~64/seed~1/dropout~0.0/model.safetensors": "large",
        "published/wp-lstm.safetensors": "h",
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    publish.status(PLANNED, PLANNED[:finished]).to_csv(folder / "tables/status.csv", index=False)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_publish(tmp_path):
    source, reference = tmp_path / "run", tmp_path / "reference"
    run_folder(source)
    publish.publish(source, reference)
    below = "wp/type~lstm/layers~2/size~64/seed~1"
    before = files(reference)
    run(publish, [source, reference])  # the command, over what is there
    assert files(reference) == before
    assert files(reference) == [
        "README.md",
        "corpora/wp.json",
        "figures/figure1.png",
        "figures/figure1.svg",
        f"histories/{below}/dropout~0.0/history.csv",
        "models/wp-lstm.safetensors",
        f"scores/{below}.json",
        "tables/claims.html",
        "tables/status.csv",
        "tables/table1.csv",
    ]
    page = (reference / "README.md").read_text()
    assert "| wp | 2 of 2 | 0 of 1 | 0 of 0 |" in page
    assert "- wp: 3-NN" in page and "- lk: 20-gram" in page
    # what is gone from the run goes from the reference
    (source / "figures/figure1.svg").unlink()
    publish.publish(source, reference)
    assert "figures/figure1.svg" not in files(reference)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reference", "run"]


def test_less_does_not_replace_more(tmp_path):
    source, reference = tmp_path / "run", tmp_path / "reference"
    run_folder(source, finished=3)
    publish.publish(source, reference)
    before = files(reference)
    run_folder(source, finished=1)
    with pytest.raises(InputError, match="holds 3 finished models, .* only 1: nothing is replaced"):
        publish.publish(source, reference)
    run_folder(source, finished=0)
    with pytest.raises(InputError, match="no model is finished"):
        publish.publish(source, reference)
    assert files(reference) == before
    (source / "tables/status.csv").unlink()
    with pytest.raises(InputError, match="status.csv: no readable status"):
        publish.publish(source, reference)


# ---- what only_finished leaves of a run ----


def config(**more):
    return {
        "run": "r",
        "use": ["wp", "lk"],
        "grid": {
            "types": ["lstm", "gru"], "layers": [1], "sizes": [64], "omit": [],
            "seeds": [{"values": [1]}],
            "dropout": [{"types": ["gru"], "values": [0.0, 0.1]}, {"values": [0.0]}],
        },
        "nn": {"contexts": [1], "hidden": [8, 16], "seed": 1},
        "ngrams": {"orders": [2, 3]},
        "figures": {"young_lstm": {"corpora": ["wp", "lk"]}},
        "split": {"layout": "streams"},
        "plain_cut": {"corpora": ["wp"], "orders": [3], "recurrent": [{"type": "lstm"}]},
        "corpora": {"wp": {"title": "W"}, "lk": {"title": "L"}},
        **more,
    }  # fmt: skip


def touch(*paths):
    for path in paths:
        path = plan.Path("results/r", path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_only_finished(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    below = "wp/type~{}/layers~1/size~64/seed~1"
    lstm, gru = below.format("lstm"), below.format("gru")
    assert len(plan.scores(config())) == 2 * (2 + 1 + 2)
    touch(f"models/{lstm}/dropout~0.0/model.safetensors")
    touch("models/wp/nn/context~1/seed~1/hidden~8/model.safetensors")  # one candidate of two
    touch("scores/lk/ngram/order~2.npy", "scores/lk/ngram/order~2.json")
    done = plan.finished(config(), plan.scores(config()))
    one_nn = "wp/nn/context~1/seed~1"
    assert done == [f"<results>/scores/{model}.npy" for model in (lstm, one_nn, "lk/ngram/order~2")]
    candidates = [f"<results>/models/{one_nn}/hidden~{n}/model.safetensors" for n in (8, 16)]
    assert plan.trained(config(only_finished=True), candidates) == candidates[:1]
    assert plan.trained(config(only_finished=False), candidates) == candidates
    # wp has no n-gram, lk no network: neither can be drawn
    nothing = config()
    plan.narrow(nothing)
    assert nothing["use"] == [] and nothing["figures"]["young_lstm"]["corpora"] == []
    touch("scores/wp/ngram/order~3.npy", "scores/wp/ngram/order~3.json", "figure5/wp.csv")
    some = config()
    plan.narrow(some)
    assert some["use"] == ["wp"] and some["figures"]["young_lstm"]["corpora"] == ["wp"]
    assert [cell["type"] for cell in plan.cells(some, "wp")] == ["lstm"]
    touch(f"models/{gru}/dropout~0.1/model.safetensors")
    some = config()
    plan.narrow(some)
    assert [cell["type"] for cell in plan.cells(some, "wp")] == ["lstm", "gru"]


def test_the_plain_cut_is_a_corpus_like_any_other():
    own = config()
    assert plan.add_plain_cut(own) == ["wp"]
    assert plan.split(own, "wp.contiguous")["layout"] == "contiguous"
    assert plan.split(own, "wp")["layout"] == "streams"
    assert plan.plain_scores(own, "wp") == [
        f"<results>/scores/{name}/{path}.npy"
        for name in ("wp", "wp.contiguous")
        for path in ("type~lstm/layers~1/size~64/seed~1", "ngram/order~3")
    ]
    assert plan.dropouts(own, {"corpus": "wp.contiguous", "type": "gru"}) == [0.0, 0.1]
    plainly = config(split={"layout": "contiguous"})
    assert plan.add_plain_cut(plainly) == [] and set(plainly["corpora"]) == {"wp", "lk"}


def test_in_paper():
    package = plan.Path(publish.__file__).parent
    assert plan.in_paper(package, ["mine", "lk", "wp"]) == ["lk", "wp"]


# ---- half precision ----


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A GRU that has learnt something."""
    folder = tmp_path_factory.mktemp("trained")
    torch.set_num_threads(1)
    data = small_split(windows=(40, 5, 20))
    arch = model.Architecture("gru", 2, 16, data.symbols)
    recipe = Recipe(epochs=3, learning_rate=0.01)
    about = {"corpus": "x", "source": "made up"}
    train(arch, recipe, data, 1, 0.0, folder, about | {"size": 16}, "x", "reference")
    return folder / "model.safetensors", data


def test_half_precision_barely_changes_scores(trained, tmp_path):
    path, data = trained
    small = tmp_path / "half.safetensors"
    half.halve(path, small)
    assert select.about(small) == select.about(path)
    assert small.stat().st_size < 0.6 * path.stat().st_size + 1500
    whole, halved = (score.score(p, data, "reference") for p in (path, small))
    assert whole.mean() > -np.log(data.symbols) + 0.1  # it has learnt
    assert not np.array_equal(whole, halved)
    assert abs(whole.mean(dtype=float) - halved.mean(dtype=float)) < 5e-4
    assert np.abs(whole - halved).max() < 0.02


def test_half_takes_the_best_and_refuses_what_does_not_fit(trained, tmp_path):
    path, _ = trained
    arch, params, about = model.load(path)
    better = tmp_path / "better.safetensors"
    model.save(better, params, about | {"val_loss": about["val_loss"] - 1, "epoch": 99})
    out = tmp_path / "out.safetensors"
    run(half, [path, better, "--out", out])
    assert select.about(out)["epoch"] == 99
    params["out.b"] = params["out.b"] + torch.tensor(1e6)
    model.save(better, params, about)
    with pytest.raises(InputError, match="out.b is too large for half precision"):
        half.halve(better, out)


def test_status_files_are_checked(tmp_path):
    pd.DataFrame({"a": [1]}).to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(InputError, match="needs the columns corpus,model,finished"):
        publish.read_status(tmp_path / "s.csv")
