"""How many present ptes hold a page: what a pte_chain has elements for, and what decides whether a page is freed.

While no swap entry exists the holders that homes count are the present ptes. Otherwise mms are searched: fork keeps
virtual addresses, so whoever holds a frame holds it at the same place and index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.frames import holders, home_of, row_of
from simcore.engine.records import task_record
from simcore.engine.rows import bit_of, mask, rest_of, word_of
from simcore.engine.tables import is_linked, table_at
from simcore.heap import (
    BASE,
    KIND_D,
    OWN,
    PRESENT,
    ROW,
    SHARE_HOME,
    SHARE_NEXT,
    SHARE_ROW,
    SWAPS,
    TABLE_BASE,
    TABLE_SEEN,
    TABLE_SHARES,
    TASK_LENDER,
    TASK_MM,
    TASKS,
    VISIT,
)
from simcore.jit import jit, lowest
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray


@jit
def present_mapcount(h: IntArray, place: int, index: int, home: int) -> int:
    """Return how many present ptes hold the frame of a home at an index of the tables at a place."""
    h[VISIT] += 1
    found = 0
    for task in range(h[TASKS]):
        record = task_record(h, task)
        if h[record + TASK_MM] == 0 or h[record + TASK_LENDER]:
            continue
        table = table_at(h, h[record + TASK_MM], place)
        if table == 0 or h[row_of(h, table, PRESENT) + word_of(index)] & bit_of(index) == 0:
            continue
        if h[table + TABLE_SEEN] == h[VISIT] and is_linked(h, table):
            continue
        h[table + TABLE_SEEN] = h[VISIT]
        if home_of(h, table, index) == home:
            found += 1
    return found


@unit
def chain_lengths(h: IntArray, place: int, table: int, row: int) -> int:
    """Return the ptes that hold the anonymous pages behind present ptes of a table that a row names, summed."""
    total = 0
    if h[SWAPS] > 0:
        for word in range(h[ROW]):
            bits = h[row + word]
            while bits:
                index = word * 64 + lowest(bits)
                home = home_of(h, table, index)
                if home:
                    total += present_mapcount(h, place, index, home)
                bits = rest_of(bits)
        return total
    total += _held_lengths(h, table, row_of(h, table, OWN), row)
    if h[table + TABLE_BASE]:
        total += _held_lengths(h, h[table + TABLE_BASE], row_of(h, table, BASE), row)
    share = h[table + TABLE_SHARES]
    while share:
        total += _held_lengths(h, h[share + SHARE_HOME], share + SHARE_ROW, row)
        share = h[share + SHARE_NEXT]
    return total


@jit
def _held_lengths(h: IntArray, home: int, held: int, row: int) -> int:
    """Return the holders, summed, of the frames of a home that two rows have in common."""
    both = mask(h, KIND_D)
    for word in range(h[ROW]):
        h[both + word] = h[held + word] & h[row + word]
    return holders(h, home, both)
