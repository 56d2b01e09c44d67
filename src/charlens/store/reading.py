"""Reading JSON files that must hold certain keys."""

import json
from collections.abc import Iterable
from pathlib import Path

from charlens.errors import InputError


def read_json(path: Path) -> dict:
    """A file's JSON object. Raises InputError where it is missing or holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing: it says what the file beside it is") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no readable JSON ({reason(error)})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a JSON {type(content).__name__}, not an object")
    return content


def require(content: dict, keys: Iterable[str], path: str | Path) -> None:
    """Raise InputError, naming the path, unless the object holds all keys."""
    missing = [key for key in keys if key not in content]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; make it again")


def reason(error: Exception) -> str:
    """An exception's message on one line, without the path that our own message names already."""
    return getattr(error, "strerror", None) or " ".join(str(error).split())
