"""What a living process has in memory, from /proc: smaps, pagemap, status and stat.

Nothing here needs to be root: of pagemap only the bit that says whether a page is present is read, and that is told to
everybody who may trace the process.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.capture.pagemap import present_in
from pipeline.capture.reading import words_of
from pipeline.capture.smaps import page_table_kib, read_smaps
from simcore.workloads.footprints import Footprint

if TYPE_CHECKING:
    from io import FileIO

PAGE = 4096  # what the footprints are counted in
ENTRIES = 512  # ptes in a leaf table where pages have 4 KiB and ptes 8 bytes
_MINOR_FAULTS = 7  # of the fields of stat behind the name, counted from 0
_KERNELS = ("[vdso]", "[vvar]", "[vvar_vclock]")


class Vma(NamedTuple):
    """One mapping: its pages, its name as smaps tells it, and how many are resident and how many of these written."""

    start: int
    end: int
    name: str
    resident: int
    written: int


def minor_faults(pid: int) -> int:
    """Return the minor faults of a process since it was created, its threads included."""
    return int(_text(pid, "stat").rpartition(")")[2].split()[_MINOR_FAULTS])


def name_of(pid: int) -> str:
    """Return what the kernel calls a process: the program's name, cut at 15 characters."""
    return _text(pid, "comm").strip()


def memory_of(pid: int) -> Footprint:
    """Return what a process has in memory, but for its name and what it did; it must not run meanwhile."""
    vmas = vmas_in(_text(pid, "smaps"))
    own = str(Path(f"/proc/{pid}/exe").readlink())
    with Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as pagemap:
        tables = [_tables(each, pagemap) if each.resident else set() for each in vmas]
    return summed(vmas, own, tables)._replace(page_table_kib=page_table_kib(_text(pid, "status")) or 0)


def vmas_in(smaps: str) -> list[Vma]:
    """Return the mappings that the text of smaps lists, but for the kernel's own gate page."""
    return [
        Vma(each.start, each.end, each.name.removesuffix(" (deleted)"), *_pages(each.kib))
        for each in read_smaps(smaps, PAGE)
    ]


def kind_of(vma: Vma, own: str) -> str:
    """Return what a mapping is: kernel, heap, stack, anon, program (the file ``own``), library or archive."""
    if vma.name in _KERNELS:
        return "kernel"
    if vma.name in ("[heap]", "[stack]"):
        return vma.name.strip("[]")
    if not vma.name.startswith("/"):
        return "anon"
    if vma.name == own:
        return "program"
    return "library" if ".so" in Path(vma.name).name else "archive"


def summed(vmas: list[Vma], own: str, tables: list[set[int]]) -> Footprint:
    """Return the sums over all mappings; ``tables`` are the leaf tables in which each has a resident page."""
    written, clean, reached = _by_kind(vmas, own, tables)
    libraries: dict[str, int] = {}
    for each in vmas:
        if kind_of(each, own) == "library" and each.resident:
            name = Path(each.name).name
            libraries[name] = libraries.get(name, 0) + each.resident
    return Footprint(
        name="",
        version="",
        run="",
        vmas=len(vmas),
        text=clean["program"],
        library=clean["library"],
        archive=clean["archive"],
        data=written["program"],
        library_data=written["library"] + written["archive"],
        heap=written["heap"],
        anon=written["anon"] + clean["anon"],  # shared anonymous memory is not called anonymous by smaps
        stack=written["stack"],
        leaf_tables=len(set().union(*reached.values())),
        heap_tables=len((reached["heap"] | reached["anon"]) - reached["library"]),
        library_tables=len(reached["library"]),
        page_table_kib=0,
        minor_faults=0,
        libraries=libraries,
    )


def _by_kind(
    vmas: list[Vma], own: str, tables: list[set[int]]
) -> tuple[dict[str, int], dict[str, int], dict[str, set[int]]]:
    """Return by kind of mapping: pages written, other resident pages, and leaf tables reached."""
    kinds = ("kernel", "heap", "stack", "anon", "program", "library", "archive")
    written, clean = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
    reached: dict[str, set[int]] = {kind: set() for kind in kinds}
    for vma, mine in zip(vmas, tables, strict=True):
        kind = kind_of(vma, own)
        written[kind] += vma.written
        clean[kind] += vma.resident - vma.written
        reached[kind] |= mine
    return written, clean, reached


def _tables(vma: Vma, pagemap: FileIO) -> set[int]:
    """Return the leaf tables in which a mapping has a page that is present."""
    present = present_in(words_of(pagemap, vma.start, vma.end))
    return set(np.unique((vma.start + present) // ENTRIES).tolist())


def _pages(kib: dict[str, int]) -> tuple[int, int]:
    """Return the resident pages that the counters of a mapping tell, and those of them that were written."""
    return kib.get("Rss", 0) * 1024 // PAGE, kib.get("Anonymous", 0) * 1024 // PAGE


def _text(pid: int, name: str) -> str:
    """Return a file of a process."""
    return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
