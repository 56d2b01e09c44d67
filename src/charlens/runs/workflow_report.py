"""Snakemake's own report of a run: every table and figure with its provenance, on one page."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from charlens.errors import InputError
from charlens.runs import settings

MODULE = """configfile: {config!r}

module charlens:
    snakefile: {snakefile!r}
    prefix: {prefix!r}
    config: config

use rule * from charlens
"""


def write(
    snakefile: Path, complete: settings.Settings, prefix: str, targets: list[str], out: Path
) -> None:
    """Write the report of what the rules `targets` made, and the settings of the run beside it.

    `prefix` is that of the workflow that uses ours as a module, or empty; the report is then made
    from a workflow that does nothing else. Raises InputError where Snakemake fails.
    """
    config = out.parent / "settings.json"
    settings.write(complete, config)
    with tempfile.TemporaryDirectory() as folder:
        if prefix:
            text = MODULE.format(
                config=str(config.resolve()), snakefile=str(snakefile), prefix=prefix
            )
            snakefile = Path(folder, "Snakefile")
            snakefile.write_text(text)
        command = [sys.executable, "-m", "snakemake", "--snakefile", snakefile]
        command += [] if prefix else ["--configfile", config]
        command += ["--nolock", "--report", out, "--", *targets]
        if subprocess.run([str(word) for word in command]).returncode:
            raise InputError(f"{out}: snakemake --report failed: fix the error above and run again")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--snakefile", type=Path, required=True, help="of this project")
    parser.add_argument("--settings", required=True, help="of the run, as JSON")
    parser.add_argument("--prefix", default="", help="of a workflow that uses this one as a module")
    parser.add_argument("--targets", nargs="+", required=True, help="rules to report on")
    parser.add_argument("--out", type=Path, required=True, help="the page (.html)")


def run(args: argparse.Namespace) -> None:
    complete = settings.make(yaml.safe_load(args.settings))
    write(args.snakefile, complete, args.prefix, args.targets, args.out)
