"""Is a dataset what it says? Everything is looked at again, and a sample of it simulated again; all problems at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from pipeline import rows, store
from pipeline.errors import DatasetError, NondeterminismError, counted
from pipeline.places import place_of
from pipeline.plan import canonical
from pipeline.provenance import model_version
from pipeline.schema import row_schema
from pipeline.sweep import job_of

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.cells import Cell, Cells
    from pipeline.places import Where
    from pipeline.plan import Plan

_SHOWN = 3  # cells of a problem


class Finding(NamedTuple):
    """One thing that was looked at: what it is, what was found, and whether that is as it should be."""

    what: str
    found: str
    right: bool


def verify(path: Where, sample: int) -> list[Finding]:
    """Look at all of a dataset.

    Parameters
    ----------
    path : Path or str
        The dataset's folder.
    sample : int
        Cells to simulate again, spread over all rows; 0 for none.

    Raises
    ------
    DatasetError
        If the folder is no dataset.
    """
    plan = store.read_plan(path)
    tables, unreadable = store.valid_parts(place_of(path))
    findings = [_plan(path, plan), _parts(tables, unreadable)]
    for look in (_schema, _unique):
        findings.append(look(tables))
        if not findings[-1].right:
            return findings  # what follows would only repeat it
    table = rows.sorted_unique(
        pa.concat_tables([row_schema().empty_table(), *(_bare(each) for each in tables.values())])
    )
    cells = plan.cells
    planned = table.filter(pa.array(cells.numbers(table["cell_id"].to_pylist()) >= 0))
    findings += [_complete(path, planned, cells), _identity(planned, cells), _totals(planned)]
    findings.append(_summary(path, planned, len(cells)))
    findings.append(_sample(planned, plan, sample))
    return findings


def _bare(table: pa.Table) -> pa.Table:
    """Return a part's rows without its own metadata."""
    return table.replace_schema_metadata(row_schema().metadata)


def _cells(ids: list[str]) -> str:
    """Return some of the ids."""
    return ", ".join(ids[:_SHOWN]) + (" ..." if len(ids) > _SHOWN else "")


def _plan(path: Where, plan: Plan) -> Finding:
    """Compare the plan's id with its cells."""
    same = store.document(path).get("plan_id") == plan.plan_id
    told = f"{counted(len(plan.cells), 'cell')}, hash of their ids {'as' if same else 'other than'} written"
    return Finding("plan", told, same)


def _parts(tables: dict[Path, pa.Table], unreadable: list[str]) -> Finding:
    """Tell whether each part has the bytes that were written: its name is their hash."""
    told = f"{counted(len(tables), 'part')} as written"
    if unreadable:
        told += f", {len(unreadable)} not: {'; '.join(unreadable)}; run the study again, which makes their rows anew"
    return Finding("parts", told, not unreadable)


def _schema(tables: dict[Path, pa.Table]) -> Finding:
    """Compare the columns of each part and their types with those of this version."""
    wanted = row_schema()
    wrong = [file.name for file, table in tables.items() if not table.schema.equals(wanted)]
    if not wrong:
        return Finding("schema", f"{len(wanted)} columns with the types of this version", right=True)
    told = f"other columns or types than this version has in {_cells(wrong)}; read them with the version that wrote them"
    return Finding("schema", told, right=False)


def _unique(tables: dict[Path, pa.Table]) -> Finding:
    """Look for cells with several rows, in one part or in several."""
    ids = [cell_id for table in tables.values() for cell_id in table["cell_id"].to_pylist()]
    twice = len(ids) - len(set(ids))
    if not twice:
        return Finding("duplicates", f"none among {counted(len(ids), 'row')}", right=True)
    try:
        rows.sorted_unique(pa.concat_tables([_bare(table) for table in tables.values()]))
    except NondeterminismError as error:
        return Finding("duplicates", str(error), right=False)
    told = f"{counted(twice, 'row')} there twice, equal each time: readers drop them"
    return Finding("duplicates", told, right=True)


def _complete(path: Where, table: pa.Table, cells: Cells) -> Finding:
    """Tell whether every planned cell has its row, or is known to have failed."""
    there = set(table["cell_id"].to_pylist())
    missing = [cell_id for piece in cells.sorted_ids() for cell_id in piece if cell_id not in there]
    if not missing:
        return Finding("complete", f"all {counted(len(cells), 'planned cell')} have a row", right=True)
    failed = {failure["cell_id"] for failure in store.failures(path)} & set(missing)
    told = f"{len(missing):,} of {counted(len(cells), 'planned cell')} have no row, e.g. {_cells(missing)}"
    return Finding("complete", f"{told}; {len(failed):,} of them failed; run the study again", right=False)


def _identity(table: pa.Table, cells: Cells) -> Finding:
    """Compare what each row says of itself with the plan."""
    names = ["trace_id", "design", "geometry", "workload", "params", "replicate", "seed"]
    wrong = []
    numbers = cells.numbers(table["cell_id"].to_pylist())
    for number, row in zip(numbers, table.select(["cell_id", *names]).to_pylist(), strict=True):
        cell = cells[int(number)]
        trace = cell.trace
        said = [trace.trace_id, cell.design, trace.geometry, trace.workload, canonical(trace.params)]
        if [row[name] for name in names] != [*said, trace.replicate, trace.seed]:
            wrong.append(cell.cell_id)
    if wrong:
        told = f"{counted(len(wrong), 'row')} say other than the plan what they are, e.g. {_cells(wrong)}"
        return Finding(
            "identity", f"{told}; the dataset was changed; run the study into a new folder", right=False
        )
    return Finding("identity", "rows are of the traces and designs that the plan says", right=True)


def _totals(table: pa.Table) -> Finding:
    """Tell whether act vectors add up to the totals."""
    from pipeline import analysis  # noqa: PLC0415 - pandas is slow to import

    try:
        analysis.tidy(table)
    except DatasetError as error:
        return Finding("totals", str(error), right=False)
    return Finding("totals", "act vectors add up to the totals of every row", right=True)


def _summary(path: Where, table: pa.Table, planned: int) -> Finding:
    """Compare the checksum of all rows with the one that the run wrote."""
    found = rows.checksum(store.read(path))
    try:
        content = place_of(path).read(store.COMPLETE)
    except FileNotFoundError:
        done = len(table) == planned
        told = f"{found}; no {store.COMPLETE} to compare with" + (
            "; run the study again to write it" if done else ""
        )
        return Finding("checksum", told, right=True)
    try:
        summary: dict[str, Any] = json.loads(content)
        written = (summary["checksum"], summary["cells"])
    except (ValueError, KeyError, TypeError):
        return Finding(
            "checksum", f"{store.COMPLETE} is damaged; remove it and run the study again", right=False
        )
    if written == (found, len(table)):
        return Finding("checksum", f"{found}, as written when it was complete", right=True)
    told = f"{found} of {counted(len(table), 'row')}, not {written[0]} of {written[1]:,} as {store.COMPLETE} says"
    return Finding("checksum", f"{told}; run the study again", right=False)


def _sample(table: pa.Table, plan: Plan, sample: int) -> Finding:
    """Simulate some cells again and compare with their rows."""
    if not sample or not len(table):
        return Finding(
            "simulated again", "nothing, as asked" if len(table) else "nothing is there", right=True
        )
    if plan.model_version != model_version():
        told = f"the simulator is another one ({model_version()[:8]}, rows are of {plan.model_version[:8]})"
        return Finding("simulated again", f"nothing: {told}; take the version that made the rows", right=True)
    from pipeline.work import run_batch  # noqa: PLC0415 - the simulator, which the rest does not need

    step = max(1, len(table) // sample)
    differ = []
    for at in range(0, len(table), step)[:sample]:
        cell = _cell(plan, table["cell_id"][at].as_py())
        reply = run_batch([job_of([cell], plan)])
        again = [(cell, row) for row in reply.rows]
        made = rows.table_of(plan.study["name"], plan.model_version, again).to_pylist()
        if made != table.slice(at, 1).to_pylist():
            differ.append(cell.cell_id)
    compared = counted(len(range(0, len(table), step)[:sample]), "cell")
    if differ:
        told = f"{len(differ)} of {compared} came out otherwise, e.g. {_cells(differ)}"
        return Finding("simulated again", f"{told}; forkbench show ID --simulate tells in what", right=False)
    return Finding("simulated again", f"{compared}, each equal to its row", right=True)


def _cell(plan: Plan, cell_id: str) -> Cell:
    """Return a cell of the plan."""
    return plan.cells[int(plan.cells.numbers([cell_id])[0])]
