"""The losses of all types at equal parameters: the table and the figure."""

import numpy as np
import pandas as pd
import pytest
from constructed import evidence, network, seeds
from synthetic import random_logp, run, write_corpus, write_score

from charlens.claims import types_figure
from charlens.errors import InputError
from charlens.report import plots


def test_a_row_per_entry():
    about = {"hidden": 9, "parameters": 100}
    e = evidence(
        seeds("mingru", 1, 64, 1.3),
        network("lstm", 1, 64, 1.4),
        network("lstm+block", 1, 64, 1.35),
        network("mingru+block+adamw", 2, 64, 1.2),
    )
    for score in e.scores:
        score.meta.update(about)
    table = types_figure.entries(e)
    assert table[["type", "block", "recipe", "layers", "seeds"]].to_numpy().tolist() == [
        ["lstm", 0, "paper", 1, 1],
        ["lstm", 1, "paper", 1, 1],
        ["mingru", 0, "paper", 1, 3],
        ["mingru", 1, "adamw", 2, 1],
    ]
    assert table["loss"].to_numpy() == pytest.approx([1.4, 1.35, 1.3, 1.2], abs=1e-5)
    assert table["less_lstm"].to_numpy()[:3] == pytest.approx([0, -0.05, -0.1], abs=1e-5)
    assert table.loc[2, "low"] < -0.1 < table.loc[2, "high"] < 0
    assert np.isnan(table.loc[3, "low"])  # no LSTM of two layers


def test_the_figure_shows_the_lstms_loss_behind_each_mark():
    rows = [("lstm", 0, "paper", 1, 1.40, 0.0, 0.0, 0.0),
            ("gru", 0, "paper", 1, 1.30, -0.1, -0.2, 0.1),
            ("lstm", 1, "paper", 1, 1.35, -0.05, -0.07, -0.03)]  # fmt: skip
    columns = ["type", "block", "recipe", "layers", "loss", "less_lstm", "low", "high"]
    table = pd.DataFrame(rows, columns=columns).assign(corpus="code", size=64)
    title = "a_file_of_ones_own_with_a_long_name-" * 3
    with plots.style():
        figure = types_figure.draw(table, {"code": {"title": title, "source": "made up"}})
        figure.draw_without_rendering()
    bare, additions = figure.axes
    behind = [float(np.mean(lines.get_segments()[0][:, 1]))
              for panel in (bare, additions) for lines in panel.collections
              if lines.get_gid() == "lstm"]  # fmt: skip
    assert behind == pytest.approx([1.4, 1.4, 1.4])
    note = figure._supxlabel.get_text()
    assert "LSTM’s line" in note and "Diverged" not in note
    for panel in figure.axes:
        heading = panel._left_title
        assert "…" in heading.get_text()
        assert heading.get_window_extent().x1 <= panel.bbox.x1 + 5


def test_the_command(tmp_path):
    size = write_corpus(tmp_path)
    types = {"lstm": 1, "mingru": 2, "leaky": 3, "mingru+block": 4}
    scores = [
        write_score(
            tmp_path / f"{n}{layers}.npy", random_logp(size, n), type=type, layers=layers, size=8
        )
        for type, n in types.items()
        for layers in ((1, 2) if type != "mingru+block" else (2,))
    ]
    lost = tmp_path / "lost.npy"
    write_score(lost, random_logp(size, 9), type="gru", layers=3, size=8, failed="in epoch 2")
    files = ["--scores", *scores, lost, "--splits", tmp_path / "code.npz"]
    files += ["--corpora", tmp_path / "code.json", "--csv", tmp_path / "t.csv"]
    run(types_figure, [*files, "--resamples", 1000, "--out", tmp_path / "t.svg"])
    assert len(pd.read_csv(tmp_path / "t.csv")) == 7
    svg = (tmp_path / "t.svg").read_text()
    assert "Diverged on Code, not shown: GRU 3x8 (seed" in svg
    for word in ("minGRU", "LEAKY", "size 8", "2x8, with additions", "with block", "2 layers"):
        assert f">{word}" in svg or f": {word}" in svg, word
    with pytest.raises(InputError, match="no published networks of code"):
        more = ["--seeds-from", tmp_path / "nowhere", "--out", tmp_path / "t.svg"]
        run(types_figure, [*files, *more])
