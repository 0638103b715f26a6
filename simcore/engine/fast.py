"""The engine as an object: runs the compiled loop, grows pools between events, shows its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simcore.acts import LEVELS
from simcore.engine.count import find_vector
from simcore.engine.layout import allocate
from simcore.engine.loop import GROW, run
from simcore.engine.pools import new_mm
from simcore.errors import LimitExceeded, Refusal, TraceRefused
from simcore.events import EVENT_DTYPE, Trace, describe
from simcore.machine import (
    ENTRIES,
    FRAMES,
    MM_VMA,
    MMS,
    NOW_CHAINS,
    PAGE_BYTES,
    POOL_FREE,
    POOL_SIZE,
    POOL_USED,
    RMAP_BYTES,
    TABLES,
    TASK_LENDER,
    TASK_MM,
    TASK_WAITS,
    VECTORS,
    VMA_NEXT,
    VMAS,
    Machine,
)
from simcore.result import ActVectors, Result
from simcore.snapshot import FrameView, MmView, Pool, Snapshot, TableView, VmaView

if TYPE_CHECKING:
    import numpy.typing as npt

    from simcore.designs import Design
    from simcore.events import IntArray
    from simcore.geometry import Geometry

MEMORY_LIMIT = 8 << 30  # bytes of arrays that one run may grow to
_POOL_NAMES = {MMS: "mms", VMAS: "vmas", TABLES: "leaf tables", FRAMES: "page frames", VECTORS: "act vectors"}


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
        self._m = allocate(trace, design, geometry)
        self._limit = limit
        self._position = 0
        self._touches = 0
        self._m.task[0, TASK_MM] = new_mm(self._m)
        self._m.act[:] = 0  # task 0 and its pgd are there before the trace begins
        self._m.high[:] = list(self._levels().values())

    def run(self, stop: int | None = None) -> None:
        """Run events up to index ``stop`` (default: all).

        Raises
        ------
        TraceRefused
            An event cannot happen; the machine stays whole, behind the event.
        LimitExceeded
            The run needs more memory than the limit.
        """
        end = len(self._trace) if stop is None else stop
        while self._position < end:
            status, at = run(self._m, self._raw, self._position, end)
            self._touches += self._touched(self._position, at)
            self._position = at
            if status == GROW:
                self._grow(int(self._m.ask[0]), int(self._m.ask[1]))
            elif status > 0:
                self._position += 1
                raise TraceRefused.because(at, Refusal(status), describe(self._trace.events[at]))

    def _touched(self, first: int, last: int) -> int:
        """Return how many pages events [first, last) touch."""
        rows = self._raw[0][first:last]
        return int(rows[(rows[:, 0] == 2) | (rows[:, 0] == 3), 3].sum())

    def _grow(self, pool: int, needed: int) -> None:
        """Make a pool at least twice as large, so that ``needed`` numbers are free."""
        m = self._m
        size = int(m.pool[pool, POOL_SIZE])
        larger = 2 * size + needed
        grown = _resized(m, pool, larger)
        total = sum(array.nbytes for array in m._replace(**grown))
        if total > self._limit:
            raise LimitExceeded(
                f"event {self._position}: {larger} {_POOL_NAMES[pool]} would need {total >> 20} MiB in all; "
                f"a run may use {self._limit >> 20} MiB; make the workload smaller"
            )
        self._m = m._replace(**grown)
        self._m.pool[pool, POOL_SIZE] = larger
        if pool == VECTORS:
            self._m.latest[:] = -1
            self._rehash()

    def _rehash(self) -> None:
        """Put all act vectors in the grown hash table, by recording each anew with its multiplicity."""
        old = self._m.vector[: self._m.pool[VECTORS, POOL_USED]].copy()
        self._m.pool[VECTORS, POOL_USED] = 0
        for row in old:
            self._m.act[:] = row[2:]
            at = find_vector(self._m, int(row[0]))
            self._m.vector[at, 1] = row[1]
        self._m.act[:] = 0

    # what is seen from outside

    def result(self) -> Result:
        """Return the counts so far."""
        rows = self._m.vector[: self._m.pool[VECTORS, POOL_USED]]
        vectors = ActVectors.sorted_from(rows[:, 0].copy(), rows[:, 1].copy(), rows[:, 2:].copy())
        gauges = np.concatenate([self._m.high, list(self._levels().values())])
        return Result(vectors.times @ vectors.acts, gauges, vectors, self._position, self._touches)

    def _levels(self) -> dict[str, int]:
        """Return the levels that gauges sample."""
        now, conf = self._m.level.tolist(), self._m.conf.tolist()
        mms, leaves, uppers, charged, chains, pages, cache, rss = now
        values = (
            mms,
            leaves,
            uppers,
            (leaves + uppers) * conf[PAGE_BYTES],
            charged * conf[PAGE_BYTES],
            chains * conf[RMAP_BYTES],
            pages,
            cache,
            rss,
        )
        return {level.name: value for level, value in zip(LEVELS, values, strict=True)}

    def snapshot(self) -> Snapshot:
        """Return the state as plain values."""
        m = self._m
        tasks = {
            number: (int(row[TASK_MM]), bool(row[TASK_LENDER] >= 0), bool(row[TASK_WAITS]))
            for number, row in enumerate(m.task)
            if row[TASK_MM] >= 0
        }
        mms = {mm: self._mm_view(mm) for mm, _, _ in tasks.values()}
        tables = {table: self._table_view(table) for mm in mms.values() for table, _ in mm.slots.values()}
        held = {frame for table in tables.values() for frame, _ in table.ptes.values()} | set(m.file_page.tolist())
        return Snapshot(
            tasks,
            mms,
            tables,
            {frame: self._frame_view(frame) for frame in held if frame > 0},
            self._levels(),
            int(m.level[NOW_CHAINS]),
            {"mms": self._pool(MMS), "tables": self._pool(TABLES), "frames": self._pool(FRAMES)},
        )

    def _mm_view(self, mm: int) -> MmView:
        """Return an mm as plain values."""
        m = self._m
        vmas = []
        vma = int(m.mm[mm, MM_VMA])
        while vma >= 0:
            start, end, kind, writable, file, offset = m.vma[vma, :6].tolist()
            vmas.append(VmaView(start, end, kind, bool(writable), file, offset))
            vma = int(m.vma[vma, VMA_NEXT])
        slots = {
            int(m.place[place, 0]): (int(slot) // 2, bool(slot & 1))
            for place, slot in enumerate(m.slot[mm])
            if slot >= 0
        }
        uppers = {(int(level), int(index)) for level, index in m.span[m.upper[mm] == 1, :2]}
        return MmView(vmas, slots, uppers)

    def _table_view(self, table: int) -> TableView:
        """Return a leaf table as plain values."""
        entries = int(self._m.conf[ENTRIES])
        ptes = self._m.pte[table * entries : (table + 1) * entries]
        refcount, marked = self._m.table[table, :2].tolist()
        present = {int(index): (int(ptes[index]) >> 2, bool(ptes[index] & 2)) for index in np.flatnonzero(ptes)}
        return TableView(refcount, bool(marked), present)

    def _frame_view(self, frame: int) -> FrameView:
        """Return a page frame as plain values."""
        mapcount, page = self._m.frame[frame].tolist()
        if page < 0:
            return FrameView("anon", -1, 0, mapcount)
        first = self._m.file[:, 0]
        file = int(np.flatnonzero((first <= page) & (page < first + self._m.file[:, 1]))[0])
        return FrameView("shm" if self._m.file[file, 2] > 0 else "cache", file, page - int(first[file]), mapcount)

    def _pool(self, pool: int) -> Pool:
        """Return what a pool has handed out, and which numbers are free."""
        used, height = int(self._m.pool[pool, POOL_USED]), int(self._m.pool[pool, POOL_FREE])
        handed = used - 1 if pool == FRAMES else used  # the zero page is nobody's
        return Pool(handed, self._m.free[pool, :height].tolist())


def _plain(rows: npt.NDArray[np.void]) -> IntArray:
    """Return events as an int64 array [n, 8]."""
    return np.ascontiguousarray(rows).view(np.int64).reshape(len(rows), len(EVENT_DTYPE))


def _resized(m: Machine, pool: int, size: int) -> dict[str, IntArray]:
    """Return the arrays of a pool, made larger; what is in them stays."""
    most = max(size, m.free.shape[1])
    free = _longer(m.free, m.free.shape[0], most)
    if pool == MMS:
        slot = np.full((size, m.slot.shape[1]), -1, np.int64)
        slot[: len(m.slot)] = m.slot
        return {"mm": _longer(m.mm, size), "slot": slot, "upper": _longer(m.upper, size), "free": free}
    if pool == VMAS:
        return {"vma": _longer(m.vma, size), "free": free}
    if pool == TABLES:
        pte = np.zeros(size * int(m.conf[ENTRIES]), np.int64)
        pte[: len(m.pte)] = m.pte
        return {"table": _longer(m.table, size), "pte": pte, "free": free}
    if pool == FRAMES:
        return {"frame": _longer(m.frame, size), "free": free}
    return {"vector": _longer(m.vector, size), "bucket": np.zeros(2 * size, np.int64)}


def _longer(array: IntArray, rows: int, columns: int | None = None) -> IntArray:
    """Return a two-dimensional array with more rows or columns, zero where it is new."""
    larger = np.zeros((rows, array.shape[1] if columns is None else columns), np.int64)
    larger[: array.shape[0], : array.shape[1]] = array
    return larger
