"""The declared version of what a network computes."""

import ast
import hashlib
import subprocess
import sys

import pytest

from charlens.errors import InputError
from charlens.networks import cells, model_file, version


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


def test_the_digest_of_a_cell_is_the_same_in_every_python():
    """As ast.dump of Python 3.11 has it: later ones dump other fields."""
    tree = ast.parse(CELL + "\n\nclass A:\n    x: int = None\n\n    def f(self): return [*()]\n")
    if sys.version_info[:2] == (3, 11):
        assert version.dumped(tree) == ast.dump(tree)
    digest = hashlib.sha256(version.dumped(tree).encode()).hexdigest()
    assert digest[:16] == "2aafb1279bbf6ef7"


def test_a_network_is_not_computed_by_other_equations(monkeypatch, tmp_path):
    """Whether the cell was edited or the package's own is of another version."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()
    own = tmp_path / "cells/edited.py"
    text = "from charlens.networks.cells.rnn import recurrent_shapes, step\n"
    text += "GATES, STATES = 1, ('h',)\n"
    own.write_text(text)
    made = version.version("edited+block+adamw")
    about = {"type": "edited+block+adamw", "version": made}
    model_file.check_equations(about, own)
    model_file.check_equations({"type": "lstm", "version": "9.1"}, own)  # trained otherwise
    model_file.check_equations({"type": "nn", "version": "2"}, own)
    own.write_text(text + "VERSION = 2\n")
    version.version.cache_clear()
    for wrong in (about, {"type": "lstm", "version": "1.9"}):
        with pytest.raises(InputError, match="was trained with version .*, whose file has version"):
            model_file.check_equations(wrong, own)


def test_a_network_without_a_version_was_among_the_first():
    assert version.version_of({"type": "lstm", "version": "3.2"}) == "3.2"
    assert version.version_of({"type": "lstm"}) == "1.1"  # a model file, or scores
    assert version.version_of({"type": "nn"}) == "1"  # the model file of an n-NN
    assert version.version_of({"family": "nn", "n": 3}) == "1"  # its scores


def test_the_workflow_reads_versions_without_torch():
    code = "import sys; from charlens.networks.version import version; version('gru');"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
