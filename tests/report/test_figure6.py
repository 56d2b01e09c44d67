"""Figure 6: which LSTMs it shows, and that it adds up; examples; errors by type, depth, size."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import small_split
from synthetic import run, write_score

from charlens.data import split
from charlens.errors import InputError
from charlens.report import errors_by_size, figure6, plots
from charlens.statistics import oracles
from charlens.store.scores import Score


@pytest.fixture
def made(tmp_path):
    """A split, its text and scores: two LSTMs of one depth, one of another, and n-grams."""
    data = small_split(streams=4, unroll=10, windows=(5, 2, 3))
    text = np.concatenate([data.train.y, data.val.y, data.test.y], axis=1)
    (tmp_path / "code.txt").write_bytes(data.alphabet[text].tobytes())
    split.save(tmp_path / "code.npz", data)
    size = data.joined("test").size
    rng = np.random.default_rng(0)

    def score(name, **meta):
        return write_score(tmp_path / name, np.log(rng.uniform(0.1, 1, size)), **meta)

    (tmp_path / "code.json").write_text(
        '{"corpus": "code", "title": "Code", "kind": "code", "source": "made up", "bytes": 400,'
        ' "symbols": 11}'
    )
    scores = [
        score("a.npy", layers=2, size=64, val_loss=1.5),
        score("b.npy", layers=2, size=128, val_loss=1.2),
        score("c.npy", layers=3, size=128, val_loss=1.4),
        score("d.npy", layers=2, size=256, val_loss=1.3),  # larger, and worse: not smaller
        score("e.npy", layers=2, size=64, val_loss=1.1, type="gru"),
        score("n.npy", family="ngram", n=3),
    ]
    return tmp_path, scores


def arguments(folder, scores):
    return [
        *("--scores", *scores, "--texts", folder / "code.txt", "--splits", folder / "code.npz"),
        *("--corpora", folder / "code.json", "--out", folder / "f.png", folder / "f.svg"),
        *("--csv", folder / "f.csv"),
    ]


def test_the_lstms_of_figure_6():
    def score(layers, size, seed, val_loss, type="lstm"):
        meta = {"corpus": "wp", "family": "recurrent", "type": type, "layers": layers}
        meta |= {"size": size, "seed": seed, "val_loss": val_loss}
        return Score(Path(f"{type}{layers}{size}{seed}"), meta, None)

    best = score(2, 128, 1, 1.0)
    small = [score(2, 64, seed, val_loss) for seed, val_loss in ((1, 1.3), (2, 1.2), (3, 1.4))]
    others = [score(1, 64, 1, 1.1), score(2, 256, 1, 1.1), score(2, 32, 1, 0.9, "gru")]
    assert figure6.of_type([*small, best, *others]) == [small[1], best]


def test_figure6(made):
    folder, scores = made
    run(figure6, arguments(folder, scores))
    table = pd.read_csv(folder / "f.csv")
    assert list(table.columns) == figure6.COLUMNS
    assert table.groupby(["layers", "size"])["share"].sum().to_dict() == pytest.approx(
        {(2, 64): 1, (2, 128): 1}
    )
    for size, name in ((64, "a.npy"), (128, "b.npy")):
        rate = table[table["size"] == size]["rate"].sum()
        assert rate == pytest.approx(np.mean(np.load(folder / name) < np.log(0.5)), abs=1e-5)
    assert (folder / "f.png").read_bytes().startswith(b"\x89PNG")
    assert "made up" in (folder / "f.svg").read_text()


def test_other_definitions_move_errors_between_categories_alone(made):
    folder, scores = made
    run(figure6, [*arguments(folder, scores), "--definitions-csv", folder / "d.csv"])
    table = pd.read_csv(folder / "d.csv")
    assert list(table.columns) == figure6.DEFINITIONS
    assert table["definition"].unique().tolist() == list(oracles.DEFINITIONS)
    assert set(table["size"]) == {128}  # the best LSTM alone
    counts = table.pivot(index="category", columns="definition", values="errors")
    assert counts.sum().nunique() == 1
    default = pd.read_csv(folder / "f.csv").query("size == 128").groupby("category")["errors"].sum()
    assert counts["default"].to_dict() == default.to_dict()
    # the memory of substrings holds all words of the other, and more
    assert counts.loc["memory", "substring memory"] >= counts.loc["memory", "default"]


def test_examples_of_each_kind_of_error(made):
    folder, scores = made
    run(figure6, [*arguments(folder, scores), "--html", folder / "f.html"])
    page = (folder / "f.html").read_text()
    assert "Code: LSTM 2x128" in page and page.count("<mark>") >= figure6.EXAMPLES
    text, logp = b"one <two>\n", np.log(np.full(10, 0.25))
    at = np.arange(10)
    applied = [("n-gram", "n = 1", np.arange(10) < 6), ("memory", "last 100", at == 9)]
    found = figure6.examples_of(text, at, logp, oracles.removed(logp, applied))
    assert [category for category, _ in found] == ["n-gram", "memory", "boost"]
    [(level, shown)] = found[0][1]
    assert level == "n = 1" and len(shown) == figure6.EXAMPLES
    [(_, [newline])] = found[1][1]
    assert newline == {"before": "one <two>", "error": "↵", "after": "", "probability": 0.25}
    with_context = figure6.example(text, 5, 0.1)
    assert (with_context["before"], with_context["error"]) == ("one <", "t")


@pytest.mark.parametrize("seed", range(4))
def test_labels_stand_apart(seed):
    """Whatever the counts: no label of a category covers another one, or the title."""
    rng = np.random.default_rng(seed)
    levels = {
        "n-gram": 9,
        "memory": 4,
        "rare words": 6,
        "word model": 3,
        "punctuation": 1,
        "boost": 3,
    }
    names = [(category, f"level {k}") for category, many in levels.items() for k in range(many)]
    rates = rng.dirichlet(np.full(len(names), 0.1 + seed)) * 0.4
    rows = pd.DataFrame(names, columns=["category", "level"])
    rows = rows.assign(corpus="code", layers=2, size=64, errors=1, share=rates / 0.4, rate=rates)
    with plots.style():
        figure = figure6.draw(rows, {"code": {"title": "Code", "source": "made up"}})
        figure.draw_without_rendering()
        steps = figure.axes[0]
        labels = [*steps.texts, steps._left_title]
        boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) == 7
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place]), labels[place].get_text()


def test_errors_by_type_depth_and_size(made):
    folder, scores = made
    out = ["--out", folder / "e.png", folder / "e.svg", "--csv", folder / "e.csv"]
    run(errors_by_size, [*arguments(folder, scores)[:-5], *out])
    table = pd.read_csv(folder / "e.csv")
    assert list(table.columns) == errors_by_size.COLUMNS
    networks = table.groupby(["type", "layers", "size", "seed"])
    assert len(networks) == 5 and networks["share"].sum().to_numpy() == pytest.approx(1)
    assert (networks["category"].apply(list).str.len() == 6).all()
    # of the LSTMs that figure 6 shows it has the numbers of figure 6
    run(figure6, arguments(folder, scores))
    figure = pd.read_csv(folder / "f.csv").groupby(["size", "category"])["errors"].sum()
    lstms = table.query("type == 'lstm' and layers == 2 and size <= 128")
    assert (
        lstms.set_index(["size", "category"])["errors"].sort_index().to_dict() == figure.to_dict()
    )
    assert (folder / "e.png").read_bytes().startswith(b"\x89PNG")
    assert "GRU" in (folder / "e.svg").read_text()


def test_no_bar_of_errors_leaves_its_panel_and_panels_compare():
    """Whatever type has the most errors, in whichever row of panels."""
    types = ("lstm", "rnn", "gru", "mingru", "slstm", "mamba")
    rows = [
        ("code", type, 1, 64, 1, category, 1000 * (place + 1), 0.5, "1 2")
        for place, type in enumerate(types)
        for category in ("n-gram", "boost")
    ]
    table = pd.DataFrame(rows, columns=errors_by_size.COLUMNS)
    with plots.style():
        figure = errors_by_size.draw(table, {"code": {"title": "Code", "source": "made up"}})
    panels = [panel for panel in figure.axes if panel.axison]
    assert len(panels) == len(types) and len({panel.get_ylim() for panel in panels}) == 1
    assert panels[0].get_ylim()[1] > max(panel.dataLim.y1 for panel in panels) == 12


def test_smaller_models_that_are_published_only_are_in_figure6(made):
    folder, scores = made
    run(figure6, arguments(folder, scores))
    whole = pd.read_csv(folder / "f.csv")
    # rows of a model that is here, of one that is too large, of another depth: not taken
    others = [whole.assign(size=128, errors=0), whole.assign(size=512), whole.assign(layers=3)]
    # nor of one whose errors fewer n-gram oracles saw
    others.append(whole[whole["level"] != "n = 3"].assign(size=32))
    run(figure6, arguments(folder, [scores[1], scores[5]]))
    joined = figure6.with_published(pd.read_csv(folder / "f.csv"), pd.concat([whole, *others]))
    assert joined.to_numpy().tolist() == whole.to_numpy().tolist()
    assert len(figure6.with_published(whole, whole[:0])) == len(whole)


def test_words_of_a_text_without_spaces_are_said_to_be_phrases(made, monkeypatch):
    folder, scores = made
    for unspaced in (True, False):
        monkeypatch.setattr(figure6.unicode, "unspaced", lambda text, is_so=unspaced: is_so)
        run(figure6, arguments(folder, scores))
        assert ("whole phrases" in (folder / "f.svg").read_text()) == unspaced


def test_bad_input(made):
    folder, scores = made
    with pytest.raises(InputError, match="no LSTM among the scores"):
        run(figure6, arguments(folder, scores[4:]))
    text = (folder / "code.txt").read_bytes()
    (folder / "code.txt").write_bytes(text[1:])
    with pytest.raises(InputError, match="code: the split was not made from this text"):
        run(figure6, arguments(folder, scores))
    (folder / "code.txt").write_bytes(text)
    for name in "abcdn":
        np.save(folder / f"{name}.npy", np.full(7, -1, np.float32))
    with pytest.raises(InputError, match="7 scores for 120 test characters"):
        run(figure6, arguments(folder, scores[:4] + scores[5:]))
