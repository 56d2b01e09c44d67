"""The files of a corpus in other orders: from an archive, a package, or an index of the text."""

import hashlib
import json
import tarfile
from io import BytesIO

import pytest
from synthetic import run

from charlens.data import archive, corpus, reshuffle
from charlens.errors import InputError

FILES = {f"top/src/{k}.c": b"int a%d;\n" % k * (k + 1) for k in range(9)}


@pytest.fixture
def made(tmp_path):
    """A corpus fetched from an archive: its entry of the config, text and provenance."""
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
    recipe = {"archive": str(tmp_path / "a.tar.gz"), "glob": "src/*.c", "shuffle": 0}
    spec = {"title": "C", "kind": "code", "file": "code.txt",
            "sources": [{"name": "made up", "recipe": recipe}]}  # fmt: skip
    text, info = corpus.fetch("c", spec, "", tmp_path)
    return spec, text, info


def pieces(text):
    """Which file stands where."""
    return [name for name in sorted(FILES, key=lambda name: text.index(FILES[name]))]


def test_the_same_files_in_another_order(made, tmp_path):
    spec, text, info = made
    other, about = reshuffle.reshuffle(text, info, spec, 1, "", tmp_path)
    assert pieces(other) != pieces(text) and sorted(other) == sorted(text)
    assert other == archive.unpack(
        tmp_path / "a.tar.gz", spec["sources"][0]["recipe"] | {"shuffle": 1}
    )
    assert about["corpus"] == "c.shuffle1" and (about["shuffle"], about["own_shuffle"]) == (1, 0)
    assert about["source"] == "made up, files reshuffled (seed 1)" and about["title"] == "C"
    assert about["sha256"] == hashlib.sha256(other).hexdigest()
    again, _ = reshuffle.reshuffle(text, info, spec, 1, "", tmp_path)
    assert again == other
    with pytest.raises(InputError, match="corpus c: seed 0 gives the text itself"):
        reshuffle.reshuffle(text, info, spec, 0, "", tmp_path)


def index(folder, text, name="code.index.tsv"):
    rows, offset = ["path\toffset\tbytes"], 0
    for path in pieces(text):
        rows.append(f"{path.removeprefix('top/')}\t{offset}\t{len(FILES[path])}")
        offset += len(FILES[path])
    (folder / name).write_text("\n".join(rows) + "\n")


def test_an_index_cuts_the_text_where_the_archive_is_out_of_reach(made, tmp_path):
    spec, text, info = made
    expected, _ = reshuffle.reshuffle(text, info, spec, 7, "", tmp_path)
    (tmp_path / "a.tar.gz").unlink()
    index(tmp_path, text)
    found, _ = reshuffle.reshuffle(text, info, spec, 7, tmp_path, tmp_path)
    assert found == expected
    rows = (tmp_path / "code.index.tsv").read_text().splitlines()
    (tmp_path / "code.index.tsv").write_text("\n".join(rows[:-1]))  # a file is missing
    with pytest.raises(InputError, match="its 8 files, joined .* are not the text"):
        reshuffle.reshuffle(text, info, spec, 7, tmp_path, tmp_path)
    (tmp_path / "code.index.tsv").write_text("path,offset\n")
    with pytest.raises(InputError, match="code.index.tsv: no index of files|are not the text"):
        reshuffle.reshuffle(text, info, spec, 7, tmp_path, tmp_path)
    (tmp_path / "code.index.tsv").write_text("path\toffset\tbytes\na.c\tmany\t3\n")
    with pytest.raises(InputError, match="code.index.tsv: no index of files .*path, offset, bytes"):
        reshuffle.reshuffle(text, info, spec, 7, tmp_path, tmp_path)


def test_the_archive_may_lie_in_the_mirror_or_be_gone(made, tmp_path):
    spec, text, info = made
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (tmp_path / "a.tar.gz").rename(mirror / "a.tar.gz")
    assert reshuffle.reshuffle(text, info, spec, 3, mirror, tmp_path)[0] != text
    with pytest.raises(InputError, match="corpus c: cannot reshuffle its files: cannot read the"):
        reshuffle.reshuffle(text, info, spec, 3, "", tmp_path)


def test_a_text_that_is_not_made_of_files_cannot_be_reshuffled(made, tmp_path):
    spec, text, info = made
    spec = spec | {"sources": [{"name": "made up", "url": "http://nowhere/a.txt"}]}
    with pytest.raises(
        InputError, match="neither an archive nor files .* out of reshuffles.corpora"
    ):
        reshuffle.reshuffle(text, info, spec, 1, "", tmp_path)


def test_files_of_a_package(tmp_path):
    source = {"name": "email", "package": {"module": "email", "glob": "*.py"}}
    spec = {"sources": [source]}
    text, info = corpus.fetch("mail", spec, "", tmp_path)
    (tmp_path / "t.txt").write_bytes(text)
    (tmp_path / "t.json").write_text(json.dumps(info))
    run(reshuffle, ["--text", tmp_path / "t.txt", "--info", tmp_path / "t.json",
                    "--spec", json.dumps(spec), "--seed", 2, "--cache", tmp_path,
                    "--out", tmp_path / "o.txt", "--out-info", tmp_path / "o.json"])  # fmt: skip
    other, about = (tmp_path / "o.txt").read_bytes(), json.loads((tmp_path / "o.json").read_text())
    assert other != text and sorted(other) == sorted(text)
    assert about["own_shuffle"] is None and about["bytes"] == len(text)
