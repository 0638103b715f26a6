"""Huge pages of anonymous memory: mapped, written, split, copied, zapped. See ``simcore.oracle.huge``.

The table that a directory entry keeps for its huge page has all bits set, so that whoever only asks what is present,
writable or held elsewhere need not know of huge pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    FAULTS_HUGE,
    FAULTS_HUGE_REUSE,
    FAULTS_HUGE_ZERO,
    HUGE_ALLOCATED,
    HUGE_COPIED_FORK,
    HUGE_SPLIT,
    HUGE_ZAPPED,
    KIND_READ_FAULT,
    KIND_WRITE_FAULT,
    REFS_DROPPED,
    REFS_TAKEN,
    RMAP_ADDED,
    RMAP_REMOVED,
    TLB_PAGE,
    flush,
    record,
)
from simcore.engine.frames import find_shared, release, row_of
from simcore.engine.fresh import privately_written
from simcore.engine.records import set_slot
from simcore.engine.rows import clear_row, copy_row, is_empty, mask, within
from simcore.engine.tables import extra_of, new_table, unlock
from simcore.engine.vmas import covers, first_page
from simcore.events import ADVISED
from simcore.heap import (
    ENTRIES,
    GONE,
    NOW_PAGES,
    NOW_RMAP,
    NOW_RSS,
    OWN,
    PRESENT,
    RMAP,
    ROW,
    SHARED,
    SLOT_WRITABLE,
    TABLE_EXTRA,
    TABLE_FOLIO,
    TABLE_HUGE,
    TABLE_MAPPED,
    TABLE_PTES,
    TABLE_WRITABLE,
    THP,
    THP_ALWAYS,
    USED,
    VMA_FILE,
    VMA_FLAGS,
    WRITE,
    ZERO,
)
from simcore.jit import jit

if TYPE_CHECKING:
    from simcore.events import IntArray


@jit
def may_be_huge(h: IntArray, vma: int, place: int) -> bool:
    """Return whether a fault may give the empty directory entry of a place a huge page."""
    wanted = h[THP] == THP_ALWAYS or (h[THP] != 0 and h[vma + VMA_FLAGS] & ADVISED != 0)
    return wanted and h[vma + VMA_FILE] < 0 and covers(h, vma, first_page(h, place))


@jit
def _fill(h: IntArray, row: int) -> None:
    """Set the bits of all entries in a row."""
    for word in range(h[ROW]):
        h[row + word] = within(word, 0, h[ENTRIES])


@jit
def map_huge(h: IntArray, mm: int, vma: int, place: int, writes: bool) -> None:  # noqa: FBT001 - numba takes no keywords
    """Fill an empty directory entry, for one fault: with a new huge page, or for a read with the huge zero page."""
    table = new_table(h, mm)
    set_slot(h, mm, place, table * 2 + SLOT_WRITABLE)
    h[table + TABLE_HUGE] = 1
    h[table + TABLE_PTES] = h[ENTRIES]
    _fill(h, row_of(h, table, PRESENT))
    privately_written(h, vma, table)  # so a read does too
    if writes:
        _new_huge_page(h, table)
        record(h, KIND_WRITE_FAULT, 1)
        return
    _fill(h, extra_of(h, table) + ZERO * h[ROW])
    h[FAULTS_HUGE_ZERO] = 1
    record(h, KIND_READ_FAULT, 1)


@jit
def _new_huge_page(h: IntArray, table: int) -> None:
    """Let a directory entry map a new huge page, writable; its table's home holds nothing yet."""
    entries = h[ENTRIES]
    _fill(h, row_of(h, table, OWN))
    _fill(h, row_of(h, table, USED))
    _fill(h, row_of(h, table, WRITE))
    h[table + TABLE_FOLIO] = entries
    h[table + TABLE_MAPPED] = h[table + TABLE_WRITABLE] = entries
    h[FAULTS_HUGE] = 1
    h[HUGE_ALLOCATED] = 1
    h[NOW_PAGES] += entries
    h[NOW_RSS] += entries
    if h[RMAP]:
        h[RMAP_ADDED] += 1
        h[NOW_RMAP] += entries


@jit
def is_zero(h: IntArray, table: int) -> bool:
    """Return whether the directory entry of a huge mapping holds the huge zero page."""
    return h[table + TABLE_MAPPED] == 0


@jit
def write_huge(h: IntArray, table: int) -> bool:
    """Serve a write to a read-only huge page by its directory entry; returns whether that could be done.

    The huge zero page is replaced, a huge page of which nobody else holds any part is reused.
    """
    if is_zero(h, table):
        clear_row(h, h[table + TABLE_EXTRA] + ZERO * h[ROW])
        _new_huge_page(h, table)
    else:
        find_shared(h, table, (0, h[ROW]))
        if not is_empty(h, mask(h, SHARED)):
            return False
        _fill(h, row_of(h, table, WRITE))
        h[table + TABLE_WRITABLE] = h[ENTRIES]
        unlock(h, table, 0, h[ENTRIES])
        h[FAULTS_HUGE_REUSE] = 1
    flush(h, TLB_PAGE, 1)
    record(h, KIND_WRITE_FAULT, 1)
    return True


@jit
def split_huge(h: IntArray, table: int) -> None:
    """Let the ptes of a table of one mm's own map what the directory entry mapped."""
    h[HUGE_SPLIT] += 1
    h[table + TABLE_HUGE] = 0


@jit
def count_copied(h: IntArray, huge: int, with_page: int) -> None:
    """Count directory entries of huge pages that fork copied, and those of them that hold a page; no levels."""
    h[HUGE_COPIED_FORK] += huge
    h[REFS_TAKEN] += with_page
    h[RMAP_ADDED] += with_page if h[RMAP] else 0


@jit
def count_zapped(h: IntArray, huge: int, with_page: int) -> None:
    """Count directory entries of huge pages that were cleared, and those of them that held a page; no levels."""
    h[HUGE_ZAPPED] += huge
    h[REFS_DROPPED] += with_page
    h[RMAP_REMOVED] += with_page if h[RMAP] else 0


@jit
def zap_huge(h: IntArray, table: int) -> None:
    """Clear the directory entry of a huge page; the table of one mm's own that it kept is left empty."""
    pages = h[table + TABLE_MAPPED]
    count_zapped(h, 1, 0 if is_zero(h, table) else 1)
    present, gone = row_of(h, table, PRESENT), mask(h, GONE)
    copy_row(h, present, gone)
    clear_row(h, present)
    clear_row(h, row_of(h, table, WRITE))
    if pages:
        release(h, table, gone, (0, h[ROW]))
    else:
        clear_row(h, h[table + TABLE_EXTRA] + ZERO * h[ROW])
    unlock(h, table, 0, h[ENTRIES])
    h[table + TABLE_HUGE] = 0
    h[table + TABLE_PTES] = h[table + TABLE_MAPPED] = h[table + TABLE_WRITABLE] = 0
    h[NOW_RSS] -= pages
    h[NOW_RMAP] -= pages if h[RMAP] else 0
