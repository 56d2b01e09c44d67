"""Does a device train as it should, and how fast? The checks of `charlens doctor`.

Each is a function of a device ("cuda:0", "cpu") and of sizes. On a processor, which captures no
graphs, the same step runs uncaptured.
"""

import io
import json
import multiprocessing
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F

from charlens.backends import gpus
from charlens.backends.cuda import Cuda, Step, tf32
from charlens.backends.reference import Reference
from charlens.bench.peers import STREAMS, SYMBOLS, UNROLL, Stock
from charlens.data import split
from charlens.networks import network
from charlens.networks.architecture import Architecture, hidden_size
from charlens.networks.network import Parameters
from charlens.runs import estimate
from charlens.training import side_by_side as turns
from charlens.training import train
from charlens.training.recipe import RMSProp
from charlens.training.train import Training

# Largest error of a parameter's gradient, |g - g64| / |g64|. TF32 has the mantissa of float16; with
# operands rounded to that, the largest error of a type's gradients is Mamba's, 0.021.
BOUNDS = {"float32": 1e-3, "TF32": 4e-2}
BOLDER = 100  # times the initial weights of the classifier, by which all characters are as likely
READ = 1e-5  # the same for log-probabilities in float32
APART = 1e-2  # the same for parameters after some updates, captured and plain
UPDATES = 20
LETTERS = 20  # different ones, of the texts of which models are written
TRAINED = 6  # epochs of the training that is killed
WAIT: float | None = 120  # seconds for a training, or for the start of several


class Check(NamedTuple):
    """What was checked, what was found, what is allowed, and whether that holds."""

    what: str
    found: str
    allowed: str
    passed: bool


class Speed(NamedTuple):
    """Thousands of characters per second of an LSTM of one layer."""

    size: int
    hidden: int
    ours: float
    stock: float  # torch.nn.LSTM, float32
    together: dict[int, float]  # of so many trainings at a time, all of them together
    in_one: float  # the same for the most of these in one process (networks_per_job)
    memory: int | None  # megabytes of the GPU that ours takes at most; None on a processor


def prepared(arch: Architecture, device: str, dropout=0.0, capture=True, window=None) -> Training:
    """A training on a device, of a random text. window: streams and steps."""
    training = estimate.prepare(arch, *(window or (STREAMS, UNROLL)), "reference", dropout)
    training.backend = Cuda(arch, device, capture and device != "cpu")
    training.restore(training.saved_state())  # which moves it to the device
    return training


def apart(ours: dict, others: dict) -> float:
    """The largest distance of two tensors of the same name, relative to the second's norm."""
    return max(
        ((ours[name].cpu().double() - other).norm() / other.norm()).item()
        for name, other in ((name, value.cpu().double()) for name, value in others.items())
    )


# ---- the checks ----


def gradients(device: str, type: str, layers: int, hidden: int, window=None) -> list[Check]:
    """The gradient of one window against float64, in both precisions."""
    context = 3 if type == "nn" else 0
    arch = Architecture(type, layers, hidden, SYMBOLS, context)
    training = prepared(arch, device, window=window)
    x, y = (torch.tensor(codes[:, training.unroll :]) for codes in (training.x, training.y))
    state = after_a_window(training)
    step = Step(arch, training.params, training.squares, {}, x, y, state, None, RMSProp())
    step.load(x, y, state, None, 0.0)
    exact = in_float64(arch, training.params, x, y, state)
    checks = []
    for name in BOUNDS:
        if name == "TF32":
            with tf32():
                _, grads, _ = step.gradients()
        else:
            _, grads, _ = step.gradients()
        error = apart(dict(zip(training.params, grads, strict=True)), exact)
        what = f"gradients of {type} {layers}x{hidden} in {name} against float64"
        checks.append(Check(what, f"{error:.1e}", f"{BOUNDS[name]:.0e}", error <= BOUNDS[name]))
    return checks


def after_a_window(training: Training) -> torch.Tensor | None:
    """The state after the text's first window: any other may be one that never occurs, such as a
    normaliser of 0."""
    if training.state is None:
        return None
    params = {name: p.cpu() for name, p in training.params.items()}
    first = torch.tensor(training.x[:, : training.unroll])
    _, after = network.forward(training.arch, params, first, training.state.cpu())
    return after.to(training.state.device)


def in_float64(arch: Architecture, params: Parameters, x, y, state) -> dict[str, torch.Tensor]:
    """The gradients of a window's loss by every parameter, in float64 on the processor."""
    leaves = {name: p.detach().cpu().double().requires_grad_() for name, p in params.items()}
    begin = None if state is None else state.cpu().double()
    logits, _ = network.forward(arch, leaves, x, begin)
    loss = F.cross_entropy(logits.flatten(0, 1), y.long().flatten(), reduction="sum") / len(y)
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


def validation(device: str, type: str, layers: int, hidden: int, window=None) -> Check:
    """What validation reads of two windows, the second of another length, against float64."""
    context = 3 if type == "nn" else 0
    arch = Architecture(type, layers, hidden, SYMBOLS, context)
    training = prepared(arch, device, window=window)
    training.params["out.w"] *= BOLDER
    state, ours, exact = training.state, [], []
    params = {name: p.cpu().double() for name, p in training.params.items()}
    carried = None if state is None else state.cpu().double()
    for at in (slice(0, training.unroll), slice(training.unroll, 2 * training.unroll - 1)):
        x, y = training.x[:, at], training.y[:, at]
        ours.append(training.backend.target_log_probs(training.params, x, y, state, False))
        exact.append(Reference(arch).target_log_probs(params, x, y, carried))
    error = apart({"": torch.cat(ours, dim=1)}, {"": torch.cat(exact, dim=1)})
    what = f"validation of {type} {layers}x{hidden} against float64"
    return Check(what, f"{error:.1e}", f"{READ:.0e}", error <= READ)


def capture(device: str, type: str, layers: int, hidden: int, window=None) -> Check:
    """Updates replayed from a graph against the same updates, kernel by kernel."""
    arch = Architecture(type, layers, hidden, SYMBOLS)
    both = [prepared(arch, device, 0.2, graph, window) for graph in (True, False)]
    for training in both:
        for _ in range(UPDATES):
            estimate.update(training)
    error = apart(both[0].params, both[1].params)
    found = f"{error:.1e}" if error else "identical"
    captured, whole = both[0].backend.capture, both[0].backend.whole_windows
    if not captured:
        found += ", but nothing was captured" if device != "cpu" else ", uncaptured"
    if not whole:
        found += ", but step by step"
    what = f"{UPDATES} captured updates of {type} {layers}x{hidden} against plain ones"
    passed = error <= APART and whole and (captured or device == "cpu")
    return Check(what, found, f"{APART:.0e}", passed)


def side_by_side(backend: str, type: str, layers: int, hidden: int, characters=50_000) -> Check:
    """Networks that one process trains side by side, each on a stream of its own, against the same
    trained one after the other. They write the same model files."""
    arch, recipe = Architecture(type, layers, hidden, LETTERS), RMSProp(epochs=2)
    about = {"corpus": "text", "source": "random", "size": hidden}
    data = random_text(characters)
    what = f"two {type} {layers}x{hidden} trained side by side against each alone"

    def begun(folder: Path) -> list[turns.Updates]:
        return [
            train.updates(arch, recipe, data, 1, dropout, out, about, "doctor", backend)
            for dropout, out in zip((0.0, 0.2), pair(folder), strict=True)
        ]

    with tempfile.TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
        alone, together = Path(folder, "alone"), Path(folder, "together")
        for training in begun(alone):
            turns.finish([training], what)
        turns.finish(begun(together), what, turns.surroundings(pair(together), backend))
        same = all(
            one.joinpath("model.safetensors").read_bytes()
            == other.joinpath("model.safetensors").read_bytes()
            for one, other in zip(pair(alone), pair(together), strict=True)
        )
    return Check(what, "identical" if same else "different", "identical", same)


def pair(folder: Path) -> list[Path]:
    """The folders of two networks."""
    return [folder / "first", folder / "second"]


def kill_and_resume(backend: str, hidden: int, characters: int = 400_000) -> Check:
    """A training that is killed after an epoch and resumed, against an uninterrupted one."""
    what = f"lstm 2x{hidden}, killed and resumed, against an uninterrupted training"
    with tempfile.TemporaryDirectory() as folder:
        command = training_command(Path(folder), backend, hidden, characters)
        whole, pieces = Path(folder, "whole"), Path(folder, "pieces")
        run([*command, "--out", whole])
        killed = killed_after_an_epoch([*command, "--out", pieces])
        run([*command, "--out", pieces])
        one, other = (out.joinpath("model.safetensors").read_bytes() for out in (whole, pieces))
    if not killed:
        return Check(what, "it ended before it could be killed", "identical", False)
    return Check(what, "identical" if one == other else "different", "identical", one == other)


def training_command(folder: Path, backend: str, hidden: int, characters: int) -> list:
    """Write a random text to a folder. Returns the command that trains on it, but for --out."""
    split.save(folder / "text.npz", random_text(characters))
    info = {"corpus": "text", "source": "random"}
    (folder / "text.json").write_text(json.dumps(info))
    command = [sys.executable, "-m", "charlens.cli", "train", folder / "text.npz"]
    command += ["--info", folder / "text.json", "--type", "lstm", "--layers", "2"]
    return [*command, "--hidden", hidden, "--backend", backend, "--epochs", TRAINED,
            "--dropout", 0.2]  # fmt: skip


def random_text(characters: int) -> split.Split:
    """A text of random letters, split."""
    draw = torch.Generator().manual_seed(0)
    text = bytes((97 + torch.randint(LETTERS, (characters,), generator=draw)).tolist())
    return split.split(text, "streams", 50, 50, (0.8, 0.1, 0.1))


def run(command: Sequence) -> None:
    """Run a command to its end. Raises RuntimeError with its last line where it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=WAIT)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise RuntimeError(last)


def killed_after_an_epoch(command: Sequence) -> bool:
    """Kill a training once it has said that an epoch is done. Returns whether it still ran then."""
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True)
    with process:
        for line in process.stderr:
            if "epoch 1/" in line and " val " in line:
                process.send_signal(signal.SIGKILL)
    return process.returncode == -signal.SIGKILL


# ---- speed ----


def speed(device: str, size: int, jobs: Sequence[int], seconds: float, window=None) -> Speed:
    """How fast an LSTM of one layer trains: ours and torch's alone, and several of ours at a time.

    size: row of table 1. jobs: how many at a time.
    """
    hidden = hidden_size("lstm", 1, size, SYMBOLS)
    on_gpu = device != "cpu"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    arch = Architecture("lstm", 1, hidden, SYMBOLS)
    ours = rate(updates(device, arch, window), device, seconds, window)
    memory = torch.cuda.max_memory_reserved(device) // 2**20 if on_gpu else None
    stock = rate_of_torch(device, arch, seconds)
    shared = {number: together(device, arch, number, seconds, window) for number in jobs}
    one = in_one_process(device, arch, max(jobs), seconds, window)
    return Speed(size, hidden, ours, stock, shared, one, memory)


def in_one_process(device: str, arch: Architecture, number: int, seconds: float, window) -> float:
    """Thousands of characters per second of several trainings side by side in this process."""
    every = [(updates(device, arch, window), gpus.own_stream(device)) for _ in range(number)]
    synchronise(device)

    def update():
        for one, context in every:
            with context:
                one()

    return number * rate(update, device, seconds, window)


def updates(device: str, arch: Architecture, window=None) -> Callable[[], None]:
    """A function that makes one update of a network."""
    training = prepared(arch, device, window=window)
    return lambda: estimate.update(training)


def rate_of_torch(device: str, arch: Architecture, seconds: float) -> float:
    """Thousands of characters per second of torch.nn's network of the same type and shape."""
    with tf32():  # as ours trains
        peer = Stock(arch.type, arch.layers, arch.hidden, False, device)
        return rate(peer.update, device, seconds)


def rate(update: Callable[[], None], device: str, seconds: float, window=None, begin=None) -> float:
    """Thousands of characters per second of an update. begin: called after the first two."""
    update(), update()
    synchronise(device)
    if begin:
        begin()
    streams, steps = window or (STREAMS, UNROLL)
    begun, number = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        update()
        number += 1
    synchronise(device)
    return number * streams * steps / (time.perf_counter() - begun) / 1e3


def synchronise(device: str) -> None:
    """Wait until a GPU has done what it was told."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def together(device: str, arch: Architecture, jobs: int, seconds: float, window=None) -> float:
    """Thousands of characters per second of several trainings, each in a process of its own."""
    spawn = multiprocessing.get_context("spawn")  # a fork cannot use a GPU
    barrier = spawn.Barrier(jobs)
    with ProcessPoolExecutor(jobs, spawn, _meet, (barrier, WAIT)) as pool:
        ours = [pool.submit(_one_of, device, arch, seconds, window) for _ in range(jobs)]
        return sum(one.result() for one in ours)


_begin = []  # in each process: the function that waits for the other trainings


def _meet(barrier, wait: float | None) -> None:
    torch.set_num_threads(1)
    _begin.append(partial(barrier.wait, wait))


def _one_of(device: str, arch: Architecture, seconds: float, window) -> float:
    return rate(updates(device, arch, window), device, seconds, window, _begin[0])
