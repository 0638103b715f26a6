"""The verbs for huge pages of anonymous memory: map, write, split, copy, zap.

A huge page is as large as the span of a leaf table. Its directory entry keeps such a table for the day on which it is
split. Here the table always says, pte by pte, what a split would give; ``LeafTable.huge`` says that the directory
entry stands for them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.oracle.state import ANON, ZERO, Folio, Page

if TYPE_CHECKING:
    from collections import Counter

    from simcore.oracle.state import LeafTable, Machine, Mm


def map_huge(m: Machine, mm: Mm, number: int, *, write: bool) -> None:
    """Fill the empty directory entry of a slot: with a new huge page, or for a read with the huge zero page."""
    table = m.new_table(mm)
    m.set_slot(mm, number, table, writable=True)
    table.huge = True
    if write:
        new_huge_page(m, table)
    else:
        m.acts["faults_huge_zero"] += 1
        for index in range(m.geometry.entries):
            m.map_page(table, index, m.zero_page, writable=False)


def new_huge_page(m: Machine, table: LeafTable) -> None:
    """Let the entry of an empty table map a new, cleared huge page, writable."""
    m.acts["faults_huge"] += 1
    m.acts["huge_pages_allocated"] += 1
    m.levels["pages"] += m.geometry.entries
    folio = Folio()
    rmap = m.acts["rmap_added"]
    for index in range(m.geometry.entries):
        page = Page(ANON, stamp=m.zero_page.stamp, exclusive=True, folio=folio)
        m.map_page(table, index, page, writable=True)
    count_one(m.acts, "rmap_added", rmap)


def write_huge(m: Machine, table: LeafTable) -> bool:
    """Serve a write to a read-only huge page by its directory entry; returns whether that could be done.

    The huge zero page is replaced, a huge page of which nobody else maps any part is reused.
    """
    page = table.ptes[0].page
    if page.kind == ZERO:
        table.ptes.clear()
        new_huge_page(m, table)
    elif m.alone(table, page):
        m.acts["faults_huge_reuse"] += 1
        for pte in table.ptes.values():
            pte.writable = pte.page.exclusive = True
    else:
        return False
    m.flush("page")
    return True


def split(m: Machine, table: LeafTable) -> None:
    """Let ptes map what the directory entry mapped: the same pages, writable if it was."""
    m.acts["huge_split"] += 1
    table.huge = False


def copy_huge(m: Machine, source: LeafTable, target: LeafTable) -> None:
    """Copy a directory entry to the child of a fork, read-only on both sides."""
    m.acts["huge_copied_fork"] += 1
    target.huge = True
    refs, rmap = m.acts["refs_taken"], m.acts["rmap_added"]
    for index, pte in source.ptes.items():
        pte.writable = pte.page.exclusive = False
        m.copy_pte(pte, target, index, writable=False)
    count_one(m.acts, "refs_taken", refs)
    count_one(m.acts, "rmap_added", rmap)


def zap_huge(m: Machine, table: LeafTable) -> None:
    """Clear a directory entry; the table that it kept is left empty."""
    m.acts["huge_zapped"] += 1
    refs, rmap = m.acts["refs_dropped"], m.acts["rmap_removed"]
    for index in list(table.ptes):
        m.unmap_page(table, index)
    count_one(m.acts, "refs_dropped", refs)
    count_one(m.acts, "rmap_removed", rmap)
    table.huge = False


def count_one(acts: Counter[str], act: str, before: int) -> None:
    """Let an act that was counted pte by pte, if at all, count once: it was done to the huge page."""
    acts[act] = before + (acts[act] > before)
