"""The unit selected for a hypothesis of several parts, on each part alone."""

import numpy as np

from charlens.text.hypotheses import PARTS
from charlens.text.stand_ins import parsed
from charlens.text.unicode import Text
from charlens.units import selectivity

SCORES = ("score", "low", "high")


def part_scores(
    found: selectivity.Found, values, text: Text, kind: str, read: np.ndarray,
    samples: int, seed: int,
) -> dict:  # fmt: skip
    """Score the unit selected for a hypothesis of several parts on each part that varies enough.

    Returns {hypothesis: {part: {"score", "low", "high"}}}, see `hypotheses.PARTS`. values: float16
    [U, S, n], on the test streams. kind: of the text. read: the offsets in the text of the
    characters read, int [S, n]. samples, seed: as in `selectivity.scored`.
    """
    scores = {}
    for y, name in enumerate(found.hypotheses):
        labels = {}
        for part in PARTS.get(name, ()):
            known = part.label[kind](parsed(text))
            labels[part.name] = known.values[read], known.defined[read] & (read >= 0), part.yes_no
        if labels:
            unit = found.selected[y]
            alone = selectivity.scored(values[unit : unit + 1], labels, samples, seed)
            scores[name] = {
                part: {key: round(float(getattr(alone, key)[0, p]), 6) for key in SCORES}
                for p, part in enumerate(alone.hypotheses)
            }
    return scores
