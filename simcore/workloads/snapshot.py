"""The workload ``snapshot``: a process with much memory forks again and again, for a child that writes in it or execs.

Each time, in order: the process forks; the child writes a page of its stack and some of the memory that it got, and
execs a small program or does not; the parent writes a page of its stack and some of the memory, behind the child or
before it; the child exits; the parent writes some more. There is never more than one child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simcore.events import Mapping, Trace, TraceBuilder, VmaKind
from simcore.workloads.layout import Range
from simcore.workloads.parameters import CHOICE, FRACTION, INT, Parameter, Workload
from simcore.workloads.process import OWN, image_parameter, misfit, needs_of, place, read, write

if TYPE_CHECKING:
    import numpy.typing as npt

    from simcore.events import IntArray
    from simcore.geometry import Geometry

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("children", INT, 10, "children, forked one after another", "children", 1, 100_000),
    Parameter(
        "anon_pages", INT, 65_536,
        "pages of one private anonymous mapping, all written before the first fork",
        "pages", 1, 1 << 24,
    ),
    Parameter(
        "child_writes", INT, 64,
        "pages of the mapping, at most all, that each child writes before it execs or exits",
        "pages", 0, 1 << 24,
    ),
    Parameter(
        "parent_writes", INT, 0,
        "pages of the mapping, at most all, that the parent writes after each fork, while the child lives",
        "pages", 0, 1 << 24,
    ),
    Parameter(
        "parent_writes_after", INT, 0,
        "pages of the mapping, at most all, that the parent writes when the child has gone, before it forks again",
        "pages", 0, 1 << 24,
    ),
    Parameter(
        "spread", CHOICE, "random",
        "which pages are written: each drawn at random, none twice, or a run of neighbours from a random one on",
        choices=("random", "contiguous"),
    ),
    Parameter(
        "exec_ratio", FRACTION, 0.0,
        "probability that a child, when it has written, execs a small program; one random number per child decides for "
        "all ratios, so that the children that exec at a higher ratio include those of a lower one",
    ),
    Parameter(
        "first", CHOICE, "child",
        "who runs first after a fork: the child until it has written and exec'ed, or the parent until it has written",
        choices=("child", "parent"),
    ),
    image_parameter(
        "image", OWN, "a measured program that process and exec'ed children are, instead of a small one", own=True
    ),
)  # fmt: skip

# Of the program: it reads so many pages of its text and writes so many of its stack.
_TEXT_PAGES, _STACK_PAGES, _TOUCHED = 4, 32, 2
_WRITES = ("child_writes", "parent_writes", "parent_writes_after")
_CHILD, _PARENT, _AFTER = -1, -2, -3  # in a story they stand where these writes begin


def make(params: dict[str, Any], geometry: Geometry, rng: np.random.Generator) -> Trace:
    """Return the trace of a process that forks again and again.

    One random number per fork is drawn, then the pages: which children exec depends on no other parameter.

    Raises
    ------
    ValueError
        The mapping does not fit into the geometry's address space.
    """
    reason = fits(params, geometry)
    if reason is not None:
        raise ValueError(reason)
    program = _program(params, geometry)
    execs = rng.random(params["children"]) < params["exec_ratio"]
    starts, pages = _drawn(params, program.region_start, rng)
    stories = [_story(params, program, execs=each) for each in (False, True)]
    setup = _set_up(params, program)
    children = [_told(stories[int(each)], start) for each, start in zip(execs, starts.tolist(), strict=True)]
    end = TraceBuilder()
    end.exit(0)
    events = np.concatenate([setup.events, *children, end.build().events])
    return Trace(events, pages, setup.image_rows, setup.image_starts)


def fits(params: dict[str, Any], geometry: Geometry) -> str | None:
    """Return why the mapping does not fit into the geometry's address space, None if it does."""
    if params.get("image", OWN) != OWN:
        return misfit(needs_of(params["image"]), geometry, params["anon_pages"])
    room = geometry.stack_top_vpn - _STACK_PAGES - _region_start(geometry)
    if params["anon_pages"] <= room:
        return None
    return (
        f"geometry {geometry.name!r}: the mapping takes {params['anon_pages']} pages; {room} are allowed below the "
        "stack; lower anon_pages, or take a geometry with more pages"
    )


class _Program(NamedTuple):
    """What the process is and what its children exec: its vmas, what it reads and writes, where the mapping starts."""

    image: list[Mapping]
    reads: list[Range]
    writes: list[Range]
    region_start: int

    def start(self, builder: TraceBuilder, task: int) -> None:
        """Let a process that has just exec'ed do what the program does."""
        read(builder, task, self.reads)
        write(builder, task, self.writes)

    @property
    def stack_page(self) -> int:
        """The page that each side writes when it goes on: the last of the stack."""
        return max(row.start + row.npages for row in self.image) - 1


def _program(params: dict[str, Any], geometry: Geometry) -> _Program:
    """Return the small program, or the measured one that is asked for."""
    if params.get("image", OWN) != OWN:
        process = place(needs_of(params["image"]), geometry, params["anon_pages"])
        return _Program(process.layout.image(0), process.reads, process.writes, int(process.region_pages[0]))
    text = Mapping(geometry.text_vpn, _TEXT_PAGES, VmaKind.FILE_PRIVATE, writable=False, file=0)
    stack = Mapping(geometry.stack_top_vpn - _STACK_PAGES, _STACK_PAGES, VmaKind.STACK)
    reads = Range(geometry.text_vpn, _TOUCHED, 1)
    writes = Range(geometry.stack_top_vpn - _TOUCHED, _TOUCHED, 1)
    return _Program([text, stack], [reads], [writes], _region_start(geometry))


def _region_start(geometry: Geometry) -> int:
    """Return where the mapping starts: with a leaf table of its own."""
    return -(-geometry.mmap_vpn // geometry.entries) * geometry.entries


def _counts(params: dict[str, Any]) -> list[int]:
    """Return how many pages are written after each fork, in the order of _WRITES."""
    return [min(params[name], params["anon_pages"]) for name in _WRITES]


def _drawn(params: dict[str, Any], region: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Return where the writes after each fork begin, int64 [forks, len(_WRITES)], and the trace's list of pages.

    A write begins at a page if what it writes is contiguous, else at a place in that list.
    """
    forks, pages, counts = params["children"], params["anon_pages"], _counts(params)
    if params["spread"] == "contiguous":
        firsts = [rng.integers(0, pages - count, forks, endpoint=True) for count in counts]
        return region + np.stack(firsts, axis=1), np.empty(0, np.int64)
    drawn = [rng.choice(pages, count, replace=False, shuffle=False) for _ in range(forks) for count in counts]
    starts = np.cumsum([0, *counts * forks], dtype=np.int64)[:-1].reshape(forks, len(counts))
    return starts, region + np.concatenate(drawn).astype(np.int64)


def _set_up(params: dict[str, Any], program: _Program) -> Trace:
    """Return what happens before the first fork: the process starts, and writes all of its memory."""
    builder = TraceBuilder()
    builder.exec(0, builder.image(program.image))
    program.start(builder, 0)
    region = Mapping(program.region_start, params["anon_pages"], VmaKind.ANON)
    builder.mmap(0, region)
    builder.write(0, region.start, region.npages)
    return builder.build()


def _story(params: dict[str, Any], program: _Program, *, execs: bool) -> npt.NDArray[np.void]:
    """Return the events of one fork, with _CHILD, _PARENT and _AFTER where the writes of the mapping begin."""
    stride = 1 if params["spread"] == "contiguous" else 0
    child, parent, after = _counts(params)
    builder = TraceBuilder()
    builder.fork(0, 1)
    for task in (1, 0) if params["first"] == "child" else (0, 1):
        builder.write(task, program.stack_page)
        start, count = (_CHILD, child) if task else (_PARENT, parent)
        if count:
            builder.write(task, start, count, stride)
        if task and execs:
            builder.exec(task, 0)
            program.start(builder, task)
    builder.exit(1)
    if after:
        builder.write(0, _AFTER, after, stride)
    return builder.build().events


def _told(story: npt.NDArray[np.void], starts: list[int]) -> npt.NDArray[np.void]:
    """Return a story in which the writes of the mapping begin where they should."""
    told = story.copy()
    for mark, start in zip((_CHILD, _PARENT, _AFTER), starts, strict=True):
        told["start"][story["start"] == mark] = start
    return told


SNAPSHOT_WORKLOAD = Workload(
    name="snapshot",
    prose="A process with much anonymous memory forks again and again; each child writes some of it and exits, as when "
    "a data base saves a snapshot, or execs a small program, as when a big daemon starts a helper.",
    source="The shape is that of the measurements of fork by size: Zhao, Gong, Fonseca, EuroSys 2021, and the fork of "
    "Redis for BGSAVE. ASSUMED: all sizes; that each side writes a page of its stack when it goes on; a program of 4 "
    "pages of text and 32 of stack, of which 2 each are touched.",
    parameters=PARAMETERS,
    make=make,
    fits=fits,
)
