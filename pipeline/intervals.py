"""Intervals that cover what they promise for few values of any shape, and the reason where there is none.

A mean of eight values from a skewed distribution has no interval that covers 95 % whatever the shape: Student's covers
90 % of exponential samples. So figures over users are medians, other quantiles and shares, whose intervals rest on ranks
and counts alone: how many of n values lie below the true quantile is binomial, whatever they are. Pure;
``tests/unit/test_intervals.py`` simulates the coverage.
"""

from __future__ import annotations

import functools
import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.errors import counted
from pipeline.resampling import Interval, share_bounds

if TYPE_CHECKING:
    import numpy.typing as npt

LEVEL = 0.95  # of the intervals that nobody asked otherwise
FEWEST = 6  # values that bound a median at LEVEL: six are all on one side in one of 32 samples
_SMALL = 50  # values up to which two counts beside 0 have bounds of their own, see share_interval


class Estimate(NamedTuple):
    """A figure over values, its bounds, or the reason why it has none.

    Parameters
    ----------
    value, low, high : float
        NaN where ``why`` says so: all three of a quantile that the values do not support, the bounds of a median.
    why : str
        Empty if all three are there.
    """

    value: float
    low: float
    high: float
    why: str


def needed(q: float, level: float = LEVEL) -> int:
    """Return how many values it takes until the q-quantile, 0 < q < 1, lies between two of them ``level`` of the time.

    Of n values the highest lies below the quantile with chance q**n, the lowest above it with (1 - q)**n; neither may
    be more than half of what is left over.
    """
    return math.ceil(math.log((1 - level) / 2) / math.log(max(q, 1 - q)) - 1e-9)


def refusal(q: float, size: int, level: float = LEVEL, what: str = "value") -> str:
    """Return why ``size`` values do not support their q-quantile; empty if they do."""
    least = needed(q, level)
    if size >= least:
        return ""
    name = "the median" if q == 0.5 else f"the {q:.12g} quantile"
    return f"{counted(size, what)} cannot bound {name} at {100 * level:.4g} %; {least:,} can"


def median_estimate(values: npt.ArrayLike, level: float = LEVEL, what: str = "value") -> Estimate:
    """Return the median of at least one value, and its interval if there are enough of them.

    ``what`` is what the reason why there is none calls a value.
    """
    found = np.sort(np.asarray(values, np.float64))
    why = refusal(0.5, len(found), level, what)
    bounds = Interval(math.nan, math.nan) if why else quantile_interval(found, 0.5, level)
    return Estimate(float(np.median(found)), *bounds, why)


def quantile_estimate(values: npt.ArrayLike, q: float, level: float = LEVEL, what: str = "value") -> Estimate:
    """Return the q-quantile of values (linear between neighbours) and its interval, or the reason why not."""
    found = np.sort(np.asarray(values, np.float64))
    why = refusal(q, len(found), level, what)
    if why:
        return Estimate(math.nan, math.nan, math.nan, why)
    return Estimate(float(np.quantile(found, q)), *quantile_interval(found, q, level), "")


def quantile_interval(ordered: npt.NDArray[np.float64], q: float, level: float = LEVEL) -> Interval:
    """Return bounds of the q-quantile of values that are ascending, at least ``needed(q, level)``."""
    low, high = quantile_intervals(ordered[None, :], q, level)
    return Interval(float(low[0]), float(high[0]))


def quantile_intervals(
    ordered: npt.NDArray[np.float64], q: float, level: float = LEVEL
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return bounds of the q-quantile from the ranks of values, between two of which each is interpolated.

    Parameters
    ----------
    ordered : float64 [sets, n]
        Each row ascending, n at least ``needed(q, level)``.
    q : float in (0, 1)
        0.5 is the median.
    level : float in (0, 1)
        Which share of such intervals is to hold the true quantile.

    Returns
    -------
    low, high : float64 [sets]

    Source: T. P. Hettmansperger and S. J. Sheather, "Confidence intervals based on interpolated order statistics",
    Statistics & Probability Letters 4 (1986), 75-79, for the median; J. Nyblom, "Note on interpolated order
    statistics", Statistics & Probability Letters 14 (1992), 129-131, for other quantiles.
    """
    size = ordered.shape[1]
    below, part = _rank(size, q, (1 - level) / 2)
    above, other = _rank(size, 1 - q, (1 - level) / 2)
    low = ordered[:, below - 1] * (1 - part) + ordered[:, below] * part
    high = ordered[:, size - above] * (1 - other) + ordered[:, size - above - 1] * other
    return low, high


@functools.lru_cache(maxsize=4096)
def _rank(size: int, q: float, tail: float) -> tuple[int, float]:
    """Return between which rank (from 1) and its successor the lower bound lies, and how far from the former."""
    reached = _binomial_tails(size, q)  # [i]: chance that the value of rank i + 1 lies above the quantile
    rank = int(np.searchsorted(reached, tail, side="right"))
    if rank >= size:
        return size - 1, 1.0
    short, beyond = tail - reached[rank - 1], reached[rank] - tail
    odds = (size - rank) * q * short / (rank * (1 - q) * beyond) if beyond > 0 else math.inf
    return rank, float(odds / (1 + odds)) if math.isfinite(odds) else 1.0


def _binomial_tails(size: int, q: float) -> npt.NDArray[np.float64]:
    """Return the chance that at most i of ``size`` values lie below their q-quantile, for i from 0, float64 [size]."""
    hits = np.arange(size - 1)
    steps = np.log((size - hits) / (hits + 1)) + math.log(q / (1 - q))
    logs = size * math.log1p(-q) + np.concatenate([[0.0], np.cumsum(steps)])
    tails: npt.NDArray[np.float64] = np.minimum(np.cumsum(np.exp(logs)), 1.0)
    return tails


def share_interval(hits: int, of: int, level: float = LEVEL) -> Interval:
    """Return bounds of a share that was found in ``hits`` of at least one values: the score interval, mended.

    Next to 0 and to 1 the score interval covers 83 % of some shares; there bounds from the Poisson distribution are
    taken, which lift that to 91 %. No interval from whole counts covers 95 % of every share; over all shares this one
    covers 95 to 97 % from FEWEST values on.

    Source: L. D. Brown, T. T. Cai and A. DasGupta, "Interval estimation for a binomial proportion", Statistical Science
    16 (2001), 101-133, section 4.1.1.
    """
    low, high = share_bounds(hits, of, NormalDist().inv_cdf((1 + level) / 2))
    most = 2 if of <= _SMALL else 3
    if 1 <= hits <= most:
        low = min(low, _poisson_bound(hits, level) / of)
    if 1 <= of - hits <= most:
        high = max(high, 1 - _poisson_bound(of - hits, level) / of)
    return Interval(low, high)


@functools.lru_cache(maxsize=256)
def _poisson_bound(hits: int, level: float) -> float:
    """Return the mean of a Poisson distribution that gives fewer than ``hits`` with chance ``level``."""
    low, high = 0.0, float(hits)
    for _ in range(60):
        mean = (low + high) / 2
        fewer = math.exp(-mean) * sum(mean**count / math.factorial(count) for count in range(hits))
        low, high = (mean, high) if fewer > level else (low, mean)
    return low
