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
        rules.types.input if OTHERS else [],
        captions=[
            os.path.relpath(path)
            for path in sorted(Path(workflow.basedir, "workflow/report").glob("*.rst"))
        ],
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    localrule: True
    params:
        snakefile=f"{workflow.basedir}/Snakefile",
        settings=f"results/{SETTINGS.run}/settings.json",
    shell:
        # with the complete settings of this run, however they were given
        "python -m snakemake --snakefile {params.snakefile:q} --configfile {params.settings}"
        " --nolock --report {output} -- table1 table2 cell_tables ablation inside figures verdict > {log} 2>&1"
