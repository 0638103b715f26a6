"""The verbs for whole tables: copy, link, unshare, reopen, drop, unmap."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simcore.oracle.state import LeafTable, Machine, Mm, Slot, Vma


def copy_tables(m: Machine, parent: Mm, child: Mm) -> None:
    """Fork by eager copy: every pte of every vma; a table is copied even if none of a vma's ptes is present."""
    for vma in parent.vmas:
        for number in m.slots_of(vma.start, vma.end):
            if number not in parent.slots:
                continue
            source = parent.slots[number].table
            if number not in child.slots:
                m.set_slot(child, number, m.new_table(), writable=True)
            target = child.slots[number].table
            m.acts["ptes_wrprotected_fork"] += wrprotect(m, source, number, vma)
            for index in indices(m, number, vma):
                m.acts["ptes_visited_fork"] += 1
                if index in source.ptes:
                    m.acts["ptes_present_fork"] += 1
                    m.acts["ptes_copied_fork"] += 1
                    m.copy_pte(source.ptes[index], target, index)


def link_tables(m: Machine, parent: Mm, child: Mm) -> None:
    """Fork by sharing: the child's slots point to the parent's tables, protected as the design says."""
    by_pmd = m.design.wrprotect == "pmd"
    for number, slot in sorted(parent.slots.items()):
        if by_pmd and slot.writable:
            slot.writable = False
            m.acts["pmds_written"] += 1
        if not by_pmd:
            wrprotect_table(m, slot.table, number, parent)
        slot.table.refcount += 1
        m.levels["rss_pages"] += slot.table.mapped()
        m.acts["leaf_tables_linked"] += 1
        m.set_slot(child, number, slot.table, writable=not by_pmd)


def wrprotect_table(m: Machine, table: LeafTable, number: int, mm: Mm) -> None:
    """Make the CoWable ptes of a table read-only at fork, unless the design knows that they are."""
    if m.design.wrprotect == "each_pte_if_sole" and table.refcount > 1:
        return
    if m.design.wrprotect == "each_pte_unless_marked" and table.marked:
        return
    for vma in mm.vmas:
        if vma.private and overlaps(vma, m.span(number)):
            m.acts["ptes_visited_fork"] += len(indices(m, number, vma))
            m.acts["ptes_present_fork"] += sum(index in table.ptes for index in indices(m, number, vma))
            m.acts["ptes_wrprotected_fork"] += wrprotect(m, table, number, vma)
    table.marked = m.design.wrprotect == "each_pte_unless_marked"


def unshare(m: Machine, mm: Mm, number: int) -> None:
    """Give one mm a copy of a shared table; the other sharers keep the old one."""
    source = mm.slots[number].table
    copy = m.new_table()
    copy.marked = source.marked
    m.acts["leaf_tables_unshared"] += 1
    m.acts["ptes_visited_unshare"] += m.geometry.entries
    if m.design.source == "wrprotect":
        for vma in mm.vmas:
            if overlaps(vma, m.span(number)):
                m.acts["ptes_wrprotected_unshare"] += wrprotect(m, source, number, vma)
    leave(m, source)
    for index, pte in source.ptes.items():
        m.acts["ptes_copied_unshare"] += 1
        m.copy_pte(pte, copy, index)
    m.set_slot(mm, number, copy, writable=True)
    m.flush("range")


def reopen(m: Machine, slot: Slot) -> None:
    """Make a directory entry writable again: its table has one user left."""
    slot.writable = True
    m.acts["leaf_tables_reused"] += 1
    m.acts["pmds_written"] += 1


def leave(m: Machine, table: LeafTable) -> None:
    """Take one mm off a shared table: it no longer reaches the pages through it."""
    table.refcount -= 1
    m.levels["rss_pages"] -= table.mapped()


def unmap(m: Machine, mm: Mm, start: int, end: int) -> None:
    """Take away pages [start, end): vmas, ptes, and every table in whose span no vma is left.

    A linked table is dropped if no vma of the mm is left in its span, else it is unshared first.
    """
    gone = [vma.cut(start, end) for vma in mm.vmas if overlaps(vma, (start, end))]
    kept = [part for vma in mm.vmas for part in outside(vma, start, end)]
    for number in sorted(mm.slots):
        if any(overlaps(vma, m.span(number)) for vma in gone):
            unmap_slot(m, mm, number, gone, kept)
    for vma in kept:
        m.shm_mapped(vma, +1)
    for vma in mm.vmas:
        m.shm_mapped(vma, -1)
    m.acts["vmas_split"] += sum(vma.start < start and end < vma.end for vma in mm.vmas)
    m.acts["vmas_unmapped"] += sum(start <= vma.start and vma.end <= end for vma in mm.vmas)
    mm.vmas = kept
    free_uppers(m, mm)


def unmap_slot(m: Machine, mm: Mm, number: int, gone: list[Vma], kept: list[Vma]) -> None:
    """Zap what the vanishing vmas have in one slot; free or drop the table if nothing else is left there."""
    emptied = not any(overlaps(vma, m.span(number)) for vma in kept)
    table = mm.slots[number].table
    if table.refcount > 1 and emptied:
        leave(m, table)
        m.clear_slot(mm, number)
        m.acts["leaf_tables_dropped"] += 1
        return
    if table.refcount > 1:
        unshare(m, mm, number)
        table = mm.slots[number].table
    for vma in gone:
        if overlaps(vma, m.span(number)):
            zap(m, table, number, vma)
    if emptied:
        m.clear_slot(mm, number)
        m.free_table()


def zap(m: Machine, table: LeafTable, number: int, vma: Vma) -> None:
    """Clear the ptes that a vma has in a table of one mm's own."""
    for index in indices(m, number, vma):
        m.acts["ptes_visited_zap"] += 1
        if index in table.ptes:
            m.acts["ptes_zapped"] += 1
            m.unmap_page(table, index)


def free_uppers(m: Machine, mm: Mm) -> None:
    """Free every upper table in whose span no vma is left."""
    used = {
        upper for vma in mm.vmas for slot in m.slots_of(vma.start, vma.end) for upper in m.uppers_of(slot)
    }
    unused = mm.uppers - used
    if unused:
        m.upper_tables(-len(unused))
        m.levels["charged_tables"] -= len(unused)
    mm.uppers -= unused


def wrprotect(m: Machine, table: LeafTable, number: int, vma: Vma) -> int:
    """Make the writable ptes of a private vma in a table read-only; returns how many."""
    if not vma.private:
        return 0
    ptes = [table.ptes[index] for index in indices(m, number, vma) if index in table.ptes]
    writable = [pte for pte in ptes if pte.writable]
    for pte in writable:
        pte.writable = False
    return len(writable)


def indices(m: Machine, number: int, vma: Vma) -> range:
    """Return the indices of a slot's leaf table that a vma covers."""
    first, last = m.span(number)
    return range(max(vma.start, first) - first, min(vma.end, last) - first)


def overlaps(vma: Vma, span: tuple[int, int]) -> bool:
    """Return whether a vma and pages [first, last) have a page in common."""
    return vma.start < span[1] and span[0] < vma.end


def outside(vma: Vma, start: int, end: int) -> list[Vma]:
    """Return the parts of a vma before ``start`` and from ``end`` on."""
    parts = []
    if vma.start < start:
        parts.append(vma.cut(vma.start, start))
    if vma.end > end:
        parts.append(vma.cut(end, vma.end))
    return parts
