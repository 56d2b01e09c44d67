"""The files of a run that are up to date, from which it is published.

A run may have changed settings, or a new text, and not be finished: what is left from before is no
part of a publication.
"""

import filecmp
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from charlens.data import split
from charlens.errors import InputError
from charlens.networks import model_file
from charlens.networks.version import version, version_of
from charlens.runs import grid
from charlens.runs.settings import Settings
from charlens.store import models
from charlens.store.corpora import read_text
from charlens.store.models import ModelKey, original, recipe_of, twin
from charlens.store.reading import read_json
from charlens.store.scores import read_score
from charlens.store.tables import read_table, read_trajectory
from charlens.training.snapshots import Schedule

# what `charlens cells` and `charlens probes` write of a corpus
FOUND = (
    "cells/{}.json",
    "cells/{}.csv",
    "cells/untrained/{}.csv",
    "cells/gates/{}.csv",
    "probes/{}.csv",
)
CLAMPED = ("ablation/{}.csv", "ablation/controls/{}.csv")  # what `charlens ablate` writes of it


@dataclass(frozen=True)
class SplitFacts:
    """What is known of a split."""

    digest: str  # of what networks are trained on (`split.digest`)
    test: str  # of its test text (`split.digest_of_test`)
    characters: int  # of its test text
    windows: int  # of an epoch


class RunFiles:
    """What a run has.

    models: the best candidate of each network that is trained, by key; ngrams: the score array of
    each n-gram model that is scored.
    """

    def __init__(self, run: Path, settings: Settings):
        self.run, self.settings = run, settings
        self.splits: dict[str, SplitFacts] = {}  # by corpus
        keys = grid.planned(settings)
        for corpus in settings.use:
            others = [*grid.contiguous(settings, corpus), *grid.reshuffles(settings, corpus)]
            keys += [key for key in others if key.corpus != corpus and self.is_twin(key.corpus)]
        self.models = {key: path for key in keys if (path := self.trained(key))}
        self.ngrams = {key: path for key in keys if (path := self.scored_ngram(key))}

    def trained(self, key: ModelKey) -> Path | None:
        """The model file of the best candidate that is trained as the settings say."""
        if key.family == "ngram":
            return None
        paths = [
            self.run / f"models/{c.path}/model.safetensors"
            for c in grid.candidates(self.settings, key)
        ]
        paths = [path for path in paths if path.exists() and self.is_current(path, key.corpus)]
        return model_file.best(paths) if paths else None

    def scored_ngram(self, key: ModelKey) -> Path | None:
        """The score array of an n-gram model, if it is of the split that its corpus has now."""
        if key.family != "ngram":
            return None
        path, data = self.run / f"scores/{key.path}.npy", self.run / f"corpora/{key.corpus}.npz"
        if not path.exists():
            return None
        of = about_score(path).get("split")  # earlier versions do not say of which
        same = of == self.split_digest(key.corpus) if of else newer(path, data)
        if same and self.is_of_test(path, key.corpus):
            return path
        print(f"{path}: of another split: not published", flush=True)
        return None

    def is_current(self, model: Path, corpus: str) -> bool:
        """Was a model trained by the recipe of the settings and the version of the code? One that
        was not is still to be trained again, and is not published."""
        about = model_file.about(model)
        wanted, recipe = self.settings.training_of(corpus), about.get("recipe", {})
        if recipe_of(about["type"]) == "adamw":
            wanted = self.settings.adamw_training | {"learning_rate": recipe.get("learning_rate")}
            recipe = recipe | {"dropout": about.get("dropout")}  # part of neither recipe nor path
        same_recipe = all(wanted.get(name) == value for name, value in recipe.items())
        # (networks of earlier versions do not say of which split they are)
        same_split = "split" not in about or about["split"] == self.split_digest(corpus)
        if same_recipe and same_split and version_of(about) == version(about["type"]):
            return True
        print(f"{model}: of another recipe, split or version: not published", flush=True)
        return False

    def split_digest(self, corpus: str) -> str:
        """The digest of the split that a corpus has now (`split.digest`)."""
        return self.split(corpus).digest

    def split(self, corpus: str) -> "SplitFacts":
        """What is known of the split of a corpus. Raises InputError where it is not the one of its
        text and of the settings."""
        if corpus not in self.splits:
            path, text = (self.run / f"corpora/{corpus}.{end}" for end in ("npz", "txt"))
            data, its = split.load(path), self.settings.split_of(corpus)
            shares = self.settings.of_corpus(corpus).fractions
            if not split.equal(data, split.split(read_text(text), **its, fractions=shares)):
                raise InputError(
                    f"{path}: not the split of {text.name} by the settings (split {its}, fractions"
                    f" {shares}): run snakemake, which splits the text again, or set these back"
                )
            self.splits[corpus] = SplitFacts(
                split.digest(data),
                split.digest_of_test(data),
                data.test.y.size,
                data.train.y.shape[1] // data.unroll,
            )
        return self.splits[corpus]

    def is_twin(self, corpus: str) -> bool:
        """Has the twin of a corpus, if this is one, the same text as that?"""
        infos = [self.run / f"corpora/{name}.json" for name in (corpus, original(corpus))]
        if corpus != twin(original(corpus)):
            return True
        if not all(info.exists() for info in infos):
            return False
        same = len({read_json(info).get("sha256") for info in infos}) == 1
        if not same:
            print(f"{infos[0]}: of another text than {original(corpus)}: not published", flush=True)
        return same

    def is_of_test(self, array: Path, corpus: str) -> bool:
        """Is a score array of the test text that its corpus has now? Scores by earlier versions do
        not say: they are if they are newer than the split and as many."""
        data, of = self.split(corpus), about_score(array).get("test")
        if of is not None:
            return of == data.test
        same = newer(array, self.run / f"corpora/{corpus}.npz")
        return same and read_score(array).characters == data.characters

    # ---- analyses of networks: of those that are chosen now, by the settings as they are now ----

    def is_of_chosen(self, path: Path, corpus: str, keys: Iterable[ModelKey]) -> bool:
        """Is a file there that is newer than the split of its corpus and than the choice of each of
        these networks, and do the candidates now give the same choice?"""
        best = {key: self.run / f"models/{key.path}/best/model.safetensors" for key in keys}
        if not path.exists() or not all(chosen.exists() for chosen in best.values()):
            return False
        same = (filecmp.cmp(best[key], self.models[key], shallow=False) for key in best)
        return all(same) and newer(path, self.run / f"corpora/{corpus}.npz", *best.values())

    def first_epochs(self, corpus: str, type: str) -> Path | None:
        """The first epochs of the best of the deepest networks of a type beside the n-NNs, if the
        run has them as the settings say."""
        path, wanted = self.path("figure5/{}.csv", corpus, type), self.settings.figures.first_epochs
        lstms, nns = (
            [key for key in keys if key in self.models]
            for keys in (grid.deepest(self.settings, corpus, type), grid.nn(self.settings, corpus))
        )
        if not lstms or corpus not in wanted.corpora:
            return None
        if not self.is_of_chosen(path, corpus, [*lstms, *nns]):
            return None
        best = models.best(lstms, lambda key: model_file.about(self.models[key]))
        table, n = read_trajectory(path), self.split(corpus).windows
        networks = set(table[["layers", "size"]].itertuples(index=False, name=None))
        looks = Schedule(wanted.snapshots, wanted.epochs).taken(wanted.epochs, n, n)
        same = networks == {(best.layers, best.size)} and set(table["n"]) == {k.n for k in nns}
        return path if same and set(table["epoch"]) == set(looks) else None

    def searched(self, corpus: str, type: str = "lstm") -> list[Path]:
        """The networks of a corpus whose units are searched: of a type, and of the LSTM also those
        whose gates are shown."""
        wanted = {type, *(self.settings.cells.gates if type == "lstm" else ())}
        return [p for k, p in self.models.items() if k.corpus == corpus and k.type in wanted]

    def has(self, corpus: str, files: tuple[str, ...], networks: list[Path], type: str) -> bool:
        """Whether the run has these files of a corpus, newer than the networks they may be of."""
        older = [self.run / f"corpora/{corpus}.npz", *networks]
        made = [self.path(file, corpus, type) for file in files]
        return all(path.exists() and newer(path, *older) for path in made)

    def has_found(self, corpus: str, type: str = "lstm") -> bool:
        """Whether the run has the files FOUND of a corpus, of the networks that are chosen now and
        by the settings. (Files by earlier versions do not say by which they are.)"""
        networks, its = self.searched(corpus, type), self.settings.cells
        if not self.has(corpus, FOUND, networks, type):
            return False
        passages = [passage.model_dump() for passage in its.passages.get(corpus, [])]
        wanted = {
            "networks": models.looked_at(networks, model_file.about),
            "samples": its.samples,
            "shifts": its.shifts,
            "options": {"seed": its.seed, "passages": passages},
        }
        cells, *_, probes = (self.path(file, corpus, type) for file in FOUND)
        found, table = read_json(cells), read_table(probes)
        fitted = its.probes.model_dump() | {"seed": its.seed}
        return (
            all(found.get(name) == value for name, value in wanted.items())
            and newer(probes, cells)
            and says(table, fitted)
        )

    def has_clamped(self, corpus: str, hypotheses: Path, type: str = "lstm") -> bool:
        """Whether the run has the files CLAMPED of a corpus, of the units in a table of the best
        units (tables/hypotheses.csv) and by the settings."""
        keys = [k for k in self.models if (k.corpus, k.type) == (corpus, type)]
        networks = [self.models[key] for key in keys]
        if not self.has(corpus, CLAMPED, networks, type):
            return False
        columns = ["corpus", "model", "hypothesis", "layer", "unit"]
        best = read_table(hypotheses, columns).dropna(subset="unit")[columns]
        clamped, effects = (read_table(self.path(file, corpus, type)) for file in CLAMPED)
        its, asked = self.settings.cells, self.settings.cells.ablation
        wanted = {"wanted": asked.controls, "characters": asked.characters or 0}
        wanted |= {"samples": its.samples, "seed": its.seed}
        units = [set(map(tuple, table[columns].to_numpy().tolist()))
                 for table in (clamped, best[best["corpus"] == corpus])]  # fmt: skip
        return units[0] == units[1] and says(effects, wanted)

    def measured(self, key: ModelKey) -> Path | None:
        """What `charlens inside` wrote of a network, if the run has it."""
        path = self.run / f"inside/{key.path}.csv"
        return path if self.is_of_chosen(path, key.corpus, [key]) else None

    def watched(self, key: ModelKey) -> Path | None:
        """The snapshots of a watched candidate, if they were taken as the settings say."""
        path = self.run / f"models/{key.path}/snapshots.safetensors"
        if not (path.exists() and self.is_current(path, key.corpus)):
            return None
        about, its = model_file.about(path), self.settings.figures.emergence
        n = self.split(key.corpus).windows
        times = Schedule(its.snapshots, its.epochs).taken(grid.epochs(self.settings, key), n, n)
        # a training that diverged ended early, perhaps before the first
        if about["epochs"] == times or "failed" in about:
            return path
        print(f"{path}: not as figures.emergence says: not published", flush=True)
        return None

    def emergence(self, key: ModelKey, snapshots: Path) -> Path | None:
        """What `charlens emergence` wrote of the snapshots of a candidate, if the run has it, of
        all of them and by the settings."""
        path = self.run / f"emergence/{key.path}.csv"
        if not (path.exists() and newer(path, snapshots, self.run / f"corpora/{key.corpus}.npz")):
            return None
        table, characters = read_table(path, ["epoch"]), self.settings.figures.emergence.characters
        epochs = {float(f"{epoch:.6g}") for epoch in model_file.about(snapshots)["epochs"]}
        same = "characters" in table and (table["characters"] == characters).all()
        return path if same and set(table["epoch"]) == epochs else None

    def path(self, file: str, corpus: str, type: str) -> Path:
        """The path of a file such as cells/{}.json, of a corpus and a type."""
        return self.run / below(type) / file.format(corpus)


def below(type: str) -> str:
    """Where what is made of a type lies, below a run or a publication."""
    return "" if type == "lstm" else f"types/{type}"


def newer(path: Path, *others: Path) -> bool:
    """Whether a file is at least as new as all others."""
    return all(path.stat().st_mtime >= other.stat().st_mtime for other in others)


def is_of(array: Path, model: Path) -> bool:
    """Does a score array exist, and is it of this very candidate?"""
    if not (array.exists() and array.with_suffix(".json").exists()):
        return False
    meta, about = about_score(array), model_file.about(model)
    return all(meta.get(name) == about[name] for name in ("hidden", "epoch", "val_loss", "seed"))


def about_score(array: Path) -> dict:
    """The metadata beside a score array."""
    return read_json(array.with_suffix(".json"))


def says(table: pd.DataFrame, settings: Mapping) -> bool:
    """Whether a table's last columns say that it was made by these settings."""
    return all(name in table and (table[name] == settings[name]).all() for name in settings)
