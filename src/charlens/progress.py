"""Progress lines of long work."""

import math
import sys
import time


def say(label: str, message: str) -> None:
    print(f"{label}: {message}", file=sys.stderr, flush=True)


def time_left(begun: float, done_before: float, done: float) -> str:
    seconds = (time.perf_counter() - begun) / max(done - done_before, 1e-9) * (1 - done)
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{seconds:.0f} s left" if seconds < 90 else f"{hours} h {minutes:02d} min left"
