"""The verbs for linked tables: unshare, reopen, leave, drop, and copying what was deferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    COPIED_UNSHARE,
    LEAF_ALLOCATED,
    LEAF_DROPPED,
    LEAF_REUSED,
    LEAF_UNSHARED,
    PMDS_WRITTEN,
    REFS_DROPPED,
    REFS_TAKEN,
    RMAP_ADDED,
    RMAP_REMOVED,
    RMAP_WALKED,
    TLB_RANGE,
    VISITED_UNSHARE,
    VISITED_ZAP,
    WRPROTECTED_UNSHARE,
    flush,
)
from simcore.engine.frames import release, row_of
from simcore.engine.mapcounts import chain_lengths
from simcore.engine.records import charge, clear_slot, task_record, uncharge
from simcore.engine.rows import copy_row, count_row, mask
from simcore.engine.tables import (
    copy_record,
    count_file_ptes,
    free_table,
    is_linked,
    table_at,
    unregister,
    wrprotect_cowable,
)
from simcore.heap import (
    CHAIN,
    CHARGE,
    CHARGE_FORKER,
    CHARGE_OWNER,
    COPIES,
    DEFERRED,
    ENTRIES,
    FILE,
    FORK,
    GONE,
    LAST_SHARER,
    MM_LEFT,
    MM_PENDING,
    MM_SLOTS,
    NOW_LEAVES,
    NOW_RMAP,
    NOW_RSS,
    PENDING_NOW,
    PER_SHARER,
    PLACES,
    PRESENT,
    REUSE_PROTECTED,
    RMAP,
    ROW,
    SLOT_WRITABLE,
    SOURCE,
    SOURCE_IF_TWO,
    SOURCE_WRPROTECT,
    SWAP,
    SWAPS,
    TABLE_COUNT,
    TABLE_EXTRA,
    TABLE_KEY,
    TABLE_MAPPED,
    TABLE_OWNER,
    TABLE_PTES,
    TASK_LENDER,
    TASK_MM,
    TASKS,
)
from simcore.jit import jit, popcount
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray


@unit
def make_own(h: IntArray, mm: int, place: int) -> None:
    """Let a fault have the table of a slot for its mm alone, behind a writable directory entry."""
    separate(h, mm, place)
    if h[mm + MM_SLOTS + place] & SLOT_WRITABLE:
        return
    if h[LAST_SHARER] == COPIES:
        unshare(h, mm, place)
        return
    if h[LAST_SHARER] == REUSE_PROTECTED:
        h[VISITED_UNSHARE] += h[ENTRIES]
        h[WRPROTECTED_UNSHARE] += wrprotect_cowable(h, mm, place, table_at(h, mm, place))
    reopen(h, mm, place)


@unit
def separate(h: IntArray, mm: int, place: int) -> None:
    """Leave nobody else with the linked table of a slot: unshare it, or give children that wait for a copy theirs."""
    table = table_at(h, mm, place)
    if not is_linked(h, table):
        return
    if h[table + TABLE_KEY] == 0 and h[FORK] == DEFERRED:
        if h[table + TABLE_COUNT] > 1:
            _give_copies(h, mm, place)
    elif h[table + TABLE_COUNT] > 1:
        unshare(h, mm, place)
    else:
        unregister(h, table)


@jit
def _give_copies(h: IntArray, mm: int, place: int) -> None:
    """Give every other mm that has the same table at a place its copy."""
    table = table_at(h, mm, place)
    for task in range(h[TASKS]):
        record = task_record(h, task)
        other = h[record + TASK_MM]
        if other and other != mm and h[record + TASK_LENDER] == 0 and table_at(h, other, place) == table:
            unshare(h, other, place)


@unit
def copy_deferred(h: IntArray, mm: int) -> None:
    """Copy every table that a child still shares, before it runs for the first time."""
    h[mm + MM_PENDING] = 0
    h[PENDING_NOW] -= 1
    for place in range(h[PLACES]):
        table = table_at(h, mm, place)
        if table and h[table + TABLE_COUNT] > 1:
            unshare(h, mm, place)


@jit
def unshare(h: IntArray, mm: int, place: int) -> None:
    """Give one mm a copy of a table; other sharers keep the old one, and without any it is freed."""
    source = table_at(h, mm, place)
    sharers, pages = h[source + TABLE_COUNT], h[source + TABLE_MAPPED]
    h[LEAF_UNSHARED] += 1
    h[VISITED_UNSHARE] += h[ENTRIES]
    if h[SOURCE] == SOURCE_WRPROTECT or (h[SOURCE] == SOURCE_IF_TWO and sharers == 2):
        h[WRPROTECTED_UNSHARE] += wrprotect_cowable(h, mm, place, source)
    leave(h, mm, source)
    copy = copy_record(h, source)
    wrprotect_cowable(h, mm, place, copy)
    h[LEAF_ALLOCATED] += 1
    h[NOW_LEAVES] += 1
    charge(h, copy, mm)
    h[COPIED_UNSHARE] += h[copy + TABLE_PTES]
    h[NOW_RSS] += pages
    if h[RMAP]:
        h[NOW_RMAP] += pages
    if h[PER_SHARER] == 0:
        h[REFS_TAKEN] += pages
        h[RMAP_ADDED] += pages if h[RMAP] else 0
    h[mm + MM_SLOTS + place] = copy * 2 + SLOT_WRITABLE
    h[PMDS_WRITTEN] += 1
    count_file_ptes(h, mm, place, copy, 1)
    if sharers == 1:
        _free_source(h, mm, place, source)
    flush(h, TLB_RANGE, 1)


@jit
def _free_source(h: IntArray, mm: int, place: int, source: int) -> None:
    """Free a table that its last sharer has copied; its references are dropped, unless they moved along."""
    pages = h[source + TABLE_MAPPED]
    row = mask(h, GONE)
    copy_row(h, row_of(h, source, PRESENT), row)
    if h[RMAP] == CHAIN:
        copy = table_at(h, mm, place)  # which holds the same pages
        h[RMAP_WALKED] += chain_lengths(h, place, copy, row) + count_file_ptes(h, mm, place, copy, -1)
        if h[SWAPS] > 0:  # then mms are searched, none of which has the source any more
            files = h[source + TABLE_EXTRA] and count_row(
                h, h[source + TABLE_EXTRA] + FILE * h[ROW], 0, h[ENTRIES]
            )
            h[RMAP_WALKED] += pages - files
    if h[PER_SHARER] == 0:
        h[REFS_DROPPED] += pages
        if h[RMAP]:
            h[RMAP_REMOVED] += pages
            h[NOW_RMAP] -= pages
    if h[source + TABLE_EXTRA]:
        swaps = h[source + TABLE_EXTRA] + SWAP * h[ROW]
        for word in range(h[ROW]):
            h[row + word] |= h[swaps + word]
            h[SWAPS] -= popcount(h[swaps + word])
    release(h, source, row, (0, h[ROW]))
    free_table(h, source)


@jit
def reopen(h: IntArray, mm: int, place: int) -> None:
    """Make a directory entry writable again: its table has one user left."""
    h[mm + MM_SLOTS + place] |= SLOT_WRITABLE
    h[LEAF_REUSED] += 1
    h[PMDS_WRITTEN] += 1
    table = table_at(h, mm, place)
    if h[CHARGE] == CHARGE_OWNER and h[table + TABLE_OWNER] == 0:
        charge(h, table, mm)


@jit
def leave(h: IntArray, mm: int, table: int) -> None:
    """Take one mm off a table: it no longer reaches the pages through it."""
    h[table + TABLE_COUNT] -= 1
    h[NOW_RSS] -= h[table + TABLE_MAPPED]
    if h[PER_SHARER] and h[RMAP]:
        h[NOW_RMAP] -= h[table + TABLE_MAPPED]
    if h[CHARGE] == CHARGE_FORKER and h[table + TABLE_OWNER] == mm and h[table + TABLE_COUNT] > 0:
        h[table + TABLE_OWNER] = 0
        h[mm + MM_LEFT] += 1
    else:
        uncharge(h, table, mm)


@jit
def drop(h: IntArray, mm: int, place: int) -> None:
    """Leave a linked table without copying it; where each sharer holds references, they are dropped pte by pte."""
    table = table_at(h, mm, place)
    h[LEAF_DROPPED] += 1
    if h[PER_SHARER]:
        h[VISITED_ZAP] += h[ENTRIES]
        h[REFS_DROPPED] += h[table + TABLE_MAPPED]
        h[RMAP_REMOVED] += h[table + TABLE_MAPPED] if h[RMAP] else 0
    leave(h, mm, table)
    clear_slot(h, mm, place)
