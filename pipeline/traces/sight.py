"""What is known of a process besides its moments: what an exec mapped, and what was mapped at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from pipeline.capture.spaces import SIMULATED
from simcore.events import VmaKind

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pipeline.capture.smaps import Vma


class Seen(NamedTuple):
    """One vma as somebody saw it.

    ``file`` is anything that is equal for equal files, None for anonymous memory; ``offset`` is in pages.
    """

    start: int
    end: int
    kind: VmaKind
    writable: bool
    file: Hashable
    offset: int


class Image(NamedTuple):
    """What an exec left: its vmas, and the stack pages that the kernel itself filled, with arguments and environment."""

    vmas: tuple[Seen, ...]
    filled: tuple[int, ...] = ()


class Sight(Protocol):
    """What a story asks about processes; a thread's number stands for its process."""

    def born(self, tid: int) -> None:
        """Note that a number now stands for a new process."""

    def image(self, tid: int) -> Image | None:
        """Return what the next exec of a process mapped; None if nobody saw it."""

    def at_end(self, tid: int, page: int) -> Seen | None:
        """Return the vma that held a page when the process exited, if that was seen."""

    def minor_faults(self, tid: int) -> int | None:
        """Return the minor faults that the kernel counted for a process in all, if that was seen."""


def seen_of(vma: Vma) -> Seen | None:
    """Return a vma of smaps or maps as it is simulated; None for memory that has no leaf tables."""
    kind = SIMULATED.get(vma.kind)
    if kind is None:
        return None
    of_file = kind in (VmaKind.FILE_PRIVATE, VmaKind.FILE_SHARED, VmaKind.SHM)
    file = (vma.file or vma.name) if of_file else None
    return Seen(vma.start, vma.end, kind, vma.writable, file, vma.offset if of_file else 0)
