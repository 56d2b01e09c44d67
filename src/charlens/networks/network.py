"""The character models: stacks of recurrent cells, and the n-NN with its fixed context.

A model is an `Architecture` and its parameters, a dict of float32 tensors by name. Row vectors
are multiplied from the left (x @ W). With K symbols and H hidden units:

    layers.{l}.w_x  [I, G*H]    the input's part of layer l: I = K for l = 0, else H
    layers.{l}.b    [G*H]
    layers.{l}.w_h  [H, ...]    the recurrent part and whatever else the cell names
    out.w [H, K]    out.b [K]   the softmax classifier on the top layer's h

The input of the first layer is 1-of-K, so x @ w_x is a row of w_x: a lookup.
"""

import torch
from torch import Tensor

from charlens.data.split import NONE
from charlens.networks.architecture import Architecture, shapes
from charlens.networks.cells import cell

Parameters = dict[str, Tensor]


def initialise(arch: Architecture, scale: float, generator: torch.Generator) -> Parameters:
    """Every parameter, biases too, uniform in [-scale, scale]."""
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
    arch: Architecture, params: Parameters, x: Tensor, state: Tensor | None, masks=None
) -> tuple[Tensor, Tensor | None]:
    """Logits of the next character, by plain torch: the reference for every other backend.

    x: integer codes [S, T], or [S, T, n] contexts for an n-NN. state: [layers, states, S, H].
    masks: dropout, [layers, T, S, H] of 0 or 1/(1-p), multiplied onto each layer's output; the
    recurrence itself is never dropped. Returns logits [S, T, K] and the state after step T.
    """
    if not arch.recurrent:
        return _fixed_context(arch, params, x), None
    kind = cell(arch.type)
    x = x.long().t()  # time first: [T, S]
    inputs, last = None, []
    for layer in range(arch.layers):
        prefix = f"layers.{layer}."
        p = {n.removeprefix(prefix): w for n, w in params.items() if n.startswith(prefix)}
        product = p["w_x"][x] if inputs is None else inputs @ p["w_x"]
        memory, outputs = tuple(state[layer]), []
        for a in (product + p["b"]).unbind(0):
            memory = kind.step(a, memory, p)
            outputs.append(memory[0])
        inputs = torch.stack(outputs)  # [T, S, H]
        if masks is not None:
            inputs = inputs * masks[layer]
        last.append(torch.stack(memory))
    logits = inputs @ params["out.w"] + params["out.b"]
    return logits.transpose(0, 1), torch.stack(last)


def _fixed_context(arch, params, x):
    """One tanh hidden layer on the 1-of-K codes of n characters: a sum of n rows of w_x."""
    S, T, n = x.shape
    x = x.long()
    rows = torch.where(x == NONE, 0, x + arch.symbols * torch.arange(n, device=x.device))
    present = (x != NONE).to(params["w_x"].dtype)
    total = torch.nn.functional.embedding_bag(
        rows.view(S * T, n), params["w_x"], mode="sum", per_sample_weights=present.view(S * T, n)
    )
    logits = torch.tanh(total + params["b"]) @ params["out.w"] + params["out.b"]
    return logits.view(S, T, arch.symbols)
