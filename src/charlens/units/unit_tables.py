"""What was found inside the networks: every cell ranked, the best of each hypothesis, the share of
cells that are explained, and the saturation of gates."""

import html

import numpy as np
import pandas as pd

from charlens.files import write_atomically, write_csv
from charlens.report.html import document, grid, small, source_line
from charlens.store.corpora import by_stem, read_corpora
from charlens.store.found import model_name, number, read_found
from charlens.store.models import types_in_order
from charlens.store.tables import read_table
from charlens.units import selectivity

COLUMNS = [
    "corpus", "model", "layer", "unit", "hypothesis", "score", "low", "high", "picked", "beyond",
]  # fmt: skip
ALWAYS = 0.95  # of the test characters: a unit saturated on one side so often always is
RUNNERS_UP = 2  # shown behind each best cell


def add_arguments(parser):
    parser.add_argument(
        "--found", nargs="+", required=True, help="what was found, corpus by corpus"
    )
    parser.add_argument("--cells", nargs="+", required=True, help="scores of cells (.csv)")
    parser.add_argument("--untrained", nargs="+", required=True, help="those of untrained networks")
    parser.add_argument("--gates", nargs="+", required=True, help="saturation of gates (.csv)")
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--csv", required=True, help="every cell and hypothesis, best first")
    parser.add_argument("--best-csv", required=True, help="the best cell of each hypothesis")
    parser.add_argument("--explained-csv", required=True, help="the share of cells explained")
    parser.add_argument("--gates-csv", required=True, help="saturation, one row per unit")
    parser.add_argument("--html", required=True, help="all of it as a page")


def run(args):
    corpora = read_corpora(args.corpora)
    found = read_found(args.found, corpora)
    scored = read_cells(args.cells, corpora, found, "table of cells")
    untrained = read_cells(args.untrained, corpora, found, "table of an untrained network's cells")
    files = by_stem(args.gates, corpora, "table of gates")
    gates = pd.concat(
        [
            read_table(files[corpus], ["corpus", "type", "layers", "gate", "left", "right"])
            for corpus in corpora
        ],
        ignore_index=True,
    )
    best = [best_cells(scored[c], untrained[c], found[c]) for c in corpora]
    best = pd.concat(best, ignore_index=True)
    shares = [
        explained(cells[c], trained)
        for c in corpora
        for cells, trained in ((scored, True), (untrained, False))
    ]
    shares = pd.concat(shares, ignore_index=True)
    ranked = pd.concat([ranking(scored[c], found[c]) for c in corpora], ignore_index=True)
    for table, path in (
        (ranked[COLUMNS], args.csv),
        (best, args.best_csv),
        (shares, args.explained_csv),
        (gates, args.gates_csv),
    ):
        write_csv(table, path)
    write_atomically(args.html, page(corpora, found, ranked, best, shares, gates).encode())


def read_cells(paths, corpora, found: dict[str, dict], what: str) -> dict[str, pd.DataFrame]:
    """The scores of each corpus's cells, `with_strength`."""
    files = by_stem(paths, corpora, what)
    return {c: with_strength(read_table(files[c], COLUMNS), found[c]) for c in corpora}


# ---- the numbers ----


def with_strength(cells: pd.DataFrame, found: dict) -> pd.DataFrame:
    """Cells with their strength on the streams where they were picked, and where they are reported:
    columns picked_strength, strength, 0 (chance) to 1."""
    kinds = {entry["hypothesis"]: entry["yes_no"] for entry in found["hypotheses"]}
    yes_no = cells["hypothesis"].map(kinds).to_numpy(bool)
    return cells.assign(
        picked_strength=selectivity.strength(cells["picked"].to_numpy(float), yes_no),
        strength=selectivity.strength(cells["score"].to_numpy(float), yes_no),
    )


def ranking(cells: pd.DataFrame, found: dict) -> pd.DataFrame:
    """Every cell and hypothesis, hypotheses in their order, and of each the cell first that is the
    strongest where cells are picked: by its score on the other half a cell would be chosen on the
    very text that the score is of."""
    order = [entry["hypothesis"] for entry in found["hypotheses"]]
    place = cells["hypothesis"].map(order.index)
    return (
        cells.assign(place=place)
        .sort_values(
            ["place", "picked_strength", "layer", "unit"], ascending=[True, False, True, True]
        )
        .drop(columns="place")
    )


def best_cells(cells: pd.DataFrame, untrained: pd.DataFrame, found: dict) -> pd.DataFrame:
    """One row per hypothesis: the cell that was picked on one half, with its score on the other.

    untrained: the strength of the cell so picked in the untrained network.
    """
    rows = []
    for entry in found["hypotheses"]:
        row = {"corpus": found["corpus"], "model": found["model"], **entry}
        if entry["searched"]:
            kept = ["layer", "unit", "score", "low", "high", "strength", "picked", "beyond"]
            row |= picked_cell(cells, entry["hypothesis"])[kept].to_dict()
            row["untrained"] = picked_cell(untrained, entry["hypothesis"])["strength"]
        rows.append(row)
    columns = ["corpus", "model", "hypothesis", "measure", "layer", "unit", "score", "low", "high"]
    columns += ["strength", "picked", "beyond", "untrained", "mean", "undefined"]
    table = pd.DataFrame(rows)
    table["measure"] = np.where(table["yes_no"], "auc", "tau")
    return table.reindex(columns=columns).astype({"layer": "Int64", "unit": "Int64"})


def picked_cell(cells: pd.DataFrame, hypothesis: str) -> pd.Series:
    """The row of the cell that is strongest where cells are picked."""
    own = cells[cells["hypothesis"] == hypothesis]
    return own.loc[own["picked_strength"].idxmax()]


def explained(cells: pd.DataFrame, trained: bool = True) -> pd.DataFrame:
    """For each layer and for all: the share of cells that any hypothesis explains.

    beyond_null: further from chance than turned labels get, corrected for cells times hypotheses.
    strength_...: so, and with at least that strength, for the hypothesis that the picking half
    likes best; both are measured on the other half. trained: whether the network is.
    """
    rows = []
    units = cells.groupby(["corpus", "model", "layer", "unit"], sort=True)
    own = cells.loc[units["picked_strength"].idxmax()]
    own = own.assign(any_beyond=units["beyond"].any().to_numpy())
    layers = [("all", own)] if len(own) else []
    layers += [(str(layer), rows_) for layer, rows_ in own.groupby("layer")]
    for layer, of_layer in layers:
        row = of_layer.iloc[0][["corpus", "model"]].to_dict()
        row |= {"trained": trained, "layer": layer}
        row |= {"cells": len(of_layer), "beyond_null": of_layer["any_beyond"].mean()}
        for least in selectivity.SHARES:
            strong = of_layer["beyond"] & (of_layer["strength"] >= least)
            row[f"strength_{least:g}"] = strong.mean()
        rows.append(row)
    columns = ["corpus", "model", "trained", "layer", "cells", "beyond_null"]
    return pd.DataFrame(
        rows, columns=columns + [f"strength_{least:g}" for least in selectivity.SHARES]
    )


def gate_means(gates: pd.DataFrame) -> pd.DataFrame:
    """For each layer of each gate: mean saturation of its units, and how many are always so."""
    rows = []
    keys = ["corpus", "type", "layers", "size", "gate", "layer"]
    for key, units in gates.groupby(keys, sort=False):
        rows.append(
            dict(zip(keys, key, strict=True))
            | {
                "units": len(units),
                "left": units["left"].mean(),
                "right": units["right"].mean(),
                "always_left": int((units["left"] >= ALWAYS).sum()),
                "always_right": int((units["right"] >= ALWAYS).sum()),
                "most_left": units["left"].max(),
                "most_right": units["right"].max(),
            }
        )
    return pd.DataFrame(rows)


# ---- the page ----

OWN_STYLE = """
th:first-child { width: 13em; }
td.left, th.left { text-align: left; }
tbody th { text-align: left; }
.faint { color: #777; }
.bar { display: inline-block; height: .62em; background: #17375E; vertical-align: baseline; }
"""

ABOUT = """Every cell of the best LSTM of each corpus (lowest validation loss) is held against
every hypothesis, a labelling of the text by a small function. The score of a yes/no is the area
under the ROC curve (0.5 is chance, 0 as telling as 1: the cell is off instead of on), that of a
count Kendall’s rank correlation τ. Strength is |2 AUC − 1| or |τ|. Cells are picked on every
second test stream; scores and their 95% intervals come from the other streams
({samples} bootstrap samples of whole streams)."""

SHARE_NOTE = """Beyond the null: further from chance, for any hypothesis, than the largest of all
cells gets with labels turned within each stream ({shifts} times), corrected for all cells times all
hypotheses at 5%. The other columns ask in addition for this strength, with the hypothesis that the
picking half likes best. Untrained: the same for a network of this shape before its first update.
It follows the text all the same, since it remembers the last letters; beyond the null means no more
than that. What training is worth is told by the strengths."""

GATE_NOTE = """Left: below 0.1, right: above 0.9; mean over a layer’s units of the share of the
test characters. In brackets: units that are so at {always:.0%} of the characters or more. Of each
type this is the best model with three layers (or else the most): {models}."""


def page(corpora, found, ranked, best, shares, gates) -> str:
    samples = max(content["samples"] for content in found.values())
    sections = "\n".join(
        f"<section>\n<h2>{html.escape(about['title'])}: {model_name(found[key])}</h2>\n"
        f"{source_line(about)}\n"
        f"{best_section(best[best['corpus'] == key], ranked[ranked['corpus'] == key], found[key])}"
        f"{share_section(shares[shares['corpus'] == key], found[key])}"
        f"{gate_section(gates[gates['corpus'] == key])}</section>"
        for key, about in corpora.items()
    )
    return document(
        "Cells",
        OWN_STYLE,
        f"<h1>Inside the networks: cells and gates</h1>\n<p>{ABOUT.format(samples=samples)}</p>\n"
        f"{sections}",
    )


def best_section(best: pd.DataFrame, ranked: pd.DataFrame, found: dict) -> str:
    titles = {entry["hypothesis"]: entry["title"] for entry in found["hypotheses"]}
    head = (
        '<tr><th>Hypothesis</th><th>in the text</th><th>best cell</th><th class="left">score</th>'
        '<th class="left">strength</th><th class="left">next cells</th></tr>'
    )
    rows = []
    for row in best.itertuples():
        name = f"<th>{html.escape(titles[row.hypothesis])}</th><td>{frequency(row)}</td>"
        if pd.isna(row.unit):
            rows.append(f'<tr>{name}<td colspan="4" class="faint">varies too little here</td></tr>')
            continue
        others = ranked[ranked["hypothesis"] == row.hypothesis]
        others = others[(others["layer"] != row.layer) | (others["unit"] != row.unit)]
        others = others.sort_values("picked_strength", ascending=False).head(RUNNERS_UP)
        more = small([f"{o.layer}.{o.unit}: {number(o.score)}" for o in others.itertuples()])
        measure = "AUC" if row.measure == "auc" else "τ"
        interval = f"{number(row.low)} to {number(row.high)}"
        rows.append(
            f"<tr>{name}<td>{row.layer}.{row.unit}</td>"
            f'<td class="left">{measure} {number(row.score)}'
            f'<span class="small">{interval}{"" if row.beyond else ", within the null"}</span></td>'
            f'<td class="left"><span class="bar" style="width:{5 * row.strength:.2f}em"></span>'
            f' {row.strength:.2f}<span class="small">untrained {row.untrained:.2f}</span></td>'
            f'<td class="left">{more}</td></tr>'
        )
    return grid("Best cell of each hypothesis (layer.unit)", head, "\n".join(rows))


def frequency(row) -> str:
    """How much of the text a labelling concerns."""
    if pd.isna(row.mean):
        return "nowhere defined"
    text = f"{row.mean:.1%} yes" if row.measure == "auc" else f"mean {row.mean:.3g}"
    if row.undefined:
        share = "&lt; 0.1%" if row.undefined < 0.001 else f"{row.undefined:.1%}"
        text += f'<span class="small">undefined {share}</span>'
    return text


def share_section(shares: pd.DataFrame, found: dict) -> str:
    head = (
        "<tr><th>Layer</th><th>cells</th><th>beyond the null</th>"
        + "".join(f"<th>strength ≥ {least:g}</th>" for least in selectivity.SHARES)
        + "</tr>"
    )
    columns = ["beyond_null"] + [f"strength_{least:g}" for least in selectivity.SHARES]
    shown = shares[shares["trained"] | (shares["layer"] == "all")]
    rows = "\n".join(
        f"<tr><th>{row['layer']}{'' if row['trained'] else ', untrained'}</th>"
        f"<td>{row['cells']}</td>"
        + "".join(f"<td>{row[column]:.1%}</td>" for column in columns)
        + "</tr>"
        for _, row in shown.iterrows()
    )
    note = SHARE_NOTE.format(shifts=found["shifts"])
    return grid("Share of cells that any hypothesis explains", head, rows) + (
        f'<p class="note">{note}</p>\n'
    )


def gate_section(gates: pd.DataFrame) -> str:
    if gates.empty:
        return ""
    means = gate_means(gates)
    layers = sorted(set(means["layer"]))
    head = (
        "<tr><th></th>"
        + "".join(f'<th class="group" colspan="2">layer {layer}</th>' for layer in layers)
        + "</tr>\n<tr><th>Gate</th>"
        + '<th class="group">left</th><th>right</th>' * len(layers)
        + "</tr>"
    )
    rows = []
    for type in types_in_order(means["type"]):
        of_type = means[means["type"] == type]
        for gate in dict.fromkeys(of_type["gate"]):
            cells = ""
            for layer in layers:
                here = of_type[(of_type["gate"] == gate) & (of_type["layer"] == layer)]
                for side, group in (("left", ' class="group"'), ("right", "")):
                    entry = "–"
                    if len(here):
                        row = here.iloc[0]
                        entry = f"{row[side]:.1%} ({row[f'always_{side}']})"
                    cells += f"<td{group}>{entry}</td>"
            rows.append(f"<tr><th>{type.upper()} {gate}</th>{cells}</tr>")
    return grid("Saturation of gates", head, "\n".join(rows)) + (
        f'<p class="note">{GATE_NOTE.format(always=ALWAYS, models=watched(gates))}</p>\n'
    )


def watched(gates: pd.DataFrame) -> str:
    """The models whose gates these are: 3-layer LSTM 512, 3-layer GRU 512."""
    models = gates[["type", "layers", "size"]].drop_duplicates()
    return ", ".join(model_name(model) for model in models.to_dict("records"))
