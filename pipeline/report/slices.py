"""What typical cells are told apart by: the workload, or an axis that decides who wins.

A median over different workloads, or over both sides of such an axis, would say nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pipeline import analysis
from pipeline.compare import NO_DIFFERENCE
from pipeline.report.digest import WORKLOAD, plain
from pipeline.report.judged import candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from pipeline.report.digest import Axis, Digest

MOST_SLICES = 3


class _Reach(NamedTuple):
    """How far an axis moves the outcome: the mean distance, over designs, of their extreme medians."""

    distance: float
    axis: Axis
    medians: pd.DataFrame  # index design, columns values of the axis


def slices(digest: Digest) -> list[Digest]:
    """Return the cells at each value of the axis that decides, or all cells if none does; workload by workload.

    An axis decides if along it some design goes from winning to losing on the typical cells; of several the one that
    moves the outcome furthest is taken. If it has more than MOST_SLICES values, the two that lie furthest apart are.
    """
    if "slices" not in digest.kept:
        digest.kept["slices"] = _slices(digest)
    found: list[Digest] = digest.kept["slices"]
    return found


def _slices(digest: Digest) -> list[Digest]:
    parts = by_workload(digest)
    if len(parts) > 1:
        return [piece for part in parts for piece in slices(part)]
    reach = _deciding(digest)
    if reach is None:
        return [digest]
    points = list(reach.medians.columns)
    if len(points) > MOST_SLICES:
        middle = reach.medians.mean()
        points = [point for point in points if point in (middle.idxmin(), middle.idxmax())]
    return [cells_at(digest, reach.axis, point) for point in points]


def with_figures(parts: Sequence[Digest]) -> tuple[list[Digest], list[Digest]]:
    """Return the slices that have figures of their own, and those of one trace beside them.

    Of one trace the typical cell is the worst, and its ratios are in the figure along workloads: a dozen of such slices
    would make most of a page. Where there are no others, they have figures.
    """
    several = [part for part in parts if part.cells_each > 1]
    if not several:
        return list(parts), []
    return several, [part for part in parts if part not in several]


def by_workload(digest: Digest) -> list[Digest]:
    """Return the cells of each workload, or all cells if there is but one."""
    workloads = next((axis for axis in digest.axes if axis.column == WORKLOAD), None)
    if workloads is None:
        return [digest]
    if WORKLOAD not in digest.kept:
        digest.kept[WORKLOAD] = [cells_at(digest, workloads, name) for name in workloads.points]
    found: list[Digest] = digest.kept[WORKLOAD]
    return found


def cells_at(digest: Digest, axis: Axis, point: object) -> Digest:
    """Return the cells with one value of an axis."""
    return replace(
        digest,
        df=digest.df[digest.df[axis.column] == point],
        where=", ".join(filter(None, [digest.where, f"{axis.label} {plain(point)}"])),
    )


def _deciding(digest: Digest) -> _Reach | None:
    """Return the axis along which the outcome turns, if there is one."""
    if digest.baseline is None:
        return None
    chosen = digest.core[digest.usual]
    ratio = analysis.paired(chosen, digest.metric, digest.baseline)
    judged = chosen.assign(ratio=ratio)[chosen["design"].isin(candidates(digest))]
    found = []
    for axis in digest.axes:
        if axis.of_trees:
            continue  # the measured tree has one shape
        medians = judged.pivot_table(index="design", columns=axis.column, values="ratio", aggfunc="median")
        low, high = medians.min(axis=1), medians.max(axis=1)
        if ((low < 1 - NO_DIFFERENCE) & (high > 1 + NO_DIFFERENCE)).any():
            found.append(_Reach(float((high - low).mean()), axis, medians))
    return max(found, key=lambda reach: reach.distance, default=None)
