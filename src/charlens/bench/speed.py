"""How fast training is here, beside stock torch in the same process, and what that adds up to.

For each type, depth and size of the paper's grid, thousands of characters per second for forward,
backward and update of windows of 100 x 100 characters, each candidate on one thread:

    stock      torch.nn's LSTM, RNN or GRU, float32: one-hot input, Linear, cross_entropy, RMSprop
               (torch.nn.GRU is another variant of the GRU, taken as a peer in speed alone)
    autocast   the same under bfloat16 autocast
    ours       the update that `charlens train` makes, by the backend in use

The candidates take turns of two updates, so that what else the machine does hits all alike; the
fastest second update counts, in processor time. (In a training an update follows another of its
kind, which left the caches filled.) All share an allocator that keeps freed memory: otherwise stock
torch would spend much of its time on having pages mapped afresh.
"""

import argparse
import csv
import os
import platform
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from charlens.backends import cpu
from charlens.errors import InputError
from charlens.files import atomic
from charlens.networks.architecture import Architecture
from charlens.progress import say, time_left
from charlens.runs import calibrate, estimate, grid
from charlens.runs.estimate import Rates, Shape, clock
from charlens.runs.settings import Settings, make
from charlens.store.models import twin

SYMBOLS, STREAMS, UNROLL = 87, 100, 100
BACKENDS = ("stock", "autocast", "ours")
COLUMNS = [
    "type", "layers", "size", "hidden", "backend", "chars_per_s", "ratio_fp32", "ratio_best",
]  # fmt: skip
NAMES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
TCMALLOC = ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4")
# glibc: no mapping of its own for large blocks, and freed memory stays with the process
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**36),
    "MALLOC_TOP_PAD_": str(2**28),
}


# ---- the candidates ----


class Stock:
    """A training by torch.nn in the ordinary way; `update` is one window and one step."""

    def __init__(self, type: str, layers: int, hidden: int, autocast: bool):
        kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[type]
        self.net = kind(SYMBOLS, hidden, layers)
        self.out = torch.nn.Linear(hidden, SYMBOLS)
        self.parameters = [*self.net.parameters(), *self.out.parameters()]
        self.optimizer = torch.optim.RMSprop(self.parameters, lr=2e-3, alpha=0.95)
        self.autocast, self.state = autocast, None
        part = calibrate.made_up(SYMBOLS, STREAMS, UNROLL).train
        self.x, self.y = (
            torch.from_numpy(codes[:, :UNROLL]).long().t().contiguous()
            for codes in (part.x, part.y)
        )

    def update(self) -> None:
        self.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            outputs, state = self.net(F.one_hot(self.x, SYMBOLS).float(), self.state)
            loss = F.cross_entropy(self.out(outputs).flatten(0, 1), self.y.flatten())
        (loss * UNROLL).backward()
        torch.nn.utils.clip_grad_value_(self.parameters, 5.0)
        self.optimizer.step()
        self.state = (
            tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        )


def compiled() -> str:
    """Ours on the processor, which is what is timed here, also where there is a GPU."""
    return "fast" if cpu.status()[0] else "reference"


def candidates(type: str, layers: int, hidden: int) -> dict:
    """Name -> a function that makes one update."""
    arch = Architecture(type, layers, hidden, SYMBOLS)
    ours = calibrate.prepare(arch, 0.0, STREAMS, UNROLL, compiled())
    dropped = calibrate.prepare(arch, 0.2, STREAMS, UNROLL, compiled())

    return {
        "stock": Stock(type, layers, hidden, autocast=False).update,
        "autocast": Stock(type, layers, hidden, autocast=True).update,
        "ours": lambda: calibrate.update(ours),
        "dropout": lambda: calibrate.update(dropped),
        "validate": lambda: calibrate.score(ours, exact=False),
        "score": lambda: calibrate.score(ours, exact=True),
    }


def take_turns(steps: dict, seconds: float) -> dict[str, float]:
    """Processor seconds of the fastest call of each step that follows another of the same; all in
    turn, at least three rounds."""
    best, begun, rounds = dict.fromkeys(steps, float("inf")), time.process_time(), 0
    while rounds < 3 or time.process_time() - begun < seconds:
        for name, step in steps.items():
            step()
            before = time.process_time()
            step()
            best[name] = min(best[name], time.process_time() - before)
        rounds += 1
    return best


def peak(dtype) -> float:
    """Multiply-adds per second of torch.mm, the best of several sizes."""
    fastest = 0.0
    for n in (512, 1024, 2048):
        a, b = (torch.randn(n, n).to(dtype) for _ in "ab")
        taken = take_turns({"mm": lambda a=a, b=b: torch.mm(a, b)}, 0.5)["mm"]
        fastest = max(fastest, n**3 / taken)
    return fastest


def shapes(quick: bool) -> list[Shape]:
    """The cells of the grid; quick: the smallest and a middle size, one and two layers."""
    return [
        Shape(type, layers, size)
        for type in ("lstm", "gru", "rnn")
        for layers in ((1, 2) if quick else (1, 2, 3))
        for size in ((64, 256) if quick else (64, 128, 256, 512))
        if (type, size) != ("rnn", 512)
    ]


def measure(shape: Shape, seconds: float) -> dict[str, float]:
    """Characters per second of every candidate, and of ours with dropout, validating, scoring."""
    hidden = estimate.hidden_size(shape.type, shape.layers, shape.size, SYMBOLS)
    taken = take_turns(candidates(shape.type, shape.layers, hidden), seconds)
    return {name: STREAMS * UNROLL / t for name, t in taken.items()}


# ---- what is made of it ----


def rows(measured: dict[Shape, dict[str, float]]) -> list[dict]:
    """The rows of the CSV: ratios to stock float32, and to the better of the stock settings."""
    return [
        {
            "type": shape.type,
            "layers": shape.layers,
            "size": shape.size,
            "hidden": estimate.hidden_size(shape.type, shape.layers, shape.size, SYMBOLS),
            "backend": backend,
            "chars_per_s": round(rates[backend]),
            "ratio_fp32": round(rates[backend] / rates["stock"], 3),
            "ratio_best": round(rates[backend] / max(rates["stock"], rates["autocast"]), 3),
        }
        for shape, rates in measured.items()
        for backend in BACKENDS
    ]


def cells(table: list[dict]) -> dict[tuple, dict[str, dict]]:
    """Rows of the CSV by (type, layers, size, hidden), then by backend."""
    found = {}
    for row in table:
        key = (row["type"], int(row["layers"]), int(row["size"]), int(row["hidden"]))
        found.setdefault(key, {})[row["backend"]] = row
    return found


def markdown(table: list[dict]) -> str:
    """A table for pages: thousands of characters per second, and how many times stock."""
    lines = [
        "| layers x size | units | stock | autocast | ours | x stock | x best stock |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (type, layers, size, hidden), by in cells(table).items():
        rates = " | ".join(f"{float(by[name]['chars_per_s']) / 1e3:,.0f}" for name in BACKENDS)
        ours = by["ours"]
        lines.append(
            f"| {NAMES[type]} {layers} x {size} | {hidden} | {rates}"
            f" | {float(ours['ratio_fp32']):.1f} | {float(ours['ratio_best']):.1f} |"
        )
    return "\n".join(lines)


def text(table: list[dict], peaks: dict[str, float]) -> str:
    """The same for a terminal, with the share of the larger peak that ours reaches."""
    lines = [f"{'':14}{'units':>6}{'stock':>8}{'autocast':>9}{'ours':>8}{'x stock':>9}"
             f"{'x best':>8}{'of peak':>9}    thousands of characters per second"]  # fmt: skip
    for (type, layers, size, hidden), by in cells(table).items():
        rates = {name: float(by[name]["chars_per_s"]) for name in BACKENDS}
        work = 3 * estimate.multiply_adds(Shape(type, layers, size), SYMBOLS) * rates["ours"]
        lines.append(
            f"{NAMES[type]:4} {layers} x {size:<5}{hidden:6}{rates['stock'] / 1e3:8.0f}"
            f"{rates['autocast'] / 1e3:9.0f}{rates['ours'] / 1e3:8.0f}"
            f"{float(by['ours']['ratio_fp32']):9.1f}{float(by['ours']['ratio_best']):8.1f}"
            f"{work / max(peaks.values()):9.0%}"
        )
    return "\n".join(lines)


def least(table: list[dict]) -> list[str]:
    """The smallest ratios, for the groups that the goals are set for."""
    groups = {
        "LSTM, 1 layer": lambda type, layers: type == "lstm" and layers == 1,
        "LSTM, 2 and 3 layers": lambda type, layers: type == "lstm" and layers > 1,
        "GRU": lambda type, layers: type == "gru",
        "RNN": lambda type, layers: type == "rnn",
    }
    said = []
    for name, belongs in groups.items():
        ours = [by["ours"] for key, by in cells(table).items() if belongs(*key[:2])]
        if ours:
            fp32, best = (min(float(r[f"ratio_{of}"]) for r in ours) for of in ("fp32", "best"))
            said.append(f"{name}: at least {fp32:.1f} x stock float32, {best:.1f} x best stock")
    return said


def whole_grid(settings: Settings) -> list[tuple[str, SimpleNamespace]]:
    """Every grid entry of every corpus once: one seed, one dropout."""
    return [
        ("train", SimpleNamespace(corpus=corpus, **entry, seed=1, dropout=0.0))
        for corpus in settings.use
        for entry in grid.entries(settings)
    ]


def reproduction(settings: Settings) -> list[tuple[str, SimpleNamespace]]:
    """Every job of the whole run: seeds, dropout candidates, n-NN, n-grams, scores, figure 5."""
    jobs = [("figure1", None), ("figure4", None), ("figure5", None), ("report", None)]
    keys = grid.planned(settings)
    for corpus in grid.with_twins(settings):
        keys += [key for key in grid.contiguous(settings, corpus) if key.corpus == twin(corpus)]
    for key in keys:
        # a twin is as large as its corpus
        where = {"corpus": key.corpus.partition(".")[0]}
        if key.kind == "ngram":
            w = SimpleNamespace(**where)
            jobs += [("ngram", w), ("score_ngram", w)]
        elif key.kind == "nn":
            for one in grid.candidates(settings, key):
                w = SimpleNamespace(**where, context=key.n, hidden=one.candidate)
                jobs.append(("train_nn", w))
            jobs.append(("score_nn", SimpleNamespace(**where, context=key.n)))
        else:
            its = where | {"type": key.type, "layers": key.layers, "size": key.size}
            for one in grid.candidates(settings, key):
                jobs.append(("train", SimpleNamespace(**its, dropout=one.candidate)))
            jobs.append(("score", SimpleNamespace(**its)))
    corpora = grid.first_epochs(settings)
    return jobs + [("trajectory", SimpleNamespace(corpus=corpus)) for corpus in corpora]


def rates_of(backend: str, measured: dict, fixed: dict) -> dict[Shape, Rates]:
    """Rates as `estimate.seconds` wants them. Dropout is taken as free for stock torch, its
    validation and scoring as three times as fast as its update."""
    found = {}
    for shape, rates in measured.items():
        ours = backend == "ours"
        validate, score = (rates[n] if ours else 3 * rates[backend] for n in ("validate", "score"))
        found[shape] = Rates(rates[backend], validate, score)
        dropped = rates["dropout"] if ours else rates[backend]
        dropout = Shape(shape.type, shape.layers, shape.size, dropout=True)
        found[dropout] = Rates(dropped, validate, score)
    return found | {shape: rates["ours" if backend == "ours" else "stock"]
                    for shape, rates in fixed.items()}  # fmt: skip


def measure_nn(settings: Settings, seconds: float) -> dict[Shape, dict[str, Rates]]:
    """The n-NN: ours, and plain torch for both stock settings; one context stands for all."""
    found = {}
    middle = sorted(settings.nn.contexts)[len(settings.nn.contexts) // 2]
    for hidden in settings.nn.hidden:
        shape = Shape("nn", 1, hidden, middle)
        measured = {
            name: calibrate.measure(shape, SYMBOLS, STREAMS, UNROLL, backend, seconds / 2)
            for name, backend in (("ours", compiled()), ("stock", "reference"))
        }
        for context in settings.nn.contexts:
            found[Shape("nn", 1, hidden, context)] = measured
    return found


def estimates(settings: Settings, measured: dict, seconds: float, cores: int) -> list[str]:
    """Lines that say how long the grid and the whole reproduction take with each candidate."""
    lines, fixed = [], measure_nn(settings, seconds)
    for name, jobs in (
        ("whole grid, 50 epochs, one dropout", whole_grid(settings)),
        ("whole reproduction", reproduction(settings)),
    ):
        said = []
        for backend in BACKENDS:
            rates = rates_of(backend, measured, fixed)
            durations, unknown = [], 0
            for rule, w in jobs:
                try:
                    durations.append(estimate.seconds(settings, rates, rule, w))
                except KeyError:  # a shape of one's own
                    unknown += 1
            said.append(f"{backend} {clock(estimate.side_by_side(durations, cores))}")
        lines.append(f"{name} ({len(jobs)} jobs), {cores} side by side: {', '.join(said)}")
        if unknown:
            lines[-1] += f"; less {unknown} jobs of shapes that were not measured"
    return lines


# ---- the process that measures ----


def allocator() -> tuple[dict[str, str], str]:
    """Environment of the measuring process, and what to say of it."""
    folders = [Path(p) for p in ("/usr/lib", "/usr/local/lib", "/usr/lib64", "/opt/homebrew/lib")]
    folders += sorted(Path("/usr/lib").glob("*-linux-gnu"))
    for name in TCMALLOC:
        for folder in folders:
            if (folder / name).exists():
                return {"LD_PRELOAD": str(folder / name)}, f"tcmalloc ({name})"
    if platform.libc_ver()[0] == "glibc":
        return MALLOC, "glibc malloc that keeps what is freed (tcmalloc is not installed)"
    return {}, "the system's malloc as it is"


def restart_with_allocator() -> str:
    """Begin again with the allocator in place, which only works before a process starts."""
    environment, said = allocator()
    if os.environ.get("CHARLENS_ALLOCATOR") != said:
        os.environ.update(environment | {"CHARLENS_ALLOCATOR": said, "OMP_NUM_THREADS": "1"})
        os.execv(sys.executable, [sys.executable, "-m", "charlens.cli", *sys.argv[1:]])
    return said


# ---- command line ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="fewer shapes, two minutes at most")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each shape")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="the grid")
    parser.add_argument("--out", type=Path, default=Path("results/bench/train.csv"))
    parser.add_argument("--markdown", action="store_true", help="only print --out as a table")


def read(path: Path) -> list[dict]:
    if not path.exists():
        raise InputError(f"{path}: nothing was measured yet; make bench")
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def run(args: argparse.Namespace) -> None:
    if args.markdown:
        print(markdown(read(args.out)))
        return
    settings = read_settings(args.config)
    malloc = restart_with_allocator()
    torch.set_num_threads(1)
    isa, why = cpu.status()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    peaks = {"float32": peak(torch.float32), "bfloat16": peak(torch.bfloat16)}
    measured, begun = {}, time.perf_counter()
    every = shapes(args.quick)
    for done, shape in enumerate(every, start=1):
        measured[shape] = measure(shape, args.seconds / 4 if args.quick else args.seconds)
        rates = measured[shape]
        said = ", ".join(f"{name} {rates[name] / 1e3:.0f}k" for name in BACKENDS)
        say(
            f"bench {done}/{len(every)} {shape.type} {shape.layers}x{shape.size}",
            f"{said} {time_left(begun, 0, done / len(every))}",
        )
    table = rows(measured)
    with atomic(args.out) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=COLUMNS)
        writer.writeheader()
        writer.writerows(table)
    print(f"{estimate.processor()}, {cores} cores, one thread each; torch {torch.__version__}")
    print(f"ours: {isa or 'reference'} ({why}); memory: {malloc}")
    said = ", ".join(f"{name} {2 * rate / 1e9:,.0f}" for name, rate in peaks.items())
    print(f"peak of torch.mm, GFLOP/s: {said}\n")
    print(text(table, peaks), end="\n\n")
    print("\n".join(least(table)))
    if not args.quick:
        for line in estimates(settings, measured, args.seconds / 8, cores):
            print(line)
    print(f"\nwritten to {args.out}")


def read_settings(path: Path) -> Settings:
    """The settings of the paper, with what the file at `path` has otherwise."""
    import yaml  # comes with Snakemake; training needs neither
    from snakemake.utils import update_config

    config = {}
    for file in dict.fromkeys((Path("config.yaml"), path)):
        if not file.exists():
            raise InputError(f"{file}: no such configuration; name one with --config")
        update_config(config, yaml.safe_load(file.read_text()))
    return make(config)
