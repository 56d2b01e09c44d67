"""`charlens check-cell`: does a cell type of the user's own compute what it says?

Types of the package are tested; one in `cells/` of the user's folder is checked here, in a moment,
before a network of it is trained: the shapes of what its functions return, that `step`, `scan` and
`gates_and_state` compute the same, and that numbers and gradients are finite. What is wrong is one
line with the file and the function.
"""

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor

from charlens.errors import InputError
from charlens.networks import cells
from charlens.networks.architecture import Architecture, shapes, state_shapes
from charlens.networks.network import initialise, of_layer
from charlens.store.models import cell_of, file_of
from charlens.store.reading import reason

HIDDEN, STREAMS, STEPS, SYMBOLS = 5, 3, 4, 7
SCALE = 0.3  # of the parameters, which makes states differ from 0
CLOSE = 1e-4  # a relative difference between two ways to compute the same that rounding may make

States = tuple[Tensor, ...]


def check(type: str) -> None:
    """Raise InputError where a cell type is unusable: see above."""
    file = file_of(cell_of(type))
    try:
        kind = cells.cell(type)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{file} cannot be imported ({said(error)}); correct it, or install what it needs"
        ) from error
    try:
        checked(kind, Architecture(cell_of(type), 1, HIDDEN, SYMBOLS))
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def checked(kind, arch: Architecture) -> None:
    """The checks of a cell's module, in a network of one layer."""
    random = torch.Generator().manual_seed(0)
    known = of_layer(shapes_of(kind, arch), 0)
    if hasattr(kind, "initial"):
        for name, value in call(kind, "initial", HIDDEN, random).items():
            if name not in known:
                raise InputError(f"initial: no parameter {name}; there are {', '.join(known)}")
            expect(value, known[name], f"initial: {name}")
    p = of_layer(initialise(arch, SCALE, random), 0)
    p = {name: value.requires_grad_() for name, value in p.items()}
    inputs = torch.randn(STEPS, STREAMS, kind.GATES * HIDDEN, generator=random)
    inputs.requires_grad_()
    wanted = {name: (STREAMS, *shape) for name, shape in state_shapes(arch).items()}
    if getattr(kind, "MEMORY", None) not in (None, *wanted):
        raise InputError(f"MEMORY: no state {kind.MEMORY}; STATES has {', '.join(wanted)}")
    state = before = tuple(torch.zeros(shape) for shape in wanted.values())
    outputs = []
    for a in inputs:
        new = call(kind, "step", a, state, p)
        of_states(new, wanted, "step")
        if hasattr(kind, "gates_and_state"):
            gates(kind, a, state, p, wanted, new)
        state = new
        outputs.append(state[0])
    if hasattr(kind, "scan"):
        window(kind, inputs, before, p, wanted, torch.stack(outputs), state)
    leaves = {"the input's part": inputs, **p}
    loss = torch.stack(outputs).square().sum()
    if not loss.requires_grad:
        raise InputError("step: the output depends neither on the input nor on a parameter")
    found = torch.autograd.grad(loss, leaves.values(), allow_unused=True)
    for name, gradient in zip(leaves, found, strict=True):
        if gradient is not None and not gradient.isfinite().all():
            raise InputError(f"step: the gradient with respect to {name} is not finite")


def shapes_of(kind, arch: Architecture) -> dict[str, tuple[int, ...]]:
    """The shapes of the network's parameters by name."""
    own = call(kind, "recurrent_shapes", HIDDEN)
    if not isinstance(own, dict) or not all(isinstance(shape, tuple) for shape in own.values()):
        raise InputError("recurrent_shapes: expected names and shapes, {name: (hidden, ...)}")
    if taken := {"w_x", "b"} & set(own):
        raise InputError(f"recurrent_shapes: {taken.pop()} is there in every type: leave it out")
    return shapes(arch)


def gates(kind, a, state: States, p, wanted: dict, new: States) -> None:
    """What `gates_and_state` gives at one step. new: the state after it by `step`."""
    where = "gates_and_state"
    given, after = pair(call(kind, where, a, state, p), where, "the gates")
    names = getattr(kind, "GATE_NAMES", ())
    if not isinstance(given, Sequence) or len(given) != len(names):
        raise InputError(f"{where}: expected {len(names)} gates, as GATE_NAMES has")
    for name, gate in zip(names, given, strict=True):
        expect(gate, (STREAMS, HIDDEN), f"{where}: gate {name}")
    as_by_step(after, new, wanted, where)


def window(kind, inputs, before: States, p, wanted: dict, outputs, new: States) -> None:
    """What `scan` gives. outputs, new: the same by `step`."""
    found, after = pair(call(kind, "scan", inputs, before, p), "scan", "the outputs")
    expect(found, tuple(outputs.shape), "scan: the outputs")
    same(found, outputs, "scan: the outputs")
    as_by_step(after, new, wanted, "scan")


def pair(found, where: str, first: str):
    """What a function returns, two values. Raises InputError where it does not."""
    if not isinstance(found, Sequence) or len(found) != 2:
        raise InputError(f"{where}: expected two values, {first} and the new state")
    return found


def call(kind, name: str, *given):
    """What a function of the cell returns. Raises InputError where it fails."""
    try:
        return getattr(kind, name)(*given)
    except Exception as error:
        raise InputError(f"{name}: {said(error)}") from error


def said(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {reason(error)}"


def of_states(found, wanted: dict[str, tuple[int, ...]], where: str) -> None:
    """Raise InputError where these are not tensors of the states' shapes, in a tuple."""
    if not isinstance(found, tuple) or len(found) != len(wanted):
        got = f"{len(found)} values" if isinstance(found, tuple) else type(found).__name__
        names = ", ".join(wanted)
        raise InputError(f"{where}: expected a tuple of the states ({names},), got {got}")
    for (name, shape), value in zip(wanted.items(), found, strict=True):
        expect(value, shape, f"{where}: state {name}")


def expect(value, shape: tuple[int, ...], what: str) -> None:
    """Raise InputError unless the value is a tensor of this shape with finite numbers."""
    if not isinstance(value, Tensor):
        raise InputError(f"{what}: expected a tensor, got {type(value).__name__}")
    if tuple(value.shape) != tuple(shape):
        raise InputError(
            f"{what} is {list(value.shape)}, expected {list(shape)} (checked with {HIDDEN} hidden"
            f" units, {STREAMS} streams, {STEPS} steps)"
        )
    if not value.isfinite().all():
        raise InputError(f"{what} has numbers that are not finite")


def as_by_step(found, new: States, wanted: dict[str, tuple[int, ...]], where: str) -> None:
    """Raise InputError where these are not the states that `step` computes."""
    of_states(found, wanted, where)
    for name, one, other in zip(wanted, found, new, strict=True):
        same(one, other, f"{where}: state {name}")


def same(one: Tensor, by_step: Tensor, what: str) -> None:
    """Raise InputError where two tensors differ by more than rounding."""
    if not torch.allclose(one, by_step, rtol=CLOSE, atol=CLOSE):
        most = (one - by_step).abs().max().item()
        raise InputError(f"{what} is not what step computes: off by up to {most:.2g}")


# ---- the command line ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("type", help="a cell type; one of your own is a file cells/TYPE.py")


def run(args: argparse.Namespace) -> None:
    check(args.type)
    print(f"{file_of(cell_of(args.type))}: usable")
