"""Faults by class: pages of one leaf table that cost the same are served together and recorded with a multiplicity.

The table is there, and the mm's own where it has to be. The scratch row TOUCHED says which pages; acts that the
first of them has cost already (a table made or unshared) are in the acts of the event, and go with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    FAULTS_ANON,
    FAULTS_COW_COPY,
    FAULTS_COW_REUSE,
    FAULTS_TABLE_ONLY,
    FAULTS_ZERO_PAGE,
    KIND_READ_FAULT,
    KIND_WRITE_FAULT,
    PAGES_ZEROED,
    RMAP_WALKED,
    TLB_PAGE,
    flush,
    record,
)
from simcore.engine.frames import alike, find_shared, new_frames, release, row_of
from simcore.engine.fresh import copied_each, fill, new_page_each, privately_written
from simcore.engine.rows import mask, rest_of
from simcore.engine.serve_files import write_absent_file, write_file_pages
from simcore.engine.swapping import replace_page, swap_in
from simcore.engine.tables import extra_of, table_at
from simcore.heap import (
    CHAIN,
    FILE,
    FRESH,
    KIND_A,
    KIND_B,
    KIND_C,
    LOCKED,
    NOW_RSS,
    PRESENT,
    RMAP,
    ROW,
    SHARED,
    SWAP,
    SWAPS,
    TABLE_EXTRA,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_PTES,
    TABLE_WRITABLE,
    TOUCHED,
    VMA_FILE,
    WRITE,
    ZERO,
)
from simcore.jit import jit, lowest, popcount
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray

Words = tuple[int, int]


@unit
def serve_write(h: IntArray, mm: int, vma: int, place: int, words: Words) -> None:
    """Serve writes to pages of one vma in one table; those whose pte is writable already do not fault."""
    table = table_at(h, mm, place)
    if h[table + TABLE_EXTRA]:
        _serve_rarer_writes(h, mm, vma, place, words)
    touched, present, write = mask(h, TOUCHED), row_of(h, table, PRESENT), row_of(h, table, WRITE)
    absent, locked = mask(h, KIND_A), mask(h, KIND_B)
    n_absent = 0
    n_locked = 0
    for word in range(words[0], words[1]):
        there = h[touched + word] & h[present + word]
        h[absent + word] = h[touched + word] ^ there
        h[locked + word] = there & ~h[write + word]
        n_absent += popcount(h[absent + word])
        n_locked += popcount(h[locked + word])
    if n_locked:
        _write_locked(h, mm, vma, place, words)
    if n_absent and h[vma + VMA_FILE] < 0:
        new_frames(h, table, absent, words)
        fill(h, table, absent, words)
        h[table + TABLE_PTES] += n_absent
        h[table + TABLE_MAPPED] += n_absent
        h[table + TABLE_WRITABLE] += n_absent
        h[NOW_RSS] += n_absent
        privately_written(h, vma, table)
        h[FAULTS_ANON] = 1
        h[PAGES_ZEROED] = 1
        new_page_each(h, n_absent)
        record(h, KIND_WRITE_FAULT, n_absent)
    elif n_absent:
        write_absent_file(h, mm, vma, place, words)


@jit
def _write_locked(h: IntArray, mm: int, vma: int, place: int, words: Words) -> None:
    """Write to present, read-only ptes (row KIND_B) of anonymous pages: reuse pages held here alone, copy others."""
    table = table_at(h, mm, place)
    locked, shared, write = mask(h, KIND_B), mask(h, SHARED), row_of(h, table, WRITE)
    find_shared(h, table, words)
    n_alone = 0
    n_shared = 0
    for word in range(words[0], words[1]):
        h[shared + word] &= h[locked + word]
        n_alone += popcount(h[locked + word] & ~h[shared + word])
        n_shared += popcount(h[shared + word])
        h[write + word] |= h[locked + word]
    h[table + TABLE_WRITABLE] += n_alone + n_shared
    h[table + TABLE_MARKED] = 0
    if n_alone:
        h[FAULTS_COW_REUSE] = 1
        flush(h, TLB_PAGE, 1)
        record(h, KIND_WRITE_FAULT, n_alone)
    if n_shared == 0:
        return
    privately_written(h, vma, table)
    if h[SWAPS] > 0:
        _copy_one_by_one(h, mm, place, words)
        return
    if h[RMAP] == CHAIN:
        _copy_by_length(h, table, words)
        return
    release(h, table, shared, words)
    new_frames(h, table, shared, words)
    copied_each(h, n_shared)
    record(h, KIND_WRITE_FAULT, n_shared)


@jit
def _copy_by_length(h: IntArray, table: int, words: Words) -> None:
    """Copy the shared pages behind ptes of row SHARED with pte_chains: those with chains as long cost the same."""
    shared, rest, equal = mask(h, SHARED), mask(h, KIND_C), mask(h, FRESH)
    for word in range(words[0], words[1]):
        h[rest + word] = h[shared + word]
    for word in range(words[0], words[1]):
        while h[rest + word]:
            h[RMAP_WALKED] += alike(h, table, rest, words, word * 64 + lowest(h[rest + word]))
            pages = 0
            for each in range(words[0], words[1]):
                pages += popcount(h[equal + each])
            release(h, table, equal, words)
            new_frames(h, table, equal, words)
            copied_each(h, pages)
            record(h, KIND_WRITE_FAULT, pages)


@jit
def _copy_one_by_one(h: IntArray, mm: int, place: int, words: Words) -> None:
    """Copy the shared pages behind ptes of row SHARED where each costs a search of its own."""
    shared, rest = mask(h, SHARED), mask(h, KIND_C)
    for word in range(words[0], words[1]):
        h[rest + word] = h[shared + word]
    for word in range(words[0], words[1]):
        while h[rest + word]:
            index = word * 64 + lowest(h[rest + word])
            h[rest + word] = rest_of(h[rest + word])
            h[FAULTS_COW_COPY] = 1
            replace_page(h, mm, place, index)
            flush(h, TLB_PAGE, 1)
            record(h, KIND_WRITE_FAULT, 1)


@unit
def _serve_rarer_writes(h: IntArray, mm: int, vma: int, place: int, words: Words) -> None:
    """Write to ptes that hold a swap entry, the zero page or a file page read-only; they leave the row TOUCHED."""
    table = table_at(h, mm, place)
    extra, touched, write = h[table + TABLE_EXTRA], mask(h, TOUCHED), row_of(h, table, WRITE)
    zero, file, locked = mask(h, KIND_A), mask(h, KIND_B), extra + LOCKED * h[ROW]
    n_zero = 0
    n_file = 0
    for word in range(words[0], words[1]):
        h[locked + word] &= ~h[touched + word]  # they will be writable
        bits = h[touched + word] & h[extra + SWAP * h[ROW] + word]
        h[touched + word] ^= bits
        while bits:
            swap_in(h, mm, place, word * 64 + lowest(bits), True)  # noqa: FBT003 - numba takes no keywords
            record(h, KIND_WRITE_FAULT, 1)
            bits = rest_of(bits)
    for word in range(words[0], words[1]):
        h[zero + word] = h[touched + word] & h[extra + ZERO * h[ROW] + word]
        h[file + word] = h[touched + word] & h[extra + FILE * h[ROW] + word] & ~h[write + word]
        h[touched + word] &= ~(h[zero + word] | h[file + word])
        n_zero += popcount(h[zero + word])
        n_file += popcount(h[file + word])
    if n_zero:
        _write_zero_pages(h, vma, table, words)
    if n_file:
        write_file_pages(h, mm, vma, place, words)


@jit
def _write_zero_pages(h: IntArray, vma: int, table: int, words: Words) -> None:
    """Give ptes of row KIND_A, which hold the zero page, pages of their own."""
    row, zero = mask(h, KIND_A), h[table + TABLE_EXTRA] + ZERO * h[ROW]
    pages = 0
    for word in range(words[0], words[1]):
        h[zero + word] &= ~h[row + word]
        pages += popcount(h[row + word])
    new_frames(h, table, row, words)
    fill(h, table, row, words)
    h[table + TABLE_MAPPED] += pages
    h[table + TABLE_WRITABLE] += pages
    h[NOW_RSS] += pages
    privately_written(h, vma, table)
    h[FAULTS_COW_COPY] = 1
    h[PAGES_ZEROED] = 1
    new_page_each(h, pages)
    flush(h, TLB_PAGE, 1)
    record(h, KIND_WRITE_FAULT, pages)


@jit
def map_zero_pages(h: IntArray, table: int, words: Words) -> None:
    """Fill empty ptes (row KIND_A) with the zero page."""
    row, present = mask(h, KIND_A), row_of(h, table, PRESENT)
    zero = extra_of(h, table) + ZERO * h[ROW]
    pages = 0
    for word in range(words[0], words[1]):
        h[present + word] |= h[row + word]
        h[zero + word] |= h[row + word]
        pages += popcount(h[row + word])
    h[table + TABLE_PTES] += pages
    h[FAULTS_ZERO_PAGE] = 1
    record(h, KIND_READ_FAULT, pages)


@jit
def table_only(h: IntArray, kind: int, flushes: bool) -> None:  # noqa: FBT001 - numba takes no keywords
    """Record a fault that was served by the table alone, the pte being right already."""
    h[FAULTS_TABLE_ONLY] = 1
    if flushes:
        flush(h, TLB_PAGE, 1)
    record(h, kind, 1)
