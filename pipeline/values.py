"""One value of a study against what is allowed: nothing is coerced, every fault is noted with its place."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.errors import Fault, counted, did_you_mean, dotted
from simcore.workloads.parameters import FRACTION, INT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.errors import Path
    from simcore.workloads.parameters import Parameter

_TRUTH = "a truth value (YAML 1.1 reads on, off, yes and no as such)"
MAX_MISFITS = 5  # told one by one
_KINDS: dict[type, str] = {
    bool: _TRUTH,
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}
_NUMBER = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Place:
    """Where a value stands, and where faults found there are noted.

    Parameters
    ----------
    path : tuple of str and int
        Steps from the document's root.
    marks : dict
        Path -> line and column, of everything that the file says.
    origins : dict
        Path -> the ``--set`` that put the value there.
    faults : list of Fault
        Grows.
    files : dict
        Path -> the included file that says the value; () for all of them.
    """

    path: Path = ()
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    files: dict[Path, str] = field(default_factory=dict)

    def at(self, step: str | int) -> Place:
        """Return the place of an entry or item."""
        return Place((*self.path, step), self.marks, self.origins, self.faults, self.files)

    def fault(self, message: str, *, follows: bool = True) -> None:
        """Note a fault here: at the ``--set`` that made the value, else at the nearest line of the file.

        The first fault of a value explains it, so that others which follow from it are dropped.
        """
        prefixes = [self.path[:length] for length in range(len(self.path), -1, -1)]
        origin = next((self.origins[prefix] for prefix in prefixes if prefix in self.origins), "")
        marked = next((prefix for prefix in prefixes if prefix in self.marks), ())
        line, column = (0, 0) if origin else self.marks.get(marked, (1, 1))
        file = "" if origin else self.files.get(marked, self.files.get((), ""))
        if follows and any(
            (known.path, known.line, known.origin) == (self.path, line, origin) for known in self.faults
        ):
            return
        self.faults.append(Fault(message, self.path, line, column, origin, file))


def shown(value: Any) -> str:
    """Return a value as a message shows it: its repr, cut if long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def brief(value: Any) -> str:
    """Return a value of an axis in a few characters: a measured tree or a capture by its label."""
    if isinstance(value, dict) and "parents" in value:
        return f"{value.get('label', 'measured')} ({len(value['parents'])} processes)"
    if isinstance(value, dict) and "packed" in value:
        return f"{value['label']} ({value['processes']} processes)"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {entry}" for key, entry in value.items()) + "}"
    return str(value)


def kind_of(value: Any) -> str:
    """Return what a YAML author calls a value of this type."""
    return _KINDS.get(type(value), "nothing")


def whole(value: Any, low: float, high: float, place: Place, unit: str = "") -> int | None:
    """Return an int in [low, high], or None after noting why the value is none."""
    allowed = f"whole numbers from {_plain(low)} to {_plain(high)}{' ' * bool(unit)}{unit} are allowed"
    if type(value) is int:
        if low <= value <= high:
            return value
        place.fault(f"{value!r} is out of range; {allowed}")
    elif type(value) is float and value.is_integer():
        place.fault(f"{value!r} has a decimal point; {allowed}; write {int(value)}")
    else:
        place.fault(_no_number(value, "a whole number", allowed))
    return None


def number(value: Any, low: float, high: float, place: Place, unit: str = "") -> float | None:
    """Return a finite float in [low, high], or None after noting why the value is none."""
    allowed = f"numbers from {_plain(low)} to {_plain(high)}{' ' * bool(unit)}{unit} are allowed"
    if type(value) in (int, float) and math.isfinite(value):
        if low <= value <= high:
            return float(value)
        place.fault(f"{value!r} is out of range; {allowed}")
    else:
        place.fault(_no_number(value, "a finite number", allowed))
    return None


def _no_number(value: Any, wanted: str, allowed: str) -> str:
    """Return the message for a value that is not the number that is wanted."""
    if isinstance(value, bool):
        return f"{value!r} is {_TRUTH}, not {wanted}; {allowed}"
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        reads = float(value.replace("_", ""))
        if not math.isfinite(reads):
            return f"{value!r} is beyond all numbers; {allowed}"
        better = _plain(reads)
        if re.search("[eE]", value):
            why = "YAML 1.1 reads an exponent only after a point and with a sign, as in 1.0e+6"
            return f"{value!r} is text: {why}; {allowed}; write {better}"
        return f"{value!r} is text, not {wanted}; {allowed}; write {better} without quotes"
    if value is None:
        return f"nothing is given; {allowed}"
    return f"{shown(value)} is not {wanted}; {allowed}"


def _plain(value: float) -> str:
    """Return a number as one would write it in a study."""
    return str(int(value)) if float(value).is_integer() else repr(value)


def text(value: Any, place: Place, pattern: str = r"(?s).*\S.*", meaning: str = "some text") -> str | None:
    """Return text that matches, or None after noting why the value is none."""
    if isinstance(value, str) and re.fullmatch(pattern, value):
        return value.strip()
    if isinstance(value, bool):
        place.fault(f"{value!r} is {_TRUTH}; put text in quotes")
    elif isinstance(value, str):
        place.fault(f"{shown(value)} is not allowed; write {meaning}")
    else:
        place.fault(f"{shown(value)} is {kind_of(value)}; write {meaning}")
    return None


def choice(value: Any, known: Iterable[str], noun: str, place: Place, hint: str = "") -> str | None:
    """Return a known name, or None after noting the nearest one."""
    names = list(known)
    if isinstance(value, str) and value in names:
        return value
    if isinstance(value, str):
        place.fault(f"unknown {noun} {shown(value)}{did_you_mean(value, names)}{hint and f' ({hint})'}")
    else:
        place.fault(f"{shown(value)} is {kind_of(value)}; write the name of a {noun}: {', '.join(names)}")
    return None


def mapping(value: Any, allowed: Iterable[str], place: Place) -> dict[str, Any]:
    """Return the known entries of a mapping; notes a wrong type and each unknown key."""
    names = list(allowed)
    if not isinstance(value, dict):
        keys = f", with {', '.join(names)}" if names else ""
        place.fault(f"{shown(value)} is {kind_of(value)}; a mapping is needed here{keys}")
        return {}
    for key in value:
        if key not in names:
            place.at(key).fault(f"unknown key{did_you_mean(key, names)}")
    return {key: entry for key, entry in value.items() if key in names}


def items(value: Any, place: Place) -> list[Any]:
    """Return a list with at least one item, or an empty one after noting why it is none."""
    if value is None:
        place.fault("nothing is given; a list is needed here; give at least one value, or take the key out")
    elif not isinstance(value, list):
        place.fault(f"{shown(value)} is {kind_of(value)}; a list is needed here, e.g. [{shown(value)}]")
    elif not value:
        place.fault(
            "the list is empty, and no cell would be left; give at least one value, or take the key out"
        )
    return value if isinstance(value, list) else []


def refuse_misfits(
    misfit: Callable[[dict[str, Any]], str | None], points: Iterable[dict[str, Any]], place: Place
) -> None:
    """Note why points of a sweep cannot be simulated, each reason once, as ``misfit`` tells it of a point."""
    found: dict[str, list[dict[str, Any]]] = {}
    for point in points:
        reason = misfit(point)
        if reason is not None:
            found.setdefault(reason, []).append(point)
    for reason, misfits in list(found.items())[:MAX_MISFITS]:
        where = ", ".join(f"{axis}: {shown(value)}" for axis, value in misfits[0].items())
        more = f" and {counted(len(misfits) - 1, 'other point')}" if len(misfits) > 1 else ""
        place.fault(f"at {where}{more}: {reason}" if where else reason, follows=False)
    if len(found) > MAX_MISFITS:
        others = counted(len(found) - MAX_MISFITS, "other reason")
        place.fault(f"{others} of the same sort at other points of the sweep", follows=False)


def refuse_repeats(found: list[tuple[Place, Any]]) -> None:
    """Note each value, of those that stand at these places, that stood before: its cells would be the same cells."""
    first: dict[str, Place] = {}
    for place, value in found:
        key = json.dumps(value, sort_keys=True)
        if value is not None and key in first:
            before, label = dotted(first[key].path), value.get("label") if isinstance(value, dict) else None
            what = f"the listing {label!r} is in {before} too" if label else f"the same value as {before}"
            place.fault(f"{what}; its cells would be the same; keep one")
        first.setdefault(key, place)


def parameter(value: Any, wanted: Parameter, place: Place) -> Any:
    """Return the value of a workload's parameter that is no tree, or None after noting its faults."""
    if wanted.kind == INT:
        return whole(value, wanted.low, wanted.high, place, wanted.unit)
    if wanted.kind == FRACTION:
        return number(value, wanted.low, wanted.high, place, wanted.unit)
    return choice(value, wanted.choices, f"value of {wanted.name}", place)
