# Needs: every table and figure, and the explorer pages, to which it links.
# Makes: report.html, one page with all tables and figures and the run time of each rule.


rule report:
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
        code=code("runs.workflow_report"),
        captions=[
            unprefixed(path)
            for path in sorted(Path(HOME, "workflow/report").glob("*.rst"))
        ],
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    localrule: True
    params:
        snakefile=f"{HOME}/Snakefile",
        settings=SETTINGS.model_dump_json(exclude_none=True),
        # of a workflow that uses this one as a module
        prefix=lambda w, output: output[0].removesuffix(
            f"results/{SETTINGS.run}/report.html"
        ),
    shell:
        "charlens workflow-report --snakefile {params.snakefile:q} --settings {params.settings:q}"
        " --prefix {params.prefix:q} --out {output}"
        " --targets table1 table2 cell_tables ablation inside figures verdict > {log} 2>&1"
