"""``--set``: values put into a study before it is validated. A fault of such a value is blamed on it, not on the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pipeline import values
from pipeline.errors import Fault, RefusedError, dotted
from pipeline.workload_entries import GEOMETRY_AXIS, parameters_of
from pipeline.yaml_marks import readings
from simcore.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pipeline.errors import Path
    from pipeline.values import Place

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_TOGETHER = ("zip", "points", "sample")


class Overrides:
    """Put the values of ``key=value`` into the data of a study.

    Parameters
    ----------
    data : dict
        The study; changed.
    keys : collection of str
        That a study may have at its top; any other name is an axis.
    place : Place
        Of the study.
    """

    def __init__(self, data: dict[str, Any], keys: Collection[str], place: Place) -> None:
        self._data = data
        self._keys = keys
        self._place = place

    def put(self, override: str) -> None:
        """Put one value; raises RefusedError if the text is not ``key=value``."""
        key, equals, raw = override.partition("=")
        steps = tuple(name or int(index) for name, index in _STEP.findall(key))
        if not equals or not steps or dotted(steps) != key:
            raise RefusedError(
                f"--set {override!r}: not key=value; write a dotted key, e.g. --set replicates=5"
            )
        reading = readings(raw or "null")[0]
        origin = f"--set {override}"
        if not reading.parsed or reading.faults:
            whys = reading.faults or [Fault("the value is not YAML")]
            self._place.faults.extend(Fault(why.message, steps, origin=origin) for why in whys)
            return
        for path, value in self._targets(steps, reading.data, origin):
            self._place.origins[path] = origin
            self._put(path, value)

    def _targets(self, steps: Path, value: Any, origin: str) -> Iterable[tuple[Path, Any]]:
        """Return what is set to what: the path that is given, or every place where an axis of that name stands."""
        axis = steps[0]
        if len(steps) > 1 or not isinstance(axis, str) or axis in set(self._keys) - {GEOMETRY_AXIS}:
            return [(steps, value)]
        homes = [name for name in self._workloads() if axis in parameters_of(name)]
        if not homes and axis != GEOMETRY_AXIS:
            return [(steps, value)]  # nobody has it, which is told as of any unknown key
        for key in _TOGETHER:
            if self._is_in(key, axis):
                message = f"varied together with others in {key!r}; change it there, e.g. --set {key}=..."
                self._place.faults.append(Fault(message, steps, origin=origin))
                return []
        return self._of_axis(axis, homes, value)

    def _of_axis(self, axis: str, homes: list[str], value: Any) -> Iterable[tuple[Path, Any]]:
        """Return where an axis that some workloads have is set: a list is swept, anything else is fixed."""
        sweep = self._data.get("sweep")
        swept = sweep if isinstance(sweep, dict) else {}
        own = [name for name in homes if isinstance(swept.get(name), dict) and axis in swept[name]]
        for name in own:
            del swept[name][axis]
        swept.pop(axis, None)
        fixed = self._data.get("workload")
        if isinstance(fixed, str):
            fixed = self._data["workload"] = {fixed: {}}
        for name in homes:
            if isinstance(fixed, dict) and isinstance(fixed.get(name), dict):
                fixed[name].pop(axis, None)
        if isinstance(value, list):
            if axis == GEOMETRY_AXIS:
                self._data.pop(GEOMETRY_AXIS, None)
            return [(("sweep", axis), value)]
        if axis == GEOMETRY_AXIS:
            return [((GEOMETRY_AXIS,), value)]
        return [(("workload", name, axis), value) for name in homes]

    def _workloads(self) -> list[str]:
        """Return the names of the study's workloads as far as they are right."""
        given = self._data.get("workload")
        names = [given] if isinstance(given, str) else list(given) if isinstance(given, dict) else []
        return [name for name in names if name in WORKLOADS]

    def _is_in(self, key: str, axis: str) -> bool:
        """Return whether an axis is varied together with others under a key."""
        given = self._data.get(key)
        if key == "sample":
            given = given.get("of") if isinstance(given, dict) else None
        groups = given if isinstance(given, list) else [given]
        return any(isinstance(group, dict) and axis in group for group in groups)

    def _put(self, path: Path, value: Any) -> None:
        """Set ``data[path[0]][path[1]]... = value``, making mappings on the way."""
        data: Any = self._data
        for number, step in enumerate(path):
            known = list(range(len(data))) if isinstance(data, list) else data
            wrong = isinstance(data, list) != isinstance(step, int) or not isinstance(data, (dict, list))
            if wrong or (isinstance(data, list) and step not in known):
                there = f"{dotted(path[:number]) or 'the study'} is {values.kind_of(data)}"
                self._at(path).fault(f"{there} without {step!r}; name a value that can be there")
                return
            if number == len(path) - 1:
                data[step] = value
            elif isinstance(data, dict):
                if data.get(step) is None:  # not there, or there without a value: 'shell:'
                    data[step] = {}
                data = data[step]
            else:
                data = data[step]

    def _at(self, path: Path) -> Place:
        """Return the place of a path."""
        place = self._place
        for step in path:
            place = place.at(step)
        return place
