"""What a worker runs: a batch of cells -> rows. Pure, and it imports nothing but numpy and the simulator.

A trace is made once and run under every design that is asked for. A cell that fails does not stop the others.
"""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.lineup import known_designs
from simcore.errors import SimcoreError
from simcore.geometry import GEOMETRIES
from simcore.simulate import simulate, warm_up
from simcore.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable

    from simcore.events import IntArray, Trace
    from simcore.result import Result

__all__ = ["CellFailure", "CellRow", "Job", "Reply", "run_batch", "warm_up"]


class Job(NamedTuple):
    """One trace and the cells that it serves.

    Parameters
    ----------
    workload, geometry : str
        Names.
    params : dict
        Every parameter of the workload.
    seed : int
        Of the trace's random generator.
    cells : tuple of (cell_id, design)
        What to run the trace under.
    own_designs : dict
        What the names of ``cells`` mean that are no shipped designs, see ``pipeline.lineup.frozen``.
    """

    workload: str
    params: dict[str, Any]
    geometry: str
    seed: int
    cells: tuple[tuple[str, str], ...]
    own_designs: dict[str, dict[str, Any]]


class CellRow(NamedTuple):
    """The counts of one cell, as plain arrays.

    Parameters
    ----------
    cell_id : str
        Of the plan.
    events, touches : int
        Of the trace.
    acts, gauges : int64 arrays
        In the order of ACTS and GAUGES.
    kinds, times : int64 [k]
        Event kind and multiplicity of each distinct act vector.
    starts : int64 [k + 1]
        Vector ``i`` has the acts ``act[starts[i]:starts[i + 1]]`` and so often: ``n[starts[i]:starts[i + 1]]``.
    act, n : int64 [m]
        Index into ACTS, and the count, never 0.
    """

    cell_id: str
    events: int
    touches: int
    acts: IntArray
    gauges: IntArray
    kinds: IntArray
    times: IntArray
    starts: IntArray
    act: IntArray
    n: IntArray


class CellFailure(NamedTuple):
    """A cell without a row: the exception's name, its message, and a traceback unless the cell was refused."""

    cell_id: str
    cause: str
    message: str
    traceback: str


class Reply(NamedTuple):
    """What a batch gave: a row or a failure for each cell, and the seconds that it took."""

    rows: list[CellRow]
    failures: list[CellFailure]
    seconds: float


def run_batch(jobs: list[Job], begin: Callable[[str], None] = lambda _: None) -> Reply:
    """Simulate the cells of some traces; ``begin`` is told of each cell that it begins."""
    start = time.perf_counter()
    reply = Reply([], [], 0.0)
    for job in jobs:
        _run_job(job, reply, begin)
    return reply._replace(seconds=time.perf_counter() - start)


def _run_job(job: Job, reply: Reply, begin: Callable[[str], None]) -> None:
    """Add a row or a failure for each cell of one trace; making the trace is the first cell's matter."""
    begin(job.cells[0][0])
    try:
        trace = make_trace(job)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the other traces of the batch can be run
        # A workload refuses parameters that do not fit together with a ValueError.
        reply.failures.extend(
            _failure(cell_id, error, (SimcoreError, ValueError)) for cell_id, _ in job.cells
        )
        return
    designs = known_designs(job.own_designs)
    for cell_id, design in job.cells:
        begin(cell_id)
        try:
            result = simulate(trace, designs[design], GEOMETRIES[job.geometry])
            reply.rows.append(row_of(cell_id, result))
        except Exception as error:  # noqa: BLE001 - as above, the other cells
            reply.failures.append(_failure(cell_id, error, (SimcoreError,)))


def make_trace(job: Job) -> Trace:
    """Return the trace of a job: the same for equal parameters, geometry and seed, on any machine."""
    rng = np.random.default_rng(job.seed)
    return WORKLOADS[job.workload].make(job.params, GEOMETRIES[job.geometry], rng)


def row_of(cell_id: str, result: Result) -> CellRow:
    """Return a result without the zeros of its act vectors."""
    vectors = result.vectors
    which, act = np.nonzero(vectors.acts)
    starts = np.searchsorted(which, np.arange(len(vectors.times) + 1))
    return CellRow(
        cell_id,
        int(result.events),
        int(result.touches),
        result.acts,
        result.gauges,
        vectors.kinds,
        vectors.times,
        starts.astype(np.int64),
        act.astype(np.int64),
        vectors.acts[which, act],
    )


def _failure(cell_id: str, error: Exception, refusals: tuple[type[Exception], ...]) -> CellFailure:
    """Return what is known about a failure; what was refused explains itself and needs no traceback."""
    frames = "" if isinstance(error, refusals) else "".join(traceback.format_exception(error))
    return CellFailure(cell_id, type(error).__name__, str(error) or type(error).__name__, frames)
