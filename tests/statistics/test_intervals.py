"""Spread and intervals against theory and constructed cases."""

import numpy as np
import pytest

from charlens.statistics.intervals import pooled_sd, share_interval


def test_pooled_sd():
    assert pooled_sd([[1.0, 3.0], [10.0], [5.0, 5.0, 5.0]]) == pytest.approx((np.sqrt(2 / 3), 3))
    assert pooled_sd([[1.0], [2.0]]) is None and pooled_sd([]) is None


@pytest.mark.parametrize("total", [1, 7, 384, 723])
def test_no_unit_and_every_unit_have_intervals_that_end_at_0_and_1(total):
    low, high = share_interval(0, total)
    z2 = 1.959964**2
    assert low == 0 and high == pytest.approx(z2 / (total + z2))  # Wilson, by hand
    assert share_interval(total, total) == (pytest.approx(1 - high), 1)


def test_wilsons_interval_is_that_of_the_textbooks():
    # Newcombe (1998), table I: 15 of 148 and 81 of 263
    assert share_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert share_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
