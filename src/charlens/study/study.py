"""`charlens study`: one command for a text: networks, n-grams, units, figures, and one page.

It joins the files, says what the test text holds for each hypothesis and how long the study takes,
writes a configuration, and runs the project's workflow on it. The configuration stays beside the
results: `snakemake --configfile FOLDER/study.yaml` is the same run.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from charlens import arguments
from charlens.data import split
from charlens.errors import InputError
from charlens.files import write_atomically
from charlens.progress import duration
from charlens.runs import host
from charlens.runs.results_folder import PROJECT
from charlens.runs.schema import RESERVED
from charlens.store.models import (
    LATER_TYPES,
    PAPER_TYPES,
    check_type,
    file_of,
    is_own,
    type_name,
)
from charlens.store.reading import read_json
from charlens.study import plan, texts
from charlens.text import unicode
from charlens.text.hypotheses import HYPOTHESES, KINDS
from charlens.text.kinds import kind_and_reason
from charlens.text.stand_ins import parsed
from charlens.units import selectivity

MOST_MINUTES = 1_000_000  # two years


def prospects(text: unicode.Text, kind: str, streams: int) -> list[str]:
    """What the test text holds for each hypothesis, a line each.

    Raises InputError where the text cannot be split.
    """
    data = split.split(text, "streams", streams, plan.UNROLL, plan.FRACTIONS)
    at = data.test.predicted_at()
    lines = []
    for hypothesis in HYPOTHESES:
        if kind not in hypothesis.label:
            continue
        labels = hypothesis.label[kind](parsed(text))
        values, defined = labels.values[at], labels.defined[at]
        known = values[defined]
        if hypothesis.yes_no:
            share = known.mean() if known.size else 0
            begins = int(((np.diff(values, axis=1) == 1) & defined[:, 1:]).sum())
            holds = f"{share:.1%} of the test text, {begins:,} times"
        else:
            holds = f"{known.mean() if known.size else 0:.1f} on average"
        few = not selectivity.testable(*selectivity.levels(values, defined, hypothesis.yes_no))
        lines.append(f"{hypothesis.title}: {holds}{': too little to ask about' if few else ''}")
    return lines


def plain(name: str) -> str:
    """A name in the characters that the name of a run may have; empty if nothing is left."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:40].strip("-")


def default_folder(path: str) -> Path:
    """results/study-<name of the file or folder>; of a pattern such as notes/*.txt, notes."""
    first = Path(os.path.abspath(path))
    names = [first.stem]
    if any(sign in path for sign in "*?["):
        names += [above.name for above in first.parents]
    name = next(filter(None, map(plain, names)), "text")
    return PROJECT / "results" / plain(f"study-{name}")


def run_name(folder: Path) -> str:
    """The run that writes to a folder: results/<run>, or a link of that name to the folder."""
    name = plain(folder.name) or "study"
    if folder.parent == PROJECT / "results":
        if name != folder.name or name in RESERVED:
            raise InputError(f"--out {folder}: results/{folder.name} can be no run; choose another")
        return name
    return f"{name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def refuse_other(folder: Path, about: dict) -> None:
    """Raise InputError where a folder holds something else than a study of the same paths."""
    there = folder.is_dir() and [path for path in folder.iterdir() if path.name[0] != "."]
    known = folder / "study.json"
    if there and not known.is_file():
        raise InputError(f"{folder} is not empty, and holds no study; name another folder: --out")
    if there and (paths := read_json(known).get("paths")) != about["paths"]:
        other = f" of {', '.join(paths)}" if paths else ""
        raise InputError(
            f"{folder} holds another study{other}; name another folder: --out, or remove this one"
        )


def prepare(folder: Path, run: str) -> None:
    """Make the folder, and the link to it where it is not results/<run> itself."""
    folder.mkdir(parents=True, exist_ok=True)
    link = PROJECT / "results" / run
    if link != folder and not link.exists():
        link.unlink(missing_ok=True)  # it led to a folder that is gone
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(folder, target_is_directory=True)


def study(
    paths: list[str], minutes: float, kind: str | None, out: Path | None, types: Sequence[str] = ()
) -> None:
    """Run a study. types: of cells, beside the paper's. Raises InputError for unusable files and
    types, and where the workflow fails."""
    if not (PROJECT / "Snakefile").is_file():
        raise InputError("charlens study needs the project's folder: clone it, then make setup")
    types = list(dict.fromkeys([*plan.TYPES, *types]))
    with contextlib.chdir(PROJECT):  # one's own cells are there, as the workflow runs there
        check_types(types)
    joined = texts.join(paths, kind)
    streams = plan.streams_of(len(joined.text))
    kind, reason = kind_and_reason(joined.text, kind)
    title = os.fsencode(os.path.basename(os.path.abspath(paths[0]))).decode(errors="replace")
    if len(paths) > 1:
        title += f" and {len(paths) - 1} more"
    folder = (out or default_folder(paths[0])).absolute()
    for line in (*joined.notes, f"kind: {kind} ({reason})"):
        print(line)
    of = unicode.BYTES if isinstance(joined.text, bytes) else unicode.CHARACTERS
    print(f"{len(joined.text):,} {of}, {streams} streams, a tenth of each for the test; there:")
    lines = prospects(joined.text, kind, streams)
    for line in lines:
        print(f"  {line}")

    name = run_name(folder)
    text, about, settings = (folder / file for file in ("text.txt", "study.json", "study.yaml"))
    asked = {"paths": [str(Path(path).absolute()) for path in paths], "files": joined.files}
    asked |= {"notes": joined.notes, "kind": kind, "minutes": minutes, "holds": lines}
    asked |= {"types": types}
    refuse_other(folder, asked)
    prepare(folder, name)
    before = read_json(about) if about.is_file() else {}
    same = before == asked | {"largest": before.get("largest")} and settings.is_file()
    content = unicode.encoded(joined.text)
    if same and text.is_file() and text.read_bytes() == content:
        print("as planned before: resuming", flush=True)
    else:
        settings.unlink(missing_ok=True)  # written last: without it nothing is resumed
        with contextlib.chdir(PROJECT):
            # by the link, whose path Snakemake can name
            path = PROJECT / "results" / name / text.name
            config = planned(name, title, kind, path, joined.text, minutes, types)
        asked["largest"] = plan.is_largest(config)
        write_atomically(about, json.dumps(asked, indent=1).encode() + b"\n")
        write_atomically(text, content)
        write_atomically(settings, json.dumps(config, indent=1).encode() + b"\n")
    run_workflow(settings, folder / "study.log")
    print(f"{folder / 'report.html'}")


def check_types(types: Sequence[str]) -> None:
    """Raise InputError where there is no such cell type, or its file is unusable."""
    for type in types:
        if "+" in type or not file_of(type).is_file():
            known = ", ".join((*PAPER_TYPES, *LATER_TYPES))
            raise InputError(
                f"--type {type}: no such cell type; there are {known}; one of your own is a file"
                f" {PROJECT / 'cells' / type}.py"
            )
        try:
            check_type(type)
        except InputError as error:
            raise InputError(f"--type {type}: {error}") from None
        if is_own(type):
            from charlens.networks import own_cell  # here, because it needs torch

            try:
                own_cell.check(type)
            except InputError as error:
                raise InputError(f"--type {type}: {PROJECT}/{error}") from None


def run_workflow(settings: Path, log: Path) -> None:
    """Run the workflow with this configuration; what it prints, a line for each job that ends and
    the time left, goes to a file and to the terminal. Raises InputError where it fails.
    """
    command = [sys.executable, "-m", "snakemake", "--configfile", str(settings)]
    command += ["--cores", str(host.cores())]
    with (
        open(log, "wb") as written,
        subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as workflow,
    ):
        try:
            for line in workflow.stdout:
                written.write(line)
                written.flush()
                print(line.decode(errors="replace"), end="", file=sys.stderr, flush=True)
        except BaseException:
            workflow.terminate()
            raise
    if workflow.returncode:
        raise InputError(f"the workflow failed: {log} says why; the same command resumes it")


def planned(
    run: str, title: str, kind: str, path: Path, text: unicode.Text, minutes: float,
    types: Sequence[str] = plan.TYPES,
) -> dict:  # fmt: skip
    """The configuration of a study; prints what is trained and how long it takes."""
    workers, different = host.cores(), len(set(text))
    speed = plan.rates(plan.streams_of(len(text)), different, types)
    chosen = plan.plan(len(text), different, minutes, workers, speed, types)
    networks = len(types) * len(chosen.layers) * len(chosen.sizes)
    over = "" if chosen.seconds <= 60 * minutes else f", more than the {minutes:g} min asked for"
    print(
        f"{networks} networks ({', '.join(map(type_name, types))}), layers:"
        f" {', '.join(map(str, chosen.layers))}, sizes: {', '.join(map(str, chosen.sizes))},"
        f" {chosen.epochs} epochs: about"
        f" {duration(chosen.seconds)} on {workers} cores if nothing else runs on them{over}",
        flush=True,
    )
    predict = unicode.BYTES if isinstance(text, bytes) else unicode.CHARACTERS
    if predict == unicode.CHARACTERS:
        size = chosen.sizes[0]
        share = plan.share_of_alphabet(size, different)
        print(
            f"of the parameters of an LSTM 1x{size}, {share:.0%} are rows of the alphabet, going in"
            " and coming out",
            flush=True,
        )
    return plan.configuration(run, title, kind, predict, str(path), chosen)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="files, folders, or patterns such as 'src/**/*.c'"
    )
    parser.add_argument(
        "--minutes", type=arguments.real(0.1, MOST_MINUTES), default=20, metavar="M", help="time"
        " that the study may take: it chooses the networks",
    )  # fmt: skip
    parser.add_argument(
        "--kind", choices=KINDS, help="of the text; code is C or C++ (default: found out)"
    )
    parser.add_argument(
        "--type", action="append", default=[], dest="types", metavar="TYPE", help="a cell type"
        f" beside LSTM, GRU and RNN: {', '.join(LATER_TYPES)}, or one of your own, cells/TYPE.py in"
        " the project's folder; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="of everything that is made (default:"
        " results/study-<name of the first PATH>)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    study(args.paths, args.minutes, args.kind, args.out, args.types)
