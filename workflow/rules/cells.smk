# Needs: the recurrent models and the split corpora.
# Makes: activations/<corpus>/..., every gate and state of chosen models over a stretch of test text.

RECORD = config["cells"]["record"]


rule record:
    """Every gate and state of a recurrent model over a stretch of test text."""
    input:
        code=["<src>/activations.py"],
        model=f"<results>/models/{{corpus}}/{CELL}/best/model.safetensors",
        split="<results>/corpora/{corpus}.npz",
    output:
        f"<results>/activations/{{corpus}}/{CELL}.npz",
    log:
        f"<logs>/record/{{corpus}}/{CELL}.log",
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        streams=RECORD["streams"],
        characters=RECORD["characters"],
    shell:
        "charlens record {input.model} --split {input.split} --streams {params.streams}"
        " --characters {params.characters} --threads {threads} --out {output} 2>&1 | tee {log}"


rule activations:
    """Every gate and state of the models that the configuration chooses (cells: record:)."""
    input:
        [
            f"<results>/activations/{corpus}/{CELL}.npz".format(**cell)
            for corpus in config["use"]
            for cell in plan.chosen(config, RECORD["models"])
        ],
    localrule: True
