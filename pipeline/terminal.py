"""What commands print for people: columns, designs, workloads, plans."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import counted
from pipeline.progress import what_failed
from pipeline.workload_entries import GEOMETRY_AXIS
from simcore.designs import AXES, axis_values
from simcore.telling import what_happens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.estimate import Estimate, Memory
    from pipeline.plan import Plan
    from pipeline.sources.populations import Population
    from pipeline.study import Study
    from simcore.designs import Design
    from simcore.workloads.parameters import Parameter, Workload

_NARROWEST, _WIDEST = 40, 100  # columns of wrapped text
_SHOWN_REFUSALS = 8  # traces


def two_columns(rows: Iterable[tuple[str, str]]) -> str:
    """Return rows as two columns, the second wrapped."""
    pairs = list(rows)
    width = max((len(left) for left, _ in pairs), default=0) + 2
    columns = shutil.get_terminal_size((_WIDEST, 24)).columns
    wrap = min(max(columns, _NARROWEST), _WIDEST)
    return "\n".join(
        click.wrap_text(right, wrap, initial_indent=left.ljust(width), subsequent_indent=" " * width)
        for left, right in pairs
    )


def brief(value: Any) -> str:
    """Return a value of an axis in a few characters: a measured tree, a capture or a recording by its label."""
    if isinstance(value, dict) and "parents" in value:
        return f"{value.get('label', 'measured')} ({len(value['parents'])} processes)"
    if isinstance(value, dict) and "packed" in value:
        return f"{value['label']} ({value['processes']} processes)"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {entry}" for key, entry in value.items()) + "}"
    return str(value)


def size(study: Study) -> str:
    """Return the counts of a study in one line."""
    cells, traces = counted(study.cells, "cell"), counted(study.traces, "trace")
    return f"{cells}: {traces} under {counted(len(study.designs), 'design')}"


def byte_size(count: int) -> str:
    """Return bytes in the unit that reads best, with a place where that tells more: ``12.3 MiB``, ``8 GiB``."""
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << power:
            return f"{f'{count / (1 << power):,.1f}'.removesuffix('.0')} {unit}"
    return f"{count} bytes"


def designs_listed(rows: Iterable[Design], *, own: bool) -> str:
    """Return designs, one after another; the year stands behind those that ship."""
    return two_columns((row.name, row.prose if own else f"{row.prose} ({row.year})") for row in rows)


def design_explained(row: Design, *, own: bool) -> str:
    """Return what a design is, what happens under it moment by moment, and its row."""
    merged = "merged" if row.merged else "never merged"
    origin = row.origin if own else f"{row.year}, {merged}. {row.origin}"
    values = [(axis, value) for axis, value in axis_values(row).items() if value is not None]
    meanings = ((f"{axis}: {value}", AXES[axis][str(getattr(row, axis))]) for axis, value in values)
    return "\n".join(
        [
            f"{row.name}: {row.prose}",
            f"{origin}.",
            "",
            two_columns(what_happens(row)),
            "",
            "Its row:",
            two_columns(meanings),
        ]
    )


def populations_listed(known: Iterable[Population]) -> str:
    """Return populations with the listings that they have, the one of all first."""
    rows = sorted(known, key=lambda each: (-len(each.trees), each.name))
    return two_columns((each.name, f"{counted(len(each.trees), 'listing')}: {each.meaning}") for each in rows)


def workload_explained(row: Workload) -> str:
    """Return what a workload is, and its parameters."""
    parameters = two_columns((each.name, _parameter(each)) for each in row.parameters)
    return f"{row.name}: {row.prose}\n{row.source}\n\n{parameters}"


def _parameter(each: Parameter) -> str:
    """Return what a parameter may be."""
    ranges = {
        "choice": f"one of {', '.join(each.choices)}",
        "tree": "a listing's name, {listing: FILE}, {population: NAME} or {depth: 3, fan_out: 2}",
        "capture": "a file that forkbench capture wrote",
        "recording": "a name that forkbench trace stats lists, or a file that forkbench trace wrote",
    }
    noun = "whole number" if each.kind == "int" else "number"
    allowed = ranges.get(each.kind, f"{noun} from {each.low:,} to {each.high:,} {each.unit}".rstrip())
    silent = "needed" if each.default is None else f"default {brief(each.default)}"
    return f"{each.meaning} [{allowed}; {silent}]"


def plan_lines(study: Study, plan: Plan, facts: dict[str, Any], guess: Estimate) -> str:
    """Return a plan, with what is done and what the rest will take."""
    lines = [f"{study.name}: {study.question}", ""]
    table: list[tuple[str, list[Any]]] = [("workloads", list(study.workloads))]
    table += _axis_rows(study)
    table += [("replicates", list(range(study.replicates))), ("designs", list(study.designs))]
    rows = [
        (f"{name:<16} {len(entries):>5}", ", ".join(brief(entry) for entry in entries))
        for name, entries in table
    ]
    lines += [two_columns(rows), "", size(study)]
    lines.append(
        f"done already in {facts['dataset']}: {facts['done']:,}; to simulate: {study.cells - facts['done']:,}"
    )
    if guess.sampled_cells:
        sampled = counted(guess.sampled_cells, "cell")
        lines.append(f"about {facts['core_seconds']:,} s of one core, from {sampled} simulated just now")
    if guess.failures:
        failed = f"{counted(len(guess.failures), 'cell')} tried just now failed"
        lines.append(f"{failed}, {guess.failures[0].cell_id} first: {what_failed(guess.failures[0])}")
    return "\n".join(lines + _memory_lines(study, plan, guess.memory))


def _axis_rows(study: Study) -> list[tuple[str, list[Any]]]:
    """Return the axes and their values; of an axis that workloads sweep differently, once for each."""
    found: dict[str, list[Any]] = {}
    for grid in study.grids:
        for axis, entries in grid.sweep.items():
            alike = all(axis not in other.sweep or other.sweep[axis] == entries for other in study.grids)
            found[axis if alike else f"{grid.workload}.{axis}"] = entries
    return list(found.items())


def _memory_lines(study: Study, plan: Plan, memory: Memory) -> list[str]:
    """Return what the largest run needs, and which cells need more than they may have, trace by trace."""
    if memory.largest_bytes is None:
        return []
    limit = byte_size(memory.limit_bytes)
    lines = [f"largest run: about {byte_size(memory.largest_bytes)} (limit {limit})"]
    if not memory.refused:
        return lines
    lines.append(
        f"would be refused, for they need more than {limit}: {len(memory.refused):,} of "
        f"{counted(memory.cells, 'cell')} looked at; make these points smaller or leave them out"
    )
    cells = {cell.cell_id: cell for cell in plan.cells}
    traces: dict[str, list[tuple[str, int]]] = {}
    for cell_id, needed in memory.refused:
        traces.setdefault(cells[cell_id].trace.trace_id, []).append((cell_id, needed))
    for group in list(traces.values())[:_SHOWN_REFUSALS]:
        first = cells[group[0][0]]
        known = {"workload": first.trace.workload, GEOMETRY_AXIS: first.trace.geometry} | first.trace.params
        axes = [*(["workload"] if len(study.grids) > 1 else []), *study.sweep]
        point = [f"{axis}: {brief(known[axis])}" for axis in axes if axis in known]
        names = ", ".join(cells[cell_id].design for cell_id, _ in group)
        most = byte_size(max(needed for _, needed in group))
        lines.append(f"  {', '.join([*point, f'replicate {first.trace.replicate}'])}: about {most} ({names})")
    if len(traces) > _SHOWN_REFUSALS:
        lines.append(f"  and {counted(len(traces) - _SHOWN_REFUSALS, 'trace')} more")
    return lines
