"""The engine as an object: runs the compiled loop, grows the heap between events, shows its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simcore.acts import ACTS, LEVELS
from simcore.engine.building import FIRST_RARE, GROW, OVERRUN
from simcore.engine.layout import new_heap, plain
from simcore.engine.loop import begin, run, run_any, settle, settle_any
from simcore.engine.views import Views, vectors
from simcore.errors import InvariantViolation, LimitExceeded, Refusal
from simcore.events import Trace, describe
from simcore.heap import (
    ACT_ORDER,
    CHAIN,
    EVICTED,
    FREE,
    HAND_TASK,
    HAND_VPN,
    HIGH,
    N_LEVELS,
    NEEDED,
    NOW,
    NOW_RMAP,
    PAGE_BYTES,
    RMAP,
    RMAP_BYTES,
    ROOM_FOR_PAGE,
    SIZE,
    TOP,
    TOUCHES,
    VECTOR_ACTS,
    VECTOR_KIND,
    VECTOR_TIMES,
    VECTOR_WORDS,
    WORDS,
)
from simcore.result import ActVectors, Result
from simcore.snapshot import Account, Arena, Pool, Snapshot
from simcore.units import ready

if TYPE_CHECKING:
    from simcore.designs import Design
    from simcore.geometry import Geometry

# Of the heap's vectors, in the order of ACTS.
COLUMNS = np.array([ACT_ORDER.index(act.name) for act in ACTS])
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
        self._raw = plain(trace)
        self._h = new_heap(trace, design, geometry, limit)
        self._first = int(self._h[TOP])
        self._limit = limit
        rare = (trace.events["op"] >= FIRST_RARE).any()
        self._run, self._build = (run_any, settle_any) if rare else (run, settle)
        self._position = 0
        ready(self._run)
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
            status, at = self._run(self._h, self._raw, self._position, end)
            self._position = at
            if status == GROW:
                self._grow()
            elif status == OVERRUN:
                raise InvariantViolation(f"event {at} took more of the heap than was set aside for it")
            elif status > 0:
                self._position += 1
                raise self._trace.refused(at, Refusal(status))

    def _grow(self) -> None:
        """Copy the heap to one at least twice as large, with room for the next event."""
        size = 2 * len(self._h) + int(self._h[NEEDED])
        if size * self._h.itemsize > self._limit:
            at = min(self._position, len(self._trace) - 1)
            event = describe(self._trace.events[at])
            raise LimitExceeded(
                f"event {at}, {event}: the run needs {size * self._h.itemsize >> 20} MiB; "
                f"a run may use {self._limit >> 20} MiB; make the workload smaller"
            )
        larger = np.zeros(size, np.int64)
        larger[: len(self._h)] = self._h
        larger[SIZE] = larger[ROOM_FOR_PAGE] = size
        self._h = larger

    def settle(self) -> None:
        """Build what was left unbuilt, see ``simcore.engine.lives``; nothing that is counted changes.

        Raises
        ------
        LimitExceeded
            That needs more memory than the limit.
        """
        ready(self._build)
        while self._build(self._h, self._raw) == GROW:
            self._grow()

    # what is seen from outside

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that the heap takes now."""
        return int(self._h.nbytes)

    def result(self) -> Result:
        """Return the counts so far."""
        at = np.array(vectors(self._h), np.int64).reshape(-1, 1)
        rows = self._h[at + np.arange(VECTOR_WORDS)]
        acts = rows[:, VECTOR_ACTS + COLUMNS]
        found = ActVectors.sorted_from(rows[:, VECTOR_KIND], rows[:, VECTOR_TIMES], acts)
        gauges = np.array([*self._levels(HIGH).values(), *self._levels(NOW).values()])
        touches = int(self._h[TOUCHES])
        return Result(found.times @ found.acts, gauges, found, self._position, touches)

    def _levels(self, at: int) -> dict[str, int]:
        """Return the levels that gauges sample, as they are (at NOW) or at their highest (HIGH)."""
        mms, leaves, uppers, charged, rmap, pages, cache, rss = self._h[at : at + N_LEVELS].tolist()
        tables = int(self._h[HIGH + N_LEVELS]) if at == HIGH else leaves + uppers
        page = int(self._h[PAGE_BYTES])
        elements = rmap * int(self._h[RMAP_BYTES]) if self._h[RMAP] == CHAIN else 0
        values = (mms, leaves, uppers, tables * page, charged * page, elements, pages, cache, rss)
        return {level.name: value for level, value in zip(LEVELS, values, strict=True)}

    def account(self, task: int) -> Account:
        """Return what the kernel would tell of a task's mm; KeyError if there is no such task."""
        self.settle()
        views = Views(self._h, self._trace)
        return views.account(views.tasks[task][0])

    def snapshot(self) -> Snapshot:
        """Return the state as plain values, after a recount of what only the heap knows."""
        self.settle()
        h, views = self._h, Views(self._h, self._trace)
        views.recount()
        mms = {mm: views.mm_view(mm) for mm, _, _ in views.tasks.values()}
        tables = views.tables()
        pools = [
            Pool(int(h[WORDS + kind]), used, list(views.chain(int(h[FREE + kind]), 0)))
            for kind, used in views.used().items()
        ]
        return Snapshot(
            views.tasks,
            mms,
            tables,
            views.frames(tables),
            self._levels(NOW),
            int(h[NOW_RMAP]),
            hand=(int(h[HAND_TASK]), int(h[HAND_VPN])),
            evicted=views.file_pages(EVICTED),
            arena=Arena(self._first, int(h[TOP]), pools),
        )
