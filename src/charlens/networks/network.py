"""The character networks of section 3: stacks of recurrent cells. (The n-NN of table 2: see `nn`.)

A network is an `Architecture` and its parameters, a dict of float32 tensors by name. Row vectors
are multiplied from the left (x @ W). With K symbols and H hidden units:

    layers.{l}.w_x  [I, G*H]    the input's part of layer l: I = K for l = 0, else H
    layers.{l}.b    [G*H]
    layers.{l}.w_h  [H, ...]    the recurrent part, and whatever else the cell type names
    out.w [H, K]    out.b [K]   the softmax classifier on the top layer's h

A network with the block (see `block`) also has

    embed.w [K, H]              what enters the first layer, whose w_x is [H, G*H] then
    layers.{l}.block...         the normalisation and the MLP of each layer
    out.norm [H]                the last normalisation

The state of a recurrent network is one tensor, [layers, rows, S, H]: a row for each state of the
cell type, or, for one of another shape than [H], as many as its numbers fill. (So the states of the
paper's cells are [layers, states, S, H].)

The input of the first layer is 1-of-K, so x @ w_x (or x @ embed.w) is a row of it: a lookup.
"""

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from charlens.networks import block, nn
from charlens.networks.architecture import Architecture, shapes, state_rows, state_shapes
from charlens.networks.cells import cell

Parameters = dict[str, Tensor]
Recorder = Callable[[int, int, dict[str, Tensor]], None]  # layer, step, values [S, H] by name


def initialise(arch: Architecture, scale: float, generator: torch.Generator) -> Parameters:
    """Initial parameters, shaped as in `shapes`: all uniform in [-scale, scale] (section 4.1), but
    for those that the cell type begins otherwise (`initial`), and the block's gains, which are 1.
    """
    params = {
        name: torch.empty(shape).uniform_(-scale, scale, generator=generator)
        for name, shape in shapes(arch).items()
    }
    if arch.recurrent and hasattr(cell(arch.type), "initial"):
        for layer in range(arch.layers):
            for name, value in cell(arch.type).initial(arch.hidden, generator).items():
                params[f"layers.{layer}.{name}"] = value
    for name, value in params.items():
        if name == "out.norm" or name.partition(".block.")[2].endswith("norm"):
            value.fill_(1)
    return params


def zero_state(arch: Architecture, streams: int) -> Tensor | None:
    """The state before a stream's first character: [layers, rows, S, H] zeros; None for n-NN."""
    if not arch.recurrent:
        return None
    return torch.zeros(arch.layers, sum(state_rows(arch)), streams, arch.hidden)


def unpacked(arch: Architecture, rows: Tensor) -> tuple[Tensor, ...]:
    """The states of a layer, [S, H] or [S, ...], from their rows [rows, S, H]."""
    states = []
    parts = rows.split(state_rows(arch))
    for part, shape in zip(parts, state_shapes(arch).values(), strict=True):
        if shape == (arch.hidden,):
            states.append(part[0])
        else:
            numbers = part.transpose(0, 1).flatten(1)[:, : math.prod(shape)]
            states.append(numbers.unflatten(1, shape))
    return tuple(states)


def packed(arch: Architecture, states: tuple[Tensor, ...]) -> Tensor:
    """The rows [rows, S, H] of a layer's states: the inverse of `unpacked`."""
    rows = []
    for state, count in zip(states, state_rows(arch), strict=True):
        if state.shape[1:] == (arch.hidden,):
            rows.append(state[None])
        else:
            numbers = state.flatten(1)
            numbers = pad(numbers, (0, count * arch.hidden - numbers.shape[1]))
            rows.append(numbers.unflatten(1, (count, arch.hidden)).transpose(0, 1))
    return torch.cat(rows)


def forward(
    arch: Architecture,
    params: Parameters,
    x: Tensor,
    state: Tensor | None,
    masks: Tensor | None = None,
    record: Recorder | None = None,
    scan: Callable | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Logits of the next character, by plain torch: the reference for every other backend.

    x: integer codes [S, T]; for an n-NN the contexts [S, T, n], K or more where there is no
    character.
    state: [layers, rows, S, H], None for an n-NN. masks, record, scan: see `stack`.
    Returns logits [S, T, K] and the state after step T.
    """
    x = x.long()
    if not arch.recurrent:
        return nn.forward(params, x), None
    first = params[looked_up(arch)][x.t()]
    logits, after = stack(arch, params, first, state, masks, record, scan=scan)
    return logits.transpose(0, 1), after


def looked_up(arch: Architecture) -> str:
    """The parameter of which the first character's code is a row."""
    return "embed.w" if arch.block else "layers.0.w_x"


def entering(arch: Architecture, params: Parameters, below: Tensor) -> Tensor:
    """What `stack` takes where the first layer stands above another, with output [T, S, H]."""
    return below if arch.block else below @ params["layers.0.w_x"]


def stack(
    arch: Architecture,
    params: Parameters,
    entering: Tensor,
    state: Tensor,
    masks: Tensor | None = None,
    record: Recorder | None = None,
    outputs: list[Tensor] | None = None,
    scan: Callable | None = None,
) -> tuple[Tensor, Tensor]:
    """The recurrent layers and the classifier (section 3), given the first layer's x @ w_x or, with
    the block, the embedded characters.

    Time comes first in all shapes.

    entering: [T, S, G*H] or, with the block, [T, S, H]. state: [layers, rows, S, H].
    masks: dropout, [layers, T, S, H] of 0 or 1/(1-p), multiplied onto each cell's output; the
    recurrence itself is never dropped.
    record: called as record(layer, step, values) after each step of each layer, with every gate
    [S, H] and state by name. The recorded values are the same bits however a text is cut into
    windows. Where it puts another tensor in the place of a state, the network continues from that.
    outputs: a list to which the output of each layer is added, [T, S, H].
    scan: computes a layer's window in place of `window`, but not with a recorder.
    Returns logits [T, S, K] and the state after step T. Raises InputError where there is no such
    cell type.
    """
    kind = cell(arch.type)
    scan = scan or functools.partial(window, kind)
    inputs, last = entering, []  # inputs: of a layer, [T, S, H]; of a bare first one, its product

    def rows(function, *tensors):
        """A function of rows, for all steps; with a recorder step by step, since the bits of a
        product depend on how many rows it has."""
        if record is None:
            return function(*tensors)
        return torch.stack([function(*step) for step in zip(*tensors, strict=True)])

    for layer in range(arch.layers):
        p = of_layer(params, layer)
        if arch.block:
            product = rows(lambda u, p=p: block.normalised(u, p["block.norm"]) @ p["w_x"], inputs)
        elif layer:
            product = rows(lambda u, p=p: u @ p["w_x"], inputs)
        else:
            product = inputs
        product, before = product + p["b"], unpacked(arch, state[layer])
        if record is None:
            h, after = scan(product, before, p)
        else:
            h, after = _recorded(kind, product, before, p, layer, record)
        if masks is not None:
            h = h * masks[layer]
        inputs = rows(lambda u, h, p=p: block.after_cell(u, h, p), inputs, h) if arch.block else h
        if outputs is not None:
            outputs.append(inputs)
        last.append(packed(arch, after))
    if arch.block:
        inputs = block.normalised(inputs, params["out.norm"])
    return inputs @ params["out.w"] + params["out.b"], torch.stack(last)


def of_layer(params: Parameters, layer: int) -> Parameters:
    """A layer's parameters by their names within it, such as w_x."""
    prefix = f"layers.{layer}."
    return {n.removeprefix(prefix): w for n, w in params.items() if n.startswith(prefix)}


def window(kind, inputs: Tensor, state, p: Parameters, step: Callable | None = None):
    """A layer over a window: its outputs [T, S, H] and the states after it.

    kind: the cell type. inputs: x W_x + b, [T, S, G*H]. state: a tuple, as in the type's STATES.
    step: in place of the type's own, where it has no scan.
    """
    if hasattr(kind, "scan"):
        return kind.scan(inputs, state, p)
    step, outputs = step or kind.step, []
    for a in inputs.unbind(0):
        state = step(a, state, p)
        outputs.append(state[0])
    return torch.stack(outputs), state


def _recorded(kind, inputs, state, p, layer, record):
    """The same step by step, with a recorder, which may replace a state."""
    outputs = []
    for step, a in enumerate(inputs.unbind(0)):
        values = _observed_step(kind, a, state, p)
        record(layer, step, values)
        state = tuple(values[name] for name in kind.STATES)
        outputs.append(state[0])
    return torch.stack(outputs), state


def _observed_step(kind, a, memory, p):
    """One step of a cell type: every gate and state after it, by name."""
    if hasattr(kind, "gates_and_state"):
        gates, memory = kind.gates_and_state(a, memory, p)
        values = dict(zip(kind.GATE_NAMES, gates, strict=True))
    else:
        memory, values = kind.step(a, memory, p), {}
    return values | dict(zip(kind.STATES, memory, strict=True))
