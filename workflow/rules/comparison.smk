# Needs: tables 1 and 2, figures 5 and 6, the scores of the same models on other orders of the files
#        and under the contiguous layout, and the candidates' histories.
# Makes: tables/comparison and figures/comparison, our numbers beside the paper's; tables/reshuffles,
#        losses on other orders of a corpus's files; tables/discrepancies, what is far from the paper,
#        and why; tables/plain_cut, what the paper's split is worth.

IN_PAPER = grid.in_paper(CORPORA)
TWO_LAYOUTS = grid.with_twins(SETTINGS)


rule comparison:
    """Tables 1 and 2 beside the paper's: every difference, and how well they agree."""
    input:
        code=code("report.comparison"),
        table1=rules.table1.output.csv,
        table2=rules.table2.output.csv,
        figure5=rules.figure5.output.csv if CODE or FIRST_EPOCHS else [],
        figure6=rules.figure6.output.csv,
        corpora=titled(IN_PAPER),
    output:
        csv="<results>/tables/comparison.csv",
        summary="<results>/tables/agreement.csv",
        text="<results>/tables/paper_text.csv",
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
    benchmark:
        "<benchmarks>/comparison.jsonl"
    resources:
        mem_mb=1000,
        runtime=30,
    shell:
        "charlens compare --table1 {input.table1} --table2 {input.table2}"
        " --figure5 {input.figure5} --figure6 {input.figure6}"
        " --corpora {input.corpora} --csv {output.csv} --summary-csv {output.summary}"
        " --text-csv {output.text}"
        " --html {output.html} --out {output.png} {output.svg} > {log} 2>&1"


rule reshuffles:
    """Losses on the same files in other random orders: what a loss owes to the order."""
    input:
        code=code("report.reshuffles"),
        scores=[
            path
            for corpus in SHUFFLED
            for path in scores(grid.reshuffles(SETTINGS, corpus))
        ],
        corpora=titled(SHUFFLED + RESHUFFLED),
    output:
        "<results>/tables/reshuffles.csv",
    log:
        "<logs>/reshuffles.log",
    benchmark:
        "<benchmarks>/reshuffles.jsonl"
    resources:
        mem_mb=1000,
        runtime=30,
    shell:
        "charlens reshuffles --scores {input.scores} --corpora {input.corpora} --csv {output}"
        " > {log} 2>&1"


rule discrepancies:
    """What is far from the paper's tables, and what could explain it."""
    input:
        code=code("report.discrepancies"),
        table1=rules.table1.output.csv,
        table2=rules.table2.output.csv,
        histories=[
            path
            for corpus in IN_PAPER
            for key in grid.recurrent(SETTINGS, corpus) + grid.nn(SETTINGS, corpus)
            for path in histories(key)
        ],
        reshuffles=rules.reshuffles.output if SHUFFLED else [],
        corpora=rules.table1.input.corpora,
    output:
        csv="<results>/tables/discrepancies.csv",
        shuffles="<results>/tables/shuffle_offsets.csv",
        html=report(
            "<results>/tables/discrepancies.html",
            caption="../report/discrepancies.rst",
            category="B. Beside the paper",
            labels={"what": "what is far off, and why"},
        ),
    log:
        "<logs>/discrepancies.log",
    benchmark:
        "<benchmarks>/discrepancies.jsonl"
    resources:
        mem_mb=1000,
        runtime=30,
    shell:
        "charlens discrepancies --table1 {input.table1} --table2 {input.table2}"
        " --histories {input.histories} --reshuffles {input.reshuffles}"
        " --corpora {input.corpora} --csv {output.csv} --shuffles-csv {output.shuffles}"
        " --html {output.html} > {log} 2>&1"


rule plain_cut:
    """What the paper's split is worth: the same models under the contiguous layout."""
    input:
        code=code("claims.contiguous_split"),
        scores=[
            path
            for corpus in TWO_LAYOUTS
            for path in scores(grid.for_contiguous(SETTINGS, corpus))
        ],
        splits=collect("<results>/corpora/{corpus}.npz", corpus=TWO_LAYOUTS + TWINS),
        corpora=titled(TWO_LAYOUTS),
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
    benchmark:
        "<benchmarks>/plain_cut.jsonl"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=options(SETTINGS.claims.model_dump(include={"resamples", "seed"})),
    shell:
        "charlens contiguous-split --scores {input.scores} --splits {input.splits}"
        " --corpora {input.corpora} {params.options} --csv {output.csv} --html {output.html}"
        " > {log} 2>&1"
