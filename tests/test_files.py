"""Locks: one holder at a time, named, and none left behind by a process that was killed."""

import errno
import fcntl
import os
import stat
import subprocess
import sys

import pytest

from charlens import files
from charlens.errors import InputError

HOLD = (
    "import sys, time; from pathlib import Path; from charlens import files\n"
    "lock = files.try_lock(Path(sys.argv[1])); print('held' if lock else 'refused', flush=True)\n"
    "time.sleep(60)"
)


@pytest.fixture
def other(tmp_path):
    """A process that has tried to take the lock, and whether it got it."""
    started = []

    def start():
        command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_lock_is_refused_while_another_process_holds_it(tmp_path, other):
    lock = files.try_lock(tmp_path / "lock")
    assert other()[1] == "refused"
    assert files.holder(tmp_path / "lock") == f"process {os.getpid()}"
    lock.release()
    assert other()[1] == "held"
    assert files.try_lock(tmp_path / "lock") is None


def test_a_killed_process_leaves_no_lock(tmp_path, other):
    process, answer = other()
    assert answer == "held" and files.try_lock(tmp_path / "lock") is None
    assert files.holder(tmp_path / "lock") == f"process {process.pid}"
    process.kill()
    process.wait()
    assert files.try_lock(tmp_path / "lock") is not None


def test_only_one_waits_and_removes_its_file(tmp_path, other, capfd):
    process, _ = other()
    end = subprocess.Popen(["sh", "-c", f"sleep 1; kill -9 {process.pid}"])
    with files.only_one(tmp_path / "lock", "model", "training it") as waited:
        assert waited
    end.wait()
    assert f"model: process {process.pid} is already training it" in capfd.readouterr().err
    assert not (tmp_path / "lock").exists()
    with files.only_one(tmp_path / "lock", "model", "training it") as waited:
        assert not waited


def test_a_file_system_without_locks_is_used_without(tmp_path, monkeypatch):

    def unsupported(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with files.only_one(tmp_path / "lock", "model", "training it") as waited:
        assert not waited


# ---- atomic writes ----


def test_file_and_folder_are_synced_before_and_after_the_rename(tmp_path, monkeypatch):
    """After a power loss there is the old file or the new one, never a name without content."""
    done = []
    sync, replace = files.sync, os.replace
    monkeypatch.setattr(files, "sync", lambda path: (done.append(path.name[:4]), sync(path)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("rename"), replace(a, b)))
    files.write_atomically(tmp_path / "new.txt", b"content")
    assert done == [".tmp", "rename", tmp_path.name[:4]]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "there/real.csv")
    files.write_atomically(tmp_path / "link.csv", b"a,b\n")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "there/real.csv").read_bytes() == b"a,b\n"


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        files.write_with_digest(tmp_path / "pipe", b"a,b\n")
        assert reader.stdout.read() == b"a,b\n"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_standard_output_is_written_to():
    code = "from charlens import files; files.write_atomically('/dev/stdout', b'a,b\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.stdout == b"a,b\n" and done.stderr == b""


def test_a_folder_is_no_place_to_write_to(tmp_path):
    with pytest.raises(InputError, match="it is a folder"):
        files.write_atomically(tmp_path, b"content")


def test_a_digest_is_checked_where_there_is_one(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"by hand\n")
    files.check_digest(path)
    with pytest.raises(InputError, match="damaged"):
        files.check_digest(path, needed=True)
    files.write_with_digest(path, b"a,b\n")
    files.check_digest(path, needed=True)
    path.write_bytes(b"a,c\n")
    with pytest.raises(InputError, match="table.csv: damaged, or changed since it was written"):
        files.check_digest(path)
