"""The compiled backend against float64, over random shapes, and what it promises beside numbers."""

import math
import random
import runpy
import threading

import float64
import numpy as np
import paths
import pytest
import torch

from charlens.backends import cpu
from charlens.backends.base import Dropout
from charlens.backends.reference import Reference
from charlens.errors import InputError
from charlens.networks.architecture import Architecture
from charlens.training.recipe import RMSProp
from charlens.training.rmsprop import rmsprop_

pytestmark = pytest.mark.usefixtures("one_thread")

IN_BLOCKS = [f"{kind}+block" for kind in cpu.GATES]
# Beside the bare cells, in a block the one with the most gates, the one whose products follow each
# other, and one without a product of the state.
RECURRENT = [*cpu.GATES, "lstm+block", "gru+block", "mingru+block"]
KINDS = [*RECURRENT, "nn"]


@pytest.fixture(params=paths.TESTABLE or ["none"])
def isa(request, monkeypatch):
    """Every path, natively or emulated, in its own arithmetic at any size."""
    if not paths.TESTABLE:
        pytest.skip(paths.NONE)
    monkeypatch.setattr(cpu, "trains_in_float32", lambda *sizes: False)
    with paths.use(request.param):
        found, why = cpu.status()
        assert found == request.param, why
        yield found


needs_backend = pytest.mark.usefixtures("isa")


def seeds(isa, count, first=0):
    """Of so many cases, a third where an emulator of another processor computes them."""
    slow = isa == "neon" and paths.emulated(isa)
    return range(first, first + (count // 3 if slow else count))


class Case:
    """One random network and one window of input, all of it from the seed."""

    def __init__(self, seed, kind=None, **fixed):
        r, g = random.Random(seed), torch.Generator().manual_seed(seed)
        self.type = type = kind or r.choice(KINDS)
        self.kind, _, block = type.partition("+")
        kind = self.kind
        at = {
            "layers": 1 if kind == "nn" else r.randint(1, 3),
            "hidden": r.choice([1, 2, 7, 8, 9, 15, 16, 17, 23, 24, 31, 33, 40, 64, 97, 290]),
            "symbols": r.choice([2, 3, 8, 9, 16, 17, 50, 87, 255 if kind == "nn" else 256]),
            "streams": r.choice([1, 1, 2, 3, 5, 6, 7, 8, 11, 20]),
            "unroll": r.choice([1, 1, 2, 3, 5, 14]),
            "context": r.randint(1, 8) if kind == "nn" else 0,
            "block": bool(block),
        } | fixed
        L, H, K, S, T, n, block = self.sizes = tuple(at.values())
        # Gains of up to about 1.5; "large" adds biases that drive the gates into saturation. (At
        # most 1 for an RNN, of which the error grows with every step beyond that, and for cells
        # without a bound on their state, of which the layer above must not multiply it.)
        unbounded = kind in ("mingru", "minlstm", "rglru")
        gain = r.choice([0.1, 0.5, 1.0 if kind == "rnn" or unbounded else 1.5])
        self.large = r.random() < 0.3
        # (what is multiplied by the 1 of a one-hot input)
        wide = "embed.w" if block else "layers.0.w_x" if unbounded else "w_x"
        self.params = {
            name: torch.randn(shape, generator=g) * gain / (1 if name.endswith(wide) else H**0.5)
            for name, shape in cpu.parameter_shapes(kind, L, H, K, n, block).items()
        }
        for name, p in self.params.items():
            if name.endswith("norm"):
                p.copy_(1 + 0.3 * torch.randn(p.shape, generator=g))
        if self.large:
            for name, p in self.params.items():
                if name.endswith(("b", "b_g")):
                    p += torch.randn(p.shape, generator=g) * 4
                if name.endswith("block.w_in"):  # the gelu, too
                    p *= 4
        shape = (S, T, n) if kind == "nn" else (S, T)
        drawn, codes = (torch.uint8,) * 2 if K <= 256 else (torch.int32, torch.uint16)
        self.x = torch.randint(0, K, shape, generator=g, dtype=drawn)
        self.y = torch.randint(0, K, (S, T), generator=g, dtype=drawn).to(codes)
        self.state = self.dropout = None
        if kind == "nn":
            self.x[torch.rand(shape, generator=g) < 0.1] = torch.iinfo(codes).max
        else:
            self.state = torch.randn(L, cpu.STATES.get(kind, 1), S, H, generator=g) * 0.5
            if kind == "slstm":  # the normaliser is a sum of exponentials
                self.state[:, 2] = self.state[:, 2].abs() + 0.1
            if r.random() < 0.5:
                draws = torch.rand(L, T, S, 16 * math.ceil(H / 16), generator=g).numpy()
                bits = np.packbits(draws < 0.7, axis=-1, bitorder="little")
                self.dropout = Dropout(torch.from_numpy(bits), 1 / 0.7)
        self.x = self.x.to(codes)

    @property
    def masks(self):
        hidden = self.sizes[1]
        return None if self.dropout is None else self.dropout.mask(hidden) * self.dropout.scale

    def network(self):
        return cpu.Network(self.kind, *self.sizes)

    def carried(self):
        return None if self.state is None else self.state.clone()

    def train(self, network=None):
        """(loss, gradients, state after) of the backend; gradients start as NaN."""
        state = self.carried()
        grads = {name: torch.full_like(p, float("nan")) for name, p in self.params.items()}
        loss = (network or self.network()).loss_and_grads(
            self.params, self.x, self.y, state, self.dropout, grads
        )
        return loss, grads, state


def dropping(seed, kind, **fixed):
    """The first case from a seed on that drops some units (an n-NN never does)."""
    return next(
        case
        for case in (Case(s, kind, **fixed) for s in range(seed, seed + 20))
        if kind == "nn" or case.dropout is not None
    )


def flat(result):
    loss, grads, state = result
    return [torch.tensor(loss), *grads.values(), *([] if state is None else [state])]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(flat(one), flat(other), strict=True))


@needs_backend
@pytest.mark.parametrize("kind", [*cpu.KINDS, *IN_BLOCKS])
def test_loss_gradients_and_state_agree_with_float64(kind, isa):
    # What bfloat16 does to gradients is measured in test_accuracy.py; here it only has to be sane.
    exact = cpu.build.float32(isa) == isa
    near, close, least = (1e-5, 1e-4, 1e-6) if exact else (2e-2, 1e-1, 1e-2)
    for seed in seeds(isa, 30 if "+" in kind else 60):
        case = Case(seed, kind)
        if not exact and case.sizes[-1] and case.sizes[1] < 7:
            continue  # the norm of one or two numbers turns on their roundings
        loss, grads, state = case.train()
        true_loss, true_grads, true_state, _ = float64.loss_and_grads(
            kind, case.params, case.x, case.y, case.state, case.masks
        )
        label = f"{kind} seed {seed} sizes {case.sizes}"
        assert loss == pytest.approx(true_loss, rel=near, abs=1e-6), label
        if state is not None:
            assert (state - true_state).norm() <= near * true_state.norm(), label
        # Where p or a unit is saturated, a gradient is small beside the rounding of what it is made
        # of: the gradients of the logits, p - 1 and p, or another layer's.
        floor = least * max(1, *(g.norm() for g in true_grads.values()))
        for name, true in true_grads.items():
            assert (grads[name] - true).norm() <= close * true.norm() + floor, f"{label} {name}"


@needs_backend
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symbols", [256, 300, 3000])
def test_large_alphabets_agree_with_plain_torch(kind, symbols, isa):
    near = 1e-4 if cpu.build.float32(isa) == isa else 2e-2
    for seed in range(3):
        case = Case(seed, kind, symbols=symbols, hidden=17, streams=5, unroll=14)
        arch = Architecture(kind, *case.sizes[:3], case.sizes[5])
        plain = Reference(arch)
        state, grads = case.carried(), {n: torch.empty_like(p) for n, p in case.params.items()}
        expected = plain.loss_and_grads(case.params, case.x, case.y, state, case.dropout, grads)
        loss, found, after = case.train()
        assert loss == pytest.approx(expected, rel=near)
        for name, own in grads.items():
            assert (found[name] - own).norm() <= 10 * near * own.norm() + near, name
        states = [case.carried(), case.carried()]
        scores = [
            engine.target_log_probs(case.params, case.x, case.y, state)
            for engine, state in zip((plain, case.network()), states, strict=True)
        ]
        assert (scores[0] - scores[1]).abs().max() < 1e-4


@needs_backend
def test_the_loss_of_many_near_uniform_symbols_is_finite(isa):
    # the product of many sums of exponentials, each as large as the alphabet
    case = Case(1, "rnn", symbols=60_000, hidden=2, streams=20, unroll=5)
    params = {name: torch.zeros_like(p) for name, p in case.params.items()}
    network = case.network()
    grads = {name: torch.empty_like(p) for name, p in params.items()}
    loss = network.loss_and_grads(params, case.x, case.y, case.carried(), None, grads)
    assert loss == pytest.approx(math.log(60_000), rel=1e-6)


@needs_backend
def test_update_is_the_gradient_clipped_and_one_step_of_rmsprop(isa):
    recipe = RMSProp(clip=0.02, smoothing=0.9)
    for seed in range(20):
        case = Case(seed)
        _, grads, after = case.train()
        random = torch.Generator().manual_seed(seed)
        squares = {n: torch.rand(p.shape, generator=random) * 1e-3 for n, p in case.params.items()}
        expected = {name: (p.clone(), squares[name].clone()) for name, p in case.params.items()}
        for name, (p, square) in expected.items():
            rmsprop_(p, grads[name], square, 0.01, recipe)
        state, network = case.carried(), case.network()
        network.update(case.params, squares, case.x, case.y, state, case.dropout, 0.01, recipe)
        assert state is None or torch.equal(state, after)
        for name, (p, square) in expected.items():
            torch.testing.assert_close(squares[name], square, rtol=1e-6, atol=1e-12)
            torch.testing.assert_close(case.params[name], p, rtol=1e-6, atol=1e-7)


@pytest.mark.skipif(not paths.X86, reason="this processor lacks AVX2")
def test_tiles_give_what_avx512bf16_gives(monkeypatch):
    """The same roundings to bfloat16, but for sums in another order just before."""
    monkeypatch.setattr(cpu, "trains_in_float32", lambda *sizes: False)
    cases = []
    for seed in range(48):
        fixed = {"streams": random.Random(seed).choice([1, 5, 16, 20, 37, 100])}
        if seed >= 40:  # products in several slices
            fixed |= {"hidden": 290, "unroll": 3}
        cases.append(Case(seed, **fixed))
    with paths.use("amx"):
        found = [case.train() for case in cases]
    with paths.use("avx512bf16"):
        expected = [case.train() for case in cases]
    for case, (loss, grads, _), (other_loss, others, _) in zip(cases, found, expected, strict=True):
        label = f"{case.type} sizes {case.sizes}"
        assert loss == pytest.approx(other_loss, rel=1e-3), label
        floor = 1e-4 * max(1, *(g.norm() for g in others.values()))
        for name, other in others.items():
            assert (grads[name] - other).norm() <= 1e-2 * other.norm() + floor, f"{label} {name}"


@needs_backend
@pytest.mark.parametrize("kind", KINDS)
def test_log_probs_agree_with_float64_and_with_each_other(kind, isa):
    for seed in seeds(isa, 20, first=100):
        case = Case(seed, kind)
        network, state, again = case.network(), case.carried(), case.carried()
        logits, true_state = float64.forward(kind, case.params, case.x, case.state)
        found = network.log_probs(case.params, case.x, state)
        true = logits.log_softmax(dim=-1)
        assert (found - true).abs().max() <= 2e-5 * max(1, true.abs().max()), (seed, case.sizes)
        targets = network.target_log_probs(case.params, case.x, case.y, again)
        picked = found.gather(2, case.y.long()[..., None])[..., 0]
        assert torch.allclose(targets, picked, rtol=1e-6, atol=1e-6)
        if state is not None:
            assert torch.equal(state, again)
            assert (state - true_state).norm() <= 1e-5 * true_state.norm()


@needs_backend
@pytest.mark.parametrize("kind", RECURRENT)
def test_window_in_pieces_gives_the_same_bits(kind, isa):
    for seed in range(5):
        case = Case(seed, kind, unroll=12)
        case.dropout = None
        network, whole, pieces = case.network(), case.carried(), case.carried()
        at_once = network.log_probs(case.params, case.x, whole)
        parts = [
            network.log_probs(case.params, case.x[:, a:b], pieces)
            for a, b in ((0, 1), (1, 8), (8, 12))
        ]
        assert torch.equal(at_once, torch.cat(parts, dim=1))
        assert torch.equal(whole, pieces)
        if cpu.build.float32(isa) == isa:  # and training carries the same state
            assert torch.equal(whole, case.train()[2])


@pytest.mark.skipif(not paths.X86, reason="this processor lacks AVX2")
@pytest.mark.parametrize(
    ("hidden", "streams", "unroll", "in_float32"),
    [
        (32, 100, 100, True),
        (33, 100, 100, False),  # as in the paper
        (33, 100, 79, True),
        (63, 17, 20, True),
        (64, 17, 20, False),
        (64, 4, 200, False),
        (64, 4, 201, True),
    ],
)
def test_small_networks_and_long_windows_train_in_float32(hidden, streams, unroll, in_float32):
    """A bfloat16 anywhere would show in the state, which scoring carries in float32."""
    assert cpu.trains_in_float32(hidden, streams, unroll) == in_float32
    case = Case(7, "lstm", layers=1, hidden=hidden, streams=streams, unroll=unroll)
    case.dropout, scored = None, case.carried()
    with paths.use("avx512bf16"):
        case.network().log_probs(case.params, case.x, scored)
        assert torch.equal(scored, case.train()[2]) == in_float32


@needs_backend
@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_mean_of_target_log_probs(kind, isa):
    """Of those as precise as in training to the last places, of the exact ones nearly."""
    in_float32 = cpu.build.float32(isa) == isa
    for seed in range(3, 9):
        case = Case(seed, kind, layers=1 if kind == "nn" else seed % 3 + 1)
        case.dropout = None
        loss, _, after = case.train()
        for exact, near in ((False, 1e-6), (True, 1e-6 if in_float32 else 1e-2)):
            state = case.carried()
            targets = case.network().target_log_probs(case.params, case.x, case.y, state, exact)
            assert loss == pytest.approx(-targets.double().mean().item(), rel=near)
            if state is not None and (in_float32 or not exact):
                assert torch.equal(state, after)


@needs_backend
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_again_whatever_ran_before_and_however_aligned(kind):
    case, other = dropping(11, kind), Case(12, kind)
    first = case.train()
    network = case.network()
    spoiled = {name: torch.full_like(p, float("nan")) for name, p in case.params.items()}
    network.loss_and_grads(
        spoiled,
        case.x,
        case.y,
        case.carried(),
        None,
        {n: torch.empty_like(p) for n, p in spoiled.items()},
    )
    assert equal(first, case.train(network))
    other.train()
    for shift in (1, 3):
        case.params = {name: shifted(p, shift) for name, p in case.params.items()}
        case.state = None if case.state is None else shifted(case.state, shift)
        case.dropout = case.dropout and Dropout(shifted(case.dropout.bits, shift), 1 / 0.7)
        assert equal(first, case.train(network))


@needs_backend
@pytest.mark.parametrize("kind", RECURRENT)
def test_same_bits_where_what_is_kept_goes_past_the_caches(kind):
    case = dropping(11, kind, streams=7)
    L, H, K, S, _, n, block = case.sizes
    large = cpu.Network(
        case.kind, L, H, K, S, 50_000, n, block
    )  # memory that is never touched costs nothing
    assert equal(case.train(), case.train(large))


def shifted(tensor, by):
    """A copy that starts `by` floats into its memory."""
    room = torch.empty(tensor.numel() + by, dtype=tensor.dtype)
    room[by:] = tensor.flatten()
    return room[by:].view(tensor.shape)


@needs_backend
def test_same_bits_with_two_threads_at_once():
    cases = [Case(seed, kind, streams=20) for seed, kind in ((1, "lstm"), (2, "gru"))]
    alone = [case.train() for case in cases]
    together = [[], []]

    def work(i):
        network = cases[i].network()
        together[i] = [cases[i].train(network) for _ in range(10)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected, results in zip(alone, together, strict=True):
        assert len(results) == 10
        assert all(equal(expected, result) for result in results)


@needs_backend
def test_divergence_stays_visible():
    case = Case(5, "lstm")
    case.params["layers.0.w_h"][0, 0] = float("nan")
    case.state += 1
    assert case.train()[0] != case.train()[0]
    for kind in KINDS:
        for name in Case(5, kind).params:
            case = Case(5, kind)
            case.params[name].fill_(float("nan"))
            assert math.isnan(case.train()[0]), f"{kind} {name}"
            squares = {name: torch.zeros_like(p) for name, p in case.params.items()}
            case.network().update(
                case.params, squares, case.x, case.y, case.carried(), None, 0.01, RMSProp()
            )
            assert case.params["out.b"].isnan().any(), f"{kind} {name}"


@needs_backend
def test_the_gradient_through_a_saturated_cell_vanishes():
    """What is left of it is small beside all else, but RMSProp would scale it up to be as large."""
    case = Case(3, "lstm", layers=1, hidden=17, unroll=1, streams=6)
    case.state[:, 1] = 30 * case.state[:, 1].sign()
    case.dropout = None
    for name, p in case.params.items():
        p.zero_() if name.startswith("layers") else p.normal_()
    i, f, o, g = case.train()[1]["layers.0.b"].view(4, -1)
    assert o.norm() > 1e-2
    assert max(gate.norm() for gate in (i, f, g)) <= 1e-5 * o.norm()


@needs_backend
@pytest.mark.parametrize("decay", [-1e4, -710, -100, -31, -29, -1, 40, 710, 1e4])
def test_any_decay_of_an_rglru_is_finite(decay, isa):
    """Its logarithm beyond the range of a double's exponential, too, and as by plain torch."""
    case = Case(4, "rglru", layers=1, hidden=17, unroll=5, streams=6)
    case.dropout = None
    case.params["layers.0.lambda"][::2] = decay
    case.params["layers.0.b"][: case.sizes[1]] -= 50 if decay < -30 else 0  # a is no 0
    loss, found, after = case.train()
    state, grads = case.carried(), {n: torch.empty_like(p) for n, p in case.params.items()}
    plain = Reference(Architecture("rglru", 1, 17, case.sizes[2]))
    expected = plain.loss_and_grads(case.params, case.x, case.y, state, None, grads)
    near = 1e-4 if cpu.build.float32(isa) == isa else 2e-2
    assert loss == pytest.approx(expected, rel=near) and after.isfinite().all()
    for name, own in grads.items():
        assert (found[name] - own).norm() <= 10 * near * own.norm() + near, name


@needs_backend
def test_wrong_arguments_are_refused():
    case = Case(0, "lstm", symbols=9, hidden=5)
    network = case.network()
    for name, tensor in (
        ("out.w", case.params["out.w"].double()),
        ("out.w", torch.zeros(9, 5).T),
        ("out.b", torch.zeros(8)),
    ):
        case = Case(0, "lstm", symbols=9, hidden=5)
        case.params[name] = tensor
        with pytest.raises(ValueError, match=name):
            case.train(network)
    case = Case(0, "lstm", symbols=9, hidden=5)
    case.x[0, 0] = 9
    with pytest.raises(ValueError, match="code 9"):
        case.train(network)


@needs_backend
def test_a_recurrent_network_needs_a_state():
    case = Case(0, "gru", symbols=9, hidden=5)
    network = case.network()
    for call in (
        lambda: network.log_probs(case.params, case.x),
        lambda: network.target_log_probs(case.params, case.x, case.y),
        lambda: network.log_probs(case.params, case.x, [0.0]),
    ):
        with pytest.raises(ValueError, match="^state: expected a tensor, got (NoneType|list)$"):
            call()


@needs_backend
@pytest.mark.parametrize("which", ["state", "grads", "params", "squares"])
def test_what_may_not_be_written_is_refused(which):
    """Each array that a call writes, before anything is written."""
    case = Case(0, "lstm", symbols=9, hidden=5)
    case.dropout = None
    network, recipe = case.network(), RMSProp()

    def copied(scale=1.0):
        return {name: scale * p.numpy() for name, p in case.params.items()}

    given = {"state": case.state.numpy().copy(), "params": copied(), "squares": copied(0.0),
             "grads": copied(0.0)}  # fmt: skip
    before = {name: p.copy() for name, p in given["params"].items()}
    frozen = given["state"] if which == "state" else given[which]["out.w"]
    frozen.flags.writeable = False
    kept, state = frozen.copy(), given["state"].copy()
    name = "state" if which == "state" else "out.w"
    with pytest.raises(ValueError, match=f"^{name}: expected an array that may be written"):
        x, y = case.x, case.y
        if which == "grads":
            network.loss_and_grads(given["params"], x, y, given["state"], None, given["grads"])
        else:
            squares = given["squares"]
            network.update(given["params"], squares, x, y, given["state"], None, 1e-3, recipe)
    assert np.array_equal(frozen, kept) and np.array_equal(given["state"], state)
    assert all(np.array_equal(given["params"][n], p) for n, p in before.items())
    if which == "params":  # which scoring only reads
        network.log_probs(given["params"], case.x, given["state"])


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        (("tanh", 1, 8, 9, 1, 1), "kind"),
        (("rnn", 2**31, 8, 9, 1, 1), "layers"),
        (("rnn", 1, 0, 9, 1, 1), "hidden"),
        (("rnn", 1, 2**62, 9, 1, 1), "hidden"),
        (("rnn", 1, 8, 2**16, 1, 1), "symbols"),
        (("lstm", 1, 8, 9, -1, 1), "streams"),
        (("lstm", 1, 8, 9, 1, 2**32 + 1), "unroll"),
        (("lstm", 1, 8, 9, 2**16, 2**16), "streams x unroll"),
        (("rnn", 1, 8, 9, 1, 1, 3), "context"),
        (("nn", 1, 8, 9, 1, 1), "context"),
        (("nn", 1, 8, 9, 1, 1, 10**9), "context"),
        (("nn", 1, 8, 2**16, 1, 1, 2), "symbols"),
        (("nn", 1, 8, 9, 1, 1, 2, True), "block"),
    ],
)
def test_impossible_sizes_are_refused_by_name(sizes, named):
    with pytest.raises(ValueError, match=f"^{named}: expected"):
        cpu.Network(*sizes)


@pytest.mark.skipif(not paths.X86, reason="this processor lacks AVX2")
def test_sizes_without_memory_or_beyond_the_limits_give_no_workspace():
    with paths.use("avx2"):
        create = cpu.build.library("avx2").charlens_create
        lstm = cpu.KINDS.index("lstm")
        assert create(lstm, 1024, 2**16, 256, 1, 2**24, 0, 1) is None  # exabytes
        assert create(lstm, 1, 8, 9, 2**24, 2**24, 0, 0) is None
        assert create(lstm, -(2**31), 8, 9, 1, 1, 0, 0) is None
        network = cpu.Network("lstm", 1024, 2**16, 256, 1, 2**24)
        with pytest.raises(MemoryError, match="no memory for the workspace of lstm 1024 x 65536"):
            network._workspace("avx2")


def test_reference_can_be_forced(monkeypatch):
    monkeypatch.setenv("CHARLENS_ISA", "reference")
    assert cpu.status() == (None, "CHARLENS_ISA=reference")
    with pytest.raises(InputError, match="CHARLENS_ISA=reference"):
        cpu.Network("rnn", 1, 8, 9, 1, 1)


def test_unknown_choice_is_refused(monkeypatch):
    monkeypatch.setenv("CHARLENS_ISA", "mmx")
    with pytest.raises(InputError, match="CHARLENS_ISA=mmx"):
        cpu.status()


def test_without_a_compiler_there_is_no_backend_and_one_line_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("CHARLENS_ISA", raising=False)  # which would be the reason, if it is set
    monkeypatch.setenv("CXX", "/nonexistent/g++")
    monkeypatch.setattr(cpu.build, "folders", lambda: [tmp_path])
    with pytest.raises(cpu.build.NotBuilt, match="no C\\+\\+ compiler: CXX=/nonexistent/g\\+\\+"):
        cpu.build.build("avx2")
    isa, why = with_nothing_loaded(cpu.status)
    assert isa is None and "\n" not in why
    if cpu.build.runnable():
        assert "/nonexistent/g++" in why


def with_nothing_loaded(call):
    """What a call gives in a process that has not yet loaded a library."""
    caches = cpu.build.best_path, cpu.build.library
    for cache in caches:
        cache.cache_clear()
    try:
        return call()
    finally:
        for cache in caches:
            cache.cache_clear()


def test_instruction_set_that_the_processor_lacks_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(cpu.build, "processor", lambda: frozenset(cpu.build.NEEDS["avx2"]))
    assert cpu.build.runnable() == ["avx2"]
    monkeypatch.setenv("CHARLENS_ISA", "amx")
    expected = (None, "this processor lacks what CHARLENS_ISA=amx asks for")
    assert with_nothing_loaded(cpu.status) == expected


def test_next_best_instruction_set_serves_where_the_best_cannot_be_built(monkeypatch):
    def build(isa):
        raise cpu.build.NotBuilt(f"too new: {isa}") if isa != "avx2" else Built

    class Built(Exception):
        pass

    monkeypatch.setattr(cpu.build, "processor", lambda: frozenset(cpu.build.NEEDS["amx"]))
    monkeypatch.setattr(cpu.build, "library", build)
    with pytest.raises(Built):  # reached, after the three above it
        cpu.build.best_path.__wrapped__("auto")


def fake_compiler(folder, compiles):
    """A $CXX that knows its version, and writes its output or fails."""
    path = folder / "c++"
    path.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo 1.0 && exit\n'
        + (
            'for last; do :; done\necho > "$last"\n'
            if compiles
            else "echo no >&2\necho >&2\nexit 1\n"
        )
    )
    path.chmod(0o755)
    return str(path)


def test_failed_compilation_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, compiles=False))
    monkeypatch.setattr(cpu.build, "folders", lambda: [tmp_path / "build"])
    with pytest.raises(cpu.build.NotBuilt, match="failed: no$"):
        cpu.build.build("avx2")
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["lock"]


def test_library_is_built_once_where_it_can_be_written(monkeypatch, tmp_path):
    closed = tmp_path / "file"  # a folder cannot be made inside a file
    closed.write_text("")
    monkeypatch.setattr(cpu.build, "folders", lambda: [closed / "build", tmp_path / "cache"])
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, compiles=True))
    path = cpu.build.build("avx2")
    assert path.parent == tmp_path / "cache"
    kept = sorted(p.name for p in path.parent.iterdir() if p.name[0] != ".")  # no digest
    assert kept == sorted([path.name, "lock"])
    monkeypatch.setenv("CXX", "/nonexistent/g++")  # and it serves where there is no compiler
    assert cpu.build.build("avx2") == path


def test_command_line_says_in_one_line_what_it_did(monkeypatch, capsys):
    monkeypatch.setenv("CHARLENS_ISA", "reference")
    runpy.run_module("charlens.backends.cpu", run_name="__main__")
    assert capsys.readouterr().out == "fast backend not used: CHARLENS_ISA=reference\n"
    monkeypatch.setenv("CHARLENS_ISA", "mmx")
    with pytest.raises(SystemExit, match="^charlens: error: CHARLENS_ISA=mmx"):
        runpy.run_module("charlens.backends.cpu", run_name="__main__")
    monkeypatch.setenv("CHARLENS_ISA", "auto")
    runpy.run_module("charlens.backends.cpu", run_name="__main__")
    said = capsys.readouterr().out
    assert said.startswith("fast backend") and said.count("\n") == 1
