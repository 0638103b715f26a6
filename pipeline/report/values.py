"""The verdict at each value of an axis of words: a median over different programs or machines would describe none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.report.digest import WORKLOAD
from pipeline.report.judged import compared_designs, outcome
from pipeline.report.slices import by_workload, cells_at
from pipeline.report.words import change

if TYPE_CHECKING:
    from pipeline.report.digest import Axis, Digest
    from pipeline.report.standings import Standing

MOST_VALUES = 24  # of more values none is told of


def by_value(digest: Digest) -> str:
    """Say who wins and loses at each value of each axis of words but the workload, a line each; nothing without any."""
    lines = []
    for part in by_workload(digest):
        for axis in part.axes:
            if not axis.numeric and axis.column != WORKLOAD and len(axis.points) <= MOST_VALUES:
                lines += [_at(part, axis, point) for point in axis.points]
    return "\n".join(filter(None, lines))


def _at(part: Digest, axis: Axis, point: object) -> str:
    """Say it of one value."""
    there = cells_at(part, axis, point)
    judged = sorted((each for each in compared_designs(there) if each.ratio > 0), key=lambda each: each.ratio)
    if not judged:
        return ""
    worst = max(judged, key=lambda each: each.worst.ratio)
    sharing = all(each.design in part.sharing for each in judged)
    said = f"At {there.where}, {'sharing' if sharing else 'what is compared'} {outcome(judged)}: {_ends(judged)}."
    if worst.worst.ratio > judged[-1].ratio:
        said += f" Worst cell: `{worst.design}` {change(worst.worst.ratio)}."
    return said


def _ends(judged: list[Standing]) -> str:
    """Return the least and the most of some standings, ascending."""
    said = [f"`{each.design}` {change(each.ratio)}" for each in (judged[0], judged[-1])]
    return said[0] if len(judged) == 1 else " to ".join(said)
