# Needs: the split corpora.
# Makes: every recurrent network of the grid (one job per dropout candidate), the candidate chosen
#        on validation, and the log-probability that it gives to every test character.

# path of a recurrent network below models/ and scores/
RECURRENT = ModelKey(
    "{corpus}", "recurrent", "{type}", "{layers}", "{size}", "{seed}"
).path
GPUS = host.gpus(SETTINGS.backend)


rule train:
    """Train one recurrent network (type, layers, size, seed, dropout); resumes after a kill."""
    input:
        split="<results>/corpora/{corpus}.npz",
        info="<results>/corpora/{corpus}.json",
    output:
        model=f"<results>/models/{RECURRENT}/dropout~{{dropout}}/model.safetensors",
        history=f"<results>/models/{RECURRENT}/dropout~{{dropout}}/history.csv",
    log:
        f"<logs>/train/{RECURRENT}/dropout~{{dropout}}.log",
    benchmark:
        f"<benchmarks>/train/{RECURRENT}/dropout~{{dropout}}.jsonl"
    priority: priority  # the longest first
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=memory,
        runtime=minutes,
    params:
        options=lambda w: options(SETTINGS.training_of(w.corpus)),
        version=lambda w: version(w.type),  # declares what is computed, in place of the code
        out=subpath(output.model, parent=True),
    shell:
        ALL_ATTEMPTS
        + "charlens train {input.split} --info {input.info} --type {wildcards.type}"
        " --layers {wildcards.layers} --size {wildcards.size} --seed {wildcards.seed}"
        " --dropout {wildcards.dropout} {params.options} --version {params.version}"
        " --threads {threads} --out {params.out} 2>&1 | tee -a {log} >> {params.out}/attempts.log"


rule train_adamw:
    """Train one network of a type like lstm+adamw by the AdamW recipe, at one learning rate."""
    input:
        split="<results>/corpora/{corpus}.npz",
        info="<results>/corpora/{corpus}.json",
    output:
        model=f"<results>/models/{RECURRENT}/rate~{{rate}}/model.safetensors",
        history=f"<results>/models/{RECURRENT}/rate~{{rate}}/history.csv",
    log:
        f"<logs>/train/{RECURRENT}/rate~{{rate}}.log",
    benchmark:
        f"<benchmarks>/train/{RECURRENT}/rate~{{rate}}.jsonl"
    priority: priority
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=memory,
        runtime=minutes,
    params:
        options=options(SETTINGS.adamw_training),
        version=lambda w: version(w.type),
        out=subpath(output.model, parent=True),
    shell:
        ALL_ATTEMPTS
        + "charlens train {input.split} --info {input.info} --type {wildcards.type}"
        " --layers {wildcards.layers} --size {wildcards.size} --seed {wildcards.seed}"
        " --learning-rate {wildcards.rate} {params.options} --version {params.version}"
        " --threads {threads} --out {params.out} 2>&1 | tee -a {log} >> {params.out}/attempts.log"


# Networks that are watched while they are trained also write snapshots of their parameters.
WATCHED = [key for corpus in CORPORA for key in grid.watched(SETTINGS, corpus)]


use rule train as train_watched with:
    output:
        model=f"<results>/models/{RECURRENT}/dropout~{{dropout}}/model.safetensors",
        history=f"<results>/models/{RECURRENT}/dropout~{{dropout}}/history.csv",
        snapshots=f"<results>/models/{RECURRENT}/dropout~{{dropout}}/snapshots.safetensors",
    wildcard_constraints:
        **one_of(WATCHED),
    params:
        options=lambda w: options(
            SETTINGS.training_of(w.corpus)
            | {
                "snapshots": SETTINGS.figures.emergence.snapshots,
                "snapshot-epochs": SETTINGS.figures.emergence.epochs,
            }
        ),
        version=lambda w: version(w.type),
        out=subpath(output.model, parent=True),


ruleorder: train_watched > train


# Where a job trains several networks side by side (networks_per_job), each such job is a rule; it
# comes before those above because it has no wildcards.
for NAME, KEYS in side_by_side().items():
    FOLDERS = [f"<results>/models/{key.path}" for key in KEYS]
    JOB = f"{KEYS[0].chosen.path}/side_by_side/{KEYS[0].candidates}~{KEYS[0].candidate}"

    rule:
        """Train networks that differ in seed and dropout side by side; resumes after a kill."""
        name:
            NAME
        input:
            split=f"<results>/corpora/{KEYS[0].corpus}.npz",
            info=f"<results>/corpora/{KEYS[0].corpus}.json",
        output:
            models=[f"{folder}/model.safetensors" for folder in FOLDERS],
            histories=[f"{folder}/history.csv" for folder in FOLDERS],
        log:
            f"<logs>/train/{JOB}.log",
        benchmark:
            f"<benchmarks>/train/{JOB}.jsonl"
        priority: priority_of(KEYS)
        threads: 1
        resources:
            gpu=GPUS,
            mem_mb=memory_of(KEYS),
            runtime=minutes_of(KEYS),
        params:
            options=options(SETTINGS.training_of(KEYS[0].corpus)),
            version=version(KEYS[0].type),
            # from the output, so that training side by side is no reason to train again
            network=lambda w, output: of_shape(output.models[0]),
            seeds=lambda w, output: [
                ModelKey.parse(path).seed for path in output.models
            ],
            dropouts=lambda w, output: [
                ModelKey.parse(path).candidate for path in output.models
            ],
            out=lambda w, output: [os.path.dirname(path) for path in output.models],
        shell:
            "trap '' TERM USR1; charlens train {input.split} --info {input.info}"
            " {params.network} --seed {params.seeds} --dropout {params.dropouts} {params.options}"
            " --version {params.version} --threads {threads} --out {params.out} > {log} 2>&1"

    as_a_profile_says([*workflow.rules][-1], KEYS)


rule select:
    """Keep the candidate with the lowest validation loss."""
    input:
        lambda w: candidates(ModelKey.parse(RECURRENT.format(**w))),
    output:
        f"<results>/models/{RECURRENT}/best/model.safetensors",
    log:
        f"<logs>/select/{RECURRENT}.log",
    benchmark:
        f"<benchmarks>/select/{RECURRENT}.jsonl"
    localrule: True
    shell:
        "charlens select {input} --out {output} > {log} 2>&1"


rule score:
    """Log-probability of every test character under a trained network."""
    input:
        model=f"<results>/models/{RECURRENT}/best/model.safetensors",
        split="<results>/corpora/{corpus}.npz",
    output:
        scores=f"<results>/scores/{RECURRENT}.npy",
        meta=f"<results>/scores/{RECURRENT}.json",
    log:
        f"<logs>/score/{RECURRENT}.log",
    benchmark:
        f"<benchmarks>/score/{RECURRENT}.jsonl"
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=memory,
        runtime=30,
    params:
        options=options({"backend": SETTINGS.backend}),
        version=lambda w: version(w.type),
    shell:
        "charlens score {input.model} --split {input.split} {params.options}"
        " --threads {threads} --out {output.scores} --meta {output.meta} > {log} 2>&1"
