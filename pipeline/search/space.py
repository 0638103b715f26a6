"""The space that a study declares, as a unit cube: a coordinate for each axis, a spot for each point. Pure.

An axis of ``sample`` goes through its range or list; one of ``sweep`` through its values; a ``zip`` and ``points`` are
one axis each, of rows. Where a study has several workloads, which one runs is an axis too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.errors import RefusedError
from pipeline.joint_entries import Joint
from pipeline.rules import WORKLOAD
from pipeline.sampling import Scale
from pipeline.values import brief

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from pipeline.study import Study
    from pipeline.workload_entries import Grid

STEPS = (1 / 64, 1 / 16, 1 / 4)  # of an axis; from a peak to its neighbours
_MOST_WORDS = 8  # of a list of words that are tried around a peak
_BELOW_ONE = math.nextafter(1.0, 0.0)
_JOINED = " + "


class Spot(NamedTuple):
    """A point of the space: the number of its workload, and on each axis of that a code, see ``Scale.code``."""

    track: int
    codes: tuple[Any, ...]


class Axis(NamedTuple):
    """What is varied by itself.

    Parameters
    ----------
    label : str
        Names, joined.
    names : tuple of str
        Parameters, or ``geometry``; several are varied together.
    scale : Scale
        Of its values; of its rows, where there are several names.
    """

    label: str
    names: tuple[str, ...]
    scale: Scale

    @property
    def ordered(self) -> bool:
        """Whether codes that are near each other mean values that are."""
        return all(type(value) in (int, float) for value in self.scale.choices)

    def told(self, code: Any) -> str:
        """Return a value in words."""
        value = self.scale.meant(code)
        if len(self.names) > 1:
            return ", ".join(brief(each) for each in value)
        return f"{value:,}" if type(value) is int else brief(value)


class Space:
    """All points of a study, those that it samples and all between them.

    Parameters
    ----------
    study : Study
        Validated.

    Attributes
    ----------
    labels : list of str
        The coordinates.
    size : int or None
        How many points there are; None if a range of fractions has no end of them.

    Raises
    ------
    RefusedError
        If nothing is varied.
    """

    def __init__(self, study: Study) -> None:
        self.grids = study.grids
        self.tracks = [_axes(grid) for grid in study.grids]
        several = [WORKLOAD] if len(self.grids) > 1 else []
        self.labels = several + list(dict.fromkeys(axis.label for track in self.tracks for axis in track))
        self.size = self._size()
        if self.size == 1:
            raise RefusedError(
                f"{study.name}: nothing is varied; a search needs axes; add ranges under 'sample', or lists under 'sweep'"
            )

    def _size(self) -> int | None:
        """Return how many points there are."""
        sizes = [math.prod(axis.scale.levels or 0 for axis in track) for track in self.tracks]
        return sum(sizes) if all(sizes) else None

    def spot(self, coordinates: npt.NDArray[np.float64]) -> Spot:
        """Return the point at some coordinates; those that its workload has no axis for are not looked at."""
        at = dict(zip(self.labels, np.clip(coordinates, 0.0, _BELOW_ONE).tolist(), strict=True))
        track = int(at.get(WORKLOAD, 0.0) * len(self.tracks))
        return Spot(track, tuple(axis.scale.code(at[axis.label]) for axis in self.tracks[track]))

    def every(self) -> Iterator[Spot]:
        """Yield all points of a space that has a size."""
        for number, track in enumerate(self.tracks):
            for index in np.ndindex(*(axis.scale.levels or 0 for axis in track)):
                codes = (
                    each if axis.scale.choices else int(axis.scale.low) + each
                    for axis, each in zip(track, index, strict=True)
                )
                yield Spot(number, tuple(codes))

    def codes(self, spot: Spot) -> dict[str, Any]:
        """Return label -> code; the workload's number among them if there are several."""
        several = {WORKLOAD: spot.track} if len(self.tracks) > 1 else {}
        labels = (axis.label for axis in self.tracks[spot.track])
        return several | dict(zip(labels, spot.codes, strict=True))

    def told(self, spot: Spot) -> dict[str, str]:
        """Return label -> value, in words."""
        several = {WORKLOAD: self.grids[spot.track].workload} if len(self.tracks) > 1 else {}
        pairs = zip(self.tracks[spot.track], spot.codes, strict=True)
        return several | {axis.label: axis.told(code) for axis, code in pairs}

    def ordered(self, label: str) -> bool:
        """Return whether an axis goes through numbers, for each workload that has it."""
        mine = [axis for track in self.tracks for axis in track if axis.label == label]
        return bool(mine) and all(axis.ordered for axis in mine)

    def around(self, spot: Spot) -> Iterator[tuple[str, Spot]]:
        """Yield the neighbours of a point, which differ from it on one axis: the axis, and the neighbour.

        On an axis of numbers: the next values, and those STEPS of the axis away, in order. On one of words the others.
        """
        for at, axis in enumerate(self.tracks[spot.track]):
            for code in _near(axis, spot.codes[at]):
                yield axis.label, spot._replace(codes=(*spot.codes[:at], code, *spot.codes[at + 1 :]))

    def grids_of(self, spots: Iterable[Spot]) -> tuple[Grid, ...]:
        """Return the grids of workloads that have exactly these points."""
        rows: list[list[list[Any]]] = [[] for _ in self.tracks]
        for spot in spots:
            rows[spot.track].append(_row(self.tracks[spot.track], spot.codes))
        found = []
        for grid, track, mine in zip(self.grids, self.tracks, rows, strict=True):
            names = tuple(name for axis in track for name in axis.names)
            joint = (Joint("points", names, mine, {}),) if names else ()
            if mine:
                found.append(grid._replace(sweep={}, joint=joint))
        return tuple(found)

    def values(self, spot: Spot) -> dict[str, Any]:
        """Return axis -> value, as ``Grid.each`` yields it."""
        track = self.tracks[spot.track]
        return dict(
            zip((name for axis in track for name in axis.names), _row(track, spot.codes), strict=True)
        )


def _axes(grid: Grid) -> list[Axis]:
    """Return what is varied of one workload."""
    axes = [Axis(name, (name,), Scale(_sorted(entries))) for name, entries in grid.sweep.items()]
    for joint in grid.joint:
        if joint.scales:
            pairs = zip(joint.axes, joint.scales, strict=True)
            axes += [Axis(name, (name,), _distinct(scale)) for name, scale in pairs]
        elif len(joint.axes) == 1:
            axes.append(Axis(joint.axes[0], joint.axes, Scale(_sorted([row[0] for row in joint.rows]))))
        else:
            axes.append(Axis(_JOINED.join(joint.axes), joint.axes, Scale(tuple(joint.rows))))
    return axes


def _distinct(scale: Scale) -> Scale:
    """Return a sample's scale; of a list each entry once, numbers in order."""
    once = list({repr(choice): choice for choice in scale.choices}.values())
    return scale._replace(choices=_sorted(once)) if scale.choices else scale


def _sorted(entries: Sequence[Any]) -> tuple[Any, ...]:
    """Return entries, numbers in order: what is near on an axis is near in value."""
    numbers = all(type(entry) in (int, float) for entry in entries)
    return tuple(sorted(entries) if numbers else entries)


def _row(track: list[Axis], codes: tuple[Any, ...]) -> list[Any]:
    """Return the values of a point, those of several names one after another."""
    row: list[Any] = []
    for axis, code in zip(track, codes, strict=True):
        value = axis.scale.meant(code)
        row += value if len(axis.names) > 1 else [value]
    return row


def _near(axis: Axis, code: Any) -> list[Any]:
    """Return the codes around one, without it, in order."""
    scale = axis.scale
    if not axis.ordered:
        return [other for other in range(len(scale.choices)) if other != code][:_MOST_WORDS]
    here = scale.at(code)
    found = {scale.code(min(max(here + way * step, 0.0), _BELOW_ONE)) for step in STEPS for way in (-1, 1)}
    if scale.levels is not None:
        first, last = (0, scale.levels - 1) if scale.choices else (int(scale.low), int(scale.high))
        found |= {max(code - 1, first), min(code + 1, last)}
    return sorted(found - {code})
