"""The pass over the test text, the passages it finds, and the tables and figures made from it."""

import argparse
import dataclasses
import json
import math
import random

import numpy as np
import pandas as pd
import pytest
import torch
from project import ROOT
from synthetic import run
from test_activations import by_hand
from test_selectivity import some_code
from valid_html import check

from charlens.data import split
from charlens.errors import InputError
from charlens.networks import architecture, model_file, network
from charlens.networks.architecture import Architecture
from charlens.report import figure2, figure3
from charlens.store.tables import INSIDE, UNITS
from charlens.text.hypotheses import HYPOTHESES, PARTS
from charlens.units import (
    activations,
    analysis,
    inside,
    inside_table,
    passages,
    probes,
    saturation,
    selectivity,
    unit_tables,
)

TEXT = some_code(random.Random(3))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A corpus, split, and models of three types and two depths, none of them trained."""
    folder = tmp_path_factory.mktemp("inside")
    data = split.split(TEXT, "streams", 8, 10, (0.5, 0.1, 0.4))
    split.save(folder / "code.npz", data)
    (folder / "code.txt").write_bytes(TEXT)
    about = {
        "corpus": "code", "title": "Some <code>", "kind": "code", "source": "made up",
        "bytes": len(TEXT), "symbols": data.symbols,
    }  # fmt: skip
    (folder / "code.json").write_text(json.dumps(about))
    for name, type, layers, val_loss in (
        ("lstm2", "lstm", 2, 1.0), ("lstm3", "lstm", 3, 1.2), ("a", "lstm", 3, 1.3),
        ("lstm1", "lstm", 1, 1.1), ("gru3", "gru", 3, 1.3), ("rnn3", "rnn", 3, 0.9),
    ):  # fmt: skip
        arch = Architecture(type, layers, 6, data.symbols)
        about = dataclasses.asdict(arch) | {
            "corpus": "code", "source": "made up", "size": 8, "seed": 1, "dropout": 0.0, "epoch": 1,
            "parameters": architecture.count(arch), "val_loss": val_loss,
            "alphabet": data.alphabet.tobytes().hex(),
        }  # fmt: skip
        params = network.initialise(arch, 1.5, torch.Generator().manual_seed(len(name) * layers))
        model_file.save(folder / f"{name}.safetensors", params, about)
    return folder


PASSAGES = [
    {"hypothesis": "depth", "begins": "int  F7( int", "characters": 60},
    {"hypothesis": "none", "begins": "int f1(", "characters": 30},
    {"hypothesis": "quote", "begins": "not in this text", "characters": 30},
]


def look(folder, out, *options):
    out.mkdir(exist_ok=True)
    run(analysis, [
        *sorted(folder.glob("*.safetensors")), "--split", folder / "code.npz",
        "--text", folder / "code.txt", "--info", folder / "code.json", "--samples", 1000,
        "--passages", json.dumps(PASSAGES), "--gates", out / "gates/code.csv",
        "--cells", out / "code.csv", "--untrained", out / "untrained/code.csv",
        "--out", out / "code.json", *options,
    ])  # fmt: skip
    return pd.read_csv(out / "gates/code.csv"), pd.read_csv(out / "code.csv"), json.loads(
        (out / "code.json").read_text()
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(folder):
    return look(folder, folder / "cells")


# ---- gates ----


def test_gates_are_those_of_the_best_deepest_model_of_each_type(found):
    gates, _, _ = found
    assert list(gates.columns) == (
        ["corpus", "type", "layers", "size", "layer", "gate", "unit", "left", "right"]
    )
    assert set(gates["type"] + gates["layers"].astype(str)) == {"lstm3", "gru3"}
    for type, names in (("lstm", "ifo"), ("gru", "rz")):
        own = gates[gates["type"] == type]
        assert "".join(dict.fromkeys(own["gate"])) == names
        assert len(own) == len(names) * 3 * 6 and set(own["unit"]) == set(range(1, 7))


@pytest.mark.parametrize("type", ["lstm", "gru"])
def test_saturation_agrees_with_float64_step_by_step(folder, found, type):
    gates, _, _ = found
    arch, params, _ = model_file.load(folder / f"{type}3.safetensors")
    data = split.load(folder / "code.npz")
    x = torch.from_numpy(data.test.x)
    expected, _ = by_hand(type, params, x, network.zero_state(arch, data.streams))
    own = gates[gates["type"] == type].set_index(["gate", "layer", "unit"])
    for (gate, layer, unit), row in own.iterrows():
        values = expected[gate][layer - 1, :, :, unit - 1]
        # up to a few characters at which float32 falls on the other side
        assert row["left"] == pytest.approx((values < 0.1).double().mean().item(), abs=2e-3)
        assert row["right"] == pytest.approx((values > 0.9).double().mean().item(), abs=2e-3)
    assert own["left"].max() > 0.1 and own["right"].max() > 0.1  # not all of it is 0


def test_the_streamed_pass_is_the_whole_to_the_bit(folder, monkeypatch):
    arch, params, _ = model_file.load(folder / "lstm3.safetensors")
    x = torch.from_numpy(split.load(folder / "code.npz").test.x)
    found = []
    for window in (x.shape[1], 17):
        monkeypatch.setattr(activations, "WINDOW", window)
        values = np.empty((18, *x.shape), np.float16)
        found.append((saturation.observe(arch, params, x, values), values))
    (whole, values), (pieces, same) = found
    assert all(torch.equal(whole[gate], pieces[gate]) for gate in "ifo")
    assert (values == same).all() and np.isfinite(values).all()


# ---- cells ----


def test_the_best_lstm_is_searched(found):
    _, cells, report = found
    assert list(cells.columns[:8]) == (
        ["corpus", "model", "layer", "unit", "hypothesis", "score", "low", "high"]
    )
    assert set(cells["model"]) == {"lstm 2x8"}  # of lowest validation loss; the RNN is no LSTM
    assert len(cells) == 2 * 6 * 12 and set(cells["layer"]) == {1, 2}
    assert report["val_loss"] == 1.0
    # of which networks and by which settings it is
    shown = [(about["type"], about["layers"], about["val_loss"]) for about in report["networks"]]
    assert shown == [("lstm", 2, 1.0), ("lstm", 3, 1.2), ("rnn", 3, 0.9), ("gru", 3, 1.3)]
    assert report["options"] == {"seed": 0, "passages": PASSAGES}
    assert [h["hypothesis"] for h in report["hypotheses"]] == [h.name for h in HYPOTHESES]
    assert all(h["searched"] for h in report["hypotheses"])


def test_a_score_by_hand(folder, found):
    """From the network's activations and the text's labels, without bins."""
    from scipy.stats import kendalltau
    from sklearn.metrics import roc_auc_score

    _, cells, _ = found
    arch, params, _ = model_file.load(folder / "lstm2.safetensors")
    data = split.load(folder / "code.npz")
    x = torch.from_numpy(data.test.x)
    c = activations.activations(arch, params, x, network.zero_state(arch, 8))["c"]
    read = data.test.at[:, None] - 1 + np.arange(x.shape[1])
    assert (np.frombuffer(TEXT, np.uint8)[read] == data.alphabet[data.test.x]).all()
    for name, odd in (("comment_or_quote", True), ("line_position", True), ("quote", False)):
        (hypothesis,) = [h for h in HYPOTHESES if h.name == name]
        label = hypothesis.label["code"](TEXT).values[read]
        half = slice(1, None, 2) if odd else slice(0, None, 2)
        for layer, unit in np.ndindex(2, 6):
            cell, of = torch.tanh(c[layer, half, :, unit]).numpy().ravel(), label[half].ravel()
            score = roc_auc_score(of, cell) if hypothesis.yes_no else kendalltau(of, cell)[0]
            here = (cells["layer"] == layer + 1) & (cells["unit"] == unit + 1)
            row = cells[here & (cells["hypothesis"] == name)].iloc[0]
            assert row["score" if odd else "picked"] == pytest.approx(score, abs=5e-3)


def test_an_untrained_network_is_searched_beside_it(folder, tables):
    from scipy.stats import kendalltau

    untrained = pd.read_csv(folder / "cells/untrained/code.csv")
    arch, *_ = model_file.load(folder / "lstm2.safetensors")
    data = split.load(folder / "code.npz")
    fresh = network.initialise(arch, 0.08, torch.Generator().manual_seed(0))
    x = torch.from_numpy(data.test.x)
    c = activations.activations(arch, fresh, x, network.zero_state(arch, 8))["c"]
    read = data.test.at[:, None] - 1 + np.arange(x.shape[1])
    (hypothesis,) = [h for h in HYPOTHESES if h.name == "depth"]
    label = hypothesis.label["code"](TEXT).values[read][1::2]
    own = untrained[untrained["hypothesis"] == "depth"].set_index(["layer", "unit"])
    for layer, unit in np.ndindex(2, 6):
        expected = kendalltau(label.ravel(), c[layer, 1::2, :, unit].numpy().ravel())[0]
        assert own.loc[(layer + 1, unit + 1), "score"] == pytest.approx(expected, abs=5e-3)
    best = pd.read_csv(tables / "hypotheses.csv").set_index("hypothesis")
    picked = own.loc[own["picked"].abs().idxmax()]
    assert best.loc["depth", "untrained"] == pytest.approx(abs(picked["score"]), abs=1e-5)
    shares = pd.read_csv(tables / "explained.csv")
    assert list(shares["trained"]) == [True] * 3 + [False] * 3  # all, layer 1, layer 2 of each
    assert "all, untrained" in (tables / "cells.html").read_text()


def test_the_best_of_the_deepest_is_watched(folder):
    best = analysis.best_by_type(sorted(folder.glob("*.safetensors")))
    assert {path.stem for path in best} == {"lstm3", "gru3"}  # the RNN has no gates


def test_the_least_explained_cell_moves():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 2, 50)) * np.array([0.01, 1, 2, 3])[:, None, None]
    picked = np.array([[0.5, 0.0], [0.9, 0.1], [0.52, -0.3], [0.3, 0.1]])
    empty = np.zeros((4, 2))
    found = selectivity.Found(["a", "b"], np.array([True, False]), picked, *[empty] * 4)
    # of the more variable half the one with 0.3, not 0.4
    assert passages.least_explained("gru", found, values) == 2
    # as it is shown, a unit of which tanh is 1 throughout does not move
    assert passages.least_explained("lstm", found, values + [[[0]], [[0]], [[40]], [[0]]]) == 3


def test_the_same_once_more_is_the_same(folder, found):
    again = look(folder, folder / "again")
    assert (folder / "cells/code.csv").read_bytes() == (folder / "again/code.csv").read_bytes()
    assert again[2] == found[2]
    assert not list((folder / "again").glob(".tmp*"))


def test_what_is_not_given_comes_from_the_run_of_the_model(tmp_path):
    parser = argparse.ArgumentParser()
    analysis.add_arguments(parser)
    place = "code/type~lstm/layers~1/size~8/seed~1/best/model.safetensors"
    model = tmp_path / "mine/models" / place
    args = parser.parse_args([str(model), "--gates", str(tmp_path / "g.csv")])
    analysis.fill_in(args)
    corpora = tmp_path / "mine/corpora"
    assert (args.split, args.text) == (corpora / "code.npz", corpora / "code.txt")
    assert args.info == corpora / "code.json" and args.gates == tmp_path / "g.csv"
    assert args.out == model.parent / "cells/found.json" and args.out.parent.is_dir()
    with pytest.raises(InputError, match="lies in no run"):
        analysis.fill_in(parser.parse_args([str(tmp_path / "m.safetensors")]))


def test_bad_input_is_named(folder, tmp_path):
    with pytest.raises(InputError, match="cells.passages.code: no hypothesis 'colour'"):
        bad = [{"hypothesis": "colour", "begins": "a", "characters": 9}]
        look(folder, tmp_path / "a", "--passages", json.dumps(bad))


# ---- passages ----


def test_passages_are_coloured_by_what_the_cell_held_when_it_had_read_them(folder, found):
    _, _, report = found
    arch, params, _ = model_file.load(folder / "lstm2.safetensors")
    data = split.load(folder / "code.npz")
    passages = report["passages"]
    assert [p["hypothesis"] for p in passages[:12]] == [h.name for h in HYPOTHESES]
    assert [(p["hypothesis"], p["source"]) for p in passages[12:]] == (
        [(None, "data"), ("depth", "slides"), (None, "slides")]
    )
    assert {p["part"] for p in passages[:13]} == {"test"}
    assert all(p["stream"] % 2 == 1 for p in passages[:13])  # evaluation streams
    for passage in passages:
        at, raw = passage["at"], passage["text"].encode("latin-1")
        assert TEXT[at : at + len(raw)] == raw and len(raw) == len(passage["values"])
        # the stream alone, from its beginning, up to the passage's last character
        part = getattr(data, passage["part"])
        begin = int(part.at[passage["stream"]])
        before = data.alphabet[part.x[passage["stream"], 0]]
        codes = np.frombuffer(bytes([before]) + TEXT[begin : at + len(raw)], np.uint8)
        x = torch.from_numpy(np.searchsorted(data.alphabet, codes))[None]
        c = activations.activations(arch, params, x, network.zero_state(arch, 1))["c"]
        expected = torch.tanh(c[passage["layer"] - 1, 0, -len(raw) :, passage["unit"] - 1])
        np.testing.assert_allclose(passage["values"], expected, atol=2e-3)


def test_a_passage_is_found_by_how_it_begins():
    text = b"one\r\n\ttwo  Three(four"
    assert passages.find_passage(text, "TWO three( four") == 6
    assert passages.find_passage(text, "two four") is None
    assert passages.find_passage(text, "o.e") is None  # not a pattern


def test_where_a_passage_lies(folder):
    data = split.load(folder / "code.npz")
    for name in split.PARTS:
        part = getattr(data, name)
        assert passages.locate(data, int(part.at[3]) + 2) == (name, 3, 2)
        last = part.y.shape[1] - 1
        assert passages.locate(data, int(part.at[7]) + last) == (name, 7, last)
    assert passages.locate(data, len(TEXT)) is None


def test_the_most_variable_passage_is_where_the_labels_change():
    n, begins = 1500, 900
    text = np.full(8 * n + 1, ord("a"), np.uint8)
    text[::50] = ord("\n")
    label, defined = np.zeros((8, n), int), np.ones((8, n), bool)
    read = np.arange(8)[:, None] * n + np.arange(n)
    label[2, 300:900] = np.arange(600) % 2  # in a selection stream: not shown
    label[5, begins : begins + 400] = np.arange(400) // 20 % 2
    stream, at = passages.most_variable(text.tobytes(), read, 420, (label, defined, True))
    assert stream == 5 and begins - 60 < at < begins + 60
    assert text[read[stream, at] - 1] == ord("\n")


def test_a_passage_of_a_short_stream_lies_in_it():
    """The first character that a stream reads is the last of the part before."""
    read = np.arange(8)[:, None] * 200 + np.arange(200)
    label, defined = np.zeros((8, 200), int), np.ones((8, 200), bool)
    label[5, :100] = np.arange(100) // 20 % 2
    text = (b"a" * 49 + b"\n") * 33
    for length in (420, 100):
        stream, at = passages.most_variable(text, read, length, (label, defined, True))
        assert stream % 2 == 1 and at >= 1


def test_a_passage_about_comments_or_quotes_has_both():
    """Where comments and quotes together vary most there may be comments alone."""
    n = 1500
    text = np.full(8 * n + 1, ord("a"), np.uint8)
    text[::50] = ord("\n")
    read = np.arange(8)[:, None] * n + np.arange(n)
    comment, quote = np.zeros((2, 8, n), int)
    comment[1, 200:600] = np.arange(400) // 20 % 2
    quote[3, 200:600] = np.arange(400) // 20 % 2
    comment[5, 900:1000], quote[5, 1120:1150] = 1, 1
    labels = {"quote": (quote, np.ones_like(quote, bool), True)}
    labels["comment_or_quote"] = (comment + quote, np.ones_like(quote, bool), True)
    wanted = passages.labels_to_show(labels, "comment_or_quote")
    stream, at = passages.most_variable(text.tobytes(), read, 300, *wanted)
    shown = slice(at, at + 300)
    assert stream == 5 and comment[5, shown].any() and quote[5, shown].any()
    alone, _ = passages.most_variable(text.tobytes(), read, 300, labels["comment_or_quote"])
    assert alone != 5


# ---- the paper's passages ----


def test_a_configuration_knows_the_hypotheses():
    """So that a wrong one is refused before anything is trained."""
    schema = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    own, passage = (schema["$defs"][name]["properties"] for name in ("Cells", "Passage"))
    assert passage["hypothesis"]["enum"] == [*(h.name for h in HYPOTHESES), "none"]
    # shifts enough to correct for as many as a corpus has
    most = max(sum(kind in h.label for h in HYPOTHESES) for kind in ("prose", "code"))
    assert own["shifts"]["minimum"] == math.ceil(most / selectivity.ALPHA) - 1


# ---- tables ----


@pytest.fixture(scope="module")
def tables(folder, found):
    out = folder / "tables"
    run(probes, [
        *sorted(folder.glob("*.safetensors")), "--split", folder / "code.npz",
        "--text", folder / "code.txt", "--info", folder / "code.json",
        "--found", folder / "cells/code.json", "--cells", folder / "cells/code.csv",
        "--characters", 800, "--val-characters", 400, "--out", out / "probes/code.csv",
    ])  # fmt: skip
    run(unit_tables, [
        "--found", folder / "cells/code.json", "--cells", folder / "cells/code.csv",
        "--untrained", folder / "cells/untrained/code.csv",
        "--gates", folder / "cells/gates/code.csv", "--corpora", folder / "code.json",
        "--probes", out / "probes/code.csv", "--probes-csv", out / "probes.csv",
        "--csv", out / "cells.csv", "--best-csv", out / "hypotheses.csv",
        "--explained-csv", out / "explained.csv", "--gates-csv", out / "gates.csv",
        "--html", out / "cells.html", "--explorer", "../explorer/CORPUS.html",
    ])  # fmt: skip
    return out


def test_the_tables_of_a_run(tables, found):
    gates, cells, _ = found
    ranked = pd.read_csv(tables / "cells.csv")
    assert list(ranked.columns) == UNITS
    assert len(ranked) == len(cells)
    quote = ranked[ranked["hypothesis"] == "quote"]["picked"]
    assert ((quote - 0.5).abs().diff().dropna() <= 1e-9).all()  # best first
    best = pd.read_csv(tables / "hypotheses.csv").set_index("hypothesis")
    own = cells[cells["hypothesis"] == "depth"]
    first = own.loc[own["picked"].abs().idxmax()]
    assert best.loc["depth", "unit"] == first["unit"] and best.loc["depth", "measure"] == "tau"
    assert best.loc["depth", "score"] == pytest.approx(first["score"])
    pd.testing.assert_frame_equal(pd.read_csv(tables / "gates.csv"), gates)
    page = (tables / "cells.html").read_text()
    check(page)
    assert "Some &lt;code&gt;: LSTM 2x8" in page and "made up" in page and "<code>" not in page
    assert page.count('<svg class="strip"') == 2 * 12 and "not beyond both" in page
    unit = f"{best.loc['depth', 'layer']}.{best.loc['depth', 'unit']}"
    assert f'href="../explorer/code.html#cell={unit}&amp;sort=by+depth&amp;panel=unit"' in page


def test_units_probes_and_last_characters_side_by_side(tables, found):
    _, cells, report = found
    table = pd.read_csv(tables / "probes.csv")
    assert list(table.columns) == (
        ["corpus", "model", "layer", "hypothesis", "unit", "single", "probe", "last_k", "untrained"]
    )
    best = pd.read_csv(tables / "hypotheses.csv").set_index("hypothesis")
    assert best["k"].between(1, 5).all() and best["beyond_baselines"].isin([True, False]).all()
    for row in table.itertuples():  # the unit of the layer that the selection streams prefer
        own = cells[(cells["hypothesis"] == row.hypothesis) & (cells["layer"] == row.layer)]
        yes_no = best.loc[row.hypothesis, "measure"] == "auc"
        first = own.iloc[selectivity.strength(own["picked"].to_numpy(), yes_no).argmax()]
        assert row.unit == first["unit"]
        assert row.single == pytest.approx(selectivity.strength(first["score"], yes_no), abs=1e-5)
        assert row.last_k == pytest.approx(best.loc[row.hypothesis, "last_k"], abs=1e-5)
    assert len(table) == 2 * 12 and table[["probe", "untrained"]].stack().between(0, 1).all()
    # five characters tell more of the line's position than a random network's unit
    assert not best.loc["line_position", "beyond_baselines"]


def test_every_network_in_short(folder, found, tables, tmp_path):
    """The same numbers as in the long search, and a page by type, size and depth."""
    gates, *_ = found
    for name in ("lstm2", "lstm3", "gru3"):
        run(inside, [
            folder / f"{name}.safetensors", "--split", folder / "code.npz",
            "--text", folder / "code.txt", "--info", folder / "code.json",
            "--out", tmp_path / f"{name}.csv",
        ])  # fmt: skip
    short = pd.read_csv(tmp_path / "lstm2.csv", dtype={"layer": str})
    every = short[short["layer"] == "all"].set_index("measure")["value"]
    best = pd.read_csv(tables / "hypotheses.csv").set_index("hypothesis")["strength"]
    for name, strength in best.items():
        assert every[f"best {name}"] == pytest.approx(strength, abs=1e-5)
    short = pd.read_csv(tmp_path / "gru3.csv", dtype={"layer": str})
    second = short[short["layer"] == "2"].set_index("measure")["value"]
    own = gates[(gates["type"] == "gru") & (gates["layer"] == 2) & (gates["gate"] == "z")]
    assert second["left z"] == pytest.approx(own["left"].mean(), abs=1e-5)
    assert second["always right z"] == pytest.approx((own["right"] >= 0.95).mean(), abs=1e-5)
    networks = [tmp_path / f"{name}.csv" for name in ("lstm2", "lstm3", "gru3")]
    out = ["--csv", tmp_path / "inside.csv", "--html", tmp_path / "inside.html"]
    more = ["--best", tables / "hypotheses.csv", "--corpora", folder / "code.json", *out]
    run(inside_table, ["--networks", *networks, *more])
    assert len(pd.read_csv(tmp_path / "inside.csv")) == sum(len(pd.read_csv(p)) for p in networks)
    page = (tmp_path / "inside.html").read_text()
    check(page)
    assert "3 networks" in page and "LSTM forget" in page and "GRU update" in page
    with pytest.raises(InputError, match="about the network code lstm 2 8 1: name each"):
        run(inside_table, ["--networks", *networks[:1], *networks[:1], *more])


def test_a_network_that_diverged_has_no_measures(folder, found, tmp_path):
    arch, params, about = model_file.load(folder / "lstm2.safetensors")
    for name, more in (("sound", {}), ("diverged", {"failed": "training diverged in epoch 2"})):
        model_file.save(tmp_path / f"{name}.safetensors", params, {**about, "seed": 9, **more})
        run(inside, [
            tmp_path / f"{name}.safetensors", "--split", folder / "code.npz",
            "--text", folder / "code.txt", "--info", folder / "code.json",
            "--out", tmp_path / f"{name}.csv",
        ])  # fmt: skip
    out = ["--csv", tmp_path / "inside.csv", "--html", tmp_path / "inside.html"]
    networks = [tmp_path / "diverged.csv", tmp_path / "sound.csv"]
    run(inside_table, ["--networks", *networks, "--corpora", folder / "code.json", *out])
    assert len(pd.read_csv(networks[0])) == 0
    assert pd.read_csv(tmp_path / "inside.csv").equals(pd.read_csv(networks[1]))


def test_networks_without_units_are_not_counted():
    """Two that follow quotes, and one with gates alone."""
    rows = [["code", "lstm", 1, 8, seed, "all", "best quote", 0.9] for seed in (1, 2)]
    rows += [["code", "mine", 1, 8, 1, "all", "left i", 0.5]]
    networks = inside_table.wide(pd.DataFrame(rows, columns=INSIDE))
    ((_, entries),) = inside_table.hypotheses_grid(networks, {}).rows
    # what the last characters tell; then by type, layers, size
    assert [entry.text for entry in entries] == ["–", "2 of 2", "–", "2 of 2", "2 of 2"]


def test_the_unit_of_a_hypothesis_of_two_parts_is_scored_on_each(folder, tables):
    from sklearn.metrics import roc_auc_score

    best = pd.read_csv(tables / "hypotheses.csv").set_index("hypothesis")
    row = best.loc["comment_or_quote"]
    arch, params, _ = model_file.load(folder / "lstm2.safetensors")
    data = split.load(folder / "code.npz")
    x = torch.from_numpy(data.test.x)
    c = activations.activations(arch, params, x, network.zero_state(arch, 8))["c"]
    cell = torch.tanh(c[int(row["layer"]) - 1, 1::2, :, int(row["unit"]) - 1]).numpy()
    read = (data.test.at[:, None] - 1 + np.arange(x.shape[1]))[1::2]
    for part in PARTS["comment_or_quote"]:
        labels = part.label["code"](TEXT)
        defined = labels.defined[read]
        score = roc_auc_score(labels.values[read][defined], cell[defined])
        assert row[part.name] == pytest.approx(score, abs=5e-3)
        assert row[f"{part.name}_low"] <= row[part.name] <= row[f"{part.name}_high"]
    others = best.drop("comment_or_quote")[unit_tables.PART_COLUMNS]
    assert others.isna().all(axis=None) and not set(best.index) & {"comment", "string"}


def test_the_share_of_cells_explained():
    rows = [
        # layer, unit, hypothesis, score, picked, beyond
        (1, 1, "a", 0.97, 0.95, True), (1, 1, "b", 0.10, 0.1, True),
        (1, 2, "a", 0.05, 0.90, True), (1, 2, "b", 0.99, 0.2, True),  # the sign does not matter
        (2, 1, "a", 0.80, 0.80, True), (2, 1, "b", 0.00, 0.0, False),
        (2, 2, "a", 0.95, 0.40, True), (2, 2, "b", 0.30, 0.3, False),  # b is picked
    ]  # fmt: skip
    cells = pd.DataFrame(
        rows, columns=["layer", "unit", "hypothesis", "score", "picked", "beyond"]
    ).assign(corpus="c", model="m", beyond_baselines=[True, True, False, True] * 2)
    found = {
        "hypotheses": [{"hypothesis": "a", "yes_no": True}, {"hypothesis": "b", "yes_no": False}]
    }
    shares = unit_tables.explained(unit_tables.with_strength(cells, found)).set_index("layer")
    assert list(shares.loc["all"][["cells", "beyond_null"]]) == [4, 1.0]
    assert shares.loc["all", "strength_0.8"] == 0.5 and shares.loc["all", "strength_0.5"] == 0.75
    assert shares.loc["1", "strength_0.8"] == 1.0 and shares.loc["2", "strength_0.8"] == 0.0
    # each on the hypothesis that is picked: all but unit 1.2, which is beyond them on b alone
    assert list(shares["beyond_baselines"]) == [0.75, 0.5, 1.0]


def test_units_that_are_always_saturated_are_counted():
    rows = [("c", "lstm", 3, 8, 1, "f", unit, left, 1 - left)
            for unit, left in enumerate((0.0, 0.04, 0.06, 0.96), start=1)]  # fmt: skip
    (means,) = unit_tables.gate_means(pd.DataFrame(rows, columns=saturation.GATES)).to_dict(
        "records"
    )
    assert (means["always_left"], means["always_right"]) == (1, 2)
    assert means["left"] == pytest.approx(0.265)


@pytest.mark.parametrize(
    "text, streams", [(b"abcdefgh" * 400, 8), (TEXT, 4), (TEXT, 1)], ids=["text", "few", "one"]
)
def test_nothing_to_search_for_still_makes_the_tables(folder, tmp_path, text, streams):
    """A text of one long line, or too few streams to part in two."""
    data = split.split(text, "streams", streams, 10, (0.5, 0.1, 0.4))
    split.save(tmp_path / "code.npz", data)
    (tmp_path / "code.txt").write_bytes(text)
    (tmp_path / "code.json").write_text((folder / "code.json").read_text())
    arch = Architecture("rnn", 1, 3, data.symbols)
    about = dataclasses.asdict(arch) | {
        "corpus": "code", "size": None, "seed": 1, "val_loss": 1.0,
        "alphabet": data.alphabet.tobytes().hex(),
    }  # fmt: skip
    params = network.initialise(arch, 1.0, torch.Generator().manual_seed(1))
    model_file.save(tmp_path / "rnn1.safetensors", params, about)
    gates, cells, report = look(tmp_path, tmp_path / "cells")
    assert gates.empty and cells.empty
    assert all(passage["hypothesis"] is None for passage in report["passages"])
    this = ["--split", tmp_path / "code.npz", "--text", tmp_path / "code.txt",
            "--info", tmp_path / "code.json"]  # fmt: skip
    run(probes, [
        tmp_path / "rnn1.safetensors", *this, "--found", tmp_path / "cells/code.json",
        "--cells", tmp_path / "cells/code.csv", "--out", tmp_path / "probes/code.csv",
    ])  # fmt: skip
    run(inside, [tmp_path / "rnn1.safetensors", *this, "--out", tmp_path / "rnn1.csv"])
    assert pd.read_csv(tmp_path / "rnn1.csv").empty
    run(unit_tables, [
        "--found", tmp_path / "cells/code.json", "--cells", tmp_path / "cells/code.csv",
        "--untrained", tmp_path / "cells/untrained/code.csv",
        "--gates", tmp_path / "cells/gates/code.csv", "--corpora", tmp_path / "code.json",
        "--probes", tmp_path / "probes/code.csv", "--probes-csv", tmp_path / "probes.csv",
        "--csv", tmp_path / "a.csv", "--best-csv", tmp_path / "b.csv",
        "--explained-csv", tmp_path / "e.csv", "--gates-csv", tmp_path / "g.csv",
        "--html", tmp_path / "p.html",
    ])  # fmt: skip
    page = (tmp_path / "p.html").read_text()
    check(page)
    assert "varies too little here" in page and "RNN 1x3" in page


# ---- figures ----


def test_characters_are_joined_and_strange_bytes_shown():
    raw = "a“\r\n\té".encode() + b"\xff\xe2\x80\x00"
    passage = {"text": raw.decode("latin-1"), "values": list(range(len(raw)))}
    shown = figure2.characters(passage)
    expected = [("a", 0), ("“", 3), ("\n", 5), ("\t", 6), ("é", 8), ("\ufffd", 9)]
    assert shown == [*expected, ("\ufffd", 10), ("\ufffd", 11), ("·", 12)]


def test_a_passage_of_characters_with_wide_letters():
    passage = {"text": "да\r\n世a\x01", "values": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]}
    shown = figure2.characters(passage | {"symbols_are": "characters"})
    assert shown == [("д", 0.1), ("а", 0.2), ("\n", 0.4), ("世", 0.5), ("a", 0.6), ("·", 0.7)]
    first, second = figure2.lines(shown, 10)
    assert [letter for letter, _ in second] == ["世", "", "a", "·"]
    assert figure2.words(first) == [(0, "да")]
    assert figure2.words(second) == [(0, "世"), (2, "a·")]
    spaced = [(letter, 0.0) for letter in ("a", "b", " ", "世", "", "界", "", " ", "c")]
    assert figure2.words(spaced) == [(0, "ab"), (3, "世"), (5, "界"), (8, "c")]


def test_lines_break_and_tabs_advance():
    rows = figure2.lines([("a", 1.0), ("\t", 0.5), ("\n", 0.0), ("b", -1.0), ("c", 0.1)], 3)
    assert rows == [
        [("a", 1.0), (" ", 0.5), (" ", 0.5)],
        [(" ", 0.5), (" ", 0.0)],
        [("b", -1.0), ("c", 0.1)],
    ]


def test_figure_2(folder, tables, tmp_path):
    run(figure2, [
        "--found", folder / "cells/code.json", "--best", tables / "hypotheses.csv",
        "--corpus", folder / "code.json", "--out", tmp_path / "f.png", tmp_path / "f.svg",
        "--html", tmp_path / "f.html",
    ])  # fmt: skip
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "f.svg").read_text()
    assert "made up" in svg and "Depth of an expression: unit 1." in svg and "Set(" in svg
    page = (tmp_path / "f.html").read_text()
    check(page)
    report = json.loads((folder / "cells/code.json").read_text())
    passages, _ = figure2.shown(report, pd.read_csv(tables / "hypotheses.csv"))
    assert page.count("<pre>") == len(passages) and "Least explained: unit 1." in page
    assert "a passage of the paper’s, here training text" in page


def test_a_hostile_text_is_shown_and_not_run(folder, tables):
    report = json.loads((folder / "cells/code.json").read_text())
    hostile = "<script>alert(1)</script>&amp;"
    report["passages"] = [report["passages"][0] | {"text": hostile, "values": [0.0] * len(hostile)}]
    about = json.loads((folder / "code.json").read_text())
    best = pd.read_csv(tables / "hypotheses.csv")
    page = figure2.page(report, best, about)
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;" in page


def test_figure_3(folder, tables, tmp_path):
    out = [tmp_path / "f.png", tmp_path / "f.svg"]
    corpora = ["--corpora", folder / "code.json", "--out", *out]
    run(figure3, ["--gates", tables / "gates.csv", *corpora])
    svg = out[1].read_text()
    names = ("LSTM 3x8", "input gate", "forget gate", "output gate", "GRU 3x8", "reset gate",
             "update gate", "layer 3")  # fmt: skip
    assert all(name in svg for name in names)
    gates = pd.read_csv(tables / "gates.csv").assign(corpus="other")
    gates.to_csv(tmp_path / "g.csv", index=False)
    with pytest.raises(InputError, match="no gates of corpus code"):
        run(figure3, ["--gates", tmp_path / "g.csv", *corpora])


def test_strength_has_no_sign():
    scores = np.array([[0.1, -0.4], [np.nan, 0.2]])
    found = selectivity.strength(scores, np.array([True, False]))
    np.testing.assert_allclose(found, [[0.8, 0.4], [0.0, 0.2]])
