"""What README.md says: its numbers are those that are published, its links and commands exist."""

import re
from pathlib import Path

import pandas as pd
import pytest

from charlens.bench import speed
from charlens.cli import VERBS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TABLES = ROOT / "results/reference/tables"


def rows(first: str) -> list[list[str]]:
    """The cells of the table whose head begins with `first`, head included, rule left out."""
    block = README[README.index(f"\n| {first}") :].strip().split("\n\n")[0]
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in block.splitlines()]
    return [line for line in lines if not set(line[0]) <= set("-: ")]


def entry(cells: pd.DataFrame) -> str:
    """Ours and, in brackets, the paper's, as the tables of the README have them."""
    if cells.empty:
        return "–"
    (row,) = cells.itertuples()
    return f"{row.ours:.3f} ({row.paper:.3f})"


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return pd.read_csv(TABLES / "comparison.csv")


def test_table_1_is_the_published_one(published):
    head, *body = rows("size |")
    for name, *said in body:
        size, _, title = name.partition(", ")
        own = published[published["corpus"] == ("lk" if title else "wp")]
        for column, text in zip(head[1:], said, strict=True):
            type, layers = column.lower().split()
            here = own["model"].eq(type) & own["layers"].eq(int(layers)) & own["size"].eq(int(size))
            assert text == entry(own[here]), f"README, table 1: {column} {name}"
    sizes = published.dropna(subset=["size"]).groupby("corpus")["size"].nunique()
    assert len(body) == sizes.sum()


def test_table_2_is_the_published_one(published):
    head, *body = rows("n = |")
    for name, *said in body:
        title, model = name.rsplit(", ", 1)
        own = published[published["corpus"] == {"War and Peace": "wp"}.get(title, "lk")]
        own = own[own["model"] == model]
        for n, text in zip(head[1:], said, strict=True):
            assert text == entry(own[own["n"] == int(n)]), f"README, table 2: {name}, n = {n}"


def test_the_agreement_is_the_published_one():
    table = pd.read_csv(TABLES / "agreement.csv").set_index(["corpus", "models"])
    row = table.loc["wp", "recurrent"]
    cells = int(row["cells"])
    said = " ".join(README.split())
    assert f"Over the {cells} cells the test loss is {row.mean_abs:.3f} nats from the" in said
    assert f"(median {row.median_abs:.3f})" in said
    assert f"rank correlation of {row.rank_correlation:.3f}" in said


def test_the_verdicts_are_the_published_ones():
    table = pd.read_csv(TABLES / "claims.csv")
    verdicts = table[table["where"] == "wp"]["verdict"]
    said = f"of the paper's {len(verdicts)} conclusions there {(verdicts == 'holds').sum()} hold"
    assert said in " ".join(README.split())
    verdicts = table[table["where"] == "lk"]["verdict"]
    said = f"{(verdicts == 'holds').sum()} of {len(verdicts)} conclusions hold so far"
    assert said in " ".join(README.split())


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert link.startswith("http") or (ROOT / link.partition("#")[0]).exists(), link


def test_commands_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][a-z-]+)", README)) - {"and"} <= targets
    assert set(re.findall(r"^charlens ([a-z-]+)", README, re.MULTILINE)) <= set(VERBS)


def test_the_speeds_are_the_published_ones():
    measured = speed.read(ROOT / "results/reference/bench/train.csv")
    assert speed.markdown(measured) in (ROOT / "src/charlens/fast/README.md").read_text()
    ours = [row for row in measured if row["backend"] == "ours"]
    stock, best = (
        f"{min(ratios):.1f} to {max(ratios):.1f}"
        for ratios in ([float(row[name]) for row in ours] for name in ("ratio_fp32", "ratio_best"))
    )
    said = " ".join(README.split())
    assert f"trains {stock} times as fast as stock torch, {best} times" in said
