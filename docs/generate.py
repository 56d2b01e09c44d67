"""Write every number of README.md and docs/ and the cards of the published networks and texts from
the published results, and codemeta.json from CITATION.cff and pyproject.toml.

    python docs/generate.py            renew the blocks in place
    python docs/generate.py --check    exit 1 where a block is not current

A block stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`; the function of that
name below writes it, from results/reference alone. Numbers outside blocks are the paper's or
settings; tests/docs/test_docs.py refuses others.
"""

import argparse
import io
import json
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from charlens.bench.equal import mean_and_interval
from charlens.claims.catalog import NEWER
from charlens.claims.seeds import two_groups
from charlens.report import overview
from charlens.report.emergence import NETWORK, appearances
from charlens.runs import cost, grid, model_cards, reference
from charlens.runs.settings import Settings, make
from charlens.statistics.intervals import pooled_sd
from charlens.store.models import (
    PAPER_TYPES,
    network_name,
    original,
    shown,
    type_name,
    types_in_order,
)
from charlens.store.tables import paper_table, reasons

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results/reference"
MODERN = REFERENCE / "modern"  # the publication of modern.yaml
FIGURES = "../results/reference/figures"  # from a page of docs/
FEW = 20  # units: of fewer the number is given, not a share
FAR = 0.03  # nats: an entry further off than this is named
TITLES = {"wp": "War and Peace", "lk": "Linux"}
CLAIMS = {  # the statement in words, and how its effect is read
    "depth helps": ("the better of two and three layers beats one", "nats"),
    "LSTM beats RNN": ("the LSTM beats the RNN; effect: at the largest size", "nats"),
    "GRU beats RNN": ("the GRU beats the RNN; effect: at the largest size", "nats"),
    "3 layers against 2 is mixed": ("neither three layers nor two lead at all sizes; effect: by "
                                    "how much the lead of two shrinks per doubling of size",
                                    "nats"),
    "LSTM against GRU is mixed": ("neither LSTM nor GRU leads at all sizes; effect: by how much "
                                  "the lead of the GRU shrinks per doubling of size", "nats"),
    "best network beats the n-gram": ("the best network beats the 20-gram", "nats"),
    "n-NN agrees with n-gram": ("n-NN and n-gram agree for small n; effect: how far apart they are "
                                "(agree: within 0.05)", "nats"),
    "n-NN falls behind": ("for larger n the n-NN falls behind", "nats"),
    "n-NN's loss rises": ("the n-NN’s loss rises at the largest n", "nats"),
    "n-NN overfits": ("for larger n the n-NN overfits; effect: the largest rise of a validation "
                      "loss after its lowest", "nats"),
    "deviations are small": ("the bootstrap deviation of every loss is below 0.004; effect: the "
                             "least and the largest", "nats"),
    "networks are small": ("the 20-gram’s file is far larger than the best network’s", "powers"),
    "RNNs lie apart": ("RNNs lie apart from LSTMs and GRUs", "ratio"),
    "long reach": ("gains are larger where long reach is needed than elsewhere", "probability"),
    "far braces": ("gains on a “}” far from its “{”", "probability"),
    "brace gain decays": ("the gain on a “}” decays beyond 60 characters", "probability"),
    "first a 1-NN, then more": ("early in training an LSTM resembles the 1-NN, then the 2-NN, "
                                "then the 3-NN", ""),
    "then a 4-NN and a 5-NN": ("the resemblance goes on to the 4-NN and the 5-NN", ""),
    "size removes n-gram errors": ("a larger LSTM mostly removes errors that an n-gram would not "
                                   "make", "share"),
    "interpretable cells exist": ("interpretable units exist", "strength"),
    "interpretable cells are used": ("interpretable units are used, not only there (the paper "
                                     "leaves this open)", "share"),
    "most cells are not": ("most units follow no hypothesis beyond both baselines", "share"),
    "forget gates remember": ("some forget gates are almost always open", "share"),
    "output gates move": ("no output gate of the network in figure 3 is constant, at 99% of the "
                          "characters; effect: the share of the most constant one", "share"),
    "first GRU layer is one-sided": ("the GRU’s first layer almost never saturates the reset gate "
                                     "to the right, the update gate to the left", "share"),
    "first layer is diffuse": ("the LSTM’s gates are saturated less often in the first layer than "
                               "above", "difference"),
}  # fmt: skip

OUR_OWN = ("interpretable cells are used",)  # claims that the paper does not make

ONE_NETWORK = (  # claims about one network, or a small and a large one
    "long reach", "far braces", "brace gain decays", "first a 1-NN, then more",
    "then a 4-NN and a 5-NN", "size removes n-gram errors", "interpretable cells exist",
    "interpretable cells are used", "most cells are not", "forget gates remember",
    "output gates move", "first GRU layer is one-sided", "first layer is diffuse",
)  # fmt: skip

FAULTS = {  # kinds of fault in bench/faults.csv, in words
    "runs": "a whole run, struck from outside",
    "kill": "killed at a write, sync or rename",
    "ENOSPC": "the disk is full from there on",
    "EIO": "the disk fails there",
    "flips": "a bit flipped, or the file cut",
    "fuzz": "content mutated",
}


# ---- reading ----


def table(name: str) -> pd.DataFrame:
    """A published table, named by its path below results/reference."""
    return pd.read_csv(REFERENCE / name)


def agreement(corpus: str, models: str = "recurrent") -> pd.Series:
    found = table("tables/agreement.csv").set_index(["corpus", "models"])
    return found.loc[(corpus, models)]


def conclusions(corpus: str) -> pd.DataFrame:
    """The claims that the paper makes, about a corpus."""
    found = table("tables/claims.csv")
    return found[(found["where"] == corpus) & ~found["claim"].isin(OUR_OWN)]


def counted(counts: pd.Series, verdict: str, verb: str) -> str:
    """How many verdicts: 14 hold, 1 fails, none is undecided."""
    number = int(counts.get(verdict, 0))
    if number < 2:
        verb = {"hold": "holds", "fail": "fails", "are undecided": "is undecided"}[verb]
    return f"{number or 'none'} {verb}"


def times(what: str) -> pd.Series:
    return table("bench/times.csv").set_index("what").loc[what]


def markdown(head: list[str], rows: list[list[str]], right: bool = False) -> str:
    rule = ["---"] + ["---:" if right else "---"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def span(low: float, high: float, unit: str) -> str:
    """A duration: 4 minutes, 1 to 3 minutes."""
    return f"{low:g} {unit}" if low == high else f"{low:g} to {high:g} {unit}"


def between(value: float, low: float, high: float) -> str:
    """A signed number and its interval: +0.046 (-0.006 to +0.099)."""
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def extent(values: pd.Series, form: str) -> str:
    """The least and the largest of some numbers, once where they read the same."""
    return " to ".join(dict.fromkeys(format(x, form) for x in (values.min(), values.max())))


def network(row) -> str:
    if row.model in ("n-gram", "n-NN"):
        return f"{int(row.n)}-{row.model.removeprefix('n-')}"
    return f"{row.model.upper()} {int(row.layers)}x{int(row.size)}"


# ---- README ----


def commands() -> str:
    demo, of_core = times("make demo"), hours_of_paper()
    minutes, hours = span(demo.amx_low, demo.amx_high, "minutes"), of_core["amx"]
    old = of_core["avx2"]
    return f"""```sh
make demo     # the paper in miniature, {minutes}: results/demo/report.html
make test     # the tests
make paper    # the full reproduction, about {hours / 2:.0f} hours: results/paper/report.html
```

Times are for two cores of a server processor with AMX, without a GPU. `make estimate` predicts \
the time on your machine. `make paper` is an estimate: at the measured speed its recurrent \
networks need {hours:.0f} hours on one such core, {hours / 2:.0f} on two. (An old core with only \
AVX2 needs {old:.0f}: {old / 24 / 2:.0f} days on two.) No single machine has run it all."""


def hours_of_paper() -> dict[str, float]:
    """The hours that one core takes for the recurrent networks of config.yaml, by its path."""
    fast, old = table("bench/train.csv"), table("bench/peers.csv")
    measured = {"amx": fast[fast["backend"] == "ours"], "avx2": old[old["peer"] == "ours"]}
    return {path: hours_of_trainings(speeds)[2] for path, speeds in measured.items()}


def verdict() -> str:
    lines = []
    for corpus in TITLES:
        row, said = agreement(corpus), conclusions(corpus)
        counts = said["verdict"].value_counts()
        failed = said[said["verdict"] == "does not hold"]
        named = "; ".join(
            CLAIMS[row.claim][0].partition("; ")[0]
            + (" (it does not in the paper’s own table, either)" if row.paper < 0 else "")
            for row in failed.itertuples()
        )
        fail = counted(counts, "does not hold", "fail") + (f": {named}" if named else "")
        text = "*War and Peace*" if corpus == "wp" else "Linux (a stand-in text)"
        lines.append(
            f"- {text}: over {int(row.cells)} grid entries the test loss is {row.mean_abs:.3f} nats"
            f" from the paper's on average (median {row.median_abs:.3f}, rank correlation"
            f" {row.rank_correlation:.3f}). Of {len(said)} conclusions of the paper"
            f" {counted(counts, 'holds', 'hold')},"
            f" {counted(counts, 'undecided', 'are undecided')}, {fail}."
        )
    lines.append(
        "- Not counted here: whether the network *uses* its interpretable units, a question of our"
        " own."
    )
    unusual = table("tables/discrepancies.csv")
    unusual = unusual[~unusual["model"].isin(["n-gram", "n-NN"])]
    for corpus, text in (("wp", "*War and Peace*"), ("lk", "Linux")):
        own = unusual[(unusual["corpus"] == corpus) & (unusual["residual"].abs() > 2 * FAR)]
        named = " and ".join(
            f"{network(row)} ({row.ours:.3f}; paper {row.paper:.3f})"
            for row in own.sort_values("residual", key=abs, ascending=False).itertuples()
        )
        stands = "stands" if len(own) == 1 else "stand"
        lines.append(
            f"- Far off on {text}: {named}, which {stands} out from the neighbours in the paper's"
            " own table, too; the cause is open."
        )
    ngram = agreement("wp", "n-gram")
    lines.append(
        f"- The n-gram baselines of *War and Peace* are within {ngram.mean_abs:.4f} nats of the"
        " paper's on average."
    )
    return "\n".join(lines)


def state() -> str:
    status = table("tables/status.csv")
    status = status[status["corpus"].isin(TITLES)]
    entry = status["model"].str.replace(r" seed~\d+", "", regex=True)
    lines = []
    for corpus, own in status.groupby("corpus", sort=False):
        finished = own.groupby(entry, sort=False)["finished"]
        missing = [entry_name(model) for model in finished.max().index[finished.max() == 0]]
        if missing:
            lines.append(f"- {TITLES[corpus]}, not trained yet: {', '.join(missing)}.")
        begun = own[own.groupby(entry)["finished"].transform("max") == 1]
        seeds = int((begun["finished"] == 0).sum())
        if seeds:
            lines.append(f"- {TITLES[corpus]}: {seeds} further seeds are not trained yet.")
    lines += [f"- {line}." for line in [*untried(), *other_orders(), *unwatched()]]
    lines += [
        "- The CUDA backend was checked and measured on two kinds of card, an H100 and an H200; no"
        " whole run was made on one.",
        "- The paper's Linux file is no longer at its address. Losses are on a stand-in: the same"
        " kernel sources, in another order.",
    ]
    return "\n".join(lines)


def plan() -> Settings:
    """The paper's settings."""
    return make(yaml.safe_load((ROOT / "config.yaml").read_text()))


def untried() -> list[str]:
    """Candidates of `config.yaml` that were not trained, though others of their models were."""
    settings, publication = plan(), reference.Publication(REFERENCE)
    tried, lines = set(publication.histories()), []
    begun = {key.chosen for key in tried}
    for corpus in settings.use:
        lacking: dict[str, list[str]] = {}  # models by the candidate that they lack
        for key in grid.planned(settings):
            if key.corpus != corpus or key not in begun:
                continue
            for candidate in grid.candidates(settings, key):
                if candidate in tried:
                    continue
                which = f"dropout {candidate.candidate}"
                if key.kind == "nn":
                    which = f"{candidate.candidate:,} hidden units"
                lacking.setdefault(which, []).append(key.label)
        lines += [
            f"{TITLES[corpus]}, not tried yet: {which} in {', '.join(models)}"
            for which, models in lacking.items()
        ]
    return lines


def other_orders() -> list[str]:
    """The models of `config.yaml` that lack some of the other orders of a corpus's files."""
    settings, lines = plan(), []
    known, orders = reference.Publication(REFERENCE).digests(), len(settings.reshuffles.seeds)
    for corpus in settings.use:
        again = [key for key in grid.reshuffles(settings, corpus) if key.corpus != corpus]
        counts = Counter(key.name for key in again if key not in known)
        lacking = ", ".join(f"{name} ({orders - count})" for name, count in counts.items())
        if lacking:
            lines.append(
                f"{TITLES[corpus]}, scored in fewer than the {orders} other orders of its files:"
                f" {lacking}"
            )
    return lines


def unwatched() -> list[str]:
    """The networks of `config.yaml` that are trained, but were not watched as they were."""
    settings, lines = plan(), []
    measures = published("tables/emergence.csv")
    known = set(measures[NETWORK].drop_duplicates().itertuples(index=False, name=None))
    for corpus in settings.use:
        keys = grid.watched(settings, corpus)
        own = [(k.corpus, k.type, k.layers, k.size, k.seed) for k in keys]
        lacking = Counter(k.name for k, which in zip(keys, own, strict=True) if which not in known)
        if lacking:
            names = ", ".join(f"{name} ({count} seeds)" for name, count in lacking.items())
            lines.append(f"{TITLES[corpus]}, not watched as they were trained: {names}")
    return lines


def entry_name(model: str) -> str:
    """type~lstm layers~1 size~512 as LSTM 1x512; other models by their labels."""
    label = dict(re.findall(r"(\w+)~(\S+)", model))
    if "type" not in label:
        return model
    return network_name(label["type"], label["layers"], label["size"])


# ---- docs/results.md ----


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


FOUND_INSTEAD = {  # of a claim whose effect says little: what its basis says in its place
    "deviations are small": r"[\d.]+ to [\d.]+",
    "networks are small": r"[\d,]+ times",
}
BESIDE = (  # what a basis says of a part of the grid
    r"size [\d, ]+: the \w+ leads|size [\d, ]+: not shown",
    r"(?:the GRU|the LSTM|two layers|three layers) ahead at size [\d, ]*\d"
    r"(?:; neither ahead at size [\d, ]*\d)?",
    r"capacity limits .*?n-NNs",
    r"the snapshots start too late or end too early to tell",
)


def effect(row, unit: str) -> str:
    """A verdict, why it is none, its effect with its interval and, in brackets, the paper's."""
    if not unit or pd.isna(row.effect):
        return verdict_of(row)
    share, few = unit == "share", re.search(r"\b(\d+) of (\d+) units\b", row.basis)
    places = max(1, 2 if abs(row.effect) < 0.01 else 0) if share else 3
    low, high = (format(x, f".{places}%" if share else "+.3f") for x in (row.low, row.high))
    interval = low != high  # one whose ends read the same is none
    value = format(row.effect, f".{places if interval else 0}%" if share else ".3f")
    if instead := re.search(FOUND_INSTEAD.get(row.get("claim"), "(?!)"), row.basis):
        value = instead.group()
    elif share and few and int(few[2]) < FEW:
        value = few[0]
    elif interval:
        value += f" ({low} to {high})"
    paper = "" if pd.isna(row.paper) else f"paper {row.paper:.3f}"
    beside = [found.group() for form in BESIDE if (found := re.search(form, row.basis))]
    return "; ".join(filter(None, [f"{verdict_of(row)}: {value}", paper, *beside]))


def verdict_of(row) -> str:
    """A verdict; from which size on, or why there is none."""
    start = row.basis.split(";")[0]
    if start.startswith("from size"):
        return f"{row.verdict} {start}"
    reason = getattr(row, "reason", "")
    return f"{row.verdict} ({reason})" if isinstance(reason, str) and reason else row.verdict


def claims() -> str:
    found = table("tables/claims.csv")
    found["reason"] = reasons(found)
    rows = []
    for claim in dict.fromkeys(found["claim"]):
        words, unit = CLAIMS.get(claim, (claim, "nats"))
        own = found[found["claim"] == claim].set_index("where", drop=False)
        cells = [
            "; ".join(
                [
                    effect(own.loc[c], unit),
                    *of_network(own.loc[c]),
                    *over_networks(own, c),
                    *of_characters(own, c),
                    *of_sizes(own, c),
                ]
            )
            if c in own.index
            else "–"
            for c in TITLES
        ]
        rows.append([words, *cells])
    return markdown(["the paper concludes", *TITLES.values()], rows)


def of_network(row) -> list[str]:
    """The network of a claim that rests on one network (or two), where its basis names it."""
    named = re.findall(r"\b(?:LSTM|GRU|RNN) \dx\d+", row.basis)
    return [" to ".join(dict.fromkeys(named))] if row.claim in ONE_NETWORK and named else []


def over_networks(findings: pd.DataFrame, corpus: str) -> list[str]:
    """In how many networks of the grid such a claim holds, where they were looked at."""
    where = f"{corpus}: over networks"
    said = findings.loc[where, "basis"] if where in findings.index else ""
    counted = re.match(r"in \d+ of \d+ networks", said)
    by = re.search(r"strength on (?P<of>[\w ]+) by its|constant (?P<at>at \d+%)", said)
    what = "" if by is None else f" (a unit for {by['of']})" if by["of"] else f" ({by['at']})"
    return [counted.group() + what] if counted else []


def of_characters(findings: pd.DataFrame, corpus: str) -> list[str]:
    """Of the claim about characters that need a long reach: of which it does not hold."""
    parts = findings[findings["claim"] == "long reach"]
    parts = parts[parts["verdict"] == "does not hold"]
    against = [w.partition(": ")[2] for w in parts["where"] if w.startswith(f"{corpus}: ")]
    return [f"not for {', '.join(against)}"] if against else []


def of_sizes(findings: pd.DataFrame, corpus: str) -> list[str]:
    """Of the claim that RNNs lie apart: at which sizes that is not shown."""
    parts = findings[(findings["claim"] == "RNNs lie apart") & (findings["verdict"] != "holds")]
    sizes = [w.partition(": size ")[2] for w in parts["where"] if w.startswith(f"{corpus}: ")]
    return [f"not shown at size {', '.join(sizes)}"] if sizes else []


def published(name: str) -> pd.DataFrame:
    """A published table; empty where it has not been published yet."""
    return table(name) if (REFERENCE / name).exists() else pd.DataFrame()


def discrepancies() -> str:
    far, parts = published("tables/discrepancies.csv"), []
    if far.empty:
        return "Not published yet."
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
    return markdown(head, rows) if rows else "Not published yet."


def errors_by_size() -> str:
    """Of the errors that the largest networks of a type no longer make, the share per category."""
    found, rows, missing = published("tables/errors.csv"), [], ""
    if found.empty:  # figure 6 has the LSTMs of one depth
        found = table("figures/figure6.csv").assign(type="lstm")
        sums = ["corpus", "type", "layers", "size", "category"]
        found = found.groupby(sums, sort=False)["errors"].sum().reset_index()
        missing = "\n\nGRU, RNN and other depths: not published yet."
    categories = list(dict.fromkeys(found["category"]))
    for (corpus, type, layers), own in found.groupby(["corpus", "type", "layers"], sort=False):
        means = own.groupby(["size", "category"])["errors"].mean().unstack()
        fewer = means.iloc[0] - means.iloc[-1]
        ends = f"{means.index[0]} to {means.index[-1]}"
        if corpus in TITLES and len(means) > 1:
            rows.append([TITLES[corpus], f"{type.upper()}, {layers}", ends, f"{fewer.sum():,.0f}",
                         *(f"{fewer[c] / fewer.sum():.0%}" for c in categories)])  # fmt: skip
    head = ["corpus", "type, layers", "size", "fewer errors", *categories]
    return markdown(head, rows) + missing


def figure(name: str, says: str, caption: str = "") -> str:
    """A published figure with its caption, which is that of the run's report."""
    text = (ROOT / f"workflow/report/{caption or name}.rst").read_text()
    controls = int(table("tables/ablation.csv")["controls"].max())
    text = re.sub(r"{{.*?controls.*?}}", str(controls), text, flags=re.DOTALL).replace("``", "`")
    picture = f"{FIGURES}/{name}"
    return f"[![{says}]({picture}.png)]({picture}.svg)\n\n{text.strip()}"


def figures() -> str:
    """Figures 1 to 6, as the paper numbers them."""
    shown = [("figure1", "Figure 1: t-SNE of the networks")]
    shown += [(f"figure2-{corpus}", f"Figure 2: units and what they follow, {title}")
              for corpus, title in TITLES.items()]  # fmt: skip
    shown += [("figure3", "Figure 3: saturation of gates"),
              ("figure4", "Figure 4: the LSTM against n-grams"),
              ("figure5", "Figure 5: braces by distance, and an LSTM in its first epochs"),
              ("figure6", "Figure 6: errors removed by oracles")]  # fmt: skip
    return "\n\n".join(
        f"### {says}\n\n{figure(name, says, name.partition('-')[0])}" for name, says in shown
    )


def definitions() -> str:
    found, rows = published("figures/figure6_definitions.csv"), []
    if found.empty:
        return "Not published yet: this needs the score arrays of a whole run."
    for (corpus, definition), own in found.groupby(["corpus", "definition"], sort=False):
        shares = own.set_index("category")["share"]
        rows.append([TITLES[corpus], definition, *(f"{share:.1%}" for share in shares)])
    return markdown(["corpus", "definition", *shares.index], rows)


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


# ---- docs/inside.md ----


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


ABSENT = "Not published yet."


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


# ---- docs/reproduce.md, docs/speed.md ----


def costs() -> str:
    rows, trained = [], minutes_of_trainings()
    for row in table("bench/times.csv").itertuples():
        disk = f"{row.disk_gb:g} GB" if row.disk_gb >= 0.1 else f"{1000 * row.disk_gb:g} MB"
        spans = [
            span(row.amx_low, row.amx_high, row.unit), span(row.zen5_low, row.zen5_high, row.unit)
        ]  # fmt: skip
        if row.what == "make paper":
            spans = [f"{hours_of_paper()['amx'] / 2:.0f} hours", "–"]
        elif pd.isna(row.amx_low):
            kind, _, size = row.what.partition(" of War and Peace, ")
            own = trained[(trained["kind"] == kind) & (trained["size"] == int(size.split()[-1]))]
            spans = [
                "–" if alike.empty else f"{extent(alike['minutes'], '.2g')} minutes"
                for alike in (own[own["path"] == path] for path in ("amx", "avx512bf16"))
            ]
        rows.append([
            f"`{row.what}`" if row.what.startswith(("make", "snakemake")) else row.what,
            *spans, f"{row.memory_gb:g} GB", disk,
        ])  # fmt: skip
    return markdown(["", "AMX", "AVX512-BF16 (Zen 5)", "memory", "disk at the peak"], rows)


def path_of(backend: str) -> str:
    """The processor path of a backend: "fast (amx)" is the compiled code; cuda and reference are
    named alone."""
    return backend.removeprefix("fast (").rstrip(")")


def minutes_of_trainings() -> pd.DataFrame:
    """The minutes of each published training of War and Peace that ran on one kind of processor:
    columns kind, size (of n-NNs: hidden units), path, minutes."""
    rows = []
    for path in (REFERENCE / "histories/wp").rglob("history.csv"):
        history = pd.read_csv(path)
        if history["backend"].nunique() == 1:
            kind = "one network" if "type~" in str(path) else "one n-NN"
            size = re.search(r"(?:size|hidden)~(\d+)", str(path))[1]
            used = path_of(history["backend"].iloc[0])
            rows.append([kind, int(size), used, history["seconds"].sum() / 60])
    return pd.DataFrame(rows, columns=["kind", "size", "path", "minutes"])


def speeds() -> str:
    measured = table("bench/train.csv")
    ours = measured[measured["backend"] == "ours"]
    rows = []
    for type in ("lstm", "gru", "rnn"):
        own = ours[ours["type"] == type]
        ratios = (own[column] for column in ("ratio_fp32", "ratio_best"))
        rows.append([type.upper(), *(extent(r, ".1f") for r in ratios)])
    return markdown(["type", "× stock float32", "× the better of float32 and bfloat16"], rows)


def peers() -> str:
    """The shares of the processor's peak that our code and others reach, and how many times stock
    torch's speed ours is."""
    if not (REFERENCE / "bench/peers.csv").exists():
        return ABSENT
    found, types = table("bench/peers.csv"), ("lstm", "gru", "rnn")
    (path,) = set(found["path"])
    of_peak = found.pivot(index=["type", "layers", "size"], columns="peer", values="of_peak")
    ratios = of_peak["ours"] / of_peak["stock"]
    rows = []
    for peer in found["peer"].unique():
        shares = (of_peak.loc[type, peer] for type in types)
        rows.append([peer, *(extent(s, ".0%") for s in shares)])
    rows.append(["ours × stock", *(extent(ratios[type], ".1f") for type in types)])
    known, every, hours = hours_of_trainings(found[found["peer"] == "ours"])
    return (
        f"One core, by the path `{path}`:\n\n{markdown(['', *map(type_name, types)], rows)}\n\n"
        f"By these speeds, {'the' if known == every else f'{known} of the'} {every} trainings of"
        f" recurrent networks that `config.yaml` plans take {hours:,.0f} hours of such a core."
    )


def platforms() -> str:
    """What was run on which platform, and how many published trainings each processor path, or a
    card, had a part in."""
    trained = Counter()
    # what two publications share is one training
    for history in {path.read_bytes() for path in REFERENCE.glob("**/histories/**/history.csv")}:
        trained.update({path_of(name) for name in pd.read_csv(io.BytesIO(history))["backend"]})
    found = table("bench/platforms.csv")
    rows = [
        [row.platform, row.path if " " in row.path else f"`{row.path}`", row.setup, row.tests,
         row.demo, row.bench, str(trained.get(row.path, "–"))]
        for row in found.itertuples()
    ]  # fmt: skip
    head = ["`make setup`", "`make test`", "`make demo`", "`make bench`", "published trainings"]
    return markdown(["platform", "path", *head], rows)


AFTER_CLAMPING = "ablate", "ablation", "claims", "explorer", "report", "workflow_report"


def rules() -> str:
    """What the rules of the paper's run cost, but for its trainings."""
    path = "bench/rules.csv"
    if not (REFERENCE / path).exists():
        return "The paper's run has not been measured as a whole yet."
    absent = [rule for rule in AFTER_CLAMPING if rule not in set(table(path)["rule"])]
    without = (
        f" Not in it: {', '.join(f'`{rule}`' for rule in absent)}. Clamping hundreds of units over"
        " the whole test split takes hours on such a processor."
    )
    return (
        "The paper's run but for its trainings, whose hours stand above, with one seed of each"
        " network, on a server processor with AVX2 alone, beside other work. Networks that were not"
        " trained stood for those that are: their weights change no cost."
        f"{without if absent else ''}\n\n{rules_of(path)}"
    )


def rules_demo() -> str:
    """What the rules of the demo cost."""
    return rules_of("bench/rules_demo.csv")


def rules_of(path: str) -> str:
    """A table of rules, the dearest first; those that are cheap in one row."""
    if not (REFERENCE / path).exists():
        return ABSENT
    found, rows = table(path).sort_values("cpu_s", ascending=False), []
    shown, rest = found.head(12), found.iloc[12:]
    for row in shown.itertuples():
        rows.append([f"`{row.rule}`", str(row.jobs), f"{row.cpu_s:,.0f} s",
                     f"{row.cpu_s / row.jobs:.1f} s", f"{row.max_rss_mb:,.0f} MB"])  # fmt: skip
    rows.append([f"the other {len(rest)} rules", str(rest["jobs"].sum()),
                 f"{rest['cpu_s'].sum():,.0f} s",
                 f"{rest['cpu_s'].sum() / rest['jobs'].sum():.1f} s",
                 f"{rest['max_rss_mb'].max():,.0f} MB"])  # fmt: skip
    rows.append(["all", str(found["jobs"].sum()), f"{found['cpu_s'].sum():,.0f} s", "",
                 f"{found['max_rss_mb'].max():,.0f} MB"])  # fmt: skip
    return markdown(["rule", "jobs", "CPU time", "of each", "memory of the largest"], rows)


def type_speeds() -> str:
    """How fast each type trains: by the window, by the compiled code, and beside the LSTM."""
    if not (REFERENCE / "bench/types.csv").exists():
        return ABSENT
    found, rows = table("bench/types.csv"), []
    for type in types_in_order(found["type"]):
        own = found[found["type"] == type]
        faster = (own["best"] > own["window"]).any()
        rows.append([
            type_name(type),
            extent(own["window"] / own["step"], ".1f"),
            extent(own["best"] / own["window"], ".1f") if faster else "plain torch",
            extent(own["ratio"], ".0%"),
        ])  # fmt: skip
    head = ["type", "whole window over step by step", "compiled over plain torch",
            "speed relative to the LSTM"]  # fmt: skip
    return markdown(head, rows)


def card() -> str:
    """Training speed on a graphics card, beside torch.nn there."""
    if not (REFERENCE / "bench/card.csv").exists():
        return ABSENT
    measured = table("bench/card.csv")
    rows = [
        [f"{row.type.upper()} {row.layers} x {row.size}", f"{row.hidden}",
         f"{row.chars_per_s / 1e6:.1f}", f"{row.torch_nn / 1e6:.1f}", f"{row.ratio:.1f}"]
        for row in measured.itertuples()
    ]  # fmt: skip
    head = ["layers x size", "units", "ours", "torch.nn", "ratio"]
    return (
        f"One {measured['card'][0]}, torch {measured['torch'][0]}, millions of characters per"
        f" second:\n\n{markdown(head, rows)}\n\n{on_one_card(measured)}"
    )


def on_one_card(measured: pd.DataFrame) -> str:
    """How long the paper's trainings take by the speeds measured on a card."""
    known, every, hours = hours_of_trainings(measured)
    return (
        f"By these speeds, {'the' if known == every else f'{known} of the'} {every} trainings of"
        f" recurrent networks that `config.yaml` plans take {hours:.1f} hours on such a card, one"
        " after the other. (An estimate: no whole run was made on one.)"
    )


def hours_of_trainings(measured: pd.DataFrame) -> tuple[int, int, float]:
    """How many of the trainings of recurrent networks in config.yaml have a shape that was
    measured, of how many, and the hours that these take one after the other."""
    rates = measured.set_index(["type", "layers", "size"])["chars_per_s"]
    config = make(yaml.safe_load((ROOT / "config.yaml").read_text()))
    every = [key for key in grid.trainings(config) if key.kind == "recurrent"]
    known = [key for key in every if (key.type, key.layers, key.size) in rates.index]
    hours = 0.0
    for key in known:
        info = REFERENCE / f"corpora/{original(key.corpus)}.json"
        text = cost.Text.of(info, {}, config.of_corpus(key.corpus).fractions)
        work = cost.training(text, grid.epochs(config, key))
        hours += work / rates[key.type, key.layers, key.size] / 3600
    return len(known), len(every), hours


def equal() -> str:
    pairs = table("bench/equal.csv")
    pairs["half"] = (pairs["backend"] == "reference").map({True: "reference", False: "compiled"})
    keys = ["type", "layers", "size", "seed"]
    wide = pairs.pivot_table(index=keys, columns="half", values="test_loss").dropna()
    difference = wide["compiled"] - wide["reference"]
    mean, low, high = mean_and_interval(list(difference))
    return (
        f"Over {len(difference)} pairs of networks the compiled code's test loss minus plain"
        f" torch's is {mean:+.4f} nats on average (95%: {low:+.3f} to {high:+.3f})."
    )


# ---- docs/modern.md ----

# claims about newer types, by words in their names, whose effect is a share of types, or of errors
SHARES_OF_TYPES = "use them", "spread", "have interpretable", "first resemble"
SHARES = (*SHARES_OF_TYPES, "remove errors")


def modern(name: str) -> pd.DataFrame:
    """A published table of the run modern; empty where it has not been published yet."""
    path = MODERN / name
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


def modern_verdict() -> str:
    """How far the newer types are from LSTM and GRU, in a sentence or two."""
    found = modern("tables/types.csv")
    if found.empty:
        return ABSENT
    bare = found[(found["block"] == 0) & (found["recipe"] == "paper")]
    losses = bare.pivot(index=["corpus", "size", "layers"], columns="type", values="loss")
    newer = [type for type in types_in_order(losses) if type not in PAPER_TYPES]
    behind = []
    for type in newer:
        more = (losses[type] - losses["lstm"]).dropna()
        shapes = f"{len(more)} shape{'s' if len(more) > 1 else ''}"
        behind.append(f"{type_name(type)} {extent(more, '+.2f')} ({shapes})")
    best = (losses[newer].min(axis=1) - losses["gru"]).dropna()
    ahead = int((best < 0).sum())
    named = yaml.safe_load((ROOT / "modern.yaml").read_text())["grid"]["types"]
    failed = {key.type for key in reference.failures(reference.Publication(MODERN))}
    rest = [
        type_name(type) + " (the one tried diverged)" * (type in failed)
        for type in types_in_order(set(named) - set(losses))
    ]
    sizes = sorted(set(bare["size"]))
    sizes = f"{'sizes' if len(sizes) > 1 else 'size'} {' and '.join(map(str, sizes))}"
    trained = f"of the {len(best)} shapes that are trained"
    said = f"a newer type is ahead of the GRU in {ahead} {trained}"
    if not ahead:
        said = f"no newer type is ahead of the GRU in any {trained}"
    helped = set(found["type"]) - set(bare["type"])
    return (
        f"Bare cells of equal parameters by the paper's recipe, {sizes}, one seed each:"
        f" {said}. Loss minus that of the LSTM of the same"
        f" shape, in nats per character: {'; '.join(behind)}."
        + ("" if helped else " None has been trained yet in a block or by a recipe of its time.")
        + (f" Without a loss yet: {', '.join(rest)}." if rest else "")
    )  # fmt: skip


def modern_losses() -> str:
    found = modern("tables/types.csv")
    if found.empty:
        return ABSENT
    parts = []
    for corpus, own in found.groupby("corpus", sort=False):
        parts += [f"**{TITLES[corpus]}**", losses_by_shape(own)]
        bare = (own["block"] == 0) & (own["recipe"] == "paper")
        for (layers, size), some in own[~bare].groupby(["layers", "size"]):
            beside = own[bare & (own["layers"] == layers) & (own["size"] == size)]
            parts += [f"With additions, {layers}x{size}:", losses_by_addition(beside, some)]
    return "\n\n".join([*parts, *trained_on_a_card()])


def trained_on_a_card() -> list[str]:
    """Which networks of `modern.yaml` with a loss a card has trained, in a sentence, if any."""
    histories = reference.Publication(MODERN).histories().items()
    on_card = {key.chosen for key, path in histories if "cuda" in set(pd.read_csv(path)["backend"])}
    done = {key: key.label for key in reference.Publication(MODERN).digests() if key in on_card}
    if not done:
        return []
    return [
        "Trained on a card, or partly so, with products in TF32; all others on processors:"
        f" {', '.join(done.values())}."
    ]


def losses_by_shape(found: pd.DataFrame) -> str:
    """The losses of bare cells by the paper's recipe: types down, sizes and layers across."""
    own = found[(found["block"] == 0) & (found["recipe"] == "paper")]
    shapes = sorted(set(zip(own["size"], own["layers"], strict=True)))
    rows = []
    for type in types_in_order(own["type"]):
        of_type = own[own["type"] == type].set_index(["size", "layers"])
        rows.append([type_name(type), *(beside_lstm(of_type, shape) for shape in shapes)])
    head = ["type", *(f"{layers}x{size}" for size, layers in shapes)]
    return markdown(head, rows)


def losses_by_addition(bare: pd.DataFrame, added: pd.DataFrame) -> str:
    """The losses of one shape: types down, what is added across."""
    kinds = [(0, "paper"), (1, "paper"), (0, "adamw"), (1, "adamw")]
    every, rows = pd.concat([bare, added]), []
    for type in types_in_order(every["type"]):
        of_type = every[every["type"] == type].set_index(["block", "recipe"])
        rows.append([type_name(type), *(beside_lstm(of_type, kind) for kind in kinds)])
    return markdown(["type", "bare", "block", "adamw", "block+adamw"], rows)


def beside_lstm(rows: pd.DataFrame, key: tuple) -> str:
    """A loss and, in brackets, the interval of its difference from the LSTM's."""
    if key not in rows.index:
        return "–"
    row = rows.loc[key]
    between = f" ({row.low:+.3f} to {row.high:+.3f})" if row.low < row.high else ""
    return f"{row.loss:.3f}{between}"


def modern_claims() -> str:
    found, rows = modern("tables/claims.csv"), []
    if found.empty:
        return ABSENT
    found["reason"] = reasons(found)
    found[["corpus", "part"]] = found["where"].str.partition(": ")[[0, 2]]
    for claim in NEWER:
        for name in dict.fromkeys(found["corpus"]):
            own = found[(found["claim"] == claim.name) & (found["corpus"] == name)]
            if own.empty:
                rows.append([claim.says, TITLES[name], "not tested: needs a text of another kind",
                             "", ""])  # fmt: skip
                continue
            whole = own.iloc[0]
            unit = "share" if any(word in claim.name for word in SHARES) else "nats"
            reason = overview.reason(whole)
            if open_types := re.findall(r"(?:without|not looked at)\b[^;]*", whole.basis):
                reason = "; ".join(open_types)
            by_type = parts_by_type(own.iloc[1:])
            said = effect(whole.drop("reason"), unit)  # which the note says
            if "%" in said and any(word in claim.name for word in SHARES_OF_TYPES):
                types = len(set(own.iloc[1:]["part"].str.partition(": ")[0]))
                said = f"{whole.verdict}: for {round(whole.effect * types)} of {types} types"
            rows.append([claim.says, TITLES[name], said, by_type, reason])
    return markdown(["claim", "text", "found", "by type", "note"], rows)


def parts_by_type(findings: pd.DataFrame) -> str:
    """For each verdict the types that have it. Where a claim has several parts for each type
    ("minGRU: memory"), those with this verdict follow in brackets, unless all have it."""
    said, parts = [], [part.partition(": ") for part in findings["part"]]
    findings = findings.assign(type=[p[0] for p in parts], what=[p[2] for p in parts])
    for verdict, own in findings.groupby("verdict", sort=False):
        types = [
            type if set(whats) == set(findings["what"]) else f"{type} ({', '.join(whats)})"
            for type, whats in own.groupby("type", sort=False)["what"]
        ]
        said.append(f"{verdict}: {', '.join(types)}")
    return "; ".join(said)


def modern_missing() -> str:
    if not MODERN.exists():
        return ABSENT
    publication, lines = reference.Publication(MODERN), []
    status = publication.status()
    keys = [reference.key_of(row.corpus, row.model) for row in status.itertuples()]
    finished = dict(zip(keys, status["finished"], strict=True))
    networks = [key for key in keys if key.kind == "recurrent"]
    for corpus in dict.fromkeys(key.corpus for key in keys):
        lacking_of = {}  # types by what they lack
        for type in types_in_order(key.type for key in networks):
            own = [key for key in networks if (key.corpus, key.type) == (corpus, type)]
            left = [f"{key.layers}x{key.size}" for key in own if not finished[key]]
            if left:
                what = ", ".join(left) if len(left) < len(own) else "all networks"
                lacking_of.setdefault(what, []).append(type_name(type))
        lines += [
            f"- {TITLES[corpus]}, {', '.join(types)}: {what}." for what, types in lacking_of.items()
        ]
        lines += [
            f"- {TITLES[corpus]}, {key.label}: {reason}."
            for key, reason in reference.failures(publication).items()
            if key.corpus == corpus
        ]
        others = [k.name for k in keys if k.kind != "recurrent" and not finished[k]]
        if others:
            lines.append(f"- {TITLES[corpus]}: {', '.join(others)}.")
    lines += [f"- {what}." for what in reference.lacking_of_types(MODERN, keys)]
    return "\n".join(lines) or "Nothing: every network of `modern.yaml` is trained."


def modern_figure() -> str:
    """What README says of the newer types; nothing before they are published."""
    picture = "results/reference/modern/figures/types"
    if not (MODERN / "figures/types.png").exists():
        return "The losses of the newer types are not published yet."
    planned = modern("tables/status.csv")
    recurrent = planned[planned["model"].str.startswith("type~")]
    failures = reference.failures(reference.Publication(MODERN))
    diverged = sum(key.kind == "recurrent" for key in failures)
    trained = recurrent["finished"].sum() - diverged
    return (
        f"{trained} of the {len(recurrent)} networks are trained"
        f"{f' ({diverged} more diverged)' if diverged else ''}. {modern_verdict()}\n\n"
        f"[![Loss of each type at equal parameters]({picture}.png)]({picture}.svg)"
    )


# ---- docs/faults.md ----


def faults() -> str:
    """What `make test-faults` counted, by kind of fault."""
    path = "bench/faults.csv"
    if not (REFERENCE / path).exists():
        return ABSENT
    found, rows = table(path), []
    for tried, what in FAULTS.items():
        own = found[found["tried"] == tried]
        counts = own[["cases", "noticed", "harmless", "wrong"]].sum()
        rows.append([what, "; ".join(own["what"]), *(f"{number:,}" for number in counts)])
    total = found[["cases", "noticed", "harmless", "wrong"]].sum()
    rows.append(["in all", "", *(f"{number:,}" for number in total)])
    return markdown(["fault", "of", "tried", "noticed", "harmless", "wrong"], rows)


BLOCKS = (commands, verdict, state, table1, table2, claims, discrepancies, shuffle_offsets,
          paper_text, errors_by_size, figures, definitions, candidates, uncertainty, split_layouts,
          units, clamped, probes, all_networks, learned_when, modern_verdict, modern_losses,
          modern_claims, modern_missing, modern_figure, costs, speeds, type_speeds, peers,
          platforms, rules, rules_demo, card, equal, faults)  # fmt: skip


# ---- writing ----


def renewed(text: str, name: str = "") -> str:
    """The text with its blocks written anew. Raises SystemExit on a block that nobody writes."""
    writers = {block.__name__.replace("_", "-"): block for block in BLOCKS}

    def write(found: re.Match) -> str:
        block = found.group(1)
        if block not in writers:
            sys.exit(f"{name}: no function writes the block '{block}'; see docs/generate.py")
        return f"<!-- generated: {block} -->\n\n{writers[block]()}\n\n<!-- end of {block} -->"

    return re.sub(
        r"<!-- generated: ([\w-]+) -->.*?<!-- end of \1 -->", write, text, flags=re.DOTALL
    )


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def codemeta() -> bytes:
    """codemeta.json, by which software catalogs know the project."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    paper = citation["references"][0]
    about = {
        "@context": "https://w3id.org/codemeta/3.0",
        "@type": "SoftwareSourceCode",
        "name": project["name"],
        "version": project["version"],
        "description": " ".join(citation["abstract"].split()),
        "license": f"https://spdx.org/licenses/{project['license']}",
        "author": [{"@type": "Organization", "name": a["name"]} for a in citation["authors"]],
        "keywords": citation["keywords"],
        "programmingLanguage": ["Python", "C++", "Snakemake"],
        "runtimePlatform": f"Python {project['requires-python']}",
        "operatingSystem": ["Linux", "macOS"],
        "softwareRequirements": project["dependencies"],
        "referencePublication": {
            "@type": "ScholarlyArticle",
            "name": paper["title"],
            "url": paper["url"],
        },
    }
    return json.dumps(about, indent=2).encode() + b"\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    check = parser.parse_args().check
    written = {
        page: renewed(page.read_text(encoding="utf-8"), page.name).encode() for page in pages()
    }
    for folder in filter(Path.exists, (REFERENCE, MODERN)):
        written |= {folder / path: text for path, text in model_cards.documents(folder).items()}
    written[ROOT / "codemeta.json"] = codemeta()
    stale = [path for path, new in written.items() if not path.exists() or path.read_bytes() != new]
    if check and stale:
        names = ", ".join(path.name for path in stale)
        sys.exit(f"{names}: not current; run `make docs`")
    for path in stale:
        path.write_bytes(written[path])


if __name__ == "__main__":
    main()
