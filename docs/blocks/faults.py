"""The block of docs/faults.md."""

from blocks.common import ABSENT, REFERENCE, markdown, table

FAULTS = {  # kinds of fault in bench/faults.csv, in words
    "runs": "a whole run, struck from outside",
    "kill": "killed at a write, sync or rename",
    "ENOSPC": "the disk is full from there on",
    "EIO": "the disk fails there",
    "flips": "a bit flipped, or the file cut",
    "fuzz": "content mutated",
}


def faults() -> str:
    """What `make test-faults` counted, by kind of fault."""
    path = "bench/faults.csv"
    if not (REFERENCE / path).exists():
        return ABSENT
    found, rows = table(path), []
    for tried, what in FAULTS.items():
        own = found[found["tried"] == tried]
        counts = own[["cases", "noticed", "harmless", "wrong"]].sum()
        rows.append([what, "; ".join(own["what"]), *(f"{number:,}" for number in counts)])
    total = found[["cases", "noticed", "harmless", "wrong"]].sum()
    rows.append(["in all", "", *(f"{number:,}" for number in total)])
    return markdown(["fault", "of", "tried", "noticed", "harmless", "wrong"], rows)
