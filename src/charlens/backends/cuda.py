"""Training on an NVIDIA GPU: a whole update, captured once as a CUDA graph and then replayed.

An update of a small network is thousands of kernels of microseconds; launched one by one from
Python they leave a GPU idle most of the time. A graph launches them all at once. What is captured
is `Step.__call__`: forward, backward and the optimizer, in fixed memory. Around it:

    copy in      x, y, the bits of the dropout mask, the carried state and the learning rate
    replay
    copy out     the state and the loss

While the GPU computes, the host draws the next dropout mask, and then waits without taking up a
processor core, which other trainings on the GPU can use.

A capture restricts what a step may do: nothing in it waits for the GPU (no `.item()`), its shapes
and addresses never change, the learning rate is a tensor, and 1-of-K inputs are real products
rather than lookups, since the gradient of a lookup is a sort that some versions of torch cannot
capture (and a sum in no fixed order). The warm-up, on the stream of the capture, lets the libraries
allocate their memory; it changes the parameters, which are restored.

Validation replays a graph of its own (`Reading`), for each length of a window one.

A layer reads a whole window at once where it can (`windows`). Where that fails on a GPU, the graph
is made of steps; where that fails, too, the same steps run kernel by kernel, each with one line
that says so. Tests without a GPU run both on the CPU, uncaptured.

Products are TF32 (10 bits of mantissa, float32 sums) in training, and float32 in validation and
scoring. Scoring uses the reference's code.
"""

import contextlib
import math
import os
import sys

import torch

from charlens.backends import windows
from charlens.backends.base import used_gradient
from charlens.backends.reference import Reference, of_targets
from charlens.networks.architecture import Architecture

WARM_UP = 3  # steps before a capture

# without this, cuDNN's recurrent functions may differ from run to run (says torch's documentation)
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")
torch.backends.cudnn.allow_tf32 = False  # as for products: TF32 in `tf32` alone


class Window:
    """A network, and a window of text in fixed memory.

    params: by name. x, y, state: of the first window, shaped as in `selection`.
    """

    def __init__(self, arch: Architecture, params, x, y, state):
        self.arch, self.params, self.forward = arch, params, windows.forward
        self.device = next(iter(params.values())).device
        S, T = y.shape
        # torch compares no uint16
        codes = torch.uint8 if x.dtype == torch.uint8 else torch.int32
        self.x = torch.empty((T, S, *x.shape[2:]), dtype=codes, device=self.device)
        self.y = torch.empty((T, S), dtype=codes, device=self.device)
        self.state = None if state is None else state.clone()

    def load_text(self, x, y, state) -> None:
        """Copy in the next window, shaped as in `selection`."""
        self.x.copy_(x.transpose(0, 1))
        self.y.copy_(y.t())
        if state is not None:
            self.state.copy_(state)

    def changed(self) -> list[torch.Tensor]:
        """What a call changes that the next one depends on."""
        return [] if self.state is None else [self.state]


class Reading(Window):
    """The log-probability of each target of a window, without an update."""

    def __init__(self, arch: Architecture, params, x, y, state):
        super().__init__(arch, params, x, y, state)
        self.log_probs = torch.empty(self.y.shape, device=self.device)  # [T, S], in nats

    @torch.no_grad()
    def __call__(self) -> None:
        """Forward alone."""
        logits, after = self.forward(self.arch, self.params, self.x, self.state)
        self.log_probs.copy_(of_targets(torch.log_softmax(logits, dim=-1), self.y))
        if after is not None:
            self.state.copy_(after)


class Step(Window):
    """One update in fixed memory: reads and writes its own tensors, and waits for nothing.

    params, squares, means: the training's tensors, changed in place; means: of AdamW, else empty.
    scale: 1 / (1 - p) of dropout, None without dropout.
    """

    def __init__(self, arch: Architecture, params, squares, means, x, y, state, scale, recipe):
        super().__init__(arch, params, x, y, state)
        self.squares, self.means, self.scale, self.recipe = squares, means, scale, recipe
        shape = (arch.layers, *self.y.shape, 2 * math.ceil(arch.hidden / 16))
        place = {"device": self.device}
        self.bits = None if scale is None else torch.zeros(shape, dtype=torch.uint8, **place)
        self.rates = torch.zeros(3, **place)  # see `load`
        self.loss = torch.zeros((), dtype=torch.float64, **place)  # mean nats per character

    def changed(self) -> list[torch.Tensor]:
        """The same, with parameters and optimizer."""
        optimizer = [*self.squares.values(), *self.means.values()]
        return [*self.params.values(), *optimizer, *super().changed()]

    def load(self, x, y, state, dropout, rate: float, number: int = 0) -> None:
        """Copy in the inputs of the next update, shaped as in `selection`. number: of the update,
        counted from 1, which AdamW's corrections depend on."""
        self.load_text(x, y, state)
        if dropout is not None:
            self.bits.copy_(torch.from_numpy(dropout.bits))
        root = mean = 1.0
        if self.means:
            root = math.sqrt(1 - self.recipe.beta2**number)
            mean = 1 - self.recipe.beta1**number
        self.rates.copy_(torch.tensor([rate, root, rate / mean]))

    def __call__(self) -> None:
        """Forward, backward, RMSProp or AdamW. Raises InputError where a parameter is unused."""
        loss, grads, after = self.gradients()
        (self._adamw if self.means else self._rmsprop)(grads)
        if after is not None:
            self.state.copy_(after.detach())
        self.loss.copy_(loss.detach() / len(self.y))

    def gradients(self):
        """The loss, summed over steps and averaged over streams, its gradient by each parameter,
        unclipped, and the state after the window. Raises InputError where a parameter is unused."""
        # new leaves each time: an old one would remember the stream that it was first used on
        leaves = {name: p.detach().requires_grad_() for name, p in self.params.items()}
        logits, after = self.forward(self.arch, leaves, self.x, self.state, self.masks())
        log_probs = torch.log_softmax(logits, dim=-1)
        loss = -(log_probs * windows.one_of_k(self.y, self.arch.symbols)).sum() / self.y.shape[1]
        grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        grads = [used_gradient(*found, self.arch) for found in zip(leaves, grads, strict=True)]
        return loss, grads, after

    def masks(self):
        """The dropout masks [layers, T, S, H], 0 or `scale`, from their bits; None without."""
        if self.bits is None:
            return None
        places = torch.arange(8, dtype=torch.uint8, device=self.bits.device)
        kept = self.bits.unsqueeze(-1).bitwise_right_shift(places).bitwise_and(1).flatten(-2)
        return kept[..., : self.arch.hidden] * self.scale

    @torch.no_grad()
    def _rmsprop(self, grads) -> None:
        """`training.rmsprop` for all parameters at once."""
        recipe, squares = self.recipe, list(self.squares.values())
        torch._foreach_clamp_min_(grads, -recipe.clip)
        torch._foreach_clamp_max_(grads, recipe.clip)
        torch._foreach_mul_(squares, recipe.smoothing)
        torch._foreach_addcmul_(squares, grads, grads, value=1 - recipe.smoothing)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, recipe.epsilon)
        torch._foreach_div_(grads, roots)
        torch._foreach_mul_(grads, self.rates[0])
        torch._foreach_sub_(list(self.params.values()), grads)

    @torch.no_grad()
    def _adamw(self, grads) -> None:
        """`training.adamw` for all parameters at once."""
        recipe, steps = self.recipe, len(self.y)
        means, squares = list(self.means.values()), list(self.squares.values())
        rate, root, corrected = self.rates.unbind()
        norm = torch.stack(torch._foreach_norm(grads)).norm() / steps
        torch._foreach_mul_(grads, (recipe.max_norm / norm).clamp(max=1.0) / steps)
        torch._foreach_lerp_(means, grads, 1 - recipe.beta1)
        torch._foreach_mul_(squares, recipe.beta2)
        torch._foreach_addcmul_(squares, grads, grads, value=1 - recipe.beta2)
        matrices = [p for n, p in self.params.items() if n.rpartition(".")[2].startswith("w")]
        torch._foreach_mul_(matrices, 1 - rate * recipe.weight_decay)
        divisors = torch._foreach_sqrt(squares)
        torch._foreach_div_(divisors, root)
        torch._foreach_add_(divisors, recipe.epsilon)
        moves = torch._foreach_div(means, divisors)
        torch._foreach_mul_(moves, corrected)
        torch._foreach_sub_(list(self.params.values()), moves)


def captured(step: Step | Reading, device: str):
    """Capture the step as a graph; returns a function that replays it.

    The step's tensors keep their values. Raises RuntimeError where torch cannot capture it.
    """
    changed = step.changed()
    before = [tensor.clone() for tensor in changed]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    step()
            torch.cuda.current_stream().wait_stream(stream)
            with torch.cuda.graph(graph, stream=stream):
                step()
        finally:
            torch.cuda.current_stream().wait_stream(stream)
            for tensor, old in zip(changed, before, strict=True):
                tensor.copy_(old)
    return graph.replay


class Cuda(Reference):
    """Training and validation by captured graphs, all else by plain torch on the GPU."""

    def __init__(self, arch: Architecture, device: str, capture: bool = True):
        super().__init__(arch, device)
        self.capture, self.whole_windows = capture, arch.recurrent
        self._bound = self._step = self._replay = None
        self._readings = {}  # and their replays, by their parameters and window
        # blocking: whoever waits for it leaves its processor core to others
        self._done = None if device == "cpu" else torch.cuda.Event(blocking=True)

    def update(self, params, squares, x, y, state, dropout, rate: float, recipe) -> torch.Tensor:
        """One whole update in place; returns the mean loss before it, in nats per character, on
        the GPU: whoever reads it waits for the update.

        Arguments as in `selection`. Raises InputError where the cell does not use a parameter.
        """
        return self._update(params, squares, {}, x, y, state, dropout, rate, 0, recipe)

    def adamw_update(
        self, params, means, squares, x, y, state, dropout, rate: float, number: int, recipe
    ) -> torch.Tensor:
        """The same by AdamW. means: the running means of the gradient. number: of the update,
        counted from 1."""
        return self._update(params, squares, means, x, y, state, dropout, rate, number, recipe)

    def _update(self, params, squares, means, x, y, state, dropout, rate, number, recipe):
        x, y = torch.as_tensor(x), torch.as_tensor(y)
        scale = None if dropout is None else dropout.scale
        tensors = (*params.values(), *squares.values(), *means.values())
        bound = (*(tensor.data_ptr() for tensor in tensors), tuple(x.shape), scale, recipe)
        with tf32():
            if bound != self._bound:  # a restored training has other tensors
                self._step = Step(self.arch, params, squares, means, x, y, state, scale, recipe)
                self._step.load(x, y, state, dropout, rate, number)
                self._replay = self._captured(self._step)
                self._bound = bound
                self._readings.clear()  # of the tensors before
            elif self._done:
                self._done.synchronize()
            self._step.load(x, y, state, dropout, rate, number)
            self._replay()
        if state is not None:
            state.copy_(self._step.state)
        loss = self._step.loss.clone()
        if self._done:
            self._done.record()
        return loss

    @torch.no_grad()
    def target_log_probs(self, params, x, y, state, exact: bool = True) -> torch.Tensor:
        """Log-probability in nats of every y: [S, T], in float32. exact: by the reference's code,
        else a layer's window at a time."""
        if exact:
            return super().target_log_probs(params, x, y, state)
        x, y = torch.as_tensor(x), torch.as_tensor(y)
        bound = (*(tensor.data_ptr() for tensor in params.values()), tuple(x.shape))
        if bound not in self._readings:
            reading = Reading(self.arch, params, x, y, state)
            reading.load_text(x, y, state)
            self._readings[bound] = reading, self._captured(reading)
        reading, replay = self._readings[bound]
        reading.load_text(x, y, state)
        replay()
        self._move(state, reading.state)
        return reading.log_probs.t().to("cpu", copy=True)

    def _captured(self, step: Step | Reading):
        """What makes an update, or reads a window: a graph, of steps where that of whole windows
        fails, or the step itself."""
        if not self.whole_windows:
            step.forward = windows.forward_by_steps
        if not self.capture:
            return step
        try:
            return captured(step, self.device)
        except RuntimeError as error:
            why = str(error).strip().splitlines()[0]
        if step.forward is windows.forward:
            print(f"charlens: no whole windows ({why}): step by step instead", file=sys.stderr)
            self.whole_windows = False
        else:
            print(f"charlens: no CUDA graph ({why}): kernel by kernel instead", file=sys.stderr)
            self.capture = False
        return self._captured(step)


@contextlib.contextmanager
def tf32():
    """Within it, products of float32 run on the GPU's tensor cores, rounded to TF32.

    By torch's older names for it: versions 2.9 to 2.11 refuse to compile after the newer ones.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
