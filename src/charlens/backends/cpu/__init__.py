"""The compiled CPU backend: stacks of recurrent layers, bare or in blocks, the n-NN, and the scan
of Mamba (which `charlens.backends.mamba` calls). See README.md here.

Same equations, parameter names and gradients as plain torch (charlens.networks), several times as
fast. One thread; the same inputs give the same bits. Scores are float32. Gradients and validation
losses come from products of bfloat16 with float32 sums where the processor has them, unless the
network and its window are small, or the window long (trains_in_float32).
"""

import ctypes
import math
import weakref
from typing import TYPE_CHECKING

import numpy as np

from charlens.backends.cpu import build
from charlens.errors import InputError
from charlens.networks import arrays

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("rnn", "lstm", "gru", "mingru", "minlstm", "rglru", "slstm", "nn")  # Kind in workspace.h
GATES = {"rnn": 1, "lstm": 4, "gru": 3, "mingru": 2, "minlstm": 3, "rglru": 3, "slstm": 4}
STATES = {"lstm": 2, "slstm": 4}  # of the others 1
# These networks train in float32 on every path (README.md, "Exactness"): all with at most
# FLOAT32_UNITS units, and those with fewer than BFLOAT16_UNITS in windows of fewer than
# BFLOAT16_WINDOW characters (streams x steps). Over so few units and characters the rounding errors
# of bfloat16 do not average out.
FLOAT32_UNITS = 32
BFLOAT16_UNITS = 64
BFLOAT16_WINDOW = 8000
BFLOAT16_UNROLL = 200  # steps; in longer windows all networks train in float32

# The largest sizes. With these the library's indices cannot overflow (Sizes in workspace.h checks
# the same), whatever memory there is.
LIMITS = {
    "layers": 2**10,
    "hidden": 2**16,
    "streams": 2**24,
    "unroll": 2**24,
    "context": 2**10,
}
MAX_WINDOW = 2**27  # (streams + 1) x (unroll + 1)
MAX_SYMBOLS = 2**16 - 1  # codes are uint16, and the largest is none


def trains_in_float32(hidden: int, streams: int, unroll: int) -> bool:
    """Whether a network is too small to train in bfloat16 (see FLOAT32_UNITS), or its window has
    more than BFLOAT16_UNROLL steps.

    Where products are bfloat16, what a gradient is multiplied by from step to step (an LSTM's f, a
    GRU's 1 - z) is kept in half precision. Near 1 that is off by up to 2.4e-4 a step, always to the
    same side where the gate is constant, so that the error grows with the steps.
    """
    small_window = streams * unroll < BFLOAT16_WINDOW
    small = hidden <= FLOAT32_UNITS or (hidden < BFLOAT16_UNITS and small_window)
    return small or unroll > BFLOAT16_UNROLL


def check_sizes(
    kind: str,
    layers: int,
    hidden: int,
    symbols: int,
    streams: int,
    unroll: int,
    context: int = 0,
    block: bool = False,
) -> None:
    """Raises ValueError that names the argument if a kind is unknown or a size out of range."""
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    sizes = {
        "layers": layers,
        "hidden": hidden,
        "streams": streams,
        "unroll": unroll,
        "context": context,
    }
    for name, size in sizes.items():
        least, most = (0, 0) if name == "context" and kind != "nn" else (1, LIMITS[name])
        if not least <= size <= most:
            raise ValueError(f"{name}: expected {least} to {most} for kind {kind}, got {size}")
    if block and kind == "nn":
        raise ValueError("block: expected False for kind nn, got True")
    if not 2 <= symbols <= MAX_SYMBOLS:
        raise ValueError(f"symbols: expected 2 to {MAX_SYMBOLS} for kind {kind}, got {symbols}")
    if (streams + 1) * (unroll + 1) > MAX_WINDOW:
        raise ValueError(
            f"streams x unroll: expected less than {MAX_WINDOW} characters,"
            f" got {streams} x {unroll}"
        )


def status() -> tuple[str | None, str]:
    """The path in use, or None (then the reference takes over), and one line that says why.

    $CHARLENS_ISA selects it: auto (the default), amx, avx512bf16, avx512, avx2, neon or
    reference. Compiles on first use (seconds). Raises InputError if $CHARLENS_ISA is none of these.
    """
    return build.best_path(build.choice())


def parameter_shapes(
    kind: str, layers: int, hidden: int, symbols: int, context: int = 0, block: bool = False
) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter by name, in the library's order."""
    shapes = {"embed.w": (symbols, hidden)} if block else {}
    if kind == "nn":
        shapes["w_x"] = (context * symbols, hidden)
        shapes["b"] = (hidden,)
    else:
        width = GATES[kind] * hidden
        for layer in range(layers):
            looked_up = layer == 0 and not block
            shapes[f"layers.{layer}.w_x"] = (symbols if looked_up else hidden, width)
            shapes[f"layers.{layer}.b"] = (width,)
            for name, shape in recurrent_shapes(kind, hidden).items():
                shapes[f"layers.{layer}.{name}"] = shape
            if block:
                for name, shape in block_shapes(hidden).items():
                    shapes[f"layers.{layer}.block.{name}"] = shape
    if block:
        shapes["out.norm"] = (hidden,)
    shapes["out.w"] = (hidden, symbols)
    shapes["out.b"] = (symbols,)
    return shapes


def recurrent_shapes(kind: str, hidden: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a layer's parameters beside w_x and b, as the library has them, whatever the file
    of the cell type says by now."""
    if kind == "gru":
        return {"w_h": (hidden, 2 * hidden), "w_g": (hidden, hidden), "b_g": (hidden,)}
    if kind in ("mingru", "minlstm"):
        return {}
    if kind == "rglru":
        return {"lambda": (hidden,)}
    return {"w_h": (hidden, GATES[kind] * hidden)}


def block_shapes(hidden: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters of a layer's block, as the library has them."""
    M = 2 * hidden
    return {"norm": (hidden,), "mlp_norm": (hidden,), "w_in": (hidden, 2 * M), "w_out": (M, hidden)}


def address(
    tensor: "np.ndarray | Tensor",
    shape: tuple[int, ...],
    name: str,
    dtype=np.float32,
    written: bool = False,
) -> int:
    """The address of a tensor's data, once it was checked.

    written: whether the library writes it. Raises ValueError that names it where it is no tensor,
    has another shape or type, is not contiguous or not on the CPU, or is to be written and may not
    be.
    """
    if not isinstance(tensor, np.ndarray) and not hasattr(tensor, "device"):
        raise ValueError(f"{name}: expected a tensor, got {type(tensor).__name__}")
    on_cpu = isinstance(tensor, np.ndarray) or tensor.device.type == "cpu"
    array = arrays.on_host(tensor)
    if not on_cpu or array.dtype != dtype or not array.flags.c_contiguous:
        raise ValueError(f"{name}: expected a contiguous {np.dtype(dtype)} CPU tensor")
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    if written and not array.flags.writeable:
        raise ValueError(f"{name}: expected an array that may be written; give a copy")
    return array.ctypes.data


def like(params, array: np.ndarray) -> "np.ndarray | Tensor":
    """The array, as a tensor of torch where the parameters are such."""
    if all(isinstance(value, np.ndarray) for value in params.values()):
        return array
    import torch

    return torch.from_numpy(array)


class Network:
    """A network's workspace: S streams, at most `unroll` steps at a time; it holds no weights.

    kind: one of KINDS. layers, hidden: of the stack (an n-NN has one hidden layer).
    symbols: K, 2 to MAX_SYMBOLS. context: the n of an n-NN, else 0. block: whether each cell stands
    in a block (`networks.block`). LIMITS: largest sizes.

    Tensors are of numpy or, on the CPU, of torch; log-probabilities come as the parameters do.
    Shapes of the methods' arguments (T <= unroll):
        params, grads, squares
                       dict name -> float32 tensor, see parameter_shapes
        x, y           uint8 or uint16 [S, T]; x of an n-NN [S, T, n], oldest character first,
                       255 or 65,535 where there is none
        state          float32 [layers, states, S, H], states as in STATES, h first, then an LSTM's
                       c or an sLSTM's c, n and m; updated in place to the state after the last
                       step. None for an n-NN
        dropout        None, or (bits, scale), see `base.Dropout`: the mask, uint8
                       [layers, T, S, 2 ceil(H / 16)], and the factor on the outputs that it keeps

    One call at a time per Network; several Networks may run in parallel threads. Raises ValueError
    on a wrong shape, type or code, InputError where the backend is unavailable, and MemoryError
    where the workspace does not fit.
    """

    def __init__(
        self,
        kind: str,
        layers: int,
        hidden: int,
        symbols: int,
        streams: int,
        unroll: int,
        context: int = 0,
        block: bool = False,
    ):
        check_sizes(kind, layers, hidden, symbols, streams, unroll, context, block)
        self.kind, self.layers, self.hidden, self.symbols = kind, layers, hidden, symbols
        self.streams, self.unroll, self.context = streams, unroll, context
        self.block = block
        self.shapes = parameter_shapes(kind, layers, hidden, symbols, context, block)
        self.states = STATES.get(kind, 1)
        isa, why = status()
        if isa is None:
            raise InputError(f"the compiled CPU backend is unavailable: {why}; use the reference")
        self.isa, self._workspaces, self._grads = isa, {}, {}
        self._float32 = trains_in_float32(hidden, streams, unroll)

    def loss_and_grads(self, params, x, y, state, dropout, grads) -> float:
        """Mean of -log p in nats per character; grads are overwritten.

        The gradient is that of -log p, summed over steps and averaged over streams, unclipped. It
        stops at the incoming state (truncated backpropagation).
        """
        return self._run(params, x, y, state, dropout=dropout, grads=grads, exact=False)

    def update(self, params, squares, x, y, state, dropout, rate: float, recipe) -> float:
        """One window and one step of RMSProp (section 4.1) at learning rate `rate`.

        recipe: charlens.training.recipe.RMSProp. params and squares, the optimizer's mean squares,
        are updated in place. Returns the loss before the step, as loss_and_grads does.
        """
        if not self._grads:
            self._grads = {name: np.zeros(shape, np.float32) for name, shape in self.shapes.items()}
        of_params, of_squares = (self._addresses(each, written=True) for each in (params, squares))
        loss = self.loss_and_grads(params, x, y, state, dropout, self._grads)
        sizes = (ctypes.c_size_t * len(self.shapes))(*map(math.prod, self.shapes.values()))
        build.library(self.isa).charlens_rmsprop(
            len(self.shapes),
            of_params,
            self._addresses(self._grads),
            of_squares,
            sizes,
            rate,
            recipe.smoothing,
            1 - recipe.smoothing,
            recipe.epsilon,
            recipe.clip,
        )
        return loss

    def log_probs(self, params, x, state=None) -> "np.ndarray | Tensor":
        """Natural log-probabilities [S, T, K] of every symbol after each character of x."""
        out = np.empty((self.streams, x.shape[1], self.symbols), np.float32)
        self._run(params, x, None, state, log_probs=out)
        return like(params, out)

    def target_log_probs(self, params, x, y, state=None, exact: bool = True):
        """Natural log-probabilities [S, T] of the characters y.

        exact: in float32; otherwise as precisely as in training, which may be several times as
        fast.
        """
        out = np.empty((self.streams, x.shape[1]), np.float32)
        self._run(params, x, y, state, targets=out, exact=exact)
        return like(params, out)

    def _run(
        self,
        params,
        x,
        y,
        state,
        *,
        exact: bool = True,
        dropout=None,
        grads=None,
        log_probs=None,
        targets=None,
    ) -> float:
        S, H, steps = self.streams, self.hidden, x.shape[1]
        if not 1 <= steps <= self.unroll:
            raise ValueError(f"expected 1 to {self.unroll} steps, got {steps}")
        recurrent = self.kind != "nn"
        x = self._codes(
            x, (S, steps) if recurrent else (S, steps, self.context), "x", not recurrent
        )
        y = None if y is None else self._codes(y, (S, steps), "y")
        if recurrent:
            state = address(state, (self.layers, self.states, S, H), "state", written=True)
        elif state is not None or dropout is not None:
            raise ValueError("an n-NN takes no state and no dropout")
        bits, scale = dropout or (None, 1.0)
        if bits is not None:
            shape = (self.layers, steps, S, 2 * math.ceil(H / 16))
            bits = address(bits, shape, "dropout", np.uint8)
        in_float32 = exact or self._float32
        library, workspace = self._workspace(build.float32(self.isa) if in_float32 else self.isa)
        return library.charlens_run(
            workspace,
            self._addresses(params),
            None if grads is None else self._addresses(grads, written=True),
            x.ctypes.data,
            None if y is None else y.ctypes.data,
            steps,
            state,
            bits,
            scale,
            None if log_probs is None else log_probs.ctypes.data,
            None if targets is None else targets.ctypes.data,
        )

    def _workspace(self, isa: str) -> tuple[ctypes.CDLL, int]:
        """The library of a path, and its workspace for this network; created once."""
        if isa not in self._workspaces:
            library = build.library(isa)
            sizes = (self.layers, self.hidden, self.symbols, self.streams, self.unroll)
            made = library.charlens_create(KINDS.index(self.kind), *sizes, self.context, self.block)
            if not made:
                raise MemoryError(
                    f"no memory for the workspace of {self.kind}"
                    f" {self.layers} x {self.hidden}, {self.streams} streams x {self.unroll} steps"
                )
            weakref.finalize(self, library.charlens_destroy, made)
            self._workspaces[isa] = library, made
        return self._workspaces[isa]

    def _addresses(self, tensors, written: bool = False):
        found = [
            address(tensors[name], shape, name, written=written)
            for name, shape in self.shapes.items()
        ]
        return (ctypes.c_void_p * len(found))(*found)

    def _codes(
        self, codes, shape: tuple[int, ...], name: str, may_be_absent: bool = False
    ) -> np.ndarray:
        """The codes as uint16, as the library reads them."""
        codes = np.asarray(codes)
        if codes.dtype not in (np.uint8, np.uint16) or codes.shape != shape:
            raise ValueError(
                f"{name}: expected uint8 or uint16 {shape}, got {codes.dtype} {codes.shape}"
            )
        too_large = codes >= self.symbols
        if may_be_absent:
            too_large &= codes != np.iinfo(codes.dtype).max
        if too_large.any():
            raise ValueError(
                f"{name}: code {codes[too_large][0]}, but there are {self.symbols} symbols"
            )
        return np.ascontiguousarray(codes, np.uint16)
