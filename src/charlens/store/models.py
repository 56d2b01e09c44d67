"""The identity of a model: its key, path and label; and the rule for the best model.

    family      path below models/<corpus>/, scores/<corpus>/           label
    recurrent   type~lstm/layers~2/size~64/seed~2[/dropout~0.1]         LSTM 2x64 seed 2
                type~lstm+adamw/layers~2/size~64/seed~2[/rate~0.003]    LSTM+adamw 2x64 seed 2
    nn          nn/context~3/seed~1[/hidden~256]                        3-NN
    ngram       ngram/order~21                                          20-gram

Tables name a model by the same path with spaces for slashes. A candidate is one of several values
tried for a model, among which validation chooses: the dropout of a recurrent network (the learning
rate of one trained by the AdamW recipe), the hidden size of an n-NN. This module imports nothing
slow.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TypeVar

from charlens.errors import InputError
from charlens.store import cell_files

CELLS = Path(__file__).parents[1] / "networks" / "cells"
OWN = Path("cells")  # types beside the run, in the working folder
PAPER_TYPES = ("lstm", "rnn", "gru")
# those that came since, in the order in which they are shown
LATER_TYPES = ("mingru", "minlstm", "rglru", "slstm", "mlstm", "mamba", "transformer")
# What may be added to a cell type, and is then a type of its own everywhere: the block around each
# cell (`networks.block`), the AdamW recipe (`training.recipe`), or both.
VARIANTS = ("block", "adamw", "block+adamw")
PAPER_DEPTH = 3  # layers of the networks in the paper's figures 3, 4 and 5
Model = TypeVar("Model")


@dataclass(frozen=True)
class ModelKey:
    """The identity of a model. Fields that do not apply to its family are None.

    n: characters of context of an n-NN or n-gram (an n-gram model of order n + 1).
    candidate: the dropout or hidden size; None means the one that validation chose.
    """

    corpus: str
    family: str  # recurrent, nn or ngram
    type: str | None = None
    layers: int | None = None
    size: int | None = None
    seed: int | None = None
    n: int | None = None
    candidate: float | int | None = None

    @property
    def candidates(self) -> str | None:
        """What the candidates for such a model differ in: dropout, rate or hidden."""
        if self.family == "recurrent":
            return "rate" if recipe_of(self.type) == "adamw" else "dropout"
        return "hidden" if self.family == "nn" else None

    @property
    def path(self) -> str:
        """<corpus>/<labels>: the folder below models/, and scores/<path>.npy."""
        if self.family == "ngram":
            return f"{self.corpus}/ngram/order~{self.n + 1}"
        if self.family == "nn":
            below = f"nn/context~{self.n}/seed~{self.seed}"
        else:
            below = f"type~{self.type}/layers~{self.layers}/size~{self.size}/seed~{self.seed}"
        chosen = "" if self.candidate is None else f"/{self.candidates}~{self.candidate}"
        return f"{self.corpus}/{below}{chosen}"

    @property
    def name(self) -> str:
        """The model for people, without its seed: LSTM 2x64, 3-NN, 20-gram."""
        if self.family == "ngram":
            return f"{self.n}-gram"
        if self.family == "nn":
            return f"{self.n}-NN"
        return network_name(self.type, self.layers, self.size)

    @property
    def label(self) -> str:
        """The model for people: LSTM 2x64, LSTM 2x64 seed 2, 3-NN, 20-gram."""
        return self.name if self.seed in (None, 1) else f"{self.name} seed {self.seed}"

    @property
    def chosen(self) -> "ModelKey":
        """The same model without a candidate: the one that validation chose."""
        return replace(self, candidate=None)

    @property
    def in_tables(self) -> str:
        """The model as tables name it, beside its corpus: type~lstm layers~2 size~64 seed~1."""
        return self.path.partition("/")[2].replace("/", " ")

    @classmethod
    def from_table(cls, corpus: str, model: str) -> "ModelKey":
        """The model that a table names so. Raises as `parse`."""
        return cls.parse(f"{corpus}/{model}")

    @classmethod
    def parse(cls, path: str | PurePath) -> "ModelKey":
        """Parse the key in a path, or in a table's name of a model, that holds <corpus>/<labels>.

        Raises InputError if there is none.
        """
        found = LABELS.search(str(path))
        if found is None:
            raise InputError(
                f"{path}: expected a path like wp/type~lstm/layers~2/size~64/seed~1,"
                " wp/nn/context~3/seed~1 or wp/ngram/order~21"
            )
        corpus, type, layers, size, seed, dropout, context, nn_seed, hidden, order = found.groups()
        if order:
            return cls(corpus, "ngram", n=int(order) - 1)
        if context:
            candidate = int(hidden) if hidden else None
            return cls(corpus, "nn", seed=int(nn_seed), n=int(context), candidate=candidate)
        candidate = parse_number(dropout) if dropout else None
        which = {"layers": int(layers), "size": int(size), "seed": int(seed)}
        return cls(corpus, "recurrent", type, **which, candidate=candidate)

    @classmethod
    def of(cls, meta: Mapping) -> "ModelKey":
        """The key of a model from the metadata beside its scores; without its candidate."""
        names = ("type", "layers", "size", "seed", "n")
        return cls(meta["corpus"], meta["family"], **{name: meta.get(name) for name in names})


LABELS = re.compile(
    r"([^/]+)/(?:"
    r"type~([\w+]+)[/ ]layers~(\d+)[/ ]size~(\d+)[/ ]seed~(\d+)"
    r"(?:[/ ](?:dropout|rate)~(\d+(?:\.\d+)?(?:e-?\d+)?))?"
    r"|nn[/ ]context~(\d+)[/ ]seed~(\d+)(?:[/ ]hidden~(\d+))?"
    r"|ngram[/ ]order~(\d+))(?=[/.]|$)"
)


def parse_number(word: str) -> int | float:
    """Parse an int as an int, so that a path survives the round trip: 0, 0.0, 0.1."""
    return int(word) if word.isdigit() else float(word)


def cell_of(type: str) -> str:
    """The cell type alone: lstm of lstm+block."""
    return type.partition("+")[0]


def has_block(type: str) -> bool:
    """Whether each cell of such a network stands in a block."""
    return "block" in type.split("+")[1:]


def recipe_of(type: str) -> str:
    """The recipe of such a network: paper or adamw."""
    return "adamw" if "adamw" in type.split("+")[1:] else "paper"


def file_of(type: str) -> Path:
    """Where the file of a cell type is, or would be: in the package, or among the user's own."""
    name = f"{cell_of(type)}.py"
    here = CELLS / name
    return here if here.is_file() or not (OWN / name).is_file() else OWN / name


WORDS = "lower case letters, digits and _"  # of the name of a cell type


def check_type(type: str) -> None:
    """Raise InputError where there is no file for a cell type, or one that is no cell; and where
    something else than a block or a recipe is added to it."""
    path, added = file_of(type), type.partition("+")[2]
    if not re.fullmatch(r"[a-z][a-z0-9_]*", path.stem):
        raise InputError(f"no cell type '{type}': names of types, and of their files, are {WORDS}")
    if "+" in type and added not in VARIANTS:
        raise InputError(f"no type '{type}': what can be added is {', '.join(VARIANTS)}")
    if type == "nn":
        raise InputError("a cell type cannot be called nn: that is the type of n-NN models")
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in CELLS.glob("[a-z]*.py")))
        raise InputError(
            f"no cell type '{type}'; there are {known}; one of your own is a file"
            f" {OWN.resolve() / path.name}"
        )
    hidden = OWN / path.name
    if path != hidden and hidden.is_file() and not hidden.samefile(path):
        raise InputError(f"{hidden} is not used: there is a type of that name; rename the file")
    has = cell_files.defined(path)
    for name in ("GATES", "STATES", "recurrent_shapes", "step"):
        if name not in has:
            raise InputError(f"{path} has no {name}; docs/own-cell.md says what it needs")
    for name in cell_files.FACTS:
        cell_files.fact(path, name)


def is_own(type: str) -> bool:
    """Whether the file of a cell type is one of the user's own."""
    return file_of(cell_of(type)).parent == OWN


@functools.cache
def type_name(type: str) -> str:
    """A type for people: LSTM, LSTM+block, or what its file says (`NAME = "minGRU"`)."""
    cell, plus, added = type.partition("+")
    file = file_of(cell)  # there is none where tables from elsewhere are read
    name = cell_files.fact(file, "NAME") if file.is_file() else None
    return (name or cell.upper()) + plus + added


def network_name(type: str, layers: int, size: int) -> str:
    """A recurrent network for people: LSTM 2x64."""
    return f"{type_name(type)} {layers}x{size}"


def shown(model: str) -> str:
    """The name of a network in tables, lstm 2x64, for people: LSTM 2x64."""
    type, space, shape = model.partition(" ")
    return type_name(type) + space + shape


def types_in_order(types: Iterable[str]) -> list[str]:
    """The distinct types: the paper's in its order, then the later ones, then any others by name;
    each before what adds to it."""

    def place(type: str):
        known, cell = [*PAPER_TYPES, *LATER_TYPES], cell_of(type)
        return (known.index(cell) if cell in known else len(known), type)

    return sorted(set(types), key=place)


def twin(corpus: str) -> str:
    """The name of a corpus under the contiguous split layout. (Configured names have no dot.)"""
    return f"{corpus}.contiguous"


def reshuffled(corpus: str, seed: int | str) -> str:
    """The name of a corpus with its files in another order."""
    return f"{corpus}.shuffle{seed}"


def is_reshuffled(corpus: str) -> bool:
    """Is this the name of a corpus with its files in another order?"""
    return corpus.startswith(reshuffled(original(corpus), ""))


def original(corpus: str) -> str:
    """The corpus whose text, or whose files, a twin or a reshuffled corpus has; itself if none."""
    return corpus.partition(".")[0]


def deepest(models: list[dict], type: str) -> list[dict]:
    """The models of a type with PAPER_DEPTH layers or, if there are none, with the most layers.

    models: dicts with type and layers. Returns [] if there is no model of the type.
    """
    own = [model for model in models if model["type"] == type]
    return [model for model in own if model["layers"] == figure_depth(own)]


def figure_depth(networks: Iterable[Mapping]) -> int:
    """The number of layers of the networks in figures 3, 4 and 5: PAPER_DEPTH, or else the most."""
    depths = {network["layers"] for network in networks}
    return PAPER_DEPTH if PAPER_DEPTH in depths else max(depths)


def best(
    models: Iterable[Model],
    about: Callable[[Model], Mapping],
    type: str | None = None,
    paper_depth: bool = False,
) -> Model:
    """The network with the lowest validation loss; of equals, the first. One whose training
    diverged (its metadata have `failed`) comes last.

    This is the one rule for "the best network", for figures, claims and candidates. about returns
    the metadata of a model: type, layers, val_loss. type: consider this type alone. paper_depth:
    consider PAPER_DEPTH layers alone or, if there are none, the greatest number, as in figures 3, 4
    and 5. Raises InputError if there is no such network.
    """
    known = [(model, about(model)) for model in models]
    if type is not None:
        known = [(model, meta) for model, meta in known if meta.get("type") == type]
    if not known:
        named = type_name(type) if type else "network"
        raise InputError(f"no trained {named} among the models given")
    if paper_depth:
        depth = figure_depth(meta for _, meta in known)
        known = [(model, meta) for model, meta in known if meta["layers"] == depth]
    return min(known, key=lambda pair: rank(pair[1]))[0]


def best_for_units(models: Iterable[Model], about: Callable[[Model], Mapping]) -> Model:
    """The best LSTM or, where there is no LSTM, the best network. Raises as `best`."""
    models = list(models)
    types = {about(model)["type"] for model in models}
    return best(models, about, "lstm" if "lstm" in types else None)


IDENTITY = ("type", "layers", "size", "hidden", "seed", "val_loss")


def looked_at(models: Iterable[Model], about: Callable[[Model], Mapping]) -> list[dict]:
    """Which of several networks `charlens cells` says something of: the best LSTM (or network), and
    the best of each type with the paper's depth; IDENTITY of each. Raises as `best`."""
    models = list(models)
    types = types_in_order(about(model)["type"] for model in models)
    chosen = [best_for_units(models, about)]
    chosen += [best(models, about, type, paper_depth=True) for type in types]
    return [{name: about(model).get(name) for name in IDENTITY} for model in chosen]


def rank(about: Mapping) -> tuple[bool, float]:
    """By what a network comes before others: its validation loss, after all those whose training
    did not diverge. (An n-gram model has no validation loss.)"""
    return "failed" in about, about.get("val_loss", 0.0)


def digests_of_networks(publication: str | Path, corpus: str) -> list[Path]:
    """The files of a publication that describe the recurrent networks of a corpus."""
    return sorted(Path(publication).glob(f"scores/{corpus}/type~*/**/*.json"))
