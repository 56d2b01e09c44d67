"""The models of a run, their candidates and seeds, as the settings define them.

The Snakefile imports this, so it imports nothing slow.
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path

from charlens.data.checks import local, own_file
from charlens.errors import InputError
from charlens.runs.schema import Section, Settings
from charlens.store import models
from charlens.store.models import ModelKey, original, recipe_of, reshuffled, twin


def recurrent(settings: Settings, corpus: str) -> list[ModelKey]:
    """The recurrent networks of a corpus, one per seed. The largest come first."""
    return [
        ModelKey(corpus, "recurrent", **entry, seed=seed)
        for entry in entries(settings)
        for seed in first_fit(settings, "seeds", corpus, entry)
    ]


def lstms(settings: Settings, corpus: str) -> list[ModelKey]:
    """The LSTMs of a corpus. The largest come first."""
    return [key for key in recurrent(settings, corpus) if key.type == "lstm"]


def nn(settings: Settings, corpus: str) -> list[ModelKey]:
    """The n-NN models of a corpus."""
    its = settings.nn
    return [ModelKey(corpus, "nn", seed=its.seed, n=context) for context in its.contexts]


def ngrams(settings: Settings, corpus: str) -> list[ModelKey]:
    """The n-gram models of a corpus."""
    return [ModelKey(corpus, "ngram", n=order - 1) for order in settings.ngrams.orders]


def planned(settings: Settings) -> list[ModelKey]:
    """Every model of the corpora in use."""
    return [
        key
        for corpus in settings.use
        for some in (recurrent, nn, ngrams)
        for key in some(settings, corpus)
    ]


def candidates(settings: Settings, key: ModelKey) -> list[ModelKey]:
    """The candidates for a network: itself with each dropout, learning rate or hidden size. An
    n-gram model has none."""
    if key.family == "recurrent" and recipe_of(key.type) == "adamw":
        values = settings.adamw.rates
    elif key.family == "recurrent":
        entry = {"type": key.type, "layers": key.layers, "size": key.size, "seed": key.seed}
        values = first_fit(settings, "dropout", key.corpus, entry)
    else:
        values = settings.nn.hidden if key.family == "nn" else []
    return [replace(key, candidate=value) for value in values]


def trainings(settings: Settings) -> list[ModelKey]:
    """Every candidate that a run trains, those on the other split and other orders included."""
    parts = (recurrent, nn, contiguous, reshuffles)
    every = [key for corpus in settings.use for some in parts for key in some(settings, corpus)]
    networks = [key for key in dict.fromkeys(every) if key.family != "ngram"]
    return [candidate for key in networks for candidate in candidates(settings, key)]


def side_by_side(settings: Settings) -> list[list[ModelKey]]:
    """The recurrent candidates that a job trains side by side, where that is more than one: of one
    shape, by the paper's recipe, and not watched, at most `networks_per_job`. (An n-NN's candidates
    differ in shape.)"""
    apart = {key for corpus in settings.use for key in watched(settings, corpus)}
    shapes: dict[ModelKey, list[ModelKey]] = {}
    for key in trainings(settings):
        if key.candidates == "dropout" and key not in apart:
            shapes.setdefault(replace(key, seed=None, candidate=None), []).append(key)
    most = settings.networks_per_job
    jobs = [keys[at : at + most] for keys in shapes.values() for at in range(0, len(keys), most)]
    return [keys for keys in jobs if len(keys) > 1]


def epochs(settings: Settings, key: ModelKey) -> int:
    """The epochs of a training."""
    if key.family == "recurrent" and recipe_of(key.type) == "adamw":
        return settings.adamw_training["epochs"]
    return settings.training_of(key.corpus)["epochs"]


def contiguous(settings: Settings, corpus: str) -> list[ModelKey]:
    """The models of a corpus that are compared under both split layouts: those of the corpus, then
    those of its twin (`store.models.twin`), which is split contiguously. Each network with its
    first seed. [] where the corpus is not compared."""
    if corpus not in with_twins(settings):
        return []
    keys = chosen(settings, corpus, settings.contiguous_split)
    return keys + [replace(key, corpus=twin(corpus)) for key in keys]


def for_contiguous(settings: Settings, corpus: str) -> list[ModelKey]:
    """The models from which both split layouts are compared: those of `contiguous`, and all
    networks of the corpus, which tell how much a loss varies with the seed. [] as there."""
    if corpus not in with_twins(settings):
        return []
    return list(dict.fromkeys([*contiguous(settings, corpus), *recurrent(settings, corpus)]))


def chosen(settings: Settings, corpus: str, by: Section) -> list[ModelKey]:
    """The models of a corpus that a section names by `recurrent` and `orders`; of each network the
    first seed."""
    wanted = fitting(recurrent(settings, corpus), by.recurrent)
    first = {(key.type, key.layers, key.size): key for key in reversed(wanted)}
    return [
        *reversed(first.values()),
        *(ModelKey(corpus, "ngram", n=order - 1) for order in by.orders),
    ]


def reshuffles(settings: Settings, corpus: str) -> list[ModelKey]:
    """The models of a corpus whose files are also shuffled anew, then the same on each new order
    (`store.models.reshuffled`). [] where the corpus is not reshuffled."""
    if corpus not in settings.reshuffles.corpora or not settings.reshuffles.seeds:
        return []
    keys = chosen(settings, corpus, settings.reshuffles)
    names = [reshuffled(corpus, seed) for seed in settings.reshuffles.seeds]
    return keys + [replace(key, corpus=name) for name in names for key in keys]


def with_twins(settings: Settings) -> list[str]:
    """The corpora in use that are compared under both split layouts; none where the run itself has
    the contiguous one."""
    if settings.split.layout == "contiguous":
        return []
    return [corpus for corpus in settings.use if corpus in settings.contiguous_split.corpora]


def first_epochs(settings: Settings) -> list[str]:
    """The corpora in use on which the first epochs of an LSTM are compared (figure 5)."""
    return [corpus for corpus in settings.figures.first_epochs.corpora if corpus in settings.use]


def first_epochs_lstm(settings: Settings, corpus: str) -> ModelKey:
    """The LSTM of figure 5: the best of the deepest ones, most likely the largest."""
    return max(deepest(settings, corpus, "lstm"), key=lambda key: key.size)


def facts_for_times(settings: Settings) -> dict:
    """What the times of a run's jobs depend on, beside its texts and networks, as JSON."""
    lstm, first = first_epochs_lstm(settings, settings.use[0]), settings.figures.first_epochs
    return {
        "hidden": settings.nn.hidden,
        "epochs": {corpus: settings.training_of(corpus)["epochs"] for corpus in settings.use},
        "adamw_epochs": settings.adamw.epochs,
        "first_epochs": {
            "layers": lstm.layers,
            "size": lstm.size,
            "epochs": first.epochs,
            "snapshots": first.snapshots,
        },
    }


def watched(settings: Settings, corpus: str) -> list[ModelKey]:
    """The networks of a corpus that are watched as they are trained, each its first candidate."""
    wanted = settings.figures.emergence
    if corpus not in wanted.corpora:
        return []
    return [
        candidates(settings, key)[0]
        for key in recurrent(settings, corpus)
        if (key.type in wanted.types and key.layers in wanted.layers and key.size in wanted.sizes)
    ]


def deepest(settings: Settings, corpus: str, type: str) -> list[ModelKey]:
    """The networks of a type with the depth of the paper's, or else the deepest (see
    `store.models.deepest`)."""
    every = [vars(key) for key in recurrent(settings, corpus)]
    return [ModelKey(**fields) for fields in models.deepest(every, type)]


def looked_into(settings: Settings, corpus: str) -> list[ModelKey]:
    """The networks of a corpus that figures 2 and 3 may show: every LSTM, and the deepest of each
    type of `cells.gates`."""
    deep = {key for type in settings.cells.gates for key in deepest(settings, corpus, type)}
    every = recurrent(settings, corpus)
    return [key for key in every if key.type == "lstm" or key in deep]


def measured(settings: Settings, corpus: str) -> list[ModelKey]:
    """The networks of a corpus whose units and gates are measured in short (cells: inside:)."""
    every = recurrent(settings, corpus)
    return fitting(every, settings.cells.inside) if settings.cells.inside else every


def fitting(keys: Iterable[ModelKey], selections: Iterable[Section]) -> list[ModelKey]:
    """The keys that match a selection: they have every value that it names."""
    selections = list(selections)
    return [key for key in keys if any(fits(key, selection) for selection in selections)]


def fits(key: ModelKey, selection: Section) -> bool:
    """Whether a network has every value that a selection names, or one of those that it lists."""
    about = facts(key)
    return all(about[name] in its if isinstance(its, list) else about[name] == its
               for name, its in named(selection).items())  # fmt: skip


def facts(key: ModelKey) -> dict:
    """What selections may name of a network, singly or in lists."""
    about = vars(key) | {"corpora": original(key.corpus), "types": key.type}
    return about | {"sizes": key.size, "seeds": key.seed}


def named(selection: Section) -> dict:
    """What a selection names."""
    return selection.model_dump(exclude_none=True, exclude={"values"})


def entries(settings: Settings) -> list[dict]:
    """The grid entries: type, layers, size. The largest come first."""
    grid = settings.grid
    every = [
        {"type": type, "layers": layers, "size": size}
        for size, layers, type in product(sorted(grid.sizes, reverse=True), grid.layers, grid.types)
    ]
    every += [
        {"type": f"{type}+{added}", "layers": layers, "size": size}
        for some in grid.variants
        for size, layers, type, added in product(some.sizes, some.layers, grid.types, some.add)
    ]
    kept = [
        entry for entry in every if not fitting([ModelKey("", "recurrent", **entry)], grid.omit)
    ]
    return list({tuple(entry.values()): entry for entry in kept}.values())  # each once


def first_fit(settings: Settings, key: str, corpus: str, entry: dict) -> list | None:
    """The values of the first item of `grid.<key>` (dropout or seeds) that matches a grid entry of
    a corpus (with a seed, for dropout); None where none does, which `settings.make` refuses. A twin
    or a reshuffled corpus counts as its corpus."""
    network = ModelKey(corpus, "recurrent", **entry)
    fitting_it = (item for item in getattr(settings.grid, key) if fits(network, item))
    return next((item.values for item in fitting_it), None)


def own_paths(settings: Settings, corpus: str, origin: str | None) -> list[Path]:
    """The user's own files that a corpus is made from: it is made again when they change.

    origin: of the text that the run has (see `corpus.fetch`), if it has one. Such a text outlives
    the file that it is from: Snakemake makes nothing again whose input is missing. A text that the
    run does not have yet, and that comes from nowhere else, may be made by another rule.
    """
    about = settings.of_corpus(corpus)
    paths = [path for source in about.sources if (path := own_file(source.model_dump()))]
    mirrored = about.file and (settings.mirror or os.environ.get("CORPORA_MIRROR"))
    elsewhere = mirrored or any(source.path is None for source in about.sources)
    if origin is None and not elsewhere and not any(path.is_file() for path in paths):
        return paths

    def gone(path: Path) -> bool:
        if origin is None or path.exists():
            return False
        of_a_file = origin.startswith(("file: ", "recipe: "))
        return not of_a_file or origin.startswith((f"file: {path.name}", f"recipe: {path.name}, "))

    return [path for path in paths if path.is_file() or gone(path)]


def refuse_missing(settings: Settings, corpus: str, origin: str | None) -> None:
    """Raise InputError where the text of a corpus is a file that is missing, or one that Snakemake
    cannot name.

    It may be missing where the run has its text. Where the run has that of another file, a job that
    tries to fetch it would put all that was made from the text out of date. origin: see
    `own_paths`.
    """
    paths = own_paths(settings, corpus, origin)
    for path in paths:
        if {*"{}"} & {*str(path)}:
            raise InputError(
                f"corpora.{original(corpus)}.sources: {path}: Snakemake takes braces in a path for"
                " a pattern: rename the file, or name a link to it"
            )
    if origin is None:
        for path in paths:
            if not path.exists():
                raise InputError(f"corpora.{original(corpus)}.sources: no file {path}")
        return
    path = settings.of_corpus(corpus).sources[0].path
    if path is None or not origin.startswith("file: "):
        return
    path = local(path)
    if not path.exists() and origin != f"file: {path.name}":
        raise InputError(
            f"corpora.{original(corpus)}.sources: no file {path}; the run has the text of"
            f" {origin.removeprefix('file: ')}: correct the path, or choose another run"
        )


def spec(settings: Settings, corpus: str, title: str | None = None) -> dict:
    """What `charlens fetch` needs to know of a corpus.

    title: under which it was fetched, if it was. Another title makes no text out of date.
    """
    known = {} if title is None else {"title": title}
    return settings.of_corpus(corpus).model_dump(exclude_none=True) | known


def in_paper(corpora: Iterable[str]) -> list[str]:
    """The corpora for which the paper has numbers."""
    rows = Path(models.__file__).with_name("paper.csv").read_text().splitlines()[1:]
    known = {row.split(",")[1] for row in rows}
    return [corpus for corpus in corpora if corpus in known]
