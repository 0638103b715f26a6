"""Address spaces as they were found on a machine: whose child each process is, what it maps, which pages it has.

A study holds them as ``{"label": str, "processes": int, "packed": str}``. The packed text is made once, when the
machine is looked at, and is never made again: equal captures are equal text, whatever compressed them.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

from simcore.events import Mapping, VmaKind
from simcore.workloads.shape import PROCESSES_MAX

UNPACKED_MAX = 1 << 30  # bytes of the text before it is packed; a machine of 300 processes has some millions
PAGES_MAX = 1 << 52  # of an address space, and of a file: 64 bits of bytes
KEYS = {"label", "processes", "packed"}


class Page(IntEnum):
    """How a page was found."""

    FILE = 0  # present, and a file's or a shm object's
    ANON = 1  # present, anonymous, mapped by this mm alone
    SHARED = 2  # present, anonymous, mapped by other mms as well: only fork does that
    SWAP = 3  # a swap entry
    ZERO = 4  # anonymous memory that was read and never written


class Run(NamedTuple):
    """Pages ``[start, start + npages)`` that were found alike."""

    start: int
    npages: int
    page: Page


@dataclass(frozen=True)
class Space:
    """One process.

    Parameters
    ----------
    parent : int
        Index of its parent, -1 for the first process.
    forked : bool
        Whether it never exec'ed: it lives in what its parent's fork gave it.
    vmas : list of Mapping
        In the order of addresses; none if the process could not be read.
    runs : list of Run
        In the order of addresses, each within one vma.
    """

    parent: int
    forked: bool = False
    vmas: list[Mapping] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)


@dataclass(frozen=True)
class Spaces:
    """The processes of a machine, every parent before its children, and the size of its pages."""

    page_bytes: int
    spaces: list[Space]


_WORDS = 6  # of a mapping that are kept: captures do not know what is advised or tracked


def packed(found: Spaces) -> str:
    """Return address spaces as one text."""
    rows = [
        [
            space.parent,
            int(space.forked),
            [[int(value) for value in vma[:_WORDS]] for vma in space.vmas],
            [[int(value) for value in run] for run in space.runs],
        ]
        for space in found.spaces
    ]
    text = json.dumps({"page_bytes": found.page_bytes, "spaces": rows}, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


@lru_cache(maxsize=4)
def unpacked(text: str) -> Spaces:
    """Return the address spaces that ``packed`` made a text of.

    Raises
    ------
    ValueError
        The text holds none.
    """
    try:
        plain = _inflated(base64.b64decode(text, validate=True))
        data = json.loads(plain)
        spaces = [_space(row) for row in data["spaces"]]
        found = Spaces(int(data["page_bytes"]), spaces)
    except (binascii.Error, zlib.error, KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"packed address spaces that cannot be read ({error}); what forkbench capture packed is allowed; "
            "capture again"
        ) from None
    fault = _fault(found)
    if fault is not None:
        raise ValueError(f"{fault}; capture again")
    return found


def _inflated(raw: bytes) -> bytes:
    """Return what zlib compressed, whole and of a size that memory holds."""
    inflate = zlib.decompressobj()
    plain = inflate.decompress(raw, UNPACKED_MAX)
    if not inflate.eof:
        raise ValueError("the text is cut, or of more bytes than are allowed")
    return plain


def _space(row: Any) -> Space:
    """Return one process of packed rows."""
    parent, forked, vmas, runs = row
    mappings = []
    for start, npages, kind, writable, file, offset in vmas:
        _whole(start, npages, file, offset)
        mappings.append(Mapping(start, npages, VmaKind(kind), bool(writable), file, offset))
    found = []
    for start, npages, page in runs:
        _whole(start, npages)
        found.append(Run(start, npages, Page(page)))
    _whole(parent)
    return Space(parent, bool(forked), mappings, found)


def _whole(*values: Any) -> None:
    """Refuse values that are not all whole numbers."""
    for value in values:
        if type(value) is not int:
            raise TypeError(f"{value!r} is no whole number")


def _fault(found: Spaces) -> str | None:
    """Return what is wrong with address spaces: what was found and what is allowed."""
    if not 1 <= len(found.spaces) <= PROCESSES_MAX:
        return f"{len(found.spaces)} processes; 1 to {PROCESSES_MAX} are allowed"
    for number, space in enumerate(found.spaces):
        low, high = (0, number - 1) if number else (-1, -1)
        if not low <= space.parent <= high:
            return f"process {number} is a child of {space.parent}; {low} to {high} is allowed"
        end = 0
        for vma in space.vmas:
            if vma.start < end or vma.npages < 1 or vma.start + vma.npages > PAGES_MAX:
                return f"process {number} maps {vma.npages} pages at {vma.start}; pages in rising order are allowed"
            if not _well_backed(vma):
                return f"process {number} maps page {vma.offset} of file {vma.file}; files from 0 are allowed"
            end = vma.start + vma.npages
        if not _within(space):
            return f"process {number} has pages outside its vmas; rising ones inside are allowed"
    return None


def _well_backed(vma: Mapping) -> bool:
    """Return whether a vma names a page of a file exactly if it maps one."""
    if vma.kind in (VmaKind.FILE_PRIVATE, VmaKind.FILE_SHARED, VmaKind.SHM):
        return 0 <= vma.file <= PAGES_MAX and 0 <= vma.offset <= PAGES_MAX
    return (vma.file, vma.offset) == (-1, 0)


def _within(space: Space) -> bool:
    """Return whether the runs rise and each lies in a vma."""
    vmas = iter(space.vmas)
    vma = next(vmas, None)
    end = 0
    for run in space.runs:
        while vma is not None and vma.start + vma.npages <= run.start:
            vma = next(vmas, None)
        outside = vma is None or run.start < vma.start or run.start + run.npages > vma.start + vma.npages
        if outside or run.npages < 1 or run.start < end:
            return False
        end = run.start + run.npages
    return True


def spaces_of(value: Any) -> Spaces:
    """Return the address spaces that a study holds.

    Raises
    ------
    ValueError
        The value is not ``{"label": str, "processes": int, "packed": str}``, or its text holds none.
    """
    if not isinstance(value, dict) or set(value) != KEYS or not isinstance(value["packed"], str):
        raise ValueError(
            "no capture is given; the file of one is needed; write file: FILE, from: forkbench capture --out FILE"
        )
    return unpacked(value["packed"])
