"""What a reader can see in the figures: nothing covers anything else, and letters are large enough.

The figures are drawn from constructed numbers and measured before they are written.
"""

import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from synthetic import random_logp, write_score

from charlens.report import (
    comparison,
    errors_by_size,
    figure1,
    figure2,
    figure3,
    figure4,
    figure5,
    figure6,
    fonts,
    plots,
)
from charlens.store.scores import read_score

ABOUT = {"corpus": "code", "title": "Code", "kind": "code", "source": "made up"}
ABOUT |= {"bytes": 9, "symbols": 5}
SMALLEST = 7.0  # points


@pytest.fixture(autouse=True)
def in_style():
    with warnings.catch_warnings(), plots.style():
        warnings.simplefilter("error")
        yield


def texts(artist):
    return [text for text in artist.findobj(Text) if text.get_visible() and text.get_text()]


def legible(figure):
    figure.draw_without_rendering()
    assert figure.get_figwidth() == plots.WIDTH and figure.get_figheight() < 11
    assert min(text.get_fontsize() for text in texts(figure)) >= SMALLEST


def lines_of(text):
    """The lines of a text that are not empty, each with its frame."""
    box, lines = text.get_window_extent(), text.get_text().split("\n")
    if len(lines) == 1 or text.get_rotation():
        return [(text.get_text(), box)]
    height, found = box.height / len(lines), []
    for at, line in enumerate(lines):
        wide = box.width
        if text.get_ha() == "left":
            wide = min(wide, fonts.width(line, text.get_fontsize()) * text.figure.dpi)
        if line.strip():
            top = box.y1 - at * height
            found.append((line, Bbox([(box.x0, top - height), (box.x0 + wide, top)])))
    return found


def overlapping(figure):
    """Pairs of texts that are drawn over one another, and texts that leave the page."""
    figure.draw_without_rendering()
    hidden = set()  # labels of ticks that are not within the limits, or of no axis
    for panel in figure.findobj(Axes):
        for axis in (panel.xaxis, panel.yaxis):
            drawn = {tick.label1 for tick in axis._update_ticks()} if panel.axison else set()
            hidden |= {tick.label1 for tick in axis.get_major_ticks()} - drawn
            hidden |= set() if panel.axison else {axis.label}
    shown = [text for text in texts(figure) if text not in hidden]
    frames = [(line, box) for text in shown for line, box in lines_of(text)]
    page = figure.bbox.padded(1)
    beyond = [(name, "page") for name, frame in frames if not plots.within(frame, page)]
    return beyond + [
        (one, other)
        for at, (one, a) in enumerate(frames)
        for other, b in frames[:at]
        if a.padded(-0.5).overlaps(b.padded(-0.5))
    ]


def boxes(panel, points, reach=2.0):
    """A square of 2 * reach points around each of the points [M, 2] of a panel, as a list."""
    pixels = reach * panel.figure.dpi / 72
    at = panel.transData.transform(np.asarray(points, dtype=float))
    return [(*(one - pixels), *(one + pixels)) for one in at]


def covers(box, others):
    return any(
        box.x0 < x1 and x0 < box.x1 and box.y0 < y1 and y0 < box.y1 for x0, y0, x1, y1 in others
    )


LONG = (  # the titles of studies are names of files
    "The_collected-works.of_somebody,with-a-file_name-without_any_space,1869-1877,cleaned.txt",
    "A title of many words about a text that somebody has cleaned for a study of their own",
    "МОСКВА И ПЕТЕРБУРГ, ПОЛНОЕ СОБРАНИЕ СОЧИНЕНИЙ В ДЕВЯНОСТА ТОМАХ, ТОМ ДЕВЯТЫЙ И ДЕСЯТЫЙ",
)


@pytest.mark.parametrize("text", [*LONG, "short", "  ", ""])
def test_lines_are_as_wide_as_they_may_be(text):
    figure = plots.new_figure(1)
    for inches in (0.5, 2.0, 9.0):
        lines = fonts.wrapped(text, inches, 8.5)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        for line in [*lines, fonts.shortened(text, inches, 8.5)]:
            drawn = figure.text(0, 0, line, fontsize=8.5)
            assert drawn.get_window_extent().width <= (inches + 0.03) * figure.dpi
    assert fonts.shortened(text, 9.0, 8.5) == text


def test_sources_are_within_the_page():
    figure = plots.new_figure(3)
    figure.subplots()
    plots.name_sources(figure, [{"title": title, "source": 2 * title} for title in LONG], LONG[1])
    figure.draw_without_rendering()
    assert max(text.get_window_extent().x1 for text in texts(figure)) <= figure.bbox.width


def test_a_label_without_a_place_is_left_out_and_none_leaves_its_panel():
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    figure = plots.new_figure(3)
    panel = figure.subplots()
    panel.scatter(*corners.T)
    plots.label_points(panel, [(x, y, f"at {x}, {y}") for x, y in corners], corners)
    assert len(panel.texts) >= 4
    frames = [text.get_window_extent() for text in panel.texts if text.get_text()]
    assert all(plots.within(frame, panel.bbox) for frame in frames)
    crowd = np.stack(np.meshgrid(*2 * [np.linspace(0, 1, 90)]), axis=-1).reshape(-1, 2)
    before = len(panel.texts)
    plots.label_points(panel, [(0.5, 0.5, "nowhere")], crowd)
    assert len(panel.texts) == before


# ---- the comparison ----


def test_labels_of_the_comparison_cover_no_mark():
    paper = np.linspace(1.0, 1.5, 26)
    ours = paper + 0.004 * np.arange(26) % 3
    ours[12] += 0.1
    beside = paper[12] + 0.03 * np.arange(1, 5), np.full(4, ours[12])  # where its label would be
    columns = {"paper": [*paper, *beside[0]], "ours": [*ours, *beside[1]]}
    entries = pd.DataFrame(columns)
    entries = entries.assign(corpus="code", model="lstm", layers=1, size=64, n=np.nan)
    entries["difference"] = entries["ours"] - entries["paper"]
    figure = comparison.draw(entries, {"code": ABOUT})
    legible(figure)
    [panel] = figure.axes
    assert not overlapping(figure)
    named = [text for text in panel.texts if text.get_text() == "LSTM 1x64"]
    assert len(named) == (entries["difference"].abs() > comparison.NAMED).sum() > 0
    marks = boxes(panel, entries[["paper", "ours"]])
    shown = [text.get_window_extent() for text in named]
    assert not any(covers(box, marks) for box in shown)
    assert not any(a.overlaps(b) for i, a in enumerate(shown) for b in shown[:i])
    [legend] = figure.legends
    assert not panel.get_legend() and not legend.get_window_extent().overlaps(panel.bbox)


def test_the_comparison_draws_nothing_but_marks_and_names_over_its_data():
    columns = ["corpus", "model", "layers", "size", "n", "paper", "ours"]
    rows = [("code", "lstm", 1, 64, np.nan, 1.4, 1.2),
            ("code", "n-gram", np.nan, np.nan, 3, 1.4, 1.4)]  # fmt: skip
    entries = pd.DataFrame(rows, columns=columns)
    entries = entries.astype(dict.fromkeys(("layers", "size", "n"), "Int64"))
    entries["difference"] = entries["ours"] - entries["paper"]
    figure = comparison.draw(entries, {"code": ABOUT | {"title": LONG[0]}})
    legible(figure)
    assert not overlapping(figure)
    one, other = figure.axes
    assert [text.get_text() for text in one.texts] == ["LSTM 1x64"] and not other.texts
    assert "1 entry: " in one.get_xlabel() and "1 entries" not in one.get_xlabel()
    assert other.get_title(loc="left").endswith("…: n-gram")  # there is no n-NN


# ---- figure 1 ----


def networks(folder, number):
    names = (
        write_score(folder / f"{k}.npy", random_logp(50, k), size=64 << k % 4, layers=1 + k % 3)
        for k in range(number)
    )
    return {"code": [read_score(name) for name in names]}


def test_the_largest_pile():
    places = np.array([[0, 0], [9, 0], [18, 0], [50, 50], [58, 50], [200, 0]])
    assert figure1.largest_pile(places, np.full(6, 10.0)).tolist() == [0, 1, 2]


def test_a_pile_of_networks_is_magnified(tmp_path):
    random = np.random.default_rng(0)
    groups = networks(tmp_path, 24)
    points = np.concatenate([random.normal(0, 0.5, (12, 2)), random.uniform(-50, 50, (12, 2))])
    figure = figure1.draw(groups, {"code": points}, {"code": ABOUT})
    legible(figure)
    [panel] = figure.axes
    [inset] = panel.child_axes
    assert "24 networks" in panel.get_title(loc="left")
    assert len(inset.collections) >= 12  # the whole pile
    frame = inset.get_window_extent()
    assert not covers(frame, boxes(panel, points))
    zoom = np.ptp(panel.get_xlim()) / np.ptp(inset.get_xlim()) * figure1.INSET
    assert zoom > 3


def test_networks_apart_need_no_inset(tmp_path):
    points = np.stack(np.meshgrid([0, 1, 2, 3], [0, 1, 2]), axis=-1).reshape(-1, 2) * 10.0
    figure = figure1.draw(networks(tmp_path, 12), {"code": points}, {"code": ABOUT})
    assert not figure.axes[0].child_axes


def test_a_single_map_is_square_and_an_inset_enlarges(tmp_path):
    random = np.random.default_rng(0)
    points = random.uniform(-1, 1, (24, 2)) * [1, 20]  # a pile as tall as all
    points[:20] = np.linspace(-10, 10, 20)[:, None] * [0.01, 1]
    figure = figure1.draw(
        networks(tmp_path, 24), {"code": points}, {"code": ABOUT | {"title": LONG[0]}}
    )
    legible(figure)
    assert not overlapping(figure)
    [panel] = figure.axes
    assert panel.bbox.width == pytest.approx(panel.bbox.height)
    assert not panel.child_axes


# ---- figure 2 ----

BEST = ["corpus", "hypothesis", "measure", "score", "low", "high", "beyond"]


def found_and_best(passages, lines=6):
    text = "int x = f(y); /* z */\n" * lines
    hypotheses = [f"h{k}" for k in range(passages)]
    found = {
        "corpus": "code", "type": "lstm", "layers": 2, "size": 64, "hidden": 40,
        "hypotheses": [{"hypothesis": h, "title": f"inside {h}"} for h in hypotheses],
        "passages": [
            {"hypothesis": h, "layer": 1, "unit": 3, "source": "data", "part": "test", "at": 5,
             "text": text, "values": [0.5] * len(text)} for h in hypotheses
        ],
    }  # fmt: skip
    best = pd.DataFrame([("code", h, "auc", 0.9, 0.8, 0.95, True) for h in hypotheses],
                        columns=BEST)  # fmt: skip
    return found, best


def test_units_at_chance_level_have_no_passage():
    found, best = found_and_best(4)
    best.loc[1, "beyond"] = False
    best.loc[2, ["score", "low"]] = 0.6, 0.45  # beyond the null, but chance is in the interval
    best.loc[3, ["measure", "score", "low", "high"]] = "tau", -0.2, -0.3, -0.1
    passages, [left_out, _] = figure2.shown(found, best)
    assert [passage["hypothesis"] for passage in passages] == ["h0", "h3"]
    assert left_out == "Left out, the best unit is at chance level: inside h1; inside h2."
    figure = figure2.draw(found, best, ABOUT)
    assert any(left_out in text.get_text() for text in texts(figure))
    assert not any("Inside h1" in text.get_text() for text in texts(figure))
    assert left_out in figure2.page(found, best, ABOUT)


@pytest.mark.parametrize("kind", ["code", "prose"])
def test_a_text_that_no_hypothesis_is_about_has_a_figure_all_the_same(kind):
    found, best = found_and_best(2)
    chance = found, best.assign(beyond=False), "at chance level: inside h0; inside h1"
    nothing = found | {"passages": []}, best[:0], "has too little"
    for found, units, said in (chance, nothing):
        about = ABOUT | {"kind": kind}
        figure = figure2.draw(found, units, about)
        legible(figure)
        assert any(said in text.get_text() for text in texts(figure))
        assert said in figure2.page(found, units, about)


def test_a_unit_without_a_score_has_no_passage():
    found, best = found_and_best(2)
    best.loc[1, ["score", "low", "high"]] = np.nan
    passages, [left_out] = figure2.shown(found, best)
    assert [passage["hypothesis"] for passage in passages] == ["h0"]
    assert left_out == "Left out, the best unit is at chance level: inside h1."
    assert "nan" not in figure2.page(found, best, ABOUT)


def test_a_unit_that_is_not_beyond_the_baselines_is_said_to_be():
    found, best = found_and_best(5)
    best = best.assign(beyond_baselines=[True, False, False, False, np.nan], k=[5, 5, 1, 3, np.nan])
    best = best.assign(last_k=[0.1, 0.85, 0.3, np.nan, np.nan], untrained=[0.1, 0.2, 0.7, 0.4, 0.2])
    best.loc[2, ["measure", "score"]] = "tau", -0.71
    remarks = ["", "not beyond the last 5 characters: 0.925",
               "not beyond an untrained network: 0.700", "not beyond an untrained network: 0.700",
               ""]  # fmt: skip
    page = figure2.page(found, best, ABOUT)
    drawn = "\n".join(text.get_text() for text in texts(figure2.draw(found, best, ABOUT)))
    for passage, remark in zip(found["passages"], remarks, strict=True):
        _, where = figure2.heading(passage, found, best)
        assert where == "; ".join(filter(None, ("test text, byte 5", remark)))
        assert where in page and where in drawn
        old = best[BEST]  # of a version without baselines
        assert figure2.heading(passage, found, old)[1] == "test text, byte 5"


def test_one_unit_for_several_hypotheses_is_said_to_be():
    found, best = found_and_best(4)
    for passage, unit in zip(found["passages"], (3, 4, 3, 5), strict=True):
        passage["unit"] = unit
    said = "Unit 1.3 is shown for 2 hypotheses: inside h0; inside h2."
    assert figure2.shown(found, best)[1] == [said]
    assert said in figure2.page(found, best, ABOUT)
    assert any(said in text.get_text() for text in texts(figure2.draw(found, best, ABOUT)))


def test_a_passage_in_which_tanh_saturates_says_so():
    found, best = found_and_best(4)
    length = len(found["passages"][0]["values"])
    shares = np.array([0.9, 0.9, 0.5, 0.0])  # of the passage at one end
    for passage, share, end in zip(found["passages"], shares, (-1, 1, 1, 1), strict=True):
        cut = round(share * length)
        passage["values"] = [end * 0.9999] * cut + [-end * 0.9999] * (length - cut)
    found["passages"][3]["values"] = [0.98] * length
    said = "scored on c; tanh(c) saturated here"
    wheres = [figure2.heading(passage, found, best)[1] for passage in found["passages"]]
    assert [said in where for where in wheres] == [True, True, False, False]
    assert figure2.page(found, best, ABOUT).count(said) == 2
    of_gru = found | {"type": "gru"}  # scored on h, which is shown
    assert said not in figure2.page(of_gru, best, ABOUT)
    assert "the GRU with the lowest" in (page := figure2.page(of_gru, best, ABOUT))
    assert "coloured by h after" in page and "tanh" not in page


@pytest.mark.parametrize("kind", ["code", "prose"])
def test_headings_and_notes_of_figure_2_are_apart(kind):
    found, best = found_and_best(6, lines=1)
    best = best.assign(beyond_baselines=False, k=5, last_k=0.85, untrained=0.5)
    for at, hypothesis in enumerate(found["hypotheses"]):
        hypothesis["title"] = "inside a part of the text that has a long name, " * (1 + at % 2)
    for passage in found["passages"]:
        passage |= {"source": "slides", "at": 123456789}
    about = ABOUT | {"kind": kind, "title": LONG[2], "source": 2 * LONG[0]}
    figure = figure2.draw(found, best, about)
    legible(figure)
    others = [text for text in figure.texts if text is not figure._supxlabel]
    frames = [text.get_window_extent() for text in others]
    frames += [frame.padded(-1) for _, frame in lines_of(figure._supxlabel)]
    frames += [panel.get_tightbbox() for panel in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(frames) for b in frames[:i])
    assert max(frame.x1 for frame in frames) <= figure.bbox.width


@pytest.mark.parametrize("kind", ["code", "prose"])
@pytest.mark.parametrize("passages", [1, 5, 40])
def test_passages_fit_a_printed_page(kind, passages):
    found, best = found_and_best(passages)
    figure = figure2.draw(found, best, ABOUT | {"kind": kind})
    legible(figure)
    assert figure.get_figheight() <= figure2.PAGE
    frames = [panel.get_window_extent() for panel in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(frames) for b in frames[:i])


@pytest.mark.parametrize("dpi", [100, 150, 200, 300])
@pytest.mark.parametrize("word", ["register_trace_sched_wakeup_probes", "мы_не_можем_знать_всего"])
def test_letters_stand_on_their_own_colours(word, dpi):
    found, best = found_and_best(1)
    found["passages"][0] |= {"text": word, "values": [0.5] * len(word)}
    found["passages"][0]["symbols_are"] = "characters"
    figure = figure2.draw(found, best, ABOUT)
    figure.set_dpi(dpi)
    panel = figure.axes[0]
    [drawn] = panel.texts
    cell = panel.get_window_extent().width / np.ptp(panel.get_xlim())
    renderer = FigureCanvasAgg(figure).get_renderer()
    width = drawn.get_window_extent(renderer).width
    assert width == pytest.approx(len(word) * cell, abs=0.5 * cell)


# ---- characters that the own font lacks ----


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs fonts, each with these letters; none but these are there."""
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(map(str, tmp_path.glob("*"))))
    fonts._covering.cache_clear()

    def install(**letters_of):
        for family, letters in letters_of.items():
            names = [".notdef", *(f"g{k}" for k in range(len(letters)))]
            pen = TTGlyphPen(None)
            pen.moveTo((0, 0)), pen.lineTo((900, 0)), pen.lineTo((450, 900)), pen.closePath()
            font = FontBuilder(1000, isTTF=True)
            font.setupGlyphOrder(names)
            font.setupCharacterMap({ord(c): f"g{k}" for k, c in enumerate(letters)})
            font.setupGlyf(dict.fromkeys(names, pen.glyph()))
            font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
            font.setupHorizontalHeader(ascent=900, descent=-100)
            font.setupNameTable({"familyName": family, "styleName": "Regular"})
            font.setupOS2(), font.setupPost()
            font.save(tmp_path / f"{family}.ttf")

    yield install
    fonts._covering.cache_clear()


def drawn_families(figure, letter):
    return {tuple(t.get_fontfamily()) for t in texts(figure) if letter in t.get_text()}


def chinese():
    found, best = found_and_best(1)
    text = "“中文”里有字 x\n" * 3
    found["passages"][0] |= {"text": text, "values": [0.5] * len(text)}
    found["symbols_are"] = found["passages"][0]["symbols_are"] = "characters"
    letters = list("中文里有字") + ["<s>", "x"]
    means = {"count": 100, "lstm": 0.5, "ngram": 0.4, "difference": 0.1}
    table = pd.DataFrame({"byte": range(7), "character": letters, "layers": 3, "size": 64, "n": 20,
                          **means})  # fmt: skip
    about = ABOUT | {"title": "中文.txt"}
    return (
        figure2.draw(found, best, about),
        figure4.draw({"code": overlap("n-gram", [2])}, {"code": table}, {"code": about}),
    )


def test_characters_are_drawn_in_an_installed_font_that_has_them(tmp_path, installed):
    installed(Half="中文", Most="中文里有字", Other="é")
    for figure in chinese():
        plots.save(figure, [tmp_path / "f.png", tmp_path / "f.svg"])  # a missing glyph would warn
        svg = (tmp_path / "f.svg").read_text()
        assert all(letter in svg for letter in "中文里有字") and "U+" not in svg
        assert all("Most" in families for families in drawn_families(figure, "中"))


def test_characters_that_no_font_has_are_said_and_are_no_boxes(tmp_path, installed):
    installed(Some="中文")
    of_figure2, of_figure4 = chinese()
    for figure in (of_figure2, of_figure4):
        plots.save(figure, [tmp_path / "f.png"])
    shown = [text.get_text() for text in texts(of_figure2)]
    assert shown.count("·") == 3 * len("里有字") and shown.count("中") == 3
    assert any(figure2.DOTS in text for text in shown)
    labels = of_figure4.axes[1].get_xticklabels()
    spelled = ["中", "文", "U+91CC", "U+6709", "U+5B57", "<s>", "x"]
    assert [label.get_text().strip() for label in labels] == spelled
    assert [label.get_rotation() for label in labels] == [0, 0, 90, 90, 90, 0, 0]
    extents = [label.get_window_extent() for label in labels]
    assert not any(a.overlaps(b) for a, b in pairwise(extents))


def test_fonts_of_other_letters_change_nothing(tmp_path, installed):
    """A figure in the letters of its own font is the same on every machine."""
    files = []
    for name in ("before", "after"):
        found, best = found_and_best(1)
        plots.save(figure2.draw(found, best, ABOUT), [tmp_path / f"{name}.svg"])
        files.append((tmp_path / f"{name}.svg").read_bytes())
        (tmp_path / f"{name}.svg").unlink()
        installed(Other="ab中")
    assert files[0] == files[1]


def test_a_wide_letter_is_not_cut_in_two():
    rows = figure2.lines([(letter, 0.0) for letter in "a中文字b"], 4)
    assert ["".join(letter for letter, _ in row) for row in rows] == ["a中", "文字", "b"]
    assert [len(row) for row in rows] == [3, 4, 1]


def test_columns_are_of_about_the_same_height():
    heights = np.random.default_rng(0).uniform(0.5, 2.5, 13).tolist()
    spots, tallest = figure2.balanced(heights, 2)
    filled = [sum(h for h, (column, _) in zip(heights, spots, strict=True) if column == k)
              for k in (0, 1)]  # fmt: skip
    assert tallest == pytest.approx(max(filled)) and abs(filled[0] - filled[1]) < min(heights)
    for k in (0, 1):  # in order, and without a gap
        own = [(down, h) for h, (column, down) in zip(heights, spots, strict=True) if column == k]
        assert [down for down, _ in own] == pytest.approx(
            np.cumsum([0.0] + [h for _, h in own])[:-1]
        )


# ---- figure 3 ----


def gates_of(types: dict[str, str], layers: int) -> pd.DataFrame:
    """The gates of a network of each type, made up."""
    random = np.random.default_rng(0)
    rows = [("code", type, layers, 64, layer, gate, unit, *random.uniform(0, 0.5, 2))
            for type, gates in types.items() for layer in range(1, layers + 1)
            for gate in gates for unit in range(20)]  # fmt: skip
    columns = ["corpus", "type", "layers", "size", "layer", "gate", "unit", "left", "right"]
    return pd.DataFrame(rows, columns=columns)


def headings_apart(figure) -> bool:
    titles = [text for panel in figure.axes for text in texts(panel) if "gate" in text.get_text()]
    frames = [title.get_window_extent() for title in titles]
    return not any(a.overlaps(b) for i, a in enumerate(frames) for b in frames[:i])


def test_no_layer_hides_another():
    figure = figure3.draw(gates_of({"lstm": "ifo", "gru": "rz"}, 3), {"code": ABOUT})
    legible(figure)
    assert len(figure.axes) == 15
    for panel in figure.axes:
        others, own = sorted(panel.collections, key=lambda marks: marks.zorder)
        assert len(own.get_offsets()) == 20 and len(others.get_offsets()) == 40
    shades = {tuple(panel.collections[-1].get_edgecolor()[0]) for panel in figure.axes}
    assert len(shades) == 3
    assert headings_apart(figure)


def test_a_network_of_one_gate_has_room_for_its_name():
    gates = gates_of({"mingru": "z", "slstm": "ifo"}, 1)
    figure = figure3.draw(gates, {"code": ABOUT | {"title": "War and Peace"}})
    legible(figure)
    assert headings_apart(figure)


def test_shallow_networks_beside_deep_ones_leave_no_gap_and_have_numbers():
    deep = gates_of({"lstm": "ifo"}, 3)
    shallow = gates_of({"gru": "rz", "mingru": "z", "slstm": "ifo"}, 1)
    figure = figure3.draw(pd.concat([deep, shallow]), {"code": ABOUT})
    legible(figure)
    first, second = figure.subfigs
    assert len(first.axes) == 15 and len(second.axes) == 5  # layers times columns
    for panel in (p for p in figure.axes if p.axison and p.get_xlabel()):
        assert [text.get_text() for text in panel.get_xticklabels() if text.get_visible()] != []
    assert sum(bool(p.get_xlabel()) for p in figure.axes) == 9  # below each gate


def test_a_row_of_layers_is_named_where_the_first_network_has_fewer():
    gates = pd.concat([gates_of({"mingru": "z"}, 2), gates_of({"rglru": "ri"}, 3)])
    figure = figure3.draw(gates, {"code": ABOUT})
    legible(figure)
    named = [panel.get_ylabel() for panel in figure.axes if panel.axison and panel.get_ylabel()]
    assert named == [f"layer {layer}\nshare > 0.9" for layer in (1, 2, 3)]


@pytest.mark.parametrize("title", LONG)
def test_long_titles_keep_within_their_panels(title):
    about = {"code": ABOUT | {"title": title}}
    gates = gates_of({"lstm": "ifo", "gru": "rz"}, 1)
    for shown in (gates, gates[gates["type"] == "gru"], gates[gates["gate"].isin(list("ifor"))]):
        two = pd.concat([shown, shown.assign(corpus="prose")])
        assert not overlapping(figure3.draw(two, about | {"prose": ABOUT}))
    errors, letters = overlap("n-gram", [1, 2]), characters()
    assert not overlapping(figure4.draw({"code": errors}, {"code": letters}, about))
    levels = [("code", 2, size, "n-gram", "n = 1", 9, 1.0, 0.3) for size in (64, 128)]
    assert not overlapping(figure6.draw(pd.DataFrame(levels, columns=figure6.COLUMNS), about))


def errors_of(types, layers, sizes=(64, 128)):
    rows = [("code", type, depth, size, 1, category, 900, 0.2, "1")
            for type in types for depth in range(1, layers + 1) for size in sizes
            for category in figure6.COLOURS]  # fmt: skip
    return pd.DataFrame(rows, columns=errors_by_size.COLUMNS)


def test_bars_of_errors_are_of_one_width_and_their_numbers_apart():
    rows = pd.concat([errors_of(["lstm"], 9, (64, 128, 256, 512)), errors_of(["gru"], 2)])
    figure = errors_by_size.draw(rows, {"code": ABOUT | {"title": LONG[0]}})
    assert not overlapping(figure)
    lstm, gru = figure.axes
    widths = [panel.patches[0].get_window_extent().width for panel in (lstm, gru)]
    assert widths[0] == pytest.approx(widths[1], rel=0.01)
    titles = [panel.get_title(loc="left").split("\n") for panel in (lstm, gru)]
    assert titles[0][1:] == ["LSTM"] and titles[1] == ["GRU"]


# ---- figure 4 ----


def overlap(model, ns):
    shares = {"both": 0.4, "lstm": 0.05, "ngram": np.linspace(0.5, 0.1, len(ns))}
    return pd.DataFrame({"layers": 3, "size": 64, "n": ns, **shares, "model": model})


def characters():
    letters = list("abcdefghij")
    means = {"count": 100, "lstm": 0.5, "ngram": 0.4, "difference": 0.1}
    return pd.DataFrame({"byte": range(10), "character": letters, "layers": 3, "size": 64, "n": 20,
                         **means})  # fmt: skip


@pytest.mark.parametrize("contexts", [{"n-gram": [*range(1, 10), 20], "n-NN": range(1, 7)},
                                      {"n-gram": [5]}])  # fmt: skip
def test_areas_of_errors(contexts):
    errors = pd.concat([overlap(model, list(ns)) for model, ns in contexts.items()])
    figure = figure4.draw({"code": errors}, {"code": characters()}, {"code": ABOUT})
    legible(figure)
    panel = figure.axes[0]
    assert len(panel.collections) == 3 * len(contexts)
    labels = [text.get_text() for text in panel.get_legend().get_texts()]
    alone = [f"{model} alone" for model in contexts]
    assert sorted(labels) == sorted(["LSTM 3x64 alone", "both", *alone])
    tops = [area.get_datalim(panel.transData).y1 for area in panel.collections]
    legend = panel.get_legend().get_window_extent()
    assert legend.y0 > panel.transData.transform((0, max(tops)))[1]
    assert max(tops) == pytest.approx(0.45 + errors["ngram"].max())


def letters_drawn(letters):
    """Figure 4 of these characters; its texts, its right panels."""
    rows = pd.concat([characters().head(1)] * len(letters), ignore_index=True)
    rows = rows.assign(byte=range(len(letters)), character=letters)
    figure = figure4.draw({"code": overlap("n-gram", [2])}, {"code": rows}, {"code": ABOUT})
    legible(figure)
    return figure.axes[1:]


@pytest.mark.parametrize("letters", [
    [rf"\x{k:02x}" for k in range(20)],  # control characters, side by side
    ["a", r"\x07", "b", "<s>", "c", r"\x1b", "<s>", r"\n", r"\t", r"\x08"] * 3,
    list("ab") + [r"\x07"] * 3 + ["U+FFFD", r"\x07", "a"],
])  # fmt: skip
def test_labels_of_characters_are_apart_and_level_up_to_a_length(letters):
    means, _ = letters_drawn(letters)
    labels = means.get_xticklabels()
    assert [label.get_text().strip() for label in labels] == letters
    upright = [len(letter) > figure4.LEVEL for letter in letters]
    assert [label.get_rotation() == 90 for label in labels] == upright
    lines = [[] for _ in range(figure4.LINES)]
    for label, letter in zip(labels, letters, strict=True):
        box, down = label.get_window_extent(), label.get_text().count("\n")
        for line in lines if len(letter) > figure4.LEVEL else [lines[down]]:
            line.append((box.x0, box.x1))
    for line in lines:
        assert all(end <= begin for (_, end), (begin, _) in pairwise(line))


def test_the_right_panels_of_figure_4_say_what_they_show():
    means, counts = letters_drawn([chr(0x21 + k) for k in range(90)])
    assert means.get_ylabel() == "probability"
    assert counts.get_xlabel().endswith("first and last 16 by difference")
    assert [text.get_text() for text in means.texts] == ["… 58 more"]
    means, counts = letters_drawn(list("abc"))
    assert counts.get_xlabel().endswith(", by difference") and not means.texts


def test_axes_of_errors_end_at_1_and_show_their_breaks():
    errors = pd.concat([overlap("n-gram", [1, 2, 3, 9, 20]), overlap("n-NN", [1, 2])])
    figure = figure4.draw({"code": errors}, {"code": characters()}, {"code": ABOUT})
    legible(figure)
    panel = figure.axes[0]
    breaks = [text.get_position()[0] for text in panel.texts if text.get_text() == figure4.BREAK]
    assert breaks == [2.5, 3.5]  # between 3 and 9, 9 and 20
    assert panel.spines["left"].get_bounds() == (0, 1)


# ---- figure 5 ----


def test_buckets_are_narrow_where_there_are_pairs_enough():
    random = np.random.default_rng(0)
    distance = np.concatenate([random.integers(1, 100, 400), random.integers(100, 3000, 100)])
    edges = figure5.bucket_edges(distance)
    pairs = np.histogram(distance, edges)[0]
    assert pairs.sum() == 500 and pairs.min() >= figure5.LEAST
    assert edges[:6].tolist() == [1, 20, 40, 60, 80, 100]
    assert (edges[1:] % figure5.WIDTH == 0).all() and edges[-1] > distance.max()


@pytest.mark.parametrize("distances", [[1], [1, 5000], [20] * 29, [20] * 30, [7] * 30 + [900]])
def test_all_pairs_are_in_a_bucket(distances):
    edges = figure5.bucket_edges(np.array(distances))
    assert np.histogram(distances, edges)[0].tolist() == [len(distances)]
    assert edges[-1] > max(distances)


def braces(pairs):
    at = 10.0 * 2 ** np.arange(len(pairs))
    means = {"lstm": 0.5, "lstm_se": 0.05, "ngram": 0.3, "ngram_se": 0.05}
    rows = {"layers": 3, "size": 64, "n": 20, "from": at, "below": 2 * at, "distance": 1.4 * at}
    return pd.DataFrame({**rows, "pairs": pairs, **means})


def trajectory():
    rows = [(3, 64, look, look / 10, n, 1 / look, 0.1 * look) for look in range(1, 4)
            for n in (1, 2)]  # fmt: skip
    return pd.DataFrame(rows, columns=["layers", "size", "look", "epoch", "n", "kl", "delta"])


def test_no_line_through_a_dozen_pairs():
    figure = figure5.draw({"code": braces([12, 40, 50, 12])}, {}, {"code": ABOUT})
    legible(figure)
    means = figure.axes[0]
    joined = [line for line in means.lines if line.get_linestyle() != "None"]
    assert joined and all(len(line.get_xdata()) == 2 for line in joined)
    few = [text.get_text() for text in means.texts]
    assert few == ["n = 12", "n = 12"]


def test_no_corner_of_figure_5_is_empty():
    corpora = {"code": ABOUT, "prose": ABOUT | {"title": "Prose", "kind": "prose"}}
    shown = {corpus: trajectory() for corpus in corpora}
    figure = figure5.draw({"code": braces([40, 50])}, shown, corpora)
    legible(figure)
    for row, panels in zip(figure.subfigs, (5, 3), strict=True):
        assert len(row.axes) == panels
        frames = [part.get_tightbbox() for part in (*row.axes, *row.legends)]
        assert min(frame.x0 for frame in frames) < 0.05 * figure.bbox.width
        assert max(frame.x1 for frame in frames) > 0.95 * figure.bbox.width


def first_epochs(contexts, looks=30):
    """Snapshots of a network that is nearest to a 1-NN, then to a 2-NN, and so on."""
    epochs = np.linspace(0.1, 3, looks)
    nearest = np.linspace(1, contexts, looks)
    rows = [(9, 512, look, epoch, n, 1 + 0.005 * abs(n - near), n - epoch)
            for look, (epoch, near) in enumerate(zip(epochs, nearest, strict=True), start=1)
            for n in range(1, contexts + 1)]  # fmt: skip
    return pd.DataFrame(rows, columns=["layers", "size", "look", "epoch", "n", "kl", "delta"])


@pytest.mark.parametrize("contexts", [1, 6, 12])
@pytest.mark.parametrize("type", ["lstm", "transformer+block+adamw"])
def test_the_nearest_n_nn_is_told_and_nothing_overlaps(contexts, type):
    shown = {"code": first_epochs(contexts)}
    about = {"code": ABOUT | {"title": LONG[0]}}
    figure = figure5.draw({"code": braces([40, 50, 60, 40])}, shown, about, type)
    legible(figure)
    [row] = figure.subfigs
    means, _, _, strip, delta = row.axes
    told = [int(text.get_text()) for text in strip.texts]
    assert len(strip.patches) == contexts and told == sorted(set(told))
    assert told == list(range(1, contexts + 1)) or contexts > 6  # short stretches have no number
    [legend] = row.legends
    assert len(legend.get_texts()) == contexts and not delta.get_legend()
    assert "9x512 (first epochs)" in row.get_suptitle() and "…" in row.get_suptitle()
    assert not overlapping(figure)
    assert not means.get_legend().get_window_extent().overlaps(means.bbox.padded(-1))


@pytest.mark.parametrize("begins", [[1, 20], [20, 40, 60], [1], [100], [7, 8], [1, 5000]])
def test_distances_have_ticks_and_no_bar_is_cut_off(begins):
    rows = braces([40] * len(begins))
    rows["from"] = np.array(begins, float)
    rows["below"] = np.append(rows["from"].to_numpy()[1:], begins[-1] + 20.0)
    rows["distance"] = np.sqrt(rows["from"] * rows["below"])
    figure = figure5.draw({"code": rows}, {}, {"code": ABOUT})
    legible(figure)
    means, pairs = figure.axes
    low, high = pairs.get_xlim()
    assert low < begins[0] and all(bar.get_x() + bar.get_width() < high for bar in pairs.patches)
    ticks = [tick for tick in pairs.get_xticks() if low <= tick <= high]
    assert len(ticks) > 1
    labels = [text for text in pairs.get_xticklabels() if text.get_text()]
    frames = [label.get_window_extent() for label in labels]
    assert len({label.get_text() for label in labels}) == len(ticks) and len(ticks) < 12
    assert not any(a.overlaps(b) for a, b in pairwise(frames))
    assert "±1 SE" in means.get_title(loc="left")


def test_a_row_of_figure_5_is_about_one_lstm(tmp_path):
    small = write_score(tmp_path / "s.npy", random_logp(50, 0), size=64, val_loss=1.2)
    large = write_score(tmp_path / "l.npy", random_logp(50, 1), size=128, val_loss=1.0)
    both = [read_score(small), read_score(large)]
    assert figure5.lstm_of_row(both, trajectory()).meta["size"] == 64
    assert figure5.lstm_of_row(both, None).meta["size"] == 128
    assert figure5.lstm_of_row(both[1:], trajectory()).meta["size"] == 128
