"""What is sure of a figure over listings: bounds of it when as many listings are drawn again from those at hand.

One listing is one machine, and one user. Ratios on one trace carry no noise; which listings are at hand does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

RESAMPLED = 2_000  # times that as many values are drawn again
SURE = 0.90  # share of the samples that lie between the bounds
_TAILS = ((1 - SURE) / 2, (1 + SURE) / 2)
_DEVIATIONS = 1.6449  # standard deviations on each side of a normal mean that hold SURE of it


class Interval(NamedTuple):
    """Bounds of a figure."""

    low: float
    high: float


class Spread(NamedTuple):
    """How the ratios of one design to another lie over listings.

    Parameters
    ----------
    listings : int
        How many there are, at least 1.
    median, p10, p90 : float
        Quantiles over listings, linear between neighbours.
    interval : Interval or None
        Of the median, see ``resampled``; None for a single listing, of which nothing can be drawn again.
    worst : str or None
        The listing with the highest ratio, the first by name among equals; None if all several are alike.
    highest : float
        The highest ratio.
    losing : float
        Share of the listings above the limit.
    losing_interval : Interval or None
        Of that share, see ``share_bounds``; None for a single listing.
    """

    listings: int
    median: float
    p10: float
    p90: float
    interval: Interval | None
    worst: str | None
    highest: float
    losing: float
    losing_interval: Interval | None


def spread(ratios: Mapping[str, float], limit: float) -> Spread:
    """Return how ratios lie over listings, whatever their order.

    Parameters
    ----------
    ratios : mapping of str to float
        Listing -> finite ratio; at least one.
    limit : float
        A ratio above it is a loss.
    """
    values = np.sort(np.array(list(ratios.values()), np.float64))
    lost = int((values > limit).sum())
    p10, median, p90 = np.quantile(values, [0.1, 0.5, 0.9]).tolist()
    several = len(values) > 1
    alike = several and values[0] == values[-1]
    return Spread(
        listings=len(values),
        median=median,
        p10=p10,
        p90=p90,
        interval=resampled(values, [0.5])[0] if several else None,
        worst=None if alike else min(ratios, key=lambda name: (-ratios[name], name)),
        highest=float(values[-1]),
        losing=lost / len(values),
        losing_interval=share_bounds(lost, len(values)) if several else None,
    )


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
