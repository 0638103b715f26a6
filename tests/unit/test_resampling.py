"""Bounds of figures over listings: by hand where samples can be counted, and always the same."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.resampling import Interval, resampled, share_bounds


def test_three_values__sampled_as_often_as_can_be_counted():
    """Of 1, 2, 3 the median of three draws is 1, 2, 3 in 7, 13 and 7 of 27 samples: 26 % each at the ends.

    Its bounds are 1 and 3; those of the median of samples of 1, 2, ..., 101 are near 51 -+ 1.64 * 1.25 * 29.2 / 10.
    """
    assert resampled(np.array([1.0, 2.0, 3.0]), [0.5]) == [Interval(1.0, 3.0)]
    low, high = resampled(np.arange(1.0, 102.0), [0.5])[0]
    assert low == pytest.approx(51 - 6, abs=3)
    assert high == pytest.approx(51 + 6, abs=3)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        (0, 39, 0.0, 2.7057 / 41.7057),  # z^2 / (n + z^2) with z = 1.6449
        (39, 39, 39 / 41.7057, 1.0),
        (5, 10, 0.5 - 0.2308, 0.5 + 0.2308),  # 1.6449 / 12.7057 * sqrt(2.5 + 0.6764)
    ],
)
def test_share_bounds__by_hand(hits, of, low, high):
    """The score interval has a width where nothing or everything hits, and is even about a half."""
    assert share_bounds(hits, of) == pytest.approx((low, high), abs=1e-4)
