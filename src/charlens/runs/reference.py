"""The layout of a publication such as results/reference, and its page.

settings.json                       how its models were made (`check_comparable`) and analysed
scores/<model>.json                 metadata of a model, with a digest of its scores
histories/<candidate>/history.csv   losses of a training, epoch by epoch
histories/candidates.csv            all trainings, and which candidates were chosen
models/<corpus>-<type>.safetensors  the best network of a type in half precision; -deepest: the best
                                    of the paper's depth, where that is another network
corpora/*.json, figure5/*.csv, bench/*.csv, tables/*, figures/*, types/*   as in results/<run>
README.md                           what holds, what is here and what is missing
models/*.md, corpora/*.md, ro-crate-metadata.json, Snakefile   see `charlens.runs.model_cards`
"""

import dataclasses
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from charlens.errors import InputError
from charlens.files import check_digest, exchange, sync, write_atomically
from charlens.networks.cells import has_units
from charlens.runs.schema import Analysis
from charlens.runs.settings import describe as describe_mistake
from charlens.runs.status import status
from charlens.store import models
from charlens.store.models import PAPER_TYPES, ModelKey, cell_of, type_name, types_in_order
from charlens.store.reading import read_json, require
from charlens.store.tables import STATUS, paper_table, planned_models, read_status, read_table
from charlens.training.recipe import divergence

CANDIDATES = ["corpus", "model", "candidate", "epoch", "val_loss", "chosen", "diverged"]
# files of the publication of a whole run, and a name of each for people
EXPECTED = {
    "tables/table1.csv": "table 1",
    "tables/table2.csv": "table 2",
    "tables/cells.csv": "tables of units and gates",
    "tables/inside.csv": "units and gates of all networks",
    "tables/ablation.csv": "the table of clamped units",
    "figures/figure1.png": "figure 1",
    "figures/figure3.png": "figure 3",
    "figures/figure4.png": "figure 4",
    "figures/figure5.png": "figure 5",
    "figures/figure6.png": "figure 6",
    "tables/errors.csv": "errors by size",
    "tables/claims.csv": "claims",
}


@dataclasses.dataclass(frozen=True)
class Publication:
    """A folder in the layout above."""

    folder: Path

    def settings(self) -> dict:
        """How the models were made and are analysed. Raises InputError if the folder is no
        publication."""
        path = self.folder / "settings.json"
        if not path.exists():
            raise InputError(
                f"{self.folder}: no publication: it has no settings.json;"
                " name a folder that charlens publish made"
            )
        content = read_json(path)
        if "grid" in content:
            raise InputError(
                f"{self.folder} is a run, no publication;"
                " charlens publish makes one of it, in a folder of its own"
            )
        if "run" not in content or not isinstance(content.get("corpora"), dict):
            raise InputError(f"{path}: not the settings of published models")
        return content

    def analysis(self) -> Analysis:
        """How losses are analysed; the defaults where the publication is by an older version.

        Raises InputError where the settings have something else in this place.
        """
        try:
            return Analysis.model_validate(self.settings().get("analysis", {}))
        except ValidationError as error:
            mistake = describe_mistake(error.errors()[0])
            path = self.folder / "settings.json"
            raise InputError(f"{path}: analysis: {mistake}; publish the run again") from None

    def digests(self) -> dict[ModelKey, Path]:
        """The file of each model with the digest of its scores."""
        return {ModelKey.parse(self.below(p)): p for p in self.files("scores/**/*.json")}

    def histories(self) -> dict[ModelKey, Path]:
        """The history of each candidate."""
        return {ModelKey.parse(self.below(p)): p for p in self.files("histories/**/history.csv")}

    def status(self) -> pd.DataFrame:
        """Which planned models are finished: columns STATUS."""
        path = self.folder / "tables/status.csv"
        return read_status(path) if path.exists() else pd.DataFrame(columns=STATUS)

    def corpora(self) -> list[Path]:
        """The published provenance of the corpora, in the order of the settings."""
        paths = [self.folder / f"corpora/{corpus}.json" for corpus in self.settings()["corpora"]]
        return [path for path in paths if path.exists()]

    def places(self) -> dict[str, str]:
        """The folders that it has, and what each holds, in words."""
        return {name: what for name, what in PLACES.items() if self.files(f"{name}/**/*")}

    def contents(self, *patterns: str) -> dict[Path, bytes]:
        """The contents of the files that match, by path below the publication."""
        paths = [path for pattern in patterns for path in self.files(pattern)]
        return {self.below(path): path.read_bytes() for path in paths}

    def files(self, pattern: str) -> list[Path]:
        """The files that match a pattern, sorted; not the digests beside them, nor what belongs to
        the publication of another run within this one."""
        inner = [path.parent for path in within(self.folder)]
        found = (path for path in self.folder.glob(pattern) if not path.name.startswith("."))
        return sorted(
            path
            for path in found
            if path.is_file() and not any(path.is_relative_to(folder) for folder in inner)
        )

    def below(self, path: Path) -> Path:
        """A path relative to the publication."""
        return path.relative_to(self.folder)


def within(folder: Path) -> list[Path]:
    """The settings of publications of other runs in folders of this one."""
    return sorted(folder.glob("*/settings.json"))


def read_digest(path: Path) -> dict:
    """The metadata of a published model; of a network with its validation loss (nats).

    Raises InputError where the file is damaged.
    """
    content = read_json(path)
    require(content, ("family", "corpus"), path)
    if content["family"] != "ngram":
        require(content, ("val_loss", "hidden" if content["family"] == "nn" else "dropout"), path)
    return content


def chosen(digest: dict) -> ModelKey:
    """The candidate that a digest is of."""
    key = ModelKey.of(digest)
    return dataclasses.replace(key, candidate=digest.get(key.candidates or ""))


def of_model(about: dict) -> ModelKey:
    """The candidate that a recurrent network's model file holds, from its metadata."""
    key = ModelKey.of({**about, "family": "recurrent"})
    known = about | {"rate": about.get("recipe", {}).get("learning_rate")}
    return dataclasses.replace(key, candidate=known[key.candidates])


# ---- one publication and another ----


def check_comparable(reference: Path, other: dict, where: Path) -> None:
    """Refuse models that were not made in the same way as those in `reference`.

    other: the settings of these models, from `where`. Raises InputError.
    """
    there = Publication(reference).settings()
    instead = f"name another folder, or remove {reference} to publish the other alone"
    if there["run"] != other["run"]:
        raise InputError(
            f"{reference} holds the run '{there['run']}', {where} is '{other['run']}': {instead}"
        )
    for corpus, about in there["corpora"].items():
        if corpus not in other["corpora"]:
            raise InputError(f"{reference} holds {corpus}, which {where} does not use: {instead}")
        for key, value in other["corpora"][corpus].items():
            # what only one side has, such as adamw, no network of the other is made by
            if key in about and about[key] != value:
                was = f"{key} {about[key]}"
                raise InputError(f"{reference} holds {corpus} with {was}, not {value}: {instead}")


def check_texts(reference: Path, other: Path) -> None:
    """Refuse losses on two different texts. Raises InputError."""
    for path in Publication(reference).files("corpora/*.json"):
        beside = other / "corpora" / path.name
        if not beside.exists():
            continue
        ours, theirs = read_json(path), read_json(beside)
        for key in ("source", "bytes", "symbols", "sha256"):
            if ours.get(key, theirs.get(key)) != theirs.get(key, ours.get(key)):
                raise InputError(
                    f"{path}: {key} is '{ours.get(key)}', in {beside} '{theirs.get(key)}':"
                    " losses on two texts are not compared"
                )


def vacant(reference: Path) -> bool:
    """Whether there is nothing in the place of a publication, or an empty folder."""
    return not reference.exists() or (reference.is_dir() and not any(reference.iterdir()))


def earlier(reference: Path) -> Path:
    """Where a publication is kept while another replaces it."""
    return reference.with_name(f".{reference.name}.old")


def restore(reference: Path) -> None:
    """Restore what was published before, if an earlier `replace` was killed halfway."""
    if not reference.exists() and earlier(reference).exists():
        earlier(reference).rename(reference)


def replace(reference: Path, new: Path) -> None:
    """Put `new` in the place of `reference`, in one step where the system can.

    A kill or a power loss at any moment leaves the old one or the new one; where the system cannot
    exchange two folders, the old one may be where `restore` finds it. Publications of other runs
    within the old one, such as results/reference/modern, stay as they are.
    """
    old = earlier(reference)
    shutil.rmtree(old, ignore_errors=True)
    for inner in within(reference):
        shutil.copytree(inner.parent, new / inner.parent.name)
    for path in new.rglob(".*.sha256"):  # digests of a run's files: git has its own
        path.unlink()
    for path in [*new.rglob("*"), new]:  # copies are not on the disk yet
        sync(path)
    if reference.exists() and not exchange(new, reference):
        reference.rename(old)
    if not reference.exists():
        new.rename(reference)
    sync(reference.parent)
    shutil.rmtree(old, ignore_errors=True)


def copy(source: Path, target: Path) -> None:
    """Copy a file, and make the folder that it goes to. Raises InputError where it is damaged."""
    check_digest(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


# ---- the page of a publication ----


def write_settings(folder: Path, settings: dict) -> None:
    """Write how the models of a publication were made and are analysed: its settings.json."""
    content = json.dumps(settings, indent=1) + "\n"
    write_atomically(folder / "settings.json", content.encode())


def write_status(folder: Path, planned: Iterable[ModelKey]) -> None:
    """Which of the planned models a publication holds: its tables/status.csv."""
    finished = Publication(folder).digests()
    table = status([key.path for key in planned], [key.path for key in finished])
    write_table(table, folder / "tables/status.csv")


def describe(folder: Path) -> None:
    """Write the table of candidates of a publication and its page."""
    publication = Publication(folder)
    write_table(candidates(publication), folder / "histories/candidates.csv")
    write_atomically(folder / "README.md", readme(publication).encode())


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, numbers with six digits."""
    content = table.to_csv(index=False, lineterminator="\n", float_format="%.6f")
    write_atomically(path, content.encode())


def candidates(publication: Publication) -> pd.DataFrame:
    """One row per training in histories/: columns CANDIDATES, the epoch with the lowest validation
    loss (nats) and that loss, whether this candidate was chosen for its model (1) or not (0; empty
    where none is published), and the epoch in which it diverged, if it did, which does not count.
    """
    digests, rows = publication.digests(), []
    symbols = {
        path.stem: read_json(path)["symbols"] for path in publication.files("corpora/*.json")
    }
    for key, path in publication.histories().items():
        history = read_table(path, ["epoch", "train_loss", "val_loss"], "history")
        diverged = ""
        if divergence(history.to_dict("records"), symbols[key.corpus]):
            diverged, history = int(history["epoch"].iloc[-1]), history.iloc[:-1]
        best = history.loc[history["val_loss"].idxmin()]
        taken = ""
        if key.chosen in digests:
            taken = int(chosen(read_digest(digests[key.chosen])) == key)
        model, epoch = key.chosen.in_tables, int(best["epoch"])
        rows.append([key.corpus, model, path.parent.name, epoch, best["val_loss"], taken, diverged])
    return pd.DataFrame(rows, columns=CANDIDATES)


def verdicts(publication: Publication) -> list[str]:
    """The verdict on each claim as a table in Markdown: a column per corpus."""
    path = publication.folder / "tables/claims.csv"
    if not path.exists():
        return []
    claims = read_table(path, ["claim", "where", "verdict"])
    claims = claims[~claims["where"].str.contains(":")]  # the claims without their parts
    table = claims.pivot(index="claim", columns="where", values="verdict").fillna("–")
    table = table.loc[claims["claim"].unique(), claims["where"].unique()]
    titles = [read_json(publication.folder / f"corpora/{c}.json")["title"] for c in table]
    rows = [["claim", *titles], ["---"] * (1 + len(titles))]
    rows += [[claim, *found] for claim, found in zip(table.index, table.to_numpy(), strict=True)]
    return [f"| {' | '.join(row)} |" for row in rows]


PAGE = """# Published results

The results of `results/{run}/`, published by `charlens publish` and joined with those of other
machines by `charlens merge`:

{places}

Tables 1 and 2, figure 1 and the claims about losses cover all models published here. Figures 2 to
6, the tables of units and gates, and the claims about single characters need the score arrays or
the networks themselves, which are not published: for each corpus they were made on the machine that
trained its best LSTM, or from its copy in half precision. The table of units and gates of all
networks has those that were still there when it was made. A claim is about the networks published
here alone, whatever other sizes and depths would say.
"""
PLACES = {
    "tables": "tables and claims",
    "figures": "figures, and the numbers behind them",
    "figure5": "the first epochs of an LSTM",
    "types": "what is made of the LSTM, of other types",
    "corpora": "the provenance of each text",
    "scores": "metadata of each model, with a digest of its scores",
    "histories": "losses of each training, epoch by epoch",
    "models": "the best networks of each corpus in half precision",
    "bench": "what was measured of speed, exactness, faults and time",
}


def readme(publication: Publication) -> str:
    """The README of a publication: verdicts, what is here and what is missing."""
    table = publication.status()
    here = [[f"`{name}/`", what] for name, what in publication.places().items()]
    places = [["place", "holds"], ["---", "---"], *here]
    run = publication.settings()["run"]
    lines = [PAGE.format(run=run, places="\n".join(f"| {' | '.join(row)} |" for row in places))]
    if found := verdicts(publication):
        lines += [
            *found,
            "",
            "`tables/claims.html` gives each effect, its interval and how it was tested;",
            "`tables/claims.csv` holds the same numbers.",
            "",
        ]
    lines += ["| corpus | recurrent networks | n-NN | n-gram |", "| --- | --- | --- | --- |"]
    keys = planned_models(table)
    kinds = pd.Series([key.family for key in keys], index=table.index, dtype=str)
    diverged = failures(publication)
    for corpus, own in table.groupby("corpus", sort=False):
        counts = []
        for kind in ("recurrent", "nn", "ngram"):
            done = own[kinds[own.index] == kind]["finished"]
            failed = sum((key.corpus, key.family) == (corpus, kind) for key in diverged)
            note = f", {failed} diverged" if failed else ""
            counts.append(f"{done.sum() - failed} of {len(done)}{note}")
        lines.append(f"| {corpus} | {' | '.join(counts)} |")
    if missing := missing_parts(publication, keys):
        lines += ["", "Missing:", "", *[f"- {line}" for line in missing]]
    lines += [
        "",
        "Validation chose the dropout of each recurrent network and the hidden size of each n-NN",
        "among the candidates trained so far (`histories/candidates.csv` lists every one):",
        "",
        "| corpus | models | candidate | trained | chosen |",
        "| --- | --- | --- | --- | --- |",
    ]
    tried = candidates(publication)
    sizes = (
        tried["model"].astype(str).str.extract(r"size~(\d+)")[0].astype(float).fillna(0).astype(int)
    )
    for (corpus, size, candidate), own in tried.groupby(["corpus", sizes, "candidate"]):
        models, taken = f"size {size}" if size else "n-NN", (own["chosen"] == 1).sum()
        name = candidate.replace("~", " ")
        lines.append(f"| {corpus} | {models} | {name} | {len(own)} | {taken} |")
    return "\n".join(lines) + "\n"


def missing_parts(publication: Publication, planned: list[ModelKey]) -> list[str]:
    """What is missing of the publication of a whole run, in words."""
    lines, finished = [], publication.digests()
    for corpus in dict.fromkeys(key.corpus for key in planned):
        names = [k.label for k in planned if k.corpus == corpus and k not in finished]
        if names:
            lines.append(f"{corpus}: {', '.join(names)}")
    lines += [
        f"{key.corpus}: {key.label} failed: {reason}"
        for key, reason in failures(publication).items()
    ]
    absent = [name for file, name in EXPECTED.items() if not (publication.folder / file).exists()]
    corpora = publication.settings()["corpora"]
    in_paper = {*paper_table(1)["corpus"], *paper_table(2)["corpus"]} & set(corpora)
    if in_paper and not (publication.folder / "tables/comparison.csv").exists():
        absent.append("the comparison with the paper")
    absent += lacking_of_types(publication.folder, planned)
    absent += [
        f"figure 2 of {corpus}"
        for corpus in corpora
        if not (publication.folder / f"figures/figure2-{corpus}.png").exists()
    ]
    return lines + ([f"tables and figures: {', '.join(absent)}"] if absent else [])


def failures(publication: Publication) -> dict[ModelKey, str]:
    """Why the training of a network diverged, for those of which it did."""
    found = {key: read_digest(path).get("failed") for key, path in publication.digests().items()}
    return {key: reason for key, reason in found.items() if reason}


def lacking_of_types(folder: Path, planned: list[ModelKey]) -> list[str]:
    """What the publication lacks of single networks of the types that the paper does not have."""
    types = types_in_order(key.type for key in planned if key.family == "recurrent")
    bare = [type for type in types if type == cell_of(type)]
    newer = [type for type in bare if type not in PAPER_TYPES]
    known = {key: read_digest(path) for key, path in Publication(folder).digests().items()}
    wanted = {
        "units": ("tables/hypotheses.csv", has_units),
        "clamped units": ("tables/ablation.csv", has_units),
        "first epochs": ("figure5/*.csv", bool),
    }
    lines = []
    for what, (file, applies) in wanted.items():
        lacking = [t for t in newer if applies(t) and not any(folder.glob(f"types/{t}/{file}"))]
        if lacking:
            lines.append(f"{what} of {', '.join(map(type_name, lacking))}")
    better = [name for type in bare for name in better_than_shown(folder, type, known)]
    return lines + ([f"units, gates and errors of {', '.join(better)}"] if better else [])


def better_than_shown(folder: Path, type: str, known: dict[ModelKey, dict]) -> list[str]:
    """The best network of a type, of each corpus of which another is shown: its scores came alone
    from another machine. known: the digests of the publication."""
    made, names = folder if type == "lstm" else folder / f"types/{type}", []
    path = made / "tables/hypotheses.csv"
    if not path.exists():
        return names
    shown = read_table(path, ["corpus", "model"]).drop_duplicates("corpus")
    for corpus, model in shown[["corpus", "model"]].itertuples(index=False):
        own = [key for key in known if key.corpus == corpus and key.family == "recurrent"]
        best = models.best(own, known.get, type)
        shape = model.rpartition(" ")[2]
        if shape != f"{best.layers}x{best.size}":
            names.append(f"{best.name} (those of {shape} are shown)")
    return names
