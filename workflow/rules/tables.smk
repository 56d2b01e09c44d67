# Needs: the scores of all models, and the corpora's provenance.
# Makes: tables/table1, table2 and ngrams, each as CSV and as a page beside the paper's numbers.

# The score arrays of the networks, and what table 1 reads, which is the same, except that with
# only_finished it may be what was published of a network trained elsewhere.
RECURRENT_SCORES = [
    f"<results>/scores/{corpus}/{CELL}.npy".format(**cell)
    for corpus in config["use"]
    for cell in CELLS[corpus]
]
TABLE1_SCORES = plan.for_tables(
    config, plan.of_corpora(plan.recurrent(PLANNED), config["use"])
)
# arrays of networks that were trained elsewhere, from their half precision
ADOPTED_SCORES = [path for path in RECURRENT_SCORES if path not in TABLE1_SCORES]
FIXED_SCORES = plan.for_tables(config, plan.fixed_context(PLANNED))
NGRAM_SCORES = [
    path for path in plan.of_corpora(FIXED_SCORES, config["use"]) if "/ngram/" in path
]


rule table1:
    """Table 1: test loss of every recurrent model, beside the paper's."""
    input:
        code=code("report.tables"),
        scores=TABLE1_SCORES,
        corpora=collect("<results>/corpora/{corpus}.json", corpus=config["use"]),
    output:
        csv="<results>/tables/table1.csv",
        html=report(
            "<results>/tables/table1.html",
            caption="../report/table1.rst",
            category="Table 1",
            labels={"table": "recurrent networks"},
        ),
    log:
        "<logs>/table1.log",
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        options=plan.options(config["bootstrap"]),
    shell:
        "charlens table1 --scores {input.scores} --corpora {input.corpora} {params.options}"
        " --csv {output.csv} --html {output.html} 2>&1 | tee {log}"


rule table2:
    """Table 2: test loss of n-grams (ngrams: of these alone) and n-NN, beside the paper's."""
    input:
        code=rules.table1.input.code,
        scores=FIXED_SCORES,
        corpora=collect(
            "<results>/corpora/{corpus}.json",
            corpus=plan.corpora_of(FIXED_SCORES, USED),
        ),
    output:
        csv="<results>/tables/table2.csv",
        html=report(
            "<results>/tables/table2.html",
            caption="../report/table2.rst",
            category="Table 2",
            labels={"table": "fixed-context baselines"},
        ),
    log:
        "<logs>/table2.log",
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        options=plan.options(config["bootstrap"]),
    shell:
        "charlens table2 --scores {input.scores} --corpora {input.corpora} {params.options}"
        " --csv {output.csv} --html {output.html} 2>&1 | tee {log}"


use rule table2 as ngrams with:
    input:
        code=rules.table1.input.code,
        scores=NGRAM_SCORES,
        corpora=rules.table1.input.corpora,
    output:
        csv="<results>/tables/ngrams.csv",
        html="<results>/tables/ngrams.html",
    log:
        "<logs>/ngrams.log",
