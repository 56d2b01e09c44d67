# Needs: the recurrent networks, the texts and split corpora, the ranking of units.
# Makes: explorer/<corpus>.html, an interactive page about the best LSTM of each corpus.


rule explorer:
    """An interactive page about the best LSTM of a corpus, character by character, unit by unit."""
    input:
        code=code("explorer.explore"),
        models=lambda w: networks(grid.lstms(SETTINGS, w.corpus)),
        split="<results>/corpora/{corpus}.npz",
        text="<results>/corpora/{corpus}.txt",
        cells=rules.cell_tables.output.cells,
        ablation=rules.ablation.output.csv,
    output:
        "<results>/explorer/{corpus}.html",
    log:
        "<logs>/explorer/{corpus}.log",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=options(SETTINGS.explorer),
        title=lambda w: SETTINGS.corpora[w.corpus].title,
        kind=lambda w: SETTINGS.corpora[w.corpus].kind,
    shell:
        "charlens explore {input.models} --split {input.split} --cells {input.cells}"
        " --ablation {input.ablation}"
        " --corpus {input.text} --kind {params.kind} --title {params.title:q} {params.options}"
        " --threads {threads} --out {output} > {log} 2>&1"


rule explorers:
    """The explorer of every corpus."""
    input:
        collect("<results>/explorer/{corpus}.html", corpus=CORPORA),
    localrule: True
