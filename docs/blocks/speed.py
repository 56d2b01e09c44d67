"""Blocks of docs/reproduce.md, docs/speed.md and docs/platforms.md."""

import io
import re
from collections import Counter

import pandas as pd

from blocks.common import ABSENT, REFERENCE, extent, markdown, plan, span, table
from charlens.bench.equal import mean_and_interval
from charlens.runs import cost, grid
from charlens.store.models import original, type_name, types_in_order


def hours_of_paper() -> dict[str, float]:
    """The hours that one core takes for the recurrent networks of config.yaml, by its path."""
    fast, old = table("bench/train.csv"), table("bench/peers.csv")
    measured = {"amx": fast[fast["backend"] == "ours"], "avx2": old[old["peer"] == "ours"]}
    return {path: hours_of_trainings(speeds)[2] for path, speeds in measured.items()}


def costs() -> str:
    rows, trained = [], minutes_of_trainings()
    for row in table("bench/times.csv").itertuples():
        what = f"`{row.what}`" if row.what.startswith(("make", "snakemake")) else row.what
        disk = f"{row.disk_gb:g} GB" if row.disk_gb >= 0.1 else f"{1000 * row.disk_gb:g} MB"
        spans = [
            span(row.amx_low, row.amx_high, row.unit), span(row.zen5_low, row.zen5_high, row.unit),
            span(row.avx2_low, row.avx2_high, row.unit),
        ]  # fmt: skip
        if row.what == "make paper":
            hours = hours_of_paper()
            spans = [f"{hours['amx'] / 2:.0f} hours", "–", f"{hours['avx2'] / 2:.0f} hours"]
            what += ", its recurrent networks alone"
        elif pd.isna(row.amx_low):
            kind, _, size = row.what.partition(" of War and Peace, ")
            own = trained[(trained["kind"] == kind) & (trained["size"] == int(size.split()[-1]))]
            spans = [
                "–" if alike.empty else f"{extent(alike['minutes'], '.2g')} minutes"
                for alike in (own[own["path"] == path] for path in ("amx", "avx512bf16", "avx2"))
            ]
        rows.append([what, *spans, f"{row.memory_gb:g} GB", disk])
    head = ["", "AMX", "AVX512-BF16 (Zen 5)", "AVX2 alone (old)", "memory", "disk at the peak"]
    return markdown(head, rows)


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
    GPU, had a part in."""
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


def rules() -> str:
    """What the rules of the paper's run cost, but for its trainings."""
    path = "bench/rules.csv"
    if not (REFERENCE / path).exists():
        return "The paper's run has not been measured as a whole yet."
    clamped = "ablate" in set(table(path)["rule"])
    without = (
        " Not in it: `ablate`. Clamping hundreds of units over the whole test split takes hours on"
        " such a processor; the rules after it were measured with 100 characters of each stream"
        " clamped."
    )
    return (
        "The paper's run but for its trainings, whose hours stand above, with one seed of each"
        " network, on a server processor with AVX2 alone, beside other work. Networks that were not"
        " trained stood for those that are: their weights change no cost."
        f"{'' if clamped else without}\n\n{rules_of(path)}"
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


def gpu() -> str:
    """Training speed on a GPU, beside torch.nn there."""
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
        f" second:\n\n{markdown(head, rows)}\n\n{on_one_gpu(measured)}"
    )


def on_one_gpu(measured: pd.DataFrame) -> str:
    """How long the paper's trainings take by the speeds measured on a GPU."""
    known, every, hours = hours_of_trainings(measured)
    return (
        f"By these speeds, {'the' if known == every else f'{known} of the'} {every} trainings of"
        f" recurrent networks that `config.yaml` plans take {hours:.1f} hours on such a GPU, one"
        " after the other. (An estimate: no whole run was made on one.)"
    )


def hours_of_trainings(measured: pd.DataFrame) -> tuple[int, int, float]:
    """How many of the trainings of recurrent networks in config.yaml have a shape that was
    measured, of how many, and the hours that these take one after the other."""
    rates = measured.set_index(["type", "layers", "size"])["chars_per_s"]
    config = plan()
    every = [key for key in grid.trainings(config) if key.family == "recurrent"]
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
