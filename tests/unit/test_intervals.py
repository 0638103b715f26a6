"""Intervals hold what they promise: by hand, against sums over all outcomes, and in simulated data sets."""

from __future__ import annotations

import itertools
import math
import os

import numpy as np
import pytest
from scipy import stats

from pipeline.intervals import (
    FEWEST,
    LEVEL,
    median_estimate,
    needed,
    quantile_estimate,
    quantile_interval,
    quantile_intervals,
    share_interval,
)

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
SETS = 2_000
SHAPES = {
    "normal": (lambda rng, size: rng.normal(size=size), 0.0),
    "skewed": (lambda rng, size: rng.exponential(size=size), math.log(2)),
    "long tails": (lambda rng, size: rng.standard_cauchy(size=size), 0.0),
    "flat": (lambda rng, size: rng.uniform(size=size), 0.5),
    # As ratios of listings lie: most near a saving of 5 %, one machine in ten far off; the median of the mixture.
    "two groups": (
        lambda rng, size: np.where(
            rng.uniform(size=size) < 0.1, rng.normal(1.05, 0.02, size), rng.normal(0.95, 0.01, size)
        ),
        0.95 + 0.01 * stats.norm.ppf(0.5 / 0.9),  # but for 1e-7: the small group hardly reaches down there
    ),
}


def covered(low, high, truth):
    """Return the share of intervals that hold the truth."""
    return float(np.mean((low <= truth) & (truth <= high)))


def is_right(share):
    """Whether a share of 95 % intervals that hold the truth is as it should be; chance makes 0.5 % of 2,000 sets."""
    return 0.93 <= share <= 0.97


@pytest.mark.parametrize("size", [6, 8, 20, 50])
@pytest.mark.parametrize("shape", SHAPES)
def test_median__is_covered_in_simulated_data_sets(shape, size):
    """Of 2,000 data sets the interval of the median holds the true one in 93 to 97 %, whatever their shape and size."""
    draw, truth = SHAPES[shape]
    sets = np.sort(draw(np.random.default_rng(size), (SETS, size)), axis=1)
    assert is_right(covered(*quantile_intervals(sets, 0.5), truth))


@pytest.mark.parametrize("size", [8, 20, 50])
def test_ratio__is_covered_in_simulated_data_sets(size):
    """The median of ratios of two designs on the same machines, whose sizes differ a hundredfold."""
    rng = np.random.default_rng(size + 1)
    machines = rng.lognormal(9.0, 1.8, (SETS, size))
    fixed = rng.uniform(0, 500, (SETS, size))  # what no design saves
    saved = np.exp(rng.normal(math.log(0.93), 0.04, (SETS, size)))
    ratios = np.sort((machines * saved + fixed) / (machines + fixed), axis=1)
    more = rng.lognormal(9.0, 1.8, 1_000_000)
    other = rng.uniform(0, 500, 1_000_000)
    every = (more * np.exp(rng.normal(math.log(0.93), 0.04, 1_000_000)) + other) / (more + other)
    assert is_right(covered(*quantile_intervals(ratios, 0.5), np.median(every)))


@pytest.mark.parametrize("size", [8, 20, 39, 50])
def test_losing_share__is_covered_in_simulated_data_sets(size):
    """Of 2,000 data sets, each with a losing share of its own, the interval holds it in 93 to 97 %."""
    rng = np.random.default_rng(size + 2)
    shares = rng.uniform(0, 1, SETS)
    lost = rng.binomial(size, shares)
    bounds = np.array([share_interval(hits, size) for hits in range(size + 1)])[lost]
    assert is_right(covered(bounds[:, 0], bounds[:, 1], shares))


@pytest.mark.parametrize("size", [FEWEST, 8, 20, 39, 50, 51, 200])
def test_losing_share__is_covered_without_any_sampling(size):
    """Summed over all outcomes: 95 to 97 % over all shares, and for no single share below 90 %."""
    shares = (np.arange(2_000) + 0.5) / 2_000
    hits = np.arange(size + 1)
    bounds = np.array([share_interval(int(each), size) for each in hits])
    chances = stats.binom.pmf(hits[:, None], size, shares[None, :])
    holds = (bounds[:, :1] <= shares) & (shares <= bounds[:, 1:])
    coverage = (chances * holds).sum(axis=0)
    assert 0.95 <= coverage.mean() <= 0.97
    assert coverage.min() >= 0.90


@pytest.mark.skipif(not DEEP, reason="200,000 data sets; the deep run has them: HYPOTHESIS_PROFILE=deep")
@pytest.mark.parametrize("size", [6, 7, 8, 12, 20, 39, 50])
@pytest.mark.parametrize("shape", SHAPES)
def test_median__is_covered_to_a_percent(shape, size):
    """With so many data sets that chance is no excuse the median is covered 94 to 96 % of the time."""
    draw, truth = SHAPES[shape]
    sets = np.sort(draw(np.random.default_rng(99), (200_000, size)), axis=1)
    assert 0.94 <= covered(*quantile_intervals(sets, 0.5), truth) <= 0.96


def test_mean__has_no_interval_that_eight_skewed_values_support():
    """Student's interval covers the mean of eight exponentials in 90 % of the samples; so no mean has one here."""
    sets = np.random.default_rng(5).exponential(size=(20_000, 8))
    reach = stats.t.ppf(0.975, 7) * sets.std(axis=1, ddof=1) / math.sqrt(8)
    middle = sets.mean(axis=1)
    assert covered(middle - reach, middle + reach, 1.0) == pytest.approx(0.90, abs=0.01)


@pytest.mark.parametrize("q", [0.1, 0.9])
def test_tails__are_covered_from_the_fewest_values_on(q):
    """The 10 and 90 % quantiles of 36 values, the fewest that support them."""
    assert needed(q) == 36
    sets = np.sort(np.random.default_rng(4).exponential(size=(SETS, 36)), axis=1)
    assert is_right(covered(*quantile_intervals(sets, q), -math.log(1 - q)))


def test_interval__by_hand():
    """Of eight values the second lies above the median in 9 of 256 cases, the first in 1; 6.4 lie below 2.5 %.

    I = (6.4 - 1) / (9 - 1) of the way in chance, so odds of 7 * 5.4 / (1 * 2.6), and 0.9356 of the way in value.
    """
    odds = 7 * 5.4 / 2.6
    part = odds / (1 + odds)
    low, high = quantile_interval(np.arange(1.0, 9.0), 0.5)
    assert (low, high) == pytest.approx((1 + part, 8 - part))


def test_ranks__equal_those_of_exact_binomials():
    """The bounds lie between the order statistics that scipy's exact test takes and the next ones inward."""
    rng = np.random.default_rng(6)
    for size in (6, 39, 400, 5_000):
        values = np.sort(rng.normal(size=size))
        outer = stats.quantile_test(values, p=0.5).confidence_interval(LEVEL)
        low, high = quantile_interval(values, 0.5)
        below = int(np.searchsorted(values, outer.low))
        above = int(np.searchsorted(values, outer.high))
        assert values[below] <= low <= values[below + 1]
        assert values[above - 1] <= high <= values[above]


def test_equal_values__have_a_point():
    """Whatever listings are drawn from equal ones, the median is theirs."""
    found = median_estimate([0.9] * 7)
    assert (found.value, found.low, found.high, found.why) == (
        0.9,
        pytest.approx(0.9),
        pytest.approx(0.9),
        "",
    )


@pytest.mark.parametrize(
    ("q", "least"), [(0.5, 6), (0.9, 36), (0.1, 36), (0.99, 368), (0.999, 3_688), (0.9999, 36_887)]
)
def test_needed__is_where_the_extremes_hold_the_quantile(q, least):
    """All n values lie on one side with chance q**n, which may be 2.5 % at most."""
    assert needed(q) == least
    assert max(q, 1 - q) ** least <= 0.025 < max(q, 1 - q) ** (least - 1)


def test_unsupported__is_refused_with_the_reason():
    """Five values have a median but no interval; a quantile that they do not support is no figure at all."""
    five = median_estimate([1, 2, 3, 4, 5], what="listing")
    assert (five.value, math.isnan(five.low)) == (3, True)
    assert five.why == "5 listings cannot bound the median at 95 %; 6 can"
    tail = quantile_estimate(np.arange(35.0), 0.9)
    assert math.isnan(tail.value)
    assert tail.why == "35 values cannot bound the 0.9 quantile at 95 %; 36 can"
    assert quantile_estimate(np.arange(36.0), 0.9).why == ""
    assert median_estimate([2.0], what="listing").why.startswith("1 listing cannot")


def test_level__widens_and_narrows():
    """A surer interval holds a less sure one, and takes more values."""
    values = np.arange(30.0)
    bounds = [quantile_interval(values, 0.5, level) for level in (0.5, 0.8, 0.95, 0.99)]
    assert all(
        inner.low > outer.low and inner.high < outer.high for inner, outer in itertools.pairwise(bounds)
    )
    assert needed(0.5, 0.99) == 8


def test_share__has_a_width_where_nobody_loses():
    """Nobody of 39: score bound z^2 / (n + z^2); one of 39: at least the Poisson bound -ln(0.95) / 39; and mirrored."""
    z2 = stats.norm.ppf(0.975) ** 2
    assert share_interval(0, 39) == pytest.approx((0, z2 / (39 + z2)))
    assert share_interval(1, 39).low == pytest.approx(-math.log(0.95) / 39)
    assert share_interval(2, 39).low == pytest.approx(stats.chi2.ppf(0.05, 4) / 2 / 39)
    for hits in range(40):
        low, high = share_interval(hits, 39)
        assert 0 <= low <= hits / 39 <= high <= 1
        mirrored = share_interval(39 - hits, 39)
        assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-12)
