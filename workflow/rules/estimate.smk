# Needs: the texts, where they are already there.
# Makes: what trainings ask for and which go first; when asked for, the speed of this machine, from
#        which `make estimate` says how long what is left of the run takes.


def text(corpus):
    """Length and alphabet of a corpus, as far as they are known."""
    about = config["corpora"][corpus]
    info = Path(f"results/{config['run']}/corpora/{corpus}.json")
    return cost.Text.of(info, about["sources"][0], about["fractions"])


def network(w):
    """The network of a training or scoring; of an n-NN yet to be chosen, the largest."""
    symbols = text(w.corpus).symbols
    if hasattr(w, "context"):
        hidden = getattr(w, "hidden", max(config["nn"]["hidden"]))
        return cost.Architecture("nn", 1, int(hidden), symbols, int(w.context))
    return cost.recurrent(w.type, int(w.layers), int(w.size), symbols)


def memory(w):
    """mem_mb of a training or scoring."""
    split = config["split"]
    return cost.memory_mb(
        network(w), text(w.corpus), split["streams"], split["unroll"], gpu=GPUS > 0
    )


def young(corpus):
    """The LSTM of figure 5 is the best of the deepest: most likely the largest."""
    return max(plan.deepest(CELLS[corpus], "lstm"), key=lambda cell: cell["size"])


def first_epochs(corpus):
    """The work of figure 5's training, as `cost.priority` wants it."""
    largest, about = young(corpus), config["figures"]["young_lstm"]
    arch = cost.recurrent(
        "lstm", largest["layers"], largest["size"], text(corpus).symbols
    )
    return arch, cost.first_epochs(text(corpus), about["epochs"], about["looks"])


def priority(w):
    """Of a training. Figure 5 waits for every n-NN and for the deepest LSTMs."""
    epochs = plan.training(config, w.corpus)["epochs"]
    work = [(network(w), cost.training(text(w.corpus), epochs))]
    if w.corpus in plan.young(config):
        deepest = ("lstm", young(w.corpus)["layers"])
        if hasattr(w, "context") or (w.type, int(w.layers)) == deepest:
            work.append(first_epochs(w.corpus))
    return cost.priority(*work)


def calibration():
    """What `charlens calibrate` needs to know of the run: two networks of each type to time, a
    small and a large one, and what else the time of jobs depends on."""
    largest = young(config["use"][0])
    cells = [cell for corpus in config["use"] for cell in CELLS[corpus]]
    ends = []
    for type in config["grid"]["types"]:
        own = sorted((c["size"], c["layers"]) for c in cells if c["type"] == type)
        ends += [
            {"kind": "recurrent", "type": type, "layers": layers, "size": size}
            for size, layers in dict.fromkeys((own[0], own[-1]))
        ]
    for pick in (min, max):
        context, hidden = pick(config["nn"]["contexts"]), pick(config["nn"]["hidden"])
        ends.append({"kind": "nn", "n": context, "candidate": hidden})
    return {
        "networks": ends,
        "streams": config["split"]["streams"],
        "unroll": config["split"]["unroll"],
        "gpus": GPUS,
        "hidden": config["nn"]["hidden"],
        "epochs": {c: plan.training(config, c)["epochs"] for c in config["use"]},
        "young": config["figures"]["young_lstm"]
        | {"layers": largest["layers"], "size": largest["size"]},
        "fractions": {c: config["corpora"][c]["fractions"] for c in config["use"]},
    }


rule calibrate:
    """Measure how fast this machine trains, in half a minute; no other rule needs it."""
    input:
        collect("<results>/corpora/{corpus}.json", corpus=config["use"]),
    output:
        "results/calibration.json",
    log:
        "<logs>/calibrate.log",
    localrule: True
    threads: 1
    params:
        settings=json.dumps(calibration()),
        options=plan.options({"backend": config["backend"]}),
    shell:
        "charlens calibrate --settings {params.settings:q} --info {input} {params.options} --out {output} 2>&1 | tee {log}"
