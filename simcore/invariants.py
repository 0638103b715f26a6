"""I1 to I9: recount everything from nothing, compare, raise.

Works on snapshots, so one set of checks serves the engine and the oracle.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from simcore.errors import InvariantViolation
from simcore.events import VmaKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simcore.designs import Design
    from simcore.geometry import Geometry
    from simcore.snapshot import MmView, Snapshot, VmaView


def check_invariants(state: Snapshot, design: Design, geometry: Geometry) -> None:
    """Recount a snapshot.

    Raises
    ------
    InvariantViolation
        With every invariant that does not hold, by number.
    """
    recount = _Recount(state, geometry)
    broken = [
        *recount.vmas_hold_ptes(),
        *recount.refcounts(),
        *recount.mapcounts(),
        *recount.resident(),
        *(recount.isolation() if design.sound else ()),
        *recount.marks(),
        *recount.huge_pages(),
        *recount.bytes_in_tables(design),
        *recount.pools(),
        *recount.reverse_mappings(design),
        *recount.nothing_left(),
    ]
    if broken:
        raise InvariantViolation("; ".join(broken))


class _Recount:
    """The recounts, each yielding what is broken."""

    def __init__(self, state: Snapshot, geometry: Geometry) -> None:
        self.state = state
        self.geometry = geometry
        self.live = {mm: state.mms[mm] for mm, _, _ in state.tasks.values()}
        self.ptes = [
            (table, index, frame, writable)
            for table, view in state.tables.items()
            for index, (frame, writable) in view.ptes.items()
        ]

    def _vma(self, mm: MmView, vpn: int) -> VmaView | None:
        """Return the vma of an mm that holds a page."""
        return next((vma for vma in mm.vmas if vma.start <= vpn < vma.end), None)

    def _paths(self) -> Iterator[tuple[int, int, int, bool]]:
        """Yield (mm, vpn, frame, writable) for every present pte of every mm; pmd and pte are and'ed."""
        for key, mm in self.live.items():
            for slot, (table, open_) in mm.slots.items():
                for index, (frame, writable) in self.state.tables[table].ptes.items():
                    yield key, slot * self.geometry.entries + index, frame, writable and open_

    def vmas_hold_ptes(self) -> Iterator[str]:
        """I1: every present pte lies in a vma of each mm that reaches it; vmas are in order and apart."""
        for key, vpn, _, writable in self._paths():
            vma = self._vma(self.live[key], vpn)
            if vma is None:
                yield f"I1: mm {key} reaches page {vpn} outside its vmas"
            elif writable and not vma.writable:
                yield f"I1: mm {key} can write page {vpn} of a read-only vma"
        for key, mm in self.live.items():
            pairs = zip(mm.vmas, mm.vmas[1:], strict=False)
            if any(before.end > after.start for before, after in pairs):
                yield f"I1: vmas of mm {key} overlap or are out of order"

    def refcounts(self) -> Iterator[str]:
        """I2: a table's refcount is the number of slots that point to it."""
        found = Counter(table for mm in self.live.values() for table, _ in mm.slots.values())
        for table, view in self.state.tables.items():
            if view.refcount != found[table]:
                yield f"I2: table {table} has refcount {view.refcount}, {found[table]} slots point to it"

    def mapcounts(self) -> Iterator[str]:
        """I3: a page's pte_mapcount is the number of ptes that hold it, its swapcount that of swap entries."""
        found = Counter(frame for _, _, frame, _ in self.ptes)
        swaps = Counter(frame for view in self.state.tables.values() for frame in view.swaps.values())
        for frame, view in self.state.frames.items():
            if view.pte_mapcount != found[frame]:
                yield f"I3: frame {frame} has pte_mapcount {view.pte_mapcount}, {found[frame]} ptes hold it"
            if view.swapcount != swaps[frame]:
                yield f"I3: frame {frame} has swapcount {view.swapcount}, {swaps[frame]} swap entries lead to it"

    def resident(self) -> Iterator[str]:
        """I4: pages that mms reach, counted mm by mm, are the ptes times the refcounts, and the rss level."""
        reached = Counter(frame for _, _, frame, _ in self._paths() if frame)
        by_table: Counter[int] = Counter()
        for table, _, frame, _ in self.ptes:
            by_table[frame] += self.state.tables[table].refcount if frame else 0
        if +reached != +by_table:
            yield "I4: mm_mapcounts by walking mms and by refcounts differ"
        if reached.total() != self.state.levels["rss_pages"]:
            yield f"I4: rss is {self.state.levels['rss_pages']}, {reached.total()} pages are reached"

    def isolation(self) -> Iterator[str]:
        """I5: nothing is writable on one path and reached on another, unless the mapping is shared."""
        reached = Counter(frame for _, _, frame, _ in self._paths())
        for key, vpn, frame, writable in self._paths():
            vma = self._vma(self.live[key], vpn)
            shared = vma is not None and vma.kind in (VmaKind.FILE_SHARED, VmaKind.SHM)
            if writable and not shared and (frame == 0 or reached[frame] > 1):
                yield f"I5: mm {key} can write page {vpn}, frame {frame}, which others reach"
            if writable and not shared and frame and self.state.frames[frame].kind != "anon":
                yield f"I5: mm {key} can write page {vpn} of a file through a private mapping"

    def marks(self) -> Iterator[str]:
        """I5, for the mark: no CoWable pte of a marked table is writable."""
        for key, mm in self.live.items():
            for slot, (table, _) in mm.slots.items():
                view = self.state.tables[table]
                for index, (_, writable) in view.ptes.items() if view.marked else ():
                    vma = self._vma(mm, slot * self.geometry.entries + index)
                    if writable and vma and vma.kind not in (VmaKind.FILE_SHARED, VmaKind.SHM):
                        yield f"I5: table {table} of mm {key} is marked but pte {index} is writable"

    def huge_pages(self) -> Iterator[str]:
        """I5, for huge pages: a directory entry that maps one stands for all ptes of its table, alike, in one vma."""
        for key, mm in self.live.items():
            for slot, (table, _) in mm.slots.items():
                view = self.state.tables[table]
                if not view.huge:
                    continue
                first = slot * self.geometry.entries
                vma = self._vma(mm, first)
                if vma is None or vma.end < first + self.geometry.entries:
                    yield f"I5: mm {key} maps slot {slot} by a huge page that no vma covers"
                frames = [frame for frame, _ in view.ptes.values()]
                folios = {self.state.frames[frame].folio if frame else 0 for frame in frames}
                whole = any(folios) and len(set(frames)) == self.geometry.entries == len(frames)
                zero = set(frames) == {0} and len(frames) == self.geometry.entries
                if len(folios) != 1 or not (whole or zero):
                    yield f"I5: table {table} is kept for a huge page, but its ptes map something else"
                if len({writable for _, writable in view.ptes.values()}) != 1:
                    yield f"I5: table {table} is kept for a huge page, but its ptes are not alike"

    def bytes_in_tables(self, design: Design) -> Iterator[str]:
        """I6: page-table bytes are tables in use times their size, as allocated and as charged."""
        page, levels = self.geometry.page_bytes, self.state.levels
        leaf = len({table for mm in self.live.values() for table, _ in mm.slots.values()})
        upper = sum(len(mm.uppers) + 1 for mm in self.live.values())
        owned = sum(view.owner is not None for view in self.state.tables.values())
        each = sum(len(mm.slots) for mm in self.live.values())
        charged = sum(len(mm.uppers) + mm.left_charged for mm in self.live.values())
        charged += owned if design.charge in ("owner", "forker") else each
        counted = {
            "mms": len(self.live),
            "leaf_tables": leaf,
            "upper_tables": upper,
            "pgtable_bytes": (leaf + upper) * page,
            "pgtable_charged_bytes": charged * page,
        }
        for name, value in counted.items():
            if levels[name] != value:
                yield f"I6: {name} is {levels[name]}, {value} counted"
        for key, mm in self.live.items():
            for slot in mm.slots:
                for level in range(2, self.geometry.levels):
                    if (level, slot // self.geometry.entries ** (level - 1)) not in mm.uppers:
                        yield f"I6: mm {key} has slot {slot} without its table of level {level}"

    def pools(self) -> Iterator[str]:
        """I7: used and free records tile the arena; frames in use are those that are held."""
        if self.state.arena is not None:
            first, top, pools = self.state.arena
            records = sorted((at, pool.words) for pool in pools for at in [*pool.used, *pool.free])
            ends = [first] + [at + words for at, words in records]
            if [at for at, _ in records] + [top] != ends:
                yield f"I7: used and free records do not tile the arena from {first} to {top}"
        frames = self.state.frames.values()
        held = [view for view in frames if view.kind == "shm" or (view.kind == "anon" and view.pte_mapcount)]
        folios = {view.folio for view in held if view.folio}
        pages = sum(view.folio == 0 for view in held) + len(folios) * self.geometry.entries
        if pages != self.state.levels["pages"]:
            yield f"I7: pages is {self.state.levels['pages']}, {pages} found"
        cached = sum(view.kind == "cache" for view in frames)
        if cached != self.state.levels["cache_pages"]:
            yield f"I7: cache_pages is {self.state.levels['cache_pages']}, {cached} found"

    def reverse_mappings(self, design: Design) -> Iterator[str]:
        """I8: there is a reverse mapping for each pte that holds a page, or for each mm that reaches it so.

        With object rmap they are counts and take no memory.
        """
        each = design.page_refs == "per_sharer"
        expected = sum(
            self.state.tables[table].refcount if each else 1 for table, _, frame, _ in self.ptes if frame
        )
        if design.rmap == "none":
            expected = 0
        if self.state.rmap_elements != expected:
            yield f"I8: {self.state.rmap_elements} rmap elements, {expected} expected"
        element = self.geometry.rmap_element_bytes if design.rmap == "pte_chain" else 0
        if self.state.levels["rmap_bytes"] != expected * element:
            yield f"I8: rmap_bytes is {self.state.levels['rmap_bytes']}"

    def nothing_left(self) -> Iterator[str]:
        """I9: after every mm has gone nothing is left but the page cache."""
        if self.live:
            return
        left = {name: value for name, value in self.state.levels.items() if value and name != "cache_pages"}
        if left:
            yield f"I9: no mm is left, but {left} are"
