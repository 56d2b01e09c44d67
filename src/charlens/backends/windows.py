"""The networks of `network`, a layer's whole window at a time: in few kernels, for a GPU.

    lstm, rnn    torch's own recurrent functions, which are cuDNN's on a GPU
    gru          `Gru` below; cuDNN's is another one: its reset gate acts after the product
    with a scan  that of the cell type
    any other    its step, one character after the other

What remains of a step between two products is one kernel: on a GPU, such functions go through
torch.compile. On a processor they run as they stand; so tests need no GPU.
"""

import functools
import os
import sys
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charlens.networks import block, network, nn
from charlens.networks.architecture import Architecture
from charlens.networks.cells import cell

SHAPES = 256  # of a compiled function in one process; torch gives up, silently, at the ninth
WHOLE_WINDOW = {
    "has_biases": True, "num_layers": 1, "dropout": 0.0, "train": True, "bidirectional": False,
    "batch_first": False,
}  # fmt: skip


def one_of_k(x, symbols: int) -> Tensor:
    """Codes [T, S] (an n-NN: [T, S, n]) as 0.0 and 1.0: [T, S, K] ([T, S, n K]).

    A code outside the alphabet, which stands for no character, is all zeros. (F.one_hot would
    wait for the GPU to check its argument.)
    """
    found = x.unsqueeze(-1) == torch.arange(symbols, device=x.device)
    return found.to(torch.get_default_dtype()).flatten(2)


def forward_by_steps(arch: Architecture, params, x, state, masks=None):
    """`network.forward` with its lookup as a product, which a graph can capture; time comes first.

    x: codes [T, S], or [T, S, n] for an n-NN. state, masks: as in `network.forward`.
    Returns logits [T, S, K] and the state after step T (None for an n-NN).
    """
    inputs = one_of_k(x, arch.symbols)
    if not arch.recurrent:
        return nn.above(params, inputs @ params["w_x"]), None
    return network.stack(arch, params, inputs @ params[network.looked_up(arch)], state, masks)


def forward(arch: Architecture, params, x, state, masks=None):
    """`forward_by_steps`, but for its rounding, a layer's window at a time."""
    if not arch.recurrent:
        return forward_by_steps(arch, params, x, state)
    window = of_type(arch.cell)
    inputs, last = one_of_k(x, arch.symbols), []
    if arch.block:
        inputs = inputs @ params["embed.w"]
    for layer in range(arch.layers):
        p = network.of_layer(params, layer)
        below = block.normalised(inputs, p["block.norm"]) if arch.block else inputs
        h, after = window(arch, below, state[layer], p)
        if masks is not None:
            h = h * masks[layer]
        inputs = block.after_cell(inputs, h, p) if arch.block else h
        last.append(after)
    if arch.block:
        inputs = block.normalised(inputs, params["out.norm"])
    return inputs @ params["out.w"] + params["out.b"], torch.stack(last)


def of_type(type: str) -> Callable:
    """What computes a layer's window: a function of the architecture, the layer's input [T, S, I],
    its state [rows, S, H] and its parameters; returns the outputs [T, S, H] and the new state."""
    return WINDOWS[type] if type in WINDOWS and same_equations(type) else any_type


def lstm(arch, below, state, p):
    """An LSTM's layer over a window by torch's fused function; see `of_type`."""
    h, *after = torch.lstm(below, state.split(1), fused_weights(p), **WHOLE_WINDOW)
    return h, torch.cat(after)


def rnn(arch, below, state, p):
    """The same for the tanh RNN."""
    return torch.rnn_tanh(below, state, fused_weights(p), **WHOLE_WINDOW)


def fused_weights(p) -> list[Tensor]:
    """A layer's parameters in torch's form: [G H, I], [G H, H] and two biases, of which one is 0.

    The LSTM's gates are i, f, g, o there. All lie in one piece of memory, as cuDNN wants them.
    """
    parts = [p["w_x"].t(), p["w_h"].t(), p["b"], torch.zeros_like(p["b"])]
    if len(p["b"]) == 4 * len(p["w_h"]):
        parts = [torch.cat([part.chunk(4)[gate] for gate in (0, 1, 3, 2)]) for part in parts]
    flat = torch.cat([part.flatten() for part in parts])
    pieces = flat.split([part.numel() for part in parts])
    return [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]


def gru(arch, below, state, p):
    """The same for the paper's GRU, by a backward pass of our own."""
    h = Gru.apply(below @ p["w_x"] + p["b"], state[0], p["w_h"], p["w_g"], p["b_g"])
    return h, h[-1:]


def any_type(arch, below, state, p):
    """The same for any type: by its scan, or step by step, each step one kernel where it can be."""
    kind, a = cell(arch.type), below @ p["w_x"] + p["b"]
    states = network.unpacked(arch, state)
    step = None if hasattr(kind, "scan") else one_kernel(kind.step, a)
    h, states = network.window(kind, a, states, p, step)
    return h, network.packed(arch, states)


WINDOWS = {"lstm": lstm, "rnn": rnn, "gru": gru}


def one_kernel(function: Callable, tensor: Tensor) -> Callable:
    """A function of tensors of a fixed shape, in as few kernels as torch.compile can make of it
    where the tensor lies on a GPU."""
    return compiled(function) if tensor.is_cuda else function


@functools.cache
def compiled(function: Callable) -> Callable:
    """A function by torch.compile; as it stands, after one line that says so, where that fails."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # a job has one core
    from torch._dynamo import config  # here, because that takes seconds

    config.recompile_limit = SHAPES
    use = torch.compile(function, dynamic=False)

    def call(*arguments):
        nonlocal use
        try:
            return use(*arguments)
        except Exception as error:  # compilers fail in any way
            if use is function:
                raise
            use = function
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            print(f"charlens: torch.compile fails ({why}): more kernels instead", file=sys.stderr)
            return function(*arguments)

    return call


# ---- the GRU ----


def reset(a, h):
    """r and z [S, 2 H] from their preactivations, and r * h."""
    rz = torch.sigmoid(a)
    return rz, rz.chunk(2, dim=1)[0] * h


def candidate(a, rz, h):
    """g from its preactivation, and the new h."""
    g, z = torch.tanh(a), rz.chunk(2, dim=1)[1]
    return g, h + z * (g - h)


def of_candidate(grad, rz, g, h):
    """Gradients by the preactivations of g and z, and by h where it is kept; grad: by the new h."""
    z = rz.chunk(2, dim=1)[1]
    return grad * z * (1 - g * g), grad * (g - h) * z * (1 - z), grad * (1 - z)


def of_reset(grad, rz, h, of_z, kept):
    """Gradients by the preactivations of r and z, [S, 2 H], and by h but for their product; grad:
    by r * h."""
    r = rz.chunk(2, dim=1)[0]
    return torch.cat([grad * h * r * (1 - r), of_z], dim=1), kept + grad * r


class Gru(torch.autograd.Function):
    """A layer of GRUs (the equations of cells/gru.py) over a window: two products a step in either
    direction; the weights' gradients are one product each for all steps.

    a: x W_x + b [T, S, 3 H]. before: h [S, H]. Returns every h, [T, S, H].
    """

    @staticmethod
    def forward(ctx, a, before, w_h, w_g, b_g):
        hidden = len(w_h)
        first, second = one_kernel(reset, a), one_kernel(candidate, a)
        of_gates, of_g = a[..., : 2 * hidden], a[..., 2 * hidden :] + b_g
        h, gates, kept, new = [before], [], [], []
        for t in range(len(a)):
            rz, rh = first(torch.addmm(of_gates[t], h[t], w_h), h[t])
            g, after = second(torch.addmm(of_g[t], rh, w_g), rz, h[t])
            h.append(after), gates.append(rz), kept.append(rh), new.append(g)
        ctx.save_for_backward(w_h, w_g, *map(torch.stack, (h, gates, kept, new)))
        return torch.stack(h[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx, grads):
        w_h, w_g, h, gates, kept, new = ctx.saved_tensors
        first, second = one_kernel(of_candidate, grads), one_kernel(of_reset, grads)
        of_gates, of_g, of_h = [], [], torch.zeros_like(h[0])
        for t in range(len(grads) - 1, -1, -1):
            of_new, of_z, straight = first(grads[t] + of_h, gates[t], new[t], h[t])
            of_rz, straight = second(of_new @ w_g.t(), gates[t], h[t], of_z, straight)
            of_h = torch.addmm(straight, of_rz, w_h.t())
            of_gates.append(of_rz), of_g.append(of_new)
        of_gates, of_g = torch.stack(of_gates[::-1]), torch.stack(of_g[::-1])
        flat = of_g.flatten(0, 1)
        return (
            torch.cat([of_gates, of_g], dim=2),
            of_h,
            h[:-1].flatten(0, 1).t() @ of_gates.flatten(0, 1),
            kept.flatten(0, 1).t() @ flat,
            flat.sum(dim=0),
        )


# ---- whether they are the same ----


@functools.cache
def same_equations(type: str) -> bool:
    """Whether a function in `WINDOWS` has the equations of the cell type's file, forward and
    backward.

    The file may have been edited; so both are run on a small network, from a state large enough to
    reveal bounds on it.
    """
    small = Architecture(type, 1, 5, 7)
    random = torch.Generator().manual_seed(0)
    params = network.initialise(small, 1.0, random)
    below = torch.empty(4, 3, 7).normal_(generator=random)
    state = network.zero_state(small, 3)[0].normal_(0, 10, generator=random)
    found = []
    for window in (any_type, WINDOWS[type]):
        own = network.of_layer(params, 0)
        leaves = {name: p.clone().requires_grad_() for name, p in own.items()}
        try:
            with torch.enable_grad():  # whatever the caller is about to do
                h, after = window(small, below, state, leaves)
                loss = h.square().sum() + after.square().sum()
                grads = torch.autograd.grad(loss, list(leaves.values()))
        except (KeyError, ValueError, RuntimeError):
            return False  # other parameters, or of other shapes
        found.append([h, after, *grads])
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(*found, strict=True))
