"""Joining what two machines published."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from machines import NETWORKS, SAMPLES, Verbs, files, settings, watch, write_run
from synthetic import run

from charlens.claims.published import with_published
from charlens.claims.seeds import line_break
from charlens.errors import InputError
from charlens.report import html, tables
from charlens.runs import merge, publish, reference, remake
from charlens.store.corpora import read_split
from charlens.store.models import ModelKey
from charlens.store.scores import by_corpus, read_scores
from charlens.store.tables import planned_models

LSTM, GRU, WORSE_GRU, NN = NETWORKS
PUBLISHED = Path(__file__).parents[2] / "results/reference"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Publishes what a machine with these networks has, in tmp_path/<name>."""

    def make(name: str, networks: dict, ngrams=(2, 3), unit=1, **more) -> Path:
        verbs = Verbs(unit)
        for module in (remake, publish):
            monkeypatch.setattr(module, "verb", verbs)
        source = write_run(tmp_path / f"runs-{name}/small", networks, ngrams, unit=unit, **more)
        publish.publish(source, tmp_path / name)
        shutil.rmtree(source.parent)
        return tmp_path / name

    return make


def test_watched_networks_of_both_machines_are_joined(tmp_path, monkeypatch):
    """Each machine watched some; of a network that both watched, the other's measures count."""
    watched = {"corpora": ["code"], "types": ["lstm", "gru"], "layers": [1], "sizes": [8]}
    figures = settings()["figures"] | {"emergence": watched}
    for name, networks, unit in (("one", (LSTM, GRU), 1), ("other", (GRU,), 2)):
        verbs = Verbs(unit)
        for module in (remake, publish):
            monkeypatch.setattr(module, "verb", verbs)
        source = write_run(tmp_path / f"runs-{name}/small", unit=unit, figures=figures)
        for network in networks:
            watch(source, network)
        publish.publish(source, tmp_path / name)
    run(merge, [tmp_path / "one", tmp_path / "other"])
    table = pd.read_csv(tmp_path / "one/tables/emergence.csv")
    assert table.groupby("type")["value"].max().to_dict() == {"lstm": 0.1, "gru": 0.2}


def test_what_is_made_of_a_type_comes_from_where_it_was_trained(tmp_path, machine):
    figures = settings()["figures"] | {"types": ["gru"]}
    one = machine("one", {LSTM: 1.5, WORSE_GRU: 1.7}, unit=1, figures=figures)
    other = machine("other", {GRU: 1.6}, ngrams=(2,), unit=2, figures=figures)
    name = "types/gru/tables/cells.csv"
    here, there = (folder / name for folder in (one, other))
    assert here.read_bytes() != there.read_bytes()
    (one / "types/empty").mkdir()  # nothing was made there
    run(merge, [one, other])
    assert here.read_bytes() == there.read_bytes()


def test_what_is_made_of_a_type_is_of_its_best_network(tmp_path, machine):
    """Even where the other machine has more networks of the type."""
    made = settings()
    wider = made["grid"] | {"sizes": [8, 16], "layers": [1, 2]}
    more = {"figures": made["figures"] | {"types": ["gru"]}, "grid": wider}
    best = GRU.replace("size~8", "size~16")
    many = {LSTM: 1.5, GRU: 1.8, GRU.replace("layers~1", "layers~2"): 1.7}
    one = machine("one", many, unit=1, **more)
    twin = one / "scores/code.contiguous" / GRU.rpartition("/")[0]  # which counts for nothing here
    twin.parent.mkdir(parents=True)
    digest = json.loads((one / f"scores/code/{GRU.rpartition('/')[0]}.json").read_text())
    twin.with_suffix(".json").write_text(json.dumps(digest | {"corpus": "code.contiguous"}))
    other = machine("other", {best: 1.4}, unit=2, **more)
    name = "types/gru/tables/cells.csv"
    expected = (other / name).read_bytes()
    assert (one / name).read_bytes() != expected
    run(merge, [one, other])
    assert (one / name).read_bytes() == expected


def losses(folder):
    table = pd.read_csv(folder / "histories/candidates.csv")
    return {
        f"{row.model} {row.candidate}": (row.val_loss, row.chosen) for row in table.itertuples()
    }


def test_the_epoch_in_which_a_candidate_diverged_does_not_count(machine):
    """Even where its validation loss happens to be the lowest."""
    folder = machine("one", {LSTM: 1.5, GRU: 1.6})
    (path,) = [p for p in folder.glob("histories/**/history.csv") if "type~gru" in str(p)]
    path.write_text("epoch,train_loss,val_loss\n1,1.8,1.7\n2,1.7,1.65\n3,99,1.64\n")
    table = reference.candidates(reference.Publication(folder)).set_index("model")
    gru, lstm = (table.loc[ModelKey.parse(f"code/{path}").chosen.in_tables] for path in (GRU, LSTM))
    assert (gru.epoch, gru.val_loss, gru.diverged) == (2, 1.65, 3)
    assert lstm.diverged == ""


def test_each_machine_trained_some_of_the_models(tmp_path, machine):
    one = machine("one", {LSTM: 1.5, WORSE_GRU: 1.7}, unit=1)
    other = machine("other", {GRU: 1.6, NN: 2.5}, ngrams=(), unit=2)
    before, given = files(one), files(other)
    run(merge, [one, other])
    assert files(other) == given
    after = files(one)
    assert {name for name in after if name.startswith("scores/")} == {
        name for found in (before, given) for name in found if name.startswith("scores/")
    }
    gru = "type~gru layers~1 size~8 seed~1"
    assert losses(one)[f"{gru} dropout~0.0"] == (1.6, 1)
    assert losses(one)[f"{gru} dropout~0.1"] == (1.7, 0)
    assert after["models/code-gru.safetensors"] == given["models/code-gru.safetensors"]
    # what is about the LSTM comes from where it was trained
    for name in ("figures/figure4.csv", "figures/figure4.png", "figures/figure2-code.png",
                 "tables/cells.csv", "tables/cells.html", "tables/gates.csv", "tables/ablation.csv",
                 "figures/ablation.csv", "figures/ablation.png"):  # fmt: skip
        assert after[name] == before[name]
    assert "| code | 2 of 2 | 1 of 1 | 2 of 2 |" in after["README.md"].decode()
    inside = pd.read_csv(one / "tables/inside.csv")  # of each network, from where it was measured
    assert dict(zip(inside["type"], inside["value"], strict=True)) == {"lstm": 0.1, "gru": 0.2}
    assert "2 networks" in (one / "tables/inside.html").read_text()
    status = pd.read_csv(one / "tables/status.csv")
    assert status["finished"].tolist() == [1] * 5
    assert sorted(path.name for path in tmp_path.iterdir() if "runs" not in path.name) == [
        "one", "other",
    ]  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), [(1.5, 1.4), (1.4, 1.5), (1.5, 1.5)])
def test_the_better_network_counts_and_brings_what_was_found_inside(ours, theirs, machine):
    one = machine("one", {LSTM: ours, GRU: 1.3}, unit=1)
    other = machine("other", {LSTM: theirs, NN: 2.5}, unit=2)
    best = {name: found for name, found in files(one if ours < theirs else other).items()}
    merge.merge(one, other)
    after = files(one)
    lstm = "type~lstm layers~1 size~8 seed~1"
    assert losses(one)[f"{lstm} dropout~0.0"] == (min(ours, theirs), 1)
    digest = "scores/code/type~lstm/layers~1/size~8/seed~1.json"
    for name in (digest, "tables/hypotheses.csv", "figures/figure6.csv", "figures/figure3.png",
                 "tables/ablation.csv", "figures/ablation.csv",
                 "models/code-lstm.safetensors"):  # fmt: skip
        assert after[name] == best[name]


def test_a_network_whose_training_diverged_replaces_no_sound_one(machine):
    one, other = machine("one", {LSTM: 1.5, GRU: 1.3}), machine("other", {LSTM: 1.4, NN: 2.5})
    path = other / "scores/code/type~lstm/layers~1/size~8/seed~1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"failed": "diverged in epoch 3"}))
    merge.merge(one, other)
    taken = json.loads((one / path.relative_to(other)).read_text())
    assert taken["val_loss"] == 1.5 and "failed" not in taken


def test_the_order_does_not_matter(tmp_path, machine):
    one = machine("one", {LSTM: 1.5, GRU: 1.6}, unit=1)
    other = machine("other", {LSTM: 1.4, WORSE_GRU: 1.55, NN: 2.5}, unit=2)
    shutil.copytree(one, tmp_path / "copy")
    merge.merge(one, other)
    merge.merge(other, tmp_path / "copy")
    same = files(one).keys() - {"settings.json"}
    assert {name: files(one)[name] for name in same} == {n: files(other)[n] for n in same}
    assert json.loads((one / "settings.json").read_text()) == json.loads(
        (other / "settings.json").read_text()
    )


def test_a_publication_that_has_it_all_is_taken_as_it_is(machine):
    whole = machine("whole", NETWORKS)
    part = machine("part", {LSTM: 1.5}, ngrams=(3,))
    before = files(whole)
    merge.merge(part, whole)
    assert files(part) == before
    merge.merge(whole, part)
    assert files(whole) == before


def test_refusals(tmp_path, machine):
    one = machine("one", {LSTM: 1.5})
    before = files(one)
    faster = settings()["training"] | {"learning_rate": 0.1}
    for name, message, more in (
        ("run", "holds the run 'small', .* is 'other'", {"run": "other"}),
        ("rate", "holds code with training .*'learning_rate': 0.002", {"training": faster}),
    ):
        with pytest.raises(InputError, match=message):
            merge.merge(one, machine(name, {GRU: 1.6}, **more))
    text = machine("text", {GRU: 1.6})
    info = json.loads((text / "corpora/code.json").read_text())
    (text / "corpora/code.json").write_text(json.dumps(info | {"bytes": 7}))
    with pytest.raises(InputError, match="code.json: bytes is .* '7': losses on two texts"):
        merge.merge(one, text)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        merge.merge(one, tmp_path / "nowhere")
    with pytest.raises(InputError, match="the same publication twice"):
        merge.merge(one, one)
    (text / "settings.json").write_text("{}")
    with pytest.raises(InputError, match="settings.json: not the settings of published models"):
        merge.merge(one, text)
    assert files(one) == before


@pytest.mark.parametrize(
    ("network", "version"), [(GRU, "2.1"), (GRU, "1.2"), (LSTM, "1.2"), (NN, "2")]
)
def test_networks_of_two_versions_do_not_stand_beside_each_other(network, version, machine):
    one, other = machine("one", {LSTM: 1.5, GRU: 1.7}), machine("other", {network: 1.4})
    [path] = (path for path in other.rglob("scores/**/*.json") if "ngram" not in str(path))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": version}))
    before = files(one)
    with pytest.raises(InputError, match="losses of two versions are not compared"):
        merge.merge(one, other)
    assert files(one) == before


def test_a_table_that_was_cut_is_not_joined(machine):
    one, other = machine("one", {LSTM: 1.5}), machine("other", {GRU: 1.6}, ngrams=())
    for folder in (one, other):
        path = folder / "tables/claims.csv"
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        before = files(one)
        with pytest.raises(InputError, match=r"claims.csv: no readable table \(cut short\)"):
            merge.merge(one, other)
        assert files(one) == before
        path.write_bytes(content)


def test_killed_at_any_moment(machine, monkeypatch):
    one, other = machine("one", {LSTM: 1.5}), machine("other", {GRU: 1.6}, ngrams=())
    before = files(one)

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    for module, function in ((reference, "describe"), (reference, "replace"), (remake, "verb")):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(module, function, killed)
            merge.merge(one, other)
        assert files(one) == before
    # between the two renames: the next merge brings the old one back first
    one.rename(one.with_name(".one.old"))
    merge.merge(one, other)
    assert before.keys() <= files(one).keys()
    assert (one / "scores/code/type~gru/layers~1/size~8/seed~1.json").exists()


def test_figures_are_drawn_again_where_their_numbers_come_from_both(tmp_path, machine):
    one = machine("one", {LSTM: 1.5}, unit=1)
    other = machine("other", {GRU: 1.6}, ngrams=(), unit=2)
    # each machine has a corpus of its own
    names = {"code": "prose"}
    for path in [p for p in other.rglob("*") if p.is_file()]:
        if path.suffix in (".csv", ".json") and b"code" in path.read_bytes():
            path.write_text(path.read_text().replace("code", names["code"]))
    text = json.loads((one / "settings.json").read_text())
    text["corpora"]["prose"] = text["corpora"]["code"]
    for folder in (one, other):
        (folder / "settings.json").write_text(json.dumps(text))
        (folder / "figure5").mkdir(exist_ok=True)
    (other / "corpora/code.json").rename(other / "corpora/prose.json")
    (other / "scores/code").rename(other / "scores/prose")
    (other / "histories/code").rename(other / "histories/prose")
    (other / "models/code-gru.safetensors").unlink()
    for name in ("cells", "gates"):
        table = (one / f"tables/{name}.csv").read_text()
        (other / f"tables/{name}.csv").write_text(table.replace("code", "prose"))
    for number in (4, 5, 6):
        table = (one / f"figures/figure{number}.csv").read_text()
        (other / f"figures/figure{number}.csv").write_text(table.replace("code", "prose"))
    older = pd.read_csv(other / "figures/figure4.csv").drop(columns="model")
    older.to_csv(other / "figures/figure4.csv", index=False)
    looks = "layers,size,look,epoch,n,kl,delta\n1,8,1,0.5,1,0.1,0.2\n1,8,2,1,1,0.2,0.1\n"
    (other / "figure5/prose.csv").write_text(looks)
    page = "<html><section>\n<h2>{}: 1-layer LSTM 8</h2>\n{}</section>\n</html>"
    (one / "tables/cells.html").write_text(page.format("Code", "ours"))
    (other / "tables/cells.html").write_text(page.format("Prose", "theirs"))
    info = json.loads((other / "corpora/prose.json").read_text())
    (other / "corpora/prose.json").write_text(json.dumps(info | {"title": "Prose"}))
    merge.merge(one, other)
    for number in (4, 5, 6):
        table = pd.read_csv(one / f"figures/figure{number}.csv")
        assert set(table["corpus"]) == {"code", "prose"}
        assert (one / f"figures/figure{number}.png").read_bytes().startswith(b"\x89PNG")
    models = pd.read_csv(one / "figures/figure4.csv").groupby("corpus")["model"]
    assert models.count()["code"] and not models.count()["prose"]  # as the older version wrote it
    assert set(pd.read_csv(one / "tables/gates.csv")["corpus"]) == {"code", "prose"}
    assert (one / "figure5/prose.csv").read_text() == looks
    found = (one / "tables/cells.html").read_text()
    assert "ours" in found and "theirs" in found and found.count("<section>") == 2


def test_another_text_of_the_same_length_is_refused(machine):
    one, other = machine("one", {LSTM: 1.5}), machine("other", {GRU: 1.6})
    for folder, digest in ((one, "a"), (other, "b")):
        path = folder / "corpora/code.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"sha256": digest}))
    with pytest.raises(InputError, match="losses on two texts are not compared"):
        merge.merge(one, other)


def test_errors_of_networks_from_both(machine):
    one = machine("one", {LSTM: 1.5, WORSE_GRU: 1.7}, unit=1)
    other = machine("other", {GRU: 1.6, NN: 2.5}, unit=2)
    head = "corpus,type,layers,size,seed,category,errors,share,ngrams\n"
    row = "code,{},1,8,1,n-gram,{},1,1 2\n"
    for folder, errors, types in ((one, 10, ("lstm", "gru")), (other, 20, ("gru",))):
        rows = [row.format(type, errors) for type in types]
        (folder / "tables/errors.csv").write_text(head + "".join(rows))
    merge.merge(one, other)
    # the GRU with the lower validation loss is the other one's
    expected = head + row.format("lstm", 10) + row.format("gru", 20)
    assert (one / "tables/errors.csv").read_text() == expected
    assert (one / "figures/errors.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("fewer", ["1", ""])  # "": as published before the column existed
def test_errors_by_fewer_ngram_oracles_do_not_stand_beside_others(machine, fewer):
    one, other = machine("one", {LSTM: 1.5}), machine("other", {GRU: 1.6})
    head = "corpus,type,layers,size,seed,category,errors,share,ngrams\n"
    for folder, type, ngrams in ((one, "lstm", "1 2"), (other, "gru", fewer)):
        (folder / "tables/errors.csv").write_text(head + f"code,{type},1,8,1,n-gram,9,1,{ngrams}\n")
    if not fewer:
        text = (other / "tables/errors.csv").read_text().replace(",ngrams", "")
        (other / "tables/errors.csv").write_text(text.replace(",1,\n", ",1\n"))
    merge.merge(one, other)
    assert set(pd.read_csv(one / "tables/errors.csv")["type"]) == {"lstm"}


def test_a_column_that_one_publication_lacks_stays_empty(tmp_path, machine):
    """As published before the column existed."""
    one, other = machine("one", {LSTM: 1.5}), machine("other", {GRU: 1.6}, ngrams=())
    settings = json.loads((one / "settings.json").read_text())
    settings["corpora"]["prose"] = settings["corpora"]["code"]
    for folder in (one, other):
        (folder / "settings.json").write_text(json.dumps(settings))
    (one / "tables/cells.html").unlink()
    (one / "tables/explained.csv").write_text("corpus,layer\ncode,all\n")
    (other / "tables/explained.csv").write_text("corpus,layer,beyond_baselines\nprose,all,0.5\n")
    merge.merge(one, other)
    joined = (one / "tables/explained.csv").read_text()
    assert joined == "corpus,layer,beyond_baselines\ncode,all,\nprose,all,0.5\n"


@pytest.mark.parametrize(("recorded", "samples"), [(True, "10"), (False, "100")])
def test_losses_are_analysed_as_the_publication_says(recorded, samples, machine, monkeypatch):
    one, other = machine("one", {LSTM: 1.5, NN: 2.5}), machine("other", {GRU: 1.6}, ngrams=())
    about = json.loads((one / "settings.json").read_text())
    assert about["analysis"] == {
        "bootstrap": {"samples": 10, "seed": 0},
        "tsne": {"perplexity": 10, "seed": 0},
        "claims": {"resamples": SAMPLES, "seed": 0, "seeds_from": None},
    }
    assert about["hidden"] == [8]
    del about["analysis"], about["hidden"]  # as an older version published
    for folder in (one, other) if not recorded else [other]:
        (folder / "settings.json").write_text(json.dumps(about))
    called = {}
    monkeypatch.setattr(remake, "verb", lambda name, *words: called.update({name: words}))
    merge.merge(one, other)
    words = [str(word) for word in called["table1"]]
    claims = [str(word) for word in called["claims"]]
    at = slice(claims.index("--histories") + 1, claims.index("--status"))
    assert len(claims[at]) == 1 and "/nn/context~1/" in claims[at][0]
    assert ("--nn-hidden 8 " in " ".join(claims)) == recorded
    assert words[words.index("--samples") + 1] == samples
    assert ("analysis" in json.loads((one / "settings.json").read_text())) == recorded


def test_an_analysis_that_cannot_be_is_named(machine):
    one, other = machine("one", {LSTM: 1.5}), machine("other", {GRU: 1.6}, ngrams=())
    about = json.loads((other / "settings.json").read_text())
    about["analysis"]["bootstrap"]["samples"] = "many"
    (other / "settings.json").write_text(json.dumps(about))
    message = (
        "other/settings.json: analysis: bootstrap.samples: expected a whole number, got 'many'"
    )
    with pytest.raises(InputError, match=message):
        merge.merge(one, other)


@pytest.mark.parametrize("before", ["Prose", "Prose & its earlier title"])
def test_the_joined_page_is_the_page_of_both_corpora(tmp_path, before):
    """Joining cuts pages apart by their markup: it must be that of the template. A title that was
    edited since is the new one there, and no section is lost."""
    titles = {"code": "C & <headers>", "prose": "Prose"}
    info = {"source": "made up", "bytes": 9, "symbols": 3, "kind": "code"}
    sections = {
        corpus: {
            "about": info | {"corpus": corpus, "title": title}, "network": "LSTM 1x8",
            "hypotheses": [], "shares": html.Grid("Shares", "Layer", [], []), "shifts": 250,
            "probes": [], "gates": None, "watched": [],
        }
        for corpus, title in titles.items()
    }  # fmt: skip

    def page(*corpora, title="Prose"):
        sections["prose"]["about"]["title"] = title
        chosen = [sections[corpus] for corpus in corpora]
        return html.render("units", sections=chosen, samples=1000, always="95%", margin=0.05)

    corpora = {corpus: {} for corpus in titles}
    for corpus in titles:
        for name, content in (
            ("settings.json", json.dumps({"run": "small", "corpora": corpora})),
            ("tables/cells.html", page(corpus, title=before)),
            (f"corpora/{corpus}.json", json.dumps(sections[corpus]["about"])),
            ("tables/cells.csv", f"corpus,model\n{corpus},lstm 1x8\n"),
        ):
            path = tmp_path / corpus / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    folders = [reference.Publication(tmp_path / corpus) for corpus in titles]
    joined = merge.Join(*folders, tmp_path / "joined")
    joined.copy_models()
    (tmp_path / "joined/corpora/prose.json").write_text(
        json.dumps(sections["prose"]["about"] | {"title": "Prose"})
    )
    joined.join_page()
    assert (tmp_path / "joined/tables/cells.html").read_text() == page(*titles)
    (tmp_path / "prose/tables/cells.html").write_text("<p>by hand</p>")
    with pytest.raises(InputError, match="no section on 'Prose.*publish it again"):
        joined.join_page()


def test_a_split_without_text_has_the_alphabet_and_line_ends_of_the_networks(tmp_path):
    """By which claims tell the networks that have learned where lines end."""
    joined = merge.Join(*[reference.Publication(PUBLISHED)] * 2, PUBLISHED)
    digest = PUBLISHED / "scores/wp/ngram/order~2.json"
    about = joined.about_text("wp")

    def split(**text):
        return read_split(merge.shape_of_split(digest, text, tmp_path / "wp.npz"), [])

    found = split(**about)
    assert found["alphabet"][:2].tobytes() == b"\n\r" and len(found["alphabet"]) == 87
    assert line_break(found) == ord("\r")
    for ends in ("LF", "mixed"):  # a carriage return somewhere begins few line breaks, if any
        assert line_break(split(**(about | {"line_ends": ends}))) == ord("\n")
    assert joined.about_text("unknown") == {}
    assert split()["alphabet"].tolist() == [0] * 87 and line_break(split()) is None


@pytest.mark.parametrize("older", [False, True], ids=["with reasons", "by an older version"])
def test_findings_that_need_score_arrays_stay_as_published(older):
    columns = ["claim", "where", "verdict", "effect", "basis", "reason"]
    why = ["missing: the scores of every model", "missing"]
    here = [
        ["depth helps", "wp", "holds", 0.2, "mean of 3 pairs", ""],
        ["long reach", "wp", "undecided", np.nan, *why],
        ["long reach", "lk", "undecided", np.nan, *why],
        ["far braces", "wp", "undecided", 0.2, "2 networks", "one seed"],  # tested, if in vain
    ]
    there = [
        ["depth helps", "wp", "holds", 0.1, "mean of 2 pairs", ""],
        ["long reach", "wp", "holds", 0.1, "LSTM 2x512 against 20-gram", ""],
        ["long reach", "wp: quotes", "holds", 0.3, "+0.1 here", ""],
        ["far braces", "wp", "holds", 0.1, "3 networks", ""],
    ]
    tables = [pd.DataFrame(rows, columns=columns) for rows in (here, there)]
    if older:
        tables = [table.drop(columns="reason") for table in tables]
    table = with_published(*tables)
    assert table[["where", "effect"]].fillna(0).to_numpy().tolist() == [
        ["wp", 0.2], ["wp", 0.1], ["wp: quotes", 0.3], ["lk", 0.0], ["wp", 0.2],
    ]  # fmt: skip


def test_what_neither_side_could_test_is_said_in_todays_words():
    columns = ["claim", "where", "verdict", "effect", "basis", "reason"]
    today, before = (
        pd.DataFrame([["a", "wp", "undecided", np.nan, f"missing: {what}", "missing"]],
                     columns=columns)
        for what in ("the AdamW recipe", "the second recipe")
    )  # fmt: skip
    assert with_published(today, before)["basis"].tolist() == ["missing: the AdamW recipe"]


def test_the_words_of_a_basis_decide_nothing_where_there_are_reasons():
    rows = [["a", "wp", "undecided", 1.0, "what was looked for", "missing"],
            ["b", "wp", "undecided", 1.0, "missing: not really", "one seed"]]  # fmt: skip
    columns = ["claim", "where", "verdict", "effect", "basis", "reason"]
    there = [["a", "wp", "holds", 2.0, "", ""], ["b", "wp", "holds", 2.0, "", ""]]
    table = with_published(*(pd.DataFrame(rows, columns=columns) for rows in (rows, there)))
    assert table["effect"].tolist() == [2.0, 1.0]


def test_the_published_results_can_be_read_and_halves_of_them_joined(tmp_path, monkeypatch):
    """Table 1 of two halves of results/reference is table 1 of the whole."""
    halves = [tmp_path / name for name in ("one", "other")]
    whole = reference.Publication(PUBLISHED)
    planned = planned_models(whole.status())
    for folder in halves:
        shutil.copytree(PUBLISHED, folder)
    for place, key in enumerate(whole.digests()):
        folder = halves[place % 2]
        (folder / f"scores/{key.path}.json").unlink()
        shutil.rmtree(folder / f"histories/{key.path}", ignore_errors=True)
    for folder in halves:
        reference.write_status(folder, planned)
        reference.describe(folder)
    called = []
    monkeypatch.setattr(remake, "verb", lambda *arguments: called.append(arguments[0]))
    merge.merge(*halves)
    assert called == [
        "table1", "table2", "contiguous-split", "reshuffles", "figure1", "claims",
        "emergence-table",
    ]  # fmt: skip
    joined, before = files(halves[0]), files(PUBLISHED)
    made = ("table1", "table2", "comparison", "agreement", "plain_cut", "claims", "claim_sums",
            "figure1", "paper_text", "discrepancies", "shuffle_offsets", "reshuffles",
            "emergence", "README.md", "Snakefile", "ro-crate-metadata.json")  # fmt: skip
    for name in before:
        if not any(known in name for known in made):
            assert joined[name] == before[name], name
    rows = (found["tables/claims.csv"].splitlines() for found in (joined, before))
    assert len({tuple(sorted(lines)) for lines in rows}) == 1  # for the verb to choose from
    paths = reference.Publication(halves[0]).files("scores/lk/type*/**/*.json")
    scores = by_corpus(read_scores(paths, "recurrent"), {"lk": {}}, "network")
    table = tables.with_variants(tables.table1(scores, 10, 0))
    table = table.drop(columns=["sd", "failed", tables.LENGTH])
    table = table.reset_index(drop=True)
    published = pd.read_csv(PUBLISHED / "tables/table1.csv").drop(columns="sd")
    published = published[published["corpus"] == "lk"].reset_index(drop=True)
    pd.testing.assert_frame_equal(table, published, check_dtype=False)
