"""``/proc/PID/pagemap`` -> runs of pages found alike; and where pages are put if it cannot be read. Pure.

Linux, Documentation/admin-guide/mm/pagemap.rst: one word of 64 bits a page. Anyone may read the bits used here of a
process of one's own; only frame numbers, which nobody needs here, are kept from ordinary users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from simcore.workloads.spaces import Page, Run

if TYPE_CHECKING:
    from pipeline.capture.smaps import Vma

WORD_BYTES = 8
_PRESENT, _SWAPPED, _OF_FILE, _ALONE = (np.uint64(1 << bit) for bit in (63, 62, 61, 56))
_NONE = -1

Words = npt.NDArray[np.uint64]


def present_in(words: Words) -> npt.NDArray[np.intp]:
    """Return where in a piece of pagemap pages are in memory."""
    return np.flatnonzero(words & _PRESENT)


def pages_of(vma: Vma, pieces: list[tuple[int, Words]], page_bytes: int) -> list[Run]:
    """Return the pages of a vma; each piece is a page and the pagemap from there on, pages between them are empty."""
    pieces = [(start, words) for start, words in pieces if (words & (_PRESENT | _SWAPPED)).any()]
    if not pieces:  # as of most vmas of most processes
        return []
    sorts = [_sorts(words, anonymous=may_be_anonymous(vma)) for _, words in pieces]
    counts = np.bincount(np.concatenate(sorts) - _NONE, minlength=len(Page) + 1)[1:]
    # A page of zeros looks like one that others map too. The counter of anonymous pages leaves it out.
    anonymous = counts[Page.ANON] + counts[Page.SHARED]
    zeros = anonymous - vma.kib.get("Anonymous", 0) * 1024 // page_bytes
    if zeros > 0 and zeros >= counts[Page.SHARED]:
        for each in sorts:
            each[each == Page.SHARED] = Page.ZERO
    return [run for (start, _), each in zip(pieces, sorts, strict=True) for run in _runs(each, start)]


def _sorts(words: Words, *, anonymous: bool) -> npt.NDArray[np.int64]:
    """Return the sort of each page, _NONE where there is none; ``anonymous``: whether some may be."""
    sorts = np.full(len(words), _NONE, np.int64)
    present = (words & _PRESENT) != 0
    sorts[(words & _SWAPPED) != 0] = Page.SWAP
    sorts[present] = Page.FILE
    if anonymous:
        own = present & ((words & _OF_FILE) == 0)
        sorts[own] = np.where(words[own] & _ALONE, Page.ANON, Page.SHARED)
    return sorts


def may_be_anonymous(vma: Vma) -> bool:
    """Return whether present pages of a vma can be anonymous."""
    return vma.kind in ("anonymous", "heap", "stack", "file_private") and not vma.device_memory


def _runs(sorts: npt.NDArray[np.int64], start: int) -> list[Run]:
    """Return the runs of equal sorts, but for pages that are not there."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(sorts)) + 1, [len(sorts)]])
    found = zip(edges[:-1].tolist(), edges[1:].tolist(), sorts[edges[:-1]].tolist(), strict=True)
    return [Run(start + low, high - low, Page(sort)) for low, high, sort in found if sort != _NONE]


def spread(vma: Vma, page_bytes: int) -> list[Run]:
    """Return where the pages of a vma are put if only their number is known.

    Files and shm objects: from the vma's beginning on. Anonymous memory: from its beginning on, in a stack up to its
    end. Where a private file mapping has both, anonymous pages come last, as a program's data follow its constants.
    Swap entries lie behind the anonymous pages. All anonymous pages count as the process's own.
    """
    pages = {key: vma.kib.get(key, 0) * 1024 // page_bytes for key in ("Rss", "Anonymous", "Swap")}
    own = pages["Anonymous"] if may_be_anonymous(vma) else 0
    parts: list[tuple[int, Page | None]] = [
        (pages["Rss"] - own, Page.FILE),
        (own, Page.ANON),
        (pages["Swap"], Page.SWAP),
    ]
    if vma.kind == "stack":
        parts.reverse()
    elif vma.kind == "file_private":
        parts.insert(1, (vma.npages - sum(count for count, _ in parts), None))
    total = sum(count for count, _ in parts)
    at = vma.end - total if vma.kind == "stack" else vma.start
    found = []
    for count, sort in parts:
        if count > 0 and sort is not None:
            found.append(Run(at, count, sort))
        at += max(0, count)
    return found
