"""What a configuration asks for: checks on it, the grid of models, and command-line options.

The Snakefile imports this, so it imports nothing slow.
"""

import fcntl
import json
import os
import shlex
import shutil
from itertools import product
from pathlib import Path

from charlens.errors import InputError


def check(config: dict, schema: Path) -> None:
    """Refuse what the schema or common sense forbids, with one line that names the key."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    validator = Draft202012Validator(json.loads(schema.read_text()))
    if error := best_match(validator.iter_errors(config)):
        where = ".".join(map(str, error.absolute_path)) or "config"
        raise InputError(f"{where}: {error.message}; see config.yaml for what may stand here")
    for corpus in config["use"]:
        if corpus not in config["corpora"]:
            raise InputError(
                f"use: no corpus '{corpus}'; corpora defines {', '.join(config['corpora'])}"
            )
        fractions = config["corpora"][corpus]["fractions"]
        if abs(sum(fractions) - 1) > 1e-9:
            raise InputError(f"corpora.{corpus}.fractions: {fractions} do not add up to 1")
        for source in config["corpora"][corpus]["sources"]:
            ways = {"url", "recipe", "package", "path"} & set(source)
            if len(ways) > 1:
                both = " and ".join(sorted(ways))
                raise InputError(
                    f"corpora.{corpus}.sources: '{source['name']}' has {both}; one way is enough"
                )
    for corpus in config["figures"]["young_lstm"]["corpora"]:
        if corpus not in config["use"]:
            raise InputError(f"figures.young_lstm.corpora: '{corpus}' is not among use")
    for corpus in config["cells"]["passages"]:
        if corpus not in config["corpora"]:
            raise InputError(f"cells.passages: no corpus '{corpus}' among corpora")
    for corpus in config["use"]:
        if not any(model["type"] == "lstm" for model in cells(config, corpus)):
            raise InputError("grid.types: needs lstm, which figures 4 and 5 are about")
        for model in cells(config, corpus):
            dropouts(config, model)


def cells(config: dict, corpus: str) -> list[dict]:
    """Every recurrent model of a corpus: type, layers, size, seed. The largest come first."""
    grid = config["grid"]
    every = (
        {"type": type, "layers": layers, "size": size}
        for size, layers, type in product(
            sorted(grid["sizes"], reverse=True), grid["layers"], grid["types"]
        )
    )
    return [
        model | {"seed": seed}
        for model in every
        if not any(omitted.items() <= model.items() for omitted in grid["omit"])
        for seed in first_fit(config, "seeds", model | {"corpus": corpus})
    ]


def chosen(config: dict, corpus: str, entries: list[dict]) -> list[dict]:
    """The models of a corpus that fit an entry; an entry names some of their keys."""
    return [
        model
        for model in cells(config, corpus)
        if any(entry.items() <= model.items() for entry in entries)
    ]


def looked_into(config: dict, corpus: str) -> list[dict]:
    """The models of a corpus inside of which figures 2 and 3 may look: every LSTM, and of each type
    of `cells.gates` those with 3 layers, or else of the greatest depth."""
    found, every = [], cells(config, corpus)
    for model in every:
        depths = {other["layers"] for other in every if other["type"] == model["type"]}
        deep = model["layers"] == (3 if 3 in depths else max(depths))
        if model["type"] == "lstm" or model["type"] in config["cells"]["gates"] and deep:
            found.append(model)
    return found


def dropouts(config: dict, model: dict) -> list[float]:
    """Dropout candidates of a model."""
    return first_fit(config, "dropout", model)


def first_fit(config: dict, key: str, model: dict) -> list:
    """The values of the first entry below `grid: key` that fits a model."""
    of = {"corpora": "corpus", "types": "type", "layers": "layers", "sizes": "size"}
    for entry in config["grid"][key]:
        if all(model[of[name]] in wanted for name, wanted in entry.items() if name in of):
            return entry["values"]
    raise InputError(
        f"grid.{key}: no entry fits {model['type']} {model['layers']}x{model['size']};"
        " add one with its values"
    )


def training(config: dict, corpus: str) -> dict:
    """How models of a corpus are trained: `training`, with what the corpus wants otherwise."""
    own = config["corpora"][corpus].get("training", {})
    return config["training"] | own | {"backend": config["backend"]}


def options(settings: dict) -> str:
    """Settings as command-line options: {"decay_after": 10} gives --decay-after 10."""
    return " ".join(
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in settings.items()
    )


def gpus(config: dict) -> int:
    """GPUs that a training job asks for: 1 where there is one or the config wants one."""
    if config["backend"] == "auto":
        return int(shutil.which("nvidia-smi") is not None)
    return int(config["backend"] == "cuda")


def lock(folder: Path) -> None:
    """Let one run at a time write to a results folder. Raises InputError where another does.

    The kernel drops the lock with the process, so that a killed run leaves none behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / ".lock", "a+")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise InputError(
            f"{folder}: process {file.read().strip()} is writing here; wait for it or end it"
        ) from None
    except OSError:
        pass  # a file system without locks: go on without
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    _held.append(file)


_held = []
