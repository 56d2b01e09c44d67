"""The repository stays readable: no module over 500 lines, no function over 80."""

import ast
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
