"""Faults on file and shm pages by class: mapped, or copied for a private mapping. See ``serve``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    FAULTS_COW_COPY,
    FAULTS_COW_REUSE,
    FAULTS_FILE_MAP,
    KIND_WRITE_FAULT,
    PAGES_ALLOCATED,
    PAGES_COPIED,
    PAGES_ZEROED,
    REFS_TAKEN,
    RMAP_ADDED,
    RMAP_WALKED,
    TLB_PAGE,
    flush,
    record,
)
from simcore.engine.frames import new_frames, row_of
from simcore.engine.fresh import copied_each, fill, new_page_each, privately_written
from simcore.engine.records import bring_in, file_word, is_complete
from simcore.engine.rows import BIT, mask, rest_of
from simcore.engine.tables import count_file_bits, extra_of, table_at
from simcore.engine.vmas import first_page, is_private, notifies
from simcore.heap import (
    CACHED,
    CHAIN,
    EVICTED,
    FILE,
    FILE_PTE,
    FILE_PTE_SHIFT,
    FRESH,
    KIND_A,
    KIND_B,
    KIND_C,
    NOW_RMAP,
    NOW_RSS,
    PER_SHARER,
    PRESENT,
    RMAP,
    ROW,
    SHM,
    TABLE_COUNT,
    TABLE_EXTRA,
    TABLE_MAPPED,
    TABLE_PTES,
    TABLE_WRITABLE,
    VMA_KIND,
    VMA_WRITABLE,
    WRITE,
)
from simcore.jit import jit, lowest, popcount
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray

Words = tuple[int, int]


@unit
def write_file_pages(h: IntArray, mm: int, vma: int, place: int, words: Words) -> None:
    """Give ptes of row KIND_B, which hold file pages read-only, copies of their own; those of a shared mapping open."""
    table = table_at(h, mm, place)
    row = mask(h, KIND_B)
    if not is_private(h, vma):
        _open_shared(h, table, words)
        return
    if h[RMAP] == CHAIN:
        _copy_by_count(h, vma, place, table, words)
        return
    _own_copies(h, vma, table, row, words)


@jit
def _open_shared(h: IntArray, table: int, words: Words) -> None:
    """Make ptes of row KIND_B writable, whose first write their file system wanted to be told of."""
    row, write = mask(h, KIND_B), row_of(h, table, WRITE)
    pages = 0
    for word in range(words[0], words[1]):
        h[write + word] |= h[row + word]
        pages += popcount(h[row + word])
    h[table + TABLE_WRITABLE] += pages
    h[FAULTS_COW_REUSE] = 1
    flush(h, TLB_PAGE, 1)
    record(h, KIND_WRITE_FAULT, pages)


@jit
def _copy_by_count(h: IntArray, vma: int, place: int, table: int, words: Words) -> None:
    """Do that with pte_chains: pages that have as many ptes cost the same."""
    row, equal = mask(h, KIND_B), mask(h, KIND_C)
    pages = file_word(h, vma, first_page(h, place))
    for start in range(words[0], words[1]):
        while h[row + start]:
            ptes = h[pages + start * 64 + lowest(h[row + start])] >> FILE_PTE_SHIFT
            for word in range(start, words[1]):
                h[equal + word] = 0
                bits = h[row + word]
                while bits:
                    page = pages + word * 64 + lowest(bits)
                    if h[page] >> FILE_PTE_SHIFT == ptes:
                        h[page] -= FILE_PTE
                        h[equal + word] |= BIT[lowest(bits)]
                    bits = rest_of(bits)
                h[row + word] ^= h[equal + word]
            h[RMAP_WALKED] += ptes
            _own_copies(h, vma, table, equal, (start, words[1]))


@jit
def _own_copies(h: IntArray, vma: int, table: int, row: int, words: Words) -> None:
    """Replace the file pages behind ptes of a row by copies, at equal cost for each."""
    file = h[table + TABLE_EXTRA] + FILE * h[ROW]
    pages = 0
    for word in range(words[0], words[1]):
        h[file + word] &= ~h[row + word]
        pages += popcount(h[row + word])
    new_frames(h, table, row, words)
    fill(h, table, row, words)
    h[table + TABLE_WRITABLE] += pages
    privately_written(h, vma, table)
    copied_each(h, pages)
    record(h, KIND_WRITE_FAULT, pages)


@unit
def write_absent_file(h: IntArray, mm: int, vma: int, place: int, words: Words) -> None:
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
            index = _take_fresh(h, row, word)
            bring_in(h, vma, file_word(h, vma, first_page(h, place) + index))
            _absent_copies(h, vma, table, mask(h, KIND_C), (word, word + 1))
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
    fill(h, table, row, words)
    h[table + TABLE_PTES] += pages
    h[table + TABLE_MAPPED] += pages
    h[table + TABLE_WRITABLE] += pages
    h[NOW_RSS] += pages
    privately_written(h, vma, table)
    h[FAULTS_COW_COPY] = 1
    h[PAGES_COPIED] = 1
    new_page_each(h, pages)
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
                    h[fresh + word] |= BIT[lowest(bits)]
                else:
                    bring_in(h, vma, page)
            bits = rest_of(bits)


@jit
def _take_fresh(h: IntArray, row: int, word: int) -> int:
    """Move the lowest bit of a word of row FRESH to that word of KIND_C, out of another row too; returns its index."""
    fresh = mask(h, FRESH)
    lowest_bit = lowest(h[fresh + word])
    h[fresh + word] ^= BIT[lowest_bit]
    h[row + word] ^= BIT[lowest_bit]
    h[mask(h, KIND_C) + word] = BIT[lowest_bit]
    return word * 64 + lowest_bit


@unit
def map_file_pages(h: IntArray, vma: int, place: int, table: int, what: tuple[int, int, int]) -> None:
    """Fill empty ptes (row KIND_A) with pages of a file or shm object. ``what``: words [first, last), kind of fault."""
    words, kind = (what[0], what[1]), what[2]
    first = first_page(h, place)
    row, fresh = mask(h, KIND_A), mask(h, FRESH)
    _cache_apart(h, vma, first, row, words)
    for word in range(words[0], words[1]):
        while h[fresh + word]:
            index = _take_fresh(h, row, word)
            bring_in_counted(h, vma, file_word(h, vma, first + index))
            _map_equal(h, vma, place, table, (mask(h, KIND_C), word, word + 1, kind))
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
    pages = put_file_pages(h, vma, place, table, what)
    if pages:
        h[FAULTS_FILE_MAP] = 1
        weight = h[table + TABLE_COUNT] if h[PER_SHARER] else 1
        h[REFS_TAKEN] += weight
        h[RMAP_ADDED] += weight if h[RMAP] else 0
        record(h, what[3], pages)


@jit
def put_file_pages(h: IntArray, vma: int, place: int, table: int, what: tuple[int, int, int, int]) -> int:
    """Put pages of a file in empty ptes; counts levels, no act; tells how many.

    ``what``: a row, its words [first, last), the kind of fault.
    """
    row, begin, end, kind = what
    file = extra_of(h, table) + FILE * h[ROW]
    present, write = row_of(h, table, PRESENT), row_of(h, table, WRITE)
    told = kind == KIND_WRITE_FAULT or not notifies(h, vma)
    writable = h[vma + VMA_WRITABLE] and not is_private(h, vma) and told
    pages = 0
    for word in range(begin, end):
        bits = h[row + word]
        h[present + word] |= bits
        h[file + word] |= bits
        if writable:
            h[write + word] |= bits
        pages += popcount(bits)
        if h[RMAP] == CHAIN:
            count_file_bits(h, vma, first_page(h, place) + word * 64, bits, 1)
    h[table + TABLE_PTES] += pages
    h[table + TABLE_MAPPED] += pages
    if writable:
        h[table + TABLE_WRITABLE] += pages
    h[NOW_RSS] += pages * h[table + TABLE_COUNT]
    if h[RMAP]:
        h[NOW_RMAP] += pages * (h[table + TABLE_COUNT] if h[PER_SHARER] else 1)
    return pages
