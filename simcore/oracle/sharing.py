"""The verbs for linked tables: link, unshare, reopen, leave, drop, and copying what was deferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simcore.oracle.state import LeafTable, Machine, Mm, Slot, Vma


def make_own(m: Machine, mm: Mm, number: int) -> None:
    """Let a fault have the table of a slot for its mm alone, behind a writable directory entry."""
    separate(m, mm, number)
    slot = mm.slots[number]
    if slot.writable:
        return
    if m.design.last_sharer == "copies":
        unshare(m, mm, number)
        return
    if m.design.last_sharer == "reuse_protected":
        m.acts["ptes_visited_unshare"] += m.geometry.entries
        m.acts["ptes_wrprotected_unshare"] += wrprotect_table(m, mm, number)
    reopen(m, mm, slot)


def separate(m: Machine, mm: Mm, number: int) -> None:
    """Leave nobody else with the table of a slot: unshare it, or give children that wait for a copy theirs."""
    table = mm.slots[number].table
    if table.file_key is None and m.design.fork == "deferred":
        for other in m.mms():
            if other is not mm and number in other.slots and other.slots[number].table is table:
                unshare(m, other, number)
    elif table.refcount > 1:
        unshare(m, mm, number)
    else:
        m.unregister(table)


def copy_deferred(m: Machine, mm: Mm) -> None:
    """Copy every table that a child still shares, before it runs for the first time.

    Whoever else needed one of them has given the child its copy, so no table is left to it as the last sharer.
    """
    mm.pending = False
    for number, slot in sorted(mm.slots.items()):
        if slot.table.refcount > 1:
            unshare(m, mm, number)


def unshare(m: Machine, mm: Mm, number: int) -> None:
    """Give one mm a copy of a table; other sharers keep the old one, and without any it is freed.

    CoWable ptes are read-only in the copy, and in the source as far as the design says.
    """
    source = mm.slots[number].table
    sharers = source.refcount
    m.acts["leaf_tables_unshared"] += 1
    m.acts["ptes_visited_unshare"] += m.geometry.entries
    if m.design.source == "wrprotect" or (m.design.source == "wrprotect_if_two" and sharers == 2):
        m.acts["ptes_wrprotected_unshare"] += wrprotect_table(m, mm, number)
    leave(m, mm, source)
    copy = m.new_table(mm)
    copy.marked = source.marked
    for index, pte in list(source.ptes.items()):
        m.acts["ptes_copied_unshare"] += 1
        vma = mm.vma_at(m.span(number)[0] + index)
        cowable = vma is not None and vma.private
        _copy_unshared(m, (source, copy), index, writable=pte.writable and not cowable)
    if sharers == 1:
        _free_source(m, source)
    m.set_slot(mm, number, copy, writable=True)
    m.flush("range")


def _copy_unshared(m: Machine, tables: tuple[LeafTable, LeafTable], index: int, *, writable: bool) -> None:
    """Copy a pte to the unsharing mm's table; where each sharer holds its own references, its own moves along."""
    source, copy = tables
    before = m.acts["refs_taken"], m.acts["rmap_added"]
    m.copy_pte(source.ptes[index], copy, index, writable=writable)
    if m.design.page_refs == "per_sharer":
        m.acts["refs_taken"], m.acts["rmap_added"] = before


def _free_source(m: Machine, source: LeafTable) -> None:
    """Free a table that its last sharer has copied; its references are dropped, unless they moved along."""
    source.refcount = 1  # for a moment, so that its ptes are somebody's
    m.levels["rss_pages"] += source.mapped()
    if m.design.page_refs == "per_sharer":
        m.levels["rmap_elements"] += source.mapped() if m.design.rmap != "none" else 0
        before = m.acts["refs_dropped"], m.acts["rmap_removed"]
    for index in list(source.ptes):
        m.unmap_page(source, index)
    if m.design.page_refs == "per_sharer":
        m.acts["refs_dropped"], m.acts["rmap_removed"] = before
    m.free_table(source)


def reopen(m: Machine, mm: Mm, slot: Slot) -> None:
    """Make a directory entry writable again: its table has one user left."""
    slot.writable = True
    m.acts["leaf_tables_reused"] += 1
    m.acts["pmds_written"] += 1
    if m.design.charge == "owner" and slot.table.owner is None:
        m.charge(slot.table, mm)


def leave(m: Machine, mm: Mm, table: LeafTable) -> None:
    """Take one mm off a table: it no longer reaches the pages through it."""
    table.refcount -= 1
    m.levels["rss_pages"] -= table.mapped()
    if m.design.page_refs == "per_sharer" and m.design.rmap != "none":
        m.levels["rmap_elements"] -= table.mapped()
    if m.design.charge == "forker" and table.owner is mm and table.refcount > 0:
        table.owner = None
        mm.left_charged += 1
    else:
        m.uncharge(table, mm)


def drop(m: Machine, mm: Mm, number: int) -> None:
    """Leave a linked table without copying it; where each sharer holds references, they are dropped pte by pte."""
    table = mm.slots[number].table
    m.acts["leaf_tables_dropped"] += 1
    if m.design.page_refs == "per_sharer":
        m.acts["ptes_visited_zap"] += m.geometry.entries
        m.acts["refs_dropped"] += table.mapped()
        m.acts["rmap_removed"] += table.mapped() if m.design.rmap != "none" else 0
    leave(m, mm, table)
    m.clear_slot(mm, number)


def wrprotect_table(m: Machine, mm: Mm, number: int) -> int:
    """Make every writable CoWable pte of an mm's table read-only; returns how many."""
    span, table = m.span(number), mm.slots[number].table
    return sum(wrprotect(m, table, number, vma) for vma in mm.vmas if vma.overlaps(span))


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
