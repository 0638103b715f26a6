"""What is sure of a figure over listings: bounds of it when as many listings are drawn again from those at hand.

One listing is one machine, and one user. Ratios on one trace carry no noise; which listings are at hand does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

RESAMPLED = 2_000  # times that as many values are drawn again
SURE = 0.90  # share of the samples that lie between the bounds
_TAILS = ((1 - SURE) / 2, (1 + SURE) / 2)
_DEVIATIONS = 1.6449  # standard deviations on each side of a normal mean that hold SURE of it


class Interval(NamedTuple):
    """Bounds of a figure."""

    low: float
    high: float


def resampled(values: npt.NDArray[np.float64], quantiles: Sequence[float]) -> list[Interval]:
    """Return for each quantile the bounds of SURE of it in samples of as many values, drawn again from these.

    The draws are always the same ones, so equal values in an equal order give equal bounds.
    """
    drawn = np.random.default_rng(0).integers(0, len(values), (RESAMPLED, len(values)))
    found = np.quantile(values[drawn], quantiles, axis=1)
    return [Interval(*bounds) for bounds in np.quantile(found, _TAILS, axis=1).T.tolist()]


def share_bounds(hits: int, of: int, deviations: float = _DEVIATIONS) -> Interval:
    """Return the bounds of a share that was found in ``hits`` of at least one draws, SURE of the time.

    ``deviations`` are those of a normal mean that hold it as often as the bounds are to.

    Samples drawn again from nothing but misses are misses, as if none could ever hit; so the score interval is taken,
    which has a width there as well.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927), 209-212.
    """
    z2 = deviations**2
    middle = (hits + z2 / 2) / (of + z2)
    reach = deviations / (of + z2) * math.sqrt(hits * (of - hits) / of + z2 / 4)
    return Interval(
        0.0 if hits == 0 else middle - reach,
        1.0 if hits == of else middle + reach,
    )
