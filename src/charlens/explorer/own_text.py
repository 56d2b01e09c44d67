"""A text of one's own for the explorer: read, recorded, and its units scored on it.

The numbers of a table of units belong to the corpus on which they were measured. Beside another
text stand scores on that text: it is cut into stretches, which take the place of the streams of a
test split (see `selectivity`): units are ranked on every other stretch and scored on those between.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charlens.errors import InputError
from charlens.explorer.live import SEGMENT, Segments
from charlens.explorer.recording import UNSCORED, Recording, record, spread
from charlens.networks.architecture import Architecture
from charlens.networks.network import Parameters
from charlens.progress import say
from charlens.text import symbols, unicode
from charlens.text.hypotheses import HYPOTHESES
from charlens.text.kinds import kind_and_reason
from charlens.training import score_text
from charlens.units import selectivity

WARM_UP = 1000  # characters read before those shown
STRETCH = 500  # characters, at least
STRETCHES = 40  # at most
SAMPLES = 500  # of the bootstrap over stretches


@dataclass(frozen=True, eq=False)
class Shown:
    """What the page shows of a text."""

    text: np.ndarray  # [N], bytes (uint8) or code points (uint32)
    offsets: np.ndarray  # int64 [N]: in the whole text
    recording: Recording
    facts: dict  # for the page
    whole: unicode.Text  # the whole text; empty where it is not at hand
    kind: str | None  # of the text
    segments: Segments | None = None  # where the page reads it itself


def of_text(
    path: Path, arch: Architecture, params: Parameters, about: dict, args, live=None
) -> Shown:
    """Record a stretch of a file: `args.characters` from `args.first` on, after a warm-up.

    live: the parameters of the network in the page, if there is one (see `live`).

    What is recorded is scored, or, with `args.whole` or `args.csv`, all of the file. Raises
    InputError if the alphabet of the model has none of the characters shown.
    """
    alphabet = symbols.alphabet_of(about)
    reading = score_text.read_for(about, path, args.keep_line_ends)
    N = len(reading.text)
    if args.first >= N:
        raise InputError(f"{path}: --from {args.first}: the text has {N:,} characters")
    first, end = args.first, min(args.first + args.characters, N)
    begin = max(0, first - WARM_UP)
    text = symbols.numbers(reading.text)[first:end]
    known = reading.known[first:end]
    if not known.any():
        of = "its first" if not first else f"from {first:,} on, its next"
        raise InputError(f"{path}: {of} {len(text):,} characters are unknown to the model")
    all_of_it = args.whole or args.csv
    part = reading if all_of_it else reading.part(begin, end)
    logp = score_text.score(arch, params, part, alphabet, args.backend)
    if args.csv:
        score_text.write_csv(args.csv, part, logp)
    if not all_of_it:  # the warm-up is read, not counted
        part, logp = reading.part(first, end), logp[first - begin :]
    lines = score_text.summary(part, logp, alphabet)
    lines += part.notes
    if len(text) < N:
        shown = f"characters {first + 1:,} to {end:,} of {N:,} are shown"
        lines.append(f"{shown}, all were scored" if all_of_it else f"{shown} and scored")
    kind, reason = kind_and_reason(reading.text, args.kind)
    print(f"{path}: {'; '.join(lines)}; kind: {kind} ({reason})")

    warm = np.count_nonzero(reading.known[begin:first])
    codes = reading.part(begin, end).codes
    codes = np.insert(codes, 0, score_text.before(alphabet))[None]
    read, count = np.flatnonzero(known), codes.size - 1
    if live:
        keep = range(warm, count, SEGMENT)
        recording = record(arch, live, codes, count, 0, path.name, keep, memory=True)
        begin = np.concatenate([[0], read[SEGMENT::SEGMENT]])
        segments = Segments(begin, recording.states[0])
    else:
        gates = warm + max(1, int((read < args.gates).sum()))
        recording = record(arch, params, codes, count, gates, path.name, memory=True)
        segments = None
    facts = {
        "name": os.fsencode(path.name).decode(errors="replace"),
        "breaks": [],
        "summary": "; ".join(lines),
    }
    offsets = np.arange(first, end)
    recording = spread(recording.after(warm), known)
    return Shown(text, offsets, recording, facts, reading.text, kind, segments)


def scored_here(shown: Shown, labels: dict, seed: int = 0) -> list[dict]:
    """The hypotheses that can be tested on the text shown, each with its units, the strongest
    first: for the page, see `explore.hypotheses`. Characters that the network did not read do not
    count.

    labels: (values [N], defined [N], yes_no) of the characters shown, by hypothesis.
    """
    stretches = min(STRETCHES, len(shown.text) // STRETCH)
    if stretches < 2 * selectivity.STREAMS:
        return []
    n = len(shown.text) // stretches
    say(shown.facts["name"], f"scoring the units on {stretches} stretches of {n:,} characters")
    cut = slice(0, stretches * n)
    values = shown.recording.memory.reshape(-1, len(shown.text))
    values = values[:, cut].reshape(-1, stretches, n)
    read = shown.recording.loss != UNSCORED
    cut_labels = {
        name: (of[cut].reshape(stretches, n), (defined & read)[cut].reshape(stretches, n), yes_no)
        for name, (of, defined, yes_no) in labels.items()
    }
    found = selectivity.scored(values, cut_labels, SAMPLES, seed)
    titles = {h.name: h.title for h in HYPOTHESES}
    entries = []
    for y, name in enumerate(found.hypotheses):
        yes_no = bool(found.yes_no[y])
        order = np.argsort(-selectivity.strength(found.picked[:, y], yes_no), kind="stable")
        entry = {"name": name, "title": titles[name], "yes_no": yes_no, "order": order.tolist()}
        for column in ("score", "low", "high"):
            numbers = getattr(found, column)[order, y]
            entry[column] = [round(v, 4) if np.isfinite(v) else None for v in numbers.tolist()]
        entries.append(entry)
    return entries
