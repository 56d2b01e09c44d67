"""The character models: stacks of recurrent cells, and the n-NN with its fixed context.

A model is an `Architecture` and its parameters, a dict of float32 tensors by name. Row vectors
are multiplied from the left (x @ W). With K symbols and H hidden units:

    layers.{l}.w_x  [I, G*H]    the input's part of layer l: I = K for l = 0, else H
    layers.{l}.b    [G*H]
    layers.{l}.w_h  [H, ...]    the recurrent part and whatever else the cell names
    out.w [H, K]    out.b [K]   the softmax classifier on the top layer's h

The input of the first layer is 1-of-K, so x @ w_x is a row of w_x: a lookup.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor

from charlens.cells import cell
from charlens.errors import InputError
from charlens.files import write_atomically
from charlens.select import about
from charlens.split import NONE

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class Architecture:
    """What a model is made of. `type` is a recurrent cell's name, or "nn" for the n-NN.

    layers: recurrent layers (1 for the n-NN); context: the n of an n-NN (0 for a recurrent one).
    """

    type: str
    layers: int
    hidden: int
    symbols: int
    context: int = 0

    @property
    def recurrent(self) -> bool:
        return self.context == 0


def shapes(arch: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter, in the order in which they are drawn."""
    K, H = arch.symbols, arch.hidden
    if not arch.recurrent:
        return {"w_x": (arch.context * K, H), "b": (H,), "out.w": (H, K), "out.b": (K,)}
    kind = cell(arch.type)
    named = {}
    for layer in range(arch.layers):
        named[f"layers.{layer}.w_x"] = (H if layer else K, kind.GATES * H)
        named[f"layers.{layer}.b"] = (kind.GATES * H,)
        for name, shape in kind.recurrent_shapes(H).items():
            named[f"layers.{layer}.{name}"] = shape
    return named | {"out.w": (H, K), "out.b": (K,)}


def count(arch: Architecture) -> int:
    """Number of parameters, biases included."""
    return sum(torch.Size(shape).numel() for shape in shapes(arch).values())


def hidden_size(type: str, layers: int, size: int, symbols: int) -> int:
    """Hidden units per layer that bring a model closest to the parameter budget of its row.

    The budget is the parameter count of a one-layer LSTM with `size` cells (section 4.1).
    """
    budget = count(Architecture("lstm", 1, size, symbols))

    def excess(hidden):
        return count(Architecture(type, layers, hidden, symbols)) - budget

    low, high = 1, 2
    while excess(high) < 0:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return min(low, high, key=lambda hidden: abs(excess(hidden)))


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


def save(path: Path, params: Parameters, described: dict) -> None:
    """Write a self-contained model file: float32 tensors and `described` as its metadata.

    `described` holds the architecture's fields, the alphabet (hex) and how the model came to be.
    """
    # safetensors wants contiguous tensors of their own
    tensors = {name: value.detach().cpu().contiguous() for name, value in params.items()}
    write_atomically(path, serialize(tensors, metadata={"charlens": json.dumps(described)}))


def load(path: Path) -> tuple[Architecture, Parameters, dict]:
    """Read what `save` wrote. Raises InputError where the file is missing or is not one of ours."""
    described = about(path)
    try:
        params = {name: value.float() for name, value in load_file(path).items()}  # or half
    except SafetensorError as error:
        raise InputError(f"{path}: damaged ({error}); train it again, or bring it back") from None
    return architecture(described), params, described


def architecture(described: dict) -> Architecture:
    """The architecture that a model file's metadata describes."""
    return Architecture(**{field: described[field] for field in asdict(Architecture("", 0, 0, 0))})
