"""The verbs for vmas: find, map, copy, unmap. An mm's vmas are a list in address order."""

from __future__ import annotations

from simcore.engine.arena import take
from simcore.engine.count import REFS_DROPPED, VMAS_COPIED, VMAS_MAPPED, VMAS_SPLIT, VMAS_UNMAPPED
from simcore.engine.records import (
    clear_slot,
    free_table,
    free_vma,
    place_record,
    shm_mapped,
    upper_tables,
    upper_word,
)
from simcore.engine.tables import drop, first_index, first_page, last_index, table_at, unshare, zap
from simcore.events import KIND_MASK, WRITABLE, IntArray
from simcore.heap import (
    ENTRIES,
    MM_VMA,
    MM_VMAS,
    NOW_CHARGED,
    PLACE_NUMBER,
    PLACES,
    SPAN_FIRST,
    SPAN_LAST,
    SPAN_WORDS,
    SPANS_AT,
    TABLE_REFCOUNT,
    UPPERS,
    VMA,
    VMA_END,
    VMA_FILE,
    VMA_KIND,
    VMA_NEXT,
    VMA_OFFSET,
    VMA_SHIFT,
    VMA_START,
    VMA_WORDS,
    VMA_WRITABLE,
)
from simcore.jit import jit


@jit
def find_vma(h: IntArray, mm: int, vpn: int) -> int:
    """Return the vma that holds a page, 0 if none does."""
    vma = h[mm + MM_VMA]
    while vma and h[vma + VMA_END] <= vpn:
        vma = h[vma + VMA_NEXT]
    return vma if vma and h[vma + VMA_START] <= vpn else 0


@jit
def overlaps(h: IntArray, mm: int, start: int, end: int) -> bool:
    """Return whether some vma holds one of pages [start, end)."""
    vma = h[mm + MM_VMA]
    while vma and h[vma + VMA_END] <= start:
        vma = h[vma + VMA_NEXT]
    return vma != 0 and h[vma + VMA_START] < end


@jit
def place_of(h: IntArray, number: int) -> int:
    """Return the place of a slot number that some vma of the trace touches."""
    low, high = 0, h[PLACES] - 1
    while low < high:
        middle = (low + high) // 2
        if h[place_record(h, middle) + PLACE_NUMBER] < number:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def map_vma(h: IntArray, mm: int, row: IntArray) -> None:
    """Add the vma of an MMAP row; linked tables it touches are unshared, or its pages would appear in other mms."""
    start, end = row[2], row[2] + row[3]
    entries = h[ENTRIES]
    first = place_of(h, start // entries)
    for place in range(first, first + (end - 1) // entries - start // entries + 1):
        table = table_at(h, mm, place)
        if table and h[table + TABLE_REFCOUNT] > 1:
            unshare(h, mm, place)
    vma = take(h, VMA)
    h[vma + VMA_START] = start
    h[vma + VMA_END] = end
    h[vma + VMA_KIND] = row[5] & KIND_MASK
    h[vma + VMA_WRITABLE] = 1 if row[5] & WRITABLE else 0
    h[vma + VMA_FILE] = row[6]
    h[vma + VMA_OFFSET] = row[7]
    h[vma + VMA_SHIFT] = start // entries - first
    shm_mapped(h, vma, 1)
    _insert(h, mm, vma)
    h[VMAS_MAPPED] += 1


@jit
def _insert(h: IntArray, mm: int, vma: int) -> None:
    """Put a vma in its place in the list."""
    before = 0
    after = h[mm + MM_VMA]
    while after and h[after + VMA_START] < h[vma + VMA_START]:
        before = after
        after = h[after + VMA_NEXT]
    h[vma + VMA_NEXT] = after
    _join(h, mm, before, vma)
    h[mm + MM_VMAS] += 1


@jit
def _join(h: IntArray, mm: int, before: int, vma: int) -> None:
    """Make a vma (or the end of the list) follow another, or start the list."""
    if before == 0:
        h[mm + MM_VMA] = vma
    else:
        h[before + VMA_NEXT] = vma


@jit
def copy_vmas(h: IntArray, parent: int, child: int) -> None:
    """Give the child of a fork the parent's vmas."""
    before = 0
    vma = h[parent + MM_VMA]
    while vma:
        copy = take(h, VMA)
        h[copy : copy + VMA_WORDS] = h[vma : vma + VMA_WORDS]
        h[copy + VMA_NEXT] = 0
        _join(h, child, before, copy)
        shm_mapped(h, copy, 1)
        before = copy
        vma = h[vma + VMA_NEXT]
    h[child + MM_VMAS] = h[parent + MM_VMAS]
    h[VMAS_COPIED] += h[child + MM_VMAS]


@jit
def unmap(h: IntArray, mm: int, start: int, end: int) -> None:
    """Take away pages [start, end): vmas, ptes, and every table in whose span no vma is left."""
    vma = h[mm + MM_VMA]
    done = -1  # places are visited once, though several vmas may touch one
    while vma and h[vma + VMA_START] < end:
        if h[vma + VMA_END] > start:
            low = max(start, h[vma + VMA_START]) // h[ENTRIES] - h[vma + VMA_SHIFT]
            high = (min(end, h[vma + VMA_END]) - 1) // h[ENTRIES] - h[vma + VMA_SHIFT]
            for place in range(max(low, done + 1), high + 1):
                if table_at(h, mm, place):
                    _unmap_slot(h, mm, place, start, end)
            done = max(done, high)
        vma = h[vma + VMA_NEXT]
    _cut_vmas(h, mm, start, end)
    _free_uppers(h, mm)


@jit
def _unmap_slot(h: IntArray, mm: int, place: int, start: int, end: int) -> None:
    """Zap what vanishes in one slot; free or drop the table if nothing else is left there."""
    emptied = not _keeps(h, mm, place, start, end)
    shared = h[table_at(h, mm, place) + TABLE_REFCOUNT] > 1
    if shared and emptied:
        drop(h, mm, place)
        return
    if shared:
        unshare(h, mm, place)
    table = table_at(h, mm, place)
    last_page = min(end, first_page(h, place) + h[ENTRIES])
    vma = h[mm + MM_VMA]
    while vma and h[vma + VMA_START] < last_page:
        low = first_index(h, place, max(start, h[vma + VMA_START]))
        high = last_index(h, place, min(end, h[vma + VMA_END]))
        if low < high:
            zap(h, table, low, high)
        vma = h[vma + VMA_NEXT]
    if emptied:
        clear_slot(h, mm, place)
        free_table(h, table)


@jit
def _keeps(h: IntArray, mm: int, place: int, start: int, end: int) -> bool:
    """Return whether, without pages [start, end), some vma is left in a slot's span."""
    first = first_page(h, place)
    last = first + h[ENTRIES]
    before, after = min(start, last), max(end, first)
    return (first < before and overlaps(h, mm, first, before)) or (
        after < last and overlaps(h, mm, after, last)
    )


@jit
def _cut_vmas(h: IntArray, mm: int, start: int, end: int) -> None:
    """Take pages [start, end) out of the list of vmas; pages of shm objects that nobody maps now are freed."""
    before = 0
    vma = h[mm + MM_VMA]
    while vma and h[vma + VMA_START] < end:
        after = h[vma + VMA_NEXT]
        if h[vma + VMA_END] <= start:
            before = vma
        elif start <= h[vma + VMA_START] and h[vma + VMA_END] <= end:
            _join(h, mm, before, after)
            _remove_vma(h, mm, vma)
        else:
            before = _cut_one(h, mm, vma, start, end)
        vma = after


@jit
def _remove_vma(h: IntArray, mm: int, vma: int) -> None:
    """Give a vma back."""
    h[REFS_DROPPED] += shm_mapped(h, vma, -1)
    free_vma(h, vma)
    h[mm + MM_VMAS] -= 1
    h[VMAS_UNMAPPED] += 1


@jit
def _cut_one(h: IntArray, mm: int, vma: int, start: int, end: int) -> int:
    """Cut pages [start, end) out of a vma that keeps some; returns its last remaining part."""
    if h[vma + VMA_START] >= start:
        _move_start(h, vma, end)
        return vma
    last = vma
    if h[vma + VMA_END] > end:
        last = take(h, VMA)
        h[last : last + VMA_WORDS] = h[vma : vma + VMA_WORDS]
        _move_start(h, last, end)
        h[vma + VMA_NEXT] = last
        h[mm + MM_VMAS] += 1
        h[VMAS_SPLIT] += 1
        shm_mapped(h, last, 1)
    h[vma + VMA_END] = start
    return last


@jit
def _move_start(h: IntArray, vma: int, start: int) -> None:
    """Cut the pages before ``start`` off a vma; its file offset moves along."""
    h[vma + VMA_OFFSET] += (start - h[vma + VMA_START]) if h[vma + VMA_FILE] >= 0 else 0
    h[vma + VMA_START] = start


@jit
def _free_uppers(h: IntArray, mm: int) -> None:
    """Free every upper table in whose span no vma is left."""
    for upper in range(h[UPPERS]):
        span = h[SPANS_AT] + upper * SPAN_WORDS
        has = upper_word(h, mm, upper)
        if h[has] and not overlaps(h, mm, h[span + SPAN_FIRST], h[span + SPAN_LAST]):
            h[has] = 0
            upper_tables(h, -1)
            h[NOW_CHARGED] -= 1
