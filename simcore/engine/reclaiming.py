"""Reclaim: take pages away from whoever has them, found by walking mms or through the reverse mapping.

A hand goes round over (task, page) in order; see ``simcore.oracle.reclaiming``. One page at a time: reclaim is rare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    PAGES_FREED,
    PAGES_RECLAIMED,
    REFS_DROPPED,
    RMAP_REMOVED,
    RMAP_WALKED,
    SWAPPED_OUT,
    TLB_PAGE,
    UNMAPPED_RECLAIM,
    VISITED_RECLAIM,
    flush,
)
from simcore.engine.frames import home_of, row_of
from simcore.engine.mapcounts import present_mapcount
from simcore.engine.records import file_record, file_word, task_record
from simcore.engine.rows import bit_of, word_of
from simcore.engine.tables import diverge, extra_of, table_at, unlock
from simcore.engine.vmas import first_page, number_of, vma_from
from simcore.heap import (
    CACHED,
    CHAIN,
    EVICTED,
    FILE,
    FILE_CACHED,
    FILE_EVICTED,
    FILE_PTE,
    HAND_TASK,
    HAND_VPN,
    MM_SLOTS,
    MM_VMA,
    NOW_CACHE,
    NOW_PAGES,
    NOW_RMAP,
    NOW_RSS,
    PER_SHARER,
    PRESENT,
    RECLAIM,
    RMAP,
    ROW,
    SHIFT,
    SHM,
    SWAP,
    SWAPS,
    TABLE_COUNT,
    TABLE_EXTRA,
    TABLE_MAPPED,
    TABLE_PTES,
    TABLE_WRITABLE,
    TASK_LENDER,
    TASK_MM,
    TASKS,
    VMA_ANON,
    VMA_END,
    VMA_FILE,
    VMA_KIND,
    VMA_NEXT,
    VMA_OFFSET,
    VMA_SHIFT,
    VMA_START,
    WRITE,
    ZERO,
)
from simcore.jit import jit
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray


@unit
def reclaim(h: IntArray, wanted: int) -> None:
    """Reclaim pages from the hand on until so many are free or a whole round finds none to unmap."""
    while True:
        whole_round = h[HAND_TASK] < 0
        unmapped = h[UNMAPPED_RECLAIM]
        if _go_round(h, wanted):
            return
        h[HAND_TASK] = -1
        h[HAND_VPN] = -1
        if whole_round and h[UNMAPPED_RECLAIM] == unmapped:
            return


@jit
def _go_round(h: IntArray, wanted: int) -> bool:
    """Look at every pte behind the hand, mm by mm; returns whether so many pages are free now."""
    for task in range(max(h[HAND_TASK], 0), h[TASKS]):
        record = task_record(h, task)
        mm = h[record + TASK_MM]
        if mm and h[record + TASK_LENDER] == 0 and _look_through(h, mm, task, wanted):
            return True
    return False


@jit
def _look_through(h: IntArray, mm: int, task: int, wanted: int) -> bool:
    """Look at the ptes of one mm behind the hand; returns whether so many pages are free now."""
    vma = h[mm + MM_VMA]
    while vma:
        vpn = h[vma + VMA_START]
        if h[HAND_TASK] == task:
            vpn = max(vpn, h[HAND_VPN] + 1)
        while vpn < h[vma + VMA_END]:
            if h[mm + MM_SLOTS + number_of(h, vpn) - h[vma + VMA_SHIFT]] == 0:
                vpn = (number_of(h, vpn) + 1) << h[SHIFT]
                continue
            h[HAND_TASK] = task
            h[HAND_VPN] = vpn
            _look_at(h, mm, vma, vpn)
            if h[PAGES_RECLAIMED] >= wanted:
                return True
            vpn += 1
        vma = h[vma + VMA_NEXT]
    return False


@jit
def _look_at(h: IntArray, mm: int, vma: int, vpn: int) -> None:
    """Look at one pte: under "scan" unmap it, under "rmap" all ptes that hold its page."""
    number = number_of(h, vpn)
    place, index = number - h[vma + VMA_SHIFT], vpn - (number << h[SHIFT])
    if h[RECLAIM] == 0:
        h[VISITED_RECLAIM] += 1
    table = table_at(h, mm, place)
    word, bit = word_of(index), bit_of(index)
    if h[row_of(h, table, PRESENT) + word] & bit == 0:
        return
    extra = h[table + TABLE_EXTRA]
    of_file = extra != 0 and h[extra + FILE * h[ROW] + word] & bit != 0
    if (extra and h[extra + ZERO * h[ROW] + word] & bit) or (of_file and h[vma + VMA_KIND] == SHM):
        return
    if of_file:
        _look_at_file_page(h, mm, vma, place, index)
        return
    home = home_of(h, table, index)
    held = present_mapcount(h, place, index, home)
    if h[RECLAIM] == 0:
        h[RMAP_WALKED] += held if h[RMAP] == CHAIN else 0
        diverge(h, mm, place)
        _swap_out(h, mm, place, index)
        if held == 1:
            _page_out(h)
        return
    walked = held if h[RMAP] == CHAIN else _anon_vmas(h, h[vma + VMA_ANON], vpn)
    h[RMAP_WALKED] += walked
    h[VISITED_RECLAIM] += walked
    _swap_out_all(h, place, index, home)
    _page_out(h)


@jit
def _page_out(h: IntArray) -> None:
    """Count an anonymous page written to swap and freed."""
    h[PAGES_RECLAIMED] += 1
    h[SWAPPED_OUT] += 1
    h[PAGES_FREED] += 1
    h[NOW_PAGES] -= 1


@jit
def _anon_vmas(h: IntArray, anon_vma: int, vpn: int) -> int:
    """Return how many vmas of an anon_vma hold a page: those that object rmap looks at."""
    found = 0
    for task in range(h[TASKS]):
        record = task_record(h, task)
        if h[record + TASK_MM] and h[record + TASK_LENDER] == 0:
            vma = vma_from(h, h[record + TASK_MM], vpn)
            if vma and h[vma + VMA_START] <= vpn and h[vma + VMA_ANON] == anon_vma:
                found += 1
    return found


@jit
def _swap_out_all(h: IntArray, place: int, index: int, home: int) -> None:
    """Put a swap entry in every present pte that holds the frame of a home at an index of a place."""
    word, bit = word_of(index), bit_of(index)
    for task in range(h[TASKS]):
        record = task_record(h, task)
        mm = h[record + TASK_MM]
        if mm == 0 or h[record + TASK_LENDER]:
            continue
        table = table_at(h, mm, place)
        if table and h[row_of(h, table, PRESENT) + word] & bit and home_of(h, table, index) == home:
            diverge(h, mm, place)
            _swap_out(h, mm, place, index)


@jit
def _swap_out(h: IntArray, mm: int, place: int, index: int) -> None:
    """Put a swap entry in one present pte of an anonymous page."""
    table = table_at(h, mm, place)
    row = extra_of(h, table) + SWAP * h[ROW]
    _unmap(h, table, index)
    h[row + word_of(index)] |= bit_of(index)
    h[SWAPS] += 1
    h[table + TABLE_PTES] += 1


@jit
def _unmap(h: IntArray, table: int, index: int) -> None:
    """Empty one present pte, which stands for a reference and a mapping, and flush it for all who reach it."""
    word, bit = word_of(index), bit_of(index)
    weight = h[table + TABLE_COUNT] if h[PER_SHARER] else 1
    h[row_of(h, table, PRESENT) + word] &= ~bit
    if h[row_of(h, table, WRITE) + word] & bit:
        h[row_of(h, table, WRITE) + word] ^= bit
        h[table + TABLE_WRITABLE] -= 1
    unlock(h, table, index, index + 1)
    h[table + TABLE_PTES] -= 1
    h[table + TABLE_MAPPED] -= 1
    h[NOW_RSS] -= h[table + TABLE_COUNT]
    h[REFS_DROPPED] += weight
    if h[RMAP]:
        h[RMAP_REMOVED] += weight
        h[NOW_RMAP] -= weight
    h[UNMAPPED_RECLAIM] += 1
    flush(h, TLB_PAGE, h[table + TABLE_COUNT])


@jit
def _look_at_file_page(h: IntArray, mm: int, vma: int, place: int, index: int) -> None:
    """Unmap one pte of a page-cache page, or all of them; without ptes the page leaves the cache."""
    first = first_page(h, place)
    page = h[vma + VMA_OFFSET] + first + index - h[vma + VMA_START]
    file = h[vma + VMA_FILE]
    word = file_word(h, vma, first + index)
    held = h[word] // FILE_PTE  # with pte_chains
    if h[RECLAIM] == 0:
        h[RMAP_WALKED] += held
        diverge(h, mm, place)
        _unmap_file_page(h, mm, place, index, word)
        held = h[word] // FILE_PTE if h[RMAP] == CHAIN else _each_pte(h, file, page, False)  # noqa: FBT003
    else:
        walked = held if h[RMAP] == CHAIN else _file_vmas(h, file, page)
        h[RMAP_WALKED] += walked
        h[VISITED_RECLAIM] += walked
        _each_pte(h, file, page, True)  # noqa: FBT003 - numba takes no keywords
        held = 0
    if held == 0:
        h[PAGES_RECLAIMED] += 1
        h[word] = EVICTED | (h[word] & ~CACHED)
        h[file_record(h, file) + FILE_CACHED] -= 1
        h[file_record(h, file) + FILE_EVICTED] += 1
        h[NOW_CACHE] -= 1


@jit
def _unmap_file_page(h: IntArray, mm: int, place: int, index: int, word: int) -> None:
    """Empty one pte of a page-cache page; ``word`` is where the page's state is."""
    table = table_at(h, mm, place)
    h[h[table + TABLE_EXTRA] + FILE * h[ROW] + word_of(index)] &= ~bit_of(index)
    _unmap(h, table, index)
    if h[RMAP] == CHAIN:
        h[word] -= FILE_PTE


@jit
def _file_vmas(h: IntArray, file: int, page: int) -> int:
    """Return how many vmas map a page of a file: those that object rmap looks at."""
    found = 0
    for task in range(h[TASKS]):
        record = task_record(h, task)
        if h[record + TASK_MM] and h[record + TASK_LENDER] == 0:
            vma = h[h[record + TASK_MM] + MM_VMA]
            while vma:
                found += _maps(h, vma, file, page)
                vma = h[vma + VMA_NEXT]
    return found


@jit
def _maps(h: IntArray, vma: int, file: int, page: int) -> bool:
    """Return whether a vma maps a page of a file."""
    at = page - h[vma + VMA_OFFSET]
    return h[vma + VMA_FILE] == file and 0 <= at < h[vma + VMA_END] - h[vma + VMA_START]


@jit
def _each_pte(h: IntArray, file: int, page: int, unmaps: bool) -> int:  # noqa: FBT001 - numba takes no keywords
    """Return how many ptes hold a page of a file, unmapping each of them if asked to."""
    found = 0
    for task in range(h[TASKS]):
        record = task_record(h, task)
        mm = h[record + TASK_MM]
        if mm == 0 or h[record + TASK_LENDER]:
            continue
        vma = h[mm + MM_VMA]
        while vma:
            if _maps(h, vma, file, page):
                found += _one_pte(h, mm, vma, page, unmaps)
            vma = h[vma + VMA_NEXT]
    return found


@jit
def _one_pte(h: IntArray, mm: int, vma: int, page: int, unmaps: bool) -> int:  # noqa: FBT001 - numba takes no keywords
    """Return 1 if a vma's pte holds a page of its file, unmapping it if asked to, else 0.

    A linked table that several mms reach is met once for each of them: when its pte is unmapped, later ones find it
    empty; the count says no more than whether a pte is left.
    """
    vpn = h[vma + VMA_START] + page - h[vma + VMA_OFFSET]
    number = number_of(h, vpn)
    place, index = number - h[vma + VMA_SHIFT], vpn - (number << h[SHIFT])
    table = table_at(h, mm, place)
    if table == 0 or h[table + TABLE_EXTRA] == 0:
        return 0
    if h[h[table + TABLE_EXTRA] + FILE * h[ROW] + word_of(index)] & bit_of(index) == 0:
        return 0
    if unmaps:
        diverge(h, mm, place)
        _unmap_file_page(h, mm, place, index, file_word(h, vma, vpn))
    return 1
