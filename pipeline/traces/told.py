"""Recorded traces in lines for people: one in full, several side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.errors import counted
from pipeline.traces.file import FOOTPRINTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.traces.comparison import Compared

_PROGRAMS = 8
_UNEQUAL = 40
_NONE = "-"


def trace_table(names: Sequence[str], found: Sequence[dict[str, Any]]) -> str:
    """Return statistics as a table, a trace a column."""
    rows: list[tuple[str, ...]] = [("", *names)]
    for label, row in zip(_LABELS, zip(*map(_column, found), strict=True), strict=True):
        rows.append((label, *row))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )


_LABELS = (
    "processes",
    "forks / vforks",
    "created a second",
    "forked children that exec",
    "processes that never exec",
    "depth, max (mode)",
    "forks since an exec, 1/2/3/4 and more",
    "faults a process",
    "pages / tables written before exec",
    "pages / tables written before exit",
    "parent's writes to pages it had, a fork: while shared, later",
    "forks beside a living unexec'ed child",
    "ptes / tables copied by fork",
    "faults recorded",
    "faults counted by the kernel",
    "faults simulated, mainline",
)


def _column(found: dict[str, Any]) -> tuple[str, ...]:
    """Return the figures of one trace, in the order of _LABELS."""
    generations = {int(each): count for each, count in found["generations"].items()}
    deep = sum(count for each, count in generations.items() if each >= 4)
    steps = [*(generations.get(each, 0) for each in (1, 2, 3)), deep]
    while len(steps) > 1 and not steps[-1]:
        steps.pop()
    of_faults = found["touches"] != FOOTPRINTS
    return (
        _number(found["processes"]),
        f"{found['forks']:,} / {found['vforks']:,}",
        _number(found["creations_per_second"]),
        _share(found["exec_ratio"]),
        _number(found["never_exec"]),
        f"{found['depth_max']} ({found['depth_mode']})",
        "/".join(map(str, steps)) if found["forks"] else _NONE,
        _number(found["faults_per_process"]),
        _pair(found["pages_before_exec"], found["tables_before_exec"]),
        _pair(found["pages_before_exit"], found["tables_before_exit"]),
        _pair(found["parent_copies"], found["parent_reuses"]),
        _share(found["shared_already"]),
        _pair(found.get("ptes_copied"), found.get("tables_copied")),
        _number(found["faults_recorded"]) if of_faults else "none",
        _number(found["faults_counted"]) if found["processes_counted"] else _NONE,
        _number(found.get("faults_simulated")),
    )


def _number(value: float | None) -> str:
    """Return a number with at most one place."""
    if value is None:
        return _NONE
    return f"{value:,.0f}" if float(value).is_integer() or value >= 100 else f"{value:,.1f}"


def _pair(one: float | None, two: float | None) -> str:
    """Return two numbers that belong together."""
    return _NONE if one is None else f"{_number(one)} / {_number(two)}"


def _share(value: float | None) -> str:
    """Return a share with two places."""
    return _NONE if value is None else f"{value:.2f}"


def trace_lines(name: str, found: dict[str, Any]) -> str:
    """Return all that is told of one trace."""
    ended = "" if found["exit_code"] in (None, 0) else f"; it ended with {found['exit_code']}"
    where = f"; Linux {found['kernel']}, {found['machine']}" if found["kernel"] else ""
    head = (
        f"{name}: {found['command']}, recorded by {found['way']} in {found['seconds']:.2f} s{ended}{where}"
        f"{'; ' + found['taken'] if found['taken'] else ''}"
    )
    lines = [head, *_warnings(found), "", trace_table([""], [found]).lstrip("\n"), ""]
    programs = list(found["programs"].items())
    shown = ", ".join(f"{count} {program}" for program, count in programs[:_PROGRAMS])
    more = f" and {counted(len(programs) - _PROGRAMS, 'other program')}" if len(programs) > _PROGRAMS else ""
    lines.append(f"exec'ed: {shown}{more}" if programs else "exec'ed: nothing")
    lines += [f"note: {what}: {count:,}" for what, count in sorted(found["notes"].items())]
    return "\n".join(lines)


def _warnings(found: dict[str, Any]) -> list[str]:
    """Return what a reader must know before anything else."""
    lines = []
    if found["touches"] == FOOTPRINTS:
        lines.append(
            "No fault was seen: which pages are touched comes from measured footprints of the programs "
            "(forkbench footprints), not from this run."
        )
    if found["lost"]:
        lines.append(
            f"INCOMPLETE: the kernel lost {counted(found['lost'], 'event')}; record again, on a quieter machine."
        )
    return lines


def comparison_lines(rows: Sequence[Compared]) -> str:
    """Return faults process by process: how many are equal, and each other one."""
    told = [row for row in rows if row.counted is not None]
    equal = sum(row.counted == row.simulated for row in told)
    near = sum(abs(row.simulated - (row.counted or 0)) <= 1 for row in told)
    head = (
        f"minor faults of {len(told):,} processes: as many simulated as the kernel counted in {equal:,}, at most one "
        f"more or less in {near:,}"
    )
    lines = [head]
    unequal = sorted(
        (row for row in told if abs(row.simulated - (row.counted or 0)) > 1),
        key=lambda row: -abs(row.simulated - (row.counted or 0)),
    )
    if unequal:
        lines.append(f"  {'process':<28} {'kernel':>9} {'recorded':>9} {'simulated':>10}")
    lines += [
        f"  {row.task} {row.name[:22]:<{27 - len(str(row.task))}} {row.counted:>9,} {row.recorded:>9,} "
        f"{row.simulated:>10,}"
        for row in unequal[:_UNEQUAL]
    ]
    if len(unequal) > _UNEQUAL:
        lines.append(f"  and {len(unequal) - _UNEQUAL} more")
    return "\n".join(lines)
