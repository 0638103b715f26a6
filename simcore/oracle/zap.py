"""The verbs that take pages away from an mm, or change how it may use them: munmap, DONTNEED, mprotect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simcore.oracle.huge import split, zap_huge
from simcore.oracle.sharing import drop, indices, separate
from simcore.oracle.state import ANON, CACHE, SHM

if TYPE_CHECKING:
    from simcore.oracle.state import LeafTable, Machine, Mm, Pte, Vma


def unmap(m: Machine, mm: Mm, start: int, end: int) -> None:
    """Take away pages [start, end): vmas, ptes, and every table in whose span no vma is left."""
    gone, kept = parts(mm, start, end)
    for number in sorted(mm.slots):
        if any(vma.overlaps(m.span(number)) for vma in gone):
            zap_slot(m, mm, number, gone, kept)
            emptied = not any(vma.overlaps(m.span(number)) for vma in kept)
            if emptied and number in mm.slots:
                free_slot(m, mm, number)
    for vma in kept:
        m.shm_mapped(vma, +1)
    for vma in mm.vmas:
        m.shm_mapped(vma, -1)
    m.acts["vmas_split"] += sum(vma.start < start and end < vma.end for vma in mm.vmas)
    m.acts["vmas_unmapped"] += sum(start <= vma.start and vma.end <= end for vma in mm.vmas)
    mm.vmas = kept
    free_uppers(m, mm)


def discard(m: Machine, mm: Mm, start: int, end: int) -> None:
    """Clear the ptes of [start, end) and keep the vmas: madvise(MADV_DONTNEED)."""
    if m.design.dontneed == "ignored":
        return
    gone, kept = parts(mm, start, end)
    for number in sorted(mm.slots):
        first, last = m.span(number)
        if any(vma.overlaps((first, last)) for vma in gone):
            was_huge = mm.slots[number].table.huge
            zap_slot(m, mm, number, gone, kept)
            covered = any(vma.covers((first, last)) for vma in gone)  # madvise zaps vma by vma
            frees = (
                was_huge or m.design.dontneed == "frees_covered"
            )  # the table kept for a huge page goes with it
            if frees and covered and number in mm.slots:
                free_slot(m, mm, number)


def zap_slot(m: Machine, mm: Mm, number: int, gone: list[Vma], kept: list[Vma]) -> None:
    """Clear the ptes that vanishing parts of vmas have in one slot; a linked table is dropped or unshared first."""
    span = m.span(number)
    edges = m.design.zap == "edges"
    whole = m.design.zap in (None, "whole") and not any(vma.overlaps(span) for vma in kept)
    for vma in gone:
        if not vma.overlaps(span):
            continue
        if mm.slots[number].table.refcount > 1 and (whole or (edges and vma.covers(span))):
            drop(m, mm, number)
            return
        separate(m, mm, number)
        zap(m, mm.slots[number].table, number, vma)


def zap(m: Machine, table: LeafTable, number: int, vma: Vma) -> None:
    """Clear the ptes that a vma has in a table of one mm's own; a part of a huge page is split off first."""
    if table.huge and vma.covers(m.span(number)):
        zap_huge(m, table)
        return
    if table.huge:
        split(m, table)
    for index in indices(m, number, vma):
        m.acts["ptes_visited_zap"] += 1
        if index in table.ptes:
            pte = table.ptes[index]
            m.acts["ptes_zapped"] += 1
            m.acts["file_ptes_zapped"] += not pte.swap and pte.page.kind in (CACHE, SHM)
            m.unmap_page(table, index)


def free_slot(m: Machine, mm: Mm, number: int) -> None:
    """Free the empty table of one mm's own that a slot points to."""
    table = mm.slots[number].table
    m.uncharge(table, mm)
    m.clear_slot(mm, number)
    m.free_table(table)


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


def protect(m: Machine, mm: Mm, start: int, end: int, *, writable: bool) -> None:
    """Make pages [start, end) writable or read-only; linked tables with such pages are unshared first.

    Not where fork links tables of one anonymous vma only: there nobody gains a permission by it.
    """
    gone, _ = parts(mm, start, end)
    changing = [vma for vma in gone if vma.writable != writable]
    for number in sorted(mm.slots):
        within = [vma for vma in changing if vma.overlaps(m.span(number))]
        if within and not (m.design.links == "whole_anon" and mm.slots[number].table.file_key is None):
            separate(m, mm, number)
        for vma in within:
            change_ptes(m, mm.slots[number].table, number, vma, writable=writable)
    split = [part for vma in mm.vmas for part in split_vma(vma, start, end, writable=writable)]
    for vma in split:
        m.shm_mapped(vma, +1)
    for vma in mm.vmas:
        m.shm_mapped(vma, -1)
    m.acts["vmas_split"] += len(split) - len(mm.vmas)
    mm.vmas = split


def change_ptes(m: Machine, table: LeafTable, number: int, vma: Vma, *, writable: bool) -> None:
    """Change the permission of the present ptes that a part of a vma has in a table of one mm's own."""
    whole = table.huge and vma.covers(m.span(number))
    if table.huge and not whole:
        split(m, table)
    changed = 0
    for index in indices(m, number, vma):
        pte = table.ptes.get(index)
        if pte and not pte.swap and pte.writable != writable and (not writable or may_open(m, vma, pte)):
            pte.writable = writable
            changed += 1
    if whole:
        m.acts["huge_changed_mprotect"] += changed > 0
    else:
        m.acts["ptes_visited_mprotect"] += len(indices(m, number, vma))
        m.acts["ptes_changed_mprotect"] += changed


def may_open(m: Machine, vma: Vma, pte: Pte) -> bool:
    """Return whether a pte may become writable with its vma, so that the next write is no fault.

    In private memory if its page is exclusive, where the design knows; where dirty pages are tracked if it is dirty.
    """
    if vma.private:
        return m.design.mprotect == "reopens" and pte.page.kind == ANON and pte.page.exclusive
    return pte.dirty or not m.notifies(vma)


def split_vma(vma: Vma, start: int, end: int, *, writable: bool) -> list[Vma]:
    """Return what becomes of a vma when pages [start, end) get a permission: up to three vmas."""
    if not vma.overlaps((start, end)) or vma.writable == writable:
        return [vma]
    inside = replace(vma.cut(start, end), writable=writable)
    return sorted([inside, *outside(vma, start, end)], key=lambda part: part.start)


def parts(mm: Mm, start: int, end: int) -> tuple[list[Vma], list[Vma]]:
    """Return the parts of an mm's vmas inside pages [start, end), and those outside."""
    gone = [vma.cut(start, end) for vma in mm.vmas if vma.overlaps((start, end))]
    return gone, [part for vma in mm.vmas for part in outside(vma, start, end)]


def outside(vma: Vma, start: int, end: int) -> list[Vma]:
    """Return the parts of a vma before ``start`` and from ``end`` on."""
    left = []
    if vma.start < start:
        left.append(vma.cut(vma.start, start))
    if vma.end > end:
        left.append(vma.cut(end, vma.end))
    return left
