# Needs: the scores of all models, and the provenance of the corpora.
# Makes: tables/table1, table2 and ngrams, each as CSV and as a page, beside the paper's numbers.

RECURRENT_SCORES = [
    path for corpus in CORPORA for path in scores(grid.recurrent(SETTINGS, corpus))
]
NGRAM_SCORES = [
    path for corpus in CORPORA for path in scores(grid.ngrams(SETTINGS, corpus))
]
FIXED_SCORES = [
    path
    for corpus in CORPORA
    for path in scores(grid.nn(SETTINGS, corpus) + grid.ngrams(SETTINGS, corpus))
]


rule table1:
    """Table 1: test loss of every recurrent network, beside the paper's."""
    input:
        code=code("report.tables"),
        scores=RECURRENT_SCORES,
        corpora=titled(CORPORA),
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
        options=options(SETTINGS.bootstrap),
    shell:
        "charlens table1 --scores {input.scores} --corpora {input.corpora} {params.options}"
        " --csv {output.csv} --html {output.html} > {log} 2>&1"


rule table2:
    """Table 2: test loss of n-gram models (rule ngrams: only these) and n-NN, beside the paper's."""
    input:
        code=rules.table1.input.code,
        scores=FIXED_SCORES,
        corpora=rules.table1.input.corpora,
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
        options=options(SETTINGS.bootstrap),
    shell:
        "charlens table2 --scores {input.scores} --corpora {input.corpora} {params.options}"
        " --csv {output.csv} --html {output.html} > {log} 2>&1"


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
