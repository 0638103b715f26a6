"""The keys ``exclude`` and ``only_when`` of a study: every fault noted.

::

    exclude:
      - {design: rmap25, anon_pages: {from: 10000}, because: it takes hours}
    only_when:
      - {cells: {first: parent}, when: {exec_ratio: {from: 0.5}}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import values
from pipeline.rules import DESIGN, WORKLOAD, Condition, Rule
from simcore.workloads.parameters import FRACTION, INT

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.values import Place
    from simcore.workloads.parameters import Parameter

BECAUSE = "because"


class Names(NamedTuple):
    """What a condition may speak of.

    Parameters
    ----------
    designs, workloads : list of str
        Of the study.
    known : dict
        Axis -> its parameter; None for the geometry.
    read : callable
        (axis, value, place) -> the values that it stands for, None for each that is wrong.
    """

    designs: list[str]
    workloads: list[str]
    known: dict[str, Parameter | None]
    read: Callable[[str, Any, Place], list[Any]]


def read_rules(given: dict[str, Any], names: Names, place: Place) -> tuple[Rule, ...]:
    """Return the rules of a study after noting every fault."""
    found = []
    for key, read in (("exclude", _exclude), ("only_when", _only_when)):
        if key not in given:
            continue
        here = place.at(key)
        for index, entry in enumerate(values.items(given[key], here)):
            found.append(read(entry, names, here.at(index)))
    return tuple(found)


def _exclude(entry: Any, names: Names, place: Place) -> Rule:
    """Return a rule that leaves out what a condition describes."""
    body = (
        {key: value for key, value in entry.items() if key != BECAUSE} if isinstance(entry, dict) else entry
    )
    return Rule("exclude", _condition(body, names, place), None, _because(entry, place))


def _only_when(entry: Any, names: Names, place: Place) -> Rule:
    """Return a rule that leaves out what one condition describes unless another one holds."""
    parts = values.mapping(entry, ("cells", "when", BECAUSE), place)
    for key in ("cells", "when"):
        if isinstance(entry, dict) and key not in entry:
            place.at(key).fault(
                f"missing; a rule says which cells run only when what: {{cells: {{first: parent}}, "
                f"when: {{exec_ratio: {{from: 0.5}}}}}}; add {key!r}"
            )
    cells, when = (
        _condition(parts[key], names, place.at(key)) if key in parts else {} for key in ("cells", "when")
    )
    return Rule("only_when", cells, when, _because(entry, place))


def _because(entry: Any, place: Place) -> str:
    """Return the study's words for a rule."""
    if not isinstance(entry, dict) or BECAUSE not in entry:
        return ""
    return values.text(entry[BECAUSE], place.at(BECAUSE), meaning="the reason in words") or ""


def _condition(entry: Any, names: Names, place: Place) -> Condition:
    """Return a condition, each value resolved."""
    if entry == {}:
        place.fault(
            "the condition is empty, and would hold for every cell; name a parameter, a design or a workload"
        )
    allowed = [DESIGN, WORKLOAD, *names.known]
    return {
        name: _test(name, value, names, place.at(name))
        for name, value in values.mapping(entry, allowed, place).items()
    }


def _test(name: str, value: Any, names: Names, place: Place) -> dict[str, Any]:
    """Return what a name's values may be: those listed, or a range with one end or two."""
    parameter = names.known.get(name)
    if isinstance(value, dict) and parameter is not None and parameter.kind in (INT, FRACTION):
        return _range(value, parameter, place)
    if isinstance(value, list):
        entries = [(place.at(index), each) for index, each in enumerate(values.items(value, place))]
    else:
        entries = [(place, value)]
    return {"in": [found for here, each in entries for found in _named(name, each, names, here)]}


def _named(name: str, value: Any, names: Names, place: Place) -> list[Any]:
    """Return the values that one entry of a condition stands for."""
    if name == DESIGN:
        return [values.choice(value, names.designs, "design of this study", place)]
    if name == WORKLOAD:
        return [values.choice(value, names.workloads, "workload of this study", place)]
    return names.read(name, value, place)


def _range(value: dict[str, Any], parameter: Parameter, place: Place) -> dict[str, Any]:
    """Return a range; an end that is left out is open."""
    ends = values.mapping(value, ("from", "to"), place)
    if not ends:
        place.fault("a range without an end; write {from: 1}, {to: 9} or {from: 1, to: 9}")
    low, high = (
        values.parameter(ends[key], parameter, place.at(key)) if key in ends else None
        for key in ("from", "to")
    )
    if low is not None and high is not None and low > high:
        place.fault(f"from {low} to {high} holds for no value; 'from' is at most 'to'; swap them")
    return {"from": low, "to": high}
