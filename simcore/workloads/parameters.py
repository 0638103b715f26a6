"""How a workload says what it can be asked for, so that studies are checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from simcore.events import Trace
    from simcore.geometry import Geometry

INT = "int"
FRACTION = "fraction"
CHOICE = "choice"
TREE = "tree"
CAPTURE = "capture"
RECORDING = "recording"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a workload.

    Parameters
    ----------
    name : str
        Key in a study.
    kind : {"int", "fraction", "choice", "tree", "capture", "recording"}
        An int (never a bool, never 3.0), a number in [low, high], one of ``choices``, a process tree:
        ``{"depth": int, "fan_out": int}`` or ``{"label": str, "parents": [int], "names": [str]}``; or what was found
        on a machine: ``{"label": str, "processes": int, "packed": str}``, see ``simcore.workloads.spaces``; or a recorded
        trace, which has a digest besides, see ``simcore.workloads.recording``.
    default : Any
        Value where a study is silent; None if it must not be.
    low, high : float
        Range of an int or fraction, ends included.
    choices : tuple of str
        Values of a choice.
    unit, meaning : str
        For tables and messages.
    later : bool
        The workload was used before it had this parameter, whose default is what it did then: a trace with the
        default is the trace that it was, under the same id.
    """

    name: str
    kind: str
    default: Any
    meaning: str
    unit: str = ""
    low: float = 0
    high: float = 1
    choices: tuple[str, ...] = ()
    later: bool = False


@dataclass(frozen=True)
class Workload:
    """A generator of traces.

    ``make(params, geometry, rng)`` takes a value for every parameter and returns a trace; equal arguments and
    an equally seeded generator give the identical trace. ``fits(params, geometry)`` tells in no time why ``make``
    would refuse the parameters in that geometry, or returns None; a workload that fits everywhere has none.
    """

    name: str
    prose: str
    source: str
    parameters: tuple[Parameter, ...]
    make: Callable[[dict[str, Any], Geometry, np.random.Generator], Trace]
    fits: Callable[[dict[str, Any], Geometry], str | None] | None = None


def defaults(workload: Workload) -> dict[str, Any]:
    """Return the workload's parameters with their default values."""
    return {parameter.name: parameter.default for parameter in workload.parameters}


def misfit(found: str, page_bytes: int, end: int, geometry: Geometry) -> str | None:
    """Return why what was found on a machine cannot be simulated in a geometry, None if it can.

    Parameters
    ----------
    found : str
        What it is, for the message, e.g. ``the capture``.
    page_bytes : int
        Of the machine's pages.
    end : int
        The page behind the last one mapped.
    geometry : Geometry
        The study's.
    """
    if page_bytes != geometry.page_bytes:
        return (
            f"{found} has pages of {page_bytes} bytes, geometry {geometry.name!r} of {geometry.page_bytes}; "
            "the same size is needed; set geometry to that of the machine"
        )
    if end > geometry.user_pages:
        return (
            f"{found} maps pages up to {end - 1}, geometry {geometry.name!r} ends at "
            f"{geometry.user_pages - 1}; a geometry as wide as the machine's is needed; for most it is 'x86-64'"
        )
    return None
