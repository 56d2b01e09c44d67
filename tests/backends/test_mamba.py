"""The compiled selective scan of Mamba: against plain torch in float64, on every path."""

import random

import paths
import pytest
import torch

from charlens.backends import cpu, mamba, selection
from charlens.backends.base import Dropout
from charlens.errors import InputError
from charlens.networks import cells, network
from charlens.networks.architecture import Architecture

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=paths.TESTABLE or ["none"])
def isa(request):
    """Every path, natively or emulated."""
    if not paths.TESTABLE:
        pytest.skip(paths.NONE)
    with paths.use(request.param):
        found, why = cpu.status()
        assert found == request.param, why
        yield found


def inputs(seed, **fixed):
    """d, u, z, B, C, A, D and the state of a random window."""
    r, g = random.Random(seed), torch.Generator().manual_seed(seed)
    sizes = {"T": [1, 2, 5, 13], "S": [1, 2, 3, 6], "E": [1, 2, 15, 16, 17, 31, 34, 64, 70]}
    T, S, E = (fixed.get(name) or r.choice(values) for name, values in sizes.items())

    def normal(*shape):
        return torch.randn(shape, generator=g)

    d = normal(T, S, E) * r.choice([0.3, 3, 30]) - r.choice([0, 4])
    A = -torch.rand(E, 16, generator=g) * r.choice([1, 16, 200])
    of_window = [d, normal(T, S, E), 3 * normal(T, S, E), normal(T, S, 16), normal(T, S, 16)]
    return [*of_window, A, normal(E), normal(S, E, 16)]


def gradients(scan, window, dy):
    """The scan's output and last state, and the gradients by all inputs but the state."""
    leaves = [tensor.detach().requires_grad_() for tensor in window[:-1]]
    y, after = scan(*leaves, window[-1])
    return [y.detach(), after.detach(), *torch.autograd.grad((y * dy).sum(), leaves)]


def test_scan_and_gradients_agree_with_float64(isa):
    names = ("y", "state", "d", "u", "z", "B", "C", "A", "D")
    for seed in range(60):
        window = inputs(seed)
        dy = torch.randn(window[0].shape, generator=torch.Generator().manual_seed(seed))
        found = gradients(mamba.selective_scan, window, dy)
        double = [tensor.double() for tensor in window]
        true = gradients(cells.cell("mamba").selective_scan, double, dy.double())
        for name, own, other in zip(names, found, true, strict=True):
            label = f"{name}, seed {seed}, {tuple(window[0].shape)}"
            # (in y and the gradient by z a few terms nearly cancel each other)
            assert (own - other).norm() <= 1e-5 * other.norm() + 1e-5, label


def test_window_in_pieces_gives_the_same_bits(isa):
    for seed in range(5):
        *window, A, D, state = inputs(seed, T=13)
        whole, after = mamba.selective_scan(*window, A, D, state)
        pieces = []
        for a, b in ((0, 1), (1, 8), (8, 13)):
            y, state = mamba.selective_scan(*(tensor[a:b] for tensor in window), A, D, state)
            pieces.append(y)
        assert torch.equal(torch.cat(pieces), whole) and torch.equal(state, after)


def test_any_layout_in_memory_gives_the_same_bits(isa):
    window = inputs(7, T=5, S=3, E=17)
    dy = torch.ones(window[0].shape)
    expected = gradients(mamba.selective_scan, window, dy)
    apart = [tensor.repeat_interleave(2, dim=-1)[..., ::2] for tensor in window]
    shifted = [torch.cat([tensor.new_zeros(1), tensor.flatten()])[1:].view(tensor.shape)
               for tensor in window]  # fmt: skip
    assert not apart[0].is_contiguous() and shifted[0].data_ptr() % 64
    for other in (apart, shifted):
        for own, same in zip(gradients(mamba.selective_scan, other, dy), expected, strict=True):
            assert torch.equal(own, same)


def test_divergence_stays_visible(isa):
    for which in range(8):
        window = inputs(3, T=2, S=2, E=17)
        window[which][0] = float("nan")
        y, _ = mamba.selective_scan(*window)
        assert y.isnan().any(), which


@pytest.mark.parametrize("type", ["mamba", "mamba+block"])
def test_network_computes_what_the_reference_computes(type, isa):
    arch = Architecture(type, 2, 17, 9)
    g = torch.Generator().manual_seed(1)
    params = network.initialise(arch, 0.3, g)
    x, y = torch.randint(9, (2, 5, 12), generator=g).byte()
    bits = torch.randint(256, (2, 12, 5, 4), generator=g).byte().numpy()
    found = []
    for name in ("fast", "reference"):
        backend = selection.choose(arch, 5, 12, name)
        assert backend.name.startswith(name)
        state = backend.zero_state(5) + 0.1
        grads = {name: torch.full_like(p, float("nan")) for name, p in params.items()}
        loss = backend.loss_and_grads(params, x, y, state, Dropout(bits, 2.0), grads)
        scored = backend.zero_state(5)
        scores = backend.target_log_probs(params, x, y, scored)
        found.append([torch.tensor(loss), state, scores, scored, *grads.values()])
    for own, other in zip(*found, strict=True):
        assert (own - other).norm() <= 1e-4 * other.norm() + 1e-6


def eight_states(module, monkeypatch):
    monkeypatch.setattr(module, "N", 8)


def one_decay_for_all(module, monkeypatch):
    shapes, initial = module.recurrent_shapes, module.initial
    monkeypatch.setattr(
        module, "recurrent_shapes", lambda hidden: shapes(hidden) | {"A_log": (2 * hidden, 1)}
    )
    monkeypatch.setattr(
        module, "initial", lambda *sizes: {"A_log": initial(*sizes)["A_log"][:, :1]}
    )


def no_such_argument(module, monkeypatch):
    own = module.one_piece
    monkeypatch.setattr(module, "one_piece", lambda a, state, p: own(a, state, p))


def other_function(module, monkeypatch):
    monkeypatch.setattr(module, "scan", module.one_piece)
    monkeypatch.delattr(module, "one_piece")


@pytest.mark.parametrize(
    "edit", [eight_states, one_decay_for_all, no_such_argument, other_function]
)
def test_an_edited_file_is_trained_by_plain_torch(edit, monkeypatch, capsys):
    if cpu.status()[0] is None:
        pytest.skip("no compiled code here")
    monkeypatch.setattr(selection, "same_equations", selection.compare_equations)
    edit(cells.cell("mamba"), monkeypatch)
    assert selection.choose(Architecture("mamba", 1, 4, 5), 2, 3).name == "reference"
    assert "cells/mamba.py has other equations" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("which", "wrong"),
    [
        ("d", lambda tensor: tensor.double()),
        ("D", lambda tensor: tensor.double()),
        ("B", lambda tensor: tensor[..., :8]),
        ("A", lambda tensor: tensor[:, :1]),
        ("s", lambda tensor: tensor[1:]),
    ],
)
def test_wrong_arguments_are_refused(which, wrong):
    if cpu.status()[0] is None:
        pytest.skip("no compiled code here")
    window = dict(zip("duzBCADs", inputs(1, T=5, S=3, E=17), strict=True))
    with pytest.raises(ValueError, match=rf"^{which}: expected"):
        mamba.selective_scan(**window | {which: wrong(window[which])})


def test_without_the_compiled_code_plain_torch_takes_over(monkeypatch, capsys):
    monkeypatch.setenv("CHARLENS_ISA", "reference")
    arch = Architecture("mamba", 1, 4, 5)
    assert selection.choose(arch, 2, 3).name == "reference"
    assert "plain torch takes over" in capsys.readouterr().err
    with pytest.raises(InputError, match="backend fast: CHARLENS_ISA=reference"):
        selection.choose(arch, 2, 3, "fast")


def test_memory_that_runs_out_is_an_error(monkeypatch):
    class Full:
        def charlens_scan(self, *arguments):
            return 0

    monkeypatch.setattr(mamba, "library", Full)
    with pytest.raises(MemoryError, match="the scan of 5 steps"):
        mamba.selective_scan(*inputs(1, T=5))
