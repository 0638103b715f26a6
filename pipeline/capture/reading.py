"""One process, read from /proc: its vmas, where in them its pages lie, and what the kernel counts for it."""

from __future__ import annotations

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
# Programs reserve terabytes. Vmas of more pages are searched only until all pages that the counters know are found,
# and not beyond SEARCHED_PAGES: 512 MiB of pagemap.
LARGE_PAGES = 1 << 18
SEARCHED_PAGES = 1 << 26


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
            words = _words(file, vma, page_bytes)
            if words is None:
                found.append(spread(vma, page_bytes))
                placed = placed and not _has_pages(vma)
            else:
                found.append(pages_of(vma, words, page_bytes))
    return found, placed


def _has_pages(vma: Vma) -> bool:
    """Return whether a vma has pages, in memory or in swap."""
    return vma.kib.get("Rss", 0) + vma.kib.get("Swap", 0) > 0


def _words(file: FileIO, vma: Vma, page_bytes: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]] | None:
    """Return the pagemap of a vma from its first page on, None if some of its pages are not found in it."""
    large = vma.npages > LARGE_PAGES
    wanted = (vma.kib.get("Rss", 0) + vma.kib.get("Swap", 0)) * 1024 // page_bytes
    chunks: list[np.ndarray[tuple[int], np.dtype[np.uint64]]] = []
    at, seen = 0, 0
    while at < vma.npages and not (large and seen >= wanted):
        count = min(CHUNK_PAGES, vma.npages - at)
        if at + count > SEARCHED_PAGES:
            return None
        try:
            file.seek((vma.start + at) * WORD_BYTES)
            raw = file.read(count * WORD_BYTES)
        except OSError:
            return None
        if len(raw) < count * WORD_BYTES:  # as of a process that is exiting
            return None
        words = np.frombuffer(raw, np.uint64)
        seen += int(np.count_nonzero(words >> np.uint64(62)))
        chunks.append(words)
        at += count
    return np.concatenate([np.empty(0, np.uint64), *chunks])
