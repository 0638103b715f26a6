"""Read faults on file pages that map around: all empty ptes of the aligned block, one fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    FAULTS_FILE_MAP,
    KIND_READ_FAULT,
    MAPPED_AROUND,
    REFS_TAKEN,
    RMAP_ADDED,
    record,
)
from simcore.engine.frames import row_of
from simcore.engine.records import bring_in, file_word, is_complete
from simcore.engine.rows import BIT, BLOCK_STARTS, bit_of, mask, rest_of, within, word_of, words_of
from simcore.engine.serve_files import bring_in_counted, put_file_pages
from simcore.engine.vmas import first_page, high_index, low_index
from simcore.heap import (
    AROUND,
    CACHED,
    ENTRIES,
    EVICTED,
    KIND_A,
    KIND_B,
    PER_SHARER,
    PRESENT,
    RMAP,
    ROW,
    SHM,
    SWAP,
    TABLE_COUNT,
    TABLE_EXTRA,
    VMA_KIND,
)
from simcore.jit import jit, lowest, popcount
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray


@unit
def map_blocks(h: IntArray, vma: int, place: int, table: int, words: tuple[int, int]) -> None:
    """Serve reads of the empty ptes of row KIND_A in order; each fault fills its whole block.

    Blocks that are wholly empty and cached cost the same, so those behind the vma's first are served together.
    """
    row, present = mask(h, KIND_A), row_of(h, table, PRESENT)
    together = h[AROUND] <= 64 and h[AROUND] <= h[ENTRIES] and is_complete(h, vma)
    for word in range(words[0], words[1]):
        bits = h[row + word] & ~h[present + word]
        while bits:
            _map_block(h, vma, place, table, word * 64 + lowest(bits))
            if together:
                together = False
                _map_empty_blocks(h, vma, place, table, words)
            bits &= ~h[present + word]


@jit
def _map_empty_blocks(h: IntArray, vma: int, place: int, table: int, words: tuple[int, int]) -> None:
    """Fill the blocks that hold a page of row KIND_A and are empty from end to end: one fault each."""
    first = first_page(h, place)
    low, high = low_index(h, vma, first), high_index(h, vma, first)
    wanted, row, present, extra = (
        mask(h, KIND_A),
        mask(h, KIND_B),
        row_of(h, table, PRESENT),
        h[table + TABLE_EXTRA],
    )
    blocks, pages = 0, h[AROUND]
    starts = BLOCK_STARTS[pages]
    for word in range(words[0], words[1]):
        empty, some = within(word, low, high) & ~h[present + word], h[wanted + word] & ~h[present + word]
        if extra:
            empty &= ~h[extra + SWAP * h[ROW] + word]
        # The first bit of a block comes to tell of all its bits; the sign that shifts in is of the last block.
        step = 1
        while step < pages:
            empty &= empty >> step
            some |= some >> step
            step *= 2
        whole = empty & some & starts
        blocks += popcount(whole)
        step = 1
        while step < pages:
            whole |= whole << step
            step *= 2
        h[row + word] = whole
    if blocks:
        put_file_pages(h, vma, place, table, (row, words[0], words[1], KIND_READ_FAULT))
        _count_block(h, table, pages, blocks)


@jit
def _count_block(h: IntArray, table: int, pages: int, faults: int) -> None:
    """Record so many faults that map so many pages each."""
    weight = h[table + TABLE_COUNT] if h[PER_SHARER] else 1
    h[FAULTS_FILE_MAP] = 1
    h[MAPPED_AROUND] = pages - 1
    h[REFS_TAKEN] += pages * weight
    h[RMAP_ADDED] += pages * weight if h[RMAP] else 0
    record(h, KIND_READ_FAULT, faults)


@jit
def _map_block(h: IntArray, vma: int, place: int, table: int, index: int) -> None:
    """Fill the empty ptes of the block around an index, as far as vma, table and page cache reach: one fault."""
    first = first_page(h, place)
    aligned = (first + index) // h[AROUND] * h[AROUND] - first
    # The block begins with the vma if that is later, and is as long.
    low = max(aligned, low_index(h, vma, first))
    high = min(low + h[AROUND], high_index(h, vma, first))
    words = words_of(low, high)
    _select_empty(h, table, words, (low, high))
    row, own = mask(h, KIND_B), bit_of(index)
    if not is_complete(h, vma):
        page = file_word(h, vma, first + index)
        if h[page] & CACHED == 0:
            bring_in_counted(h, vma, page)
        _select_cached(h, vma, first, words)
    h[row + word_of(index)] |= own
    pages = put_file_pages(h, vma, place, table, (row, words[0], words[1], KIND_READ_FAULT))
    _count_block(h, table, pages, 1)


@jit
def _select_empty(h: IntArray, table: int, words: tuple[int, int], indices: tuple[int, int]) -> None:
    """Set row KIND_B to the empty ptes of a table at indices [low, high)."""
    row, present, extra = mask(h, KIND_B), row_of(h, table, PRESENT), h[table + TABLE_EXTRA]
    for word in range(words[0], words[1]):
        h[row + word] = within(word, indices[0], indices[1]) & ~h[present + word]
        if extra:
            h[row + word] &= ~h[extra + SWAP * h[ROW] + word]


@jit
def _select_cached(h: IntArray, vma: int, first: int, words: tuple[int, int]) -> None:
    """Leave in row KIND_B only pages that are there without being read or made; others of a file enter the cache."""
    row = mask(h, KIND_B)
    shm = h[vma + VMA_KIND] == SHM
    for word in range(words[0], words[1]):
        bits = h[row + word]
        while bits:
            bit = lowest(bits)
            page = file_word(h, vma, first + word * 64 + bit)
            if h[page] & CACHED == 0:
                if shm or h[page] & EVICTED:
                    h[row + word] ^= BIT[bit]
                else:
                    bring_in(h, vma, page)
            bits = rest_of(bits)
