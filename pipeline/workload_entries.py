"""The workloads that a study names, what it fixes of them and what it sweeps: every fault noted.

``workload`` is a name, or a mapping from names to fixed parameters. ``sweep`` maps a parameter to its values, for each
workload that has it; where there are several workloads, also a workload to such a mapping of its own::

    workload: {snapshot: {children: 5}, shell: {}}
    sweep:
      exec_ratio: [0, 1]
      snapshot: {anon_pages: [60, 2000]}
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import values
from pipeline.capture_entries import captured
from pipeline.errors import dotted
from pipeline.joint_entries import Joint, Reader, read_joints, refuse_axis_twice
from pipeline.recording_entries import recorded
from pipeline.tree_entries import SHORT_FORMS, trees
from simcore.geometry import GEOMETRIES
from simcore.workloads import WORKLOADS
from simcore.workloads.parameters import CAPTURE, RECORDING, TREE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path as FilePath

    from pipeline.values import Place
    from simcore.workloads.parameters import Parameter

GEOMETRY_AXIS = "geometry"
MAX_FITTED = 5_000  # points of a workload whose layouts are tried: a few seconds at worst


class Grid(NamedTuple):
    """The points at which a study runs one workload.

    Parameters
    ----------
    workload : str
        A name of WORKLOADS.
    params : dict
        Every parameter that is not swept, defaults filled in.
    sweep : dict
        Axis -> its values, resolved.
    joint : tuple of Joint
        What is varied together. The points are the product of the axes and of these.
    """

    workload: str
    params: dict[str, Any]
    sweep: dict[str, list[Any]]
    joint: tuple[Joint, ...] = ()

    @property
    def points(self) -> int:
        """How many points there are, before any is left out."""
        return math.prod(self.lengths)

    @property
    def lengths(self) -> list[int]:
        """How many values each axis has, and how many rows each joint."""
        return [*map(len, self.sweep.values()), *(len(joint.rows) for joint in self.joint)]

    @property
    def varied(self) -> dict[str, list[Any]]:
        """Axis -> its distinct values, those of joints among them."""
        found = dict(self.sweep)
        for joint in self.joint:
            for axis, column in zip(joint.axes, zip(*joint.rows, strict=True), strict=True):
                found[axis] = list({repr(value): value for value in column}.values())
        return found

    def each(self) -> Iterator[dict[str, Any]]:
        """Yield the points, the last axis fastest: axis -> value."""
        axes = [*self.sweep, *(axis for joint in self.joint for axis in joint.axes)]
        own = len(self.sweep)
        for chosen in itertools.product(*self.sweep.values(), *(joint.rows for joint in self.joint)):
            row = itertools.chain(chosen[:own], *chosen[own:])
            yield dict(zip(axes, row, strict=True))

    def point(self, indexes: list[int]) -> dict[str, Any]:
        """Return the point at an index of each axis and joint, in the order of ``lengths``; they go round."""
        at = iter(indexes)
        found = {axis: entries[next(at) % len(entries)] for axis, entries in self.sweep.items()}
        for joint in self.joint:
            found |= zip(joint.axes, joint.rows[next(at) % len(joint.rows)], strict=True)
        return found

    def indexes(self, number: int) -> list[int]:
        """Return where on each axis and joint the point is that ``each`` yields as this number, from 0."""
        found = []
        for length in reversed(self.lengths):
            number, index = divmod(number, length)
            found.append(index)
        return found[::-1]

    def plain(self) -> dict[str, Any]:
        """Return what a dataset keeps of it."""
        found: dict[str, Any] = {"workload": self.workload, "params": self.params, "sweep": self.sweep}
        return found | ({"joint": [joint.plain() for joint in self.joint]} if self.joint else {})


class _Axis(NamedTuple):
    """An axis as the file gives it: its name, its values, where it stands, and the one workload that it is for, if so."""

    name: str
    entries: Any
    place: Place
    only: str | None = None

    def is_for(self, workload: str) -> bool:
        """Return whether a workload is swept along it."""
        if self.only is not None:
            return self.only == workload
        return self.name == GEOMETRY_AXIS or self.name in parameters_of(workload)


def read_grids(given: dict[str, Any], seed: int, base: FilePath, place: Place) -> tuple[Grid, ...]:
    """Return what a study runs, workload by workload, after noting every fault; values that are wrong are None.

    Parameters
    ----------
    given : dict
        The study.
    seed : int
        Of samples that name none.
    base : Path
        The folder from which the paths of listings count.
    place : Place
        Of the study.
    """
    fixed = _workloads(given["workload"], base, place.at("workload")) if "workload" in given else {}
    axes = _axes(given.get("sweep", {}), list(fixed), place.at("sweep"))
    joints = read_joints(given, axis_reader(list(fixed), seed, base, narrowest=True), place) if fixed else []
    refuse_axis_twice(
        [(axis.name, axis.place) for axis in axes if axis.only is None]
        + [item for joint in joints for item in joint.places.items()]
    )
    grids = []
    for name, params in fixed.items():
        grid = _grid(name, params, [axis for axis in axes if axis.is_for(name)], base, place)
        mine = tuple(joint for joint in joints if _is_for(joint, name))
        for axis, here in (item for joint in mine for item in joint.places.items()):
            if axis in params or axis in grid.sweep:
                here.fault(
                    "also fixed or swept for this workload; a parameter is varied in one place; keep one"
                )
        together = {axis for joint in mine for axis in joint.axes}
        rest = {key: value for key, value in grid.params.items() if key not in together}
        _refuse_missing(name, rest.keys() - params.keys(), place)
        grids.append(Grid(name, rest, grid.sweep, mine))
    _refuse_joints_for_nobody(joints, list(fixed))
    varied = [(axis.name, axis.place) for axis in axes]
    varied += [item for joint in joints for item in joint.places.items()]
    for axis_name, here in varied:
        if axis_name == GEOMETRY_AXIS and GEOMETRY_AXIS in given:
            _swept_and_fixed(place.at(GEOMETRY_AXIS), here)
    return tuple(grids)


def _grid(name: str, params: dict[str, Any], axes: list[_Axis], base: FilePath, place: Place) -> Grid:
    """Return the points of one workload along its axes, without what is varied together."""
    spread = {key: value.values for key, value in params.items() if isinstance(value, _Several)}
    mine: dict[str, list[Any]] = {}
    for axis in axes:
        if axis.name in mine:
            axis.place.fault("also swept for each workload that has it; a value is swept once; keep one")
        if axis.name in params:
            _swept_and_fixed(place.at("workload").at(name).at(axis.name), axis.place)
        mine[axis.name] = _resolved(axis, name, base)
    mine = spread | mine
    known = {key: parameter.default for key, parameter in parameters_of(name).items()} | params
    return Grid(name, {key: value for key, value in known.items() if key not in mine}, mine)


def _refuse_missing(name: str, silent: Collection[str], place: Place) -> None:
    """Note each of some parameters, of which the study says nothing, that has no default."""
    for key, parameter in parameters_of(name).items():
        if key in silent and parameter.default is None:
            place.at("workload").at(name).at(key).fault(
                f"missing; workload {name!r} needs it; add it, e.g. workload: {{{name}: {{{key}: FILE}}}}"
            )


def _is_for(joint: Joint, workload: str) -> bool:
    """Return whether a workload has all that is varied together."""
    return all(axis == GEOMETRY_AXIS or axis in parameters_of(workload) for axis in joint.axes)


def _refuse_joints_for_nobody(joints: list[Joint], workloads: list[str]) -> None:
    """Note what is varied together and applies to no workload."""
    for joint in joints:
        if not any(_is_for(joint, name) for name in workloads):
            place = next(iter(joint.places.values()))
            place.fault(
                f"no workload of the study has all of {', '.join(joint.axes)}; {joint.how} is for workloads that have "
                "all of its parameters; take out those that are missing",
            )


def axis_reader(workloads: list[str], seed: int, base: FilePath, *, narrowest: bool) -> Reader:
    """Return how values of the axes of some workloads are read.

    ``base`` is where paths of listings count from. Where workloads allow different ranges a value has to be allowed by
    all of them if ``narrowest``, else by one.
    """
    known: dict[str, Parameter | None] = {}
    inner, outer = (max, min) if narrowest else (min, max)
    for each in (each for name in workloads for each in parameters_of(name).values()):
        first = known.get(each.name) or each
        known[each.name] = replace(first, low=inner(first.low, each.low), high=outer(first.high, each.high))
    known[GEOMETRY_AXIS] = None

    def read(axis: str, value: Any, place: Place) -> list[Any]:
        wanted = known[axis]
        if wanted is None:
            return [values.choice(value, GEOMETRIES, "geometry", place)]
        return _found(value, wanted, base, place)

    return Reader(known, read, seed)


def refuse_grids_that_do_not_fit(grids: tuple[Grid, ...], geometry: str, place: Place) -> None:
    """Note the points at which a workload cannot be laid out; ``place`` is that of the workloads."""
    for grid in grids:
        fits = WORKLOADS[grid.workload].fits
        if fits is None:
            continue

        def misfit(point: dict[str, Any], grid: Grid = grid, fits: Any = fits) -> str | None:
            params = grid.params | point
            reason: str | None = fits(params, GEOMETRIES[params.pop(GEOMETRY_AXIS, geometry)])
            return reason

        # Of a huge sweep every n-th point is tried; one that slips through fails when it is run.
        step = -(-grid.points // MAX_FITTED)
        values.refuse_misfits(misfit, itertools.islice(grid.each(), 0, None, step), place.at(grid.workload))


def parameters_of(workload: str) -> dict[str, Parameter]:
    """Return the parameters of a workload by name."""
    return {parameter.name: parameter for parameter in WORKLOADS[workload].parameters}


def _workloads(entry: Any, base: FilePath, place: Place) -> dict[str, dict[str, Any]]:
    """Return the workloads that are named, and the parameters that the study fixes, None for those that are wrong."""
    if entry == {}:
        place.fault(f"no workload is named; a study has one or several of {', '.join(WORKLOADS)}; name one")
    named = values.mapping({entry: {}} if isinstance(entry, str) else entry, WORKLOADS, place)
    found = {}
    for name, params in named.items():
        known, here = parameters_of(name), place.at(name)
        given = {} if params is None else params
        fixed = values.mapping(_written_in_full(given, known, here), known, here)
        found[name] = {
            key: _one_or_several(_found(value, known[key], base, here.at(key) if key in given else here))
            for key, value in fixed.items()
        }
    return found


def _written_in_full(params: Any, known: dict[str, Parameter], place: Place) -> Any:
    """Return parameters with ``tree: {listing: FILE}`` where a study says just ``listing: FILE``."""
    short = [key for key in SHORT_FORMS if isinstance(params, dict) and key in params]
    tree = next((key for key, parameter in known.items() if parameter.kind == TREE), None)
    if not short or tree is None:
        return params
    if len(short) > 1 or tree in params:
        place.at(short[0]).fault(
            "a second tree; a workload has one; keep one of them, or sweep them as 'sweep.tree'"
        )
    keys = [short[0], "sizes"]
    rest = {key: value for key, value in params.items() if key not in [*short, "sizes"]}
    return {tree: {key: params[key] for key in keys if key in params}} | rest


class _Several(NamedTuple):
    """What a study gives as one value of a parameter, and is several: the trees of a population."""

    values: list[Any]


def _found(value: Any, wanted: Parameter, base: FilePath, place: Place) -> list[Any]:
    """Return the values that a value of a study stands for: one, or the trees of a population."""
    if wanted.kind == TREE:
        return list(trees(value, base, place))
    if wanted.kind == CAPTURE:
        return [captured(value, base, place)]
    if wanted.kind == RECORDING:
        return [recorded(value, base, place)]
    return [values.parameter(value, wanted, place)]


def _one_or_several(found: list[Any]) -> Any:
    """Return the only value, or all."""
    return found[0] if len(found) == 1 else _Several(found)


def _axes(given: Any, workloads: list[str], place: Place) -> list[_Axis]:
    """Return the axes, those of single workloads last."""
    if not workloads:  # what may be swept is not known, but some things are wrong for every workload
        keys = given if isinstance(given, dict) else ()
        for axis, entries in values.mapping(given, keys, place).items():
            if axis not in WORKLOADS or not isinstance(entries, dict):
                values.items(entries, place.at(axis))
        return []
    known = list(dict.fromkeys(key for name in workloads for key in parameters_of(name)))
    several = workloads if len(workloads) > 1 else []
    common, own = [], []
    allowed = dict.fromkeys([*known, GEOMETRY_AXIS, *several])
    for key, entries in values.mapping(given, allowed, place).items():
        here = place.at(key)
        if key in several and (isinstance(entries, dict) or key not in known):
            mine = values.mapping(entries, parameters_of(key), here)
            own += [_Axis(name, each, here.at(name), key) for name, each in mine.items()]
        else:
            common.append(_Axis(key, entries, here))
    return common + own


def _resolved(axis: _Axis, workload: str, base: FilePath) -> list[Any]:
    """Return the values of an axis as a workload takes them, None for those that are wrong."""
    found: list[tuple[Place, Any]] = []
    for index, entry in enumerate(values.items(axis.entries, axis.place)):
        here = axis.place.at(index)
        if axis.name == GEOMETRY_AXIS:
            found.append((here, values.choice(entry, GEOMETRIES, "geometry", here)))
        else:
            found += [
                (here, value) for value in _found(entry, parameters_of(workload)[axis.name], base, here)
            ]
    values.refuse_repeats(found)
    return [value for _, value in found]


def _swept_and_fixed(place: Place, swept: Place) -> None:
    """Note that a value is both fixed and swept."""
    place.fault(f"also swept in {dotted(swept.path)}; a value is either fixed or swept; keep one")
