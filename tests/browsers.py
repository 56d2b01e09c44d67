"""What the drivers of browsers have in common (chromium.py, firefox.py)."""

import os
import shutil
import time
from collections.abc import Iterable

LOOKS = 6000  # at most, 20 ms apart, at what a page is to show


def found(variable: str, names: Iterable[str]) -> str | None:
    """A browser: that of the environment variable, or the first of its names on the PATH."""
    return os.environ.get(variable) or next(filter(None, map(shutil.which, names)), None)


class Browser:
    """One browser with one tab. All requests and messages of the page are kept."""

    def wait(self, expression: str):
        """Until the expression is true; its value. A busy machine takes longer to look as well."""
        for _ in range(LOOKS):
            if value := self.evaluate(expression):
                return value
            time.sleep(0.02)
        raise AssertionError(f"never came true: {expression}; {self.messages}")
