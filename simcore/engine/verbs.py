"""What events do to the one mm that they concern, whoever asks: the loop, or who builds an mm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    CHANGED_MPROTECT,
    EXECS,
    HUGE_CHANGED_MPROTECT,
    HUGE_ZAPPED,
    KIND_DEFERRED_COPY,
    KIND_MADVISE,
    KIND_MMAP,
    KIND_MPROTECT,
    KIND_MUNMAP,
    KIND_STACK_GROW,
    LEAF_DROPPED,
    LEAF_REUSED,
    LEAF_UNSHARED,
    MADVISES,
    MMAPS,
    MPROTECTS,
    MUNMAPS,
    STACK_GROWS,
    TLB_RANGE,
    ZAPPED,
    flush,
    record,
)
from simcore.engine.faults import touch
from simcore.engine.protecting import protect
from simcore.engine.sharing import copy_deferred, separate
from simcore.engine.vmas import insert, move_start, new_vma, number_of, vma_from
from simcore.engine.zap import DISCARD, UNMAP, take_away
from simcore.events import EVENT_WORDS, Op
from simcore.heap import MM_SLOTS, TABLE_COUNT, TOUCHES, VMA_END, VMA_SHIFT, VMA_START
from simcore.jit import behind, jit
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray

MMAP, MUNMAP, READ, WRITE = Op.MMAP.value, Op.MUNMAP.value, Op.READ.value, Op.WRITE.value
MPROTECT, DONTNEED = Op.MPROTECT.value, Op.DONTNEED.value


@jit
def do_event(h: IntArray, mm: int, event: IntArray, pages: IntArray) -> None:
    """Touch, map or unmap."""
    op = event[0]
    if op in (READ, WRITE):
        h[TOUCHES] += event[3]
        touch(h, mm, event, pages)
    elif op == MMAP:
        h[MMAPS] += 1
        _map_vma(h, mm, event)
        record(h, KIND_MMAP, 1)
    else:
        h[MUNMAPS] += 1
        take_away(h, mm, event[2], event[2] + event[3], UNMAP)
        _flush_zapped(h)
        record(h, KIND_MUNMAP, 1)


@jit
def run_first(h: IntArray, mm: int) -> None:
    """Let a child that runs for the first time copy what fork left to it."""
    copy_deferred(h, mm)
    if h[LEAF_UNSHARED] > 0 or h[LEAF_REUSED] > 0:
        record(h, KIND_DEFERRED_COPY, 1)


@unit
def do_rarer_event(h: IntArray, mm: int, event: IntArray) -> None:
    """Discard, protect, or extend a stack."""
    op, start, end = event[0], event[2], event[2] + event[3]
    if op == DONTNEED:
        h[MADVISES] += 1
        take_away(h, mm, start, end, DISCARD)
        _flush_zapped(h)
        record(h, KIND_MADVISE, 1)
    elif op == MPROTECT:
        h[MPROTECTS] += 1
        protect(h, mm, start, end, event[5])
        if h[CHANGED_MPROTECT] > 0 or h[HUGE_CHANGED_MPROTECT] > 0:
            flush(h, TLB_RANGE, 1)
        record(h, KIND_MPROTECT, 1)
    else:
        h[STACK_GROWS] += 1
        vma = vma_from(h, mm, start)
        _separate_span(h, mm, vma, start, h[vma + VMA_START])
        move_start(h, vma, start)
        record(h, KIND_STACK_GROW, 1)


@jit
def _flush_zapped(h: IntArray) -> None:
    """Flush a range if ptes were cleared or a table was left."""
    if h[ZAPPED] > 0 or h[HUGE_ZAPPED] > 0 or h[LEAF_DROPPED] > 0:
        flush(h, TLB_RANGE, 1)


@jit
def _map_vma(h: IntArray, mm: int, row: IntArray) -> None:
    """Add the vma of an MMAP row; linked tables it touches are unshared, or its pages would appear in other mms."""
    vma = new_vma(h, row)
    _separate_span(h, mm, vma, h[vma + VMA_START], h[vma + VMA_END])
    insert(h, mm, vma)


@jit
def _separate_span(h: IntArray, mm: int, vma: int, start: int, end: int) -> None:
    """Before pages [start, end) become part of a vma: leave nobody else with the linked tables that hold them."""
    shift = h[vma + VMA_SHIFT]
    for place in range(number_of(h, start) - shift, number_of(h, end - 1) - shift + 1):
        table = h[mm + MM_SLOTS + place] >> 1
        if table and h[table + TABLE_COUNT] > 1:
            separate(h, mm, place)


@jit
def map_image(h: IntArray, mm: int, images: tuple[IntArray, IntArray], image: int) -> None:
    """Map the vmas of an image into a new mm. ``images``: MMAP rows, and the first row of each image."""
    h[EXECS] += 1
    for row in range(images[1][image], images[1][image + 1]):
        insert(h, mm, new_vma(h, behind(images[0], row * EVENT_WORDS)))
