"""An address space while its story is told: what is mapped where, so that no event is one that cannot happen."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from simcore.events import VmaKind

if TYPE_CHECKING:
    from simcore.events import Mapping

OF_FILES = (VmaKind.FILE_PRIVATE, VmaKind.FILE_SHARED, VmaKind.SHM)


class Area(NamedTuple):
    """Pages ``[start, end)`` of one sort; ``mapped`` is False for pages that are only reserved (PROT_NONE)."""

    start: int
    end: int
    kind: VmaKind
    writable: bool
    file: int = -1
    offset: int = 0
    mapped: bool = True

    def part(self, start: int, end: int) -> Area:
        """Return the part of it within ``[start, end)``, which it must reach into."""
        low, high = max(start, self.start), min(end, self.end)
        offset = self.offset + low - self.start if self.kind in OF_FILES else 0
        return self._replace(start=low, end=high, offset=offset)


@dataclass
class AddressSpace:
    """What one mm maps, and which of its pages it has touched.

    Parameters
    ----------
    areas : list of Area
        In the order of addresses, apart from each other.
    touched : set of int
        Pages that were touched, here or before the fork.
    heap_start, heap_end : int
        Where brk's memory begins and ends; -1 while that is not known.
    heap_row : list or None
        The row that maps the heap, for as long as anybody makes it grow; its count is in position 3.
    """

    areas: list[Area] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)
    heap_start: int = -1
    heap_end: int = -1
    heap_row: list[Any] | None = None

    def copy(self) -> AddressSpace:
        """Return what fork makes of it."""
        return AddressSpace(
            self.areas.copy(), self.touched.copy(), self.heap_start, self.heap_end, self.heap_row
        )

    def at(self, page: int) -> Area | None:
        """Return the area that holds a page."""
        index = self._behind(page) - 1
        return self.areas[index] if index >= 0 and page < self.areas[index].end else None

    def above(self, page: int) -> Area | None:
        """Return the first area that begins behind a page."""
        index = self._behind(page)
        return self.areas[index] if index < len(self.areas) else None

    def _behind(self, page: int) -> int:
        """Return how many areas begin at or before a page."""
        return bisect_right(self.areas, page, key=_start)

    def carve(self, start: int, end: int) -> list[Area]:
        """Take ``[start, end)`` out; return the parts that were there."""
        first = self._behind(start) - 1
        first += first < 0 or self.areas[first].end <= start
        last = first
        while last < len(self.areas) and self.areas[last].start < end:
            last += 1
        reached = self.areas[first:last]
        left = [each.part(each.start, start) for each in reached[:1] if each.start < start]
        left += [each.part(end, each.end) for each in reached[-1:] if each.end > end]
        self.areas[first:last] = left
        return [each.part(start, end) for each in reached]

    def put(self, area: Area) -> None:
        """Add an area where there is none."""
        self.areas.insert(self._behind(area.start), area)


def area_of(mapping: Mapping) -> Area:
    """Return a mapping as an area."""
    end = mapping.start + mapping.npages
    return Area(mapping.start, end, mapping.kind, mapping.writable, mapping.file, mapping.offset)


def _start(area: Area) -> int:
    """Return where an area begins, to search by."""
    return area.start
