"""A star: one process forks children that never exec, and that come and go while others live.

What the profiles of servers, zygotes, fork servers and worker pools have in common, parameters included; each says in
a module of its own who forks when, and what a child does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.events import TraceBuilder
from simcore.workloads.parameters import CHOICE, INT, Parameter
from simcore.workloads.process import image_parameter, misfit, needs_of, place, write, write_drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from simcore.events import IntArray, Trace
    from simcore.geometry import Geometry
    from simcore.workloads.layout import Needs, Range
    from simcore.workloads.process import Process


def star_parameters(
    image: str, anon_pages: int, file_pages: int, parent_writes: int
) -> tuple[Parameter, ...]:
    """Return the parameters of the parent, with these defaults."""
    return (
        image_parameter("image", image, "the measured program that brings text, libraries, heap and stack"),
        Parameter(
            "anon_pages", INT, anon_pages,
            "pages of one private anonymous mapping besides the program's own, all written at the start",
            "pages", 0, 4_000_000,
        ),
        Parameter(
            "file_pages", INT, file_pages,
            "pages of one large file besides the program's own, mapped read-only, and all read at the start",
            "pages", 0, 1_000_000,
        ),
        Parameter(
            "parent_writes", INT, parent_writes,
            "the program's anonymous pages, at most all, that the parent writes after each fork: stack first, then data",
            "pages", 0, 4_000_000,
        ),
        Parameter(
            "first", CHOICE, "child",
            "who runs first after a fork: the child until it has begun, or the parent until it has written",
            choices=("child", "parent"),
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class StarStory:
    """What makes the traces of a star.

    Parameters
    ----------
    tell : function
        ``tell(star, params)`` lets happen what happens after the parent's start, all exits included.
    shm : str
        The parameter that tells the pages of a shm object, if there is one.
    """

    tell: Callable[[Star, dict[str, Any]], None]
    shm: str = ""

    def make(self, params: dict[str, Any], geometry: Geometry, rng: np.random.Generator) -> Trace:
        """Return a trace.

        Raises
        ------
        ValueError
            The parent does not fit into the geometry's address space.
        """
        star = opened(params, geometry, rng, params.get(self.shm, 0))
        self.tell(star, params)
        return star.builder.build()

    def fits(self, params: dict[str, Any], geometry: Geometry) -> str | None:
        """Return why the parent does not fit into the geometry's address space, None if it does."""
        return misfit(_needs(params), geometry, params["anon_pages"], params.get(self.shm, 0))


def _needs(params: dict[str, Any]) -> Needs:
    """Return what the parent needs, its mapping and a shm object apart."""
    return needs_of(params["image"], params["file_pages"])


def opened(params: dict[str, Any], geometry: Geometry, rng: np.random.Generator, shm: int = 0) -> Star:
    """Return a star whose parent has started; a ValueError says why the parent does not fit."""
    process = place(_needs(params), geometry, params["anon_pages"], shm)
    star = Star(process, rng, process.again(params["parent_writes"]), params["first"] == "child")
    star.builder.image(process.layout.image(0))
    process.start(star.builder, 0, 0)
    return star


@dataclass
class Star:
    """A parent, task 0, and its children.

    Parameters
    ----------
    process : Process
        The parent, and so each child.
    rng : numpy.random.Generator
        Draws the pages that are written.
    parent_writes : list of Range
        What the parent writes after each fork.
    child_first : bool
        Whether the child goes first.
    builder : TraceBuilder
        Grows.
    """

    process: Process
    rng: np.random.Generator
    parent_writes: list[Range]
    child_first: bool = True
    builder: TraceBuilder = field(default_factory=TraceBuilder)

    def bear(self, child: int, begin: Callable[[int], None]) -> None:
        """Fork a child; it begins with ``begin(child)``, before or behind the parent's writes."""
        self.builder.fork(0, child)
        for task in (child, 0) if self.child_first else (0, child):
            if task:
                begin(task)
            else:
                write(self.builder, 0, self.parent_writes)

    def write(self, task: int, count: int) -> None:
        """Let a task write ``count`` of its anonymous pages, drawn anew."""
        write_drawn(self.builder, task, self.process.drawn(count, self.rng))

    def some(self, pages: IntArray, count: int) -> IntArray:
        """Return ``count`` of some pages, or all, drawn evenly: int64, rising."""
        chosen: IntArray = self.rng.choice(pages, min(count, len(pages)), replace=False, shuffle=False)
        return np.sort(chosen)

    def come_and_go(self, children: int, alive: int, begin: Callable[[int], None]) -> None:
        """Fork ``children``, of which at most ``alive`` live: the oldest exits before there would be more."""
        living: deque[int] = deque()
        for number in range(children):
            child = 1 + number % alive
            if len(living) == alive:
                self.builder.exit(living.popleft())
            self.bear(child, begin)
            living.append(child)
        self.end(living)

    def end(self, living: Iterable[int]) -> None:
        """Let the living children exit, then the parent."""
        for child in living:
            self.builder.exit(child)
        self.builder.exit(0)
