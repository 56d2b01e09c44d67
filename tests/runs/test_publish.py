"""What is finished, what is published of it, and models in half precision."""

import json
import shutil
import struct

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import small_split
from synthetic import random_logp, run, write_corpus, write_score

from charlens.errors import InputError
from charlens.networks import architecture, half, model_file
from charlens.report import figure1, tables
from charlens.runs import plan, publish
from charlens.store import tables as stored
from charlens.store.scores import by_corpus, read_score
from charlens.training import score
from charlens.training.recipe import Recipe
from charlens.training.train import train

PLANNED = [
    "results/r/scores/wp/type~lstm/layers~2/size~64/seed~1.npy",
    "results/r/scores/wp/type~gru/layers~1/size~64/seed~2.npy",
    "results/r/scores/wp/nn/context~3/seed~1.npy",
    "results/r/scores/lk/ngram/order~21.npy",
]


def test_status():
    below = [path.removeprefix("results/r/") for path in PLANNED]
    table = publish.status(below, [PLANNED[1], "results/reference/" + below[2][:-4] + ".json"])
    assert list(table.columns) == stored.STATUS
    assert table["finished"].tolist() == [0, 1, 1, 0]
    assert table["corpus"].tolist() == ["wp", "wp", "wp", "lk"]
    names = [publish.short(name) for name in table["model"]]
    assert names == ["LSTM 2x64", "GRU 1x64 seed 2", "3-NN", "20-gram"]
    assert [key.label for key in stored.planned_networks(table)] == names[:2]


SETTINGS = {"run": "run", "corpora": {}}
LSTM = "wp/type~lstm/layers~2/size~64/seed~1"
HISTORY = "epoch,val_loss\n1,2.5\n2,2.125\n3,2.25\n"


def run_folder(folder, finished=2):
    """A run with tables, figures, scores, a text and a model."""
    files = {
        "tables/table1.csv": "a", "tables/claims.html": "b", "figures/figure1.png": "c",
        "figures/figure1.svg": "d", f"models/{LSTM}/dropout~0.0/history.csv": HISTORY,
        f"models/{LSTM}/dropout~0.0/model.safetensors": "large",
        "published/wp-lstm.safetensors": "h", "published/wp-lstm-deepest.safetensors": "i",
        "published/wp-gru.safetensors": "j", "published/wp-gru-deepest.safetensors": "j",
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    publish.status(PLANNED, PLANNED[:finished]).to_csv(folder / "tables/status.csv", index=False)
    (folder / "corpora").mkdir(exist_ok=True)
    size = write_corpus(folder / "corpora", "wp")
    array = folder / f"scores/{LSTM}.npy"
    array.parent.mkdir(parents=True, exist_ok=True)
    write_score(array, random_logp(size, 0), corpus="wp", layers=2)
    return [array]


def test_the_page_says_what_holds(tmp_path):
    source, reference = tmp_path / "run", tmp_path / "reference"
    scores = run_folder(source)
    (source / "tables/claims.csv").write_text(
        "claim,where,verdict,effect\n"
        "depth helps,wp,holds,0.1\ndepth helps,wp: RNN,undecided,0\n"
        "a,wp,does not hold,0.1\nfar braces,lk,undecided,\n"
    )
    (source / "corpora/lk.json").write_text('{"title": "Linux"}')
    publish.publish(source, reference, scores, SETTINGS)
    title = json.loads((source / "corpora/wp.json").read_text())["title"]
    assert (
        f"| the paper concludes | {title} | Linux |\n| --- | --- | --- |\n"
        "| depth helps | holds | – |\n| a | does not hold | – |\n| far braces | – | undecided |\n"
    ) in (reference / "README.md").read_text()


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_publish(tmp_path):
    source, reference = tmp_path / "run", tmp_path / "reference"
    scores = run_folder(source)
    publish.publish(source, reference, scores, SETTINGS)
    before = files(reference)
    options = ["--scores", *scores, "--settings", json.dumps(SETTINGS)]
    run(publish, [source, reference, *options])  # the command, over what is there
    assert files(reference) == before
    assert files(reference) == [
        "README.md",
        "corpora/wp.json",
        "figures/figure1.png",
        "figures/figure1.svg",
        "histories/candidates.csv",
        f"histories/{LSTM}/dropout~0.0/history.csv",
        "models/wp-gru.safetensors",
        "models/wp-lstm-deepest.safetensors",
        "models/wp-lstm.safetensors",
        f"scores/{LSTM}.json",
        "settings.json",
        "tables/claims.html",
        "tables/status.csv",
        "tables/table1.csv",
    ]
    page = (reference / "README.md").read_text()
    assert "| wp | 2 of 2 | 0 of 1 | 0 of 0 |" in page
    assert "- wp: 3-NN" in page and "- lk: 20-gram" in page
    # what is gone from the run goes from the reference
    (source / "figures/figure1.svg").unlink()
    publish.publish(source, reference, scores, SETTINGS)
    assert "figures/figure1.svg" not in files(reference)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reference", "run"]


def test_candidates_that_were_tried(tmp_path):
    source, reference = tmp_path / "run", tmp_path / "reference"
    scores = run_folder(source)
    other = f"models/{LSTM}/dropout~0.1", f"models/{LSTM[:-1]}2/dropout~0.0"
    for folder in other:  # not chosen, and a seed that is not scored
        shutil.copytree(source / f"models/{LSTM}/dropout~0.0", source / folder)
    publish.publish(source, reference, scores, SETTINGS)
    table = pd.read_csv(reference / "histories/candidates.csv", keep_default_na=False)
    assert list(table.columns) == publish.CANDIDATES
    lstm = LSTM.removeprefix("wp/").replace("/", " ")
    assert table.to_numpy().tolist() == [
        ["wp", lstm, "dropout~0.0", 2, 2.125, "1"],
        ["wp", lstm, "dropout~0.1", 2, 2.125, "0"],
        ["wp", lstm[:-1] + "2", "dropout~0.0", 2, 2.125, ""],
    ]
    page = (reference / "README.md").read_text()
    assert "| wp | size 64 | dropout 0.0 | 2 | 1 |\n| wp | size 64 | dropout 0.1 | 1 | 0 |" in page


def test_measurements_are_published_and_not_replaced_by_less(tmp_path):
    source, reference, bench = tmp_path / "run", tmp_path / "reference", tmp_path / "bench"
    scores = run_folder(source)
    bench.mkdir()
    published = reference / "bench/equal.csv"
    for content, then in (("a\n1\n", "a\n1\n"), ("a\n", "a\n1\n"), ("a\n2\n3\n", "a\n2\n3\n")):
        (bench / "equal.csv").write_text(content)
        publish.publish(source, reference, scores, SETTINGS)
        assert published.read_text() == then
    shutil.rmtree(bench)  # on another machine
    publish.publish(source, reference, scores, SETTINGS)
    assert published.read_text() == "a\n2\n3\n"


def test_what_was_published_from_another_machine_stays(tmp_path):
    here, there, reference = (tmp_path / name for name in ("here", "there", "reference"))
    first = run_folder(there)
    (there / "figure5").mkdir()
    (there / "figure5/wp.csv").write_text("looks")
    publish.publish(there, reference, first, SETTINGS)
    published = reference / f"scores/{LSTM}.json"
    before = published.read_bytes()
    # the other machine has another model
    gru = "wp/type~gru/layers~1/size~64/seed~2"
    run_folder(here)
    for name in ("scores", "models"):
        (here / name / LSTM).parent.rename(here / name / "wp" / "x")
        (here / name / gru).parent.mkdir(parents=True)
    shutil.rmtree(here / "scores")
    own = here / f"scores/{gru}.npy"
    own.parent.mkdir(parents=True)
    size = read_score(first[0]).characters
    write_score(own, random_logp(size, 1), corpus="wp", type="gru", layers=1, seed=2)
    publish.publish(here, reference, [published, own], SETTINGS)
    assert published.read_bytes() == before
    digest = read_score(reference / f"scores/{gru}.json")
    assert digest.loss == pytest.approx(read_score(own).loss, abs=1e-6)
    for kept in (f"histories/{LSTM}/dropout~0.0/history.csv", "figure5/wp.csv"):
        assert (reference / kept).exists()


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
    with pytest.raises(InputError, match="scored on 4 test streams, not 5"):
        read_score(path).stream_losses(5)
    score = read_score(path)
    other = read_score(write_score(tmp_path / "b.npy", random_logp(100, 1), source="another"))
    with pytest.raises(InputError, match="losses on two texts are not compared"):
        by_corpus([score, other], {"code": {}}, "model")


def test_less_does_not_replace_more(tmp_path):
    source, reference = tmp_path / "run", tmp_path / "reference"
    scores = run_folder(source, finished=3)
    publish.publish(source, reference, scores, SETTINGS)
    before = files(reference)
    run_folder(source, finished=1)
    with pytest.raises(InputError, match="holds 3 finished models, .* only 1: nothing is replaced"):
        publish.publish(source, reference, scores, SETTINGS)
    run_folder(source, finished=0)
    with pytest.raises(InputError, match="no model is finished"):
        publish.publish(source, reference, scores, SETTINGS)
    assert files(reference) == before
    # killed between the two last steps: what was published is still known
    reference.rename(tmp_path / ".reference.old")
    run_folder(source, finished=1)
    with pytest.raises(InputError, match="holds 3 finished models"):
        publish.publish(source, reference, scores, SETTINGS)
    assert files(reference) == before
    (source / "tables/status.csv").unlink()
    with pytest.raises(InputError, match="status.csv: no readable status"):
        publish.publish(source, reference, scores, SETTINGS)


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
        "corpora": {name: {"title": name, "fractions": [0.8, 0.1, 0.1]} for name in ("wp", "lk")},
        "training": {"epochs": 50},
        "backend": "auto",
        "only_finished": False,
        **more,
    }  # fmt: skip


def write_header(path, about):
    """What of a model file says which model it is."""
    header = json.dumps({"__metadata__": {"charlens": json.dumps(about)}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def touch(*paths):
    for path in paths:
        path = plan.Path("results/r", path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def finished(**more):
    return config(only_finished=True, **more)


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
    assert plan.models(finished(), f"<results>/scores/{one_nn}.npy", candidates) == candidates[:1]
    everything = config(only_finished=False)
    assert plan.models(everything, f"<results>/scores/{one_nn}.npy", candidates) == candidates
    assert plan.for_tables(everything, plan.scores(everything)) == plan.scores(everything)
    # wp has no n-gram, lk no network: neither can be drawn
    nothing = finished()
    plan.narrow(nothing)
    assert nothing["use"] == [] and nothing["figures"]["young_lstm"]["corpora"] == []
    touch("scores/wp/ngram/order~3.npy", "scores/wp/ngram/order~3.json", "figure5/wp.csv")
    some = finished()
    plan.narrow(some)
    assert some["use"] == ["wp"] and some["figures"]["young_lstm"]["corpora"] == ["wp"]
    assert [cell["type"] for cell in plan.cells(some, "wp")] == ["lstm"]
    touch(f"models/{gru}/dropout~0.1/model.safetensors")
    some = finished()
    plan.narrow(some)
    assert [cell["type"] for cell in plan.cells(some, "wp")] == ["lstm", "gru"]


def test_what_is_published_counts_too(tmp_path, monkeypatch):
    """A machine on which a GRU was trained, and results/reference from another, with an LSTM in
    half precision, and an n-NN and n-grams of which only digests are there."""
    monkeypatch.chdir(tmp_path)
    lstm, gru = (f"wp/type~{type}/layers~1/size~64/seed~1" for type in ("lstm", "gru"))
    nn, ngram = "wp/nn/context~1/seed~1", "wp/ngram/order~2"
    touch(f"models/{gru}/dropout~0.0/model.safetensors")
    for below in (lstm, nn, ngram, "lk/ngram/order~3"):
        touch(f"../reference/scores/{below}.json")
    touch("../reference/figure5/wp.csv")
    (tmp_path / f"results/reference/scores/{lstm}.json").write_text(
        json.dumps({"family": "recurrent", "dropout": 0.0, "val_loss": 1.2})
    )
    own = finished()
    planned = plan.scores(own)
    plan.narrow(own)
    assert own["use"] == []  # of no LSTM more than the digest is there
    adopted = tmp_path / "results/reference/models/wp-lstm.safetensors"
    adopted.parent.mkdir()
    about = {"type": "lstm", "layers": 1, "size": 64, "seed": 1}
    write_header(adopted, about)
    own = finished()
    plan.narrow(own)
    assert own["use"] == ["wp"] and own["figures"]["young_lstm"]["corpora"] == ["wp"]
    assert [cell["type"] for cell in plan.cells(own, "wp")] == ["lstm", "gru"]
    assert plan.looks(own, "wp") == "results/reference/figure5/wp.csv"
    # the n-gram beside them is fitted again; tables take the LSTM as it was published
    assert plan.for_tables(own, planned) == [
        f"results/reference/scores/{lstm}.json",
        f"<results>/scores/{gru}.npy",
        f"results/reference/scores/{nn}.json",
        f"<results>/scores/{ngram}.npy",
        "results/reference/scores/lk/ngram/order~3.json",
    ]
    # the model itself: the half; once trained here, that
    array = f"<results>/scores/{lstm}.npy"
    candidate = f"models/{lstm}/dropout~0.0/model.safetensors"
    assert plan.models(own, array, []) == ["results/reference/models/wp-lstm.safetensors"]
    here, there = tmp_path / "results/r" / candidate, f"results/reference/scores/{lstm}.json"
    here.parent.mkdir(parents=True)
    for dropout, val_loss, taken in ((0.0, 1.3, True), (0.1, 1.3, False), (0.1, 1.1, True)):
        # the one that was published: dropout 0.0, and 1.2 on validation
        write_header(here, about | {"dropout": dropout, "val_loss": val_loss})
        half = "results/reference/models/wp-lstm.safetensors"
        assert plan.models(own, array, []) == [f"<results>/{candidate}" if taken else half]
        assert plan.for_tables(own, planned)[0] == (array if taken else there)
    # without the half, what was published counts in tables, and a worse model here nowhere
    write_header(here, about | {"dropout": 0.1, "val_loss": 1.3})
    adopted.rename(adopted.with_suffix(".away"))
    assert array not in plan.finished(own, planned) and plan.for_tables(own, planned)[0] == there
    adopted.with_suffix(".away").rename(adopted)
    # the best of the deepest may be another model than the best
    write_header(adopted.with_name("wp-gru-deepest.safetensors"), about | {"type": "gru"})
    shutil.rmtree(tmp_path / f"results/r/models/{gru}")
    deep = "results/reference/models/wp-gru-deepest.safetensors"
    assert plan.models(own, array.replace("lstm", "gru"), []) == [deep]
    # another seed is another model
    assert plan.models(own, array.replace("seed~1", "seed~2"), []) == []


def test_only_like_is_published_beside_like(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "results/reference/settings.json"
    path.parent.mkdir(parents=True)
    plan.check_published(config())  # nothing is published
    path.write_text(json.dumps(plan.settings(config())))
    plan.check_published(config())
    plan.check_published(config(backend="reference"))
    with pytest.raises(InputError, match="holds the run 'r', not 's': remove results/reference"):
        plan.check_published(config(run="s"))
    with pytest.raises(InputError, match="holds lk, which is not among use"):
        plan.check_published(config(use=["wp"]))
    with pytest.raises(
        InputError, match="holds wp with training {'epochs': 50}, not {'epochs': 9}"
    ):
        plan.check_published(config(training={"epochs": 9}))
    path.write_text("[]")
    with pytest.raises(InputError, match="settings.json: not the settings of published models"):
        plan.check_published(config())


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
    package = plan.Path(publish.__file__).parents[1]
    assert plan.in_paper(package, ["mine", "lk", "wp"]) == ["lk", "wp"]


# ---- half precision ----


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A GRU that has learnt something."""
    folder = tmp_path_factory.mktemp("trained")
    torch.set_num_threads(1)
    data = small_split(windows=(40, 5, 20))
    arch = architecture.Architecture("gru", 2, 16, data.symbols)
    recipe = Recipe(epochs=3, learning_rate=0.01)
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
