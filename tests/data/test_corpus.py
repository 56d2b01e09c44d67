"""Corpora: every kind of source, the mirror, and bad input of every kind."""

import argparse
import builtins
import errno
import gzip
import hashlib
import http.server
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from charlens.data import archive as archives
from charlens.data import corpus, download
from charlens.errors import InputError

TEXT = b"All happy families are alike.\r\n" * 40
CHECKS = {
    "bytes": len(TEXT),
    "symbols": len(set(TEXT)),
    "sha256": hashlib.sha256(TEXT).hexdigest(),
}
PAGE = b"<!DOCTYPE html>\n<html><body>Moved</body></html>"

# A source tree in the manner of the kernel's: files that match the glob kernel/**/*.[ch], in the
# order of their paths, and some that do not.
TREE = {
    "kernel/bpf/core.c": b"core\n",
    "kernel/bpf/core.h": b"head\n",
    "kernel/fork.c": b"fork\n",
    "kernel/sched/deep/deeper/rt.c": b"rt\xff\n",
    "kernel/sys.c": b"sys\n",
}
OTHERS = {
    "kernel/Makefile": b"all:\n",
    "lib/kernel/x.c": b"x\n",
    "kernel.c": b"k\n",
    "kernel/a.cc": b"a\n",
}


@pytest.fixture(autouse=True)
def quick_and_alone(monkeypatch, tmp_path):
    """No pauses between tries, no mirror or proxy of the user's, a folder of its own."""
    monkeypatch.setattr(download, "BACKOFF", 0.001)
    monkeypatch.delenv("CORPORA_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server():
    """A web server: `pages[path]` is a list of answers, the last of which repeats.

    An answer is (status, body, length): the length that the header claims, None for no such header.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            answers = self.server.pages.get(self.path, [(404, b"gone", 4)])
            status, body, length = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.pages, server.asked = {}, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ok(body):
    return (200, body, len(body))


def fetch(*sources, mirror="", **spec):
    sources = [
        {"allow_http": True} | source if "url" in source or "recipe" in source else source
        for source in sources
    ]  # of the server on this machine
    return corpus.fetch("wp", {"title": "War", "sources": sources} | spec, mirror, "cache")


def refused(*sources, mirror="", **spec):
    """The one line with which a corpus is refused."""
    with pytest.raises(InputError) as error:
        fetch(*sources, mirror=mirror, **spec)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def files(folder="."):
    return sorted(
        path.relative_to(folder).as_posix()
        for path in Path(folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")  # a digest
    )


def tar(path, tree, top="linux-4.1/", mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in sorted(tree.items(), reverse=True):
            member = tarfile.TarInfo(top + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return str(path)


def run(spec, *options):
    parser = argparse.ArgumentParser()
    corpus.add_arguments(parser)
    outputs = ["--cache", "cache", "--text", "out/wp.txt", "--info", "out/wp.json"]
    corpus.run(parser.parse_args(["--corpus", "wp", "--spec", spec, *outputs, *options]))


# --- URLs -----------------------------------------------------------------------------------------


def test_url(server):
    server.pages["/w.txt"] = [ok(TEXT)]
    source = {"name": "published", "url": server.url + "/w.txt", **CHECKS}
    text, info = fetch(source, kind="code")
    assert text == TEXT
    assert info == {
        "corpus": "wp",
        "title": "War",
        "kind": "code",
        "source": "published",
        "origin": f"url: {server.url}/w.txt",
        **CHECKS,
    }
    server.shutdown()  # a second time it comes from the cache, without network
    assert fetch(source)[0] == TEXT
    assert server.asked == ["/w.txt"]
    assert len(files("cache")) == 1


def test_damaged_cache_is_downloaded_again(server):
    server.pages["/w.txt"] = [ok(TEXT)]
    source = {"name": "published", "url": server.url + "/w.txt", **CHECKS}
    fetch(source)
    (cached,) = Path("cache").iterdir()
    cached.write_bytes(TEXT[:-1])
    assert fetch(source)[0] == TEXT
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "answer, tries, reason",
    [
        (ok(PAGE), 1, "an HTML page"),
        (ok(TEXT[:-5]), 1, f"got {len(TEXT) - 5:,} bytes"),
        (ok(b""), 1, "empty"),
        ((200, TEXT[:500], len(TEXT)), 3, f"truncated at 500 of {len(TEXT):,} bytes"),
        ((404, b"gone", 4), 1, "HTTP 404"),
        ((503, b"busy", 4), 3, "HTTP 503"),
    ],
)
def test_bad_url_is_reported_and_the_next_tried(server, capsys, answer, tries, reason):
    server.pages |= {"/bad": [answer], "/good": [ok(TEXT)]}
    bad = {"name": "first", "url": server.url + "/bad", **CHECKS}
    good = {"name": "second", "url": server.url + "/good", **CHECKS}
    text, info = fetch(bad, good)
    assert text == TEXT and info["source"] == "second"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("charlens: corpus wp: source first: ") and reason in line
    assert server.asked == ["/bad"] * tries + ["/good"]
    (kept,) = files("cache")  # nothing of the bad one
    assert kept.endswith("-good")

    message = refused(bad, file="w.txt")
    assert "first: " in message and reason in message
    assert "put w.txt into a folder and set CORPORA_MIRROR to it" in message


def test_retries(server, capsys):
    server.pages["/w.txt"] = [(503, b"", 0), (200, TEXT[:9], len(TEXT)), ok(TEXT)]
    assert fetch({"name": "published", "url": server.url + "/w.txt", **CHECKS})[0] == TEXT
    assert len(server.asked) == 3
    assert capsys.readouterr().err == ""


def test_html_is_no_text_unless_stated(server):
    server.pages["/w.txt"] = [ok(PAGE)]
    source = {"name": "own", "url": server.url + "/w.txt"}
    assert "returns an HTML page" in refused(source)
    assert files("cache") == []
    assert fetch(source | {"bytes": len(PAGE)})[0] == PAGE


def test_plain_http_is_taken_only_where_it_is_allowed(server):
    server.pages["/w.txt"] = [ok(TEXT)]
    source = {"name": "own", "url": server.url + "/w.txt", "allow_http": False}
    assert "plain http" in refused(source) and server.asked == []


@pytest.mark.parametrize("length", [2_000_000, None], ids=["stated", "unstated"])
@pytest.mark.parametrize("limit, size", [({"bytes": 1000}, "1,000"), ({"max_mb": 1}, "1,000,000")])
def test_what_is_larger_than_stated_or_allowed_is_cut_off(server, length, limit, size):
    server.pages["/w.txt"] = [(200, b"a" * 2_000_000, length)]
    source = {"name": "own", "url": server.url + "/w.txt", **limit}
    assert f"larger than the {size} bytes" in refused(source)
    assert files("cache") == []


def test_a_trickle_is_given_up(server, monkeypatch):
    monkeypatch.setattr(download, "WINDOW", 0.0)
    monkeypatch.setattr(download, "SLOWEST", 1e15)
    server.pages["/w.txt"] = [ok(TEXT)]
    source = {"name": "own", "url": server.url + "/w.txt"}
    assert "slower than" in refused(source)
    assert len(server.asked) == download.TRIES and files("cache") == []


def test_a_redirect_to_another_protocol_is_refused(server, monkeypatch):
    def to_ftp(self):
        self.send_response(302)
        self.send_header("Location", "ftp://127.0.0.1/w.txt")
        self.end_headers()

    monkeypatch.setattr(server.RequestHandlerClass, "do_GET", to_ftp)
    assert "not an https address" in refused({"name": "own", "url": server.url + "/w.txt"})


def test_what_makes_reading_fail_is_not_kept(server):
    server.pages["/w.txt"] = [ok(TEXT)]

    def read(path):
        raise MemoryError

    for _ in range(2):
        with pytest.raises(MemoryError):
            download.cached(server.url + "/w.txt", Path("cache"), read, download.Limits(http=True))
        assert files("cache") == []


def test_a_pipe_is_no_corpus():
    os.mkfifo("pipe")
    assert "not a regular file" in refused({"name": "own", "path": "pipe"})


def test_progress_of_a_slow_download(server, capsys, monkeypatch):
    monkeypatch.setattr(download, "PROGRESS", 0.0)
    server.pages["/w.txt"] = [ok(b"a" * 1_500_000)]
    fetch({"name": "own", "url": server.url + "/w.txt"})
    assert capsys.readouterr().err.splitlines()[-1].endswith("-w.txt: 1.5 MB of 1.5 MB")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/w.txt", "nonsense", "gopher://x/y"])
def test_unreachable_url(url):
    assert refused({"name": "published", "url": url}).startswith(
        "corpus wp: no source provides the text: published: "
    )


def test_every_failure_is_named(server):
    message = refused(
        {"name": "published", "url": server.url + "/none"},
        {"name": "headers", "package": {"module": "no_such_module", "glob": "*.h"}},
        {"name": "stand-in", "bytes": 7},
    )
    for name in "published", "headers", "stand-in":
        assert f"{name}: " in message
    assert "none given" in refused()


# --- recipes --------------------------------------------------------------------------------------


def test_recipe_is_the_shuffle_of_the_sorted_paths(tmp_path):
    """The stand-in of the Linux corpus, defined anew on a small tree."""
    archive = tar("linux.tar.gz", TREE | OTHERS)
    recipe = {"archive": archive, "glob": "kernel/**/*.[ch]"}
    text, info = fetch({"name": "sorted", "recipe": recipe})
    assert text == b"core\nhead\nfork\nrt\xff\nsys\n"
    assert info["origin"] == "recipe: linux.tar.gz, kernel/**/*.[ch], sorted"

    paths = sorted(TREE)
    random.Random(0).shuffle(paths)
    absolute = recipe | {"archive": str(tmp_path / archive), "shuffle": 0}
    text, info = fetch({"name": "shuffled", "recipe": absolute})
    assert text == b"".join(TREE[path] for path in paths)
    assert info["origin"] == "recipe: linux.tar.gz, kernel/**/*.[ch], shuffle 0"


@pytest.mark.parametrize("top", ["linux-4.1/", "./linux-4.1/", "", "./"])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_archives_with_and_without_top_folder(top, mode):
    recipe = {"archive": tar("a.tar", TREE | OTHERS, top, mode), "glob": "kernel/**/*.[ch]"}
    assert archives.unpack(Path("a.tar"), recipe) == b"".join(TREE[path] for path in sorted(TREE))


def test_zip():
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.mkdir("linux")
        for name, data in (TREE | OTHERS).items():
            archive.writestr("linux/" + name, data)
    recipe = {"archive": "a.zip", "glob": "kernel/**/*.[ch]"}
    assert archives.unpack(Path("a.zip"), recipe) == b"".join(TREE[path] for path in sorted(TREE))


@pytest.mark.parametrize(
    "path, pattern, expected",
    [
        ("a/b.c", "a/*.c", True),
        ("a/b/c.c", "a/*.c", False),
        ("a/b/c.c", "a/**/*.c", True),
        ("a/c.c", "a/**/*.c", True),
        ("c.c", "**/*.c", True),
        ("a/b/c", "a/**", True),
        ("A/b.c", "a/*.c", False),
    ],
)
def test_glob(path, pattern, expected):
    assert archives._matches(tuple(path.split("/")), tuple(pattern.split("/"))) is expected


def test_recipe_from_url_is_downloaded_once(server):
    archive = Path(tar("linux.tar.xz", TREE, mode="w:xz")).read_bytes()
    server.pages["/v4/linux.tar.xz"] = [ok(archive)]
    recipe = {"archive": server.url + "/v4/linux.tar.xz", "glob": "kernel/fork.c"}
    for _ in range(2):
        text, info = fetch({"name": "tarball", "recipe": recipe, "bytes": 5})
    assert text == b"fork\n" and server.asked == ["/v4/linux.tar.xz"]
    assert info["origin"] == f"recipe: {server.url}/v4/linux.tar.xz, kernel/fork.c, sorted"


@pytest.mark.parametrize("content", [b"", PAGE, "truncated"])
def test_archive_that_is_none(server, content):
    if content == "truncated":
        noise = random.Random(0).randbytes(50_000)
        content = Path(tar("l.tgz", {"kernel/fork.c": noise})).read_bytes()[:20_000]
    server.pages["/linux.tar.gz"] = [ok(content)]
    recipe = {"archive": server.url + "/linux.tar.gz", "glob": "kernel/*.c"}
    assert "cannot read the archive" in refused({"name": "tarball", "recipe": recipe})
    assert files("cache") == []


def test_recipe_that_makes_another_text_or_none():
    archive = tar("linux.tar.gz", TREE)
    source = {"name": "tarball", "recipe": {"archive": archive, "glob": "kernel/*.c"}}
    assert "expected 99 bytes; got 9 bytes, 7 symbols" in refused(source | {"bytes": 99})
    source["recipe"] = {"archive": archive, "glob": "nothing/*.c"}
    assert "nothing/*.c matches no file in linux.tar.gz" in refused(source)
    source["recipe"] = {"archive": "gone.tar.gz", "glob": "*"}
    assert "cannot read the archive gone.tar.gz" in refused(source)


# --- packages -------------------------------------------------------------------------------------


def test_prose_of_a_package():
    source = {"name": "docs", "package": {"module": "pydoc_data.topics", "attribute": "topics"}}
    text, info = fetch(source)
    from pydoc_data.topics import topics

    assert text == "\n\n".join(topics[key] for key in sorted(topics)).encode()
    assert info["origin"].startswith("package: pydoc_data.topics.topics (Python 3.")
    assert len(text) > 300_000


def test_code_of_a_package_without_its_import():
    pytest.importorskip("torch")
    program = (
        "import sys; from charlens.data import corpus\n"
        "package = {'module': 'torch', 'glob': 'include/c10/**/*.h'}\n"
        "text, info = corpus.fetch('c', {'sources': [{'name': 'h', 'package': package}]}, '', '')\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
        "print(len(text), text.count(b'#pragma once'), info['origin'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(Path(corpus.__file__).parents[2])},
    )
    size, headers, origin = done.stdout.strip().split(" ", 2)
    assert int(size) > 1_000_000 and int(headers) > 100
    assert origin.startswith("package: torch, include/c10/**/*.h (torch 2.")


@pytest.mark.parametrize(
    "package, reason",
    [
        ({"module": "no_such_module", "glob": "*"}, "no installed package no_such_module"),
        ({"module": "no_such.module", "glob": "*"}, "No module named 'no_such'"),
        ({"module": "json", "glob": "*.none"}, "matches no file"),
        ({"module": "json", "glob": "/*"}, "in package json"),
        ({"module": "this_one_not", "attribute": "x"}, "No module named 'this_one_not'"),
        ({"module": "json", "attribute": "x"}, "no attribute 'x'"),
        ({"module": "json", "attribute": "loads"}, "neither a str nor a dict"),
    ],
)
def test_package_that_lacks_it(package, reason):
    assert reason in refused({"name": "docs", "package": package})


# --- a file of the user's own ---------------------------------------------------------------------


def test_path(tmp_path):
    Path("my.txt").write_bytes(TEXT)
    for path in "my.txt", str(tmp_path / "my.txt"):
        text, info = fetch({"name": "mine", "path": path})
        assert text == TEXT and info["origin"] == "file: my.txt"


def test_bad_path_stops(tmp_path):
    fallback = {"name": "docs", "package": {"module": "this", "attribute": "s"}}
    assert "cannot read my.txt: No such file" in refused({"name": "m", "path": "my.txt"}, fallback)
    Path("my.txt").write_bytes(b"")
    assert "my.txt: the text is empty" in refused({"name": "mine", "path": "my.txt"}, fallback)
    Path("my.txt").write_bytes(TEXT)
    source = {"name": "mine", "path": "my.txt", "bytes": 9}
    assert "my.txt: expected 9 bytes; got 1,240 bytes" in refused(source, fallback)
    assert "cannot read" in refused({"name": "mine", "path": str(tmp_path)}, fallback)


# --- the mirror -----------------------------------------------------------------------------------

KNOWN = [
    {"name": "published", "url": "http://127.0.0.1:9/w.txt", "bytes": 1000, "symbols": 9},
    {"name": "stand-in", **CHECKS},
]


@pytest.fixture
def mirror():
    Path("mirror").mkdir()
    return Path("mirror")


def test_mirror_names_the_source_that_fits(mirror):
    (mirror / "w.txt").write_bytes(TEXT)
    text, info = fetch(*KNOWN, mirror="mirror", file="w.txt")
    assert text == TEXT
    assert (info["source"], info["origin"]) == ("stand-in", "mirror: w.txt")


@pytest.mark.parametrize(
    "content, got",
    [
        (TEXT[:-1], f"got {len(TEXT) - 1:,} bytes, {CHECKS['symbols']} symbols, sha256 "),
        (TEXT.lower(), f"got {len(TEXT):,} bytes"),
        (PAGE, "an HTML page"),
        (b"", "got an empty file"),
    ],
)
def test_bad_mirror_file_stops(mirror, content, got):
    (mirror / "w.txt").write_bytes(content)
    fallback = {"name": "docs", "package": {"module": "this", "attribute": "s"}}
    message = refused(*KNOWN, fallback, mirror="mirror", file="w.txt")
    assert "expected published (1,000 bytes, 9 symbols); stand-in (1,240 bytes, " in message
    assert got in message


def test_mirror_file_of_a_corpus_without_checks(mirror):
    (mirror / "w.txt").write_bytes(TEXT)
    assert fetch({"name": "any"}, mirror="mirror", file="w.txt")[0] == TEXT
    (mirror / "w.txt").write_bytes(b"")
    assert "an empty file" in refused({"name": "any"}, mirror="mirror", file="w.txt")


def test_mirror_may_hold_the_archive_of_a_recipe(mirror):
    tar(mirror / "linux.tar.gz", TREE)
    recipe = {"archive": "https://127.0.0.1:9/v4/linux.tar.gz", "glob": "kernel/fork.c"}
    source = {"name": "tarball", "recipe": recipe, "bytes": 5}
    text, info = fetch(KNOWN[0], source, mirror="mirror", file="w.txt")
    assert text == b"fork\n"
    assert info["origin"] == "mirror: linux.tar.gz, kernel/fork.c, sorted"
    assert "expected 6 bytes" in refused(source | {"bytes": 6}, mirror="mirror")
    (mirror / "linux.tar.gz").write_bytes(PAGE)
    assert "cannot read the archive" in refused(source, mirror="mirror")


def test_mirror_that_holds_nothing_of_use(mirror):
    Path("my.txt").write_bytes(TEXT)
    assert fetch({"name": "mine", "path": "my.txt"}, mirror="mirror", file="w.txt")[0] == TEXT


def test_mirror_that_is_missing():
    assert "mirror gone is not a folder" in refused(*KNOWN, mirror="gone", file="w.txt")


def test_mirror_with_a_dead_link(mirror):
    (mirror / "w.txt").symlink_to("nowhere")
    assert "cannot read mirror/w.txt" in refused(*KNOWN, mirror="mirror", file="w.txt")


@pytest.mark.parametrize(
    "file, size, symbols", [("warpeace_input.txt", 3258246, 87), ("linux_input.txt", 6208197, 101)]
)
def test_the_papers_corpora(shared_corpora, file, size, symbols):
    if not (shared_corpora / file).is_file():
        pytest.skip(f"CORPORA_MIRROR holds no {file}")
    _, info = fetch(
        {"name": "published", "bytes": 6206996, "symbols": 101},
        {"name": "known", "bytes": size, "symbols": symbols},
        mirror=shared_corpora,
        file=file,
    )
    assert (info["source"], info["origin"]) == ("known", f"mirror: {file}")


@pytest.fixture(scope="module")
def shared_corpora():
    """The mirror folder of whoever runs the tests (the tests themselves run without)."""
    folder = os.environ.get("CORPORA_MIRROR")
    if not folder:
        pytest.skip("CORPORA_MIRROR is not set")
    return Path(folder).absolute()


# --- files that are no plain text, see test_text_file.py ------------------------------------------


@pytest.mark.parametrize(
    "content, done",
    [
        (gzip.compress(TEXT), "unpacked from gzip"),
        (TEXT.decode().encode("utf-16"), "converted from UTF-16 to UTF-8"),
        (b"\xef\xbb\xbf" + TEXT, "UTF-8 byte order mark removed"),
    ],
)
def test_what_is_no_plain_text_is_recognised_and_named(server, mirror, capsys, content, done):
    Path("my.txt").write_bytes(content)
    (mirror / "w.txt").write_bytes(content)
    server.pages["/w.txt"] = [ok(content)]
    for source in (
        {"name": "mine", "path": "my.txt"},
        {"name": "theirs", "url": server.url + "/w.txt"},
    ):
        text, info = fetch(source)
        assert text == TEXT and info["sha256"] == CHECKS["sha256"]
        assert capsys.readouterr().err == f"charlens: corpus wp: {done}\n"
    assert fetch({"name": "any"}, mirror="mirror", file="w.txt")[0] == TEXT


def test_a_text_of_which_facts_are_stated_keeps_its_byte_order_mark(mirror, capsys):
    marked = b"\xef\xbb\xbf" + TEXT
    (mirror / "w.txt").write_bytes(marked)
    source = {"name": "published", "bytes": len(marked)}
    assert fetch(source, mirror="mirror", file="w.txt")[0] == marked
    assert capsys.readouterr().err == "charlens: corpus wp: UTF-8 byte order mark kept\n"


def test_what_is_no_text_is_refused_at_the_first_step():
    Path("my.txt").write_bytes(gzip.compress(TEXT)[:-5])
    assert "corpus wp: file: my.txt: damaged gzip" in refused({"name": "mine", "path": "my.txt"})
    Path("my.txt").write_bytes(TEXT.decode().encode("utf-16-le"))
    assert "UTF-16 without a byte order mark" in refused({"name": "mine", "path": "my.txt"})


# --- the command ----------------------------------------------------------------------------------


def test_command(mirror, monkeypatch, capsys):
    (mirror / "w.txt").write_bytes(TEXT)
    spec = json.dumps({"title": "War", "kind": "prose", "file": "w.txt", "sources": KNOWN})
    monkeypatch.setenv("CORPORA_MIRROR", "mirror")
    run(spec)
    assert files("out") == ["wp.json", "wp.txt"]
    assert Path("out/wp.txt").read_bytes() == TEXT
    assert json.loads(Path("out/wp.json").read_text())["source"] == "stand-in"
    assert capsys.readouterr().out == (
        f"wp: 1,240 bytes, {CHECKS['symbols']} symbols, source stand-in (mirror: w.txt)\n"
    )
    run(spec, "--mirror", "")  # an empty flag leaves it to the variable
    with pytest.raises(InputError, match="mirror gone is not a folder"):
        run(spec, "--mirror", "gone")  # the flag wins


def test_command_refuses_and_leaves_nothing():
    with pytest.raises(InputError, match="no source provides the text"):
        run(json.dumps({"sources": KNOWN[1:]}))
    with pytest.raises(InputError, match="--spec is not JSON"):
        run("{")
    assert files() == []


@pytest.mark.parametrize("where", ["cache", "out"])
def test_full_disk(server, monkeypatch, where):
    """No space left, for the download or for the outputs: one line, and nothing half-written."""
    server.pages["/w.txt"] = [ok(TEXT)]
    real = builtins.open

    class Full(io.FileIO):
        def write(self, data):
            super().write(data[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def full(file, mode="r", *args, **kwargs):
        if mode == "wb" and f"{where}/" in str(file):
            return Full(file, "w")
        return real(file, mode, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", full)
    monkeypatch.setattr(io, "open", full)  # what pathlib calls
    source = {"name": "published", "url": server.url + "/w.txt", "allow_http": True, **CHECKS}
    with pytest.raises(InputError, match=f"no space left on device while writing {where}/"):
        run(json.dumps({"sources": [source]}))
    assert files("out") == [] if where == "out" else files() == []


def test_folder_that_cannot_be_written():
    Path("my.txt").write_bytes(TEXT)
    Path("out").write_bytes(b"a file, where a folder should be")
    with pytest.raises(InputError, match=r"cannot write out/wp\.(txt|json)"):
        run(json.dumps({"sources": [{"name": "mine", "path": "my.txt"}]}))


@pytest.mark.parametrize(
    ("text", "option", "characters"),
    [
        ("Привет, мир\n" * 9, "auto", 108),
        ("Привет, мир\n" * 9, "bytes", None),
        ("plain\n" * 9, "auto", None),
        ("plain\n" * 9, "characters", 54),
        ("plain\n" * 9, None, None),
    ],
)
def test_what_models_predict_is_recorded_with_the_text(tmp_path, text, option, characters):
    (tmp_path / "w.txt").write_text(text, encoding="utf-8", newline="")
    spec = {} if option is None else {"symbols": option}
    content, info = fetch({"name": "own", "path": str(tmp_path / "w.txt")}, **spec)
    assert content == text.encode() and info["bytes"] == len(content)
    assert info.get("characters") == characters
    assert info["symbols"] == len(set(text if characters else content))
    assert ("symbols_are" in info) == bool(characters)


def test_only_utf8_can_be_predicted_as_characters(tmp_path):
    (tmp_path / "w.txt").write_bytes(b"caf\xe9\n" * 9)
    source = {"name": "own", "path": str(tmp_path / "w.txt")}
    assert "symbols_are" not in fetch(source, symbols="auto")[1]
    with pytest.raises(InputError, match="not UTF-8 at byte 3"):
        fetch(source, symbols="characters")
