"""The text of ``trace_pipe`` -> moments. Pure.

Linux, Documentation/trace/ftrace.rst (the output format) and events.rst. The numbers of flags are those of
include/uapi/linux/sched.h, include/uapi/asm-generic/mman-common.h and, of error codes, arch/x86/include/asm/trap_pf.h.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.traces import moments as what

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipeline.traces.moments import Moment

# task-pid [cpu] flags seconds.microseconds: event; tgids may be printed in brackets behind the pid.
_LINE = re.compile(
    r" *.{1,16}?-(?P<tid>\d+) +(?:\( *[\d-]+\) +)?\[\d+\] \S+ +(?P<seconds>\d+)\.(?P<micro>\d{6}): (?P<event>.*)"
)
_LOST = re.compile(r"CPU:\d+ \[LOST (\d+) EVENTS\]")
_FAULT = re.compile(
    r"page_fault_(?:user|kernel): address=0x(?P<address>[0-9a-f]+) .*error_code=0x(?P<code>[0-9a-f]+)"
)
_NEW = re.compile(r"task_newtask: pid=(?P<pid>\d+) comm=.* clone_flags=(?P<flags>[0-9a-f]+) ")
_PREPARE = re.compile(r"sched_prepare_exec: interp=(?P<name>.*?) filename=.* pid=\d+ comm=")
_EXEC = re.compile(r"sched_process_exec: filename=(?P<name>.*) pid=(?P<pid>\d+) old_pid=(?P<old>\d+)")
_ENTER = re.compile(r"sys_(?P<name>\w+)\((?P<arguments>.*)\)")
_LEAVE = re.compile(r"sys_(?P<name>\w+) -> 0x(?P<value>[0-9a-f]+)")
_CLONE_VM, _CLONE_VFORK, _CLONE_THREAD = 0x100, 0x4000, 0x10000
_WRITE_FAULT = 2
_PROT_WRITE, _PROT_ANY = 2, 7
_MAP_SHARED, _MAP_ANONYMOUS, _MAP_POPULATE = 1, 0x20, 0x8000
_DONTNEED = 4
_USER_END = 1 << 56
_ERRORS_FROM = (1 << 64) - 4096

CALLS = ("mmap", "munmap", "mprotect", "madvise", "brk", "mremap")


class FtraceText:
    """Read the lines of one recording.

    Parameters
    ----------
    page_bytes : int
        Of a page.

    Attributes
    ----------
    lost : int
        Events that the kernel says it lost.
    unread : int
        Lines that are none of the format.
    """

    def __init__(self, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self._entered: dict[int, tuple[str, list[int]]] = {}
        self._prepared: set[int] = set()
        self.lost = 0
        self.unread = 0
        self._readers: dict[str, Callable[[int, int, str], list[Moment]]] = {
            "page_fault_user": self._fault,
            "page_fault_kernel": self._fault,
            "task_newtask": self._created,
            "sched_prepare_exec": self._prepare,
            "sched_process_exec": self._executed,
            "sched_process_exit": self._exited,
        }

    def moments(self, lines: Iterable[str]) -> Iterator[Moment]:
        """Yield the moments of lines, in their order."""
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                self._other(line)
                continue
            time_us = int(found["seconds"]) * 1_000_000 + int(found["micro"])
            event = found["event"]
            reader = self._readers.get(event.partition(":")[0], self._call)
            yield from reader(time_us, int(found["tid"]), event)

    def _other(self, line: str) -> None:
        """Note a line that is no event."""
        lost = _LOST.match(line)
        if lost is not None:
            self.lost += int(lost[1])
        elif line.strip() and not line.startswith("#"):
            self.unread += 1

    def _fault(self, time_us: int, tid: int, event: str) -> list[Moment]:
        """Return a fault at an address of user space."""
        found = _FAULT.match(event)
        address = int(found["address"], 16) if found else _USER_END
        if found is None or address >= _USER_END:
            return []
        write = bool(int(found["code"], 16) & _WRITE_FAULT)
        return [what.Touched(time_us, tid, address // self._page_bytes, write)]

    def _created(self, time_us: int, tid: int, event: str) -> list[Moment]:
        """Return a new thread or process."""
        found = _NEW.match(event)
        if found is None:
            return []
        flags = int(found["flags"], 16)
        thread, borrows, waits = (bool(flags & flag) for flag in (_CLONE_THREAD, _CLONE_VM, _CLONE_VFORK))
        return [what.Created(time_us, tid, int(found["pid"]), thread, borrows, waits)]

    def _prepare(self, time_us: int, tid: int, event: str) -> list[Moment]:
        """Return an exec at the moment when the old address space goes."""
        found = _PREPARE.match(event)
        if found is None:
            return []
        self._prepared.add(tid)
        return [what.Executed(time_us, tid, base_name(found["name"]))]

    def _executed(self, time_us: int, tid: int, event: str) -> list[Moment]:
        """Return an exec that is done; kernels before 6.10 tell of it no sooner."""
        found = _EXEC.match(event)
        if found is None:
            return []
        pid, old = int(found["pid"]), int(found["old"])
        self._entered.pop(tid, None)
        renamed: list[Moment] = [what.Renamed(time_us, old, pid)] if old != pid else []
        if old in self._prepared:
            self._prepared.discard(old)
            return renamed
        return [*renamed, what.Executed(time_us, pid, base_name(found["name"]))]

    def _exited(self, time_us: int, tid: int, event: str) -> list[Moment]:
        """Return the end of a thread."""
        self._entered.pop(tid, None)
        return [what.Exited(time_us, tid)] if "pid=" in event else []

    def _call(self, time_us: int, tid: int, event: str) -> list[Moment]:
        """Return what a system call did, when it is done."""
        left = _LEAVE.match(event)
        if left is None:
            entered = _ENTER.match(event)
            values = _values(entered["arguments"]) if entered else None
            if entered is not None and values is not None:
                self._entered[tid] = entered["name"], values
            else:
                self.unread += 1
            return []
        name, values = self._entered.pop(tid, ("", []))
        value = int(left["value"], 16)
        if name != left["name"] or value >= _ERRORS_FROM:
            return []
        return self._done(time_us, tid, (name, values, value))

    def _done(self, time_us: int, tid: int, call: tuple[str, list[int], int]) -> list[Moment]:
        """Return what a system call did that succeeded."""
        name, values, value = call
        page = self._page_bytes
        if name == "brk":
            return [what.HeapMoved(time_us, tid, -(-value // page))]
        if len(values) < 2 or not values[1]:  # all others take a length second
            return []
        where = (time_us, tid, values[0] // page, -(-values[1] // page))
        match name, values[2:]:
            case "mmap", [protection, flags, _, offset]:
                shared, populate = bool(flags & _MAP_SHARED), bool(flags & _MAP_POPULATE)
                file = None if flags & _MAP_ANONYMOUS else ""
                head = (time_us, tid, value // page, values[1])
                found: Moment = what.Mapped(
                    *head, *_access(protection), shared, file, offset // page, populate
                )
            case "munmap", []:
                found = what.Unmapped(*where)
            case "mprotect", [protection]:
                found = what.Protected(*where, *_access(protection))
            case "madvise", [advice] if advice == _DONTNEED:
                found = what.Discarded(*where)
            case "mremap", [to_length, *_] if to_length:
                found = what.Moved(*where, value // page, -(-to_length // page))
            case _:
                return []
        return [found]


def _access(protection: int) -> tuple[bool, bool]:
    """Return whether memory may be accessed, and written."""
    return bool(protection & _PROT_ANY), bool(protection & _PROT_WRITE)


def _values(arguments: str) -> list[int] | None:
    """Return the numbers of ``name: 0x10, name: 3``; None if they are none."""
    try:
        return [int(each.rpartition(": ")[2], 16) for each in arguments.split(", ")] if arguments else []
    except ValueError:
        return None


def base_name(path: str) -> str:
    """Return the last part of a path, of which nothing else is kept."""
    return path.rstrip("/").rpartition("/")[2][:64]
