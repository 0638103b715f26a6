"""The verbs for one page: touch, fault, install, copy on write, bring back from swap."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simcore.events import ANONYMOUS
from simcore.oracle.huge import map_huge, split, write_huge
from simcore.oracle.sharing import make_own
from simcore.oracle.state import ANON, ZERO, LeafTable, Machine, Mm, Page, Slot, Vma

if TYPE_CHECKING:
    from simcore.oracle.state import Task


def touch(m: Machine, task: Task, vpn: int, *, write: bool) -> bool:
    """Access one page; returns whether it faulted. The page must lie in a vma that allows the access."""
    slot = task.mm.slots.get(vpn // m.geometry.entries)
    pte = slot.table.ptes.get(vpn % m.geometry.entries) if slot else None
    if slot and pte and not pte.swap and (not write or (pte.writable and slot.writable)):
        return False
    vma = task.mm.vma_at(vpn)
    assert vma is not None, "checked before the event began"  # noqa: S101
    handle_fault(m, task.mm, vma, vpn, write=write)
    return True


def handle_fault(m: Machine, mm: Mm, vma: Vma, vpn: int, *, write: bool) -> None:
    """Serve one fault: first the table, then the ordinary decision about the page."""
    number, index = divmod(vpn, m.geometry.entries)
    had_table = number in mm.slots
    if not had_table and m.may_be_huge(vma, number):
        map_huge(m, mm, number, write=write)
        anon_vma_for(m, mm, vma)
        return
    if had_table and mm.slots[number].table.huge:
        if write_huge(m, mm.slots[number].table):
            return
        split(m, mm.slots[number].table)
    if not had_table:
        provide_table(m, mm, vma, number)
    elif needs_own(m, mm.slots[number], vma, number, write=write):
        make_own(m, mm, number)
    slot = mm.slots[number]
    pte = slot.table.ptes.get(index)
    if pte is None:
        install(m, mm, vma, vpn, write=write)
    elif pte.swap:
        swap_in(m, slot.table, index, write=write)
    elif not write or pte.writable:
        m.acts["faults_table_only"] += 1
        if had_table:
            m.flush("page")
    else:
        copy_on_write(m, mm, vma, vpn)


def provide_table(m: Machine, mm: Mm, vma: Vma, number: int) -> None:
    """Fill an empty slot: with a new table, or with the one that the mapped file has for this place."""
    key = file_key(m, vma, number)
    shared = m.file_tables.get(key) if key else None
    if shared is None:
        table = m.new_table(mm)
        if key:
            table.file_key = key
            m.file_tables[key] = table
    else:
        table = shared
        table.refcount += 1
        m.levels["rss_pages"] += table.mapped()
        m.acts["leaf_tables_linked"] += 1
        m.charge_sharer(table, mm)
    m.set_slot(mm, number, table, writable=True)


def file_key(m: Machine, vma: Vma, number: int) -> tuple[int, int, bool] | None:
    """Return under which key mms share the table of a slot through its file: (file, first page, writable).

    None if they do not: the mapping must cover the table, and be shared, or private and never written.
    """
    first, last = m.span(number)
    alike = not vma.private or (not vma.writable and not vma.anon_vma)
    if m.design.file_tables == "shared" and vma.file >= 0 and alike and vma.covers((first, last)):
        return vma.file, vma.file_index(first), vma.writable
    return None


def needs_own(m: Machine, slot: Slot, vma: Vma, number: int, *, write: bool) -> bool:
    """Return whether a fault must first make the table of its slot the mm's own, or reopen its entry."""
    linked = slot.table.refcount > 1
    if slot.table.file_key is not None:
        return False
    if not write:
        on = m.design.unshare_on
        return (on == "write_and_read" and linked) or (on == "any_fault" and not slot.writable)
    if slot.writable and is_exempt(m, vma, number):
        return False
    return linked or not slot.writable


def is_exempt(m: Machine, vma: Vma, number: int) -> bool:
    """Return whether a vma is a writable shared mapping whose writes leave a linked table linked."""
    rule = m.design.shared_writes == "exempt_covered"
    return rule and not vma.private and vma.writable and vma.covers(m.span(number))


def install(m: Machine, mm: Mm, vma: Vma, vpn: int, *, write: bool) -> None:
    """Fill an empty pte. A fault in a table that stays linked fills it for every mm that reaches it."""
    table, index = mm.slots[vpn // m.geometry.entries].table, vpn % m.geometry.entries
    if vma.kind in ANONYMOUS and not write:
        m.acts["faults_zero_page"] += 1
        m.map_page(table, index, m.zero_page, writable=False)
    elif vma.kind in ANONYMOUS:
        m.acts["faults_anon"] += 1
        m.map_page(table, index, zeroed(m), writable=True)
        privately_written(m, mm, vma, table)
    elif vma.private and write:
        m.acts["faults_cow_copy"] += 1
        m.map_page(table, index, copied(m, m.file_page(vma, vpn)), writable=True)
        privately_written(m, mm, vma, table)
    else:
        m.acts["faults_file_map"] += 1
        map_file_page(m, table, vma, vpn, write=write)
        if not write and m.design.fault_around == "64_kib":
            map_around(m, table, vma, vpn)


def map_file_page(m: Machine, table: LeafTable, vma: Vma, vpn: int, *, write: bool = False) -> None:
    """Put a page of a file in a pte; that of a shared mapping is as writable as its vma (vm_page_prot).

    Where the file system is to be told of a page's first write, only that write makes it so.
    """
    page = m.file_page(vma, vpn)
    m.acts["refs_taken"] += m.weight(table)
    writable = vma.writable and not vma.private and (write or not m.notifies(vma))
    m.map_page(table, vpn % m.geometry.entries, page, writable=writable)
    table.ptes[vpn % m.geometry.entries].dirty = write and m.notifies(vma)


def map_around(m: Machine, table: LeafTable, vma: Vma, vpn: int) -> None:
    """Fill the empty ptes of 64 KiB around a page, as far as vma, table and page cache reach.

    The window begins at the aligned address or, if that is later, with the vma, and is as long in either case.
    """
    pages, entries = m.geometry.fault_around_pages, m.geometry.entries
    first, last = m.span(vpn // entries)
    start = max(vpn - vpn % pages, vma.start, first)
    for near in range(start, min(start + pages, vma.end, last)):
        if near % entries not in table.ptes and m.in_cache(vma, near):
            m.acts["ptes_mapped_around"] += 1
            map_file_page(m, table, vma, near)


def copy_on_write(m: Machine, mm: Mm, vma: Vma, vpn: int) -> None:
    """Write to a present, read-only pte: reuse an anonymous page that nobody else holds, else copy.

    A page of a shared mapping is read-only only where its first write is to be told.
    """
    table, index = mm.slots[vpn // m.geometry.entries].table, vpn % m.geometry.entries
    pte = table.ptes[index]
    if not vma.private:
        m.acts["faults_cow_reuse"] += 1
        pte.writable = pte.dirty = True
    elif pte.page.kind == ANON and m.alone(table, pte.page):
        m.acts["faults_cow_reuse"] += 1
        pte.writable = pte.page.exclusive = True
        table.marked = False
    else:
        m.acts["faults_cow_copy"] += 1
        replace_page(m, table, index)
        privately_written(m, mm, vma, table)
    m.flush("page")


def replace_page(m: Machine, table: LeafTable, index: int) -> None:
    """Give a present pte a writable copy of its page."""
    old = table.ptes[index].page
    fresh = zeroed(m) if old.kind == ZERO else copied(m, old)
    m.unmap_page(table, index)
    m.map_page(table, index, fresh, writable=True)


def swap_in(m: Machine, table: LeafTable, index: int, *, write: bool) -> None:
    """Make the page behind a swap entry present: read it back unless another pte has it present already.

    A write makes it writable if no other pte leads to it, else it copies it at once.
    """
    m.acts["faults_swap"] += 1
    page = table.ptes.pop(index).page
    page.swapcount -= 1
    alone = page.pte_mapcount + page.swapcount == 0
    if page.pte_mapcount == 0:
        m.acts["pages_read_back"] += 1
        m.acts["pages_allocated"] += 1
        m.levels["pages"] += 1
    m.acts["refs_taken"] += m.weight(table) - (page.pte_mapcount == 0)
    m.map_page(table, index, page, writable=write and alone)
    page.exclusive = alone
    if write and not alone:
        replace_page(m, table, index)
    if write:
        table.marked = False


def privately_written(m: Machine, mm: Mm, vma: Vma, table: LeafTable) -> None:
    """Note that a table has a writable CoWable pte, and give the vma an anon_vma if it has none yet."""
    table.marked = False
    anon_vma_for(m, mm, vma)


def anon_vma_for(m: Machine, mm: Mm, vma: Vma) -> None:
    """Give a vma an anon_vma if it has none yet."""
    if not vma.anon_vma:
        m.anon_vmas += 1
        mm.vmas[mm.vmas.index(vma)] = replace(vma, anon_vma=m.anon_vmas)


def zeroed(m: Machine) -> Page:
    """Allocate an anonymous page full of zeroes."""
    m.acts["pages_zeroed"] += 1
    page = m.new_page(ANON)
    page.stamp, page.exclusive = m.zero_page.stamp, True
    return page


def copied(m: Machine, source: Page) -> Page:
    """Allocate an anonymous page with another page's content."""
    m.acts["pages_copied"] += 1
    page = m.new_page(ANON)
    page.stamp, page.exclusive = source.stamp, True
    return page
