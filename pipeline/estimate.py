"""What a plan will take: time and bytes, measured on a few of its cells just now, and memory, predicted for them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from pipeline import parts, rows
from pipeline.lineup import known_designs
from pipeline.plan import CellIds
from pipeline.sweep import job_of
from pipeline.work import make_trace, run_batch, warm_up
from simcore import simulate as door
from simcore.engine.fast import MEMORY_LIMIT
from simcore.geometry import GEOMETRIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.cells import Cell
    from pipeline.study import Study
    from pipeline.work import CellFailure, CellRow, Job

MAX_SAMPLES = 12  # traces
MAX_SECONDS = 5.0
NEAR = (
    8  # a run that comes within this factor of the limit lets every trace be looked at, as long as time lasts
)
_LIMIT = "LimitExceeded"
_STRIDE = 0.6180339887498949  # of the golden ratio: what is looked at while time lasts is spread evenly


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
    refused : list of (Cell, bytes)
        Those of them over the limit, and what they would need.
    """

    largest_bytes: int | None
    limit_bytes: int
    cells: int
    refused: list[tuple[Cell, int]]


class Estimate(NamedTuple):
    """What the cells that are left will take.

    Parameters
    ----------
    core_seconds : float or None
        Of one core; None if it is not known because every cell that was tried failed.
    stored_bytes : int or None
        Of the Parquet with all rows; None as above.
    sampled_cells : int
        Cells that were simulated to know; those that failed are not among them.
    failures : list of CellFailure
        Of the cells that were tried, but for those that need too much memory.
    memory : Memory
        Of the same cells, and of others where it gets tight.
    """

    core_seconds: float | None
    stored_bytes: int | None
    sampled_cells: int
    failures: list[CellFailure]
    memory: Memory


def estimate(study: Study, model_version: str, left: int) -> Estimate:
    """Simulate a few cells and scale up to those that are ``left``; predict the memory of their runs.

    The samples go through the values of every axis at once, so that each value of the longest axis is met about
    equally often; cells done already are sampled too, for they cost the same. Interpreter start, compilation and
    the cluster are not counted.
    """
    traces = _samples(study, model_version) if left else []
    memory = _memory(study, model_version, traces)
    if not traces:
        return Estimate(0.0, 0, 0, [], memory)
    warm_up()
    seconds = 0.0
    found: list[tuple[Cell, CellRow]] = []
    failures: list[CellFailure] = []
    began = time.perf_counter()
    for cells in traces:
        reply = run_batch([job_of(cells, study)])
        failures += [failure for failure in reply.failures if failure.cause != _LIMIT]
        if reply.rows:
            seconds += reply.seconds
            by_id = {cell.cell_id: cell for cell in cells}
            found += [(by_id[row.cell_id], row) for row in reply.rows]
        if time.perf_counter() - began > MAX_SECONDS:
            break
    if not found:
        return Estimate(None, None, 0, failures, memory)
    size = _stored_bytes(study, model_version, found, left)
    return Estimate(seconds / len(found) * left, size, len(found), failures, memory)


def _stored_bytes(study: Study, model_version: str, found: list[tuple[Cell, CellRow]], left: int) -> int:
    """Return the bytes of a part with so many rows like those that were found; many rows compress better than few."""
    spec = study.spec()
    none, some = (
        len(parts.encoded(rows.table_of(study.name, model_version, each), spec, {})) for each in ([], found)
    )
    return none + (some - none) * left // len(found)


def _memory(study: Study, model_version: str, traces: list[list[Cell]]) -> Memory:
    """Return what the runs of some traces need, and of all others as long as time lasts if one comes near the limit."""
    needs: dict[str, tuple[Cell, int]] = {}
    for cells in traces:
        needs |= _needs(cells, study)
    if max((needed for _, needed in needs.values()), default=0) * NEAR > MEMORY_LIMIT:
        began = time.perf_counter()
        for cells in _spread(study, model_version):
            if time.perf_counter() - began > MAX_SECONDS:
                break
            if cells[0].cell_id not in needs:
                needs |= _needs(cells, study)
    refused = [(cell, needed) for cell, needed in needs.values() if needed > MEMORY_LIMIT]
    return Memory(
        max((needed for _, needed in needs.values()), default=None), MEMORY_LIMIT, len(needs), refused
    )


def _needs(cells: list[Cell], study: Study) -> dict[str, tuple[Cell, int]]:
    """Return cell id -> cell and bytes that its run needs."""
    by_id = {cell.cell_id: cell for cell in cells}
    return {cell_id: (by_id[cell_id], needed) for cell_id, needed in predicted(job_of(cells, study)).items()}


def predicted(job: Job) -> dict[str, int]:
    """Return cell id -> bytes that its run needs; nothing if the trace cannot be made, which running it tells."""
    try:
        trace = make_trace(job)
    except Exception:  # noqa: BLE001 - whatever it is, the run fails of it and says why
        return {}
    designs, geometry = known_designs(job.own_designs), GEOMETRIES[job.geometry]
    return {cell_id: door.predicted_bytes(trace, designs[design], geometry) for cell_id, design in job.cells}


def _samples(study: Study, model_version: str) -> list[list[Cell]]:
    """Return the traces to simulate, as cells.

    Of each workload the i-th takes the i-th value of every axis, going round; points that are left out are passed over.
    """
    ids = CellIds(study, model_version)
    found: dict[str, list[Cell]] = {}
    for grid in study.grids:
        wanted = min(max(1, MAX_SAMPLES // len(study.grids)), max(grid.lengths, default=1))
        for sample in range(grid.points):
            point = study.point(grid, grid.point([sample] * len(grid.lengths)))
            if point.designs:
                cells = _first_trace(ids.cells(point))
                found[cells[0].trace.trace_id] = cells
                wanted -= 1
            if not wanted:
                break
    return list(found.values())


def _first_trace(cells: Iterator[Cell]) -> list[Cell]:
    """Return the cells of the first trace."""
    first = next(cells)
    found = [first]
    for cell in cells:
        if cell.trace.replicate != first.trace.replicate:
            break
        found.append(cell)
    return found


def _spread(study: Study, model_version: str) -> Iterator[list[Cell]]:
    """Yield every trace of a study, as cells, points in an order that is spread over all of them from its beginning."""
    ids = CellIds(study, model_version)
    for grid in study.grids:
        for number in sorted(range(grid.points), key=lambda index: index * _STRIDE % 1):
            point = study.point(grid, grid.point(grid.indexes(number)))
            traces: dict[str, list[Cell]] = {}
            for cell in ids.cells(point):
                traces.setdefault(cell.trace.trace_id, []).append(cell)
            yield from traces.values()
