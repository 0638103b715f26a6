"""The heap as plain values, and a recount of what only the heap knows: homes, holders, counts kept beside rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from simcore.errors import InvariantViolation
from simcore.events import ADVISED, KIND_MASK, TRACKED, Op, VmaKind
from simcore.heap import (
    BASE,
    BUCKETS,
    CACHED,
    CHARGE,
    CHARGE_EACH,
    COPY,
    ENTRIES,
    EXTRA,
    FILE,
    FILE_FIRST,
    FILE_LOW,
    FILE_PAGES,
    FILE_PAGES_AT,
    FILE_WORDS,
    FILES_AT,
    FORK,
    LOCKED,
    MM,
    MM_LEFT,
    MM_PENDING,
    MM_ROUND,
    MM_SLOTS,
    MM_VMA,
    N_BUCKETS,
    OWN,
    PLACE_NUMBER,
    PLACE_UPPERS,
    PLACES,
    PLACES_AT,
    PRESENT,
    ROOTS_AT,
    ROW,
    SHARE,
    SHARE_HOME,
    SHARE_NEXT,
    SHARE_ROW,
    SLICE,
    SLICE_NEXT,
    SLICE_ROW,
    SPAN_WORDS,
    SPANS_AT,
    STEP,
    STEP_FIRST,
    STEP_NEXT,
    SWAP,
    TABLE,
    TABLE_BASE,
    TABLE_COUNT,
    TABLE_EXTRA,
    TABLE_FOLIO,
    TABLE_GUESTS,
    TABLE_HUGE,
    TABLE_KEY,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_OWNER,
    TABLE_PTES,
    TABLE_ROWS,
    TABLE_SHARES,
    TABLE_SLICES,
    TABLE_WRITABLE,
    TASK_WORDS,
    TASKS_AT,
    UPPER_LEVELS,
    UPPERS,
    USED,
    VECTOR,
    VECTOR_NEXT,
    VMA,
    VMA_ANON,
    VMA_FLAGS,
    VMA_NEXT,
    VMA_SHIFT,
    WRITE,
    ZERO,
)
from simcore.snapshot import Account, FrameView, MmView, TableView, VmaView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simcore.events import IntArray, Trace

Shares = dict[int, set[int]]  # home -> indices of the frames held


def chain(heap: IntArray, record: int, link: int) -> Iterator[int]:
    """Yield a record and those that follow it by the word ``link``."""
    while record:
        yield record
        record = int(heap[record + link])


def vectors(heap: IntArray) -> list[int]:
    """Return the records of act vectors."""
    heads = heap[BUCKETS : BUCKETS + N_BUCKETS]
    return [vector for head in heads[heads > 0].tolist() for vector in chain(heap, head, VECTOR_NEXT)]


class Views:
    """Read a heap.

    Parameters
    ----------
    heap : int64 [n]
        Between two events.
    trace : Trace
        What it was made for.
    """

    def __init__(self, heap: IntArray, trace: Trace) -> None:
        self.h = heap
        rows = np.concatenate([trace.events[trace.events["op"] == Op.MMAP], trace.image_rows])
        self._shm = set(rows["file"][(rows["arg"] & KIND_MASK) == VmaKind.SHM].tolist())
        words = heap[heap[TASKS_AT] : heap[PLACES_AT]].reshape(-1, TASK_WORDS).tolist()
        self.tasks = {
            number: (mm, bool(lender), bool(waits)) for number, (mm, lender, waits) in enumerate(words) if mm
        }
        self.slots = {mm: self._slots(mm) for mm, _, _ in self.tasks.values()}
        self.records = {table for slots in self.slots.values() for table, _ in slots.values()}

    def chain(self, record: int, link: int) -> Iterator[int]:
        """Yield a record and those that follow it by the word ``link``."""
        return chain(self.h, record, link)

    def _slots(self, mm: int) -> dict[int, tuple[int, bool]]:
        """Return slot number -> (table record, writable)."""
        h, places = self.h, int(self.h[PLACES])
        width = PLACE_UPPERS + int(h[UPPER_LEVELS])
        numbers = h[h[PLACES_AT] : h[SPANS_AT]].reshape(-1, width)[:, PLACE_NUMBER].tolist()
        slots = h[mm + MM_SLOTS : mm + MM_SLOTS + places].tolist()
        return {
            number: (slot // 2, bool(slot & 1)) for number, slot in zip(numbers, slots, strict=True) if slot
        }

    def bits(self, row: int) -> set[int]:
        """Return the indices that a row names."""
        words = self.h[row : row + self.h[ROW]].tolist()
        return {word * 64 + bit for word, bits in enumerate(words) for bit in range(64) if bits >> bit & 1}

    def row(self, table: int, row: int) -> set[int]:
        """Return the indices that a row of a table names."""
        return self.bits(table + TABLE_ROWS + row * int(self.h[ROW]))

    def rarer(self, table: int, row: int) -> set[int]:
        """Return the indices that a row of rarer ptes of a table names."""
        extra = int(self.h[table + TABLE_EXTRA])
        return self.bits(extra + row * int(self.h[ROW])) if extra else set()

    def shares(self, table: int) -> Shares:
        """Return which frames a table holds, by home."""
        found: Shares = {table: self.row(table, OWN)}
        if self.h[table + TABLE_BASE]:
            found.setdefault(int(self.h[table + TABLE_BASE]), set()).update(self.row(table, BASE))
        for share in self.chain(int(self.h[table + TABLE_SHARES]), SHARE_NEXT):
            found.setdefault(int(self.h[share + SHARE_HOME]), set()).update(self.bits(share + SHARE_ROW))
        return {home: held for home, held in found.items() if held}

    # views

    def mm_view(self, mm: int) -> MmView:
        """Return an mm as plain values."""
        h = self.h
        vmas = []
        for vma in self.chain(int(h[mm + MM_VMA]), VMA_NEXT):
            start, end, kind, writable, file, offset = h[vma : vma + VMA_SHIFT].tolist()
            flags = int(h[vma + VMA_FLAGS])
            anon, advised, tracked = int(h[vma + VMA_ANON]), bool(flags & ADVISED), bool(flags & TRACKED)
            vmas.append(VmaView(start, end, kind, bool(writable), file, offset, anon, advised, tracked))
        spans = h[h[SPANS_AT] : h[ROOTS_AT]].reshape(-1, SPAN_WORDS)
        first = mm + MM_SLOTS + int(h[PLACES])
        uppers = {(int(level), int(at)) for level, at, _, _ in spans[h[first : first + h[UPPERS]] == 1]}
        slots = {number: (self.name(mm, table), open_) for number, (table, open_) in self.slots[mm].items()}
        return MmView(vmas, slots, uppers, bool(h[mm + MM_PENDING]), int(h[mm + MM_LEFT]))

    def account(self, mm: int) -> Account:
        """Return what the kernel would tell of an mm."""
        h, tables = self.h, [table for table, _ in self.slots[mm].values()]
        first = mm + MM_SLOTS + int(h[PLACES])
        charged = sum(h[CHARGE] == CHARGE_EACH or h[table + TABLE_OWNER] == mm for table in tables)
        charged += int(h[first : first + h[UPPERS]].sum()) + int(h[mm + MM_LEFT])
        resident = sum(int(h[table + TABLE_MAPPED]) for table in tables)
        extras = [int(h[table + TABLE_EXTRA]) for table in tables if h[table + TABLE_EXTRA]]
        of_files = sum(len(self.bits(extra + FILE * int(h[ROW]))) for extra in extras)
        return Account(int(charged), resident, resident - of_files)

    def is_linked(self, table: int) -> bool:
        """Return whether the count of a record is its refcount."""
        return bool(self.h[FORK] != COPY or self.h[table + TABLE_KEY])

    def name(self, mm: int, table: int) -> int:
        """Return the identity of an mm's table: equal tables that share a record are different tables."""
        return table if self.is_linked(table) else table << 40 | mm

    def tables(self) -> dict[int, TableView]:
        """Return every leaf table as plain values."""
        return {
            self.name(mm, table): self._table_view(mm, number, table)
            for mm, slots in self.slots.items()
            for number, (table, _) in slots.items()
        }

    def _table_view(self, mm: int, number: int, table: int) -> TableView:
        """Return one leaf table, seen from an mm that reaches it."""
        h = self.h
        anon = {index: home for home, held in self.shares(table).items() for index in held}
        zero, file, write = self.rarer(table, ZERO), self.rarer(table, FILE), self.row(table, WRITE)
        vmas = self.mm_vmas(mm)
        ptes = {}
        for index in sorted(self.row(table, PRESENT)):
            vpn = number * int(h[ENTRIES]) + index
            frame = (
                0
                if index in zero
                else self._file_frame(vmas, vpn)
                if index in file
                else anon[index] << 20 | index
            )
            ptes[index] = (frame, index in write)
        swaps = {index: anon[index] << 20 | index for index in self.rarer(table, SWAP)}
        owner = int(h[table + TABLE_OWNER]) or None if h[CHARGE] else None
        refcount = int(h[table + TABLE_COUNT]) if self.is_linked(table) else 1
        marked, through_file = bool(h[table + TABLE_MARKED]), bool(h[table + TABLE_KEY])
        huge, reopen = bool(h[table + TABLE_HUGE]), self.rarer(table, LOCKED)
        return TableView(refcount, marked, ptes, swaps, owner, through_file, huge, reopen)

    def mm_vmas(self, mm: int) -> list[VmaView]:
        """Return an mm's vmas."""
        return self.mm_view(mm).vmas

    @staticmethod
    def _file_frame(vmas: list[VmaView], vpn: int) -> int:
        """Return the frame of the file page that an mm maps at a page."""
        vma = next(vma for vma in vmas if vma.start <= vpn < vma.end)
        return -((vma.file << 40) + vma.offset + vpn - vma.start + 1)

    def frames(self, tables: dict[int, TableView]) -> dict[int, FrameView]:
        """Return every page of files that is cached, and every anonymous page that ptes lead to."""
        maps = Counter(frame for table in tables.values() for frame, _ in table.ptes.values() if frame)
        swaps = Counter(frame for table in tables.values() for frame in table.swaps.values())
        found = {
            frame: FrameView("anon", -1, 0, maps[frame], swaps[frame], self._folio(frame >> 20))
            for frame in maps | swaps
            if frame > 0
        }
        for file, page in self.file_pages(CACHED):
            frame = -((file << 40) + page + 1)
            found[frame] = FrameView("shm" if file in self._shm else "cache", file, page, maps[frame])
        return found

    def _folio(self, home: int) -> int:
        """Return the huge page that the frames of a home are, 0 if they are small ones."""
        return home if self.h[home + TABLE_FOLIO] else 0

    def file_pages(self, state: int) -> set[tuple[int, int]]:
        """Return (file, page) for each page of a file in a state."""
        h = self.h
        files = h[h[FILES_AT] : h[FILE_PAGES_AT]].reshape(-1, FILE_WORDS).tolist()
        return {
            (number, page)
            for number, file in enumerate(files)
            for page in range(file[FILE_LOW], file[FILE_LOW] + file[FILE_PAGES])
            if h[h[FILE_PAGES_AT] + file[FILE_FIRST] + page] & state
        }

    # what only the heap knows

    def used(self) -> dict[int, list[int]]:
        """Return the records in use, by kind."""
        h = self.h
        mms = list(dict.fromkeys(mm for mm, _, _ in self.tasks.values()))
        homes = set(self.records)
        for table in self.records:
            homes |= set(self.shares(table))
            homes |= {int(h[s + SHARE_HOME]) for s in self.chain(int(h[table + TABLE_SHARES]), SHARE_NEXT)}
        return {
            MM: mms,
            VMA: [vma for mm in mms for vma in self.chain(int(h[mm + MM_VMA]), VMA_NEXT)],
            TABLE: sorted(homes),
            EXTRA: [int(h[table + TABLE_EXTRA]) for table in self.records if h[table + TABLE_EXTRA]],
            SHARE: [
                s for table in self.records for s in self.chain(int(h[table + TABLE_SHARES]), SHARE_NEXT)
            ],
            SLICE: [s for home in homes for s in self.chain(int(h[home + TABLE_SLICES]), SLICE_NEXT)],
            VECTOR: vectors(self.h),
            STEP: self._steps(mms),
        }

    def _steps(self, mms: list[int]) -> list[int]:
        """Return the steps below every image, and below the forks of every mm."""
        h = self.h
        left = [step for step in h[h[ROOTS_AT] : h[FILES_AT]].tolist() if step]
        left += [int(h[mm + MM_ROUND]) for mm in mms if h[mm + MM_ROUND]]
        found = []
        while left:
            found.append(left.pop())
            left += self.chain(int(h[found[-1] + STEP_FIRST]), STEP_NEXT)
        return found

    def recount(self) -> None:
        """Raise InvariantViolation if a home's holders, or a table's counts, are not what its rows say."""
        holders: Counter[tuple[int, int]] = Counter()
        guests: Counter[int] = Counter()
        for table in self.records:
            shares = self.shares(table)
            holders.update((home, index) for home, held in shares.items() for index in held)
            guests.update(home for home in shares if home != table)
            self._recount_table(table, shares)
        for home in self.used()[TABLE]:
            used, held = self.row(home, USED), {index for at, index in holders if at == home}
            folio = int(self.h[home + TABLE_FOLIO])
            if used != (set(range(int(self.h[ENTRIES]))) if folio else held) or folio not in (0, len(held)):
                raise InvariantViolation(f"home {home}: frames in use are not those held")
            if self.h[home + TABLE_GUESTS] != guests[home]:
                raise InvariantViolation(f"home {home}: {guests[home]} other tables hold frames of it")
            slices = [
                self.bits(s + SLICE_ROW) for s in self.chain(int(self.h[home + TABLE_SLICES]), SLICE_NEXT)
            ]
            for index in range(int(self.h[ENTRIES])):
                counted = sum((index in bits) << power for power, bits in enumerate(slices))
                if counted != max(0, holders[home, index] - 1):
                    raise InvariantViolation(f"home {home}, index {index}: {holders[home, index]} holders")
        slots = Counter(table for slots in self.slots.values() for table, _ in slots.values())
        if any(self.h[table + TABLE_COUNT] != slots[table] for table in self.records):
            raise InvariantViolation("a table's count is not the number of slots that point to it")

    def _recount_table(self, table: int, shares: Shares) -> None:
        """Raise InvariantViolation if the counts beside a table's rows are wrong, or a pte holds two things."""
        present, write = self.row(table, PRESENT), self.row(table, WRITE)
        zero, file, swap, locked = (self.rarer(table, row) for row in (ZERO, FILE, SWAP, LOCKED))
        anon = Counter(index for held in shares.values() for index in held)
        if (
            anon != Counter((present - zero - file) | swap)
            or zero & file
            or present & swap
            or write - present
            or locked - (present - write - zero)
        ):
            raise InvariantViolation(f"table {table}: its rows contradict each other")
        counts = {
            TABLE_PTES: len(present | swap),
            TABLE_MAPPED: len(present - zero),
            TABLE_WRITABLE: len(write),
        }
        for word, value in counts.items():
            if self.h[table + word] != value:
                raise InvariantViolation(
                    f"table {table}: word {word} is {self.h[table + word]}, {value} counted"
                )
