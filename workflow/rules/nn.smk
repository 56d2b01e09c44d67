# Needs: the split corpora.
# Makes: the n-NN baselines (one job per hidden size), the hidden size chosen on validation, and
#        the log-probability that it gives to every test character.

NN = ModelKey("{corpus}", "nn", seed="{seed}", n="{context}").path


rule train_nn:
    """Train one n-NN (context, seed, hidden size); resumes after a kill."""
    input:
        split="<results>/corpora/{corpus}.npz",
        info="<results>/corpora/{corpus}.json",
    output:
        model=f"<results>/models/{NN}/hidden~{{hidden}}/model.safetensors",
        history=f"<results>/models/{NN}/hidden~{{hidden}}/history.csv",
    log:
        f"<logs>/train/{NN}/hidden~{{hidden}}.log",
    benchmark:
        f"<benchmarks>/train/{NN}/hidden~{{hidden}}.jsonl"
    priority: priority
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=memory,
        runtime=minutes,
    params:
        options=lambda w: options(SETTINGS.training_of(w.corpus)),
        version=version("nn"),
        out=subpath(output.model, parent=True),
    shell:
        ALL_ATTEMPTS
        + "charlens train {input.split} --info {input.info} --type nn --context {wildcards.context}"
        " --hidden {wildcards.hidden} --seed {wildcards.seed}"
        " {params.options} --threads {threads} --out {params.out}"
        " 2>&1 | tee -a {log} >> {params.out}/attempts.log"


use rule select as select_nn with:
    input:
        lambda w: candidates(ModelKey.parse(NN.format(**w))),
    output:
        f"<results>/models/{NN}/best/model.safetensors",
    log:
        f"<logs>/select/{NN}.log",
    benchmark:
        f"<benchmarks>/select/{NN}.jsonl"


use rule score as score_nn with:
    input:
        model=f"<results>/models/{NN}/best/model.safetensors",
        split="<results>/corpora/{corpus}.npz",
    output:
        scores=f"<results>/scores/{NN}.npy",
        meta=f"<results>/scores/{NN}.json",
    log:
        f"<logs>/score/{NN}.log",
    benchmark:
        f"<benchmarks>/score/{NN}.jsonl"
    params:
        options=options({"backend": SETTINGS.backend}),
        version=version("nn"),
