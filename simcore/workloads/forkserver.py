"""The workload ``forkserver``: a fuzzer's fork server runs one input after another, each in a child of its own.

Each time: the server forks; the child writes some of its memory and exits; the server writes a page or two. There is
never more than one child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcore.workloads.parameters import INT, Parameter, Workload
from simcore.workloads.star import open_star, star_fits, star_parameters

if TYPE_CHECKING:
    import numpy as np

    from simcore.events import Trace
    from simcore.geometry import Geometry

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("inputs", INT, 300, "inputs, a child for each", "children", 1, 100_000),
    Parameter("written", INT, 100, "anonymous pages, at most all, that each child writes", "pages", 0, 4_000_000),
    *star_parameters(image="sleep", anon_pages=25_000, file_pages=0, parent_writes=2),
)  # fmt: skip


def make(params: dict[str, Any], geometry: Geometry, rng: np.random.Generator) -> Trace:
    """Return the trace of a fork server; the pages that each child writes are drawn.

    Raises
    ------
    ValueError
        The server does not fit into the geometry's address space.
    """
    star = open_star(params, geometry, rng)
    for _ in range(params["inputs"]):
        star.bear(1, lambda child: star.write(child, params["written"]))
        star.builder.exit(1)
    star.end([])
    return star.trace()


def fits(params: dict[str, Any], geometry: Geometry) -> str | None:
    """Return why the server does not fit into the geometry's address space, None if it does."""
    return star_fits(params, geometry)


FORKSERVER_WORKLOAD = Workload(
    name="forkserver",
    prose="A fuzzer's fork server: a program with its input parser loaded forks a short-lived child for each input; the "
    "child writes some pages and exits.",
    source="Michal Zalewski, Fuzzing random programs without execve(), 2014: 50 to 5,000 forks a second. Measured with "
    "shared page tables: Zhao, Gong, Fonseca, On-demand-fork, EuroSys 2021. Such a program has 10,000 to 250,000 anonymous "
    "pages and a child writes 10 to 1,000. ASSUMED: the defaults within these ranges, the small program beside, "
    "parent_writes, and that pages are drawn evenly.",
    parameters=PARAMETERS,
    make=make,
    fits=fits,
)
