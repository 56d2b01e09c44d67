"""What several tests share: a small split, and a small trained model."""

from pathlib import Path

import chromium
import firefox as firefoxes
import hypothesis
import numpy as np
import pytest
import tally as counted

from charlens.data.split import Part, Split

# No test may depend on how busy a machine is.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


# Files that take minutes, the longest first. They begin before all others, so that at the end of a
# run none keeps one worker busy while the others have nothing left to do.
LONG = (
    "backends/test_accuracy.py", "test_workflow.py", "test_unicode_run.py", "backends/test_cpu.py",
    "backends/test_sanitizers.py", "test_plans.py", "runs/test_merge.py", "bench/test_doctor.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest."""
    folder = Path(__file__).parent
    assert all((folder / file).is_file() for file in LONG), "LONG names a file that is gone"

    def place(item):
        file = item.path.relative_to(folder).as_posix()
        return LONG.index(file) if file in LONG else len(LONG)

    items.sort(key=place)


def pytest_make_parametrize_id(val, argname):
    """Name a test by what is the same in every worker: packed bytes hold the time of packing."""
    return argname if isinstance(val, bytes) else None


def small_split(streams=4, unroll=8, symbols=11, windows=(5, 2, 2), seed=0) -> Split:
    """A random text as a split: enough to train on, nothing to learn but the alphabet."""
    total = sum(windows) * unroll
    codes = np.random.default_rng(seed).integers(symbols, size=(streams, total + 1))
    codes = (codes // 2 * 2 % symbols).astype(np.uint8)  # even symbols are commoner
    bounds = np.cumsum([0, *windows]) * unroll
    parts = [
        Part(
            x=np.ascontiguousarray(codes[:, begin:end]),
            y=np.ascontiguousarray(codes[:, begin + 1 : end + 1]),
            at=np.arange(streams) * total + begin,
        )
        for begin, end in zip(bounds[:-1], bounds[1:], strict=True)
    ]
    return Split(np.arange(97, 97 + symbols, dtype=np.uint8), unroll, *parts)


@pytest.fixture
def data() -> Split:
    return small_split()


@pytest.fixture
def one_thread():
    """Small networks are too small for more threads."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def browser():
    """A browser with one tab, for the tests of a file."""
    if chromium.found() is None:
        pytest.skip("no Chromium: install one (apt-get install chromium) or name it in $CHROMIUM")
    browser = chromium.Chromium()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def firefox():
    """Another browser with one tab."""
    if firefoxes.found() is None:
        pytest.skip("no Firefox: install one (apt-get install firefox-esr) or name it in $FIREFOX")
    browser = firefoxes.Firefox()
    yield browser
    browser.close()


# ---- counts of the faults that were provoked (see tests/faults) ----


@pytest.fixture
def tally():
    """Makes a count of one kind of case: tally("flips", "model")."""
    return counted.Tally


def pytest_addoption(parser):
    parser.addoption("--faults-csv", type=Path, help="where the counts of faults are written")


def pytest_terminal_summary(terminalreporter, config):
    if counted.COUNTS:
        terminalreporter.section("faults")
        counted.report(terminalreporter.line)
        if path := config.getoption("--faults-csv"):
            counted.write(path)
