"""How large a heap a trace needs: counted from its events alone, before the first of them happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simcore.events import EVENT_WORDS, Op
from simcore.heap import EXTRA, MM, SHARE, TABLE, VECTOR, VMA, WORDS
from simcore.jit import entry

if TYPE_CHECKING:
    from simcore.engine.layout import Raw
    from simcore.events import IntArray

MMAP, READ, WRITE = Op.MMAP.value, Op.READ.value, Op.WRITE.value
FORK, VFORK, EXEC, EXIT = Op.FORK.value, Op.VFORK.value, Op.EXEC.value, Op.EXIT.value
MUNMAP, MPROTECT = Op.MUNMAP.value, Op.MPROTECT.value
_VECTORS = 1 << 12  # distinct act vectors: hardly any trace has more
# What a task has: an mm of its own, vmas, leaf tables, slots mapped.
_LIVES, _VMAS, _TABLES, _SPAN, _KINDS = range(5)


def predicted_words(raw: Raw, entries: int, heap: IntArray) -> int:
    """Return how many words the records of a run will take, about.

    Parameters
    ----------
    raw : tuple of int64 arrays
        The trace: events, pages, image rows, first row of each image.
    entries : int
        Of a leaf table.
    heap : int64 [n]
        Laid out for the trace: it knows the sizes of records.

    Notes
    -----
    Each mm is reckoned to have a leaf table of its own for each slot that it or its parents touched, as under eager
    copy; what sharing saves is not known before. Memory unmapped counts on.
    """
    mms, vmas, tables = _highest(raw, entries, np.zeros(_tasks(raw) * _KINDS, np.int64))
    size = heap[WORDS : WORDS + VECTOR + 1].tolist()
    table = size[TABLE] + size[EXTRA] + size[SHARE]
    return int(mms * size[MM] + vmas * size[VMA] + tables * table + _VECTORS * size[VECTOR])


def _tasks(raw: Raw) -> int:
    """Return one more than the highest task number of a trace."""
    rows = raw[0].reshape(-1, EVENT_WORDS)
    births = rows[(rows[:, 0] == FORK) | (rows[:, 0] == VFORK), 5]
    return int(max(rows[:, 1].max(initial=0), births.max(initial=0))) + 1


@entry
def _highest(raw: Raw, entries: int, has: IntArray) -> tuple[int, int, int]:  # noqa: C901 - one case an operation
    """Return the most mms, vmas and leaf tables that exist at once; ``has`` [tasks * kinds] starts empty."""
    events, _, image_rows, image_starts = raw
    has[_LIVES] = 1
    now_mms, now_vmas, now_tables = 1, 0, 0
    mms, vmas, tables = 1, 0, 0
    for at in range(0, events.shape[0], EVENT_WORDS):
        op, task, start, count, stride, arg = (
            events[at],
            events[at + 1],
            events[at + 2],
            events[at + 3],
            events[at + 4],
            events[at + 5],
        )
        own = task * _KINDS
        if op in (READ, WRITE):
            slots = count if stride == 0 else (start + (count - 1) * stride) // entries - start // entries + 1
            grown = min(has[own + _TABLES] + min(slots, count), has[own + _SPAN]) - has[own + _TABLES]
            has[own + _TABLES] += grown
            now_tables += grown
        elif op == MMAP:
            has[own + _VMAS] += 1
            has[own + _SPAN] += (start + count - 1) // entries - start // entries + 1
            now_vmas += 1
        elif op in (MUNMAP, MPROTECT):
            has[own + _VMAS] += 1
            now_vmas += 1
        elif op == FORK:
            for kind in range(_KINDS):
                has[arg * _KINDS + kind] = has[own + kind]
            has[arg * _KINDS + _LIVES] = 1
            now_mms, now_vmas, now_tables = (
                now_mms + 1,
                now_vmas + has[own + _VMAS],
                now_tables + has[own + _TABLES],
            )
        elif op in (EXEC, EXIT):
            now_mms, now_vmas, now_tables = (
                now_mms - has[own + _LIVES],
                now_vmas - has[own + _VMAS],
                now_tables - has[own + _TABLES],
            )
            for kind in range(_KINDS):
                has[own + kind] = 0
            if op == EXEC:
                has[own + _LIVES] = 1
                now_mms += 1
                for row in range(image_starts[arg], image_starts[arg + 1]):
                    first, pages = image_rows[row * EVENT_WORDS + 2], image_rows[row * EVENT_WORDS + 3]
                    has[own + _SPAN] += (first + pages - 1) // entries - first // entries + 1
                    has[own + _VMAS] += 1
                    now_vmas += 1
        mms, vmas, tables = max(mms, now_mms), max(vmas, now_vmas), max(tables, now_tables)
    return mms, vmas, tables
