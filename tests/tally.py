"""The count of the faults that tests provoke, and how each ended."""

import csv
from collections import Counter
from pathlib import Path

COLUMNS = ["tried", "what", "cases", "noticed", "harmless", "wrong"]
COUNTS: dict[tuple[str, str], Counter] = {}


class Tally:
    """Counts cases. `noticed`: ended with one line that says what is wrong, or was set aside and
    made again. `harmless`: the result is the same to the bit. `wrong`: anything else."""

    def __init__(self, tried: str, what: str):
        self.counts = COUNTS.setdefault((tried, what), Counter())
        self.faults = []

    def add(self, ending: str, case: object = "") -> None:
        """One case, which was noticed, harmless or wrong; case: in words."""
        self.counts[ending] += 1
        if ending == "wrong":
            self.faults.append(str(case))

    def check(self) -> None:
        """Raise AssertionError where a case was wrong."""
        assert not self.faults, f"{len(self.faults)} wrong: " + "\n".join(self.faults[:5])


def rows() -> list[dict]:
    """The counts, a row per kind of case."""
    return [
        {"tried": tried, "what": what, "cases": sum(counts.values())}
        | {ending: counts[ending] for ending in COLUMNS[3:]}
        for (tried, what), counts in COUNTS.items()
    ]


def report(say) -> None:
    """Say the counts, line by line."""
    for row in rows():
        say(
            f"{row['tried']:7} {row['what']:28} {row['cases']:6} tried: {row['noticed']} noticed,"
            f" {row['harmless']} harmless, {row['wrong']} wrong"
        )
    totals = {name: sum(row[name] for row in rows()) for name in COLUMNS[2:]}
    say("in all: " + ", ".join(f"{number} {name}" for name, number in totals.items()))


def write(path: Path) -> None:
    """Write the counts as CSV. Kinds of case that were not tried this time stay as they were."""
    known = {}
    if path.exists():
        with open(path, newline="") as file:
            known = {(row["tried"], row["what"]): row for row in csv.DictReader(file)}
    known |= {(row["tried"], row["what"]): row for row in rows()}
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(known.values())
