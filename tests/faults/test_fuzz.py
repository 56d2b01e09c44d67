"""Mutated files and settings: whatever they hold, there is one line, or the result is right."""

import json
import os
import random
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import hypothesis
import pytest
from guarding import Hang, Trespass, guarded
from hypothesis import strategies as st
from subjects import SUBJECTS, Subject

from charlens.backends import compiler, cpu, selection
from charlens.backends.cpu import build
from charlens.errors import InputError

SHORT, WHOLE = 0.01, 1.0


def try_one(subject: Subject, draw) -> tuple[str, str]:
    """Change a subject and use it: how that ended, and what was wrong."""
    signed = subject.change(draw)
    try:
        with guarded(subject.folder):
            found = subject.use()
    except InputError as error:
        return ("noticed", "") if len(str(error).splitlines()) == 1 else ("wrong", str(error))
    except SystemExit as end:  # of argparse, which has said why
        return ("noticed", "") if end.code == 2 else ("wrong", str(end))
    except (Exception, Hang, Trespass) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return "wrong", f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
    if signed:
        return "harmless", ""
    subject.restore()
    return ("harmless", "") if found == subject.use() else ("wrong", "another result")


def fuzz(subject: Subject, cases: int, count, seed: int) -> None:
    """Try so many changes, drawn from a seed."""
    print(f"{type(subject).__name__}: seed {seed}")

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=cases, deadline=None, database=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(st.data())
    def one(data):
        ending, fault = try_one(subject, data.draw)
        count.add(ending, fault)

    one()
    count.check()


@pytest.fixture(scope="module", autouse=True)
def backend():
    prepare_backend()


def prepare_backend() -> str | None:
    """Build the compiled code and compare it with torch, before anything is guarded: both write
    into its own folder. Returns why there is no compiled code here, or None."""
    available, why = cpu.status()
    for type in cpu.KINDS if available else ():
        selection.same_equations(type)
    return None if available else why


@pytest.mark.parametrize("share", [SHORT, pytest.param(WHOLE, marks=pytest.mark.faults)])
@pytest.mark.parametrize("kind", SUBJECTS, ids=lambda kind: kind.__name__.lower())
def test_mutated(kind, share, tmp_path, tally):
    seed = random.randrange(1 << 32)
    (tmp_path / "work").mkdir()
    count = tally("fuzz", kind.__name__.lower())
    fuzz(kind(tmp_path / "work"), round(share * kind.cases), count, seed)
    shutil.rmtree(tmp_path / "work")


@pytest.mark.faults
def test_models_under_sanitizers(tmp_path, tally):
    """The compiled code touches no memory but its own, whatever a model holds."""
    if not build.runnable():
        pytest.skip("no path of the compiled code runs here")
    try:
        command, _ = compiler.find()
    except InputError as error:
        pytest.skip(str(error))
    found = [*command, "-print-file-name=libasan.so"]
    library = subprocess.run(found, capture_output=True, text=True).stdout.strip()
    if not Path(library).is_file():
        pytest.skip(f"{command[0]} has no sanitizers here")
    seed = random.randrange(1 << 32)
    environment = os.environ | {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",  # torch keeps what it has
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    program = Path(__file__).with_name("sanitized.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path), "500", str(seed)],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-3000:]}"
    for ending, number in json.loads(done.stdout.splitlines()[-1]).items():
        tally("fuzz", "models, sanitized code").counts[ending] += number
