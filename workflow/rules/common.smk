# Functions for the other files here: what jobs depend on, and paths of models.


def unprefixed(path):
    """A file that no rule makes, as rules name it. Relative, so that moving the project folder reruns
    nothing; absolute in a module, whose prefix is for what rules make."""
    return os.path.abspath(path) if IS_MODULE else os.path.relpath(path)


MODULES = set()  # of the package, that some rule runs


def code(*names):
    """The files of the package that a job runs; see runs/modules.py."""
    files = [unprefixed(HOME / "src/charlens" / file) for file in modules.files(*names)]
    MODULES.update(files)
    return files


content = functools.cache(sha256)  # of a file: modules are inputs of many rules


@functools.cache
def digest(paths):
    """What files hold, in short."""
    return hashlib.sha256("".join(map(content, paths)).encode()).hexdigest()[:16]


def published_seeds():
    """What claims read of another publication (claims: seeds_from)."""
    folder = SETTINGS.claims.seeds_from
    if not folder:
        return []
    of_corpora = [digests_of_networks(folder, corpus) for corpus in CORPORA]
    if not any(of_corpora):
        sys.exit(
            f"charlens: error: claims.seeds_from: {folder} has no networks of {', '.join(CORPORA)};"
            " correct the path, or remove the key"
        )
    return [unprefixed(path) for found in of_corpora for path in found]


def own_files(wildcards):
    """The user's files that a corpus is made from; in a module without its prefix, so that they may
    be what rules of the other workflow make."""
    origin = fetched(wildcards.corpus, "origin")
    paths = list(map(str, grid.own_paths(SETTINGS, wildcards.corpus, origin)))
    return [local(path) for path in paths] if IS_MODULE else paths


def own_digest(wildcards):
    """The digest of the first of these files that is there, or of one that is gone what it held, as
    `charlens fetch` noted it. None in a module: a rule may not have made the file yet.
    """
    if IS_MODULE:
        return None
    found = [path for path in map(Path, own_files(wildcards)) if path.is_file()]
    return content(found[0]) if found else fetched(wildcards.corpus, "file_sha256")


def fetched(corpus, key):
    """A fact of the text of a corpus that the run has already; None if it has none."""
    try:
        return json.loads((RESULTS / f"corpora/{corpus}.json").read_text())[key]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def titled(corpora):
    """The provenance of these corpora under their present titles."""
    return [f"<results>/corpora/titled/{corpus}.json" for corpus in corpora]


# The beginning of a training's command. bash and tee leave the signals that stop a training to it,
# which ends in good order. The log is that of all attempts: Snakemake removes {log} before each.
ALL_ATTEMPTS = (
    "trap '' TERM USR1; touch {params.out}/attempts.log"
    " && cp {params.out}/attempts.log {log} && "
)


def scores(keys):
    """The score arrays of these models."""
    return [f"<results>/scores/{key.path}.npy" for key in keys]


def networks(keys):
    """The model files of these networks, each the candidate chosen on validation."""
    return [f"<results>/models/{key.path}/best/model.safetensors" for key in keys]


def said_of_units(wildcards):
    """What the cells of the networks of a job say of single units; see networks/cells."""
    types = (
        [wildcards.type]
        if "type" in wildcards.keys()
        else {key.type for key in grid.looked_into(SETTINGS, wildcards.corpus)}
    )
    return {type: of_units(type) for type in sorted(types)}


def candidates(key):
    """The model files of the candidates for a network."""
    return [
        f"<results>/models/{candidate.path}/model.safetensors"
        for candidate in grid.candidates(SETTINGS, key)
    ]


def is_there(key):
    """Whether the run has trained this network."""
    return Path(RESULTS, "models", key.path, "model.safetensors").exists()


@functools.cache
def side_by_side():
    """The networks of each job that trains several, by the name of its rule.

    Networks that are there have a job apart: before a job, Snakemake removes all that it makes, and
    after it makes again all that follows. The digits at the end of a name say which of the networks
    that could share a job do. A node of a cluster goes by them: by then, more networks are there.
    """
    told = "" if workflow.is_main_process else " ".join(sys.argv)
    jobs = {}
    for number, keys in enumerate(grid.side_by_side(SETTINGS)):
        first = keys[0]  # its corpus can be a-b or a_b, so the number is needed, too
        shape = f"{first.corpus}_{first.type}_{first.layers}x{first.size}_{number}_"
        name = console.SIDE_BY_SIDE + re.sub(r"\W", "_", shape)
        missing = "".join(str(int(not is_there(key))) for key in keys)
        there = missing.translate(str.maketrans("01", "10"))
        for digits in re.findall(rf"{name}([01]+)", told) or (missing, there):
            some = [key for key, digit in zip(keys, digits) if digit == "1"]
            if len(some) > 1:
                jobs[name + digits] = some
    return jobs


def as_a_profile_says(job, keys):
    """Give the rule that trains these networks in one job what a profile sets for `train`, whose name
    profiles know, in place of the rule's own resources. But for memory: what a profile asks for is
    that of one network."""
    set_for = workflow.resource_settings.overwrite_resources
    for_one = set_for.get(rules.train.rule.name, {})
    job.resources.update(for_one)
    job.resources.update(
        {name: memory_of(keys) for name in for_one if name.endswith("mem_mb")}
    )
    job.resources.update(set_for.get(job.name, {}))


def of_shape(model):
    """The options of `charlens train` that say what networks of one shape have in common."""
    key = ModelKey.parse(model)
    return options({"type": key.type, "layers": key.layers, "size": key.size})


def histories(key):
    """The histories of the candidates for a network."""
    return [
        f"<results>/models/{candidate.path}/history.csv"
        for candidate in grid.candidates(SETTINGS, key)
    ]


def deepest_lstms(corpus):
    """The LSTMs of figures 4 and 5: three layers, or the deepest there are."""
    return grid.deepest(SETTINGS, corpus, "lstm")


def lstms_and_ngrams(corpora, lstms):
    """The score arrays of the LSTMs that a figure may show, and of all n-gram models."""
    return [
        path
        for corpus in corpora
        for path in scores(lstms(corpus) + grid.ngrams(SETTINGS, corpus))
    ]


def one_of(keys):
    """Wildcard constraints that hold for these networks (and mixtures of them), and no other."""
    fields = {
        "corpus": "corpus",
        "type": "type",
        "layers": "layers",
        "size": "size",
        "dropout": "candidate",
    }
    return {
        wildcard: "|".join(
            sorted({re.escape(str(getattr(key, field))) for key in keys})
        )
        or "none"
        for wildcard, field in fields.items()
    }


def recorded(wildcards):
    """The activations of the networks that `cells.record.models` selects."""
    found = [
        f"<results>/activations/{key.path}.npz"
        for corpus in CORPORA
        for key in grid.fitting(
            grid.recurrent(SETTINGS, corpus), SETTINGS.cells.record.models
        )
    ]
    if not found:
        raise InputError(
            "cells.record.models: no network of the grid matches; name some of its types, layers and sizes"
        )
    return found


def of_type(corpus, type):
    """The networks of a type."""
    return [key for key in grid.recurrent(SETTINGS, corpus) if key.type == type]


def scores_of_type(w, *others):
    """The scores of the networks of a type, and of all models of other kinds."""
    return [
        path
        for corpus in CORPORA
        for keys in (
            of_type(corpus, w.type),
            *(some(SETTINGS, corpus) for some in others),
        )
        for path in scores(keys)
    ]


def of_corpora(path):
    """A path of types/<type>/ for every corpus."""
    return [
        f"<results>/types/{{type}}/{path}".replace("CORPUS", corpus)
        for corpus in CORPORA
    ]
