"""`charlens left-out`: which types of network are missing from which outputs, and why.

A cell type says in its file what is known of its units (see `networks.cells`). What it lacks is
left out where it would be needed, and named here.
"""

import argparse
from pathlib import Path

import pandas as pd

from charlens.files import write_csv
from charlens.networks.cells import memory
from charlens.store.models import cell_of, types_in_order
from charlens.units.saturation import saturating_gates

COLUMNS = ["type", "output", "reason"]
GATES = "gates (figure 3, tables/gates.csv)"
UNITS = "units (cells, probes, ablation, explorer)"


def left_out(types: list[str]) -> pd.DataFrame:
    """A row per type and output that it is missing from: columns COLUMNS."""
    rows = []
    for type in types_in_order(types):
        file = f"cells/{cell_of(type)}.py"
        if not saturating_gates(type):
            rows.append((type, GATES, f"{file} names no gates (GATE_NAMES)"))
        if memory(type) is None:
            rows.append((type, UNITS, f"{file} has no state per unit (MEMORY = None)"))
    return pd.DataFrame(rows, columns=COLUMNS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--types", nargs="+", required=True, help="of the grid")
    parser.add_argument("--out", type=Path, required=True, help="what is missing (.csv)")


def run(args: argparse.Namespace) -> None:
    write_csv(left_out(args.types), args.out)
