"""Figure 2: passages of a text, each coloured by the cell that follows a hypothesis best.

Red is -1, blue is +1, and a character has the colour of what the cell holds after reading it: of
an LSTM tanh(c).
"""

import html

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, to_hex

from charlens.files import write_atomically
from charlens.report import plots
from charlens.report.html import document, source_line
from charlens.store.corpora import read_corpora
from charlens.store.found import model_name, number, read_found
from charlens.store.tables import read_table

# light enough at both ends for black letters
COLOURS = LinearSegmentedColormap.from_list("cells", ["#EE6A50", "#FFFFFF", "#5A9BE6"])
LEVELS = 40  # colours on the page
TAB = 4  # columns shown; code with tabs of 8 would not fit
WIDE = 76  # characters in a line of the picture, where longer ones break
COLUMNS = 2
LINE = 0.098  # inches
TITLE = 0.36
PARTS = {"train": "training text", "val": "validation text", "test": "test text"}


def add_arguments(parser):
    parser.add_argument("--found", required=True, help="what was found in the corpus (.json)")
    parser.add_argument("--best", required=True, help="the best cell of each hypothesis (.csv)")
    parser.add_argument("--corpus", required=True, help="the corpus's .json")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")
    parser.add_argument("--html", required=True, help="the same as a page, text to be selected")


def run(args):
    plots.check_formats(args.out)
    corpora = read_corpora([args.corpus])
    [(corpus, about)] = corpora.items()
    found = read_found([args.found], corpora)[corpus]
    columns = ["corpus", "hypothesis", "measure", "score", "beyond"]
    best = read_table(args.best, columns)
    with plots.style():
        plots.save(draw(found, best, about), args.out)
    write_atomically(args.html, page(found, best, about).encode())


# ---- text ----


def characters(text: str, values: list[float]) -> list[tuple[str, float]]:
    """The characters of a passage that has one letter and one value for each byte, UTF-8 joined.

    A character of several bytes has the value after its last; bytes that are no UTF-8 show as
    U+FFFD, control characters as a dot. Carriage returns are not shown.
    """
    raw, shown, at = text.encode("latin-1"), [], 0
    while at < len(raw):
        lead = raw[at]
        length = 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
        try:
            letter = raw[at : at + length].decode()
        except UnicodeDecodeError:
            letter, length = "\ufffd", 1
        if letter not in "\n\t\r" and not letter.isprintable():
            letter = "·"
        if letter != "\r":
            shown.append((letter, values[at + length - 1]))
        at += length
    return shown


def lines(shown: list[tuple[str, float]], wide: int) -> list[list[tuple[str, float]]]:
    """Cells of one column each, line by line; the line break is a blank cell, tabs are several."""
    rows, row = [], []
    for letter, value in shown:
        if letter == "\t":
            row += [(" ", value)] * (TAB - len(row) % TAB)
        else:
            row.append((" " if letter == "\n" else letter, value))
        if letter == "\n":
            rows.append(row)
            row = []
    rows.append(row)
    return [row[at : at + wide] for row in rows if row for at in range(0, len(row), wide)]


def heading(passage: dict, found: dict, best: pd.DataFrame) -> tuple[str, str]:
    """What a passage shows and how sure that is; and where the passage is from."""
    cell = f"cell {passage['layer']}.{passage['unit']}"
    if passage["hypothesis"] is None:
        what = f"Least explained: {cell}"
    else:
        titles = {entry["hypothesis"]: entry["title"] for entry in found["hypotheses"]}
        of = best["corpus"].eq(found["corpus"]) & best["hypothesis"].eq(passage["hypothesis"])
        row = best[of].iloc[0]
        measure = "AUC" if row["measure"] == "auc" else "τ"
        title = titles[passage["hypothesis"]]
        score, remark = row["score"], ""
        if not row["beyond"]:
            remark = " (chance level)"
        elif measure == "AUC" and score < 0.5:
            score, remark = 1 - score, " (low where so)"
        what = f"{title[0].upper()}{title[1:]}: {cell}, {measure} {number(score)}{remark}"
    where = f"{PARTS[passage['part']]}, byte {passage['at']:,}"
    if passage["source"] == "slides":
        where = f"a passage of the paper’s, here {where}"
    return what, where


# ---- the picture ----


def draw(found: dict, best: pd.DataFrame, about: dict):
    """The passages of a corpus in two columns, each put where there is most room."""
    blocks = []  # (x, y from the top, lines, heading) in inches
    column_width = plots.WIDTH / COLUMNS - 0.08
    heights = [0.3] * COLUMNS
    for passage in found["passages"]:
        rows = lines(characters(passage["text"], passage["values"]), WIDE)
        column = int(np.argmin(heights))
        x = column * plots.WIDTH / COLUMNS + 0.04
        blocks.append((x, heights[column], rows, heading(passage, found, best)))
        heights[column] += TITLE + LINE * len(rows) + 0.14
    top = max(heights) + 0.1
    total = top + 0.52  # the key, and below it the source
    figure = plots.new_figure(total)
    figure.set_layout_engine("none")
    title = f"{about['title']}: {model_name(found)}"
    figure.text(0.04 / plots.WIDTH, 1 - 0.06 / total, title, fontsize=10, va="top")
    for x, y, rows, (what, where) in blocks:
        left = x / plots.WIDTH
        figure.text(left, 1 - (y + 0.02) / total, what, fontsize=7.5, va="top")
        figure.text(left, 1 - (y + 0.17) / total, where, fontsize=6, va="top", color="#555555")
        height = LINE * len(rows)
        box = (left, 1 - (y + TITLE + height) / total, column_width / plots.WIDTH, height / total)
        draw_text(figure.add_axes(box), rows, column_width)
    draw_key(figure, total - top)
    plots.name_sources(figure, [about])
    return figure


def draw_text(panel, rows, width: float):
    """One row of coloured cells for each line, and its words on top."""
    shades = np.ones((len(rows), WIDE, 3))
    # a monospaced letter is 0.602 of its size wide; words are placed one by one, so that another
    # font in a viewer of the SVG does no harm
    size = width / WIDE * 72 / 0.602
    for y, row in enumerate(rows):
        shades[y, : len(row)] = COLOURS([(value + 1) / 2 for _, value in row])[:, :3]
        letters = "".join(letter for letter, _ in row)
        begin = 0
        for word in letters.split(" "):
            if word:
                panel.text(begin, y + 0.72, word, fontsize=size, family="DejaVu Sans Mono")
            begin += len(word) + 1
    panel.imshow(shades, extent=(0, WIDE, len(rows), 0), aspect="auto", interpolation="nearest")
    panel.set(xlim=(0, WIDE), ylim=(len(rows), 0))
    panel.set_axis_off()


def draw_key(figure, foot: float):
    """What red and blue are, at the top of the foot (inches)."""
    total = figure.get_figheight()
    panel = figure.add_axes((0.8, (foot - 0.1) / total, 0.16, 0.08 / total))  # right of the source
    panel.imshow(np.linspace(-1, 1, 64)[None], cmap=COLOURS, aspect="auto", extent=(-1, 1, 0, 1))
    panel.set_xticks([-1, 0, 1], ["−1", "0", "+1"])
    panel.set_yticks([])
    panel.set_title("tanh(c)", fontsize=6.5, loc="center", pad=2)
    panel.tick_params(length=0, labelsize=6.5, pad=2)


# ---- the page ----

PAGE_STYLE = """
h3 { font-size: 1em; margin: 1.6em 0 .1em; font-weight: bold; }
pre { font: 13px/1.5 "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre-wrap;
      overflow-wrap: anywhere; tab-size: 4; margin: .3em 0; color: black; }
.n::before { content: "↵"; color: #0006; }
.key { display: inline-block; width: 9em; height: .7em; }
"""


def page(found: dict, best: pd.DataFrame, about: dict) -> str:
    shades = "".join(
        f".c{level} {{ background: {to_hex(COLOURS(level / LEVELS))}; }}\n"
        for level in range(LEVELS + 1)
    )
    ends = ", ".join(to_hex(COLOURS(share)) for share in (0.0, 0.5, 1.0))
    passages = "\n".join(passage_html(passage, found, best) for passage in found["passages"])
    return document(
        "Figure 2",
        PAGE_STYLE + shades,
        "<h1>Figure 2: cells and what they follow</h1>\n"
        "<p>For each hypothesis the best cell of the best LSTM, and one cell of which the"
        " hypotheses say least. Each character is coloured by tanh(c) after the cell has read it,"
        " from −1"
        f' <span class="key" style="background:linear-gradient(to right, {ends})"></span> to +1.'
        " The first passages are those over which the hypothesis itself changes most, on text"
        " that was not used to pick the cell. Cells are named layer.unit; scores are those of"
        " the whole reporting half of the test text.</p>\n"
        f"<h2>{html.escape(about['title'])}: {model_name(found)}</h2>\n{source_line(about)}\n"
        f"{passages}",
    )


def passage_html(passage: dict, found: dict, best: pd.DataFrame) -> str:
    what, where = heading(passage, found, best)
    runs: list[list] = []  # [class, letters]
    for letter, value in characters(passage["text"], passage["values"]):
        shade = f"c{round((min(1, max(-1, value)) + 1) / 2 * LEVELS)}"
        shade += " n" * (letter == "\n")  # a mark that is not selected with the text
        if runs and runs[-1][0] == shade:
            runs[-1][1] += letter
        else:
            runs.append([shade, letter])
    body = "".join(
        f'<span class="{shade}">{letter}</span>'
        for shade, letters in runs
        for letter in (letters if " n" in shade else [html.escape(letters)])
    )
    return (
        f"<h3>{html.escape(what)}</h3>\n"
        f'<p class="source">{html.escape(where)}</p>\n<pre>{body}</pre>'
    )
