"""The highest value of a function on a unit cube: Sobol points, then differential evolution. Knows nothing of studies.

A round is a Sobol start and generations that evolve from its best points, by scipy, until they have converged; rounds
follow until the budget is spent. Every number comes from the seed and from the values, so the same function gives the
same points, and a budget that is larger begins with the same ones, from FULL_BUDGET on.

Source: R. Storn, K. Price, Differential Evolution, J. Global Optimization 11 (1997) 341-359.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.plan import derived_seed
from pipeline.sampling import SOBOL, unit_points

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import numpy.typing as npt

    Cube = npt.NDArray[np.float64]

METHOD = "Sobol points and differential evolution"
MIN_BUDGET, FULL_BUDGET = 8, 512
START, RESTART = 128, 64  # Sobol points of the first round, at most a quarter of the budget; of later ones
POPULATION = 24
# Of the difference between two points that is added to the best one; drawn anew each generation. Below scipy's own, 0.5
# to 1: a few hundred evaluations have to do.
MUTATION = (0.4, 0.9)
# A population whose values deviate by less than this share of the range of all values has converged. Not a share of their
# mean, as scipy has it: ratios lie around 1, however little they differ.
_CONVERGED = 0.01
_GENERATIONS = 10_000  # more than any budget takes
_IDLE_GENERATIONS = 8  # without a new point; the round is over
_BARREN_ROUNDS = 8  # without a new point; all there is has been found, or next to all


class Ledger:
    """What is known of a function: every point once, as many as the budget allows.

    Parameters
    ----------
    key : callable
        Of coordinates, a float64 row; points with equal keys are one point.
    ask : callable
        Gets the keys of new points and returns their values; -inf where there is none.
    budget : int
        Points that may be asked for.

    Attributes
    ----------
    values : dict
        Key -> value, in the order in which they were asked for.
    """

    def __init__(
        self,
        key: Callable[[Cube], Hashable],
        ask: Callable[[list[Any]], list[float]],
        budget: int,
    ) -> None:
        self._key = key
        self._ask = ask
        self._budget = budget
        self.values: dict[Any, float] = {}

    @property
    def left(self) -> int:
        """How many points may still be asked for."""
        return self._budget - len(self.values)

    def at(self, cube: Cube) -> Cube:
        """Return the values at coordinates, float64 [points, axes]; -inf for new points beyond the budget."""
        keys = [self._key(row) for row in cube]
        fresh = [key for key in dict.fromkeys(keys) if key not in self.values][: self.left]
        if fresh:
            self.values |= zip(fresh, self._ask(fresh), strict=True)
        return np.array([self.values.get(key, -np.inf) for key in keys])


def climb(ledger: Ledger, axes: int, seed: int) -> int:
    """Look for the highest value until the ledger's budget is spent; return how many points it began with, all Sobol's.

    Parameters
    ----------
    ledger : Ledger
        Filled.
    axes : int
        Coordinates, at least 1.
    seed : int
        Not negative.
    """
    start = min(START, 1 << (max(ledger.left // 4, MIN_BUDGET).bit_length() - 1))
    barren = number = even = 0
    while ledger.left and barren < _BARREN_ROUNDS:
        before = ledger.left
        cube = unit_points(SOBOL, axes, RESTART if number else start, derived_seed(f"{seed} {number}"))
        heights = ledger.at(cube)
        even = even or len(ledger.values)
        best = np.argsort(-heights, kind="stable")[:POPULATION]
        if ledger.left:
            _evolve(ledger, cube[best], derived_seed(f"{seed} {number} evolve"))
        barren = barren + 1 if ledger.left == before else 0
        number += 1
    return even


def _evolve(ledger: Ledger, population: Cube, seed: int) -> None:
    """Let a population evolve until it has converged, brings nothing new, or the budget is spent."""
    from scipy.optimize import differential_evolution  # noqa: PLC0415 - takes a second; only searches need it

    left, idle = ledger.left, 0
    known = [value for value in ledger.values.values() if np.isfinite(value)]

    def depths(columns: Cube) -> Cube:
        return -ledger.at(columns.T)

    def enough(intermediate_result: Any) -> bool:
        nonlocal left, idle
        del intermediate_result  # the name by which scipy asks for it
        idle = idle + 1 if ledger.left == left else 0
        left = ledger.left
        return not left or idle >= _IDLE_GENERATIONS

    differential_evolution(
        depths,
        [(0.0, 1.0)] * population.shape[1],
        init=population,
        maxiter=_GENERATIONS,
        tol=0.0,
        atol=_CONVERGED * (max(known) - min(known)) if known else 0.0,
        mutation=MUTATION,
        polish=False,
        updating="deferred",
        vectorized=True,
        rng=np.random.default_rng(seed),
        callback=enough,
    )
