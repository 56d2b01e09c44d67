"""Units and gates of all networks: which types, sizes and depths have what (section 4.2).

Joins what `charlens inside` wrote of each network, or tables of networks that were joined before.
"""

import argparse

import numpy as np
import pandas as pd

from charlens.errors import InputError
from charlens.files import write_atomically, write_csv
from charlens.networks.cells import GATE_WORDS, gate_word
from charlens.report.html import Entry, Grid, grid_of_networks, render
from charlens.store.corpora import read_corpora
from charlens.store.models import type_name, types_in_order
from charlens.store.tables import ALWAYS, INSIDE, read_table
from charlens.text.hypotheses import HYPOTHESES
from charlens.units.selectivity import FOLLOWS, SHARES

NETWORK = ["corpus", "type", "layers", "size", "seed"]
TITLES = {hypothesis.name: hypothesis.title for hypothesis in HYPOTHESES}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--networks", nargs="+", required=True, help="networks, measured (.csv)")
    parser.add_argument("--best", help="hypotheses.csv, for what the last characters tell")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--csv", required=True, help="every network, layer and measure")
    parser.add_argument("--html", required=True, help="by type, size and depth, as a page")


def run(args: argparse.Namespace) -> None:
    corpora = read_corpora(args.corpora)
    tables = [read_table(path, INSIDE)[INSIDE].astype({"layer": str}) for path in args.networks]
    for path, table in zip(args.networks, tables, strict=True):
        if not table["layer"].str.fullmatch(r"all|\d+").all():
            raise InputError(f"{path}: column layer: expected all or a number; make it again")
        texts = table[["corpus", "type", "measure"]].to_numpy().ravel()
        if not all(isinstance(text, str) for text in texts):
            raise InputError(f"{path}: corpus, type, measure: expected text; make it again")
    table = pd.concat(tables, ignore_index=True)
    twice = table[table.duplicated([*NETWORK, "layer", "measure"])]
    if len(twice):
        which = " ".join(map(str, twice[NETWORK].iloc[0]))
        raise InputError(f"two tables are about the network {which}: name each network once")
    table = table[table["corpus"].isin(corpora)]
    write_csv(table, args.csv)
    write_atomically(args.html, page(corpora, table, last_characters(args.best)).encode())


def last_characters(path: str | None) -> dict[tuple[str, str], float]:
    """What the last characters tell of each hypothesis, by corpus and hypothesis, from
    hypotheses.csv; nothing where another version made that."""
    best = read_table(path, ["corpus", "hypothesis"]) if path else pd.DataFrame()
    if "last_k" not in best:
        return {}
    return best.dropna(subset=["last_k"]).set_index(["corpus", "hypothesis"])["last_k"].to_dict()


# ---- shares ----


def wide(table: pd.DataFrame, layer: str = "all") -> pd.DataFrame:
    """One row per network: columns NETWORK, and each measure over all its layers, or in one."""
    own = table[table["layer"] == layer]
    return own.pivot(index=NETWORK, columns="measure", values="value").reset_index()


def groups(networks: pd.DataFrame) -> list[tuple[str, list[tuple[str, pd.Series]]]]:
    """The networks by type, by layers and by size: heading, then for each value its name and
    which networks have it."""
    types = [(type_name(t), networks["type"] == t) for t in types_in_order(networks["type"])]
    layers = [(str(k), networks["layers"] == k) for k in sorted(set(networks["layers"]))]
    sizes = [(str(k), networks["size"] == k) for k in sorted(set(networks["size"]))]
    return [("type", types), ("layers", layers), ("size", sizes)]


def percent(share: float) -> str:
    """A share for people; a dash where there is none."""
    return "–" if np.isnan(share) else f"{share:.1%}"


# ---- the page ----


def page(corpora: dict[str, dict], table: pd.DataFrame, last: dict) -> str:
    """Units and gates by type, size and depth, corpus by corpus; types with something added are in
    the table alone. last: `last_characters`."""
    sections, bare = [], table[~table["type"].str.contains("+", regex=False)]
    for corpus, about in corpora.items():
        own = bare[bare["corpus"] == corpus]
        if own.empty:
            continue
        networks = wide(own)
        known = {name: last[corpus, name] for name in TITLES if (corpus, name) in last}
        grids = [units_grid(networks), hypotheses_grid(networks, known), gates_grid(networks)]
        sections.append(
            {
                "about": about,
                "networks": len(networks),
                "grids": [grid for grid in (*grids, layers_grid(own)) if grid.rows],
            }
        )
    return render("inside", sections=sections, follows=FOLLOWS, always=f"{ALWAYS:.0%}")


def units_grid(networks: pd.DataFrame) -> Grid:
    """The share of units that some hypothesis explains, mean over the seeds of a grid entry."""
    names = [f"units {least:g}" for least in SHARES]

    def entry(rows: pd.DataFrame) -> Entry:
        first, *more = (percent(rows[name].mean()) for name in names)
        pairs = zip(SHARES[1:], more, strict=True)
        return Entry(first, [f"≥ {least:g}: {share}" for least, share in pairs])

    caption = f"Share of units that follow some hypothesis with strength ≥ {SHARES[0]:g}"
    if not set(names) <= set(networks):
        return Grid(caption, "", [], [])
    return grid_of_networks(caption, networks, entry)


def hypotheses_grid(networks: pd.DataFrame, last: dict[str, float]) -> Grid:
    """How many networks have a unit that follows each hypothesis, by type, layers and size."""
    by, rows = groups(networks), []
    for name, title in TITLES.items():
        if f"best {name}" not in networks:
            continue
        strength = networks[f"best {name}"]
        known = last.get(name)
        entries = [Entry() if known is None else Entry(f"{known:.2f}")]
        for _, columns in by:
            for _, mask in columns:
                own = strength[mask].dropna()  # of networks without units
                count = f"{int((own >= FOLLOWS).sum())} of {len(own)}"
                entries.append(Entry(count, [f"mean {own.mean():.2f}"]) if len(own) else Entry())
        rows.append((title, entries))
    names = ["chars", *(name for _, columns in by for name, _ in columns)]
    spans = [("last", 1), *((heading, len(columns)) for heading, columns in by)]
    caption = f"Networks with a unit of strength ≥ {FOLLOWS:g}; below, the mean of the best units"
    return Grid(caption, "Hypothesis", names, rows, spans)


def gates_grid(networks: pd.DataFrame) -> Grid:
    """The share of units whose gate is always open or closed, by layers and size."""
    by, rows = groups(networks)[1:], []
    for type, gate in gates_of(networks):
        of_type = networks["type"] == type
        entries = []
        for _, columns in by:
            for _, mask in columns:
                own = networks[mask & of_type]
                right, left = (own[f"always {side} {gate}"].mean() for side in ("right", "left"))
                entries.append(Entry(percent(right), [f"closed {percent(left)}"]))
        rows.append((f"{type_name(type)} {gate_word(type, gate)}", entries))
    names = [name for _, columns in by for name, _ in columns]
    spans = [(heading, len(columns)) for heading, columns in by]
    return Grid("Units whose gate is always open; below, always closed", "Gate", names, rows, spans)


def layers_grid(table: pd.DataFrame) -> Grid:
    """The share of characters at which gates are saturated, by layer, in the deepest networks."""
    table = table[table["layers"] == table["layers"].max()]
    layers = sorted(set(table["layer"]) - {"all"}, key=int)
    of_layer = {layer: wide(table, layer) for layer in layers}
    rows = []
    for type, gate in gates_of(wide(table)):
        entries = []
        for layer in layers:
            own = of_layer[layer][of_layer[layer]["type"] == type]
            entries += [Entry(percent(own[f"{side} {gate}"].mean())) for side in ("left", "right")]
        rows.append((f"{type_name(type)} {gate_word(type, gate)}", entries))
    depth = table["layers"].max()
    caption = f"Saturation of gates in the networks of {depth} layers, mean over units and networks"
    spans = [(f"layer {layer}", 2) for layer in layers]
    return Grid(caption, "Gate", ["left", "right"] * len(layers), rows, spans)


def gates_of(networks: pd.DataFrame) -> list[tuple[str, str]]:
    """The gates of each type: (type, gate)."""
    found = []
    for type in types_in_order(networks["type"]):
        own = networks[networks["type"] == type].dropna(axis=1, how="all")
        names = [name.removeprefix("left ") for name in own if name.startswith("left ")]
        order = list(GATE_WORDS)
        place = {gate: order.index(gate) if gate in order else len(order) for gate in names}
        found += [(type, gate) for gate in sorted(names, key=place.get)]
    return found
