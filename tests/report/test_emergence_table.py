"""When skills appear: the numbers, the page and the figure."""

import json

import numpy as np
import pandas as pd
import pytest
from synthetic import run
from valid_html import check

from charlens.errors import InputError
from charlens.report import emergence, plots
from charlens.store.tables import EMERGENCE

EPOCHS = np.array([0.1, 1, 2, 3, 4, 5, 10])


def measures(type="lstm", seed=1, corpus="prose", size=64, value=None):
    """A network that learns to end lines between epochs 3 and 4, and nothing else."""
    value = np.where(EPOCHS > 3, 0.6, 0.2) if value is None else value
    rows = [
        (corpus, type, 1, size, seed, epoch, measure, v)
        for measure, values in {"newline": value, "closing_quote": 0 * EPOCHS + 0.1}.items()
        for epoch, v in zip(EPOCHS, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=EMERGENCE)


def write(folder, *tables):
    for number, table in enumerate(tables):
        table.to_csv(folder / f"{number}.csv", index=False)
    for corpus in {c for table in tables for c in table["corpus"]}:
        about = {"corpus": corpus, "title": corpus.title(), "kind": "prose", "source": "made up",
                 "bytes": 10, "symbols": 5}  # fmt: skip
        (folder / f"{corpus}.json").write_text(json.dumps(about))
    run(emergence, [
        *(folder / f"{number}.csv" for number in range(len(tables))),
        "--corpora", *sorted(folder.glob("*.json")), "--csv", folder / "out.csv",
        "--html", folder / "out.html", "--out", folder / "out.png", folder / "out.svg",
    ])  # fmt: skip
    return pd.read_csv(folder / "out.csv")


def test_a_sudden_skill_is_dated():
    found = emergence.appearances(measures()).set_index("measure").loc["newline"]
    assert found["last"] == 0.6
    assert found["half"] == pytest.approx(3.5)
    assert found["rise"] == pytest.approx(0.5)


def test_a_slow_skill_takes_half_of_its_time_between_the_quarters():
    found = emergence.appearances(measures(value=EPOCHS / 10)).set_index("measure").loc["newline"]
    assert found["rise"] == pytest.approx((EPOCHS[-1] - EPOCHS[0]) / 2)


def test_a_level_that_is_never_reached_has_no_epoch():
    assert np.isnan(emergence.crossing(EPOCHS, 0 * EPOCHS, 0.5))
    assert emergence.crossing(EPOCHS, 1 + 0 * EPOCHS, 0.5) == EPOCHS[0]


def test_a_skill_that_is_lost_is_dated_as_one_that_is_learned():
    found = emergence.appearances(measures(value=0.9 - EPOCHS / 20)).set_index("measure")
    found = found.loc["newline"]
    assert found["half"] == pytest.approx((EPOCHS[0] + EPOCHS[-1]) / 2)
    assert found["rise"] == pytest.approx((EPOCHS[-1] - EPOCHS[0]) / 2)
    flat = emergence.appearances(measures(value=0 * EPOCHS + 0.5))
    assert flat[["half", "rise"]].isna().all(axis=None)
    assert "nan" not in emergence.page(flat, {"wp": {"title": "A", "corpus": "wp"}})


def test_of_two_tables_the_later_one_counts(tmp_path):
    first = pd.concat([measures(), measures(seed=2)])
    again = measures(value=0 * EPOCHS + 0.9)
    table = write(tmp_path, first, again)
    newline = table[table["measure"] == "newline"].groupby("seed")["value"].max()
    assert newline.to_dict() == {1: 0.9, 2: 0.6}
    assert not table.duplicated(EMERGENCE[:-1]).any()


def test_page_and_figure_show_every_network(tmp_path):
    tables = [measures(type, seed, size=size) for type in ("lstm", "gru") for seed in (1, 2)
              for size in (64, 128)]  # fmt: skip
    write(tmp_path, *tables)
    page = (tmp_path / "out.html").read_text()
    check(page)
    for name in ("LSTM 1x64 seed 1", "GRU 1x128 seed 2"):
        assert name in page
    assert (tmp_path / "out.png").stat().st_size > 10_000


def test_the_figure_has_a_row_per_size_and_a_line_per_network():
    table = pd.concat([measures("lstm", 1), measures("gru", 2), measures("gru", 1, size=128)])
    about = {"prose": {"title": "Prose", "source": "made up"}}
    panels = emergence.draw(table, about).axes
    assert len(panels) == 4
    assert [len(panel.lines) for panel in panels] == [2, 2, 1, 1]


def test_the_figure_says_what_its_axes_and_rows_are():
    types = ["lstm", "gru", "rnn", "mamba", "slstm", "mlstm", "transformer", "my_cell", "another"]
    table = pd.concat(
        [measures(type, size=size) for size in (64, 128) for type in types]
        + [measures(types[0]).assign(measure="strength_quote")]
    )
    about = {"prose": {"title": "a_file_of_ones_own_with_a_long_name-" * 3, "source": "made up"}}
    with plots.style():
        figure = emergence.draw(table, about)
        figure.draw_without_rendering()
    panels = np.reshape(figure.axes, (2, 3))
    for row, size in zip(panels, ("1x64", "1x128"), strict=True):
        assert [p.get_ylabel() for p in row] == ["probability", "", "strength"]
        [name] = row[0].texts
        assert name.get_text().endswith(size)
        frames = [name.get_window_extent(), *(p.get_window_extent() for p in figure.axes)]
        assert not any(frames[0].overlaps(frame) for frame in frames[1:])
    [legend] = figure.legends
    assert legend.get_window_extent().x0 >= 0 and legend._ncols < len(types)
    dashes = {str(line._unscaled_dash_pattern) for line in legend.get_lines()}
    assert len(dashes) == len(types)  # told apart without colour


def test_no_measures_of_the_corpora_given(tmp_path):
    with pytest.raises(InputError, match="no measures"):
        table = measures(corpus="other")
        (tmp_path / "prose.json").write_text("{}")
        about = {"corpus": "prose", "title": "P", "kind": "prose", "source": "s", "bytes": 1,
                 "symbols": 1}  # fmt: skip
        table.to_csv(tmp_path / "0.csv", index=False)
        (tmp_path / "prose.json").write_text(json.dumps(about))
        run(emergence, [tmp_path / "0.csv", "--corpora", tmp_path / "prose.json",
                        "--csv", tmp_path / "a.csv", "--html", tmp_path / "a.html",
                        "--out", tmp_path / "a.png"])  # fmt: skip
