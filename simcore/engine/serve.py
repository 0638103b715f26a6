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
    FAULTS_FILE_MAP,
    FAULTS_TABLE_ONLY,
    FAULTS_ZERO_PAGE,
    KIND_READ_FAULT,
    KIND_WRITE_FAULT,
    PAGES_ALLOCATED,
    PAGES_COPIED,
    PAGES_ZEROED,
    REFS_DROPPED,
    REFS_TAKEN,
    RMAP_ADDED,
    RMAP_REMOVED,
    RMAP_WALKED,
    TLB_PAGE,
    flush,
    record,
)
from simcore.engine.frames import find_shared, new_frames, release, row_of
from simcore.engine.records import bring_in, file_word, is_complete
from simcore.engine.rows import BIT, clear_row, mask
from simcore.engine.swapping import replace_page, swap_in
from simcore.engine.tables import count_file_row, extra_of, table_at
from simcore.engine.vmas import first_page, is_private
from simcore.heap import (
    ANON_VMAS,
    CACHED,
    CHAIN,
    EVICTED,
    FILE,
    FILE_PTE,
    FRESH,
    KIND_A,
    KIND_B,
    KIND_C,
    NOW_PAGES,
    NOW_RMAP,
    NOW_RSS,
    PER_SHARER,
    PRESENT,
    RMAP,
    ROW,
    SHARED,
    SHM,
    SWAP,
    SWAPS,
    TABLE_COUNT,
    TABLE_EXTRA,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_PTES,
    TABLE_WRITABLE,
    TOUCHED,
    VMA_ANON,
    VMA_FILE,
    VMA_KIND,
    VMA_WRITABLE,
    WRITE,
    ZERO,
)
from simcore.jit import jit, lowest, popcount

if TYPE_CHECKING:
    from simcore.events import IntArray

Words = tuple[int, int]


@jit
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
        _fill(h, table, absent, words)
        h[table + TABLE_PTES] += n_absent
        h[table + TABLE_MAPPED] += n_absent
        h[table + TABLE_WRITABLE] += n_absent
        h[NOW_RSS] += n_absent
        _privately_written(h, vma, table)
        h[FAULTS_ANON] = 1
        h[PAGES_ZEROED] = 1
        _new_page_each(h, n_absent)
        record(h, KIND_WRITE_FAULT, n_absent)
    elif n_absent:
        _write_absent_file(h, mm, vma, place, words)


@jit
def _fill(h: IntArray, table: int, row: int, words: Words) -> None:
    """Make ptes present and writable."""
    present, write = row_of(h, table, PRESENT), row_of(h, table, WRITE)
    for word in range(words[0], words[1]):
        h[present + word] |= h[row + word]
        h[write + word] |= h[row + word]


@jit
def _new_page_each(h: IntArray, count: int) -> None:
    """Count one new page with its first mapping in the acts, and so many of them in the levels."""
    h[PAGES_ALLOCATED] += 1
    h[NOW_PAGES] += count
    if h[RMAP]:
        h[RMAP_ADDED] += 1
        h[NOW_RMAP] += count


@jit
def _privately_written(h: IntArray, vma: int, table: int) -> None:
    """Note that a table has a writable CoWable pte, and give the vma an anon_vma if it has none yet."""
    h[table + TABLE_MARKED] = 0
    if h[vma + VMA_ANON] == 0:
        h[ANON_VMAS] += 1
        h[vma + VMA_ANON] = h[ANON_VMAS]


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
    _privately_written(h, vma, table)
    if h[RMAP] == CHAIN or h[SWAPS] > 0:
        _copy_one_by_one(h, mm, place, words)
        return
    release(h, table, shared, words)
    new_frames(h, table, shared, words)
    _copied_each(h, n_shared)
    record(h, KIND_WRITE_FAULT, n_shared)


@jit
def _copied_each(h: IntArray, count: int) -> None:
    """Count in the acts one page copied in place of a page that a pte held; so many of them in the levels."""
    h[FAULTS_COW_COPY] = 1
    h[PAGES_COPIED] = 1
    h[REFS_DROPPED] += 1
    if h[RMAP]:
        h[RMAP_REMOVED] += 1
        h[NOW_RMAP] -= count
    _new_page_each(h, count)
    flush(h, TLB_PAGE, 1)


@jit
def _copy_one_by_one(h: IntArray, mm: int, place: int, words: Words) -> None:
    """Copy the shared pages behind ptes of row SHARED where each costs a search of its own."""
    shared, rest = mask(h, SHARED), mask(h, KIND_C)
    for word in range(words[0], words[1]):
        h[rest + word] = h[shared + word]
    for word in range(words[0], words[1]):
        while h[rest + word]:
            index = word * 64 + lowest(h[rest + word])
            h[rest + word] &= h[rest + word] - 1
            h[FAULTS_COW_COPY] = 1
            replace_page(h, mm, place, index)
            flush(h, TLB_PAGE, 1)
            record(h, KIND_WRITE_FAULT, 1)


@jit
def _serve_rarer_writes(h: IntArray, mm: int, vma: int, place: int, words: Words) -> None:
    """Write to ptes that hold a swap entry, the zero page or a file page read-only; they leave the row TOUCHED."""
    table = table_at(h, mm, place)
    extra, touched, write = h[table + TABLE_EXTRA], mask(h, TOUCHED), row_of(h, table, WRITE)
    zero, file = mask(h, KIND_A), mask(h, KIND_B)
    n_zero = 0
    n_file = 0
    for word in range(words[0], words[1]):
        bits = h[touched + word] & h[extra + SWAP * h[ROW] + word]
        h[touched + word] ^= bits
        while bits:
            swap_in(h, mm, place, word * 64 + lowest(bits), True)  # noqa: FBT003 - numba takes no keywords
            record(h, KIND_WRITE_FAULT, 1)
            bits &= bits - 1
    for word in range(words[0], words[1]):
        h[zero + word] = h[touched + word] & h[extra + ZERO * h[ROW] + word]
        h[file + word] = h[touched + word] & h[extra + FILE * h[ROW] + word] & ~h[write + word]
        h[touched + word] &= ~(h[zero + word] | h[file + word])
        n_zero += popcount(h[zero + word])
        n_file += popcount(h[file + word])
    if n_zero:
        _write_zero_pages(h, vma, table, words)
    if n_file:
        _write_file_pages(h, mm, vma, place, words)


@jit
def _write_zero_pages(h: IntArray, vma: int, table: int, words: Words) -> None:
    """Give ptes of row KIND_A, which hold the zero page, pages of their own."""
    row, zero = mask(h, KIND_A), h[table + TABLE_EXTRA] + ZERO * h[ROW]
    pages = 0
    for word in range(words[0], words[1]):
        h[zero + word] &= ~h[row + word]
        pages += popcount(h[row + word])
    new_frames(h, table, row, words)
    _fill(h, table, row, words)
    h[table + TABLE_MAPPED] += pages
    h[table + TABLE_WRITABLE] += pages
    h[NOW_RSS] += pages
    _privately_written(h, vma, table)
    h[FAULTS_COW_COPY] = 1
    h[PAGES_ZEROED] = 1
    _new_page_each(h, pages)
    flush(h, TLB_PAGE, 1)
    record(h, KIND_WRITE_FAULT, pages)


@jit
def _write_file_pages(h: IntArray, mm: int, vma: int, place: int, words: Words) -> None:
    """Give ptes of row KIND_B, which hold file pages read-only, copies of their own."""
    table = table_at(h, mm, place)
    row = mask(h, KIND_B)
    if h[RMAP] == CHAIN:
        one = mask(h, KIND_C)
        for word in range(words[0], words[1]):
            bits = h[row + word]
            while bits:
                clear_row(h, one)
                h[one + word] = BIT[lowest(bits)]
                h[RMAP_WALKED] += count_file_row(h, vma, first_page(h, place), one, -1)
                _own_copies(h, vma, table, one, (word, word + 1))
                bits &= bits - 1
        return
    _own_copies(h, vma, table, row, words)


@jit
def _own_copies(h: IntArray, vma: int, table: int, row: int, words: Words) -> None:
    """Replace the file pages behind ptes of a row by copies, at equal cost for each."""
    file = h[table + TABLE_EXTRA] + FILE * h[ROW]
    pages = 0
    for word in range(words[0], words[1]):
        h[file + word] &= ~h[row + word]
        pages += popcount(h[row + word])
    new_frames(h, table, row, words)
    _fill(h, table, row, words)
    h[table + TABLE_WRITABLE] += pages
    _privately_written(h, vma, table)
    _copied_each(h, pages)
    record(h, KIND_WRITE_FAULT, pages)


@jit
def _write_absent_file(h: IntArray, mm: int, vma: int, place: int, words: Words) -> None:
    """Write to empty ptes (row KIND_A) of a file or shm vma: a private copy, or the page itself."""
    table = table_at(h, mm, place)
    row = mask(h, KIND_A)
    if not is_private(h, vma):
        map_file_pages(h, vma, place, table, (words[0], words[1], KIND_WRITE_FAULT))
        return
    _cache_apart(h, vma, first_page(h, place), row, words)
    fresh = mask(h, FRESH)
    for word in range(words[0], words[1]):  # those that have to be read back cost more
        while h[fresh + word]:
            bit = BIT[lowest(h[fresh + word])]
            h[fresh + word] ^= bit
            h[row + word] ^= bit
            one = mask(h, KIND_C)
            h[one + word] = bit
            bring_in(h, vma, file_word(h, vma, first_page(h, place) + word * 64 + lowest(bit)))
            _absent_copies(h, vma, table, one, (word, word + 1))
    _absent_copies(h, vma, table, row, words)


@jit
def _absent_copies(h: IntArray, vma: int, table: int, row: int, words: Words) -> None:
    """Fill empty ptes of a row with private copies of file pages, at equal cost for each."""
    pages = 0
    for word in range(words[0], words[1]):
        pages += popcount(h[row + word])
    if pages == 0:
        return
    new_frames(h, table, row, words)
    _fill(h, table, row, words)
    h[table + TABLE_PTES] += pages
    h[table + TABLE_MAPPED] += pages
    h[table + TABLE_WRITABLE] += pages
    h[NOW_RSS] += pages
    _privately_written(h, vma, table)
    h[FAULTS_COW_COPY] = 1
    h[PAGES_COPIED] = 1
    _new_page_each(h, pages)
    record(h, KIND_WRITE_FAULT, pages)


@jit
def _cache_apart(h: IntArray, vma: int, first: int, row: int, words: Words) -> None:
    """Set row FRESH to those pages of a row that cost more than a look-up: a new shm page, or one to read back.

    Other pages enter the page cache here if they are not in it; that is no act.
    """
    fresh = mask(h, FRESH)
    for word in range(words[0], words[1]):
        h[fresh + word] = 0
    if is_complete(h, vma):
        return
    shm = h[vma + VMA_KIND] == SHM
    for word in range(words[0], words[1]):
        bits = h[row + word]
        while bits:
            page = file_word(h, vma, first + word * 64 + lowest(bits))
            if h[page] & CACHED == 0:
                if shm or h[page] & EVICTED:
                    h[fresh + word] |= bits & -bits
                else:
                    bring_in(h, vma, page)
            bits &= bits - 1


@jit
def map_file_pages(h: IntArray, vma: int, place: int, table: int, what: tuple[int, int, int]) -> None:
    """Fill empty ptes (row KIND_A) with pages of a file or shm object. ``what``: words [first, last), kind of fault."""
    words, kind = (what[0], what[1]), what[2]
    first = first_page(h, place)
    row, fresh = mask(h, KIND_A), mask(h, FRESH)
    _cache_apart(h, vma, first, row, words)
    for word in range(words[0], words[1]):
        while h[fresh + word]:
            bit = BIT[lowest(h[fresh + word])]
            h[fresh + word] ^= bit
            h[row + word] ^= bit
            one = mask(h, KIND_C)
            h[one + word] = bit
            bring_in_counted(h, vma, file_word(h, vma, first + word * 64 + lowest(bit)))
            _map_equal(h, vma, place, table, (one, word, word + 1, kind))
    _map_equal(h, vma, place, table, (row, words[0], words[1], kind))


@jit
def bring_in_counted(h: IntArray, vma: int, word: int) -> None:
    """Bring a page in; a new page of a shm object is allocated and zeroed."""
    bring_in(h, vma, word)
    if h[vma + VMA_KIND] == SHM:
        h[PAGES_ALLOCATED] += 1
        h[PAGES_ZEROED] += 1


@jit
def _map_equal(h: IntArray, vma: int, place: int, table: int, what: tuple[int, int, int, int]) -> None:
    """Map file pages behind empty ptes, each at the same cost. ``what``: a row, its words [first, last), the kind."""
    pages = put_file_pages(h, vma, place, table, what[:3])
    if pages:
        h[FAULTS_FILE_MAP] = 1
        weight = h[table + TABLE_COUNT] if h[PER_SHARER] else 1
        h[REFS_TAKEN] += weight
        h[RMAP_ADDED] += weight if h[RMAP] else 0
        record(h, what[3], pages)


@jit
def put_file_pages(h: IntArray, vma: int, place: int, table: int, what: tuple[int, int, int]) -> int:
    """Put pages of a file in empty ptes; counts levels, no act; returns how many. ``what``: a row, words [first, last)."""
    row, begin, end = what
    file = extra_of(h, table) + FILE * h[ROW]
    present, write = row_of(h, table, PRESENT), row_of(h, table, WRITE)
    writable = h[vma + VMA_WRITABLE] and not is_private(h, vma)
    pages = 0
    for word in range(begin, end):
        bits = h[row + word]
        h[present + word] |= bits
        h[file + word] |= bits
        if writable:
            h[write + word] |= bits
        pages += popcount(bits)
        if h[RMAP] == CHAIN:
            first = first_page(h, place) + word * 64
            while bits:
                h[file_word(h, vma, first + lowest(bits))] += FILE_PTE
                bits &= bits - 1
    h[table + TABLE_PTES] += pages
    h[table + TABLE_MAPPED] += pages
    if writable:
        h[table + TABLE_WRITABLE] += pages
    h[NOW_RSS] += pages * h[table + TABLE_COUNT]
    if h[RMAP]:
        h[NOW_RMAP] += pages * (h[table + TABLE_COUNT] if h[PER_SHARER] else 1)
    return pages


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
