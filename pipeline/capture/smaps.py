"""``/proc/PID/smaps`` and ``/proc/PID/status`` as text -> vmas and page-table bytes. Pure; proc.rst is the source.

Linux, Documentation/filesystems/proc.rst, tables 1-2 (status), 1-13 (maps) and smaps.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pipeline.errors import RefusedError

# What a vma can be; the numbers stand in files, so that none may change its meaning.
KINDS = ("anonymous", "heap", "stack", "file_private", "file_shared", "shm", "kernel", "hugetlb")

_HEADER = re.compile(
    r"(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<access>[r-][w-][x-][sp]) (?P<offset>[0-9a-f]+) "
    r"(?P<device>\S+) (?P<inode>\d+)(?: +(?P<name>.*))?"
)
_FIELD = re.compile(r"(?P<key>\w+):\s+(?P<kib>\d+) kB")
_OF_KERNEL = re.compile(r"\[(vdso|vvar.*|vsyscall|vectors|sigpage|uprobes)\]")
# Objects that live in shmem and nowhere else: the file systems behind /dev/shm, memfd, System V and MAP_ANONYMOUS.
_OF_SHMEM = ("/dev/shm/", "/memfd:", "/SYSV", "/dev/zero", "[anon_shmem:")  # noqa: S108 - names that the kernel prints
_VM_PTE = re.compile(r"^VmPTE:\s+(\d+) kB$", re.MULTILINE)


class SmapsError(RefusedError):
    """A text is not what the kernel writes."""


class Vma(NamedTuple):
    """One vma as smaps tells it.

    Parameters
    ----------
    start, npages : int
        In pages.
    kind : str
        One of KINDS.
    writable : bool
        Now.
    file : (str, int) or None
        Device and inode; None if there is no file behind it. ``offset`` is the file page that ``start`` maps.
    name : str
        Path, or the name in brackets; it stays in this process.
    kib : dict
        The counters by their names: Rss, Anonymous, Swap ... in KiB.
    device_memory : bool
        Whether its pages are no ordinary memory: their ptes are copied at fork, and no counter knows them.
    """

    start: int
    npages: int
    kind: str
    writable: bool
    file: tuple[str, int] | None
    offset: int
    name: str
    kib: dict[str, int]
    device_memory: bool = False

    @property
    def end(self) -> int:
        """The first page behind it."""
        return self.start + self.npages


def page_table_kib(status: str) -> int | None:
    """Return VmPTE of ``/proc/PID/status``; None for a task without memory: a kernel thread, a zombie."""
    found = _VM_PTE.search(status)
    return int(found[1]) if found else None


def read_smaps(text: str, page_bytes: int) -> list[Vma]:
    """Return the vmas that smaps lists, in the order of addresses; the page of vsyscall, no process's own, is left out.

    Raises
    ------
    SmapsError
        A line is neither the head of a vma nor one of its counters.
    """
    found: list[Vma] = []
    header: re.Match[str] | None = None
    kib: dict[str, int] = {}
    flags: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        field = _FIELD.fullmatch(line)
        head = None if field else _HEADER.fullmatch(line)
        if head is not None:
            _finish(found, header, kib, flags, page_bytes)
            header, kib, flags = head, {}, set()
        elif header is None:
            raise SmapsError(
                f"smaps, line {number}: {line[:40]!r}; the head of a vma is needed; is it a text of Linux?"
            )
        elif field is not None:
            kib[field["key"]] = int(field["kib"])
        elif line.startswith("VmFlags:"):
            flags = set(line.split()[1:])
        elif not re.match(r"\w+:", line):
            raise SmapsError(
                f"smaps, line {number}: {line[:40]!r}; a counter such as 'Rss: 8 kB' is needed; is it a text of Linux?"
            )
    _finish(found, header, kib, flags, page_bytes)
    return found


def _finish(  # the parts of one vma
    found: list[Vma], head: re.Match[str] | None, kib: dict[str, int], flags: set[str], page_bytes: int
) -> None:
    """Add the vma that was read, if there is one that a process can have for itself."""
    if head is None or head["name"] == "[vsyscall]":
        return
    name = head["name"] or ""
    start, end, offset = (int(head[key], 16) // page_bytes for key in ("start", "end", "offset"))
    file = (head["device"], int(head["inode"])) if head["inode"] != "0" else None
    found.append(
        Vma(
            start,
            end - start,
            _kind(name, shared=head["access"][3] == "s", backed=file is not None, huge="ht" in flags),
            head["access"][1] == "w",
            file,
            offset if file is not None else 0,
            name,
            kib,
            bool(flags & {"pf", "mm", "io"}),
        )
    )


def _kind(name: str, *, shared: bool, backed: bool, huge: bool) -> str:
    """Return what a vma is, one of KINDS."""
    if huge:
        return "hugetlb"
    if _OF_KERNEL.fullmatch(name):
        return "kernel"
    if shared:
        return "shm" if name.startswith(_OF_SHMEM) or not backed else "file_shared"
    if backed:
        return "file_private"
    return {"[heap]": "heap", "[stack]": "stack"}.get(name, "anonymous")
