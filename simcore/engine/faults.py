"""The verbs for one page: touch, fault, install, copy on write. Reads like ``simcore.oracle.faults``."""

from __future__ import annotations

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
from simcore.engine.pools import file_page, new_page, new_table, set_slot
from simcore.engine.tables import is_private, reopen, rmap_change, unshare
from simcore.engine.vmas import find_vma
from simcore.events import IntArray
from simcore.jit import jit
from simcore.machine import (
    ENTRIES,
    FILE_PRIVATE_KIND,
    FRAME_FILE_PAGE,
    FRAME_MAPCOUNT,
    FRAME_SHIFT,
    NOW_RSS,
    PRESENT,
    PTE_WRITABLE,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_REFCOUNT,
    VMA_END,
    VMA_KIND,
    VMA_SHIFT,
    VMA_START,
    VMA_WRITABLE,
    ZERO_FRAME,
    Machine,
)


@jit
def touch(m: Machine, mm: int, event: IntArray, pages: IntArray, write: bool) -> None:  # noqa: FBT001
    """Read or write the pages of an event, one after another; each fault is recorded by itself."""
    start, count, stride = event[2], event[3], event[4]
    entries = m.conf[ENTRIES]
    vma = -1
    for step in range(count):
        vpn = pages[start + step] if stride == 0 else start + step * stride
        if vma < 0 or vpn < m.vma[vma, VMA_START] or vpn >= m.vma[vma, VMA_END]:
            vma = find_vma(m, mm, vpn)
        number = vpn // entries
        place = number - m.vma[vma, VMA_SHIFT]
        index = vpn - number * entries
        slot = m.slot[mm, place]
        pte = m.pte[(slot // 2) * entries + index] if slot >= 0 else 0
        if pte == 0 or (write and (slot & 1 == 0 or pte & PTE_WRITABLE == 0)):
            handle_fault(m, mm, vma, vpn, write)


@jit
def handle_fault(m: Machine, mm: int, vma: int, vpn: int, write: bool) -> None:  # noqa: FBT001
    """Serve one minor fault: first the table, then the ordinary decision about the page."""
    number = vpn // m.conf[ENTRIES]
    place = number - m.vma[vma, VMA_SHIFT]
    if m.slot[mm, place] < 0:
        set_slot(m, mm, place, new_table(m), 1)
    if write:
        make_table_ours(m, mm, place)
    table = m.slot[mm, place] // 2
    at = table * m.conf[ENTRIES] + vpn - number * m.conf[ENTRIES]
    pte = m.pte[at]
    if pte == 0:
        install(m, at, vma, vpn, write)
    elif pte & PTE_WRITABLE:
        m.act[FAULTS_TABLE_ONLY] += 1
        flush(m, TLB_PAGE)
    else:
        copy_on_write(m, at, pte)
    record(m, KIND_WRITE_FAULT if write else KIND_READ_FAULT)


@jit
def make_table_ours(m: Machine, mm: int, place: int) -> None:
    """Before a write: unshare a shared table; reopen a write-protected directory entry of a sole user."""
    slot = m.slot[mm, place]
    if m.table[slot // 2, TABLE_REFCOUNT] > 1:
        unshare(m, mm, place)
    elif slot & 1 == 0:
        reopen(m, mm, place)


@jit
def install(m: Machine, at: int, vma: int, vpn: int, write: bool) -> None:  # noqa: FBT001
    """Fill an empty pte. A read fault in a linked table fills it for every mm that reaches it."""
    anonymous = is_private(m, vma) and not is_file(m, vma)
    if anonymous and not write:
        m.act[FAULTS_ZERO_PAGE] += 1
        m.pte[at] = (ZERO_FRAME << FRAME_SHIFT) | PRESENT
    elif anonymous:
        m.act[FAULTS_ANON] += 1
        m.act[PAGES_ZEROED] += 1
        map_ours(m, at, new_page(m))
    elif is_private(m, vma) and write:
        m.act[FAULTS_COW_COPY] += 1
        m.act[PAGES_COPIED] += 1
        file_page(m, vma, vpn)
        map_ours(m, at, new_page(m))
    else:
        m.act[FAULTS_FILE_MAP] += 1
        m.act[REFS_TAKEN] += 1
        # A shared mapping's pte is as writable as its vma from the first touch on (vm_page_prot).
        shared_writable = m.vma[vma, VMA_WRITABLE] == 1 and not is_private(m, vma)
        map_page(m, at, file_page(m, vma, vpn), PTE_WRITABLE if shared_writable else 0)


@jit
def is_file(m: Machine, vma: int) -> bool:
    """Return whether a private vma maps a file."""
    return m.vma[vma, VMA_KIND] == FILE_PRIVATE_KIND


@jit
def map_page(m: Machine, at: int, frame: int, writable: int) -> None:
    """Put a page in an empty pte: mapcount, rmap and rss of every mm that reaches the table."""
    m.pte[at] = (frame << FRAME_SHIFT) | writable | PRESENT
    table = at // m.conf[ENTRIES]
    m.frame[frame, FRAME_MAPCOUNT] += 1
    m.table[table, TABLE_MAPPED] += 1
    m.level[NOW_RSS] += m.table[table, TABLE_REFCOUNT]
    rmap_change(m, 1, 0)


@jit
def map_ours(m: Machine, at: int, frame: int) -> None:
    """Put a new anonymous page, writable, in an empty pte of a table of our own; the mark no longer holds."""
    map_page(m, at, frame, PTE_WRITABLE)
    m.table[at // m.conf[ENTRIES], TABLE_MARKED] = 0


@jit
def copy_on_write(m: Machine, at: int, pte: int) -> None:
    """Write to a present, read-only pte: reuse an anonymous page that no other pte holds, else copy."""
    frame = pte >> FRAME_SHIFT
    if frame != ZERO_FRAME and m.frame[frame, FRAME_FILE_PAGE] < 0 and m.frame[frame, FRAME_MAPCOUNT] == 1:
        m.act[FAULTS_COW_REUSE] += 1
        m.pte[at] = pte | PTE_WRITABLE
        m.table[at // m.conf[ENTRIES], TABLE_MARKED] = 0
    else:
        m.act[FAULTS_COW_COPY] += 1
        m.act[PAGES_ZEROED if frame == ZERO_FRAME else PAGES_COPIED] += 1
        if frame != ZERO_FRAME:
            unmap_page(m, at, frame)
        map_ours(m, at, new_page(m))
    flush(m, TLB_PAGE)


@jit
def unmap_page(m: Machine, at: int, frame: int) -> None:
    """Take a page that others hold too out of a pte of a table of our own."""
    m.frame[frame, FRAME_MAPCOUNT] -= 1
    m.table[at // m.conf[ENTRIES], TABLE_MAPPED] -= 1
    m.level[NOW_RSS] -= 1
    m.act[REFS_DROPPED] += 1
    rmap_change(m, 0, 1)
