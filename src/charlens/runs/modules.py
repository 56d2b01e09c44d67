"""The files of the package that a rule runs, found from their imports.

A rule lists them as inputs, so that a change in a module makes again exactly the outputs that it
could affect. What networks compute is declared instead (`networks.version`): no rule depends on a
file of the packages in DECLARED.

The Snakefile imports this, so it imports nothing slow.
"""

import functools
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
DECLARED = ("data", "networks", "backends", "training")
PLUMBING = ("errors.py", "files.py", "progress.py")  # do not affect outputs
# Imports of ours, and the names in them. (Every job of a cluster starts Snakemake, and it takes a
# second of processor time to parse all modules.)
IMPORT = re.compile(
    r"^ *(?:from (charlens[\w.]*) import (?:\(([^)]*)\)|(.*))|import (charlens[\w.]*))", re.M
)
NAME = re.compile(r"(\w+)(?: as \w+)?")
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
    for module, several, names, alone in IMPORT.findall(path.read_text("utf-8")):
        found.append(module or alone)  # a module, or names in one:
        found += [f"{module}.{name}" for name in NAME.findall(several or names)]
    ours = [name.removeprefix("charlens.") for name in found if name.startswith("charlens.")]
    return tuple(path for path in dict.fromkeys(map(resolve, ours)) if path is not None)
