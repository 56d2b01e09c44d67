# Visualizing and Understanding Recurrent Networks, from two texts to every table and figure.
#
#   snakemake --cores all                          the paper (config.yaml)
#   snakemake --configfile demo.yaml --cores all   the demo
#   snakemake --list                               the targets

import copy
import functools
import hashlib
import json
import os
import re
import signal
import sys
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version, update_config

min_version("9.20")

# This project's folder. (`workflow.basedir` is another workflow's where that uses this as a module.)
HOME = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
HOME = HOME.resolve()  # without the .. of workflow/Snakefile, and links
IS_MODULE = Path(workflow.basedir).resolve() not in (HOME, HOME / "workflow")

sys.path.insert(0, str(HOME / "src"))

from charlens.errors import InputError
from charlens.files import sha256
from charlens.networks.cells import has_units, of_units
from charlens.networks.version import version
from charlens.runs import (
    console,
    cost,
    grid,
    host,
    modules,
    results_folder,
    selections,
    settings,
    slurm,
    snakemake_process,
)
from charlens.runs.settings import options
from charlens.store.models import (
    PAPER_TYPES,
    ModelKey,
    cell_of,
    digests_of_networks,
    reshuffled,
    twin,
    type_name,
)

snakemake_process.run_jobs_here(HOME / "src")
snakemake_process.end_when_told()

# A scheduler's warning is for the training that a job runs: the Snakemake that starts it waits.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)


configfile: f"{HOME}/config.yaml"


# The lock of this folder is Snakemake's if no profile of ours is used, as in a module.
snakemake_process.unlock_after_a_kill()

# A module's configuration replaces that of the file, so it is completed here.
defaults = yaml.safe_load(Path(HOME, "config.yaml").read_text())
merged = copy.deepcopy(defaults)
update_config(merged, config)
try:
    for path in workflow.configfiles:
        settings.refuse_duplicates(path)
    SETTINGS = settings.make(merged)
    if workflow.is_main_process:
        layers = settings.layers(
            defaults, [] if IS_MODULE else workflow.overwrite_configfiles
        )
        selections.refuse_unmatched([*layers, SETTINGS])
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


# The rules write <results>/...
pathvars:
    results=f"results/{SETTINGS.run}",
    logs="<results>/logs",
    benchmarks="<results>/benchmarks",


wildcard_constraints:
    corpus="|".join(map(re.escape, [*SETTINGS.corpora, *TWINS, *RESHUFFLED])),
    type=r"[a-z][a-z0-9_]*(\+block)?(\+adamw)?",
    layers=r"\d+",
    size=r"\d+",
    seed=r"\d+",
    shuffle=r"\d+",
    dropout=r"[0-9.e-]+",
    rate=r"[0-9.e-]+",
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
include: "workflow/rules/units.smk"
include: "workflow/rules/emergence.smk"
include: "workflow/rules/explorer.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/types.smk"
include: "workflow/rules/comparison.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/estimate.smk"


# Modules are inputs, too, but only newer ones count there: those of an unpacked release are older.
for each in workflow.rules:
    if each.input.get("code") and set(each.input.code) <= MODULES:
        each.set_params(code=digest(tuple(each.input.code)))


try:
    for corpus in [] if IS_MODULE else CORPORA:  # where other rules may make a text
        grid.refuse_missing(SETTINGS, corpus, fetched(corpus, "origin"))
    if workflow.is_main_process:
        if not results_folder.made_here(RESULTS):
            settings.refuse_others(SETTINGS, RESULTS / "settings.json")
        if not workflow.output_settings.dryrun:
            results_folder.check_writable(RESULTS)
            console.TRAININGS.update(trainings())
            console.TOGETHER.update(work_side_by_side(console.TRAININGS))
            results_folder.date_now(RESULTS, RESULTS.parent / "kenlm", HOME / "src")
except InputError as error:
    sys.exit(f"charlens: error: {error}")


rule all:
    """Every table and figure, and the report that shows them on one page."""
    default_target: True
    input:
        rules.report.output,


onstart:
    try:
        results_folder.lock(RESULTS)
        snakemake_process.lift_rate_limit(workflow.scheduler)
        slurm.take_over(RESULTS)
        settings.write(SETTINGS, RESULTS / "settings.json")
        results_folder.mark(RESULTS)
    except InputError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    slurm.end(RESULTS)
