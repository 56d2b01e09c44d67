"""Locks: one holder at a time, named, and none left behind by a process that was killed."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from charlens import files

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
