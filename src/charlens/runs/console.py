"""What a run prints: one line for each job that ends, and how long the whole still takes.

What jobs print themselves is in their logs; Snakemake's own, complete log is in .snakemake/log. The
logger plugin (`snakemake_logger_plugin_charlens`) hands the events of a run to a `Run` here.

The time left is a sum over the jobs to come. A training counts by its multiply-adds, any other job
as one; seconds per multiply-add and per job are those of the jobs of the same rule that have ended,
or say in their logs how long they still take. Before one has, they are a guess, scaled by how far
off the guesses for other rules were: those of trainings by trainings, those of jobs by jobs.
"""

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from charlens.errors import InputError
from charlens.progress import duration, said_left
from charlens.store.models import ModelKey

# Work of the run's trainings by model file, in 10^9 multiply-adds: the Snakefile enters it.
TRAININGS: dict[str, int] = {}
# The same of rules whose job trains several networks side by side, by the name of the rule.
TOGETHER: dict[str, int] = {}

# Seconds of a job, as a first guess: those of a study of 500,000 characters.
JOB = 6.0
JOBS = dict.fromkeys(
    ("fetch", "title", "split", "select", "score", "ngram", "score_ngram", "select_nn", "score_nn"),
    0.5,
)
JOBS |= dict.fromkeys(("table1", "table2", "cell_tables", "status", "report"), 2.5)
JOBS |= dict.fromkeys(("cells", "probes", "trajectory"), 20.0)
TRUST = 10.0  # seconds of jobs for which the guesses count as measured
TRAININGS_OF = ("train", "train_nn", "train_adamw")  # rules
TRAINING = 0.03  # seconds of 10^9 multiply-adds of a training
WATCHED = {"train_watched": "train"}  # the same job with more output
SIDE_BY_SIDE = "train_side_by_side_"  # begins the names of rules that train several networks
NO_JOBS = ("all", "total")  # in Snakemake's counts: a target without a command, and their sum


@dataclass
class Job:
    """A job that is running. work: in 10^9 multiply-adds for a training, else 1."""

    rule: str
    about: str
    logs: list[str]
    work: float
    started: float  # by the clock of the run, in seconds
    said: str = ""  # the last line of its logs, read ...
    read: float = 0.0  # ... at this time

    def left(self, now: float) -> float | None:
        """The seconds that are left by its logs; None where these do not say."""
        left = said_left(self.said)
        return None if left is None else max(0.0, left - (now - self.read))


def describe(rule: str, wildcards: dict[str, str], output: list[str]) -> str:
    """A job for people: train wp LSTM 2x64 seed 2, dropout 0.3 (and 2 more)."""
    values = dict(wildcards)
    try:
        key = ModelKey.parse(output[0])
    except (InputError, IndexError):
        return " ".join([rule, *values.values()])
    chosen = "" if key.candidate is None else f", {key.candidates} {key.candidate}"
    others = sum(path.endswith("model.safetensors") for path in output) - 1
    more = f" and {others} more" if others > 0 else ""
    return f"{kind(rule)} {key.corpus} {key.label}{chosen}{more}"


@dataclass
class Run:
    """The jobs of a run, and what is said of them."""

    clock: Callable[[], float] = time.monotonic
    planned: Counter = field(default_factory=Counter)  # the work of all jobs by rule
    jobs_planned: int = 0
    cores: int = 0  # of this machine; 0 on a cluster
    running: dict[int, Job] = field(default_factory=dict)  # by Snakemake's number
    taken: defaultdict = field(default_factory=lambda: defaultdict(list))  # rule: (work, seconds)
    side_by_side: int = 1  # the most jobs at a time so far

    def plan(self, counts: dict[str, int]) -> str:
        """Note how many jobs each rule has to do; the first line of the run."""
        self.jobs_planned = sum(n for rule, n in counts.items() if rule not in NO_JOBS)
        ahead = defaultdict(list)
        for path, work in TRAININGS.items():
            if not Path(path).exists():
                ahead[rule_of(path)].append(work)
        self.planned = Counter()
        for rule, count in counts.items():
            if rule not in NO_JOBS:
                work = TOGETHER.get(rule) or statistics.mean(ahead[kind(rule)] or [1])
                self.planned[kind(rule)] += count * work
        return f"{self.jobs_planned} jobs, {self.left()}"

    def start(self, number: int, rule: str, wildcards: dict, output: list, logs: list) -> None:
        """Note a job that starts, as Snakemake describes it."""
        work = sum(TRAININGS.get(path, 0) for path in output) or 1
        about = describe(rule, wildcards, output)
        self.running[number] = Job(rule, about, logs, work, self.clock())
        self.side_by_side = max(self.side_by_side, len(self.running))

    def fail(self, number: int) -> None:
        """Note that a job has failed: it may be tried again, which announces it again."""
        self.running.pop(number, None)

    def finish(self, number: int) -> list[str]:
        """Note that a job has ended; its line, and below it what it has to say to the user."""
        job = self.running.pop(number, None)
        if job is None or job.rule in NO_JOBS:
            return []
        seconds = self.clock() - job.started
        self.taken[kind(job.rule)].append((job.work, seconds))
        done, total = sum(map(len, self.taken.values())), self.jobs_planned
        line = f"[{done:{len(str(total))}}/{total}] {job.about}: {duration(seconds)}"
        line += f"; {self.left()}" if done < total else ""
        return [line, *(f"    {said}" for said in notes(job.logs))]

    def pulse(self) -> list[str]:
        """What the running jobs are at: the last line of the log of each."""
        if not self.running:
            return []
        jobs = [*self.running.values()]
        for job in jobs:
            job.said, job.read = last_line(job.logs), self.clock()
        return [*(f"    running {job.about}: {job.said}" for job in jobs), f"    {self.left()}"]

    def left(self) -> str:
        """The time left for all jobs, in words."""
        return f"about {duration(self.seconds_left())} left"

    def seconds_left(self) -> float:
        """Seconds until all jobs are done: their sum, over as many as run side by side; at least
        what the longest of the running jobs still takes."""
        rates, now = self.rates(), self.clock()
        to_come, longest = 0.0, 0.0
        for rule, work in self.planned.items():
            ended = sum(done for done, _ in self.taken[rule])
            to_come += rates[rule] * max(0.0, work - ended)
        for job in [*self.running.values()]:
            expected, said = rates.get(kind(job.rule), JOB) * job.work, job.left(now)
            left = max(0.0, expected - (now - job.started)) if said is None else said
            to_come += left - expected
            longest = max(longest, left)
        return max(to_come / (self.cores or self.side_by_side), longest, 0.0)

    def rates(self) -> dict[str, float]:
        """Seconds per unit of work of each rule: measured, or a scaled guess."""
        known = {rule: [*ended] for rule, ended in self.taken.items() if ended}
        now = self.clock()
        for job in [*self.running.values()]:
            if (left := job.left(now)) is not None:
                seconds = now - job.started + left
                known.setdefault(kind(job.rule), []).append((job.work, seconds))
        took = {rule: sum(s for _, s in jobs) for rule, jobs in known.items()}
        done = {rule: sum(work for work, _ in jobs) for rule, jobs in known.items()}
        rates = {}
        for rule in self.planned:
            alike = [r for r in known if (r in TRAININGS_OF) == (rule in TRAININGS_OF)]
            guessed = sum(guess(r) * done[r] for r in alike)
            scale = (TRUST + sum(took[r] for r in alike)) / (TRUST + guessed)
            rates[rule] = took[rule] / done[rule] if rule in known else scale * guess(rule)
        return rates


def kind(rule: str) -> str:
    """The rule whose jobs take as long for their work."""
    if rule.startswith(SIDE_BY_SIDE):
        return "train"
    return WATCHED.get(rule, rule).removesuffix("_of")  # cells_of: those of another type


def rule_of(model: str) -> str:
    """The rule that trains a network, given its model file."""
    key = ModelKey.parse(model)
    if key.family == "nn":
        return "train_nn"
    return "train_adamw" if key.candidates == "rate" else "train"


def guess(rule: str) -> float:
    """Seconds per unit of work, before a job of the rule has ended."""
    return TRAINING if rule in TRAININGS_OF else JOBS.get(rule, JOB)


def notes(logs: Iterable[str]) -> list[str]:
    """What a job's log says to the user: its lines that begin with the name of the program."""
    return [line for path in logs for line in lines_of(path) if line.startswith("charlens: ")]


def last_line(logs: Iterable[str]) -> str:
    """The last line of a job's logs; empty where there is none yet."""
    return next((line for path in logs for line in reversed(lines_of(path)) if line.strip()), "")


def lines_of(path: str) -> list[str]:
    """The lines of a log; none where it cannot be read."""
    try:
        return Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return []
