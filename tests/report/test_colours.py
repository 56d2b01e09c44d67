"""Colours that readers must tell apart: in grey print, and whatever eyes they have."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from charlens.report import figure2, figure6, plots

# Machado, Oliveira and Fernandes (2009): what a dichromat sees, in linear RGB
EYES = {
    "any": np.eye(3),
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                 [-0.011820, 0.042940, 0.968881]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
}  # fmt: skip
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
EVERY_TYPE = {
    **plots.type_colours([*plots.TYPES, "own_one", "own_two", "own_three"]),
    "n-gram": plots.NGRAM,
}
LEGIBLE = 4.5  # contrast of letters, as WCAG 2 asks for


def lab(colour, eye="any"):
    """The colour in CIELAB, as an eye sees it: equal distances look about equally far."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    x, y, z = XYZ @ np.clip(np.array(EYES[eye]) @ linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def grey(colour):
    """How light a colour is in grey print, 0 to 100."""
    return lab(colour)[0]


@pytest.mark.parametrize("eye", EYES)
def test_types_are_told_apart_by_any_eye(eye):
    for (one, a), (other, b) in combinations(EVERY_TYPE.items(), 2):
        assert np.linalg.norm(lab(a, eye) - lab(b, eye)) > 18, (one, other)


def test_the_papers_models_are_told_apart_in_grey():
    for a, b in combinations([plots.LSTM, plots.NGRAM, plots.NN, plots.NEUTRAL], 2):
        assert abs(grey(a) - grey(b)) > 12


def test_no_colour_is_lost_on_white_paper():
    assert all(grey(colour) < 80 for colour in EVERY_TYPE.values())


def test_neighbouring_categories_are_told_apart_in_grey():
    for a, b in pairwise(figure6.COLOURS.values()):
        assert abs(grey(a) - grey(b)) > 12, (a, b)


@pytest.mark.parametrize("colour", figure6.COLOURS.values())
def test_numbers_on_categories_are_legible(colour):
    assert plots.contrast(plots.letters_on(colour), colour) > LEGIBLE


def test_letters_on_units_are_legible_and_the_ends_told_apart_in_grey():
    shades = [figure2.COLOURS(share)[:3] for share in np.linspace(0, 1, 21)]
    assert min(plots.contrast("black", shade) for shade in shades) > LEGIBLE
    assert grey(shades[-1]) - grey(shades[0]) > 15


def test_marks_of_many_layers_are_told_apart():
    marks = [plots.layers_marker(layers) for layers in range(1, 16)]
    assert len(set(marks)) == 15
    assert not any(isinstance(mark, tuple) and mark[1] == 0 for mark in marks)  # polygons: circles
