"""One cell of a dataset: found by its id, shown, simulated again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import rows, store
from pipeline.errors import DatasetError, RefusedError
from pipeline.lineup import known_designs, thawed
from pipeline.progress import what_failed
from pipeline.provenance import model_version
from pipeline.sweep import job_of

if TYPE_CHECKING:
    from pipeline.cells import Cell
    from pipeline.places import Where
    from pipeline.plan import Plan

RESULTS = Path("results")
MIN_DIGITS = 6


class Found(NamedTuple):
    """A cell, the dataset that plans it, and its stored row: a table of one row or none."""

    cell: Cell
    plan: Plan
    path: Where
    row: pa.Table


def find_cell(prefix: str, path: Where | None) -> Found:
    """Return the cell whose id begins with ``prefix``, from one dataset or from all in ``results/``.

    Raises
    ------
    RefusedError
        If the prefix is too short, or no cell or several have it.
    """
    given, prefix = prefix, prefix.lower()
    if not re.fullmatch(f"[0-9a-f]{{{MIN_DIGITS},}}", prefix):
        raise RefusedError(f"{given!r} is not a cell's id; an id is at least {MIN_DIGITS} hexadecimal digits")
    paths: list[Where] = (
        [path] if path is not None else sorted(plan.parent for plan in RESULTS.glob(f"*/{store.PLAN}"))
    )
    plans, unread = [], ""
    for folder in paths:
        try:
            plans.append((folder, store.read_plan(folder)))
        except DatasetError as error:
            if path is not None:
                raise
            unread += f"; not searched: {error}"  # an old dataset does not hide a cell of another one
    hits = [(folder, plan, cell) for folder, plan in plans for cell in plan.cells.beginning(prefix)]
    searched = ", ".join(map(str, paths)) or f"{RESULTS}/, where there is no dataset"
    if not hits:
        raise RefusedError(
            f"no cell's id begins with {prefix!r} in {searched}; name the dataset with --results{unread}"
        )
    if len({cell.cell_id for _, _, cell in hits}) > 1:
        some = ", ".join(sorted({cell.cell_id for _, _, cell in hits})[:4])
        raise RefusedError(f"{len(hits)} cells' ids begin with {prefix!r}, e.g. {some}; give more digits")
    folder, plan, cell = hits[0]
    return Found(cell, plan, folder, _stored(folder, cell.cell_id))


def _stored(folder: Where, cell_id: str) -> pa.Table:
    """Return the stored row of a cell, in a table that is empty if it has none."""
    table = store.read(folder)
    return table.filter(pc.equal(table["cell_id"], cell_id))


def cell_lines(found: Found) -> str:
    """Return what a cell is, what became of it, and the line that replays it."""
    trace = found.cell.trace
    lines = [
        f"cell:      {found.cell.cell_id}",
        f"trace:     {trace.trace_id}",
        f"study:     {found.plan.study['name']}",
        f"dataset:   {found.path}",
        f"design:    {found.cell.design}{_definition(found)}",
        f"geometry:  {trace.geometry}",
        f"workload:  {trace.workload}",
        *(f"  {name}: {_shown(value)}" for name, value in trace.params.items()),
        f"replicate: {trace.replicate}",
        f"seed:      {trace.seed}",
        f"state:     {_state(found)}",
        f"replay:    forkbench show {found.cell.cell_id} --results {found.path} --simulate",
    ]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    """Return a parameter as JSON, without the packed text of a capture."""
    if isinstance(value, dict) and "packed" in value:
        value = {key: entry for key, entry in value.items() if key != "packed"}
    return json.dumps(value)


def _definition(found: Found) -> str:
    """Return what a design of the study's own is, in brackets; nothing for one that ships."""
    own = found.plan.own_designs.get(found.cell.design)
    if own is None:
        return ""
    row = thawed(found.cell.design, own)
    return (
        f" ({row.prose.removesuffix('.')})" if row else f" (from {own['base']}; this version cannot make it)"
    )


def _state(found: Found) -> str:
    """Return what became of a cell."""
    if len(found.row):
        return "done"
    from pipeline.work import CellFailure  # noqa: PLC0415 - as below

    failures = {failure["cell_id"]: failure for failure in store.status(found.path).failures}
    failure = failures.get(found.cell.cell_id)
    if failure is None:
        return "not run yet"
    known = CellFailure(failure["cell_id"], failure["cause"], failure["message"], failure["traceback"])
    return f"failed: {what_failed(known)}\n{known.traceback}".rstrip()


def replay_lines(found: Found) -> str:
    """Simulate the cell here and return its counts, and whether they equal the stored row.

    Raises
    ------
    RefusedError
        If the simulation fails, with its cause, or the design is not known to this version.
    NondeterminismError
        If the same simulator stored another row.
    """
    from pipeline.work import run_batch  # noqa: PLC0415 - it imports the simulator, which showing does not need

    cell = found.cell
    if cell.design not in known_designs(found.plan.own_designs):
        raise RefusedError(
            f"{found.path}: the design {cell.design!r} of this cell is not known to this version of forkbench; known are "
            "those that forkbench designs lists; replay the cell with the version that planned it"
        )
    reply = run_batch([job_of([cell], found.plan)])
    if reply.failures:
        failure = reply.failures[0]
        raise RefusedError(f"the cell fails again: {what_failed(failure)}\n{failure.traceback}".rstrip())
    table = rows.table_of(found.plan.study["name"], found.plan.model_version, [(cell, reply.rows[0])])
    counts = {name: value for name, value in table.to_pylist()[0].items() if type(value) is int and value}
    del counts["seed"]
    width = max(map(len, counts)) + 2
    lines = [
        "",
        *(f"{name:<{width}}{value:>15,}" for name, value in counts.items()),
        "",
        _verdict(found, table),
    ]
    return "\n".join(lines)


def _verdict(found: Found, table: pa.Table) -> str:
    """Return whether a replay equals the stored row."""
    if found.plan.model_version != model_version():
        return "the simulator has changed since the study was planned; the stored row is not comparable"
    if not len(found.row):
        return "no row is stored to compare with"
    rows.refuse_difference(found.row, table)
    return "equal to the stored row"
