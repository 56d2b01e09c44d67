"""Progress lines of long work."""

import math
import sys
import time


def say(label: str, message: str) -> None:
    """Print one progress line on stderr; label: which job it is of."""
    print(f"{label}: {message}", file=sys.stderr, flush=True)


def time_left(begun: float, done_before: float, done: float) -> str:
    """How long the rest takes, in words, at the pace since `begun` (of time.perf_counter).

    done_before, done: how much of the work was done then and is now, from 0 to 1.
    """
    seconds = (time.perf_counter() - begun) / max(done - done_before, 1e-9) * (1 - done)
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{seconds:.0f} s left" if seconds < 90 else f"{hours} h {minutes:02d} min left"
