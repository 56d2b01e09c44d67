# Needs: the recurrent networks and their scores, the texts and split corpora, the n-NN.
# Makes: types/<type>/..., for the types that the settings name (figures: types): figures 2 and 4 to
#        6, units and gates, what changes where units are clamped, the explorer of each corpus, all as
#        they are made of the LSTM; tables/left_out, which types are missing from which outputs;
#        tables/types and figures/types, the losses of all types at equal parameters.

OTHERS = SETTINGS.figures.types
# types without a state per unit are left out of what is about units: see tables/left_out
WITH_UNITS = [type for type in OTHERS if has_units(type)]


use rule figure4 as figure4_of with:
    input:
        code=rules.figure4.input.code,
        scores=lambda w: scores_of_type(w, grid.ngrams, grid.nn),
        splits=rules.figure4.input.splits,
        corpora=rules.table1.input.corpora,
    output:
        png="<results>/types/{type}/figure4.png",
        svg="<results>/types/{type}/figure4.svg",
        csv="<results>/types/{type}/figure4.csv",
    log:
        "<logs>/types/{type}/figure4.log",
    benchmark:
        "<benchmarks>/types/{type}/figure4.jsonl"
    params:
        type=lambda w: f"--type {w.type}",


use rule trajectory as trajectory_of with:
    input:
        split="<results>/corpora/{corpus}.npz",
        lstms=lambda w: networks(grid.deepest(SETTINGS, w.corpus, w.type)),
        nns=lambda w: networks(grid.nn(SETTINGS, w.corpus)),
    output:
        "<results>/types/{type}/figure5/{corpus}.csv",
    log:
        "<logs>/types/{type}/trajectory/{corpus}.log",
    benchmark:
        "<benchmarks>/types/{type}/trajectory/{corpus}.jsonl"
    params:
        options=rules.trajectory.params.options,
        version=lambda w: version(w.type),


use rule figure5 as figure5_of with:
    input:
        code=rules.figure5.input.code,
        scores=lambda w: scores_of_type(w, grid.ngrams),
        texts=rules.figure5.input.texts,
        splits=rules.figure4.input.splits,
        corpora=rules.table1.input.corpora,
        trajectory=[
            f"<results>/types/{{type}}/figure5/{corpus}.csv" for corpus in FIRST_EPOCHS
        ],
    output:
        png="<results>/types/{type}/figure5.png",
        svg="<results>/types/{type}/figure5.svg",
        csv="<results>/types/{type}/figure5.csv",
    log:
        "<logs>/types/{type}/figure5.log",
    benchmark:
        "<benchmarks>/types/{type}/figure5.jsonl"
    params:
        type=lambda w: f"--type {w.type}",


use rule figure6 as figure6_of with:
    input:
        code=rules.figure6.input.code,
        scores=lambda w: scores_of_type(w, grid.ngrams),
        texts=rules.figure6.input.texts,
        splits=rules.figure4.input.splits,
        corpora=rules.table1.input.corpora,
    output:
        png="<results>/types/{type}/figure6.png",
        svg="<results>/types/{type}/figure6.svg",
        csv="<results>/types/{type}/figure6.csv",
        definitions="<results>/types/{type}/figure6_definitions.csv",
        html="<results>/types/{type}/figure6.html",
    log:
        "<logs>/types/{type}/figure6.log",
    benchmark:
        "<benchmarks>/types/{type}/figure6.jsonl"
    params:
        type=lambda w: f"--type {w.type}",


use rule cells as cells_of with:
    input:
        code=rules.cells.input.code,
        models=lambda w: networks(of_type(w.corpus, w.type)),
        split="<results>/corpora/{corpus}.npz",
        text="<results>/corpora/{corpus}.txt",
        info="<results>/corpora/{corpus}.json",
    output:
        found="<results>/types/{type}/cells/{corpus}.json",
        cells="<results>/types/{type}/cells/{corpus}.csv",
        untrained="<results>/types/{type}/cells/untrained/{corpus}.csv",
        gates="<results>/types/{type}/cells/gates/{corpus}.csv",
    log:
        "<logs>/types/{type}/cells/{corpus}.log",
    benchmark:
        "<benchmarks>/types/{type}/cells/{corpus}.jsonl"


use rule probes as probes_of with:
    input:
        code=rules.probes.input.code,
        models=lambda w: networks(of_type(w.corpus, w.type)),
        split="<results>/corpora/{corpus}.npz",
        text="<results>/corpora/{corpus}.txt",
        info="<results>/corpora/{corpus}.json",
        found=rules.cells_of.output.found,
        cells=rules.cells_of.output.cells,
    output:
        "<results>/types/{type}/probes/{corpus}.csv",
    log:
        "<logs>/types/{type}/probes/{corpus}.log",
    benchmark:
        "<benchmarks>/types/{type}/probes/{corpus}.jsonl"


use rule cell_tables as cell_tables_of with:
    input:
        code=rules.cell_tables.input.code,
        found=of_corpora("cells/CORPUS.json"),
        cells=of_corpora("cells/CORPUS.csv"),
        untrained=of_corpora("cells/untrained/CORPUS.csv"),
        gates=of_corpora("cells/gates/CORPUS.csv"),
        probes=of_corpora("probes/CORPUS.csv"),
        corpora=rules.table1.input.corpora,
    output:
        cells="<results>/types/{type}/tables/cells.csv",
        best="<results>/types/{type}/tables/hypotheses.csv",
        explained="<results>/types/{type}/tables/explained.csv",
        probes="<results>/types/{type}/tables/probes.csv",
        gates="<results>/types/{type}/tables/gates.csv",
        html="<results>/types/{type}/tables/cells.html",
    log:
        "<logs>/types/{type}/cell_tables.log",
    benchmark:
        "<benchmarks>/types/{type}/cell_tables.jsonl"


use rule passages as passages_of with:
    input:
        code=rules.passages.input.code,
        found="<results>/types/{type}/cells/{corpus}.json",
        best=rules.cell_tables_of.output.best,
        corpus="<results>/corpora/titled/{corpus}.json",
    output:
        png="<results>/types/{type}/figure2-{corpus}.png",
        html="<results>/types/{type}/figure2-{corpus}.html",
        svg="<results>/types/{type}/figure2-{corpus}.svg",
    log:
        "<logs>/types/{type}/figure2/{corpus}.log",
    benchmark:
        "<benchmarks>/types/{type}/figure2/{corpus}.jsonl"


use rule ablate as ablate_of with:
    input:
        code=rules.ablate.input.code,
        models=lambda w: networks(of_type(w.corpus, w.type)),
        split="<results>/corpora/{corpus}.npz",
        text="<results>/corpora/{corpus}.txt",
        info="<results>/corpora/{corpus}.json",
        found=rules.cells_of.output.found,
        hypotheses=ancient("<results>/types/{type}/tables/hypotheses.csv"),
        units=ancient("<results>/types/{type}/tables/cells.csv"),
    output:
        found="<results>/types/{type}/ablation/{corpus}.csv",
        effects="<results>/types/{type}/ablation/controls/{corpus}.csv",
    log:
        "<logs>/types/{type}/ablate/{corpus}.log",
    benchmark:
        "<benchmarks>/types/{type}/ablate/{corpus}.jsonl"


use rule ablation as ablation_of with:
    input:
        code=rules.ablation.input.code,
        found=of_corpora("ablation/CORPUS.csv"),
        effects=of_corpora("ablation/controls/CORPUS.csv"),
        corpora=rules.table1.input.corpora,
    output:
        csv="<results>/types/{type}/tables/ablation.csv",
        effects="<results>/types/{type}/ablation.csv",
        png="<results>/types/{type}/ablation.png",
        svg="<results>/types/{type}/ablation.svg",
    log:
        "<logs>/types/{type}/ablation.log",
    benchmark:
        "<benchmarks>/types/{type}/ablation.jsonl"


use rule explorer as explorer_of with:
    input:
        code=rules.explorer.input.code,
        models=lambda w: networks(of_type(w.corpus, w.type)),
        split="<results>/corpora/{corpus}.npz",
        text="<results>/corpora/{corpus}.txt",
        cells=rules.cell_tables_of.output.cells,
        ablation=rules.ablation_of.output.csv,
    output:
        "<results>/types/{type}/explorer/{corpus}.html",
    log:
        "<logs>/types/{type}/explorer/{corpus}.log",
    benchmark:
        "<benchmarks>/types/{type}/explorer/{corpus}.jsonl"


rule left_out:
    """Which types are missing from which outputs, and why."""
    input:
        code=code("units.left_out"),
    output:
        "<results>/tables/left_out.csv",
    log:
        "<logs>/left_out.log",
    benchmark:
        "<benchmarks>/left_out.jsonl"
    localrule: True
    params:
        types=list(dict.fromkeys([*SETTINGS.grid.types, *OTHERS])),
        units=[of_units(type) for type in [*SETTINGS.grid.types, *OTHERS]],
    shell:
        "charlens left-out --types {params.types} --out {output} > {log} 2>&1"


# with a type that the paper does not have, the losses of all are drawn side by side
COMPARED = bool({cell_of(type) for type in SETTINGS.grid.types} - set(PAPER_TYPES))


rule losses_by_type:
    """The losses of all types at equal parameters, by depth."""
    input:
        code=code("claims.types_figure"),
        scores=RECURRENT_SCORES,
        seeds=published_seeds(),
        splits=rules.figure4.input.splits,
        corpora=rules.table1.input.corpora,
    output:
        png=report(
            "<results>/figures/types.png",
            caption="../report/types.rst",
            category="Table 1",
            labels={"table": "losses by type"},
        ),
        svg="<results>/figures/types.svg",
        csv="<results>/tables/types.csv",
    log:
        "<logs>/losses_by_type.log",
    benchmark:
        "<benchmarks>/losses_by_type.jsonl"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        options=options(SETTINGS.claims),
    shell:
        "charlens types --scores {input.scores} --splits {input.splits}"
        " --corpora {input.corpora} {params.options} --out {output.png} {output.svg}"
        " --csv {output.csv} > {log} 2>&1"


rule types:
    """What is made of the LSTM, of the other types that the settings name."""
    input:
        rules.left_out.output,
        rules.losses_by_type.output if COMPARED else [],
        collect(rules.figure4_of.output, type=OTHERS),
        collect(rules.figure5_of.output, type=OTHERS if CODE or FIRST_EPOCHS else []),
        collect(rules.figure6_of.output, type=OTHERS),
        collect(rules.cell_tables_of.output, type=WITH_UNITS),
        collect(rules.passages_of.output, type=WITH_UNITS, corpus=CORPORA),
        collect(rules.ablation_of.output, type=WITH_UNITS),
        collect(rules.explorer_of.output, type=WITH_UNITS, corpus=CORPORA),
    localrule: True
