"""The speeds of cell types: a row for each, and the scan that comes back."""

import pandas as pd
import pytest

from charlens.bench import types
from charlens.errors import InputError
from charlens.networks import cells


def arguments(parser_of, *words):
    import argparse

    parser = argparse.ArgumentParser()
    parser_of.add_arguments(parser)
    return parser.parse_args(list(words))


def test_a_row_for_each_type(tmp_path, monkeypatch, capsys):
    speeds = iter([100.0, 200.0, 800.0, 50.0, 400.0])
    monkeypatch.setattr(types, "speed", lambda *_: next(speeds))
    words = ["--types", "lstm", "mingru", "--depths", "2", "--out", str(tmp_path / "types.csv")]
    types.run(arguments(types, *words))
    table = pd.read_csv(tmp_path / "types.csv")
    assert table.columns.tolist() == types.COLUMNS
    assert table[["type", "hidden", "step", "window", "best", "ratio"]].to_numpy().tolist() == [
        ["lstm", 84, 100, 200, 800, 1.0],
        ["mingru", 189, 50, 400, 400, 0.5],
    ]
    assert "mingru 2x128: 50.0k step by step, 400.0k by the window" in capsys.readouterr().out


def test_a_scan_is_gone_and_comes_back():
    scan = cells.cell("mingru").scan
    with types.without_scan("mingru+block"):
        assert not hasattr(cells.cell("mingru"), "scan")
    assert cells.cell("mingru").scan is scan
    with types.without_scan("lstm"):
        pass
    assert not hasattr(cells.cell("lstm"), "scan")


def test_the_lstm_comes_first(tmp_path):
    with pytest.raises(InputError, match="name lstm first"):
        types.run(arguments(types, "--types", "gru", "--out", str(tmp_path / "types.csv")))
