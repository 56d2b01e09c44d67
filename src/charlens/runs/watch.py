"""`charlens watch`: what of a run is done, what runs, losses so far beside the paper's, time left.

It reads what a run writes anyway, so it serves local runs and those on a cluster, while they run
and afterwards, from any machine that sees the folder:

    settings.json                     which trainings there are
    models/.../attempts.log           progress lines of a training
    models/.../history.csv            losses of a finished one
    scores/                           which models are scored
    ../../.snakemake/log/*            what Snakemake has started and finished

In a terminal the picture is drawn again every few seconds; elsewhere a line is printed for every
training that ends, and one for the whole whenever that changes.
"""

import argparse
import csv
import functools
import os
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from charlens import arguments
from charlens.files import holder
from charlens.progress import duration, said_left
from charlens.runs import cost, estimate, grid, settings
from charlens.runs.results_folder import PROJECT
from charlens.runs.schema import Settings
from charlens.store.models import ModelKey, original
from charlens.store.tables import paper_table

QUIET = 180  # seconds without a sign of life after which a training does not run; it writes each 60
RECENT = 8  # finished trainings that are shown
JOBS = 12  # jobs of Snakemake that are shown
LINE = re.compile(
    r"epoch (?P<epoch>\d+)/(?P<epochs>\d+)(?: +(?P<share>\d+)%)? train (?P<train>\S+)"
    r"(?: val \S+ best (?P<best>\S+))?.* left"
)  # of `training.train`
STEPS = re.compile(r"^(\d+) of (\d+) steps", re.MULTILINE)
BLOCK = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", re.MULTILINE)
FINISHED = re.compile(r"^Finished jobid: (\d+)", re.MULTILINE)
FAILED = re.compile(r"^Error in rule (\w+):\n(?:    .*\n)*?    jobid: (\d+)\n", re.MULTILINE)


@dataclass(frozen=True)
class Training:
    """How far a training is. Losses in nats per character, None where none is known."""

    key: ModelKey
    state: str  # waiting, running, stopped or done
    epochs: int = 0
    done: float = 0.0  # epochs
    train: float | None = None
    best: float | None = None  # lowest validation loss so far
    left: float | None = None  # seconds, by its own progress line
    seconds: float = 0.0  # that it took, if it is done
    at: float = 0.0  # when it wrote last, in seconds since 1970

    @property
    def name(self) -> str:
        """For people: wp LSTM 2x512 seed 2, dropout 0.1."""
        key = self.key
        return f"{key.corpus} {key.chosen.label}, {key.candidates} {key.candidate:g}"


@dataclass(frozen=True)
class Jobs:
    """What Snakemake's log says of its newest run with these results."""

    done: int = 0
    total: int = 0
    begun: tuple[str, ...] = ()  # the first outputs of jobs that were begun and have not ended
    failed: tuple[str, ...] = ()  # the rules of jobs that failed
    ended: bool = True


@dataclass(frozen=True)
class Run:
    """A run at one moment."""

    folder: Path
    trainings: list[Training]
    scored: int  # models
    models: int
    jobs: Jobs
    left: float | None  # seconds, None where nothing is known to estimate it from

    def of(self, *states: str) -> list[Training]:
        """The trainings in these states."""
        return [one for one in self.trainings if one.state in states]


# ---- reading ----


def look(folder: Path) -> Run:
    """A run as it is now. folder: results/<run>. Raises InputError where it has no settings."""
    its = settings.read(folder / "settings.json")
    keys = grid.trainings(its)
    trainings = [training(folder, key, grid.epochs(its, key)) for key in keys]
    planned = grid.planned(its)
    scored = sum((folder / f"scores/{key.path}.npy").exists() for key in planned)
    jobs = snakemake(folder, its.run)
    return Run(folder, trainings, scored, len(planned), jobs, time_left(its, folder, trainings))


def training(folder: Path, key: ModelKey, epochs: int) -> Training:
    """How far the training of a candidate is."""
    place = folder / f"models/{key.path}"
    model, history = place / "model.safetensors", place / "history.csv"
    if model.exists() and history.exists():
        return replace(finished(history, model.stat().st_mtime), key=key, epochs=epochs)
    dates = [path.stat().st_mtime for path in (place / "attempts.log", place / "checkpoint.pt")
             if path.exists()]  # fmt: skip
    if not dates:
        return Training(key, "waiting", epochs)
    state = "running" if time.time() - max(dates) < QUIET else "stopped"
    return replace(said(place / "attempts.log"), key=key, state=state, at=max(dates), epochs=epochs)


@functools.cache
def finished(history: Path, date: float) -> Training:
    """A finished training by its history. date: of its model, by which the answer is kept."""
    with open(history, newline="") as file:
        rows = list(csv.DictReader(file))
    return Training(
        None,
        "done",
        done=len(rows),
        train=float(rows[-1]["train_loss"]),
        best=min(float(row["val_loss"]) for row in rows),
        seconds=sum(float(row.get("seconds") or 0) for row in rows),
        at=date,
    )


def said(log: Path) -> Training:
    """A training by its progress lines, the last of which counts."""
    found, best = None, None
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    for line in lines:
        if match := LINE.search(line):
            found, best = match, match["best"] or best
    if found is None:
        return Training(None, "")
    epoch = int(found["epoch"])
    done = epoch - 1 + int(found["share"]) / 100 if found["share"] else epoch
    left = said_left(found[0])
    return Training(
        None, "", done=done, train=float(found["train"]), best=best and float(best), left=left
    )


def snakemake(folder: Path, run: str) -> Jobs:
    """What Snakemake's newest log about these results says.

    The log is where Snakemake runs: in the folder with `results`, or, where a link in there leads
    to this folder, in the working folder or the project's.
    """
    places = dict.fromkeys((folder.absolute().parent.parent, Path.cwd(), PROJECT))
    logs = (sorted(place.glob(".snakemake/log/*.log"), reverse=True) for place in places)
    for path in chain.from_iterable(logs):
        text = path.read_text(errors="replace")
        if f"results/{run}/" in text and (steps := STEPS.findall(text) or [None]):
            break
    else:
        return Jobs()
    begun = {}
    for rule, fields in BLOCK.findall(text):
        about = dict(line.strip().partition(": ")[::2] for line in fields.splitlines())
        output = about.get("output", rule).split(", ")[0].partition(" ")[0]
        begun[about.get("jobid")] = output.removeprefix(f"results/{run}/")
    failed = dict((job, rule) for rule, job in FAILED.findall(text))
    for job in [*FINISHED.findall(text), *failed]:
        begun.pop(job, None)
    total = re.search(r"^total +(\d+)$", text, re.MULTILINE)
    done, every = steps[-1] or (0, total[1] if total else 0)
    ended = "\nComplete log" in text or not lives(folder)
    return Jobs(int(done), int(every), tuple(begun.values()), tuple(failed.values()), ended)


def lives(folder: Path) -> bool:
    """Whether the Snakemake that wrote its number into a results folder still runs, as far as this
    machine can tell. On another one trainings that write show that."""
    number = holder(folder / ".lock").removeprefix("process ")
    try:
        os.kill(int(number), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:  # another user's
        pass
    return True


# ---- time left ----


def time_left(its: Settings, folder: Path, trainings: Iterable[Training]) -> float | None:
    """Seconds until all trainings are done, as many at a time as run now; None where no training
    is done yet."""
    shapes = {one: shape(its, folder, one) for one in trainings}
    measured = {
        arch: one.seconds / cost.training(text, one.done)
        for one, (arch, text) in shapes.items()
        if one.state == "done" and one.seconds
    }
    if not measured:
        return None
    rates, durations, running = estimate.fit(measured), [], 0
    for one, (arch, text) in shapes.items():
        if one.state == "done":
            continue
        running += one.state == "running"
        if one.left is not None:
            durations.append(one.left)
            continue
        known = [arch.cell] if arch.cell in rates else list(rates)  # a cell that was not timed yet
        pace = max(estimate.update_seconds({arch.cell: rates[cell]}, arch) for cell in known)
        durations.append(pace * cost.training(text, one.epochs - one.done))
    return estimate.total(durations, max(1, running))


def shape(its: Settings, folder: Path, one: Training):
    """The network of a training, and the size of its text."""
    corpus = one.key.corpus
    fractions = its.corpora[original(corpus)].fractions
    text = cost.Text.of(folder / f"corpora/{corpus}.json", {}, fractions)
    return cost.network(one.key, text.symbols, max(its.nn.hidden, default=1)), text


# ---- saying it ----


@functools.cache
def paper() -> dict[tuple, float]:
    """The paper's test losses by corpus and what identifies a model there."""
    grid = {(r.corpus, r.type, r.layers, r.size): r.loss for r in paper_table(1).itertuples()}
    return grid | {
        (r.corpus, "n", r.n): r.loss for r in paper_table(2).itertuples() if r.type == "n-NN"
    }


def beside(key: ModelKey) -> str:
    """The paper's test loss of a model; empty where it has none."""
    known = (
        (key.corpus, "n", key.n)
        if key.family == "nn"
        else (key.corpus, key.type, key.layers, key.size)
    )
    return number(paper().get(known))


def number(loss: float | None) -> str:
    """A loss, empty where there is none."""
    return "" if loss is None else f"{loss:.3f}"


def summary(run: Run) -> str:
    """One line for the whole."""
    parts = [f"trainings {len(run.of('done'))} of {len(run.trainings)}"]
    parts += [f"{len(run.of(state))} {state}" for state in ("running", "stopped") if run.of(state)]
    parts += [f"scored {run.scored} of {run.models} models"]
    if run.jobs.total:
        parts += [f"jobs {run.jobs.done} of {run.jobs.total}"]
    if run.jobs.failed:
        parts += [f"{len(run.jobs.failed)} failed ({', '.join(sorted(set(run.jobs.failed)))})"]
    if run.left is not None and len(run.of("done")) < len(run.trainings):
        parts += [f"about {duration(run.left)} of training left"]
    return f"{run.folder}: {', '.join(parts)}"


def row(one: Training) -> list[str]:
    """The row of a training in the tables of the picture."""
    left = "" if one.left is None or one.state != "running" else duration(one.left)
    done = f"{one.done:.3g}/{one.epochs}" if one.epochs else ""
    return [one.name, one.state, done, number(one.train), number(one.best), beside(one.key), left]


def lines(rows: Iterable[Iterable[str]]) -> list[str]:
    """Rows in columns, the first to the left."""
    rows = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    for row, cells in zip(rows, padded, strict=True):
        cells[0] = row[0].ljust(widths[0])
    return ["  ".join(cells).rstrip() for cells in padded]


def picture(run: Run, everything: bool = False) -> str:
    """The whole for a terminal. everything: all trainings, not only those that ended last."""
    shown = run.of("running", "stopped")
    shown += sorted(run.of("done"), key=lambda one: -one.at)[: None if everything else RECENT]
    shown += run.of("waiting") if everything else []
    text = [summary(run)]
    if shown:
        head = ["training", "", "epochs", "train", "validation", "paper's test", "left"]
        text += ["", *lines([head, *map(row, shown)])]
    others = [path for path in run.jobs.begun if not path.startswith("models/")]
    if others and not run.jobs.ended:
        text += [
            "",
            "also begun: " + ", ".join(others[:JOBS]) + (", ..." if len(others) > JOBS else ""),
        ]
    if over(run):
        text += ["", "Nothing runs."]
    return "\n".join(text)


def over(run: Run) -> bool:
    """Whether nothing goes on, as far as can be seen from here."""
    return run.jobs.ended and not run.of("running")


# ---- the command line ----


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, help="of the run, such as results/paper", metavar="RUN"
    )
    parser.add_argument("--all", action="store_true", help="list every training")
    parser.add_argument("--once", action="store_true", help="do not wait for what comes")
    parser.add_argument("--seconds", type=arguments.seconds, default=5.0, help="between two looks")


def run(args: argparse.Namespace) -> None:
    """Show a run until nothing of it goes on any more. Raises InputError where there is none."""
    now, before = look(args.folder), None
    if args.once or over(now):
        print(picture(now, args.all))
        return
    while True:
        if sys.stdout.isatty():
            print(f"\x1b[H\x1b[J{picture(now, args.all)}", flush=True)
        else:
            print_news(before, now)
        if over(now):
            return
        time.sleep(args.seconds)
        before, now = now, look(args.folder)


def print_news(before: Run | None, now: Run) -> None:
    """Print a line for every training that has ended since `before`, and one for the whole if it
    has changed."""
    known = (
        {one.key for one in before.of("done")} if before else {one.key for one in now.of("done")}
    )
    for one in now.of("done"):
        if one.key not in known:
            theirs = f", the paper's test loss {beside(one.key)}" if beside(one.key) else ""
            print(f"done: {one.name}: validation {number(one.best)}{theirs}", flush=True)
    if before is None or (before.jobs, len(before.of("done"))) != (now.jobs, len(now.of("done"))):
        print(f"{time.strftime('%H:%M')} {summary(now)}", flush=True)
