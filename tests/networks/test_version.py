"""The declared version of what a network computes."""

import subprocess
import sys

import pytest

from charlens.networks import cells, version


def test_the_shared_version_comes_first_then_the_cells(monkeypatch, tmp_path):
    for type in ("rnn", "lstm", "gru"):
        assert version.version(type) == f"{version.VERSION}.{cells.cell(type).VERSION}"
    assert version.version("nn") == str(version.VERSION)
    monkeypatch.chdir(tmp_path)  # types of the user's own lie in cells/ there
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells/own.py").write_text("# VERSION = 5\n")
    (tmp_path / "cells/newer.py").write_text('"""A cell."""\nVERSION = 12  # of these equations\n')
    assert version.version("own").startswith(f"{version.VERSION}.1-")
    assert version.version("newer").startswith(f"{version.VERSION}.12-")


CELL = '''"""A cell."""

STATES = ("h",)


def step(a, state, p):
    """One step."""
    return (a + state[0],)
'''


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("a + state[0]", "a + 3 * state[0]", True),
        ('("h",)', '("h", "c")', True),
        ("One step.", "A step.", False),
        ('    """One step."""\n', "", False),
        ('"""A cell."""\n', "# a comment\n", False),
        ("STATES =", 'NAME = "Mine"\nMEMORY = None\nSTATES =', False),
        ("STATES =", 'NAME: str = "Mine"\nGATE_NAMES = (\n    "i",\n)\nSTATES =', False),
    ],
)
def test_the_version_of_the_users_own_cell_is_that_of_its_code(
    monkeypatch, tmp_path, old, new, counts
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()
    found = []
    for text in (CELL, CELL.replace(old, new)):
        (tmp_path / "cells/own.py").write_text(text)
        version.version.cache_clear()
        found.append(version.version("own+block"))
    version.version.cache_clear()
    assert (found[0] != found[1]) == counts and found[0].endswith("+block1")


def test_a_network_without_a_version_was_among_the_first():
    assert version.version_of({"type": "lstm", "version": "3.2"}) == "3.2"
    assert version.version_of({"type": "lstm"}) == "1.1"  # a model file, or scores
    assert version.version_of({"type": "nn"}) == "1"  # the model file of an n-NN
    assert version.version_of({"family": "nn", "n": 3}) == "1"  # its scores


def test_the_workflow_reads_versions_without_torch():
    code = "import sys; from charlens.networks.version import version; version('gru');"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
