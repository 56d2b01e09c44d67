"""What README and docs say: numbers are the published ones, links and commands exist."""

import csv
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from charlens.bench import speed
from charlens.claims.catalog import NEWER
from charlens.claims.judge import COLUMNS
from charlens.claims.types_figure import COLUMNS as LOSSES
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
    assert found == []  # a result is written by docs/blocks


def test_what_is_not_known_is_no_number(page):
    assert not re.search(r"\bnan\b", page.read_text())


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


def test_every_published_column_is_explained():
    """docs/tables.md has a section for each kind of table, with its columns and no others."""
    page = (ROOT / "docs/tables.md").read_text()
    common, *sections = re.split(r"^### ", page, flags=re.MULTILINE)
    explained = {text.split()[0]: columns_of(text) for text in sections}
    published: dict[str, set[str]] = {name: set() for name in explained}
    for path in sorted((ROOT / "results/reference").rglob("*.csv")):
        if "bench" in path.parts:  # times, explained in docs/speed.md
            continue
        name = f"{path.parent.name}/{path.name}"
        if path.parent.parent.name == "types":
            name = f"figures/{path.name}"
        elif path.name == "history.csv":
            name = "histories/…/history.csv"
        elif path.parent.name == "figure5":
            name = "figure5/CORPUS.csv"
        assert name in explained, path
        with path.open() as file:
            published[name] |= set(next(csv.reader(file)))
    only_of_characters = {"bytes_per_character"}
    for name, columns in published.items():
        assert columns <= explained[name] | columns_of(common), name
        assert explained[name] - columns <= only_of_characters, name


def columns_of(section: str) -> set[str]:
    """The names in the first column of the tables of a section."""
    rows = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_the_readme_is_a_landing_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_speeds_of_the_backend_are_the_published_ones():
    measured = speed.read(ROOT / "results/reference/bench/train.csv")
    page = ROOT / "src/charlens/backends/cpu/README.md"
    assert speed.markdown(measured) in page.read_text()


@pytest.fixture
def blocks(tmp_path, monkeypatch):
    """The modules in docs/blocks/, for which nothing is published of the newer types yet."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    names = ("claims", "losses", "modern")
    modules = {name: importlib.import_module(f"blocks.{name}") for name in names}
    monkeypatch.setattr(modules["modern"], "MODERN", tmp_path / "modern")
    return SimpleNamespace(**modules)


def test_what_is_not_published_of_newer_types_is_said(blocks):
    for block in (
        blocks.modern.modern_losses,
        blocks.modern.modern_claims,
        blocks.modern.modern_missing,
    ):
        assert block() == "Not published yet."
    assert blocks.modern.modern_figure() == "The losses of the newer types are not published yet."


def test_orders_too_few_for_a_deviation_have_a_dash(blocks, monkeypatch):
    columns = ["corpus", "model", "orders", "mean", "sd", "low", "high", "paper", "deviations", "p"]
    rows = [
        ["lk", "1-gram", 6, 2.7, 0.02, 2.6, 2.8, 2.702, 0.1, 0.9],
        ["lk", "20-gram", 2, 0.9, None, 0.8, 1.0, 0.889, None, None],
    ]
    monkeypatch.setattr(
        blocks.losses, "published", lambda name: pd.DataFrame(rows, columns=columns)
    )
    lines = blocks.losses.shuffle_offsets().splitlines()
    assert lines[-2] == "| Linux | 1-gram | 6 | 2.700 | 0.0200 | 2.702 | +0.1 | 0.90 |"
    assert lines[-1] == "| Linux | 20-gram | 2 | 0.900 | – | 0.889 | – | – |"


def test_parts_of_a_claim_are_said_by_type(blocks):
    """A type is said once for a verdict, and the parts that have it, unless all do."""
    rows = [["minGRU: memory", "undecided"], ["minGRU: boost", "holds"],
            ["sLSTM: memory", "undecided"], ["sLSTM: boost", "undecided"],
            ["Mamba: memory", "undecided"], ["Mamba: boost", "holds"]]  # fmt: skip
    findings = pd.DataFrame(rows, columns=["part", "verdict"])
    said = "undecided: minGRU (memory), sLSTM, Mamba (memory); holds: minGRU (boost), Mamba (boost)"
    assert blocks.modern.parts_by_type(findings) == said
    whole = pd.DataFrame([["LSTM", "holds"], ["GRU", "undecided"]], columns=["part", "verdict"])
    assert blocks.modern.parts_by_type(whole) == "holds: LSTM; undecided: GRU"
    one = pd.DataFrame([["LSTM: adamw", "does not hold"]], columns=["part", "verdict"])
    assert blocks.modern.parts_by_type(one) == "does not hold: LSTM (adamw)"
    row = pd.Series({"verdict": "undecided", "effect": 0.0002, "low": 0.0001, "high": 0.0004,
                     "paper": None, "basis": ""})  # fmt: skip
    assert blocks.claims.effect(row, "share") == "undecided: 0.02% (0.01% to 0.04%)"


@pytest.mark.parametrize(
    ("basis", "numbers", "unit", "said"),
    [
        (
            "LSTM 2x512: 2 of 2 units, one for each",
            (1, 0.342, 1),
            "share",
            "2 of 2 units (34% to 100%)",
        ),
        ("LSTM 2x512: 30 of 60 units", (0.5, 0.4, 0.6), "share", "50.0% (40.0% to 60.0%)"),
        ("616 units", (0.9805, 0.9807, 0.9808), "share", "98%"),  # both ends read the same
        ("9 networks", (0.1, 0.1, 0.1), "nats", "0.100 nats"),
        ("9 networks", (0.1, 0.05, 0.15), "nats", "0.100 nats (+0.050 to +0.150)"),
        ("9 networks", (0.1, float("nan"), float("nan")), "nats", "0.100 nats"),
        ("9 networks", (0.1, 0.05, 0.15), "probability", "probability +0.100 (+0.050 to +0.150)"),
        ("2 of 2 units", (0.1, 0.05, 0.15), "nats", "0.100 nats (+0.050 to +0.150)"),
    ],
)
def test_a_few_units_are_counted_and_an_interval_has_a_width(blocks, basis, numbers, unit, said):
    about = dict(zip(("effect", "low", "high"), numbers, strict=True))
    row = pd.Series({"verdict": "holds", "basis": basis, "paper": None} | about)
    assert blocks.claims.effect(row, unit) == f"holds: {said}"


def test_what_is_published_of_newer_types(blocks):
    tables = blocks.modern.MODERN / "tables"
    tables.mkdir(parents=True)
    (blocks.modern.MODERN / "settings.json").write_text('{"run": "modern", "corpora": {"wp": {}}}')
    losses = [
        ["wp", "lstm", 0, "paper", 1, 64, 1, 64, 30000, 1.4, 0, 0, 0],
        ["wp", "gru", 0, "paper", 1, 64, 1, 76, 30000, 1.35, -0.05, -0.07, -0.03],
        ["wp", "mingru", 0, "paper", 1, 64, 1, 80, 30000, 1.3, -0.1, -0.12, -0.08],
        ["wp", "mingru", 1, "adamw", 1, 64, 1, 40, 30000, 1.2, -0.2, -0.22, -0.18],
    ]
    pd.DataFrame(losses, columns=LOSSES).to_csv(tables / "types.csv", index=False)
    assert "| minGRU | 1.300 (-0.120 to -0.080) |" in blocks.modern.modern_losses()
    assert "| minGRU | 1.300 (-0.120 to -0.080) | – | – | 1.200" in blocks.modern.modern_losses()
    claim = NEWER[0]
    rows = [[claim.name, where, "holds", 0.1, 0.08, 0.12, None, "minGRU 1x64", ""]
            for where in ("wp", "wp: minGRU")]  # fmt: skip
    pd.DataFrame(rows, columns=COLUMNS).to_csv(tables / "claims.csv", index=False)
    said = "holds: 0.100 nats (+0.080 to +0.120) | holds: minGRU"
    lines = blocks.modern.modern_claims().splitlines()
    assert f"| {claim.says} | War and Peace | {said} |  |" == lines[2]
    others = dict(zip((claim.name for claim in NEWER), lines[2:], strict=True))
    assert "needs a text of another kind" in others["newer types close far braces"]
    assert "not tested: published before" in others["newer beats them in blocks"]
    status = [["wp", "type~mingru layers~1 size~64 seed~1", 1],
              ["wp", "type~mingru layers~2 size~64 seed~1", 0],
              ["wp", "type~mamba layers~1 size~64 seed~1", 0]]  # fmt: skip
    columns = ["corpus", "model", "finished"]
    pd.DataFrame(status, columns=columns).to_csv(tables / "status.csv", index=False)
    missing = blocks.modern.modern_missing()
    assert "- War and Peace, minGRU: 2x64." in missing and "Mamba: all networks." in missing
    assert "units of minGRU, Mamba" in missing
    said = "of the bare cell by the paper's recipe): minGRU+block+adamw -0.10."
    assert said in blocks.modern.modern_verdict()
    losses.append(["wp", "mamba", 1, "paper", 1, 64, 1, 60, 30000, 1.3, 0, 0, 0])  # no bare one
    losses.append(["wp", "mingru", 1, "paper", 1, 64, 1, 60, 30000, 1.25, 0, 0, 0])
    pd.DataFrame(losses, columns=LOSSES).to_csv(tables / "types.csv", index=False)
    said = "In a block (1x64), the lowest loss first: minGRU 1.250 (bare 1.300), Mamba 1.300."
    assert said in blocks.modern.modern_verdict()


def test_candidates_that_are_not_tried_are_named_for_what_they_are(blocks):
    """Those of the AdamW recipe are learning rates."""
    shape = "layers~2/size~128/seed~1"
    for one in (f"type~lstm+adamw/{shape}/rate~0.003", f"type~rglru/{shape}/dropout~0.0"):
        history = blocks.modern.MODERN / f"histories/wp/{one}/history.csv"
        history.parent.mkdir(parents=True)
        history.write_text("epoch,train_loss,val_loss\n1,1.5,1.5\n")
    lines = blocks.modern.untried(blocks.modern.plan("modern.yaml"), blocks.modern.MODERN)
    assert lines == [
        "War and Peace, not tried yet: dropout 0.1 in RG-LRU 2x128",
        "War and Peace, not tried yet: learning rate 0.001 in LSTM+adamw 2x128",
        "War and Peace, not tried yet: learning rate 0.01 in LSTM+adamw 2x128",
    ]
