"""A process in a few numbers, and the trace of its fork: what it has, what it writes afterwards, what the child does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.capture.smaps import read_smaps
from pipeline.errors import Fault, RefusedError, StudyError
from simcore import Mapping, TraceBuilder, VmaKind

if TYPE_CHECKING:
    from simcore import Trace
    from simcore.geometry import Geometry

EXIT, EXEC, SNAPSHOT = CHILDREN = ("exit", "exec", "snapshot")
EVENLY, TOGETHER = SPREADS = ("evenly", "together")
MAX_BYTES, MAX_VMAS = 1 << 42, 100_000
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:iB|B)?", re.IGNORECASE)
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")
_GAP = 1  # pages between vmas, so that none touch
_STACK_PAGES = 32
_CHILD_PAGES = 4  # of its stack that any child writes
_IMAGE_PAGES = (64, 16)  # text and data of a small program that the child execs


class Process(NamedTuple):
    """What a process is and does.

    Parameters
    ----------
    anon_pages, file_pages, shm_pages : int
        Resident: anonymous memory that was written; pages of files that are mapped and read; shared memory.
    vmas : int
        All of them; the anonymous memory is divided evenly over those that neither files nor the stack take.
    writes, child_writes : float
        Share of the anonymous pages that parent and child write after the fork, 0 to 1.
    spread : str
        How the written pages lie, a value of SPREADS.
    child : str
        What the child does, a value of CHILDREN.
    """

    anon_pages: int
    file_pages: int
    shm_pages: int
    vmas: int
    writes: float
    child_writes: float
    spread: str
    child: str


class Forking(NamedTuple):
    """The trace of a process that forks; ``before`` is the number of events until the fork."""

    trace: Trace
    before: int


def described(given: dict[str, str], geometry: Geometry) -> Process:
    """Return the process that options describe: ``memory``, ``file``, ``shared``, ``vmas`` and so on.

    Raises
    ------
    StudyError
        Options say what is not allowed; all faults at once.
    """
    faults: list[Fault] = []
    pages = {key: _pages(key, given[key], geometry, faults) for key in ("memory", "file", "shared")}
    shares = {key: _share(key, given[key], faults) for key in ("writes-after-fork", "child-writes")}
    vmas = int(given["vmas"]) if given["vmas"].isdecimal() else 0
    fewest = 2 + (pages["file"] > 0) + (pages["shared"] > 0)
    if not fewest <= vmas <= MAX_VMAS:
        why = "a stack, anonymous memory, and one each for files and shared memory"
        faults.append(
            _fault(
                "vmas",
                f"{given['vmas']!r}; {fewest} to {MAX_VMAS:,} are allowed ({why}); write such a number",
            )
        )
    if faults:
        raise StudyError("predict", faults)
    return Process(
        pages["memory"],
        pages["file"],
        pages["shared"],
        vmas,
        writes=shares["writes-after-fork"],
        child_writes=shares["child-writes"],
        spread=given["spread"],
        child=given["child"],
    )


def _fault(key: str, message: str) -> Fault:
    """Return a fault of an option."""
    return Fault(message, origin=f"--{key}")


def _pages(key: str, text: str, geometry: Geometry, faults: list[Fault]) -> int:
    """Return a size in pages, rounded up; 0 after noting why it is none."""
    found = _SIZE.fullmatch(text.strip())
    size = float(found[1]) * (1 << _UNITS[found[2].upper()]) if found else MAX_BYTES + 1.0
    if size <= MAX_BYTES:
        return -int(-size // geometry.page_bytes)
    faults.append(_fault(key, f"{text!r}; sizes from 0 to 4T are allowed; write one such as 512M or 16G"))
    return 0


def _share(key: str, text: str, faults: list[Fault]) -> float:
    """Return a share, 0 to 1; 0 after noting why it is none."""
    found = _SHARE.fullmatch(text.strip())
    share = float(found[1]) / (100 if found[2] else 1) if found else 2.0
    if share <= 1:
        return share
    faults.append(_fault(key, f"{text!r}; shares from 0 % to 100 % are allowed; write one such as 5%"))
    return 0.0


def of_pid(pid: int) -> dict[str, str]:
    """Return what a running process has, as options.

    Raises
    ------
    RefusedError
        There is no such process, or this user may not look at it.
    """
    try:
        vmas = read_smaps(Path(f"/proc/{pid}/smaps").read_text("utf-8", "surrogateescape"), 4096)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RefusedError(
            f"--pid: /proc/{pid}/smaps cannot be read ({reason}); name a process of yours, or describe one with --memory"
        ) from None
    if not vmas:
        raise RefusedError(
            f"--pid: process {pid} has no memory (a kernel thread, or one that exits); name another"
        )
    anon = sum(vma.kib.get("Anonymous", 0) for vma in vmas)
    shared = sum(vma.kib.get("Rss", 0) for vma in vmas if vma.kind == "shm")
    file = sum(vma.kib.get("Rss", 0) for vma in vmas) - anon - shared
    return {
        "memory": f"{anon}K",
        "file": f"{max(0, file)}K",
        "shared": f"{shared}K",
        "vmas": str(max(4, len(vmas))),
    }


def forking(process: Process, geometry: Geometry) -> Forking:
    """Return the trace of the process: it comes to be, forks, and what follows."""
    builder = TraceBuilder()
    text, data = _IMAGE_PAGES
    image = builder.image(
        [
            Mapping(geometry.text_vpn, text, VmaKind.FILE_PRIVATE, writable=False, file=3),
            Mapping(geometry.text_vpn + text, data, VmaKind.FILE_PRIVATE, file=3, offset=text),
        ]
    )
    areas = _populate(builder, process, geometry)
    stack = geometry.stack_top_vpn - _CHILD_PAGES
    before = len(builder)
    builder.fork(0, 1)
    builder.write(1, stack, _CHILD_PAGES)
    if process.child == EXEC:
        builder.exec(1, image)
    else:
        _writes(builder, 1, areas, process.child_writes, process.spread)
    if process.child != SNAPSHOT:
        builder.exit(1)
    _writes(builder, 0, areas, process.writes, process.spread)
    if process.child == SNAPSHOT:
        builder.exit(1)
    return Forking(builder.build(), before)


def _populate(builder: TraceBuilder, process: Process, geometry: Geometry) -> list[tuple[int, int]]:
    """Map and touch what the process has; return its anonymous areas: first page and resident pages."""
    at = geometry.mmap_vpn
    builder.mmap(0, Mapping(geometry.stack_top_vpn - _STACK_PAGES, _STACK_PAGES, VmaKind.STACK))
    builder.write(0, geometry.stack_top_vpn - _STACK_PAGES, _STACK_PAGES)
    for pages, kind, file in (
        (process.file_pages, VmaKind.FILE_PRIVATE, 1),
        (process.shm_pages, VmaKind.SHM, 2),
    ):
        if pages:
            builder.mmap(0, Mapping(at, pages, kind, writable=kind == VmaKind.SHM, file=file))
            (builder.write if kind == VmaKind.SHM else builder.read)(0, at, pages)
            at += pages + _GAP
    left = process.vmas - 1 - (process.file_pages > 0) - (process.shm_pages > 0)
    each, more = divmod(process.anon_pages, left)
    areas = []
    for number in range(left):
        pages = each + (number < more)
        builder.mmap(0, Mapping(at, max(1, pages), VmaKind.ANON))
        if pages:
            builder.write(0, at, pages)
            areas.append((at, pages))
        at += max(1, pages) + _GAP
    return areas


def _writes(
    builder: TraceBuilder, task: int, areas: list[tuple[int, int]], share: float, spread: str
) -> None:
    """Write a share of the pages: every n-th one, or all of the first areas."""
    left = round(share * sum(pages for _, pages in areas))
    if not left:
        return
    every = max(1, round(1 / share)) if spread == EVENLY else 1
    for start, pages in areas:
        count = min(left, -(-pages // every))
        if count:
            builder.write(task, start, count, every)
        left -= count
