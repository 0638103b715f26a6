"""What a fork of a described process takes under each design."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.calibration.described import EXEC, forking
from simcore.acts import ACT, EVENT_KIND
from simcore.designs import DESIGNS
from simcore.simulate import levels, start

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pipeline.calibration.described import Process
    from simcore.costs import CostModel
    from simcore.designs import Design
    from simcore.geometry import Geometry
    from simcore.result import Result

BASELINE = "mainline"
# What could run on a 64-bit machine of today: as it is, and with tables shared.
USUAL = (
    "mainline",
    "phillips",
    "phillips_mark",
    "linus_pmd",
    "odf",
    "cow_pte",
    "cow_pte_v5",
    "async_fork",
    "vfork",
)
_FORK, _FAULTS, _CHILD = ("fork", "vfork"), ("write_fault", "read_fault"), ("deferred_copy", "exec", "exit")


class Prediction(NamedTuple):
    """What a design takes for the fork and all that follows from it.

    Parameters
    ----------
    design : str
        Its name.
    fork_ns : float
        The parent's fork: so long it stands still.
    fork_interval : (float, float) or None
        What ``fork_ns`` is at the lower and at the upper ends of all costs' intervals; None where they have none.
    faults_ns, faults, slowest_ns : float, int, float
        The faults after the fork, the parent's and the child's: in all, how many, the slowest one.
    child_ns : float
        Copies that the child makes before it runs, its exec and its exit.
    table_bytes : int
        Page tables at their peak beyond those that there were before the fork.
    flushes : int
        TLB flushes, of pages, ranges and mms, from the fork on.
    """

    design: str
    fork_ns: float
    fork_interval: tuple[float, float] | None
    faults_ns: float
    faults: int
    slowest_ns: float
    child_ns: float
    table_bytes: int
    flushes: int

    @property
    def all_ns(self) -> float:
        """Everything from the fork on."""
        return self.fork_ns + self.faults_ns + self.child_ns


def predict(process: Process, names: Sequence[str], model: CostModel, geometry: Geometry) -> list[Prediction]:
    """Return what each design takes; ``vfork`` is left out where the child does not exec.

    Raises
    ------
    TraceRefused, LimitExceeded
        The process is too large.
    """
    told = forking(process, geometry)
    found = []
    for name in names:
        design = DESIGNS[name]
        if design.creation == "vfork" and process.child != EXEC:
            continue
        machine = start(told.trace, design, geometry)
        machine.run(told.before)
        before, tables = machine.result(), levels(machine)["pgtable_bytes"]
        machine.run()
        found.append(_prediction(design, before, machine.result(), tables, model))
    return found


def _prediction(design: Design, before: Result, after: Result, tables: int, model: CostModel) -> Prediction:
    """Return what happened between two results, priced."""
    kinds, times, acts = _between(before, after)
    ns = model.ns(acts, design.rmap)

    def all_of(names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
        return np.isin(kinds, [EVENT_KIND[name] for name in names])

    sums = {names: float(ns[all_of(names)] @ times[all_of(names)]) for names in (_FORK, _FAULTS, _CHILD)}
    flushes = [index for act, index in ACT.items() if act.startswith("tlb_flush_")]
    slow = ns[all_of(_FAULTS)]
    return Prediction(
        design.name,
        sums[_FORK],
        _interval(times[all_of(_FORK)] @ acts[all_of(_FORK)], design, model),
        sums[_FAULTS],
        int(times[all_of(_FAULTS)].sum()),
        float(slow.max(initial=0.0)),
        sums[_CHILD],
        max(0, after.counts()["pgtable_bytes_max"] - tables),
        int((times @ acts)[flushes].sum()),
    )


def _interval(acts: npt.NDArray[np.int64], design: Design, model: CostModel) -> tuple[float, float] | None:
    """Return the time of acts at both ends of the costs' intervals."""
    costs = model.under(design.rmap)
    if not any(cost.interval for cost in costs.values()):
        return None
    low, high = (
        sum(
            int(acts[ACT[act]]) * (cost.interval[end] if cost.interval else cost.ns)
            for act, cost in costs.items()
        )
        for end in (0, 1)
    )
    return low, high


def _between(
    before: Result, after: Result
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return kinds, times and acts of what happened between two results of one run."""
    rows: dict[tuple[int, ...], int] = {}
    for sign, result in ((1, after), (-1, before)):
        told = result.vectors
        for kind, times, acts in zip(told.kinds, told.times, told.acts, strict=True):
            key = (int(kind), *map(int, acts))
            rows[key] = rows.get(key, 0) + sign * int(times)
    left = [(*key, times) for key, times in rows.items() if times]
    table = np.array(left, np.int64).reshape(len(left), 2 + len(ACT))
    return table[:, 0], table[:, -1], table[:, 1:-1]
