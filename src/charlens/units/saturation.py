"""How often gates are saturated (section 4.2, figure 3)."""

import numpy as np
import pandas as pd
import torch

from charlens.networks import cells
from charlens.networks.architecture import Architecture
from charlens.networks.network import Parameters
from charlens.units.activations import in_windows, put_by_unit

LEFT, RIGHT = 0.1, 0.9  # a gate is left-saturated below, right-saturated above
GATES = ["corpus", "type", "layers", "size", "layer", "gate", "unit", "left", "right"]


def saturating_gates(type: str) -> list[str]:
    """The gates of a cell type whose saturation is measured: i, f, o of LSTM, r, z of GRU."""
    return [name for name in cells.gate_names(type) if name != cells.CANDIDATE]


def observe(arch: Architecture, params: Parameters, x: torch.Tensor, values: np.ndarray | None):
    """Read the test streams x, codes [S, n], and count saturation (figure 3).

    Returns {gate: int64 [2, layers, H]}: at how many characters each unit was left- and
    right-saturated. values: float16 [layers * H, S, n], filled with the units' memory; None if it
    is not wanted.
    """
    gates, state_name = saturating_gates(arch.type), cells.memory(arch.type)
    counts = {gate: torch.zeros(2, arch.layers, arch.hidden, dtype=torch.int64) for gate in gates}
    recorded = gates if values is None else [*gates, state_name]
    for at, window in in_windows(arch, params, x, recorded):
        for gate in gates:
            counts[gate][0] += (window[gate] < LEFT).sum(dim=(1, 2))
            counts[gate][1] += (window[gate] > RIGHT).sum(dim=(1, 2))
        if values is not None:
            put_by_unit(values, at, window[state_name])
    return counts


def gate_rows(counts, arch: Architecture, size: int, corpus: str, characters: int) -> pd.DataFrame:
    """Figure 3: one row per unit of each gate, columns GATES; layers and units count from 1.

    counts: {gate: [2, layers, H]} from `observe`, over so many `characters`.
    """
    rows = [
        (corpus, arch.type, arch.layers, size, layer + 1, gate, unit + 1, *(share / characters))
        for gate, count in counts.items()
        for layer in range(arch.layers)
        for unit, share in enumerate(count[:, layer].T.numpy())
    ]
    return pd.DataFrame(rows, columns=GATES)
