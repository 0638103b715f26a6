"""The workload ``daemon_spawn``: a daemon with much memory starts small helpers.

Each time: the daemon creates a child, by fork or by vfork; the child writes some pages and execs the helper, which
touches its own; the daemon writes a few pages; the helper exits. There is never more than one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcore.workloads.parameters import CHOICE, INT, Parameter, Workload
from simcore.workloads.process import image_parameter, misfit, needs_of, place, write
from simcore.workloads.star import opened, star_parameters

if TYPE_CHECKING:
    import numpy as np

    from simcore.events import Trace
    from simcore.geometry import Geometry

_HELPER = 1  # its image; the daemon's is 0

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("helpers", INT, 50, "helpers, one after another", "children", 1, 10_000),
    Parameter(
        "creation", CHOICE, "fork",
        "how a helper's process is created: a fork, or a vfork, whose child borrows the daemon's memory until it execs",
        choices=("fork", "vfork"),
    ),
    image_parameter("helper", "sh", "the measured program that a helper is"),
    Parameter(
        "written_before_exec", INT, 17,
        "the program's anonymous pages, at most all, that a child writes before it execs, spread over its leaf tables",
        "pages", 0, 4_000_000,
    ),
    *(
        each for each in star_parameters(image="sleep", anon_pages=250_000, file_pages=0, parent_writes=14)
        if each.name != "first"
    ),
)  # fmt: skip


def make(params: dict[str, Any], geometry: Geometry, rng: np.random.Generator) -> Trace:
    """Return the trace of a daemon; nothing is drawn. The child runs first until it has exec'ed, as under vfork.

    Raises
    ------
    ValueError
        Daemon or helper does not fit into the geometry's address space.
    """
    star = opened(params | {"first": "child"}, geometry, rng)
    helper = place(needs_of(params["helper"]), geometry)
    builder = star.builder
    builder.image(helper.layout.image(_HELPER))
    before = star.process.before_exec(params["written_before_exec"])
    create = builder.vfork if params["creation"] == "vfork" else builder.fork
    for _ in range(params["helpers"]):
        create(0, 1)
        write(builder, 1, before)
        helper.start(builder, 1, _HELPER)
        write(builder, 0, star.parent_writes)
        builder.exit(1)
    star.end([])
    return builder.build()


def fits(params: dict[str, Any], geometry: Geometry) -> str | None:
    """Return why daemon or helper does not fit into the geometry's address space, None if both do."""
    daemon = misfit(needs_of(params["image"], params["file_pages"]), geometry, params["anon_pages"])
    return daemon or misfit(needs_of(params["helper"]), geometry)


DAEMON_SPAWN_WORKLOAD = Workload(
    name="daemon_spawn",
    prose="A daemon with much memory starts small helpers, by fork and exec or by vfork and exec.",
    source="That fork and exec get slower with the parent's size although the child needs nothing of it: Baumann, "
    "Appavoo, Krieger, Roscoe, A fork() in the road, HotOS 2019. Such daemons have from 250,000 anonymous pages on; "
    "about 17 pages are written before exec, as by shells. Programs are measured. ASSUMED: the default size, which "
    "is the least of these, and parent_writes, which is that of shell scripts.",
    parameters=PARAMETERS,
    make=make,
    fits=fits,
)
