"""How a workload says what it can be asked for, so that studies are checked before anything runs."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simcore.workloads.shape import tree_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from simcore.events import Trace
    from simcore.geometry import Geometry

INT = "int"
FRACTION = "fraction"
CHOICE = "choice"
TREE = "tree"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a workload.

    Parameters
    ----------
    name : str
        Key in a study.
    kind : {"int", "fraction", "choice", "tree"}
        An int (never a bool, never 3.0), a number in [low, high], one of ``choices``, or a process tree:
        ``{"depth": int, "fan_out": int}`` or ``{"label": str, "parents": [int], "names": [str]}``.
    default : Any
        Value where a study is silent.
    low, high : float
        Range of an int or fraction, ends included.
    choices : tuple of str
        Values of a choice.
    unit, meaning : str
        For tables and messages.
    """

    name: str
    kind: str
    default: Any
    meaning: str
    unit: str = ""
    low: float = 0
    high: float = 1
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Workload:
    """A generator of traces.

    ``make(params, geometry, rng)`` takes a value for every parameter and returns a trace; equal arguments and
    an equally seeded generator give the identical trace.
    """

    name: str
    prose: str
    source: str
    parameters: tuple[Parameter, ...]
    make: Callable[[dict[str, Any], Geometry, np.random.Generator], Trace]


def defaults(workload: Workload) -> dict[str, Any]:
    """Return the workload's parameters with their default values."""
    return {parameter.name: parameter.default for parameter in workload.parameters}


def fault(parameter: Parameter, value: Any) -> str | None:
    """Return why ``value`` is refused for ``parameter``, None if it is allowed.

    The text says what was found, what is allowed and what to do; the caller knows where.
    """
    if parameter.kind == TREE:
        return tree_fault(value)
    if parameter.kind == CHOICE:
        return _choice_fault(parameter, value)
    return _number_fault(parameter, value)


def _choice_fault(parameter: Parameter, value: Any) -> str | None:
    """Return why ``value`` is none of the parameter's choices."""
    if isinstance(value, str) and value in parameter.choices:
        return None
    near = difflib.get_close_matches(str(value)[:80], parameter.choices, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else "; write one of them"
    return f"{value!r} is no choice; {', '.join(map(repr, parameter.choices))} are allowed{meant}"


def _number_fault(parameter: Parameter, value: Any) -> str | None:
    """Return why ``value`` is no number in the parameter's range."""
    whole = parameter.kind == INT
    if type(value) is not int and (whole or type(value) is not float):
        kind, how = (
            ("whole number", "digits only, without quotes") if whole else ("number", "it without quotes")
        )
        return f"{value!r} is not a {kind}; {_allowed(parameter)}; write {how}"
    if not parameter.low <= value <= parameter.high:  # false for nan too
        return f"{value!r} is out of range; {_allowed(parameter)}; choose a value in the range"
    return None


def _allowed(parameter: Parameter) -> str:
    """Return the range in words."""
    unit = f" {parameter.unit}" if parameter.unit else ""
    if parameter.kind == INT:
        return f"{int(parameter.low)} to {int(parameter.high)}{unit} are allowed"
    return f"{parameter.low:g} to {parameter.high:g}{unit} is allowed"
