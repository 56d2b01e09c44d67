"""Figure 2: passages of a text, each coloured by the unit that follows a hypothesis best.

Red is -1, blue is +1, and a character has the colour of what the unit holds after reading it: for
an LSTM tanh(c). A hypothesis whose best unit is at chance level has no passage. The picture fits a
printed page; the page below `--html` has the passages that are too many for it.
"""

import argparse
from unicodedata import east_asian_width

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex

from charlens.files import write_atomically
from charlens.networks.cells import memory, unbounded
from charlens.report import fonts, plots
from charlens.report.html import render
from charlens.store.corpora import read_corpora
from charlens.store.found import model_name, number, read_found
from charlens.store.models import type_name
from charlens.store.tables import read_table
from charlens.text.unicode import CHARACTERS, symbols_are

# light enough at both ends for black letters, and -1 darker than +1 for grey print
COLOURS = LinearSegmentedColormap.from_list("units", ["#DC4A32", "#FFFFFF", "#79B4F2"])
LEVELS = 40  # colours on the page
SATURATED, MOST = 0.99, 0.8  # |tanh(c)|, and the share of a passage where it is beyond it
TAB = 4  # columns shown; code with tabs of 8 would not fit
SIZE = 7.0  # points: letters in the picture, the smallest of the figure
CHARACTER = SIZE * 0.602 / 72  # inches: the width of a monospaced letter
LINE = 1.15 * SIZE / 72  # inches
WIDE = {"code": 60, "prose": 76}  # characters in a line of the picture, where longer ones break
COLUMNS = {"code": 2, "prose": 1}  # prose has its headings beside the passages
ROOM = {2: 3.52, 1: 2.4}  # inches: for a heading above a passage, and beside one
HEADING, GAP = 0.14, 0.11  # inches: a line of a heading, and the space below a passage
HEAD, PAGE = 0.3, 10.0  # inches: above the passages, and of all at most
NOTE, NOTE_LINE = 5.4, 0.14  # inches: the width of the notes below, and a line of them
DOTS = "A dot stands for a character that no installed font has; the page of this figure has it."
PARTS = {"train": "training text", "val": "validation text", "test": "test text"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--found", required=True, help="what charlens cells wrote (.json)")
    parser.add_argument("--best", required=True, help="the best unit of each hypothesis (.csv)")
    parser.add_argument("--corpus", required=True, help="the corpus's .json")
    parser.add_argument("--out", nargs="+", required=True, help="figure files, .png or .svg")
    parser.add_argument("--html", required=True, help="the same as a page with selectable text")


def run(args: argparse.Namespace) -> None:
    plots.check_formats(args.out)
    corpora = read_corpora([args.corpus])
    [(corpus, about)] = corpora.items()
    found = read_found([args.found], corpora)[corpus]
    columns = ["corpus", "hypothesis", "measure", "score", "low", "high", "beyond"]
    best = read_table(args.best, columns)
    with plots.style():
        plots.save(draw(found, best, about), args.out)
    write_atomically(args.html, page(found, best, about).encode())


# ---- which passages ----


def row_of(found: dict, best: pd.DataFrame, hypothesis: str) -> pd.Series:
    """The best unit of a hypothesis and its score."""
    of = best["corpus"].eq(found["corpus"]) & best["hypothesis"].eq(hypothesis)
    return best[of].iloc[0]


def at_chance(row: pd.Series) -> bool:
    """Is a score within the null distribution, or chance in its interval? So it is where the unit
    has no score, as where the evaluated text has the hypothesis nowhere."""
    if pd.isna(row["score"]):
        return True
    chance = 0.5 if row["measure"] == "auc" else 0.0
    return not row["beyond"] or bool(row["low"] <= chance <= row["high"])


def title_of(found: dict, hypothesis: str) -> str:
    """A hypothesis for readers."""
    [title] = [h["title"] for h in found["hypotheses"] if h["hypothesis"] == hypothesis]
    return title


def shown(found: dict, best: pd.DataFrame) -> tuple[list[dict], list[str]]:
    """The passages whose unit is not at chance level; and in words which hypotheses were left out
    and which share a unit, or that there is nothing to show."""
    names = dict.fromkeys(p["hypothesis"] for p in found["passages"] if p["hypothesis"])
    out = [name for name in names if at_chance(row_of(found, best, name))]
    passages = [p for p in found["passages"] if p["hypothesis"] not in out]
    titles = "; ".join(title_of(found, name) for name in out)
    left_out = [f"Left out, the best unit is at chance level: {titles}."] if out else []
    if not passages and not out:
        left_out = ["The test text has too little of what any hypothesis is about."]
    return passages, [*left_out, *shared(found, passages)]


def shared(found: dict, passages: list[dict]) -> list[str]:
    """A sentence for each unit that is the best for several hypotheses."""
    followed: dict[str, dict[str, None]] = {}
    for passage in passages:
        if passage["hypothesis"]:
            titles = followed.setdefault(unit_name(passage), {})
            titles[title_of(found, passage["hypothesis"])] = None
    return [
        f"Unit {unit} is shown for {len(titles)} hypotheses: {'; '.join(titles)}."
        for unit, titles in followed.items()
        if len(titles) > 1
    ]


def unit_name(passage: dict) -> str:
    """The unit of a passage: layer.unit."""
    return f"{passage['layer']}.{passage['unit']}"


# ---- text ----


def characters(passage: dict) -> list[tuple[str, float]]:
    """The characters of a passage, each with the value after it was read; UTF-8 is joined where the
    passage has one letter and one value for each byte.

    A character of several bytes has the value after its last; bytes that are no UTF-8 show as
    U+FFFD, control characters as a dot. Carriage returns are not shown.
    """
    text, values = passage["text"], passage["values"]
    if symbols_are(passage) == CHARACTERS:
        shown = zip(text, values, strict=True)
        return [(visible(letter), value) for letter, value in shown if letter != "\r"]
    raw, shown, at = text.encode("latin-1"), [], 0
    while at < len(raw):
        lead = raw[at]
        length = 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
        try:
            letter = raw[at : at + length].decode()
        except UnicodeDecodeError:
            letter, length = "\ufffd", 1
        if letter != "\r":
            shown.append((visible(letter), values[at + length - 1]))
        at += length
    return shown


def visible(letter: str) -> str:
    """A character as it is shown: a dot for control characters."""
    return letter if letter in "\n\t\r" or letter.isprintable() else "·"


def lines(shown: list[tuple[str, float]], wide: int) -> list[list[tuple[str, float]]]:
    """(letter, value) of each column, line by line, at most `wide` columns; a line break is a blank
    column, a tab several. A wide letter, such as a Chinese one, has a second column without a
    letter ("")."""
    rows, row = [], []
    for letter, value in shown:
        if letter == "\t":
            row += [(" ", value)] * (TAB - len(row) % TAB)
        else:
            row.append((" " if letter == "\n" else letter, value))
            row += [("", value)] * (east_asian_width(letter) in "WF")
        if letter == "\n":
            rows.append(row)
            row = []
    rows.append(row)
    return [line for row in rows for line in broken(row, wide)]


def broken(row: list[tuple[str, float]], wide: int) -> list[list[tuple[str, float]]]:
    """The columns of a line in lines of at most `wide` columns; no wide letter is cut in two."""
    found = []
    while row:
        end = wide - (row[wide : wide + 1] != [] and row[wide][0] == "")
        found.append(row[:end])
        row = row[end:]
    return found


def heading(passage: dict, found: dict, best: pd.DataFrame) -> tuple[str, str]:
    """What a passage shows, with its score; and where it is from, with what to hold against the
    score."""
    unit, held_against = f"unit {unit_name(passage)}", ""
    if passage["hypothesis"] is None:
        what = f"Least explained: {unit}"
    else:
        row = row_of(found, best, passage["hypothesis"])
        measure = "AUC" if row["measure"] == "auc" else "τ"
        title = title_of(found, passage["hypothesis"])
        score, remark = row["score"], ""
        if measure == "AUC" and score < 0.5:
            score, remark = 1 - score, " (low when true)"
        what = f"{title[0].upper()}{title[1:]}: {unit}, {measure} {number(score)}{remark}"
        held_against = not_beyond(row)
    where = f"{PARTS[passage['part']]}, {symbols_are(passage).removesuffix('s')} {passage['at']:,}"
    if passage["source"] == "slides":
        where = f"a passage of the paper’s, here {where}"
    return what, "; ".join(filter(None, (where, held_against, saturated(passage, found))))


def saturated(passage: dict, found: dict) -> str:
    """That tanh hides what a unit holds where nearly all of a passage has one colour."""
    values = np.array(passage["values"])
    at_one_end = max(np.mean(values > SATURATED), np.mean(values < -SATURATED))
    if at_one_end < MOST or not unbounded(found["type"]):
        return ""
    name = memory(found["type"])
    return f"scored on {name}; tanh({name}) saturated here"


def shown_as(type: str) -> str:
    """What the colours stand for: tanh(c) of an LSTM, h of a GRU."""
    return f"tanh({memory(type)})" if unbounded(type) else str(memory(type))


def not_beyond(row: pd.Series) -> str:
    """The stronger baseline of a unit that is not beyond both, in the measure of its score: not
    beyond the last 5 characters: 0.922. Nothing where a table does not tell, as an older one."""
    if row.get("beyond_baselines") not in (False, "False"):
        return ""
    last = "character" if row.get("k") == 1 else f"{row.get('k', 0):.0f} characters"
    strengths = {
        f"the last {last}": row.get("last_k"),
        "an untrained network": row.get("untrained"),
    }
    known = {name: value for name, value in strengths.items() if not pd.isna(value)}
    if not known:
        return "not beyond the baselines"
    name = max(known, key=known.get)
    value = (1 + known[name]) / 2 if row["measure"] == "auc" else known[name]
    return f"not beyond {name}: {number(value)}"


# ---- the picture ----


def draw(found: dict, best: pd.DataFrame, about: dict):
    """As many passages of a corpus as fit the page, in columns of about the same height."""
    columns, wide = COLUMNS[about["kind"]], WIDE[about["kind"]]
    passages, notes = shown(found, best)
    texts = [lines(characters(p), wide) for p in passages]
    _, lacking = fonts.covering("".join(letter for t in texts for row in t for letter, _ in row))
    headings = [wrapped(heading(p, found, best), columns) for p in passages]
    above = [HEADING * len(both) + 0.03 if columns > 1 else 0 for both in headings]
    heights = [
        GAP + (above[at] + LINE * max(4, len(texts[at])) if columns > 1
               else max(LINE * len(texts[at]), HEADING * len(headings[at])))
        for at in range(len(passages))
    ]  # fmt: skip
    notes = [DOTS] * bool(lacking) + notes
    note = "\n".join(line for one in notes for line in fonts.wrapped(one, NOTE, plots.SMALL))
    beside_key = max(2, len(note.splitlines()))
    foot = NOTE_LINE * (beside_key + len(plots.lines_below([about])) + 1)
    kept: list[int] = []
    for at in range(len(passages)):
        _, height = balanced([heights[k] for k in [*kept, at]], columns)
        if not kept or height <= PAGE - HEAD - foot:
            kept.append(at)
    spots, height = balanced([heights[k] for k in kept], columns)
    total = HEAD + height + foot
    figure = plots.new_figure(total)
    figure.set_layout_engine("none")
    title = plots.named(about["title"], model_name(found), plots.WIDTH - 0.2, 10)
    figure.text(0.04 / plots.WIDTH, 1 - 0.06 / total, title, fontsize=10, va="top")
    for (column, down), at in zip(spots, kept, strict=True):
        rows = texts[at]
        x, y = 0.04 + column * plots.WIDTH / columns, HEAD + down
        beside = x + wide * CHARACTER + 0.15 if columns == 1 else x
        for line, (text, style) in enumerate(headings[at]):
            under = 1 - (y + 0.02 + HEADING * line) / total
            figure.text(beside / plots.WIDTH, under, text, va="top", **style)
        box = (x, total - y - above[at] - LINE * len(rows), wide * CHARACTER, LINE * len(rows))
        panel = figure.add_axes(np.divide(box, [plots.WIDTH, total, plots.WIDTH, total]))
        draw_text(panel, rows, wide, lacking)
    draw_key(figure, foot, shown_as(found["type"]))
    plots.name_sources(figure, [about], note)
    return figure


def wrapped(both: tuple[str, str], columns: int) -> list[tuple[str, dict]]:
    """The lines of a heading, each with its style. both: of `heading`."""
    styles = {"fontsize": 7.5}, {"fontsize": SIZE, "color": "#555555"}
    return [
        (line, style)
        for text, style in zip(both, styles, strict=True)
        for line in fonts.wrapped(text, ROOM[columns], style["fontsize"])
    ]


def balanced(heights: list[float], columns: int) -> tuple[list[tuple[int, float]], float]:
    """The column of each passage and how far down it begins (inches), and the tallest column.

    The tallest passages choose first, each the column with the most room; in a column passages keep
    their order, and the first passage is in the first column.
    """
    if not heights:
        return [], 0.0
    filled, column = np.zeros(columns), np.zeros(len(heights), int)
    for at in np.argsort(heights, kind="stable")[::-1]:
        column[at] = filled.argmin()
        filled[column[at]] += heights[at]
    column = np.argsort(np.roll(np.arange(columns), -column[0]))[column]
    down = [sum(h for h, c in zip(heights[:at], column, strict=False) if c == column[at])
            for at in range(len(heights))]  # fmt: skip
    return list(zip(column.tolist(), down, strict=True)), float(filled.max())


def draw_text(panel: Axes, rows, wide: int, lacking: set[str]):
    """Coloured squares with the words on top of them. rows: of `lines`, at most `wide` letters.
    lacking: letters that no font has; a dot stands for them."""
    shades = np.ones((len(rows), wide, 3))
    # Words are placed one by one, so that another font in a viewer of the SVG does no harm.
    for y, row in enumerate(rows):
        shades[y, : len(row)] = COLOURS([(value + 1) / 2 for _, value in row])[:, :3]
        for begin, word in words(row):
            shown = "".join("·" if letter in lacking else letter for letter in word)
            panel.text(begin, y + 0.74, shown, fontsize=SIZE, family="DejaVu Sans Mono")
    panel.imshow(shades, extent=(0, wide, len(rows), 0), aspect="auto", interpolation="nearest")
    panel.set(xlim=(0, wide), ylim=(len(rows), 0))
    panel.set_axis_off()


def words(row: list[tuple[str, float]]) -> list[tuple[int, str]]:
    """The column where each word of a line begins, and the word; a wide letter is one."""
    found, begin = [], 0
    for at in range(len(row) + 1):
        wide = at + 1 < len(row) and row[at + 1][0] == ""
        if at == len(row) or row[at][0] in (" ", "") or wide:
            word = "".join(letter for letter, _ in row[begin:at])
            found += [(begin, word)] if word else []
            found += [(at, row[at][0])] if wide else []
            begin = at + 1
    return found


def draw_key(figure, foot: float, shown: str):
    """The colour scale, at the top of the foot. foot: its height (inches). shown: its name."""
    total = figure.get_figheight()
    panel = figure.add_axes((0.8, (foot - 0.1) / total, 0.16, 0.08 / total))  # right of the source
    panel.imshow(np.linspace(-1, 1, 64)[None], cmap=COLOURS, aspect="auto", extent=(-1, 1, 0, 1))
    panel.set_xticks([-1, 0, 1], ["−1", "0", "+1"])
    panel.set_yticks([])
    panel.set_title(shown, fontsize=7, loc="center", pad=2)
    panel.tick_params(length=0, labelsize=7, pad=2)


# ---- the page ----


def page(found: dict, best: pd.DataFrame, about: dict) -> str:
    """The same passages as text that can be selected, each run of one colour a span."""
    passages = []
    chosen, notes = shown(found, best)
    for passage in chosen:
        what, where = heading(passage, found, best)
        passages.append({"what": what, "where": where, "runs": coloured_runs(passage)})
    return render(
        "figure2",
        passages=passages,
        notes=notes,
        about=about,
        network=model_name(found),
        type=type_name(found["type"]),
        shown=shown_as(found["type"]),
        shades=[to_hex(COLOURS(level / LEVELS)) for level in range(LEVELS + 1)],
        ends=[to_hex(COLOURS(share)) for share in (0.0, 0.5, 1.0)],
    )


def coloured_runs(passage: dict) -> list[tuple[str, str]]:
    """(classes, letters) of each run of letters in one colour. A line break is a run of its own:
    its class n draws a mark that is not selected with the text."""
    runs: list[tuple[str, str]] = []
    for letter, value in characters(passage):
        shade = f"c{round((min(1, max(-1, value)) + 1) / 2 * LEVELS)}"
        if letter == "\n":
            runs.append((f"{shade} n", letter))
        elif runs and runs[-1][0] == shade:
            runs[-1] = (shade, runs[-1][1] + letter)
        else:
            runs.append((shade, letter))
    return runs
