"""The command line: `charlens <verb>`. Each verb lives in the module of its stage.

Snakemake calls these commands; most are of use by hand as well.
"""

import argparse
import importlib
import os
import signal
import sys

from charlens.errors import InputError

# verb: (module, its function that adds arguments, its function that runs, one line of help)
VERBS = {
    "fetch": ("data.corpus", "add_arguments", "run", "bring a corpus from a source that delivers"),
    "split": (
        "data.split",
        "add_arguments",
        "run",
        "cut a text into training, validation and test",
    ),
    "train": ("training.train", "add_arguments", "run", "train a recurrent network or an n-NN"),
    "select": ("training.select", "add_arguments", "run", "keep the lowest validation loss"),
    "score": ("training.score", "add_arguments", "run", "score every test character"),
    "record": (
        "units.activations",
        "add_arguments",
        "run",
        "every gate and state over a stretch of text",
    ),
    "cells": (
        "units.analysis",
        "add_arguments",
        "run",
        "saturation of gates; which cell tracks what",
    ),
    "read": ("training.score_text", "add_arguments", "run", "score a text of your own"),
    "explore": ("explorer.explore", "add_arguments", "run", "make a page to look into a network"),
    "sample": ("training.sample", "add_arguments", "run", "write text with a trained model"),
    "kenlm": ("ngrams.build", "add_arguments", "run", "build KenLM from its source"),
    "ngram": ("ngrams.estimate", "add_arguments", "run", "estimate an n-gram model with KenLM"),
    "score-ngram": ("ngrams.score", "add_arguments", "run", "score with an n-gram model"),
    "table1": ("report.tables", "add_arguments", "run_table1", "losses of the recurrent networks"),
    "table2": ("report.tables", "add_arguments", "run_table2", "losses of n-gram and n-NN models"),
    "cell-tables": (
        "units.unit_tables",
        "add_arguments",
        "run",
        "what was found inside the networks",
    ),
    "figure1": ("report.figure1", "add_arguments", "run", "t-SNE of the recurrent networks"),
    "figure2": (
        "report.figure2",
        "add_arguments",
        "run",
        "passages, coloured by the cells found",
    ),
    "figure3": ("report.figure3", "add_arguments", "run", "how often gates are saturated"),
    "figure4": ("report.figure4", "add_arguments", "run", "LSTM against n-grams"),
    "figure5": ("report.figure5", "add_arguments", "run", "braces by distance; LSTM against n-NN"),
    "equal": (
        "bench.equal",
        "add_arguments",
        "run",
        "test losses of the fast backend and the reference",
    ),
    "bench": ("bench.speed", "add_arguments", "run", "measure training beside stock torch"),
    "figure6": (
        "report.figure6",
        "add_arguments",
        "run",
        "errors of the best LSTM, removed by oracles",
    ),
    "compare": ("report.comparison", "add_arguments", "run", "tables 1 and 2 beside the paper's"),
    "claims": (
        "claims.judge",
        "add_arguments",
        "run",
        "what the paper concludes, put to the test",
    ),
    "contiguous-split": (
        "claims.contiguous_split",
        "add_arguments",
        "run",
        "what the paper's split is worth",
    ),
    "half": ("networks.half", "add_arguments", "run", "the best model in half precision"),
    "status": ("runs.status", "add_arguments", "run", "which models are finished"),
    "publish": ("runs.publish", "add_arguments", "run", "make what people read of a run"),
    "merge": ("runs.merge", "add_arguments", "run", "join what two machines published"),
    "calibrate": (
        "runs.estimate",
        "add_calibrate_arguments",
        "run_calibrate",
        "measure how fast this machine trains",
    ),
    "estimate": ("runs.estimate", "add_arguments", "run", "how long what is left of a run takes"),
    "trajectory": (
        "training.first_epochs",
        "add_arguments",
        "run",
        "an LSTM's first epochs beside the n-NN",
    ),
}

# verbs that got a better name: the old one works in this version
RENAMED = {"layouts": "contiguous-split"}

# the least that options may be, whatever the verb
LEAST = {"threads": 1, "seed": 0, "layers": 1, "size": 1, "hidden": 1, "context": 0, "epochs": 1,
         "looks": 1}  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run one verb; bad input, or a file that cannot be had, is one line and status 1."""
    parser = argparse.ArgumentParser(
        prog="charlens",
        description="The steps of the reproduction, one command each. By hand most often: explore,"
        " sample, read, record. charlens VERB --help says more.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in RENAMED:
        old, argv = argv[0], [RENAMED[argv[0]], *argv[1:]]
        print(f"charlens: {old} is now called {argv[0]}: please use that name", file=sys.stderr)
    for verb, (module, add_arguments, run, help) in VERBS.items():
        subparser = verbs.add_parser(verb, help=help, description=help)
        if argv[:1] == [verb]:  # import only what this verb needs
            imported = importlib.import_module(f"charlens.{module}")
            getattr(imported, add_arguments)(subparser)
            subparser.set_defaults(run=getattr(imported, run))
    args = parser.parse_args(argv)
    # a job that is stopped (kill, scancel) removes what it has half written
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        for name, least in LEAST.items():
            if (value := getattr(args, name, None)) is not None and value < least:
                raise InputError(f"--{name} {value}: at least {least}")
        args.run(args)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # as in `charlens sample ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (InputError, OSError) as error:
        print(f"charlens: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
