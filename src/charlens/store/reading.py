"""Read JSON files with required keys."""

import json
from collections.abc import Iterable
from pathlib import Path

from charlens.errors import InputError
from charlens.files import check_digest


def read_json(path: Path) -> dict:
    """Read a JSON object. Raises InputError if the file is missing, damaged or holds none."""
    check_digest(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing; it describes the data file of the same name. Run snakemake,"
            " or copy both files"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: no readable JSON ({reason(error)}); remove it and run snakemake again"
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object, got a {type(content).__name__}")
    return content


def require(content: dict, keys: Iterable[str], path: str | Path) -> None:
    """Raises InputError, naming the path, unless `content` has all keys."""
    missing = [key for key in keys if key not in content]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; make it again")


def reason(error: Exception) -> str:
    """The message of an exception on one line, without the path, which our own message names."""
    return getattr(error, "strerror", None) or " ".join(str(error).split())
