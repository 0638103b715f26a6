"""The verbs for whole tables: copy, link, unshare, reopen, drop, zap. Reads like ``simcore.oracle.tables``.

Inner loops count in locals and add once: a counter in memory would keep them from being vectorised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    COPIED_FORK,
    COPIED_UNSHARE,
    LEAF_DROPPED,
    LEAF_LINKED,
    LEAF_REUSED,
    LEAF_UNSHARED,
    PMDS_WRITTEN,
    PRESENT_FORK,
    REFS_DROPPED,
    REFS_TAKEN,
    RMAP_ADDED,
    RMAP_REMOVED,
    RMAP_WALKED,
    TLB_RANGE,
    VISITED_FORK,
    VISITED_UNSHARE,
    VISITED_ZAP,
    WRPROTECTED_FORK,
    WRPROTECTED_UNSHARE,
    ZAPPED,
    flush,
)
from simcore.engine.records import clear_slot, free_page, new_table, place_record, set_slot
from simcore.heap import (
    CHAINS,
    EACH_PTE_IF_SOLE,
    EACH_PTE_UNLESS_MARKED,
    ENTRIES,
    FILE_SHARED,
    FRAME_FILE_PAGE,
    FRAME_MAPCOUNT,
    FRAME_SHIFT,
    MM_SLOTS,
    MM_VMA,
    NOW_CHAINS,
    NOW_RSS,
    PLACE_NUMBER,
    PLACES,
    PMD,
    PRESENT,
    PROTECTS_SOURCE,
    PTE_WRITABLE,
    SHM,
    SLOT_WRITABLE,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_PTES,
    TABLE_REFCOUNT,
    VMA_END,
    VMA_KIND,
    VMA_NEXT,
    VMA_SHIFT,
    VMA_START,
    WRPROTECT,
    ZERO_FRAME,
)
from simcore.jit import jit

if TYPE_CHECKING:
    from simcore.events import IntArray


@jit
def is_private(h: IntArray, vma: int) -> bool:
    """Return whether a vma's ptes are CoWable."""
    kind = h[vma + VMA_KIND]
    return kind != FILE_SHARED and kind != SHM  # noqa: PLR1714 - tuples are slow in compiled code


@jit
def first_page(h: IntArray, place: int) -> int:
    """Return the first page that a slot's leaf table maps."""
    return h[place_record(h, place) + PLACE_NUMBER] * h[ENTRIES]


@jit
def first_index(h: IntArray, place: int, start: int) -> int:
    """Return the index in a slot's table of page ``start``, or 0 if it lies before the slot."""
    return max(0, start - first_page(h, place))


@jit
def last_index(h: IntArray, place: int, end: int) -> int:
    """Return the index in a slot's table of page ``end``, or the table's length if it lies behind the slot."""
    return min(h[ENTRIES], end - first_page(h, place))


@jit
def rmap_added(h: IntArray, added: int) -> None:
    """Count chain elements added, if the design has any."""
    if h[CHAINS] == 1:
        h[RMAP_ADDED] += added
        h[NOW_CHAINS] += added


@jit
def rmap_removed(h: IntArray, removed: int, walked: int) -> None:
    """Count chain elements removed, and those on their chains, if the design has any."""
    if h[CHAINS] == 1:
        h[RMAP_REMOVED] += removed
        h[RMAP_WALKED] += walked
        h[NOW_CHAINS] -= removed


@jit
def copy_tables(h: IntArray, parent: int, child: int) -> None:
    """Fork by eager copy: every pte of every vma; a table is copied even if none of a vma's ptes is present."""
    entries = h[ENTRIES]
    vma = h[parent + MM_VMA]
    while vma:
        start, end = h[vma + VMA_START], h[vma + VMA_END]
        first = start // entries - h[vma + VMA_SHIFT]
        last = (end - 1) // entries - h[vma + VMA_SHIFT]
        for place in range(first, last + 1):
            source = table_at(h, parent, place)
            if source:
                if not table_at(h, child, place):
                    set_slot(h, child, place, new_table(h), SLOT_WRITABLE)
                low, high = first_index(h, place, start), last_index(h, place, end)
                if is_private(h, vma):
                    h[WRPROTECTED_FORK] += wrprotect(h, source, low, high)[1]
                h[VISITED_FORK] += high - low
                copied = copy_ptes(h, source, table_at(h, child, place), low, high)
                h[PRESENT_FORK] += copied
                h[COPIED_FORK] += copied
        vma = h[vma + VMA_NEXT]


@jit
def table_at(h: IntArray, mm: int, place: int) -> int:
    """Return the leaf table that a slot points to, 0 if it is empty."""
    return h[mm + MM_SLOTS + place] // 2


@jit
def copy_ptes(h: IntArray, source: int, target: int, low: int, high: int) -> int:
    """Copy ptes [low, high), as they are, to a table of one mm's own; returns how many were not empty."""
    copied = 0
    mapped = 0
    for index in range(TABLE_PTES + low, TABLE_PTES + high):
        pte = h[source + index]
        if pte != 0:
            h[target + index] = pte
            copied += 1
            frame = pte >> FRAME_SHIFT
            if frame != ZERO_FRAME:
                h[frame + FRAME_MAPCOUNT] += 1
                mapped += 1
    h[target + TABLE_MAPPED] += mapped
    h[NOW_RSS] += mapped
    h[REFS_TAKEN] += mapped
    rmap_added(h, mapped)
    return copied


@jit
def wrprotect(h: IntArray, table: int, low: int, high: int) -> tuple[int, int]:
    """Make writable ptes [low, high) of a table read-only; returns how many are not empty, how many changed."""
    ptes = h[table + TABLE_PTES + low : table + TABLE_PTES + high]
    present = 0
    protected = 0
    for index in range(high - low):
        present += ptes[index] & PRESENT
        protected += (ptes[index] & PTE_WRITABLE) >> 1
        ptes[index] &= ~PTE_WRITABLE
    return present, protected


@jit
def wrprotect_private(h: IntArray, mm: int, place: int, table: int) -> tuple[int, int, int]:
    """Make the CoWable ptes of a table read-only; returns how many were looked at, are not empty, and changed."""
    first = first_page(h, place)
    visited = 0
    present = 0
    protected = 0
    vma = h[mm + MM_VMA]
    while vma and h[vma + VMA_START] < first + h[ENTRIES]:
        if h[vma + VMA_END] > first and is_private(h, vma):
            low = first_index(h, place, h[vma + VMA_START])
            high = last_index(h, place, h[vma + VMA_END])
            visited += high - low
            found = wrprotect(h, table, low, high)
            present += found[0]
            protected += found[1]
        vma = h[vma + VMA_NEXT]
    return visited, present, protected


@jit
def link_tables(h: IntArray, parent: int, child: int) -> None:
    """Fork by sharing: the child's slots point to the parent's tables, protected as the design says."""
    by_pmd = h[WRPROTECT] == PMD
    for place in range(h[PLACES]):
        slot = h[parent + MM_SLOTS + place]
        if slot:
            table = slot // 2
            if not by_pmd:
                _wrprotect_at_fork(h, parent, place, table)
            elif slot & SLOT_WRITABLE:
                h[parent + MM_SLOTS + place] = table * 2
                h[PMDS_WRITTEN] += 1
            h[table + TABLE_REFCOUNT] += 1
            h[NOW_RSS] += h[table + TABLE_MAPPED]
            h[LEAF_LINKED] += 1
            set_slot(h, child, place, table, 0 if by_pmd else SLOT_WRITABLE)


@jit
def _wrprotect_at_fork(h: IntArray, mm: int, place: int, table: int) -> None:
    """Make the CoWable ptes of a table read-only at fork, unless the design knows that they are."""
    rule = h[WRPROTECT]
    if rule == EACH_PTE_IF_SOLE and h[table + TABLE_REFCOUNT] > 1:
        return
    if rule == EACH_PTE_UNLESS_MARKED and h[table + TABLE_MARKED] == 1:
        return
    visited, present, protected = wrprotect_private(h, mm, place, table)
    h[VISITED_FORK] += visited
    h[PRESENT_FORK] += present
    h[WRPROTECTED_FORK] += protected
    if rule == EACH_PTE_UNLESS_MARKED:
        h[table + TABLE_MARKED] = 1


@jit
def unshare(h: IntArray, mm: int, place: int) -> None:
    """Give one mm a copy of a shared table; the other sharers keep the old one."""
    source = table_at(h, mm, place)
    target = new_table(h)
    h[target + TABLE_MARKED] = h[source + TABLE_MARKED]
    if h[PROTECTS_SOURCE] == 1:
        protected = wrprotect_private(h, mm, place, source)[2]
        h[WRPROTECTED_UNSHARE] += protected
    leave(h, source)
    h[LEAF_UNSHARED] += 1
    h[VISITED_UNSHARE] += h[ENTRIES]
    h[COPIED_UNSHARE] += copy_ptes(h, source, target, 0, h[ENTRIES])
    set_slot(h, mm, place, target, SLOT_WRITABLE)
    flush(h, TLB_RANGE)


@jit
def reopen(h: IntArray, mm: int, place: int) -> None:
    """Make a directory entry writable again: its table has one user left."""
    h[mm + MM_SLOTS + place] |= SLOT_WRITABLE
    h[LEAF_REUSED] += 1
    h[PMDS_WRITTEN] += 1


@jit
def leave(h: IntArray, table: int) -> None:
    """Take one mm off a shared table: it no longer reaches the pages through it."""
    h[table + TABLE_REFCOUNT] -= 1
    h[NOW_RSS] -= h[table + TABLE_MAPPED]


@jit
def drop(h: IntArray, mm: int, place: int) -> None:
    """Leave a shared table without copying it."""
    leave(h, table_at(h, mm, place))
    clear_slot(h, mm, place)
    h[LEAF_DROPPED] += 1


@jit
def zap(h: IntArray, table: int, low: int, high: int) -> None:
    """Clear ptes [low, high) of a table of one mm's own; free the anonymous pages that nobody holds any more."""
    zapped = 0
    unmapped = 0
    walked = 0
    for at in range(table + TABLE_PTES + low, table + TABLE_PTES + high):
        pte = h[at]
        if pte != 0:
            h[at] = 0
            zapped += 1
            frame = pte >> FRAME_SHIFT
            if frame != ZERO_FRAME:
                unmapped += 1
                walked += h[frame + FRAME_MAPCOUNT]
                h[frame + FRAME_MAPCOUNT] -= 1
                if h[frame + FRAME_MAPCOUNT] == 0 and h[frame + FRAME_FILE_PAGE] == 0:
                    free_page(h, frame)
    h[table + TABLE_MAPPED] -= unmapped
    h[NOW_RSS] -= unmapped
    h[VISITED_ZAP] += high - low
    h[ZAPPED] += zapped
    h[REFS_DROPPED] += unmapped
    rmap_removed(h, unmapped, walked)
