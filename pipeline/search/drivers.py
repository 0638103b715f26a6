"""Which axes drive a value: its variance by classes of an axis, and rank correlation. Pure.

Counted on points that fill the space evenly: those that an optimiser asks for lie where values are high.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.plan import derived_seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

CLASSES = 8  # of an axis of numbers, equally many points in each
_POINTS_A_CLASS = 8
_SHUFFLES = 200
_SURE = 0.95


class Driver(NamedTuple):
    """What one axis does to the value.

    Parameters
    ----------
    label : str
        The axis.
    share : float or None
        Share of the variance that the axis explains by itself, 0 to 1: epsilon squared, the correlation ratio less what
        chance adds to it. None where the value is always the same or classes have too few points.
    chance : float or None
        The share that 95 % of shuffled values stay below.
    rank : float or None
        Spearman's rank correlation of axis and value, -1 to 1; None for words.
    points : int
        Those that have the axis and a value.

    Source: T. L. Kelley, An Unbiased Correlation Ratio Measure, PNAS 21 (1935) 554-559.
    """

    label: str
    share: float | None
    chance: float | None
    rank: float | None
    points: int


def drivers(points: Sequence[tuple[Mapping[str, Any], float]], ordered: Mapping[str, bool]) -> list[Driver]:
    """Return what each axis does, the strongest first.

    Parameters
    ----------
    points : sequence of (dict, float)
        Label -> code of the axes that a point has, and its value, finite.
    ordered : dict
        Label -> whether codes are numbers whose order means something.
    """
    found = []
    for label, numbers in ordered.items():
        mine = [(at[label], value) for at, value in points if label in at]
        codes = pd.Series([code for code, _ in mine], dtype="float64" if numbers else "object")
        found.append(_driver(label, codes, np.array([value for _, value in mine]), numbers=numbers))
    return sorted(found, key=lambda driver: -1.0 if driver.share is None else driver.share, reverse=True)


def _driver(label: str, codes: pd.Series[Any], heights: npt.NDArray[np.float64], *, numbers: bool) -> Driver:
    """Return what one axis does."""
    count = len(heights)
    if count < 2 or np.ptp(heights) == 0 or codes.nunique() < 2:
        return Driver(label, None, None, None, count)
    rank = _correlation(codes, heights) if numbers else None
    classes = _classes(codes, numbers=numbers)
    if count < 2 * (classes.max() + 1):
        return Driver(label, None, None, rank, count)
    rng = np.random.default_rng(derived_seed(label))
    shuffled = [_share(classes, rng.permutation(heights)) for _ in range(_SHUFFLES)]
    chance = float(np.quantile(shuffled, _SURE))
    return Driver(label, _share(classes, heights), chance, rank, count)


def _classes(codes: pd.Series[Any], *, numbers: bool) -> npt.NDArray[np.int64]:
    """Return the class of each point: its value, or of many numbers an eighth of them, or fewer larger parts."""
    most = min(CLASSES, max(2, len(codes) // _POINTS_A_CLASS))
    if numbers and codes.nunique() > most:
        # Equal numbers stay together, so that a class may be empty: count those that are not.
        codes = ((codes.rank() - 0.5) * most // len(codes)).clip(0, most - 1)
    return pd.factorize(codes)[0].astype(np.int64)


def _share(classes: npt.NDArray[np.int64], heights: npt.NDArray[np.float64]) -> float:
    """Return epsilon squared: 1 less the variance within classes by the variance, both without bias; at least 0."""
    counts = np.bincount(classes)
    means = np.bincount(classes, heights) / counts
    within = float(((heights - means[classes]) ** 2).sum()) / (len(heights) - len(counts))
    return max(0.0, 1.0 - within / float(heights.var(ddof=1)))


def _correlation(codes: pd.Series[Any], heights: npt.NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation."""
    ranks = codes.rank().to_numpy(), pd.Series(heights).rank().to_numpy()
    return float(np.corrcoef(*ranks)[0, 1])
