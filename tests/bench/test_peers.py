"""The other ways to train that the benchmark measures beside ours."""

import pytest
import torch

from charlens.bench import peers

MEASURED = {
    ("lstm", 1, 64): {"stock": 1e5, "autocast": 2e5, "torch.compile": 1.5e5, "ours": 6e5},
    ("gru", 2, 64): {"stock": 1e5, "ours": 4e5, "dropout": 3e5},
}


@pytest.mark.parametrize("options", [{}, {"onednn": False}])
def test_a_peer_learns_what_it_is_shown(options):
    peer = peers.Stock("lstm", 1, 16, **options)
    before = [p.detach().clone() for p in peer.parameters]
    for _ in range(3):
        peer.update()
    assert all((p != b).any() for p, b in zip(peer.parameters, before, strict=True))
    assert peer.state[0].grad_fn is None and torch.backends.mkldnn.enabled


def test_onednn_is_off_for_the_peer_without_it(monkeypatch):
    peer, seen = peers.Stock("lstm", 1, 4, onednn=False), []
    net = peer.net.forward
    monkeypatch.setattr(
        peer.net,
        "forward",
        lambda *args: (seen.append(torch.backends.mkldnn.enabled), net(*args))[1],
    )
    peer.update()
    assert seen == [False]


def test_a_peer_that_cannot_train_is_left_out_and_named(monkeypatch, capsys):
    def broken(loss):
        def fail(*_):
            raise RuntimeError("no compiler\nand more")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    assert "torch.compile" not in peers.working("rnn", 1, 4)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "torch.compile" in line]
    assert line == "bench: torch.compile cannot train rnn 1x4: no compiler"


@pytest.mark.full
def test_torch_compile_trains_as_stock_torch_does():
    found = []
    for options in ({}, {"compile": True}):
        torch.manual_seed(1)
        peer = peers.Stock("gru", 1, 8, **options)
        peer.update(), peer.update()
        found.append([p.detach() for p in peer.parameters])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_the_share_of_the_peak_is_that_of_the_multiply_adds():
    table = peers.rows(MEASURED, 1e12, "avx2")
    assert list(table[0]) == peers.COLUMNS
    assert [row["peer"] for row in table] == [
        "stock",
        "autocast",
        "torch.compile",
        "ours",
        "stock",
        "ours",
    ]
    # 3 x (4 x 64 x 64 + 64 x 87) multiply-adds a character, 6e5 characters a second
    share = 3 * (4 * 64 * 64 + 64 * 87) * 6e5 / 1e12
    assert table[3]["of_peak"] == pytest.approx(share, abs=1e-4)
    lstm, gru = peers.text(table).splitlines()[1:]
    assert lstm.split()[-1] == f"{share:.1%}" and gru.count("–") == 3
