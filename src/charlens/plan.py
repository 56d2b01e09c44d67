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
    if not any(model["type"] == "lstm" for model in cells(config)):
        raise InputError("grid.types: needs lstm, which figures 4 and 5 are about")
    for model in cells(config):
        dropouts(config, model)
    for order in config["plain_cut"]["orders"]:
        if order not in config["ngrams"]["orders"]:
            raise InputError(f"plain_cut.orders: {order} is not among ngrams.orders")


def cells(config: dict) -> list[dict]:
    """Every recurrent model of one corpus: type, layers, size, seed. The largest come first."""
    grid = config["grid"]
    every = (
        {"type": type, "layers": layers, "size": size, "seed": seed}
        for size, layers, type, seed in product(
            sorted(grid["sizes"], reverse=True), grid["layers"], grid["types"], grid["seeds"]
        )
    )
    return [
        model
        for model in every
        if not any(omitted.items() <= model.items() for omitted in grid["omit"])
    ]


def more_seeds(config: dict, corpus: str) -> list[dict]:
    """The cells of one corpus that are trained from further seeds (`grid.more_seeds`)."""
    names = {"types": "type", "layers": "layers", "sizes": "size"}
    more = []
    for cell in cells(config):
        for entry in config["grid"]["more_seeds"]:
            fits = all(cell[key] in entry.get(name, [cell[key]]) for name, key in names.items())
            if fits and corpus in entry.get("corpora", [corpus]):
                more += [cell | {"seed": seed} for seed in entry["seeds"]]
    base = cells(config)
    return [cell for n, cell in enumerate(more) if cell not in base and cell not in more[:n]]


def add_plain_cut(config: dict) -> list[str]:
    """Add to the corpora, as <corpus>.contiguous, those that `plain_cut` wants cut in three.

    Returns the corpora that have such a twin: none where the plain cut is the run's own split.
    """
    if config["split"]["layout"] == "contiguous":
        return []
    chosen = [corpus for corpus in config["use"] if corpus in config["plain_cut"]["corpora"]]
    for corpus in chosen:
        twin = config["corpora"][corpus] | {"split": {"layout": "contiguous"}}
        config["corpora"][plain(corpus)] = twin
    return chosen


def plain(corpus: str) -> str:
    """The name of a corpus's twin under the plain cut; no corpus of a configuration has a dot."""
    return f"{corpus}.contiguous"


def split(config: dict, corpus: str) -> dict:
    """How a corpus is split."""
    return config["split"] | config["corpora"][corpus].get("split", {})


def plain_cells(config: dict) -> list[dict]:
    """The cells of the grid that are trained under the plain cut, too."""
    wanted = config["plain_cut"]["recurrent"]
    return [cell for cell in cells(config) if any(want.items() <= cell.items() for want in wanted)]


def finished(config: dict, scores: list[str]) -> list[str]:
    """The score arrays to make tables of: all, or those whose models are trained already.

    With `only_finished`, a network counts when all its candidates are trained, an n-gram model
    when it is scored. `scores` are paths that begin with <results>.
    """
    if not config["only_finished"]:
        return list(scores)
    return [score for score in scores if all(path.exists() for path in _needed(config, score))]


def _needed(config: dict, score: str) -> list[Path]:
    """The files without which a score array is not to be had at once."""
    path = Path(score.replace("<results>", f"results/{config['run']}"))
    labels = dict(part.split("~") for part in path.with_suffix("").parts if "~" in part)
    if "order" in labels:
        return [path, path.with_suffix(".json")]
    if "context" in labels:
        candidates = [f"hidden~{hidden}" for hidden in config["nn"]["hidden"]]
    else:
        model = labels | {"layers": int(labels["layers"]), "size": int(labels["size"])}
        candidates = [f"dropout~{dropout}" for dropout in dropouts(config, model)]
    folder = Path(str(path.with_suffix("")).replace("/scores/", "/models/"))
    return [folder / candidate / "model.safetensors" for candidate in candidates]


def with_scores(corpora: list[str], *groups: list[str]) -> list[str]:
    """The corpora that have a score array in each of the groups."""
    return [
        corpus
        for corpus in corpora
        if all(any(f"/scores/{corpus}/" in path for path in group) for group in groups)
    ]


def of_corpora(scores: list[str], corpora: list[str]) -> list[str]:
    """The score arrays of these corpora."""
    return [path for path in scores if any(f"/scores/{corpus}/" in path for corpus in corpora)]


def in_paper(package: Path, corpora: list[str]) -> list[str]:
    """The corpora for which the paper has numbers."""
    rows = (package / "paper.csv").read_text().splitlines()[1:]
    known = {row.split(",")[1] for row in rows}
    return [corpus for corpus in corpora if corpus in known]


def dropouts(config: dict, model: dict) -> list[float]:
    """Dropout candidates of a model: those of the first entry of `grid.dropout` that fits it."""
    keys = {"types": "type", "layers": "layers", "sizes": "size"}
    for entry in config["grid"]["dropout"]:
        if all(model[key] in entry.get(name, [model[key]]) for name, key in keys.items()):
            return entry["candidates"]
    raise InputError(
        f"grid.dropout: no entry fits {model['type']} {model['layers']}x{model['size']};"
        " add one with its candidates"
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
