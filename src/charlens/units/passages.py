"""The passages of figure 2, the paper's and some from the data, with the states of their units."""

import json
import re

import numpy as np
import torch

from charlens.data import split
from charlens.errors import InputError
from charlens.networks.architecture import Architecture
from charlens.networks.network import Parameters
from charlens.text import symbols, unicode
from charlens.text.hypotheses import HYPOTHESES
from charlens.units import selectivity
from charlens.units.activations import as_shown, memories

PASSAGE = {"prose": 280, "code": 180}  # symbols, up to the end of a line: figure 2 fits a page
WARM = 200  # symbols that a network reads before a passage that is chosen from the data


def wanted_passages(as_json: str, corpus: str) -> list[dict]:
    """The passages of --passages. Raises InputError if it is not JSON or names no hypothesis."""
    try:
        wanted = json.loads(as_json)
    except ValueError as error:
        raise InputError(f"--passages is not JSON: {error}") from None
    known = [hypothesis.name for hypothesis in HYPOTHESES]
    for passage in wanted:
        if passage["hypothesis"] not in (*known, "none"):
            raise InputError(
                f"cells.passages.{corpus}: no hypothesis '{passage['hypothesis']}';"
                f" expected one of none, {', '.join(known)}"
            )
    return wanted


def most_variable(
    text: unicode.Text, read: np.ndarray, length: int, *labels: tuple
) -> tuple[int, int]:
    """Stream and position of the passage over which the labels vary most.

    Candidates are the passages of `length` characters that begin with a line of an evaluation
    stream. The chosen one has the largest variance of label ranks (as many "yes" as "no") and few
    undefined labels, whatever the units do; where there are several labellings, the largest
    variance of the one that varies least. labels: of `read_labels`. read: [S, n].
    """
    S, n = read.shape
    length = min(length, n - 1)  # the first that is read belongs to the part before
    spread = np.min([variance(*of_one, length) for of_one in labels], axis=0)
    letters, first = symbols.numbers(text), read[:, : n - length + 1]
    begins = (letters[first - 1] == ord("\n")) & (letters[first] > ord(" "))
    begins[:, :WARM] &= n < 2 * WARM + length
    begins[:, 0] = False
    selection, evaluation = selectivity.selection_and_evaluation(S)
    begins[selection] = False
    if not begins.any():
        begins[evaluation, 1:] = True
    return np.unravel_index(np.where(begins, spread, -1).argmax(), begins.shape)


def variance(values, defined, yes_no: bool, length: int) -> np.ndarray:
    """The variance of label ranks, as shares of their range, over each window of a stream, times
    the share of defined labels in it: [S, n - length + 1]. values, defined: [S, n]."""
    level, top = selectivity.levels(values, defined, yes_no)
    rank = selectivity.label_ranks(level, top).astype(np.float64)
    rank /= np.ptp(rank) or 1

    def windowed(a):
        total = np.cumsum(np.pad(a, ((0, 0), (1, 0))), axis=1)
        return total[:, length:] - total[:, :-length]

    known = windowed(defined.astype(np.float64)).clip(1)
    spread = windowed(rank**2) / known - (windowed(rank) / known) ** 2
    return spread * known / length


def find_passage(text: unicode.Text, begins: str) -> int | None:
    """The offset of the passage that begins with these words, ignoring spacing and case."""
    pattern = r"\s*".join(map(re.escape, begins.split()))
    found = re.search(pattern.encode() if isinstance(text, bytes) else pattern, text, re.IGNORECASE)
    return found and found.start()


def locate(data: split.Split, at: int) -> tuple[str, int, int] | None:
    """Part, stream and position of an offset in the text; None where no stream contains it."""
    for name in split.PARTS:
        part = getattr(data, name)
        stream = int(np.searchsorted(part.at, at, side="right")) - 1
        if stream >= 0 and at < part.at[stream] + part.y.shape[1]:
            return name, stream, int(at - part.at[stream])
    return None


def to_line_end(text: unicode.Text, end: int, limit: int) -> int:
    """The end of the line in which a passage ends, if within 80 characters and the limit."""
    found = text.find(b"\n" if isinstance(text, bytes) else "\n", end, min(limit, end + 80))
    return found if found >= 0 else min(end, limit)


def labels_to_show(labels: dict, name: str) -> list[tuple]:
    """The labellings that a passage about a hypothesis must show: of "comment or quote" the
    comments and the quotes. labels: from `read_labels`."""
    if name != "comment_or_quote":
        return [labels[name]]
    either, defined, _ = labels[name]
    quote = labels["quote"][0]
    return [(either - quote, defined, True), (quote, defined, True)]


def states(
    arch: Architecture,
    params: Parameters,
    data: split.Split,
    spots: list[tuple[str, int, int, int]],
) -> list[np.ndarray]:
    """The units' memory over passages (part, stream, begin, end), each [layers * H, end - begin],
    as it is shown (`as_shown`).

    begin and end are positions among the characters that the stream predicts; each is read one step
    later. The streams of a part run in parallel, from their beginning.
    """
    found = {}
    for name in split.PARTS:
        wanted = {spot for spot in spots if spot[0] == name}
        if not wanted:
            continue
        part = getattr(data, name)
        streams = sorted({stream for _, stream, _, _ in wanted})
        last = max(end for *_, end in wanted)
        # read y itself: the last character of a stream is not in x
        x = np.concatenate([part.x[streams, :1], part.y[streams, :last]], axis=1)
        pieces = {spot: [] for spot in wanted}
        for at, state in memories(arch, params, torch.from_numpy(x)):  # step t + 1 has read y[t]
            for spot in wanted:
                _, stream, begin, end = spot
                steps = slice(max(0, begin + 1 - at), max(0, end + 1 - at))
                shown = as_shown(arch.type, state[:, streams.index(stream), steps])
                pieces[spot].append(shown)
        for spot, parts in pieces.items():
            found[spot] = torch.cat(parts, 1).transpose(1, 2).flatten(0, 1).numpy()
    return [found[spot] for spot in spots]


def least_explained(type: str, found: selectivity.Found, values) -> int:
    """The unit that follows the hypotheses least, among the half of all units that vary most as
    they are shown.

    values: [U, S, n].
    """
    shown = (as_shown(type, torch.from_numpy(one.astype(np.float32))) for one in values)
    spread = np.array([float(one.std()) for one in shown])
    best = selectivity.strength(found.picked, found.yes_no).max(axis=1, initial=0)
    return int(np.where(spread >= np.median(spread), best, np.inf).argmin())


def passages(
    arch: Architecture,
    params: Parameters,
    data: split.Split,
    text: unicode.Text,
    labels,
    found,
    values,
    wanted: list[dict],
    length: int,
) -> list:
    """What figure 2 shows, one dict per passage.

    First, for each hypothesis, its strongest unit over the most variable passage; then the unit
    that follows the hypotheses least; then the wanted passages. labels: from `read_labels`. values:
    [layers * H, S, n], from `observe`. length: of the passages before those, symbols. In the dicts,
    "text" has one letter and "values" one value per symbol of the text, be it byte or character.
    """
    characters = isinstance(text, str)
    least = least_explained(arch.type, found, values)
    chosen = chosen_passages(data, text, labels, found, least, wanted, length)
    located, rows = [], []
    for name, unit, at, length, source in chosen:
        where = locate(data, at)
        if where is None:
            print(f"the passage at {at} lies in no stream")
            continue
        part, stream, begin = where
        limit = int(getattr(data, part).at[stream]) + getattr(data, part).y.shape[1]
        end = to_line_end(text, at + length, limit)
        located.append((part, stream, begin, begin + end - at))
        rows.append(
            {
                "hypothesis": name,
                "layer": unit // arch.hidden + 1,
                "unit": unit % arch.hidden + 1,
                "source": source,
                "part": part,
                "stream": stream,
                "at": at,
                "text": text[at:end] if characters else text[at:end].decode("latin-1"),
                **unicode.stated(unicode.CHARACTERS if characters else unicode.BYTES),
            }
        )
    for row, state in zip(rows, states(arch, params, data, located), strict=True):
        own = state[(row["layer"] - 1) * arch.hidden + row["unit"] - 1]
        row["values"] = [round(float(value), 3) for value in own]
    return rows


def chosen_passages(
    data: split.Split,
    text: unicode.Text,
    labels,
    found,
    least: int,
    wanted: list[dict],
    length: int,
) -> list[tuple]:
    """The passages of figure 2: hypothesis, unit, offset in the text, length and source of each.

    least: the least explained unit, whose hypothesis is None. Other arguments as in `passages`.
    """
    strongest = dict(zip(found.hypotheses, found.selected.tolist(), strict=True))
    read, chosen = data.test.read_at(), []
    for name, unit in strongest.items():
        stream, begin = most_variable(text, read, length, *labels_to_show(labels, name))
        chosen.append((name, unit, int(read[stream, begin]), length, "data"))
    if chosen:
        _, _, at, length, _ = chosen[0]
        chosen.append((None, least, at, length, "data"))
    for passage in wanted:
        name = passage["hypothesis"]
        unit = least if name == "none" else strongest.get(name)
        at = find_passage(text, passage["begins"])
        if at is None:
            print(f"no passage begins with {passage['begins']!r} in this text")
        elif unit is not None:
            hypothesis = None if name == "none" else name
            chosen.append((hypothesis, unit, at, passage["characters"], "slides"))
    return chosen
