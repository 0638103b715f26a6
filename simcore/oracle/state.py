"""The nouns: pages, ptes, leaf tables, vmas, mms, tasks, and the machine that owns and counts them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simcore.events import VmaKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simcore.designs import Design
    from simcore.geometry import Geometry

ZERO, ANON, CACHE, SHM = "zero", "anon", "cache", "shm"


@dataclass(eq=False)
class Page:
    """A page frame. ``stamp`` stands for its content: who wrote it last, as (task, number of the write)."""

    kind: str
    file: int = -1
    index: int = 0
    pte_mapcount: int = 0
    stamp: tuple[int, int] = (-1, 0)


@dataclass(eq=False)
class Pte:
    """A present page table entry; an absent one is not in its table's dict."""

    page: Page
    writable: bool


@dataclass(eq=False)
class LeafTable:
    """A table of ptes, with the number of slots that point to it."""

    refcount: int = 1
    marked: bool = False
    ptes: dict[int, Pte] = field(default_factory=dict)

    def mapped(self) -> int:
        """Return how many ptes hold a page other than the zero page."""
        return sum(pte.page.kind != ZERO for pte in self.ptes.values())


@dataclass(eq=False)
class Slot:
    """The directory entry of one mm that points to a leaf table."""

    table: LeafTable
    writable: bool


@dataclass(frozen=True)
class Vma:
    """Pages ``[start, end)`` with one set of attributes."""

    start: int
    end: int
    kind: VmaKind
    writable: bool
    file: int
    offset: int

    @property
    def private(self) -> bool:
        """Whether writes stay with the mm, so that its ptes are CoWable."""
        return self.kind not in (VmaKind.FILE_SHARED, VmaKind.SHM)

    def cut(self, start: int, end: int) -> Vma:
        """Return the part of the vma in ``[start, end)``; a file's offset moves along."""
        low, high = max(self.start, start), min(self.end, end)
        offset = self.offset + low - self.start if self.file >= 0 else 0
        return Vma(low, high, self.kind, self.writable, self.file, offset)


@dataclass(eq=False)
class Mm:
    """An address space: vmas in address order, slots by number, upper tables by (level, index).

    Level 2 is the level just above the leaf tables; the pgd, always there, is not listed.
    """

    vmas: list[Vma] = field(default_factory=list)
    slots: dict[int, Slot] = field(default_factory=dict)
    uppers: set[tuple[int, int]] = field(default_factory=set)

    def vma_at(self, vpn: int) -> Vma | None:
        """Return the vma that holds the page."""
        return next((vma for vma in self.vmas if vma.start <= vpn < vma.end), None)


@dataclass(eq=False)
class Task:
    """A process. A vfork child borrows its parent's mm and keeps its private writes to itself in ``scratch``."""

    mm: Mm
    lender: Task | None = None
    waits: bool = False
    scratch: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(eq=False)
class Machine:
    """Everything that exists, the acts of the current event, and the levels that gauges sample."""

    design: Design
    geometry: Geometry
    tasks: dict[int, Task] = field(default_factory=dict)
    file_pages: dict[tuple[int, int], Page] = field(default_factory=dict)
    shm_vmas: Counter[int] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    zero_page: Page = field(default_factory=lambda: Page(ZERO))

    def span(self, slot: int) -> tuple[int, int]:
        """Return the pages [first, last + 1) that a slot's leaf table maps."""
        return slot * self.geometry.entries, (slot + 1) * self.geometry.entries

    def slots_of(self, start: int, end: int) -> range:
        """Return the numbers of the slots that pages [start, end) touch."""
        return range(start // self.geometry.entries, (end - 1) // self.geometry.entries + 1)

    def uppers_of(self, slot: int) -> Iterator[tuple[int, int]]:
        """Yield (level, index) of the tables between a slot's leaf table and the pgd."""
        for level in range(2, self.geometry.levels):
            yield level, slot // self.geometry.entries ** (level - 1)

    # mms and tables come and go

    def new_mm(self) -> Mm:
        """Allocate an mm and its pgd."""
        self.levels["mms"] += 1
        self.upper_tables(+1)
        return Mm()

    def upper_tables(self, change: int) -> None:
        """Count upper tables allocated (+) or freed (-)."""
        self.acts["upper_tables_allocated" if change > 0 else "upper_tables_freed"] += abs(change)
        self.levels["upper_tables"] += change

    def set_slot(self, mm: Mm, slot: int, table: LeafTable, *, writable: bool) -> None:
        """Point a slot to a table, making the upper tables on the way to it."""
        missing = set(self.uppers_of(slot)) - mm.uppers
        mm.uppers |= missing
        if missing:
            self.upper_tables(len(missing))
        self.levels["charged_tables"] += len(missing) + (slot not in mm.slots)
        mm.slots[slot] = Slot(table, writable)
        self.acts["pmds_written"] += 1

    def clear_slot(self, mm: Mm, slot: int) -> None:
        """Make a slot empty."""
        del mm.slots[slot]
        self.levels["charged_tables"] -= 1
        self.acts["pmds_written"] += 1

    def new_table(self) -> LeafTable:
        """Allocate an empty leaf table."""
        self.acts["leaf_tables_allocated"] += 1
        self.levels["leaf_tables"] += 1
        return LeafTable()

    def free_table(self) -> None:
        """Count a leaf table given back."""
        self.acts["leaf_tables_freed"] += 1
        self.levels["leaf_tables"] -= 1

    # pages and the ptes that hold them

    def new_page(self, kind: str, file: int = -1, index: int = 0) -> Page:
        """Allocate a page frame with undefined content; whoever asked holds the first reference."""
        self.acts["pages_allocated"] += 1
        self.levels["pages"] += 1
        return Page(kind, file, index)

    def free_page(self) -> None:
        """Count a page frame given back."""
        self.acts["pages_freed"] += 1
        self.levels["pages"] -= 1

    def map_page(self, table: LeafTable, index: int, page: Page, *, writable: bool) -> None:
        """Put a page in a pte: mapcount, rmap and rss of every mm that reaches the table."""
        table.ptes[index] = Pte(page, writable)
        if page.kind == ZERO:
            return
        page.pte_mapcount += 1
        self.levels["rss_pages"] += table.refcount
        if self.design.rmap == "pte_chain":
            self.acts["rmap_added"] += 1
            self.levels["rmap_elements"] += 1

    def unmap_page(self, table: LeafTable, index: int) -> None:
        """Take the page out of a pte and drop the pte's reference; an anonymous page nobody holds is freed."""
        page = table.ptes.pop(index).page
        if page.kind == ZERO:
            return
        if self.design.rmap == "pte_chain":
            self.acts["rmap_walked"] += page.pte_mapcount
        page.pte_mapcount -= 1
        self.acts["refs_dropped"] += 1
        self.levels["rss_pages"] -= table.refcount
        if self.design.rmap == "pte_chain":
            self.acts["rmap_removed"] += 1
            self.levels["rmap_elements"] -= 1
        if page.kind == ANON and page.pte_mapcount == 0:
            self.free_page()

    def copy_pte(self, source: Pte, table: LeafTable, index: int) -> None:
        """Copy a pte, as it is, to another table; the new pte holds a reference of its own."""
        if source.page.kind != ZERO:
            self.acts["refs_taken"] += 1
        self.map_page(table, index, source.page, writable=source.writable)

    def flush(self, kind: str) -> None:
        """Count a TLB flush that reaches the one mm it is for."""
        self.acts[f"tlb_flush_{kind}"] += 1
        self.acts["tlb_mms_reached"] += 1

    # files

    def file_page(self, vma: Vma, vpn: int) -> Page:
        """Return the page of the cache or shm object that a vma maps at vpn; a new shm page is zeroed."""
        index = vma.offset + vpn - vma.start
        page = self.file_pages.get((vma.file, index))
        if page is not None:
            return page
        if vma.kind == VmaKind.SHM:
            page = self.new_page(SHM, vma.file, index)
            self.acts["pages_zeroed"] += 1
        else:
            page = Page(CACHE, vma.file, index, stamp=(-2 - vma.file, index))
            self.levels["cache_pages"] += 1
        self.file_pages[vma.file, index] = page
        return page

    def shm_mapped(self, vma: Vma, change: int) -> None:
        """Count the vmas of a shm object; the object and its pages live as long as a vma maps it."""
        if vma.kind != VmaKind.SHM:
            return
        self.shm_vmas[vma.file] += change
        if self.shm_vmas[vma.file] == 0:
            for key in [key for key in self.file_pages if key[0] == vma.file]:
                del self.file_pages[key]
                self.acts["refs_dropped"] += 1
                self.free_page()
