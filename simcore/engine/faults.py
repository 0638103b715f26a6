"""The verbs for one page: touch, fault, install, copy on write. Reads like ``simcore.oracle.faults``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    FAULTS_ANON,
    FAULTS_COW_COPY,
    FAULTS_COW_REUSE,
    FAULTS_FILE_MAP,
    FAULTS_TABLE_ONLY,
    FAULTS_ZERO_PAGE,
    KIND_READ_FAULT,
    KIND_WRITE_FAULT,
    PAGES_COPIED,
    PAGES_ZEROED,
    REFS_DROPPED,
    REFS_TAKEN,
    TLB_PAGE,
    flush,
    record,
)
from simcore.engine.records import file_page, new_page, new_table, set_slot
from simcore.engine.runs import serve_run
from simcore.engine.tables import is_private, reopen, rmap_added, rmap_removed, table_at, unshare
from simcore.engine.vmas import find_vma
from simcore.heap import (
    ENTRIES,
    FILE_PRIVATE,
    FRAME_FILE_PAGE,
    FRAME_MAPCOUNT,
    FRAME_SHIFT,
    MM_SLOTS,
    NOW_RSS,
    PRESENT,
    PTE_WRITABLE,
    SLOT_WRITABLE,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_PTES,
    TABLE_REFCOUNT,
    VMA_END,
    VMA_KIND,
    VMA_SHIFT,
    VMA_START,
    VMA_WRITABLE,
    ZERO_FRAME,
)
from simcore.jit import jit

if TYPE_CHECKING:
    from simcore.events import IntArray


@jit
def touch(h: IntArray, mm: int, event: IntArray, pages: IntArray, write: bool) -> None:  # noqa: FBT001
    """Read or write the pages of an event, one after another; each fault is recorded by itself."""
    start, count, stride = event[2], event[3], event[4]
    entries = h[ENTRIES]
    vma = 0
    step = 0
    while step < count:
        vpn = pages[start + step] if stride == 0 else start + step * stride
        if vma == 0 or vpn < h[vma + VMA_START] or vpn >= h[vma + VMA_END]:
            vma = find_vma(h, mm, vpn)
        number = vpn // entries
        slot = h[mm + MM_SLOTS + number - h[vma + VMA_SHIFT]]
        pte = h[slot // 2 + TABLE_PTES + vpn - number * entries] if slot else 0
        served = 1
        if pte == 0 or (write and (slot & SLOT_WRITABLE == 0 or pte & PTE_WRITABLE == 0)):
            served = serve_run(h, mm, vma, event, step) if pte == 0 and stride > 0 else 0
            if served == 0:
                handle_fault(h, mm, vma, vpn, write)
                record(h, KIND_WRITE_FAULT if write else KIND_READ_FAULT, 1)
                served = 1
        step += served


@jit
def handle_fault(h: IntArray, mm: int, vma: int, vpn: int, write: bool) -> None:  # noqa: FBT001
    """Serve one minor fault: first the table, then the ordinary decision about the page."""
    number = vpn // h[ENTRIES]
    place = number - h[vma + VMA_SHIFT]
    if h[mm + MM_SLOTS + place] == 0:
        set_slot(h, mm, place, new_table(h), SLOT_WRITABLE)
    if write:
        make_table_ours(h, mm, place)
    table = table_at(h, mm, place)
    at = table + TABLE_PTES + vpn - number * h[ENTRIES]
    pte = h[at]
    if pte == 0:
        install(h, table, vma, vpn, write)
    elif pte & PTE_WRITABLE:
        h[FAULTS_TABLE_ONLY] += 1
        flush(h, TLB_PAGE)
    else:
        copy_on_write(h, table, at, pte)


@jit
def make_table_ours(h: IntArray, mm: int, place: int) -> None:
    """Before a write: unshare a shared table; reopen a write-protected directory entry of a sole user."""
    slot = h[mm + MM_SLOTS + place]
    if h[slot // 2 + TABLE_REFCOUNT] > 1:
        unshare(h, mm, place)
    elif slot & SLOT_WRITABLE == 0:
        reopen(h, mm, place)


@jit
def install(h: IntArray, table: int, vma: int, vpn: int, write: bool) -> None:  # noqa: FBT001
    """Fill an empty pte. A read fault in a linked table fills it for every mm that reaches it."""
    at = table + TABLE_PTES + vpn % h[ENTRIES]
    anonymous = is_private(h, vma) and not is_file(h, vma)
    if anonymous and not write:
        h[FAULTS_ZERO_PAGE] += 1
        h[at] = (ZERO_FRAME << FRAME_SHIFT) | PRESENT
    elif anonymous:
        h[FAULTS_ANON] += 1
        h[PAGES_ZEROED] += 1
        map_ours(h, table, at, new_page(h))
    elif is_private(h, vma) and write:
        h[FAULTS_COW_COPY] += 1
        h[PAGES_COPIED] += 1
        file_page(h, vma, vpn)
        map_ours(h, table, at, new_page(h))
    else:
        h[FAULTS_FILE_MAP] += 1
        h[REFS_TAKEN] += 1
        # A shared mapping's pte is as writable as its vma from the first touch on (vm_page_prot).
        shared_writable = h[vma + VMA_WRITABLE] == 1 and not is_private(h, vma)
        map_page(h, table, at, file_page(h, vma, vpn), PTE_WRITABLE if shared_writable else 0)


@jit
def is_file(h: IntArray, vma: int) -> bool:
    """Return whether a private vma maps a file."""
    return h[vma + VMA_KIND] == FILE_PRIVATE


@jit
def map_page(h: IntArray, table: int, at: int, frame: int, writable: int) -> None:
    """Put a page in an empty pte: mapcount, rmap and rss of every mm that reaches the table."""
    h[at] = (frame << FRAME_SHIFT) | writable | PRESENT
    h[frame + FRAME_MAPCOUNT] += 1
    h[table + TABLE_MAPPED] += 1
    h[NOW_RSS] += h[table + TABLE_REFCOUNT]
    rmap_added(h, 1)


@jit
def map_ours(h: IntArray, table: int, at: int, frame: int) -> None:
    """Put a new anonymous page, writable, in an empty pte of a table of our own; the mark no longer holds."""
    map_page(h, table, at, frame, PTE_WRITABLE)
    h[table + TABLE_MARKED] = 0


@jit
def copy_on_write(h: IntArray, table: int, at: int, pte: int) -> None:
    """Write to a present, read-only pte: reuse an anonymous page that no other pte holds, else copy."""
    frame = pte >> FRAME_SHIFT
    if frame != ZERO_FRAME and h[frame + FRAME_FILE_PAGE] == 0 and h[frame + FRAME_MAPCOUNT] == 1:
        h[FAULTS_COW_REUSE] += 1
        h[at] = pte | PTE_WRITABLE
        h[table + TABLE_MARKED] = 0
    else:
        h[FAULTS_COW_COPY] += 1
        h[PAGES_ZEROED if frame == ZERO_FRAME else PAGES_COPIED] += 1
        if frame != ZERO_FRAME:
            unmap_page(h, table, frame)
        map_ours(h, table, at, new_page(h))
    flush(h, TLB_PAGE)


@jit
def unmap_page(h: IntArray, table: int, frame: int) -> None:
    """Take a page that others hold too out of a pte of a table of our own."""
    rmap_removed(h, 1, h[frame + FRAME_MAPCOUNT])
    h[frame + FRAME_MAPCOUNT] -= 1
    h[table + TABLE_MAPPED] -= 1
    h[NOW_RSS] -= 1
    h[REFS_DROPPED] += 1
