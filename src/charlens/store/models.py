"""Which model is meant: one name for it, its path and its label; and which model is the best.

    kind        path below models/<corpus>/, scores/<corpus>/           label
    recurrent   type~lstm/layers~2/size~64/seed~1[/dropout~0.1]         LSTM 2x64 [seed 2]
    nn          nn/context~3/seed~1[/hidden~256]                        3-NN
    ngram       ngram/order~21                                          20-gram

A candidate is one of several values tried for a model, among which validation chooses: the dropout
of a recurrent network, the hidden units of an n-NN. Nothing slow is imported here.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TypeVar

from charlens.errors import InputError

KINDS = ("recurrent", "nn", "ngram")
PAPER_TYPES = ("lstm", "rnn", "gru")
PAPER_DEPTH = 3  # layers of the networks in the paper's figures 3, 4 and 5
Model = TypeVar("Model")


@dataclass(frozen=True)
class ModelKey:
    """Which model is meant. Fields that a kind does not have are None.

    n: characters of context of an n-NN or n-gram (an n-gram model of order n + 1).
    candidate: the dropout or hidden size; None means the one that validation chose.
    """

    corpus: str
    kind: str
    type: str | None = None
    layers: int | None = None
    size: int | None = None
    seed: int | None = None
    n: int | None = None
    candidate: float | int | None = None

    @property
    def path(self) -> str:
        """<corpus>/<labels>, the folder or file below models/ and scores/."""
        if self.kind == "ngram":
            return f"{self.corpus}/ngram/order~{self.n + 1}"
        if self.kind == "nn":
            below, name = f"nn/context~{self.n}/seed~{self.seed}", "hidden"
        else:
            below = f"type~{self.type}/layers~{self.layers}/size~{self.size}/seed~{self.seed}"
            name = "dropout"
        chosen = "" if self.candidate is None else f"/{name}~{self.candidate}"
        return f"{self.corpus}/{below}{chosen}"

    @property
    def name(self) -> str:
        """The model for people, without its seed: LSTM 2x64, 3-NN, 20-gram."""
        if self.kind == "ngram":
            return f"{self.n}-gram"
        if self.kind == "nn":
            return f"{self.n}-NN"
        return f"{self.type.upper()} {self.layers}x{self.size}"

    @property
    def label(self) -> str:
        """The model for people: LSTM 2x64, LSTM 2x64 seed 2, 3-NN, 20-gram."""
        return self.name if self.seed in (None, 1) else f"{self.name} seed {self.seed}"

    @property
    def chosen(self) -> "ModelKey":
        """The model without its candidate: the one that validation chose among them."""
        return replace(self, candidate=None)

    @classmethod
    def parse(cls, path: str | PurePath) -> "ModelKey":
        """The key in a path that holds <corpus>/<labels>. Raises InputError where there is none."""
        text = str(path)
        found = re.search(
            r"([^/]+)/(?:type~(\w+)/layers~(\d+)/size~(\d+)/seed~(\d+)(?:/dropout~([0-9.e-]+))?"
            r"|nn/context~(\d+)/seed~(\d+)(?:/hidden~(\d+))?"
            r"|ngram/order~(\d+))(?=/|\.|$)",
            text,
        )
        if found is None:
            raise InputError(f"{text}: not the path of a model (see store/models.py)")
        corpus, type, layers, size, seed, dropout, context, nn_seed, hidden, order = found.groups()
        if type is not None:
            chosen = None if dropout is None else float(dropout)
            return cls(corpus, "recurrent", type, int(layers), int(size), int(seed), None, chosen)
        if context is not None:
            chosen = None if hidden is None else int(hidden)
            return cls(corpus, "nn", seed=int(nn_seed), n=int(context), candidate=chosen)
        return cls(corpus, "ngram", n=int(order) - 1)

    @classmethod
    def of(cls, meta: Mapping) -> "ModelKey":
        """The key of a model from the metadata beside its scores; its candidate is left out."""
        names = ("type", "layers", "size", "seed", "n")
        return cls(meta["corpus"], meta["family"], **{name: meta.get(name) for name in names})


def types_in_order(types: Iterable[str]) -> list[str]:
    """The types of cell that occur: the paper's in its order, then any others by name."""

    def place(type: str):
        known = type in PAPER_TYPES
        return (PAPER_TYPES.index(type) if known else len(PAPER_TYPES), type)

    return sorted(set(types), key=place)


def twin(corpus: str) -> str:
    """The name of a corpus under the contiguous split layout, beside itself under the paper's; no
    corpus of a configuration has a dot."""
    return f"{corpus}.contiguous"


def deepest(models: list[dict], type: str) -> list[dict]:
    """The models of a type with PAPER_DEPTH layers or, where there are none, of its greatest
    depth; [] where there is no model of the type."""
    own = [model for model in models if model["type"] == type]
    depths = {model["layers"] for model in own}
    depth = PAPER_DEPTH if PAPER_DEPTH in depths else max(depths, default=0)
    return [model for model in own if model["layers"] == depth]


def best(
    models: Iterable[Model],
    about: Callable[[Model], Mapping],
    type: str | None = None,
    paper_depth: bool = False,
) -> Model:
    """The recurrent network with the lowest validation loss; the first of equals.

    about: gives the metadata of a model (type, layers, val_loss). type: of this type alone.
    paper_depth: among the `deepest` of that type alone, as in the paper's figures 3, 4 and 5.
    Raises InputError where there is none.
    """
    known = [(model, about(model)) for model in models]
    known = [(model, meta) for model, meta in known if type in (None, meta.get("type"))]
    if paper_depth and known:
        deep = deepest([dict(meta) for _, meta in known], type)
        known = [(model, meta) for model, meta in known if dict(meta) in deep]
    if not known:
        raise InputError(f"no trained {type.upper() if type else 'recurrent network'} among them")
    return min(known, key=lambda pair: pair[1]["val_loss"])[0]


def best_lstm(scores: Iterable):
    """The LSTM of figures 4 and 5: the best of the paper's depth (see `best`)."""
    found = [score for score in scores if score.meta.get("type") == "lstm"]
    if not found:
        raise InputError("this figure compares an LSTM with n-grams: no LSTM among the scores")
    return best(found, lambda score: score.meta, "lstm", paper_depth=True)
