"""Text inside an installed Python package, which needs no network."""

import importlib
import importlib.metadata
import importlib.util
import platform
import sys
from pathlib import Path

from charlens.data.checks import Unavailable


def attribute_text(module: str, attribute: str) -> bytes:
    """An attribute of a module: a str, or a dict of str, joined by sorted key with blank lines.

    Imports the module. Raises Unavailable if that fails or there is no such attribute.
    """
    try:
        value = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise Unavailable(str(error)) from error
    if isinstance(value, dict) and all(isinstance(part, str) for part in value.values()):
        value = "\n\n".join(value[key] for key in sorted(value))
    if not isinstance(value, str):
        raise Unavailable(f"{module}.{attribute} is neither a str nor a dict of str")
    return value.encode()


def files(module: str, glob: str) -> dict[str, bytes]:
    """The files of a package that match `glob`, by path, sorted.

    Does not import the package. Raises Unavailable if it is not installed or no file matches.
    """
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise Unavailable(str(error)) from error
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(f"no installed package {module}")
    folder = Path(spec.submodule_search_locations[0])
    try:
        paths = {path.relative_to(folder).as_posix(): path for path in folder.glob(glob)}
        texts = {name: paths[name].read_bytes() for name in sorted(paths) if paths[name].is_file()}
    except (OSError, ValueError, NotImplementedError) as error:
        raise Unavailable(f"{glob} in package {module}: {error}") from error
    if not texts:
        raise Unavailable(f"{glob} matches no file in package {module}")
    return texts


def version(module: str) -> str:
    """Name and version of the distribution to which a module belongs."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return f"Python {platform.python_version()}"
    try:
        return f"{top} {importlib.metadata.version(top)}"
    except importlib.metadata.PackageNotFoundError:
        return "version unknown"
