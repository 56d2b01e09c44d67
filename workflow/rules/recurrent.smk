# Needs: the split corpora.
# Makes: every recurrent model of the grid (one job per dropout candidate), the candidate chosen
#        on validation, and the log-probability that it gives to every test character.

CELLS = {corpus: plan.cells(config, corpus) for corpus in config["use"]}
# one folder per cell of the grid, below models/<corpus>/ and scores/<corpus>/
CELL = plan.CELL
GPUS = plan.gpus(config)


rule train:
    """Train one recurrent model (type, layers, size, seed, dropout); goes on after a kill."""
    input:
        split="<results>/corpora/{corpus}.npz",
        info="<results>/corpora/{corpus}.json",
    output:
        model=f"<results>/models/{{corpus}}/{CELL}/dropout~{{dropout}}/model.safetensors",
        history=f"<results>/models/{{corpus}}/{CELL}/dropout~{{dropout}}/history.csv",
    log:
        f"<logs>/train/{{corpus}}/{CELL}/dropout~{{dropout}}.log",
    benchmark:
        f"<benchmarks>/train/{{corpus}}/{CELL}/dropout~{{dropout}}.jsonl"
    priority: lambda w: priority(w)  # the longest first
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=lambda w: memory(w),
        runtime=24 * 60,
    params:
        options=lambda w: plan.options(plan.training(config, w.corpus)),
        version=lambda w: version(w.type),  # what is computed, in place of the code
        out=subpath(output.model, parent=True),
    shell:
        "charlens train {input.split} --info {input.info} --type {wildcards.type}"
        " --layers {wildcards.layers} --size {wildcards.size} --seed {wildcards.seed}"
        " --dropout {wildcards.dropout} {params.options} --threads {threads}"
        " --out {params.out} 2>&1 | tee {log}"


rule select:
    """Keep the candidate with the lowest validation loss."""
    input:
        lambda w: plan.models(
            config,
            f"<results>/scores/{w.corpus}/{CELL}.npy".format(**w),
            collect(
                f"<results>/models/{{corpus}}/{CELL}/dropout~{{dropout}}/model.safetensors",
                dropout=plan.dropouts(
                    config,
                    {"type": w.type, "layers": int(w.layers), "size": int(w.size)},
                ),
                **w,
            ),
        ),
    output:
        f"<results>/models/{{corpus}}/{CELL}/best/model.safetensors",
    log:
        f"<logs>/select/{{corpus}}/{CELL}.log",
    localrule: True
    shell:
        "charlens select {input} --out {output} 2>&1 | tee {log}"


rule score:
    """Log-probability of every test character under a trained model."""
    input:
        model=f"<results>/models/{{corpus}}/{CELL}/best/model.safetensors",
        split="<results>/corpora/{corpus}.npz",
    output:
        scores=f"<results>/scores/{{corpus}}/{CELL}.npy",
        meta=f"<results>/scores/{{corpus}}/{CELL}.json",
    log:
        f"<logs>/score/{{corpus}}/{CELL}.log",
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=lambda w: memory(w),
        runtime=30,
    params:
        options=plan.options({"backend": config["backend"]}),
        version=lambda w: version(w.type),
    shell:
        "charlens score {input.model} --split {input.split} {params.options}"
        " --threads {threads} --out {output.scores} --meta {output.meta} 2>&1 | tee {log}"
