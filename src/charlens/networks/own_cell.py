"""`charlens check-cell`: does a cell type of the user's own compute what it says?

Types of the package are tested; one in `cells/` of the user's folder is checked here, in a moment,
before a network of it is trained: the shapes of what its functions return, that `step`, `scan`,
`gates_and_state` and `output` compute the same, from any state and with the same gradients, that
streams do not mix, that all parameters are used, that nothing but the seed decides what is drawn,
and that numbers are finite. What is wrong is one line with the file and the function.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from charlens.errors import InputError
from charlens.networks import cells
from charlens.networks.architecture import Architecture, shapes, state_shapes
from charlens.networks.network import initialise, of_layer
from charlens.store.models import cell_of, check_type, file_of
from charlens.store.reading import reason

SHAPES = ((5, 3), (6, 4))  # hidden units and streams
STEPS, SYMBOLS = 4, 7
SCALE = 0.3  # of the parameters, which makes states differ from 0
CLOSE = 1e-4  # a relative difference between two ways to compute the same that rounding may make

States = tuple[Tensor, ...]


def check(type: str) -> None:
    """Raise InputError where a cell type is unusable: see above."""
    check_type(type)
    file = file_of(cell_of(type))
    try:
        kind = cells.cell(type)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{file} cannot be imported ({said(error)}); correct it, or install what it needs"
        ) from error
    if hasattr(kind, "scan") and not cells.reads_windows(type):
        raise InputError(f"{file}: scan: define it in the file, or import it by name")
    for hidden, streams in SHAPES:
        try:
            checked(kind, Architecture(cell_of(type), 1, hidden, SYMBOLS), streams)
        except InputError as error:
            shape = f"{hidden} hidden units, {streams} streams, {STEPS} steps"
            raise InputError(f"{file}: {error} (checked with {shape})") from None


def checked(kind, arch: Architecture, streams: int) -> None:
    """The checks of a cell's module, in a network of one layer."""
    random = torch.Generator().manual_seed(0)
    form(kind)
    known = of_layer(shapes_of(kind, arch), 0)
    if hasattr(kind, "initial"):
        initial(kind, arch.hidden, known)
    p = of_layer(initialise(arch, SCALE, random), 0)
    p = {name: value.requires_grad_() for name, value in p.items()}
    inputs = torch.randn(STEPS, streams, kind.GATES * arch.hidden, generator=random)
    inputs.requires_grad_()
    wanted = {name: (streams, *shape) for name, shape in state_shapes(arch).items()}
    names(arch.type, wanted)
    state, before, outputs = tuple(torch.zeros(shape) for shape in wanted.values()), [], []
    for a in inputs:
        new = call(kind, "step", a, state, p)
        of_states(new, wanted, "step")
        if not torch.equal(call(kind, "step", a, state, p)[0], new[0]):
            raise InputError("step: gives another output when it is called again: it must not draw")
        if hasattr(kind, "gates_and_state"):
            gates(kind, arch.type, a, state, p, wanted, new)
        before.append(state)
        state = new
        outputs.append(state[0])
    bounded(arch.type, dict(zip(wanted, state, strict=True)))
    apart(kind, inputs[-1], before[-1], state, p)
    leaves = {"the input's part": inputs, **p}
    outputs = torch.stack(outputs)
    by_step = gradients(outputs, leaves, "step", used=kind.recurrent_shapes(arch.hidden))
    if hasattr(kind, "scan"):
        found = window(kind, inputs, before, p, wanted, outputs, state)
        for name, gradient in gradients(found, leaves, "scan").items():
            same(gradient, by_step[name], f"scan: the gradient with respect to {name}")


def form(kind) -> None:
    """That GATES is a number and STATES has names."""
    if type(kind.GATES) is not int or kind.GATES < 1:
        raise InputError(f"GATES: expected a whole number of 1 or more, got {kind.GATES!r}")
    states = kind.STATES
    named = isinstance(states, tuple | list) and all(isinstance(name, str) for name in states)
    if not named or not states:
        raise InputError(f'STATES: expected names, the output first: ("h", "c"), got {states!r}')


def initial(kind, hidden: int, known: dict[str, tuple[int, ...]]) -> None:
    """What `initial` gives: parameters that there are, the same ones for a generator's seed."""
    found = [call(kind, "initial", hidden, torch.Generator().manual_seed(0)) for _ in range(2)]
    for name, value in found[0].items():
        if name not in known:
            raise InputError(f"initial: no parameter {name}; there are {', '.join(known)}")
        expect(value, known[name], f"initial: {name}")
        if not torch.equal(value, found[1][name]):
            raise InputError(f"initial: {name} differs from call to call: draw with the generator")


def names(type: str, wanted: Iterable[str]) -> None:
    """What the file says of single units: its memory and gates. wanted: the names of the states."""
    memory = cells.memory(type)
    if memory not in (None, *wanted):
        raise InputError(f"MEMORY: no state {memory}; STATES has {', '.join(wanted)}")
    if memory not in (None, *cells.unit_states(type)):
        raise InputError(
            f"MEMORY: state {memory} is not one number per unit; name another, or write MEMORY ="
            " None"
        )
    of_gates = cells.gate_names(type)
    if twice := [name for name in of_gates if of_gates.count(name) > 1 or name in wanted]:
        raise InputError(f"GATE_NAMES: {twice[0]} is the name of another gate or of a state")


def bounded(type: str, state: dict[str, Tensor]) -> None:
    """That the memory is within -1 and 1 where the file says so. state: after some steps."""
    memory = cells.memory(type)
    if memory is not None and not cells.unbounded(type):
        most = state[memory].abs().max().item()
        if most > 1 + CLOSE:
            raise InputError(f"step: {memory} reaches {most:.2g}; write BOUNDED = False")


def apart(kind, a: Tensor, state: States, new: States, p) -> None:
    """That the first stream goes on beside others as beside copies of itself. new: the state after
    the step."""
    a, *copies = (every[:1].expand_as(every) for every in (a, *state))
    found = call(kind, "step", a, tuple(copies), p)
    for name, one, other in zip(kind.STATES, found, new, strict=True):
        same(one[0], other[0], f"step: beside other streams, state {name}")


def gradients(
    outputs: Tensor, leaves: dict[str, Tensor], where: str, used: Iterable[str] = ()
) -> dict[str, Tensor]:
    """The gradients of a function of the outputs; 0 where there are none. used: the leaves that
    must have one."""
    loss = outputs.square().sum()
    if not loss.requires_grad:
        raise InputError(f"{where}: the output depends neither on the input nor on a parameter")
    found = torch.autograd.grad(loss, leaves.values(), retain_graph=True, allow_unused=True)
    made = {}
    for (name, leaf), gradient in zip(leaves.items(), found, strict=True):
        if gradient is None and name in used:
            raise InputError(
                f"{where}: does not use {name}: use it, or leave it out of recurrent_shapes"
            )
        made[name] = torch.zeros_like(leaf) if gradient is None else gradient
        if not made[name].isfinite().all():
            raise InputError(f"{where}: the gradient with respect to {name} is not finite")
    return made


def shapes_of(kind, arch: Architecture) -> dict[str, tuple[int, ...]]:
    """The shapes of the network's parameters by name."""
    own = call(kind, "recurrent_shapes", arch.hidden)
    if not isinstance(own, dict) or not all(isinstance(shape, tuple) for shape in own.values()):
        raise InputError("recurrent_shapes: expected names and shapes, {name: (hidden, ...)}")
    if taken := {"w_x", "b"} & set(own):
        raise InputError(f"recurrent_shapes: {taken.pop()} is there in every type: leave it out")
    return shapes(arch)


def gates(kind, type: str, a, state: States, p, wanted: dict, new: States) -> None:
    """What `gates_and_state` and `output` give at one step. new: the state after it by `step`."""
    where = "gates_and_state"
    given, after = pair(call(kind, where, a, state, p), where, "the gates")
    of_gates = cells.gate_names(type)
    if not isinstance(given, Sequence) or len(given) != len(of_gates):
        raise InputError(f"{where}: expected {len(of_gates)} gates, as GATE_NAMES has")
    for name, gate in zip(of_gates, given, strict=True):
        expect(gate, new[0].shape, f"{where}: gate {name}")
        least = -1 if name == cells.CANDIDATE else 0
        if gate.min() < least - CLOSE or gate.max() > 1 + CLOSE:
            raise InputError(
                f"{where}: gate {name} is not between {least} and 1; a candidate is called"
                f" {cells.CANDIDATE}"
            )
    as_by_step(after, new, wanted, where)
    memory = cells.memory(type)
    if hasattr(kind, "output") and memory is not None:
        found = call(kind, "output", tuple(given), new[list(wanted).index(memory)])
        expect(found, new[0].shape, "output")
        same(found, new[0], "output")


def window(kind, inputs, before: list[States], p, wanted: dict, outputs, new: States) -> Tensor:
    """The outputs that `scan` gives, in two pieces. before: the states before each step; outputs,
    new: those by `step`."""
    parts, state = [], before[0]
    for begin, end in ((0, STEPS // 2), (STEPS // 2, STEPS)):
        found, state = pair(call(kind, "scan", inputs[begin:end], state, p), "scan", "the outputs")
        expect(found, tuple(outputs[begin:end].shape), "scan: the outputs")
        same(found, outputs[begin:end], "scan: the outputs")
        as_by_step(state, before[end] if end < STEPS else new, wanted, "scan")
        parts.append(found)
    return torch.cat(parts)


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
        raise InputError(f"{what} is {list(value.shape)}, expected {list(shape)}")
    if value.dtype != torch.float32:
        raise InputError(f"{what} is of {value.dtype}, expected torch.float32")
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
    type = Path(args.type).stem if args.type.endswith(".py") else args.type
    check(type)
    print(f"{file_of(cell_of(type))}: usable")
