"""Figure 2: passages of a text, each coloured by the unit that follows a hypothesis best.

Red is -1, blue is +1, and a character has the colour of what the unit holds after reading it: for
an LSTM tanh(c).
"""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, to_hex

from charlens.files import write_atomically
from charlens.report import plots
from charlens.report.html import render
from charlens.store.corpora import read_corpora
from charlens.store.found import model_name, number, read_found
from charlens.store.tables import read_table

# light enough at both ends for black letters
COLOURS = LinearSegmentedColormap.from_list("units", ["#EE6A50", "#FFFFFF", "#5A9BE6"])
LEVELS = 40  # colours on the page
TAB = 4  # columns shown; code with tabs of 8 would not fit
WIDE = 76  # characters in a line of the picture, where longer ones break
COLUMNS = 2
LINE = 0.098  # inches
TITLE = 0.36
PARTS = {"train": "training text", "val": "validation text", "test": "test text"}


def add_arguments(parser):
    parser.add_argument("--found", required=True, help="what charlens cells wrote (.json)")
    parser.add_argument("--best", required=True, help="the best unit of each hypothesis (.csv)")
    parser.add_argument("--corpus", required=True, help="the corpus's .json")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")
    parser.add_argument("--html", required=True, help="the same as a page with selectable text")


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
    """(letter, value) of each column, line by line, at most `wide` columns; a line break is a blank
    column, a tab several."""
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
    """What a passage shows, with its score; and where it is from."""
    unit = f"unit {passage['layer']}.{passage['unit']}"
    if passage["hypothesis"] is None:
        what = f"Least explained: {unit}"
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
            score, remark = 1 - score, " (low when true)"
        what = f"{title[0].upper()}{title[1:]}: {unit}, {measure} {number(score)}{remark}"
    where = f"{PARTS[passage['part']]}, byte {passage['at']:,}"
    if passage["source"] == "slides":
        where = f"a passage of the paper’s, here {where}"
    return what, where


# ---- the picture ----


def draw(found: dict, best: pd.DataFrame, about: dict):
    """The passages of a corpus in two columns, each in the one with more room."""
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
    """Coloured squares with the words on top of them. rows: of `lines`; width: inches."""
    shades = np.ones((len(rows), WIDE, 3))
    # A monospaced letter is 0.602 of its size wide. Words are placed one by one, so that another
    # font in a viewer of the SVG does no harm.
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
    """The colour scale, at the top of the foot. foot: its height (inches)."""
    total = figure.get_figheight()
    panel = figure.add_axes((0.8, (foot - 0.1) / total, 0.16, 0.08 / total))  # right of the source
    panel.imshow(np.linspace(-1, 1, 64)[None], cmap=COLOURS, aspect="auto", extent=(-1, 1, 0, 1))
    panel.set_xticks([-1, 0, 1], ["−1", "0", "+1"])
    panel.set_yticks([])
    panel.set_title("tanh(c)", fontsize=6.5, loc="center", pad=2)
    panel.tick_params(length=0, labelsize=6.5, pad=2)


# ---- the page ----


def page(found: dict, best: pd.DataFrame, about: dict) -> str:
    """The same passages as text that can be selected, each run of one colour a span."""
    passages = []
    for passage in found["passages"]:
        what, where = heading(passage, found, best)
        passages.append({"what": what, "where": where, "runs": coloured_runs(passage)})
    return render(
        "figure2",
        passages=passages,
        about=about,
        network=model_name(found),
        shades=[to_hex(COLOURS(level / LEVELS)) for level in range(LEVELS + 1)],
        ends=[to_hex(COLOURS(share)) for share in (0.0, 0.5, 1.0)],
    )


def coloured_runs(passage: dict) -> list[tuple[str, str]]:
    """(classes, letters) of each run of letters in one colour. A line break is a run of its own:
    its class n draws a mark that is not selected with the text."""
    runs: list[tuple[str, str]] = []
    for letter, value in characters(passage["text"], passage["values"]):
        shade = f"c{round((min(1, max(-1, value)) + 1) / 2 * LEVELS)}"
        if letter == "\n":
            runs.append((f"{shade} n", letter))
        elif runs and runs[-1][0] == shade:
            runs[-1] = (shade, runs[-1][1] + letter)
        else:
            runs.append((shade, letter))
    return runs
