"""`charlens fetch`: from the sources of a corpus to its text and a record of its origin.

A corpus is an entry of the config. A mirror folder is searched first; then the sources are tried in
order until one provides the text. A source may state `bytes`, `symbols` (distinct bytes) and
`sha256`: a text that contradicts them is never used. gzip is unpacked and UTF-16 becomes UTF-8,
see `text_file`. A source is one of

    url      a text to download
    recipe   files of a source archive, sorted or shuffled by a seed, and concatenated
    package  text inside an installed Python package, which needs no network
    path     a local file
    nothing  checks alone: only a mirror can provide the text
"""

import argparse
import json
import os
import sys
from pathlib import Path

from charlens.data import archive, package, text_file
from charlens.data.checks import (
    Unavailable,
    checked,
    describe,
    described,
    expected,
    fits,
    is_html,
    local,
    own_file,
    size_in_words,
    stated,
)
from charlens.data.download import Limits, base_name, cached
from charlens.errors import InputError
from charlens.files import sha256, write_atomically, write_with_digest
from charlens.store.reading import read_json
from charlens.text import unicode


def fetch(name: str, spec: dict, mirror: str | Path, cache: str | Path) -> tuple[bytes, dict]:
    """The text of corpus `name` and its provenance.

    `spec` is the corpus's entry of the config, `mirror` a folder that is searched first (empty:
    none), `cache` the folder that keeps downloads. The provenance has the keys corpus, title,
    kind, source, origin, bytes, symbols and sha256; where the text is read as characters
    (`symbols` in the config) also characters and symbols_are; where it is from a file of the
    user's own also file_sha256. Raises InputError if the mirror or a local file is bad, or if no
    source provides the text.
    """
    found = from_mirror(name, spec, Path(mirror)) if mirror else None
    text, source, origin = found or from_sources(name, spec, Path(cache))
    # A byte order mark belongs to a text of which its source states facts: the paper's has one.
    text, done = text_file.decoded(text, f"corpus {name}: {origin}", keep_mark=bool(stated(source)))
    if done:
        print(f"charlens: corpus {name}: {done}", file=sys.stderr)
    own = own_file(source)
    of_file = {}
    if own and own.is_file() and not origin.startswith("mirror"):
        of_file = {"file_sha256": sha256(own)}
    return text, {
        "corpus": name,
        "title": spec.get("title", name),
        "kind": spec.get("kind", "prose"),
        "source": source["name"],
        "origin": origin,
        **described(text, unicode.chosen(spec.get("symbols", unicode.BYTES), text)),
    } | of_file


def from_mirror(name: str, spec: dict, mirror: Path) -> tuple[bytes, dict, str] | None:
    """Text, source and origin from a mirror folder, or None if it holds neither text nor archive.

    The folder may hold the text under the corpus's `file`, or the archive of a recipe under its
    base name. Raises InputError if the folder is missing or the file is bad.
    """
    if not mirror.is_dir():
        raise InputError(
            f"mirror {mirror} is not a folder: correct CORPORA_MIRROR or the config's mirror"
        )
    sources = spec.get("sources", [])
    file = spec.get("file")
    if file and os.path.lexists(mirror / file):
        text = text_file.read(mirror / file)
        for source in sources:
            # A source without checks fits any text, so it must be the only one.
            if text and (stated(source) or len(sources) == 1) and fits(text, source):
                return text, source, f"mirror: {file}"
        known = "; ".join(f"{source['name']} ({expected(source)})" for source in sources)
        raise InputError(
            f"corpus {name}: {mirror / file} matches no known source: expected {known}; "
            f"got {describe(text)}: replace or remove the file"
        )
    for source in sources:
        if "recipe" not in source:
            continue
        path = mirror / base_name(source["recipe"]["archive"])
        if os.path.lexists(path):
            try:
                text = checked(archive.unpack(path, source["recipe"]), source)
            except Unavailable as error:
                raise InputError(
                    f"corpus {name}: {path}: {error}: replace or remove the file"
                ) from error
            return text, source, f"mirror: {archive.describe(source['recipe'], path.name)}"
    return None


def from_sources(name: str, spec: dict, cache: Path) -> tuple[bytes, dict, str]:
    """Text, source and origin from the first source that provides the text.

    Each Unavailable one is reported in one line on stderr. Raises InputError if all are.
    """
    failures = []
    for source in spec.get("sources", []):
        try:
            if "url" in source:
                text, origin = from_url(source, cache)
            elif "recipe" in source:
                text, origin = from_recipe(source, cache)
            elif "package" in source:
                text, origin = from_package(source)
            elif "path" in source:
                text, origin = from_path(name, source)
            else:
                raise Unavailable("has no address; only a mirror can provide the text")
        except Unavailable as error:
            failures.append(f"{source['name']}: {' '.join(str(error).split())}")
            print(f"charlens: corpus {name}: source {failures[-1]}", file=sys.stderr)
        else:
            return text, source, origin
    fix = f"add an accessible source to corpora.{name}.sources"
    if "file" in spec:
        fix = f"put {spec['file']} into a folder and set CORPORA_MIRROR to it"
    raise InputError(
        f"corpus {name}: no source provides the text: {'; '.join(failures) or 'none given'}: {fix}"
    )


# --- one function per kind of source -------------------------------------------------------------


def from_url(source: dict, cache: Path) -> tuple[bytes, str]:
    """The text at the source's `url`, and its origin.

    Raises Unavailable if the download fails or the text is not the expected one.
    """

    def read(path: Path) -> bytes:
        text = path.read_bytes()
        if is_html(text) and not stated(source):
            raise Unavailable(f"{source['url']} returns an HTML page")
        return checked(text, source)

    return cached(source["url"], cache, read, limits(source)), f"url: {source['url']}"


def limits(source: dict, exact: bool = True) -> Limits:
    """What a download of a source may be. exact: the size that it states is that of the file."""
    size = source.get("max_mb", 1000) * 1_000_000
    if exact and source.get("bytes") is not None:
        size = source["bytes"]
    return Limits(size, source.get("allow_http", False))


def from_recipe(source: dict, cache: Path) -> tuple[bytes, str]:
    """The text that a `recipe` makes of an archive (a URL or a local file), and its origin.

    Raises Unavailable if there is no archive or the text is not the expected one.
    """
    recipe = source["recipe"]
    address = recipe["archive"]

    def read(path: Path) -> bytes:
        return checked(archive.unpack(path, recipe), source)

    if "://" in address:
        allowed = limits(source, exact=False)
        return cached(address, cache, read, allowed), f"recipe: {archive.describe(recipe, address)}"
    origin = f"recipe: {archive.describe(recipe, base_name(address))}"
    return read(local(address)), origin


def from_package(source: dict) -> tuple[bytes, str]:
    """Text of an installed package (an attribute, or files that match a glob), and its origin.

    The module is imported only for an attribute, because some packages import slowly. Raises
    Unavailable if the package lacks the text or the text is not the expected one.
    """
    entry = source["package"]
    module = entry["module"]
    if "attribute" in entry:
        text = package.attribute_text(module, entry["attribute"])
        part = f"{module}.{entry['attribute']}"
    else:
        text = b"".join(package.files(module, entry["glob"]).values())
        part = f"{module}, {entry['glob']}"
    return checked(text, source), f"package: {part} ({package.version(module)})"


def from_path(name: str, source: dict) -> tuple[bytes, str]:
    """The text of a local file, and its origin. Raises InputError: no other text can replace it."""
    path = local(source["path"])
    try:
        text = checked(text_file.read(path), source)
    except Unavailable as error:
        raise InputError(
            f"corpus {name}: {path}: {error}: correct the file or its entry"
        ) from error
    return text, f"file: {path.name}"


# --- the command ----------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corpus", required=True, metavar="NAME", help="its key in the config")
    parser.add_argument("--spec", required=True, metavar="JSON", help="its entry of the config")
    parser.add_argument(
        "--mirror", metavar="DIR", help="searched before all sources (default: $CORPORA_MIRROR)"
    )
    parser.add_argument("--cache", required=True, metavar="DIR", help="keeps downloads")
    parser.add_argument("--text", required=True, metavar="OUT.txt", help="the text, written")
    parser.add_argument("--info", required=True, metavar="OUT.json", help="its origin, written")


def run(args: argparse.Namespace) -> None:
    try:
        spec = json.loads(args.spec)
    except ValueError as error:
        raise InputError(f"--spec is not JSON: {error}") from error
    mirror = os.path.expanduser(args.mirror or os.environ.get("CORPORA_MIRROR", ""))
    text, info = fetch(args.corpus, spec, mirror, args.cache)
    write_atomically(args.text, text)
    write_with_digest(args.info, json.dumps(info, indent=2).encode() + b"\n")
    print(f"{args.corpus}: {size_in_words(info)}, source {info['source']} ({info['origin']})")


def add_title_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("info", type=Path, help="its origin, from fetch (.json)")
    parser.add_argument("--title", help="the title that tables and figures show (as before)")
    parser.add_argument("--corpus", metavar="NAME", help="another name for a copy of the text")
    parser.add_argument("--out", required=True, metavar="OUT.json", help="the same with the title")


def run_title(args: argparse.Namespace) -> None:
    named = {"title": args.title, "corpus": args.corpus}
    info = read_json(args.info) | {key: name for key, name in named.items() if name is not None}
    write_with_digest(args.out, json.dumps(info, indent=2).encode() + b"\n")
