"""The workload ``shell``: a shell runs one small command after another.

Each time, in order: the shell forks; the child writes some of the pages that it got, execs the command, reads its file
pages and writes its anonymous ones, or goes on as a subshell; the shell writes a few pages, behind the child or before
it; the child exits. There is never more than one child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.events import Trace, TraceBuilder
from simcore.workloads.layout import Needs
from simcore.workloads.parameters import CHOICE, FRACTION, INT, Parameter, Workload
from simcore.workloads.process import (
    OWN,
    image_parameter,
    misfit,
    own_or_measured,
    place,
    refuse_two_sizes,
    write,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from simcore.geometry import Geometry
    from simcore.workloads.process import Process

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("children", INT, 50, "commands and subshells, one after another", "children", 1, 100_000),
    Parameter(
        "anon_pages", INT, 60,
        "anonymous pages of the shell and of each command, all written at the start: heap, stack, and written pages of "
        "data and library data",
        "pages", 1, 4_000_000,
    ),
    Parameter(
        "file_pages", INT, 160,
        "file pages of the shell and of each command, all read at the start; three quarters belong to libraries that "
        "both map, the others to the program's own file",
        "pages", 0, 1_000_000,
    ),
    Parameter(
        "written_before_exec", INT, 22,
        "anonymous pages, at most all, that a child writes before it execs or, as a subshell, exits, spread over its "
        "leaf tables",
        "pages", 0, 4_000_000,
    ),
    Parameter(
        "parent_writes", INT, 14,
        "anonymous pages, at most all, that the shell writes after each fork: stack first, then data",
        "pages", 0, 4_000_000,
    ),
    Parameter(
        "exec_ratio", FRACTION, 1.0,
        "probability that a child execs a command; one random number per child decides for all ratios, so that the "
        "children that exec at a higher ratio include those of a lower one",
    ),
    Parameter(
        "first", CHOICE, "child",
        "who runs first after a fork: the child until it has exec'ed and touched its pages, or the shell until it has "
        "written",
        choices=("child", "parent"),
    ),
    image_parameter(
        "image", OWN, "a measured program that shell and commands are as large as, instead of other sizes", own=True
    ),
)  # fmt: skip

_LIBRARY_PART = 0.75  # of the file pages
_SHELL, _COMMAND = 0, 1  # programs, and the numbers of their images


def make(params: dict[str, Any], geometry: Geometry, rng: np.random.Generator) -> Trace:
    """Return the trace of a shell that runs one command after another; one random number is drawn per command.

    Raises
    ------
    ValueError
        A process does not fit into the geometry's address space, or is given two sizes.
    """
    process = place(_needs(params), geometry)
    execs = rng.random(params["children"]) < params["exec_ratio"]
    setup, end = TraceBuilder(), TraceBuilder()
    for program in (_SHELL, _COMMAND):
        setup.image(process.layout.image(program))
    process.start(setup, 0, _SHELL)
    end.exit(0)
    before = setup.build()
    stories = [_story(params, process, execs=each) for each in (False, True)]
    children = [stories[int(each)] for each in execs]
    events = np.concatenate([before.events, *children, end.build().events])
    return Trace(events, before.pages, before.image_rows, before.image_starts)


def fits(params: dict[str, Any], geometry: Geometry) -> str | None:
    """Return why ``make`` would refuse these parameters in the geometry, None if it would not."""
    try:
        return misfit(_needs(params), geometry)
    except ValueError as error:
        return str(error)


def _needs(params: dict[str, Any]) -> Needs:
    """Return how many pages of each sort a process has; the libraries lie in as few leaf tables as hold them."""
    refuse_two_sizes(params, PARAMETERS)
    library = round(params["file_pages"] * _LIBRARY_PART)
    own = Needs(
        text=params["file_pages"] - library,
        library=library,
        late=0,
        anon=params["anon_pages"],
        heap_tables=1,
        library_tables=1,
        archive=0,
    )
    return own_or_measured(params, own)


def _story(params: dict[str, Any], process: Process, *, execs: bool) -> npt.NDArray[np.void]:
    """Return the events of one command or subshell."""
    builder = TraceBuilder()
    builder.fork(0, 1)
    for task in (1, 0) if params["first"] == "child" else (0, 1):
        if task == 0:
            write(builder, task, process.again(params["parent_writes"]))
        else:
            write(builder, task, process.before_exec(params["written_before_exec"]))
        if task and execs:
            process.start(builder, task, _COMMAND)
    builder.exit(1)
    return builder.build().events


SHELL_WORKLOAD = Workload(
    name="shell",
    prose="A shell runs one small command after another: fork, a few writes, exec, the command touches its pages, exit; "
    "children that do not exec are subshells.",
    source="Sizes are those of the workload tree: a small shell of 2002 (Andrew Morton, linux-kernel, 23 Jul 2002: 222 "
    "ptes in three leaf tables, 22 pages written before exec), which those of scripts traced on Linux 6.18 still "
    "resemble: 66 to 76 ptes copied by a fork, 16 to 23 pages written before exec, 11 to 18 by the parent. ASSUMED: "
    "that a command is as large as the shell, and that three quarters of the file pages are libraries'.",
    parameters=PARAMETERS,
    make=make,
    fits=fits,
)
