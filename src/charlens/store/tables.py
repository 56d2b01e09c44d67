"""Readers of tables written by stages of the pipeline, and of the paper's numbers."""

import io
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from charlens.errors import InputError
from charlens.files import check_digest
from charlens.store.models import ModelKey
from charlens.store.reading import reason

MODELS = {"ngram": "n-gram", "nn": "n-NN"}
NUMBERS = (  # columns that hold numbers, in whatever table
    "layers", "size", "seed", "epoch", "val_loss", "train_loss", "loss", "value", "left",
    "right", "score", "low", "high", "share",
)  # fmt: skip

# What is found on a claim, and why a claim is undecided or not in a run ("" for another reason).
VERDICTS = HOLDS, FAILS, UNDECIDED, NOT_IN_RUN = (
    "holds", "does not hold", "undecided", "not in this run",
)  # fmt: skip
REASONS = MISSING, NOT_IN_RUN, UNFINISHED, ONE_SEED, CROSSES, DIFFER = (
    "missing", "not in this run", "not all trained", "one seed", "interval crosses the bar",
    "networks differ",
)  # fmt: skip


def paper_table(number: int) -> pd.DataFrame:
    """The paper's table 1 or 2: columns corpus, type, layers, size, n, loss (nats)."""
    path = resources.files("charlens.store") / "paper.csv"
    with path.open() as file:
        paper = pd.read_csv(file)
    return paper[paper["table"] == number]


def paper_text() -> pd.DataFrame:
    """The numbers of the paper's text that could be verified: columns corpus, where, quantity,
    value, unit, source."""
    with (resources.files("charlens.store") / "paper_text.csv").open() as file:
        return pd.read_csv(file)


def read_table(path: str | Path, columns: Iterable[str] = (), what: str = "table") -> pd.DataFrame:
    """Read a .csv file. Raises InputError if it is missing, damaged, lacks a column, or has text
    where NUMBERS should be.

    A file without a digest, as in a publication, is damaged where its last line has no end.
    """
    check_digest(path)
    try:
        content = Path(path).read_bytes()
        if content and not content.endswith(b"\n"):
            raise ValueError("cut short")
        table = pd.read_csv(io.BytesIO(content))
        if not isinstance(table.index, pd.RangeIndex):  # what pandas makes of it
            raise ValueError("rows have more values than there are columns")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no readable {what} ({reason(error)}); make it again") from None
    if missing := [name for name in columns if name not in table]:
        raise InputError(f"{path}: has no column {', '.join(missing)}; make it again")
    numbered = [*NUMBERS, "unit"] if "layer" in table else NUMBERS  # not a unit of measurement
    for name in numbered if len(table) else ():
        if name in table and not is_numeric_dtype(table[name]):
            raise InputError(f"{path}: column {name}: expected numbers; make it again")
    return table


def read_claims(path: str | Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read the findings on claims (claims.csv), the column `reason` always among them ("" for none;
    see `reasons`). Raises as `read_table`."""
    table = read_table(path, [*columns, "verdict", "basis"])
    return table.assign(reason=reasons(table))


def reasons(claims: pd.DataFrame) -> pd.Series:
    """Why each finding is undecided or not in the run: one of REASONS, or "".

    A table by an older version has no such column: there the basis tells.
    """
    if "reason" in claims:
        return claims["reason"].astype(object).where(claims["reason"].notna(), "")
    basis = claims["basis"].astype(object).where(claims["basis"].notna(), "").astype(str)
    found = pd.Series("", index=claims.index, dtype=object)
    found[claims["verdict"] == UNDECIDED] = CROSSES
    unknown = basis.str.contains("the effect of the seed is unknown", regex=False)
    found[(claims["verdict"] == UNDECIDED) & unknown] = ONE_SEED
    for begins in (MISSING, NOT_IN_RUN):
        found[basis.str.startswith(f"{begins}:")] = begins
    return found


def read_table1(path: str | Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read table 1 with full types, such as lstm+block, where it has block and recipe apart.
    Raises as `read_table`."""
    table = read_table(path, columns)
    if {"block", "recipe"} <= set(table):
        block = table["block"].map({0: "", 1: "+block"})
        recipe = table["recipe"].map(lambda name: "" if name == "paper" else f"+{name}")
        table["type"] = table["type"] + block + recipe
    return table


TRAJECTORY = ["layers", "size", "look", "epoch", "n", "kl", "delta"]


def read_trajectory(path: str | Path) -> pd.DataFrame:
    """Read an LSTM's first epochs (figure 5): a row per snapshot (`look`) and finished n-NN.

    Columns TRAJECTORY: layers and size of the LSTM; look, from 1; epoch, a fraction; n; kl and
    delta in nats per character (see `training.first_epochs`). Raises InputError if it is unusable.
    """
    table = read_table(path, what="trajectory")
    if list(table.columns) != TRAJECTORY or table.empty:
        raise InputError(f"{path}: needs the columns {','.join(TRAJECTORY)} and at least one row")
    if table.select_dtypes("number").shape[1] < len(TRAJECTORY):
        raise InputError(f"{path}: holds a value that is not a number; make the trajectory again")
    if not np.isfinite(table).all(axis=None):
        raise InputError(f"{path}: holds a number that is not finite; make the trajectory again")
    return table


# Every unit of a network against every hypothesis (see `units.analysis`).
UNITS = [
    "corpus", "model", "layer", "unit", "hypothesis", "score", "low", "high", "picked", "beyond",
    "beyond_baselines",
]  # fmt: skip
# What the units of a layer tell of a hypothesis, as strengths (see `units.probes`).
PROBES = [
    "corpus", "model", "layer", "hypothesis", "unit", "single", "probe", "last_k", "untrained",
]  # fmt: skip
# Units and gates of every network: a row per network, layer ("all" or a number) and measure.
INSIDE = ["corpus", "type", "layers", "size", "seed", "layer", "measure", "value"]

# Skills and units of watched networks at every snapshot (see `units.emergence`).
EMERGENCE = ["corpus", "type", "layers", "size", "seed", "epoch", "measure", "value"]

ALWAYS = 0.95  # a gate saturated on one side at this share of the test characters always is

STATUS = ["corpus", "model", "finished"]


def read_status(path: str | Path) -> pd.DataFrame:
    """Read the planned models, and 1 for those that are finished: columns STATUS.

    model: its path with spaces for slashes (see `models`). Raises InputError if it is unusable.
    """
    table = read_table(path, what="status")
    if list(table.columns) != STATUS:
        raise InputError(f"{path}: needs the columns {','.join(STATUS)}; make it again")
    return table


def planned_models(status: pd.DataFrame) -> list[ModelKey]:
    """The models in a status table."""
    return [ModelKey.from_table(row.corpus, row.model) for row in status.itertuples()]
