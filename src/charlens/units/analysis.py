"""Look inside the networks of one corpus, in one pass over the whole test split for each.

    gates.csv    for each unit of each gate the share of test characters at which it is saturated:
                 left (below 0.1), right (above 0.9) (figure 3)
    cells.csv    the scores of every cell of the best LSTM against every hypothesis (see `search`)
    untrained    the same for a network of its shape that has learned nothing: even that remembers
                 the last letters, so that only what goes beyond it was learned
    the .json    which model that was, what each hypothesis was worth, and passages with tanh(c) of
                 the cells that were found (figure 2)

A network reads every test stream from a zero state, as in scoring. "Best" is lowest validation
loss. Memory is bounded: cell values wait on disk, as float16, until the search reads them.
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
from charlens.text.hypotheses import HYPOTHESES
from charlens.training.train import describe
from charlens.units import selectivity
from charlens.units.activations import held, in_windows, load_recurrent, memory

LEFT, RIGHT = 0.1, 0.9  # saturation
CANDIDATE = "g"  # a tanh on its way into the state, which is no gate
GATES = ["corpus", "type", "layers", "size", "layer", "gate", "unit", "left", "right"]
CELLS = [
    "corpus", "model", "layer", "unit", "hypothesis", "score", "low", "high", "picked", "beyond",
]  # fmt: skip
PASSAGE = 420  # bytes, up to the end of a line
WARM = 200  # bytes that a network has read before a passage that is chosen by the data


# ---- which models ----


def best_lstm(models: list[Path]) -> Path:
    """The LSTM of lowest validation loss; where there is no LSTM, the model."""
    lstms = [path for path in models if model_file.about(path)["type"] == "lstm"]
    return model_file.best(lstms or models)


def best_by_type(models: list[Path]) -> list[Path]:
    """For each type with gates its best model with 3 layers, or else of the greatest depth."""
    known = {path: model_file.about(path) for path in models}
    found = []
    for type in dict.fromkeys(about["type"] for about in known.values()):
        if gate_names(type):
            deep = models.deepest(list(known.values()), type)
            found.append(model_file.best([path for path, about in known.items() if about in deep]))
    return found


def gate_names(type: str) -> list[str]:
    """The gates of a cell whose saturation is looked at: i, f, o of the LSTM, r, z of the GRU."""
    return [name for name in getattr(cell(type), "GATE_NAMES", ()) if name != CANDIDATE]


# ---- the pass over the test split ----


def watch(arch, params, x: torch.Tensor, values: np.ndarray | None):
    """Read the test streams x [S, n] from their beginning.

    Returns, for each gate, how often each unit was left- and right-saturated: int64
    [2, layers, H]. values: float16 [layers * H, S, n], filled with what the cells hold (`held`).
    """
    gates, kept = gate_names(arch.type), memory(arch.type)
    counts = {gate: torch.zeros(2, arch.layers, arch.hidden, dtype=torch.int64) for gate in gates}
    only = gates if values is None else [*gates, kept]
    for at, window in in_windows(arch, params, x, only):
        for gate in gates:
            counts[gate][0] += (window[gate] < LEFT).sum(dim=(1, 2))
            counts[gate][1] += (window[gate] > RIGHT).sum(dim=(1, 2))
        if values is not None:
            state = held(arch.type, window[kept]).permute(0, 3, 1, 2).flatten(0, 1)
            values[:, :, at : at + state.shape[2]] = state.half().numpy()  # [layers * H, S, T]
    return counts


def gate_rows(counts, arch, size: int, corpus: str, characters: int) -> pd.DataFrame:
    """One row per unit of each gate, columns GATES; layers and units are counted from 1."""
    rows = [
        (corpus, arch.type, arch.layers, size, layer + 1, gate, unit + 1, *(share / characters))
        for gate, count in counts.items()
        for layer in range(arch.layers)
        for unit, share in enumerate(count[:, layer].T.numpy())
    ]
    return pd.DataFrame(rows, columns=GATES)


def read_labels(text: bytes, kind: str, read: np.ndarray):
    """Each labelling at the characters that were read: {hypothesis: (values, defined, yes_no)}.

    read: offsets in the text [S, n]; -1, before the text, is never defined.
    """
    found = {}
    for hypothesis in HYPOTHESES:
        if kind in hypothesis.label:
            labels = hypothesis.label[kind](text)  # for the whole text, for what lies before it
            defined = labels.defined[read] & (read >= 0)
            found[hypothesis.name] = labels.values[read], defined, hypothesis.yes_no
    return found


def cell_rows(found: selectivity.Found, arch, corpus: str, name: str) -> pd.DataFrame:
    """One row per cell and hypothesis, columns CELLS; layers and units are counted from 1."""
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


def liveliest(text: bytes, read: np.ndarray, values, defined, yes_no: bool) -> tuple[int, int]:
    """Stream and position of the passage over which a labelling changes most.

    Of the passages of PASSAGE characters that begin with a line of a stream on which no cell was
    picked: the one with as many "yes" as "no", or the widest spread of ranks, and little that is
    undefined. The cells have no say in it.
    """
    level, top = selectivity.levels(values, defined, yes_no)
    rank = selectivity.label_ranks(level, top).astype(np.float64)
    S, n = rank.shape
    length = min(PASSAGE, n)

    def windowed(a):
        total = np.cumsum(np.pad(a, ((0, 0), (1, 0))), axis=1)
        return total[:, length:] - total[:, :-length]

    known = windowed(defined.astype(np.float64)).clip(1)
    spread = windowed(rank**2) / known - (windowed(rank) / known) ** 2
    spread *= known / length
    letters, first = np.frombuffer(text, np.uint8), read[:, : n - length + 1]
    begins = (letters[first - 1] == ord("\n")) & (letters[first] > ord(" "))
    begins[:, :WARM] &= n < 2 * WARM + length
    begins[selectivity.halves(S)[0]] = False
    if not begins.any():
        begins[selectivity.halves(S)[1]] = True
    return np.unravel_index(np.where(begins, spread, -1).argmax(), begins.shape)


def find(text: bytes, begins: str) -> int | None:
    """The offset of a passage by how it begins; blank space and capitals do not matter."""
    words = (re.escape(word.encode()) for word in begins.split())
    found = re.search(rb"\s*".join(words), text, re.IGNORECASE)
    return found and found.start()


def place(data, at: int) -> tuple[str, int, int] | None:
    """Part, stream and position in it of an offset in the text; None where no stream holds it."""
    for name in split.PARTS:
        part = getattr(data, name)
        stream = int(np.searchsorted(part.at, at, side="right")) - 1
        if stream >= 0 and at < part.at[stream] + part.y.shape[1]:
            return name, stream, int(at - part.at[stream])
    return None


def to_line_end(text: bytes, end: int, limit: int) -> int:
    """The end of the line in which a passage ends, if that is soon and not beyond the limit."""
    found = text.find(b"\n", end, min(limit, end + 80))
    return found if found >= 0 else min(end, limit)


def colours(arch, params, data, spots: list[tuple[str, int, int, int]]) -> list[np.ndarray]:
    """The cells' state over passages (part, stream, begin, end), each [layers * H, end - begin].

    begin and end are positions among what the stream predicts; each such character has been read
    one step later. The streams of a part run side by side, from their beginning.
    """
    kept_state, found = memory(arch.type), {}
    for name in split.PARTS:
        wanted = {spot for spot in spots if spot[0] == name}
        if not wanted:
            continue
        part = getattr(data, name)
        streams = sorted({stream for _, stream, _, _ in wanted})
        last = max(end for *_, end in wanted)
        # read y itself: the last character of a stream is x of none
        x = np.concatenate([part.x[streams, :1], part.y[streams, :last]], axis=1)
        kept = {spot: [] for spot in wanted}
        for at, window in in_windows(arch, params, torch.from_numpy(x), [kept_state]):
            state = held(arch.type, window[kept_state])  # step t + 1 has read y[t]
            for spot in wanted:
                _, stream, begin, end = spot
                steps = slice(max(0, begin + 1 - at), max(0, end + 1 - at))
                kept[spot].append(state[:, streams.index(stream), steps])
        for spot, pieces in kept.items():
            found[spot] = torch.cat(pieces, 1).transpose(1, 2).flatten(0, 1).numpy()
    return [found[spot] for spot in spots]


def unexplained(found: selectivity.Found, values) -> int:
    """The cell that the hypotheses say least of, among the half of all that move most."""
    moves = np.array([one.astype(np.float32).std() for one in values])
    best = selectivity.strength(found.picked, found.yes_no).max(axis=1, initial=0)
    return int(np.where(moves >= np.median(moves), best, np.inf).argmin())


def passages(arch, params, data, text: bytes, labels, found, values, wanted: list[dict]) -> list:
    """What figure 2 shows: for each hypothesis its best cell over a passage that the data choose,
    then over the wanted passages; and the cell of which the hypotheses say least."""
    strengths = selectivity.strength(found.picked, found.yes_no)
    cells = {name: int(strengths[:, y].argmax()) for y, name in enumerate(found.hypotheses)}
    nothing = unexplained(found, values)
    read = data.test.at[:, None] - 1 + np.arange(data.test.x.shape[1])
    chosen = []  # (hypothesis, unit, offset in the text, length, where from)
    for name, unit in cells.items():
        stream, begin = liveliest(text, read, *labels[name])
        chosen.append((name, unit, int(read[stream, begin]), PASSAGE, "data"))
    if chosen:
        _, _, at, length, _ = chosen[0]
        chosen.append((None, nothing, at, length, "data"))
    for passage in wanted:
        name = passage["hypothesis"]
        unit = nothing if name == "none" else cells.get(name)
        at = find(text, passage["begins"])
        if at is None:
            print(f"no passage begins with {passage['begins']!r} in this text")
        elif unit is not None:
            kept = None if name == "none" else name
            chosen.append((kept, unit, at, passage["characters"], "slides"))
    spots, rows = [], []
    for name, unit, at, length, source in chosen:
        where = place(data, at)
        if where is None:
            print(f"the passage at byte {at} lies in no stream")
            continue
        part, stream, begin = where
        limit = int(getattr(data, part).at[stream]) + getattr(data, part).y.shape[1]
        end = to_line_end(text, at + length, limit)
        spots.append((part, stream, begin, begin + end - at))
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
                "cell": unit,
            }
        )
    for row, state in zip(rows, colours(arch, params, data, spots), strict=True):
        row["values"] = [round(float(value), 3) for value in state[row.pop("cell")]]
    return rows


# ---- the job ----


def look_inside(args: argparse.Namespace) -> None:
    info = json.loads(args.info.read_text())
    lock = args.cells.with_name(f".{info['corpus']}.lock")
    with only_one(lock, info["corpus"], "looking inside its networks"):
        search_cells(args, info)


def search_cells(args: argparse.Namespace, info: dict) -> None:
    data = split.load(args.split)
    text = args.text.read_bytes()
    corpus, kind = info["corpus"], info["kind"]
    positions = data.test.at[:, None] + np.arange(data.test.y.shape[1])
    symbols = np.frombuffer(text, np.uint8)
    if positions.max() >= len(text) or np.any(symbols[positions] != data.alphabet[data.test.y]):
        raise InputError(f"{args.split} was not made from {args.text}: split it again")
    known = [hypothesis.name for hypothesis in HYPOTHESES]
    try:
        wanted = json.loads(args.passages)
    except ValueError as error:
        raise InputError(f"--passages: no JSON ({error})") from None
    for passage in wanted:
        if passage["hypothesis"] not in (*known, "none"):
            raise InputError(
                f"cells.passages.{corpus}: no hypothesis '{passage['hypothesis']}';"
                f" there are none, {', '.join(known)}"
            )
    if data.streams < 2 * selectivity.STREAMS:
        print(
            f"{corpus}: {data.streams} streams are too few to pick cells on one half and report on"
            f" the other: nothing is searched (at least {2 * selectivity.STREAMS})"
        )
    chosen = best_lstm(args.models)
    by_type = best_by_type(args.models)
    x = torch.from_numpy(data.test.x)
    gates = []
    for stale in args.cells.parent.glob(f".tmp-{corpus}-*"):  # what a kill left
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(dir=args.cells.parent, prefix=f".tmp-{corpus}-") as folder:
        for path in dict.fromkeys([*by_type, chosen]):
            arch, params, about = load_recurrent(path, data)
            values = None
            if path == chosen:
                shape = (arch.layers * arch.hidden, *data.test.x.shape)
                values = np.lib.format.open_memmap(
                    Path(folder, "values.npy"), "w+", np.float16, shape
                )
                best = arch, params, about, values
            counts = watch(arch, params, x, values)
            if path in by_type:
                size = about["size"] or arch.hidden
                gates.append(gate_rows(counts, arch, size, corpus, data.test.x.size))
            print(f"{corpus} {describe(arch, about['size'])}: read {data.test.x.size:,} characters")
        arch, params, about, values = best
        name = describe(arch, about["size"])
        read = data.test.at[:, None] - 1 + np.arange(data.test.x.shape[1])
        labels = read_labels(text, kind, read)
        found = selectivity.search(values, labels, args.samples, args.shifts, args.seed)
        cells = cell_rows(found, arch, corpus, name)
        shown = passages(arch, params, data, text, labels, found, values, wanted)
        fresh = network.initialise(arch, args.init, torch.Generator().manual_seed(args.seed))
        watch(arch, fresh, x, values)
        control = selectivity.search(values, labels, args.samples, args.shifts, args.seed)
    report = {
        "corpus": corpus,
        "model": name,
        **{key: about[key] for key in ("type", "layers", "size", "hidden", "seed", "val_loss")},
        "samples": args.samples,
        "shifts": args.shifts,
        "streams": len(selectivity.halves(data.streams)[1]),
        "hypotheses": [
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
        ],
        "passages": shown,
    }
    write_csv(pd.concat(gates) if gates else pd.DataFrame(columns=GATES), args.gates)
    write_csv(cells, args.cells)
    write_csv(cell_rows(control, arch, corpus, name), args.untrained)
    write_atomically(args.out, (json.dumps(report, indent=1) + "\n").encode())
    for y, hypothesis in enumerate(found.hypotheses):
        unit = selectivity.strength(found.picked[:, y], found.yes_no[y]).argmax()
        kept = f"{found.score[unit, y]:.3f} ({found.low[unit, y]:.3f} to {found.high[unit, y]:.3f})"
        print(f"{corpus} {name} {hypothesis}: {unit // arch.hidden + 1}.{unit % arch.hidden + 1}"
              f" {'AUC' if found.yes_no[y] else 'tau'} {kept}")  # fmt: skip


# ---- command lines ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models", type=Path, nargs="+", help="recurrent models: the best LSTM's cells are searched,"
        " the gates of the best of each type with 3 layers (or the most) are watched",
    )  # fmt: skip
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True, help="the corpus (.txt)")
    parser.add_argument("--info", type=Path, required=True, help="its provenance (.json)")
    parser.add_argument("--samples", type=int, default=1000, help="bootstrap samples of streams")
    parser.add_argument("--shifts", type=int, default=250, help="turned labellings of the null")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap and the null")
    parser.add_argument("--init", type=float, default=0.08, help="of the untrained network")
    parser.add_argument("--passages", default="[]", metavar="JSON", help="more passages to show")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gates", type=Path, required=True, help="saturation of gates (.csv)")
    parser.add_argument("--cells", type=Path, required=True, help="scores of cells (.csv)")
    parser.add_argument("--untrained", type=Path, required=True, help="those of an untrained one")
    parser.add_argument("--out", type=Path, required=True, help="what was found (.json)")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    with threadpool_limits(args.threads):  # numpy's products
        look_inside(args)
