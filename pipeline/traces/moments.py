"""What a recording consists of before it is a trace: moments, in order, whoever saw them.

Every moment has ``time_us``, microseconds on some clock, and ``tid``, the thread that it happens to. Addresses are
page numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable


class Created(NamedTuple):
    """A thread or process was made: ``borrows`` its parent's mm if it shares it, and its parent ``waits`` if vfork'ed."""

    time_us: int
    tid: int
    child: int
    thread: bool
    borrows: bool
    waits: bool


class Executed(NamedTuple):
    """A program was exec'ed by ``tid``; ``name`` is its base name."""

    time_us: int
    tid: int
    name: str


class Renamed(NamedTuple):
    """A thread goes by another number from now on: one that execs takes that of its process."""

    time_us: int
    tid: int
    to: int


class Exited(NamedTuple):
    """A thread ended."""

    time_us: int
    tid: int


class Touched(NamedTuple):
    """A page faulted, or is taken to be touched; ``faulted`` tells which."""

    time_us: int
    tid: int
    page: int
    write: bool
    faulted: bool = True


class Mapped(NamedTuple):
    """Pages were mapped, whatever was there before.

    ``nbytes`` is the length that was asked for. ``file`` is None for anonymous memory, else what is known of the file:
    anything that is equal for equal files, or "" if nothing is. ``offset`` is in pages.
    """

    time_us: int
    tid: int
    start: int
    nbytes: int
    accessible: bool
    writable: bool
    shared: bool
    file: Hashable
    offset: int
    populate: bool = False


class Unmapped(NamedTuple):
    """Pages were unmapped."""

    time_us: int
    tid: int
    start: int
    npages: int


class Protected(NamedTuple):
    """Pages got another protection."""

    time_us: int
    tid: int
    start: int
    npages: int
    accessible: bool
    writable: bool


class Discarded(NamedTuple):
    """Pages were given back by madvise(MADV_DONTNEED)."""

    time_us: int
    tid: int
    start: int
    npages: int


class HeapMoved(NamedTuple):
    """The heap ends before page ``end`` now: brk; the first such moment behind an exec tells where it begins."""

    time_us: int
    tid: int
    end: int


class Moved(NamedTuple):
    """Pages were moved or resized by mremap."""

    time_us: int
    tid: int
    start: int
    npages: int
    to: int
    to_npages: int


Moment = (
    Created
    | Executed
    | Renamed
    | Exited
    | Touched
    | Mapped
    | Unmapped
    | Protected
    | Discarded
    | HeapMoved
    | Moved
)
