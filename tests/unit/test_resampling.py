"""Bounds of figures over listings: by hand where samples can be counted, and always the same."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.resampling import Interval, resampled, share_bounds, spread


def named(*ratios):
    """Return ratios of listings a, b, c, ..."""
    return dict(zip("abcdefghijklmnopqrstuvwxyz", ratios, strict=False))


def test_constant_ratios__give_a_point():
    """Whatever is drawn again from equal values has their value; no listing is the worst one."""
    found = spread(named(*[0.9] * 7), 1.005)
    assert (found.median, found.p10, found.p90, found.highest) == pytest.approx((0.9,) * 4)
    assert found.interval == pytest.approx((0.9, 0.9))
    assert found.worst is None
    assert (found.listings, found.losing) == (7, 0)


def test_two_groups__have_the_quantiles_of_hand():
    """Nine of 0.9 and two of 1.2: the eleven values lie at 0, 10, ..., 100 %, so p90 is the tenth, 1.2.

    The median of a sample is 1.2 if six of eleven draws hit the two, whose chance is 2/11 each: 0.7 %. So the bounds
    that hold 90 % of the medians are 0.9 both.
    """
    found = spread(named(*[0.9] * 9, 1.2, 1.2), 1.005)
    assert (found.p10, found.median, found.p90, found.highest) == pytest.approx((0.9, 0.9, 1.2, 1.2))
    assert found.interval == pytest.approx((0.9, 0.9))
    assert found.worst == "j"
    assert found.losing == pytest.approx(2 / 11)


def test_even_groups__have_an_interval_from_one_to_the_other():
    """Three of 0.8 and three of 1.1: a sample's median is 0.8 or 1.1 in 34 % of the samples each, 0.95 in 31 %."""
    found = spread(named(0.8, 1.1, 0.8, 1.1, 0.8, 1.1), 1.005)
    assert found.median == pytest.approx(0.95)
    assert found.interval == pytest.approx((0.8, 1.1))


def test_three_values__sampled_as_often_as_can_be_counted():
    """Of 1, 2, 3 the median of three draws is 1, 2, 3 in 7, 13 and 7 of 27 samples: 26 % each at the ends.

    Its bounds are 1 and 3; those of the median of samples of 1, 2, ..., 101 are near 51 -+ 1.64 * 1.25 * 29.2 / 10.
    """
    assert resampled(np.array([1.0, 2.0, 3.0]), [0.5]) == [Interval(1.0, 3.0)]
    low, high = resampled(np.arange(1.0, 102.0), [0.5])[0]
    assert low == pytest.approx(51 - 6, abs=3)
    assert high == pytest.approx(51 + 6, abs=3)


def test_spread__is_the_same_every_time_and_in_any_order():
    """Equal ratios give equal bounds to the last bit, in whatever order the listings come."""
    ratios = dict(enumerate(np.random.default_rng(3).normal(1.0, 0.1, 40).tolist()))
    ratios = {f"listing-{number}": value for number, value in ratios.items()}
    backwards = dict(reversed(list(ratios.items())))
    assert spread(ratios, 1.005) == spread(ratios, 1.005) == spread(backwards, 1.005)


def test_one_listing__has_no_interval():
    """A single listing tells nothing about others."""
    found = spread({"mine": 1.1}, 1.005)
    assert (found.listings, found.median, found.worst, found.losing) == (1, 1.1, "mine", 1)
    assert found.interval is None
    assert found.losing_interval is None


def test_limit__is_no_loss_itself():
    """A listing loses above the limit, not at it."""
    assert spread(named(1.005, 1.0051), 1.005).losing == 0.5


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
