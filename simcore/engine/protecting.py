"""mprotect: linked tables are unshared, ptes and vmas get another permission."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import CHANGED_MPROTECT, HUGE_CHANGED_MPROTECT, VISITED_MPROTECT
from simcore.engine.frames import row_of
from simcore.engine.huge import split_huge
from simcore.engine.rows import mask, within, words_of
from simcore.engine.sharing import separate
from simcore.engine.tables import diverge, extra_of, table_at
from simcore.engine.vmas import first_page, is_private, notifies, number_of, split, vma_from
from simcore.heap import (
    ENTRIES,
    KIND_A,
    LINKS,
    LOCKED,
    PRESENT,
    REOPENS,
    ROW,
    TABLE_EXTRA,
    TABLE_HUGE,
    TABLE_KEY,
    TABLE_WRITABLE,
    VMA_END,
    VMA_NEXT,
    VMA_SHIFT,
    VMA_START,
    VMA_WRITABLE,
    WHOLE_ANON,
    WRITE,
)
from simcore.jit import jit, popcount
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray


@unit
def protect(h: IntArray, mm: int, start: int, end: int, writable: int) -> None:
    """Make pages [start, end) writable or read-only; linked tables with such pages are unshared first.

    Not where fork links tables of one anonymous vma only: there nobody gains a permission by it.
    """
    vma = vma_from(h, mm, start)
    while vma and h[vma + VMA_START] < end:
        if h[vma + VMA_WRITABLE] == writable:
            vma = h[vma + VMA_NEXT]
            continue
        low, high = max(start, h[vma + VMA_START]), min(end, h[vma + VMA_END])
        shift = h[vma + VMA_SHIFT]
        for place in range(number_of(h, low) - shift, number_of(h, high - 1) - shift + 1):
            if table_at(h, mm, place):
                first = first_page(h, place)
                indices = (max(low - first, 0), min(high - first, h[ENTRIES]))
                if h[LINKS] != WHOLE_ANON or h[table_at(h, mm, place) + TABLE_KEY]:
                    separate(h, mm, place)
                _change_ptes(h, mm, place, vma, (indices[0], indices[1], writable))
        if h[vma + VMA_START] < start:
            vma = split(h, mm, vma, start)
        if h[vma + VMA_END] > end:
            split(h, mm, vma, end)
        h[vma + VMA_WRITABLE] = writable
        vma = h[vma + VMA_NEXT]


@jit
def _change_ptes(h: IntArray, mm: int, place: int, vma: int, what: tuple[int, int, int]) -> None:
    """Change the permission of present ptes of a table of one mm's own. ``what``: indices [low, high), the permission."""
    low, high, writable = what
    table = table_at(h, mm, place)
    whole = h[table + TABLE_HUGE] == 1 and high - low == h[ENTRIES]
    if h[table + TABLE_HUGE] and not whole:
        table = diverge(h, mm, place)
        split_huge(h, table)
    h[VISITED_MPROTECT] += 0 if whole else high - low
    changed = _select_changing(h, table, vma, what)
    if changed == 0:
        return
    table = diverge(h, mm, place)
    hit, write, words = mask(h, KIND_A), row_of(h, table, WRITE), words_of(low, high)
    reopens = (h[REOPENS] and is_private(h, vma)) or notifies(h, vma)
    locked = extra_of(h, table) + LOCKED * h[ROW] if reopens else 0
    for word in range(words[0], words[1]):
        h[write + word] ^= h[hit + word]
        if reopens:
            h[locked + word] ^= h[hit + word]
    h[table + TABLE_WRITABLE] += changed if writable else -changed
    if whole:
        h[HUGE_CHANGED_MPROTECT] += 1
    else:
        h[CHANGED_MPROTECT] += changed


@jit
def _select_changing(h: IntArray, table: int, vma: int, what: tuple[int, int, int]) -> int:
    """Set row KIND_A to the present ptes that get another permission; returns how many.

    A pte of private memory becomes writable only if its page is known to be exclusive, one of a mapping that tells of
    first writes only if it is dirty: row LOCKED.
    """
    low, high, writable = what
    hit, present, write, extra = mask(h, KIND_A), row_of(h, table, PRESENT), row_of(h, table, WRITE), 0
    words = words_of(low, high)
    by_row = writable and (is_private(h, vma) or notifies(h, vma))
    if by_row:
        extra = h[table + TABLE_EXTRA]
        if extra == 0:
            return 0
    changing = 0
    for word in range(words[0], words[1]):
        bits = within(word, low, high) & h[present + word]
        if by_row:
            bits &= h[extra + LOCKED * h[ROW] + word]
        elif writable:
            bits &= ~h[write + word]
        else:
            bits &= h[write + word]
        h[hit + word] = bits
        changing += popcount(bits)
    return changing
