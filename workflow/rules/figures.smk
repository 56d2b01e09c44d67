# Needs: the scores of all models; for figures 5 and 6 also the texts.
# Makes: figures/figure1, figure4, figure5 and figure6 as PNG and SVG, with the plotted numbers as
#        CSV; tables/errors, the errors of figure 6 by type, depth and size; figure5/<corpus>.csv, the first epochs of an LSTM beside the n-NN.

FIRST_EPOCHS = grid.first_epochs(SETTINGS)
CODE = [corpus for corpus in CORPORA if SETTINGS.corpora[corpus].kind == "code"]


rule figure1:
    """Figure 1: t-SNE of the recurrent networks from the probabilities of the test characters."""
    input:
        code=code("report.figure1"),
        scores=RECURRENT_SCORES,
        corpora=rules.table1.input.corpora,
    output:
        png=report(
            "<results>/figures/figure1.png",
            caption="../report/figure1.rst",
            category="Figure 1",
            labels={"figure": "t-SNE of the models"},
        ),
        svg="<results>/figures/figure1.svg",
        csv="<results>/figures/figure1.csv",
    log:
        "<logs>/figure1.log",
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        options=options(SETTINGS.figures.tsne),
    shell:
        "charlens figure1 --scores {input.scores} --corpora {input.corpora} {params.options}"
        " --out {output.png} {output.svg} --csv {output.csv} > {log} 2>&1"


rule figure4:
    """Figure 4: errors of an LSTM, of n-gram and of n-NN models; gains by character over the
    largest n-gram model."""
    input:
        code=code("report.figure4"),
        scores=[
            *lstms_and_ngrams(CORPORA, deepest_lstms),
            *(p for corpus in CORPORA for p in scores(grid.nn(SETTINGS, corpus))),
        ],
        splits=collect("<results>/corpora/{corpus}.npz", corpus=CORPORA),
        corpora=rules.table1.input.corpora,
    output:
        png=report(
            "<results>/figures/figure4.png",
            caption="../report/figure4.rst",
            category="Figure 4",
            labels={"figure": "LSTM against n-grams"},
        ),
        svg="<results>/figures/figure4.svg",
        csv="<results>/figures/figure4.csv",
    log:
        "<logs>/figure4.log",
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        type="",
    shell:
        "charlens figure4 --scores {input.scores} --splits {input.splits}"
        " --corpora {input.corpora} {params.type} --out {output.png} {output.svg} --csv {output.csv}"
        " > {log} 2>&1"


rule trajectory:
    """Figure 5: the first epochs of the best deepest LSTM beside the finished n-NN models."""
    input:
        split="<results>/corpora/{corpus}.npz",
        lstms=lambda w: networks(deepest_lstms(w.corpus)),
        nns=lambda w: networks(grid.nn(SETTINGS, w.corpus)),
    output:
        "<results>/figure5/{corpus}.csv",
    log:
        "<logs>/trajectory/{corpus}.log",
    priority: lambda w: cost.priority(first_epochs(w.corpus))
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=4000 + cost.CUDA * GPUS,
        runtime=4 * 60,
    params:
        options=options(
            {
                "epochs": SETTINGS.figures.first_epochs.epochs,
                # the old name of --snapshots; another one would repeat finished trainings
                "looks": SETTINGS.figures.first_epochs.snapshots,
                "backend": SETTINGS.backend,
            }
        ),
        version=version("lstm"),  # which covers the n-NN as well
    shell:
        "charlens trajectory {input.split} --lstms {input.lstms} --nns {input.nns}"
        " {params.options} --threads {threads} --out {output} > {log} 2>&1"


rule figure5:
    """Figure 5: closing braces by distance; an LSTM against the n-NN models as it learns."""
    input:
        code=code("report.figure5"),
        scores=lstms_and_ngrams(CODE or CORPORA, deepest_lstms),
        texts=collect("<results>/corpora/{corpus}.txt", corpus=CORPORA),
        splits=rules.figure4.input.splits,
        corpora=rules.table1.input.corpora,
        trajectory=collect("<results>/figure5/{corpus}.csv", corpus=FIRST_EPOCHS),
    output:
        png=report(
            "<results>/figures/figure5.png",
            caption="../report/figure5.rst",
            category="Figure 5",
            labels={"figure": "long-range interactions"},
        ),
        svg="<results>/figures/figure5.svg",
        csv="<results>/figures/figure5.csv",
    log:
        "<logs>/figure5.log",
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        type="",
    shell:
        "charlens figure5 --scores {input.scores} --texts {input.texts} --splits {input.splits}"
        " --corpora {input.corpora} --trajectory {input.trajectory}"
        " {params.type} --out {output.png} {output.svg} --csv {output.csv} > {log} 2>&1"


rule figure6:
    """Figure 6: the errors of the best LSTM and of smaller ones, removed by oracles."""
    input:
        code=code("report.figure6"),
        scores=lstms_and_ngrams(CORPORA, lambda corpus: grid.lstms(SETTINGS, corpus)),
        texts=collect("<results>/corpora/{corpus}.txt", corpus=CORPORA),
        splits=rules.figure4.input.splits,
        corpora=rules.table1.input.corpora,
    output:
        png=report(
            "<results>/figures/figure6.png",
            caption="../report/figure6.rst",
            category="Figure 6",
            labels={"figure": "errors by oracle"},
        ),
        svg="<results>/figures/figure6.svg",
        csv="<results>/figures/figure6.csv",
        definitions="<results>/figures/figure6_definitions.csv",
        html=report(
            "<results>/figures/figure6.html",
            caption="../report/figure6_examples.rst",
            category="Figure 6",
            labels={"figure": "examples of errors"},
        ),
    log:
        "<logs>/figure6.log",
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        type="",
    shell:
        "charlens figure6 --scores {input.scores} --texts {input.texts} --splits {input.splits}"
        " --corpora {input.corpora} {params.type} --out {output.png} {output.svg} --csv {output.csv}"
        " --definitions-csv {output.definitions} --html {output.html} > {log} 2>&1"


rule errors:
    """Which errors go away with size: figure 6's categories over all types, depths and sizes."""
    input:
        code=code("report.errors_by_size"),
        scores=RECURRENT_SCORES + NGRAM_SCORES,
        texts=rules.figure6.input.texts,
        splits=rules.figure4.input.splits,
        corpora=rules.table1.input.corpora,
    output:
        png=report(
            "<results>/figures/errors.png",
            caption="../report/errors.rst",
            category="Figure 6",
            labels={"figure": "errors by type, depth and size"},
        ),
        svg="<results>/figures/errors.svg",
        csv="<results>/tables/errors.csv",
    log:
        "<logs>/errors.log",
    resources:
        mem_mb=4000,
        runtime=30,
    shell:
        "charlens errors --scores {input.scores} --texts {input.texts} --splits {input.splits}"
        " --corpora {input.corpora} --out {output.png} {output.svg} --csv {output.csv}"
        " > {log} 2>&1"


rule figures:
    """Figures 1 to 6, and when skills and units appear, as PNG and as SVG."""
    input:
        rules.figure1.output,
        rules.figure2.input,
        rules.figure3.output,
        rules.figure4.output,
        rules.figure5.output if CODE or FIRST_EPOCHS else [],
        rules.figure6.output,
        rules.emergence_table.output if WATCHED else [],
        rules.errors.output,
    localrule: True
