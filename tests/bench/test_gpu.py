"""Speed on a GPU, measured on the processor here."""

import pytest
import torch

from charlens.bench import checks, gpu, speed
from charlens.files import write_rows


def test_a_row_for_each_entry(monkeypatch, tmp_path):
    monkeypatch.setattr(
        checks, "Stock", lambda *_: type("Peer", (), {"update": lambda self: None})()
    )
    rows = gpu.measure("cpu", [("lstm", 1, 8), ("gru", 2, 8)], 0.01, (4, 8))
    assert [(row["type"], row["layers"], row["size"]) for row in rows] == [
        ("lstm", 1, 8),
        ("gru", 2, 8),
    ]
    assert rows[0]["hidden"] == 8 and rows[0]["torch"] == torch.__version__
    for row in rows:
        assert row["ratio"] == pytest.approx(row["chars_per_s"] / row["torch_nn"], abs=1e-3)
    write_rows(tmp_path / "card.csv", rows)
    assert list(rows[0]) == gpu.COLUMNS


def test_both_are_measured_in_tf32(monkeypatch):
    seen = []
    monkeypatch.setattr(
        checks, "rate", lambda update, *_: seen.append(torch.get_float32_matmul_precision()) or 1.0
    )
    gpu.measure("cpu", [("rnn", 1, 8)], 0.01, (4, 8))
    assert seen == ["highest", "high"]  # ours sets it in every update


def test_the_entries_are_those_of_the_grid():
    assert len(speed.entries(quick=False)) == 33
