"""The verbs for whole tables: copy, link, unshare, reopen, drop, zap. Reads like ``simcore.oracle.tables``.

Inner loops count in locals and add once: a counter in memory would keep them from being vectorised.
"""

from __future__ import annotations

from simcore.engine.count import (
    COPIED_FORK,
    COPIED_UNSHARE,
    LEAF_DROPPED,
    LEAF_LINKED,
    LEAF_REUSED,
    LEAF_UNSHARED,
    PMDS_WRITTEN,
    REFS_DROPPED,
    REFS_TAKEN,
    RMAP_ADDED,
    RMAP_REMOVED,
    TLB_RANGE,
    VISITED_FORK,
    VISITED_UNSHARE,
    VISITED_ZAP,
    WRPROTECTED_FORK,
    WRPROTECTED_UNSHARE,
    ZAPPED,
    flush,
)
from simcore.engine.pools import clear_slot, free_page, new_table, set_slot
from simcore.jit import jit
from simcore.machine import (
    CHAINS,
    EACH_PTE_IF_SOLE,
    EACH_PTE_UNLESS_MARKED,
    ENTRIES,
    FILE_SHARED_KIND,
    FRAME_FILE_PAGE,
    FRAME_MAPCOUNT,
    FRAME_SHIFT,
    MM_VMA,
    N_PLACES,
    NOW_CHAINS,
    NOW_RSS,
    PMD,
    PROTECTS_SOURCE,
    PTE_WRITABLE,
    SHM_KIND,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_REFCOUNT,
    VMA_END,
    VMA_KIND,
    VMA_NEXT,
    VMA_SHIFT,
    VMA_START,
    WRPROTECT,
    ZERO_FRAME,
    Machine,
)


@jit
def is_private(m: Machine, vma: int) -> bool:
    """Return whether a vma's ptes are CoWable."""
    kind = m.vma[vma, VMA_KIND]
    return kind != FILE_SHARED_KIND and kind != SHM_KIND  # noqa: PLR1714 - tuples are slow in compiled code


@jit
def first_index(m: Machine, place: int, start: int) -> int:
    """Return the index in a slot's table of page ``start``, or 0 if it lies before the slot."""
    return max(0, start - m.place[place, 0] * m.conf[ENTRIES])


@jit
def last_index(m: Machine, place: int, end: int) -> int:
    """Return the index in a slot's table of page ``end``, or the table's length if it lies behind the slot."""
    return min(m.conf[ENTRIES], end - m.place[place, 0] * m.conf[ENTRIES])


@jit
def rmap_change(m: Machine, added: int, removed: int) -> None:
    """Count chain elements, if the design has any."""
    if m.conf[CHAINS] == 1:
        m.act[RMAP_ADDED] += added
        m.act[RMAP_REMOVED] += removed
        m.level[NOW_CHAINS] += added - removed


@jit
def copy_tables(m: Machine, parent: int, child: int) -> None:
    """Fork by eager copy: every pte of every vma; a table is copied even if none of a vma's ptes is present."""
    entries = m.conf[ENTRIES]
    vma = m.mm[parent, MM_VMA]
    while vma >= 0:
        start, end = m.vma[vma, VMA_START], m.vma[vma, VMA_END]
        first = start // entries - m.vma[vma, VMA_SHIFT]
        last = (end - 1) // entries - m.vma[vma, VMA_SHIFT]
        for place in range(first, last + 1):
            if m.slot[parent, place] >= 0:
                if m.slot[child, place] < 0:
                    set_slot(m, child, place, new_table(m), 1)
                low, high = first_index(m, place, start), last_index(m, place, end)
                _copy_ptes(m, m.slot[parent, place] // 2, m.slot[child, place] // 2, low, high, is_private(m, vma))
        vma = m.vma[vma, VMA_NEXT]


@jit
def _copy_ptes(m: Machine, source: int, target: int, low: int, high: int, private: bool) -> None:  # noqa: FBT001
    """Copy a run of ptes at fork, write-protecting CoWable ones in both tables."""
    entries = m.conf[ENTRIES]
    wrprotected = m.act[WRPROTECTED_FORK]
    if private:
        m.act[WRPROTECTED_FORK] = wrprotected + wrprotect(m, source, low, high)
    copied, mapped = copy_run(m, source * entries, target * entries, low, high)
    m.table[target, TABLE_MAPPED] += mapped
    m.level[NOW_RSS] += mapped
    m.act[VISITED_FORK] += high - low
    m.act[COPIED_FORK] += copied
    m.act[REFS_TAKEN] += mapped
    rmap_change(m, mapped, 0)


@jit
def copy_run(m: Machine, source: int, target: int, low: int, high: int) -> tuple[int, int]:
    """Copy ptes [low, high) from one table's base to another's; returns how many, and how many hold a page."""
    copied = 0
    mapped = 0
    for index in range(low, high):
        pte = m.pte[source + index]
        if pte != 0:
            m.pte[target + index] = pte
            copied += 1
            frame = pte >> FRAME_SHIFT
            if frame != ZERO_FRAME:
                m.frame[frame, FRAME_MAPCOUNT] += 1
                mapped += 1
    return copied, mapped


@jit
def wrprotect(m: Machine, table: int, low: int, high: int) -> int:
    """Make writable ptes [low, high) of a table read-only; returns how many."""
    base = table * m.conf[ENTRIES]
    protected = 0
    for at in range(base + low, base + high):
        pte = m.pte[at]
        protected += (pte & PTE_WRITABLE) >> 1
        m.pte[at] = pte & ~PTE_WRITABLE
    return protected


@jit
def wrprotect_private(m: Machine, mm: int, place: int, table: int) -> tuple[int, int]:
    """Make the CoWable ptes of a table read-only; returns how many ptes were looked at, how many changed."""
    first_page = m.place[place, 0] * m.conf[ENTRIES]
    visited = 0
    protected = 0
    vma = m.mm[mm, MM_VMA]
    while vma >= 0 and m.vma[vma, VMA_START] < first_page + m.conf[ENTRIES]:
        if m.vma[vma, VMA_END] > first_page and is_private(m, vma):
            low = first_index(m, place, m.vma[vma, VMA_START])
            high = last_index(m, place, m.vma[vma, VMA_END])
            visited += high - low
            protected += wrprotect(m, table, low, high)
        vma = m.vma[vma, VMA_NEXT]
    return visited, protected


@jit
def link_tables(m: Machine, parent: int, child: int) -> None:
    """Fork by sharing: the child's slots point to the parent's tables, protected as the design says."""
    by_pmd = m.conf[WRPROTECT] == PMD
    for place in range(m.conf[N_PLACES]):
        slot = m.slot[parent, place]
        if slot >= 0:
            table = slot // 2
            if not by_pmd:
                _wrprotect_at_fork(m, parent, place, table)
            elif slot & 1:
                m.slot[parent, place] = slot - 1
                m.act[PMDS_WRITTEN] += 1
            m.table[table, TABLE_REFCOUNT] += 1
            m.level[NOW_RSS] += m.table[table, TABLE_MAPPED]
            m.act[LEAF_LINKED] += 1
            set_slot(m, child, place, table, 0 if by_pmd else 1)


@jit
def _wrprotect_at_fork(m: Machine, mm: int, place: int, table: int) -> None:
    """Make the CoWable ptes of a table read-only at fork, unless the design knows that they are."""
    rule = m.conf[WRPROTECT]
    if rule == EACH_PTE_IF_SOLE and m.table[table, TABLE_REFCOUNT] > 1:
        return
    if rule == EACH_PTE_UNLESS_MARKED and m.table[table, TABLE_MARKED] == 1:
        return
    visited, protected = wrprotect_private(m, mm, place, table)
    m.act[VISITED_FORK] += visited
    m.act[WRPROTECTED_FORK] += protected
    if rule == EACH_PTE_UNLESS_MARKED:
        m.table[table, TABLE_MARKED] = 1


@jit
def unshare(m: Machine, mm: int, place: int) -> None:
    """Give one mm a copy of a shared table; the other sharers keep the old one."""
    source = m.slot[mm, place] // 2
    target = new_table(m)
    m.table[target, TABLE_MARKED] = m.table[source, TABLE_MARKED]
    if m.conf[PROTECTS_SOURCE] == 1:
        protected = wrprotect_private(m, mm, place, source)[1]
        m.act[WRPROTECTED_UNSHARE] += protected
    leave(m, source)
    entries = m.conf[ENTRIES]
    copied, mapped = copy_run(m, source * entries, target * entries, 0, entries)
    m.table[target, TABLE_MAPPED] = mapped
    m.level[NOW_RSS] += mapped
    m.act[LEAF_UNSHARED] += 1
    m.act[VISITED_UNSHARE] += entries
    m.act[COPIED_UNSHARE] += copied
    m.act[REFS_TAKEN] += mapped
    rmap_change(m, mapped, 0)
    set_slot(m, mm, place, target, 1)
    flush(m, TLB_RANGE)


@jit
def reopen(m: Machine, mm: int, place: int) -> None:
    """Make a directory entry writable again: its table has one user left."""
    m.slot[mm, place] |= 1
    m.act[LEAF_REUSED] += 1
    m.act[PMDS_WRITTEN] += 1


@jit
def leave(m: Machine, table: int) -> None:
    """Take one mm off a shared table: it no longer reaches the pages through it."""
    m.table[table, TABLE_REFCOUNT] -= 1
    m.level[NOW_RSS] -= m.table[table, TABLE_MAPPED]


@jit
def drop(m: Machine, mm: int, place: int) -> None:
    """Leave a shared table without copying it."""
    leave(m, m.slot[mm, place] // 2)
    clear_slot(m, mm, place)
    m.act[LEAF_DROPPED] += 1


@jit
def zap(m: Machine, table: int, low: int, high: int) -> None:
    """Clear ptes [low, high) of a table of one mm's own; free the anonymous pages that nobody holds any more."""
    base = table * m.conf[ENTRIES]
    zapped = 0
    unmapped = 0
    for at in range(base + low, base + high):
        pte = m.pte[at]
        if pte != 0:
            m.pte[at] = 0
            zapped += 1
            frame = pte >> FRAME_SHIFT
            if frame != ZERO_FRAME:
                unmapped += 1
                m.frame[frame, FRAME_MAPCOUNT] -= 1
                if m.frame[frame, FRAME_MAPCOUNT] == 0 and m.frame[frame, FRAME_FILE_PAGE] < 0:
                    free_page(m, frame)
    m.table[table, TABLE_MAPPED] -= unmapped
    m.level[NOW_RSS] -= unmapped
    m.act[VISITED_ZAP] += high - low
    m.act[ZAPPED] += zapped
    m.act[REFS_DROPPED] += unmapped
    rmap_change(m, 0, unmapped)
