"""The engine as an object: runs the compiled loop, grows the heap between events, shows its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simcore.acts import LEVELS
from simcore.engine.layout import new_heap
from simcore.engine.loop import GROW, OVERRUN, begin, run
from simcore.errors import InvariantViolation, LimitExceeded, Refusal
from simcore.events import EVENT_DTYPE, Op, Trace, describe
from simcore.heap import (
    BUCKETS,
    ENTRIES,
    FILE_PAGES_AT,
    FILE_WORDS,
    FILES_AT,
    FRAME,
    FRAME_SHIFT,
    FRAME_WORDS,
    FREE,
    HIGH,
    MM,
    MM_SLOTS,
    MM_VMA,
    N_BUCKETS,
    NEEDED,
    NOW,
    NOW_CHAINS,
    PAGE_BYTES,
    PLACE_NUMBER,
    PLACES,
    PLACES_AT,
    PTE_WRITABLE,
    RMAP_BYTES,
    SIZE,
    SPAN_WORDS,
    SPANS_AT,
    TABLE,
    TABLE_MARKED,
    TABLE_PTES,
    TABLE_REFCOUNT,
    TASK_WORDS,
    TASKS_AT,
    TOP,
    UPPERS,
    VECTOR,
    VECTOR_ACTS,
    VECTOR_KIND,
    VECTOR_NEXT,
    VECTOR_TIMES,
    VECTOR_WORDS,
    VMA,
    VMA_NEXT,
    VMA_SHIFT,
    WORDS,
)
from simcore.result import ActVectors, Result
from simcore.snapshot import Arena, FrameView, MmView, Pool, Snapshot, TableView, VmaView

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from simcore.designs import Design
    from simcore.events import IntArray
    from simcore.geometry import Geometry

MEMORY_LIMIT = 8 << 30  # bytes that the heap of one run may grow to


class Engine:
    """Run a well-formed trace event by event, fast; counts and states equal the oracle's.

    Parameters
    ----------
    trace, design, geometry
        What to simulate. ``simcore.check.check_trace`` has found nothing wrong with the trace's form.
    limit : int
        Bytes of memory that the run may grow to.
    """

    def __init__(self, trace: Trace, design: Design, geometry: Geometry, limit: int = MEMORY_LIMIT) -> None:
        self._trace = trace
        self._raw = (_plain(trace.events), trace.pages, _plain(trace.image_rows), trace.image_starts)
        self._h = new_heap(trace, design, geometry, limit)
        self._first = int(self._h[TOP])
        self._limit = limit
        self._position = 0
        self._touches = 0
        begin(self._h)

    def run(self, stop: int | None = None) -> None:
        """Run events up to index ``stop`` (default: all).

        Raises
        ------
        TraceRefused
            An event cannot happen; the machine stays whole, behind the event.
        LimitExceeded
            The run needs more memory than the limit.
        InvariantViolation
            The engine is wrong.
        """
        end = len(self._trace) if stop is None else stop
        while self._position < end:
            status, at = run(self._h, self._raw, self._position, end)
            self._touches += self._touched(self._position, at)
            self._position = at
            if status == GROW:
                self._grow()
            elif status == OVERRUN:
                raise InvariantViolation(f"event {at} took more of the heap than was set aside for it")
            elif status > 0:
                self._position += 1
                raise self._trace.refused(at, Refusal(status))

    def _touched(self, first: int, last: int) -> int:
        """Return how many pages events [first, last) touch."""
        rows = self._raw[0][first:last]
        return int(rows[(rows[:, 0] == Op.READ) | (rows[:, 0] == Op.WRITE), 3].sum())

    def _grow(self) -> None:
        """Copy the heap to one at least twice as large, with room for the next event."""
        size = 2 * len(self._h) + int(self._h[NEEDED])
        if size * self._h.itemsize > self._limit:
            event = describe(self._trace.events[self._position])
            raise LimitExceeded(
                f"event {self._position}, {event}: the run needs {size * self._h.itemsize >> 20} MiB; "
                f"a run may use {self._limit >> 20} MiB; make the workload smaller"
            )
        larger = np.zeros(size, np.int64)
        larger[: len(self._h)] = self._h
        larger[SIZE] = size
        self._h = larger

    # what is seen from outside

    def result(self) -> Result:
        """Return the counts so far."""
        at = np.array(list(self._vectors()), np.int64).reshape(-1, 1)
        rows = self._h[at + np.arange(VECTOR_WORDS)]
        vectors = ActVectors.sorted_from(rows[:, VECTOR_KIND], rows[:, VECTOR_TIMES], rows[:, VECTOR_ACTS:])
        gauges = np.concatenate([self._h[HIGH : HIGH + len(LEVELS)], list(self._levels().values())])
        return Result(vectors.times @ vectors.acts, gauges, vectors, self._position, self._touches)

    def _vectors(self) -> Iterator[int]:
        """Yield the records of act vectors."""
        for bucket in range(BUCKETS, BUCKETS + N_BUCKETS):
            yield from self._chain(int(self._h[bucket]), VECTOR_NEXT)

    def _chain(self, record: int, link: int) -> Iterator[int]:
        """Yield a record and those that follow it by the word ``link``."""
        while record:
            yield record
            record = int(self._h[record + link])

    def _levels(self) -> dict[str, int]:
        """Return the levels that gauges sample."""
        mms, leaves, uppers, charged, chains, pages, cache, rss = self._h[NOW:HIGH].tolist()
        page = int(self._h[PAGE_BYTES])
        elements = chains * int(self._h[RMAP_BYTES])
        values = (mms, leaves, uppers, (leaves + uppers) * page, charged * page, elements, pages, cache, rss)
        return {level.name: value for level, value in zip(LEVELS, values, strict=True)}

    def snapshot(self) -> Snapshot:
        """Return the state as plain values."""
        h = self._h
        rows = h[h[TASKS_AT] : h[PLACES_AT]].reshape(-1, TASK_WORDS)
        tasks = {
            number: (int(mm), bool(lender), bool(waits))
            for number, (mm, lender, waits) in enumerate(rows)
            if mm
        }
        mms = {mm: self._mm_view(mm) for mm, _, _ in tasks.values()}
        tables = {table: self._table_view(table) for mm in mms.values() for table, _ in mm.slots.values()}
        cached = h[h[FILE_PAGES_AT] : self._first].tolist()
        held = {frame for table in tables.values() for frame, _ in table.ptes.values()} | set(cached)
        frames = {frame: self._frame_view(frame) for frame in held if frame}
        vmas = [vma for mm in mms for vma in self._chain(int(h[mm + MM_VMA]), VMA_NEXT)]
        used = {
            MM: list(mms),
            VMA: vmas,
            TABLE: list(tables),
            FRAME: list(frames),
            VECTOR: list(self._vectors()),
        }
        pools = {kind: self._pool(kind, records) for kind, records in used.items()}
        arena = Arena(self._first, int(h[TOP]), list(pools.values()))
        return Snapshot(tasks, mms, tables, frames, self._levels(), int(h[NOW_CHAINS]), arena)

    def _pool(self, kind: int, used: list[int]) -> Pool:
        """Return the records of a kind, used and free."""
        free = list(self._chain(int(self._h[FREE + kind]), 0))
        return Pool(int(self._h[WORDS + kind]), used, free)

    def _mm_view(self, mm: int) -> MmView:
        """Return an mm as plain values."""
        h = self._h
        vmas = []
        for vma in self._chain(int(h[mm + MM_VMA]), VMA_NEXT):
            start, end, kind, writable, file, offset = h[vma : vma + VMA_SHIFT].tolist()
            vmas.append(VmaView(start, end, kind, bool(writable), file, offset))
        places, uppers = int(h[PLACES]), int(h[UPPERS])
        slots = h[mm + MM_SLOTS : mm + MM_SLOTS + places].tolist()
        has = h[mm + MM_SLOTS + places : mm + MM_SLOTS + places + uppers]
        numbers = h[h[PLACES_AT] : h[SPANS_AT]].reshape(places, -1)[:, PLACE_NUMBER].tolist()
        spans = h[h[SPANS_AT] : h[FILES_AT]].reshape(-1, SPAN_WORDS)
        return MmView(
            vmas,
            {
                number: (slot // 2, bool(slot & 1))
                for number, slot in zip(numbers, slots, strict=True)
                if slot
            },
            {(int(level), int(index)) for level, index, _, _ in spans[has == 1]},
        )

    def _table_view(self, table: int) -> TableView:
        """Return a leaf table as plain values."""
        ptes = self._h[table + TABLE_PTES : table + TABLE_PTES + self._h[ENTRIES]]
        present = {
            int(index): (int(ptes[index]) >> FRAME_SHIFT, bool(ptes[index] & PTE_WRITABLE))
            for index in np.flatnonzero(ptes)
        }
        return TableView(int(self._h[table + TABLE_REFCOUNT]), bool(self._h[table + TABLE_MARKED]), present)

    def _frame_view(self, frame: int) -> FrameView:
        """Return a page frame as plain values."""
        mapcount, page = self._h[frame : frame + FRAME_WORDS].tolist()
        if page == 0:
            return FrameView("anon", -1, 0, mapcount)
        files = self._h[self._h[FILES_AT] : self._h[FILE_PAGES_AT]].reshape(-1, FILE_WORDS)
        first, pages, vmas = files.T
        file = int(np.flatnonzero((first < page) & (page <= first + pages))[0])
        return FrameView("shm" if vmas[file] else "cache", file, page - 1 - int(first[file]), mapcount)


def _plain(rows: npt.NDArray[np.void]) -> IntArray:
    """Return events as an int64 array [n, 8]."""
    return np.ascontiguousarray(rows).view(np.int64).reshape(len(rows), len(EVENT_DTYPE.names or ()))
