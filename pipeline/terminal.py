"""What commands print for people: columns, designs, workloads."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click

from pipeline.errors import counted
from pipeline.reference import allowed
from pipeline.values import brief
from simcore.designs import AXES, axis_values
from simcore.telling import what_happens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.sources.populations import Population
    from pipeline.study import Study
    from simcore.designs import Design
    from simcore.workloads.parameters import Parameter, Workload

_NARROWEST, _WIDEST = 40, 100  # columns of wrapped text


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


def size(study: Study) -> str:
    """Return the counts of a study in one line."""
    cells, traces = counted(study.cells, "cell"), counted(study.traces, "trace")
    told = f"{cells}: {traces} under {counted(len(study.designs), 'design')}"
    points = sum(grid.points for grid in study.grids)
    gone = points * study.replicates * len(study.designs) - study.cells
    return f"{told}, {gone:,} left out by rules" if study.rules else told


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
    silent = "needed" if each.default is None else f"default {brief(each.default)}"
    return f"{each.meaning} [{allowed(each)}; {silent}]"
