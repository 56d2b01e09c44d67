"""`publish` and `merge` killed at every single write, rename and removal.

What is joined is made up here: all of it is written beside what is published, which only the last
steps touch.
"""

import json
import os
import shutil

import pytest
from machines import files, settings

from charlens.files import write_atomically
from charlens.runs import merge, publish, reference
from charlens.runs.settings import comparable, make


class Killed(BaseException):
    pass


def kill_at(n: int, monkeypatch) -> None:
    """End the process, as it were, at the n-th change of the disk: nothing happens after it."""
    done = []

    def counted(real):
        def change(*args, **options):
            done.append(real)
            if len(done) >= n:
                raise Killed
            return real(*args, **options)

        return change

    for place, name in (
        (os, "replace"), (os, "rename"), (os, "unlink"), (os, "fsync"), (os, "rmdir"),
        (shutil, "copyfile"), (reference, "exchange"),
    ):  # fmt: skip
        monkeypatch.setattr(place, name, counted(getattr(place, name)))


@pytest.fixture
def published(tmp_path):
    """A publication; beside it another one, and a run."""
    folder, other = tmp_path / "reference", tmp_path / "other"
    its = make(settings())
    for place in (folder, other):
        reference.write_settings(place, comparable(its))
        reference.write_status(place, [])
        write_atomically(place / "README.md", place.name.encode())
    (tmp_path / "run").mkdir()
    (tmp_path / "run/settings.json").write_text(json.dumps(settings()))
    return folder


def join(first, second, out):
    shutil.copytree(first, out)
    for name in ("README.md", "tables/new.csv"):
        write_atomically(out / name, b"new")


class Builder:
    def __init__(self, run, settings, out, work):
        self.settings, self.out = settings, out

    def build(self):
        reference.write_settings(self.out, comparable(self.settings))
        reference.write_status(self.out, [])


@pytest.mark.parametrize("one_step", [True, False], ids=["one step", "two renames"])
@pytest.mark.parametrize("verb", ["publish", "merge"])
def test_killed_at_any_write_the_old_or_the_new_is_whole(verb, one_step, published, monkeypatch):
    monkeypatch.setattr(merge, "join", join)
    monkeypatch.setattr(publish, "Builder", Builder)
    if not one_step:
        monkeypatch.setattr(reference, "exchange", lambda *_: False)
    folder = published.parent

    def start():
        if verb == "publish":
            publish.publish(folder / "run", published)
        else:
            merge.merge(published, folder / "other")

    def restart():
        shutil.rmtree(published)
        shutil.copytree(folder / "kept", published)
        for left in (".reference.new", ".reference.old"):
            shutil.rmtree(folder / left, ignore_errors=True)

    shutil.copytree(published, folder / "kept")
    old = files(published)
    start()
    new, n = files(published), 0
    assert new != old and new.keys() - old.keys() == {"tables/new.csv"}
    found = set()
    while True:
        n += 1
        restart()
        with monkeypatch.context() as patch:
            kill_at(n, patch)
            try:
                start()
            except Killed:
                pass
            else:
                break
        if not one_step:
            reference.restore(published)
        assert files(published) in (old, new), n
        found.add(files(published) == new)
        start()  # and the next start ends as if nothing had happened
        assert files(published) == new
    assert found == {True, False} and n > 20
