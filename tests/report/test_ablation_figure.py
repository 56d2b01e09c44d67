"""The table and the figure of clamped units, from what `charlens ablate` writes of each corpus."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from synthetic import run

from charlens.errors import InputError
from charlens.report import ablation, plots
from charlens.text import hypotheses as known
from charlens.units.ablation import COLUMNS, EFFECTS

HYPOTHESES = ("quote", "depth", "indentation")


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def write(folder, corpus, hypotheses=HYPOTHESES, nothing=()):
    """The files of a corpus: a unit for each hypothesis and three controls. nothing: hypotheses
    without characters of their own."""
    random = np.random.default_rng(0)
    found, effects = [], []
    for unit, name in enumerate(hypotheses, start=1):
        for clamp in ("mean", "zero"):
            own = np.nan if name in nothing else -0.1 * unit
            found.append([corpus, "lstm 2x8", 2, unit, name, clamp, 0.01, 0.0, 0.02, own,
                          own - 0.01, own + 0.01, 3, int(unit == 1)])  # fmt: skip
            effects.append([corpus, "lstm 2x8", name, clamp, 2, unit, 1, own, -0.001])
            for control in range(5, 8):
                small = np.nan if name in nothing else random.normal(0, 0.001)
                effects.append([corpus, "lstm 2x8", name, clamp, 2, control, 0, small, 1e-4])
    (folder / "controls").mkdir(exist_ok=True)
    pd.DataFrame(found, columns=COLUMNS).to_csv(folder / f"{corpus}.csv", index=False)
    pd.DataFrame(effects, columns=EFFECTS).to_csv(folder / f"controls/{corpus}.csv", index=False)
    about = {"corpus": corpus, "title": corpus.title(), "kind": "code", "source": "made up",
             "bytes": 9, "symbols": 9}  # fmt: skip
    (folder / f"{corpus}.json").write_text(json.dumps(about))


def draw(folder, *corpora):
    files = {end: [folder / f"{c}.{end}" for c in corpora] for end in ("csv", "json")}
    run(ablation, [
        "--found", *files["csv"], "--effects", *(folder / f"controls/{c}.csv" for c in corpora),
        "--corpora", *files["json"], "--csv", folder / "all.csv",
        "--effects-csv", folder / "points.csv", "--out", folder / "f.png", folder / "f.svg",
    ])  # fmt: skip


def test_the_corpora_are_joined_and_drawn(tmp_path):
    write(tmp_path, "one")
    write(tmp_path, "two", nothing=["depth"])
    draw(tmp_path, "one", "two")
    table, points = pd.read_csv(tmp_path / "all.csv"), pd.read_csv(tmp_path / "points.csv")
    assert list(table.columns) == COLUMNS and list(table["corpus"]) == ["one"] * 6 + ["two"] * 6
    assert list(points.columns) == [*EFFECTS, "used"] and len(points) == 2 * 3 * 2 * 4
    assert set(points[points["used"] == 1]["hypothesis"]) == {"quote"}
    assert points["used"].sum() == 4 and points["used"].dtype == int
    text = (tmp_path / "f.svg").read_text()
    for words in ("One: LSTM 2x8", "clamped to zero", "made up", "controls", ">indentation (2.3)<"):
        assert words in text
    assert text.count(">depth of an expression") == 1  # two has no such character
    assert text.count(">inside quotes (2.1)<") == 2
    first = (tmp_path / "f.png").read_bytes()
    draw(tmp_path, "one", "two")
    assert (tmp_path / "f.png").read_bytes() == first


def points_of(hypotheses, scale=0.01):
    """Effects of a unit for each hypothesis, close together, and of its controls."""
    random = np.random.default_rng(0)
    rows = [
        ("one", "lstm 2x8", name, clamp, 2, unit, int(unit < 5), *random.normal(0, scale, 2), 0)
        for clamp in ablation.CLAMPS for name in hypotheses for unit in (1, 7, 8)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[*EFFECTS, "used"])


ABOUT = {"one": {"title": "a_study_of_ones_own_with_a_long_name-" * 3, "source": "x"}}
TWELVE = [hypothesis.name for hypothesis in known.HYPOTHESES][:12]


@pytest.mark.parametrize(
    "names", [TWELVE, [f"a_hypothesis_of_ones_own_with_a_long_name_{k}" for k in range(3)]]
)
def test_marks_are_numbered_and_the_numbers_told(names):
    with plots.style():
        figure = ablation.draw(points_of(names), ABOUT)
        figure.draw_without_rendering()
    *panels, key = figure.axes
    told = [text.get_text() for text in key.texts]
    assert [text for text in told if text.isdigit()] == [str(k + 1) for k in range(len(names))]
    whole = " ".join(text for text in told if text and not text.isdigit())
    for hypothesis in names:
        assert f"{ablation.title_of(hypothesis)} (2.1)" in whole
    for panel in panels:
        numbers = [text for text in panel.texts if text.get_text().isdigit()]
        assert {text.get_text() for text in numbers} == {str(k + 1) for k in range(len(names))}
        frames = [text.get_window_extent() for text in numbers]
        assert not any(a.overlaps(b) for i, a in enumerate(frames) for b in frames[:i])
        assert panel.get_window_extent().width > 1.9 * figure.dpi
    frames = [text.get_window_extent() for text in key.texts]
    assert max(frame.x1 for frame in frames) <= figure.bbox.width
    assert min(frame.y0 for frame in frames) > 0
    assert not any(a.overlaps(b) for i, a in enumerate(frames) for b in frames[:i])


def test_where_no_character_is_a_units_own_the_figure_says_so():
    points = points_of(["quote", "depth"])
    points.loc[points["clamp"] == "zero", "own"] = np.nan
    with plots.style():
        _, panel, _ = ablation.draw(points, ABOUT).axes
        nothing = ablation.draw(points.assign(own=np.nan), ABOUT)
    assert ablation.NO_CHARACTERS in [text.get_text() for text in panel.texts]
    assert ablation.NO_CHARACTERS in nothing.axes[0].get_title(loc="left")


def test_nothing_was_found(tmp_path):
    write(tmp_path, "one", hypotheses=())
    draw(tmp_path, "one")
    assert list(pd.read_csv(tmp_path / "all.csv").columns) == COLUMNS
    assert ">One: no unit was found<" in (tmp_path / "f.svg").read_text()


def test_effects_of_other_units_are_refused(tmp_path):
    write(tmp_path, "one")
    table = pd.read_csv(tmp_path / "one.csv")
    table.assign(unit=9).to_csv(tmp_path / "one.csv", index=False)
    with pytest.raises(InputError, match="of other units than --found"):
        draw(tmp_path, "one")
    table.head(2).to_csv(tmp_path / "one.csv", index=False)
    with pytest.raises(InputError, match="of other units than --found"):
        draw(tmp_path, "one")
    with pytest.raises(InputError, match="corpus two: no effects of units given"):
        (tmp_path / "two.json").write_text(
            (tmp_path / "one.json").read_text().replace("one", "two")
        )
        run(ablation, ["--found", tmp_path / "one.csv", "--effects", tmp_path / "one.csv",
                       "--corpora", tmp_path / "two.json", "--csv", "a", "--effects-csv", "b",
                       "--out", "c.png"])  # fmt: skip
