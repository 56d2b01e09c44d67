"""The CUDA path as far as it goes without a GPU: the step uncaptured on the CPU, the copying in
and out, what a capture leaves behind, and how it falls back."""

import contextlib
import random
from dataclasses import replace

import pytest
import torch
import torch._inductor.config as inductor
from conftest import small_split

from charlens.backends import cuda, reference, selection, windows
from charlens.networks import model_file, network
from charlens.networks.architecture import Architecture
from charlens.networks.cells import rnn
from charlens.training import evaluate, train
from charlens.training.recipe import AdamW, RMSProp
from charlens.training.train import Training

ARCHS = [
    ("rnn", 1, 5), ("lstm", 1, 7), ("lstm", 3, 4), ("gru", 2, 6), ("nn", 1, 5, 3),
    ("slstm", 2, 5), ("mingru", 2, 5), ("lstm+block", 2, 5), ("gru+block", 1, 5),
]  # fmt: skip
RECIPE = RMSProp(clip=0.02)  # clips for certain


def training(arch, dropout=0.0, engine=None, recipe=RECIPE):
    data = small_split()
    type, layers, hidden, *context = arch
    arch = Architecture(type, layers, hidden, data.symbols, *context)
    made = Training(arch, recipe, data, 1, dropout, "reference")
    if engine is not None:
        made.backend = engine(arch)
    return made


def uncaptured(arch):
    return cuda.Cuda(arch, "cpu", capture=False)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("recipe", [RECIPE, AdamW(max_norm=0.02)], ids=["paper", "adamw"])
def test_updates_are_those_of_the_reference(arch, dropout, recipe):
    one = training(arch, dropout, recipe=recipe)
    other = training(arch, dropout, uncaptured, recipe)
    for _ in range(5):
        one.update()
        other.update()
    assert float(other.loss_sum) == pytest.approx(one.loss_sum, rel=1e-5)
    for name in one.params:
        torch.testing.assert_close(other.params[name], one.params[name], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(other.squares[name], one.squares[name], rtol=1e-3, atol=1e-9)
    for name in one.means:
        torch.testing.assert_close(other.means[name], one.means[name], rtol=1e-3, atol=1e-7)
    if one.state is not None:
        torch.testing.assert_close(other.state, one.state, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arch", ARCHS)
def test_validation_is_that_of_the_reference(arch):
    one, other = training(arch), training(arch, engine=uncaptured)
    for _ in range(2):
        losses = [
            evaluate.mean_loss(t.backend, t.params, t.val_x, t.val_y, t.state, 6)
            for t in (one, other)
        ]
        assert losses[1] == pytest.approx(losses[0], rel=1e-5)
        if one.state is not None:
            torch.testing.assert_close(other.state, one.state, rtol=1e-4, atol=1e-5)
        one.update(), other.update()


def test_forward_is_that_of_the_model():
    for arch in ARCHS:
        made = training(arch)
        x = torch.from_numpy(made.x[:, :8])
        logits, after = network.forward(made.arch, made.params, x, made.state)
        for forward in (windows.forward, windows.forward_by_steps):
            ours, ours_after = forward(made.arch, made.params, x.transpose(0, 1), made.state)
            torch.testing.assert_close(ours.transpose(0, 1), logits, rtol=1e-5, atol=1e-6)
            if after is not None:
                torch.testing.assert_close(ours_after, after, rtol=1e-5, atol=1e-6)


@pytest.fixture
def float64():
    """So that what two ways of computing differ by is their equations, not their rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def random_shape(number):
    """(architecture, streams, steps, dropout) of a small LSTM, RNN or GRU."""
    draw = random.Random(number)
    type = draw.choice(list(windows.WINDOWS)) + draw.choice(["", "", "+block"])
    layers, hidden = draw.randint(1, 3), draw.randint(1, 9)
    arch = Architecture(type, layers, hidden, draw.randint(2, 12))
    return arch, draw.randint(1, 6), draw.randint(1, 8), draw.choice([0.0, 0.3])


def same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-12)


def test_whole_windows_are_the_reference(float64):
    """Logits, the state after a window and all gradients, with dropout and a carried state."""
    for number in range(200):
        arch, streams, steps, dropout = random_shape(number)
        draw = torch.Generator().manual_seed(number)
        params = network.initialise(arch, 1.0, draw)
        x = torch.randint(arch.symbols, (streams, steps), generator=draw)
        y = torch.randint(arch.symbols, (streams, steps), generator=draw)
        state = network.zero_state(arch, streams).uniform_(-2, 2, generator=draw)
        masks = torch.rand(arch.layers, steps, streams, arch.hidden, generator=draw)
        masks = (masks >= dropout) / (1 - dropout) if dropout else None
        found = []
        for time_first in (True, False):
            leaves = {name: p.clone().requires_grad_() for name, p in params.items()}
            if time_first:
                logits, after = windows.forward(arch, leaves, x.t(), state, masks)
                logits = logits.transpose(0, 1)
            else:
                logits, after = network.forward(arch, leaves, x, state, masks)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
            grads = torch.autograd.grad(loss, list(leaves.values()))
            found.append([logits.detach(), after.detach(), *grads])
        for ours, theirs in zip(*found, strict=True):
            same(ours, theirs)


def test_a_training_by_windows_is_resumed_as_the_reference_goes_on(float64):
    for number in range(200):
        arch, streams, steps, dropout = random_shape(number)
        data = small_split(streams, steps, arch.symbols)
        one, other, resumed = (
            Training(arch, RMSProp(epsilon=1e-3), data, number, dropout, "reference")
            for _ in range(3)
        )
        other.backend, resumed.backend = uncaptured(arch), uncaptured(arch)
        for training in (one, other, resumed):
            training.state = training.state.double()
            for tensors in (training.params, training.squares, training.grads):
                tensors.update({name: tensor.double() for name, tensor in tensors.items()})
        for _ in range(3):
            one.update()
        other.update()
        resumed.restore(other.saved_state())
        resumed.update(), resumed.update()
        assert resumed.backend._step.forward is windows.forward
        assert float(resumed.loss_sum) == pytest.approx(one.loss_sum, rel=1e-6)
        same(resumed.state, one.state)
        for name in one.params:
            same(resumed.params[name], one.params[name])
            same(resumed.squares[name], one.squares[name])


def test_the_weights_of_a_layer_lie_in_one_piece():
    w_x, w_h, b = torch.rand(3, 20), torch.rand(5, 20), torch.rand(20)
    weights = windows.fused_weights({"w_x": w_x, "w_h": w_h, "b": b})
    assert [tuple(w.shape) for w in weights] == [(20, 3), (20, 5), (20,), (20,)]
    at = [w.storage_offset() for w in weights]
    assert at == [0, 60, 160, 180] and len({w.untyped_storage().data_ptr() for w in weights}) == 1
    assert torch.equal(weights[0][10:15], w_x[:, 15:].t()), "g comes third in torch"


def test_which_types_have_a_window_of_their_own(monkeypatch):
    for type in ("lstm", "rnn", "gru"):
        assert windows.of_type(type) is windows.WINDOWS[type]
    assert windows.of_type("slstm") is windows.any_type
    equal = windows.same_equations.__wrapped__
    assert equal("rnn")
    with torch.no_grad():
        assert equal("lstm"), "whatever the caller is about to do"
    monkeypatch.setattr(rnn, "step", lambda a, state, p: (torch.relu(a + state[0] @ p["w_h"]),))
    assert not equal("rnn"), "an edited cell type has other equations"
    monkeypatch.setattr(rnn, "step", lambda a, state, p: (torch.tanh(a + state[0] @ p["w_o"]),))
    assert not equal("rnn"), "and another parameter"


# The GRU's kernels take a processor most of a minute to compile.
@pytest.mark.parametrize(
    "arch", [pytest.param(("gru", 1, 6), marks=pytest.mark.full), ("slstm", 1, 5)]
)
def test_what_a_gpu_compiles_is_the_same(arch, monkeypatch):
    """torch.compile of what stands between two products, here for the processor."""
    one, other = training(arch), training(arch, engine=uncaptured)
    monkeypatch.setattr(windows, "one_kernel", lambda function, _: windows.compiled(function))
    one.update(), one.update()
    with inductor.patch(compile_threads=1):  # sooner done than by processes started for it
        other.update(), other.update()
    assert other.backend._step.forward is windows.forward
    for name in one.params:
        torch.testing.assert_close(other.params[name], one.params[name], rtol=1e-4, atol=1e-5)


def test_where_nothing_can_be_compiled_the_function_is_used(monkeypatch, capsys):
    def fails(function, **_):
        def call(*_):
            raise RuntimeError("no C compiler\nmore")

        return call

    monkeypatch.setattr(torch, "compile", fails)
    double = windows.compiled.__wrapped__(lambda x: 2 * x)
    assert double(torch.ones(2)).tolist() == [2, 2] and double(torch.ones(1)).tolist() == [2]
    assert capsys.readouterr().err == (
        "charlens: torch.compile fails (no C compiler): more kernels instead\n"
    )
    with pytest.raises(ZeroDivisionError):  # the function's own error is not hidden
        windows.compiled.__wrapped__(lambda x: 1 / x)(0)


def test_every_shape_is_compiled(monkeypatch):
    """Torch compiles a function for eight shapes, by default, and runs it as it stands for more."""
    shapes, compile = [], torch.compile

    def noted(graph, inputs):
        shapes.append(tuple(inputs[0].shape))
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda f, **how: compile(f, backend=noted, **how))
    double = windows.compiled.__wrapped__(lambda x: 2 * x)
    for size in range(2, 14):
        assert double(torch.ones(size)).tolist() == [2] * size
    assert shapes == [(size,) for size in range(2, 14)]


def test_a_mask_is_unpacked_as_the_reference_does():
    made = training(("lstm", 2, 5), 0.3, uncaptured)
    made.update()
    mask = made.mask()
    made.backend._step.load(
        torch.from_numpy(made.x[:, :8]), torch.from_numpy(made.y[:, :8]), None, mask, 0.0
    )
    assert torch.equal(made.backend._step.masks(), mask.mask(5) * mask.scale)


def test_no_character_is_all_zeros():
    codes = torch.tensor([[[0, 255, 2]]], dtype=torch.uint8)
    assert windows.one_of_k(codes, 3).tolist() == [[[1, 0, 0, 0, 0, 0, 0, 0, 1]]]


def test_a_step_makes_no_copy_to_the_host_and_keeps_its_addresses():
    """What a graph replays reads and writes the same memory each time."""
    made = training(("lstm", 2, 5), 0.3, uncaptured)
    made.update()
    step = made.backend._step
    held = [*step.params.values(), *step.squares.values(), step.x, step.y, step.bits, step.state,
            step.rates, step.loss]  # fmt: skip
    before = [tensor.data_ptr() for tensor in held]
    made.update()
    assert made.backend._step is step
    assert [tensor.data_ptr() for tensor in held] == before
    with pytest.MonkeyPatch.context() as patch:
        for name in ("item", "cpu", "tolist", "numpy", "__bool__"):
            patch.setattr(torch.Tensor, name, lambda *_, name=name: pytest.fail(f"{name} waits"))
        step()


class FakeStream:
    def wait_stream(self, other):
        pass


@pytest.fixture
def fake_gpu(monkeypatch):
    """torch.cuda's part in a capture, on the CPU: what is done under `graph` is done again by
    `replay` (a real capture records it without doing it)."""
    log, current = [], []

    class Graph:
        def __init__(self):
            self.step = current[-1]

        def replay(self):
            log.append("replay")
            self.step()

    @contextlib.contextmanager
    def graph(made, stream):
        log.append("capture")
        assert isinstance(stream, FakeStream)
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "Stream", FakeStream)
    monkeypatch.setattr(torch.cuda, "current_stream", FakeStream)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", graph)
    call = cuda.captured

    def captured(step, device):
        current.append(step)
        return call(step, device)

    monkeypatch.setattr(cuda, "captured", captured)
    return log


@pytest.mark.parametrize("arch", [("gru", 2, 5), ("nn", 1, 5, 3)])
def test_each_length_of_a_window_is_captured_once_for_validation(fake_gpu, arch):
    captured = training(arch, engine=lambda a: cuda.Cuda(a, "cpu"))
    plain = training(arch, engine=uncaptured)
    assert captured.val_y.shape[1] == 16, "windows of 6, 6 and 4"
    for _ in range(3):
        losses = []
        for made in (captured, plain):
            made.update()
            state = made.backend.zero_state(len(made.y))
            of = made.backend, made.params, made.val_x, made.val_y, state, 6
            losses.append(evaluate.mean_loss(*of))
        assert losses[0] == losses[1]
    assert fake_gpu.count("capture") == 3
    captured.params = {name: p.clone() for name, p in captured.params.items()}
    captured.end_epoch()
    assert fake_gpu.count("capture") == 4, "other parameters"


@pytest.mark.parametrize("arch", [("lstm", 2, 5), ("nn", 1, 5, 3)])
def test_the_warm_up_leaves_no_trace(fake_gpu, arch):
    captured = training(arch, engine=lambda a: cuda.Cuda(a, "cpu"))
    plain = training(arch, engine=uncaptured)
    for _ in range(4):
        captured.update()
        plain.update()
    assert fake_gpu == ["capture"] + ["replay"] * 4
    for name in plain.params:
        assert torch.equal(captured.params[name], plain.params[name])
        assert torch.equal(captured.squares[name], plain.squares[name])
    assert captured.loss_sum == plain.loss_sum


def test_a_restored_training_is_captured_anew(fake_gpu):
    made = training(("gru", 1, 5), engine=lambda a: cuda.Cuda(a, "cpu"))
    made.update()
    kept = {
        n: [p.clone() for p in d.values()] for n, d in (("p", made.params), ("s", made.squares))
    }
    snapshot = made.saved_state()
    snapshot["params"] = dict(zip(made.params, kept["p"], strict=True))
    snapshot["squares"] = dict(zip(made.squares, kept["s"], strict=True))
    made.restore(snapshot)
    made.update()
    assert fake_gpu.count("capture") == 2


def test_where_whole_windows_fail_steps_are_captured(fake_gpu, monkeypatch, capsys):
    def refuse(*_, **__):
        raise RuntimeError("CUDNN_STATUS_NOT_SUPPORTED\nmore")

    made = training(("lstm", 2, 5), engine=lambda a: cuda.Cuda(a, "cpu"))
    steps = training(("lstm", 2, 5), engine=uncaptured)
    steps.backend.whole_windows = False
    assert windows.of_type("lstm") is windows.lstm
    monkeypatch.setattr(torch, "lstm", refuse)
    for _ in range(3):
        made.update()
        steps.update()
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no whole windows (CUDNN_STATUS_NOT_SUPPORTED)" in said
    assert fake_gpu == ["capture"] + ["replay"] * 3 and made.backend.capture
    assert all(torch.equal(made.params[name], steps.params[name]) for name in steps.params)


@pytest.mark.parametrize("arch", [("lstm", 1, 5), ("gru", 1, 5), ("nn", 1, 5, 3)])
def test_where_capturing_fails_the_step_runs_all_the_same(fake_gpu, monkeypatch, capsys, arch):
    def refuse(graph, stream):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    made = training(arch, engine=lambda a: cuda.Cuda(a, "cpu"))
    plain = training(arch, engine=uncaptured)
    plain.backend.whole_windows = False
    for _ in range(3):
        made.update()
        plain.update()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == (1 if arch[0] == "nn" else 2)  # an n-NN has no other windows
    assert "no CUDA graph (operation not permitted" in said[-1]
    assert all(torch.equal(made.params[name], plain.params[name]) for name in plain.params)


def test_the_learning_rate_is_read_at_every_update():
    made = training(("rnn", 1, 5), engine=uncaptured)
    made.update()
    step = made.backend._step
    made.recipe = replace(RECIPE, learning_rate=0.0)
    before = {name: p.clone() for name, p in made.params.items()}
    x, y = made.x[:, :8], made.y[:, :8]
    made.backend.update(made.params, made.squares, x, y, made.state, None, 0.0, RECIPE)
    assert made.backend._step is step
    assert all(torch.equal(before[name], p) for name, p in made.params.items())


def test_tf32_is_for_training_alone():
    def found():
        return torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.rnn.fp32_precision

    before = found()
    assert "tf32" not in before
    with cuda.tf32():
        assert found() == ("tf32", "tf32")
    assert "tf32" not in found()


def test_a_checkpoint_of_one_is_finished_by_the_other(tmp_path, data, monkeypatch):
    about = {"corpus": "text", "source": "random", "size": None}
    arch = Architecture("gru", 2, 5, data.symbols)

    def run(folder, epochs, engine):
        monkeypatch.setattr(selection, "choose", lambda arch, *_: engine(arch))
        train.train(arch, RMSProp(epochs=epochs), data, 1, 0.2, folder, about, "test")
        return model_file.load(folder / "model.safetensors")[1]

    run(tmp_path / "a", 1, uncaptured)
    mixed = run(tmp_path / "a", 3, reference.Reference)
    straight = run(tmp_path / "b", 3, reference.Reference)
    for name in straight:
        torch.testing.assert_close(mixed[name], straight[name], rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("arch", ARCHS)
def test_on_a_gpu_the_graph_trains_as_the_reference_does(arch):
    one = training(arch, 0.3)
    other = training(arch, 0.3, lambda a: cuda.Cuda(a, "cuda:0"))
    to_backend = other.backend.to_backend
    other.params, other.squares = to_backend(other.params), to_backend(other.squares)
    other.state = None if other.state is None else other.state.to("cuda:0")
    for _ in range(5):
        one.update()
        other.update()
    assert other.backend.capture and other.backend.whole_windows, "the capture failed"
    assert float(other.loss_sum) == pytest.approx(one.loss_sum, rel=1e-3)
