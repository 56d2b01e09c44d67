"""Which models of a run are finished: their test characters are scored."""

import argparse

import pandas as pd

from charlens.files import write_with_digest
from charlens.store.models import ModelKey
from charlens.store.tables import STATUS


def status(planned: list[str], finished: list[str]) -> pd.DataFrame:
    """One row per planned model: columns STATUS. Both lists hold paths for `ModelKey.parse`."""
    done = {ModelKey.parse(path) for path in finished}
    rows = []
    for key in map(ModelKey.parse, planned):
        rows.append([key.corpus, key.in_tables, int(key in done)])
    return pd.DataFrame(rows, columns=STATUS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--planned", nargs="*", default=[], help="paths of all models")
    parser.add_argument("--finished", nargs="*", default=[], help="existing score arrays")
    parser.add_argument("--out", required=True, help="one row per planned model (.csv)")


def run(args: argparse.Namespace) -> None:
    table = status(args.planned, args.finished)
    write_with_digest(args.out, table.to_csv(index=False, lineterminator="\n").encode())
    for corpus, own in table.groupby("corpus", sort=False):
        missing = [
            ModelKey.from_table(corpus, model).label for model in own[own["finished"] == 0]["model"]
        ]
        done = f"{own['finished'].sum()} of {len(own)} models finished"
        print(f"{corpus}: {done}{'; missing: ' if missing else ''}{', '.join(missing)}")
