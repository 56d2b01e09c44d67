"""Which files of the package a rule depends on."""

import ast
import re
from pathlib import Path

import pytest

from charlens.cli import VERBS
from charlens.runs import modules

ROOT = Path(__file__).parents[2]
# rules that depend on no file: the rates of a machine are measured only when asked for
FREE = {"calibrate"}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in place of ours."""
    for path, content in {
        "errors.py": "",
        "report/__init__.py": "",
        "report/figure.py": "from charlens.store import paper\nimport charlens.text.lexer as lexer",
        "report/other.py": "",
        "report/page.html": "",
        "store/__init__.py": "",
        "store/paper.py": "from charlens.errors import InputError",
        "store/paper.csv": "",
        "text/__init__.py": "",
        "text/lexer.py": "def later():\n    from charlens.text.tokens import TOKENS",
        "text/tokens.py": "import charlens.networks.network\nTOKENS = ()",
        "networks/network.py": "import charlens.report.other",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content)
    monkeypatch.setattr(modules, "PACKAGE", tmp_path)


def test_a_module_depends_on_what_it_imports_and_on_assets_beside_it(package):
    assert modules.files("report.figure") == [
        "report/figure.py",
        "report/page.html",
        "store/__init__.py",
        "store/paper.csv",
        "store/paper.py",
        "text/lexer.py",
        "text/tokens.py",
    ]
    assert modules.files("store.paper", "text.tokens") == [
        "store/paper.csv",
        "store/paper.py",
        "text/tokens.py",
    ]


def test_a_module_that_is_not_there_is_named(package):
    with pytest.raises(KeyError, match="no module charlens.report.figur"):
        modules.files("report.figur")


def test_imports_are_found_as_python_finds_them():
    for path in modules.PACKAGE.rglob("*.py"):
        names = []
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        ours = [name.removeprefix("charlens.") for name in names if name.startswith("charlens.")]
        assert set(modules.imported(path)) == set(map(modules.resolve, ours)) - {None}, path


def test_no_module_imports_relatively():
    """Which `modules.imported` would not see."""
    for path in modules.PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            assert not getattr(node, "level", 0), f"{path}, line {node.lineno}"


def test_a_figure_depends_on_no_other_and_on_no_training():
    files = modules.files("report.figure4")
    assert "report/figure4.py" in files and "statistics/oracles.py" in files
    assert not {"report/figure5.py", "training/train.py", "networks/network.py"} & set(files)


def rules() -> dict[str, str]:
    """The text of each rule that runs a verb."""
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    parts = re.split(r"^(?:use rule \w+ as|rule) (\w+)", text, flags=re.MULTILINE)
    every = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {name: body for name, body in every.items() if '"charlens ' in body}


@pytest.mark.parametrize("name", sorted(rules()))
def test_a_rule_depends_on_the_module_of_the_verb_that_it_runs(name):
    every = rules()
    (verb,) = re.findall(r'"charlens ([a-z0-9-]+)', every[name])
    module = VERBS[verb][0].partition(":")[0]
    given = re.search(r"code=rules\.(\w+)\.input\.code", every[name])
    named = re.findall(r"""code=code\("([^)]*)"\)""", every[given[1] if given else name])
    if module.split(".")[0] in modules.DECLARED or name in FREE:
        assert named == []
    else:
        assert named == [module]


def test_what_networks_compute_has_a_version_in_every_rule_that_computes_it():
    every = rules()
    computing = {"fetch", "reshuffle", "split", "train", "train_adamw", "train_nn", "score",
                 "trajectory"}  # fmt: skip
    assert computing == {name for name, body in every.items() if "version=" in body}
