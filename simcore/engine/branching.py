"""An engine that can be copied between two events and goes on at any event of its trace: for trees of traces."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from simcore.acts import ACTS
from simcore.engine.building import GROW, OVERRUN
from simcore.engine.fast import COLUMNS, Engine
from simcore.engine.fingerprints import fingerprint
from simcore.engine.refusals import DONE
from simcore.engine.views import vectors
from simcore.errors import InvariantViolation
from simcore.heap import (
    LIVES,
    LOG_AT,
    LOG_MOST,
    LOGGED,
    NOW_LEAVES,
    NOW_UPPERS,
    PAGE_BYTES,
    SIZE,
    TOP,
    VECTOR_ACTS,
    VECTOR_KIND,
    VECTOR_TIMES,
)

if TYPE_CHECKING:
    from typing import Self

    from simcore.events import IntArray

SPARE = 2048  # words of the heap to copy at each event; it grows where that is too little
ROW = 2 + len(ACTS)  # kind, times, acts
_WORDS = np.concatenate([[VECTOR_KIND, VECTOR_TIMES], VECTOR_ACTS + COLUMNS])


class BranchingEngine(Engine):
    """An engine that does each event of a small trace, also what it could count because it was done before."""

    def tighten(self, spare: int = SPARE) -> None:
        """Leave so many words of the heap to spare, so that it is copied in no time; forget what lives did."""
        top = int(self._h[TOP])
        self._h = np.append(self._h[:top], np.zeros(spare, np.int64))
        self._h[SIZE] = len(self._h)
        self._h[LIVES] = 0

    def after(self, event: int) -> tuple[Self, IntArray] | None:
        """Do an event, wherever it stands in the trace, in a copy of this machine.

        Returns
        -------
        machine : BranchingEngine
            The copy, behind the event.
        rows : int64 [k, ROW]
            For each act vector that the event recorded its kind, how often it did, and the acts in the order of ACTS;
            no row if there was nothing to do, so that the copy is in the state of this machine.

        None if the event cannot happen.
        """
        twin = copy.copy(self)
        may = twin._go_on_from(self._h, event)  # noqa: SLF001 - of the same class
        return (twin, twin._recorded(self._h)) if may else None  # noqa: SLF001 - as above

    def _go_on_from(self, heap: IntArray, event: int) -> bool:
        """Do one event behind a state; returns whether it could happen."""
        self._h = heap.copy()
        status, _ = self._run(self._h, self._raw, event, event + 1)
        while status == GROW:
            self._grow()
            status, _ = self._run(self._h, self._raw, event, event + 1)
        if status == OVERRUN:
            raise InvariantViolation(f"event {event} took more of the heap than was set aside for it")
        self._position = event + 1
        return bool(status == DONE)

    def state(self) -> bytes:
        """Return bytes that are equal only for machines that go on alike."""
        return fingerprint(self._h)

    @property
    def pgtable_bytes(self) -> int:
        """Bytes in leaf and upper tables now."""
        h = self._h
        return int((h[NOW_LEAVES] + h[NOW_UPPERS]) * h[PAGE_BYTES])

    def _recorded(self, before: IntArray) -> IntArray:
        """Return what the event recorded that leads here from the state ``before``."""
        h = self._h
        logged = int(h[LOGGED])
        if logged > LOG_MOST:
            return self._gained(before)
        log = h[LOG_AT : LOG_AT + 2 * logged].reshape(-1, 2)
        rows: IntArray = h[log[:, :1] + _WORDS]
        rows[:, 1] = log[:, 1]
        return rows

    def _gained(self, before: IntArray) -> IntArray:
        """Return the same by comparing the multiplicity of each act vector."""
        known = {at: int(before[at + VECTOR_TIMES]) for at in vectors(before)}
        rows: IntArray = self._h[np.array(vectors(self._h), np.int64).reshape(-1, 1) + _WORDS]
        rows[:, 1] -= [known.get(at, 0) for at in vectors(self._h)]
        return rows[rows[:, 1] > 0]
