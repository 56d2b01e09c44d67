"""`charlens cells`: what the units of a corpus's networks do over its test split (section 4.2).

    --gates      for each unit of each gate, the share of test characters at which it is saturated:
                 left (below 0.1), right (above 0.9) (figure 3)
    --cells      the scores of every unit of the best LSTM against every hypothesis, see
                 `selectivity`
    --untrained  the same for an untrained network of the same shape: even that remembers the last
                 letters, so only what exceeds its scores was learned
    --out        the network, the hypotheses that were tested, and passages with tanh(c) of the
                 units that were found (figure 2)

A network reads every test stream from a zero state, as in scoring. "Best" is lowest validation
loss. Memory is bounded: the units' values are kept on disk, as float16, until they are scored.
"""

import argparse
import json
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from charlens.data import split
from charlens.errors import InputError
from charlens.files import only_one, write_atomically, write_csv
from charlens.networks import model_file, network
from charlens.networks.cells import cell
from charlens.store import models
from charlens.text.hypotheses import HYPOTHESES
from charlens.training.train import describe
from charlens.units import selectivity
from charlens.units.activations import held, in_windows, load_recurrent, memory

LEFT, RIGHT = 0.1, 0.9  # a gate is left-saturated below, right-saturated above
CANDIDATE = "g"  # the tanh that is added to the state; not a gate
GATES = ["corpus", "type", "layers", "size", "layer", "gate", "unit", "left", "right"]
CELLS = [
    "corpus", "model", "layer", "unit", "hypothesis", "score", "low", "high", "picked", "beyond",
]  # fmt: skip
PASSAGE = {"prose": 280, "code": 180}  # bytes, up to the end of a line: figure 2 fits a page
WARM = 200  # bytes that a network reads before a passage that is chosen from the data


# ---- which models ----


def best_lstm(paths: list[Path]) -> Path:
    """The best LSTM (see `models.best`) or, where there is no LSTM, the best network."""
    found = {model_file.about(path)["type"] for path in paths}
    return models.best(paths, model_file.about, "lstm" if "lstm" in found else None)


def best_by_type(paths: list[Path]) -> list[Path]:
    """For each type with gates, its best network with 3 layers or, without any, the deepest."""
    types = dict.fromkeys(model_file.about(path)["type"] for path in paths)
    return [
        models.best(paths, model_file.about, type, paper_depth=True)
        for type in types
        if gate_names(type)
    ]


def gate_names(type: str) -> list[str]:
    """The gates of a cell type whose saturation is measured: i, f, o of LSTM, r, z of GRU."""
    return [name for name in getattr(cell(type), "GATE_NAMES", ()) if name != CANDIDATE]


# ---- the pass over the test split ----


def observe(arch, params, x: torch.Tensor, values: np.ndarray | None):
    """Read the test streams x, uint8 [S, n], and count saturation (figure 3).

    Returns {gate: int64 [2, layers, H]}: at how many characters each unit was left- and
    right-saturated. values: float16 [layers * H, S, n], filled with the units' memory (`held`);
    None if it is not wanted.
    """
    gates, state_name = gate_names(arch.type), memory(arch.type)
    counts = {gate: torch.zeros(2, arch.layers, arch.hidden, dtype=torch.int64) for gate in gates}
    recorded = gates if values is None else [*gates, state_name]
    for at, window in in_windows(arch, params, x, recorded):
        for gate in gates:
            counts[gate][0] += (window[gate] < LEFT).sum(dim=(1, 2))
            counts[gate][1] += (window[gate] > RIGHT).sum(dim=(1, 2))
        if values is not None:
            state = held(arch.type, window[state_name]).permute(0, 3, 1, 2).flatten(0, 1)
            values[:, :, at : at + state.shape[2]] = state.half().numpy()  # [layers * H, S, T]
    return counts


def gate_rows(counts, arch, size: int, corpus: str, characters: int) -> pd.DataFrame:
    """Figure 3: one row per unit of each gate, columns GATES; layers and units count from 1.

    counts: {gate: [2, layers, H]} from `observe`, over so many `characters`.
    """
    rows = [
        (corpus, arch.type, arch.layers, size, layer + 1, gate, unit + 1, *(share / characters))
        for gate, count in counts.items()
        for layer in range(arch.layers)
        for unit, share in enumerate(count[:, layer].T.numpy())
    ]
    return pd.DataFrame(rows, columns=GATES)


def read_labels(text: bytes, kind: str, read: np.ndarray):
    """The labels of the characters read: {hypothesis: (values, defined, yes_no)}.

    read: their offsets in the text, int [S, n]; labels are undefined at -1, before the text.
    values: int32 [S, n]; defined: bool [S, n].
    """
    found = {}
    for hypothesis in HYPOTHESES:
        if kind in hypothesis.label:
            labels = hypothesis.label[kind](text)  # of the whole text: they depend on what precedes
            defined = labels.defined[read] & (read >= 0)
            found[hypothesis.name] = labels.values[read], defined, hypothesis.yes_no
    return found


def unit_rows(found: selectivity.Found, arch, corpus: str, name: str) -> pd.DataFrame:
    """One row per unit and hypothesis, columns CELLS; layers and units are counted from 1."""
    U, Y = found.score.shape
    unit, hypothesis = np.divmod(np.arange(U * Y), max(1, Y))
    return pd.DataFrame(
        {
            "corpus": corpus,
            "model": name,
            "layer": unit // arch.hidden + 1,
            "unit": unit % arch.hidden + 1,
            "hypothesis": np.array(found.hypotheses, dtype=object)[hypothesis],
            **{
                column: getattr(found, column).ravel()
                for column in ("score", "low", "high", "picked", "beyond")
            },
        },
        columns=CELLS,
    )


# ---- passages ----


def most_variable(text: bytes, read: np.ndarray, length: int, *labels: tuple) -> tuple[int, int]:
    """Stream and position of the passage over which the labels vary most.

    Candidates are the passages of `length` characters that begin with a line of an evaluation
    stream. The chosen one has the largest variance of label ranks (as many "yes" as "no") and few
    undefined labels, whatever the units do; where there are several labellings, the largest
    variance of the one that varies least. labels: of `read_labels`. read: [S, n].
    """
    S, n = read.shape
    length = min(length, n)
    spread = np.min([variance(*of_one, length) for of_one in labels], axis=0)
    letters, first = np.frombuffer(text, np.uint8), read[:, : n - length + 1]
    begins = (letters[first - 1] == ord("\n")) & (letters[first] > ord(" "))
    begins[:, :WARM] &= n < 2 * WARM + length
    selection, evaluation = selectivity.selection_and_evaluation(S)
    begins[selection] = False
    if not begins.any():
        begins[evaluation] = True
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


def find_passage(text: bytes, begins: str) -> int | None:
    """The offset of the passage that begins with these words, ignoring spacing and case."""
    words = (re.escape(word.encode()) for word in begins.split())
    found = re.search(rb"\s*".join(words), text, re.IGNORECASE)
    return found and found.start()


def locate(data, at: int) -> tuple[str, int, int] | None:
    """Part, stream and position of an offset in the text; None where no stream contains it."""
    for name in split.PARTS:
        part = getattr(data, name)
        stream = int(np.searchsorted(part.at, at, side="right")) - 1
        if stream >= 0 and at < part.at[stream] + part.y.shape[1]:
            return name, stream, int(at - part.at[stream])
    return None


def to_line_end(text: bytes, end: int, limit: int) -> int:
    """The end of the line in which a passage ends, if within 80 characters and the limit."""
    found = text.find(b"\n", end, min(limit, end + 80))
    return found if found >= 0 else min(end, limit)


def labels_to_show(labels: dict, name: str) -> list[tuple]:
    """The labellings that a passage about a hypothesis must show: of "comment or quote" the
    comments and the quotes. labels: from `read_labels`."""
    if name != "comment_or_quote":
        return [labels[name]]
    either, defined, _ = labels[name]
    quote = labels["quote"][0]
    return [(either - quote, defined, True), (quote, defined, True)]


def states(arch, params, data, spots: list[tuple[str, int, int, int]]) -> list[np.ndarray]:
    """The units' memory over passages (part, stream, begin, end), each [layers * H, end - begin].

    begin and end are positions among the characters that the stream predicts; each is read one step
    later. The streams of a part run in parallel, from their beginning.
    """
    state_name, found = memory(arch.type), {}
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
        for at, window in in_windows(arch, params, torch.from_numpy(x), [state_name]):
            state = held(arch.type, window[state_name])  # step t + 1 has read y[t]
            for spot in wanted:
                _, stream, begin, end = spot
                steps = slice(max(0, begin + 1 - at), max(0, end + 1 - at))
                pieces[spot].append(state[:, streams.index(stream), steps])
        for spot, parts in pieces.items():
            found[spot] = torch.cat(parts, 1).transpose(1, 2).flatten(0, 1).numpy()
    return [found[spot] for spot in spots]


def least_explained(found: selectivity.Found, values) -> int:
    """The unit that follows the hypotheses least, among the half of all units that vary most.

    values: [U, S, n].
    """
    spread = np.array([one.astype(np.float32).std() for one in values])
    best = selectivity.strength(found.picked, found.yes_no).max(axis=1, initial=0)
    return int(np.where(spread >= np.median(spread), best, np.inf).argmin())


def passages(
    arch, params, data, text: bytes, labels, found, values, wanted: list[dict], length: int
) -> list:
    """What figure 2 shows, one dict per passage.

    First, for each hypothesis, its strongest unit over the most variable passage; then the unit
    that follows the hypotheses least; then the wanted passages. labels: from `read_labels`. values:
    [layers * H, S, n], from `observe`. length: of the passages before those, bytes. In the dicts,
    "values" has one value per byte of the text.
    """
    chosen = chosen_passages(data, text, labels, found, values, wanted, length)
    located, rows = [], []
    for name, unit, at, length, source in chosen:
        where = locate(data, at)
        if where is None:
            print(f"the passage at byte {at} lies in no stream")
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
                "text": text[at:end].decode("latin-1"),  # a character for each byte
            }
        )
    for row, state in zip(rows, states(arch, params, data, located), strict=True):
        own = state[(row["layer"] - 1) * arch.hidden + row["unit"] - 1]
        row["values"] = [round(float(value), 3) for value in own]
    return rows


def chosen_passages(
    data, text: bytes, labels, found, values, wanted: list[dict], length: int
) -> list[tuple]:
    """The passages of figure 2: hypothesis, unit, offset in the text, length and source of each.

    The hypothesis of the least explained unit is None. Arguments as in `passages`.
    """
    strengths = selectivity.strength(found.picked, found.yes_no)
    strongest = {name: int(strengths[:, y].argmax()) for y, name in enumerate(found.hypotheses)}
    least = least_explained(found, values)
    read = data.test.at[:, None] - 1 + np.arange(data.test.x.shape[1])
    chosen = []
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


# ---- the job ----


def analyse(args: argparse.Namespace) -> None:
    """Analyse the networks of a corpus, in one process at a time. Raises as `analyse_corpus`."""
    info = json.loads(args.info.read_text())
    lock = args.cells.with_name(f".{info['corpus']}.lock")
    with only_one(lock, info["corpus"], "analysing its networks"):
        analyse_corpus(args, info["corpus"], info["kind"])


def analyse_corpus(args: argparse.Namespace, corpus: str, kind: str) -> None:
    """Write all tables and the report; kind: "prose" or "code".

    Raises InputError where a file or an option is unusable.
    """
    data = split.load(args.split)
    text = args.text.read_bytes()
    check_text(args, data, text)
    wanted = wanted_passages(args.passages, corpus)
    if data.streams < 2 * selectivity.STREAMS:
        print(
            f"{corpus}: {data.streams} streams are too few to select units on some and evaluate"
            f" them on others: nothing is tested (at least {2 * selectivity.STREAMS})"
        )
    chosen = best_lstm(args.models)
    by_type = best_by_type(args.models)
    x = torch.from_numpy(data.test.x)
    read = data.test.at[:, None] - 1 + np.arange(x.shape[1])
    labels = read_labels(text, kind, read)
    gates = []
    for stale in args.cells.parent.glob(f".tmp-{corpus}-*"):  # left by a killed process
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(dir=args.cells.parent, prefix=f".tmp-{corpus}-") as folder:
        for path in dict.fromkeys([*by_type, chosen]):
            arch, params, about = load_recurrent(path, data)
            values = None
            if path == chosen:
                shape = (arch.layers * arch.hidden, *x.shape)
                values = np.lib.format.open_memmap(
                    Path(folder, "values.npy"), "w+", np.float16, shape
                )
                best = arch, params, about, values
            counts = observe(arch, params, x, values)
            if path in by_type:
                size = about["size"] or arch.hidden
                gates.append(gate_rows(counts, arch, size, corpus, x.numel()))
            print(f"{corpus} {describe(arch, about['size'])}: read {x.numel():,} characters")
        arch, params, about, values = best
        name = describe(arch, about["size"])
        found = selectivity.search(values, labels, args.samples, args.shifts, args.seed)
        shown = passages(arch, params, data, text, labels, found, values, wanted, PASSAGE[kind])
        untrained = network.initialise(arch, args.init, torch.Generator().manual_seed(args.seed))
        observe(arch, untrained, x, values)
        control = selectivity.search(values, labels, args.samples, args.shifts, args.seed)
    report = {
        "corpus": corpus,
        "model": name,
        **{key: about[key] for key in ("type", "layers", "size", "hidden", "seed", "val_loss")},
        "samples": args.samples,
        "shifts": args.shifts,
        "streams": len(selectivity.selection_and_evaluation(data.streams)[1]),
        "hypotheses": tested(labels, found),
        "passages": shown,
    }
    write_csv(pd.concat(gates) if gates else pd.DataFrame(columns=GATES), args.gates)
    write_csv(unit_rows(found, arch, corpus, name), args.cells)
    write_csv(unit_rows(control, arch, corpus, name), args.untrained)
    write_atomically(args.out, (json.dumps(report, indent=1) + "\n").encode())
    print_strongest(found, arch, f"{corpus} {name}")


def check_text(args: argparse.Namespace, data, text: bytes) -> None:
    """Raise InputError if the split was not made from this text."""
    positions = data.test.at[:, None] + np.arange(data.test.y.shape[1])
    symbols = np.frombuffer(text, np.uint8)
    if positions.max() >= len(text) or np.any(symbols[positions] != data.alphabet[data.test.y]):
        raise InputError(f"{args.split} was not made from {args.text}: rerun charlens split")


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


def tested(labels: dict, found: selectivity.Found) -> list[dict]:
    """The report's entry for each hypothesis that applies to the text."""
    return [
        {
            "hypothesis": h.name,
            "title": h.title,
            "yes_no": h.yes_no,
            "searched": h.name in found.hypotheses,
            "mean": round(float(values[defined].mean()), 6) if defined.any() else None,
            "undefined": round(float(1 - defined.mean()), 6),
        }
        for h in HYPOTHESES
        if h.name in labels
        for values, defined, _ in [labels[h.name]]
    ]


def print_strongest(found: selectivity.Found, arch, label: str) -> None:
    """One line per hypothesis: its strongest unit and how that scores on the evaluation streams."""
    for y, hypothesis in enumerate(found.hypotheses):
        unit = selectivity.strength(found.picked[:, y], found.yes_no[y]).argmax()
        at = f"{unit // arch.hidden + 1}.{unit % arch.hidden + 1}"
        score, low, high = (part[unit, y] for part in (found.score, found.low, found.high))
        measure = "AUC" if found.yes_no[y] else "tau"
        print(f"{label} {hypothesis}: {at} {measure} {score:.3f} ({low:.3f} to {high:.3f})")


# ---- command lines ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models", type=Path, nargs="+", help="recurrent networks: the units of the best LSTM are"
        " scored, and gates of the best of each type with 3 layers (or the most)",
    )  # fmt: skip
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True, help="the corpus (.txt)")
    parser.add_argument("--info", type=Path, required=True, help="its provenance (.json)")
    parser.add_argument("--samples", type=int, default=1000, help="bootstrap samples of streams")
    parser.add_argument(
        "--shifts", type=int, default=250, help="circular shifts of the labels, for the null"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap and the null")
    parser.add_argument("--init", type=float, default=0.08, help="of the untrained network")
    parser.add_argument("--passages", default="[]", metavar="JSON", help="more passages to show")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gates", type=Path, required=True, help="saturation of gates (.csv)")
    parser.add_argument("--cells", type=Path, required=True, help="scores of units (.csv)")
    parser.add_argument(
        "--untrained", type=Path, required=True, help="those of an untrained network (.csv)"
    )
    parser.add_argument("--out", type=Path, required=True, help="what was found (.json)")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    with threadpool_limits(args.threads):  # numpy's products
        analyse(args)
