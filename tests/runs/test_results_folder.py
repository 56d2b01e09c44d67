"""A results folder: who writes to it, whether it can be written, how it was made."""

import errno
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from charlens.errors import InputError
from charlens.runs import results_folder


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    results_folder.lock(tmp_path / "run")
    results_folder.lock(tmp_path / "other")
    with pytest.raises(InputError, match=rf"process {os.getpid()} is writing here"):
        results_folder.lock(tmp_path / "run")
    (tmp_path / "run/.lock").write_text("")  # as long as the other has not written its number
    with pytest.raises(InputError, match="another process is writing here"):
        results_folder.lock(tmp_path / "run")


def test_results_that_were_copied_or_whose_snakemake_was_removed_are_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Path("results/run")
    assert results_folder.made_here(run)  # there is nothing yet
    run.mkdir(parents=True)
    results_folder.mark(run)
    assert results_folder.made_here(run)
    shutil.copytree(run, "results/copy")
    assert not results_folder.made_here(Path("results/copy"))
    shutil.rmtree(".snakemake")
    results_folder.mark(run)  # which does not make it known what was done before
    assert not results_folder.made_here(run)


def test_a_folder_that_cannot_be_written_is_named_before_any_job(tmp_path, monkeypatch):
    results_folder.check_writable(tmp_path / "new/run")
    assert list((tmp_path / "new/run").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to .*/file/run \(Not a directory\): make"):
        results_folder.check_writable(tmp_path / "file/run")

    def read_only(**_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with pytest.raises(InputError, match=r"\(Read-only file system\): make it writable"):
        results_folder.check_writable(tmp_path)


def test_files_from_the_future_are_dated_now_in_their_order(tmp_path, capsys):
    now, day = time.time_ns(), 86400 * 10**9
    dates = {"text": now + day, "split": now + day + 10**6, "old": now - day, "soon": now + 10**9}
    for name, date in dates.items():
        path = tmp_path / "corpora" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        os.utime(path, ns=(date, date))
    results_folder.date_now(tmp_path)
    assert "2 files dated in the future" in capsys.readouterr().err
    found = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("corpora/*")}
    assert dates["old"] == found["old"] and dates["soon"] == found["soon"]
    assert now - day < found["text"] < found["split"] <= time.time_ns()
    results_folder.date_now(tmp_path)
    assert capsys.readouterr().err == ""
