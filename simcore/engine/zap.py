"""The verbs that take pages away from an mm, or change how it may use them: munmap, DONTNEED, mprotect, exit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    FILES_ZAPPED,
    LEAF_FREED,
    PAGES_FREED,
    PMDS_WRITTEN,
    REFS_DROPPED,
    RMAP_REMOVED,
    RMAP_WALKED,
    VISITED_ZAP,
    ZAPPED,
)
from simcore.engine.frames import home_of, release, row_of
from simcore.engine.huge import count_zapped, is_zero, split_huge, zap_huge
from simcore.engine.mapcounts import chain_lengths, present_mapcount
from simcore.engine.records import clear_slot, uncharge, upper_tables, upper_word
from simcore.engine.rows import BIT, clear_row, mask, rest_of, within, words_of
from simcore.engine.sharing import drop, separate
from simcore.engine.tables import (
    count_file_row,
    diverge,
    file_ptes,
    free_all,
    free_table,
    is_linked,
    table_at,
)
from simcore.engine.vmas import cut, first_page, number_of, overlaps, remove_all, vma_from
from simcore.heap import (
    CHAIN,
    DONTNEED,
    ENTRIES,
    FILE,
    FREES_COVERED,
    GONE,
    IGNORED,
    KIND_A,
    LOCKED,
    MM_POPULATED,
    MM_SLOTS,
    NOW_CHARGED,
    NOW_LEAVES,
    NOW_PAGES,
    NOW_RMAP,
    NOW_RSS,
    PRESENT,
    REST,
    RMAP,
    ROW,
    SPAN_FIRST,
    SPAN_LAST,
    SPAN_WORDS,
    SPANS_AT,
    SWAP,
    SWAPS,
    TABLE_COUNT,
    TABLE_EXTRA,
    TABLE_HUGE,
    TABLE_MAPPED,
    TABLE_PTES,
    TABLE_WRITABLE,
    UPPERS,
    VMA_END,
    VMA_FILE,
    VMA_NEXT,
    VMA_SHIFT,
    VMA_START,
    WRITE,
    ZAP,
    ZAP_EDGES,
    ZAP_UNSHARE,
    ZAP_WHOLE,
    ZERO,
)
from simcore.jit import jit, lowest, popcount
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray


DISCARD, UNMAP, UNMAP_ALL = range(3)  # keep the vmas; cut them; take all that an mm has


@unit
def take_away(h: IntArray, mm: int, start: int, end: int, how: int) -> None:
    """Take away pages [start, end): ptes and, but for DISCARD, vmas and tables in whose span no vma is left."""
    if how == DISCARD and h[DONTNEED] == IGNORED:
        return
    _zap_range(h, mm, (start, end, how))
    if how == DISCARD:
        return
    if how == UNMAP_ALL:
        remove_all(h, mm)
    else:
        cut(h, mm, start, end)
    freed = 0
    for upper in range(h[UPPERS]):
        has = upper_word(h, mm, upper)
        span = h[SPANS_AT] + upper * SPAN_WORDS
        if h[has] and (how == UNMAP_ALL or not overlaps(h, mm, h[span + SPAN_FIRST], h[span + SPAN_LAST])):
            h[has] = 0
            freed += 1
    upper_tables(h, -freed)
    h[NOW_CHARGED] -= freed


@jit
def _zap_range(h: IntArray, mm: int, what: tuple[int, int, int]) -> None:
    """Zap every table that vmas have in a range. ``what``: first page, last page + 1, DISCARD or another."""
    start, end = what[0], what[1]
    entries = h[ENTRIES]
    whole_equal, equal_pages, equal_ptes, equal_files = 0, 0, 0, 0
    huge, huge_with_page, huge_pages = 0, 0, 0
    vma = vma_from(h, mm, start)
    done = -1  # places are visited once, though several vmas may touch one
    while vma and h[vma + VMA_START] < end:
        low = max(start, h[vma + VMA_START])
        high = min(end, h[vma + VMA_END])
        last = number_of(h, high - 1) - h[vma + VMA_SHIFT]
        whole = (
            number_of(h, low + entries - 1) - h[vma + VMA_SHIFT],
            number_of(h, high) - h[vma + VMA_SHIFT],
        )
        for place in range(max(number_of(h, low) - h[vma + VMA_SHIFT], done + 1), last + 1):
            table = h[mm + MM_SLOTS + place] >> 1
            if table == 0:
                continue
            if what[2] == 0 or place < whole[0] or place >= whole[1] or h[table + TABLE_COUNT] == 1:
                _zap_slot(h, mm, place, vma, what)
            elif is_linked(h, table):
                if h[ZAP] == ZAP_UNSHARE:
                    _zap_slot(h, mm, place, vma, what)
                else:
                    drop(h, mm, place)
            else:  # the commonest end of all: the other mms with an equal table keep every page
                h[table + TABLE_COUNT] -= 1
                h[mm + MM_SLOTS + place] = 0
                if h[table + TABLE_HUGE]:
                    huge += 1
                    huge_pages += h[table + TABLE_MAPPED]
                    huge_with_page += 1 if h[table + TABLE_MAPPED] else 0
                    continue
                whole_equal += 1
                equal_pages += h[table + TABLE_MAPPED]
                equal_ptes += h[table + TABLE_PTES]
                equal_files += file_ptes(h, table)
        done = max(done, last)
        vma = h[vma + VMA_NEXT]
    if whole_equal:
        h[VISITED_ZAP] += whole_equal * entries
        _count_whole(h, mm, (whole_equal, equal_pages, equal_ptes, equal_files))
    if huge:
        count_zapped(h, huge, huge_with_page)
        _tables_gone(h, mm, huge, huge_pages)


@jit
def _count_whole(h: IntArray, mm: int, sums: tuple[int, int, int, int]) -> None:
    """Count the zap of whole tables. ``sums``: tables, their pages, their ptes, those of files."""
    tables, pages, ptes, files = sums
    h[ZAPPED] += ptes
    h[FILES_ZAPPED] += files
    h[REFS_DROPPED] += pages
    h[RMAP_REMOVED] += pages if h[RMAP] else 0
    _tables_gone(h, mm, tables, pages)


@jit
def _tables_gone(h: IntArray, mm: int, tables: int, pages: int) -> None:
    """Count tables freed, and the pages that their mm reached through them."""
    h[NOW_RSS] -= pages
    h[NOW_RMAP] -= pages if h[RMAP] else 0
    h[LEAF_FREED] += tables
    h[NOW_LEAVES] -= tables
    h[NOW_CHARGED] -= tables
    h[PMDS_WRITTEN] += tables
    h[mm + MM_POPULATED] -= tables


@unit
def _zap_slot(h: IntArray, mm: int, place: int, vma: int, what: tuple[int, int, int]) -> None:
    """Zap what vanishes in one slot, in which ``vma`` is the first; free or drop the table if it may go."""
    start, end, unmaps = what
    first = first_page(h, place)
    last = first + h[ENTRIES]
    emptied = unmaps == UNMAP_ALL or not _keeps(h, mm, (first, last), what)
    covered = False
    table = table_at(h, mm, place)
    frees = (
        h[DONTNEED] == FREES_COVERED or h[table + TABLE_HUGE] == 1
    )  # a table kept for a huge page goes with it
    equal = h[table + TABLE_COUNT] > 1 and not is_linked(h, table)
    if unmaps and emptied and (equal or h[table + TABLE_COUNT] == 1) and h[RMAP] != CHAIN and h[SWAPS] == 0:
        h[mm + MM_SLOTS + place] = 0
        if h[table + TABLE_HUGE]:
            count_zapped(h, 1, 0 if is_zero(h, table) else 1)
            _tables_gone(h, mm, 1, h[table + TABLE_MAPPED])
        else:
            _visit(h, vma, (first, last), what)
            files = file_ptes(h, table)
            _count_whole(h, mm, (1, h[table + TABLE_MAPPED], h[table + TABLE_PTES], files))
        if equal:
            h[table + TABLE_COUNT] -= 1
        else:
            h[NOW_CHARGED] += 1  # counted just now for each mm, which not every design charges
            uncharge(h, table, mm)
            free_all(h, table)
        return
    while vma and h[vma + VMA_START] < min(end, last):
        low = max(start, h[vma + VMA_START], first)
        high = min(end, h[vma + VMA_END], last)
        covered = low == first and high == last  # then by this vma alone
        table = table_at(h, mm, place)
        may_drop = (h[ZAP] == ZAP_WHOLE and emptied) or (h[ZAP] == ZAP_EDGES and covered)
        if may_drop and h[table + TABLE_COUNT] > 1 and is_linked(h, table):
            drop(h, mm, place)
            return
        separate(h, mm, place)
        table = diverge(h, mm, place)
        if h[table + TABLE_HUGE] and covered:
            zap_huge(h, table)
        else:
            if h[table + TABLE_HUGE]:
                split_huge(h, table)
            _zap(h, mm, place, vma, (low - first, high - first))
        vma = h[vma + VMA_NEXT]
    if emptied if unmaps else covered and frees:
        free_slot(h, mm, place)


@jit
def _visit(h: IntArray, vma: int, span: tuple[int, int], what: tuple[int, int, int]) -> None:
    """Count the ptes that a zap looks at in one table."""
    while vma and h[vma + VMA_START] < min(what[1], span[1]):
        low = max(what[0], h[vma + VMA_START], span[0])
        h[VISITED_ZAP] += min(what[1], h[vma + VMA_END], span[1]) - low
        vma = h[vma + VMA_NEXT]


@jit
def _keeps(h: IntArray, mm: int, span: tuple[int, int], what: tuple[int, int, int]) -> bool:
    """Return whether, without the pages that go, some vma is left in a table's span."""
    first, last = span
    before, after = min(what[0], last), max(what[1], first)
    return (first < before and overlaps(h, mm, first, before)) or (
        after < last and overlaps(h, mm, after, last)
    )


@jit
def free_slot(h: IntArray, mm: int, place: int) -> None:
    """Free the empty table of one mm's own that a slot points to."""
    table = table_at(h, mm, place)
    uncharge(h, table, mm)
    clear_slot(h, mm, place)
    free_table(h, table)


@unit
def _zap(h: IntArray, mm: int, place: int, vma: int, indices: tuple[int, int]) -> None:
    """Clear the ptes at indices [low, high), which a vma has in a table of one mm's own."""
    low, high = indices
    h[VISITED_ZAP] += high - low
    table = table_at(h, mm, place)
    if h[table + TABLE_PTES] == 0:
        return
    words = words_of(low, high)
    gone, present, write = mask(h, GONE), row_of(h, table, PRESENT), row_of(h, table, WRITE)
    if h[RMAP] == CHAIN:
        clear_row(h, gone)
    ptes = 0
    writable = 0
    for word in range(words[0], words[1]):
        bits = h[present + word] & within(word, low, high)
        h[gone + word] = bits
        ptes += popcount(bits)
        writable += popcount(h[write + word] & bits)
    if h[table + TABLE_EXTRA] or h[SWAPS] > 0 or h[RMAP] == CHAIN:
        _zap_rarer(h, mm, place, vma, (words[0], words[1], low, high))
        return
    free = release(h, table, gone, words) if ptes else 0
    for word in range(words[0], words[1]):
        h[present + word] &= ~h[gone + word]
        h[write + word] &= ~h[gone + word]
    h[table + TABLE_WRITABLE] -= writable
    _zapped(h, table, (ptes, ptes, free))


@jit
def _zapped(h: IntArray, table: int, sums: tuple[int, int, int]) -> None:
    """Count ptes cleared, those of them that held a page, and the pages that are free now."""
    ptes, pages, free = sums
    h[table + TABLE_PTES] -= ptes
    h[table + TABLE_MAPPED] -= pages
    h[ZAPPED] += ptes
    h[REFS_DROPPED] += pages
    h[NOW_RSS] -= pages
    if h[RMAP]:
        h[RMAP_REMOVED] += pages
        h[NOW_RMAP] -= pages
    h[PAGES_FREED] += free
    h[NOW_PAGES] -= free


@jit
def _zap_rarer(h: IntArray, mm: int, place: int, vma: int, what: tuple[int, int, int, int]) -> None:
    """Zap ptes (row GONE) among which there may be file pages, the zero page, swap entries, or chains to walk.

    ``what``: words [first, last) of the row, indices [low, high).
    """
    table, gone = table_at(h, mm, place), mask(h, GONE)
    words = (what[0], what[1])
    if h[RMAP] == CHAIN and h[SWAPS] == 0:
        h[RMAP_WALKED] += chain_lengths(h, place, table, gone)
    present, write, anon, file = (
        row_of(h, table, PRESENT),
        row_of(h, table, WRITE),
        mask(h, REST),
        mask(h, KIND_A),
    )
    extra, size = h[table + TABLE_EXTRA], h[ROW]
    ptes, pages, writable = 0, 0, 0
    for word in range(words[0], words[1]):
        bits = h[gone + word]
        ptes += popcount(bits)
        zero = bits & h[extra + ZERO * size + word] if extra else 0
        h[file + word] = bits & h[extra + FILE * size + word] if extra else 0
        h[anon + word] = bits & ~(zero | h[file + word])
        h[FILES_ZAPPED] += popcount(h[file + word])
        pages += popcount(bits ^ zero)
        writable += popcount(h[write + word] & bits)
        if extra:
            h[extra + ZERO * size + word] &= ~zero
            h[extra + FILE * size + word] &= ~h[file + word]
            h[extra + LOCKED * size + word] &= ~bits
    if h[vma + VMA_FILE] >= 0 and h[RMAP] == CHAIN:
        h[RMAP_WALKED] += _uncount_files(h, vma, first_page(h, place), words)
    if h[SWAPS] > 0:
        free = _zap_one_by_one(h, mm, place, what)
        swaps = free // (1 << 32)
        ptes += swaps
        free -= swaps << 32
    else:
        free = release(h, table, anon, words)
    for word in range(words[0], words[1]):
        h[present + word] &= ~h[gone + word]
        h[write + word] &= ~h[gone + word]
    h[table + TABLE_WRITABLE] -= writable
    _zapped(h, table, (ptes, pages, free))


@jit
def _uncount_files(h: IntArray, vma: int, first: int, words: tuple[int, int]) -> int:
    """Count the ptes of row KIND_A against their file pages; returns the counts before, summed."""
    row = mask(h, KIND_A)
    for word in range(words[0]):
        h[row + word] = 0
    for word in range(words[1], h[ROW]):
        h[row + word] = 0
    return count_file_row(h, vma, first, row, -1)


@jit
def _zap_one_by_one(h: IntArray, mm: int, place: int, what: tuple[int, int, int, int]) -> int:
    """Zap anonymous ptes (row REST) and swap entries where pages may have swap entries elsewhere.

    Returns the pages that are free now, plus the swap entries zapped in the upper 32 bits.
    """
    table, anon = table_at(h, mm, place), mask(h, REST)
    one = mask(h, KIND_A)
    free = 0
    for word in range(what[0], what[1]):
        bits = h[anon + word]
        swaps = 0
        if h[table + TABLE_EXTRA]:
            row = h[table + TABLE_EXTRA] + SWAP * h[ROW]
            swaps = h[row + word] & within(word, what[2], what[3])
            h[row + word] ^= swaps
            h[SWAPS] -= popcount(swaps)
            free += popcount(swaps) << 32
        both = bits | swaps
        while both:
            bit = BIT[lowest(both)]
            index = word * 64 + lowest(both)
            both = rest_of(both)
            if bits & bit:
                held = present_mapcount(h, place, index, home_of(h, table, index))
                h[RMAP_WALKED] += held if h[RMAP] == CHAIN else 0
                free += held == 1
            h[one + word] = bit
            h[row_of(h, table, PRESENT) + word] &= ~bit
            release(h, table, one, (word, word + 1))
    return free
