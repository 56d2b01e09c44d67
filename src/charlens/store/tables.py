"""Readers of the tables that other parts of the pipeline write, and of the paper's numbers."""

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from charlens.errors import InputError
from charlens.store.models import ModelKey
from charlens.store.reading import reason

MODELS = {"ngram": "n-gram", "nn": "n-NN"}


def paper_table(number: int) -> pd.DataFrame:
    """The paper's table 1 or 2: corpus,type,layers,size,n,loss. For comparison alone."""
    path = resources.files("charlens.store") / "paper.csv"
    with path.open() as file:
        paper = pd.read_csv(file)
    return paper[paper["table"] == number]


def read_table(path: str | Path, columns: Iterable[str] = (), what: str = "table") -> pd.DataFrame:
    """A .csv file that has these columns. Raises InputError where it is missing or has not."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no readable {what} ({reason(error)}); make it again") from None
    if missing := [name for name in columns if name not in table]:
        raise InputError(f"{path}: has no column {', '.join(missing)}; make it again")
    return table


TRAJECTORY = ["layers", "size", "look", "epoch", "n", "kl", "delta"]


def read_trajectory(path: str | Path) -> pd.DataFrame:
    """An LSTM's first epochs: a row for each snapshot (`look`) of it and each finished n-NN.

    Columns TRAJECTORY: layers and size of the LSTM; look, from 1; epoch, a fraction; n; kl and
    delta in nats per character (see `training.first_epochs`). Raises InputError if it is unusable.
    """
    table = read_table(path, what="trajectory")
    if list(table.columns) != TRAJECTORY or table.empty:
        raise InputError(f"{path}: needs the columns {','.join(TRAJECTORY)} and a row or more")
    if table.select_dtypes("number").shape[1] < len(TRAJECTORY):
        raise InputError(f"{path}: holds a value that is no number; make the trajectory again")
    if not np.isfinite(table).all(axis=None):
        raise InputError(f"{path}: holds a number that is not finite; make the trajectory again")
    return table


STATUS = ["corpus", "model", "finished"]


def read_status(path: str | Path) -> pd.DataFrame:
    """Which models are planned, and 1 where they are finished: columns STATUS.

    model: as `models` says, in words. Raises InputError if the file is unusable.
    """
    table = read_table(path, what="status")
    if list(table.columns) != STATUS:
        raise InputError(f"{path}: needs the columns {','.join(STATUS)}; make it again")
    return table


def planned_networks(status: pd.DataFrame) -> list[ModelKey]:
    """The recurrent networks among the models of a status table."""
    keys = (ModelKey.parse(f"{row.corpus}/{row.model}") for row in status.itertuples())
    return [key for key in keys if key.kind == "recurrent"]
