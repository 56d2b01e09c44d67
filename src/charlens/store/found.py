"""The units found inside the networks, as `charlens cells` writes them (section 4.2)."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from charlens.store.corpora import by_stem
from charlens.store.models import network_name
from charlens.store.reading import read_json, require


def model_name(found: Mapping) -> str:
    """The network that was searched, for people: LSTM 2x128."""
    return network_name(found["type"], found["layers"], found["size"] or found["hidden"])


def read_found(paths: Iterable[str | Path], corpora: Iterable[str]) -> dict[str, dict]:
    """Read the files of `charlens cells`, by corpus.

    Raises InputError if a file is missing or unusable.
    """
    files = by_stem(paths, corpora, "search")
    found = {corpus: read_json(path) for corpus, path in files.items()}
    for corpus, content in found.items():
        needed = ("model", "type", "layers", "size", "samples", "shifts", "hypotheses", "passages")
        require(content, needed, files[corpus])
        for entry in content["hypotheses"]:
            require(entry, ("hypothesis", "title", "yes_no", "searched", "last_k"), files[corpus])
    return found


def number(value: float) -> str:
    """Format a number with three decimals and a true minus sign."""
    return f"{value:.3f}".replace("-", "−")
