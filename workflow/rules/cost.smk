# Functions for the other files here: memory, run time and priority of trainings.


def text(corpus):
    """Length and alphabet of a corpus, as far as they are known."""
    about = SETTINGS.of_corpus(corpus)
    info = RESULTS / f"corpora/{corpus}.json"
    return cost.Text.of(
        info, about.sources[0].model_dump(exclude_none=True), about.fractions
    )


def network(w):
    """The network of a training or scoring job; of an n-NN yet to be chosen, the largest."""
    symbols = text(w.corpus).symbols
    if hasattr(w, "context"):
        hidden = getattr(w, "hidden", max(SETTINGS.nn.hidden))
        return cost.Architecture("nn", 1, int(hidden), symbols, int(w.context))
    return cost.recurrent(w.type, int(w.layers), int(w.size), symbols)


def memory(w, attempt=1):
    """mem_mb of a training or scoring job; twice as much after a failure, and so on."""
    split = SETTINGS.split
    needed = cost.memory_mb(
        network(w), text(w.corpus), split.streams, split.unroll, gpu=GPUS > 0
    )
    return needed * attempt


def updates(w):
    """The work of a training, as `cost` expects it."""
    by_adamw = hasattr(w, "rate")
    training = SETTINGS.adamw_training if by_adamw else SETTINGS.training_of(w.corpus)
    return cost.training(text(w.corpus), training["epochs"])


def minutes(w, attempt):
    """runtime of a training."""
    return cost.runtime_minutes(network(w), updates(w), attempt)


def priority_of(keys):
    """priority of a job that trains these networks side by side."""
    return lambda w: max(map(priority, keys))


def memory_of(keys):
    """mem_mb of such a job: one process, however many networks."""
    shared = (len(keys) - 1) * cost.process_mb(gpu=GPUS > 0)
    return lambda w, attempt: (sum(map(memory, keys)) - shared) * attempt


def minutes_of(keys):
    """runtime of such a job: as if the networks were trained one after the other, at most a day."""
    return lambda w, attempt: min(
        cost.MOST_MINUTES, sum(minutes(key, attempt) for key in keys)
    )


def first_epochs(corpus):
    """The work of figure 5's training, as `cost.priority` expects it."""
    about = SETTINGS.figures.first_epochs
    lstm = grid.first_epochs_lstm(SETTINGS, corpus)
    arch = cost.recurrent("lstm", lstm.layers, lstm.size, text(corpus).symbols)
    return arch, cost.first_epochs(text(corpus), about.epochs, about.snapshots)


def priority(w):
    """The priority of a training. Figure 5 waits for every n-NN and for the deepest LSTMs."""
    work = [(network(w), updates(w))]
    if w.corpus in FIRST_EPOCHS and (hasattr(w, "context") or w.type == "lstm"):
        lstm, characters = first_epochs(w.corpus)
        if hasattr(w, "context") or int(w.layers) == lstm.layers:
            work.append((lstm, characters))
    return cost.priority(*work)


def trainings():
    """The work of each training of the run, as `cost.priority` has it, by its model file."""
    every = grid.trainings(SETTINGS)
    texts = {corpus: text(corpus) for corpus in {key.corpus for key in every}}
    work = {}
    for key in every:
        its = texts[key.corpus]
        updates = cost.training(its, grid.epochs(SETTINGS, key))
        model = f"{RESULTS}/models/{key.path}/model.safetensors"
        work[model] = cost.priority((cost.network(key, its.symbols, 0), updates))
    return work


def work_side_by_side(work):
    """The work of a job that trains several networks side by side, by its rule. work: as from
    `trainings`."""
    return {
        job: sum(work[f"{RESULTS}/models/{key.path}/model.safetensors"] for key in keys)
        for job, keys in side_by_side().items()
    }


def calibration():
    """What `charlens calibrate` needs to know of the run: two networks of each cell type to time, a
    small and a large one, and what else the time of jobs depends on."""
    entries = grid.entries(SETTINGS)
    ends = []
    for type in SETTINGS.grid.types:
        own = [e for e in entries if cell_of(e["type"]) == type]
        own.sort(key=lambda entry: (entry["size"], entry["layers"]))
        ends += [{"family": "recurrent"} | entry for entry in own[:1] + own[1:][-1:]]
    for pick in (min, max):
        context, hidden = pick(SETTINGS.nn.contexts), pick(SETTINGS.nn.hidden)
        ends.append({"family": "nn", "n": context, "candidate": hidden})
    return grid.facts_for_times(SETTINGS) | {
        "networks": ends,
        "streams": SETTINGS.split.streams,
        "unroll": SETTINGS.split.unroll,
        "gpus": GPUS,
        "fractions": {c: SETTINGS.corpora[c].fractions for c in CORPORA},
    }
