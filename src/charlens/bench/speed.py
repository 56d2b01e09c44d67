"""Training speed beside stock torch in the same process, and what it adds up to for a whole run.
Also the time that Snakemake takes to plan the run and, where there is a GPU, training speed on it
(gpu.py).

For each grid entry of the paper, thousands of characters per second for forward, backward and
update of windows of 100 x 100 characters, each candidate on one thread: torch.nn as it is and in
other ways (peers.py; torch.nn.GRU is another variant of the GRU, compared in speed only), and ours,
the update that `charlens train` makes, by the backend in use.

The candidates take turns of two updates, so that other load on the machine affects all alike; the
fastest second update counts, in processor time. (In training, an update follows one of the same
kind, which left the caches warm.) All share an allocator that keeps freed memory: otherwise stock
torch would spend much of its time in the kernel, mapping pages.
"""

import argparse
import csv
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from charlens import arguments
from charlens.backends import cpu
from charlens.bench import gpu, peers
from charlens.bench.machine import processor
from charlens.bench.peers import STREAMS, SYMBOLS, UNROLL
from charlens.errors import InputError
from charlens.files import write_rows
from charlens.networks.architecture import Architecture, hidden_size
from charlens.progress import duration, say, time_left
from charlens.runs import cost, estimate, grid, host
from charlens.runs.settings import Settings, make
from charlens.store.models import type_name, types_in_order
from charlens.training.train import Training

BACKENDS = ("stock", "autocast", "ours")
Entry = tuple[str, int, int]  # of the grid: type, layers, size
TCMALLOC = ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4")
# glibc: no separate mapping for large blocks; freed memory stays with the process
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**36),
    "MALLOC_TOP_PAD_": str(2**28),
}


# ---- the candidates ----


def compiled() -> str:
    """Our backend on the processor, which is timed here even where there is a GPU."""
    return "fast" if cpu.status()[0] else "reference"


def score(training: Training, exact: bool) -> None:
    """Score one window. exact: as in scoring; else as in validation."""
    x, y = (codes[:, : training.unroll] for codes in (training.val_x, training.val_y))
    training.backend.target_log_probs(training.params, x, y, training.state, exact)


def candidates(type: str, layers: int, hidden: int, without=()) -> dict[str, Callable]:
    """A function for each name that makes one update (or scores one window). without: peers that
    are left out."""
    arch = Architecture(type, layers, hidden, SYMBOLS)
    ours = estimate.prepare(arch, STREAMS, UNROLL, compiled())
    dropped = estimate.prepare(arch, STREAMS, UNROLL, compiled(), dropout=0.2)
    working = peers.working(type, layers, hidden, without)
    return {name: peer.update for name, peer in working.items()} | {
        "ours": lambda: estimate.update(ours),
        "dropout": lambda: estimate.update(dropped),
        "validate": lambda: score(ours, exact=False),
        "score": lambda: score(ours, exact=True),
    }


def take_turns(steps: dict, seconds: float) -> dict[str, float]:
    """Processor seconds of the fastest second call of each step, in turns of two calls, at least
    three rounds."""
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
    """Multiply-adds per second of torch.mm, the maximum over several sizes: larger ones as long as
    they take less than half a second (bfloat16 takes minutes on a processor without it)."""
    fastest = 0.0
    for n in (512, 1024, 2048):
        a, b = (torch.randn(n, n).to(dtype) for _ in "ab")
        taken = take_turns({"mm": lambda a=a, b=b: torch.mm(a, b)}, 0.5)["mm"]
        fastest = max(fastest, n**3 / taken)
        if taken > 0.5:
            break
    return fastest


def entries(quick: bool) -> list[Entry]:
    """The paper's grid; quick: the smallest and a middle size, one and two layers."""
    return [
        (type, layers, size)
        for type in ("lstm", "gru", "rnn")
        for layers in ((1, 2) if quick else (1, 2, 3))
        for size in ((64, 256) if quick else (64, 128, 256, 512))
        if (type, size) != ("rnn", 512)
    ]


def measure(entry: Entry, seconds: float, without=()) -> dict[str, float]:
    """Characters per second of every candidate, and of ours with dropout, validating, scoring."""
    type, layers, _ = entry
    taken = take_turns(candidates(type, layers, hidden_size(*entry, SYMBOLS), without), seconds)
    return {name: STREAMS * UNROLL / t for name, t in taken.items()}


def rate(rates: dict[str, float], backend: str) -> float:
    """Characters per second of a backend; where autocast does not work, those of float32."""
    return rates.get(backend, rates["stock"])


# ---- tables ----


def rows(measured: dict[Entry, dict[str, float]]) -> list[dict]:
    """The rows of the CSV: ratios to stock float32, and to the better of the stock settings."""
    return [
        {
            "type": entry[0],
            "layers": entry[1],
            "size": entry[2],
            "hidden": hidden_size(*entry, SYMBOLS),
            "backend": backend,
            "chars_per_s": round(rate(rates, backend)),
            "ratio_fp32": round(rate(rates, backend) / rates["stock"], 3),
            "ratio_best": round(
                rate(rates, backend) / max(rates["stock"], rate(rates, "autocast")), 3
            ),
        }
        for entry, rates in measured.items()
        for backend in BACKENDS
    ]


def by_entry(table: list[dict]) -> dict[tuple, dict[str, dict]]:
    """The rows of the CSV by (type, layers, size, hidden), then by backend."""
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
    for (type, layers, size, hidden), by in by_entry(table).items():
        rates = " | ".join(f"{float(by[name]['chars_per_s']) / 1e3:,.0f}" for name in BACKENDS)
        ours = by["ours"]
        lines.append(
            f"| {type_name(type)} {layers} x {size} | {hidden} | {rates}"
            f" | {float(ours['ratio_fp32']):.1f} | {float(ours['ratio_best']):.1f} |"
        )
    return "\n".join(lines)


def text(table: list[dict], peaks: dict[str, float]) -> str:
    """The same for a terminal, with the share of the larger peak that ours reaches."""
    lines = [f"{'':14}{'units':>6}{'stock':>8}{'autocast':>9}{'ours':>8}{'x stock':>9}"
             f"{'x best':>8}{'of peak':>9}    thousands of characters per second"]  # fmt: skip
    for (type, layers, size, hidden), by in by_entry(table).items():
        rates = {name: float(by[name]["chars_per_s"]) for name in BACKENDS}
        arch = Architecture(type, layers, hidden, SYMBOLS)
        work = 3 * cost.multiply_adds(arch) * rates["ours"]
        lines.append(
            f"{type_name(type):4} {layers} x {size:<5}{hidden:6}{rates['stock'] / 1e3:8.0f}"
            f"{rates['autocast'] / 1e3:9.0f}{rates['ours'] / 1e3:8.0f}"
            f"{float(by['ours']['ratio_fp32']):9.1f}{float(by['ours']['ratio_best']):8.1f}"
            f"{work / max(peaks.values()):9.0%}"
        )
    return "\n".join(lines)


def least(table: list[dict]) -> list[str]:
    """The smallest ratios of each group of networks, one line each."""
    groups = {
        "LSTM, 1 layer": lambda type, layers: type == "lstm" and layers == 1,
        "LSTM, 2 and 3 layers": lambda type, layers: type == "lstm" and layers > 1,
        "GRU": lambda type, layers: type == "gru",
        "RNN": lambda type, layers: type == "rnn",
    }
    said = []
    for name, belongs in groups.items():
        ours = [by["ours"] for key, by in by_entry(table).items() if belongs(*key[:2])]
        if ours:
            fp32, best = (min(float(r[f"ratio_{of}"]) for r in ours) for of in ("fp32", "best"))
            said.append(f"{name}: at least {fp32:.1f} x stock float32, {best:.1f} x best stock")
    return said


# ---- planning, and what the rates add up to ----


def snakemake(config: Path, *options: str) -> str:
    """What Snakemake prints about a run without results. Raises InputError where it fails."""
    snakefile = Path("Snakefile").resolve()
    command = [sys.executable, "-m", "snakemake", "--snakefile", snakefile, *options]
    with tempfile.TemporaryDirectory() as folder:
        command += ["--directory", folder, "--configfile", config.resolve()]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{config}: snakemake cannot plan this run:\n{done.stdout}{done.stderr}")
    return done.stdout


def planning(config: Path) -> str:
    """A table of the time of a dry run that plans everything."""
    begun = time.perf_counter()
    said = snakemake(config, "--dry-run", "--quiet", "rules")
    seconds = time.perf_counter() - begun
    jobs = int(re.search(r"^total +(\d+)", said, re.MULTILINE)[1])
    return (
        f"{'snakemake -n':14}{'jobs':>6}{'seconds':>9}{'per 100 jobs':>14}\n"
        f"{config.stem:14}{jobs:6}{seconds:9.1f}{100 * seconds / jobs:14.2f}"
    )


def facts(settings: Settings) -> dict:
    """What the times of jobs depend on, as `charlens calibrate` writes it."""
    corpora = {name: settings.corpora[name] for name in settings.use}
    texts = {}
    for name, about in corpora.items():
        source = about.sources[0].model_dump(exclude_none=True)
        texts[name] = asdict(cost.Text.of(Path(), source, about.fractions))
    return grid.facts_for_times(settings) | {"texts": texts}


def measure_nn(settings: Settings, seconds: float) -> dict[str, dict[Architecture, float]]:
    """Seconds per character of n-NN models: ours, and plain torch for both stock settings."""
    found = {backend: {} for backend in BACKENDS}
    context = sorted(settings.nn.contexts)[len(settings.nn.contexts) // 2]
    for hidden in settings.nn.hidden:
        arch = Architecture("nn", 1, hidden, SYMBOLS, context)
        ours, plain = (
            estimate.seconds_per_character(
                estimate.prepare(arch, STREAMS, UNROLL, backend), seconds / 2
            )
            for backend in (compiled(), "reference")
        )
        for backend in BACKENDS:
            found[backend][arch] = ours if backend == "ours" else plain
    return found


def estimates(
    settings: Settings,
    jobs: set[estimate.Job],
    measured: dict[Entry, dict[str, float]],
    nn: dict[str, dict[Architecture, float]],
    cores: int,
) -> list[str]:
    """The times of the grid and of the whole run with each candidate, one line each.

    Dropout is assumed to cost nothing, a forward pass a third of an update. Jobs of types that are
    not measured are left out, with a line that names the types.
    """
    run, lines = facts(settings), []
    plain = {
        job for job in jobs if job[0] == "train" and (job[1].seed, job[1].candidate) == (1, 0.0)
        and "." not in job[1].corpus
    }  # fmt: skip
    rates = {
        backend: estimate.fit(
            nn[backend]
            | {
                Architecture(type, layers, hidden_size(type, layers, size, SYMBOLS), SYMBOLS):
                1 / rate(its, backend) for (type, layers, size), its in measured.items()
            }
        )
        for backend in BACKENDS
    }  # fmt: skip
    cells = {job: estimate.cell_of_job(job, run) for job in jobs}
    unknown = {*cells.values()} - {None, *rates["ours"]}
    jobs = {job for job in jobs if cells[job] not in unknown}
    for name, some in (("plain grid, one seed, no dropout", plain & jobs), ("whole run", jobs)):
        said = []
        for backend in BACKENDS:
            taken = [estimate.seconds(job, run, rates[backend]) for job in some]
            said.append(f"{backend} {duration(estimate.total(taken, cores))}")
        lines.append(f"{name} ({len(some)} jobs), {cores} side by side: {', '.join(said)}")
    if unknown:
        left_out = ", ".join(map(type_name, types_in_order(unknown)))
        lines.append(f"without {left_out}, which are not timed here: see charlens bench-types")
    return lines


# ---- the process that measures ----


def allocator() -> tuple[dict[str, str], str]:
    """The environment of the measuring process, and a description of its allocator."""
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
    """Restart this process with the allocator in place. Returns its description."""
    environment, said = allocator()
    if os.environ.get("CHARLENS_ALLOCATOR") != said:
        os.environ.update(environment | {"CHARLENS_ALLOCATOR": said, "OMP_NUM_THREADS": "1"})
        os.execv(sys.executable, [sys.executable, "-m", "charlens.cli", *sys.argv[1:]])
    return said


# ---- command line ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="fewer shapes, two minutes at most")
    parser.add_argument("--seconds", type=arguments.seconds, default=8.0, help="for each shape")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="the grid")
    parser.add_argument(
        "--out", type=Path, default=Path("results/bench/train.csv"), help="the speeds (.csv)"
    )
    parser.add_argument("--markdown", action="store_true", help="only print --out as a table")


def read(path: Path) -> list[dict]:
    """The rows of an earlier run. Raises InputError where there is none."""
    if not path.exists():
        raise InputError(f"{path}: no such file; run make bench first")
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def run(args: argparse.Namespace) -> None:
    """Measure, write the CSV and print all tables; with --markdown print an earlier one."""
    if args.markdown:
        print(markdown(read(args.out)))
        return
    settings = read_settings(args.config)
    malloc = restart_with_allocator()
    torch.set_num_threads(1)
    isa, why = cpu.status()
    peaks = {"float32": peak(torch.float32), "bfloat16": peak(torch.bfloat16)}
    seconds = args.seconds / 4 if args.quick else args.seconds
    measured = measure_all(entries(args.quick), seconds, too_slow(peaks))
    table = rows(measured)
    of_peers = peers.rows(measured, max(peaks.values()), isa or "reference")
    write_rows(args.out, table)
    write_rows(args.out.with_name("peers.csv"), of_peers)
    print(f"{processor()}, {host.cores()} cores, one thread each; torch {torch.__version__}")
    print(f"ours: {isa or 'reference'} ({why}); memory: {malloc}")
    said = ", ".join(f"{name} {2 * rate / 1e9:,.0f}" for name, rate in peaks.items())
    print(f"peak of torch.mm, GFLOP/s: {said}\n")
    print(text(table, peaks), end="\n\n")
    print("\n".join(least(table)))
    print(f"\n{peers.text(of_peers)}\n")
    if not args.quick:
        jobs = estimate.pending(snakemake(args.config, "--summary").splitlines())
        nn = measure_nn(settings, args.seconds / 8)
        print("\n".join(estimates(settings, jobs, measured, nn, host.cores())))
    print(f"\n{planning(args.config)}\n\nwritten to {args.out} and peers.csv beside it")
    if torch.cuda.is_available():
        seconds = args.seconds / (16 if args.quick else 4)
        of_gpu = gpu.measure("cuda:0", entries(args.quick), seconds)
        write_rows(args.out.with_name("card.csv"), of_gpu)
        print("the GPU's speeds: card.csv beside it")


def too_slow(peaks: dict[str, float]) -> list[str]:
    """The peers that are left out, after a line that says so: autocast where products in bfloat16
    are so slow that it would take hours."""
    share = peaks["bfloat16"] / peaks["float32"]
    if share > 1 / 4:
        return []
    say("bench", f"autocast is left out: products in bfloat16 reach {share:.0%} of float32's here")
    return ["autocast"]


def measure_all(every: list[Entry], seconds: float, without=()) -> dict[Entry, dict[str, float]]:
    """`measure` of each entry, with a line of progress."""
    measured, begun = {}, time.perf_counter()
    for done, (type, layers, size) in enumerate(every, start=1):
        rates = measured[type, layers, size] = measure((type, layers, size), seconds, without)
        said = ", ".join(f"{name} {rate(rates, name) / 1e3:.0f}k" for name in BACKENDS)
        say(
            f"bench {done}/{len(every)} {type} {layers}x{size}",
            f"{said} {time_left(begun, 0, done / len(every))}",
        )
    return measured


def read_settings(path: Path, paper: Path = Path("config.yaml")) -> Settings:
    """The settings of config.yaml, `paper`, overridden by the file at `path`. Raises InputError
    where a file is missing or the settings are unusable."""
    import yaml  # comes with Snakemake; training needs neither
    from snakemake.utils import update_config

    config = {}
    for file in dict.fromkeys((paper, path)):
        if not file.exists():
            raise InputError(f"{file}: no such configuration; name one with --config")
        update_config(config, yaml.safe_load(file.read_text()))
    return make(config)
