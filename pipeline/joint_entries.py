"""Parameters that a study varies together: zips, explicit points, samples. Every fault noted.

Each is one factor of the sweep: the points of a study are the product of its axes and of these::

    zip: {anon_pages: [60, 2000], file_pages: [160, 900]}      # two points, not four; or a list of such mappings
    points: [{exec_ratio: 0.5, children: 3}, {exec_ratio: 1.0, children: 40}]
    sample: {method: sobol, points: 64, of: {anon_pages: {from: 16, to: 4096, scale: log}, first: [child, parent]}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import sampling, values
from pipeline.errors import counted, dotted
from pipeline.sampling import Scale
from simcore.workloads.parameters import FRACTION, INT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.values import Place
    from simcore.workloads.parameters import Parameter

MAX_SAMPLE = 100_000
LINEAR, LOG = "linear", "log"


class Joint(NamedTuple):
    """Parameters that are varied together.

    Parameters
    ----------
    how : {"zip", "points", "sample"}
        Where the study says so.
    axes : tuple of str
        Names.
    rows : list of list
        A value for each axis, resolved; None for each that is wrong.
    places : dict
        Axis -> where it stands.
    scales : tuple of Scale
        What each axis of a sample is drawn from; () for what is written out.
    """

    how: str
    axes: tuple[str, ...]
    rows: list[list[Any]]
    places: dict[str, Place]
    scales: tuple[Scale, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return what a dataset keeps of it."""
        return {"how": self.how, "axes": list(self.axes), "rows": self.rows}


class Reader(NamedTuple):
    """How values of an axis are read.

    Parameters
    ----------
    known : dict
        Axis -> its parameter; None for the geometry.
    read : callable
        (axis, value, place) -> the values that it stands for, None for each that is wrong.
    seed : int
        Of samples that name none.
    """

    known: dict[str, Parameter | None]
    read: Callable[[str, Any, Place], list[Any]]
    seed: int


def read_joints(given: dict[str, Any], reader: Reader, place: Place) -> list[Joint]:
    """Return what the keys ``zip``, ``points`` and ``sample`` of a study say, after noting every fault."""
    found: list[Joint | None] = []
    if "zip" in given:
        here, entry = place.at("zip"), given["zip"]
        groups = (
            [(here.at(index), each) for index, each in enumerate(values.items(entry, here))]
            if isinstance(entry, list)
            else [(here, entry)]
        )
        found += [_zip(group, reader, at) for at, group in groups]
    if "points" in given:
        found.append(_points(given["points"], reader, place.at("points")))
    if "sample" in given:
        found.append(_sample(given["sample"], reader, place.at("sample")))
    return [joint for joint in found if joint is not None and joint.rows]


def _one(axis: str, value: Any, reader: Reader, place: Place) -> Any:
    """Return the one value that an entry stands for, None after noting why it is none."""
    found = reader.read(axis, value, place)
    if len(found) == 1:
        return found[0]
    place.fault(f"stands for {len(found)} values; here a value is one; sweep it in 'sweep.{axis}'")
    return None


def _axes(value: Any, reader: Reader, place: Place) -> dict[str, Any]:
    """Return the entries of a mapping whose keys are axes, after noting those that are none."""
    if value == {}:
        place.fault(f"no parameter is named; name one or several, e.g. {next(iter(reader.known))!r}")
    return values.mapping(value, reader.known, place)


def _zip(group: Any, reader: Reader, place: Place) -> Joint | None:
    """Return lists of equal lengths as rows."""
    lists = {
        axis: values.items(entries, place.at(axis)) for axis, entries in _axes(group, reader, place).items()
    }
    lengths = {axis: len(entries) for axis, entries in lists.items()}
    if len(set(lengths.values())) > 1 and 0 not in lengths.values():
        told = ", ".join(f"{axis} has {counted(length, 'value')}" for axis, length in lengths.items())
        place.fault(
            f"lists of different lengths: {told}; a zip takes the first of each, then the second; make them equal"
        )
        return None
    columns = [
        [_one(axis, entry, reader, place.at(axis).at(index)) for index, entry in enumerate(entries)]
        for axis, entries in lists.items()
    ]
    rows = [list(row) for row in zip(*columns, strict=False)]
    _refuse_equal_rows(rows, lambda row: place.at(next(iter(lists))).at(row))
    return Joint("zip", tuple(lists), rows, {axis: place.at(axis) for axis in lists})


def _points(given: Any, reader: Reader, place: Place) -> Joint | None:
    """Return explicit points; each names the same parameters."""
    entries = [
        (place.at(index), _axes(entry, reader, place.at(index)))
        for index, entry in enumerate(values.items(given, place))
    ]
    axes = tuple(dict.fromkeys(axis for _, entry in entries for axis in entry))
    rows = []
    for here, entry in entries:
        for axis in axes:
            if axis not in entry and entry:
                here.fault(
                    f"has no {axis!r}, which another point has; every point names the same parameters; add it"
                )
        rows.append(
            [_one(axis, entry[axis], reader, here.at(axis)) if axis in entry else None for axis in axes]
        )
    _refuse_equal_rows(rows, place.at)
    return Joint("points", axes, rows, {axis: place.at(0).at(axis) for axis in axes})


def _refuse_equal_rows(rows: list[list[Any]], at: Callable[[int], Place]) -> None:
    """Note rows that stood before: their cells would be the same cells."""
    known = [(at(index), row) for index, row in enumerate(rows) if None not in row]
    values.refuse_repeats(known)


def _sample(given: Any, reader: Reader, place: Place) -> Joint | None:
    """Return sampled points; those that become equal by rounding are kept once."""
    before = len(place.faults)
    entry = values.mapping(given, ("method", "points", "seed", "of"), place)
    if not isinstance(given, dict):
        return None
    for key, example in (("points", 64), ("of", "{exec_ratio: {from: 0, to: 1}}")):
        if key not in entry:
            place.at(key).fault(f"missing; a sample needs it; add it, e.g. '{key}: {example}'")
    method = values.choice(
        entry.get("method", sampling.LATIN_HYPERCUBE), sampling.METHODS, "method", place.at("method")
    )
    count = values.whole(entry["points"], 1, MAX_SAMPLE, place.at("points")) if "points" in entry else None
    seed = values.whole(entry.get("seed", reader.seed), 0, 2**63 - 1, place.at("seed"))
    if method == sampling.SOBOL and count is not None and count & (count - 1):
        below = 1 << (count.bit_length() - 1)
        place.at("points").fault(
            f"{count} is no power of two, where alone a Sobol sequence is balanced; write {below} or {2 * below}"
        )
    here = place.at("of")
    named = _axes(entry["of"], reader, here) if "of" in entry else {}
    scales = {axis: _scale(axis, each, reader, here.at(axis)) for axis, each in named.items()}
    if len(place.faults) > before or method is None or count is None or seed is None or not named:
        return None
    cube = sampling.unit_points(method, len(named), count, seed)
    rows = [[scale.value(float(u)) for scale, u in zip(scales.values(), row, strict=True)] for row in cube]
    distinct = list({repr(row): row for row in rows}.values())
    places = {axis: here.at(axis) for axis in named}
    return Joint("sample", tuple(named), distinct, places, tuple(scales.values()))


def _scale(axis: str, entry: Any, reader: Reader, place: Place) -> Scale:
    """Return what an axis is drawn from: a list, or a range of numbers."""
    parameter = reader.known[axis]
    if isinstance(entry, list):
        return Scale(
            tuple(
                value
                for index, each in enumerate(values.items(entry, place))
                for value in reader.read(axis, each, place.at(index))
            )
        )
    if parameter is None or parameter.kind not in (INT, FRACTION):
        place.fault(
            f"{values.shown(entry)} is {values.kind_of(entry)}; list the values of {axis!r} to draw from"
        )
        return Scale()
    given = values.mapping(entry, ("from", "to", "scale"), place)
    scale = values.choice(given.get("scale", LINEAR), (LINEAR, LOG), "scale", place.at("scale"))
    if isinstance(entry, dict):
        for key, end in (("from", parameter.low), ("to", parameter.high)):
            if key not in given:
                place.at(key).fault(f"missing; a range has both ends; add it, e.g. '{key}: {end:.0f}'")
    low, high = (
        values.parameter(given[key], parameter, place.at(key)) if key in given else None
        for key in ("from", "to")
    )
    if low is None or high is None or scale is None:
        return Scale()
    if low >= high:
        place.fault(f"from {low} to {high} is no range; 'from' has to be below 'to'; swap them")
    elif scale == LOG and low <= 0:
        place.at("from").fault(
            f"{low} with scale 'log', which has no 0; begin above 0, or leave the scale out"
        )
    return Scale((), low, high, parameter.kind == INT, scale == LOG)


def refuse_axis_twice(seen: Iterable[tuple[str, Place]]) -> None:
    """Note each axis that stands in two places of a sweep."""
    first: dict[str, Place] = {}
    for axis, place in seen:
        if axis in first:
            before = dotted(first[axis].path)
            place.fault(f"also in {before}; a parameter is varied in one place; keep one", follows=False)
        first.setdefault(axis, place)
