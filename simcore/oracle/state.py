"""The nouns: pages, ptes, leaf tables, vmas, mms, tasks, and the machine that owns and counts them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from simcore.events import ANONYMOUS, VmaKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simcore.designs import Design
    from simcore.geometry import Geometry

ZERO, ANON, CACHE, SHM = "zero", "anon", "cache", "shm"


@dataclass(eq=False)
class Folio:
    """The pages of a huge page, with the number of ptes that hold one of them; they are freed together."""

    mapped: int = 0


@dataclass(eq=False)
class Page:
    """A page frame, or an anonymous page's content on swap.

    ``stamp`` stands for the content: who wrote it last, as (task, number of the write). An anonymous page is in
    memory while a present pte holds it; ``swapcount`` is the number of swap entries that lead to it. ``exclusive``: the
    mm that maps it is known to be the only one (PageAnonExclusive); until a fork copies its pte.
    """

    kind: str
    file: int = -1
    index: int = 0
    pte_mapcount: int = 0
    swapcount: int = 0
    stamp: tuple[int, int] = (-1, 0)
    exclusive: bool = False
    folio: Folio | None = None


@dataclass(eq=False)
class Pte:
    """A page table entry that is not empty; an empty one is not in its table's dict. A swap entry is not present.

    ``dirty``: somebody wrote through it; it says so where shared mappings tell which pages are dirty.
    """

    page: Page
    writable: bool
    swap: bool = False
    dirty: bool = False


@dataclass(eq=False)
class LeafTable:
    """A table of ptes, with the number of slots that point to it.

    ``owner`` is charged for it where the design charges one mm only. ``file_key`` is set while other mms may find
    the table through the file that it maps. ``huge``: the directory entry maps a huge page, or the huge zero page; the
    table is kept for when it is split, and its ptes say what that will give.
    """

    refcount: int = 1
    marked: bool = False
    ptes: dict[int, Pte] = field(default_factory=dict)
    owner: Mm | None = None
    file_key: tuple[int, int, bool] | None = None
    huge: bool = False

    def mapped(self) -> int:
        """Return how many present ptes hold a page other than the zero page."""
        return sum(pte.page.kind != ZERO and not pte.swap for pte in self.ptes.values())


@dataclass(eq=False)
class Slot:
    """The directory entry of one mm that points to a leaf table."""

    table: LeafTable
    writable: bool


@dataclass(frozen=True)
class Vma:
    """Pages ``[start, end)`` with one set of attributes.

    ``anon_vma`` numbers the family of vmas that began with the first private write to one of them; 0 before that.
    """

    start: int
    end: int
    kind: VmaKind
    writable: bool
    file: int
    offset: int
    anon_vma: int = 0
    advised: bool = False
    tracked: bool = False

    @property
    def private(self) -> bool:
        """Whether writes stay with the mm, so that its ptes are CoWable."""
        return self.kind not in (VmaKind.FILE_SHARED, VmaKind.SHM)

    def cut(self, start: int, end: int) -> Vma:
        """Return the part of the vma in ``[start, end)``; a file's offset moves along."""
        low, high = max(self.start, start), min(self.end, end)
        offset = self.offset + low - self.start if self.file >= 0 else 0
        return replace(self, start=low, end=high, offset=offset)

    def overlaps(self, span: tuple[int, int]) -> bool:
        """Return whether the vma and pages [first, last) have a page in common."""
        return self.start < span[1] and span[0] < self.end

    def covers(self, span: tuple[int, int]) -> bool:
        """Return whether the vma holds all of pages [first, last)."""
        return self.start <= span[0] and span[1] <= self.end

    def file_index(self, vpn: int) -> int:
        """Return which page of its file the vma maps at vpn."""
        return self.offset + vpn - self.start


@dataclass(eq=False)
class Mm:
    """An address space: vmas in address order, slots by number, upper tables by (level, index).

    Level 2 is the level just above the leaf tables; the pgd, always there, is not listed. ``pending``: a child that
    has not run yet and will copy its linked tables first. ``left_charged`` is how many tables it is charged for though
    it has left them.
    """

    vmas: list[Vma] = field(default_factory=list)
    slots: dict[int, Slot] = field(default_factory=dict)
    uppers: set[tuple[int, int]] = field(default_factory=set)
    pending: bool = False
    left_charged: int = 0

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
    """Everything that exists, the acts of the current event, and the levels that gauges sample.

    ``evicted`` holds the pages of files that reclaim took from the page cache; ``hand`` is the (task, vpn) at which
    reclaim stopped; ``anon_vmas`` is how many anon_vmas were made so far.
    """

    design: Design
    geometry: Geometry
    tasks: dict[int, Task] = field(default_factory=dict)
    file_pages: dict[tuple[int, int], Page] = field(default_factory=dict)
    file_tables: dict[tuple[int, int, bool], LeafTable] = field(default_factory=dict)
    evicted: dict[tuple[int, int], Page] = field(default_factory=dict)
    shm_vmas: Counter[int] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    zero_page: Page = field(default_factory=lambda: Page(ZERO))
    hand: tuple[int, int] = (-1, -1)
    anon_vmas: int = 0

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

    def mms(self) -> list[Mm]:
        """Return every mm once, in the order of the tasks that it belongs to."""
        return [task.mm for _, task in sorted(self.tasks.items()) if task.lender is None]

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
        self.levels["charged_tables"] += len(missing)
        mm.slots[slot] = Slot(table, writable)
        self.acts["pmds_written"] += 1

    def clear_slot(self, mm: Mm, slot: int) -> None:
        """Make a slot empty."""
        del mm.slots[slot]
        self.acts["pmds_written"] += 1

    def new_table(self, mm: Mm) -> LeafTable:
        """Allocate an empty leaf table, charged to the mm that it is for."""
        self.acts["leaf_tables_allocated"] += 1
        self.levels["leaf_tables"] += 1
        table = LeafTable()
        self.charge(table, mm)
        return table

    def free_table(self, table: LeafTable) -> None:
        """Give back a leaf table that no slot points to."""
        self.acts["leaf_tables_freed"] += 1
        self.levels["leaf_tables"] -= 1
        self.unregister(table)

    def unregister(self, table: LeafTable) -> None:
        """Let nobody find the table through its file any more."""
        if table.file_key is not None:
            del self.file_tables[table.file_key]
            table.file_key = None

    # who is charged for a table

    def charge(self, table: LeafTable, mm: Mm) -> None:
        """Charge an mm for a table that nobody is charged for yet."""
        self.levels["charged_tables"] += 1
        table.owner = mm

    def charge_sharer(self, table: LeafTable, mm: Mm) -> None:
        """Charge an mm for a table that it reaches beside others, if the design says so."""
        if self.design.charge in (None, "each"):
            self.charge(table, mm)

    def uncharge(self, table: LeafTable, mm: Mm) -> None:
        """Take a table that an mm no longer reaches off its charge."""
        if self.design.charge in (None, "each") or table.owner is mm:
            self.levels["charged_tables"] -= 1
            table.owner = None

    # pages and the ptes that hold them

    def notifies(self, vma: Vma) -> bool:
        """Return whether the first write to each page of a shared mapping must be a fault (vma_wants_writenotify)."""
        return vma.tracked and self.design.dirty_tracking == "notify"

    def may_be_huge(self, vma: Vma, number: int) -> bool:
        """Return whether a fault may give the empty directory entry of a slot a huge page."""
        wanted = self.geometry.thp == "always" or (self.geometry.thp == "madvise" and vma.advised)
        anonymous = vma.kind in ANONYMOUS
        return self.design.thp == "anon" and wanted and anonymous and vma.covers(self.span(number))

    def alone(self, table: LeafTable, page: Page) -> bool:
        """Return whether an anonymous page, or the huge page that it is part of, is held by ptes of one table only."""
        if page.folio is None:
            return page.pte_mapcount + page.swapcount == 1
        return page.folio.mapped == sum(pte.page.folio is page.folio for pte in table.ptes.values())

    def weight(self, table: LeafTable) -> int:
        """Return how many references and reverse mappings a pte of a table stands for."""
        return table.refcount if self.design.page_refs == "per_sharer" else 1

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
        if page.folio:
            page.folio.mapped += 1
        self.levels["rss_pages"] += table.refcount
        self.rmap("added", self.weight(table))

    def unmap_page(self, table: LeafTable, index: int) -> None:
        """Empty a pte and drop what it holds; an anonymous page nobody holds present any more is freed."""
        pte = table.ptes.pop(index)
        page = pte.page
        if pte.swap:
            page.swapcount -= 1
        if pte.swap or page.kind == ZERO:
            return
        if self.design.rmap == "pte_chain":
            self.acts["rmap_walked"] += page.pte_mapcount
        page.pte_mapcount -= 1
        self.acts["refs_dropped"] += self.weight(table)
        self.levels["rss_pages"] -= table.refcount
        self.rmap("removed", self.weight(table))
        if page.folio:
            page.folio.mapped -= 1
            if page.folio.mapped == 0:
                self.acts["huge_pages_freed"] += 1
                self.levels["pages"] -= self.geometry.entries
        elif page.kind == ANON and page.pte_mapcount == 0:
            self.free_page()

    def copy_pte(self, source: Pte, table: LeafTable, index: int, *, writable: bool) -> None:
        """Copy a pte to a table of one mm's own; the new pte holds a reference of its own."""
        if source.swap:
            table.ptes[index] = Pte(source.page, writable=False, swap=True)
            source.page.swapcount += 1
            return
        if source.page.kind != ZERO:
            self.acts["refs_taken"] += 1
        self.map_page(table, index, source.page, writable=writable)
        table.ptes[index].dirty = source.dirty

    def rmap(self, verb: str, count: int) -> None:
        """Count reverse mappings "added" or "removed", if the design has any."""
        if self.design.rmap != "none" and count:
            self.acts[f"rmap_{verb}"] += count
            self.levels["rmap_elements"] += count if verb == "added" else -count

    def flush(self, kind: str, reached: int = 1) -> None:
        """Count a TLB flush and the mms that it reaches."""
        self.acts[f"tlb_flush_{kind}"] += 1
        self.acts["tlb_mms_reached"] += reached

    # files

    def in_cache(self, vma: Vma, vpn: int) -> bool:
        """Return whether a fault-around may map a page: file pages are cached, shm pages exist once touched."""
        key = vma.file, vma.file_index(vpn)
        return key in self.file_pages if vma.kind == VmaKind.SHM else key not in self.evicted

    def file_page(self, vma: Vma, vpn: int) -> Page:
        """Return the page of the cache or shm object that a vma maps at vpn; a new shm page is zeroed."""
        key = vma.file, vma.file_index(vpn)
        page = self.file_pages.get(key)
        if page is not None:
            return page
        if vma.kind == VmaKind.SHM:
            page = self.new_page(SHM, *key)
            self.acts["pages_zeroed"] += 1
        else:
            page = self.evicted.pop(key, None)
            self.acts["pages_read_back"] += page is not None
            page = page or Page(CACHE, *key, stamp=(-2 - key[0], key[1]))
            self.levels["cache_pages"] += 1
        self.file_pages[key] = page
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
                self.acts["shm_pages_freed"] += 1
                self.free_page()
