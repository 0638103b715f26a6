"""The processes of this machine -> a capture. The only import of psutil.

psutil tells which processes there are, since when, and whose children they are; smaps, pagemap and status are read here,
since psutil leaves out what says which pages came through fork. Arguments, environments and user names are
never read. What stays of a path is the last part of an executable's; files become numbers of this capture.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from pipeline.capture.file import Capture, CaptureError, Process, VmaFacts
from pipeline.capture.reading import read_process, status_of
from pipeline.capture.smaps import KINDS, page_table_kib
from pipeline.capture.spaces import forked_without_exec, space_of
from simcore.workloads.spaces import Space, Spaces, packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.capture.reading import Reading
    from pipeline.capture.smaps import Vma

HIDDEN = "?"
_PROC = Path("/proc")
_DELETED = " (deleted)"  # what the kernel adds to the path of a file that has been removed
_NO_MEMORY, _GONE, _SELF = "kernel threads and zombies", "gone before they were read", "this command itself"
_KEY_BYTES = 16


class Task(NamedTuple):
    """A process as psutil lists it; ``exe`` is the path of what it executes, "" if that is not to be seen."""

    pid: int
    parent: int
    exe: str


def process_table() -> list[Task]:
    """Return the processes of this machine that can be seen, in the order of their start."""
    found = []
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                parent, born = process.ppid(), process.create_time()
        except psutil.Error:
            continue  # gone since it was listed
        found.append((born, Task(process.pid, parent, _executable(process.pid))))
    return [task for _, task in sorted(found)]


def _executable(pid: int) -> str:
    """Return the path of what a process executes, "" if it is not to be seen.

    psutil would look into the arguments for it where the link cannot be read.
    """
    try:
        return (_PROC / str(pid) / "exe").readlink().as_posix().removesuffix(_DELETED)
    except OSError:
        return ""


def take_capture(*, anonymise: bool = False) -> Capture:
    """Return what this user may read of this machine's processes.

    Parameters
    ----------
    anonymise : bool
        Whether names of executables become keyed hashes; the key is thrown away.

    Raises
    ------
    CaptureError
        This is no Linux, or there is no /proc with smaps.
    """
    if not (_PROC / "self" / "smaps").exists():
        raise CaptureError(
            f"{_PROC}: no smaps of processes there; a Linux with /proc and CONFIG_PROC_PAGE_MONITOR is needed; capture "
            "on one"
        )
    began = time.perf_counter()
    capturing = Capturing(_PROC, os.sysconf("SC_PAGESIZE"), _namer(anonymise=anonymise))
    capturing.read(process_table(), os.getpid())
    return capturing.finished(anonymised=anonymise, seconds=time.perf_counter() - began)


def _namer(*, anonymise: bool) -> Callable[[str], str]:
    """Return what makes the name of an executable of its path."""
    key = secrets.token_bytes(_KEY_BYTES)

    def name(path: str) -> str:
        last = path.rpartition("/")[2].removesuffix(_DELETED)
        if not last:
            return HIDDEN
        if not anonymise:
            return last
        return hashlib.blake2b(last.encode(errors="surrogateescape"), key=key, digest_size=5).hexdigest()

    return name


@dataclass
class Capturing:
    """A capture while it is taken.

    Parameters
    ----------
    proc : Path
        Where the folders of processes are.
    page_bytes : int
        Of a page.
    name : callable
        Path of an executable -> what is kept of it.
    """

    proc: Path
    page_bytes: int
    name: Callable[[str], str]
    left_out: Counter[str] = field(default_factory=Counter)
    processes: list[Process] = field(default_factory=list)
    _spaces: list[Space] = field(default_factory=list)
    _files: dict[tuple[str, int] | str, int] = field(default_factory=dict)
    _file_names: dict[str, str] = field(default_factory=dict)
    _vmas: dict[int, list[Vma]] = field(default_factory=dict)
    _exes: dict[int, str] = field(default_factory=dict)

    def read(self, tasks: Iterable[Task], myself: int) -> None:
        """Read all processes but for ``myself``, parents before their children."""
        listed = {task.pid: task for task in tasks}
        known: dict[int, Reading | str] = {}
        for task in listed.values():
            what = self._reading(task) if task.pid != myself else _SELF
            if what in (_NO_MEMORY, _GONE, _SELF):
                self.left_out[str(what)] += 1
            else:
                known[task.pid] = what
        order = _from_the_root(listed, known)
        number = {pid: index for index, pid in enumerate(order)}
        for pid in order:
            parent = number.get(_living(listed, known, pid), 0) if self.processes else -1
            self._add(listed.get(pid, Task(pid, 0, "")), parent, known.get(pid, "not to be seen"))

    def _reading(self, task: Task) -> Reading | str:
        """Return what can be read of a process, or why it cannot."""
        folder = self.proc / str(task.pid)
        try:
            if page_table_kib(status_of(folder)) is None:
                return _NO_MEMORY
            return read_process(folder, self.page_bytes)
        except PermissionError:
            return "permission denied"
        except (FileNotFoundError, ProcessLookupError):
            return _GONE
        except OSError as error:
            return (error.strerror or "cannot be read").lower()

    def _add(self, task: Task, parent: int, what: Reading | str) -> None:
        """Add a process."""
        index = len(self.processes)
        if isinstance(what, str):
            kib = self._page_tables(task.pid)
            self.processes.append(Process(self.name(task.exe), parent, unread=what, vm_pte_kib=kib))
            self._spaces.append(Space(parent))
            return
        self._exes[index], self._vmas[index] = task.exe, what.vmas
        forked = (
            parent in self._vmas
            and bool(task.exe)
            and task.exe == self._exes[parent]
            and forked_without_exec(task.exe, self._vmas[parent], what)
        )
        facts = [self._facts(vma, task.exe) for vma in what.vmas]
        process = Process(
            self.name(task.exe), parent, "", what.vm_pte_kib, forked, what.changed, what.placed, facts
        )
        self.processes.append(process)
        self._spaces.append(space_of(what, parent, self._number, forked=forked))

    def _page_tables(self, pid: int) -> int | None:
        """Return VmPTE of a process that cannot be read otherwise, in KiB."""
        try:
            return page_table_kib(status_of(self.proc / str(pid)))
        except OSError:
            return None

    def _number(self, vma: Vma) -> int:
        """Return the number of the file behind a vma, -1 if there is none; the kernel's own pages are files by name."""
        key = vma.name if vma.kind == "kernel" else vma.file
        if key is None:
            return (
                -1 if vma.kind != "shm" else self._files.setdefault(f"shm at {vma.start}", len(self._files))
            )
        return self._files.setdefault(key, len(self._files))

    def _facts(self, vma: Vma, exe: str) -> VmaFacts:
        """Return what is kept of a vma."""
        kib = vma.kib.get
        file = self._number(vma)
        if exe and vma.name.removesuffix(_DELETED) == exe:
            self._file_names.setdefault(str(file), self.name(exe))
        return VmaFacts(
            vma.start,
            vma.npages,
            KINDS.index(vma.kind),
            int(vma.writable),
            file,
            kib("Rss", 0),
            kib("Shared_Clean", 0) + kib("Shared_Dirty", 0) + kib("Shared_Hugetlb", 0),
            kib("Private_Clean", 0) + kib("Private_Dirty", 0) + kib("Private_Hugetlb", 0),
            kib("Anonymous", 0),
            kib("Swap", 0),
            kib("AnonHugePages", 0),
            kib("ShmemPmdMapped", 0) + kib("FilePmdMapped", 0),
        )

    def finished(self, *, anonymised: bool, seconds: float) -> Capture:
        """Return the capture of what was read."""
        return Capture(
            taken=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            kernel=platform.release(),
            machine=platform.machine(),
            page_bytes=self.page_bytes,
            anonymised=anonymised,
            seconds=round(seconds, 3),
            left_out=dict(self.left_out),
            processes=self.processes,
            file_names=self._file_names,
            spaces=packed(Spaces(self.page_bytes, self._spaces)),
        )


def _living(listed: dict[int, Task], known: dict[int, Reading | str], pid: int) -> int:
    """Return the nearest ancestor that is captured, 0 if there is none."""
    seen: set[int] = set()
    above = listed[pid].parent if pid in listed else 0
    while above in listed and above not in known and above not in seen:
        seen.add(above)
        above = listed[above].parent
    return above if above in known else 0


def _from_the_root(listed: dict[int, Task], known: dict[int, Reading | str]) -> list[int]:
    """Return the captured processes, parents before their children, siblings in the order of ``known``.

    The first one is init; where there is none to be seen, process 0 stands in for it. It is the parent of all whose
    own parent is not to be seen.
    """
    root = 1 if 1 in known else 0
    children: dict[int, list[int]] = {}
    for pid in known:
        if pid != root:
            children.setdefault(_living(listed, known, pid) or root, []).append(pid)
    order, open_ = [], [root]
    while open_:
        pid = open_.pop()
        order.append(pid)
        open_ += reversed(children.get(pid, []))
    return order
