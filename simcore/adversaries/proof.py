"""Does an adversary reach the exhaustive maximum? The two side by side, on tiny geometry."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simcore.adversaries.constructed import ADVERSARIES, Size
from simcore.adversaries.exhaustive import Declared, search
from simcore.geometry import tiny_geometry
from simcore.simulate import simulate

if TYPE_CHECKING:
    from simcore.adversaries.constructed import Adversary
    from simcore.adversaries.costs import Cost
    from simcore.adversaries.exhaustive import Found, Maximum
    from simcore.designs import Design
    from simcore.geometry import Geometry

ENTRIES, LEVELS = 4, 2
TABLES = 2


class Evidence(NamedTuple):
    """One cost of one adversary under one design.

    Parameters
    ----------
    adversary, design : str
        Names.
    cost : Cost
        What is worst.
    value : float
        Of the adversary's trace.
    maximum : Maximum
        Of all traces that were declared.
    declared : Declared
        Which those are.
    found : Found
        How many they are.
    """

    adversary: str
    design: str
    cost: Cost
    value: float
    maximum: Maximum
    declared: Declared
    found: Found

    @property
    def proven(self) -> bool:
        """Whether no trace is worse; values of one cost model are sums of the same products in another order."""
        return abs(self.maximum.value - self.value) <= 1e-9 * max(1.0, self.value)


def evidence(
    design: Design,
    adversaries: tuple[Adversary, ...] = tuple(ADVERSARIES.values()),
    processes: int = 2,
    geometry: Geometry | None = None,
) -> list[Evidence]:
    """Return what adversaries come to under a design, beside the maximum of every trace.

    Traces have 2 processes - 1 events behind the mappings, or as many as the longest of the adversaries. Costs with the
    same alphabet are searched together.

    Parameters
    ----------
    design : Design
        Any row.
    adversaries : tuple of Adversary
        Which.
    processes : int
        2 takes a second, 3 a minute. A design that links only for parents with more tables than some number gets at
        least 3: its dearest fork may be one of two.
    geometry : Geometry, optional
        Tables of 4 entries, two levels, if none is given.
    """
    shape = geometry or tiny_geometry(ENTRIES, LEVELS)
    more_than = design.more_than or 0
    size = Size(max(TABLES, more_than + 1), max(processes, 3 if more_than else 2))
    found = []
    for alphabet in dict.fromkeys((each.ends, each.pressed) for each in adversaries):
        chosen = [each for each in adversaries if (each.ends, each.pressed) == alphabet]
        length = max(2 * processes - 1, *(each.events(design, size, shape) for each in chosen))
        declared = Declared(size, shape, length, *alphabet)
        costs = tuple(cost for each in chosen for cost in each.costs)
        result = search(declared, design, costs)
        for each in chosen:
            run = simulate(each.trace(design, size, shape), design, shape)
            found += [
                Evidence(
                    each.name,
                    design.name,
                    cost,
                    cost.of(run, design),
                    result.maxima[cost.name],
                    declared,
                    result,
                )
                for cost in each.costs
            ]
    return found
