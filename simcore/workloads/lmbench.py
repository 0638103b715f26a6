"""The workloads ``fork_exit``, ``fork_exec`` and ``fork_sh``: how long a process takes to be created, three ways.

A small program creates a child again and again. The child exits at once; or execs a program that does nothing; or execs
a shell that runs that program, as ``sh -c`` does. The parent writes a few pages and waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcore.events import TraceBuilder
from simcore.workloads.parameters import INT, Parameter, Workload
from simcore.workloads.process import image_parameter, misfit, needs_of, place, write

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from simcore.events import Trace
    from simcore.geometry import Geometry

_PARENT, _PROGRAM, _SHELL = 0, 1, 2  # numbers of images

_EVERY: tuple[Parameter, ...] = (
    Parameter("children", INT, 200, "children, one after another", "children", 1, 10_000),
    image_parameter("image", "sleep", "the measured program that the parent is"),
    Parameter(
        "written", INT, 3,
        "anonymous pages, at most all, that a child, and the shell's, writes before it execs or exits, spread over its "
        "leaf tables",
        "pages", 0, 4_000_000,
    ),
    Parameter(
        "parent_writes", INT, 3,
        "anonymous pages, at most all, that the parent writes after each fork, behind the child: stack first, then data",
        "pages", 0, 4_000_000,
    ),
)  # fmt: skip
_EXEC = image_parameter("program", "sleep", "the measured program that is exec'ed")
_SH = image_parameter("shell", "sh", "the measured program that is the shell")


class _Run:
    """One run: the processes placed, the events so far."""

    def __init__(self, params: dict[str, Any], geometry: Geometry) -> None:
        self.builder = TraceBuilder()
        self.written = params["written"]
        names = [params[key] for key in ("image", "program", "shell") if key in params]
        self.processes = [place(needs_of(name), geometry) for name in names]
        for number, process in enumerate(self.processes):
            self.builder.image(process.layout.image(number))

    def create(self, parent: int, child: int, of: int) -> None:
        """Let ``parent``, which runs program ``of``, fork; the child writes before it goes on."""
        self.builder.fork(parent, child)
        write(self.builder, child, self.processes[of].before_exec(self.written))

    def start(self, task: int, program: int) -> None:
        """Let a task exec a program."""
        self.processes[program].start(self.builder, task, program)


def _nothing(run: _Run) -> None:
    """Let the child go on to its exit."""


def _exec(run: _Run) -> None:
    """Let the child exec the program."""
    run.start(1, _PROGRAM)


def _sh(run: _Run) -> None:
    """Let the child exec the shell, which forks for the program."""
    run.start(1, _SHELL)
    run.create(1, 2, _SHELL)
    run.start(2, _PROGRAM)
    run.builder.exit(2)


def _workload(name: str, prose: str, more: tuple[Parameter, ...], child: Callable[[_Run], None]) -> Workload:
    """Return one of the three."""

    def make(params: dict[str, Any], geometry: Geometry, rng: np.random.Generator) -> Trace:  # noqa: ARG001 - nothing is drawn
        run = _Run(params, geometry)
        run.start(0, _PARENT)
        parent_writes = run.processes[_PARENT].again(params["parent_writes"])
        for _ in range(params["children"]):
            run.create(0, 1, _PARENT)
            child(run)
            write(run.builder, 0, parent_writes)
            run.builder.exit(1)
        run.builder.exit(0)
        return run.builder.build()

    def fits(params: dict[str, Any], geometry: Geometry) -> str | None:
        keys = ("image", *(each.name for each in more))
        return next(filter(None, (misfit(needs_of(params[key]), geometry) for key in keys)), None)

    return Workload(name, prose, _SOURCE, (*_EVERY, *more), make, fits)


_SOURCE = (
    "Process creation as lat_proc of lmbench times it: Larry McVoy, Carl Staelin, lmbench: Portable Tools for "
    "Performance Analysis, USENIX 1996. The programs are measured ones that do little. ASSUMED: that child and parent "
    "write three pages each, as the parent does in the workload forktime; that a shell forks for its command."
)
FORK_EXIT_WORKLOAD = _workload(
    "fork_exit", "A small program forks again and again; each child exits at once.", (), _nothing
)
FORK_EXEC_WORKLOAD = _workload(
    "fork_exec",
    "A small program forks again and again; each child execs a program that does nothing.",
    (_EXEC,),
    _exec,
)
FORK_SH_WORKLOAD = _workload(
    "fork_sh",
    "A small program forks again and again; each child execs a shell, which forks for a program that does nothing.",
    (_EXEC, _SH),
    _sh,
)
