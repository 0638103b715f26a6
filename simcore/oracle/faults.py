"""The verbs for one page: touch, fault, install, copy on write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.events import VmaKind
from simcore.oracle.state import ANON, ZERO, LeafTable, Machine, Mm, Page, Pte, Slot, Vma
from simcore.oracle.tables import reopen, unshare

if TYPE_CHECKING:
    from simcore.oracle.state import Task

ANONYMOUS = (VmaKind.ANON, VmaKind.STACK)


def touch(m: Machine, task: Task, vpn: int, *, write: bool) -> bool:
    """Access one page; returns whether it faulted. The page must lie in a vma that allows the access."""
    slot = task.mm.slots.get(vpn // m.geometry.entries)
    pte = slot.table.ptes.get(vpn % m.geometry.entries) if slot else None
    if slot and pte and (not write or (pte.writable and slot.writable)):
        return False
    vma = task.mm.vma_at(vpn)
    assert vma is not None, "checked before the event began"  # noqa: S101
    handle_fault(m, task.mm, vma, vpn, write=write)
    return True


def handle_fault(m: Machine, mm: Mm, vma: Vma, vpn: int, *, write: bool) -> None:
    """Serve one minor fault: first the table, then the ordinary decision about the page."""
    number, index = divmod(vpn, m.geometry.entries)
    if number not in mm.slots:
        m.set_slot(mm, number, m.new_table(), writable=True)
    if write:
        make_table_ours(m, mm, number)
    slot = mm.slots[number]
    pte = slot.table.ptes.get(index)
    if pte is None:
        install(m, slot, vma, vpn, write=write)
    elif pte.writable:
        m.acts["faults_table_only"] += 1
        m.flush("page")
    else:
        copy_on_write(m, slot.table, index, pte)


def make_table_ours(m: Machine, mm: Mm, number: int) -> None:
    """Before a write: unshare a shared table; reopen a write-protected directory entry of a sole user."""
    slot = mm.slots[number]
    if slot.table.refcount > 1:
        unshare(m, mm, number)
    elif not slot.writable:
        reopen(m, slot)


def install(m: Machine, slot: Slot, vma: Vma, vpn: int, *, write: bool) -> None:
    """Fill an empty pte. A read fault in a linked table fills it for every mm that reaches it."""
    index = vpn % m.geometry.entries
    if vma.kind in ANONYMOUS and not write:
        m.acts["faults_zero_page"] += 1
        m.map_page(slot.table, index, m.zero_page, writable=False)
    elif vma.kind in ANONYMOUS:
        m.acts["faults_anon"] += 1
        m.map_page(slot.table, index, zeroed(m), writable=True)
        slot.table.marked = False
    elif vma.private and write:
        m.acts["faults_cow_copy"] += 1
        m.map_page(slot.table, index, copied(m, m.file_page(vma, vpn)), writable=True)
        slot.table.marked = False
    else:
        m.acts["faults_file_map"] += 1
        page = m.file_page(vma, vpn)
        m.acts["refs_taken"] += 1
        # A shared mapping's pte is as writable as its vma from the first touch on (vm_page_prot).
        m.map_page(slot.table, index, page, writable=vma.writable and not vma.private)


def copy_on_write(m: Machine, table: LeafTable, index: int, pte: Pte) -> None:
    """Write to a present, read-only pte: reuse an anonymous page that no other pte holds, else copy."""
    if pte.page.kind == ANON and pte.page.pte_mapcount == 1:
        m.acts["faults_cow_reuse"] += 1
        pte.writable = True
    else:
        m.acts["faults_cow_copy"] += 1
        fresh = zeroed(m) if pte.page.kind == ZERO else copied(m, pte.page)
        m.unmap_page(table, index)
        m.map_page(table, index, fresh, writable=True)
    table.marked = False
    m.flush("page")


def zeroed(m: Machine) -> Page:
    """Allocate an anonymous page full of zeroes."""
    m.acts["pages_zeroed"] += 1
    page = m.new_page(ANON)
    page.stamp = m.zero_page.stamp
    return page


def copied(m: Machine, source: Page) -> Page:
    """Allocate an anonymous page with another page's content."""
    m.acts["pages_copied"] += 1
    page = m.new_page(ANON)
    page.stamp = source.stamp
    return page
