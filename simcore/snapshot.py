"""The state of a machine as plain values, so that two machines can be compared and recounted.

Numbers of mms, tables, frames and anon_vmas are whatever the machine uses; ``canonical`` renumbers them as they are met,
so that equal states are equal values whoever numbered them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class VmaView(NamedTuple):
    """A vma: pages ``[start, end)``; kind as VmaKind."""

    start: int
    end: int
    kind: int
    writable: bool
    file: int
    offset: int
    anon_vma: int = 0
    advised: bool = False
    tracked: bool = False


class MmView(NamedTuple):
    """An mm: vmas in address order; slot -> (table, writable); upper tables as (level, index); has it still to copy.

    ``left_charged`` is how many tables it is charged for though it has left them.
    """

    vmas: list[VmaView]
    slots: dict[int, tuple[int, bool]]
    uppers: set[tuple[int, int]]
    pending: bool = False
    left_charged: int = 0


class Account(NamedTuple):
    """What the kernel tells of one mm, at one moment.

    ``tables`` count in its VmPTE (leaf and upper ones, the pgd left out; with shared ones as the design charges
    them); ``rss_pages`` are resident, the zero page not counted, ``anon_pages`` of them anonymous.
    """

    tables: int
    rss_pages: int
    anon_pages: int


class TableView(NamedTuple):
    """A leaf table: refcount, mark, and index -> (frame, writable) for each present pte; frame 0 is the zero page.

    ``swaps`` is index -> frame for swap entries; ``owner`` the mm charged for the table, where only one is;
    ``through_file`` whether other mms may find the table through its file; ``huge`` whether the directory entry maps
    a huge page, and the table is kept for when it is split; ``reopen`` are the indices of read-only ptes that become
    writable with their vma.
    """

    refcount: int
    marked: bool
    ptes: dict[int, tuple[int, bool]]
    swaps: dict[int, int]
    owner: int | None = None
    through_file: bool = False
    huge: bool = False
    reopen: set[int] = set()  # noqa: RUF012 - never changed


class FrameView(NamedTuple):
    """A page frame: "anon", "cache" or "shm"; file and page in it (-1 and 0 for anon); ptes that hold it.

    ``swapcount`` is the number of swap entries that lead to an anonymous page, which is in memory if ptes hold it;
    ``folio`` the huge page that it is part of, 0 if of none.
    """

    kind: str
    file: int
    page: int
    pte_mapcount: int
    swapcount: int = 0
    folio: int = 0


class Pool(NamedTuple):
    """The records of one kind in an arena: words of each, and where the used and the free ones start."""

    words: int
    used: list[int]
    free: list[int]


class Arena(NamedTuple):
    """Words [first, top) that a machine has handed out to records."""

    first: int
    top: int
    pools: list[Pool]


@dataclass(frozen=True)
class Snapshot:
    """Everything that exists.

    Parameters
    ----------
    tasks : dict of int to (mm, borrows, waits)
    mms, tables, frames : dict of int to view
        Frames hold all file and shm pages met so far, and every mapped anonymous page.
    levels : dict of str to int
        The machine's own idea of each level of ``simcore.acts.LEVELS``.
    rmap_elements : int
        The machine's own idea of how many there are.
    hand : (int, int)
        Task and page at which reclaim stopped.
    evicted : set of (file, page)
        Pages of files that reclaim took from the page cache.
    arena : Arena, optional
        Where a machine keeps its records, if it has an arena.
    """

    tasks: dict[int, tuple[int, bool, bool]]
    mms: dict[int, MmView]
    tables: dict[int, TableView]
    frames: dict[int, FrameView]
    levels: dict[str, int]
    rmap_elements: int
    hand: tuple[int, int] = (-1, -1)
    evicted: set[tuple[int, int]] = field(default_factory=set)
    arena: Arena | None = None

    def canonical(self) -> tuple[object, ...]:
        """Return the state renumbered in the order of tasks, slots and ptes: comparable across machines."""
        mms: dict[int, int] = {}
        tables: dict[int, int] = {}
        frames: dict[int, int] = {0: 0}
        anon_vmas: dict[int, int] = {0: 0}
        tasks = []
        for task, (mm, borrows, waits) in sorted(self.tasks.items()):
            tasks.append((task, mms.setdefault(mm, len(mms)), borrows, waits))
        mm_rows, table_rows = [], []
        for mm in list(mms):
            view = self.mms[mm]
            slots = []
            for slot, (table, writable) in sorted(view.slots.items()):
                if table not in tables:
                    tables[table] = len(tables)
                    table_rows.append(self._table_row(table, mms, frames))
                slots.append((slot, tables[table], writable))
            vmas = tuple(
                vma._replace(anon_vma=anon_vmas.setdefault(vma.anon_vma, len(anon_vmas))) for vma in view.vmas
            )
            mm_rows.append((vmas, tuple(slots), tuple(sorted(view.uppers)), view.pending))
        folios: dict[int, int] = {0: 0}
        views = [self.frames[frame] for frame in frames if frame != 0]
        frame_rows = [view._replace(folio=folios.setdefault(view.folio, len(folios))) for view in views]
        unmapped = sorted(view for frame, view in self.frames.items() if frame not in frames)
        levels = tuple(sorted(self.levels.items()))
        rest = (levels, self.hand, tuple(sorted(self.evicted)))
        return tuple(tasks), tuple(mm_rows), tuple(table_rows), tuple(frame_rows), tuple(unmapped), rest

    def _table_row(self, table: int, mms: dict[int, int], frames: dict[int, int]) -> tuple[object, ...]:
        """Return a table with its frames and its owner renumbered."""
        view = self.tables[table]
        held = {index: (frame, writable, False) for index, (frame, writable) in view.ptes.items()}
        held |= {index: (frame, False, True) for index, frame in view.swaps.items()}
        ptes = tuple(
            (index, frames.setdefault(frame, len(frames)), writable, swap)
            for index, (frame, writable, swap) in sorted(held.items())
        )
        owner = None if view.owner is None else mms[view.owner]
        reopen = tuple(sorted(view.reopen))
        return view.refcount, view.marked, owner, view.through_file, view.huge, reopen, ptes
