"""`charlens publish`: what people read of a run, made from what is trained so far.

A full run takes hours to days, and may be trained on several machines. A publication
(`charlens.runs.reference`) is made from the models that a run has, by the verbs of the workflow,
and then joined with what was published before (`charlens.runs.merge`), so that models from other
machines are kept. Nothing is trained and nothing in the run is changed. Score arrays, which are
large, and corpus texts, which are not ours to distribute, are not copied.
"""

import argparse
import json
import shutil
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from charlens.errors import InputError
from charlens.files import write_atomically
from charlens.networks import half, model_file
from charlens.networks.cells import has_units
from charlens.runs import grid, merge, model_cards, reference, remake
from charlens.runs.reference import Publication, copy
from charlens.runs.remake import images, verb
from charlens.runs.run_files import CLAMPED, FOUND, RunFiles, about_score, below, is_of
from charlens.runs.settings import Settings, arguments, comparable, read
from charlens.store import models
from charlens.store.corpora import read_split
from charlens.store.models import ModelKey
from charlens.store.reading import read_json
from charlens.store.scores import read_score

HALVED = ("lstm", "gru")  # types of which the best network is published, beside those looked at


def publish(run: Path, published: Path) -> list[Path]:
    """Publish what `run` has. Whenever this is stopped, `published` is complete, old or new.
    Returns its files.

    Raises InputError where no model of the run is trained, where `published` holds something else,
    or models that were made differently, and where fewer would be published than are now.
    """
    reference.restore(published)
    settings = read(run / "settings.json")
    first = reference.vacant(published)
    if not first:
        reference.check_comparable(published, comparable(settings), run)
        reference.check_texts(published, run)
    work = published.with_name(f".{published.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    try:
        new, before = work / "built", 0
        Builder(run, settings, new, work / "made").build()
        if not first:
            before = int(Publication(published).status()["finished"].sum())
            kept = work / "kept"
            shutil.copytree(published, kept)
            drop_superseded(kept, Publication(new), grid.planned(settings))
            merge.join(kept, new, work / "joined")
            new = work / "joined"
        after = int(Publication(new).status()["finished"].sum())
        if after < before:
            raise InputError(
                f"{published} has {before} finished models; with {run} it would have {after}."
                f" Nothing is replaced; remove {published} to publish this run all the same"
            )
        reference.replace(published, new)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Publication(published).files("**/*")


def drop_superseded(kept: Path, built: Publication, planned: list[ModelKey]) -> None:
    """Remove from an older publication the candidates that the run has trained itself, whatever
    their losses, and drop models that are neither finished nor planned any more."""
    old, trained = Publication(kept), built.histories()
    for key, path in old.histories().items():
        if key in trained:
            path.unlink()
    for path in old.digests().values():
        if reference.chosen(reference.read_digest(path)) in trained:
            path.unlink()
    for path in old.files("models/*.safetensors"):
        if reference.of_model(model_file.about(path)) in trained:
            path.unlink()
    reference.write_status(kept, planned)


class Builder:
    """Makes a publication from what one run has.

    run: only read, since a training may be running in it. out: the publication. work: for score
    arrays and the like that the run lacks.
    """

    def __init__(self, run: Path, settings: Settings, out: Path, work: Path):
        self.run, self.settings, self.out, self.work = run, settings, out, work
        self.corpora, self.planned = settings.use, grid.planned(settings)
        self.files = RunFiles(run, settings)
        self.models = self.files.models
        self.scores: dict[ModelKey, Path] = dict(self.files.ngrams)

    def build(self) -> None:
        """Make every file. Raises InputError where the run has no trained model."""
        if not self.models:
            raise InputError(f"{self.run}: no model is finished: there is nothing to publish")
        self.score_all()
        self.copy_all()
        self.digest_all()
        self.tables()
        self.inside()
        self.all_networks()
        self.figures()
        self.types()
        self.emergence()
        self.beside_paper()
        reference.write_status(self.out, self.planned)
        self.claims()
        self.halves()
        reference.describe(self.out)
        model_cards.write(self.out)

    # ---- scores and copies ----

    def score_all(self) -> None:
        """Score the best candidates that are trained but not scored yet."""
        for key, model in self.models.items():
            array = self.run / f"scores/{key.path}.npy"
            if not (is_of(array, model) and self.files.is_of_test(array, key.corpus)):
                array = self.work / f"scores/{key.path}.npy"
                array.parent.mkdir(parents=True, exist_ok=True)
                data = self.run / f"corpora/{key.corpus}.npz"
                backend = ("--backend", self.settings.backend)
                meta = array.with_suffix(".json")
                verb("score", model, "--split", data, *backend, "--out", array, "--meta", meta)
            self.scores[key] = array
        order = {key: place for place, key in enumerate(self.planned)}
        self.scores = dict(sorted(self.scores.items(), key=lambda s: order.get(s[0], len(order))))

    def copy_all(self) -> None:
        """Provenance, histories, first epochs and measurements."""
        for corpus in dict.fromkeys([*self.corpora, *(key.corpus for key in self.scores)]):
            if (path := self.run / f"corpora/{corpus}.json").exists():
                about = read_json(path) | {"title": self.settings.of_corpus(corpus).title}
                content = json.dumps(about, indent=2).encode() + b"\n"
                write_atomically(self.out / "corpora" / path.name, content)
        for key in self.models:  # all candidates, also those that are no longer tried
            for path in (self.run / f"models/{key.path}").glob("*~*/history.csv"):
                model = path.with_name("model.safetensors")
                if model.exists() and self.files.is_current(model, key.corpus):
                    below = path.relative_to(self.run / "models")
                    copy(path, self.out / "histories" / below)
        for corpus in self.corpora:
            if path := self.files.first_epochs(corpus, "lstm"):
                copy(path, self.out / "figure5" / path.name)
        for path in self.run.parent.glob("bench/*.csv"):
            copy(path, self.out / "bench" / path.name)

    def digest_all(self) -> None:
        """Digests of all scores, and the settings."""
        for key, array in self.scores.items():
            content = described(array, self.run / f"corpora/{key.corpus}.npz")
            write_atomically(self.out / f"scores/{key.path}.json", content)
        analysis = {"analysis": self.settings.analysis.model_dump()}
        planned = {"hidden": self.settings.nn.hidden}  # tried for n-NNs, or to be tried
        reference.write_settings(self.out, comparable(self.settings) | analysis | planned)

    # ---- tables and figures ----

    def of(self, *corpora: str) -> list[Path]:
        """The score arrays of these corpora."""
        return [path for key, path in self.scores.items() if key.corpus in corpora]

    def having(self, *types: str) -> list[str]:
        """The corpora in use with a model of each of these types (or kinds). One whose training
        diverged does not count: no figure shows it."""
        known = {(k.corpus, name) for k in self.good for name in (k.type, k.family)}
        return [c for c in self.corpora if all((c, name) in known for name in types)]

    @cached_property
    def good(self) -> list[ModelKey]:
        """The scored models but for networks whose training diverged. (All are scored by now.)"""
        return [k for k, array in self.scores.items() if "failed" not in about_score(array)]

    def of_corpora(self, suffix: str, corpora: Iterable[str]) -> list[Path]:
        """The files of these corpora: .npz or .txt; .json as published, with the present titles."""
        folder = self.out if suffix == ".json" else self.run
        return [folder / f"corpora/{corpus}{suffix}" for corpus in corpora]

    def code(self, corpora: list[str]) -> list[str]:
        """Those of the corpora that are code."""
        return [c for c in corpora if self.settings.corpora[c].kind == "code"]

    def tables(self) -> None:
        """Tables 1 and 2, what the paper's split is worth, and losses on reshuffled files."""
        infos = self.of_corpora(".json", self.corpora)
        remake.loss_tables(self.out, self.scores, infos, self.settings.bootstrap)
        remake.split_table(self.out, self.scores, self.splits(), infos, self.settings.claims)
        remake.reshuffles(self.out, self.scores, infos)

    def beside_paper(self) -> None:
        """The comparison with the paper, and what is far from it."""
        infos = [i for i in self.of_corpora(".json", self.corpora) if self.of(i.stem)]
        remake.comparison(self.out, infos)
        remake.discrepancies(self.out, infos)

    def splits(self) -> dict[str, Path]:
        """The split of each corpus with scores."""
        corpora = dict.fromkeys(key.corpus for key in self.scores)
        return dict(zip(corpora, self.of_corpora(".npz", corpora), strict=True))

    def inside(self) -> None:
        """Tables of units and gates, figures 2 and 3, and what clamped units change."""
        found = {c: self.found(c) for c in self.having("lstm")}
        if not found:
            return
        self.cell_tables(found, self.out / "tables")
        self.figure2(found, self.out / "tables", self.out / "figures")
        remake.figure3(self.out, self.of_corpora(".json", found))
        # clamping takes an hour for a large network: what the run lacks is not made here
        hypotheses = self.out / "tables/hypotheses.csv"
        clamped = [corpus for corpus in found if self.files.has_clamped(corpus, hypotheses)]
        if clamped:
            made = ([self.run / file.format(corpus) for corpus in clamped] for file in CLAMPED)
            remake.ablation(self.out, *made, self.of_corpora(".json", clamped))

    def figure2(self, found: dict[str, Path], tables: Path, figures: Path) -> None:
        """Figure 2 of each corpus. found: as in `cell_tables`, which made `tables`."""
        for info in self.of_corpora(".json", found):
            path, name = found[info.stem] / FOUND[0].format(info.stem), f"figure2-{info.stem}"
            verb(
                "figure2", "--found", path, "--best", tables / "hypotheses.csv", "--corpus", info,
                "--out", *(figures / f"{name}.{end}" for end in ("png", "svg")),
                "--html", self.work / f"{name}.html",
            )  # fmt: skip

    def cell_tables(self, found: dict[str, Path], tables: Path) -> None:
        """Tables of units and gates. found: the folder of what was found, by corpus."""
        files = [
            [folder / file.format(corpus) for corpus, folder in found.items()] for file in FOUND
        ]
        verb(
            "cell-tables", "--found", *files[0], "--cells", *files[1], "--untrained", *files[2],
            "--gates", *files[3], "--probes", *files[4],
            "--corpora", *self.of_corpora(".json", found),
            "--csv", tables / "cells.csv", "--best-csv", tables / "hypotheses.csv",
            "--explained-csv", tables / "explained.csv", "--probes-csv", tables / "probes.csv",
            "--gates-csv", tables / "gates.csv", "--html", tables / "cells.html",
        )  # fmt: skip

    def all_networks(self) -> None:
        """Units and gates of all networks, by type, size and depth."""
        corpora = self.having("recurrent")
        networks = [
            self.measured(key, path)
            for corpus in corpora
            for key in grid.measured(self.settings, corpus)
            if (path := self.models.get(key))
        ]
        if networks:
            remake.inside_table(self.out, networks, self.of_corpora(".json", corpora))

    def measured(self, key: ModelKey, model: Path) -> Path:
        """What `charlens inside` writes of a network: the run's, where that is of this candidate;
        else it is made."""
        if made := self.files.measured(key):
            return made
        out = self.work / f"inside/{key.path}.csv"
        verb("inside", model, *self.about(key.corpus), "--out", out)
        return out

    def about(self, corpus: str) -> list[object]:
        """A corpus, as verbs take it that look inside networks."""
        data, text, info = (self.run / f"corpora/{corpus}.{end}" for end in ("npz", "txt", "json"))
        return ["--split", data, "--text", text, "--info", info]

    def found(self, corpus: str, type: str = "lstm") -> Path:
        """The folder with what `charlens cells` and `charlens probes` write of a corpus: the run's,
        where that is of these networks and by these settings; else it is made."""
        networks = self.files.searched(corpus, type)
        if self.files.has_found(corpus, type):
            return self.run / below(type)
        out = [self.work / below(type) / file.format(corpus) for file in FOUND]
        cells = self.settings.cells
        chosen = {key: getattr(cells, key) for key in ("samples", "shifts", "seed")}
        passages = json.dumps([p.model_dump() for p in cells.passages.get(corpus, [])])
        verb(
            "cells", *networks, *self.about(corpus), *arguments(chosen),
            "--passages", passages,
            "--out", out[0], "--cells", out[1], "--untrained", out[2], "--gates", out[3],
        )  # fmt: skip
        verb(
            "probes", *networks, *self.about(corpus), *arguments(cells.probes),
            "--seed", cells.seed, "--found", out[0], "--cells", out[1],
            "--out", out[4],
        )  # fmt: skip
        return self.work / below(type)

    def figures(self) -> None:
        """Figures 1, 4, 5 and 6, and the errors of figure 6 by type, depth and size."""
        infos = self.of_corpora(".json", self.corpora)
        remake.figure1(self.out, self.scores, infos, self.settings.figures.tsne)
        self.about_characters("lstm", self.out, self.out / "figures")
        if both := self.having("lstm", "ngram"):
            texts = ["--texts", *self.of_corpora(".txt", both)]
            csv = self.out / "tables/errors.csv"
            self.draw("errors", both, texts, images(self.out, "errors"), csv)

    def about_characters(self, type: str, folder: Path, figures: Path) -> None:
        """Figures 4, 5 and 6 of a type. folder: where its first epochs are, in figure5/."""
        both = self.having(type, "ngram")
        first_epochs = remake.existing(*(folder / f"figure5/{corpus}.csv" for corpus in both))
        texts = ["--texts", *self.of_corpora(".txt", both)]
        drawn = {"figure4": [], "figure5": [*texts, "--trajectory", *first_epochs]}
        if not first_epochs and not self.code(both):
            del drawn["figure5"]
        definitions = figures / "figure6_definitions.csv"
        drawn["figure6"] = [*texts, "--definitions-csv", definitions]
        for name, more in drawn.items() if both else ():
            files = [figures / f"{name}.{end}" for end in ("png", "svg")]
            self.draw(name, both, [*more, "--type", type], files, figures / f"{name}.csv")

    def draw(self, name: str, corpora: list[str], more: list, files: list[Path], csv: Path) -> None:
        """A figure about single characters."""
        verb(
            name, "--scores", *self.of(*corpora), "--splits", *self.of_corpora(".npz", corpora),
            "--corpora", *self.of_corpora(".json", corpora), *more,
            "--out", *files, "--csv", csv,
        )  # fmt: skip

    def types(self) -> None:
        """The losses of types at equal parameters; and of the other types that the settings name
        what is made of the LSTM, in types/<type>/. As of the LSTM, first epochs and clamped units,
        which take long, are not made here."""
        remake.types(self.out, self.scores, self.splits(), self.of_corpora(".json", self.corpora),
                    self.settings.claims)  # fmt: skip
        for type in self.settings.figures.types:
            out, made = self.out / below(type), self.run / below(type)
            corpora = self.having(type)
            for corpus in corpora:
                if path := self.files.first_epochs(corpus, type):
                    copy(path, out / "figure5" / path.name)
            self.about_characters(type, out, out)
            if corpora and has_units(type):
                found = {c: self.found(c, type) for c in corpora}
                self.cell_tables(found, out / "tables")
                self.figure2(found, out / "tables", out)
                best = out / "tables/hypotheses.csv"
                clamped = [c for c in corpora if self.files.has_clamped(c, best, type)]
                files = ([made / file.format(corpus) for corpus in clamped] for file in CLAMPED)
                if clamped:
                    remake.ablation(out, *files, self.of_corpora(".json", clamped), out)

    def emergence(self) -> None:
        """When skills and units appear in the networks that were watched."""
        measures = []
        for key in (k for c in self.corpora for k in grid.watched(self.settings, c)):
            if not (snapshots := self.files.watched(key)):
                continue
            if not (made := self.files.emergence(key, snapshots)):
                made = self.work / f"emergence/{key.path}.csv"
                made.parent.mkdir(parents=True, exist_ok=True)
                ends = {"split": "npz", "text": "txt", "info": "json"}
                files = {n: self.run / f"corpora/{key.corpus}.{end}" for n, end in ends.items()}
                characters = self.settings.figures.emergence.characters
                files |= {"characters": characters, "backend": self.settings.backend, "out": made}
                verb("emergence", snapshots, *arguments(files))
            measures.append(made)
        watched = [c for c in self.corpora if grid.watched(self.settings, c)]
        remake.emergence(self.out, measures, self.of_corpora(".json", watched))

    def claims(self) -> None:
        """Tests of the paper's conclusions, and of those about other types."""
        scored = [corpus for corpus in self.corpora if self.of(corpus)]
        remake.claims(
            self.out,
            self.scores,
            self.splits(),
            self.of_corpora(".json", self.corpora),
            ["--texts", *self.of_corpora(".txt", scored), "--nn-hidden", *self.settings.nn.hidden],
            self.settings.claims,
        )

    def halves(self) -> None:
        """The best network of each corpus in half precision, of LSTM, GRU and each type that the
        settings look at."""
        trained = {key: self.models[key] for key in self.good if key.family == "recurrent"}
        about = {path: model_file.about(path) for path in trained.values()}
        for corpus in self.corpora:
            for type in dict.fromkeys([*HALVED, *self.settings.figures.types]):
                own = [p for k, p in trained.items() if (k.corpus, k.type) == (corpus, type)]
                if not own:
                    continue
                best = models.best(own, about.get)
                deep = models.best(own, about.get, type, paper_depth=True)
                half.halve(best, self.out / f"models/{corpus}-{type}.safetensors")
                if deep != best:
                    half.halve(deep, self.out / f"models/{corpus}-{type}-deepest.safetensors")


def described(array: Path, split: Path) -> bytes:
    """A model's metadata with the digest of its score array."""
    score = read_score(array)
    about = score.meta | {"digest": score.digest(read_split(split, [score]))}
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in about.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


# ---- the command line ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="results/<run>", metavar="RUN")
    parser.add_argument("reference", type=Path, help="results/reference", metavar="REFERENCE")


def run(args: argparse.Namespace) -> None:
    files = publish(args.source, args.reference)
    size = sum(path.stat().st_size for path in files)
    print(f"{args.reference}: {len(files)} files, {size / 1e6:.1f} MB")
