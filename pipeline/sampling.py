"""Points in a unit cube that fill it evenly: Latin hypercube and Sobol. The only import of scipy. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

LATIN_HYPERCUBE, SOBOL = "latin-hypercube", "sobol"
METHODS = {
    LATIN_HYPERCUBE: "each axis is cut in as many slices as there are points, and each slice has one point",
    SOBOL: "a scrambled Sobol sequence; the number of points is a power of two, where it is balanced",
}


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
