"""The verbs for vmas: find, map, copy, unmap. An mm's vmas are a list in address order."""

from __future__ import annotations

from simcore.engine.count import REFS_DROPPED, VMAS_COPIED, VMAS_MAPPED, VMAS_UNMAPPED
from simcore.engine.pools import clear_slot, free_table, give, new_vma, shm_mapped, upper_tables
from simcore.engine.tables import drop, first_index, last_index, unshare, zap
from simcore.events import KIND_MASK, WRITABLE, IntArray
from simcore.jit import jit
from simcore.machine import (
    ENTRIES,
    MM_VMA,
    MM_VMAS,
    N_PLACES,
    N_UPPERS,
    NOW_CHARGED,
    SPAN_FIRST,
    SPAN_LAST,
    TABLE_REFCOUNT,
    VMA_END,
    VMA_FILE,
    VMA_KIND,
    VMA_NEXT,
    VMA_OFFSET,
    VMA_SHIFT,
    VMA_START,
    VMA_WRITABLE,
    VMAS,
    Machine,
)


@jit
def find_vma(m: Machine, mm: int, vpn: int) -> int:
    """Return the vma that holds a page, -1 if none does."""
    vma = m.mm[mm, MM_VMA]
    while vma >= 0 and m.vma[vma, VMA_END] <= vpn:
        vma = m.vma[vma, VMA_NEXT]
    return vma if vma >= 0 and m.vma[vma, VMA_START] <= vpn else -1


@jit
def overlaps(m: Machine, mm: int, start: int, end: int) -> bool:
    """Return whether some vma holds one of pages [start, end)."""
    vma = m.mm[mm, MM_VMA]
    while vma >= 0 and m.vma[vma, VMA_END] <= start:
        vma = m.vma[vma, VMA_NEXT]
    return vma >= 0 and m.vma[vma, VMA_START] < end


@jit
def place_of(m: Machine, number: int) -> int:
    """Return the place of a slot number that some vma of the trace touches."""
    low, high = 0, m.conf[N_PLACES] - 1
    while low < high:
        middle = (low + high) // 2
        if m.place[middle, 0] < number:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def map_vma(m: Machine, mm: int, row: IntArray) -> None:
    """Add the vma of an MMAP row; linked tables it touches are unshared, or its pages would appear in other mms."""
    start, end = row[2], row[2] + row[3]
    entries = m.conf[ENTRIES]
    first = place_of(m, start // entries)
    for place in range(first, first + (end - 1) // entries - start // entries + 1):
        slot = m.slot[mm, place]
        if slot >= 0 and m.table[slot // 2, TABLE_REFCOUNT] > 1:
            unshare(m, mm, place)
    vma = new_vma(m)
    m.vma[vma, VMA_START] = start
    m.vma[vma, VMA_END] = end
    m.vma[vma, VMA_KIND] = row[5] & KIND_MASK
    m.vma[vma, VMA_WRITABLE] = 1 if row[5] & WRITABLE else 0
    m.vma[vma, VMA_FILE] = row[6]
    m.vma[vma, VMA_OFFSET] = row[7]
    m.vma[vma, VMA_SHIFT] = start // entries - first
    shm_mapped(m, vma, 1)
    _insert(m, mm, vma)
    m.act[VMAS_MAPPED] += 1


@jit
def _insert(m: Machine, mm: int, vma: int) -> None:
    """Put a vma in its place in the list."""
    before = -1
    after = m.mm[mm, MM_VMA]
    while after >= 0 and m.vma[after, VMA_START] < m.vma[vma, VMA_START]:
        before = after
        after = m.vma[after, VMA_NEXT]
    m.vma[vma, VMA_NEXT] = after
    _join(m, mm, before, vma)
    m.mm[mm, MM_VMAS] += 1


@jit
def _join(m: Machine, mm: int, before: int, vma: int) -> None:
    """Make a vma (or the end of the list) follow another, or start the list."""
    if before < 0:
        m.mm[mm, MM_VMA] = vma
    else:
        m.vma[before, VMA_NEXT] = vma


@jit
def copy_vmas(m: Machine, parent: int, child: int) -> None:
    """Give the child of a fork the parent's vmas."""
    before = -1
    vma = m.mm[parent, MM_VMA]
    while vma >= 0:
        copy = new_vma(m)
        for field in range(m.vma.shape[1]):
            m.vma[copy, field] = m.vma[vma, field]
        m.vma[copy, VMA_NEXT] = -1
        _join(m, child, before, copy)
        shm_mapped(m, copy, 1)
        before = copy
        vma = m.vma[vma, VMA_NEXT]
    m.mm[child, MM_VMAS] = m.mm[parent, MM_VMAS]
    m.act[VMAS_COPIED] += m.mm[child, MM_VMAS]


@jit
def unmap(m: Machine, mm: int, start: int, end: int) -> None:
    """Take away pages [start, end): vmas, ptes, and every table in whose span no vma is left."""
    vma = m.mm[mm, MM_VMA]
    done = -1  # places are visited once, though several vmas may touch one
    while vma >= 0 and m.vma[vma, VMA_START] < end:
        if m.vma[vma, VMA_END] > start:
            low = max(start, m.vma[vma, VMA_START]) // m.conf[ENTRIES] - m.vma[vma, VMA_SHIFT]
            high = (min(end, m.vma[vma, VMA_END]) - 1) // m.conf[ENTRIES] - m.vma[vma, VMA_SHIFT]
            for place in range(max(low, done + 1), high + 1):
                if m.slot[mm, place] >= 0:
                    _unmap_slot(m, mm, place, start, end)
            done = max(done, high)
        vma = m.vma[vma, VMA_NEXT]
    _cut_vmas(m, mm, start, end)
    _free_uppers(m, mm)


@jit
def _unmap_slot(m: Machine, mm: int, place: int, start: int, end: int) -> None:
    """Zap what vanishes in one slot; free or drop the table if nothing else is left there."""
    emptied = not _keeps(m, mm, place, start, end)
    shared = m.table[m.slot[mm, place] // 2, TABLE_REFCOUNT] > 1
    if shared and emptied:
        drop(m, mm, place)
        return
    if shared:
        unshare(m, mm, place)
    table = m.slot[mm, place] // 2
    first_page = m.place[place, 0] * m.conf[ENTRIES]
    vma = m.mm[mm, MM_VMA]
    while vma >= 0 and m.vma[vma, VMA_START] < min(end, first_page + m.conf[ENTRIES]):
        low = first_index(m, place, max(start, m.vma[vma, VMA_START]))
        high = last_index(m, place, min(end, m.vma[vma, VMA_END]))
        if low < high:
            zap(m, table, low, high)
        vma = m.vma[vma, VMA_NEXT]
    if emptied:
        clear_slot(m, mm, place)
        free_table(m, table)


@jit
def _keeps(m: Machine, mm: int, place: int, start: int, end: int) -> bool:
    """Return whether, without pages [start, end), some vma is left in a slot's span."""
    first_page = m.place[place, 0] * m.conf[ENTRIES]
    last_page = first_page + m.conf[ENTRIES]
    before = min(start, last_page)
    after = max(end, first_page)
    return (first_page < before and overlaps(m, mm, first_page, before)) or (
        after < last_page and overlaps(m, mm, after, last_page)
    )


@jit
def _cut_vmas(m: Machine, mm: int, start: int, end: int) -> None:
    """Take pages [start, end) out of the list of vmas; pages of shm objects that nobody maps now are freed."""
    before = -1
    vma = m.mm[mm, MM_VMA]
    while vma >= 0 and m.vma[vma, VMA_START] < end:
        after = m.vma[vma, VMA_NEXT]
        if m.vma[vma, VMA_END] <= start:
            before = vma
        elif start <= m.vma[vma, VMA_START] and m.vma[vma, VMA_END] <= end:
            _join(m, mm, before, after)
            _remove_vma(m, mm, vma)
        else:
            before = _cut_one(m, mm, vma, start, end)
        vma = after


@jit
def _remove_vma(m: Machine, mm: int, vma: int) -> None:
    """Give a vma back."""
    m.act[REFS_DROPPED] += shm_mapped(m, vma, -1)
    give(m, VMAS, vma)
    m.mm[mm, MM_VMAS] -= 1
    m.act[VMAS_UNMAPPED] += 1


@jit
def _cut_one(m: Machine, mm: int, vma: int, start: int, end: int) -> int:
    """Cut pages [start, end) out of a vma that keeps some; returns its last remaining part."""
    if m.vma[vma, VMA_START] >= start:
        _move_start(m, vma, end)
        return vma
    last = vma
    if m.vma[vma, VMA_END] > end:
        last = new_vma(m)
        for field in range(m.vma.shape[1]):
            m.vma[last, field] = m.vma[vma, field]
        _move_start(m, last, end)
        m.vma[vma, VMA_NEXT] = last
        m.mm[mm, MM_VMAS] += 1
        shm_mapped(m, last, 1)
    m.vma[vma, VMA_END] = start
    return last


@jit
def _move_start(m: Machine, vma: int, start: int) -> None:
    """Cut the pages before ``start`` off a vma; its file offset moves along."""
    m.vma[vma, VMA_OFFSET] += (start - m.vma[vma, VMA_START]) if m.vma[vma, VMA_FILE] >= 0 else 0
    m.vma[vma, VMA_START] = start


@jit
def _free_uppers(m: Machine, mm: int) -> None:
    """Free every upper table in whose span no vma is left."""
    for upper in range(m.conf[N_UPPERS]):
        if m.upper[mm, upper] == 1 and not overlaps(m, mm, m.span[upper, SPAN_FIRST], m.span[upper, SPAN_LAST]):
            m.upper[mm, upper] = 0
            upper_tables(m, -1)
            m.level[NOW_CHARGED] -= 1
