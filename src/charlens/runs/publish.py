"""The copy of a run that can be kept: results/reference.

A full run takes hours to days. `charlens publish` copies what people read of it (tables, figures,
where everything came from, some models in half precision), and nothing large or not ours to give:
no score arrays, no corpus text.

A run may be trained on several machines, one after the other. What is published of a model
includes a digest of its scores (`charlens.store.scores`), and every publication has the models that
were published before as well as those of the machine it is made on.
"""

import argparse
import json
import re
import shutil
from pathlib import Path

import pandas as pd

from charlens.errors import InputError
from charlens.files import write_atomically
from charlens.store.corpora import read_split
from charlens.store.scores import read_score
from charlens.store.tables import read_status

CANDIDATES = ["corpus", "model", "candidate", "epoch", "val_loss", "chosen"]
# of results/<run>/, and where it goes below results/reference/
COPIED = {
    "tables/*.csv": "tables",
    "tables/*.html": "tables",
    "figures/*.csv": "figures",
    "figures/*.png": "figures",
    "figures/*.svg": "figures",
    "figure5/*.csv": "figure5",
    "corpora/*.json": "corpora",
    "models/**/history.csv": "histories",
    "published/*.safetensors": "models",
}
# what stays of an earlier publication where the run has no such file
KEPT = ("figure5/*.csv", "corpora/*.json", "histories/**/history.csv", "bench/*.csv")


def publish(run: Path, reference: Path, scores: list[Path], settings: dict) -> list[Path]:
    """Put what people read of `run` into `reference`, in place of what is there.

    scores: of every model that the tables are about, an array in `run`, or what was published
    already in `reference`. settings: how all of them were made (`settings.comparable`).
    Raises InputError where the run has nothing finished, or less than what is published already.
    """
    restore(reference)
    table = read_status(run / "tables/status.csv")
    finished = int(table["finished"].sum())
    if not finished:
        raise InputError(f"{run}: no model is finished: there is nothing to publish")
    before = reference / "tables/status.csv"
    if before.exists() and finished < (published := int(read_status(before)["finished"].sum())):
        raise InputError(
            f"{reference} holds {published} finished models, {run} only {finished}: nothing is"
            f" replaced; remove {reference} to publish this run all the same"
        )
    new = reference.with_name(f".{reference.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    files = {}  # below `reference`: the file to copy
    for pattern in KEPT:
        files |= {path.relative_to(reference): path for path in reference.glob(pattern)}
    for pattern, folder in COPIED.items():
        inside = run / Path(pattern).parts[0]
        files |= {folder / path.relative_to(inside): path for path in sorted(run.glob(pattern))}
    for path in sorted(run.parent.glob("bench/*.csv")):
        before = reference / "bench" / path.name
        if not before.exists() or lines(path) >= lines(before):  # half a measurement replaces none
            files[Path("bench", path.name)] = path
    for target, source in files.items():
        best = source.with_name(source.name.replace("-deepest", ""))
        if best != source and best.read_bytes() == source.read_bytes():
            continue  # the best is one of the deepest
        (new / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, new / target)
    for path in scores:
        below = path.relative_to(reference if path.suffix == ".json" else run)
        content = described(path, run / "corpora") if path.suffix == ".npy" else path.read_bytes()
        write_atomically(new / below.with_suffix(".json"), content)
    write_atomically(new / "settings.json", (json.dumps(settings, indent=1) + "\n").encode())
    tried = candidates(new)
    content = tried.to_csv(index=False, lineterminator="\n", float_format="%.6f").encode()
    write_atomically(new / "histories/candidates.csv", content)
    write_atomically(new / "README.md", readme(run.name, table, tried, verdicts(new)).encode())
    old = earlier(reference)
    shutil.rmtree(old, ignore_errors=True)
    if reference.exists():
        reference.rename(old)
    new.rename(reference)
    shutil.rmtree(old, ignore_errors=True)
    return [path for path in reference.rglob("*") if path.is_file()]


def earlier(published: Path) -> Path:
    """Where a publication lies while another takes its place."""
    return published.with_name(f".{published.name}.old")


def restore(published: Path) -> None:
    """Bring back what was published before, where publishing anew was killed on the last steps."""
    if not published.exists() and earlier(published).exists():
        earlier(published).rename(published)


def candidates(reference: Path) -> pd.DataFrame:
    """One row per training in histories/: columns CANDIDATES, the epoch with the lowest validation
    loss (nats) and that loss, and whether this candidate was chosen for its model (1) or not (0;
    empty where none is published)."""
    rows = []
    for path in sorted(reference.glob("histories/**/history.csv")):
        corpus, *labels, candidate = path.parent.relative_to(reference / "histories").parts
        history = pd.read_csv(path)
        best = history.loc[history["val_loss"].idxmin()]
        about = reference.joinpath("scores", corpus, *labels).with_suffix(".json")
        chosen = ""
        if about.exists():
            name, value = candidate.split("~")
            chosen = int(str(json.loads(about.read_bytes())[name]) == value)
        model, epoch = " ".join(labels), int(best["epoch"])
        rows.append([corpus, model, candidate, epoch, best["val_loss"], chosen])
    return pd.DataFrame(rows, columns=CANDIDATES)


def verdicts(reference: Path) -> list[str]:
    """What holds, statement by statement, as a table in Markdown: a column per corpus."""
    path = reference / "tables/claims.csv"
    if not path.exists():
        return []
    claims = pd.read_csv(path)
    claims = claims[~claims["where"].str.contains(":")]  # the statements without their parts
    table = claims.pivot(index="claim", columns="where", values="verdict").fillna("–")
    table = table.loc[claims["claim"].unique(), claims["where"].unique()]
    titles = [json.loads((reference / f"corpora/{c}.json").read_bytes())["title"] for c in table]
    rows = [["the paper concludes", *titles], ["---"] * (1 + len(titles))]
    rows += [[claim, *found] for claim, found in zip(table.index, table.to_numpy(), strict=True)]
    return [f"| {' | '.join(row)} |" for row in rows]


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def described(path: Path, corpora: Path) -> bytes:
    """A model's metadata with the digest of its score array."""
    score = read_score(path)
    split = read_split(corpora / f"{score.meta['corpus']}.npz", [score])
    about = score.meta | {"digest": score.digest(split)}
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in about.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def readme(run: str, table: pd.DataFrame, tried: pd.DataFrame, verdicts: list[str]) -> str:
    """The page that says what holds, what is here and what is missing."""
    lines = [
        "# Published results",
        "",
        f"What `make publish` copied of `results/{run}/`, laid out in the same way: tables,",
        "claims, figures and the numbers behind them, where each text came from (`corpora/`), what",
        "each model is (`scores/`, with a digest of the arrays), how its training went",
        "(`histories/`), the best LSTM and GRU of each corpus in half precision (`models/`), and",
        "what `make bench` and `make equal` measured (`bench/`).",
        "The models may come from several machines.",
        "",
        *verdicts,
        "",
        "`tables/claims.html` says by how much, how sure that is and how it was tested; the same",
        "numbers are in `tables/claims.csv`.",
        "",
        "| corpus | recurrent networks | n-NN | n-gram |",
        "| --- | --- | --- | --- |",
    ]
    families = {"recurrent": "type~", "n-NN": "nn ", "n-gram": "ngram "}
    for corpus, own in table.groupby("corpus", sort=False):
        counts = []
        for prefix in families.values():
            done = own[own["model"].str.startswith(prefix)]["finished"]
            counts.append(f"{done.sum()} of {len(done)}")
        lines.append(f"| {corpus} | {' | '.join(counts)} |")
    missing = table[table["finished"] == 0]
    if len(missing):
        lines += ["", "Not finished:", ""]
        for corpus, own in missing.groupby("corpus", sort=False):
            lines.append(f"- {corpus}: {', '.join(short(model) for model in own['model'])}")
    lines += [
        "",
        "A dropout, or the hidden size of an n-NN, was chosen on validation among those candidates",
        "that are trained so far (`histories/candidates.csv` has each):",
        "",
        "| corpus | models | candidate | trained | chosen |",
        "| --- | --- | --- | --- | --- |",
    ]
    sizes = tried["model"].str.extract(r"size~(\d+)")[0].fillna(0).astype(int)
    for (corpus, size, candidate), own in tried.groupby(["corpus", sizes, "candidate"]):
        models, chosen = f"size {size}" if size else "n-NN", (own["chosen"] == 1).sum()
        name = candidate.replace("~", " ")
        lines.append(f"| {corpus} | {models} | {name} | {len(own)} | {chosen} |")
    return "\n".join(lines) + "\n"


def short(model: str) -> str:
    """type~lstm layers~2 size~64 seed~1 as LSTM 2x64 seed 1."""
    labels = dict(re.findall(r"(\w+)~(\S+)", model))
    if "type" in labels:
        seed = "" if labels["seed"] == "1" else f" seed {labels['seed']}"
        return f"{labels['type'].upper()} {labels['layers']}x{labels['size']}{seed}"
    if "context" in labels:
        return f"{labels['context']}-NN"
    return f"{int(labels['order']) - 1}-gram"


# ---- command lines ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="results/<run>")
    parser.add_argument("reference", type=Path, help="results/reference")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help=".npy, or published")
    parser.add_argument("--settings", type=json.loads, required=True, help="of the run (JSON)")


def run(args: argparse.Namespace) -> None:
    copied = publish(args.source, args.reference, args.scores, args.settings)
    size = sum(path.stat().st_size for path in copied)
    print(f"{args.reference}: {len(copied)} files, {size / 1e6:.1f} MB")
