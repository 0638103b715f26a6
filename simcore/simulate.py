"""The door: trace + design + geometry -> Result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from simcore.acts import LEVELS
from simcore.check import check_trace
from simcore.designs import DESIGNS, Design
from simcore.engine import layout
from simcore.engine.fast import Engine
from simcore.events import Mapping, Trace, TraceBuilder, VmaKind
from simcore.geometry import Geometry, tiny_geometry
from simcore.heap import NOW
from simcore.oracle import Oracle
from simcore.spawn import as_vfork_runs_it

if TYPE_CHECKING:
    from simcore.result import Result

ENGINES: dict[str, type[Engine | Oracle]] = {"fast": Engine, "oracle": Oracle}


def simulate(
    trace: Trace, design: Design, geometry: Geometry, engine: Literal["fast", "oracle"] = "fast"
) -> Result:
    """Run a trace under a design and count what the kernel would do.

    Parameters
    ----------
    trace : Trace
        Events, in order; the same object serves every design.
    design : Design
        A row of ``simcore.DESIGNS`` or one of your own.
    geometry : Geometry
        Page and table sizes.
    engine : {"fast", "oracle"}
        The compiled engine, or the slow specification that it equals.

    Returns
    -------
    Result
        Exact counts; equal arguments give equal results.

    Raises
    ------
    TraceRefused
        The trace is malformed, or one of its events cannot happen.
    LimitExceeded
        The run would need more memory than a run may use.
    ValueError
        Unknown engine.
    """
    machine = start(trace, design, geometry, engine)
    machine.run()
    return machine.result()


def start(trace: Trace, design: Design, geometry: Geometry, engine: str = "fast") -> Engine | Oracle:
    """Return a machine before the first event of a trace; raises as ``simulate``."""
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; 'fast' and 'oracle' are allowed; choose one of them")
    check_trace(trace, geometry)
    scheduled = as_vfork_runs_it(trace) if design.creation == "vfork" else trace
    return ENGINES[engine](scheduled, design, geometry)


def levels(machine: Engine | Oracle) -> dict[str, int]:
    """Return what the gauges sample, by the names of ``simcore.acts.LEVELS``, as it is now; cheaper than a result."""
    if isinstance(machine, Engine):
        return machine._levels(NOW)  # noqa: SLF001 - this module is the engine's door
    counts = machine.result().counts()
    return {level.name: counts[f"{level.name}_end"] for level in LEVELS}


def predicted_bytes(trace: Trace, design: Design, geometry: Geometry) -> int:
    """Return how many bytes of memory a run of the engine will take, about.

    Reckoned from the trace as under eager copy: designs that share tables take less. ``simulate`` refuses a trace
    that would take more than ``simcore.engine.fast.MEMORY_LIMIT``.

    Raises
    ------
    TraceRefused
        The trace is malformed.
    """
    check_trace(trace, geometry)
    return layout.predicted_bytes(trace, design, geometry)


def warm_up() -> None:
    """Compile the engine, or load it from the cache: all of it, whatever the first trace would use."""
    builder = TraceBuilder()
    image = builder.image([Mapping(0, 2, VmaKind.FILE_PRIVATE, writable=True, file=0)])
    builder.exec(0, image)
    builder.write(0, 0)
    simulate(builder.build(), DESIGNS["linux24"], tiny_geometry())
