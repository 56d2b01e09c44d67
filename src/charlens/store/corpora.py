"""Readers of the corpora for tables, figures and claims: provenance, texts and splits."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from charlens.errors import InputError
from charlens.files import damaged
from charlens.store.reading import read_json, reason, require
from charlens.store.scores import Score
from charlens.text import unicode


def read_corpora(paths: Iterable[str | Path]) -> dict[str, dict]:
    """Read the provenance files of corpora, by corpus, in the order given.

    Raises InputError if a file is missing or unusable.
    """
    corpora = {}
    for path in paths:
        corpus = read_json(Path(path))
        require(corpus, ("corpus", "title", "kind", "source", "bytes", "symbols"), path)
        corpora[corpus["corpus"]] = corpus
    return corpora


def read_text(path: str | Path, info: str | Path | None = None) -> unicode.Text:
    """Read the text of a corpus: bytes, or a str where its provenance says so.

    info: its provenance; without one, the .json file beside the text, if there is one. Raises
    InputError where the text cannot be read or is not the one that the provenance describes.
    """
    path = Path(path)
    info = path.with_suffix(".json") if info is None else Path(info)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: no readable text ({reason(error)})") from None
    about = read_json(info) if info.exists() else {}
    stated = about.get("sha256")
    if stated is not None and stated != hashlib.sha256(text).hexdigest():
        raise damaged(path)
    return unicode.decoded(text, unicode.symbols_are(about), path)


def read_split(path: str | Path, scores: Iterable[Score]) -> dict[str, np.ndarray]:
    """Read the arrays of a split that figures need, by name.

    alphabet: [K], bytes (uint8) or characters (uint32). test_y: [S, n], the codes of the test
    characters. test_at: int64 [S], the offset in the text, in symbols, of each stream's first test
    character. train_y: [S, m], the codes of the training characters. line_ends: those of the text
    (see `text.line_ends`), in a split that has the shape of one but no text, where they are known.
    Raises InputError if the file is unusable or a score has another number of test characters.
    """
    try:
        with np.load(path) as arrays:
            split = {name: arrays[name] for name in ("alphabet", "test_y", "test_at", "train_y")}
            split |= {name: arrays[name] for name in ("line_ends",) if name in arrays}
    except FileNotFoundError as error:
        raise InputError(f"{path}: no readable split ({reason(error)})") from None
    except Exception:  # numpy's own words advise unsafe loading
        raise damaged(path) from None
    for score in scores:
        if score.characters != split["test_y"].size:
            raise InputError(
                f"{score.path}: {score.characters} scores, but {path} has {split['test_y'].size} "
                "test characters; score the model on this split"
            )
    return split


def by_stem(paths: Iterable[str | Path], needed: Iterable[str], what: str) -> dict[str, Path]:
    """Files named after their corpus, by corpus. what: their kind, for the message.

    Raises InputError if a needed corpus has none.
    """
    files = {Path(path).stem: Path(path) for path in paths}
    for corpus in needed:
        if corpus not in files:
            raise InputError(f"corpus {corpus}: no {what} given (a file named {corpus}.*)")
    return files
