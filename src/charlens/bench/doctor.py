"""`charlens doctor`: what this machine has, which backend it trains with and why, and, on a
GPU, whether that works and how fast. Prints Markdown, to be pasted into an issue.

On a GPU (all within five minutes): gradients and validation against float64, updates replayed from
a CUDA graph against plain ones, networks trained side by side, a training that is killed and
resumed, characters per second beside torch.nn.LSTM, alone and with several trainings on the GPU,
and the memory that this takes.
"""

import argparse
import contextlib
import io
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch

from charlens.backends import gpus, selection
from charlens.bench import checks, machine
from charlens.bench.checks import Check, Speed
from charlens.bench.peers import STREAMS, SYMBOLS, UNROLL
from charlens.errors import InputError
from charlens.networks.architecture import Architecture
from charlens.progress import say
from charlens.store.models import LATER_TYPES, PAPER_TYPES

MINUTES = 5
SIZES = (64, 128, 256, 512)
SHORT = (STREAMS, 30)  # streams and steps, of which a processor computes the float64 soon enough
JOBS = (2, 4)  # trainings at a time on a GPU


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    rows = [list(head), ["---"] * len(list(head)), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows
    )


def backends() -> list[list[str]]:
    """Rows of a table: a type of network, the backend that it trains on, and why that one."""
    return [[type, *chosen(Architecture(type, 1, 8, SYMBOLS, 3 if type == "nn" else 0))]
            for type in (*PAPER_TYPES, "nn")]  # fmt: skip


def chosen(arch: Architecture) -> tuple[str, str]:
    """The backend that `auto` takes for a network, and why."""
    if torch.cuda.is_available():  # not by `choose`, which would take a place on the GPU
        return "cuda", "torch sees a GPU"
    with contextlib.redirect_stderr(io.StringIO()) as said:
        name = selection.choose(arch, STREAMS, UNROLL).name
    return name, said.getvalue().strip().removeprefix("charlens: ") or machine.why_no_gpu()


# ---- on a GPU ----


def examine(device: str, quick: bool = False) -> tuple[list[Check], list[Speed]]:
    """All checks of a device, and its speeds. What would begin after five minutes is left out and
    counts as failed. quick: networks of a few units, which say nothing about speed."""
    deadline = time.monotonic() + 60 * MINUTES
    width, window, sizes = (8, (4, 8), (8,)) if quick else (128, None, SIZES)
    seconds, jobs = (0.1, JOBS[:1]) if quick else (3.0, JOBS)
    backend = "reference" if device == "cpu" else "cuda"
    if device != "cpu":  # by other processes, too, even where this one or a job has its place
        os.environ[gpus.GIVEN] = device
    done: list[Check] = []
    for type in (*PAPER_TYPES, *LATER_TYPES, "nn"):
        layers = 1 if type == "nn" else 2
        work = partial(checks.gradients, device, type, layers, width, window)
        done += attempt(f"gradients of {type}", work, deadline)
        work = partial(checks.validation, device, type, layers, width, window or SHORT)
        done += attempt(f"validation of {type}", work, deadline)
    for type in (*PAPER_TYPES, *LATER_TYPES, "lstm+block+adamw"):
        work = partial(checks.capture, device, type, 2, width, window)
        done += attempt(f"captured updates of {type}", work, deadline)
    for type in PAPER_TYPES:
        work = partial(checks.side_by_side, backend, type, 2, width)
        done += attempt(f"{type} side by side", work, deadline)
    work = partial(checks.kill_and_resume, backend, width, 100_000 if quick else 400_000)
    done += attempt("kill and resume", work, deadline)
    speeds: list[Speed] = []
    for size in sizes:
        work = partial(checks.speed, device, size, jobs, seconds, window)
        for found in attempt(f"speed of size {size}", work, deadline):
            (speeds if isinstance(found, Speed) else done).append(found)
    return done, speeds


def attempt(what: str, work: Callable, deadline: float) -> list[Check] | list[Speed]:
    """What `work` finds; one failed check where it cannot be run, whatever the reason."""
    if time.monotonic() > deadline:
        return [Check(what, f"not run: {MINUTES} minutes are over", "", False)]
    say("doctor", what)
    try:
        found = work()
    except Exception as error:  # a driver may fail in any way, and the other checks go on
        why = (str(error).strip().splitlines() or [""])[0]
        return [Check(what, f"{type(error).__name__}: {why}", "", False)]
    return found if isinstance(found, list) else [found]


def check_rows(done: Iterable[Check]) -> list[list[str]]:
    return [[c.what, c.found, c.allowed, "passed" if c.passed else "FAILED"] for c in done]


def speed_rows(speeds: Iterable[Speed]) -> list[list[str]]:
    """A row per size; of several trainings at a time their sum."""
    return [
        [
            f"LSTM 1x{one.size}",
            str(one.hidden),
            f"{one.ours:,.0f}",
            f"{one.stock:,.0f}",
            f"{one.ours / one.stock:.1f}",
            *(f"{rate:,.0f}" for rate in one.together.values()),
            f"{one.in_one:,.0f}",
            "" if one.memory is None else f"{one.memory:,}",
        ]
        for one in speeds
    ]


# ---- the command line ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", help="check this one: cuda:0, cuda:1, ..., or cpu, which runs the same checks"
        " on the processor (default: the first GPU, if there is one)",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="tiny networks: only whether it works")
    parser.add_argument(
        "--kenlm", type=Path, default=Path("results/kenlm"), help="where KenLM was built"
    )


def run(args: argparse.Namespace) -> None:
    """Print what there is and what the checks found. Raises InputError where one fails, or there is
    no such device."""
    torch.set_num_threads(1)
    device = args.device or ("cuda:0" if torch.cuda.is_available() else None)
    usable = [*gpus.names(), "cpu"]
    if device and device not in usable:
        raise InputError(f"--device {device}: no such device here; there is {', '.join(usable)}")
    print(f"### This machine\n\n{table(['what', 'found'], machine.facts(args.kenlm))}\n")
    head = ["type", "backend", "why"]
    print(f"### Who does the arithmetic (backend: auto)\n\n{table(head, backends())}\n")
    if device is None:
        print(f"### Checks of a GPU\n\nNot run: {machine.why_no_gpu()}.")
        return
    done, speeds = examine(device, args.quick)
    print(f"### Checks of {name(device)}\n")
    print(table(["check", "found", "allowed", ""], check_rows(done)), end="\n\n")
    if speeds:
        jobs = [f"{number} at a time" for number in speeds[0].together]
        jobs.append(f"{max(speeds[0].together)} in one process")
        head = ["network", "units", "ours", "torch.nn", "ratio", *jobs, "MB of the GPU"]
        tiny = " (tiny networks: not comparable)" if args.quick else ""
        print(f"### Thousands of characters per second{tiny}\n")
        print(table(head, speed_rows(speeds)))
    if failed := [check for check in done if not check.passed]:
        raise InputError(f"{len(failed)} of {len(done)} checks failed: see the table")


def name(device: str) -> str:
    """A device for people."""
    return "the processor" if device == "cpu" else torch.cuda.get_device_name(device)
