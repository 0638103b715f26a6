"""Address spaces as they were found, made ready to be simulated: pages sorted by what a process does to them.

Two things are made smaller, because the simulator has room for every leaf table of a vma and for every page of a file
that a vma maps. A vma of more than LARGE_TABLES leaf tables is mapped only where tables hold pages of it: programs
reserve terabytes. And the pages of a file that nothing maps are left out, so that offsets get smaller, by whole tables.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from simcore.events import VmaKind
from simcore.workloads.spaces import Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simcore.events import IntArray, Mapping
    from simcore.workloads.spaces import Run, Space, Spaces

LARGE_TABLES = 512  # 1 GiB with tables of 512 entries for pages of 4 KiB


class Range(NamedTuple):
    """Pages ``[start, start + npages)``."""

    start: int
    npages: int


class Kept(NamedTuple):
    """Pages that two address spaces map alike, within one vma of each; may they be written in the end, there and here."""

    start: int
    npages: int
    before: bool
    after: bool


@dataclass(frozen=True)
class Found:
    """A process. Arrays are int64 [pages] of rising vpns.

    Parameters
    ----------
    forked : bool
        Whether it never exec'ed.
    vmas : list of Mapping
        As they are first mapped: those of ``sealed`` can still be written.
    final : list of bool
        Whether each vma can be written in the end.
    pages : int64 [n]
        All pages that it has.
    reads, own, shared : int64
        Those that it reads; those that it writes; those that it writes unless it got them through fork.
    sealed : list of Range
        Vmas with written pages that can no longer be written.
    forked_children, other_children : list of int
        Those that never exec'ed, and the others.
    """

    forked: bool
    vmas: list[Mapping]
    final: list[bool]
    pages: IntArray
    reads: IntArray
    own: IntArray
    shared: IntArray
    sealed: list[Range]
    forked_children: list[int] = field(default_factory=list)
    other_children: list[int] = field(default_factory=list)

    def writable(self, pages: IntArray) -> IntArray:
        """Return those of some pages that can be written to the end."""
        at_last = [
            Range(vma.start, vma.npages) for vma, can in zip(self.vmas, self.final, strict=True) if can
        ]
        chosen: IntArray = pages[within(pages, at_last)]
        return chosen


def found_in(spaces: Spaces, entries: int) -> list[Found]:
    """Return the processes of a machine with leaf tables of ``entries`` pages."""
    cut = [_cut(space, entries) for space in spaces.spaces]
    places = _packed_files([vma for vmas in cut for vma in vmas], entries)
    found = [
        _sorted_out(space, [_moved(vma, places) for vma in vmas])
        for space, vmas in zip(spaces.spaces, cut, strict=True)
    ]
    for number, space in enumerate(spaces.spaces[1:], start=1):
        parent = found[space.parent]
        (parent.forked_children if space.forked else parent.other_children).append(number)
    return found


def _cut(space: Space, entries: int) -> list[Mapping]:
    """Return the vmas of a process, large ones only where tables hold pages of them."""
    starts = [run.start for run in space.runs]
    found = []
    for vma in space.vmas:
        end = vma.start + vma.npages
        if vma.npages <= LARGE_TABLES * entries:
            found.append(vma)
            continue
        runs = space.runs[bisect_right(starts, vma.start - 1) : bisect_right(starts, end - 1)]
        for start, stop in _tables_of(runs, entries):
            first, last = max(start, vma.start), min(stop, end)
            offset = vma.offset + first - vma.start if vma.file >= 0 else 0
            found.append(vma._replace(start=first, npages=last - first, offset=offset))
    return found


def _tables_of(runs: Iterable[Run], entries: int) -> list[list[int]]:
    """Return the leaf tables of rising runs as ranges of pages that do not touch."""
    ranges: list[list[int]] = []
    for run in runs:
        start = run.start // entries * entries
        end = -(-(run.start + run.npages) // entries) * entries
        if ranges and start <= ranges[-1][1]:
            ranges[-1][1] = end
        else:
            ranges.append([start, end])
    return ranges


def _packed_files(vmas: list[Mapping], entries: int) -> dict[int, tuple[list[int], list[int]]]:
    """Return where the mapped parts of each file begin, rising, and by how much each moves towards the beginning."""
    mapped: dict[int, list[tuple[int, int]]] = {}
    for vma in vmas:
        if vma.file >= 0:
            mapped.setdefault(vma.file, []).append((vma.offset, vma.offset + vma.npages))
    places = {}
    for file, parts in mapped.items():
        starts: list[int] = []
        moves: list[int] = []
        end = free = 0
        for low, high in sorted(parts):
            if not starts or low > end:
                starts.append(low)
                # A table that is shared through the file needs the place within the table to stay.
                moves.append((low - free) // entries * entries)
            end = max(end, high)
            free = end - moves[-1]
        places[file] = (starts, moves)
    return places


def _moved(vma: Mapping, places: dict[int, tuple[list[int], list[int]]]) -> Mapping:
    """Return a vma that maps its file's pages where they have been moved to."""
    if vma.file < 0:
        return vma
    starts, moves = places[vma.file]
    return vma._replace(offset=vma.offset - moves[bisect_right(starts, vma.offset) - 1])


def _sorted_out(space: Space, vmas: list[Mapping]) -> Found:
    """Return a process with its pages sorted by what it does to them."""
    objects = [Range(vma.start, vma.npages) for vma in vmas if vma.kind == VmaKind.SHM and vma.writable]
    of_files = _pages(space.runs, Page.FILE)
    in_objects = within(of_files, objects)
    own = joined(_pages(space.runs, Page.ANON, Page.SWAP), of_files[in_objects])
    shared = _pages(space.runs, Page.SHARED)
    reads = joined(of_files[~in_objects], _pages(space.runs, Page.ZERO))
    written = joined(own, shared)
    sealed = [
        Range(vma.start, vma.npages)
        for vma in vmas
        if not vma.writable and within(written, [Range(vma.start, vma.npages)]).any()
    ]
    closed = set(sealed)
    return Found(
        space.forked,
        [vma._replace(writable=vma.writable or Range(vma.start, vma.npages) in closed) for vma in vmas],
        [vma.writable for vma in vmas],
        joined(reads, written),
        reads,
        own,
        shared,
        sealed,
    )


def _pages(runs: list[Run], *alike: Page) -> IntArray:
    """Return the vpns of the runs of some sorts, rising."""
    found = [np.arange(run.start, run.start + run.npages) for run in runs if run.page in alike]
    return np.concatenate([np.empty(0, np.int64), *found])


def within(pages: IntArray, ranges: Sequence[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """Return which pages lie in one of some ranges (first page, number of pages), rising and apart."""
    if not len(ranges):
        return np.zeros(len(pages), np.bool_)
    starts, lengths = np.array(ranges, np.int64).T
    at = np.searchsorted(starts, pages, side="right") - 1
    inside: npt.NDArray[np.bool_] = (at >= 0) & (pages < (starts + lengths)[at])
    return inside


def _is_among(pages: IntArray, others: IntArray) -> npt.NDArray[np.bool_]:
    """Return which of some pages are among others; both rise."""
    if not len(others):
        return np.zeros(len(pages), np.bool_)
    at = np.minimum(np.searchsorted(others, pages), len(others) - 1)
    found: npt.NDArray[np.bool_] = others[at] == pages
    return found


def common(pages: IntArray, others: IntArray) -> IntArray:
    """Return rising pages that are among rising others."""
    found: IntArray = pages[_is_among(pages, others)]
    return found


def without(pages: IntArray, others: IntArray) -> IntArray:
    """Return rising pages that are not among rising others."""
    found: IntArray = pages[~_is_among(pages, others)]
    return found


def joined(pages: IntArray, others: IntArray) -> IntArray:
    """Return rising pages and others, each once, rising."""
    both = np.concatenate([pages, others[~_is_among(others, pages)]])
    both.sort(kind="stable")  # two rising halves are merged in one pass
    return both


def runs_of(pages: IntArray) -> list[Range]:
    """Return rising vpns as ranges that do not touch."""
    if not len(pages):
        return []
    ends = np.flatnonzero(np.diff(pages) != 1)
    first = pages[np.concatenate([[0], ends + 1])]
    last = pages[np.concatenate([ends, [len(pages) - 1]])]
    return [Range(start, stop - start + 1) for start, stop in zip(first.tolist(), last.tolist(), strict=True)]


def holes(whole: tuple[int, int], ranges: Sequence[tuple[int, ...]]) -> list[Range]:
    """Return the parts of a range that rising ranges apart from each other leave free."""
    start, end = whole[0], whole[0] + whole[1]
    found = []
    at = max(0, bisect_right(ranges, start, key=lambda each: each[0]) - 1)
    for low, npages, *_ in ranges[at:]:
        if low >= end:
            break
        if low > start:
            found.append(Range(start, low - start))
        start = max(start, low + npages)
    if start < end:
        found.append(Range(start, end - start))
    return found


def kept_ranges(before: Found, after: Found) -> list[Kept]:
    """Return the pages that two processes map alike: the same sort of vma, and the same pages of one file."""
    found = []
    mine, here = 0, 0
    while mine < len(before.vmas) and here < len(after.vmas):
        one, two = before.vmas[mine], after.vmas[here]
        start = max(one.start, two.start)
        end = min(one.start + one.npages, two.start + two.npages)
        if start < end and _alike(one, two):
            found.append(Kept(start, end - start, before.final[mine], after.final[here]))
        if one.start + one.npages <= two.start + two.npages:
            mine += 1
        else:
            here += 1
    return found


def _alike(one: Mapping, two: Mapping) -> bool:
    """Return whether two vmas map the same thing at every address that both hold."""
    if (one.kind, one.file) != (two.kind, two.file):
        return False
    return one.file < 0 or one.offset - one.start == two.offset - two.start
