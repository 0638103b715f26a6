"""What a plan will take, measured on a few of its cells just now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from pipeline.sweep import jobs_of
from pipeline.work import run_batch, warm_up

if TYPE_CHECKING:
    from pipeline.plan import Plan
    from pipeline.work import CellFailure, Job

MAX_SAMPLES = 12  # traces
MAX_SECONDS = 5.0


class Estimate(NamedTuple):
    """What the cells that are left will take.

    Parameters
    ----------
    core_seconds : float or None
        Of one core; None if it is not known because every cell that was tried failed.
    sampled_cells : int
        Cells that were simulated to know; those that failed are not among them.
    failures : list of CellFailure
        Of the cells that were tried.
    """

    core_seconds: float | None
    sampled_cells: int
    failures: list[CellFailure]


def estimate(plan: Plan, done: set[str]) -> Estimate:
    """Simulate a few cells and scale up.

    The samples go through the values of every axis at once, so that each value of the longest axis is met about
    equally often; cells done already are sampled too, for they cost the same. Interpreter start, compilation and
    the cluster are not counted.
    """
    left = len(plan.cells) - len(done)
    jobs = _samples(plan)
    if not left or not jobs:
        return Estimate(0.0, 0, [])
    warm_up()
    seconds, cells = 0.0, 0
    failures: list[CellFailure] = []
    began = time.perf_counter()
    for job in jobs:
        reply = run_batch([job])
        failures += reply.failures
        if reply.rows:
            seconds += reply.seconds
            cells += len(reply.rows)
        if time.perf_counter() - began > MAX_SECONDS:
            break
    return Estimate(seconds / cells * left if cells else None, cells, failures)


def _samples(plan: Plan) -> list[Job]:
    """Return the jobs to simulate: the i-th takes the i-th value of every axis, going round."""
    axes = [len(values) for values in plan.study["sweep"].values()]
    each = plan.study["replicates"] * len(plan.study["designs"])
    chosen: set[int] = set()
    for sample in range(min(MAX_SAMPLES, max(axes, default=1))):
        point = 0
        for length in axes:
            point = point * length + sample % length
        chosen.add(plan.cells[point * each].trace.seed)
    return [job for job in jobs_of(plan, set()) if job.seed in chosen]
