"""Blocks of docs/inside.md: units, clamped units, probes, and when they appear."""

import numpy as np
import pandas as pd

from blocks.common import ABSENT, REFERENCE, TITLES, between, extent, markdown, table
from blocks.figures import figure
from charlens.claims.seeds import two_groups
from charlens.report.emergence import NETWORK, appearances
from charlens.store.models import shown


def units() -> str:
    best = table("tables/hypotheses.csv").dropna(subset=["unit"])
    rows = []
    for row in best.itertuples():
        if row.strength >= 0.8:
            score = max(row.score, 1 - row.score) if row.measure == "auc" else abs(row.score)
            measure = "AUC" if row.measure == "auc" else "τ"
            rows.append([TITLES[row.corpus], shown(row.model), row.hypothesis.replace("_", " "),
                         f"{int(row.layer)}", f"{int(row.unit)}", f"{measure} {score:.3f}",
                         f"{row.untrained:.2f}"])  # fmt: skip
            if "last_k" in best:
                known = pd.notna(row.last_k)
                beyond = "yes" if row.beyond_baselines else "no"
                rows[-1] += [f"{row.last_k:.2f}", beyond] if known else ["–", "–"]
    head = ["corpus", "network", "hypothesis", "layer", "unit", "score", "strength untrained"]
    head += ["strength of the last characters", "beyond both"] if "last_k" in best else []
    return markdown(head, rows)


def clamped() -> str:
    if not (REFERENCE / "tables/ablation.csv").exists():
        return "Not published yet: `charlens ablate` makes these numbers."
    found, effects, rows = table("tables/ablation.csv"), table("figures/ablation.csv"), []
    units = ["corpus", "model", "hypothesis", "layer", "unit"]
    for (corpus, model, hypothesis, layer, unit), own in found.groupby(units, sort=False):
        same = (effects["corpus"] == corpus) & (effects["hypothesis"] == hypothesis)
        controls = effects[same & (effects["found"] == 0)]
        cells = []
        for row in own.sort_values("clamp").itertuples():  # mean, zero
            change = between(row.own, row.own_low, row.own_high)
            others = controls.loc[controls["clamp"] == row.clamp, "own"].abs()
            rank = f"{(others >= abs(row.own)).sum() + 1} of {row.controls + 1}"
            rank = f"{'yes' if row.used else 'no'} ({rank})"
            cells += [f"{row.loss:+.4f}", change, rank]
        rows.append([TITLES[corpus], shown(model), hypothesis.replace("_", " "),
                     f"{layer}.{unit}", *cells])  # fmt: skip
    own = "probability of its own characters"
    head = ["corpus", "network", "hypothesis", "unit", "to its mean: loss", own, "used (rank)",
            "to zero: loss", own, "used (rank)"]  # fmt: skip
    return f"{markdown(head, rows)}\n\n{figure('ablation', 'What clamped units change')}"


def learned_when() -> str:
    """How many watched networks learned to count the characters of a line, and when."""
    if not (REFERENCE / "tables/emergence.csv").exists():
        return "No watched network is published yet."
    measures = table("tables/emergence.csv")
    found = appearances(measures[measures["corpus"].isin(TITLES)])
    ends = measures.sort_values("epoch").groupby([*NETWORK, "measure"])["value"].last()
    rows = []
    for corpus, own in found[found["measure"] == "newline"].groupby("corpus"):
        upper = two_groups(own["last"].to_numpy())
        own = own.assign(learned="all" if upper is None else np.where(upper, "upper", "lower"))
        for (type, layers, size), some in own.groupby(["type", "layers", "size"]):
            for learned, group in some.groupby("learned"):
                loss = [ends[(*network, "loss")] for network in
                        group[NETWORK].itertuples(index=False, name=None)]  # fmt: skip
                half = extent(group["half"], ".1f")
                rise = f"{group['rise'].median():.1f}"
                rows.append([TITLES[corpus], f"{type.upper()} {layers}x{size}",
                             learned, str(len(group)),
                             extent(group["last"], ".2f"),
                             *(["–", "–"] if learned == "lower" else [half, rise]),
                             f"{sum(loss) / len(loss):.3f}"])  # fmt: skip
    head = ["corpus", "network", "group", "seeds", "probability of a line break",
            "half-way in epoch", "rise (epochs)", "test loss"]  # fmt: skip
    return (f"{markdown(head, rows)}\n\n{units_appear(measures)}"
            f"\n\n{figure('emergence', 'When skills and units appear')}")  # fmt: skip


def units_appear(measures: pd.DataFrame) -> str:
    """How many watched networks ended with a strong unit, and from which epoch on they had it."""
    rows = []
    for measure, name in (("strength_line_position", "line position"), ("strength_quote", "quote")):
        own = measures[measures["measure"] == measure].sort_values("epoch")
        for (corpus, type, layers, size), some in own.groupby(NETWORK[:4]):
            since, lost = [], 0
            for _, one in some.groupby("seed"):
                weak = one["epoch"][one["value"] < 0.5]
                if one["value"].iloc[-1] >= 0.5:
                    since.append(one["epoch"][one["epoch"] > weak.max()].iloc[0])
                else:
                    lost += one["value"].max() >= 0.8
            when = extent(pd.Series(since), ".0f") if since else "–"
            rows.append([TITLES[corpus], f"{type.upper()} {layers}x{size}", name,
                         f"{len(since)} of {some['seed'].nunique()}", when, str(lost)])  # fmt: skip
    head = ["corpus", "network", "unit for", "strength ≥ 0.5 at the end", "since epoch",
            "once ≥ 0.8, lost"]  # fmt: skip
    return markdown(head, rows)


def probes() -> str:
    """What tells of each hypothesis, in the layer in which the probe tells most."""
    path = REFERENCE / "tables/probes.csv"
    if not path.exists():
        return ABSENT
    from charlens.units.unit_tables import told

    found, rows, lines = pd.read_csv(path), [], []
    names = ["single", "probe", "last_k", "untrained"]
    for corpus, own in found.groupby("corpus", sort=False):
        best = told(own)
        counts = best["by"].value_counts()
        lines.append(
            f"{TITLES[corpus]}, {shown(best['model'].iloc[0])}: of {len(best)} hypotheses"
            f" {counts.get('one unit', 0)} are told by one unit, {counts.get('many units', 0)} by"
            f" many, {counts.get('baselines alone', 0)} no better than by the baselines."
        )
        for row in best.itertuples():
            strengths = (f"{getattr(row, name):.2f}" for name in names)
            rows.append([TITLES[corpus], row.hypothesis.replace("_", " "), str(row.layer),
                         *strengths, row.by])  # fmt: skip
    head = ["corpus", "hypothesis", "layer", "best unit", "all units", "last characters",
            "all units untrained", "told by"]  # fmt: skip
    return "\n".join([f"- {line}" for line in lines + beyond()] + ["", markdown(head, rows)])


def beyond() -> list[str]:
    """The share of units beyond both baselines, and beyond shifted labels."""
    shares = table("tables/explained.csv")
    if "beyond_baselines" not in shares:
        return []
    lines = []
    for corpus, own in shares[shares["layer"] == "all"].groupby("corpus", sort=False):
        own = own.set_index("trained")
        if own["beyond_baselines"].isna().any():
            continue
        lines.append(
            f"{TITLES[corpus]}: {own.loc[True, 'beyond_baselines']:.1%} of the units are beyond"
            f" both baselines. Beyond shifted labels are {own.loc[True, 'beyond_null']:.1%}, and"
            f" {own.loc[False, 'beyond_null']:.1%} in the untrained network."
        )
    return lines


def all_networks() -> str:
    """Shares by type, by layers and by size, mean over networks."""
    path = REFERENCE / "tables/inside.csv"
    if not path.exists():
        return ABSENT
    found = pd.read_csv(path, dtype={"layer": str})
    keys = ["corpus", "type", "layers", "size", "seed"]
    wide = found[found["layer"] == "all"].pivot(index=keys, columns="measure", values="value")
    wide = wide.reset_index()
    shown = {"units 0.5": "units ≥ 0.5", "units 0.8": "units ≥ 0.8",
             "always right f": "forget gates always open", "always left o": "output always closed",
             "always right o": "output always open", "always left z": "update always closed",
             "always right z": "update always open"}  # fmt: skip
    planned = table("tables/status.csv")
    planned = planned[planned["model"].str.startswith("type~")]["corpus"].value_counts()
    rows, measured = [], []
    for corpus, own in wide.groupby("corpus", sort=False):
        measured.append(f"{len(own)} of {planned[corpus]} of {TITLES[corpus]}")
        for name in ("type", "layers", "size"):
            for value, some in own.groupby(name, sort=name != "type"):
                label = value.upper() if name == "type" else f"{name} {value}"
                shares = (some[m].mean() if m in some else float("nan") for m in shown)
                cells = ("–" if pd.isna(share) else f"{share:.1%}" for share in shares)
                rows.append([TITLES[corpus], label, str(len(some)), *cells])
    head = ["corpus", "", "networks", *shown.values()]
    return (
        f"Networks measured so far: {'; '.join(measured)}.\n\n{markdown(head, rows)}\n\n"
        "Units ≥ 0.5: the share of units that correlate with some hypothesis"
        " with at least this strength, whatever the baselines above do. A gate is always"
        " open (closed) at 95% of the characters or more."
    )
