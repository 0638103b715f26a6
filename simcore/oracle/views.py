"""The oracle's machine as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.oracle.state import ANON
from simcore.snapshot import Account, FrameView, MmView, Snapshot, TableView, VmaView

if TYPE_CHECKING:
    from simcore.oracle.state import LeafTable, Machine, Mm, Pte


def account(m: Machine, mm: Mm) -> Account:
    """Return what the kernel would tell of an mm."""
    single = m.design.charge in ("owner", "forker")
    charged = [slot for slot in mm.slots.values() if not single or slot.table.owner is mm]
    pages = [pte.page for slot in mm.slots.values() for pte in slot.table.ptes.values() if not pte.swap]
    resident = [page for page in pages if page is not m.zero_page]
    anon = sum(page.kind == ANON for page in resident)
    return Account(len(charged) + len(mm.uppers) + mm.left_charged, len(resident), anon)


def snapshot(m: Machine, levels: dict[str, int]) -> Snapshot:
    """Return the state as plain values, numbered as met."""
    mms = {id(task.mm): task.mm for _, task in sorted(m.tasks.items())}
    tables = {id(slot.table): slot.table for mm in mms.values() for slot in mm.slots.values()}
    pages = {id(page): page for page in m.file_pages.values()}
    pages |= {id(pte.page): pte.page for table in tables.values() for pte in table.ptes.values()}
    pages.pop(id(m.zero_page), None)
    return Snapshot(
        tasks={
            number: (id(task.mm), task.lender is not None, task.waits) for number, task in m.tasks.items()
        },
        mms={
            key: MmView(
                [VmaView(*vars(vma).values()) for vma in mm.vmas],
                {number: (id(slot.table), slot.writable) for number, slot in mm.slots.items()},
                set(mm.uppers),
                mm.pending,
                mm.left_charged,
            )
            for key, mm in mms.items()
        },
        tables={
            key: TableView(
                table.refcount,
                table.marked,
                {
                    index: (0 if pte.page is m.zero_page else id(pte.page), pte.writable)
                    for index, pte in table.ptes.items()
                    if not pte.swap
                },
                {index: id(pte.page) for index, pte in table.ptes.items() if pte.swap},
                owner(m, table),
                table.file_key is not None,
                table.huge,
                {index for index, pte in table.ptes.items() if reopens(m, pte)},
            )
            for key, table in tables.items()
        },
        frames={
            key: FrameView(
                page.kind,
                page.file,
                page.index,
                page.pte_mapcount,
                page.swapcount,
                id(page.folio) if page.folio else 0,
            )
            for key, page in pages.items()
        },
        levels=levels,
        rmap_elements=m.levels["rmap_elements"],
        hand=m.hand,
        evicted=set(m.evicted),
    )


def reopens(m: Machine, pte: Pte) -> bool:
    """Return whether a read-only pte becomes writable with its vma: by what the page is, or by the pte itself."""
    if pte.swap or pte.writable or pte.page is m.zero_page:
        return False
    known = m.design.mprotect == "reopens" and pte.page.kind == ANON and pte.page.exclusive
    return known or pte.dirty


def owner(m: Machine, table: LeafTable) -> int | None:
    """Return which mm is charged for a table, in designs that charge one."""
    single = m.design.charge in ("owner", "forker")
    return id(table.owner) if single and table.owner is not None else None
