"""Reclaim: take pages away from whoever has them, found by walking mms or through the reverse mapping.

A hand goes round over (task, page) in order; it stands for the order of an LRU list, all pages being equally old.
Anonymous pages go to swap, file pages leave the page cache; shm pages and the zero page stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.oracle.sharing import indices
from simcore.oracle.state import ANON, CACHE, Pte

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simcore.oracle.state import LeafTable, Machine, Mm, Page, Vma


def reclaim(m: Machine, wanted: int) -> None:
    """Reclaim pages from the hand on until so many are free or a whole round finds none to unmap."""
    while wanted > 0:
        whole_round, unmapped = m.hand == (-1, -1), 0
        for task, mm, vma, vpn in positions(m):
            if (task, vpn) <= m.hand:
                continue
            m.hand = task, vpn
            before = m.acts["pages_reclaimed"], m.acts["ptes_unmapped_reclaim"]
            look_at(m, mm, vma, vpn)
            wanted -= m.acts["pages_reclaimed"] - before[0]
            unmapped += m.acts["ptes_unmapped_reclaim"] - before[1]
            if wanted == 0:
                return
        m.hand = (-1, -1)
        if whole_round and unmapped == 0:
            return


def positions(m: Machine) -> Iterator[tuple[int, Mm, Vma, int]]:
    """Yield (task, mm, vma, page) for every page of a vma whose slot has a table, in order."""
    for number, task in sorted(m.tasks.items()):
        if task.lender is None:
            for vma in task.mm.vmas:
                for slot in m.slots_of(vma.start, vma.end):
                    if slot in task.mm.slots:
                        for index in indices(m, slot, vma):
                            yield number, task.mm, vma, m.span(slot)[0] + index


def look_at(m: Machine, mm: Mm, vma: Vma, vpn: int) -> None:
    """Look at one pte: under "scan" unmap it, under "rmap" all ptes that hold its page."""
    scans = m.design.reclaim == "scan"
    m.acts["ptes_visited_reclaim"] += scans
    number, index = divmod(vpn, m.geometry.entries)
    table = mm.slots[number].table
    pte = table.ptes.get(index)
    if pte is None or pte.swap or pte.page.kind not in (ANON, CACHE):
        return
    if scans:
        if m.design.rmap == "pte_chain":
            m.acts["rmap_walked"] += pte.page.pte_mapcount
        unmap_one(m, table, index)
    else:
        unmap_all(m, vma, vpn, pte.page)


def unmap_all(m: Machine, vma: Vma, vpn: int, page: Page) -> None:
    """Unmap every pte that holds a page, found through its chain, or through the vmas that may map it."""
    where = vmas_of(m, vma, vpn, page)
    walked = page.pte_mapcount if m.design.rmap == "pte_chain" else len(where)
    m.acts["rmap_walked"] += walked
    m.acts["ptes_visited_reclaim"] += walked
    for mm, at in where:
        number, index = divmod(at, m.geometry.entries)
        slot = mm.slots.get(number)
        pte = slot.table.ptes.get(index) if slot else None
        if slot and pte and pte.page is page and not pte.swap:
            unmap_one(m, slot.table, index)


def vmas_of(m: Machine, vma: Vma, vpn: int, page: Page) -> list[tuple[Mm, int]]:
    """Return (mm, page) for every vma that may map what a vma maps at vpn: same anon_vma, or same page of a file."""
    found = []
    for mm in m.mms():
        for other in mm.vmas:
            at = vpn if page.kind == ANON else other.start + page.index - other.offset
            alike = other.anon_vma == vma.anon_vma if page.kind == ANON else other.file == page.file
            if alike and other.start <= at < other.end:
                found.append((mm, at))
    return found


def unmap_one(m: Machine, table: LeafTable, index: int) -> None:
    """Take a page out of one pte: an anonymous page leaves a swap entry; without ptes the page is reclaimed."""
    page = table.ptes[index].page
    walked = m.acts["rmap_walked"]
    m.unmap_page(table, index)
    m.acts["rmap_walked"] = walked
    m.acts["ptes_unmapped_reclaim"] += 1
    m.flush("page", reached=table.refcount)
    if page.kind == ANON:
        table.ptes[index] = Pte(page, writable=False, swap=True)
        page.swapcount += 1
    if page.pte_mapcount == 0:
        m.acts["pages_reclaimed"] += 1
        if page.kind == ANON:
            m.acts["pages_swapped_out"] += 1
        else:
            m.evicted[page.file, page.index] = m.file_pages.pop((page.file, page.index))
            m.levels["cache_pages"] -= 1
