# Needs: the recurrent networks, the texts and the split corpora.
# Makes: cells/<corpus>, units and gates of the best networks; probes/<corpus>, what all units of a
#        layer tell together; from these the tables of units and gates, and figures 2 and 3;
#        ablation/<corpus>, what changes where the units that were found are clamped, and from it a
#        table and a figure; inside/, units and gates of every network in short, and their table;
#        activations/, every gate and state of chosen networks over a stretch of text.


rule cells:
    """Saturation of gates, and which unit follows which hypothesis, in a corpus's best networks."""
    input:
        code=code("units.analysis"),
        models=lambda w: networks(grid.looked_into(SETTINGS, w.corpus)),
        split="<results>/corpora/{corpus}.npz",
        text="<results>/corpora/{corpus}.txt",
        info="<results>/corpora/{corpus}.json",
    output:
        found="<results>/cells/{corpus}.json",
        cells="<results>/cells/{corpus}.csv",
        untrained="<results>/cells/untrained/{corpus}.csv",
        gates="<results>/cells/gates/{corpus}.csv",
    log:
        "<logs>/cells/{corpus}.log",
    benchmark:
        "<benchmarks>/cells/{corpus}.jsonl"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        units=said_of_units,  # so that a change there makes this again
        options=options(
            SETTINGS.cells.model_dump(include={"samples", "shifts", "seed"})
        ),
        passages=lambda w: json.dumps(
            [
                passage.model_dump()
                for passage in SETTINGS.cells.passages.get(w.corpus, [])
            ]
        ),
    shell:
        "charlens cells {input.models} --split {input.split} --text {input.text}"
        " --info {input.info} {params.options}"
        " --passages {params.passages:q} --threads {threads} --gates {output.gates}"
        " --cells {output.cells} --untrained {output.untrained} --out {output.found}"
        " > {log} 2>&1"


rule probes:
    """One unit or many: a linear probe on all units of each layer, for each hypothesis."""
    input:
        code=code("units.probes"),
        models=rules.cells.input.models,
        split="<results>/corpora/{corpus}.npz",
        text="<results>/corpora/{corpus}.txt",
        info="<results>/corpora/{corpus}.json",
        found=rules.cells.output.found,
        cells=rules.cells.output.cells,
    output:
        "<results>/probes/{corpus}.csv",
    log:
        "<logs>/probes/{corpus}.log",
    benchmark:
        "<benchmarks>/probes/{corpus}.jsonl"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        options=options(SETTINGS.cells.probes),
        seed=SETTINGS.cells.seed,
    shell:
        "charlens probes {input.models} --split {input.split} --text {input.text}"
        " --info {input.info} --found {input.found} --cells {input.cells} {params.options}"
        " --seed {params.seed} --threads {threads} --out {output}"
        " > {log} 2>&1"


rule cell_tables:
    """Tables of units and gates: every unit ranked, the best ones, the share explained."""
    input:
        code=code("units.unit_tables"),
        found=collect("<results>/cells/{corpus}.json", corpus=CORPORA),
        cells=collect("<results>/cells/{corpus}.csv", corpus=CORPORA),
        untrained=collect("<results>/cells/untrained/{corpus}.csv", corpus=CORPORA),
        gates=collect("<results>/cells/gates/{corpus}.csv", corpus=CORPORA),
        probes=collect("<results>/probes/{corpus}.csv", corpus=CORPORA),
        corpora=rules.table1.input.corpora,
    output:
        cells="<results>/tables/cells.csv",
        best="<results>/tables/hypotheses.csv",
        explained="<results>/tables/explained.csv",
        probes="<results>/tables/probes.csv",
        gates="<results>/tables/gates.csv",
        html=report(
            "<results>/tables/cells.html",
            caption="../report/cells.rst",
            category="Units and gates",
            labels={"table": "units, hypotheses, gates"},
        ),
    log:
        "<logs>/cell_tables.log",
    benchmark:
        "<benchmarks>/cell_tables.jsonl"
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        "charlens cell-tables --found {input.found} --cells {input.cells}"
        " --untrained {input.untrained} --gates {input.gates} --probes {input.probes}"
        " --corpora {input.corpora} --csv {output.cells} --best-csv {output.best}"
        " --explained-csv {output.explained} --probes-csv {output.probes}"
        " --gates-csv {output.gates} --html {output.html}"
        " --explorer ../explorer/CORPUS.html"
        " > {log} 2>&1"


rule look_inside:
    """Units and gates of one network, in short: point estimates alone."""
    input:
        code=code("units.inside"),
        model=f"<results>/models/{RECURRENT}/best/model.safetensors",
        split="<results>/corpora/{corpus}.npz",
        text="<results>/corpora/{corpus}.txt",
        info="<results>/corpora/{corpus}.json",
    output:
        f"<results>/inside/{RECURRENT}.csv",
    log:
        f"<logs>/inside/{RECURRENT}.log",
    benchmark:
        f"<benchmarks>/inside/{RECURRENT}.jsonl"
    threads: 1
    resources:
        mem_mb=2500,
        runtime=60,
    params:
        units=said_of_units,
    shell:
        "charlens inside {input.model} --split {input.split} --text {input.text}"
        " --info {input.info} --threads {threads} --out {output} > {log} 2>&1"


rule inside:
    """Units and gates of all networks, by type, size and depth."""
    input:
        code=code("units.inside_table"),
        networks=[
            f"<results>/inside/{key.path}.csv"
            for corpus in CORPORA
            for key in grid.measured(SETTINGS, corpus)
        ],
        best=rules.cell_tables.output.best,
        corpora=rules.table1.input.corpora,
    output:
        csv="<results>/tables/inside.csv",
        html=report(
            "<results>/tables/inside.html",
            caption="../report/inside.rst",
            category="Units and gates",
            labels={"table": "all networks, by type, size and depth"},
        ),
    log:
        "<logs>/inside.log",
    benchmark:
        "<benchmarks>/inside.jsonl"
    resources:
        mem_mb=1000,
        runtime=30,
    shell:
        "charlens inside-table --networks {input.networks} --best {input.best}"
        " --corpora {input.corpora} --csv {output.csv} --html {output.html} > {log} 2>&1"


rule passages:
    """Figure 2 of a corpus: passages coloured by the units that follow the hypotheses best."""
    input:
        code=code("report.figure2"),
        found="<results>/cells/{corpus}.json",
        best=rules.cell_tables.output.best,
        corpus="<results>/corpora/titled/{corpus}.json",
    output:
        png=report(
            "<results>/figures/figure2-{corpus}.png",
            caption="../report/figure2.rst",
            category="Figure 2",
            labels={"figure": "units and what they follow", "corpus": "{corpus}"},
        ),
        html=report(
            "<results>/figures/figure2-{corpus}.html",
            caption="../report/figure2.rst",
            category="Figure 2",
            labels={"figure": "the same, as text", "corpus": "{corpus}"},
        ),
        svg="<results>/figures/figure2-{corpus}.svg",
    log:
        "<logs>/figure2/{corpus}.log",
    benchmark:
        "<benchmarks>/figure2/{corpus}.jsonl"
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        "charlens figure2 --found {input.found} --best {input.best} --corpus {input.corpus}"
        " --out {output.png} {output.svg} --html {output.html} > {log} 2>&1"


rule figure2:
    """Figure 2: passages coloured by the units that follow the hypotheses best."""
    input:
        collect(rules.passages.output, corpus=CORPORA),
    localrule: True


rule figure3:
    """Figure 3: how often each unit of each gate is left- and right-saturated."""
    input:
        code=code("report.figure3"),
        gates=rules.cell_tables.output.gates,
        corpora=rules.table1.input.corpora,
    output:
        png=report(
            "<results>/figures/figure3.png",
            caption="../report/figure3.rst",
            category="Figure 3",
            labels={"figure": "saturation of gates"},
        ),
        svg="<results>/figures/figure3.svg",
    log:
        "<logs>/figure3.log",
    benchmark:
        "<benchmarks>/figure3.jsonl"
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        "charlens figure3 --gates {input.gates} --corpora {input.corpora}"
        " --out {output.png} {output.svg} > {log} 2>&1"


rule ablate:
    """What a network loses where the units that were found, and control units, are clamped."""
    input:
        code=code("units.ablation", "units.unit_tables"),
        models=lambda w: networks(grid.lstms(SETTINGS, w.corpus)),
        split="<results>/corpora/{corpus}.npz",
        text="<results>/corpora/{corpus}.txt",
        info="<results>/corpora/{corpus}.json",
        found=rules.cells.output.found,
        # a title alone rewrites these tables; what is found anew arrives by `found`
        hypotheses=ancient("<results>/tables/hypotheses.csv"),
        units=ancient("<results>/tables/cells.csv"),
    output:
        found="<results>/ablation/{corpus}.csv",
        effects="<results>/ablation/controls/{corpus}.csv",
    log:
        "<logs>/ablate/{corpus}.log",
    benchmark:
        "<benchmarks>/ablate/{corpus}.jsonl"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=4 * 60,
    params:
        options=options(SETTINGS.cells.ablation),
        bootstrap=options(SETTINGS.cells.model_dump(include={"samples", "seed"})),
    shell:
        # glibc is told to keep what is freed: else a quarter of the time goes into page faults
        "MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=68719476736"
        " charlens ablate {input.models} --split {input.split} --text {input.text}"
        " --info {input.info} --hypotheses {input.hypotheses} --units {input.units}"
        " {params.options} {params.bootstrap} --threads {threads} --out {output.found}"
        " --effects {output.effects} > {log} 2>&1"


rule ablation:
    """Table and figure of what clamped units change, beside their controls."""
    input:
        code=code("report.ablation"),
        found=collect("<results>/ablation/{corpus}.csv", corpus=CORPORA),
        effects=collect("<results>/ablation/controls/{corpus}.csv", corpus=CORPORA),
        corpora=rules.table1.input.corpora,
    output:
        csv="<results>/tables/ablation.csv",
        effects="<results>/figures/ablation.csv",
        png=report(
            "<results>/figures/ablation.png",
            caption="../report/ablation.rst",
            category="Units and gates",
            labels={"figure": "what clamped units change"},
        ),
        svg="<results>/figures/ablation.svg",
    log:
        "<logs>/ablation.log",
    benchmark:
        "<benchmarks>/ablation.jsonl"
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        "charlens ablation --found {input.found} --effects {input.effects}"
        " --corpora {input.corpora} --csv {output.csv} --effects-csv {output.effects}"
        " --out {output.png} {output.svg} > {log} 2>&1"


rule record:
    """Every gate and state of a recurrent network over a stretch of test text."""
    input:
        code=code("units.activations"),
        model=f"<results>/models/{RECURRENT}/best/model.safetensors",
        split="<results>/corpora/{corpus}.npz",
    output:
        f"<results>/activations/{RECURRENT}.npz",
    log:
        f"<logs>/record/{RECURRENT}.log",
    benchmark:
        f"<benchmarks>/record/{RECURRENT}.jsonl"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        units=said_of_units,
        streams=SETTINGS.cells.record.streams,
        characters=SETTINGS.cells.record.characters,
    shell:
        "charlens record {input.model} --split {input.split} --streams {params.streams}"
        " --characters {params.characters} --threads {threads} --out {output} > {log} 2>&1"


rule activations:
    """Every gate and state of the networks that the settings choose (cells: record:)."""
    input:
        recorded,
    localrule: True
