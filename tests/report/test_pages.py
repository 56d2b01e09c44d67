"""The pages: well-formed, self-contained, and safe from what users write."""

from typing import NamedTuple

import jinja2
import numpy as np
import pandas as pd
import pytest
from valid_html import check

from charlens.claims import contiguous_split
from charlens.claims import page as claims_page
from charlens.report import comparison, html, tables
from charlens.runs import modules

HOSTILE = "</td><i>&“quotes”"
CORPORA = {
    "wp": {"corpus": "wp", "title": HOSTILE, "source": HOSTILE, "bytes": 9, "symbols": 3},
}

WHOLE = {"failed": "", tables.LENGTH: None}


def table1():
    rows = [
        ["wp", "lstm", 1, 64, 64, 45000, 0.0, 1, 5, 1.46, 1.46, 0.002, 1.449],
        ["wp", "lstm", 1, 64, 64, 45000, 0.1, 2, 7, 1.45, 1.48, 0.004, 1.449],
        ["wp", "gru", 3, 128, 80, 120000, 0.0, 1, 9, 1.30, 1.31, 0.002, 1.253],
    ]
    return pd.DataFrame(rows, columns=tables.TABLE1[:13]).assign(**WHOLE, rate=float("nan"))


def table2():
    rows = [
        ["wp", "n-gram", 2, None, 1.9, 0.002, 1.928, 33300, 30834],
        ["wp", "n-NN", 1, 128, 2.4, 0.002, 2.399, 90900, None],
    ]
    table = pd.DataFrame(rows, columns=tables.TABLE2[:9])
    return table.astype({"hidden": "Int64", "arpa_bytes": "Int64"}).assign(**WHOLE)


def test_table_pages():
    page = tables.table1_page(table1(), CORPORA, 100)
    check(page)
    assert "lowest validation loss, GRU 3x128" in page and "seeds 1.460–1.480" in page
    assert "dropout 0, 0.1" in page and "epoch 5, 7" in page and "<i>" not in page
    # 2 types of 1 layer number each, 2 sizes: 2 of 4 entries are there, in both grids
    assert page.count("<td>–</td>") + page.count('<td class="group">–</td>') == 4
    page = tables.table2_page(table2(), CORPORA, 100)
    check(page)
    assert "33.3 kB packed" in page and "128 units" in page and "<i>" not in page


def test_comparison_page():
    entries = comparison.compare(table1(), table2())
    text = pd.DataFrame(columns=comparison.TEXT)
    page = comparison.page(entries, comparison.summarise(entries, CORPORA), text, CORPORA)
    check(page)
    assert '<span class="name">GRU 3x128 (+0.057)</span>' in page and "<i>" not in page
    entries["difference"] = 0.0
    text = pd.DataFrame(columns=comparison.TEXT)
    page = comparison.page(entries, comparison.summarise(entries, CORPORA), text, CORPORA)
    check(page)
    assert "No entry is off by more than 0.03 nats." in page


def test_contiguous_split_page():
    columns = contiguous_split.COLUMNS + contiguous_split.ADVANTAGE + contiguous_split.SEEDS
    text, both = contiguous_split.TEXT, contiguous_split.TEXT_AND_SEEDS
    numbers = [1.0, 1.3, 0.3, 0.2, 0.4, 0.2, -0.05, -0.25, -0.3, -0.2]
    rows = [
        ["wp", "9-gram", 1.2, 1.25, 0.05, 0.02, 0.08, *[np.nan] * 7, text],
        ["wp", "LSTM 1x64", *numbers, 1, 1, text],
        ["wp", "LSTM 2x64", *numbers, 3, 1, both],
    ]
    page = contiguous_split.page(pd.DataFrame(rows, columns=columns), CORPORA, 10_000)
    check(page)
    assert "Advantage over the 9-gram" in page and "−0.300 to −0.200" in page
    assert "contiguous split" in page and "10,000 resamples" in page and "plain cut" not in page
    assert "LSTM 1x64, 1 seed, test text alone" in page and "LSTM 2x64, 1 and 3 seeds<" in page
    page = contiguous_split.page(pd.DataFrame(rows[:1], columns=columns), CORPORA, 10_000)
    assert "Advantage over" not in page


class Claim(NamedTuple):
    name: str
    says: str
    test: object


def tested():
    """How it is tested: <by hand>."""


def page_of_claims():
    columns = ["claim", "where", "verdict", "effect", "low", "high", "paper", "basis"]
    rows = [
        ["A & b", "wp", "holds", 0.5, 0.4, 0.6, np.nan, HOSTILE],
        ["A & b", "wp: LSTM", "does not hold", -1.0, -1.0, -0.9, 0.1, ""],
        ["c", "wp", "undecided", np.nan, np.nan, np.nan, np.nan, "missing: a text"],
        ["c", "wp: flat", "holds", 0.75, 0.75, 0.75, np.nan, "no width"],
    ]
    claims = [Claim(name, f"{name}: {HOSTILE}", tested) for name in ("A & b", "c", "of code alone")]
    return claims_page.page(pd.DataFrame(rows, columns=columns), claims, CORPORA, 1000)


def test_claims_page():
    page = page_of_claims()
    check(page)
    assert page.count("<section") == 2 and page.count("<tr") == 1 + 3 + 2 + 4
    assert "holds: 1 · does not hold: 0 · undecided: 1" in page
    assert "&lt;by hand&gt;" in page and "<i>" not in page
    assert "+0.500 <small>(+0.400 to +0.600)</small>" in page
    assert page.count("<svg") == 2  # what is missing has no interval, nor has one of no width
    assert "+0.750" in page and "+0.750 to" not in page
    assert f'cx="{claims_page.MARGIN}.0"' in page  # the farthest effect, on the left


@pytest.mark.browser
def test_pages_fit_a_narrow_screen_and_follow_dark_mode(browser, tmp_path):
    """A table too wide for the screen is moved sideways by itself; nothing in it overlaps."""
    pages = [tables.table1_page(table1(), CORPORA, 100), tables.table2_page(table2(), CORPORA, 100)]
    pages += [page_of_claims()]
    browser.resize(400, 800)
    for scheme, light in (("light", True), ("dark", False)):
        browser.prefer(scheme)
        for page in pages:
            (tmp_path / "page.html").write_text(page)
            browser.open(tmp_path / "page.html", until="document.readyState == 'complete'")
            assert browser.evaluate("document.documentElement.scrollWidth") == 400
            overlaps = """[...document.querySelectorAll('tr')].some(row => {
                const boxes = [...row.cells].map(cell => {
                    const all = document.createRange();
                    all.selectNodeContents(cell);
                    return all.getBoundingClientRect();
                }).filter(box => box.width);
                return boxes.some((box, k) => k && box.left < boxes[k - 1].right - 1);
            })"""
            assert not browser.evaluate(overlaps)
            colour = browser.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (colour == "rgb(255, 255, 255)") == light
    browser.prefer("light")


def test_a_template_that_lacks_a_value_fails():
    with pytest.raises(jinja2.UndefinedError):
        html.render("table1", sections=[], best={}, samples=1)


@pytest.mark.parametrize(
    "size, words",
    [(33_300, "33.3 kB"), (999_400, "999 kB"), (999_600, "1 MB"), (2_110_000_000, "2.11 GB")],
)
def test_file_sizes_in_words(size, words):
    assert html.file_size(size) == words


def test_pages_depend_on_the_templates_and_figures_do_not():
    pages = ("report.tables", "report.figure2", "claims.contiguous_split", "units.unit_tables")
    for name in pages:
        assert "report/templates/base.jinja" in modules.files(name), name
    assert not any("templates" in file for file in modules.files("report.figure4"))


def test_losses_on_characters_are_given_in_bits_per_byte():
    # 2.0 nats a character of 1.6 bytes are 2.0 / 1.6 / ln 2 = 1.803 bits per byte
    table = table1().assign(**{tables.LENGTH: 1.6, "loss": 2.0})
    page = tables.table1_page(table, CORPORA, 100)
    check(page)
    assert "1.803 bits/byte" in page and "in bits per byte of UTF-8" in page
    assert "bits/byte" not in tables.table1_page(table1(), CORPORA, 100)
