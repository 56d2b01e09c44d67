"""The table and the figure of clamped units, from what `charlens ablate` writes of each corpus."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from synthetic import run

from charlens.errors import InputError
from charlens.report import ablation
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
    for words in ("One: LSTM 2x8", "clamped to zero", "made up", "controls", ">indentation<"):
        assert words in text
    assert text.count(">depth<") == 2 and text.count(">quote<") == 4  # two has no such character
    first = (tmp_path / "f.png").read_bytes()
    draw(tmp_path, "one", "two")
    assert (tmp_path / "f.png").read_bytes() == first


def test_labels_are_moved_apart():
    random = np.random.default_rng(0)
    for count in (1, 2, 5, 12):
        heights = np.sort(random.choice([0.1, 0.5, 0.51, 1.0], count))
        found = ablation.apart(heights)
        assert (np.diff(found) >= ablation.GAP - 1e-9).all() and found.max() <= 1
        assert found.min() >= 0
    far = np.array([0.1, 0.5, 0.9])
    assert np.array_equal(ablation.apart(far), far)


def test_nothing_was_found(tmp_path):
    write(tmp_path, "one", hypotheses=())
    draw(tmp_path, "one")
    assert list(pd.read_csv(tmp_path / "all.csv").columns) == COLUMNS
    assert (tmp_path / "f.png").exists()


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
