"""Leaf tables: made, copied, counted, write-protected, freed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.arena import give, take
from simcore.engine.count import LEAF_ALLOCATED, LEAF_FREED, PAGES_FREED
from simcore.engine.frames import copy_shares, end_home, leave_home, let_go, new_record, row_of
from simcore.engine.records import charge, file_record, file_word
from simcore.engine.rows import BELOW, count_row, within, words_of
from simcore.engine.vmas import first_page, high_index, is_private, low_index, vma_from
from simcore.heap import (
    BASE,
    CHAIN,
    COPY,
    ENTRIES,
    EXTRA,
    FILE,
    FILE_PTE,
    FILE_PTE_SHIFT,
    FILE_TABLE,
    FORK,
    LOCKED,
    MM_SLOTS,
    N_EXTRA_ROWS,
    NOW_LEAVES,
    NOW_PAGES,
    OWN,
    PRESENT,
    RMAP,
    ROW,
    SHARE,
    SHARE_HOME,
    SHARE_NEXT,
    SHARE_ROW,
    SLOT_WRITABLE,
    SWAP,
    SWAPS,
    TABLE,
    TABLE_BASE,
    TABLE_COUNT,
    TABLE_EXTRA,
    TABLE_HUGE,
    TABLE_KEY,
    TABLE_KEY_NEXT,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_OWNER,
    TABLE_PTES,
    TABLE_ROWS,
    TABLE_SHARES,
    TABLE_WRITABLE,
    USED,
    VMA_FILE,
    VMA_NEXT,
    VMA_START,
    WRITE,
)
from simcore.jit import jit, lowest, popcount
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray


@jit
def table_at(h: IntArray, mm: int, place: int) -> int:
    """Return the leaf table that a slot points to, 0 if it is empty."""
    return h[mm + MM_SLOTS + place] >> 1


@jit
def is_linked(h: IntArray, table: int) -> bool:
    """Return whether a table's count is its refcount, so that its sharers see one and the same table.

    Else mms with equal tables of their own share the record, which is copied when one of them is about to differ.
    """
    return h[FORK] != COPY or h[table + TABLE_KEY] != 0


@jit
def new_table(h: IntArray, mm: int) -> int:
    """Allocate an empty leaf table, charged to the mm that it is for."""
    h[LEAF_ALLOCATED] += 1
    h[NOW_LEAVES] += 1
    table = new_record(h)
    charge(h, table, mm)
    return table


@jit
def free_table(h: IntArray, table: int) -> None:
    """Free a leaf table that no slot points to and that has no pte left."""
    h[LEAF_FREED] += 1
    h[NOW_LEAVES] -= 1
    end_table(h, table)


@jit
def end_table(h: IntArray, table: int) -> None:
    """Give back the record of a table that holds nothing any more; nothing is counted."""
    unregister(h, table)
    h[table + TABLE_COUNT] = 0
    if h[table + TABLE_EXTRA]:
        give(h, EXTRA, h[table + TABLE_EXTRA])
        h[table + TABLE_EXTRA] = 0
    end_home(h, table)


@jit
def free_all(h: IntArray, table: int) -> None:
    """Free a table of one mm's own with all that it holds; pages that nobody else holds are freed."""
    words = (0, h[ROW])
    free = let_go(h, table, row_of(h, table, OWN), words)
    home = h[table + TABLE_BASE]
    if home:
        free += let_go(h, home, row_of(h, table, BASE), words)
        leave_home(h, home)
    share = h[table + TABLE_SHARES]
    while share:
        after = h[share + SHARE_NEXT]
        free += let_go(h, h[share + SHARE_HOME], share + SHARE_ROW, words)
        leave_home(h, h[share + SHARE_HOME])
        give(h, SHARE, share)
        share = after
    h[PAGES_FREED] += free
    h[NOW_PAGES] -= free
    end_table(h, table)


@jit
def unregister(h: IntArray, table: int) -> None:
    """Let nobody find a table through its file any more."""
    if h[table + TABLE_KEY] == 0:
        return
    link = file_record(h, h[table + TABLE_KEY] - 1) + FILE_TABLE
    while h[link] != table:
        link = h[link] + TABLE_KEY_NEXT
    h[link] = h[table + TABLE_KEY_NEXT]
    h[table + TABLE_KEY] = 0


@jit
def extra_of(h: IntArray, table: int) -> int:
    """Return a table's record for rarer ptes, made if it has none."""
    if h[table + TABLE_EXTRA] == 0:
        extra = take(h, EXTRA)
        for word in range(N_EXTRA_ROWS * h[ROW]):
            h[extra + word] = 0
        h[table + TABLE_EXTRA] = extra
    return h[table + TABLE_EXTRA]


@unit
def copy_record(h: IntArray, source: int) -> int:
    """Return a record with the same ptes, which hold the same pages; nothing is counted but who holds what."""
    table = take(h, TABLE)
    for word in range(TABLE_ROWS):
        h[table + word] = 0
    h[table + TABLE_COUNT] = 1
    h[table + TABLE_MARKED] = h[source + TABLE_MARKED]
    h[table + TABLE_PTES] = h[source + TABLE_PTES]
    h[table + TABLE_MAPPED] = h[source + TABLE_MAPPED]
    h[table + TABLE_WRITABLE] = h[source + TABLE_WRITABLE]
    h[table + TABLE_HUGE] = h[source + TABLE_HUGE]
    words = h[ROW]
    to, at = table + TABLE_ROWS, source + TABLE_ROWS
    for word in range(2 * words):  # PRESENT and WRITE
        h[to + word] = h[at + word]
    for word in range(OWN * words, (USED + 1) * words):
        h[to + word] = 0
    if h[source + TABLE_EXTRA]:
        extra = take(h, EXTRA)
        for word in range(N_EXTRA_ROWS * words):
            h[extra + word] = h[h[source + TABLE_EXTRA] + word]
        h[table + TABLE_EXTRA] = extra
        for word in range(SWAP * words, (SWAP + 1) * words):
            h[SWAPS] += popcount(h[extra + word])
    copy_shares(h, source, table)
    return table


@unit
def diverge(h: IntArray, mm: int, place: int) -> int:
    """Return the table of a slot, its record copied first if other mms with an equal table share it."""
    table = table_at(h, mm, place)
    if h[table + TABLE_COUNT] == 1 or is_linked(h, table):
        return table
    h[table + TABLE_COUNT] -= 1
    copy = copy_record(h, table)
    h[copy + TABLE_OWNER] = mm
    h[mm + MM_SLOTS + place] = copy * 2 + (h[mm + MM_SLOTS + place] & SLOT_WRITABLE)
    return copy


@jit
def unlock(h: IntArray, table: int, low: int, high: int) -> None:
    """Forget of ptes [low, high) of a table that they may become writable with their vma."""
    if h[table + TABLE_EXTRA] == 0:
        return
    row = h[table + TABLE_EXTRA] + LOCKED * h[ROW]
    first, last = words_of(low, high)
    for word in range(first, last):
        h[row + word] &= ~within(word, low, high)


@jit
def filled(h: IntArray, table: int, low: int, high: int) -> int:
    """Return how many ptes of a table at [low, high) are not empty."""
    found = count_row(h, row_of(h, table, PRESENT), low, high)
    if h[table + TABLE_EXTRA]:
        found += count_row(h, h[table + TABLE_EXTRA] + SWAP * h[ROW], low, high)
    return found


@jit
def wrprotect(h: IntArray, table: int, low: int, high: int) -> int:
    """Make writable ptes [low, high) of a table read-only; returns how many."""
    if h[table + TABLE_WRITABLE] == 0:
        return 0
    row = row_of(h, table, WRITE)
    changed = 0
    first, last = words_of(low, high)
    for word in range(first, last):
        hit = h[row + word] & within(word, low, high)
        h[row + word] ^= hit
        changed += popcount(hit)
    h[table + TABLE_WRITABLE] -= changed
    return changed


@jit
def protect_whole(h: IntArray, table: int, vma: int) -> int:
    """Make the ptes of a vma's whole table read-only if it is private; returns how many fork had to visit for it."""
    if not is_private(h, vma):
        return 0
    unlock(h, table, 0, h[ENTRIES])
    changed = wrprotect(h, table, 0, h[ENTRIES])
    return 0 if h[table + TABLE_HUGE] else changed


@jit
def wrprotect_cowable(h: IntArray, mm: int, place: int, table: int) -> int:
    """Make every writable CoWable pte read-only in a table that an mm has, or will have, at a place; returns how many."""
    if h[table + TABLE_WRITABLE] == 0:
        return 0
    first = first_page(h, place)
    changed = 0
    vma = vma_from(h, mm, first)
    while vma and h[vma + VMA_START] < first + h[ENTRIES]:
        if is_private(h, vma):
            changed += wrprotect(h, table, low_index(h, vma, first), high_index(h, vma, first))
        vma = h[vma + VMA_NEXT]
    return changed


@jit
def count_file_ptes(h: IntArray, mm: int, place: int, table: int, change: int) -> int:
    """Count each pte of an mm's table that holds a page of a file for or against that page; for pte_chains only.

    Returns the counts summed, each as it was before.
    """
    if h[RMAP] != CHAIN or h[table + TABLE_EXTRA] == 0:
        return 0
    before = 0
    first = first_page(h, place)
    vma = vma_from(h, mm, first)
    while vma and h[vma + VMA_START] < first + h[ENTRIES]:
        if h[vma + VMA_FILE] >= 0:
            before += count_file_row(h, vma, first, h[table + TABLE_EXTRA] + FILE * h[ROW], change)
        vma = h[vma + VMA_NEXT]
    return before


@jit
def file_ptes(h: IntArray, table: int) -> int:
    """Return how many ptes of a table hold a page of a file or shm object."""
    extra = h[table + TABLE_EXTRA]
    return count_row(h, extra + FILE * h[ROW], 0, h[ENTRIES]) if extra else 0


@jit
def count_file_row(h: IntArray, vma: int, first: int, row: int, change: int) -> int:
    """Count ptes of a row, within a vma of a file, for or against their pages; returns the counts summed before."""
    low, high = low_index(h, vma, first), high_index(h, vma, first)
    begin, end = words_of(low, high)
    before = 0
    for word in range(begin, end):
        before += count_file_bits(h, vma, first + word * 64, h[row + word] & within(word, low, high), change)
    return before


@jit
def count_file_bits(h: IntArray, vma: int, first: int, bits: int, change: int) -> int:
    """Count ptes for or against their pages, given as bits from page ``first`` on; returns the counts summed before."""
    at = file_word(h, vma, first)
    before = 0
    while bits:  # run by run: mostly all 64 pages at once
        low = lowest(bits)
        gap = ~(bits >> low)
        run = min(lowest(gap), 64 - low) if gap else 64 - low
        for page in range(at + low, at + low + run):
            before += h[page] >> FILE_PTE_SHIFT
            h[page] += change * FILE_PTE
        bits &= ~BELOW[low + run]
    return before
