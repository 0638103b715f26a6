"""Moments -> a recording: who does what, in events that the simulator takes.

Threads are folded into their process. A process whose vfork'ed child borrows its mm waits: what its other threads do
meanwhile, and what the child does that it may not do to a borrowed mm, comes when the child has exec'ed or exited.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.traces import moments as what
from pipeline.traces.areas import AddressSpace, area_of
from pipeline.traces.memory import Memory
from pipeline.traces.processes import FIRST, FORK, VFORK, Actor, Process
from simcore.events import EVENT_DTYPE, WRITABLE, Op
from simcore.workloads.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.traces.moments import Moment
    from pipeline.traces.processes import Row
    from pipeline.traces.sight import Image, Sight
    from simcore.events import IntArray, Mapping
    from simcore.workloads.recording import Rows


class Told(NamedTuple):
    """A recording and its processes; ``notes`` counts what could not be told as it was, by reason."""

    recording: Recording
    processes: list[Process]
    notes: dict[str, int]


class Story:
    """Tell the moments of a recording as rows.

    Parameters
    ----------
    sight : Sight
        What is known of processes besides.
    page_bytes : int
        Of a page.
    root : int or None
        The process whose first exec begins the story; whoever execs first if it is not known.
    """

    def __init__(self, sight: Sight, page_bytes: int, root: int | None = None) -> None:
        self._sight = sight
        self._root = root
        self._page_bytes = page_bytes
        self._rows: list[Row] = []
        self._images: dict[tuple[Mapping, ...], int] = {}
        self._by_tid: dict[int, Actor] = {}
        self._actors: list[Actor] = []
        self._last_image: dict[str, Image] = {}
        self._start_us = 0
        self._notes: Counter[str] = Counter()
        self._memory = Memory(sight, page_bytes, self._notes)
        self._acts: dict[type, Callable[[Any], None]] = {
            what.Created: self._created,
            what.Executed: self._executed,
            what.Renamed: self._renamed,
            what.Exited: self._exited,
        }

    def tell(self, moments: Iterable[Moment]) -> Told:
        """Return the whole story; processes that are alive at its end exit there, the youngest first."""
        for moment in moments:
            act = self._acts.get(type(moment))
            actor = self._by_tid.get(moment.tid)
            if act is not None:
                act(moment)
            elif actor is not None:  # else it is somebody's from before the first exec
                self._memory.act(actor, moment)
        living = [actor for actor in reversed(self._actors) if actor.tids]
        for actor in living:
            actor.emit(Op.EXIT)
            actor.stop_borrowing(self._actors)
        if living:
            self._notes["processes alive at the end of the recording"] += len(living)
        rows = np.array([tuple(row) for row in self._rows], EVENT_DTYPE)
        recording = Recording(self._page_bytes, rows, *self._image_rows())
        return Told(recording, [actor.facts for actor in self._actors], dict(self._notes))

    def _image_rows(self) -> tuple[Rows, IntArray]:
        """Return all images as a trace has them."""
        rows = [
            (
                Op.MMAP,
                -1,
                each.start,
                each.npages,
                0,
                each.kind | each.writable * WRITABLE,
                each.file,
                each.offset,
            )
            for image in self._images
            for each in image
        ]
        lengths = [len(image) for image in self._images]
        return np.array(rows, EVENT_DTYPE), np.cumsum([0, *lengths]).astype(np.int64)

    def _new(self, parent: Actor | None, how: str, tid: int, time_us: int) -> Actor:
        """Return a new process; it uses its parent's mm until something else is said."""
        self._sight.born(tid)
        facts = Process(parent.task if parent else -1, how, time_us - self._start_us)
        space = parent.owner.space if parent else AddressSpace()
        actor = Actor(len(self._actors), facts, space, parent.owner.sink if parent else self._rows, {tid})
        self._actors.append(actor)
        self._by_tid[tid] = actor
        return actor

    def _created(self, moment: what.Created) -> None:
        """Make a thread or process."""
        parent = self._by_tid.get(moment.tid)
        if parent is None or moment.child == moment.tid:
            return
        if moment.child in self._by_tid:  # numbers are used again: its end was not recorded
            self._exited(what.Exited(moment.time_us, moment.child))
        if moment.thread or (moment.borrows and not moment.waits):
            self._sight.born(moment.child)
            parent.tids.add(moment.child)
            self._by_tid[moment.child] = parent
            if moment.thread:
                parent.facts.threads += 1
            else:
                parent.folded.add(moment.child)
            return
        child = self._new(parent, VFORK if moment.borrows else FORK, moment.child, moment.time_us)
        self._make(parent.owner, child, borrows=moment.borrows)

    def _make(self, maker: Actor, child: Actor, *, borrows: bool) -> None:
        """Add the row that makes a child; where its maker waits already, it cannot lend its mm a second time."""
        if borrows and maker.queue is not None:
            self._notes["vforks of processes that waited already, told as forks"] += 1
        if borrows and maker.queue is None:
            maker.emit(Op.VFORK, arg=child.task)
            child.borrow_from(maker)
        else:
            maker.emit(Op.FORK, arg=child.task)
            child.space = maker.space.copy()

    def _executed(self, moment: what.Executed) -> None:
        """Let a process become a program."""
        actor = self._by_tid.get(moment.tid)
        if actor is None:
            if self._actors or self._root not in (None, moment.tid):
                return
            self._start_us = moment.time_us
            actor = self._new(None, FIRST, moment.tid, moment.time_us)
        elif moment.tid in actor.folded:
            actor.tids.discard(moment.tid)
            actor.folded.discard(moment.tid)
            maker = actor
            actor = self._new(maker, VFORK, moment.tid, moment.time_us)
            self._make(maker.owner, actor, borrows=True)
        actor.tids = {moment.tid} | actor.folded
        actor.facts.programs.append([moment.time_us - self._start_us, moment.name])
        self._become(actor, moment)

    def _become(self, actor: Actor, moment: what.Executed) -> None:
        """Give a process the address space of what it exec'ed; the kernel has filled some pages of its stack."""
        image = self._sight.image(moment.tid)
        if image is None:
            self._notes["execs of which nobody saw what they mapped"] += 1
            image = self._last_image.get(moment.name)
        else:
            self._last_image[moment.name] = image
        mappings = tuple(self._memory.mappings(image)) if image else ()
        actor.emit(Op.EXEC, arg=self._images.setdefault(mappings, len(self._images)))
        actor.stop_borrowing(self._actors)
        actor.space = AddressSpace([area_of(each) for each in mappings])
        for page in image.filled if image else ():
            filled = what.Touched(moment.time_us, moment.tid, page, write=True, faulted=False)
            self._memory.act(actor, filled)

    def _renamed(self, moment: what.Renamed) -> None:
        """Let a thread go by another number."""
        if moment.to in self._by_tid and moment.to != moment.tid:
            self._exited(what.Exited(moment.time_us, moment.to))
        actor = self._by_tid.pop(moment.tid, None)
        if actor is not None:
            actor.tids.discard(moment.tid)
            actor.tids.add(moment.to)
            self._by_tid[moment.to] = actor

    def _exited(self, moment: what.Exited) -> None:
        """End a thread, and its process with the last one."""
        actor = self._by_tid.pop(moment.tid, None)
        if actor is None or moment.tid not in actor.tids:
            return
        actor.tids.discard(moment.tid)
        actor.folded.discard(moment.tid)
        if actor.tids:
            return
        actor.facts.ended_us = moment.time_us - self._start_us
        actor.facts.minor_faults = self._sight.minor_faults(moment.tid)
        if actor.queue is None:  # one that lends its mm ends behind whatever its borrower does with that
            actor.emit(Op.EXIT)
        actor.stop_borrowing(self._actors)
