"""Where a process image lies, and which of its pages are resident.

Every program has the same layout; only the file behind text and data differs. With tables of E pages::

    text_vpn                          mmap_vpn, up to a multiple of E                           stack_top_vpn
    | text | data | heap ... |        | text, data, late of library 0 | ... of 1 | ... | archive |     | stack |
      file   file   brk               one library per leaf table, E pages apart          one file

*Late* library pages belong to libraries that a process opens while it runs; the image does not map them.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simcore.events import Mapping, VmaKind

if TYPE_CHECKING:
    from simcore.events import IntArray
    from simcore.geometry import Geometry

LIBRARY_FILE = 0  # holds the text and data of all libraries that images map
LATE_FILE = 1  # holds the libraries opened at run time
ARCHIVE_FILE = 2  # one large file that every process maps
FIRST_PROGRAM_FILE = 3

# How a process's anonymous pages divide: data and library data are file pages that it has written. The caps
# keep stack and data of a big process as small as they are; the heap takes what is left.
_STACK_PART, _STACK_MAX = 10, 8
_DATA_PART, _DATA_MAX = 6, 16
_LIBRARY_DATA_PART, _LIBRARY_DATA_MAX = 8, 8  # the cap is per library, and a quarter of its leaf table


class Range(NamedTuple):
    """Pages ``start, start + stride, ...``, ``npages`` of them, as a READ or WRITE event takes them."""

    start: int
    npages: int
    stride: int


class Sorts(NamedTuple):
    """How many anonymous pages of each sort a process has."""

    stack: int
    data: int
    library_data: int
    heap: int


class Needs(NamedTuple):
    """How many pages of each sort a process has resident, and over how many leaf tables they go.

    Parameters
    ----------
    text, library, late : int
        Pages of the program's own file, of libraries that the image maps, of those opened at run time.
    anon : int
        Pages written by the process: data, library data, heap and stack.
    heap_tables, library_tables : int
        Leaf tables to spread heap and libraries over; clipped to what is possible.
    archive : int
        Pages of the one large file.
    sorts : Sorts or None
        How ``anon`` divides, where that was measured.
    """

    text: int
    library: int
    late: int
    anon: int
    heap_tables: int
    library_tables: int
    archive: int
    sorts: Sorts | None = None


class Layout(NamedTuple):
    """The pages of a process, each array int64 [pages] of vpns, and its vmas.

    ``text``, ``library`` and ``archive`` are read; ``data``, ``heap``, ``library_data`` and ``stack`` are written;
    ``late`` is read once ``late_mappings`` are made. ``library_data`` is sorted by its place within a library, then
    by library, so that its first pages lie in as many leaf tables as there are. ``heap_length`` is in pages,
    ``entries`` those of a leaf table.
    """

    text: IntArray
    data: IntArray
    heap: IntArray
    library: IntArray
    library_data: IntArray
    late: IntArray
    archive: IntArray
    stack: IntArray
    heap_length: int
    entries: int
    library_mappings: list[Mapping]
    late_mappings: list[Mapping]
    archive_mappings: list[Mapping]

    def tables(self, pages: IntArray) -> int:
        """Return in how many leaf tables ``pages`` lie."""
        return len(np.unique(pages // self.entries))

    def image(self, program: int) -> list[Mapping]:
        """Return what an exec of program ``program`` (from 0) maps."""
        file = FIRST_PROGRAM_FILE + program
        vmas = [
            (self.text, len(self.text), VmaKind.FILE_PRIVATE, False, 0),
            (self.data, len(self.data), VmaKind.FILE_PRIVATE, True, len(self.text)),
            (self.heap, self.heap_length, VmaKind.HEAP, True, 0),
            (self.stack, len(self.stack), VmaKind.STACK, True, 0),
        ]
        own = [
            Mapping(int(pages[0]), npages, kind, writable, *_backing(kind, file, offset))
            for pages, npages, kind, writable, offset in vmas
            if npages
        ]
        return own + self.library_mappings + self.archive_mappings


def _backing(kind: VmaKind, file: int, offset: int) -> tuple[int, int]:
    """Return file and offset of a vma; anonymous memory and stacks have none."""
    return (file, offset) if kind == VmaKind.FILE_PRIVATE else (-1, 0)


def lay_out(needs: Needs, geometry: Geometry) -> Layout:
    """Place a process in the address space of ``geometry``.

    Raises
    ------
    ValueError
        The process does not fit; the message says which part.
    """
    entries = geometry.entries
    library_start = -(-geometry.mmap_vpn // entries) * entries
    libraries = _libraries_that_fit(needs, geometry, library_start)
    stack, data, library_data, heap = _divide(needs, libraries, entries)
    _refuse_low_part(needs.text + data + heap, geometry, library_start)
    stack_start = geometry.stack_top_vpn - stack
    heap_start = geometry.text_vpn + needs.text + data
    heap_pages = _spread(heap_start, heap, library_start - heap_start, needs.heap_tables, entries)
    counts = _LibraryCounts.divide(needs, library_data, libraries)
    starts = library_start + entries * np.arange(libraries, dtype=np.int64)
    behind = np.array([library_start + entries * libraries])
    archive = behind + np.arange(needs.archive, dtype=np.int64)
    heap_end = int(heap_pages[-1]) + 1 if heap else heap_start
    ends = np.concatenate([starts + counts.text + counts.data + counts.late, archive[-1:] + 1])
    _refuse_large_libraries(counts, geometry)
    _refuse_high_part(heap_end, ends, stack_start, geometry)
    return Layout(
        text=np.arange(geometry.text_vpn, geometry.text_vpn + needs.text),
        data=np.arange(heap_start - data, heap_start),
        heap=heap_pages,
        library=_by_library(starts, counts.text),
        library_data=_by_place(starts + counts.text, counts.data),
        late=_by_library(starts + counts.text + counts.data, counts.late),
        archive=archive,
        stack=np.arange(stack_start, geometry.stack_top_vpn),
        heap_length=heap_end - heap_start,
        entries=entries,
        library_mappings=_library_mappings(starts, counts),
        late_mappings=_mappings(starts + counts.text + counts.data, counts.late, LATE_FILE, writable=False),
        archive_mappings=_mappings(behind, np.array([needs.archive]), ARCHIVE_FILE, writable=False),
    )


def _divide(needs: Needs, libraries: int, entries: int) -> Sorts:
    """Return pages of stack, data, library data and heap; together ``needs.anon``."""
    if needs.sorts is not None and min(libraries, needs.library):
        return needs.sorts
    if needs.sorts is not None:  # no library in the image to have data of
        stack, data, library_data, heap = needs.sorts
        return Sorts(stack, data, 0, heap + library_data)
    left = needs.anon
    stack = min(left, max(1, min(_STACK_MAX, needs.anon // _STACK_PART)))
    left -= stack
    data = min(left, max(1, min(_DATA_MAX, needs.anon // _DATA_PART)))
    left -= data
    with_data = min(libraries, needs.library)
    most = with_data * max(1, min(_LIBRARY_DATA_MAX, entries // 4))
    library_data = min(left, max(with_data, min(most, needs.anon // _LIBRARY_DATA_PART)))
    return Sorts(stack, data, library_data, left - library_data)


def _libraries_that_fit(needs: Needs, geometry: Geometry, library_start: int) -> int:
    """Return how many libraries there are: one per leaf table, as asked, unless some were empty or too large."""
    pages = needs.library + needs.late
    if pages == 0:
        return 0
    entries = geometry.entries
    possible = max(1, (geometry.stack_top_vpn - library_start) // entries)
    libraries = max(min(needs.library_tables, pages), -(-pages // entries))
    while libraries < possible and _largest_library(needs, libraries, entries) > entries:
        libraries += 1
    return min(libraries, possible)


def _largest_library(needs: Needs, libraries: int, entries: int) -> int:
    """Return the pages of the largest of so many libraries, its data included; never too few."""
    data = _divide(needs, libraries, entries).library_data
    parts = (
        (needs.library, libraries),
        (needs.late, libraries),
        (data, max(1, min(libraries, needs.library))),
    )
    return sum(-(-pages // among) for pages, among in parts)


class _LibraryCounts(NamedTuple):
    """Pages of text, data and late text of each library, int64 [libraries]."""

    text: IntArray
    data: IntArray
    late: IntArray

    @staticmethod
    def divide(needs: Needs, library_data: int, libraries: int) -> _LibraryCounts:
        """Divide pages evenly; the first libraries take what is left of text, the last what is left of late text."""
        with_data = min(libraries, needs.library)
        data = np.concatenate([_evenly(library_data, with_data), np.zeros(libraries - with_data, np.int64)])
        return _LibraryCounts(_evenly(needs.library, libraries), data, _evenly(needs.late, libraries)[::-1])


def _evenly(pages: int, parts: int) -> IntArray:
    """Return ``pages`` divided into ``parts``, int64 [parts], larger ones first."""
    index = np.arange(parts, dtype=np.int64)
    return pages // max(1, parts) + (index < pages % max(1, parts))


def _spread(start: int, pages: int, room: int, tables: int, entries: int) -> IntArray:
    """Return ``pages`` vpns from ``start`` on, spread evenly over ``tables`` leaf tables as far as possible.

    The last page lies ``reach`` pages from the first: no less than the pages need, no more than ``room`` allows,
    and never so far that a table between is left out (two neighbours are at most ``entries`` apart).
    """
    if pages <= 1:
        return np.arange(start, start + pages)
    to_end_of_last_table = tables * entries - start % entries - 1
    reach = min(to_end_of_last_table, (pages - 1) * entries, room - 1)
    if tables == 1 or reach < pages - 1:
        reach = pages - 1
    return start + even_steps(pages, reach)


def even_steps(count: int, reach: int) -> IntArray:
    """Return ``count`` rising numbers from 0 to ``reach``, in at most two strides, the longer one first."""
    if count <= 1:
        return np.zeros(count, np.int64)
    step, longer = divmod(reach, count - 1)
    index = np.arange(count, dtype=np.int64)
    return index * step + np.minimum(index, longer)


def spread_over_tables(count: int, layout: Layout) -> IntArray:
    """Return ``count`` of the anonymous pages, or all, spread over stack, data, heap and library data.

    Each sort gets a part in proportion to its leaf tables, so that few pages reach many tables: a shell writes in
    every table that it inherits before it execs.
    """
    sorts = (layout.stack, layout.data, layout.heap, layout.library_data)
    parts = _proportional(count, [len(pages) for pages in sorts], [layout.tables(pages) for pages in sorts])
    stack, data, heap, library_data = (pages[:part] for pages, part in zip(sorts, parts, strict=True))
    if len(heap):
        heap = layout.heap[even_steps(len(heap), len(layout.heap) - 1)]
    return np.concatenate([data, heap, library_data, stack])


def _proportional(count: int, sizes: list[int], weights: list[int]) -> list[int]:
    """Divide ``count`` in proportion to ``weights``, none above its size, and no more than the sizes' sum."""
    given = [0] * len(sizes)
    left = min(count, sum(sizes))
    while left:
        unfilled = [index for index, size in enumerate(sizes) if given[index] < size]
        total, portion = sum(weights[index] for index in unfilled), left
        for index in unfilled:
            part = min(sizes[index] - given[index], max(1, portion * weights[index] // total), left)
            given[index] += part
            left -= part
    return given


def _by_library(starts: IntArray, counts: IntArray) -> IntArray:
    """Return the pages of all libraries, or row by row if that takes fewer ranges."""
    if len(counts) > counts.max(initial=0):
        return _by_place(starts, counts)
    return np.concatenate([np.arange(0), *map(np.arange, starts, starts + counts)])


def _by_place(starts: IntArray, counts: IntArray) -> IntArray:
    """Return the pages of all libraries: the first page of each, then the second of each, and so on."""
    rows = [starts[counts > row] + row for row in range(int(counts.max(initial=0)))]
    return np.concatenate([np.arange(0), *rows])


def _library_mappings(starts: IntArray, counts: _LibraryCounts) -> list[Mapping]:
    """Return the vmas of the libraries in an image: text, then data, one file for all."""
    text = _mappings(starts, counts.text, LIBRARY_FILE, writable=False)
    data = _mappings(starts + counts.text, counts.data, LIBRARY_FILE, writable=True)
    behind = int(counts.text.sum())
    return text + [each._replace(offset=each.offset + behind) for each in data]


def _mappings(starts: IntArray, counts: IntArray, file: int, *, writable: bool) -> list[Mapping]:
    """Return one vma per library that has pages, at consecutive offsets of ``file``."""
    offsets = np.cumsum(counts) - counts
    return [
        Mapping(int(start), int(count), VmaKind.FILE_PRIVATE, writable, file, int(offset))
        for start, count, offset in zip(starts, counts, offsets, strict=True)
        if count
    ]


def _refuse_low_part(pages: int, geometry: Geometry, library_start: int) -> None:
    """Raise if text, data and heap do not fit below the libraries."""
    room = library_start - geometry.text_vpn
    if pages > room:
        raise ValueError(
            f"geometry {geometry.name!r}: text, data and heap take {pages} pages; {room} are allowed below the "
            "libraries; lower anon_pages or file_pages, or take a geometry with more pages"
        )


def _refuse_large_libraries(counts: _LibraryCounts, geometry: Geometry) -> None:
    """Raise if a library needs more than the leaf table that is its own."""
    largest = int((counts.text + counts.data + counts.late).max(initial=0))
    if largest > geometry.entries:
        raise ValueError(
            f"geometry {geometry.name!r}: a library takes {largest} pages; {geometry.entries} are allowed, one leaf "
            "table; lower file_pages or library_sharing, or take a geometry with more pages"
        )


def _refuse_high_part(heap_end: int, ends: IntArray, stack_start: int, geometry: Geometry) -> None:
    """Raise if the stack would lie in libraries, archive or heap, or below them."""
    end = int(ends.max(initial=heap_end))
    if stack_start < end:
        raise ValueError(
            f"geometry {geometry.name!r}: the stack begins at page {stack_start} but libraries, archive or heap end at "
            f"page {end}; the stack has to lie above them; lower file_pages, file_tables, archive_pages or anon_pages"
        )


def ranges_of(pages: IntArray) -> list[Range]:
    """Return ranges that hold ``pages`` (int64 [n]) in their order, each as long as it can be."""
    steps = np.diff(pages)
    bends = [*(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(steps)]  # where another stride begins
    ranges: list[Range] = []
    at = 0
    while at < len(pages):
        count, stride = 1, 1
        if at < len(steps) and steps[at] >= 1:
            count, stride = bends[bisect_right(bends, at)] - at + 1, int(steps[at])
        ranges.append(Range(int(pages[at]), count, stride))
        at += count
    return ranges
