"""What ``forkbench plan`` prints: counts per axis, what is left out, what will run and why, and what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.errors import counted
from pipeline.progress import what_failed
from pipeline.survey import REASONS
from pipeline.terminal import byte_size, two_columns
from pipeline.values import brief
from pipeline.workload_entries import GEOMETRY_AXIS

if TYPE_CHECKING:
    from pipeline.cells import Cell
    from pipeline.estimate import Estimate, Memory
    from pipeline.places import Where
    from pipeline.rules import Condition, Rule
    from pipeline.study import Study
    from pipeline.survey import Group, Survey

_SHOWN_REFUSALS = 8  # traces
_SHOWN_VALUES = 6  # of an axis, of a group of cells
_SHOWN_ENTRIES = 20  # of an axis


def plan_facts(study: Study, found: Survey, guess: Estimate, path: Where) -> dict[str, Any]:
    """Return a plan as plain data."""
    return {
        "study": study.name,
        "question": study.question,
        "workloads": list(study.workloads),
        "axes": {axis: len(entries) for axis, entries in study.sweep.items()},
        "designs": len(study.designs),
        "replicates": study.replicates,
        "traces": found.traces,
        "cells": found.cells,
        "left_out": [
            {"rule": rule_told(rule), "because": rule.because, "cells": cells}
            for rule, cells in zip(study.rules, found.left_out, strict=True)
        ],
        "dataset": str(path),
        "done": found.count("done"),
        "to_run": found.to_run,
        "groups": [
            group._asdict() | {"runs": REASONS[group.reason][0], "meaning": REASONS[group.reason][1]}
            for group in found.groups
        ],
        "core_seconds": None if guess.core_seconds is None else round(guess.core_seconds, 1),
        "core_seconds_from_cells": guess.sampled_cells,
        "stored_bytes": guess.stored_bytes,
        "failed_cells": len(guess.failures),
        "largest_run_bytes": guess.memory.largest_bytes,
        "memory_limit_bytes": guess.memory.limit_bytes,
        "memory_from_cells": guess.memory.cells,
        "refused_cells": {cell.cell_id: needed for cell, needed in guess.memory.refused},
    }


def plan_lines(study: Study, found: Survey, guess: Estimate, path: Where) -> str:
    """Return a plan, with what is done and what the rest will take."""
    traces, designs = counted(found.traces, "trace"), counted(len(study.designs), "design")
    lines = [f"{study.name}: {study.question}", "", _axis_table(study), ""]
    lines.append(f"{counted(found.cells, 'cell')}: {traces} under {designs}")
    lines += _left_out_lines(study, found)
    lines.append(f"done already in {path}: {found.count('done'):,}; to simulate: {found.to_run:,}")
    lines += [_group_line(group) for group in found.groups]
    if guess.sampled_cells:
        sampled = f"from {counted(guess.sampled_cells, 'cell')} simulated just now"
        lines.append(f"about {guess.core_seconds:,.1f} s of one core, {sampled}")
        lines.append(f"about {byte_size(guess.stored_bytes or 0)} of Parquet, from the same cells")
    if guess.failures:
        failed = f"{counted(len(guess.failures), 'cell')} tried just now failed"
        lines.append(f"{failed}, {guess.failures[0].cell_id} first: {what_failed(guess.failures[0])}")
    return "\n".join(lines + _memory_lines(study, guess.memory))


def _axis_table(study: Study) -> str:
    """Return each axis with how many values it has, and which."""
    table: list[tuple[str, list[Any]]] = [("workloads", list(study.workloads)), *_axis_rows(study)]
    table += [("replicates", list(range(study.replicates))), ("designs", list(study.designs))]
    rows = []
    for name, entries in table:
        told = ", ".join(brief(entry) for entry in entries[:_SHOWN_ENTRIES])
        more = f" and {len(entries) - _SHOWN_ENTRIES:,} more" if len(entries) > _SHOWN_ENTRIES else ""
        rows.append((f"{name:<16} {len(entries):>5,}", told + more))
    return two_columns(rows)


def _axis_rows(study: Study) -> list[tuple[str, list[Any]]]:
    """Return the axes and their values, once for each workload that differs; then what is joined."""
    found: dict[str, list[Any]] = {}
    for grid in study.grids:
        for axis, entries in grid.sweep.items():
            alike = all(axis not in other.sweep or other.sweep[axis] == entries for other in study.grids)
            found[axis if alike else f"{grid.workload}.{axis}"] = entries
        for joint in grid.joint:
            rows = ["(" + ", ".join(brief(value) for value in row) + ")" for row in joint.rows]
            found[f"{joint.how}: {', '.join(joint.axes)}"] = rows
    return list(found.items())


def _left_out_lines(study: Study, found: Survey) -> list[str]:
    """Return each rule, and how many cells it leaves out."""
    if not study.rules:
        return []
    lines = [f"left out by rules: {sum(found.left_out):,}"]
    for rule, cells in zip(study.rules, found.left_out, strict=True):
        because = f" ({rule.because})" if rule.because else ""
        none = "; it leaves out nothing, is that meant?" if not cells else ""
        lines.append(f"  {cells:>9,}  {rule_told(rule)}{because}{none}")
    return lines


def rule_told(rule: Rule) -> str:
    """Return a rule as one would say it."""
    cells = _condition(rule.cells)
    return f"exclude {cells}" if rule.when is None else f"{cells} only when {_condition(rule.when)}"


def _condition(condition: Condition) -> str:
    """Return a condition as one would say it."""
    return ", ".join(f"{name} {_test(test)}" for name, test in condition.items())


def _test(test: dict[str, Any]) -> str:
    """Return what a condition says of one name."""
    if "in" in test:
        return " or ".join(brief(value) for value in test["in"])
    ends = (("from", test["from"]), ("to", test["to"]))
    return " ".join(f"{word} {value}" for word, value in ends if value is not None)


def _group_line(group: Group) -> str:
    """Return why some cells will run or not."""
    runs, meaning = REASONS[group.reason]
    told = f"  {group.cells:>9,}  {group.reason}: {meaning}; {'will run' if runs else 'will not run'}"
    where = [
        f"{axis} {', '.join(values[:_SHOWN_VALUES])}{' ...' if len(values) > _SHOWN_VALUES else ''}"
        for axis, values in group.where.items()
    ]
    return told + (f" [{'; '.join(where)}]" if where else "")


def _memory_lines(study: Study, memory: Memory) -> list[str]:
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
    traces: dict[str, list[tuple[Cell, int]]] = {}
    for cell, needed in memory.refused:
        traces.setdefault(cell.trace.trace_id, []).append((cell, needed))
    for group in list(traces.values())[:_SHOWN_REFUSALS]:
        first = group[0][0].trace
        known = {"workload": first.workload, GEOMETRY_AXIS: first.geometry} | first.params
        axes = [*(["workload"] if len(study.grids) > 1 else []), *study.sweep]
        point = [f"{axis}: {brief(known[axis])}" for axis in axes if axis in known]
        names = ", ".join(cell.design for cell, _ in group)
        most = byte_size(max(needed for _, needed in group))
        lines.append(f"  {', '.join([*point, f'replicate {first.replicate}'])}: about {most} ({names})")
    if len(traces) > _SHOWN_REFUSALS:
        lines.append(f"  and {counted(len(traces) - _SHOWN_REFUSALS, 'trace')} more")
    return lines
