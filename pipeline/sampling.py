"""Points in a unit cube that fill it evenly, Latin hypercube and Sobol, and the values that they stand for. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

LATIN_HYPERCUBE, SOBOL = "latin-hypercube", "sobol"
METHODS = {
    LATIN_HYPERCUBE: "each axis is cut in as many slices as there are points, and each slice has one point",
    SOBOL: "a scrambled Sobol sequence; the number of points is a power of two, where it is balanced",
}

_DIGITS = 6  # of sampled fractions: nobody means more, and they are read in tables


class Scale(NamedTuple):
    """What an axis goes through as a number goes from 0 to 1: a list, or a range.

    Parameters
    ----------
    choices : tuple
        The list; () for a range.
    low, high : float
        Ends of the range, both in it.
    whole : bool
        Whether it is one of whole numbers; each end is as likely as its neighbours.
    log : bool
        Whether equal steps are equal ratios; ``low`` is above 0 then.
    """

    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 1.0
    whole: bool = False
    log: bool = False

    def code(self, u: float) -> Any:
        """Return the number of an entry of the list, or a value of the range; ``u`` in [0, 1)."""
        if self.choices:
            return int(u * len(self.choices))
        top = self._top
        found = self.low * (top / self.low) ** u if self.log else self.low + u * (top - self.low)
        if self.whole:
            return min(int(found), int(self.high))
        return 0.0 if found == 0 else round(found, _DIGITS - 1 - math.floor(math.log10(abs(found))))

    def value(self, u: float) -> Any:
        """Return the value at ``u`` in [0, 1)."""
        return self.meant(self.code(u))

    def meant(self, code: Any) -> Any:
        """Return the value that a code stands for."""
        return self.choices[code] if self.choices else code

    def at(self, code: float) -> float:
        """Return the middle of all ``u`` whose code this is."""
        if self.choices:
            return (code + 0.5) / len(self.choices)
        middle = min(code + 0.5, self._top) if self.whole else code
        if self.log:
            return math.log(middle / self.low) / math.log(self._top / self.low)
        return (middle - self.low) / (self._top - self.low)

    @property
    def levels(self) -> int | None:
        """How many values there are; None for a range of fractions."""
        if self.choices:
            return len(self.choices)
        return int(self.high) - int(self.low) + 1 if self.whole else None

    @property
    def _top(self) -> float:
        """Where ``u`` = 1 would be."""
        return self.high + 1 if self.whole else self.high


def unit_points(method: str, axes: int, points: int, seed: int) -> npt.NDArray[np.float64]:
    """Return points in [0, 1): float64 [points, axes], equal for equal arguments.

    Parameters
    ----------
    method : str
        A key of METHODS; with ``sobol``, ``points`` has to be a power of two.
    axes, points : int
        At least 1.
    seed : int
        Not negative.
    """
    from scipy.stats import qmc  # noqa: PLC0415 - takes a second; only studies that sample need it

    make = {LATIN_HYPERCUBE: qmc.LatinHypercube, SOBOL: qmc.Sobol}[method]
    found: npt.NDArray[np.float64] = make(axes, rng=np.random.default_rng(seed)).random(points)
    return np.minimum(found, np.nextafter(1.0, 0.0))
