"""What fork does with the parent's tables: copy them, link them, or link them for the child to copy later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.events import VmaKind
from simcore.oracle.faults import is_exempt
from simcore.oracle.huge import copy_huge
from simcore.oracle.sharing import indices, wrprotect

if TYPE_CHECKING:
    from simcore.oracle.state import Machine, Mm, Slot, Vma


def fork_mm(m: Machine, parent: Mm, child: Mm) -> None:
    """Give a child the parent's vmas, the upper tables that lead to what it inherits, and leaf tables."""
    child.vmas = list(parent.vmas)
    m.acts["vmas_copied"] += len(child.vmas)
    for vma in child.vmas:
        m.shm_mapped(vma, +1)
    inherited = [vma for vma in parent.vmas if m.design.inherit == "all" or vma.anon_vma]
    child.uppers = {
        upper for upper in parent.uppers if any(vma.overlaps(upper_span(m, upper)) for vma in inherited)
    }
    if child.uppers:
        m.upper_tables(len(child.uppers))
        m.levels["charged_tables"] += len(child.uppers)
    links = links_tables(m, parent)
    for number, slot in sorted(parent.slots.items()):
        vmas = [vma for vma in inherited if vma.overlaps(m.span(number))]
        if vmas and links and may_be_linked(m, parent, number):
            link_table(m, (parent, child), number, slot)
        elif vmas:
            copy_table(m, (parent, child), number, vmas)
    child.pending = m.design.fork == "deferred"


def upper_span(m: Machine, upper: tuple[int, int]) -> tuple[int, int]:
    """Return the pages [first, last) that an upper table maps."""
    level, index = upper
    pages = m.geometry.entries**level
    return index * pages, (index + 1) * pages


def links_tables(m: Machine, parent: Mm) -> bool:
    """Return whether a fork of this parent links tables at all."""
    if m.design.fork == "link_if_more_than":
        return len(parent.slots) > (m.design.more_than or 0)
    return m.design.fork != "copy"


def may_be_linked(m: Machine, mm: Mm, number: int) -> bool:
    """Return whether the design links a table like this one."""
    vmas = [vma for vma in mm.vmas if vma.overlaps(m.span(number))]
    if m.design.links == "whole_anon":
        return vmas[0].kind == VmaKind.ANON and vmas[0].covers(m.span(number))
    if m.design.links == "all_but_stack":
        return all(vma.kind != VmaKind.STACK for vma in vmas)
    return True


def copy_table(m: Machine, mms: tuple[Mm, Mm], number: int, vmas: list[Vma]) -> None:
    """Copy the ptes that inherited vmas have in a table, protecting the CoWable ones on both sides.

    The child gets a table even if none of those ptes is present.
    """
    parent, child = mms
    source, target = parent.slots[number].table, m.new_table(child)
    m.set_slot(child, number, target, writable=True)
    if source.huge:
        copy_huge(m, source, target)
        return
    for vma in vmas:
        m.acts["ptes_wrprotected_fork"] += wrprotect(m, source, number, vma)
        m.acts["ptes_visited_fork"] += len(indices(m, number, vma))
        for index in indices(m, number, vma):
            if index in source.ptes:
                m.acts["ptes_present_fork"] += 1
                m.acts["ptes_copied_fork"] += 1
                pte = source.ptes[index]
                pte.page.exclusive = False
                m.copy_pte(pte, target, index, writable=pte.writable)


def link_table(m: Machine, mms: tuple[Mm, Mm], number: int, slot: Slot) -> None:
    """Point the child's slot to the parent's table, protected as the design says."""
    parent, child = mms
    table = slot.table
    exempt = any(is_exempt(m, vma, number) for vma in parent.vmas)
    by_pmd = m.design.wrprotect == "pmd" and not exempt
    if by_pmd and slot.writable:
        slot.writable = False
        m.acts["pmds_written"] += 1
    if m.design.wrprotect != "pmd":
        wrprotect_at_fork(m, parent, number)
    table.refcount += 1
    m.levels["rss_pages"] += table.mapped()
    m.acts["leaf_tables_linked"] += 1
    if m.design.page_refs == "per_sharer":
        m.acts["ptes_visited_fork"] += m.geometry.entries
        m.acts["ptes_present_fork"] += len(table.ptes)
        m.acts["refs_taken"] += table.mapped()
        m.rmap("added", table.mapped())
    m.charge_sharer(table, child)
    m.set_slot(child, number, table, writable=not by_pmd)


def wrprotect_at_fork(m: Machine, mm: Mm, number: int) -> None:
    """Make the CoWable ptes of a table read-only at fork, unless the design knows that they are."""
    table = mm.slots[number].table
    if m.design.wrprotect == "each_pte_if_sole" and table.refcount > 1:
        return
    if m.design.wrprotect == "each_pte_unless_marked" and table.marked:
        return
    passes = m.design.page_refs != "per_sharer"  # else the pass that takes references has visited each pte
    for vma in mm.vmas:
        if vma.private and vma.overlaps(m.span(number)):
            found = indices(m, number, vma)
            m.acts["ptes_visited_fork"] += len(found) if passes else 0
            m.acts["ptes_present_fork"] += sum(index in table.ptes for index in found) if passes else 0
            m.acts["ptes_wrprotected_fork"] += wrprotect(m, table, number, vma)
    table.marked = m.design.wrprotect == "each_pte_unless_marked"
