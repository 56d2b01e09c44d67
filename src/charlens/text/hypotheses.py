"""The hypotheses: properties of a text that a unit may track (section 4.2, figure 2).

A hypothesis labels every character by a small function of the text alone, one for each kind of text
to which it applies; the docstring of the function defines the labels. To add one: see "Your own
hypothesis" in docs/inside.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

from charlens.text import code, prose
from charlens.text.labels import (
    Labels,
    capitalised_word,
    indentation,
    line_position,
    newline_next,
)
from charlens.text.stand_ins import parsed
from charlens.text.unicode import Text

KINDS = ("prose", "code")


@dataclass(frozen=True)
class Hypothesis:
    """A labelling of the text that a unit may follow.

    name: in tables. title: for readers. yes_no: whether labels are yes/no; otherwise counts.
    label: by kind of text, the function that labels a text, given a byte for each of its symbols
    (see `stand_ins.parsed`).
    """

    name: str
    title: str
    yes_no: bool
    label: dict[str, Callable[[bytes], Labels]]


def _any_text(label: Callable[[bytes], Labels]) -> dict[str, Callable[[bytes], Labels]]:
    return dict.fromkeys(KINDS, label)


HYPOTHESES = (
    Hypothesis("line_position", "position in line", False, _any_text(line_position)),
    Hypothesis("quote", "inside quotes", True, {"prose": prose.quote, "code": code.quote}),
    Hypothesis("if_condition", "inside an if condition", True, {"code": code.if_condition}),
    Hypothesis("if_body", "inside what an if governs", True, {"code": code.if_body}),
    Hypothesis(
        "comment_or_quote", "inside a comment or quote", True, {"code": code.comment_or_quote}
    ),
    Hypothesis("depth", "depth of an expression", False, {"code": code.depth}),
    Hypothesis("newline_next", "line ends next", True, _any_text(newline_next)),
    Hypothesis(
        "brace_distance", "distance from the open brace", False, {"code": code.brace_distance}
    ),
    Hypothesis("indentation", "indentation", False, _any_text(indentation)),
    Hypothesis(
        "parenthesis",
        "inside a parenthesis",
        True,
        {"prose": prose.parenthesis, "code": code.parenthesis},
    ),
    Hypothesis("preprocessor", "inside a preprocessor line", True, {"code": code.preprocessor}),
    Hypothesis("capitalised", "inside a capitalised word", True, _any_text(capitalised_word)),
)

PARTS = {
    "comment_or_quote": (
        Hypothesis("comment", "inside a comment", True, {"code": code.comment}),
        Hypothesis("string", "inside a string", True, {"code": code.string}),
    )
}
"""The parts of a hypothesis of several parts. Each is labelled against the text outside of all. A
unit follows the hypothesis only if it follows each part; no unit is selected for a part alone."""


def labellings(text: Text, kind: str) -> dict[str, Labels]:
    """The labels [N] of every hypothesis that applies to a kind of text (of KINDS), by name."""
    text = parsed(text)
    return {h.name: h.label[kind](text) for h in HYPOTHESES if kind in h.label}
