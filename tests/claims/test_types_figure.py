"""The losses of all types at equal parameters: the table and the figure."""

import numpy as np
import pandas as pd
import pytest
from constructed import evidence, network, seeds
from synthetic import random_logp, run, write_corpus, write_score

from charlens.claims import types_figure
from charlens.errors import InputError


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
    files = ["--scores", *scores, "--splits", tmp_path / "code.npz"]
    files += ["--corpora", tmp_path / "code.json", "--csv", tmp_path / "t.csv"]
    run(types_figure, [*files, "--resamples", 1000, "--out", tmp_path / "t.svg"])
    assert len(pd.read_csv(tmp_path / "t.csv")) == 7
    svg = (tmp_path / "t.svg").read_text()
    for word in ("minGRU", "LEAKY", "size 8", "2x8, with additions", "with block", "2 layers"):
        assert f">{word}" in svg or f": {word}" in svg, word
    with pytest.raises(InputError, match="no published networks of code"):
        more = ["--seeds-from", tmp_path / "nowhere", "--out", tmp_path / "t.svg"]
        run(types_figure, [*files, *more])
