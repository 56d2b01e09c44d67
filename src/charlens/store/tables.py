"""Readers of the tables that other parts of the pipeline write, and of the paper's numbers."""

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from charlens.errors import InputError
from charlens.store.reading import reason

MODELS = {"ngram": "n-gram", "nn": "n-NN"}


def paper_table(number: int) -> pd.DataFrame:
    """The paper's numbers: corpus,type,layers,size,n,loss. For comparison alone."""
    path = resources.files("charlens.store") / "paper.csv"
    with path.open() as file:
        paper = pd.read_csv(file)
    return paper[paper["table"] == number]


def read_table(path: str | Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """A .csv file that has these columns. Raises InputError where it is none."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no readable table ({reason(error)}); make it again") from None
    if missing := [name for name in columns if name not in table]:
        raise InputError(f"{path}: has no column {', '.join(missing)}; make it again")
    return table


TRAJECTORY = ["layers", "size", "look", "epoch", "n", "kl", "delta"]


def read_trajectory(path: str | Path) -> pd.DataFrame:
    """Read the columns TRAJECTORY: at each look, the LSTM against each finished n-NN."""
    try:
        looks = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no readable trajectory ({reason(error)})") from None
    if list(looks.columns) != TRAJECTORY or looks.empty:
        raise InputError(f"{path}: needs the columns {','.join(TRAJECTORY)} and a row or more")
    if looks.select_dtypes("number").shape[1] < len(TRAJECTORY):
        raise InputError(f"{path}: holds a value that is no number; make the trajectory again")
    if not np.isfinite(looks).all(axis=None):
        raise InputError(f"{path}: holds a number that is not finite; make the trajectory again")
    return looks


STATUS = ["corpus", "model", "finished"]


def read_status(path: str | Path) -> pd.DataFrame:
    """Read what `charlens status` wrote."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no readable status ({error})") from None
    if list(table.columns) != STATUS:
        raise InputError(f"{path}: needs the columns {','.join(STATUS)}; make it again")
    return table


def recurrent(table: pd.DataFrame) -> pd.DataFrame:
    """The recurrent models among them."""
    return table[table["model"].str.startswith("type~")]
