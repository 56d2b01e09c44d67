"""Blocks of README.md."""

import re
from collections import Counter
from pathlib import Path

import pandas as pd

from blocks.claims import CLAIMS, OUR_OWN
from blocks.common import FAR, REFERENCE, TITLES, network, plan, published, span, table
from blocks.speed import hours_of_paper
from charlens.report.emergence import NETWORK
from charlens.runs import grid, reference
from charlens.runs.settings import Settings
from charlens.store.models import ModelKey, network_name, shown

# A candidate in words, by what the candidates of a model differ in (`ModelKey.candidates`).
CANDIDATES = {"dropout": "dropout {}", "rate": "learning rate {}", "hidden": "{:,} hidden units"}


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


def commands() -> str:
    demo, of_core = times("make demo"), hours_of_paper()
    minutes, hours = span(demo.amx_low, demo.avx2_high, "minutes"), of_core["amx"]
    old = of_core["avx2"]
    return f"""```sh
make demo     # the paper in miniature, {minutes}: results/demo/report.html
make test     # the tests
make paper    # the full reproduction, about a day: results/paper/report.html
```

Times are for two cores of a server processor with AMX (the demo: with AMX, and with AVX2 alone), \
without a GPU. `make estimate` predicts the time on your machine. That of `make paper` is an \
estimate, too: at the measured speed its recurrent networks need {hours:.0f} hours on one such \
core, {hours / 2:.0f} on two; n-NNs and analyses take some hours more. (Processors without AMX, \
those of most laptops, are slower: an old server core with AVX2 alone needs {old:.0f} hours for \
the networks, two of them {old / 24 / 2:.0f} days.) No single machine has run it all."""


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
            f"- {text}: over {int(row.cells)} entries of table 1 the test loss differs by"
            f" {row.mean_abs:.3f} nats from the paper's on average (median {row.median_abs:.3f},"
            f" rank correlation {row.rank_correlation:.3f}). Of {len(said)} conclusions of the"
            f" paper {counted(counts, 'holds', 'hold')},"
            f" {counted(counts, 'undecided', 'are undecided')}, {fail}."
        )
    lines.append(
        "- Not counted here: whether the network *uses* its interpretable units, a question of our"
        " own."
    )
    ngram = agreement("wp", "n-gram")
    lines += [
        f"- The n-gram baselines of *War and Peace* are within {ngram.mean_abs:.4f} nats of the"
        " paper's on average.",
        f"- {far_off()}",
        f"- {inside()}",
    ]
    return "\n".join(lines)


def far_off() -> str:
    """The entries that are far from the paper, whatever all entries of their kind are off by."""
    found = table("tables/discrepancies.csv")
    found = found[found["residual"].abs() > 2 * FAR]
    named = []
    for corpus, text in TITLES.items():
        own = found[found["corpus"] == corpus].sort_values("residual", key=abs, ascending=False)
        named += [f"{text}, {network(row)} ({row.ours:.3f}; paper {row.paper:.3f})"
                  for row in own.itertuples()]  # fmt: skip
    slips = found["fits"].str.contains("slip").sum()
    explained = "all" if slips == len(found) else f"{slips or 'none'}"
    return (
        f"More than {2 * FAR:.2f} nats from the paper, beyond the median difference of such models"
        f" on that text: {'; '.join(named)}. [Why](docs/results.md#what-is-far-off) is open; a"
        f" wrong first decimal in the paper would explain {explained} of these."
    )


def inside() -> str:
    """The units of the best LSTM of each corpus that follow the text and are used."""
    best = table("tables/hypotheses.csv").dropna(subset=["unit"])
    clamps, shares = table("tables/ablation.csv"), table("tables/explained.csv")
    shares = shares[(shares["layer"] == "all") & shares["trained"]].set_index("corpus")
    found = []
    for corpus, text in TITLES.items():
        at = clamps[(clamps["corpus"] == corpus) & (clamps["clamp"] == "mean")]
        at = at.set_index("hypothesis")
        own = best[(best["corpus"] == corpus) & (best["beyond_baselines"] == 1)]
        own = own[(own["strength"] >= 0.8) & own["hypothesis"].map(at["used"] == 1)]
        falls = ", ".join(
            f"{row.hypothesis.replace('_', ' ')} {-at.loc[row.hypothesis, 'own']:.2f}"
            for row in own.itertuples()
        )
        share = f"{shares.loc[corpus, 'beyond_baselines']:.1%} of all its units"
        found.append(f"  - {text}, {shown(own['model'].iloc[0])} ({share}): {falls}")
    lines = [
        "[Inside](docs/inside.md) the best LSTM a few units tell more of the text than an untrained"
        " network and the last five characters do. The best unit of each hypothesis was clamped to"
        " its mean. Where the network uses it, the characters that it helps to predict become less"
        " likely; their mean probability falls by:",
        *found,
    ]
    return "\n".join(lines)


def untrained() -> dict[str, tuple[list[str], int]]:
    """By corpus the models of which no seed is trained, and how many seeds the others lack."""
    status = table("tables/status.csv")
    status = status[status["corpus"].isin(TITLES)]
    entry = status["model"].str.replace(r" seed~\d+", "", regex=True)
    found = {}
    for corpus, own in status.groupby("corpus", sort=False):
        finished = own.groupby(entry, sort=False)["finished"]
        begun = own[own.groupby(entry)["finished"].transform("max") == 1]
        missing = [entry_name(model) for model in finished.max().index[finished.max() == 0]]
        found[corpus] = missing, int((begun["finished"] == 0).sum())
    return found


def missing() -> str:
    """The state in a sentence."""
    lacks = untrained().values()
    models, seeds = sum(len(missing) for missing, _ in lacks), sum(seeds for _, seeds in lacks)
    lacking = [f"{models} models"] * bool(models) + [f"{seeds} further seeds"] * bool(seeds)
    lacking += ["some candidates for dropout and hidden units"] * bool(untried(plan(), REFERENCE))
    said = ", ".join(lacking) or "none"
    return f"Not trained yet: {said} ([the list](docs/results.md#what-is-missing))."


def state() -> str:
    """What `config.yaml` plans and is not published, and what was not run."""
    lines = []
    for corpus, (missing, seeds) in untrained().items():
        if missing:
            lines.append(f"- {TITLES[corpus]}, not trained yet: {', '.join(missing)}.")
        if seeds:
            lines.append(f"- {TITLES[corpus]}: {seeds} further seeds are not trained yet.")
    lines += [f"- {line}." for line in [*untried(plan(), REFERENCE), *other_orders(), *unwatched()]]
    lines += [
        "- The CUDA backend was checked and measured on two kinds of GPU, an H100 and an H200; no"
        " whole run was made on one.",
        "- The paper's Linux file is no longer at its address. Losses are on a stand-in: `kernel/`"
        " of Linux 4.1-rc6, files in another order.",
    ]
    return "\n".join(lines)


def untried(settings: Settings, folder: Path) -> list[str]:
    """Candidates of these settings that a publication lacks, though it has others of the model."""
    publication = reference.Publication(folder)
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
                which = CANDIDATES[key.candidates].format(candidate.candidate)
                lacking.setdefault(which, []).append(key.label)
        lines += [
            f"{TITLES[corpus]}, not tried yet: {which} in {', '.join(models)}"
            for which, models in lacking.items()
        ]
    return lines


def diverged(folder: Path) -> list[str]:
    """Candidates of a publication that diverged, each with the epoch."""
    lines, tried = [], reference.candidates(reference.Publication(folder))
    tried = tried[tried["diverged"] != ""]
    for row in tried.itertuples():
        key = ModelKey.from_table(row.corpus, row.model)
        of, _, value = row.candidate.partition("~")
        which = CANDIDATES[of].format(value)
        lines.append(f"{TITLES[row.corpus]}, {key.label} with {which} diverged in epoch"
                     f" {int(row.diverged)}")  # fmt: skip
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
