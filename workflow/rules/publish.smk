# Needs: trained models; with only_finished (make publish) whichever there are, on this machine or
#        published before.
# Makes: published/<corpus>-<type>.safetensors, the best LSTM and GRU in half precision, and the best
#        among the deepest, which figures are about; and results/reference/, a copy of all that
#        people read of the run.

HALVED = [
    f"{corpus}-{type}{which}"
    for corpus in config["use"]
    for type in ("lstm", "gru")
    if any(cell["type"] == type for cell in CELLS[corpus])
    for which in ("", "-deepest")
]


rule half:
    """The best model of a type, or the best of the deepest, in half precision."""
    input:
        models=lambda w: [
            f"<results>/models/{w.corpus}/{CELL}/best/model.safetensors".format(**cell)
            for cell in (
                plan.deepest(CELLS[w.corpus], w.type)
                if w.which
                else plan.fitting(CELLS[w.corpus], [{"type": w.type}])
            )
        ],
    output:
        "<results>/published/{corpus}-{type}{which}.safetensors",
    log:
        "<logs>/half/{corpus}-{type}{which}.log",
    wildcard_constraints:
        which="|-deepest",
    localrule: True
    shell:
        "charlens half {input.models} --out {output} 2>&1 | tee {log}"


rule halves:
    """The best LSTM and GRU of each corpus in half precision."""
    input:
        collect("<results>/published/{name}.safetensors", name=HALVED),
    localrule: True


rule publish:
    """Copy tables, claims, figures, provenance and small models to results/reference."""
    input:
        rules.table1.output if RECURRENT_SCORES else [],
        rules.table2.output if FIXED_SCORES else [],
        rules.cell_tables.output if config["use"] else [],
        rules.figure1.output if config["use"] else [],
        rules.figure2.input,
        rules.figure3.output if config["use"] else [],
        rules.figure4.output if config["use"] else [],
        rules.figure5.output if CODE_CORPORA or plan.young(config) else [],
        rules.verdict.input,
        rules.halves.input,
        scores=list(dict.fromkeys(ALL_SCORES + PLAIN_SCORES)),
        splits=rules.claims.input.splits + rules.plain_cut.input.splits,
    log:
        "<logs>/publish.log",
    localrule: True
    params:
        run=config["run"],
        settings=json.dumps(SETTINGS),
    shell:
        "charlens publish results/{params.run} results/reference --scores {input.scores}"
        " --settings {params.settings:q} 2>&1 | tee {log}"
