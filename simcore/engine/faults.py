"""Touches: which pages of a read or write fault, what the first fault of a table does to the table, in what order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.around import map_blocks
from simcore.engine.count import KIND_READ_FAULT, KIND_WRITE_FAULT, LEAF_LINKED, record
from simcore.engine.frames import row_of
from simcore.engine.huge import map_huge, may_be_huge, split_huge, write_huge
from simcore.engine.records import charge_sharer, file_record, set_slot
from simcore.engine.rows import BELOW, bit_of, mask, rest_of, within, word_of, words_of
from simcore.engine.serve import map_zero_pages, serve_write, table_only
from simcore.engine.serve_files import map_file_pages
from simcore.engine.sharing import make_own
from simcore.engine.swapping import swap_in
from simcore.engine.tables import diverge, is_linked, new_table, table_at
from simcore.engine.vmas import covers, first_page, is_private, number_of, vma_from
from simcore.events import Op
from simcore.heap import (
    ANY_FAULT,
    AROUND,
    ENTRIES,
    EXEMPT,
    FILE_TABLE,
    FILE_TABLES,
    KIND_A,
    MM_SLOTS,
    NOW_RSS,
    PRESENT,
    REST,
    ROW,
    SHIFT,
    SLOT_WRITABLE,
    SWAP,
    TABLE_COUNT,
    TABLE_EXTRA,
    TABLE_HUGE,
    TABLE_KEY,
    TABLE_KEY_NEXT,
    TABLE_KEY_PAGE,
    TABLE_MAPPED,
    TABLE_WRITABLE,
    THP,
    TOUCHED,
    UNSHARE_ON,
    VMA_ANON,
    VMA_END,
    VMA_FILE,
    VMA_OFFSET,
    VMA_SHIFT,
    VMA_START,
    VMA_WRITABLE,
    WRITE,
    WRITE_AND_READ,
)
from simcore.jit import jit, lowest
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray

Words = tuple[int, int]
WRITES = Op.WRITE.value


@unit
def touch(h: IntArray, mm: int, event: IntArray, pages: IntArray) -> None:
    """Read or write the pages of an event: a range table by table and vma by vma, listed ones one after another."""
    at, left, stride = event[2], event[3], event[4]
    writes = event[0] == WRITES
    entries = h[ENTRIES]
    vma = 0
    while left > 0:
        vpn = at if stride else pages[at]
        if vma == 0 or vpn < h[vma + VMA_START] or vpn >= h[vma + VMA_END]:
            vma = vma_from(h, mm, vpn)
        number = number_of(h, vpn)
        first = number << h[SHIFT]
        place, low = number - h[vma + VMA_SHIFT], vpn - first
        here = 1
        if stride:
            limit = min(h[vma + VMA_END] - first, entries)
            here = left if stride == 1 else (limit - low + stride - 1) // stride
            here = min(left, here, limit - low)
        words = words_of(low, low + (here - 1) * stride + 1)
        if stride or _may_fault(h, mm, place, low, writes):
            _select(h, words, low, here, stride)
            if writes:
                write_table(h, mm, vma, place, words)
            else:
                read_table(h, mm, vma, place, words)
        at += here * stride if stride else 1
        left -= here


@jit
def _may_fault(h: IntArray, mm: int, place: int, index: int, writes: bool) -> bool:  # noqa: FBT001 - numba takes no keywords
    """Return whether an access to one pte faults."""
    slot = h[mm + MM_SLOTS + place]
    word, bit = word_of(index), bit_of(index)
    if slot == 0 or h[row_of(h, slot >> 1, PRESENT) + word] & bit == 0:
        return True
    return writes and (slot & SLOT_WRITABLE == 0 or h[row_of(h, slot >> 1, WRITE) + word] & bit == 0)


@jit
def _select(h: IntArray, words: Words, low: int, count: int, stride: int) -> None:
    """Set the row TOUCHED to so many pages from an index on, ``stride`` apart."""
    touched = mask(h, TOUCHED)
    if stride <= 1:
        for word in range(words[0], words[1]):
            h[touched + word] = within(word, low, low + count)
        return
    for word in range(words[0], words[1]):
        h[touched + word] = 0
    for index in range(low, low + count * stride, stride):
        h[touched + word_of(index)] |= bit_of(index)


@unit
def write_table(h: IntArray, mm: int, vma: int, place: int, words: Words) -> None:  # noqa: C901, PLR0912 - one case a rule
    """Write to the pages of row TOUCHED, which lie in one vma and one table."""
    slot = h[mm + MM_SLOTS + place]
    table = slot >> 1
    first = -1  # the page whose fault changes the table
    if slot == 0 and h[THP] and may_be_huge(h, vma, place):
        map_huge(h, mm, vma, place, True)  # noqa: FBT003 - numba takes no keywords
        return
    if slot == 0:
        first = _first_touched(h, words)
        _provide_table(h, mm, vma, place)
    elif h[table + TABLE_HUGE]:
        if h[table + TABLE_WRITABLE] or write_huge(h, diverge(h, mm, place)):
            return
        first = _first_touched(h, words)
        split_huge(h, table_at(h, mm, place))
    elif not is_linked(h, table):
        if h[table + TABLE_COUNT] > 1 and _first_write_fault(h, table, words) >= 0:
            diverge(h, mm, place)
    elif h[table + TABLE_KEY] == 0:
        closed = slot & SLOT_WRITABLE == 0
        if (closed or h[table + TABLE_COUNT] > 1) and (closed or not is_exempt(h, vma, place)):
            first = _first_touched(h, words) if closed else _first_write_fault(h, table, words)
            if first >= 0:
                make_own(h, mm, place)
    turns = 1
    if first >= 0:
        table = table_at(h, mm, place)
        right = h[row_of(h, table, PRESENT) + word_of(first)] & h[row_of(h, table, WRITE) + word_of(first)]
        if right & bit_of(first):
            table_only(h, KIND_WRITE_FAULT, slot != 0)
            _keep_behind(h, words, first)
        else:
            turns = _set_aside(h, words, first)
    for turn in range(turns):
        serve_write(h, mm, vma, place, words)
        if turn + 1 < turns:
            _bring_back(h, words)


@jit
def _keep_behind(h: IntArray, words: Words, index: int) -> None:
    """Take a page and those before it out of the row TOUCHED."""
    touched = mask(h, TOUCHED)
    for word in range(words[0], word_of(index)):
        h[touched + word] = 0
    h[touched + word_of(index)] &= ~BELOW[(index & 63) + 1]


@jit
def _set_aside(h: IntArray, words: Words, index: int) -> int:
    """Leave one page in the row TOUCHED, and move those behind it to the row REST; returns 2 if there are any, else 1."""
    _keep_behind(h, words, index)
    touched, rest = mask(h, TOUCHED), mask(h, REST)
    left = 0
    for word in range(words[0], words[1]):
        h[rest + word] = h[touched + word]
        left |= h[touched + word]
        h[touched + word] = 0
    h[touched + word_of(index)] = bit_of(index)
    return 2 if left else 1


@jit
def _bring_back(h: IntArray, words: Words) -> None:
    """Move the row REST back to TOUCHED."""
    touched, rest = mask(h, TOUCHED), mask(h, REST)
    for word in range(words[0], words[1]):
        h[touched + word] = h[rest + word]


@unit
def read_table(h: IntArray, mm: int, vma: int, place: int, words: Words) -> None:
    """Read the pages of row TOUCHED, which lie in one vma and one table."""
    slot = h[mm + MM_SLOTS + place]
    table = slot >> 1
    first = -1  # the page whose fault changes the table
    if slot == 0 and h[THP] and may_be_huge(h, vma, place):
        map_huge(h, mm, vma, place, False)  # noqa: FBT003 - numba takes no keywords
        return
    if slot == 0:
        first = _first_touched(h, words)
        _provide_table(h, mm, vma, place)
    else:
        absent = _first_absent(h, table, words)
        if absent < 0:
            return
        if not is_linked(h, table):
            diverge(h, mm, place)
        elif h[table + TABLE_KEY] == 0 and _read_needs_own(h, table, slot):
            make_own(h, mm, place)
            first = absent
    turns = 1
    if first >= 0:
        if h[row_of(h, table_at(h, mm, place), PRESENT) + word_of(first)] & bit_of(first):
            table_only(h, KIND_READ_FAULT, slot != 0)
            _keep_behind(h, words, first)
        else:
            turns = _set_aside(h, words, first)
    for turn in range(turns):
        _serve_read(h, mm, vma, place, words)
        if turn + 1 < turns:
            _bring_back(h, words)


@jit
def _read_needs_own(h: IntArray, table: int, slot: int) -> bool:
    """Return whether a read fault must first make a linked table the mm's own."""
    if h[UNSHARE_ON] == WRITE_AND_READ:
        return h[table + TABLE_COUNT] > 1
    return h[UNSHARE_ON] == ANY_FAULT and slot & SLOT_WRITABLE == 0


@jit
def _serve_read(h: IntArray, mm: int, vma: int, place: int, words: Words) -> None:
    """Serve reads of pages of one vma in one table; those that are present do not fault."""
    table = table_at(h, mm, place)
    touched, absent, present = mask(h, TOUCHED), mask(h, KIND_A), row_of(h, table, PRESENT)
    left = 0
    for word in range(words[0], words[1]):
        bits = h[touched + word] & ~h[present + word]
        if bits and h[table + TABLE_EXTRA]:
            swapped = bits & h[h[table + TABLE_EXTRA] + SWAP * h[ROW] + word]
            bits ^= swapped
            while swapped:
                swap_in(h, mm, place, word * 64 + lowest(swapped), False)  # noqa: FBT003 - numba takes no keywords
                record(h, KIND_READ_FAULT, 1)
                swapped = rest_of(swapped)
        h[absent + word] = bits
        left |= bits
    if left == 0:
        return
    if h[vma + VMA_FILE] < 0:
        map_zero_pages(h, table, words)
    elif h[AROUND] > 1:
        map_blocks(h, vma, place, table, words)
    else:
        map_file_pages(h, vma, place, table, (words[0], words[1], KIND_READ_FAULT))


@jit
def _first_touched(h: IntArray, words: Words) -> int:
    """Return the lowest index of the row TOUCHED."""
    touched = mask(h, TOUCHED)
    for word in range(words[0], words[1]):
        if h[touched + word]:
            return word * 64 + lowest(h[touched + word])
    return -1


@jit
def _first_write_fault(h: IntArray, table: int, words: Words) -> int:
    """Return the lowest index of the row TOUCHED whose pte is not present and writable, -1 if there is none."""
    touched, present, write = mask(h, TOUCHED), row_of(h, table, PRESENT), row_of(h, table, WRITE)
    for word in range(words[0], words[1]):
        bits = h[touched + word] & ~(h[present + word] & h[write + word])
        if bits:
            return word * 64 + lowest(bits)
    return -1


@jit
def _first_absent(h: IntArray, table: int, words: Words) -> int:
    """Return the lowest index of the row TOUCHED whose pte is not present, -1 if there is none."""
    touched, present = mask(h, TOUCHED), row_of(h, table, PRESENT)
    for word in range(words[0], words[1]):
        bits = h[touched + word] & ~h[present + word]
        if bits:
            return word * 64 + lowest(bits)
    return -1


@jit
def is_exempt(h: IntArray, vma: int, place: int) -> bool:
    """Return whether a vma is a writable shared mapping whose writes leave a linked table linked."""
    if h[EXEMPT] == 0 or h[vma + VMA_WRITABLE] == 0 or is_private(h, vma):
        return False
    return covers(h, vma, first_page(h, place))


@jit
def _provide_table(h: IntArray, mm: int, vma: int, place: int) -> None:
    """Fill an empty slot: with a new table, or with the one that the mapped file has for this place."""
    if h[FILE_TABLES] == 0 or not _shares_through_file(h, vma, place):
        set_slot(h, mm, place, new_table(h, mm) * 2 + SLOT_WRITABLE)
        return
    page = h[vma + VMA_OFFSET] + first_page(h, place) - h[vma + VMA_START]
    key = page * 2 + h[vma + VMA_WRITABLE]
    link = file_record(h, h[vma + VMA_FILE]) + FILE_TABLE
    table = h[link]
    while table and h[table + TABLE_KEY_PAGE] != key:
        table = h[table + TABLE_KEY_NEXT]
    if table:
        h[table + TABLE_COUNT] += 1
        h[NOW_RSS] += h[table + TABLE_MAPPED]
        h[LEAF_LINKED] += 1
        charge_sharer(h, table, mm)
    else:
        table = new_table(h, mm)
        h[table + TABLE_KEY] = h[vma + VMA_FILE] + 1
        h[table + TABLE_KEY_PAGE] = key
        h[table + TABLE_KEY_NEXT] = h[link]
        h[link] = table
    set_slot(h, mm, place, table * 2 + SLOT_WRITABLE)


@jit
def _shares_through_file(h: IntArray, vma: int, place: int) -> bool:
    """Return whether mms share the table of a slot through its file: all of it one mapping that nobody copies."""
    alike = not is_private(h, vma) or (h[vma + VMA_WRITABLE] == 0 and h[vma + VMA_ANON] == 0)
    return h[vma + VMA_FILE] >= 0 and alike and covers(h, vma, first_page(h, place))
