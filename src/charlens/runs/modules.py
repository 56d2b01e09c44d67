"""The files of the package that a rule runs, found from their imports.

A rule lists them as inputs, so that a change in a module makes again exactly the outputs that it
could affect. What networks compute is declared instead (`networks.version`): no rule depends on a
file of the packages in DECLARED.

The Snakefile imports this, so it imports nothing slow.
"""

import ast
import functools
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
DECLARED = ("data", "networks", "backends", "training")
PLUMBING = ("errors.py", "files.py", "progress.py")  # do not affect outputs
ASSETS = (".csv", ".html", ".css", ".js", ".jinja")  # read by the modules beside them


def files(*names: str) -> list[str]:
    """The modules `names` ("report.figure4"), all that they import from this package, and the
    assets in their folders, as paths below the package, sorted.

    Raises KeyError where there is no such module.
    """
    found, waiting = set(), []
    for name in names:
        if (path := resolve(name)) is None:
            raise KeyError(f"no module charlens.{name}")
        waiting.append(path)
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        if path.relative_to(PACKAGE).parts[0] in DECLARED + PLUMBING:
            continue
        found.add(path)
        waiting += imported(path)
    for path in list(found):
        found |= {other for other in path.parent.glob("*") if other.suffix in ASSETS}
    return sorted(str(path.relative_to(PACKAGE)) for path in found)


def resolve(name: str) -> Path | None:
    """The file of one of our modules or packages; None where there is none of that name."""
    path = PACKAGE.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@functools.cache
def imported(path: Path) -> tuple[Path, ...]:
    """The files of our modules that a file imports, anywhere in it. (None imports relatively.)"""
    found = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:  # a module, or names in one
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        ours = [name.removeprefix("charlens.") for name in names if name.startswith("charlens.")]
        found += map(resolve, ours)
    return tuple(path for path in dict.fromkeys(found) if path is not None)
