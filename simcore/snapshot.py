"""The state of a machine as plain values, so that two machines can be compared and recounted.

Numbers of mms, tables and frames are whatever the machine uses; ``canonical`` renumbers them as they are met,
so that equal states are equal values whoever numbered them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class VmaView(NamedTuple):
    """A vma: pages ``[start, end)``; kind as VmaKind."""

    start: int
    end: int
    kind: int
    writable: bool
    file: int
    offset: int


class MmView(NamedTuple):
    """An mm: vmas in address order; slot -> (table, writable); upper tables as (level, index)."""

    vmas: list[VmaView]
    slots: dict[int, tuple[int, bool]]
    uppers: set[tuple[int, int]]


class TableView(NamedTuple):
    """A leaf table: refcount, mark, and index -> (frame, writable) for each present pte; frame 0 is the zero page."""

    refcount: int
    marked: bool
    ptes: dict[int, tuple[int, bool]]


class FrameView(NamedTuple):
    """A page frame: "anon", "cache" or "shm"; file and page in it (-1 and 0 for anon); ptes that hold it."""

    kind: str
    file: int
    page: int
    pte_mapcount: int


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
    arena : Arena, optional
        Where a machine keeps its records, if it has an arena.
    """

    tasks: dict[int, tuple[int, bool, bool]]
    mms: dict[int, MmView]
    tables: dict[int, TableView]
    frames: dict[int, FrameView]
    levels: dict[str, int]
    rmap_elements: int
    arena: Arena | None = None

    def canonical(self) -> tuple[object, ...]:
        """Return the state renumbered in the order of tasks, slots and ptes: comparable across machines."""
        mms: dict[int, int] = {}
        tables: dict[int, int] = {}
        frames: dict[int, int] = {0: 0}
        tasks = []
        for task, (mm, borrows, waits) in sorted(self.tasks.items()):
            tasks.append((task, mms.setdefault(mm, len(mms)), borrows, waits))
        mm_rows, table_rows = [], []
        for mm in mms:
            view = self.mms[mm]
            slots = []
            for slot, (table, writable) in sorted(view.slots.items()):
                if table not in tables:
                    tables[table] = len(tables)
                    table_rows.append(self._table_row(table, frames))
                slots.append((slot, tables[table], writable))
            mm_rows.append((tuple(view.vmas), tuple(slots), tuple(sorted(view.uppers))))
        frame_rows = [self.frames[frame] for frame in frames if frame != 0]
        unmapped = sorted(view for frame, view in self.frames.items() if frame not in frames)
        levels = tuple(sorted(self.levels.items()))
        return tuple(tasks), tuple(mm_rows), tuple(table_rows), tuple(frame_rows), tuple(unmapped), levels

    def _table_row(self, table: int, frames: dict[int, int]) -> tuple[object, ...]:
        """Return a table with its frames renumbered."""
        view = self.tables[table]
        ptes = tuple(
            (index, frames.setdefault(frame, len(frames)), writable)
            for index, (frame, writable) in sorted(view.ptes.items())
        )
        return view.refcount, view.marked, ptes
