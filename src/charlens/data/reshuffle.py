"""`charlens reshuffle`: the text of a corpus with its files in another random order.

A corpus that is made of files depends on their order: it decides which parts of them are test text.
How much a loss owes to it is seen from the same files in other orders. They come from where the
text came from: the archive or the package of its source, or, without either, the text itself, cut
by an index in the mirror folder (`<file stem>.index.tsv`: path, offset, bytes).
"""

import argparse
import csv
import json
import os
from pathlib import Path

from charlens import arguments
from charlens.data import archive, package
from charlens.data.checks import Unavailable, described, local
from charlens.data.corpus import limits
from charlens.data.download import base_name, cached
from charlens.errors import InputError
from charlens.files import write_atomically, write_with_digest
from charlens.store.corpora import read_text
from charlens.store.models import reshuffled
from charlens.store.reading import read_json, require
from charlens.text import unicode

INDEX = ["path", "offset", "bytes"]


def reshuffle(
    text: bytes, info: dict, spec: dict, seed: int, mirror: str | Path, cache: str | Path
) -> tuple[bytes, dict]:
    """The files of a text, sorted by path and shuffled by `random.Random(seed)`; its provenance.

    info: the provenance of the text. spec, mirror, cache: see `corpus.fetch`. The new provenance
    says in `shuffle` the seed and in `own_shuffle` that of the text itself (None: sorted). Raises
    InputError if the files of the text are not known, if in its own order they are not the text,
    and if the new order gives the same text.
    """
    corpus = info["corpus"]
    source = next((s for s in spec.get("sources", []) if s["name"] == info["source"]), {})
    own = source.get("recipe", {}).get("shuffle")
    try:
        files = files_of(text, spec, source, Path(mirror) if mirror else None, Path(cache))
    except Unavailable as error:
        raise InputError(
            f"corpus {corpus}: cannot reshuffle its files: {error}: take it out of"
            " reshuffles.corpora"
        ) from error
    if archive.join(files, own) != text:
        raise InputError(
            f"corpus {corpus}: its {len(files)} files, joined in the order of its source, are not"
            f" the text ({len(text):,} bytes): fetch it again"
        )
    shuffled = archive.join(files, seed)
    if shuffled == text:
        raise InputError(f"corpus {corpus}: seed {seed} gives the text itself: choose another")
    return shuffled, {
        **info,
        "corpus": reshuffled(corpus, seed),
        "source": f"{info['source']}, files reshuffled (seed {seed})",
        **described(shuffled, unicode.symbols_are(info)),
        "shuffle": seed,
        "own_shuffle": own,
    }


def files_of(
    text: bytes, spec: dict, source: dict, mirror: Path | None, cache: Path
) -> dict[str, bytes]:
    """The files of a text by path. Raises Unavailable if nothing says what they are."""
    if "package" in source and "glob" in source["package"]:
        return package.files(source["package"]["module"], source["package"]["glob"])
    if "recipe" not in source:
        raise Unavailable("its source is neither an archive nor files of a package")
    address, glob = source["recipe"]["archive"], source["recipe"]["glob"]
    if mirror is not None:
        index = mirror / f"{Path(spec.get('file', '')).stem}.index.tsv"
        if index.is_file():
            return cut(text, index)
        if (path := mirror / base_name(address)).is_file():
            return archive.files(path, glob)
    if "://" in address:
        allowed = limits(source, exact=False)
        return cached(address, cache, lambda path: archive.files(path, glob), allowed)
    return archive.files(local(address), glob)


def cut(text: bytes, index: Path) -> dict[str, bytes]:
    """The files of a text by path, from an index with the columns INDEX (tab-separated).

    Raises InputError if the index is unreadable.
    """
    try:
        with open(index, newline="") as file:
            rows = [
                (row["path"], int(row["offset"]), int(row["bytes"]))
                for row in csv.DictReader(file, delimiter="\t")
            ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{index}: no index of files ({error}): expected the columns {', '.join(INDEX)},"
            " tab-separated"
        ) from None
    return {path: text[offset : offset + size] for path, offset, size in rows}


# ---- the command ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", type=Path, required=True, help="the text (.txt)")
    parser.add_argument("--info", type=Path, required=True, help="its provenance (.json)")
    parser.add_argument("--spec", required=True, metavar="JSON", help="its entry of the config")
    parser.add_argument("--seed", type=arguments.seed, required=True, help="of the new order")
    parser.add_argument(
        "--mirror", metavar="DIR", help="searched first for an index (default: $CORPORA_MIRROR)"
    )
    parser.add_argument("--cache", required=True, metavar="DIR", help="keeps downloads")
    parser.add_argument("--out", required=True, metavar="OUT.txt", help="the new text, written")
    parser.add_argument("--out-info", required=True, metavar="OUT.json", help="its origin, written")


def run(args: argparse.Namespace) -> None:
    info = read_json(args.info)
    require(info, ("corpus", "source"), args.info)
    mirror = os.path.expanduser(args.mirror or os.environ.get("CORPORA_MIRROR", ""))
    whole = unicode.encoded(read_text(args.text, args.info))
    text, about = reshuffle(whole, info, json.loads(args.spec), args.seed, mirror, args.cache)
    write_atomically(args.out, text)
    write_with_digest(args.out_info, json.dumps(about, indent=2).encode() + b"\n")
    print(f"{about['corpus']}: {about['bytes']:,} bytes, {about['source']}")
