"""Tables of units and gates: every unit ranked, the best unit of each hypothesis, the share of
units that are explained, what all units of a layer tell together, and the saturation of gates
(section 4.2, figures 2 and 3).

(Files and columns call a unit a cell, as the paper does; "picked" means on the selection streams.)
"""

import argparse
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd

from charlens.files import write_atomically, write_csv
from charlens.networks.cells import gate_word
from charlens.report.html import Entry, Grid, render
from charlens.store.corpora import by_stem, read_corpora
from charlens.store.found import model_name, number, read_found
from charlens.store.models import type_name, types_in_order
from charlens.store.tables import ALWAYS, PROBES, UNITS, read_table
from charlens.text.hypotheses import PARTS
from charlens.units import selectivity

GATE_COLUMNS = ["corpus", "type", "layers", "size", "layer", "gate", "left", "right"]
MARGIN = 0.05  # of strength, by which a probe must exceed what it is compared with
PART_COLUMNS = [  # scores of the unit of a hypothesis of several parts, on each part
    f"{part.name}{bound}"
    for parts in PARTS.values()
    for part in parts
    for bound in ("", "_low", "_high")
]
RUNNERS_UP = 2  # shown after each best unit
BAR = 5  # em: the bar of strength 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--found", nargs="+", required=True, help="what was found, corpus by corpus"
    )
    parser.add_argument("--cells", nargs="+", required=True, help="scores of units (.csv)")
    parser.add_argument("--untrained", nargs="+", required=True, help="those of untrained networks")
    parser.add_argument("--probes", nargs="+", required=True, help="strengths of probes (.csv)")
    parser.add_argument("--gates", nargs="+", required=True, help="saturation of gates (.csv)")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--csv", required=True, help="every unit and hypothesis, best first")
    parser.add_argument("--best-csv", required=True, help="the best unit of each hypothesis")
    parser.add_argument("--explained-csv", required=True, help="the share of units explained")
    parser.add_argument("--probes-csv", required=True, help="units and probes, layer by layer")
    parser.add_argument("--gates-csv", required=True, help="saturation, one row per unit")
    parser.add_argument("--html", required=True, help="all of it as a page")
    parser.add_argument(
        "--explorer", help="where the page finds the explorer of a corpus, such as"
        " ../explorer/CORPUS.html: it links there (default: no links)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    corpora = read_corpora(args.corpora)
    found = read_found(args.found, corpora)
    units = read_units(args.cells, found, "table of cells")
    untrained = read_units(args.untrained, found, "table of an untrained network's cells")
    files = by_stem(args.gates, corpora, "table of gates")
    gates = joined(read_table(files[corpus], GATE_COLUMNS) for corpus in corpora)
    files = by_stem(args.probes, corpora, "table of probes")
    probes = joined(read_table(files[corpus], PROBES) for corpus in corpora)
    ranked = joined(ranking(units[c], found[c]) for c in corpora)
    best = joined(best_units(units[c], untrained[c], found[c]) for c in corpora)
    shares = joined(
        explained(table[c], trained)
        for c in corpora
        for table, trained in ((units, True), (untrained, False))
    )
    write_csv(ranked[UNITS], args.csv)
    write_csv(best, args.best_csv)
    write_csv(shares, args.explained_csv)
    write_csv(probes[PROBES], args.probes_csv)
    write_csv(gates, args.gates_csv)
    tables = (ranked, best, shares, probes, gates)
    write_atomically(args.html, page(corpora, found, *tables, explorer=args.explorer).encode())


def joined(tables) -> pd.DataFrame:
    """The tables of several corpora as one, with a new index."""
    return pd.concat(list(tables), ignore_index=True)


def read_units(paths, found: dict[str, dict], what: str) -> dict[str, pd.DataFrame]:
    """The scores of the units of each corpus in `found`, `with_strength`.

    Raises InputError where a file is missing or lacks one of UNITS.
    """
    files = by_stem(paths, found, what)
    return {c: with_strength(read_table(files[c], UNITS), found[c]) for c in found}


# ---- the numbers ----


def with_strength(units: pd.DataFrame, found: dict) -> pd.DataFrame:
    """The table with two more columns, the strength of the scores, 0 (chance) to 1.

    picked_strength: on the selection streams. strength: on the evaluation streams.
    """
    kinds = {entry["hypothesis"]: entry["yes_no"] for entry in found["hypotheses"]}
    yes_no = units["hypothesis"].map(kinds).to_numpy(bool)
    return units.assign(
        picked_strength=selectivity.strength(units["picked"].to_numpy(float), yes_no),
        strength=selectivity.strength(units["score"].to_numpy(float), yes_no),
    )


def ranking(units: pd.DataFrame, found: dict) -> pd.DataFrame:
    """The table sorted: hypotheses in their order, and for each the strongest units first.

    Strength is that on the selection streams: ranked by strength on the evaluation streams, a unit
    would be chosen on the same text on which it is scored.
    """
    order = [entry["hypothesis"] for entry in found["hypotheses"]]
    place = units["hypothesis"].map(order.index)
    by = ["place", "picked_strength", "layer", "unit"]
    ranked = units.assign(place=place).sort_values(by, ascending=[True, False, True, True])
    return ranked.drop(columns="place")


def best_units(units: pd.DataFrame, untrained: pd.DataFrame, found: dict) -> pd.DataFrame:
    """One row per hypothesis (figure 2): the unit selected for it and its evaluation score.

    untrained: the strength of the unit selected in the same way in the untrained network. last_k:
    that of the predictor from the last k characters. beyond_baselines: whether the unit exceeds the
    best of both (see `baselines`). Columns PART_COLUMNS: its score on each part of a hypothesis of
    several parts. The unit's columns are empty where the hypothesis varies too little in the text.
    """
    rows = []
    for entry in found["hypotheses"]:
        row = {"corpus": found["corpus"], "model": found["model"], **entry}
        if entry["searched"]:
            known = ["layer", "unit", "score", "low", "high", "strength", "picked", "beyond"]
            known += ["beyond_baselines"]
            row |= selected_unit(units, entry["hypothesis"])[known].to_dict()
            row["untrained"] = selected_unit(untrained, entry["hypothesis"])["strength"]
        for part, scores in found.get("parts", {}).get(entry["hypothesis"], {}).items():
            row |= {part: scores["score"]}
            row |= {f"{part}_{bound}": scores[bound] for bound in ("low", "high")}
        rows.append(row)
    columns = ["corpus", "model", "hypothesis", "measure", "layer", "unit", "score", "low", "high"]
    columns += ["strength", "picked", "beyond", "untrained", "mean", "undefined", "last_k", "k"]
    columns += ["beyond_baselines"]
    columns += PART_COLUMNS
    table = pd.DataFrame(rows)
    table["measure"] = np.where(table["yes_no"], "auc", "tau")
    return table.reindex(columns=columns).astype({"layer": "Int64", "unit": "Int64", "k": "Int64"})


def selected_unit(units: pd.DataFrame, hypothesis: str) -> pd.Series:
    """The row of the unit that is strongest on the selection streams."""
    own = units[units["hypothesis"] == hypothesis]
    return own.loc[own["picked_strength"].idxmax()]


def explained(units: pd.DataFrame, trained: bool = True) -> pd.DataFrame:
    """The share of units that some hypothesis explains, over all layers and for each layer.

    Columns: cells, the number of units. beyond_null, the share whose score on some hypothesis
    exceeds what circularly shifted labels give (see `selectivity.beyond_null`). strength_...: the
    share that exceeds it on the hypothesis selected for the unit on the selection streams, with at
    least that strength on the evaluation streams. beyond_baselines: the share that exceeds the
    untrained network and the last k characters on that hypothesis. trained: whether the network is.
    """
    groups = units.groupby(["corpus", "model", "layer", "unit"], sort=True)
    own = units.loc[groups["picked_strength"].idxmax()]
    own = own.assign(any_beyond=groups["beyond"].any().to_numpy())
    layers = [("all", own)] if len(own) else []
    layers += [(str(layer), of_layer) for layer, of_layer in own.groupby("layer")]
    rows = []
    for layer, of_layer in layers:
        row = of_layer.iloc[0][["corpus", "model"]].to_dict()
        row |= {"trained": trained, "layer": layer, "cells": len(of_layer)}
        row["beyond_null"] = of_layer["any_beyond"].mean()
        for least in selectivity.SHARES:
            strong = of_layer["beyond"] & (of_layer["strength"] >= least)
            row[f"strength_{least:g}"] = strong.mean()
        row["beyond_baselines"] = of_layer["beyond_baselines"].mean()
        rows.append(row)
    columns = ["corpus", "model", "trained", "layer", "cells", *SHARE_COLUMNS]
    return pd.DataFrame(rows, columns=columns)


SHARE_COLUMNS = ["beyond_null"] + [f"strength_{least:g}" for least in selectivity.SHARES]
SHARE_COLUMNS += ["beyond_baselines"]


def gate_means(gates: pd.DataFrame) -> pd.DataFrame:
    """Saturation for each layer of each gate (figure 3), to the left and to the right.

    Columns: the mean share of time that its units are saturated, and how many units always are.
    """
    keys = ["corpus", "type", "layers", "size", "gate", "layer"]
    always = gates.assign(
        always_left=gates["left"] >= ALWAYS,
        always_right=gates["right"] >= ALWAYS,
    )
    means = always.groupby(keys, sort=False).agg(
        left=("left", "mean"),
        right=("right", "mean"),
        always_left=("always_left", "sum"),
        always_right=("always_right", "sum"),
    )
    return means.reset_index()


# ---- the page ----


class HypothesisRow(NamedTuple):
    """A row of the table of hypotheses as text; `unit` is empty where none was selected."""

    name: str
    title: str
    frequency: str
    undefined: list[str]  # small print
    unit: str = ""
    score: str = ""
    interval: str = ""
    bar: str = ""  # width, em
    strength: str = ""
    baselines: list[str] = []  # small print
    next: list[str] = []


def page(corpora, found, *tables, explorer: str | None = None) -> str:
    """Hypotheses with their best units, shares explained, probes, and gates, corpus by corpus.

    tables: in the order of `section`. explorer: the address of the explorer of CORPUS.
    """
    sections = [
        section(about, found[key], *(table[table["corpus"] == key] for table in tables))
        | {"explorer": explorer and quote(explorer.replace("CORPUS", key))}
        for key, about in corpora.items()
    ]
    samples = max(content["samples"] for content in found.values())
    always = f"{ALWAYS:.0%}"
    return render("units", sections=sections, samples=samples, always=always, margin=MARGIN)


def section(about: dict, found: dict, ranked, best, shares, probes, gates) -> dict:
    """What the page says of one corpus, for its template. about: the corpus's provenance."""
    titles = {entry["hypothesis"]: entry["title"] for entry in found["hypotheses"]}
    return {
        "about": about,
        "network": model_name(found),
        "hypotheses": [hypothesis_row(row, ranked, titles) for row in best.itertuples()],
        "shares": share_grid(shares),
        "shifts": found["shifts"],
        "probes": probe_rows(probes, titles),
        "gates": None if gates.empty else gate_grid(gate_means(gates)),
        "watched": watched(gates),
    }


def hypothesis_row(row, ranked: pd.DataFrame, titles: dict[str, str]) -> HypothesisRow:
    """row: of `best_units`; ranked: of `ranking`."""
    title, how_often = titles[row.hypothesis], frequency(row)
    if pd.isna(row.unit):
        return HypothesisRow(row.hypothesis, title, *how_often)
    others = ranked[ranked["hypothesis"] == row.hypothesis]
    others = others[(others["layer"] != row.layer) | (others["unit"] != row.unit)]
    others = others.sort_values("picked_strength", ascending=False).head(RUNNERS_UP)
    chance = "" if row.beyond else ", chance level"
    verdict = "beyond both" if row.beyond_baselines else "not beyond both"
    return HypothesisRow(
        row.hypothesis,
        title,
        *how_often,
        unit=f"{row.layer}.{row.unit}",
        score=f"{'AUC' if row.measure == 'auc' else 'τ'} {number(row.score)}",
        interval=f"{number(row.low)} to {number(row.high)}{chance}",
        bar=f"{BAR * row.strength:.2f}",
        strength=f"{row.strength:.2f}",
        baselines=[
            f"untrained {row.untrained:.2f}",
            f"last {row.k} character{'' if row.k == 1 else 's'} {row.last_k:.2f}",
            verdict,
        ],
        next=[f"{o.layer}.{o.unit}: {number(o.score)}" for o in others.itertuples()],
    )


def frequency(row) -> tuple[str, list[str]]:
    """How often the labels are "yes" (or their mean), and in small print how often undefined."""
    if pd.isna(row.mean):
        return "nowhere defined", []
    text = f"{row.mean:.1%} yes" if row.measure == "auc" else f"mean {row.mean:.3g}"
    if not row.undefined:
        return text, []
    share = "< 0.1%" if row.undefined < 0.001 else f"{row.undefined:.1%}"
    return text, [f"undefined {share}"]


def share_grid(shares: pd.DataFrame) -> Grid:
    """Shares by layer; for the untrained network only those over all layers."""
    shown = shares[shares["trained"] | (shares["layer"] == "all")]
    rows = [
        (
            f"{row['layer']}{'' if row['trained'] else ', untrained'}",
            [Entry(str(row["cells"])), *(Entry(f"{row[name]:.1%}") for name in SHARE_COLUMNS)],
        )
        for _, row in shown.iterrows()
    ]
    strengths = [f"strength ≥ {least:g}" for least in selectivity.SHARES]
    columns = ["units", "beyond chance", *strengths, "beyond both baselines"]
    return Grid("Share of units that some hypothesis explains", "Layer", columns, rows)


class ProbeRow(NamedTuple):
    """A row of the table of probes as text; `marks` are strengths on the strip of dots."""

    title: str  # of the hypothesis, "" below its first layer
    layer: int
    verdict: str
    marks: dict[str, float]  # single, probe, last_k, untrained


def probe_rows(probes: pd.DataFrame, titles: dict[str, str]) -> list[ProbeRow]:
    """probes: columns PROBES, hypothesis by hypothesis."""
    rows = []
    for hypothesis, own in probes.groupby("hypothesis", sort=False):
        for row in own.itertuples():
            title = "" if len(rows) and row.layer > own["layer"].min() else titles[hypothesis]
            marks = {name: getattr(row, name) for name in PROBES[5:]}
            rows.append(ProbeRow(title, row.layer, told_by(**marks), marks))
    return rows


def told(probes: pd.DataFrame) -> pd.DataFrame:
    """What tells most of each hypothesis in one network: its rows of probes.csv in the layer whose
    probe tells most, with `single` and `untrained` the best of any layer, and a column `by`."""
    best = probes.groupby("hypothesis", sort=False)
    rows = probes.loc[best["probe"].idxmax()].set_index("hypothesis", drop=False)
    rows = rows.assign(single=best["single"].max(), untrained=best["untrained"].max())
    names = ["single", "probe", "last_k", "untrained"]
    by = [told_by(*row) for row in rows[names].itertuples(index=False)]
    return rows.assign(by=by).reset_index(drop=True)


def told_by(single: float, probe: float, last_k: float, untrained: float) -> str:
    """What tells most of a hypothesis, from strengths (see `probes`).

    baselines alone: neither the best unit nor the probe on all units exceeds both baselines by
    MARGIN. one unit: the best unit comes within MARGIN of the probe. many units: it does not.
    """
    if max(single, probe) < max(last_k, untrained) + MARGIN:
        return "baselines alone"
    return "one unit" if single >= probe - MARGIN else "many units"


def gate_grid(means: pd.DataFrame) -> Grid:
    """Types and gates down, layers and sides across. means: of `gate_means`."""
    layers = sorted(set(means["layer"]))
    at = {(row.type, row.gate, row.layer): row for row in means.itertuples()}
    rows = []
    for type in types_in_order(means["type"]):
        for gate in dict.fromkeys(means["gate"][means["type"] == type]):
            entries = []
            for layer in layers:
                entries += saturation(at.get((type, gate, layer)))
            rows.append((f"{type_name(type)} {gate_word(type, gate)}", entries))
    groups = [(f"layer {layer}", 2) for layer in layers]
    return Grid("Saturation of gates", "Gate", ["left", "right"] * len(layers), rows, groups)


def saturation(row) -> list[Entry]:
    """Left and right saturation of a gate in a layer; empty where the network is shallower."""
    if row is None:
        return [Entry(), Entry()]
    return [
        Entry(f"{row.left:.1%} ({row.always_left})"),
        Entry(f"{row.right:.1%} ({row.always_right})"),
    ]


def watched(gates: pd.DataFrame) -> list[str]:
    """The networks whose gates these are: LSTM 3x512, GRU 3x512."""
    networks = gates[["corpus", "type", "layers", "size"]].drop_duplicates()
    return [model_name(network) for network in networks.to_dict("records")]
