"""`charlens fetch`: from a corpus's list of sources to one text and a record of its origin.

A corpus is an entry of the config. Its sources are tried in order and the first that delivers
wins; a mirror folder comes before all of them. A source may state `bytes`, `symbols` (distinct
bytes) and `sha256`: no text that contradicts them is ever passed on. A source is one of

    url      a text to download
    recipe   files of a source archive, sorted or shuffled by a seed, and concatenated
    package  text inside an installed Python package, which needs no network
    path     a file of the user's own
    nothing  known by its checks alone: only a mirror can hold it
"""

import argparse
import contextlib
import hashlib
import http.client
import importlib
import importlib.metadata
import importlib.util
import json
import lzma
import os
import platform
import random
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath

from charlens.errors import InputError
from charlens.files import atomic, write_atomically

CHECKS = ("bytes", "symbols", "sha256")
TRIES = 3
BACKOFF = 1.0  # seconds before the second try, doubled before each further one
TIMEOUT = 30.0  # seconds without a byte
PROGRESS = 5.0  # seconds between two progress lines of a download
# What the readers of archives raise on one that is damaged, encrypted or of another format.
UNREADABLE = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError)
UNREADABLE += (tarfile.TarError, zipfile.BadZipFile)


class Unavailable(Exception):
    """A source cannot deliver: the message says why, and the next source is tried."""


def fetch(name: str, spec: dict, mirror: str | Path, cache: str | Path) -> tuple[bytes, dict]:
    """The text of corpus `name` and its provenance.

    `spec` is the corpus's entry of the config, `mirror` a folder that is searched first (empty:
    none), `cache` the folder that keeps downloads. The provenance has the keys corpus, title,
    kind, source, origin, bytes, symbols and sha256. Raises InputError where the mirror or a file
    of the user's own is bad, or where no source delivers.
    """
    found = from_mirror(name, spec, Path(mirror)) if mirror else None
    text, source, origin = found or from_sources(name, spec, Path(cache))
    return text, {
        "corpus": name,
        "title": spec.get("title", name),
        "kind": spec.get("kind", "prose"),
        "source": source["name"],
        "origin": origin,
        **facts(text),
    }


def from_mirror(name: str, spec: dict, mirror: Path) -> tuple[bytes, dict, str] | None:
    """Text, source and origin from a mirror folder, or None if the folder holds nothing of use.

    The folder may hold the text under the corpus's `file`, or the archive of a recipe under its
    base name. A bad file never falls through to the next source: it raises InputError.
    """
    if not mirror.is_dir():
        raise InputError(
            f"mirror {mirror} is not a folder: mend CORPORA_MIRROR or the config's mirror"
        )
    sources = spec.get("sources", [])
    file = spec.get("file")
    if file and os.path.lexists(mirror / file):
        text = _read(mirror / file)
        for source in sources:
            # Without a check anything would fit, so such a source must be the only one.
            if text and (_stated(source) or len(sources) == 1) and fits(text, source):
                return text, source, f"mirror: {file}"
        known = "; ".join(f"{source['name']} ({expected(source)})" for source in sources)
        raise InputError(
            f"corpus {name}: {mirror / file} matches no known source: expected {known}; "
            f"came {describe(text)}: replace or remove the file"
        )
    for source in sources:
        if "recipe" not in source:
            continue
        archive = mirror / _base_name(source["recipe"]["archive"])
        if os.path.lexists(archive):
            try:
                text = checked(unpack(archive, source["recipe"]), source)
            except Unavailable as error:
                raise InputError(
                    f"corpus {name}: {archive}: {error}: replace or remove the file"
                ) from error
            return text, source, f"mirror: {_words(source['recipe'], archive.name)}"
    return None


def from_sources(name: str, spec: dict, cache: Path) -> tuple[bytes, dict, str]:
    """Text, source and origin from the first source that delivers.

    Each that does not is reported in one line on stderr. Raises InputError if none does.
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
                raise Unavailable("known by its checks alone, only a mirror can hold it")
        except Unavailable as error:
            failures.append(f"{source['name']}: {' '.join(str(error).split())}")
            print(f"charlens: corpus {name}: source {failures[-1]}", file=sys.stderr)
        else:
            return text, source, origin
    mend = f"add a source within reach to corpora.{name}.sources"
    if "file" in spec:
        mend = f"put {spec['file']} into a folder and name it: CORPORA_MIRROR=folder"
    raise InputError(
        f"corpus {name}: no source delivers: {'; '.join(failures) or 'none is given'}: {mend}"
    )


# --- one function per kind of source: text and origin, or Unavailable -----------------------------


def from_url(source: dict, cache: Path) -> tuple[bytes, str]:
    """The text at the source's `url`."""

    def read(path: Path) -> bytes:
        text = path.read_bytes()
        if is_html(text) and not _stated(source):
            raise Unavailable(f"{source['url']} answers with an HTML page")
        return checked(text, source)

    return downloaded(source["url"], cache, read), f"url: {source['url']}"


def from_recipe(source: dict, cache: Path) -> tuple[bytes, str]:
    """The text that the source's `recipe` makes from an archive, downloaded or at hand."""
    recipe = source["recipe"]
    archive = recipe["archive"]

    def read(path: Path) -> bytes:
        return checked(unpack(path, recipe), source)

    if "://" in archive:
        return downloaded(archive, cache, read), f"recipe: {_words(recipe, archive)}"
    return read(Path(archive).expanduser()), f"recipe: {_words(recipe, _base_name(archive))}"


def from_package(source: dict) -> tuple[bytes, str]:
    """Text of an installed package: an attribute of a module, or the files under a glob.

    Only for an attribute is the module imported: the headers of a large package are had without.
    """
    package = source["package"]
    module = package["module"]
    if "attribute" in package:
        text = _attribute(module, package["attribute"])
        part = f"{module}.{package['attribute']}"
    else:
        text = _package_files(module, package["glob"])
        part = f"{module}, {package['glob']}"
    return checked(text, source), f"package: {part} ({_version(module)})"


def from_path(name: str, source: dict) -> tuple[bytes, str]:
    """The user's own file. Raises InputError, because nobody wants another text in its place."""
    path = Path(source["path"]).expanduser()
    try:
        text = checked(_read(path), source)
    except Unavailable as error:
        raise InputError(f"corpus {name}: {path}: {error}: mend the file or its entry") from error
    return text, f"file: {path.name}"


# --- checks ---------------------------------------------------------------------------------------


def facts(text: bytes) -> dict:
    """What a source may state of its text: bytes, symbols (distinct bytes), sha256."""
    return {
        "bytes": len(text),
        "symbols": len(set(text)),
        "sha256": hashlib.sha256(text).hexdigest(),
    }


def fits(text: bytes, source: dict) -> bool:
    """Does `text` agree with all that the source states?"""
    found = facts(text)
    return all(source[check] == found[check] for check in _stated(source))


def checked(text: bytes, source: dict) -> bytes:
    """`text` itself, if it is not empty and fits its source. Raises Unavailable otherwise."""
    if not text:
        raise Unavailable("the text is empty")
    if not fits(text, source):
        raise Unavailable(f"expected {expected(source)}; came {describe(text)}")
    return text


def expected(source: dict) -> str:
    """In words what a source states of its text."""
    return _facts_in_words({check: source[check] for check in _stated(source)}) or "nothing stated"


def describe(text: bytes) -> str:
    """In words what a text is, so that a wrong one can be recognised."""
    if not text:
        return "an empty file"
    return _facts_in_words(facts(text)) + (", an HTML page" if is_html(text) else "")


def is_html(text: bytes) -> bool:
    """Does `text` begin like a web page?"""
    start = text[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head"))


def _stated(source: dict) -> list[str]:
    return [check for check in CHECKS if source.get(check) is not None]


def _facts_in_words(facts: dict) -> str:
    words = {"bytes": "{:,} bytes", "symbols": "{} symbols", "sha256": "sha256 {:.12}..."}
    return ", ".join(words[check].format(value) for check, value in facts.items())


# --- downloads ------------------------------------------------------------------------------------


def downloaded(url: str, cache: Path, read: Callable[[Path], bytes]) -> bytes:
    """`read(path)` of the file at `url`, which stays in `cache` unless `read` finds it wrong.

    A file that is there already is not downloaded again.
    """
    key = hashlib.sha256(url.encode()).hexdigest()[:8]
    path = cache / f"{key}-{_base_name(url)}"
    if path.is_file():
        with contextlib.suppress(Unavailable):
            return read(path)
    download(url, path)
    try:
        return read(path)
    except Unavailable:
        path.unlink()
        raise


def download(url: str, path: Path) -> None:
    """Download `url` to `path`, whole or not at all, in up to TRIES tries. Raises Unavailable."""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(BACKOFF * 2 ** (attempt - 1))
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "charlens"})
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                _receive(answer, path)
            return
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code} {error.reason}"
            if error.code < 500 and error.code not in (408, 429):
                break  # asking again changes nothing
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    raise Unavailable(f"{reason} ({url})")


def _receive(answer: http.client.HTTPResponse, path: Path) -> None:
    length = int(answer.headers.get("Content-Length") or 0)
    size = f"{length / 1e6:.1f} MB" if length else "an unknown size"
    received = 0
    shown = time.monotonic()
    with atomic(path) as temporary:
        with open(temporary, "wb") as file:
            while block := answer.read(1 << 16):
                received += file.write(block)
                if time.monotonic() - shown >= PROGRESS:
                    shown = time.monotonic()
                    print(f"{path.name}: {received / 1e6:.1f} MB of {size}", file=sys.stderr)
        # A read in blocks ends quietly when the connection breaks.
        if length and received != length:
            raise ConnectionError(f"truncated at {received:,} of {length:,} bytes")


# --- archives -------------------------------------------------------------------------------------


def unpack(path: Path, recipe: dict) -> bytes:
    """The files of an archive (tar or zip) that match the recipe's `glob`, concatenated.

    The glob is relative to the archive's single top folder if it has one. The files are sorted by
    path and then, if the recipe has a `shuffle` seed, put into the order of
    `random.Random(seed).shuffle`. Nothing stands between them. Raises Unavailable.
    """
    pattern = PurePosixPath(recipe["glob"]).parts
    tops = set()
    files = {}
    try:
        # Whether there is a single top folder shows at the end, and a compressed archive is slow
        # to read twice: keep what matches either way.
        for name, read in _members(path):
            parts = PurePosixPath(name).parts
            tops.add(parts[:-1][:1])
            if _matches(parts, pattern) or _matches(parts[1:], pattern):
                files[parts] = read()
    except UNREADABLE as error:
        raise Unavailable(f"cannot read the archive {path.name}: {error}") from error
    depth = 1 if len(tops) == 1 and () not in tops else 0
    texts = {
        "/".join(parts[depth:]): text
        for parts, text in files.items()
        if _matches(parts[depth:], pattern)
    }
    if not texts:
        raise Unavailable(f"{recipe['glob']} matches no file in {path.name}")
    order = sorted(texts)
    if recipe.get("shuffle") is not None:
        random.Random(recipe["shuffle"]).shuffle(order)
    return b"".join(texts[name] for name in order)


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
    """Glob matching part by part; ** stands for any number of folders, none included."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[i:], pattern[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _words(recipe: dict, archive: str) -> str:
    shuffle = recipe.get("shuffle")
    order = "sorted" if shuffle is None else f"shuffle {shuffle}"
    return f"{archive}, {recipe['glob']}, {order}"


# --- packages -------------------------------------------------------------------------------------


def _attribute(module: str, attribute: str) -> bytes:
    try:
        value = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise Unavailable(str(error)) from error
    if isinstance(value, dict) and all(isinstance(part, str) for part in value.values()):
        value = "\n\n".join(value[key] for key in sorted(value))
    if not isinstance(value, str):
        raise Unavailable(f"{module}.{attribute} is neither a str nor a dict of str")
    return value.encode()


def _package_files(module: str, glob: str) -> bytes:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise Unavailable(str(error)) from error
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(f"no installed package {module}")
    folder = Path(spec.submodule_search_locations[0])
    try:
        files = {path.relative_to(folder).as_posix(): path for path in folder.glob(glob)}
        texts = [files[name].read_bytes() for name in sorted(files) if files[name].is_file()]
    except (OSError, ValueError, NotImplementedError) as error:
        raise Unavailable(f"{glob} in package {module}: {error}") from error
    if not texts:
        raise Unavailable(f"{glob} matches no file in package {module}")
    return b"".join(texts)


def _version(module: str) -> str:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return f"Python {platform.python_version()}"
    try:
        return f"{top} {importlib.metadata.version(top)}"
    except importlib.metadata.PackageNotFoundError:
        return "version unknown"


# --- the command ----------------------------------------------------------------------------------


def _base_name(address: str) -> str:
    return PurePosixPath(urllib.parse.urlsplit(address).path).name


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


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
    with atomic(args.info) as info_file:
        info_file.write_text(json.dumps(info, indent=2) + "\n")
        write_atomically(args.text, text)  # if this fails there is no info either
    print(
        f"{args.corpus}: {info['bytes']:,} bytes, {info['symbols']} symbols, "
        f"source {info['source']} ({info['origin']})"
    )
