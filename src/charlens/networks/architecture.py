"""Network architectures, the shapes of their parameters, and parameter budgets (section 4.1)."""

import math
from dataclasses import dataclass

from charlens.networks.cells import cell
from charlens.store.models import cell_of, has_block


@dataclass(frozen=True)
class Architecture:
    """The architecture of a network. `type` is the name of a cell type, with what is added to it
    (see `store.models.VARIANTS`), or "nn" for the n-NN.

    layers: recurrent layers (1 for the n-NN). hidden: units per layer, H. symbols: size of the
    alphabet, K. context: the n of an n-NN (0 for a recurrent network).
    """

    type: str
    layers: int
    hidden: int
    symbols: int
    context: int = 0

    @property
    def recurrent(self) -> bool:
        """Whether this is a recurrent network, not an n-NN."""
        return self.context == 0

    @property
    def cell(self) -> str:
        """The cell type alone."""
        return cell_of(self.type)

    @property
    def block(self) -> bool:
        """Whether each cell stands in a block (see `networks.block`)."""
        return has_block(self.type)


def shapes(arch: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter, in the order in which they are drawn (see `network`).

    Raises InputError where there is no such cell type.
    """
    K, H = arch.symbols, arch.hidden
    if not arch.recurrent:
        return {"w_x": (arch.context * K, H), "b": (H,), "out.w": (H, K), "out.b": (K,)}
    kind = cell(arch.type)
    named = {"embed.w": (K, H)} if arch.block else {}
    for layer in range(arch.layers):
        named[f"layers.{layer}.w_x"] = (H if layer or arch.block else K, kind.GATES * H)
        named[f"layers.{layer}.b"] = (kind.GATES * H,)
        for name, shape in kind.recurrent_shapes(H).items():
            named[f"layers.{layer}.{name}"] = shape
        if arch.block:
            for name, shape in block_shapes(H).items():
                named[f"layers.{layer}.block.{name}"] = shape
    named |= {"out.norm": (H,)} if arch.block else {}
    return named | {"out.w": (H, K), "out.b": (K,)}


def block_shapes(hidden: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters of a block by name (see `networks.block`); hidden: H."""
    M = 2 * hidden  # the width of the MLP
    return {"norm": (hidden,), "mlp_norm": (hidden,), "w_in": (hidden, 2 * M), "w_out": (M, hidden)}


def state_shapes(arch: Architecture) -> dict[str, tuple[int, ...]]:
    """Name and shape, without the streams, of every state of a layer. Raises as `shapes`."""
    kind = cell(arch.type)
    own = kind.state_shapes(arch.hidden) if hasattr(kind, "state_shapes") else {}
    return {name: own.get(name, (arch.hidden,)) for name in kind.STATES}


def state_rows(arch: Architecture) -> list[int]:
    """How many H-wide rows the network's state has for each state of a layer (see `network`)."""
    return [math.ceil(math.prod(shape) / arch.hidden) for shape in state_shapes(arch).values()]


def count(arch: Architecture) -> int:
    """The number of parameters, biases included. Raises InputError as `shapes` does."""
    return sum(math.prod(shape) for shape in shapes(arch).values())


def hidden_size(type: str, layers: int, size: int, symbols: int) -> int:
    """Hidden units per layer that bring a network closest to the budget of its row of table 1.

    The budget is the parameter count of a one-layer LSTM with `size` hidden units (section 4.1).
    Raises InputError as `shapes` does.
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
