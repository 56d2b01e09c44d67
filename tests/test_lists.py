"""Lists that are kept by hand in one place agree with what they are about in another."""

import re

import yaml
from project import ROOT

from charlens.report import html, overview, plots
from charlens.runs import console, cost, merge, reference
from charlens.store.models import CELLS, LATER_TYPES, PAPER_TYPES

WORKFLOW = "\n".join(path.read_text() for path in sorted(ROOT.glob("workflow/rules/*.smk")))
RULES = set(re.findall(r"^rule (\w+):|^use rule \w+ as (\w+) with:", WORKFLOW, re.M))
RULES = {name for pair in RULES for name in pair if name}


def test_every_type_of_the_package_is_shown_costed_and_coloured():
    types = {path.stem for path in CELLS.glob("[a-z]*.py")}
    assert types == {*PAPER_TYPES, *LATER_TYPES}
    assert types == set(plots.TYPES) == set(cost.CELLS) - {"nn"}


def test_the_rules_whose_jobs_are_timed_exist():
    named = {*console.JOBS, *console.TRAININGS_OF, *console.WATCHED}
    assert named <= RULES


def test_what_publications_and_reports_look_for_is_made():
    made = {*reference.EXPECTED, *merge.NETWORK_TABLES}
    made |= {f"tables/{name}.html" for name in overview.TABLES}
    made |= {f"figures/{name.replace('*', '{corpus}')}.svg" for name in overview.FIGURES}
    assert {name for name in made if f"<results>/{name}" not in WORKFLOW} == set()


def test_the_lengths_of_the_papers_files_are_those_of_the_configuration():
    corpora = yaml.safe_load((ROOT / "config.yaml").read_text())["corpora"]
    stated = {name: about["sources"][0]["bytes"] for name, about in corpora.items()}
    assert {name: stated[name] for name in html.PAPER_BYTES} == html.PAPER_BYTES
