"""The files of a run that are up to date, from which it is published.

A run may have changed settings, or a new text, and not be finished: what is left from before is no
part of a publication.
"""

from dataclasses import replace
from pathlib import Path

from charlens.data import split
from charlens.networks import model_file
from charlens.networks.version import version, version_of
from charlens.runs import grid
from charlens.runs.settings import Settings
from charlens.store.models import ModelKey, recipe_of, twin
from charlens.store.reading import read_json

# what `charlens cells` and `charlens probes` write of a corpus
FOUND = (
    "cells/{}.json",
    "cells/{}.csv",
    "cells/untrained/{}.csv",
    "cells/gates/{}.csv",
    "probes/{}.csv",
)
CLAMPED = ("ablation/{}.csv", "ablation/controls/{}.csv")  # what `charlens ablate` writes of it


class RunFiles:
    """What a run has.

    models: the best candidate of each network that is trained, by key; ngrams: the score array of
    each n-gram model that is scored.
    """

    def __init__(self, run: Path, settings: Settings):
        self.run, self.settings = run, settings
        self.digests: dict[str, str] = {}  # of splits, by corpus
        keys = grid.planned(settings)
        keys += [replace(key, corpus=twin(key.corpus)) for key in keys]
        keys += [
            key
            for corpus in settings.use
            for key in grid.reshuffles(settings, corpus)
            if key.corpus != corpus
        ]
        self.models = {key: path for key in keys if (path := self.trained(key))}
        self.ngrams = {key: path for key in keys if (path := self.scored_ngram(key))}

    def trained(self, key: ModelKey) -> Path | None:
        """The model file of the best candidate that is trained as the settings say."""
        if key.kind == "ngram":
            return None
        paths = [
            self.run / f"models/{c.path}/model.safetensors"
            for c in grid.candidates(self.settings, key)
        ]
        paths = [path for path in paths if path.exists() and self.is_current(path, key.corpus)]
        return model_file.best(paths) if paths else None

    def scored_ngram(self, key: ModelKey) -> Path | None:
        """The score array of an n-gram model, if it is of the split that its corpus has now."""
        if key.kind != "ngram":
            return None
        path, data = self.run / f"scores/{key.path}.npy", self.run / f"corpora/{key.corpus}.npz"
        if not path.exists():
            return None
        of = about_score(path).get("split")  # earlier versions do not say of which
        if of == self.split_digest(key.corpus) if of else newer(path, data):
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
        if corpus not in self.digests:
            self.digests[corpus] = split.digest(split.load(self.run / f"corpora/{corpus}.npz"))
        return self.digests[corpus]

    def first_epochs(self, corpus: str, type: str) -> Path | None:
        """The first epochs of the deepest networks of a type beside the n-NNs, if the run has them,
        newer than these."""
        path = self.run / below(type) / f"figure5/{corpus}.csv"
        keys = [*grid.deepest(self.settings, corpus, type), *grid.nn(self.settings, corpus)]
        models = [self.models[key] for key in keys if key in self.models]
        data = self.run / f"corpora/{corpus}.npz"
        return path if path.exists() and newer(path, data, *models) else None

    def searched(self, corpus: str, type: str = "lstm") -> list[Path]:
        """The networks of a corpus whose units are searched: of a type, and of the LSTM also those
        whose gates are shown."""
        wanted = {type, *(self.settings.cells.gates if type == "lstm" else ())}
        return [p for k, p in self.models.items() if k.corpus == corpus and k.type in wanted]

    def has(self, corpus: str, files: tuple[str, ...], type: str = "lstm") -> bool:
        """Whether the run has these files of a corpus, newer than the networks they may be of."""
        data = self.run / f"corpora/{corpus}.npz"
        made = [self.run / below(type) / file.format(corpus) for file in files]
        older = [data, *self.searched(corpus, type)]
        return all(path.exists() and newer(path, *older) for path in made)


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
