"""Types of command-line arguments: numbers within bounds."""

import argparse
import math
from collections.abc import Callable
from fractions import Fraction

SEEDS = 2**32 - 1  # the largest seed that NumPy takes
RESAMPLES = 1000  # of a bootstrap whose quantiles bound an interval, at least


def bounded(read: Callable, what: str, least: float, most: float = math.inf) -> Callable:
    """A type of argument: a finite number from least to most. Others are refused in one line."""
    bounds = f"at least {least:,}" + (f" and at most {most:,}" if most < math.inf else "")

    def number(text: str):
        try:
            value = read(text)
            if math.isfinite(value) and least <= value <= most:
                return value
        except (ValueError, ArithmeticError):
            pass
        raise argparse.ArgumentTypeError(f"expected {what}, {bounds}, got {text}")

    return number


def whole(least: int, most: float = math.inf) -> Callable:
    """A type of argument: a whole number from least to most."""
    return bounded(int, "a whole number", least, most)


def real(least: float, most: float = math.inf) -> Callable:
    """A type of argument: a number from least to most."""
    return bounded(float, "a number", least, most)


count = whole(1)
seed = whole(0, SEEDS)
resamples = whole(RESAMPLES)
seconds = real(0)
fraction = bounded(Fraction, "a share such as 0.8 or 4/5", 0, 1)
