"""The character networks of section 3: stacks of recurrent cells, and the n-NN of table 2.

A network is an `Architecture` and its parameters, a dict of float32 tensors by name. Row vectors
are multiplied from the left (x @ W). With K symbols and H hidden units:

    layers.{l}.w_x  [I, G*H]    the input's part of layer l: I = K for l = 0, else H
    layers.{l}.b    [G*H]
    layers.{l}.w_h  [H, ...]    the recurrent part, and whatever else the cell type names
    out.w [H, K]    out.b [K]   the softmax classifier on the top layer's h

An n-NN has w_x [n*K, H] and b [H] in place of the layers.

The input of the first layer is 1-of-K, so x @ w_x is a row of w_x: a lookup.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from charlens.data.split import NONE
from charlens.networks.architecture import Architecture, shapes
from charlens.networks.cells import cell

Parameters = dict[str, Tensor]
Recorder = Callable[[int, int, dict[str, Tensor]], None]  # layer, step, values [S, H] by name


def initialise(arch: Architecture, scale: float, generator: torch.Generator) -> Parameters:
    """Initial parameters, shaped as in `shapes`: all uniform in [-scale, scale] (section 4.1)."""
    return {
        name: torch.empty(shape).uniform_(-scale, scale, generator=generator)
        for name, shape in shapes(arch).items()
    }


def zero_state(arch: Architecture, streams: int) -> Tensor | None:
    """The state before a stream's first character: [layers, states, S, H] zeros; None for n-NN."""
    if not arch.recurrent:
        return None
    return torch.zeros(arch.layers, len(cell(arch.type).STATES), streams, arch.hidden)


def forward(
    arch: Architecture,
    params: Parameters,
    x: Tensor,
    state: Tensor | None,
    masks: Tensor | None = None,
    record: Recorder | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Logits of the next character, by plain torch: the reference for every other backend.

    x: integer codes [S, T]; for an n-NN the contexts [S, T, n], NONE where there is no character.
    state: [layers, states, S, H], None for an n-NN. masks, record: see `stack`.
    Returns logits [S, T, K] and the state after step T.
    """
    x = x.long()
    if not arch.recurrent:
        return fixed_context(params, _sum_of_rows(arch, params["w_x"], x)), None
    product = params["layers.0.w_x"][x.t()]
    logits, after = stack(arch, params, product, state, masks, record)
    return logits.transpose(0, 1), after


def stack(
    arch: Architecture,
    params: Parameters,
    product: Tensor,
    state: Tensor,
    masks: Tensor | None = None,
    record: Recorder | None = None,
) -> tuple[Tensor, Tensor]:
    """The recurrent layers and the classifier (section 3), given the first layer's x @ w_x.

    Time comes first in all shapes.

    product: [T, S, G*H]. state: [layers, states, S, H].
    masks: dropout, [layers, T, S, H] of 0 or 1/(1-p), multiplied onto each layer's output; the
    recurrence itself is never dropped.
    record: called as record(layer, step, values) after each step of each layer, with every gate
    and state [S, H] by name. The recorded values are the same bits however a text is cut into
    windows. Where it puts another tensor in the place of a state, the network continues from that.
    Returns logits [T, S, K] and the state after step T. Raises InputError where there is no such
    cell type.
    """
    kind = cell(arch.type)
    inputs, last = None, []  # inputs: the outputs of the layer below, [T, S, H]
    for layer in range(arch.layers):
        prefix = f"layers.{layer}."
        p = {n.removeprefix(prefix): w for n, w in params.items() if n.startswith(prefix)}
        if inputs is not None and record is None:
            product = inputs @ p["w_x"]
        elif inputs is not None:
            # step by step: the bits of a product depend on how many rows it has
            product = torch.stack([h @ p["w_x"] for h in inputs])
        memory, outputs = tuple(state[layer]), []
        for step, a in enumerate((product + p["b"]).unbind(0)):
            if record is None:
                memory = kind.step(a, memory, p)
            else:
                values = _observed_step(kind, a, memory, p)
                record(layer, step, values)
                memory = tuple(values[name] for name in kind.STATES)
            outputs.append(memory[0])
        inputs = torch.stack(outputs)
        if masks is not None:
            inputs = inputs * masks[layer]
        last.append(torch.stack(memory))
    return inputs @ params["out.w"] + params["out.b"], torch.stack(last)


def _observed_step(kind, a, memory, p):
    """One step of a cell type: every gate and state after it, by name."""
    if hasattr(kind, "gates_and_state"):
        gates, memory = kind.gates_and_state(a, memory, p)
        values = dict(zip(kind.GATE_NAMES, gates, strict=True))
    else:
        memory, values = kind.step(a, memory, p), {}
    return values | dict(zip(kind.STATES, memory, strict=True))


def fixed_context(params: Parameters, product: Tensor) -> Tensor:
    """The n-NN of table 2: logits [..., K] of one tanh hidden layer, given its x @ w_x [..., H]."""
    return torch.tanh(product + params["b"]) @ params["out.w"] + params["out.b"]


def _sum_of_rows(arch, w_x, x):
    """x @ w_x [S, T, H] of n characters in 1-of-K code, x [S, T, n]: a sum of n rows of w_x."""
    S, T, n = x.shape
    rows = torch.where(x == NONE, 0, x + arch.symbols * torch.arange(n, device=x.device))
    present = (x != NONE).to(w_x.dtype)
    total = torch.nn.functional.embedding_bag(
        rows.view(S * T, n), w_x, mode="sum", per_sample_weights=present.view(S * T, n)
    )
    return total.view(S, T, arch.hidden)
