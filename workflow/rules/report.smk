# Needs: every table and figure.
# Makes: report.html, one page with all of them and the run time of each rule.


rule report:
    """One page with every table and figure, captioned, and the run time of each rule."""
    input:
        rules.table1.output,
        rules.table2.output,
        rules.figures.input,
        captions=collect(
            f"{workflow.basedir}/workflow/report/{{page}}.rst",
            page=["workflow", "table1", "table2", "figure1", "figure4", "figure5"],
        ),
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    localrule: True
    params:
        snakefile=workflow.main_snakefile,
        configfiles=workflow.configfiles,
        overrides=workflow.config_settings.config_args,
    shell:
        "python -m snakemake --snakefile {params.snakefile} --configfile {params.configfiles}"
        " --nolock --report {output} --quiet all -- table1 table2 figures > {log} 2>&1"
