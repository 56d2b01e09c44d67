"""`charlens explore`: from a model and a text to the explorer page."""

import argparse
import csv
import math
import sys
from pathlib import Path

import numpy as np
import torch

from charlens import arguments
from charlens.backends import base
from charlens.data import split
from charlens.errors import InputError
from charlens.explorer import live, page
from charlens.explorer.own_text import WARM_UP, Shown, of_text, scored_here
from charlens.explorer.recording import GUESSES, UNSCORED, record, shown, signed
from charlens.files import refuse_overwriting, write_atomically
from charlens.networks import architecture, metadata, model_file
from charlens.networks.architecture import Architecture
from charlens.networks.cells import gate_word, memory, unbounded
from charlens.networks.network import Parameters
from charlens.statistics.information import bits
from charlens.store.models import type_name
from charlens.store.tables import read_table
from charlens.text import symbols, unicode
from charlens.text.hypotheses import HYPOTHESES, KINDS, labellings
from charlens.training import score_text, train
from charlens.training.score import check_alphabet
from charlens.units.activations import require_memory

NUMBERS = ("hypothesis", "own", "loss", "used")  # of a clamped unit, from a table
SCORED = "Strongest first on the selection streams; scores are from the evaluation streams."
SCORED_HERE = (
    "Strongest first on every other stretch of this text; scores, and their intervals over"
    " stretches, are from those between."
)
STATES = {"c": "cell state", "h": "hidden state", "g": "candidate"}  # all else are gates
LIMIT = 40e6  # size of a page in bytes


def of_split(
    path: Path, arch: Architecture, params: Parameters, about, args, in_page=None
) -> Shown:
    """Record the test split from its beginning, stream by stream.

    in_page: the parameters of the network in the page, if there is one (see `live`).
    Raises InputError if the model was not trained on the split, or the corpus is not the text of
    the split.
    """
    characters, gates = args.characters, args.gates
    data = split.load(args.split)
    try:
        check_alphabet(path, about, data)
    except InputError as error:
        raise InputError(f"{error}; or show any text, scored as it is: --text FILE") from None
    x, y = data.test.x, data.test.y
    S = min(len(y), -(-characters // y.shape[1]))
    codes = np.concatenate([x[:S, :1], y[:S]], axis=1)
    text = data.alphabet[y[:S].ravel()[:characters]]
    offsets = data.test.predicted_at()[:S].ravel()[:characters]
    n = y.shape[1]
    if in_page:
        keep = range(0, n, live.SEGMENT)
        recording = record(arch, in_page, codes, len(text), 0, keep=keep, memory=not args.cells)
        begin = (n * np.arange(S)[:, None] + np.arange(0, n, live.SEGMENT)).ravel()
        states = recording.states.reshape(len(begin), *recording.states.shape[2:])
        segments = live.Segments(begin[begin < len(text)], states[begin < len(text)])
    else:
        gates = min(gates, len(text))
        recording = record(arch, params, codes, len(text), gates, memory=not args.cells)
        segments = None
    breaks = list(range(y.shape[1], len(text), y.shape[1]))
    nats = recording.loss.mean(dtype=np.float64) / 1000
    summary = (
        f"{len(text):,} characters of test text, {nats:.3f} nats"
        f" ({bits(nats):.3f} bits) per character"
    )
    if unicode.symbols_are(about) == unicode.CHARACTERS:
        each = split.bytes_per_character(data.alphabet, y[:S].ravel()[:characters])
        summary += f", {bits(nats / each):.3f} bits per byte"
    facts = {"name": about["corpus"], "breaks": breaks, "summary": summary}
    whole = args.corpus.read_bytes() if args.corpus else b""
    whole = unicode.decoded(whole, unicode.symbols_are(about), args.corpus)
    letters = symbols.numbers(whole)
    if args.kind and not (len(whole) > offsets.max() and np.array_equal(letters[offsets], text)):
        raise InputError(f"{args.corpus} is not the text of {args.split}: give that text")
    return Shown(text, offsets, recording, facts, whole, args.kind, segments)


def labels_at(text: unicode.Text, kind: str, at: np.ndarray) -> dict[str, tuple]:
    """The labels at some offsets [N] of a text, by hypothesis: values [N], defined [N], and whether
    they are yes or no."""
    yes_no = {h.name: h.yes_no for h in HYPOTHESES}
    return {
        name: (labels.values[at], labels.defined[at], yes_no[name])
        for name, labels in labellings(text, kind).items()
    }


def labelled(labels: dict[str, tuple]) -> dict[str, tuple[np.ndarray, float]]:
    """Labels (see `labels_at`) for the page, by hypothesis: uint8 [N], and the value of 254.

    0 and 254 are no and yes, or a count of 0 and its 99th percentile (larger counts are clipped);
    255 is undefined. Hypotheses whose labels do not vary there are omitted.
    """
    found = {}
    for name, (values, defined, _) in labels.items():
        values = values.astype(float)
        if defined.any() and values[defined].min() < values[defined].max():
            top = max(1.0, np.percentile(values[defined], 99))
            shown = np.where(defined, np.rint(254 * (values / top).clip(0, 1)), 255)
            found[name] = shown.astype(np.uint8), top
    return found


def explorer(
    text: np.ndarray,
    recording,
    arch: Architecture,
    about: dict,
    facts: dict,
    labels: dict | None = None,
    network: tuple | None = None,
) -> bytes:
    """The page for a recording of a text [N]; labels: by hypothesis, see `labelled`.

    network: parameters and segments (see `live`) of a network that the page runs itself; the
    recording then stays out of it. A page larger than LIMIT omits the candidates g, which are not
    gates; three layers of 300 units then stay below it.
    """
    common = common_facts(arch, about, facts, labels or {})
    if network:
        return with_network(text, arch, about, common, labels or {}, *network)
    values = dict(recording.values)
    content = with_recording(text, recording, values, arch, about, common, labels or {})
    if len(content) > LIMIT and values.pop("g", None) is not None:
        print("the page omits the candidates (g) to stay small", file=sys.stderr)
        content = with_recording(text, recording, values, arch, about, common, labels or {})
    if len(content) > LIMIT:
        print(
            f"a page of {len(content) / 1e6:.0f} MB opens slowly:"
            " reduce --gates or --characters to make it smaller",
            file=sys.stderr,
        )
    return content


def model_of(arch: Architecture, about: dict) -> str:
    """A network as the page names it."""
    return f"{type_name(arch.type)} {arch.layers}×{about.get('size') or arch.hidden}"


def common_facts(arch: Architecture, about: dict, facts: dict, labels: dict) -> dict:
    """The facts of every page."""
    return facts | {
        "model": model_of(arch, about),
        "corpus": about["corpus"],
        "source": about["source"],
        "layers": arch.layers,
        "hidden": arch.hidden,
        "parameters": architecture.count(arch),
        "symbols": arch.symbols,
        "symbols_are": unicode.symbols_are(about),
        "guesses": min(GUESSES, arch.symbols),
        "labels": [
            {"name": h.name, "title": h.title, "yes_no": h.yes_no, "top": labels[h.name][1]}
            for h in HYPOTHESES
            if h.name in labels
        ],
        "unscored": UNSCORED,
    }


def quantities(arch: Architecture, lengths: dict[str, int]) -> list[dict]:
    """The quantities that can colour the text, and how much of it each covers."""
    return [
        {
            "name": name,
            "title": STATES.get(name, f"{gate_word(arch.type, name)} gate"),
            "signed": signed(arch.type, name),
            "tanh": name == memory(arch.type) and unbounded(arch.type),
            "length": length,
        }
        for name, length in lengths.items()
    ]


def with_network(
    text, arch: Architecture, about, facts: dict, labels: dict, params: Parameters, segments
) -> bytes:
    """The page that reads the text itself."""
    facts["quantities"] = quantities(arch, dict.fromkeys(shown(arch.type), len(text)))
    facts["network"] = live.facts(arch, about, segments)
    blocks = {"text": text} | live.blocks(arch, params, segments)
    blocks |= {f"label.{name}": values for name, (values, _) in labels.items()}
    return page.page(page.title(facts["name"], facts["model"]), facts, blocks)


def with_recording(
    text, recording, values: dict, arch: Architecture, about, facts: dict, labels: dict
) -> bytes:
    """The page with these values [layers, H, N] of the recording of a text [N]."""
    alphabet = symbols.alphabet_of(about)
    facts["quantities"] = quantities(arch, {name: v.shape[-1] for name, v in values.items()})
    blocks = {
        "text": text,
        "guesses": alphabet[recording.guesses],
        "chances": recording.chances,
        "loss": recording.loss,
    }
    for name, kept in values.items():
        blocks |= {f"{name}.{layer}": kept[layer] for layer in range(arch.layers)}
    blocks |= {f"label.{name}": values for name, (values, _) in labels.items()}
    return page.page(page.title(facts["name"], facts["model"]), facts, blocks)


def hypotheses(path: Path, arch: Architecture, about: dict) -> list[dict]:
    """The hypotheses of a table of units (cells.csv), each with its units in the table's order.

    The table (columns corpus, model, layer, unit, hypothesis, score, low, high; layers and units
    counted from 1) lists the strongest unit of a hypothesis first; it has no rows for a corpus on
    which nothing could be tested. Raises InputError if it is unusable or about another model.
    """
    model_name = train.describe(arch, about.get("size"))
    known = {h.name: {"title": h.title, "yes_no": h.yes_no} for h in HYPOTHESES}
    found, others = {}, set()
    try:
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["corpus"] != about["corpus"]:
                    continue
                if row["model"] != model_name:
                    others.add(row["model"])
                    continue
                layer, unit = int(row["layer"]) - 1, int(row["unit"]) - 1
                if not (0 <= layer < arch.layers and 0 <= unit < arch.hidden):
                    raise ValueError(f"no unit {unit + 1} in layer {layer + 1}")
                entry = found.setdefault(
                    row["hypothesis"], {"order": [], "score": [], "low": [], "high": []}
                )
                entry["order"].append(layer * arch.hidden + unit)
                for name in ("score", "low", "high"):
                    number = float(row[name] or "nan")
                    entry[name].append(round(number, 4) if math.isfinite(number) else None)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a table of units ({error}): create it again") from error
    if others and not found:
        raise InputError(
            f"{path}: expected units of {model_name}, got {', '.join(sorted(others))}:"
            " give the table of this model"
        )
    return [{"name": name, "title": name} | known.get(name, {}) | e for name, e in found.items()]


def of_this_text(corpus: str, shown: Shown, labels: dict) -> dict:
    """Facts about the scores of units beside a text of one's own: on that text where it allows any;
    else those of a table, which says where they were measured.

    Scores of a table that stand beside the text's own are `elsewhere`, in the same order.
    """
    known = {entry["name"]: entry for entry in shown.facts["hypotheses"]}
    found = scored_here(shown, labels)
    if not found:
        scored = f"Scores were measured on the corpus {corpus}, not on this text."
        return {"scored": scored, "origin": corpus}
    for entry in found:
        if entry["name"] in known:
            of_unit = dict(
                zip(*(known[entry["name"]][key] for key in ("order", "score")), strict=True)
            )
            entry["elsewhere"] = [of_unit.get(unit) for unit in entry["order"]]
    return {"hypotheses": found, "scored": SCORED_HERE, "elsewhere": corpus}


def clamped(path: Path, arch: Architecture, about: dict, elsewhere: bool = False) -> dict[str, str]:
    """What clamping a unit to its mean changes, in words, from a table of clamped units
    (ablation.csv), by layer.unit counted from 1. elsewhere: say where that was measured.

    A unit that was found for several hypotheses has the one whose characters change most. Raises
    InputError if the table is unusable.
    """
    table = read_table(path, ["corpus", "model", "layer", "unit", "clamp", *NUMBERS])
    own = (table["corpus"] == about["corpus"]) & (table["clamp"] == "mean")
    own &= table["model"] == train.describe(arch, about.get("size"))
    titles = {h.name: h.title for h in HYPOTHESES}
    where = f"on the corpus {about['corpus']}, " if elsewhere else ""
    rows = table[own].dropna(subset=["own"]).sort_values("own", key=abs)
    return {
        f"{row.layer}.{row.unit}": (
            f"{where}clamped to its mean: {100 * row.own:+.1f} points of probability for its own"
            f" characters ({titles.get(row.hypothesis, row.hypothesis)}), {row.loss:+.4f} nats;"
            f" the network {'uses it' if row.used else 'does not use it'}"
        ).replace("-", "−")
        for row in rows.itertuples()
    }


# ---- command lines ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", type=Path, nargs="+", help="of several, the best on validation")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--split", type=Path, help="show the test split, from its beginning")
    source.add_argument("--text", type=Path, help="score and show a text of your own")
    parser.add_argument("--title", help="title of the text (default: its name)")
    parser.add_argument(
        "--cells", type=Path, help="scores of units by hypothesis (.csv; default: of the text"
        " shown, where it is labelled and long enough)",
    )  # fmt: skip
    parser.add_argument("--ablation", type=Path, help="what clamped units change (.csv)")
    parser.add_argument(
        "--kind", choices=KINDS, help="label the text as this kind (default: with --text, what it"
        " looks like; with --split, no labels)",
    )  # fmt: skip
    parser.add_argument(
        "--corpus", type=Path, help="with --split and --kind: the text of the corpus"
    )
    parser.add_argument(
        "--characters", type=arguments.count, default=20_000, help="characters shown"
    )
    parser.add_argument(
        "--gates", type=arguments.count, default=4_000, help="where states are recorded:"
        " characters shown with every gate, from the first",
    )  # fmt: skip
    parser.add_argument(
        "--recorded", action="store_true", help="record states in the page (default for LSTM, GRU"
        " and RNN: the network is in the page and reads the text itself)",
    )  # fmt: skip
    parser.add_argument(
        "--from", type=arguments.whole(0), default=0, dest="first", metavar="N", help="with --text:"
        f" characters before those shown; the last {WARM_UP:,} of them are read as a warm-up",
    )  # fmt: skip
    parser.add_argument(
        "--whole", action="store_true", help="with --text: score all of it (default: what is shown)"
    )
    score_text.add_line_ends(parser)
    parser.add_argument(
        "--csv", type=Path, help="with --text: log-probability of each character of the whole text,"
        " in nats (.csv; -: standard output)",
    )  # fmt: skip
    parser.add_argument(
        "--beside", type=Path, nargs="+", metavar="MODEL", help="show another network beside this"
        " one, on the same text (of several, the best)",
    )  # fmt: skip
    parser.add_argument("--beside-cells", type=Path, help="scores of the other network's units")
    parser.add_argument(
        "--beside-text", type=Path, help="with --text: show another text beside it, under the same"
        " network",
    )  # fmt: skip
    base.add_backend(parser)
    base.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="the page (.html)")


def run(args: argparse.Namespace) -> None:
    if args.csv and not args.text:
        raise InputError("--csv requires --text; charlens score writes the scores of a split")
    if (args.first or args.whole) and not args.text:
        raise InputError("--from and --whole require --text: a split is shown from its beginning")
    if args.corpus and not (args.split and args.kind):
        raise InputError("--corpus requires --split and --kind: it is the text around the split")
    if args.kind and not (args.text or args.corpus):
        raise InputError("--kind with --split needs the text of the corpus: --corpus")
    if (args.beside or args.beside_text) and (args.csv or args.beside and args.beside_text):
        raise InputError("--beside, --beside-text and --csv exclude each other")
    if args.beside_text and not args.text:
        raise InputError("--beside-text requires --text")
    read = [*args.models, *(args.beside or ()), args.split, args.text, args.corpus, args.cells]
    read += [args.beside_text, args.beside_cells, args.ablation]
    for out in (args.out, args.csv):
        refuse_overwriting(out, *read)
    torch.set_num_threads(args.threads)
    content, title, text = page_of(args)
    if args.beside or args.beside_text:
        # tables and a title are of the first network and text alone
        other = {"cells": args.cells if args.beside_text else args.beside_cells}
        other |= {"ablation": args.ablation if args.beside_text else None}
        other |= {"models": args.beside} if args.beside else {"text": args.beside_text}
        other |= {"title": args.title if args.beside else None}
        content2, title2, text2 = page_of(argparse.Namespace(**vars(args) | other))
        same_text = np.array_equal(text, text2)
        content = page.beside([content, content2], [title, title2], same_text)
    write_atomically(args.out, content)
    print(f"{args.out}: {len(text):,} characters, {len(content) / 1e6:.1f} MB")


def page_of(args: argparse.Namespace) -> tuple[bytes, str, np.ndarray]:
    """The page of the best of some models, its title and its text [N].

    Raises InputError where the network has no units to show, or as `of_text` and `of_split` do.
    """
    path = model_file.best(args.models)
    arch, params, about = model_file.load(path)
    metadata.require(about, path, ("corpus", "source"))
    if not arch.recurrent:
        raise InputError(f"{path}: an n-NN has no units to show; name a recurrent network")
    require_memory(arch.type)
    refused = live.why_not(arch, params)
    if refused and not args.recorded:
        print(f"{path}: {refused}: states are recorded", file=sys.stderr)
    in_page = None if refused or args.recorded else live.halved(params)
    of = of_text if args.text else of_split
    found = of(args.text or path, arch, params, about, args, in_page)
    facts = found.facts
    labels = labels_at(found.whole, found.kind, found.offsets) if found.kind else {}
    facts |= {"hypotheses": [], "scored": SCORED, "origin": ""}
    if args.cells:
        facts["hypotheses"] = hypotheses(args.cells, arch, about)
    if args.text:
        facts |= of_this_text(about["corpus"], found, labels)
    elif not args.cells and (entries := scored_here(found, labels)):
        facts |= {"hypotheses": entries, "scored": SCORED_HERE}
    if args.title:
        facts["name"] = args.title
    if args.ablation:
        facts["clamped"] = clamped(args.ablation, arch, about, args.text is not None)
    network = (in_page, found.segments) if in_page else None
    content = explorer(found.text, found.recording, arch, about, facts, labelled(labels), network)
    return content, page.title(facts["name"], model_of(arch, about)), found.text
