"""Where the published results are, and how numbers and tables are written."""

from pathlib import Path

import pandas as pd

from charlens.bench.speed import read_settings
from charlens.runs.settings import Settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results/reference"
MODERN = REFERENCE / "modern"  # the publication of modern.yaml
FAR = 0.03  # nats: an entry further off than this is named
ABSENT = "Not published yet."
TITLES = {"wp": "War and Peace", "lk": "Linux"}


def plan(name: str = "config.yaml") -> Settings:
    """The paper's settings, or those of a configuration laid over them."""
    return read_settings(ROOT / name, ROOT / "config.yaml")


def table(name: str) -> pd.DataFrame:
    """A published table, named by its path below results/reference."""
    return pd.read_csv(REFERENCE / name)


def markdown(head: list[str], rows: list[list[str]], right: bool = False) -> str:
    rule = ["---"] + ["---:" if right else "---"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def span(low: float, high: float, unit: str) -> str:
    """A duration: 4 minutes, 1 to 3 minutes; a dash where it was not measured."""
    if pd.isna(low):
        return "–"
    return f"{low:g} {unit}" if low == high else f"{low:g} to {high:g} {unit}"


def between(value: float, low: float, high: float) -> str:
    """A signed number and its interval: +0.046 (-0.006 to +0.099)."""
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def extent(values: pd.Series, form: str) -> str:
    """The least and the largest of some numbers, once where they read the same."""
    return " to ".join(dict.fromkeys(format(x, form) for x in (values.min(), values.max())))


def network(row) -> str:
    if row.model in ("n-gram", "n-NN"):
        return f"{int(row.n)}-{row.model.removeprefix('n-')}"
    return f"{row.model.upper()} {int(row.layers)}x{int(row.size)}"


def published(name: str, folder: Path = REFERENCE) -> pd.DataFrame:
    """A table of a publication; empty where it has not been published yet."""
    return pd.read_csv(folder / name) if (folder / name).exists() else pd.DataFrame()
