# Needs: trained models; with only_finished (make publish) whichever there are, on this machine or
#        published before.
# Makes: published/<corpus>-<type>.safetensors, the best LSTM and GRU in half precision; and
#        results/reference/, a copy of all that people read of the run.

HALVED = [
    (corpus, type)
    for corpus in config["use"]
    for type in ("lstm", "gru")
    if any(cell["type"] == type for cell in CELLS[corpus])
]


rule half:
    """The best model of a type in half precision."""
    input:
        code=["<src>/half.py"],
        models=lambda w: [
            f"<results>/models/{w.corpus}/{CELL}/best/model.safetensors".format(**cell)
            for cell in CELLS[w.corpus]
            if cell["type"] == w.type
        ],
    output:
        "<results>/published/{corpus}-{type}.safetensors",
    log:
        "<logs>/half/{corpus}-{type}.log",
    localrule: True
    conda:
        "../../envs/environment.yaml"
    shell:
        "charlens half {input.models} --out {output} 2>&1 | tee {log}"


rule halves:
    """The best LSTM and GRU of each corpus in half precision."""
    input:
        [f"<results>/published/{corpus}-{type}.safetensors" for corpus, type in HALVED],
    localrule: True


rule publish:
    """Copy tables, claims, figures, provenance and small models to results/reference."""
    input:
        rules.table1.output if RECURRENT_SCORES else [],
        rules.table2.output if FIXED_SCORES else [],
        rules.cell_tables.output if config["use"] else [],
        rules.figure1.output if config["use"] else [],
        rules.figure2.output if config["use"] else [],
        rules.figure3.output if config["use"] else [],
        rules.figure4.output if config["use"] else [],
        rules.figure5.output if CODE_CORPORA or YOUNG["corpora"] else [],
        rules.verdict.input,
        rules.halves.input,
        scores=list(dict.fromkeys(ALL_SCORES + PLAIN_SCORES)),
        splits=rules.claims.input.splits + rules.plain_cut.input.splits,
    log:
        "<logs>/publish.log",
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        run=config["run"],
        settings=json.dumps(SETTINGS),
    shell:
        "charlens publish results/{params.run} results/reference --scores {input.scores}"
        " --settings {params.settings:q} 2>&1 | tee {log}"
