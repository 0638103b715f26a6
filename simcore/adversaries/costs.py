"""What can be worst: costs of one event, of a run, and levels, each a number that a result gives.

Times are those of a cost model. What an event costs by itself, whatever it finds (the system call, the task), is the same
under every design, as all run one trace; ``total`` leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from simcore.acts import ACT, ACTS, EVENT_KINDS
from simcore.costs import COST_MODELS

if TYPE_CHECKING:
    from simcore.designs import Design
    from simcore.events import IntArray
    from simcore.result import Result

FAULTS = ("read_fault", "write_fault")
COPYING = ("fork", "deferred_copy", *FAULTS)
OF_EVENTS = ("forks", "vforks", "execs", "exits", "mmaps", "munmaps", "mprotects", "madvises", "reclaims")
VISITS = ("ptes_visited_fork", "ptes_visited_unshare")
PGTABLE_BYTES = "pgtable_bytes_max"


@dataclass(frozen=True)
class Cost:
    """One number that an adversary makes as high as it can be.

    Parameters
    ----------
    name, unit, meaning : str
        For tables.
    kinds : tuple of str
        Kinds of events whose act vectors count; none for a gauge.
    acts : tuple of str
        Acts that are counted; none where a cost model weighs them.
    model : str
        Cost model that weighs the acts, if any.
    of_events : bool
        Whether what events cost by themselves counts.
    summed : bool
        Over the run; else the dearest event.
    """

    name: str
    unit: str
    meaning: str
    kinds: tuple[str, ...]
    acts: tuple[str, ...] = ()
    model: str = ""
    of_events: bool = True
    summed: bool = False

    @property
    def is_gauge(self) -> bool:
        """Whether it is the highest level of page-table memory, not a cost of events."""
        return not self.kinds

    def weights(self, design: Design) -> npt.NDArray[np.float64]:
        """Return what each act counts under a design, float64 [len(ACTS)]."""
        if not self.model:
            return np.array([float(act.name in self.acts) for act in ACTS])
        found = COST_MODELS[self.model].vector(design.rmap).copy()
        if not self.of_events:
            found[[ACT[act] for act in OF_EVENTS]] = 0
        return found

    def of(self, result: Result, design: Design) -> float:
        """Return the cost of a run."""
        if self.is_gauge:
            return float(result.counts()[PGTABLE_BYTES])
        vectors = result.vectors
        chosen = np.isin(vectors.kinds, [EVENT_KINDS.index(kind) for kind in self.kinds])
        values = vectors.acts[chosen] @ self.weights(design)
        return float(vectors.times[chosen] @ values) if self.summed else float(values.max(initial=0))


def _times(name: str, what: str, kinds: tuple[str, ...], *, total: bool = False) -> tuple[Cost, ...]:
    """Return a time under each cost model."""
    return tuple(
        Cost(f"{name}_ns {model}", "ns", what, kinds, (), model, not total, total) for model in COST_MODELS
    )


FORK_COSTS = (
    *_times("fork", "time of the dearest fork", ("fork",)),
    Cost("fork_ptes", "ptes", "most ptes that one fork looks at", ("fork",), ("ptes_visited_fork",)),
)
FAULT_COSTS = (
    *_times("fault", "time of the dearest fault", FAULTS),
    Cost(
        "fault_ptes", "ptes", "most ptes that one fault copies a table of", FAULTS, ("ptes_visited_unshare",)
    ),
)
TOTAL_COSTS = _times("total", "time of all that the events find to do", EVENT_KINDS, total=True)
VISIT_COSTS = (
    Cost(
        "total_ptes",
        "ptes",
        "ptes that forks, faults and children that copy late look at",
        COPYING,
        VISITS,
        summed=True,
    ),
)
BYTES_COSTS = (Cost("pgtable_bytes_max", "bytes", "highest memory in page tables", ()),)
REACH_COSTS = (
    Cost(
        "tlb_reach",
        "mms",
        "mms that the TLB flushes of one event reach, summed",
        EVENT_KINDS,
        ("tlb_mms_reached",),
    ),
)


class Weighing:
    """Several costs of act vectors at once, for many of them.

    Parameters
    ----------
    costs : sequence of Cost
        No gauges.
    design : Design
        Under which.
    """

    def __init__(self, costs: tuple[Cost, ...], design: Design) -> None:
        self.costs = costs
        self.summed = np.array([cost.summed for cost in costs], np.bool_)
        self._weights = np.array([cost.weights(design) for cost in costs]).T
        self._counts = np.array([[kind in cost.kinds for cost in costs] for kind in EVENT_KINDS], np.float64)

    def of(self, rows: IntArray) -> npt.NDArray[np.float64]:
        """Return the costs of one event, float64 [len(costs)]; ``rows`` as ``BranchingEngine.after`` gives them."""
        values = (rows[:, 2:] @ self._weights) * self._counts[rows[:, 0]]
        found: npt.NDArray[np.float64] = np.where(self.summed, rows[:, 1] @ values, values.max(axis=0))
        return found
