"""Progress lines of long work."""

import math
import sys
import time


def say(label: str, message: str) -> None:
    """Print one progress line on stderr; label names the job."""
    print(f"{label}: {message}", file=sys.stderr, flush=True)


def time_left(started: float, done_before: float, done: float) -> str:
    """The remaining time in words, at the pace since `started` (of time.perf_counter), in seconds.

    done_before, done: the fractions of the work that were done then and are done now.
    """
    seconds = (time.perf_counter() - started) / max(done - done_before, 1e-9) * (1 - done)
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{seconds:.0f} s left" if seconds < 90 else f"{hours} h {minutes:02d} min left"
