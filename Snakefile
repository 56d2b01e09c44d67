# Visualizing and Understanding Recurrent Networks, from two texts to every table and figure.
#
#   snakemake --cores all                          the paper (config.yaml)
#   snakemake --configfile demo.yaml --cores all   the demo
#   snakemake --list                               the targets

import json
import os
import re
import shlex
import signal
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.20")

sys.path.insert(0, str(Path(workflow.basedir, "src")))

from charlens.errors import InputError
from charlens.networks.version import version
from charlens.runs import cost, grid, host, modules, settings, slurm
from charlens.runs.settings import options
from charlens.store.models import ModelKey, reshuffled, twin

# Jobs run in the environment that runs Snakemake, activated or not. Signals that tell a job to stop
# are for charlens alone, which ends in good order: Snakemake, bash and tee wait for that.
shell.prefix(
    f"set -euo pipefail; export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH;"
    " trap '' TERM USR1; "
)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)


configfile: f"{workflow.basedir}/config.yaml"


try:
    SETTINGS = settings.make(config)
except InputError as error:
    raise WorkflowError(str(error)) from None
CORPORA = SETTINGS.use
TWINS = [twin(corpus) for corpus in grid.with_twins(SETTINGS)]
SHUFFLED = [corpus for corpus in CORPORA if grid.reshuffles(SETTINGS, corpus)]
RESHUFFLED = [
    reshuffled(corpus, seed)
    for corpus in SHUFFLED
    for seed in SETTINGS.reshuffles.seeds
]


# The rules write <results>/...; <src> is the package (see `code` in common.smk).
pathvars:
    results=f"results/{SETTINGS.run}",
    logs="<results>/logs",
    benchmarks="<results>/benchmarks",
    # relative, so that moving or renaming the project folder reruns nothing
    src=os.path.relpath(Path(workflow.basedir, "src/charlens")),


wildcard_constraints:
    corpus="|".join(map(re.escape, [*SETTINGS.corpora, *TWINS, *RESHUFFLED])),
    type="[a-z][a-z0-9_]*",
    layers=r"\d+",
    size=r"\d+",
    seed=r"\d+",
    shuffle=r"\d+",
    dropout=r"[0-9.e-]+",
    context=r"\d+",
    hidden=r"\d+",
    order=r"\d+",


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/cost.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/recurrent.smk"
include: "workflow/rules/nn.smk"
include: "workflow/rules/ngrams.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/cells.smk"
include: "workflow/rules/emergence.smk"
include: "workflow/rules/explorer.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/estimate.smk"


rule all:
    """Every table and figure, and the report that shows them on one page."""
    default_target: True
    input:
        rules.report.output,


onstart:
    try:
        host.lock(Path("results", SETTINGS.run))
        slurm.take_over(Path("results", SETTINGS.run))
        settings.write(SETTINGS, Path("results", SETTINGS.run, "settings.json"))
    except InputError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    slurm.end(Path("results", SETTINGS.run))
