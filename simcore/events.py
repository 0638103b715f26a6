"""Events: everything that can happen to the machine, and the trace that lists them.

A trace is made before the simulation and is the same for every design: all randomness is spent here.
An event names a *task* (a process). Tasks and mms differ only between a vfork and the child's exec or exit,
when two tasks use one mm. Task 0 exists from the start, with an empty mm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from simcore.errors import TraceRefused

if TYPE_CHECKING:
    from simcore.errors import Refusal

IntArray = npt.NDArray[np.int64]


class Op(IntEnum):
    """What happens. The columns of an event that are not named are unused (0)."""

    MMAP = 0  # start, count, arg = VmaKind | WRITABLE | ADVISED | TRACKED, file, offset
    MUNMAP = 1  # start, count
    READ = 2  # start, count, stride; with stride 0, start and count select a page list
    WRITE = 3  # as READ
    FORK = 4  # arg = the child's task
    VFORK = 5  # arg = the child's task
    EXEC = 6  # arg = the image
    EXIT = 7
    MPROTECT = 8  # start, count, arg = 1 if the pages become writable, 0 if read-only; all must be mapped
    DONTNEED = 9  # start, count: madvise(MADV_DONTNEED); holes are passed over
    GROW = 10  # start: the stack vma above it, at most STACK_GROWTH_PAGES away, is extended down to that page
    RECLAIM = 11  # count: pages to reclaim, whoever has them; the task is not looked at


class VmaKind(IntEnum):
    """What a vma maps. Only FILE_SHARED and SHM are shared mappings; the others are private (CoWable)."""

    ANON = 0
    FILE_PRIVATE = 1
    FILE_SHARED = 2
    SHM = 3
    STACK = 4
    HEAP = 5  # anonymous memory of brk; some designs never link its tables


ANONYMOUS = (VmaKind.ANON, VmaKind.STACK, VmaKind.HEAP)  # kinds without a file
STACK_GROWTH_PAGES = 1 << 20  # a stack grows by at most so many pages at once
# Or'ed to the kind in ``arg`` of an MMAP.
WRITABLE = 8  # the vma may be written
ADVISED = 16  # anonymous memory of which madvise(MADV_HUGEPAGE) says that huge pages are welcome
TRACKED = (
    32  # a shared mapping of a file whose file system wants to know which pages are dirty (page_mkwrite)
)
KIND_MASK = 7

# All columns int64, so that the array can be viewed as (n, 8) int64 by the engine.
EVENT_DTYPE = np.dtype(
    [(name, np.int64) for name in ("op", "task", "start", "count", "stride", "arg", "file", "offset")]
)
EVENT_WORDS = EVENT_DTYPE.itemsize >> 3


class Mapping(NamedTuple):
    """One vma of an image or of an mmap: pages ``[start, start + npages)``.

    ``file`` numbers a file (or shm object) of the trace, -1 for anonymous memory and stacks;
    ``offset`` is the file page that ``start`` maps. ``advised``: madvise(MADV_HUGEPAGE) follows at once, for anonymous
    memory. ``tracked``: the file system tracks dirty pages, as ext4 does, not tmpfs; for shared mappings of files.
    """

    start: int
    npages: int
    kind: VmaKind
    writable: bool = True
    file: int = -1
    offset: int = 0
    advised: bool = False
    tracked: bool = False


@dataclass(frozen=True)
class Trace:
    """A finished list of events.

    Parameters
    ----------
    events : structured array [n] of EVENT_DTYPE
        In the order in which they happen.
    pages : int64 [m]
        Page lists (vpns) that READ and WRITE with stride 0 select from.
    image_rows : structured array [k] of EVENT_DTYPE
        The mappings of all images, as MMAP rows.
    image_starts : int64 [images + 1]
        Image ``i`` is ``image_rows[image_starts[i]:image_starts[i + 1]]``.
    origin : int64 [n], optional
        Where each event stands in the trace that this one was rescheduled from; messages speak of that one.
    """

    events: npt.NDArray[np.void]
    pages: IntArray
    image_rows: npt.NDArray[np.void]
    image_starts: IntArray
    origin: IntArray | None = None

    def refused(self, event: int, refusal: Refusal) -> TraceRefused:
        """Return the exception that says why an event cannot happen."""
        index = event if self.origin is None else int(self.origin[event])
        return TraceRefused.because(index, refusal, describe(self.events[event]))

    def __len__(self) -> int:
        return len(self.events)

    @property
    def tasks(self) -> int:
        """One more than the highest task number that occurs."""
        ops = self.events["op"]
        children = self.events["arg"][(ops == Op.FORK) | (ops == Op.VFORK)]
        return int(max(self.events["task"].max(initial=0), children.max(initial=0))) + 1


@dataclass
class TraceBuilder:
    """Write a trace event by event; nothing is checked before the machine meets it."""

    _rows: list[tuple[int, ...]] = field(default_factory=list)
    _pages: list[int] = field(default_factory=list)
    _image_rows: list[tuple[int, ...]] = field(default_factory=list)
    _image_starts: list[int] = field(default_factory=lambda: [0])

    def __len__(self) -> int:
        """Return how many events there are so far."""
        return len(self._rows)

    def image(self, mappings: list[Mapping]) -> int:
        """Declare what an exec maps; returns the image's number."""
        self._image_rows += [_mmap_row(-1, mapping) for mapping in mappings]
        self._image_starts.append(len(self._image_rows))
        return len(self._image_starts) - 2

    def mmap(self, task: int, mapping: Mapping) -> None:
        """Map pages that are not mapped yet."""
        self._rows.append(_mmap_row(task, mapping))

    def munmap(self, task: int, start: int, count: int) -> None:
        """Unmap whatever is mapped in ``[start, start + count)``."""
        self._rows.append((Op.MUNMAP, task, start, count, 0, 0, 0, 0))

    def read(self, task: int, start: int, count: int = 1, stride: int = 1) -> None:
        """Read one byte in each of ``count`` pages, ``stride`` pages apart."""
        self._rows.append((Op.READ, task, start, count, stride, 0, 0, 0))

    def write(self, task: int, start: int, count: int = 1, stride: int = 1) -> None:
        """Write one byte in each of ``count`` pages, ``stride`` pages apart."""
        self._rows.append((Op.WRITE, task, start, count, stride, 0, 0, 0))

    def read_pages(self, task: int, vpns: list[int]) -> None:
        """Read one byte in each listed page."""
        self._rows.append((Op.READ, task, len(self._pages), len(vpns), 0, 0, 0, 0))
        self._pages += vpns

    def write_pages(self, task: int, vpns: list[int]) -> None:
        """Write one byte in each listed page."""
        self._rows.append((Op.WRITE, task, len(self._pages), len(vpns), 0, 0, 0, 0))
        self._pages += vpns

    def fork(self, parent: int, child: int) -> None:
        """Fork ``parent``; the child becomes task ``child``, which must not be alive."""
        self._rows.append((Op.FORK, parent, 0, 0, 0, child, 0, 0))

    def vfork(self, parent: int, child: int) -> None:
        """Let ``child`` borrow the parent's mm; the parent waits until the child execs or exits."""
        self._rows.append((Op.VFORK, parent, 0, 0, 0, child, 0, 0))

    def exec(self, task: int, image: int) -> None:
        """Replace the task's address space by the image's mappings."""
        self._rows.append((Op.EXEC, task, 0, 0, 0, image, 0, 0))

    def exit(self, task: int) -> None:
        """End the task."""
        self._rows.append((Op.EXIT, task, 0, 0, 0, 0, 0, 0))

    def mprotect(self, task: int, start: int, count: int, *, writable: bool) -> None:
        """Make mapped pages ``[start, start + count)`` writable or read-only."""
        self._rows.append((Op.MPROTECT, task, start, count, 0, int(writable), 0, 0))

    def dontneed(self, task: int, start: int, count: int) -> None:
        """Let go of the contents of ``[start, start + count)``: madvise(MADV_DONTNEED)."""
        self._rows.append((Op.DONTNEED, task, start, count, 0, 0, 0, 0))

    def grow(self, task: int, start: int) -> None:
        """Extend the stack above page ``start`` down to it."""
        self._rows.append((Op.GROW, task, start, 0, 0, 0, 0, 0))

    def reclaim(self, count: int) -> None:
        """Reclaim up to ``count`` pages, anonymous ones to swap."""
        self._rows.append((Op.RECLAIM, 0, 0, count, 0, 0, 0, 0))

    def build(self) -> Trace:
        """Return what was written so far as a trace."""
        return Trace(
            np.array(self._rows, dtype=EVENT_DTYPE),
            np.array(self._pages, dtype=np.int64),
            np.array(self._image_rows, dtype=EVENT_DTYPE),
            np.array(self._image_starts, dtype=np.int64),
        )


def _mmap_row(task: int, mapping: Mapping) -> tuple[int, ...]:
    """Return the MMAP event of a mapping."""
    arg = int(mapping.kind) | (WRITABLE if mapping.writable else 0)
    arg |= (ADVISED if mapping.advised else 0) | (TRACKED if mapping.tracked else 0)
    return (Op.MMAP, task, mapping.start, mapping.npages, 0, arg, mapping.file, mapping.offset)


def describe(event: np.void) -> str:
    """Return an event as a person would write it."""
    op = Op(event["op"])
    names = {
        Op.MMAP: ("start", "count"),
        Op.MUNMAP: ("start", "count"),
        Op.READ: ("start", "count", "stride"),
        Op.WRITE: ("start", "count", "stride"),
        Op.EXIT: (),
        Op.MPROTECT: ("start", "count", "arg"),
        Op.DONTNEED: ("start", "count"),
        Op.GROW: ("start",),
        Op.RECLAIM: ("count",),
    }.get(op, ("arg",))
    details = "".join(f", {name} {int(event[name])}" for name in names)
    who = "" if op == Op.RECLAIM else f" by task {int(event['task'])}"
    return f"{op.name.lower()}{who}{details}"
