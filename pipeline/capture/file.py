"""The file of a capture: JSON, compressed, versioned, with a checksum; refused unless it is whole.

What stands in it is listed in docs/capture.md. Nothing of it names a user, an argument, or the path of a file.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.capture.smaps import KINDS
from pipeline.errors import RefusedError
from simcore.workloads.spaces import unpacked

if TYPE_CHECKING:
    from pathlib import Path

    from simcore.workloads.spaces import Spaces

FORMAT = "forkbench capture"
VERSION = 1  # raise when a key changes meaning, appears or goes
_MAX_BYTES = 1 << 30  # of a file, and of its text
_SAVE_ONE = "make one with: forkbench capture --out FILE"


class CaptureError(RefusedError):
    """A file is no capture, or a machine cannot be captured."""


class VmaFacts(NamedTuple):
    """What the kernel says of a vma, ``kind`` an index into KINDS, ``file`` a number of this capture or -1.

    Sizes are KiB, but for ``start`` and ``npages``. ``shared`` and ``private`` are the sums of clean and dirty;
    ``huge_anon`` and ``huge_file`` are mapped by directory entries of huge pages.
    """

    start: int
    npages: int
    kind: int
    writable: int
    file: int
    resident: int
    shared: int
    private: int
    anonymous: int
    swap: int
    huge_anon: int
    huge_file: int


@dataclass(frozen=True)
class Process:
    """One process.

    Parameters
    ----------
    name : str
        Of its executable, or a keyed hash of it; "?" where that is not to be seen.
    parent : int
        Index of its parent, -1 for the first.
    unread : str
        Why its memory could not be read, "" if it could.
    vm_pte_kib : int or None
        Page-table bytes as the kernel counts them, in KiB; None where they cannot be seen.
    forked : bool
        Whether it never exec'ed, as far as can be seen.
    changed : bool
        Whether its page tables changed each time while they were read.
    placed : bool
        Whether the places of all its pages are known, from pagemap.
    vmas : list of VmaFacts
        In the order of addresses.
    """

    name: str
    parent: int
    unread: str = ""
    vm_pte_kib: int | None = None
    forked: bool = False
    changed: bool = False
    placed: bool = True
    vmas: list[VmaFacts] = field(default_factory=list)


@dataclass(frozen=True)
class Capture:
    """What was found on a machine.

    Parameters
    ----------
    taken : str
        When, UTC.
    kernel, machine : str
        Release and hardware name, as uname prints them.
    page_bytes : int
        Of a page.
    anonymised : bool
        Whether the names of executables are hashes.
    seconds : float
        What it took.
    left_out : dict
        Reason -> number of tasks.
    processes : list of Process
        Parents before their children.
    file_names : dict
        Number of a file, as text -> name of the executable that it is.
    spaces : str
        What is simulated, packed: see ``simcore.workloads.spaces``. One space for each process.
    """

    taken: str
    kernel: str
    machine: str
    page_bytes: int
    anonymised: bool
    seconds: float
    left_out: dict[str, int]
    processes: list[Process]
    file_names: dict[str, str]
    spaces: str

    def found(self) -> Spaces:
        """Return the address spaces."""
        return unpacked(self.spaces)

    def value(self, label: str) -> dict[str, Any]:
        """Return the capture as the value of a study's parameter."""
        return {"label": label, "processes": len(self.processes), "packed": self.spaces}


def write_capture(capture: Capture, path: Path) -> None:
    """Write a capture to a file that is not there yet.

    Raises
    ------
    CaptureError
        The file is there, or cannot be written.
    """
    document = asdict(capture)  # a NamedTuple stays one, and becomes a list in JSON
    head = {"format": FORMAT, "version": VERSION, "checksum": _checksum(document)}
    text = json.dumps(head | document, separators=(",", ":"))
    try:
        with path.open("xb") as file:
            file.write(gzip.compress(text.encode(), mtime=0))
    except FileExistsError:
        raise CaptureError(
            f"{path}: is there already; a capture is written over no other file; name another with --out"
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CaptureError(f"{path}: cannot be written ({reason}); name another file with --out") from None


def _checksum(document: dict[str, Any]) -> str:
    """Return a hash of a capture's content: 32 hex digits."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def read_capture(path: Path) -> Capture:
    """Return the capture that a file holds.

    Raises
    ------
    CaptureError
        There is no such file, or it is no capture, damaged, or of a newer version.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise CaptureError(f"{path}: {reason}; the file of a capture is needed; {_SAVE_ONE}") from None
    document = _document(raw, path)
    version = document.pop("version", None)
    if type(version) is not int or version > VERSION or version < 1:
        raise CaptureError(
            f"{path}: version {version!r} of the format; versions 1 to {VERSION} are allowed; read it with the forkbench "
            "that wrote it, or a newer one"
        )
    checksum = document.pop("checksum", None)
    if checksum != _checksum(document):
        raise CaptureError(
            f"{path}: damaged: its content does not have its checksum; a whole file is needed; copy it again, or "
            f"{_SAVE_ONE}"
        )
    return _capture(document, path)


def _document(raw: bytes, path: Path) -> dict[str, Any]:
    """Return the content of a file that says that it is a capture."""
    if not raw.startswith(b"\x1f\x8b"):
        raise CaptureError(f"{path}: begins with {raw[:12]!r}; a capture is compressed by gzip; {_SAVE_ONE}")
    inflate = zlib.decompressobj(wbits=31)
    try:
        text = inflate.decompress(raw, _MAX_BYTES)
        if not inflate.eof:
            raise CaptureError(
                f"{path}: damaged: it is cut; a whole file is needed; copy it again, or {_SAVE_ONE}"
            )
        document = json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise CaptureError(
            f"{path}: damaged: {error}; a whole file is needed; copy it again, or {_SAVE_ONE}"
        ) from None
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise CaptureError(f"{path}: is not a {FORMAT}; only such a file is allowed; {_SAVE_ONE}")
    return document


def _capture(document: dict[str, Any], path: Path) -> Capture:
    """Return the capture of a content whose checksum is right."""
    try:
        processes = [
            Process(**row | {"vmas": [VmaFacts(*vma) for vma in row["vmas"]]})
            for row in document.pop("processes")
        ]
        capture = Capture(processes=processes, **document)
        whole = len(capture.found().spaces) == len(processes) and all(map(_is_sound, processes))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CaptureError(f"{path}: not a capture of version {VERSION}: {error}; {_SAVE_ONE}") from None
    if not whole:
        raise CaptureError(
            f"{path}: not a capture of version {VERSION}: its processes are not as they should be; {_SAVE_ONE}"
        )
    return capture


def _is_sound(process: Process) -> bool:
    """Return whether a process holds values of the kinds that it should."""
    figures = [process.parent, *([] if process.vm_pte_kib is None else [process.vm_pte_kib])]
    whole = all(type(value) is int for value in figures + [value for vma in process.vmas for value in vma])
    texts = all(type(text) is str for text in (process.name, process.unread))
    flags = all(type(flag) is bool for flag in (process.forked, process.changed, process.placed))
    return whole and texts and flags and all(0 <= vma.kind < len(KINDS) for vma in process.vmas)
