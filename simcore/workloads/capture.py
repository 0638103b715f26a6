"""The workload ``capture``: the processes of a machine as they were found, forked and exec'ed one by one.

Each process, in order: it is forked; unless it never exec'ed, it execs, and its image is what it was found to map; it
touches pages; it forks the children that never exec'ed, each with its whole subtree; it touches the rest of its pages;
it forks the other children. When all are born the machine is *at rest*: each process has what it was found with. Then
they exit, leaves first.

A page of a file is read, and so is a page of zeros; any other is written. Before a process forks children that never
exec, it touches only pages that one of them has too, and the pages of vmas that it can no longer write. A child gives
back what it got and was not found with, maps what it was found with and did not get, and writes the pages that it was
found to have for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simcore.events import TraceBuilder
from simcore.workloads.found import (
    Range,
    common,
    found_in,
    holes,
    joined,
    kept_ranges,
    runs_of,
    within,
    without,
)
from simcore.workloads.parameters import CAPTURE, INT, Parameter, Workload, misfit
from simcore.workloads.spaces import spaces_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simcore.events import IntArray, Mapping, Trace
    from simcore.geometry import Geometry
    from simcore.workloads.found import Found

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "file", CAPTURE, None,
        "the capture: processes, what each maps, which pages it has; the path counts from the study's folder",
    ),
    Parameter(
        "written_before_exec", INT, 22,
        "anonymous pages, at most all, that a child writes between fork and exec, spread over the leaf tables it got",
        "pages", 0, 4_000_000,
    ),
    Parameter(
        "parent_writes", INT, 14,
        "anonymous pages, at most all, that the parent writes after each fork, spread in the same way",
        "pages", 0, 4_000_000,
    ),
)  # fmt: skip

_NOTHING = np.empty(0, np.int64)


class Told(NamedTuple):
    """A capture as a trace; before event ``at_rest`` all processes have what they were found with."""

    trace: Trace
    at_rest: int


def make(params: dict[str, Any], geometry: Geometry, _rng: np.random.Generator) -> Trace:
    """Return the trace of a capture; nothing in it is random.

    Raises
    ------
    ValueError
        There is no capture, or it does not fit the geometry.
    """
    return tell(params, geometry).trace


def tell(params: dict[str, Any], geometry: Geometry) -> Told:
    """Return the trace of a capture, and where in it the machine is at rest; raises as ``make``."""
    reason = fits(params, geometry)
    if reason is not None:
        raise ValueError(reason)
    found = found_in(spaces_of(params["file"]), geometry.entries)
    story = _Story(found, geometry.entries, params["written_before_exec"], params["parent_writes"])
    return story.tell()


def fits(params: dict[str, Any], geometry: Geometry) -> str | None:
    """Return why a capture cannot be simulated in a geometry, None if it can."""
    try:
        found = spaces_of(params["file"])
    except ValueError as error:
        return str(error)
    highest = max((vma.start + vma.npages for space in found.spaces for vma in space.vmas), default=0)
    return misfit("the capture", found.page_bytes, highest, geometry)


@dataclass(frozen=True)
class _Story:
    """The order of events: who does what when."""

    found: list[Found]
    entries: int
    before_exec: int
    after_fork: int

    def tell(self) -> Told:
        """Return the whole trace."""
        builder = TraceBuilder()
        born: list[int] = []
        got: dict[int, IntArray] = {}  # per process: the pages that its address space holds by now
        open_ = [self._life(0, builder, got)]
        while open_:
            child = next(open_[-1], None)
            if child is None:
                open_.pop()
                continue
            born.append(child)
            open_.append(self._life(child, builder, got))
        for task in [*reversed(born), 0]:
            builder.exit(task)
        trace = builder.build()
        return Told(trace, len(trace) - len(self.found))

    def _life(self, task: int, builder: TraceBuilder, got: dict[int, IntArray]) -> Iterator[int]:
        """Let a process come to its address space, touch its pages, and yield each child when it is forked."""
        me = self.found[task]
        if task == 0 or not me.forked:
            builder.exec(task, builder.image(me.vmas))
            got[task] = _NOTHING
        first = self._needed_first(me)
        self._touch(builder, task, first, got)
        for start, npages in me.sealed:
            builder.mprotect(task, start, npages, writable=False)
        for child in me.forked_children:
            self._fork(task, child, builder, got)
            yield child
        self._touch(builder, task, without(me.pages, first), got)
        for child in me.other_children:
            self._fork(task, child, builder, got)
            yield child

    def _touch(self, builder: TraceBuilder, task: int, pages: IntArray, got: dict[int, IntArray]) -> None:
        """Read and write some of a process's pages; what it got and was found to share stays as it is."""
        me = self.found[task]
        _each(builder.read, task, common(me.reads, pages))
        writes = common(joined(me.own, without(me.shared, got[task])), pages)
        if me.forked and task:  # it got its sealed vmas as its parent had left them
            for start, npages in me.sealed:
                if within(writes, [(start, npages)]).any():
                    builder.mprotect(task, start, npages, writable=True)
        _each(builder.write, task, writes)
        got[task] = joined(got[task], pages)

    def _needed_first(self, me: Found) -> IntArray:
        """Return the pages that a process has before it forks children that never exec."""
        if not me.forked_children:
            return me.pages
        theirs = reduce(joined, (self.found[child].pages for child in me.forked_children))
        sealed = me.pages[within(me.pages, me.sealed)]
        return joined(common(me.pages, theirs), sealed)

    def _fork(self, parent: int, child: int, builder: TraceBuilder, got: dict[int, IntArray]) -> None:
        """Fork a child; it gets ready for its life or its exec, then its parent writes."""
        me, it = self.found[parent], self.found[child]
        builder.fork(parent, child)
        if it.forked:
            got[child] = _settle(builder, child, me, it, got[parent])
        else:
            written = joined(me.own, me.shared)
            held = me.writable(common(written, got[parent]))
            _each(builder.write, child, self._spread(held, self.before_exec))
        mine = me.writable(common(me.own, got[parent]))  # what it was found to share it does not write
        _each(builder.write, parent, self._spread(mine, self.after_fork))

    def _spread(self, pages: IntArray, count: int) -> IntArray:
        """Return so many of rising pages, the last of each leaf table first, going round the tables."""
        slots = pages // self.entries
        last = np.searchsorted(slots, slots, side="right") - 1
        order = np.lexsort((slots, last - np.arange(len(pages))))
        chosen: IntArray = np.sort(pages[order[:count]])
        return chosen


def _settle(builder: TraceBuilder, child: int, parent: Found, me: Found, held: IntArray) -> IntArray:
    """Turn the address space of a parent, with the pages that it holds, into its child's; return what the child has."""
    kept = kept_ranges(parent, me)
    for vma in parent.vmas:
        for start, npages in holes((vma.start, vma.npages), kept):
            builder.munmap(child, start, npages)
    for vma in me.vmas:
        for start, npages in holes((vma.start, vma.npages), kept):
            builder.mmap(child, _part(vma, start, npages))
    for part in kept:
        if part.before != part.after and not within(np.array([part.start]), me.sealed).any():
            builder.mprotect(child, part.start, part.npages, writable=part.after)
    ranges = [Range(part.start, part.npages) for part in kept]
    left = held[within(held, ranges)]
    for start, npages in _given_back(without(left, me.pages), me.pages, ranges):
        builder.dontneed(child, start, npages)
    return common(left, me.pages)


def _given_back(surplus: IntArray, pages: IntArray, kept: list[Range]) -> list[Range]:
    """Return ranges that hold the surplus and no page that stays, each as wide as it can be in its part."""
    found: list[Range] = []
    for start, npages in kept if len(surplus) else []:
        inside = surplus[within(surplus, [(start, npages)])]
        if len(inside):
            staying = pages[within(pages, [(start, npages)])]
            gaps = holes((start, npages), runs_of(staying))
            found += [gap for gap in gaps if within(inside, [gap]).any()]
    return found


def _part(vma: Mapping, start: int, npages: int) -> Mapping:
    """Return a part of a vma."""
    offset = vma.offset + start - vma.start if vma.file >= 0 else 0
    return vma._replace(start=start, npages=npages, offset=offset)


def _each(touch: Any, task: int, pages: IntArray) -> None:
    """Read or write one byte in each page."""
    for run in runs_of(pages):
        touch(task, run.start, run.npages)


CAPTURE_WORKLOAD = Workload(
    name="capture",
    prose="The processes of a machine as forkbench capture found them: who forked whom, who exec'ed, vmas, pages.",
    source="Linux, Documentation/filesystems/proc.rst (smaps), Documentation/admin-guide/mm/pagemap.rst. ASSUMED, since "
    "captures cannot tell: that reads come before writes, which pages were touched before a fork, and the two numbers of "
    "pages written around a fork, which are those of the workload tree.",
    parameters=PARAMETERS,
    make=make,
    fits=fits,
)
