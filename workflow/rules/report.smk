# Needs: every table and figure, and the explorer pages, to which it links.
# Makes: report.html, what was found, in short; workflow-report.html, Snakemake's own report with all
#        tables and figures, their provenance, and the run time of each rule.


rule workflow_report:
    """One page with every table and figure, captioned, and the run time of each rule."""
    input:
        rules.table1.output,
        rules.table2.output,
        rules.cell_tables.output,
        rules.inside.output,
        rules.ablation.output,
        rules.figures.input,
        rules.explorers.input,
        rules.verdict.input,
        rules.types.input if OTHERS or COMPARED else [],
        code=code("runs.workflow_report"),
        captions=[
            unprefixed(path)
            for path in sorted(Path(HOME, "workflow/report").glob("*.rst"))
        ],
    output:
        "<results>/workflow-report.html",
    log:
        "<logs>/workflow_report.log",
    benchmark:
        "<benchmarks>/workflow_report.jsonl"
    localrule: True
    params:
        snakefile=f"{HOME}/Snakefile",
        settings=lambda w: SETTINGS.model_dump_json(exclude_none=True),
        types="types" if OTHERS or COMPARED else "",
        # of a workflow that uses this one as a module
        prefix=lambda w, output: output[0].removesuffix(
            f"results/{SETTINGS.run}/workflow-report.html"
        ),
    shell:
        "charlens workflow-report --snakefile {params.snakefile:q} --settings {params.settings:q}"
        " --prefix={params.prefix:q} --out {output}"
        " --targets table1 table2 cell_tables ablation inside figures verdict {params.types}"
        " > {log} 2>&1"


rule report:
    """The short report: what was found, in words, then the figures, tables and explorers."""
    input:
        rules.workflow_report.input,
        code=code("report.overview"),
        # of which the page gives the time alone: networks that are newer are newer in tables, too
        histories=[
            ancient(f"<results>/models/{key.path}/history.csv")
            for key in grid.trainings(SETTINGS)
        ],
        study=[str(path) for path in [RESULTS / "study.json"] if path.exists()],
        workflow_report=rules.workflow_report.output,
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.jsonl"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        folder=subpath(output[0], parent=True),
        made=lambda w, input: [
            path for path in input if path.endswith((".svg", ".html"))
        ],
    shell:
        "charlens report {params.folder} --made {params.made} --histories {input.histories}"
        " --out {output} > {log} 2>&1"
