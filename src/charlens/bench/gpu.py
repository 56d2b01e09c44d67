"""Training speed on a GPU beside torch.nn's there, which is cuDNN (`charlens bench`).

Both make whole updates of windows of 100 x 100 characters, products in TF32, one after the other;
wall time. Ours replays a captured graph and reads its text from the host; torch.nn trains in the
ordinary way, on a window that is on the GPU already. torch.nn.GRU is another variant of the GRU,
compared in speed only.
"""

from collections.abc import Iterable

import torch

from charlens.bench import checks
from charlens.bench.peers import SYMBOLS
from charlens.networks.architecture import Architecture, hidden_size
from charlens.progress import say

COLUMNS = ["card", "torch", "type", "layers", "size", "hidden", "chars_per_s", "torch_nn", "ratio"]


def measure(device: str, entries: Iterable[tuple], seconds: float, window=None) -> list[dict]:
    """A row of the CSV for each grid entry (type, layers, size). window: streams and steps."""
    rows = []
    gpu = "" if device == "cpu" else torch.cuda.get_device_name(device)
    for type, layers, size in entries:
        hidden = hidden_size(type, layers, size, SYMBOLS)
        arch = Architecture(type, layers, hidden, SYMBOLS)
        ours = 1e3 * checks.rate(checks.updates(device, arch, window), device, seconds, window)
        stock = 1e3 * checks.rate_of_torch(device, arch, seconds)
        say("bench", f"{type} {layers}x{size} on the GPU: {ours / stock:.1f} x torch.nn")
        row = gpu, torch.__version__, type, layers, size, hidden, round(ours), round(stock)
        rows.append(dict(zip(COLUMNS, (*row, round(ours / stock, 3)), strict=True)))
    return rows
