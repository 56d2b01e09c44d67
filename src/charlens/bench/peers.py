"""Training with torch.nn in the ordinary way, and with what torch offers to make it faster.

These are the peers that `charlens bench` measures beside our backend, with the share of the
processor's peak that each reaches:

    stock           LSTM, RNN or GRU of torch.nn, float32. torch gives an LSTM to oneDNN
    autocast        the same under bfloat16 autocast
    without oneDNN  stock with oneDNN turned off
    torch.compile   stock, compiled
"""

import contextlib
from collections.abc import Iterable

import torch
import torch.nn.functional as F

from charlens.networks.architecture import Architecture, hidden_size
from charlens.progress import say
from charlens.runs import cost
from charlens.store.models import type_name

SYMBOLS, STREAMS, UNROLL = 87, 100, 100
PEERS = {
    "stock": {},
    "autocast": {"autocast": True},
    "without oneDNN": {"onednn": False},
    "torch.compile": {"compile": True},
}
COLUMNS = ["path", "type", "layers", "size", "hidden", "peer", "chars_per_s", "of_peak"]


class Stock:
    """Training with torch.nn: one-hot input, Linear, cross_entropy, RMSprop.

    autocast: in bfloat16 where torch thinks it right. onednn: as torch chooses, else never.
    compile: the loss goes through torch.compile.
    """

    def __init__(
        self, type: str, layers: int, hidden: int, autocast: bool = False, device: str = "cpu",
        onednn: bool = True, compile: bool = False,
    ):  # fmt: skip
        kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[type]
        self.net = kind(SYMBOLS, hidden, layers, device=device)
        self.out = torch.nn.Linear(hidden, SYMBOLS, device=device)
        self.parameters = [*self.net.parameters(), *self.out.parameters()]
        self.optimizer = torch.optim.RMSprop(self.parameters, lr=2e-3, alpha=0.95)
        self.autocast, self.onednn, self.state = autocast, onednn, None
        self.loss = torch.compile(self._loss) if compile else self._loss
        self.x, self.y = torch.randint(SYMBOLS, (2, UNROLL, STREAMS), device=device)

    def _loss(self, x, y, state):
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.autocast):
            outputs, state = self.net(F.one_hot(x, SYMBOLS).float(), state)
            return F.cross_entropy(self.out(outputs).flatten(0, 1), y.flatten()), state

    def update(self) -> None:
        """One window and one step."""
        off = contextlib.nullcontext() if self.onednn else torch.backends.mkldnn.flags(False)
        self.optimizer.zero_grad()
        with off:
            loss, state = self.loss(self.x, self.y, self.state)
            (loss * UNROLL).backward()
        torch.nn.utils.clip_grad_value_(self.parameters, 5.0)
        self.optimizer.step()
        self.state = (
            tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        )


def working(type: str, layers: int, hidden: int, without: Iterable[str] = ()) -> dict[str, Stock]:
    """The peers that can train such a network here; of each other one a line says why not. (On some
    processors oneDNN lacks bfloat16, and torch.compile needs a compiler.)

    without: those that are not asked for.
    """
    found = {}
    for name, options in PEERS.items():
        if name in without:
            continue
        peer = Stock(type, layers, hidden, **options)
        try:
            peer.update(), peer.update()  # the second one has a state, and is compiled anew
        except Exception as error:  # torch.compile has many kinds of its own
            why = (str(error).strip().splitlines() or [error.__class__.__name__])[0]
            say("bench", f"{name} cannot train {type} {layers}x{hidden}: {why}")
        else:
            found[name] = peer
    return found


def rows(measured: dict[tuple, dict[str, float]], peak: float, path: str) -> list[dict]:
    """The rows of the CSV. measured: characters per second by (type, layers, size), then by name;
    peak: multiply-adds per second that the processor was seen to reach; path: what ours ran on, a
    processor path of the compiled code or `reference`."""
    found = []
    for (type, layers, size), rates in measured.items():
        hidden = hidden_size(type, layers, size, SYMBOLS)
        work = 3 * cost.multiply_adds(Architecture(type, layers, hidden, SYMBOLS))
        for name in (*PEERS, "ours"):
            if name in rates:
                values = round(rates[name]), round(work * rates[name] / peak, 4)
                row = (path, type, layers, size, hidden, name, *values)
                found.append(dict(zip(COLUMNS, row, strict=True)))
    return found


def text(table: list[dict]) -> str:
    """A table for a terminal: the share of the peak that each reaches, in percent."""
    names = (*PEERS, "ours")
    lines = [f"{'of the peak':14}{'units':>6}" + "".join(f"{name:>16}" for name in names)]
    networks: dict[tuple, dict[str, float]] = {}
    for row in table:
        key = row["type"], row["layers"], row["size"], row["hidden"]
        networks.setdefault(key, {})[row["peer"]] = row["of_peak"]
    for (type, layers, size, hidden), shares in networks.items():
        shown = (f"{shares[name]:16.1%}" if name in shares else f"{'–':>16}" for name in names)
        lines.append(f"{type_name(type):4} {layers} x {size:<5}{hidden:6}" + "".join(shown))
    return "\n".join(lines)
