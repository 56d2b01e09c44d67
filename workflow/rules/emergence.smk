# Needs: the snapshots of the networks that are watched while they are trained (figures.emergence).
# Makes: emergence/<network>.csv, skills and units of each at every snapshot; from these the table,
#        page and figure about when they appear.


rule emergence:
    """Skills and units of a network at every snapshot of its training."""
    input:
        code=code("units.emergence"),
        snapshots=f"<results>/models/{RECURRENT}/dropout~{{dropout}}/snapshots.safetensors",
        split="<results>/corpora/{corpus}.npz",
        text="<results>/corpora/{corpus}.txt",
        info="<results>/corpora/{corpus}.json",
    output:
        f"<results>/emergence/{RECURRENT}/dropout~{{dropout}}.csv",
    log:
        f"<logs>/emergence/{RECURRENT}/dropout~{{dropout}}.log",
    benchmark:
        f"<benchmarks>/emergence/{RECURRENT}/dropout~{{dropout}}.jsonl"
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=memory,
        runtime=4 * 60,
    params:
        units=said_of_units,
        options=options(
            {
                "characters": SETTINGS.figures.emergence.characters,
                "backend": SETTINGS.backend,
            }
        ),
    shell:
        "charlens emergence {input.snapshots} --split {input.split} --text {input.text}"
        " --info {input.info} {params.options} --threads {threads} --out {output}"
        " > {log} 2>&1"


rule emergence_table:
    """When skills and units appear: all watched networks in one table, page and figure."""
    input:
        code=code("report.emergence"),
        measures=[f"<results>/emergence/{key.path}.csv" for key in WATCHED],
        corpora=titled(dict.fromkeys(key.corpus for key in WATCHED)),
    output:
        csv="<results>/tables/emergence.csv",
        html=report(
            "<results>/tables/emergence.html",
            caption="../report/emergence.rst",
            category="Emergence (ours)",
            labels={"what": "when skills and units appear"},
        ),
        png=report(
            "<results>/figures/emergence.png",
            caption="../report/emergence.rst",
            category="Emergence (ours)",
            labels={"what": "skills and units over the training"},
        ),
        svg="<results>/figures/emergence.svg",
    log:
        "<logs>/emergence_table.log",
    benchmark:
        "<benchmarks>/emergence_table.jsonl"
    resources:
        mem_mb=1000,
        runtime=30,
    shell:
        "charlens emergence-table {input.measures} --corpora {input.corpora}"
        " --csv {output.csv} --html {output.html} --out {output.png} {output.svg}"
        " > {log} 2>&1"
