"""`charlens bench-rules`: what each rule of a run cost: CPU seconds, wall time and memory.

Snakemake measures the jobs of every rule that has a benchmark, each in a file of its own.
"""

import argparse
import json
from pathlib import Path

from charlens.errors import InputError
from charlens.files import write_rows


def costs(run: Path) -> list[dict]:
    """Rows of rule, jobs, cpu_s, wall_s, max_rss_mb, the rule with the most CPU seconds first.

    run: the results of a run. Seconds are sums over a rule's jobs, memory is that of its largest
    job. A job too short to be measured counts as nothing. Raises InputError where the run has no
    benchmarks, or one is damaged.
    """
    rows = {}
    for file in sorted(run.glob("benchmarks/**/*.jsonl")):
        try:
            for job in map(json.loads, file.read_text().splitlines()):
                empty = {"jobs": 0, "cpu_s": 0.0, "wall_s": 0.0, "max_rss_mb": 0.0}
                row = rows.setdefault(job["rule_name"], {"rule": job["rule_name"]} | empty)
                row["jobs"] += 1
                row["cpu_s"] += number(job["cpu_time"])
                row["wall_s"] += number(job["s"])
                row["max_rss_mb"] = max(row["max_rss_mb"], number(job["max_rss"]))
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{file}: no benchmark of Snakemake, or damaged; remove it") from None
    if not rows:
        raise InputError(f"{run}/benchmarks: no benchmarks; name the results of a finished run")
    for row in rows.values():
        row |= {name: round(row[name], 1) for name in ("cpu_s", "wall_s", "max_rss_mb")}
    return sorted(rows.values(), key=lambda row: -row["cpu_s"])


def number(value: float | str | None) -> float:
    """What Snakemake measured; 0 where it could not ("NA")."""
    return 0.0 if value in (None, "NA") else float(value)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", type=Path, help="the results of a run, such as results/paper")
    out = Path("results/bench/rules.csv")
    parser.add_argument("--out", type=Path, default=out, help="the costs (.csv)")


def run(args: argparse.Namespace) -> None:
    rows = costs(args.results)
    write_rows(args.out, rows)
    for row in rows:
        print(
            f"{row['rule']}: {row['jobs']} jobs, {row['cpu_s']:,.0f} CPU seconds,"
            f" {row['wall_s']:,.0f} s, {row['max_rss_mb']:,.0f} MB"
        )
