"""The designs that a study names, and those that it defines: every fault noted, with the nearest right name.

``designs`` is a list, or a mapping whose values define: ``{linux24: {}, mine: {base: linus_pmd, zap: unshare}}``. An
item of the list may be a mapping with one key, for the same purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import values
from pipeline.errors import did_you_mean
from pipeline.lineup import MORE_THAN, frozen
from simcore.designs import AXES, DESIGNS, SHARING_AXES, derived

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.values import Place

BASE = "base"
BASELINE = "linux24"  # of a study that names none
FLOOR = "vfork"  # of a study that names none, if it is among the designs
MOST_TABLES = 1 << 20  # what simcore allows for more_than
_NAME = r"(?=.{1,24}$)[a-z][a-z0-9]*(_[a-z0-9]+)*"
_NAME_MEANING = (
    "at most 24 lower-case letters and digits, a letter first, words joined by single '_', e.g. 'my_design'"
)
_LISTS = "forkbench designs lists them"
_FORM = "a design is a name, or one of your own: 'name: {base: linus_pmd, last_sharer: copies}'"


class Lineup(NamedTuple):
    """What ``designs`` says.

    Parameters
    ----------
    names : tuple of str or None
        In the order of the file; None for each that is not known.
    own : dict
        Name -> what ``lineup.frozen`` returns, for designs that the study defines.
    defined : frozenset of str
        Names that the study gives a definition, right or wrong.
    """

    names: tuple[str | None, ...] = ()
    own: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - never changed
    defined: frozenset[str] = frozenset()


class _Entry(NamedTuple):
    """One design of a study: its name, what defines it (None for a bare name), and where it stands."""

    name: Any
    body: Any
    place: Place


def read_designs(given: Any, place: Place) -> Lineup:
    """Return the designs of a study after noting every fault."""
    entries = _entries(given, place)
    defining = [entry for entry in entries if entry.body not in (None, {})]
    defined = frozenset(entry.name for entry in defining)
    names = tuple(_name(entry, defined) for entry in entries)
    made = {entry.name: _own(entry) for entry in defining if entry.name not in DESIGNS}
    if isinstance(given, list):
        values.refuse_repeats([(place.at(index), name) for index, name in enumerate(names)])
    return Lineup(names, {name: data for name, data in made.items() if data}, defined)


def read_roles(given: dict[str, Any], lineup: Lineup, place: Place) -> dict[str, str | None]:
    """Return baseline and floor after checking that they are designs of the study; a study may have no floor."""
    roles = {"baseline": given.get("baseline", BASELINE)}
    roles["floor"] = given.get("floor", FLOOR if FLOOR in lineup.names else None)
    found: dict[str, str | None] = {}
    for name, value in roles.items():
        none = name == "floor" and value is None
        found[name] = chosen = None if none else _role(value, lineup.defined, place.at(name))
        complete = lineup.names and None not in lineup.names
        if complete and chosen is not None and chosen not in lineup.names:
            said = "is" if name in given else "is by default"
            others = ", ".join(map(str, lineup.names))
            place.at(name).fault(
                f"the {name} {said} {chosen!r}, which is not in designs ({others}); add it there"
            )
    return found


def _role(value: Any, defined: Iterable[str], place: Place) -> str | None:
    """Return the name of a design that ships or that the study defines, None after noting the nearest one."""
    known = [*DESIGNS, *sorted(set(defined) - DESIGNS.keys())]
    return values.choice(value, known, "design", place, hint=_LISTS)


def _entries(given: Any, place: Place) -> list[_Entry]:
    """Return the entries of a list or a mapping of designs."""
    if isinstance(given, dict):
        if not given:
            place.fault("the mapping is empty, and no cell would be left; name at least one design")
        return [_Entry(name, {} if body is None else body, place.at(name)) for name, body in given.items()]
    found = []
    for index, item in enumerate(values.items(given, place)):
        here = place.at(index)
        if isinstance(item, dict) and len(item) == 1:
            [(name, body)] = item.items()
            found.append(_Entry(name, {} if body is None else body, here.at(name)))
        elif isinstance(item, dict):
            here.fault(f"a mapping with {len(item)} keys; {_FORM}; give each a '- ' of its own")
            found.append(_Entry(None, None, here))
        else:
            found.append(_Entry(item, None, here))
    return found


def _name(entry: _Entry, defined: Iterable[str]) -> str | None:
    """Return the name of an entry, None after noting what is wrong with it."""
    name, body, place = entry
    if name in DESIGNS:
        return _shipped(entry)
    if body is None:
        return _role(name, defined, place)
    if body == {}:
        place.fault(
            f"{name!r} is not a shipped design{did_you_mean(name, DESIGNS)} ({_LISTS}); one of your own names the design "
            f"it starts from, e.g. {name}: {{base: linus_pmd, last_sharer: copies}}"
        )
        return None
    return values.text(name, place, _NAME, _NAME_MEANING)


def _shipped(entry: _Entry) -> str | None:
    """Return the name of a shipped design, None after refusing to change it."""
    name, body, place = entry
    if body in (None, {}, {BASE: name}):
        return str(name)
    place.fault(
        f"{name!r} is a shipped design, which is what its row says; it may be named but not changed; give the changed "
        f"one a name of its own, e.g. my_{name}: {{base: {name}, ...}}"
    )
    return None


def _own(entry: _Entry) -> dict[str, Any] | None:
    """Return a design of the study's own as plain data, None after noting what is wrong with it."""
    name, body, place = entry
    if not isinstance(body, dict):
        place.fault(f"{values.shown(body)} is {values.kind_of(body)}; {_FORM}")
        return None
    before = len(place.faults)
    base = _base(body, place)
    axes = {key: _value(key, value, place.at(key)) for key, value in body.items() if key != BASE}
    if len(place.faults) > before or base is None:
        return None
    try:
        return frozen(derived(name, DESIGNS[base], axes), base)
    except ValueError as error:
        place.fault(str(error).removeprefix(f"design {name!r}: ") + _how_to_take_away(base, axes))
        return None


def _base(body: dict[str, Any], place: Place) -> str | None:
    """Return the name of the shipped design that a definition starts from."""
    if BASE not in body:
        place.fault(
            f"no base is given; a design of your own starts from a shipped one ({_LISTS}); add e.g. 'base: linus_pmd'"
        )
        return None
    return values.choice(body[BASE], DESIGNS, "design", place.at(BASE), hint=_LISTS)


def _value(axis: str, value: Any, place: Place) -> Any:
    """Return a value on an axis, None where it is taken away or wrong; the latter is noted."""
    if axis not in AXES and axis != MORE_THAN:
        known = [*AXES, MORE_THAN, BASE]
        place.fault(f"unknown axis{did_you_mean(axis, known)} (forkbench designs NAME shows a design's axes)")
        return None
    if value is None and (axis in SHARING_AXES or axis == MORE_THAN):
        return None
    if axis == MORE_THAN:
        return values.whole(value, 0, MOST_TABLES, place, "populated tables")
    return values.choice(value, AXES[axis], f"value of {axis}", place)


def _how_to_take_away(base: str, axes: dict[str, Any]) -> str:
    """Say how to leave out what the base brings along, where that is what stands in the way."""
    row = DESIGNS[base]
    left = [
        axis for axis in (*SHARING_AXES, MORE_THAN) if getattr(row, axis) is not None and axis not in axes
    ]
    stops = axes.get("fork") == "copy" or (row.more_than is not None and "fork" in axes)
    if not left or not stops:
        return ""
    return f" (null takes away what {base} brings along: {', '.join(left)})"
