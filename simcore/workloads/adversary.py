"""The workload ``adversary``: the worst trace of a size, so that a study can set worst beside typical.

``simcore.adversaries`` has the traces, the argument for each, and the evidence on tables of a few entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcore.adversaries import ADVERSARIES, Size
from simcore.adversaries.spaces import tables_that_fit
from simcore.designs import DESIGNS
from simcore.workloads.parameters import CHOICE, INT, Parameter, Workload

if TYPE_CHECKING:
    import numpy as np

    from simcore.events import Trace
    from simcore.geometry import Geometry

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "name", CHOICE, "total", "what is worst; forkbench adversary lists them", choices=tuple(ADVERSARIES)
    ),
    Parameter(
        "against", CHOICE, "mainline", "the design that the trace is the worst for; the others of the study run it too",
        choices=tuple(DESIGNS),
    ),
    Parameter("tables", INT, 64, "leaf tables that are mapped", "tables", 2, 100_000),
    Parameter("processes", INT, 3, "processes that are made, the first among them", "processes", 2, 10_000),
    Parameter("vmas", INT, 2, "vmas that one leaf table is cut into at most", "vmas", 1, 512),
)  # fmt: skip


def make(params: dict[str, Any], geometry: Geometry, _rng: np.random.Generator) -> Trace:
    """Return the trace; nothing in it is random.

    Raises
    ------
    ValueError
        It does not fit the geometry.
    """
    reason = fits(params, geometry)
    if reason is not None:
        raise ValueError(reason)
    size = Size(params["tables"], params["processes"], params["vmas"])
    return ADVERSARIES[params["name"]].trace(DESIGNS[params["against"]], size, geometry)


def fits(params: dict[str, Any], geometry: Geometry) -> str | None:
    """Return why an adversary cannot be laid out in a geometry, None if it can."""
    most = tables_that_fit(geometry)
    if params["tables"] > most:
        return (
            f"tables is {params['tables']:,}; geometry {geometry.name!r} has room for {most:,}; lower tables"
        )
    if params["vmas"] > geometry.entries:
        return (
            f"vmas is {params['vmas']}; a table of geometry {geometry.name!r} has {geometry.entries} entries, so that it "
            "can be cut into no more vmas; lower vmas"
        )
    return None


ADVERSARY_WORKLOAD = Workload(
    name="adversary",
    prose="A constructed worst case: a process writes all of its memory, forks, and writes it again, so that each fork, "
    "each fault, the run, page-table memory or the reach of TLB flushes costs as much as it can within a bound.",
    source="Constructed; no trace of a few events over a tiny geometry is worse under any design, as forkbench "
    "adversary shows. ASSUMED: the defaults, which only say how large the address space and how many the processes are.",
    parameters=PARAMETERS,
    make=make,
    fits=fits,
)
