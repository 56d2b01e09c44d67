# Needs: the scores of all models; for some claims also the texts, the first epochs of an LSTM, the
#        histories of the n-NNs' candidates, and the tables of units and gates; of the LSTM and of
#        the other types that the settings name.
# Makes: tables/claims, tests of the paper's conclusions; tables/status, which models are finished.

ALL_SCORES = RECURRENT_SCORES + FIXED_SCORES


rule status:
    """Which models of the run are finished."""
    input:
        code=code("runs.status"),
        scores=ALL_SCORES,
    output:
        "<results>/tables/status.csv",
    log:
        "<logs>/status.log",
    benchmark:
        "<benchmarks>/status.jsonl"
    localrule: True
    params:
        planned=[key.path for key in grid.planned(SETTINGS)],
    shell:
        "charlens status --planned {params.planned} --finished {input.scores} --out {output}"
        " > {log} 2>&1"


rule claims:
    """The paper's conclusions, claim by claim: holds, does not hold, undecided."""
    input:
        code=code("claims.judge"),
        scores=ALL_SCORES,
        corpora=rules.table2.input.corpora,
        splits=collect("<results>/corpora/{corpus}.npz", corpus=CORPORA),
        texts=collect("<results>/corpora/{corpus}.txt", corpus=CORPORA),
        trajectory=rules.figure5.input.trajectory,
        inside=[
            rules.cell_tables.output.gates,
            rules.cell_tables.output.cells,
            rules.cell_tables.output.best,
            rules.figure6.output.csv,
            rules.ablation.output.csv,
            rules.cell_tables.output.probes,
            rules.inside.output.csv,
        ],
        of_types=[
            *collect(rules.cell_tables_of.output.best, type=WITH_UNITS),
            *collect(rules.cell_tables_of.output.probes, type=WITH_UNITS),
            *collect(rules.ablation_of.output.csv, type=WITH_UNITS),
            *collect(rules.trajectory_of.output, type=OTHERS, corpus=FIRST_EPOCHS),
        ],
        histories=[
            path
            for corpus in CORPORA
            for key in grid.nn(SETTINGS, corpus)
            for path in histories(key)
        ],
        status=rules.status.output,
        seeds=published_seeds(),
    output:
        csv="<results>/tables/claims.csv",
        sums="<results>/tables/claim_sums.csv",
        html=report(
            "<results>/tables/claims.html",
            caption="../report/claims.rst",
            category="A. Does the paper hold?",
            labels={"table": "claims"},
        ),
    log:
        "<logs>/claims.log",
    benchmark:
        "<benchmarks>/claims.jsonl"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        options=options(SETTINGS.claims),
        hidden=SETTINGS.nn.hidden,
    shell:
        "charlens claims --scores {input.scores} --splits {input.splits} --texts {input.texts}"
        " --corpora {input.corpora} --trajectory {input.trajectory} --inside {input.inside}"
        " --of-types {input.of_types} --histories {input.histories} --nn-hidden {params.hidden}"
        " --status {input.status}"
        " {params.options} --csv {output.csv} --sums-csv {output.sums} --html {output.html}"
        " > {log} 2>&1"


rule verdict:
    """Claims, the comparison with the paper, figure 6, what the split is worth, what is far off."""
    input:
        rules.status.output,
        rules.claims.output,
        rules.comparison.output if IN_PAPER else [],
        rules.discrepancies.output,
        rules.figure6.output,
        rules.plain_cut.output if TWO_LAYOUTS else [],
    localrule: True
