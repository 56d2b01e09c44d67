"""Blocks of docs/results.md about losses, and their discrepancies from the paper's."""

import re

import pandas as pd

from blocks.common import ABSENT, FAR, TITLES, between, markdown, network, published, table
from charlens.statistics.intervals import pooled_sd
from charlens.store.tables import paper_table


def entry(number: int, **wanted) -> str:
    """Ours and, in brackets, the paper's loss in a table; a dash where there is none. wanted:
    values of columns."""
    paper = paper_table(number).rename(columns={"type": "model"})
    ours, theirs = (
        rows[(rows[list(wanted)] == pd.Series(wanted)).all(axis=1)]
        for rows in (table("tables/comparison.csv"), paper)
    )
    if ours.empty:
        return "–" if theirs.empty else f"– ({theirs['loss'].item():.3f})"
    (row,) = ours.itertuples()
    return f"{row.ours:.3f} ({row.paper:.3f})"


def table1() -> str:
    cells = table("tables/comparison.csv")
    columns = [(type, layers) for type in ("lstm", "rnn", "gru") for layers in (1, 2, 3)]
    head = ["size", *(f"{type.upper()} {layers}" for type, layers in columns)]
    parts = []
    for corpus, title in TITLES.items():
        rows = []
        for size in sorted(set(cells["size"][cells["corpus"] == corpus].dropna().astype(int))):
            entries = (
                entry(1, corpus=corpus, model=type, layers=layers, size=size)
                for type, layers in columns
            )
            rows.append([str(size), *entries])
        parts.append(f"**{title}**\n\n{markdown(head, rows)}")
    return "\n\n".join(parts)


def table2() -> str:
    cells = table("tables/comparison.csv")
    contexts = sorted(set(cells["n"].dropna().astype(int)))
    parts = []
    for corpus, title in TITLES.items():
        rows = [
            [model, *(entry(2, corpus=corpus, model=model, n=n) for n in contexts)]
            for model in ("n-gram", "n-NN")
        ]
        parts.append(f"**{title}**\n\n{markdown(['n =', *map(str, contexts)], rows)}")
    return "\n\n".join(parts)


def discrepancies() -> str:
    far, parts = published("tables/discrepancies.csv"), []
    if far.empty:
        return ABSENT
    head = ["entry", "ours", "paper", "difference", "beyond the offset", "a slip of 0.1 leaves",
            "another size leaves", "another candidate leaves", "fits"]  # fmt: skip
    for corpus, title in TITLES.items():
        own, rows = far[far["corpus"] == corpus], []
        for row in own.itertuples():
            size = "" if pd.isna(row.nearest_size) else f"row {row.nearest_size:.0f}"
            rows.append([
                network(row), f"{row.ours:.3f}", f"{row.paper:.3f}", f"{row.difference:+.3f}",
                f"{row.residual:+.3f}", f"{row.slip_residual:+.3f}",
                leaves(row.size_residual, size), leaves(row.candidate_residual, row.candidate),
                row.fits,
            ])  # fmt: skip
        kind = own["model"].where(own["model"].isin(["n-gram", "n-NN"]), "recurrent networks")
        offsets = ", ".join(
            f"{name} {rows['offset'].iloc[0]:+.3f} (deviation {rows['typical'].iloc[0]:.3f})"
            for name, rows in own.groupby(kind, sort=False)
        )
        words = f"offsets and typical deviations: {offsets}"
        parts.append(f"**{title}**, {words}.\n\n{markdown(head, rows)}")
    return "\n\n".join([f"Off by more than {FAR:g} nats, ours minus the paper's:", *parts])


def leaves(residual: float, what: str) -> str:
    return "–" if pd.isna(residual) else f"{residual:+.3f} ({what})"


def shuffle_offsets() -> str:
    found = published("tables/shuffle_offsets.csv").dropna(how="all")
    if found.empty:
        return "No model has been trained on other orders of the files yet."
    rows = [
        [TITLES[row.corpus], row.model, str(row.orders), f"{row.mean:.3f}",
         known(row.sd, ".4f"), f"{row.paper:.3f}", known(row.deviations, "+.1f"),
         known(row.p, ".2f")]
        for row in found.dropna(subset=["paper"]).itertuples()
    ]  # fmt: skip
    head = ["corpus", "model", "orders", "mean", "deviation", "paper", "deviations off", "p"]
    return markdown(head, rows)


def known(value: float, form: str) -> str:
    """A number in a form; a dash where there is none."""
    return "–" if pd.isna(value) else f"{value:{form}}"


def paper_text() -> str:
    rows = []
    for row in published("tables/paper_text.csv").itertuples():
        form = "{:.0%}" if row.unit == "share" else "{:.0f} " + row.unit
        where, ours = f"{row.where}, {row.source}", f"{form.format(row.ours)} ({row.basis})"
        if flat := re.search(r"from \d+ to \d+ it is as large within errors", row.basis):
            ours = f"no largest gain: {flat.group()} ({row.basis.partition(':')[0]})"
        rows.append([TITLES[row.corpus], row.quantity, form.format(row.paper), where, ours])
    head = ["corpus", "quantity", "paper", "where it stands", "ours"]
    return markdown(head, rows) if rows else ABSENT


def candidates() -> str:
    tried = table("histories/candidates.csv")
    tried = tried[tried["corpus"].isin(TITLES)]
    sizes = tried["model"].str.extract(r"size~(\d+)")[0].astype(float).fillna(0).astype(int)
    rows = []
    for (corpus, size, candidate), own in tried.groupby(["corpus", sizes, "candidate"]):
        models = f"size {size}" if size else "n-NN"
        chosen = int((own["chosen"] == 1).sum())
        name = candidate.replace("~", " ").replace("hidden", "hidden units")
        rows.append([TITLES[corpus], models, name, str(len(own)), str(chosen)])
    return markdown(["corpus", "models", "candidate", "trained", "chosen"], rows)


def uncertainty() -> str:
    first = table("tables/table1.csv")
    seeds = first.groupby(["corpus", "type", "layers", "size"])["loss"]
    pooled, _ = pooled_sd(own for _, own in seeds)
    several = seeds.size()[lambda count: count > 1]
    sizes = sorted({size for *_, size in several.index})
    bootstrap = first["sd"].mean()
    return (
        f"Another seed moves a loss by {pooled:.3f} nats (pooled standard deviation within the"
        f" {len(several)} grid entries that have several seeds, of sizes"
        f" {' and '.join(map(str, sizes))}; larger networks are assumed to vary as much). The"
        " bootstrap deviation of the paper's caption, which resamples single characters, is"
        f" {bootstrap:.3f} on average and covers neither seeds nor the choice of test text."
    )


def split_layouts() -> str:
    found = table("tables/plain_cut.csv")
    rows = []
    for row in found.itertuples():
        if row.model in ("20-gram",) or not str(row.model).endswith("-gram"):
            advantage = "–"
            if pd.notna(row.advantage_change):
                advantage = between(row.advantage_change, row.advantage_low, row.advantage_high)
            rows.append([TITLES[row.corpus], row.model, f"{row.paper_split:.3f}",
                         f"{row.plain_cut:.3f}", between(row.change, row.low, row.high),
                         advantage])  # fmt: skip
    head = ["corpus", "model", "streams layout", "contiguous layout", "change",
            "change of the advantage"]  # fmt: skip
    return markdown(head, rows)
