# Needs: the split corpora.
# Makes: the n-NN baselines (one job per hidden size), the hidden size chosen on validation, and
#        the log-probability that it gives to every test character.

NN = plan.NN


rule train_nn:
    """Train one n-NN (context, seed, hidden size); goes on after a kill."""
    input:
        split="<results>/corpora/{corpus}.npz",
        info="<results>/corpora/{corpus}.json",
    output:
        model=f"<results>/models/{{corpus}}/{NN}/hidden~{{hidden}}/model.safetensors",
        history=f"<results>/models/{{corpus}}/{NN}/hidden~{{hidden}}/history.csv",
    log:
        f"<logs>/train/{{corpus}}/{NN}/hidden~{{hidden}}.log",
    benchmark:
        f"<benchmarks>/train/{{corpus}}/{NN}/hidden~{{hidden}}.jsonl"
    priority: lambda w: priority(w)
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=lambda w: memory(w),
        runtime=6 * 60,
    params:
        options=lambda w: plan.options(plan.training(config, w.corpus)),
        version=version("nn"),
        out=subpath(output.model, parent=True),
    shell:
        "charlens train {input.split} --info {input.info} --type nn"
        " --context {wildcards.context} --hidden {wildcards.hidden} --seed {wildcards.seed}"
        " {params.options} --threads {threads} --out {params.out} 2>&1 | tee {log}"


use rule select as select_nn with:
    input:
        lambda w: plan.models(
            config,
            f"<results>/scores/{w.corpus}/{NN}.npy".format(**w),
            collect(
                f"<results>/models/{{corpus}}/{NN}/hidden~{{hidden}}/model.safetensors",
                hidden=config["nn"]["hidden"],
                **w,
            ),
        ),
    output:
        f"<results>/models/{{corpus}}/{NN}/best/model.safetensors",
    log:
        f"<logs>/select/{{corpus}}/{NN}.log",


use rule score as score_nn with:
    input:
        model=f"<results>/models/{{corpus}}/{NN}/best/model.safetensors",
        split="<results>/corpora/{corpus}.npz",
    output:
        scores=f"<results>/scores/{{corpus}}/{NN}.npy",
        meta=f"<results>/scores/{{corpus}}/{NN}.json",
    log:
        f"<logs>/score/{{corpus}}/{NN}.log",
    params:
        options=plan.options({"backend": config["backend"]}),
        version=version("nn"),
