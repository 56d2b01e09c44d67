# Needs: the texts.
# Makes: on request, the speed of this machine, from which `make estimate` computes how long the
#        rest of the run takes.


rule calibrate:
    """Measure how fast this machine trains, within half a minute; no other rule needs it."""
    input:
        collect("<results>/corpora/{corpus}.json", corpus=CORPORA),
    output:
        "results/calibration.json",
    log:
        "<logs>/calibrate.log",
    benchmark:
        "<benchmarks>/calibrate.jsonl"
    localrule: True
    threads: 1
    params:
        settings=json.dumps(calibration()),
        options=options({"backend": SETTINGS.backend}),
    shell:
        "charlens calibrate --settings {params.settings:q} --info {input} {params.options}"
        " --out {output} 2>&1 | tee {log}"
