"""How much of the heap an event may take at most, so that the heap grows between events and never within one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.events import Op
from simcore.heap import (
    CHAIN,
    COPY,
    DEFERRED,
    EXTRA,
    FORK,
    INHERIT,
    LAZY,
    LINK,
    LINKS,
    MM,
    MM_PENDING,
    MM_POPULATED,
    MM_VMAS,
    MOST_SHARES,
    NEEDED,
    NOW_LEAVES,
    NOW_MMS,
    PENDING_NOW,
    PLACES,
    RMAP,
    ROOM_FOR_PAGE,
    SHARE,
    SIZE,
    SLICE,
    STEP,
    SWAPS,
    TABLE,
    TOP,
    VECTOR,
    VMA,
    VMAS_NOW,
    WORDS,
)
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray

# Distinct act vectors that the faults of one event can have besides one for each table made or unshared:
# fault class x new or known file page x zeroed or copied, generously.
_PLAIN_VECTORS = 72
_NEW_HOMES = (
    4  # homes that the new frames of one table may need in an event: one for each class of write fault
)
READ, WRITE, FORK_OP = Op.READ.value, Op.WRITE.value, Op.FORK.value
EXEC, RECLAIM = Op.EXEC.value, Op.RECLAIM.value


@unit
def short_of_room(h: IntArray, mm: int, event: IntArray, image_starts: IntArray) -> bool:
    """Return whether the heap might not hold what an event of an mm takes; then NEEDED says how many words that is.

    Free records are not reckoned with, so the heap keeps at most one event's worst case to spare.
    """
    op, count = event[0], event[3]
    if op in (READ, WRITE) and h[TOP] + (count + 1) * h[ROOM_FOR_PAGE] < h[SIZE]:
        return False  # room enough if each page had a table of its own
    mms, vmas, vectors = 0, 2, 4
    tables = h[NOW_LEAVES] if op == RECLAIM else h[mm + MM_POPULATED]
    if op in (READ, WRITE):
        tables = min(count, h[PLACES] + h[mm + MM_VMAS])
        vectors = _PLAIN_VECTORS + 2 * tables
        if h[RMAP] == CHAIN or h[SWAPS] > 0:  # a page's mapcount goes into its vector
            vectors += min(2 * count, 4 * (h[VMAS_NOW] + h[NOW_MMS]))
    elif op == FORK_OP:
        mms, vmas = 1, h[mm + MM_VMAS]
        if (h[FORK] == LINK and h[LINKS] == 0) or (h[FORK] == COPY and h[LAZY] and h[INHERIT] == 0):
            tables = 0  # no table is copied in part
    elif op == EXEC:
        mms, vmas = 1, 2 + image_starts[event[5] + 1] - image_starts[event[5]]
    if h[FORK] == DEFERRED:  # a copy for each child that still waits for its own
        tables *= 1 + h[PENDING_NOW]
        if op != RECLAIM and h[mm + MM_PENDING]:
            tables += h[mm + MM_POPULATED]
    # A copied table takes a record for each share and, at worst, a new slice in each home; its new frames new homes.
    shares = h[MOST_SHARES] + 3 + _NEW_HOMES
    each = (1 + _NEW_HOMES) * h[WORDS + TABLE] + h[WORDS + EXTRA]
    each += shares * (h[WORDS + SHARE] + h[WORDS + SLICE])
    needed = 2 * h[WORDS + STEP] + mms * h[WORDS + MM] + vmas * h[WORDS + VMA] + tables * each
    needed += vectors * h[WORDS + VECTOR]
    h[NEEDED] = needed
    h[ROOM_FOR_PAGE] = (
        each * (1 + h[PENDING_NOW]) + _PLAIN_VECTORS * h[WORDS + VECTOR] + 2 * h[WORDS + STEP]
        if h[FORK] != DEFERRED
        else h[SIZE]
    )
    return h[TOP] + needed > h[SIZE]
