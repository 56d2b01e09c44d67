"""The speeds of cell types: a row for each, and the scan that comes back."""

import pandas as pd
import pytest
import torch

from charlens.backends import selection
from charlens.bench import types
from charlens.errors import InputError
from charlens.networks import cells, network
from charlens.networks.architecture import Architecture


def arguments(parser_of, *words):
    import argparse

    parser = argparse.ArgumentParser()
    parser_of.add_arguments(parser)
    return parser.parse_args(list(words))


def test_a_row_for_each_type(tmp_path, monkeypatch, capsys):
    """The compiled code is measured for those networks that it can train."""
    speeds = iter([
        100.0, 200.0, 800.0, 50.0, 400.0, 1200.0, 10.0, 20.0, 80.0, 30.0, 40.0, 160.0, 5.0, 60.0,
    ])  # fmt: skip
    monkeypatch.setattr(types, "speed", lambda *_: next(speeds))
    monkeypatch.setattr(types, "compiled", lambda: "fast")
    monkeypatch.setattr(selection, "same_equations", lambda _: True)
    names = ["lstm", "mingru", "mamba", "mingru+block", "mlstm+block"]
    words = ["--types", *names, "--depths", "2", "--out", str(tmp_path / "types.csv")]
    types.run(arguments(types, *words))
    table = pd.read_csv(tmp_path / "types.csv")
    assert table.columns.tolist() == types.COLUMNS
    assert table[["type", "hidden", "step", "window", "best", "ratio"]].to_numpy().tolist() == [
        ["lstm", 84, 100, 200, 800, 1.0],
        ["mingru", 189, 50, 400, 1200, 1.5],
        ["mamba", 87, 10, 20, 80, 0.1],
        ["mingru+block", 82, 30, 40, 160, 0.2],
        ["mlstm+block", 73, 5, 60, 60, 0.075],
    ]
    assert "mingru 2x128: 50.0k step by step, 400.0k by the window" in capsys.readouterr().out


@pytest.mark.parametrize("type", ["mingru", "mamba"])
def test_step_by_step_the_same_is_computed(type):
    arch = Architecture(type, 1, 4, 5)
    params = network.initialise(arch, 0.5, torch.Generator().manual_seed(1))
    x, state = torch.arange(6).view(2, 3) % 5, network.zero_state(arch, 2)
    expected, _ = network.forward(arch, params, x, state)
    with types.without_scan(type):
        assert not hasattr(network.cell(type), "scan")
        found, _ = network.forward(arch, params, x, state)
    torch.testing.assert_close(found, expected)
    assert network.cell(type) is cells.cell(type)


def test_the_lstm_comes_first(tmp_path):
    with pytest.raises(InputError, match="name lstm first"):
        types.run(arguments(types, "--types", "gru", "--out", str(tmp_path / "types.csv")))
