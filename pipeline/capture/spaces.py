"""What was read of a process -> what the simulator is told of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.capture.pagemap import may_be_anonymous
from simcore.events import Mapping, VmaKind
from simcore.workloads.spaces import Page, Space

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.capture.reading import Reading
    from pipeline.capture.smaps import Vma
    from simcore.workloads.spaces import Run

# Pages of huge page tables (hugetlb) have no leaf table; the simulator has no such pages, so those vmas are left out.
# The kernel's own pages, vdso and vvar, are pages of a file that every program maps.
SIMULATED = {
    "anonymous": VmaKind.ANON,
    "heap": VmaKind.HEAP,
    "stack": VmaKind.STACK,
    "file_private": VmaKind.FILE_PRIVATE,
    "file_shared": VmaKind.FILE_SHARED,
    "shm": VmaKind.SHM,
    "kernel": VmaKind.FILE_PRIVATE,
}


def space_of(what: Reading, parent: int, number: Callable[[Vma], int], *, forked: bool) -> Space:
    """Return what is simulated of a process; ``number`` tells which file is behind a vma."""
    vmas, runs = [], []
    for vma, pages in zip(what.vmas, what.runs, strict=True):
        kind = SIMULATED.get(vma.kind)
        if kind is None:
            continue
        vmas.append(Mapping(vma.start, vma.npages, kind, vma.writable, number(vma), vma.offset))
        runs += pages
    return Space(parent, forked, vmas, runs)


def forked_without_exec(exe: str, parent: list[Vma], what: Reading) -> bool:
    """Return whether a process that executes ``exe`` as its parent does lives in what its parent's fork gave it.

    It does if its program lies at the same address as its parent's, and if it has anonymous pages that other mms map
    as well in a vma that begins where one of its parent's begins: exec puts programs at random addresses, and nothing
    but fork lets two mms have one anonymous page.
    """
    if _first_page(exe, what.vmas) != _first_page(exe, parent):
        return False
    starts = {(vma.kind, vma.start) for vma in parent}
    return any(
        (vma.kind, vma.start) in starts and _shared_pages(vma, pages, placed=what.placed)
        for vma, pages in zip(what.vmas, what.runs, strict=True)
    )


def _first_page(exe: str, vmas: list[Vma]) -> int:
    """Return where the program itself is mapped first, -1 if nowhere."""
    return next((vma.start for vma in vmas if vma.name.removesuffix(" (deleted)") == exe), -1)


def _shared_pages(vma: Vma, pages: list[Run], *, placed: bool) -> bool:
    """Return whether a vma has anonymous pages that other mms map too; pages that KSM merged do not count."""
    if not may_be_anonymous(vma):
        return False
    if placed:
        return any(run.page == Page.SHARED for run in pages) and not vma.kib.get("KSM", 0)
    shared = vma.kib.get("Shared_Clean", 0) + vma.kib.get("Shared_Dirty", 0) - vma.kib.get("KSM", 0)
    return vma.kind != "file_private" and shared > 0
