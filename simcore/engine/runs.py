"""Runs of like faults: many empty ptes of one table filled at once, recorded as so many equal act vectors.

Most faults of a trace are first touches of neighbouring pages. Once their table is there and the mm's own, each
costs the same acts as the one before, so a loop over the ptes is all that is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.arena import take
from simcore.engine.count import (
    FAULTS_ANON,
    FAULTS_FILE_MAP,
    FAULTS_ZERO_PAGE,
    KIND_READ_FAULT,
    KIND_WRITE_FAULT,
    PAGES_ALLOCATED,
    PAGES_ZEROED,
    REFS_TAKEN,
    RMAP_ADDED,
    record,
)
from simcore.engine.records import file_page_word
from simcore.engine.tables import is_private, table_at
from simcore.events import Op
from simcore.heap import (
    CHAINS,
    ENTRIES,
    FILE_PRIVATE,
    FRAME,
    FRAME_MAPCOUNT,
    FRAME_SHIFT,
    MM_SLOTS,
    NOW_CHAINS,
    NOW_PAGES,
    NOW_RSS,
    PRESENT,
    PTE_WRITABLE,
    SLOT_WRITABLE,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_PTES,
    TABLE_REFCOUNT,
    VMA_END,
    VMA_KIND,
    VMA_SHIFT,
    VMA_WRITABLE,
    ZERO_FRAME,
)
from simcore.jit import jit

if TYPE_CHECKING:
    from simcore.events import IntArray

WRITE = Op.WRITE.value


@jit
def serve_run(h: IntArray, mm: int, vma: int, event: IntArray, step: int) -> int:
    """Serve the faults of an event from its touch ``step`` on, as long as they cost the same acts.

    Returns how many were served; 0 if the next touch is no fault of that sort.
    """
    stride = event[4]
    vpn = event[2] + step * stride
    number = vpn // h[ENTRIES]
    fault = _fault_alike(h, h[mm + MM_SLOTS + number - h[vma + VMA_SHIFT]], vma, event[0] == WRITE)
    if fault == 0:
        return 0
    table = table_at(h, mm, number - h[vma + VMA_SHIFT])
    at = table + TABLE_PTES + vpn - number * h[ENTRIES]
    end = min(h[vma + VMA_END], (number + 1) * h[ENTRIES])
    most = min(event[3] - step, (end - vpn + stride - 1) // stride)
    if fault == FAULTS_ANON:
        served = _fill_new(h, at, stride, most)
    elif fault == FAULTS_ZERO_PAGE:
        served = _fill_zero(h, at, stride, most)
    else:
        served = _fill_cached(h, at, file_page_word(h, vma, vpn), stride, most)
        if served and not is_private(h, vma) and h[vma + VMA_WRITABLE] == 1:
            _make_writable(h, at, stride, served)
    if served:
        _count_run(h, table, fault, served)
        record(h, KIND_WRITE_FAULT if event[0] == WRITE else KIND_READ_FAULT, served)
    return served


@jit
def _fault_alike(h: IntArray, slot: int, vma: int, write: bool) -> int:  # noqa: FBT001
    """Return the act of the fault that fills an empty pte and leaves its table alone; 0 if there is more to do."""
    if slot == 0:
        return 0
    if write and (slot & SLOT_WRITABLE == 0 or h[slot // 2 + TABLE_REFCOUNT] > 1):
        return 0
    if not is_private(h, vma):
        return FAULTS_FILE_MAP
    if h[vma + VMA_KIND] == FILE_PRIVATE:
        return 0 if write else FAULTS_FILE_MAP
    return FAULTS_ANON if write else FAULTS_ZERO_PAGE


@jit
def _fill_new(h: IntArray, at: int, stride: int, most: int) -> int:
    """Fill empty ptes with new pages; returns how many until one was not empty."""
    for filled in range(most):
        if h[at]:
            return filled
        frame = take(h, FRAME)
        h[frame + FRAME_MAPCOUNT] = 1
        h[at] = (frame << FRAME_SHIFT) | PTE_WRITABLE | PRESENT
        at += stride
    return most


@jit
def _fill_zero(h: IntArray, at: int, stride: int, most: int) -> int:
    """Fill empty ptes with the zero page; returns how many until one was not empty."""
    for filled in range(most):
        if h[at]:
            return filled
        h[at] = (ZERO_FRAME << FRAME_SHIFT) | PRESENT
        at += stride
    return most


@jit
def _fill_cached(h: IntArray, at: int, page: int, stride: int, most: int) -> int:
    """Fill empty ptes with file or shm pages that exist already, read-only; returns how many until one did not."""
    for filled in range(most):
        frame = h[page]
        if h[at] or frame == 0:
            return filled
        h[frame + FRAME_MAPCOUNT] += 1
        h[at] = (frame << FRAME_SHIFT) | PRESENT
        at += stride
        page += stride
    return most


@jit
def _make_writable(h: IntArray, at: int, stride: int, count: int) -> None:
    """Make the new ptes of a shared mapping as writable as its vma (vm_page_prot)."""
    for _ in range(count):
        h[at] |= PTE_WRITABLE
        at += stride


@jit
def _count_run(h: IntArray, table: int, fault: int, served: int) -> None:
    """Count the acts of one fault of a run, and the levels of all."""
    h[fault] = 1
    if fault == FAULTS_ZERO_PAGE:
        return
    if fault == FAULTS_ANON:
        h[PAGES_ALLOCATED] = 1
        h[PAGES_ZEROED] = 1
        h[NOW_PAGES] += served
        h[table + TABLE_MARKED] = 0
    else:
        h[REFS_TAKEN] = 1
    if h[CHAINS] == 1:
        h[RMAP_ADDED] = 1
        h[NOW_CHAINS] += served
    h[table + TABLE_MAPPED] += served
    h[NOW_RSS] += served * h[table + TABLE_REFCOUNT]
