# Needs: nothing.
# Makes: when asked for, the rates at which this machine trains each shape of the run. A dry run
#        then says how long all that is left will take.

import atexit

RATES = f"results/{SETTINGS.run}/calibration/{estimate.machine()}.csv"


rule calibrate:
    """Measure how fast this machine trains each shape, in minutes; no other rule needs it."""
    output:
        RATES,
    log:
        "<logs>/calibrate.log",
    localrule: True
    threads: 1
    params:
        shapes=json.dumps(estimate.shapes(SETTINGS)),
        options=options(
            {
                "symbols": max(
                    (estimate.symbols(SETTINGS, corpus) for corpus in CORPORA),
                    default=estimate.SYMBOLS,
                ),
                "streams": SETTINGS.split.streams,
                "unroll": SETTINGS.split.unroll,
                "backend": SETTINGS.backend,
            }
        ),
    shell:
        "charlens calibrate --shapes {params.shapes:q} {params.options} --out {output}"
        " 2>&1 | tee {log}"


# Last words of a dry run; what is left to do is known only once all has been planned. (A dry run
# takes its jobs for finished, hence exclude_finished; --directory is no longer in force then.)
atexit.register(
    lambda folder=Path.cwd(): workflow.dryrun
    and workflow.dag is not None
    and estimate.say(
        SETTINGS,
        [
            (job.rule.name, job.wildcards)
            for job in workflow.dag.needrun_jobs(exclude_finished=False)
        ],
        folder,
        RATES,
        workflow._cores or os.cpu_count(),
        (
            workflow.global_resources["gpu"].value
            if GPUS and "gpu" in workflow.global_resources
            else None
        ),
    )
)
