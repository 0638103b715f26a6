"""One process, read from /proc: its vmas, where in them its pages lie, and what the kernel counts for it."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.capture.pagemap import WORD_BYTES, pages_of, spread
from pipeline.capture.smaps import page_table_kib, read_smaps

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

    from pipeline.capture.smaps import Vma
    from simcore.workloads.spaces import Run

TRIES = 3  # a process that runs is read so often at most, until its page tables stay while it is read
CHUNK_PAGES = 1 << 20  # 8 MiB of pagemap at a time
# Programs reserve terabytes. In vmas of more pages the kernel is asked first where pages are, which it can tell since
# Linux 6.7; an older one's pagemap is read up to SEARCHED_PAGES of a vma, which are 512 MiB of it.
LARGE_PAGES = 1 << 18
SEARCHED_PAGES = 1 << 26

# include/uapi/linux/fs.h: PAGEMAP_SCAN, struct pm_scan_arg of twelve words, struct page_region of three.
_PAGEMAP_SCAN, _SCAN, _REGION_WORDS = 0xC0606610, struct.Struct("12Q"), 3
_IS_PRESENT, _IS_SWAPPED = 1 << 3, 1 << 4
_REGIONS = 4096  # asked for at a time

Words = np.ndarray[tuple[int], np.dtype[np.uint64]]


class Reading(NamedTuple):
    """What /proc told of a process.

    Parameters
    ----------
    vm_pte_kib : int
        Behind everything else.
    changed : bool
        Whether that was another figure before.
    placed : bool
        Whether the places of all pages are known.
    vmas : list of Vma
        In the order of addresses.
    runs : list of list of Run
        The pages of each vma.
    """

    vm_pte_kib: int
    changed: bool
    placed: bool
    vmas: list[Vma]
    runs: list[list[Run]]


def status_of(folder: Path) -> str:
    """Return a process's status; everybody may read it. Raises OSError if the process is gone or hidden."""
    return (folder / "status").read_text(encoding="utf-8", errors="replace")


def read_process(folder: Path, page_bytes: int) -> Reading:
    """Return what a process's folder in /proc tells.

    Raises
    ------
    OSError
        The process is gone, or not to be read by this user.
    SmapsError
        Its smaps is none.
    """
    before = after = -1
    for _ in range(TRIES):
        before = _page_tables(folder)
        text = (folder / "smaps").read_text(encoding="utf-8", errors="surrogateescape")
        vmas = read_smaps(text, page_bytes)
        runs, placed = _pages(folder, vmas, page_bytes)
        after = _page_tables(folder)
        if before == after:
            break
    return Reading(after, before != after, placed, vmas, runs)


def _page_tables(folder: Path) -> int:
    """Return VmPTE in KiB; raises OSError if the process has gone."""
    kib = page_table_kib(status_of(folder))
    if kib is None:
        raise ProcessLookupError(f"{folder}: it has exited")
    return kib


def _pages(folder: Path, vmas: list[Vma], page_bytes: int) -> tuple[list[list[Run]], bool]:
    """Return the pages of each vma, and whether all of their places are known."""
    try:
        file = (folder / "pagemap").open("rb", buffering=0)
    except OSError:
        return [spread(vma, page_bytes) for vma in vmas], not any(map(_has_pages, vmas))
    found, placed = [], True
    with file:
        for vma in vmas:
            try:
                pieces = [
                    (start, words_of(file, start, stop)) for start, stop in _parts(file, vma, page_bytes)
                ]
                found.append(pages_of(vma, pieces, page_bytes))
            except OSError:  # it is exiting, or its pages cannot be searched
                found.append(spread(vma, page_bytes))
                placed = placed and not _has_pages(vma)
    return found, placed


def _has_pages(vma: Vma) -> bool:
    """Return whether a vma has pages, in memory or in swap."""
    return vma.kib.get("Rss", 0) + vma.kib.get("Swap", 0) > 0


def _parts(file: FileIO, vma: Vma, page_bytes: int) -> list[tuple[int, int]]:
    """Return the ranges of pages in which a vma's pages lie; raises OSError if that is not to be found out."""
    if vma.npages > LARGE_PAGES:
        try:
            return _scanned(file, vma, page_bytes)
        except OSError as error:
            if error.errno not in (errno.ENOTTY, errno.EINVAL):
                raise
        if not _has_pages(vma):
            return []
        if vma.npages > SEARCHED_PAGES:
            raise OSError(errno.EFBIG, "too many pages to search")
    cuts = [*range(vma.start, vma.end, CHUNK_PAGES), vma.end]
    return list(pairwise(cuts))


def _scanned(file: FileIO, vma: Vma, page_bytes: int) -> list[tuple[int, int]]:
    """Return the ranges of a vma that hold pages or swap entries, as the kernel finds them."""
    found = []
    regions = np.zeros(_REGIONS * _REGION_WORDS, np.uint64)
    start, end = vma.start * page_bytes, vma.end * page_bytes
    sought = _IS_PRESENT | _IS_SWAPPED
    while start < end:
        asked = (_SCAN.size, 0, start, end, 0, regions.ctypes.data, _REGIONS, 0, 0, 0, sought, sought)
        ask = bytearray(_SCAN.pack(*asked))
        count = fcntl.ioctl(file.fileno(), _PAGEMAP_SCAN, ask)
        rows = (regions[: count * _REGION_WORDS].reshape(-1, _REGION_WORDS)[:, :2] // page_bytes).tolist()
        found += [(int(first), int(last)) for first, last in rows]
        start = _SCAN.unpack(ask)[4]  # where the walk ended
    return found


def words_of(file: FileIO, start: int, stop: int) -> Words:
    """Return the pagemap of pages ``[start, stop)``; raises OSError if it is not all there."""
    raw = os.pread(file.fileno(), (stop - start) * WORD_BYTES, start * WORD_BYTES)
    if len(raw) < (stop - start) * WORD_BYTES:
        raise ProcessLookupError(errno.ESRCH, "pagemap ends early, as of a process that exits")
    return np.frombuffer(raw, np.uint64)
