"""mprotect: linked tables are unshared, ptes and vmas get another permission."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import CHANGED_MPROTECT, VISITED_MPROTECT
from simcore.engine.frames import row_of
from simcore.engine.rows import within, words_of
from simcore.engine.sharing import separate
from simcore.engine.tables import diverge, table_at
from simcore.engine.vmas import first_page, is_private, number_of, split, vma_from
from simcore.heap import (
    ENTRIES,
    LINKS,
    PRESENT,
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

    Not where fork links tables of one anonymous vma only: there nobody gains a permission by it. CoWable ptes are
    never made writable here: their next write is a fault.
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
    h[VISITED_MPROTECT] += high - low
    if writable and is_private(h, vma):
        return
    words = words_of(low, high)
    table = table_at(h, mm, place)
    if _changing(h, table, words, what) == 0:
        return
    table = diverge(h, mm, place)
    present, write = row_of(h, table, PRESENT), row_of(h, table, WRITE)
    changed = _changing(h, table, words, what)
    for word in range(words[0], words[1]):
        bits = within(word, low, high) & h[present + word]
        h[write + word] = h[write + word] | bits if writable else h[write + word] & ~bits
    h[table + TABLE_WRITABLE] += changed if writable else -changed
    h[CHANGED_MPROTECT] += changed


@jit
def _changing(h: IntArray, table: int, words: tuple[int, int], what: tuple[int, int, int]) -> int:
    """Return how many present ptes have another permission than they are to have."""
    present, write = row_of(h, table, PRESENT), row_of(h, table, WRITE)
    changing = 0
    for word in range(words[0], words[1]):
        bits = within(word, what[0], what[1]) & h[present + word]
        changing += popcount(bits & ~h[write + word] if what[2] else bits & h[write + word])
    return changing
