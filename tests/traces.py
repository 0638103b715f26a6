"""Traces for tests: random ones, and all short ones, over a tiny geometry.

The generator keeps a shadow of tasks and vmas so that most events can happen; some are left to chance, so that
refusals are met too.
"""

from __future__ import annotations

import os
import random
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simcore import Mapping, Trace, TraceBuilder, VmaKind
from simcore.events import ANONYMOUS, Op

if TYPE_CHECKING:
    from collections.abc import Iterable

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"  # a night, not minutes
PAGES = 32
SHARED = (VmaKind.FILE_SHARED, VmaKind.SHM)
FILE_OF = {VmaKind.FILE_PRIVATE: 0, VmaKind.FILE_SHARED: 0, VmaKind.SHM: 1}
IMAGES = (
    [
        Mapping(0, 3, VmaKind.FILE_PRIVATE, writable=False, file=0),
        Mapping(3, 3, VmaKind.ANON),
        Mapping(29, 3, VmaKind.STACK),
    ],
    [
        Mapping(1, 6, VmaKind.FILE_PRIVATE, writable=True, file=2),
        Mapping(8, 8, VmaKind.FILE_PRIVATE, writable=False, file=0),
        Mapping(16, 2, VmaKind.SHM, writable=True, file=1),
        Mapping(18, 2, VmaKind.HEAP),
    ],
)
COMMON = (
    [Op.READ] * 5
    + [Op.WRITE] * 7
    + [Op.FORK] * 3
    + [Op.MMAP] * 3
    + [Op.MUNMAP] * 2
    + [Op.MPROTECT, Op.DONTNEED]
)
RARE = [Op.VFORK, Op.EXEC, Op.EXIT, Op.EXIT, Op.GROW, Op.RECLAIM]


class RandomTrace:
    """Write random events of up to ``tasks`` tasks over the first PAGES pages.

    ``wild`` is the share of events that may be refused. Without ``shared`` nothing is mapped shared, so that the
    vfork schedule may move steps. Events of ``without`` do not occur. Mappings may be advised or tracked if ``flagged``.
    ``mapped`` is the shadow: for each task, page ->
    (may it be written, does it belong to a stack).
    """

    def __init__(
        self,
        seed: int,
        tasks: int = 6,
        wild: float = 0.05,
        *,
        shared: bool = True,
        without: tuple[Op, ...] = (),
        flagged: bool = True,
    ) -> None:
        self.rng, self.flags = random.Random(seed), random.Random(-1 - seed)
        self.flagged = 0.6 if flagged else 0.0
        self.ops = [op for op in COMMON + RARE if op not in without]
        self.tasks, self.pages, self.wild = tasks, PAGES, wild
        self.kinds = [kind for kind in VmaKind if shared or kind not in SHARED]
        self.images = [[row for row in image if row.kind in self.kinds] for image in IMAGES]
        self.builder = TraceBuilder()
        for image in self.images:
            self.builder.image(image)
        self.mapped: dict[int, dict[int, tuple[bool, bool]]] = {0: {}}
        self.lender: dict[int, int] = {}

    def build(self, length: int) -> Trace:
        """Return a trace of that many events; task 0 lives on, so that there is always somebody to act."""
        for _ in range(length):
            self._event()
        return self.builder.build()

    def _event(self) -> None:
        op = self.rng.choice(self.ops)
        wild = self.rng.random() < self.wild
        waiting = set(self.lender.values())
        ready = [task for task in self.mapped if task not in waiting]
        task = self.rng.randrange(self.tasks) if wild else self.rng.choice(ready)
        if not wild and task in self.lender and op not in (Op.READ, Op.WRITE, Op.EXEC, Op.EXIT, Op.RECLAIM):
            op = self.rng.choice([Op.READ, Op.WRITE, Op.EXEC, Op.EXIT])
        getattr(self, f"_{op.name.lower()}")(task, wild)

    def _free_task(self, wild: bool) -> int | None:
        free = [task for task in range(1, self.tasks) if task not in self.mapped]
        if wild:
            return self.rng.randrange(1, self.tasks)
        return self.rng.choice(free) if free else None

    def _may(self, task: int, *, borrowed: bool = True) -> bool:
        """Whether an event of the task can happen as far as tasks go: the shadow follows the machine's rules."""
        waits = task in self.lender.values()
        return task in self.mapped and not waits and (borrowed or task not in self.lender)

    def _mmap(self, task: int, wild: bool) -> None:
        start = self.rng.randrange(self.pages)
        count = min(self.rng.choice([1, 1, 2, 3, 4, 6, 9]), self.pages - start)
        kind = self.rng.choice(self.kinds)
        pages = set(range(start, start + count))
        fresh = not pages & set(self.mapped.get(task, ()))
        if not fresh and not wild:
            return
        writable = self.rng.random() < 0.8
        offset = self.rng.choice([0, 0, 1, 2]) + start % 8 if kind in FILE_OF else 0
        advised = kind in ANONYMOUS and self.flags.random() < self.flagged
        tracked = kind == VmaKind.FILE_SHARED and self.flags.random() < self.flagged
        file = FILE_OF.get(kind, -1)
        self.builder.mmap(task, Mapping(start, count, kind, writable, file, offset, advised, tracked))
        if self._may(task, borrowed=False) and fresh:
            self.mapped[task] = self.mapped[task] | dict.fromkeys(pages, (writable, kind == VmaKind.STACK))

    def _munmap(self, task: int, wild: bool) -> None:
        start = self.rng.randrange(self.pages)
        count = min(self.rng.choice([1, 2, 4, 5, 8, 16]), self.pages - start)
        self.builder.munmap(task, start, count)
        if self._may(task, borrowed=False):
            gone = range(start, start + count)
            self.mapped[task] = {page: what for page, what in self.mapped[task].items() if page not in gone}

    def _mprotect(self, task: int, wild: bool) -> None:
        pages, writable = self.mapped.get(task, {}), self.rng.random() < 0.5
        start = self.rng.choice(sorted(pages)) if pages and not wild else self.rng.randrange(self.pages)
        most = next(count for count in range(self.pages + 1) if start + count not in pages)
        count = (
            self.rng.randint(1, min(most, 9))
            if most and not wild
            else self.rng.randint(1, self.pages - start)
        )
        if most >= count or wild:
            self.builder.mprotect(task, start, count, writable=writable)
        if most >= count and self._may(task, borrowed=False):
            changed = {page: (writable, pages[page][1]) for page in range(start, start + count)}
            self.mapped[task] = pages | changed

    def _dontneed(self, task: int, wild: bool) -> None:
        start = self.rng.choice([0, 4, 8, 16, self.rng.randrange(self.pages)])
        self.builder.dontneed(task, start, min(self.rng.choice([1, 2, 4, 8, 16]), self.pages - start))

    def _grow(self, task: int, wild: bool) -> None:
        pages, start = self.mapped.get(task, {}), self.rng.randrange(self.pages)
        above = next((page for page in range(start, self.pages) if page in pages), None)
        may = above is not None and above > start and pages[above][1]
        if may or wild:
            self.builder.grow(task, start)
        if may and self._may(task, borrowed=False):
            self.mapped[task] = pages | dict.fromkeys(range(start, above), pages[above])

    def _reclaim(self, task: int, wild: bool) -> None:
        self.builder.reclaim(self.rng.choice([1, 2, 3, 5, 40]))

    def _touch(self, task: int, wild: bool, *, write: bool) -> None:
        allowed = [page for page, (writable, _) in self.mapped.get(task, {}).items() if writable or not write]
        verb = "write" if write else "read"
        if wild or not allowed:
            if wild:
                getattr(self.builder, verb)(task, self.rng.randrange(self.pages))
            return
        page = self.rng.choice(allowed)
        stride = self.rng.choice([1, 1, 2])
        count = 1
        while count < 5 and page + count * stride in allowed:
            count += 1
        if self.rng.random() < 0.5:
            getattr(self.builder, verb)(task, page, count, stride)
        else:
            chosen = self.rng.choices(allowed, k=self.rng.randint(1, 4))
            getattr(self.builder, f"{verb}_pages")(task, chosen)

    def _read(self, task: int, wild: bool) -> None:
        self._touch(task, wild, write=False)

    def _write(self, task: int, wild: bool) -> None:
        self._touch(task, wild, write=True)

    def _fork(self, task: int, wild: bool) -> None:
        child = self._free_task(wild)
        if child is None:
            return
        self.builder.fork(task, child)
        if self._may(task, borrowed=False) and child not in self.mapped:
            self.mapped[child] = dict(self.mapped[task])

    def _vfork(self, task: int, wild: bool) -> None:
        child = self._free_task(wild)
        if child is None:
            return
        self.builder.vfork(task, child)
        if self._may(task, borrowed=False) and child not in self.mapped:
            self.mapped[child] = dict(self.mapped[task])
            self.lender[child] = task

    def _exec(self, task: int, wild: bool) -> None:
        image = self.rng.randrange(len(IMAGES))
        self.builder.exec(task, image)
        if self._may(task):
            self.lender.pop(task, None)
            self.mapped[task] = {
                page: (each.writable, each.kind == VmaKind.STACK)
                for each in self.images[image]
                for page in range(each.start, each.start + each.npages)
            }

    def _exit(self, task: int, wild: bool) -> None:
        if task == 0:
            return
        self.builder.exit(task)
        if self._may(task):
            self.lender.pop(task, None)
            del self.mapped[task]


class Recipe(NamedTuple):
    """What makes a random trace, in a form that a message can show."""

    seed: int
    length: int
    tasks: int = 6
    wild: float = 0.05
    shared: bool = True
    flagged: bool = True

    def build(self) -> Trace:
        """Make the trace."""
        trace = RandomTrace(self.seed, self.tasks, self.wild, shared=self.shared, flagged=self.flagged)
        return trace.build(self.length)


class Magnified(NamedTuple):
    """A recipe under a magnifying glass: each page becomes ``by`` pages, all of them ``shift`` pages further on.

    For tables whose rows have several words, and blocks of fault-around within them.
    """

    recipe: Recipe
    by: int
    shift: int

    def build(self) -> Trace:
        """Make the trace."""
        small = self.recipe.build()
        events, rows = small.events.copy(), small.image_rows.copy()
        listed = (events["stride"] == 0) & np.isin(events["op"], (Op.READ, Op.WRITE))
        ranged = ~listed & ~np.isin(events["op"], (Op.FORK, Op.VFORK, Op.EXEC, Op.EXIT, Op.RECLAIM))
        events[ranged], rows = self._larger(events[ranged]), self._larger(rows)
        events["count"][events["op"] == Op.RECLAIM] *= self.by
        pages = small.pages * self.by + self.shift + np.arange(len(small.pages)) * 7 % self.by
        return Trace(events, pages, rows, small.image_starts)

    def _larger(self, rows: np.ndarray) -> np.ndarray:
        """Return events with ranges of pages, magnified; every third access leaves out the first of its pages."""
        rows, far = rows.copy(), rows["stride"] > 1
        rows["start"] = rows["start"] * self.by + self.shift
        rows["count"] *= np.where(far, 1, self.by)
        rows["stride"] *= np.where(far, self.by, 1)
        rows["offset"] *= self.by
        cut = np.isin(rows["op"], (Op.READ, Op.WRITE)) & ~far & (np.arange(len(rows)) % 3 == 0)
        rows["start"][cut] += self.by // 3
        rows["count"][cut] -= self.by // 3
        return rows


class Short(NamedTuple):
    """A short trace, by the numbers of its letters in ALPHABET."""

    letters: tuple[int, ...]

    def build(self) -> Trace:
        """Make the trace."""
        builder = beginning()
        for letter in self.letters:
            ALPHABET[letter](builder)
        return builder.build()


# What Linux 2.4 and the thread of 2002 speak of.
PLAIN = (
    lambda b: b.write(0, 1),
    lambda b: b.write(1, 1),
    lambda b: b.write(1, 2, 3),
    lambda b: b.read(0, 3),
    lambda b: b.read(1, 6),
    lambda b: b.write(0, 6),
    lambda b: b.fork(0, 2),
    lambda b: b.fork(1, 2),
    lambda b: b.vfork(1, 2),
    lambda b: b.write(2, 1),
    lambda b: b.mmap(0, Mapping(7, 2, VmaKind.HEAP)),
    lambda b: b.munmap(1, 0, 2),
    lambda b: b.munmap(0, 4, 4),
    lambda b: b.exec(1, 1),
    lambda b: b.exit(1),
    lambda b: b.exit(0),
    lambda b: b.exit(2),
)
# Text that covers a table and comes to be written, permissions, stacks that grow into another table, reclaim.
LATER = (
    lambda b: b.read(0, 12),
    lambda b: b.read(1, 13),
    lambda b: b.write(1, 13),
    lambda b: b.mprotect(1, 12, 4, writable=True),
    lambda b: b.mprotect(0, 0, 2, writable=False),
    lambda b: b.mprotect(1, 3, 4, writable=False),
    lambda b: b.grow(0, 9),
    lambda b: b.grow(1, 7),
    lambda b: b.reclaim(1),
    lambda b: b.reclaim(40),
)
# madvise(DONTNEED), of which one design takes no notice: it shows other contents.
FORGETTING = (
    lambda b: b.dontneed(0, 0, 4),
    lambda b: b.dontneed(1, 1, 5),
)
ALPHABET = PLAIN + LATER + FORGETTING
# Each kind of event once or twice: for what is too slow for all.
FEW = (0, 1, 4, 5, 6, 7, 9, 10, 11, 13, 14, 19, 20, 21, 23, 24, 26, 27)
SEEN_ALIKE = tuple(letter for letter in FEW if letter < len(PLAIN + LATER))
BEGUN = 11  # events of the beginning


def beginning() -> TraceBuilder:
    """Map private and shared memory, a stack and text in four tables, and fork once.

    So three events are enough to unshare, reuse, drop, cut, fill, protect, grow, reclaim and fork again.
    """
    builder = TraceBuilder()
    builder.image([])
    builder.image([Mapping(0, 2, VmaKind.FILE_PRIVATE, writable=True, file=0)])
    builder.mmap(0, Mapping(0, 4, VmaKind.ANON))
    builder.mmap(0, Mapping(4, 2, VmaKind.FILE_PRIVATE, writable=True, file=0))
    builder.mmap(0, Mapping(6, 1, VmaKind.SHM, writable=True, file=1))
    builder.mmap(0, Mapping(10, 2, VmaKind.STACK))
    builder.mmap(0, Mapping(12, 4, VmaKind.FILE_PRIVATE, writable=False, file=2))
    builder.write(0, 0, 3)
    builder.read(0, 4)
    builder.write(0, 4)
    builder.write(0, 10)
    builder.read(0, 12, 2)
    builder.fork(0, 1)
    return builder


def all_traces(length: int, letters: Iterable[int] = SEEN_ALIKE) -> list[Trace]:
    """Return every trace of ``length`` events from an alphabet, each behind the same short beginning."""
    return [Short(chosen).build() for chosen in product(letters, repeat=length)]
