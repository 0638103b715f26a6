"""Vmas: an mm's list in address order, and which part of a leaf table each covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.arena import give, take
from simcore.engine.count import VMAS_COPIED, VMAS_MAPPED, VMAS_SPLIT, VMAS_UNMAPPED
from simcore.engine.records import place_of, place_record, shm_mapped
from simcore.events import ADVISED, KIND_MASK, TRACKED, WRITABLE
from simcore.heap import (
    ENTRIES,
    FILE_SHARED,
    MM_VMA,
    MM_VMAS,
    NOTIFIES,
    PLACE_NUMBER,
    SHIFT,
    SHM,
    VMA,
    VMA_ANON,
    VMA_END,
    VMA_FILE,
    VMA_FLAGS,
    VMA_KIND,
    VMA_NEXT,
    VMA_OFFSET,
    VMA_SHIFT,
    VMA_START,
    VMA_WORDS,
    VMA_WRITABLE,
    VMAS_NOW,
)
from simcore.jit import jit

if TYPE_CHECKING:
    from simcore.events import IntArray


@jit
def first_page(h: IntArray, place: int) -> int:
    """Return the first page that a slot's leaf table maps."""
    return h[place_record(h, place) + PLACE_NUMBER] << h[SHIFT]


@jit
def number_of(h: IntArray, vpn: int) -> int:
    """Return the number of the slot that a page lies in."""
    return vpn >> h[SHIFT]


@jit
def low_index(h: IntArray, vma: int, first: int) -> int:
    """Return the first index that a vma covers in the table whose first page is given."""
    return max(h[vma + VMA_START] - first, 0)


@jit
def high_index(h: IntArray, vma: int, first: int) -> int:
    """Return one more than the last index that a vma covers in the table whose first page is given."""
    return min(h[vma + VMA_END] - first, h[ENTRIES])


@jit
def is_private(h: IntArray, vma: int) -> bool:
    """Return whether writes to a vma stay with the mm, so that its ptes are CoWable."""
    kind = h[vma + VMA_KIND]
    return kind not in (FILE_SHARED, SHM)


@jit
def notifies(h: IntArray, vma: int) -> bool:
    """Return whether the first write to each page of a shared mapping must be a fault."""
    return h[NOTIFIES] != 0 and h[vma + VMA_FLAGS] & TRACKED != 0


@jit
def covers(h: IntArray, vma: int, first: int) -> bool:
    """Return whether a vma covers the whole table whose first page is given."""
    return h[vma + VMA_START] <= first and first + h[ENTRIES] <= h[vma + VMA_END]


@jit
def vma_from(h: IntArray, mm: int, page: int) -> int:
    """Return the first vma that ends behind a page, 0 if there is none."""
    vma = h[mm + MM_VMA]
    while vma and h[vma + VMA_END] <= page:
        vma = h[vma + VMA_NEXT]
    return vma


@jit
def find_vma(h: IntArray, mm: int, vpn: int) -> int:
    """Return the vma that holds a page, 0 if none does."""
    vma = vma_from(h, mm, vpn)
    return vma if vma and h[vma + VMA_START] <= vpn else 0


@jit
def overlaps(h: IntArray, mm: int, start: int, end: int) -> bool:
    """Return whether some vma holds one of pages [start, end)."""
    vma = vma_from(h, mm, start)
    return vma != 0 and h[vma + VMA_START] < end


@jit
def is_mapped(h: IntArray, mm: int, start: int, end: int) -> bool:
    """Return whether every one of pages [start, end) lies in a vma."""
    vma = vma_from(h, mm, start)
    while vma and h[vma + VMA_START] <= start:
        start = h[vma + VMA_END]
        if start >= end:
            return True
        vma = h[vma + VMA_NEXT]
    return False


@jit
def new_vma(h: IntArray, row: IntArray) -> int:
    """Return the vma of an MMAP row."""
    vma = take(h, VMA)
    h[VMAS_NOW] += 1
    start = row[2]
    h[vma + VMA_START] = start
    h[vma + VMA_END] = start + row[3]
    h[vma + VMA_KIND] = row[5] & KIND_MASK
    h[vma + VMA_WRITABLE] = 1 if row[5] & WRITABLE else 0
    h[vma + VMA_FILE] = row[6]
    h[vma + VMA_OFFSET] = row[7]
    number = number_of(h, start)
    h[vma + VMA_SHIFT] = number - place_of(h, number)
    h[vma + VMA_ANON] = 0
    h[vma + VMA_FLAGS] = row[5] & (ADVISED | TRACKED)
    return vma


@jit
def insert(h: IntArray, mm: int, vma: int) -> None:
    """Put a new vma in its place in the list."""
    shm_mapped(h, vma, 1)
    before = 0
    after = h[mm + MM_VMA]
    while after and h[after + VMA_START] < h[vma + VMA_START]:
        before = after
        after = h[after + VMA_NEXT]
    h[vma + VMA_NEXT] = after
    _join(h, mm, before, vma)
    h[mm + MM_VMAS] += 1
    h[VMAS_MAPPED] += 1


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
    link = child + MM_VMA
    vma = h[parent + MM_VMA]
    while vma:
        copy = take(h, VMA)
        h[VMAS_NOW] += 1
        for word in range(VMA_WORDS):
            h[copy + word] = h[vma + word]
        h[link] = copy
        link = copy + VMA_NEXT
        shm_mapped(h, copy, 1)
        vma = h[vma + VMA_NEXT]
    h[link] = 0
    h[child + MM_VMAS] = h[parent + MM_VMAS]
    h[VMAS_COPIED] += h[child + MM_VMAS]


@jit
def remove_all(h: IntArray, mm: int) -> None:
    """Give back every vma of an mm."""
    vma = h[mm + MM_VMA]
    while vma:
        after = h[vma + VMA_NEXT]
        shm_mapped(h, vma, -1)
        give(h, VMA, vma)
        vma = after
    h[VMAS_NOW] -= h[mm + MM_VMAS]
    h[VMAS_UNMAPPED] += h[mm + MM_VMAS]
    h[mm + MM_VMA] = 0
    h[mm + MM_VMAS] = 0


@jit
def cut(h: IntArray, mm: int, start: int, end: int) -> None:
    """Take pages [start, end) out of the list of vmas."""
    before = 0
    vma = h[mm + MM_VMA]
    while vma and h[vma + VMA_START] < end:
        after = h[vma + VMA_NEXT]
        if h[vma + VMA_END] <= start:
            before = vma
        elif start <= h[vma + VMA_START] and h[vma + VMA_END] <= end:
            _join(h, mm, before, after)
            shm_mapped(h, vma, -1)
            give(h, VMA, vma)
            h[VMAS_NOW] -= 1
            h[mm + MM_VMAS] -= 1
            h[VMAS_UNMAPPED] += 1
        elif h[vma + VMA_START] >= start:
            move_start(h, vma, end)
        else:
            if h[vma + VMA_END] > end:
                split(h, mm, vma, end)
            h[vma + VMA_END] = start
            before = vma
        vma = after


@jit
def split(h: IntArray, mm: int, vma: int, page: int) -> int:
    """Cut a vma in two before a page; returns the second part."""
    last = take(h, VMA)
    h[VMAS_NOW] += 1
    for word in range(VMA_WORDS):
        h[last + word] = h[vma + word]
    move_start(h, last, page)
    h[vma + VMA_END] = page
    h[vma + VMA_NEXT] = last
    h[mm + MM_VMAS] += 1
    h[VMAS_SPLIT] += 1
    shm_mapped(h, last, 1)
    return last


@jit
def move_start(h: IntArray, vma: int, start: int) -> None:
    """Let a vma begin elsewhere; its file offset moves along."""
    h[vma + VMA_OFFSET] += (start - h[vma + VMA_START]) if h[vma + VMA_FILE] >= 0 else 0
    h[vma + VMA_START] = start
