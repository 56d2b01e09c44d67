"""What a configuration asks for: checks on it, the grid of models, and command-line options.

The Snakefile imports this, so it imports nothing slow.
"""

import ast
import contextlib
import fcntl
import json
import math
import os
import re
import shlex
import shutil
from importlib import metadata
from itertools import product
from pathlib import Path

from charlens.errors import InputError
from charlens.networks import model_file
from charlens.store.models import deepest

# where each model lies, below models/<corpus>/ and scores/<corpus>/
CELL = "type~{type}/layers~{layers}/size~{size}/seed~{seed}"
NN = "nn/context~{context}/seed~{seed}"


def check(config: dict, schema: Path) -> None:
    """Refuse what the schema or common sense forbids, with one line that names the key."""
    from jsonschema import Draft202012Validator, validators
    from jsonschema.exceptions import best_match

    # 5.0 is no whole number on a command line, nor .nan one that can be computed with
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: whole(value),
            "number": lambda _, value: (
                whole(value) or (isinstance(value, float) and math.isfinite(value))
            ),
        }
    )
    validator = validators.extend(Draft202012Validator, type_checker=types)(
        json.loads(schema.read_text())
    )
    if error := best_match(validator.iter_errors(config)):
        where = ".".join(map(str, error.absolute_path)) or "config"
        message = error.message
        if error.validator == "type" and re.fullmatch(r"[-+]?\d+e[-+]?\d+", str(error.instance)):
            message += " (YAML reads 1e-3 as text; write 1.0e-3)"
        raise InputError(f"{where}: {message}; see config.yaml for what may stand here")
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
            if len(ways) != 1:
                both = " and ".join(sorted(ways)) + "; one way is enough"
                raise InputError(
                    f"corpora.{corpus}.sources: '{source['name']}' has "
                    + (both if ways else "no url, recipe, package or path")
                )
    named = {
        "cells.passages": list(config["cells"]["passages"]),
        "plain_cut.corpora": config["plain_cut"]["corpora"],
        "figures.young_lstm.corpora": config["figures"]["young_lstm"]["corpora"],
        "grid.seeds": [c for e in config["grid"]["seeds"] for c in e.get("corpora", [])],
    }
    for key, corpora in named.items():
        for corpus in corpora:
            if corpus not in config["corpora"]:
                raise InputError(f"{key}: no corpus '{corpus}' among corpora")
    grid = config["grid"]
    types = {
        "grid.types": grid["types"],
        "grid.omit": [entry["type"] for entry in grid["omit"] if "type" in entry],
        "grid.dropout": [type for entry in grid["dropout"] for type in entry.get("types", [])],
        "grid.seeds": [type for entry in grid["seeds"] for type in entry.get("types", [])],
        "plain_cut.recurrent": [
            entry["type"] for entry in config["plain_cut"]["recurrent"] if "type" in entry
        ],
        "cells.gates": config["cells"]["gates"],
        "cells.record.models": [
            entry["type"] for entry in config["cells"]["record"]["models"] if "type" in entry
        ],
    }
    for key, named_there in types.items():
        for type in named_there:
            check_cell(key, type)
    for corpus in config["use"]:
        if not any(model["type"] == "lstm" for model in cells(config, corpus)):
            raise InputError("grid.types: needs lstm, which figures 4 and 5 are about")
        for model in cells(config, corpus):
            dropouts(config, model)
        streams = split(config, corpus)["streams"]
        for stream in config["cells"]["record"]["streams"]:
            if stream >= streams:
                raise InputError(
                    f"cells.record.streams: {stream}, but of {corpus} there are streams 0 to"
                    f" {streams - 1}"
                )
    cut = set(config["use"]) & set(config["plain_cut"]["corpora"])
    for order in config["plain_cut"]["orders"] if cut else []:
        if config["split"]["layout"] == "streams" and order not in config["ngrams"]["orders"]:
            raise InputError(f"plain_cut.orders: {order} is not among ngrams.orders")


def whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check_cell(key: str, type: str) -> None:
    """Is there a file for a type of recurrent cell, and is it one? Key: where it is named."""
    folder = Path(__file__).parents[1] / "networks/cells"
    path = folder / f"{type}.py"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("[a-z]*.py")))
        raise InputError(f"{key}: no cell '{type}' ({path}); there are {known}")
    if type == "nn":
        raise InputError(f"{key}: a cell cannot be called nn, which is what the n-NN are called")
    try:
        lines = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or "?"
        raise InputError(f"{key}: {path}, line {line}: {error.args[0]}") from None
    has = set()
    for line in lines:
        if isinstance(line, ast.FunctionDef):
            has.add(line.name)
        elif isinstance(line, ast.ImportFrom):
            has |= {name.asname or name.name for name in line.names}
        else:
            names = (node for node in ast.walk(line) if isinstance(node, ast.Name))
            has |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
    for name in ("GATES", "STATES", "recurrent_shapes", "step"):
        if name not in has:
            raise InputError(f"{key}: {path} has no {name}; cells/__init__.py says what it needs")


def cells(config: dict, corpus: str) -> list[dict]:
    """The recurrent models of a corpus: type, layers, size, seed. The largest come first."""
    if "trained" in config:  # see `narrow`
        return config["trained"][corpus]
    return every_cell(config, corpus)


def every_cell(config: dict, corpus: str) -> list[dict]:
    """Those of the whole grid, whatever is trained."""
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


# ---- only_finished: what there is without training ----

PUBLISHED = Path("results/reference")


def finished(config: dict, scores: list[str]) -> list[str]:
    """The score arrays that can be had without training: their models are at hand.

    An n-gram model counts when it is scored, or published: fitting it again takes minutes.
    """
    return [score for score in scores if _at_hand(config, score)]


def for_tables(config: dict, scores: list[str]) -> list[str]:
    """Where tables read scores from. With `only_finished`: the array of a model that was trained
    here, or of an n-gram model beside such networks; else what was published of it. What is
    neither here nor there is left out."""
    if not config["only_finished"]:
        return scores
    found = []
    for score in scores:
        if _from_here(config, score):
            found.append(score)
        elif _published(score).exists():
            found.append(str(_published(score)))
    return found


def models(config: dict, score: str, candidates: list[str]) -> list[str]:
    """The model files among which validation chooses, below <results>: all candidates. With
    `only_finished`: those that are trained, or else the model as it was published."""
    if not config["only_finished"]:
        return candidates
    trained, adopted = _trained(config, score), _adopted(score)
    return trained if _from_here(config, score) else adopted or trained


def young(config: dict) -> list[str]:
    """The corpora in use on which an LSTM's first epochs are looked at (figure 5)."""
    return [c for c in config["figures"]["young_lstm"]["corpora"] if c in config["use"]]


def looks(config: dict, corpus: str) -> str:
    """The first epochs of an LSTM beside the n-NN: those of this run, or else as published."""
    path = f"<results>/figure5/{corpus}.csv"
    if config["only_finished"] and not _here(config, path).exists():
        return str(PUBLISHED / f"figure5/{corpus}.csv")
    return path


def published_figure6(config: dict) -> list[str]:
    """The published numbers of figure 6, in which those of models may stand that are not here."""
    path = PUBLISHED / "figures/figure6.csv"
    if not config["only_finished"] or not path.exists():
        return []
    models = [(c, cell) for c in config["use"] for cell in every_cell(config, c)]
    lstms = [
        f"<results>/scores/{corpus}/{CELL}.npy".format(**cell)
        for corpus, cell in models
        if cell["type"] == "lstm"
    ]
    return [] if all(_trained(config, score) for score in lstms) else [str(path)]


def narrow(config: dict) -> None:
    """Leave of the run only what needs no training (`only_finished`).

    A corpus stays when an LSTM is at hand and an n-gram model, since most figures compare these
    two; of its networks those stay that are at hand. Raises InputError where results/reference
    holds something that would not fit beside this run.
    """
    restore(PUBLISHED)
    check_published(config)
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
    config["figures"]["young_lstm"]["corpora"] = [
        corpus
        for corpus in young(config)
        if corpus in trained and _here(config, looks(config, corpus)).exists()
    ]
    config["use"] = list(trained)
    config["trained"] = trained


def earlier(published: Path) -> Path:
    """Where a publication lies while another takes its place."""
    return published.with_name(f".{published.name}.old")


def restore(published: Path) -> None:
    """Bring back what was published before, where publishing anew was killed on the last steps."""
    if not published.exists() and earlier(published).exists():
        earlier(published).rename(published)


def settings(config: dict) -> dict:
    """What published models have in common: the run, and how each corpus is split and trained."""
    corpora = {}
    for corpus in config["use"]:
        recipe = training(config, corpus)
        del recipe["backend"]
        corpora[corpus] = {
            "fractions": config["corpora"][corpus]["fractions"],
            "split": split(config, corpus),
            "training": recipe,
        }
    return {"run": config["run"], "corpora": corpora}


def check_published(config: dict) -> None:
    """Models of this run and those in results/reference stand side by side in tables: refuse
    where they were not made in the same way."""
    path = PUBLISHED / "settings.json"
    if not path.exists():
        return
    try:
        there, here = json.loads(path.read_text()), settings(config)
        run, corpora = there["run"], dict(there["corpora"])
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not the settings of published models") from None
    instead = f"remove {PUBLISHED} to publish this run alone"
    if run != here["run"]:
        raise InputError(f"{PUBLISHED} holds the run '{run}', not '{here['run']}': {instead}")
    for corpus, about in corpora.items():
        if corpus not in here["corpora"]:
            raise InputError(f"{PUBLISHED} holds {corpus}, which is not among use: {instead}")
        for key, value in here["corpora"][corpus].items():
            if about.get(key) != value:
                was = f"{key} {about.get(key)}"
                raise InputError(f"{PUBLISHED} holds {corpus} with {was}, not {value}: {instead}")


def below_scores(path: str) -> str:
    """<corpus>/<model>, of the path of a model's scores, wherever they lie."""
    return path.rpartition("scores/")[2].removesuffix(".npy").removesuffix(".json")


def _here(config: dict, path: str) -> Path:
    return Path(path.replace("<results>", f"results/{config['run']}"))


def _published(score: str) -> Path:
    return PUBLISHED / f"scores/{below_scores(score)}.json"


def _at_hand(config: dict, score: str) -> bool:
    if "/ngram/" in score:
        return _here(config, score).exists() or _published(score).exists()
    return bool(_from_here(config, score) or _adopted(score))


def _from_here(config: dict, score: str) -> bool:
    """Is a model taken from this machine? Not if it is not at hand; nor if the one that was
    published has a dropout (of an n-NN: a hidden size) that was not tried here, and validates
    better."""
    if "/ngram/" in score:
        beside = below_scores(score).partition("/")[0] in config["trained"]
        return _here(config, score).exists() or beside and _at_hand(config, score)
    trained = _trained(config, score)
    if not trained or not _published(score).exists():
        return bool(trained)
    here = [model_file.about(_here(config, path)) for path in trained]
    try:
        there = json.loads(_published(score).read_text())
        chosen = "hidden" if there["family"] == "nn" else "dropout"
        tried = [about[chosen] for about in here]
        better = all(there["val_loss"] < about["val_loss"] for about in here)
        return there[chosen] in tried or not better
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{_published(score)}: not what is published of a model; remove it, or bring it back"
        ) from None


def _trained(config: dict, score: str) -> list[str]:
    """The candidates of a model that are trained, below <results>."""
    labels, below = labels_of(score), below_scores(score)
    if "order" in labels:
        return []
    if "context" in labels:
        candidates = [f"hidden~{hidden}" for hidden in config["nn"]["hidden"]]
    else:
        model = labels | {"layers": int(labels["layers"]), "size": int(labels["size"])}
        model |= {"corpus": below.partition("/")[0], "seed": int(labels["seed"])}
        candidates = [f"dropout~{dropout}" for dropout in dropouts(config, model)]
    files = [f"<results>/models/{below}/{name}/model.safetensors" for name in candidates]
    return [file for file in files if _here(config, file).exists()]


def _adopted(score: str) -> list[str]:
    """The model as it was published in half precision, if it was."""
    labels, corpus = labels_of(score), below_scores(score).partition("/")[0]
    for path in sorted(PUBLISHED.glob(f"models/{corpus}-{labels.get('type')}*.safetensors")):
        about = model_file.about(path)
        if all(str(about[key]) == labels[key] for key in ("type", "layers", "size", "seed")):
            return [str(path)]
    return []


def labels_of(score: str) -> dict[str, str]:
    """The labels in a score array's path: {"type": "lstm", "layers": "2", ...}."""
    parts = Path(score).with_suffix("").parts
    return dict(part.split("~") for part in parts if "~" in part)


# ---- parts of the run ----


def recurrent(scores: list[str]) -> list[str]:
    """Those of recurrent networks."""
    return [path for path in scores if "/type~" in path]


def fixed_context(scores: list[str]) -> list[str]:
    """Those of n-grams and n-NN models."""
    return [path for path in scores if "/ngram/" in path or "/nn/" in path]


def of_corpora(scores: list[str], corpora: list[str]) -> list[str]:
    """The score arrays of these corpora."""
    return [path for path in scores if any(f"/scores/{corpus}/" in path for corpus in corpora)]


def corpora_of(scores: list[str], corpora: list[str]) -> list[str]:
    """The corpora of these score arrays, in the order of `corpora`."""
    return [corpus for corpus in corpora if of_corpora(scores, [corpus])]


def ngrams_of(scores: list[str], corpus: str) -> set[str]:
    """The names of the n-gram models of a corpus among these score arrays."""
    return {Path(path).stem for path in of_corpora(scores, [corpus]) if "/ngram/" in path}


def in_paper(package: Path, corpora: list[str]) -> list[str]:
    """The corpora for which the paper has numbers."""
    rows = (package / "store/paper.csv").read_text().splitlines()[1:]
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
    networks = fitting(every_cell(config, corpus), config["plain_cut"]["recurrent"])
    first = {(cell["type"], cell["layers"], cell["size"]): cell for cell in reversed(networks)}
    below = [CELL.format(**cell) for cell in reversed(first.values())]
    below += [f"ngram/order~{order}" for order in config["plain_cut"]["orders"]]
    return [
        f"<results>/scores/{name}/{path}.npy" for name in (corpus, plain(corpus)) for path in below
    ]


def fitting(models: list[dict], entries: list[dict]) -> list[dict]:
    """The models that fit an entry; an entry names some of their keys."""
    return [model for model in models if any(entry.items() <= model.items() for entry in entries)]


def some(paths: list[str], key: str) -> list[str]:
    """These paths. Raises InputError where the configuration's key leaves none."""
    if not paths:
        raise InputError(f"{key}: fits no model of the grid")
    return paths


def looked_into(config: dict, corpus: str) -> list[dict]:
    """The models of a corpus inside of which figures 2 and 3 may look: every LSTM, and of each type
    of `cells.gates` those with 3 layers, or else of the greatest depth."""
    every = cells(config, corpus)
    return [
        model
        for model in every
        if model["type"] == "lstm"
        or model["type"] in config["cells"]["gates"]
        and model in deepest(every, model["type"])
    ]


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


def own_files(config: dict, corpus: str) -> list[str]:
    """The files of the user's own that a corpus is made of: it is made anew when they change."""
    sources = config["corpora"][corpus]["sources"]
    named = [source.get("path") or source.get("recipe", {}).get("archive") for source in sources]
    paths = [Path(path).expanduser() for path in named if path]
    return [str(path) for path in paths if path.is_file()]


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
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
        with contextlib.suppress(metadata.PackageNotFoundError):  # asked without importing it
            hidden = hidden or metadata.version("torch").endswith("+cpu")
        return int(shutil.which("nvidia-smi") is not None and not hidden)
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
