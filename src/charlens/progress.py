"""Progress lines of long work."""

import re
import sys
import time

LEFT = re.compile(r"(?:(?:(\d+) h )?(\d+) min|(\d+) s) left")  # as `time_left` says it


def say(label: str, message: str) -> None:
    """Print one progress line on stderr; label names the job."""
    print(f"{label}: {message}", file=sys.stderr, flush=True)


def time_left(started: float, done_before: float, done: float) -> str:
    """The remaining time in words, at the pace since `started` (of time.perf_counter), in seconds.

    done_before, done: the fractions of the work that were done then and are done now.
    """
    seconds = (time.perf_counter() - started) / max(done - done_before, 1e-9) * (1 - done)
    return f"{duration(seconds)} left"


def duration(seconds: float) -> str:
    """A duration for people: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def said_left(line: str) -> int | None:
    """The seconds that are left by a progress line; None where it does not say."""
    found = LEFT.search(line)
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


class Progress:
    """Progress lines of work that takes longer than two seconds; then one every ten.

    label: names the job. done: what was done so far, in a word, such as "scored".
    """

    def __init__(self, label: str, done: str):
        self.label, self.done = label, done
        self.started = time.perf_counter()
        self.next = self.started + 2

    def at(self, share: float) -> None:
        """Say what share of the work is done, 0 to 1, and the time left, if it is time to."""
        if time.perf_counter() >= self.next:
            self.next = time.perf_counter() + 10
            say(self.label, f"{self.done} {share:.0%}, {time_left(self.started, 0, share)}")
