"""One page at a time: out of swap, and copied where that costs a search of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    FAULTS_SWAP,
    PAGES_ALLOCATED,
    PAGES_COPIED,
    PAGES_FREED,
    READ_BACK,
    REFS_DROPPED,
    REFS_TAKEN,
    RMAP_ADDED,
    RMAP_REMOVED,
    RMAP_WALKED,
)
from simcore.engine.frames import find_shared, home_of, new_frames, release, row_of
from simcore.engine.mapcounts import present_mapcount
from simcore.engine.rows import bit_of, clear_row, mask, word_of
from simcore.engine.tables import table_at
from simcore.heap import (
    CHAIN,
    FRESH,
    LOCKED,
    NOW_PAGES,
    NOW_RMAP,
    NOW_RSS,
    PER_SHARER,
    PRESENT,
    REOPENS,
    RMAP,
    ROW,
    SHARED,
    SWAP,
    SWAPS,
    TABLE_COUNT,
    TABLE_EXTRA,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_WRITABLE,
    WRITE,
)
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray


@unit
def replace_page(h: IntArray, mm: int, place: int, index: int) -> None:
    """Give a present pte of an anonymous page that others hold too a copy of its own."""
    table = table_at(h, mm, place)
    word, one = word_of(index), mask(h, FRESH)
    held = present_mapcount(h, place, index, home_of(h, table, index))
    clear_row(h, one)
    h[one + word] = bit_of(index)
    release(h, table, one, (word, word + 1))
    new_frames(h, table, one, (word, word + 1))
    h[PAGES_COPIED] += 1
    h[PAGES_ALLOCATED] += 1
    h[NOW_PAGES] += 1
    h[REFS_DROPPED] += h[table + TABLE_COUNT] if h[PER_SHARER] else 1
    if h[RMAP]:
        h[RMAP_ADDED] += 1
        h[RMAP_REMOVED] += 1
    if h[RMAP] == CHAIN:
        h[RMAP_WALKED] += held
    if held == 1:  # the others have swap entries
        h[PAGES_FREED] += 1
        h[NOW_PAGES] -= 1


@unit
def swap_in(h: IntArray, mm: int, place: int, index: int, write: bool) -> None:  # noqa: FBT001 - numba takes no keywords
    """Make the page behind a swap entry present: read it back unless another pte has it present already.

    A write makes it writable if no other pte leads to it, else it copies it at once.
    """
    table = table_at(h, mm, place)
    word, bit = word_of(index), bit_of(index)
    held = present_mapcount(h, place, index, home_of(h, table, index))
    find_shared(h, table, (word, word + 1))
    alone = h[mask(h, SHARED) + word] & bit == 0
    weight = h[table + TABLE_COUNT] if h[PER_SHARER] else 1
    h[FAULTS_SWAP] += 1
    if held == 0:
        h[READ_BACK] += 1
        h[PAGES_ALLOCATED] += 1
        h[NOW_PAGES] += 1
        h[REFS_TAKEN] += weight - 1
    else:
        h[REFS_TAKEN] += weight
    h[h[table + TABLE_EXTRA] + SWAP * h[ROW] + word] ^= bit
    h[row_of(h, table, PRESENT) + word] |= bit
    h[SWAPS] -= 1
    h[table + TABLE_MAPPED] += 1
    h[NOW_RSS] += h[table + TABLE_COUNT]
    if h[RMAP]:
        h[RMAP_ADDED] += weight
        h[NOW_RMAP] += weight
    if not write:
        if alone and h[REOPENS]:
            h[h[table + TABLE_EXTRA] + LOCKED * h[ROW] + word] |= bit
        return
    if not alone:
        replace_page(h, mm, place, index)
    h[row_of(h, table, WRITE) + word] |= bit
    h[table + TABLE_WRITABLE] += 1
    h[table + TABLE_MARKED] = 0
