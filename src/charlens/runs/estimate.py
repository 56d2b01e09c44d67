"""What a job costs: which ones go first, how much memory they ask for, and when all will be done.

Work and memory follow from a model's shape and are good for ordering and bounding; times need the
rates of this machine, which `charlens calibrate` measures. The Snakefile imports this, so it
imports nothing slow: no torch.
"""

import contextlib
import csv
import functools
import hashlib
import heapq
import json
import os
import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from charlens.runs import grid, host
from charlens.runs.settings import Settings

GATES = {"nn": 1, "rnn": 1, "lstm": 4, "gru": 3}  # a cell of the user's own is taken for an LSTM
SYMBOLS = 96  # of a text that nobody has seen yet: what a keyboard has
START_SECONDS = 4  # until a job's Python and torch are there
NGRAM_SECONDS = 2.5  # of estimating, or of scoring, an n-gram model, per million characters
OTHER_SECONDS = {"figure1": 20, "figure4": 10, "figure5": 20, "report": 10}


@dataclass(frozen=True)
class Shape:
    """The shape of a model as the workflow's wildcards give it."""

    type: str
    layers: int
    size: int  # row of table 1; of an n-NN, its hidden units
    context: int = 0
    dropout: bool = False

    @classmethod
    def of(cls, w) -> "Shape":
        """From the wildcards of a training, or of a scoring (which has no dropout)."""
        if hasattr(w, "context"):
            return cls("nn", 1, int(getattr(w, "hidden", 0)), int(w.context))
        dropped = float(getattr(w, "dropout", 0)) > 0
        return cls(w.type, int(w.layers), int(w.size), dropout=dropped)


# ---- arithmetic and memory ----


def parameters(type: str, layers: int, hidden: int, symbols: int) -> int:
    """Number of parameters of a recurrent network (model.count, which needs torch)."""
    gates, H = GATES.get(type, 4), hidden
    own = gates * H * (H + 1) + (H if type == "gru" else 0)  # the GRU's second bias
    inputs = gates * H * (symbols + (layers - 1) * H)
    return inputs + layers * own + H * symbols + symbols


@functools.cache
def hidden_size(type: str, layers: int, size: int, symbols: int) -> int:
    """Hidden units per layer for the budget of a row of table 1 (model.hidden_size)."""
    budget = parameters("lstm", 1, size, symbols)
    return min(
        range(1, 4 * size + 1),
        key=lambda hidden: abs(parameters(type, layers, hidden, symbols) - budget),
    )


def multiply_adds(shape: Shape, symbols: int) -> int:
    """Multiply-adds per character of a forward pass; the first layer's input is a lookup."""
    if shape.context:
        return shape.size * (shape.context + symbols)
    H = hidden_size(shape.type, shape.layers, shape.size, symbols)
    return GATES.get(shape.type, 4) * H * H * (2 * shape.layers - 1) + H * symbols


def memory_mb(shape: Shape, symbols: int, streams: int, unroll: int, characters: int) -> int:
    """Megabytes to ask for: above what any backend took on the CPU, by a third or more.

    Every unit keeps, at every step of a window, its gates, their gradients and what autograd
    saves of them; on top come Python and torch, the parameters and their optimizer, and the data.
    """
    hidden = shape.size
    if not shape.context:
        hidden = hidden_size(shape.type, shape.layers, shape.size, symbols)
    units = 4 * shape.layers * hidden * streams * unroll
    logits = 4 * symbols * streams * unroll
    weights = 4 * (
        parameters(shape.type, shape.layers, hidden, symbols) + shape.context * symbols * hidden
    )
    data = characters * (4 + 8 * shape.context)
    gates = GATES.get(shape.type, 4)
    return 450 + (units * (6 + 6 * gates) + 8 * logits + 10 * weights + data) // 2**20


# ---- jobs of a configuration ----


def symbols(settings: Settings, corpus: str) -> int:
    """Alphabet of a corpus: as its provenance says, or the configuration, or a guess."""
    return _known(settings, corpus).get("symbols", SYMBOLS)


def characters(settings: Settings, corpus: str) -> dict[str, int]:
    """Characters in each part of a corpus; {} where nobody knows before it is there."""
    if "bytes" not in (known := _known(settings, corpus)):
        return {}
    fractions = settings.of_corpus(corpus).fractions
    return dict(
        zip(("train", "val", "test"), (int(known["bytes"] * f) for f in fractions), strict=True)
    )


def _known(settings, corpus):
    found = Path("results", settings.run, "corpora", f"{corpus}.json")
    return _provenance(found) or settings.of_corpus(corpus).sources[0].model_dump(exclude_none=True)


@functools.cache
def _provenance(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def memory(settings: Settings, w) -> int:
    """`mem_mb` of a job that trains or scores a model."""
    shape = Shape.of(w)
    if shape.context and not shape.size:  # which hidden size was chosen is not known yet
        shape = Shape("nn", 1, max(settings.nn.hidden), shape.context)
    split = settings.split
    length = sum(characters(settings, w.corpus).values())
    cuda = 3000 if host.gpus(settings.backend) else 0  # what it takes of the host's memory
    return cuda + memory_mb(shape, symbols(settings, w.corpus), split.streams, split.unroll, length)


def priority(settings: Settings, w) -> int:
    """Of a training: its work and that of what waits for it, in giga multiply-adds.

    The longest chains begin first, so that no core idles while the last one ends.
    """
    return max(1, round((_training_work(settings, w) + _waiting_work(settings, w)) / 1e9))


def trajectory_priority(settings: Settings, corpus: str) -> int:
    return max(1, round(_trajectory_work(settings, corpus) / 1e9))


def _training_work(settings, w):
    parts = characters(settings, w.corpus) or {"train": 1_000_000, "val": 100_000}
    each = multiply_adds(Shape.of(w), symbols(settings, w.corpus))
    return settings.training_of(w.corpus)["epochs"] * each * (3 * parts["train"] + parts["val"])


def _waiting_work(settings, w):
    """What figure 5 does once the n-NN models and the deepest LSTMs are there."""
    if w.corpus not in grid.first_epochs(settings):
        return 0
    shown = _shown(settings, w.corpus)
    if hasattr(w, "context") or (w.type, int(w.layers)) == (shown.type, shown.layers):
        return _trajectory_work(settings, w.corpus)
    return 0


def _trajectory_work(settings, corpus):
    first = settings.figures.first_epochs
    parts = characters(settings, corpus) or {"train": 1_000_000, "test": 100_000}
    return (
        first.epochs
        * multiply_adds(_shown(settings, corpus), symbols(settings, corpus))
        * (3 * parts["train"] + first.snapshots * parts["test"])
    )


def _shown(settings, corpus):
    """The LSTM of figure 5 is the best of the deepest: most likely the largest."""
    deepest = grid.deepest(settings, corpus, "lstm")
    return Shape("lstm", deepest[0].layers, max(key.size for key in deepest))


def shapes(settings: Settings) -> list[dict]:
    """Every shape that a run trains, as plain dicts: what a calibration measures."""
    recurrent = (
        Shape(key.type, key.layers, key.size, dropout=key.candidate > 0)
        for corpus in settings.use
        for network in grid.recurrent(settings, corpus)
        for key in grid.candidates(settings, network)
    )
    fixed = (
        Shape("nn", 1, hidden, context)
        for context in settings.nn.contexts
        for hidden in settings.nn.hidden
    )
    return [asdict(shape) for shape in dict.fromkeys((*recurrent, *fixed))]


# ---- time, from the measured rates ----


@functools.cache
def machine() -> str:
    """A name for this machine and the code that trains on it: rates are only good for both."""
    about = [platform.machine(), str(os.cpu_count()), os.environ.get("CHARLENS_ISA", "auto")]
    about += [*_cpuinfo().values(), hashlib.sha256(code()).hexdigest()]
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    about += [path.read_text() for path in cards]
    digest = hashlib.sha256("\n".join([processor(), *about]).encode()).hexdigest()
    return f"{re.sub('[^a-z0-9]+', '-', processor().lower()).strip('-')}-{digest[:8]}"


def code() -> bytes:
    """All the code that trains."""
    here = Path(__file__).parents[1]
    paths = [here / "training/train.py", here / "networks/network.py"]
    paths += [*here.glob("networks/cells/*.py"), *here.glob("backends/**/*.[chp]*")]
    return b"".join(path.read_bytes() for path in sorted(paths) if path.is_file())


def processor() -> str:
    """What the processor calls itself."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


@functools.cache
def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first core, less what changes from moment to moment."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:  # not Linux
        return {}
    said = {key.strip(): value.strip() for key, _, value in (s.partition(":") for s in lines)}
    kept = ("model name", "cpu family", "model", "stepping", "flags")
    return {key: said[key] for key in kept if key in said}


class Rates(NamedTuple):
    """Characters per second."""

    train: float
    validate: float  # in bfloat16 where training is
    score: float


def write_rates(file, rates: dict[Shape, Rates]) -> None:
    writer = csv.writer(file)
    writer.writerow(["type", "layers", "size", "context", "dropout", *Rates._fields])
    for shape, its in rates.items():
        row = [shape.type, shape.layers, shape.size, shape.context, int(shape.dropout)]
        writer.writerow([*row, *map(round, its)])


def read_rates(path: Path) -> dict[Shape, Rates]:
    """The rates by shape; {} where none were measured."""
    if not path.exists():
        return {}
    with open(path, newline="") as file:
        return {
            Shape(
                row["type"],
                *(int(row[name]) for name in ("layers", "size", "context")),
                dropout=row["dropout"] == "1",
            ): Rates(*(float(row[name]) for name in Rates._fields))
            for row in csv.DictReader(file)
        }


def seconds(settings: Settings, rates: dict, rule: str, w) -> float:
    """How long a job takes, the small ones roughly. Raises KeyError where its shape or its corpus
    is not known yet."""
    if rule in ("train", "train_nn"):
        its, parts = rates[Shape.of(w)], characters(settings, w.corpus)
        once = parts["train"] / its.train + parts["val"] / its.validate
        return START_SECONDS + settings.training_of(w.corpus)["epochs"] * once
    if rule in ("score", "score_nn"):
        shape = Shape.of(w)
        if shape.context:
            shape = Shape("nn", 1, max(settings.nn.hidden), shape.context)
        known = [rates[s] for s in (shape, Shape(shape.type, shape.layers, shape.size, 0, True))
                 if s in rates] or [rates[shape]]  # fmt: skip
        return START_SECONDS + characters(settings, w.corpus)["test"] / known[0].score
    if rule == "trajectory":
        first, shape = settings.figures.first_epochs, _shown(settings, w.corpus)
        dropped = Shape(shape.type, shape.layers, shape.size, dropout=True)
        its, parts = rates[dropped if dropped in rates else shape], characters(settings, w.corpus)
        # every look is scored, and compared with every n-NN, which takes about as long again
        looked = 2 * first.snapshots * parts["test"] / its.score
        return START_SECONDS + first.epochs * (parts["train"] / its.train + looked)
    if rule in ("ngram", "score_ngram"):
        return START_SECONDS + NGRAM_SECONDS * sum(characters(settings, w.corpus).values()) / 1e6
    return OTHER_SECONDS.get(rule, 1)


ON_GPU = {"train", "train_nn", "score", "score_nn", "trajectory"}


def side_by_side(durations: Iterable[float], workers: int) -> float:
    """Time until all are done when a free worker always takes the longest that is left."""
    durations = sorted(durations, reverse=True)
    free = [0.0] * max(1, min(workers, len(durations)))
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def describe(
    settings: Settings, jobs: Iterable, rates_file: Path, workers: int, gpus: int | None = None
) -> str | None:
    """The line of a dry run: how long all will take. jobs: (rule, wildcards) of each; gpus: how
    many jobs on a GPU run at a time, None where none asks for one.

    None where nothing is left to do.
    """
    jobs = list(jobs)
    if not jobs:
        return None
    if not (rates := read_rates(rates_file)):
        return "time: not known yet; make estimate measures this machine once, in minutes"
    known, unknown = [], 0
    for rule, w in jobs:
        try:
            known.append((seconds(settings, rates, rule, w), rule))
        except KeyError:
            unknown += 1
    total = side_by_side((duration for duration, _ in known), workers)
    if gpus is not None:
        on_gpu = [duration for duration, rule in known if rule in ON_GPU]
        total = max(total, side_by_side(on_gpu, min(workers, gpus)))
    training = sum(duration for duration, rule in known if rule.startswith("train"))
    work = sum(duration for duration, _ in known)
    said = (
        f"time: about {clock(total)} with {workers} jobs side by side"
        f" ({clock(work)} one after the other, {clock(training)} of it training)"
    )
    if unknown:
        said += f"; and {unknown} jobs on texts or shapes not seen yet, which make estimate mends"
    return said


def say(
    settings: Settings,
    jobs: Iterable,
    folder: Path,
    rates_file: str,
    workers: int,
    gpus: int | None,
) -> None:
    """Print `describe`'s line on stderr, apart from the plan itself. folder: where it all runs."""
    with contextlib.chdir(folder):
        if line := describe(settings, jobs, Path(rates_file), workers, gpus):
            print(line, file=sys.stderr)


def clock(seconds: float) -> str:
    """A duration for people: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
