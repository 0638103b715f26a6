"""New pages: ptes that become writable, and what a page that is new to a table costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    FAULTS_COW_COPY,
    PAGES_ALLOCATED,
    PAGES_COPIED,
    REFS_DROPPED,
    RMAP_ADDED,
    RMAP_REMOVED,
    TLB_PAGE,
    flush,
)
from simcore.engine.frames import row_of
from simcore.heap import ANON_VMAS, NOW_PAGES, NOW_RMAP, PRESENT, RMAP, TABLE_MARKED, VMA_ANON, WRITE
from simcore.jit import jit

if TYPE_CHECKING:
    from simcore.events import IntArray

Words = tuple[int, int]


@jit
def fill(h: IntArray, table: int, row: int, words: Words) -> None:
    """Make ptes present and writable."""
    present, write = row_of(h, table, PRESENT), row_of(h, table, WRITE)
    for word in range(words[0], words[1]):
        h[present + word] |= h[row + word]
        h[write + word] |= h[row + word]


@jit
def new_page_each(h: IntArray, count: int) -> None:
    """Count one new page with its first mapping in the acts, and so many of them in the levels."""
    h[PAGES_ALLOCATED] += 1
    h[NOW_PAGES] += count
    if h[RMAP]:
        h[RMAP_ADDED] += 1
        h[NOW_RMAP] += count


@jit
def copied_each(h: IntArray, count: int) -> None:
    """Count in the acts one page copied in place of a page that a pte held; so many of them in the levels."""
    h[FAULTS_COW_COPY] = 1
    h[PAGES_COPIED] = 1
    h[REFS_DROPPED] += 1
    if h[RMAP]:
        h[RMAP_REMOVED] += 1
        h[NOW_RMAP] -= count
    new_page_each(h, count)
    flush(h, TLB_PAGE, 1)


@jit
def privately_written(h: IntArray, vma: int, table: int) -> None:
    """Note that a table has a writable CoWable pte, and give the vma an anon_vma if it has none yet."""
    h[table + TABLE_MARKED] = 0
    if h[vma + VMA_ANON] == 0:
        h[ANON_VMAS] += 1
        h[vma + VMA_ANON] = h[ANON_VMAS]
