"""The repository stays readable: no module over 500 lines, no function over 80."""

import ast
import gzip
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path
    for pattern in ("*.py", "*.js", "*.cpp", "*.h", "*.smk")
    for folder in ("src", "workflow")
    for path in (ROOT / folder).rglob(pattern)
    if path.parent.name != "build"
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_are_short(path):
    assert len(path.read_text().splitlines()) <= 500
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 80, node.name


LISTED = ("bench", "claims", "data", "explorer", "networks", "ngrams", "report", "runs",
          "statistics", "store", "study", "text", "training", "units")  # fmt: skip


@pytest.mark.parametrize("folder", LISTED)
def test_the_docstring_of_a_package_lists_its_modules(folder):
    index = (ROOT / "src/charlens" / folder / "__init__.py").read_text()
    named = set(re.findall(r"^(\w+)\.py ", index, re.MULTILINE))
    there = {path.stem for path in (ROOT / "src/charlens" / folder).glob("*.py")} - {"__init__"}
    if folder == "report":  # "figure1.py ...     figures 1 to 6"
        there -= {f"figure{number}" for number in range(2, 7)}
    assert named == there


def test_bytes_never_become_part_of_the_name_of_a_test(request):
    hook = request.config.hook.pytest_make_parametrize_id
    assert hook(config=request.config, val=gzip.compress(b"now"), argname="content") == "content"
