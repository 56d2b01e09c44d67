"""Training speed on a card beside torch.nn's there, which is cuDNN (`charlens bench`).

Both make whole updates of windows of 100 x 100 characters, products in TF32, one after the other;
wall time. Ours replays a captured graph and reads its text from the host; torch.nn trains in the
ordinary way, on a window that is on the card already. torch.nn.GRU is another variant of the GRU,
compared in speed only.
"""

from collections.abc import Iterable

import torch

from charlens.backends.cuda import tf32
from charlens.bench import checks
from charlens.bench.peers import SYMBOLS, Stock
from charlens.networks.architecture import Architecture, hidden_size
from charlens.progress import say
from charlens.runs import estimate

COLUMNS = ["card", "torch", "type", "layers", "size", "hidden", "chars_per_s", "torch_nn", "ratio"]


def measure(device: str, entries: Iterable[tuple], seconds: float, window=None) -> list[dict]:
    """A row of the CSV for each grid entry (type, layers, size). window: streams and steps."""
    rows = []
    card = "" if device == "cpu" else torch.cuda.get_device_name(device)
    for type, layers, size in entries:
        hidden = hidden_size(type, layers, size, SYMBOLS)
        training = checks.prepared(
            Architecture(type, layers, hidden, SYMBOLS), device, window=window
        )
        ours = 1e3 * checks.rate(lambda t=training: estimate.update(t), device, seconds, window)
        with tf32():
            stock = 1e3 * checks.rate(
                Stock(type, layers, hidden, False, device).update, device, seconds
            )
        say("bench", f"{type} {layers}x{size} on the card: {ours / stock:.1f} x torch.nn")
        row = card, torch.__version__, type, layers, size, hidden, round(ours), round(stock)
        rows.append(dict(zip(COLUMNS, (*row, round(ours / stock, 3)), strict=True)))
    return rows
