"""Recipes: a text assembled from the files of a source archive (tar or zip)."""

import lzma
import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath

from charlens.data.checks import Unavailable

# Raised by the archive readers if one is damaged, encrypted or in another format.
UNREADABLE = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError)
UNREADABLE += (tarfile.TarError, zipfile.BadZipFile)


def unpack(path: Path, recipe: dict) -> bytes:
    """The files of an archive (tar or zip) that match the recipe's `glob`, joined as it says: see
    `files` and `join`. Raises Unavailable if the archive cannot be read or no file matches.
    """
    return join(files(path, recipe["glob"]), recipe.get("shuffle"))


def join(texts: Mapping[str, bytes], shuffle: int | None) -> bytes:
    """Texts by path, sorted by path, then shuffled by `random.Random(shuffle)` unless it is None,
    with nothing between them."""
    order = sorted(texts)
    if shuffle is not None:
        random.Random(shuffle).shuffle(order)
    return b"".join(texts[name] for name in order)


def files(path: Path, glob: str) -> dict[str, bytes]:
    """The files of an archive (tar or zip) that match `glob`, by path.

    The glob and the paths are relative to the archive's single top folder if it has one. Raises
    Unavailable if the archive cannot be read or no file matches.
    """
    pattern = PurePosixPath(glob).parts
    top_folders = set()
    found = {}
    try:
        # Only at the end is it known whether there is a single top folder, and reading a compressed
        # archive twice is slow: keep all files that match either way.
        for name, read in _members(path):
            parts = PurePosixPath(name).parts
            top_folders.add(parts[:-1][:1])
            if _matches(parts, pattern) or _matches(parts[1:], pattern):
                found[parts] = read()
    except UNREADABLE as error:
        raise Unavailable(f"cannot read the archive {path.name}: {error}") from error
    depth = 1 if len(top_folders) == 1 and () not in top_folders else 0
    texts = {
        "/".join(parts[depth:]): text
        for parts, text in found.items()
        if _matches(parts[depth:], pattern)
    }
    if not texts:
        raise Unavailable(f"{glob} matches no file in {path.name}")
    return texts


def _members(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and reader of every regular file in an archive, in the archive's order."""
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile():
                    yield member.name, archive.extractfile(member).read
    else:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    yield info.filename, partial(archive.read, info)


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Match a glob part by part; ** stands for any number of folders, or none."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[i:], pattern[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def describe(recipe: dict, archive: str) -> str:
    """Describe a recipe in words, for the provenance."""
    shuffle = recipe.get("shuffle")
    order = "sorted" if shuffle is None else f"shuffle {shuffle}"
    return f"{archive}, {recipe['glob']}, {order}"
