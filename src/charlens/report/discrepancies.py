"""Entries of tables 1 and 2 that are far from the paper's, and what could explain each.

A corpus and kind of model has an offset, the median of ours minus the paper's: it is one finding,
not one per entry. What an entry differs beyond it is its residual. Three tests are put to an entry
that is far from the paper's and whose residual is not usual. Each leaves a residual of its own, and
fits where that is usual:

    slip        the paper's number is 0.1 off, a slip of its first decimal
    size        the paper's number is that of another row, that is of another parameter budget
    candidate   the paper used another of our candidates for the dropout or the hidden size

Usual means within USUAL typical deviations of the corpus and kind, a robust estimate from the
residuals themselves.
"""

import argparse
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from charlens.files import write_atomically, write_csv
from charlens.report.comparison import COLUMNS as ENTRY
from charlens.report.comparison import FAR, baseline, compare, name
from charlens.report.html import PAPER_BYTES, Entry, Grid, render, signed
from charlens.statistics.intervals import pooled_sd
from charlens.store.corpora import read_corpora
from charlens.store.models import ModelKey
from charlens.store.tables import paper_table, read_table, read_table1

SLIP = 0.1  # nats
USUAL = 2  # typical deviations
ORDERS = 3  # of the files; fewer have no deviation that means anything
NORMAL = 1.4826  # standard deviation of a normal distribution in median absolute deviations

COLUMNS = [
    *ENTRY, "deviation", "deviations", "offset", "residual", "typical",
    "slip", "slip_residual", "implied_size", "nearest_size", "size_residual",
    "candidate", "candidate_residual", "fits",
]  # fmt: skip
SHUFFLES = ["corpus", "model", "orders", "mean", "sd", "low", "high", "paper", "deviations", "p"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table1", nargs="?", help="losses of the recurrent networks (.csv)")
    parser.add_argument("--table2", nargs="?", help="losses of n-gram and n-NN models (.csv)")
    parser.add_argument("--histories", nargs="*", default=[], help="history.csv of all candidates")
    parser.add_argument(
        "--reshuffles", nargs="?", help="losses on other orders of the files (.csv)"
    )
    parser.add_argument("--corpora", nargs="+", required=True, help="corpora's .json, in order")
    parser.add_argument("--csv", required=True, help="one row per entry that is far off")
    parser.add_argument("--shuffles-csv", required=True, help="the paper's place among the orders")
    parser.add_argument("--html", required=True, help="both as a page")


def run(args: argparse.Namespace) -> None:
    corpora = read_corpora(args.corpora)
    losses = [
        read_table1(args.table1) if args.table1 else pd.DataFrame(),
        read_table(args.table2) if args.table2 else pd.DataFrame(),
    ]
    shuffled = read_table(args.reshuffles) if args.reshuffles else pd.DataFrame()
    entries = compare(*losses)
    entries = entries[entries["corpus"].isin(list(corpora))].reset_index(drop=True)
    other = other_candidates(*losses, validation_losses(args.histories))
    orders = among_orders(shuffled)
    every = tested(entries, losses[0], other, shuffled, corpora)
    far = every[every["difference"].abs() > FAR]
    write_csv(far[COLUMNS], args.csv)
    write_csv(orders, args.shuffles_csv)
    write_atomically(args.html, page(every, orders, corpora).encode())


# ---- what is compared ----


def kinds(entries: pd.DataFrame) -> pd.Series:
    """The kind of model of each entry: recurrent, n-gram or n-NN."""
    return entries["model"].where(baseline(entries), "recurrent")


def validation_losses(histories: Iterable[str]) -> dict[ModelKey, float]:
    """The lowest validation loss of each candidate, nats per character."""
    return {
        ModelKey.parse(path): read_table(path, ["val_loss"], "history")["val_loss"].min()
        for path in histories
    }


def other_candidates(
    table1: pd.DataFrame, table2: pd.DataFrame, known: dict[ModelKey, float]
) -> pd.DataFrame:
    """What the test loss would be with each candidate that was not chosen: columns of an entry,
    candidate, loss (nats, the mean over seeds).

    Only the chosen one is scored: the loss of another is the chosen one's plus the difference of
    their validation losses. known: see `validation_losses`.
    """
    of = {(row.corpus, row.type, row.layers, row.size, row.seed): (row.dropout, row.loss)
          for row in table1.itertuples()}  # fmt: skip
    of |= {(row.corpus, "nn", row.n): (row.hidden, row.loss)
           for row in table2.itertuples() if row.model == "n-NN"}  # fmt: skip
    rows = []
    for key, val_loss in known.items():
        which = (key.corpus, key.type, key.layers, key.size, key.seed)
        if key.family == "nn":
            which = (key.corpus, "nn", key.n)
        chosen, loss = of.get(which, (None, np.nan))
        taken = known.get(replace(key, candidate=chosen))
        if taken is None or key.candidate == chosen:
            continue
        model, what = ("n-NN", "hidden") if key.family == "nn" else (key.type, "dropout")
        label = f"{what} {key.candidate:g}"
        rows.append(
            [key.corpus, model, key.layers, key.size, key.n, label, loss + val_loss - taken]
        )
    columns = [*ENTRY[:5], "candidate", "loss"]
    found = pd.DataFrame(rows, columns=columns)
    return found.groupby(columns[:-1], dropna=False, sort=False)["loss"].mean().reset_index()


# ---- the tests ----


def tested(
    entries: pd.DataFrame,
    table1: pd.DataFrame,
    other: pd.DataFrame,
    shuffled: pd.DataFrame,
    corpora: dict[str, dict],
) -> pd.DataFrame:
    """All entries with their tests: columns COLUMNS; nats per character.

    deviation: the standard deviation of a difference from the paper that seeds and, where the text
    is not the paper's, the order of its files explain; NaN where one of these is not known. fits:
    "offset" where the residual is usual, else the tests that fit, or "none".
    """
    groups = [entries["corpus"], kinds(entries)]
    found = entries.copy()
    found["deviation"] = deviations(entries, table1, shuffled, corpora)
    found["deviations"] = found["difference"] / found["deviation"]
    found["offset"] = found.groupby(groups)["difference"].transform("median")
    found["residual"] = found["difference"] - found["offset"]
    found["typical"] = NORMAL * found["residual"].abs().groupby(groups).transform("median")
    rows = []
    for row in found.itertuples():
        usual = USUAL * row.typical
        tests = slip(row) | another_size(row, found) | another_candidate(row, other)
        tried = [("slip", "slip"), ("size", f"size {tests['nearest_size']}")]
        tried += [("candidate", tests["candidate"])]
        fits = [words for test, words in tried if abs(tests[f"{test}_residual"]) <= usual]
        if abs(row.residual) <= usual:
            fits = ["offset"]
        rows.append(tests | {"fits": ", ".join(fits) or "none"})
    columns = COLUMNS[COLUMNS.index("slip") :]
    return found.join(pd.DataFrame(rows, columns=columns, index=found.index))[COLUMNS]


def slip(row) -> dict:
    """The first-decimal slip that brings the paper's number nearer: by how much it corrects that
    number, and the residual then."""
    correction = -SLIP if row.residual < 0 else SLIP
    return {"slip": correction, "slip_residual": row.residual - correction}


def another_size(row, entries: pd.DataFrame) -> dict:
    """The size at which our losses of this type and depth, less the offset, are the paper's number
    (NaN where they never are), the other row that comes nearest, and the residual there."""
    nothing = {"implied_size": np.nan, "nearest_size": pd.NA, "size_residual": np.nan}
    if pd.isna(row.size):
        return nothing
    same = (entries["corpus"] == row.corpus) & (entries["model"] == row.model)
    own = entries[same & (entries["layers"] == row.layers)].sort_values("size")
    losses, sizes = (own["ours"] - row.offset).to_numpy(float), own["size"].to_numpy(float)
    falling = np.minimum.accumulate(losses)[::-1]
    implied = np.exp2(
        np.interp(row.paper, falling, np.log2(sizes[::-1]), left=np.nan, right=np.nan)
    )
    others = np.flatnonzero(sizes != row.size)
    if not len(others):
        return nothing | {"implied_size": implied}
    best = others[np.abs(losses[others] - row.paper).argmin()]
    nearest = {"nearest_size": int(sizes[best]), "size_residual": losses[best] - row.paper}
    return nearest | {"implied_size": implied}


def another_candidate(row, other: pd.DataFrame) -> dict:
    """The candidate, of those not chosen, whose loss comes nearest to the paper's number, and the
    residual with it."""
    own = other[(other["corpus"] == row.corpus) & (other["model"] == row.model)]
    for column in ("layers", "size", "n"):
        value = getattr(row, column)
        own = own[own[column].isna() if pd.isna(value) else own[column] == value]
    if own.empty:
        return {"candidate": "", "candidate_residual": np.nan}
    residuals = own["loss"] - row.offset - row.paper
    best = residuals.abs().idxmin()
    return {"candidate": own.loc[best, "candidate"], "candidate_residual": residuals[best]}


def deviations(
    entries: pd.DataFrame, table1: pd.DataFrame, shuffled: pd.DataFrame, corpora: dict[str, dict]
) -> pd.Series:
    """The standard deviation of a difference from the paper by seeds and order; see `tested`.

    Of the seeds: pooled within the grid entries of a corpus and type that have several; 0 for
    n-grams, which have none. Of the order: the mean over the models reshuffled ORDERS times or
    more.
    """
    orders = {}
    if len(shuffled):
        own = shuffled.dropna(subset=["seed"]).groupby(["corpus", "model"])["loss"]
        spreads = own.std()[own.size() >= ORDERS]
        orders = spreads.groupby("corpus").mean().to_dict()
    found = []
    for row in entries.itertuples():
        seeds = 0.0 if row.model == "n-gram" else pooled(table1, row.corpus, row.model)
        paper = PAPER_BYTES.get(row.corpus) == corpora[row.corpus]["bytes"]
        order = 0.0 if paper else orders.get(row.corpus, np.nan)
        found.append(np.sqrt(seeds**2 * (1 + 1 / row.seeds) + 2 * order**2))
    return pd.Series(found, index=entries.index, dtype=float).replace(0, np.nan)


def pooled(table1: pd.DataFrame, corpus: str, type: str) -> float:
    """The deviation between seeds, pooled over the grid entries of a type; NaN if none has two."""
    if table1.empty:
        return np.nan
    own = table1[(table1["corpus"] == corpus) & (table1["type"] == type)].dropna(subset=["loss"])
    found = pooled_sd(losses for _, losses in own.groupby(["layers", "size"])["loss"])
    return found[0] if found else np.nan


# ---- the order of the files ----


def among_orders(shuffled: pd.DataFrame) -> pd.DataFrame:
    """Where the paper's number lies among losses on random orders of the files: columns SHUFFLES.

    One row per model with several orders, and one for the mean of the n-grams that all orders have,
    if these are several. deviations: from the mean, in standard deviations of the difference of one
    more order from the mean of these; p: its two-sided probability by Student's t. Both are NaN
    where the paper has no number, and with the deviation where there are fewer than ORDERS. Orders
    differ from row to row: those that all rows have may be two.
    """
    from scipy.stats import t  # here, because it takes a second to import

    if shuffled.empty:
        return pd.DataFrame(columns=SHUFFLES)
    random = shuffled.dropna(subset=["seed"])
    known = paper_losses()
    keys = zip(random["corpus"], random["model"], strict=True)
    random = random.assign(paper=[known.get(key, np.nan) for key in keys])
    of_ngrams = random[random["model"].str.endswith("-gram")]
    orders = of_ngrams.groupby("corpus")["seed"].transform("nunique")
    everywhere = of_ngrams.groupby(["corpus", "model"])["seed"].transform("size") == orders
    of_ngrams = of_ngrams[everywhere]
    mean = of_ngrams.groupby(["corpus", "seed"]).agg(
        loss=("loss", "mean"),
        paper=("paper", lambda losses: losses.mean(skipna=False)),
        models=("model", "size"),
    )
    mean = mean[mean["models"] > 1].reset_index().assign(model="mean of the n-grams")
    random = pd.concat([random, mean])
    rows = []
    for (corpus, model), own in random.groupby(["corpus", "model"], sort=False):
        losses, paper = own["loss"].to_numpy(), own["paper"].iloc[0]
        if len(losses) < 2:
            continue
        sd = losses.std(ddof=1) if len(losses) >= ORDERS else np.nan
        off = (paper - losses.mean()) / (sd * np.sqrt(1 + 1 / len(losses)))
        p = 2 * t.sf(abs(off), len(losses) - 1)
        about = [losses.mean(), sd, losses.min(), losses.max(), paper, off, p]
        rows.append([corpus, model, len(losses), *about])
    return pd.DataFrame(rows, columns=SHUFFLES)


def paper_losses() -> dict[tuple[str, str], float]:
    """The paper's losses by corpus and name of the model, as `reshuffles.csv` has it."""
    both = pd.concat([paper_table(1), paper_table(2)]).rename(columns={"type": "model"})
    both = both.astype({column: "Int64" for column in ("layers", "size", "n")})
    return {(row.corpus, name(row)): row.loss for row in both.itertuples()}


# ---- the page ----


def page(every: pd.DataFrame, orders: pd.DataFrame, corpora: dict[str, dict]) -> str:
    """Per corpus the offsets, the entries that are far off with their tests, and the orders."""
    sections = []
    for corpus, about in corpora.items():
        own, known = every[every["corpus"] == corpus], orders[orders["corpus"] == corpus]
        far = own[own["difference"].abs() > FAR]
        section = {
            "about": about,
            "offsets": offset_grid(own) if len(own) else None,
            "far": far_grid(far) if len(far) else None,
            "orders": order_grid(known) if len(known) else None,
            "same": PAPER_BYTES.get(corpus) == about["bytes"],
        }
        sections.append(section)
    words = {"far": FAR, "slip": SLIP, "usual": USUAL, "orders": ORDERS}
    return render("discrepancies", sections=sections, **words)


def offset_grid(every: pd.DataFrame) -> Grid:
    """The offset and the typical deviation of each kind of model, how many entries are far off and
    what part of them the tests leave; how often a slip fits by chance."""
    rows = []
    for kind, own in every.groupby(kinds(every), sort=False):
        far = own[own["difference"].abs() > FAR]
        typical = own["typical"].iloc[0]
        texts = [
            str(len(own)), signed(own["offset"].iloc[0]), f"{typical:.4f}", str(len(far)),
            str(int((far["fits"] == "offset").sum())), str(int((far["fits"] == "none").sum())),
            f"{min(1, 2 * USUAL * typical / SLIP):.0%}",
        ]  # fmt: skip
        rows.append((kind, [Entry(text) for text in texts]))
    columns = ["entries", "offset", "typical deviation", f"off by more than {FAR:g}",
               "of these usual", "no test fits", "slip by chance"]  # fmt: skip
    return Grid("Offsets", "Models", columns, rows)


def far_grid(far: pd.DataFrame) -> Grid:
    """The entries that are far off and what each test leaves."""
    rows = []
    for row in far.itertuples():
        deviations = "" if pd.isna(row.deviations) else f"{multiple(row.deviations)} SD"
        implied = "" if pd.isna(row.implied_size) else f"ours there at size {row.implied_size:.0f}"
        typical = f"{multiple(row.residual / row.typical)} typical" if row.typical else ""
        fits = row.fits.split(", ")
        cells = [
            Entry(f"{row.ours:.3f}", [f"paper {row.paper:.3f}"]),
            Entry(signed(row.difference), [deviations]),
            Entry(signed(row.residual), [typical],
                  best="offset" in fits),
            left(row.slip_residual, f"{signed(row.slip)} on the paper’s", "slip" in fits),
            left(row.size_residual, f"row {row.nearest_size}", f"size {row.nearest_size}" in fits,
                 implied),
            left(row.candidate_residual, row.candidate, row.candidate in fits),
        ]  # fmt: skip
        rows.append((name(row), cells))
    columns = ["ours", "difference", "residual", "slip", "another size", "another candidate"]
    return Grid("Far from the paper, and what each test leaves", "Model", columns, rows)


def multiple(deviations: float) -> str:
    """A number of deviations with its sign, one digit and a real minus sign."""
    return f"{deviations:+.1f}".replace("-", "−")


def left(residual: float, what: str, fits: bool, more: str = "") -> Entry:
    """What a test leaves; – where it does not apply."""
    if pd.isna(residual):
        return Entry()
    return Entry(signed(residual), [line for line in (what, more) if line], best=bool(fits))


def order_grid(orders: pd.DataFrame) -> Grid:
    """The paper's place among losses on random orders of the files."""
    rows = []
    for row in orders.itertuples():
        extremes = f"{row.low:.3f} to {row.high:.3f}"
        cells = [Entry(str(row.orders)), Entry(f"{row.mean:.3f}", [extremes])]
        off = "" if pd.isna(row.paper) else signed(row.paper - row.mean)
        cells += [
            Entry() if pd.isna(row.sd) else Entry(f"{row.sd:.4f}"),
            Entry() if pd.isna(row.paper) else Entry(f"{row.paper:.3f}", [off]),
            Entry() if pd.isna(row.deviations) else Entry(multiple(row.deviations)),
            Entry() if pd.isna(row.p) else Entry(f"{row.p:.2f}"),
        ]
        rows.append((row.model, cells))
    columns = ["orders", "mean", "SD", "paper", "deviations", "p"]
    return Grid("Losses on other orders of the files", "Model", columns, rows)
