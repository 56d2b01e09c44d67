# Visualizing and Understanding Recurrent Networks, from two texts to every table and figure.
#
#   snakemake --cores all                          the paper (config.yaml)
#   snakemake --configfile demo.yaml --cores all   the demo
#   snakemake --list                               what can be asked for by name

import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.20")

sys.path.insert(0, str(Path(workflow.basedir, "src")))

from charlens.errors import InputError
from charlens.networks.version import version
from charlens.runs import cost, modules, plan

# Jobs run in the environment that runs Snakemake, activated or not.
shell.prefix(
    f"set -euo pipefail; export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; "
)


configfile: f"{workflow.basedir}/config.yaml"


try:
    plan.check(config, Path(workflow.basedir, "workflow/schemas/config.schema.json"))
    USED = list(config["use"])
    PLANNED = plan.scores(config)  # of every model, trained already or not
    SETTINGS = plan.settings(config)
    if config["only_finished"]:
        plan.narrow(config)
except InputError as error:
    raise WorkflowError(str(error)) from None
PLAIN_CUT = plan.add_plain_cut(config)


# <results>/... in the rules; <src> is the package (see `code`).
pathvars:
    results=f"results/{config['run']}",
    logs="<results>/logs",
    benchmarks="<results>/benchmarks",
    # relative, so that a project folder that was moved or renamed makes nothing anew
    src=os.path.relpath(Path(workflow.basedir, "src/charlens")),


def code(*names):
    """The files of the package that a rule runs; see runs/modules.py."""
    return [f"<src>/{file}" for file in modules.files(*names)]


wildcard_constraints:
    corpus="|".join(map(re.escape, config["corpora"])),
    type="[a-z][a-z0-9_]*",
    layers=r"\d+",
    size=r"\d+",
    seed=r"\d+",
    dropout=r"[0-9.e-]+",
    context=r"\d+",
    hidden=r"\d+",
    order=r"\d+",


report: "workflow/report/workflow.rst"


include: "workflow/rules/corpora.smk"
include: "workflow/rules/recurrent.smk"
include: "workflow/rules/nn.smk"
include: "workflow/rules/ngrams.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/cells.smk"
include: "workflow/rules/explorer.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/publish.smk"
include: "workflow/rules/estimate.smk"


rule all:
    """Every table and figure, and the report that shows them on one page."""
    default_target: True
    input:
        rules.report.output,


onstart:
    try:
        if not config["only_finished"]:  # which may look at a run that goes on
            plan.lock(Path("results", config["run"]))
    except InputError as error:
        raise WorkflowError(str(error)) from None
