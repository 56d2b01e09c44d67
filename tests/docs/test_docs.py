"""What README and docs say: numbers are the published ones, links and commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from charlens.bench import speed
from charlens.cli import VERBS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request) -> Path:
    return request.param


def test_numbers_are_the_published_ones():
    command = [sys.executable, str(ROOT / "docs/generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_result_stands_outside_a_generated_block(page):
    text = re.sub(
        r"<!-- generated: ([\w-]+) -->.*?<!-- end of \1 -->", "", page.read_text(), flags=re.S
    )
    text = re.sub(
        r"```.*?```|`[^`]*`|\]\([^)]*\)|(arXiv|Python) [\d.]+( to [\d.]+)?", "", text, flags=re.S
    )
    found = re.findall(r"[^\n]*\b\d+\.\d{2,}\b[^\n]*", text)
    assert found == []  # a result is written by docs/generate.py


def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        target = link.partition("#")[0]
        assert link.startswith("http") or (page.parent / target).exists(), link


def test_commands_exist(page):
    text = page.read_text()
    for block in re.findall(r"```sh\n(.*?)```|`((?:make|charlens) [^`]*)`", text, flags=re.S):
        for line in "".join(block).splitlines():
            words = line.partition("#")[0].split()
            for tool, known in (("make", TARGETS), ("charlens", set(VERBS))):
                for at, word in enumerate(words[:-1]):
                    if word.rpartition("/")[2] == tool and words[at + 1][0].islower():
                        assert words[at + 1] in known, line


def test_the_readme_is_a_landing_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_speeds_of_the_backend_are_the_published_ones():
    measured = speed.read(ROOT / "results/reference/bench/train.csv")
    page = ROOT / "src/charlens/backends/cpu/README.md"
    assert speed.markdown(measured) in page.read_text()
