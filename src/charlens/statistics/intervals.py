"""Standard deviations and intervals without resampling."""

import math
from collections.abc import Iterable

import numpy as np


def pooled_sd(groups: Iterable[Iterable[float]]) -> tuple[float, int] | None:
    """The pooled standard deviation within groups of numbers, and its degrees of freedom.

    None if no group has two numbers or more.
    """
    squares, freedom = 0.0, 0
    for group in groups:
        values = np.asarray(group, dtype=np.float64)
        squares += ((values - values.mean()) ** 2).sum()
        freedom += len(values) - 1
    return (math.sqrt(squares / freedom), freedom) if freedom else None


def share_interval(count: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of the share count / total. Raises ValueError if total is 0."""
    from scipy.stats import binomtest  # here, because it takes a second to import

    found = binomtest(count, total).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)
