"""Touches that nobody saw: a log tells calls and no faults, so a program touches what its measured footprint says.

A program execs the image of its footprint (``forkbench footprints``), with its libraries, and touches all of it. A
forked child then writes ``WRITTEN_BEFORE_EXEC`` pages and its parent ``PARENT_WRITES``; vfork'ed ones write nothing.
Anonymous memory that a process maps beyond its footprint is taken to be written, up to ``_MOST_WRITTEN`` pages at once:
larger maps are reservations.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from pipeline.traces import moments as what
from pipeline.traces.sight import Image, Seen
from simcore.geometry import GEOMETRIES
from simcore.workloads.footprints import FOOTPRINTS
from simcore.workloads.process import needs_of, place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.traces.moments import Moment
    from simcore.workloads.layout import Range
    from simcore.workloads.process import Process

# Of scripts traced on Linux 6.18, as in the workload tree.
WRITTEN_BEFORE_EXEC, PARENT_WRITES = 22, 14
_GEOMETRY = GEOMETRIES["x86-64"]
_MOST_WRITTEN = 1 << 14  # ASSUMED: 64 MiB
_OTHER = "ls"  # stands for programs that were not measured: a small one with few libraries
_CALLED = (
    (r"dash|ash", "sh"),
    (r"python[\d.]*", "python3"),
    (r"perl[\d.]*", "perl"),
    (r"(.*-)?(gcc|g\+\+|cpp|cc|c\+\+)(-[\d.]+)?", "cc"),
    (r"cc1.*", "cc1"),
    (r"(.*-)?as", "as"),
    (r"(.*-)?ld(\.\w+)?", "ld"),
    (r"gmake", "make"),
    (r"nodejs", "node"),
    (r"git-.*", "git"),
)


def footprint_of(name: str) -> str:
    """Return the name of the footprint that stands for a program."""
    if name in FOOTPRINTS:
        return name
    return next(
        (found for pattern, found in _CALLED if re.fullmatch(pattern, name) and found in FOOTPRINTS), _OTHER
    )


@lru_cache(maxsize=64)
def _process(program: str) -> Process:
    """Return where a program's pages lie."""
    return place(needs_of(program), _GEOMETRY)


class FootprintTouches:
    """Add touches to moments, and say what execs map: a ``Sight``.

    Attributes
    ----------
    unmeasured : set of str
        Programs for which ``_OTHER`` stands.
    beyond : int
        Pages beyond footprints that are taken to be written.
    """

    def __init__(self) -> None:
        self.unmeasured: set[str] = set()
        self.beyond = 0
        self._programs: dict[int, str] = {}
        self._credit: dict[int, int] = {}
        self._heap: dict[int, int] = {}

    def moments(self, seen: Iterable[Moment]) -> Iterator[Moment]:
        """Yield moments with touches between them; a log that begins after an exec begins with one of a shell."""
        begun = False
        for moment in seen:
            if not begun and not isinstance(moment, what.Executed):
                yield from self._executed(what.Executed(moment.time_us, moment.tid, "sh"))
            begun = True
            if isinstance(moment, what.Executed):
                yield from self._executed(moment)
                continue
            yield moment
            if isinstance(moment, what.Created):
                yield from self._created(moment)
            elif isinstance(moment, what.Mapped):
                pages = -(-moment.nbytes // _GEOMETRY.page_bytes)
                if moment.file is None and moment.writable and not moment.shared and not moment.populate:
                    yield from self._beyond(moment, moment.start, pages)
            elif isinstance(moment, what.HeapMoved):
                yield from self._grown(moment)

    def _executed(self, moment: what.Executed) -> Iterator[Moment]:
        """Yield an exec, and what the program touches from there on."""
        program = footprint_of(moment.name)
        if program == _OTHER != moment.name:
            self.unmeasured.add(moment.name)
        self._programs[moment.tid] = program
        self._credit[moment.tid] = FOOTPRINTS[program].heap + FOOTPRINTS[program].anon
        self._heap.pop(moment.tid, None)
        yield moment
        process = _process(program)
        yield from _touches(moment, moment.tid, process.reads, write=False)
        yield from _touches(moment, moment.tid, process.writes, write=True)

    def _created(self, moment: what.Created) -> Iterator[Moment]:
        """Yield what child and parent write after a fork."""
        if moment.thread or moment.tid not in self._programs:
            return
        self._programs[moment.child] = self._programs[moment.tid]
        self._credit[moment.child] = self._credit[moment.tid]
        self._heap.pop(moment.child, None)
        if moment.tid in self._heap:
            self._heap[moment.child] = self._heap[moment.tid]
        if moment.borrows:
            return
        process = _process(self._programs[moment.tid])
        yield from _touches(moment, moment.child, process.before_exec(WRITTEN_BEFORE_EXEC), write=True)
        yield from _touches(moment, moment.tid, process.again(PARENT_WRITES), write=True)

    def _grown(self, moment: what.HeapMoved) -> Iterator[Moment]:
        """Yield what is written of a heap that has grown."""
        before = self._heap.get(moment.tid)
        self._heap[moment.tid] = moment.end
        if before is not None and moment.end > before:
            yield from self._beyond(moment, before, moment.end - before)

    def _beyond(self, moment: Moment, start: int, pages: int) -> Iterator[Moment]:
        """Yield writes to new memory as far as it exceeds what the footprint has."""
        credit = self._credit.get(moment.tid, 0)
        self._credit[moment.tid] = max(0, credit - pages)
        written = min(max(0, pages - credit), _MOST_WRITTEN)
        self.beyond += written
        for page in range(start, start + written):
            yield what.Touched(moment.time_us, moment.tid, page, write=True, faulted=False)

    # what a story asks

    def born(self, tid: int) -> None:
        """Nothing is to be noted."""

    def image(self, tid: int) -> Image | None:
        """Return the image of the footprint of what a process has exec'ed last."""
        program = self._programs.get(tid)
        return _image(program) if program is not None else None

    def at_end(self, _tid: int, _page: int) -> Seen | None:
        """Return None: nobody saw how a process ended."""
        return None

    def minor_faults(self, _tid: int) -> int | None:
        """Return None: nobody counted."""
        return None


@lru_cache(maxsize=64)
def _image(program: str) -> Image:
    """Return the vmas of a program."""
    number = sorted(FOOTPRINTS).index(program)
    return Image(
        tuple(
            Seen(
                each.start, each.start + each.npages, each.kind, each.writable,
                ("footprint", each.file) if each.file >= 0 else None, each.offset,
            )
            for each in _process(program).layout.image(number)
        )
    )  # fmt: skip


def _touches(moment: Moment, tid: int, ranges: Iterable[Range], *, write: bool) -> Iterator[Moment]:
    """Yield touches of some ranges."""
    for start, npages, stride in ranges:
        for page in range(start, start + npages * stride, stride):
            yield what.Touched(moment.time_us, tid, page, write=write, faulted=False)
