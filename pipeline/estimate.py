"""What a plan will take: time, measured on a few of its cells just now, and memory, predicted without running them."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

from pipeline.lineup import known_designs
from pipeline.sweep import jobs_of
from pipeline.work import make_trace, run_batch, warm_up
from simcore import simulate as door
from simcore.engine.fast import MEMORY_LIMIT
from simcore.geometry import GEOMETRIES

if TYPE_CHECKING:
    from pipeline.plan import Plan
    from pipeline.work import CellFailure, Job

MAX_SAMPLES = 12  # traces
MAX_SECONDS = 5.0
NEAR = (
    8  # a run that comes within this factor of the limit lets every trace be looked at, as long as time lasts
)
_LIMIT = "LimitExceeded"


class Memory(NamedTuple):
    """What runs are predicted to need.

    Parameters
    ----------
    largest_bytes : int or None
        Of the cells looked at; None if there was none to look at.
    limit_bytes : int
        What one run may take; simcore refuses a trace that needs more, before its first event.
    cells : int
        Cells looked at.
    refused : list of (cell_id, bytes)
        Those of them over the limit, and what they would need.
    """

    largest_bytes: int | None
    limit_bytes: int
    cells: int
    refused: list[tuple[str, int]]


class Estimate(NamedTuple):
    """What the cells that are left will take.

    Parameters
    ----------
    core_seconds : float or None
        Of one core; None if it is not known because every cell that was tried failed.
    sampled_cells : int
        Cells that were simulated to know; those that failed are not among them.
    failures : list of CellFailure
        Of the cells that were tried, but for those that need too much memory.
    memory : Memory
        Of the same cells, and of others where it gets tight.
    """

    core_seconds: float | None
    sampled_cells: int
    failures: list[CellFailure]
    memory: Memory


def estimate(plan: Plan, done: set[str]) -> Estimate:
    """Simulate a few cells and scale up; predict the memory of their runs.

    The samples go through the values of every axis at once, so that each value of the longest axis is met about
    equally often; cells done already are sampled too, for they cost the same. Interpreter start, compilation and
    the cluster are not counted.
    """
    left = len(plan.cells) - len(done)
    jobs = _samples(plan) if left else []
    memory = _memory(plan, jobs)
    if not jobs:
        return Estimate(0.0, 0, [], memory)
    warm_up()
    seconds, cells = 0.0, 0
    failures: list[CellFailure] = []
    began = time.perf_counter()
    for job in jobs:
        reply = run_batch([job])
        failures += [failure for failure in reply.failures if failure.cause != _LIMIT]
        if reply.rows:
            seconds += reply.seconds
            cells += len(reply.rows)
        if time.perf_counter() - began > MAX_SECONDS:
            break
    return Estimate(seconds / cells * left if cells else None, cells, failures, memory)


def _memory(plan: Plan, jobs: list[Job]) -> Memory:
    """Return what the runs of some jobs need, and of all others as long as time lasts if one comes near the limit."""
    needs: dict[str, int] = {}
    for job in jobs:
        needs |= predicted(job)
    if max(needs.values(), default=0) * NEAR > MEMORY_LIMIT:
        began = time.perf_counter()
        tried = {job.seed for job in jobs}
        for job in jobs_of(plan, set()):
            if time.perf_counter() - began > MAX_SECONDS:
                break
            if job.seed not in tried:
                needs |= predicted(job)
    refused = [(cell_id, needed) for cell_id, needed in needs.items() if needed > MEMORY_LIMIT]
    return Memory(max(needs.values(), default=None), MEMORY_LIMIT, len(needs), refused)


def predicted(job: Job) -> dict[str, int]:
    """Return cell id -> bytes that its run needs; nothing if the trace cannot be made, which running it tells."""
    try:
        trace = make_trace(job)
    except Exception:  # noqa: BLE001 - whatever it is, the run fails of it and says why
        return {}
    designs, geometry = known_designs(job.own_designs), GEOMETRIES[job.geometry]
    return {cell_id: door.predicted_bytes(trace, designs[design], geometry) for cell_id, design in job.cells}


def _samples(plan: Plan) -> list[Job]:
    """Return the jobs to simulate: of each workload, the i-th takes the i-th value of every axis, going round."""
    each = plan.study["replicates"] * len(plan.study["designs"])
    grids = plan.study["grids"]
    chosen: set[int] = set()
    first = 0
    for grid in grids:
        axes = [len(entries) for entries in grid["sweep"].values()]
        for sample in range(min(max(1, MAX_SAMPLES // len(grids)), max(axes, default=1))):
            point = 0
            for length in axes:
                point = point * length + sample % length
            chosen.add(plan.cells[(first + point) * each].trace.seed)
        first += math.prod(axes)
    return [job for job in jobs_of(plan, set()) if job.seed in chosen]
