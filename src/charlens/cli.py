"""The command line: `charlens <verb>`. Each verb lives in the module of its stage.

Snakemake runs these commands; most are useful by hand as well.
"""

import argparse
import contextlib
import errno
import importlib
import io
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from charlens.errors import InputError

# verb: (its module, what it does). A module has `add_arguments` and `run`; where it has several
# verbs, "runs.estimate:calibrate" means `run_calibrate`, and `add_calibrate_arguments` if there is
# one.
VERBS = {
    "fetch": ("data.corpus", "fetch a corpus from the first source that works"),
    "title": ("data.corpus:title", "give the provenance of a corpus another title"),
    "split": ("data.split", "split a text into training, validation and test streams"),
    "reshuffle": ("data.reshuffle", "put the files of a corpus into another order"),
    "train": ("training.train", "train a recurrent network or an n-NN"),
    "select": ("training.select", "keep the candidate with the lowest validation loss"),
    "score": ("training.score", "score every test character with a network"),
    "kenlm": ("ngrams.build", "build KenLM from source"),
    "ngram": ("ngrams.fit", "fit an n-gram model with KenLM"),
    "score-ngram": ("ngrams.score", "score every test character with an n-gram model"),
    "table1": ("report.tables:table1", "test losses of the recurrent networks"),
    "table2": ("report.tables:table2", "test losses of the n-gram and n-NN models"),
    "compare": ("report.comparison", "tables 1 and 2 beside the paper's"),
    "reshuffles": ("report.reshuffles", "losses on other orders of a corpus's files"),
    "discrepancies": ("report.discrepancies", "what is far from the paper, and why"),
    "cells": ("units.analysis", "saturation of gates; which unit follows which hypothesis"),
    "probes": ("units.probes", "one unit or many: linear probes on all units of a layer"),
    "cell-tables": ("units.unit_tables", "tables of units and gates"),
    "left-out": ("units.left_out", "which types are missing from which outputs, and why"),
    "inside": ("units.inside", "units and gates of one network, in short"),
    "inside-table": ("units.inside_table", "units and gates by type, size and depth"),
    "ablate": ("units.ablation", "clamp the units that were found, and control units"),
    "emergence": ("units.emergence", "skills and units of a network as it is trained"),
    "emergence-table": ("report.emergence", "when skills and units appear, in a table and figure"),
    "record": ("units.activations", "record every gate and state over a stretch of text"),
    "ablation": ("report.ablation", "table and figure of what clamped units change"),
    "figure1": ("report.figure1", "t-SNE map of the recurrent networks"),
    "figure2": ("report.figure2", "passages coloured by the best unit of each hypothesis"),
    "figure3": ("report.figure3", "how often gates are saturated"),
    "figure4": ("report.figure4", "errors of the best LSTM, of n-gram and n-NN models"),
    "trajectory": ("training.first_epochs", "the first epochs of an LSTM beside the n-NN models"),
    "figure5": ("report.figure5", "closing braces by distance; first epochs of an LSTM"),
    "figure6": ("report.figure6", "errors of the best LSTM, removed by oracles"),
    "errors": ("report.errors_by_size", "which errors go away with size"),
    "claims": ("claims.judge", "put the paper's conclusions to the test"),
    "types": ("claims.types_figure", "losses of all types at equal parameters"),
    "contiguous-split": ("claims.contiguous_split", "what the paper's split is worth"),
    "study": ("study.study", "one command for a text: networks, n-grams, units, and one page"),
    "report": ("report.overview", "the short report of a run"),
    "explore": ("explorer.explore", "make an interactive page about a network"),
    "sample": ("training.sample", "sample text from a trained network"),
    "read": ("training.score_text", "score a text of your own"),
    "check-cell": ("networks.own_cell", "does a cell type of your own compute what it says"),
    "half": ("networks.half", "write the best network in half precision"),
    "status": ("runs.status", "list which models are finished"),
    "watch": ("runs.watch", "show what of a run is done, what runs, and the time left"),
    "workflow-report": ("runs.workflow_report", "Snakemake's report of a run, on one page"),
    "publish": ("runs.publish", "copy what people read of a run to results/reference"),
    "merge": ("runs.merge", "join what two machines published of one run"),
    "doctor": ("bench.doctor", "say what this machine has and check its GPU"),
    "calibrate": ("runs.estimate:calibrate", "measure how fast this machine trains"),
    "estimate": ("runs.estimate", "estimate how long the rest of a run takes"),
    "bench": ("bench.speed", "measure training speed beside stock torch"),
    "bench-types": ("bench.types", "measure the training speed of every cell type"),
    "bench-rules": ("bench.rules", "CPU seconds, time and memory of every rule of a run"),
    "equal": ("bench.equal", "compare test losses of the fast and the reference backend"),
}

# old name of a verb: the new one; both work in this version
RENAMED = {"layouts": "contiguous-split"}


# what libraries say where memory, or the number of threads, is exhausted
NO_MEMORY = re.compile(
    "allocate memory|out of memory|bad_alloc|ALLOC_FAILED|failed to map segment|start new thread",
    re.IGNORECASE,
)


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help of options that ends with the default, where there is one and it is not told before."""

    def _get_help_string(self, action):
        none = action.default in (None, "", []) or action.default is False
        told = none or "default" in action.help
        return action.help if told else super()._get_help_string(action)


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return the exit status. Bad input, a file that cannot be read or written, a
    full disk and exhausted memory give one line on stderr and status 1; SIGINT gives 130."""
    for stream in (sys.stdout, sys.stderr):  # the name of a file need not be valid text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with exit_on_interrupt():
            args = parse(argv)
        return run(args)
    except KeyboardInterrupt:
        return interrupted()
    except BrokenPipeError:  # as in `charlens sample ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except InputError as error:
        print(f"charlens: error: {error}", file=sys.stderr)
        return 1
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        message = str(error)
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            message += ": free some space and rerun"
        elif isinstance(error, MemoryError) or NO_MEMORY.search(message):
            message = (
                f"out of memory or threads ({' '.join(message.split())[:150]}): rerun with more, or"
                " with fewer jobs at a time (snakemake --cores 1)"
            )
        elif not isinstance(error, OSError):
            raise
        print(f"charlens: error: {message}", file=sys.stderr)
        return 1


@contextlib.contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """End at once at SIGINT, unless it is ignored: there is nothing to clean up yet, and libraries
    that are being imported turn a KeyboardInterrupt into other errors."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(interrupted()))
    try:
        yield
    finally:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)


def interrupted() -> int:
    """Say that the user stopped the command. Returns the exit status."""
    print("charlens: interrupted; the same command begins or resumes it again", file=sys.stderr)
    return 128 + signal.SIGINT


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments of a command line; imports the module of its verb. Raises InputError where an
    option has an unusable value."""
    parser = argparse.ArgumentParser(
        prog="charlens",
        exit_on_error=False,
        description="The steps of the reproduction, one command each. Most often run by hand:"
        " study, explore, sample, read, record. charlens VERB --help lists the options of a verb.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in RENAMED:
        old, argv = argv[0], [RENAMED[argv[0]], *argv[1:]]
        print(f"charlens: {old} is now called {argv[0]}; please use that name", file=sys.stderr)
    for verb, (place, does) in VERBS.items():
        subparser = verbs.add_parser(
            verb, help=does, description=does, formatter_class=Help, exit_on_error=False
        )
        if argv[:1] == [verb]:  # import only what this verb needs
            module, _, name = place.partition(":")
            imported = importlib.import_module(f"charlens.{module}")
            getattr(imported, f"add_{name}_arguments", imported.add_arguments)(subparser)
            subparser.set_defaults(run=getattr(imported, f"run_{name}" if name else "run"))
    if not argv:
        return argparse.Namespace(run=lambda _: parser.print_help())
    if argv[0] == "--version":
        from importlib.metadata import version

        said = f"charlens {version('charlens')}"
        return argparse.Namespace(run=lambda _: print(said))
    try:
        return parser.parse_args(argv)
    except argparse.ArgumentError as error:
        raise InputError(f"{error.argument_name}: {error.message}") from None


def run(args: argparse.Namespace) -> int:
    """Run the verb. Raises as the verb does."""
    # a job that is stopped (kill, scancel) removes its half-written files
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # where a file goes to standard output (-), messages do not
    to_stdout = Path("-") in vars(args).values()
    with contextlib.redirect_stdout(sys.stderr if to_stdout else sys.stdout):
        args.run(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
