"""The labels of the characters that a network reads, and which characters a hypothesis is about."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from charlens.data import split
from charlens.errors import InputError
from charlens.store.corpora import read_text
from charlens.text import unicode
from charlens.text.hypotheses import HYPOTHESES
from charlens.text.own_characters import own_characters
from charlens.text.stand_ins import parsed


def read_corpus(data: Path, text: Path, info: Path) -> tuple[split.Split, unicode.Text]:
    """A split and its text, from their files and the text's provenance. Raises InputError where one
    is unusable, and where the split was not made from this text."""
    found, whole = split.load(data), read_text(text, info)
    if not found.is_of(whole):
        raise InputError(f"{data} was not made from {text}: rerun charlens split")
    return found, whole


def read_labels(text: unicode.Text, kind: str, read: np.ndarray):
    """The labels of the characters read: {hypothesis: (values, defined, yes_no)}.

    read: their offsets in the text, int [S, n]; labels are undefined at -1, before the text.
    values: int32 [S, n]; defined: bool [S, n].
    """
    found, text = {}, parsed(text)
    for hypothesis in HYPOTHESES:
        if kind in hypothesis.label:
            labels = hypothesis.label[kind](text)  # of the whole text: they depend on what precedes
            defined = labels.defined[read] & (read >= 0)
            found[hypothesis.name] = labels.values[read], defined, hypothesis.yes_no
    return found


def labels_of_parts(text: unicode.Text, kind: str, *reads: np.ndarray) -> list[dict]:
    """`read_labels` for several arrays of offsets [S, n], which differ in n: a dict for each."""
    every = read_labels(text, kind, np.concatenate(reads, axis=1))
    ends, found = np.cumsum([read.shape[1] for read in reads]), []
    for read, end in zip(reads, ends, strict=True):
        own = slice(end - read.shape[1], end)
        found.append({name: (v[:, own], d[:, own], yes) for name, (v, d, yes) in every.items()})
    return found


def own_in_test(
    data: split.Split, text: unicode.Text, kind: str, names: Iterable[str], n: int
) -> torch.Tensor:
    """The characters that each hypothesis is about, among the first n that each test stream
    predicts: bool [Y, S, n]."""
    at, text = data.test.predicted_at()[:, :n], parsed(text)
    labels = {h.name: h.label[kind] for h in HYPOTHESES if kind in h.label}
    own = [own_characters(name, text, labels[name](text))[at] for name in names]
    return torch.from_numpy(np.stack(own)) if own else torch.zeros(0, *at.shape, dtype=torch.bool)
