"""The command line: `charlens <verb>`. Each verb lives in the module of its stage."""

import argparse
import importlib
import sys

from charlens.errors import InputError

# verb: (module, prefix, one line of help). The module's functions [<prefix>_]add_arguments(parser)
# and [<prefix>_]run(args) do the rest.
VERBS = {
    "fetch": ("corpus", "", "bring a corpus from the first of its sources that delivers"),
    "split": ("split", "", "cut a text into training, validation and test streams"),
    "train": ("train", "", "train a recurrent network or an n-NN"),
    "select": ("score", "select", "keep the model with the lowest validation loss"),
    "score": ("score", "score", "log-probability of every test character"),
    "sample": ("sample", "", "write text with a trained model"),
    "kenlm": ("kenlm_build", "", "build KenLM from its source distribution"),
    "ngram": ("ngram", "fit", "estimate an n-gram model with KenLM"),
    "score-ngram": ("ngram", "score", "log-probability of every test character, by an n-gram"),
    "table1": ("tables", "table1", "test loss of the recurrent networks"),
    "table2": ("tables", "table2", "test loss of the fixed-context baselines"),
    "figure1": ("figure1", "", "t-SNE of the recurrent networks"),
    "figure4": ("figure4", "", "LSTM against n-grams: shared errors, gains per character"),
    "figure5": ("figure5", "", "closing braces by distance; LSTM against n-NN"),
    "trajectory": ("trajectory", "", "compare an LSTM's first epochs with the n-NN"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb; bad input ends in one line on stderr and exit status 1."""
    parser = argparse.ArgumentParser(prog="charlens", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    argv = sys.argv[1:] if argv is None else argv
    for verb, (module, prefix, help) in VERBS.items():
        subparser = verbs.add_parser(verb, help=help, description=help)
        if argv[:1] == [verb]:  # import only what this verb needs
            imported = importlib.import_module(f"charlens.{module}")
            prefix = prefix and prefix + "_"
            getattr(imported, f"{prefix}add_arguments")(subparser)
            subparser.set_defaults(run=getattr(imported, f"{prefix}run"))
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except InputError as error:
        print(f"charlens: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
