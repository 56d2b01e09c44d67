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

# where each model lies, below models/<corpus>/ and scores/<corpus>/
CELL = "type~{type}/layers~{layers}/size~{size}/seed~{seed}"
NN = "nn/context~{context}/seed~{seed}"


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
    for order in config["plain_cut"]["orders"]:
        if order not in config["ngrams"]["orders"]:
            raise InputError(f"plain_cut.orders: {order} is not among ngrams.orders")


def cells(config: dict, corpus: str) -> list[dict]:
    """Every recurrent model of a corpus: type, layers, size, seed. The largest come first."""
    if "trained" in config:  # see `narrow`
        return config["trained"][corpus]
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


def scores(config: dict) -> list[str]:
    """The score arrays of every model of the run, below <results>: networks, n-NN, n-grams."""
    nn, ngrams = config["nn"], config["ngrams"]
    paths = []
    for corpus in config["use"]:
        paths += [f"{corpus}/{CELL}".format(**cell) for cell in cells(config, corpus)]
        paths += [f"{corpus}/{NN}".format(context=n, seed=nn["seed"]) for n in nn["contexts"]]
        paths += [f"{corpus}/ngram/order~{order}" for order in ngrams["orders"]]
    return [f"<results>/scores/{path}.npy" for path in paths]


def finished(config: dict, scores: list[str]) -> list[str]:
    """The score arrays that can be had without training: their models are trained already.

    A network counts when any of its candidates is trained, an n-gram model when it is scored.
    """
    return [score for score in scores if any(path.exists() for path in _sources(config, score))]


def trained(config: dict, models: list[str]) -> list[str]:
    """With `only_finished` the candidates that are trained, and else all of them."""
    if not config["only_finished"]:
        return models
    run = f"results/{config['run']}"
    return [path for path in models if Path(path.replace("<results>", run)).exists()]


def labels_of(score: str) -> dict[str, str]:
    """The labels in a score array's path: {"type": "lstm", "layers": "2", ...}."""
    parts = Path(score).with_suffix("").parts
    return dict(part.split("~") for part in parts if "~" in part)


def _sources(config: dict, score: str) -> list[Path]:
    """The files from any of which a score array, below <results>, is to be had at once."""
    path = Path(score.replace("<results>", f"results/{config['run']}"))
    labels = labels_of(score)
    if "order" in labels:
        return [path]
    folder = path.with_suffix("")
    below = folder.relative_to(f"results/{config['run']}/scores")
    if "context" in labels:
        candidates = [f"hidden~{hidden}" for hidden in config["nn"]["hidden"]]
    else:
        model = labels | {"layers": int(labels["layers"]), "size": int(labels["size"])}
        model |= {"corpus": below.parts[0], "seed": int(labels["seed"])}
        candidates = [f"dropout~{dropout}" for dropout in dropouts(config, model)]
    models = Path("results", config["run"], "models", below)
    return [models / candidate / "model.safetensors" for candidate in candidates]


def narrow(config: dict) -> None:
    """Leave of the run only what needs no training (`only_finished`).

    A corpus stays when an LSTM is trained on it and an n-gram model scored, since most figures
    compare these two; of its networks those stay that are trained.
    """
    done = set(finished(config, scores(config)))
    trained = {}
    for corpus in config["use"]:
        networks = [
            cell
            for cell in cells(config, corpus)
            if f"<results>/scores/{corpus}/{CELL}.npy".format(**cell) in done
        ]
        ngram = any(path.startswith(f"<results>/scores/{corpus}/ngram/") for path in done)
        if ngram and any(cell["type"] == "lstm" for cell in networks):
            trained[corpus] = networks
    looks = Path("results", config["run"], "figure5")
    young = config["figures"]["young_lstm"]
    young["corpora"] = [
        c for c in young["corpora"] if c in trained and (looks / f"{c}.csv").exists()
    ]
    config["use"] = list(trained)
    config["trained"] = trained


def fixed_context(scores: list[str]) -> list[str]:
    """Those of n-grams and n-NN models."""
    return [path for path in scores if "/ngram/" in path or "/nn/" in path]


def of_corpora(scores: list[str], corpora: list[str]) -> list[str]:
    """The score arrays of these corpora."""
    return [path for path in scores if any(f"/scores/{corpus}/" in path for corpus in corpora)]


def corpora_of(scores: list[str], corpora: list[str]) -> list[str]:
    """The corpora of these score arrays, in the order of `corpora`."""
    return [corpus for corpus in corpora if of_corpora(scores, [corpus])]


def in_paper(package: Path, corpora: list[str]) -> list[str]:
    """The corpora for which the paper has numbers."""
    rows = (package / "paper.csv").read_text().splitlines()[1:]
    known = {row.split(",")[1] for row in rows}
    return [corpus for corpus in corpora if corpus in known]


# ---- the plain cut ----


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


def plain_scores(config: dict, corpus: str) -> list[str]:
    """The score arrays of a corpus that the plain cut is about: under the run's split, then under
    the plain cut. Each network's first seed stands for it."""
    networks = chosen(config, corpus, config["plain_cut"]["recurrent"])
    first = {(cell["type"], cell["layers"], cell["size"]): cell for cell in reversed(networks)}
    below = [CELL.format(**cell) for cell in reversed(first.values())]
    below += [f"ngram/order~{order}" for order in config["plain_cut"]["orders"]]
    return [
        f"<results>/scores/{name}/{path}.npy" for name in (corpus, plain(corpus)) for path in below
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
    if "corpus" in model:  # a twin under the plain cut is treated as its corpus is
        model = model | {"corpus": model["corpus"].partition(".")[0]}
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
