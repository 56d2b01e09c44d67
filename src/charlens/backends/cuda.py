"""Training on an NVIDIA card: a whole update, captured once as a CUDA graph and then replayed.

An update of a small network is thousands of kernels of microseconds; launched one by one from
Python they leave a card idle most of the time. A graph launches them all at once. What is captured
is `Step.__call__`: forward, backward, clipping and RMSProp, in fixed memory. Around it:

    copy in      x, y, the dropout mask, the carried state and the learning rate
    replay
    copy out     the state; the loss, the only value that the host waits for

A capture restricts what a step may do: nothing in it waits for the card (no `.item()`), its shapes
and addresses never change, the learning rate is a tensor, and 1-of-K inputs are real products
rather than lookups, since the gradient of a lookup is a sort that some versions of torch cannot
capture (and a sum in no fixed order). The warm-up, on the stream of the capture, lets the libraries
allocate their memory; it changes the parameters, which are restored.

A layer of an LSTM or an RNN is torch's own recurrent function, which reads a whole window at once:
cuDNN's on a card. All other cell types go step by step. So does the GRU, since cuDNN's is another
one: its reset gate acts after the product.

Products are TF32 (10 bits of mantissa, float32 sums) in training, and float32 in validation and
scoring, which use the reference's code. Where the fused function cannot be captured, the graph is
made of steps; where that fails, too, the same steps run kernel by kernel, each with one line that
says so. Tests without a card run the step on the CPU, uncaptured.
"""

import contextlib
import functools
import os
import sys

import torch

from charlens.backends.base import used_gradient
from charlens.backends.reference import Reference
from charlens.networks import network, nn
from charlens.networks.architecture import Architecture

WARM_UP = 3  # steps before a capture
FUSED = ("lstm", "rnn")  # cell types that torch has a fused function for
WHOLE_WINDOW = {
    "has_biases": True, "num_layers": 1, "dropout": 0.0, "train": True, "bidirectional": False,
    "batch_first": False,
}  # fmt: skip

# without this, cuDNN's recurrent functions may differ from run to run (says torch's documentation)
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")
torch.backends.cudnn.rnn.fp32_precision = "ieee"  # as for products: TF32 in `tf32` alone


def one_of_k(x, symbols: int):
    """Codes [T, S] (an n-NN: [T, S, n]) as 0.0 and 1.0: [T, S, K] ([T, S, n K]).

    A code outside the alphabet, which stands for no character, is all zeros. (F.one_hot would
    wait for the card to check its argument.)
    """
    found = x.unsqueeze(-1) == torch.arange(symbols, device=x.device)
    return found.to(torch.get_default_dtype()).flatten(2)


def forward(arch: Architecture, params, x, state, masks=None):
    """`network.forward` with its lookup as a product, which a graph can capture; time comes first.

    x: codes [T, S], or [T, S, n] for an n-NN. state, masks: as in `network.forward`.
    Returns logits [T, S, K] and the state after step T (None for an n-NN).
    """
    inputs = one_of_k(x, arch.symbols)
    if not arch.recurrent:
        return nn.above(params, inputs @ params["w_x"]), None
    return network.stack(arch, params, inputs @ params[network.looked_up(arch)], state, masks)


def fused_forward(arch: Architecture, params, x, state, masks=None):
    """`forward` by torch's fused functions, for the types in `FUSED` without a block."""
    inputs, last = one_of_k(x, arch.symbols), []
    for layer in range(arch.layers):
        weights = fused_weights(*(params[f"layers.{layer}.{n}"] for n in ("w_x", "w_h", "b")))
        if arch.cell == "lstm":
            h, *after = torch.lstm(inputs, state[layer].split(1), weights, **WHOLE_WINDOW)
        else:
            h, *after = torch.rnn_tanh(inputs, state[layer], weights, **WHOLE_WINDOW)
        inputs = h if masks is None else h * masks[layer]
        last.append(torch.cat(after))
    return inputs @ params["out.w"] + params["out.b"], torch.stack(last)


def fused_weights(w_x, w_h, b):
    """A layer's parameters in torch's form: [G H, I], [G H, H] and two biases, of which one is 0.

    The LSTM's gates are i, f, g, o there. All lie in one piece of memory, as cuDNN wants them.
    """
    parts = [w_x.t(), w_h.t(), b, torch.zeros_like(b)]
    if len(b) == 4 * len(w_h):
        parts = [torch.cat([part.chunk(4)[gate] for gate in (0, 1, 3, 2)]) for part in parts]
    flat = torch.cat([part.flatten() for part in parts])
    pieces = flat.split([part.numel() for part in parts])
    return [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]


def fuses(arch: Architecture) -> bool:
    """Whether `fused_forward` can take the place of `forward`."""
    return arch.cell in FUSED and not arch.block and same_equations(arch.cell)


@functools.cache
def same_equations(type: str) -> bool:
    """Whether torch's function has the equations of the cell type's file, forward and backward.

    The file may have been edited; so both are run on a small network, from a state large enough to
    reveal bounds on it.
    """
    small = Architecture(type, 2, 5, 7)
    random = torch.Generator().manual_seed(0)
    params = network.initialise(small, 1.0, random)
    x = torch.randint(7, (4, 3), generator=random)
    state = network.zero_state(small, 3).normal_(0, 10, generator=random)
    found = []
    for run in (forward, fused_forward):
        leaves = {name: p.clone().requires_grad_() for name, p in params.items()}
        try:
            with torch.enable_grad():  # whatever the caller is about to do
                logits, after = run(small, leaves, x, state)
                grads = torch.autograd.grad(logits.square().sum(), list(leaves.values()))
        except (KeyError, ValueError, RuntimeError):
            return False  # other parameters, or of other shapes
        found.append([logits, after, *grads])
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(*found, strict=True))


class Step:
    """One update in fixed memory: reads and writes its own tensors, and waits for nothing.

    params, squares: the training's tensors, changed in place. x, y, state: of the first update,
    shaped as in `selection`. scale: 1 / (1 - p) of dropout, None without dropout.
    """

    def __init__(self, arch: Architecture, params, squares, x, y, state, scale, recipe):
        self.arch, self.params, self.squares, self.recipe = arch, params, squares, recipe
        self.forward = fused_forward if fuses(arch) else forward
        device = next(iter(params.values())).device
        S, T = y.shape
        # torch compares no uint16
        codes = torch.uint8 if x.dtype == torch.uint8 else torch.int32
        self.x = torch.empty((T, S, *x.shape[2:]), dtype=codes, device=device)
        self.y = torch.empty((T, S), dtype=codes, device=device)
        self.state = None if state is None else state.clone()
        self.scale = scale
        shape = (arch.layers, T, S, arch.hidden)
        self.mask = None if scale is None else torch.ones(shape, dtype=torch.bool, device=device)
        self.rate = torch.zeros((), device=device)
        self.loss = torch.zeros((), device=device)  # mean nats per character

    def load(self, x, y, state, dropout, rate: float) -> None:
        """Copy in the inputs of the next update, shaped as in `selection`."""
        self.x.copy_(x.transpose(0, 1))
        self.y.copy_(y.t())
        if state is not None:
            self.state.copy_(state)
        if dropout is not None:
            self.mask.copy_(dropout.mask(self.arch.hidden))
        self.rate.fill_(rate)

    def __call__(self) -> None:
        """Forward, backward, RMSProp. Raises InputError where a parameter is unused."""
        loss, grads, after = self.gradients()
        self._rmsprop(list(self.params.values()), grads, list(self.squares.values()))
        if after is not None:
            self.state.copy_(after.detach())
        self.loss.copy_(loss.detach() / len(self.y))

    def gradients(self):
        """The loss, summed over steps and averaged over streams, its gradient by each parameter,
        unclipped, and the state after the window. Raises InputError where a parameter is unused."""
        # new leaves each time: an old one would remember the stream that it was first used on
        leaves = {name: p.detach().requires_grad_() for name, p in self.params.items()}
        masks = None if self.mask is None else self.mask * self.scale
        logits, after = self.forward(self.arch, leaves, self.x, self.state, masks)
        log_probs = torch.log_softmax(logits, dim=-1)
        loss = -(log_probs * one_of_k(self.y, self.arch.symbols)).sum() / self.y.shape[1]
        grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        grads = [used_gradient(*found, self.arch) for found in zip(leaves, grads, strict=True)]
        return loss, grads, after

    @torch.no_grad()
    def _rmsprop(self, params, grads, squares) -> None:
        """`training.rmsprop` for all parameters at once."""
        recipe = self.recipe
        torch._foreach_clamp_min_(grads, -recipe.clip)
        torch._foreach_clamp_max_(grads, recipe.clip)
        torch._foreach_mul_(squares, recipe.smoothing)
        torch._foreach_addcmul_(squares, grads, grads, value=1 - recipe.smoothing)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, recipe.epsilon)
        torch._foreach_div_(grads, roots)
        torch._foreach_mul_(grads, self.rate)
        torch._foreach_sub_(params, grads)


def captured(step: Step, device: str):
    """Capture the step as a graph; returns a function that replays it.

    The step's tensors keep their values. Raises RuntimeError where torch cannot capture it.
    """
    changed = [*step.params.values(), *step.squares.values()]
    changed += [] if step.state is None else [step.state]
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
    """Training by captured updates, everything else by plain torch on the card."""

    def __init__(self, arch: Architecture, device: str, capture: bool = True):
        super().__init__(arch, device)
        self.capture, self.fuse = capture, True
        self._bound = self._step = self._replay = None

    def update(self, params, squares, x, y, state, dropout, rate: float, recipe) -> float:
        """One whole update in place; returns the mean loss before it, in nats per character.

        Arguments as in `selection`. Raises InputError where the cell does not use a parameter.
        """
        x, y = torch.as_tensor(x), torch.as_tensor(y)
        scale = None if dropout is None else dropout.scale
        tensors = (*params.values(), *squares.values())
        bound = (*(tensor.data_ptr() for tensor in tensors), tuple(x.shape), scale, recipe)
        with tf32():
            if bound != self._bound:  # a restored training has other tensors
                self._step = Step(self.arch, params, squares, x, y, state, scale, recipe)
                self._step.load(x, y, state, dropout, rate)
                self._replay = self._captured()
                self._bound = bound
            self._step.load(x, y, state, dropout, rate)
            self._replay()
        if state is not None:
            state.copy_(self._step.state)
        return self._step.loss.item()

    def _captured(self):
        """What makes an update: a graph, of steps where that of the fused function fails, or the
        step itself."""
        step = self._step
        if not self.fuse:
            step.forward = forward
        if not self.capture:
            return step
        try:
            return captured(step, self.device)
        except RuntimeError as error:
            why = str(error).strip().splitlines()[0]
        if step.forward is fused_forward:
            print(f"charlens: no fused function ({why}): step by step instead", file=sys.stderr)
            self.fuse = False
        else:
            print(f"charlens: no CUDA graph ({why}): kernel by kernel instead", file=sys.stderr)
            self.capture = False
        return self._captured()


@contextlib.contextmanager
def tf32():
    """Within it, products of float32 run on the card's tensor cores, rounded to TF32."""
    both = torch.backends.cuda.matmul, torch.backends.cudnn.rnn
    before = [one.fp32_precision for one in both]
    try:
        for one in both:
            one.fp32_precision = "tf32"
        yield
    finally:
        for one, old in zip(both, before, strict=True):
            one.fp32_precision = old
