"""What fork does with the parent's tables: copy them, link them, or link them for the child to copy later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    COPIED_FORK,
    LEAF_ALLOCATED,
    LEAF_LINKED,
    PMDS_WRITTEN,
    PRESENT_FORK,
    REFS_TAKEN,
    RMAP_ADDED,
    VISITED_FORK,
    WRPROTECTED_FORK,
)
from simcore.engine.faults import is_exempt
from simcore.engine.frames import release, row_of
from simcore.engine.huge import count_copied
from simcore.engine.records import charge, charge_sharer, upper_tables, upper_word
from simcore.engine.rows import is_empty, mask, within, words_of
from simcore.engine.tables import (
    copy_record,
    count_file_ptes,
    filled,
    protect_whole,
    unlock,
    wrprotect,
)
from simcore.engine.vmas import copy_vmas, covers, first_page, high_index, is_private, low_index
from simcore.heap import (
    ALL_BUT_STACK,
    ANON,
    CHARGE,
    CHARGE_EACH,
    COPY,
    DEFERRED,
    EACH_PTE_IF_SOLE,
    EACH_PTE_UNLESS_MARKED,
    ENTRIES,
    EXEMPT,
    FILE,
    FORK,
    GONE,
    INHERIT,
    KIND_A,
    LAZY,
    LINK_IF_MORE_THAN,
    LINKS,
    MM_PENDING,
    MM_POPULATED,
    MM_SLOTS,
    MM_VMA,
    MORE_THAN,
    N_EXTRA_ROWS,
    NOW_CHARGED,
    NOW_LEAVES,
    NOW_RMAP,
    NOW_RSS,
    PENDING_NOW,
    PER_SHARER,
    PLACES,
    PMD,
    PRESENT,
    RMAP,
    ROW,
    SLOT_WRITABLE,
    SPAN_FIRST,
    SPAN_LAST,
    SPAN_WORDS,
    SPANS_AT,
    STACK,
    SWAP,
    SWAPS,
    TABLE_COUNT,
    TABLE_EXTRA,
    TABLE_HUGE,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_PTES,
    TABLE_WRITABLE,
    UPPERS,
    VMA_ANON,
    VMA_END,
    VMA_KIND,
    VMA_NEXT,
    VMA_START,
    WHOLE_ANON,
    WRITE,
    WRPROTECT,
    ZERO,
)
from simcore.jit import jit, popcount
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray


@unit
def fork_mm(h: IntArray, parent: int, child: int) -> None:  # noqa: C901, PLR0912, PLR0915 - the commonest tables in place
    """Give a child's new mm the parent's vmas, upper tables that lead to what it inherits, and leaf tables."""
    copy_vmas(h, parent, child)
    for upper in range(h[UPPERS]):
        if h[upper_word(h, parent, upper)] and (h[INHERIT] == 0 or _inherits_span(h, parent, upper)):
            h[upper_word(h, child, upper)] = 1
            upper_tables(h, 1)
            h[NOW_CHARGED] += 1
    links = h[FORK] != COPY
    if h[FORK] == LINK_IF_MORE_THAN:
        links = h[parent + MM_POPULATED] > h[MORE_THAN]
    vma = h[parent + MM_VMA]
    equal_ptes, equal_pages, equal_tables, protected = 0, 0, 0, 0
    linked_ptes, linked_pages, linked_tables = 0, 0, 0
    huge, huge_with_page, huge_pages = 0, 0, 0
    for place in range(h[PLACES]):
        slot = h[parent + MM_SLOTS + place]
        if slot == 0:
            continue
        first = first_page(h, place)
        while h[vma + VMA_END] <= first:
            vma = h[vma + VMA_NEXT]
        if not links and h[LAZY] and covers(h, vma, first) and _is_inherited(h, vma):
            # The commonest table of all: one vma, copied whole. Both mms use one record until one of them differs.
            table = slot >> 1
            h[table + TABLE_COUNT] += 1
            h[child + MM_SLOTS + place] = table * 2 + SLOT_WRITABLE
            protected += protect_whole(h, table, vma)
            if h[table + TABLE_HUGE]:
                huge += 1
                huge_pages += h[table + TABLE_MAPPED]
                huge_with_page += h[table + TABLE_MAPPED] != 0
            else:
                equal_tables += 1
                equal_ptes += h[table + TABLE_PTES]
                equal_pages += h[table + TABLE_MAPPED]
        elif links and covers(h, vma, first) and _is_linked_whole(h, vma):
            table = slot >> 1
            _open_or_protect(h, parent, place, vma)
            h[table + TABLE_COUNT] += 1
            h[child + MM_SLOTS + place] = table * 2 + (0 if h[WRPROTECT] == PMD else SLOT_WRITABLE)
            charge_sharer(h, table, child)
            linked_tables += 1
            linked_ptes += h[table + TABLE_PTES]
            linked_pages += h[table + TABLE_MAPPED]
        elif links and may_be_linked(h, vma, place):
            _link_table(h, (parent, child), place, vma)
        else:
            _copy_table(h, (parent, child), place, vma)
    h[WRPROTECTED_FORK] += protected
    h[VISITED_FORK] += equal_tables * h[ENTRIES]
    _copied(h, child, (equal_tables, equal_ptes, equal_pages))
    _copied_huge(h, child, (huge, huge_with_page, huge_pages))
    _linked(h, child, (linked_tables, linked_ptes, linked_pages))
    if h[FORK] == DEFERRED:
        h[child + MM_PENDING] = 1
        h[PENDING_NOW] += 1


@jit
def _copied(h: IntArray, child: int, sums: tuple[int, int, int]) -> None:
    """Count tables copied for a child, their ptes, and those that hold a page."""
    tables, ptes, pages = sums
    h[PRESENT_FORK] += ptes
    h[COPIED_FORK] += ptes
    h[REFS_TAKEN] += pages
    h[RMAP_ADDED] += pages if h[RMAP] else 0
    _has_tables(h, child, tables, pages)


@jit
def _copied_huge(h: IntArray, child: int, sums: tuple[int, int, int]) -> None:
    """Count directory entries of huge pages copied for a child, those that hold a page, and the pages of these."""
    count_copied(h, sums[0], sums[1])
    _has_tables(h, child, sums[0], sums[2])


@jit
def _has_tables(h: IntArray, child: int, tables: int, pages: int) -> None:
    """Count tables allocated for a child, and the pages that it reaches through them."""
    h[NOW_RSS] += pages
    h[NOW_RMAP] += pages if h[RMAP] else 0
    h[LEAF_ALLOCATED] += tables
    h[NOW_LEAVES] += tables
    h[NOW_CHARGED] += tables
    h[PMDS_WRITTEN] += tables
    h[child + MM_POPULATED] += tables


@jit
def _is_inherited(h: IntArray, vma: int) -> bool:
    """Return whether a vma's ptes reach the child of a fork."""
    return h[INHERIT] == 0 or h[vma + VMA_ANON] != 0


@jit
def _inherits_span(h: IntArray, mm: int, upper: int) -> bool:
    """Return whether some vma in the span of an upper table has an anon_vma."""
    span = h[SPANS_AT] + upper * SPAN_WORDS
    vma = h[mm + MM_VMA]
    while vma and h[vma + VMA_START] < h[span + SPAN_LAST]:
        if h[vma + VMA_END] > h[span + SPAN_FIRST] and h[vma + VMA_ANON]:
            return True
        vma = h[vma + VMA_NEXT]
    return False


@jit
def may_be_linked(h: IntArray, vma: int, place: int) -> bool:
    """Return whether the design links a table like this one, in which ``vma`` is the first."""
    first = first_page(h, place)
    if h[LINKS] == WHOLE_ANON:
        return h[vma + VMA_KIND] == ANON and covers(h, vma, first)
    if h[LINKS] == ALL_BUT_STACK:
        while vma and h[vma + VMA_START] < first + h[ENTRIES]:
            if h[vma + VMA_KIND] == STACK:
                return False
            vma = h[vma + VMA_NEXT]
    return True


@jit
def _copy_table(h: IntArray, mms: tuple[int, int], place: int, vma: int) -> None:
    """Copy the ptes that inherited vmas have in a table, protecting the CoWable ones on both sides.

    The child gets a table even if none of those ptes is present, but none if no vma is inherited.
    """
    parent, child = mms
    table = h[parent + MM_SLOTS + place] >> 1
    first = first_page(h, place)
    inherited, others = 0, 0
    each = vma
    while each and h[each + VMA_START] < first + h[ENTRIES]:
        if _is_inherited(h, each):
            inherited += 1
            low, high = low_index(h, each, first), high_index(h, each, first)
            h[VISITED_FORK] += high - low
            if is_private(h, each):
                unlock(h, table, low, high)
                h[WRPROTECTED_FORK] += wrprotect(h, table, low, high)
        else:
            others += 1
        each = h[each + VMA_NEXT]
    if inherited == 0:
        return
    copy = table
    if h[LAZY] and (others == 0 or not _select_others(h, table, vma, first)):
        h[table + TABLE_COUNT] += 1
    else:
        copy = copy_record(h, table)
        h[copy + TABLE_MARKED] = 0
        if others and _select_others(h, table, vma, first):
            _forget(h, copy)
        if h[CHARGE] != CHARGE_EACH:
            charge(h, copy, child)
            h[NOW_CHARGED] -= 1  # counted below
    h[child + MM_SLOTS + place] = copy * 2 + SLOT_WRITABLE
    _copied(h, child, (1, h[copy + TABLE_PTES], h[copy + TABLE_MAPPED]))
    count_file_ptes(h, child, place, copy, 1)


@jit
def _select_others(h: IntArray, table: int, vma: int, first: int) -> bool:
    """Set the row GONE to the ptes of vmas that are not inherited, from a table's first on; tells if any is filled."""
    gone, present, extra = mask(h, GONE), row_of(h, table, PRESENT), h[table + TABLE_EXTRA]
    for word in range(h[ROW]):
        h[gone + word] = h[present + word]
        if extra:
            h[gone + word] |= h[extra + SWAP * h[ROW] + word]
    while vma and h[vma + VMA_START] < first + h[ENTRIES]:
        if _is_inherited(h, vma):
            low, high = low_index(h, vma, first), high_index(h, vma, first)
            words = words_of(low, high)
            for word in range(words[0], words[1]):
                h[gone + word] &= ~within(word, low, high)
        vma = h[vma + VMA_NEXT]
    return not is_empty(h, gone)


@jit
def _forget(h: IntArray, table: int) -> None:
    """Take the ptes of row GONE out of a table that was just copied; nothing is counted."""
    gone, present, write = mask(h, GONE), row_of(h, table, PRESENT), row_of(h, table, WRITE)
    extra, size = h[table + TABLE_EXTRA], h[ROW]
    anon = mask(h, KIND_A)
    ptes, pages, writable = 0, 0, 0
    for word in range(size):
        bits = h[present + word] & h[gone + word]
        h[anon + word] = bits
        pages += popcount(bits)
        ptes += popcount(bits)
        writable += popcount(bits & h[write + word])
        h[present + word] ^= bits
        h[write + word] &= ~bits
        if extra:
            swaps = h[extra + SWAP * size + word] & h[gone + word]
            pages -= popcount(bits & h[extra + ZERO * size + word])
            ptes += popcount(swaps)
            h[SWAPS] -= popcount(swaps)
            h[anon + word] = swaps | (bits & ~(h[extra + ZERO * size + word] | h[extra + FILE * size + word]))
            for kind in range(N_EXTRA_ROWS):
                h[extra + kind * size + word] &= ~h[gone + word]
    h[table + TABLE_PTES] -= ptes
    h[table + TABLE_MAPPED] -= pages
    h[table + TABLE_WRITABLE] -= writable
    release(h, table, anon, (0, size))


@unit
def _link_table(h: IntArray, mms: tuple[int, int], place: int, vma: int) -> None:
    """Point the child's slot to the parent's table, protected as the design says; not if no vma is inherited."""
    parent, child = mms
    table = h[parent + MM_SLOTS + place] >> 1
    if h[INHERIT] and not _inherits_any(h, vma, first_page(h, place)):
        return
    exempt = h[EXEMPT] == 1 and is_exempt(h, vma, place)
    if not exempt:
        _open_or_protect(h, parent, place, vma)
    elif h[WRPROTECT] != PMD:
        _wrprotect_at_fork(h, table, place, vma)
    h[table + TABLE_COUNT] += 1
    charge_sharer(h, table, child)
    h[child + MM_SLOTS + place] = table * 2 + (0 if h[WRPROTECT] == PMD and not exempt else SLOT_WRITABLE)
    _linked(h, child, (1, h[table + TABLE_PTES], h[table + TABLE_MAPPED]))


@jit
def _open_or_protect(h: IntArray, parent: int, place: int, vma: int) -> None:
    """Make what fork shares read-only, by the parent's directory entry or by its ptes; ``vma``: the table's first."""
    slot = h[parent + MM_SLOTS + place]
    if h[WRPROTECT] != PMD:
        _wrprotect_at_fork(h, slot >> 1, place, vma)
    elif slot & SLOT_WRITABLE:
        h[parent + MM_SLOTS + place] = slot ^ SLOT_WRITABLE
        h[PMDS_WRITTEN] += 1


@jit
def _is_linked_whole(h: IntArray, vma: int) -> bool:
    """Return whether a private vma's whole tables are linked: nothing else is in them."""
    kind = h[vma + VMA_KIND]
    return (
        is_private(h, vma)
        and _is_inherited(h, vma)
        and (h[LINKS] != WHOLE_ANON or kind == ANON)
        and (h[LINKS] != ALL_BUT_STACK or kind != STACK)
    )


@jit
def _linked(h: IntArray, child: int, sums: tuple[int, int, int]) -> None:
    """Count tables linked for a child, their ptes, and those that hold a page."""
    tables, ptes, pages = sums
    h[NOW_RSS] += pages
    h[LEAF_LINKED] += tables
    if h[PER_SHARER]:
        h[VISITED_FORK] += tables * h[ENTRIES]
        h[PRESENT_FORK] += ptes
        h[REFS_TAKEN] += pages
        if h[RMAP]:
            h[RMAP_ADDED] += pages
            h[NOW_RMAP] += pages
    h[child + MM_POPULATED] += tables
    h[PMDS_WRITTEN] += tables


@jit
def _inherits_any(h: IntArray, vma: int, first: int) -> bool:
    """Return whether a vma from the given one on, within a table, is inherited."""
    while vma and h[vma + VMA_START] < first + h[ENTRIES]:
        if _is_inherited(h, vma):
            return True
        vma = h[vma + VMA_NEXT]
    return False


@jit
def _wrprotect_at_fork(h: IntArray, table: int, place: int, vma: int) -> None:
    """Make the CoWable ptes of a table read-only at fork, unless the design knows that they are."""
    rule = h[WRPROTECT]
    if rule == EACH_PTE_IF_SOLE and h[table + TABLE_COUNT] > 1:
        return
    if rule == EACH_PTE_UNLESS_MARKED and h[table + TABLE_MARKED] == 1:
        return
    first = first_page(h, place)
    while vma and h[vma + VMA_START] < first + h[ENTRIES]:
        if is_private(h, vma):
            low, high = low_index(h, vma, first), high_index(h, vma, first)
            if h[PER_SHARER] == 0:  # else the pass that takes references has visited each pte
                h[VISITED_FORK] += high - low
                whole = high - low == h[ENTRIES]
                h[PRESENT_FORK] += h[table + TABLE_PTES] if whole else filled(h, table, low, high)
            h[WRPROTECTED_FORK] += wrprotect(h, table, low, high)
        vma = h[vma + VMA_NEXT]
    h[table + TABLE_MARKED] = 1 if rule == EACH_PTE_UNLESS_MARKED else 0
