# Needs: the scores of all models; for some claims also the texts, an LSTM's first epochs, and what
#        was found inside the networks.
# Makes: tables/claims, what the paper concludes put to the test; tables/comparison and
#        figures/comparison, our numbers beside the paper's; tables/plain_cut, what the paper's
#        split is worth; tables/status, what is finished.

ALL_SCORES = TABLE1_SCORES + FIXED_SCORES
IN_PAPER = plan.in_paper(
    Path(workflow.basedir, "src/charlens"), plan.corpora_of(ALL_SCORES, USED)
)
PLAIN_SCORES = [
    path for corpus in PLAIN_CUT for path in plan.plain_scores(config, corpus)
]
if config["only_finished"]:
    PLAIN_SCORES = plan.for_tables(config, PLAIN_SCORES)
    PLAIN_CUT = [
        corpus
        for corpus in PLAIN_CUT  # an n-gram model under both layouts is what losses are compared with
        if plan.ngrams_of(PLAIN_SCORES, corpus)
        & plan.ngrams_of(PLAIN_SCORES, plan.plain(corpus))
    ]
    PLAIN_SCORES = [
        path
        for corpus in PLAIN_CUT
        for path in plan.of_corpora(PLAIN_SCORES, [corpus, plan.plain(corpus)])
    ]


rule status:
    """Which models of the run are finished."""
    input:
        ALL_SCORES,
    output:
        "<results>/tables/status.csv",
    log:
        "<logs>/status.log",
    localrule: True
    params:
        planned=[path.removeprefix("<results>/") for path in PLANNED],
    shell:
        "charlens status --planned {params.planned} --finished {input} --out {output}"
        " 2>&1 | tee {log}"


rule claims:
    """What the paper concludes, statement by statement: holds, does not hold, undecided."""
    input:
        code=code("claims.judge"),
        scores=ALL_SCORES,
        arrays=ADOPTED_SCORES,
        corpora=rules.table2.input.corpora,
        splits=collect(
            "<results>/corpora/{corpus}.npz",
            corpus=plan.corpora_of(FIXED_SCORES, USED),
        ),
        texts=collect("<results>/corpora/{corpus}.txt", corpus=CODE_CORPORA),
        trajectory=rules.figure5.input.trajectory,
        inside=[
            rules.cell_tables.output.gates,
            rules.cell_tables.output.cells,
            rules.cell_tables.output.best,
            rules.figure6.output.csv,
        ],
        status=rules.status.output,
    output:
        csv="<results>/tables/claims.csv",
        html=report(
            "<results>/tables/claims.html",
            caption="../report/claims.rst",
            category="A. Does the paper hold?",
            labels={"table": "claims"},
        ),
    log:
        "<logs>/claims.log",
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        options=plan.options(config["claims"]),
    shell:
        "charlens claims --scores {input.scores} --arrays {input.arrays}"
        " --splits {input.splits} --texts {input.texts}"
        " --corpora {input.corpora} --trajectory {input.trajectory} --inside {input.inside}"
        " --status {input.status} {params.options} --csv {output.csv} --html {output.html}"
        " 2>&1 | tee {log}"


rule comparison:
    """Tables 1 and 2 beside the paper's: every difference, coloured, and how well they agree."""
    input:
        code=code("report.comparison"),
        table1=rules.table1.output.csv if TABLE1_SCORES else [],
        table2=rules.table2.output.csv if FIXED_SCORES else [],
        corpora=collect("<results>/corpora/{corpus}.json", corpus=IN_PAPER),
    output:
        csv="<results>/tables/comparison.csv",
        summary="<results>/tables/agreement.csv",
        html=report(
            "<results>/tables/comparison.html",
            caption="../report/comparison.rst",
            category="B. Beside the paper",
            labels={"what": "tables 1 and 2, entry by entry"},
        ),
        png=report(
            "<results>/figures/comparison.png",
            caption="../report/comparison.rst",
            category="B. Beside the paper",
            labels={"what": "our losses against the paper's"},
        ),
        svg="<results>/figures/comparison.svg",
    log:
        "<logs>/comparison.log",
    resources:
        mem_mb=1000,
        runtime=30,
    shell:
        "charlens compare --table1 {input.table1} --table2 {input.table2}"
        " --corpora {input.corpora} --csv {output.csv} --summary-csv {output.summary}"
        " --html {output.html} --out {output.png} {output.svg} 2>&1 | tee {log}"


rule plain_cut:
    """What the paper's split is worth: the same models with the text cut in three."""
    input:
        code=code("claims.contiguous_split"),
        scores=PLAIN_SCORES,
        splits=collect("<results>/corpora/{corpus}.npz", corpus=PLAIN_CUT)
        + [f"<results>/corpora/{plan.plain(corpus)}.npz" for corpus in PLAIN_CUT],
        corpora=collect("<results>/corpora/{corpus}.json", corpus=PLAIN_CUT),
    output:
        csv="<results>/tables/plain_cut.csv",
        html=report(
            "<results>/tables/plain_cut.html",
            caption="../report/plain_cut.rst",
            category="Table 3 (ours)",
            labels={"table": "what the split is worth"},
        ),
    log:
        "<logs>/plain_cut.log",
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=plan.options(config["claims"]),
    shell:
        "charlens contiguous-split --scores {input.scores} --splits {input.splits}"
        " --corpora {input.corpora} {params.options} --csv {output.csv} --html {output.html}"
        " 2>&1 | tee {log}"


rule verdict:
    """Claims, the comparison with the paper, figure 6, and what the split is worth."""
    input:
        rules.status.output if USED else [],
        rules.claims.output if config["use"] else [],
        rules.comparison.output if IN_PAPER else [],
        rules.figure6.output if config["use"] else [],
        rules.plain_cut.output if PLAIN_CUT else [],
    localrule: True
