"""The grid: which models a run consists of."""

import pytest
import yaml
from project import ROOT
from test_settings import PAPER, made, merged

from charlens.errors import InputError
from charlens.runs import grid, selections, settings
from charlens.store.models import ModelKey


def test_one_corpus_alone_needs_no_other_setting():
    assert grid.first_epochs(made(use=["wp"])) == ["wp"]
    assert grid.first_epochs(made()) == ["wp", "lk"]


def test_the_papers_grid_has_33_entries():
    entries = grid.entries(made())
    assert len(entries) == 33
    assert {"type": "rnn", "layers": 1, "size": 512} not in entries
    assert entries[0]["size"] == 512  # the longest trainings begin first


def test_linux_has_a_few_entries_of_three_seeds():
    keys = grid.recurrent(made(), "lk")
    assert len(keys) == 33 + 2 * 3
    assert {(key.layers, key.size) for key in keys if key.seed > 1} == {(1, 64)}


def test_rows_64_and_128_of_war_and_peace_have_three_seeds_and_those_watched_ten():
    keys = grid.recurrent(made(), "wp")
    assert len(keys) == 33 + 2 * 18 + 4 * 7
    assert {key.size for key in keys if key.seed == 3} == {64, 128}
    assert {(key.type, key.layers) for key in keys if key.seed == 10} == {("lstm", 1), ("gru", 1)}


def test_watched_networks_are_the_first_candidates_of_every_seed():
    watched = grid.watched(made(), "wp")
    assert len(watched) == 40
    assert {key.candidate for key in watched} == {0.0}
    assert not grid.watched(made(), "lk")


def test_further_seeds_have_the_dropout_that_the_first_ones_chose():
    its = made()
    keys = [ModelKey("wp", "recurrent", "lstm", 1, 128, seed) for seed in (3, 4)]
    assert [len(grid.candidates(its, key)) for key in keys] == [2, 1]


def test_a_run_consists_of_three_kinds_of_model():
    planned = grid.planned(made())
    kinds = [key.family for key in planned if key.corpus == "wp"]
    assert [kinds.count(kind) for kind in ("recurrent", "nn", "ngram")] == [97, 6, 10]
    assert len(set(planned)) == len(planned) == 97 + 39 + 2 * 16
    assert ModelKey("lk", "ngram", n=20) in planned


def test_dropout_costs_at_most_twice_the_plain_grid():
    its = made()
    assert all(len(grid.candidates(its, key)) <= 2 for key in grid.recurrent(its, "wp"))


def test_the_first_dropout_entry_that_fits_counts():
    dropout = [
        {"types": ["gru"], "layers": [2, 3], "values": [0.1]},
        {"sizes": [64], "values": [0.2]},
        {"values": [0.3]},
    ]
    its = made(grid={"dropout": dropout})
    for type, layers, size, value in [
        ("gru", 2, 64, 0.1),
        ("gru", 1, 64, 0.2),
        ("lstm", 2, 128, 0.3),
    ]:
        key = ModelKey("wp", "recurrent", type, layers, size, 1)
        (candidate,) = grid.candidates(its, key)
        assert candidate.candidate == value and candidate.chosen == key


def test_candidates_of_an_nn_are_its_hidden_sizes():
    keys = grid.candidates(made(), ModelKey("wp", "nn", seed=1, n=3))
    assert [key.path for key in keys][0] == "wp/nn/context~3/seed~1/hidden~128"
    assert [key.candidate for key in keys] == PAPER["nn"]["hidden"]
    assert grid.candidates(made(), ModelKey("wp", "ngram", n=3)) == []


def test_models_are_compared_under_both_split_layouts():
    its = made(contiguous_split={"corpora": ["wp"], "orders": [2, 3]})
    keys = [key.path for key in grid.contiguous(its, "wp")]
    network = "type~lstm/layers~1/size~64/seed~1"
    below = [network, "ngram/order~2", "ngram/order~3"]
    assert keys == [f"{name}/{path}" for name in ("wp", "wp.contiguous") for path in below]
    assert grid.with_twins(its) == ["wp"] and grid.contiguous(its, "lk") == []
    # all networks of the corpus tell what a seed changes
    needed = set(grid.for_contiguous(its, "wp"))
    assert needed == {*grid.contiguous(its, "wp"), *grid.recurrent(its, "wp")}
    assert len(needed) > len(keys) and grid.for_contiguous(its, "lk") == []
    # a twin has the candidates of its corpus, and its seeds
    twin = grid.contiguous(its, "wp")[3]
    assert [key.candidate for key in grid.candidates(its, twin)] == [0.0]


def test_models_on_other_orders_of_the_files():
    section = {"corpora": ["lk"], "seeds": [1, 2], "orders": [2], "recurrent": [{"size": 64}]}
    its = made(reshuffles=section)
    keys = grid.reshuffles(its, "lk")
    assert [key.corpus for key in keys[::10]] == ["lk", "lk.shuffle1", "lk.shuffle2"]
    assert len(keys) == 3 * (9 + 1) and {key.seed for key in keys} == {1, None}
    assert grid.reshuffles(its, "wp") == [] == grid.reshuffles(made(reshuffles={"seeds": []}), "lk")
    # a reshuffled corpus has the candidates of its corpus, its split and its training
    assert [key.candidate for key in grid.candidates(its, keys[-2])] == [0.0]
    assert its.split_of("lk.shuffle1") == its.split_of("lk")
    assert its.training_of("lk.shuffle1") == its.training_of("lk")
    assert its.split_of("lk.contiguous")["layout"] == "contiguous"


def test_where_the_contiguous_layout_is_the_runs_own_there_is_nothing_to_compare():
    assert grid.with_twins(made(split={"layout": "contiguous"})) == []


def test_what_fetch_is_told_of_a_corpus():
    """As it stands in the configuration: whoever fetched it need not fetch it again."""
    assert list(grid.spec(made(), "lk")) == list(PAPER["corpora"]["lk"])
    assert grid.spec(made(), "lk") == PAPER["corpora"]["lk"]


def test_the_deepest_have_three_layers_though_there_are_four():
    its = made(grid={"layers": [1, 2, 3, 4]})
    assert {key.layers for key in grid.deepest(its, "wp", "gru")} == {3}
    shallow = made(grid={"layers": [1, 2]})
    assert {key.layers for key in grid.deepest(shallow, "wp", "gru")} == {2}


def test_every_lstm_and_the_deepest_of_the_gated_are_looked_into():
    keys = grid.looked_into(made(), "lk")
    assert {(key.type, key.layers) for key in keys} == {
        *(("lstm", layers) for layers in (1, 2, 3)),
        ("gru", 3),
    }


def test_a_selection_fits_what_has_all_that_it_names():
    its = made(cells={"record": {"models": [{"type": "gru", "size": 64, "seed": 2}]}})
    keys = grid.fitting(grid.recurrent(its, "wp"), its.cells.record.models)
    assert [key.label for key in keys] == [f"GRU {layers}x64 seed 2" for layers in (1, 2, 3)]


def test_variants_are_types_of_their_own():
    its = made(
        grid={
            "types": ["lstm", "mingru"], "layers": [1, 2], "sizes": [64, 128], "omit": [],
            "variants": [{"layers": [2], "sizes": [128], "add": ["block", "block+adamw"]}],
            "dropout": [{"values": [0.1]}],
        },
        adamw={"rates": [0.01, 0.02]},
    )  # fmt: skip
    keys = {key.label: key for key in grid.recurrent(its, "lk") if key.seed == 1}
    assert len(keys) == 2 * 2 * 2 + 2 * 2
    assert keys["minGRU+block 2x128"].type == "mingru+block"
    both = grid.candidates(its, keys["LSTM+block+adamw 2x128"])
    assert [key.path.rpartition("/")[2] for key in both] == ["rate~0.01", "rate~0.02"]
    (block,) = grid.candidates(its, keys["minGRU+block 2x128"])
    assert block.path.endswith("/dropout~0.1")


def test_a_text_of_the_users_own_is_an_input(tmp_path, monkeypatch):
    """So that a text that was edited is brought anew."""
    sources = [
        {"name": "none", "url": "http://a"},
        {"name": "gone", "path": str(tmp_path / "gone.txt"), "bytes": 1},
        {"name": "mine", "path": str(tmp_path / "mine.txt"), "bytes": 1},
        {"name": "made", "recipe": {"archive": str(tmp_path / "a.tar.gz"), "glob": "*"}},
        {"name": "far", "recipe": {"archive": "http://a/b.tar.gz", "glob": "*"}},
    ]
    for name in ("mine.txt", "a.tar.gz"):
        (tmp_path / name).write_text("a")
    found = grid.own_paths(made(corpora={"wp": {"sources": sources}}), "wp", None)
    assert found == [tmp_path / "mine.txt", tmp_path / "a.tar.gz"]
    monkeypatch.setenv("HOME", str(tmp_path))
    at_home = made(
        corpora={"wp": {"sources": [{"name": "mine", "path": "~/mine.txt", "bytes": 1}]}}
    )
    assert grid.own_paths(at_home, "wp", None) == [tmp_path / "mine.txt"]


@pytest.fixture
def no_mirror(monkeypatch):
    """The text of a corpus is looked for in no other folder."""
    monkeypatch.delenv("CORPORA_MIRROR", raising=False)


@pytest.mark.parametrize(
    "origin, named",
    [
        (None, True),  # nothing is fetched: a rule of another workflow may make it
        ("file: mine.txt", True),
        ("mirror: mine.txt", True),
        ("file: other.txt", False),  # the configuration names another file than before
        ("recipe: other.tar.gz, *, sorted", False),
    ],
)
def test_a_text_that_was_fetched_outlives_its_original(origin, named, tmp_path, no_mirror):
    """Its file stays an input, and Snakemake makes nothing again whose input is missing."""
    gone = tmp_path / "mine.txt"
    mine = made(corpora={"wp": {"sources": [{"name": "mine", "path": str(gone), "bytes": 1}]}})
    assert grid.own_paths(mine, "wp", origin) == ([gone] if named else [])


def test_another_file_that_is_missing_is_refused_before_any_job(no_mirror):
    mine = made(
        corpora={"wp": {"sources": [{"name": "mine", "path": "gone/mine.txt", "bytes": 1}]}}
    )
    with pytest.raises(InputError, match="corpora.wp.sources: no file gone/mine.txt; the run has"):
        grid.refuse_missing(mine, "wp", "file: other.txt")
    with pytest.raises(InputError, match="corpora.wp.sources: no file gone/mine.txt$"):
        grid.refuse_missing(mine, "wp", None)
    for origin in ("file: mine.txt", "url: https://a/b.txt"):
        grid.refuse_missing(mine, "wp", origin)
    sources = [{"name": "mine", "path": "gone/mine.txt", "bytes": 1},
               {"name": "theirs", "url": "https://a/b.txt", "bytes": 1}]  # fmt: skip
    elsewhere = made(corpora={"wp": {"sources": sources}})
    grid.refuse_missing(elsewhere, "wp", None)
    assert grid.own_paths(elsewhere, "wp", None) == []


def test_a_file_whose_name_snakemake_takes_for_a_pattern_is_refused(tmp_path, no_mirror):
    path = tmp_path / "my {1}.txt"
    path.write_text("a")
    mine = made(corpora={"wp": {"sources": [{"name": "mine", "path": str(path), "bytes": 1}]}})
    for origin in (None, "file: my {1}.txt"):
        with pytest.raises(InputError, match=r"corpora.wp.sources: .*/my \{1\}.txt: .* braces"):
            grid.refuse_missing(mine, "wp", origin)


def test_the_home_of_nobody_is_a_file_that_is_missing(no_mirror):
    path = "~nobody-of-this-name/mine.txt"
    mine = made(corpora={"wp": {"sources": [{"name": "mine", "path": path, "bytes": 1}]}})
    with pytest.raises(InputError, match=f"no file {path}"):
        grid.refuse_missing(mine, "wp", None)


def test_a_file_may_lie_in_the_mirror(tmp_path, monkeypatch, no_mirror):
    path = tmp_path / "mine.txt"
    mine = made(corpora={"wp": {"sources": [{"name": "mine", "path": str(path), "bytes": 1}]}})
    with pytest.raises(InputError, match=r"no file .*/mine.txt$"):
        grid.refuse_missing(mine, "wp", None)
    assert mine.of_corpus("wp").file  # looked for in the mirror
    monkeypatch.setenv("CORPORA_MIRROR", str(tmp_path))
    grid.refuse_missing(mine, "wp", None)


def test_another_title_makes_no_text_out_of_date():
    before = grid.spec(made(), "lk")
    after = grid.spec(made(corpora={"lk": {"title": "Another"}}), "lk", before["title"])
    assert before == after


def test_the_paper_has_numbers_for_its_own_corpora():
    assert grid.in_paper(["mine", "lk", "wp"]) == ["lk", "wp"]


def test_settings_read_back_ask_for_the_same_models(tmp_path):
    settings.write(made(), tmp_path / "settings.json")
    assert grid.planned(settings.read(tmp_path / "settings.json")) == grid.planned(
        settings.make(merged(PAPER, {}))
    )


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cells": {"inside": [{"size": 96}]}}, "cells.inside.0: matches"),
        ({"cells": {"record": {"models": [{"seed": 11}]}}}, "cells.record.models.0: matches"),
        ({"contiguous_split": {"recurrent": [{"layers": 4}]}},
         "contiguous_split.recurrent.0: matches"),
        ({"reshuffles": {"recurrent": [{"type": "mingru"}]}}, "reshuffles.recurrent.0: matches"),
        ({"grid": {"omit": [{"type": "rnn", "size": 521}]}}, "grid.omit.0: matches"),
        ({"grid": {"dropout": [{"sizes": [46], "values": [0.5]}, {"values": [0.0]}]}},
         "grid.dropout.0: matches"),
        ({"grid": {"seeds": [{"types": ["slstm"], "values": [1, 2]}, {"values": [1]}]}},
         "grid.seeds.0: matches"),
        ({"figures": {"emergence": {"sizes": [46]}}}, "figures.emergence: no network of wp"),
        # one value among others
        ({"grid": {"dropout": [{"sizes": [64, 46], "values": [0.5]}, {"values": [0.0]}]}},
         "grid.dropout.0.sizes: 46 matches"),
        ({"grid": {"seeds": [{"types": ["slstm", "gru"], "values": [2]}, {"values": [1]}]}},
         "grid.seeds.0.types: slstm matches"),
        ({"figures": {"emergence": {"sizes": [64, 46]}}}, "figures.emergence.sizes: 46 matches"),
        ({"figures": {"emergence": {"types": ["lstm", "slstm"]}}},
         "figures.emergence.types: slstm matches"),
        ({"cells": {"gates": ["lstm", "mingru"]}}, "cells.gates.1: no 'mingru' in the grid"),
    ],
)  # fmt: skip
def test_a_selection_of_the_users_own_that_matches_nothing_is_refused(changes, named):
    with pytest.raises(InputError, match=f"^{named}.*; ") as refused:
        selections.refuse_unmatched([made(), made(**changes)])
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("items", "place"),
    [
        ([{"values": [1]}, {"sizes": [64], "values": [2]}], 1),
        ([{"sizes": [64], "values": [1]}, {"sizes": [64], "types": ["gru"], "values": [2]},
          {"values": [1]}], 1),
        # in this grid: its sizes are in two entries
        ([{"sizes": [64, 128], "values": [1]}, {"sizes": [256, 512], "values": [1]},
          {"types": ["gru"], "values": [2]}], 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["seeds", "dropout"])
def test_an_entry_that_those_before_it_leave_nothing_is_refused(key, items, place):
    values = {"seeds": [1], "dropout": [0.1]}[key]
    its = made(grid={key: [item | {"values": values} for item in items]})
    with pytest.raises(InputError, match=f"^grid.{key}.{place}: an entry before .*; move it up"):
        selections.refuse_unmatched([made(), its])
    last = [{"sizes": [64, 128, 256, 512], "values": values}, {"values": values}]
    selections.refuse_unmatched([made(), made(grid={key: last})])  # for all else, if there is any


def test_an_entry_at_the_wrong_end_is_refused_in_config_yaml_itself():
    seeds = [*PAPER["grid"]["seeds"], {"sizes": [256], "values": [1, 2]}]
    its = made(grid={"seeds": seeds})
    with pytest.raises(InputError, match=r"^grid.seeds.4: an entry before it"):
        selections.refuse_unmatched([its, its])
    smaller = made(grid={"sizes": [64]})
    selections.refuse_unmatched([smaller, smaller])


def test_dropout_of_networks_by_the_second_recipe_is_refused_and_not_asked_for():
    variants = [{"layers": [2], "sizes": [128], "add": ["adamw"]}]
    types = {"types": PAPER["grid"]["types"], "values": [0.0]}
    its = made(grid={"variants": variants, "dropout": [types]})
    selections.refuse_unmatched([made(), its])
    both = [types, {"types": ["lstm+adamw"], "values": [0.1]}]
    with pytest.raises(InputError, match=r"^grid.dropout.1: .* adamw.rates; remove it"):
        selections.refuse_unmatched([made(), made(grid={"variants": variants, "dropout": both})])


def test_selections_of_config_yaml_count_for_any_grid():
    smaller = made(grid={"layers": [1], "sizes": [32]}, figures={"emergence": {"corpora": []}})
    selections.refuse_unmatched([made(), smaller])
    of_linux = {"dropout": [{"corpora": ["lk"], "values": [0.1]}, {"values": [0.0]}]}
    selections.refuse_unmatched([made(), made(use=["wp"], grid=of_linux)])
    without_gru = made(grid={"types": ["lstm"]}, cells={"gates": ["lstm", "gru"]})
    selections.refuse_unmatched([made(), without_gru])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("demo.yaml", {"grid": {"sizes": [128]}}),
        ("tests/tiny.yaml", {"grid": {"types": ["lstm"]}}),
        ("demo.yaml", {"figures": {"emergence": {"epochs": 2}}, "grid": {"sizes": [128]}}),
        ("modern.yaml", {"grid": {"types": ["lstm", "rnn"]}, "figures": {"types": ["rnn"]}}),
    ],
)
def test_selections_of_an_earlier_configuration_count_for_a_later_grid(name, change):
    below = settings.layers(PAPER, [ROOT / name])
    ours = merged(PAPER, yaml.safe_load((ROOT / name).read_text()))
    assert below == [made(), settings.make(ours)]
    now = settings.make(merged(ours, change))
    selections.refuse_unmatched([*below, now])
    with pytest.raises(InputError):
        selections.refuse_unmatched([made(), now])
    slip = settings.make(merged(ours, merged(change, {"cells": {"inside": [{"size": 7}]}})))
    with pytest.raises(InputError, match=r"^cells.inside.0: matches no network .*remove it$"):
        selections.refuse_unmatched([*below, slip])


def test_a_slip_in_an_earlier_configuration_is_refused_if_no_later_one_mends_it(tmp_path):
    (tmp_path / "mine.yaml").write_text("cells: {inside: [{size: 7}]}\n")
    (tmp_path / "more.yaml").write_text("use: [mine]\n")  # no layer: it says nothing of mine
    below = settings.layers(PAPER, [tmp_path / "mine.yaml", tmp_path / "more.yaml"])
    assert below == [made(), made(cells={"inside": [{"size": 7}]})]
    with pytest.raises(InputError, match=r"^cells.inside.0: matches no network"):
        selections.refuse_unmatched([*below, made(cells={"inside": [{"size": 7}]}, use=["lk"])])
    selections.refuse_unmatched([*below, made(cells={"inside": [{"size": 64}]})])


@pytest.mark.parametrize("name", ["demo.yaml", "modern.yaml", "tests/tiny.yaml"])
def test_every_selection_of_our_own_runs_matches_something(name):
    selections.refuse_unmatched([made(), *settings.layers(PAPER, [ROOT / name])[1:]])
