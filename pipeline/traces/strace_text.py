"""A log of ``strace -f`` -> moments. Pure.

strace(1). A call that another process interrupts is told in two lines, ``<unfinished ...>`` and ``<... resumed>``. What
a call did counts from its first line if it makes a process, since the child's lines may come before the second, and
from its last line otherwise.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import RefusedError
from pipeline.traces import moments as what
from pipeline.traces.ftrace_text import base_name

if TYPE_CHECKING:
    from pipeline.traces.moments import Moment

_LINE = re.compile(
    r"(?:\[pid +(?P<bracketed>\d+)\] |(?P<pid>\d+) +)?(?:(?P<clock>\d+:\d\d:\d\d(?:\.\d+)?|\d+\.\d+) +)?(?P<rest>\S.*)"
)
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<value>-?(?:0x[0-9a-f]+|\d+)|\?)(?: .*)?")
_BEGUN = re.compile(r"(?P<name>\w+)\((?P<arguments>.*?) *<unfinished \.\.\.>")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")
_END = re.compile(r"\+\+\+ (?:exited with|killed by) .*")
_CHANGERS = ("mmap", "mmap2", "munmap", "mprotect", "madvise", "mremap")
_MAKERS = ("clone", "clone3", "fork", "vfork")
_FD = re.compile(r"\d+<(?P<path>[^>]*)>")
_SHM = ("/dev/shm/", "/memfd:", "/dev/zero", "/SYSV")  # noqa: S108 - names that the kernel prints
_LIBRARY = "MAP_DENYWRITE"  # what the dynamic linker asks for when it maps a library
MOST_UNREAD = 0.2  # share of lines that may be none of strace's


class StraceError(RefusedError):
    """A text is no log of strace."""


class Log(NamedTuple):
    """The moments of a log, and how many of its lines could not be read."""

    moments: list[Moment]
    unread: int


@dataclass
class _Call:
    """One system call: where its first and last lines stand, and what it says."""

    first: int
    time_us: int
    tid: int
    name: str
    arguments: str
    value: str | None = None


def read_strace(text: str, page_bytes: int) -> Log:
    """Return what a log tells.

    Parameters
    ----------
    text : str
        Written by ``strace -f``; times (-ttt, -tt, -t) and paths (-y) are used if they are there.
    page_bytes : int
        Of a page.

    Raises
    ------
    StraceError
        No line, or too few, are strace's, or no process makes any call.
    """
    reader = _Reader(page_bytes)
    lines = text.splitlines()
    for number, line in enumerate(lines):
        reader.line(number, line)
    written = sum(bool(line.strip()) for line in lines)
    if not reader.found:
        raise StraceError(
            f"{reader.unread} of {written} lines are not strace's, and none tells of a process; a log of strace -f with "
            "its process calls is needed; make one with: strace -f -ttt -y -e trace=process,memory -o FILE COMMAND"
        )
    if reader.unread > MOST_UNREAD * written:
        raise StraceError(
            f"{reader.unread} of {written} lines are not strace's (the first is line {reader.first_unread + 1}); at most "
            f"{MOST_UNREAD:.0%} may be; give the log alone: strace -f -ttt -y -e trace=process,memory -o FILE COMMAND"
        )
    return Log([moment for _, moment in sorted(reader.found, key=lambda each: each[0])], reader.unread)


class _Reader:
    """Read a log line by line; ``found`` are moments and where each belongs."""

    def __init__(self, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self.found: list[tuple[int, Moment]] = []
        self.unread = 0
        self.first_unread = 0
        self._open: dict[int, _Call] = {}
        self._making: deque[_Call] = deque()
        self._known: set[int] = set()
        self._clock = 0
        self._day = 0

    def line(self, number: int, line: str) -> None:
        """Read one line."""
        found = _LINE.match(line.strip())
        if found is None:
            return
        pid = int(found["bracketed"] or found["pid"] or 0)
        if pid > 1 << 31:  # no pid, but the time of a log without pids
            pid = 0
        time_us = self._time(found["clock"])
        if self._event(number, (time_us, pid), found["rest"]):
            return
        if not re.match(r"(strace: |--- |\+\+\+ |\?\?\?\?)", found["rest"]):
            self.first_unread = self.first_unread if self.unread else number
            self.unread += 1

    def _time(self, clock: str | None) -> int:
        """Return the microseconds of a time stamp; without one, of the line before. Midnight is passed over."""
        if clock is None:
            return self._clock
        seconds = 0.0
        for part in clock.split(":"):
            seconds = seconds * 60 + float(part)
        time_us = round(seconds * 1e6) + self._day
        if ":" in clock and time_us < self._clock - 43_200_000_000:
            self._day += 86_400_000_000
            time_us += 86_400_000_000
        self._clock = max(self._clock, time_us)
        return self._clock

    def _event(self, number: int, head: tuple[int, int], rest: str) -> bool:
        """Read what a line says of a process; return whether it says anything."""
        time_us, tid = head
        if _END.fullmatch(rest):
            self._seen(tid)
            self._open.pop(tid, None)
            self._known.discard(tid)
            self.found.append((number, what.Exited(time_us, tid)))
            return True
        resumed = _RESUMED.fullmatch(rest)
        if resumed is not None:
            call = self._open.pop(tid, None)
            if call is None or call.name != resumed["name"]:
                return True
            return self._finish(number, call, f"{call.name}({call.arguments}{resumed['rest']}")
        begun = _BEGUN.fullmatch(rest)
        if begun is not None:
            self._seen(tid)
            call = _Call(number, time_us, tid, begun["name"], begun["arguments"])
            self._open[tid] = call
            if call.name in _MAKERS:
                self._making.append(call)
            return True
        self._seen(tid)
        return self._finish(number, _Call(number, time_us, tid, rest.partition("(")[0], ""), rest)

    def _seen(self, tid: int) -> None:
        """Note a process; one that nobody has made so far is the child of the call that has waited longest."""
        if tid in self._known:
            return
        self._known.add(tid)
        if self._making:
            call = self._making.popleft()
            call.value = str(tid)
            self._made(call, tid)

    def _finish(self, number: int, call: _Call, text: str) -> bool:
        """Read a call that is complete; return whether it is one."""
        found = _CALL.fullmatch(text)
        if found is None:
            return False
        call.arguments = found["arguments"]
        try:
            value = int(found["value"], 0)
        except ValueError:  # "?": it did not return
            return True
        if call.name in _MAKERS:
            if call in self._making:
                self._making.remove(call)
            if value > 0 and call.value is None:
                self._known.add(value)
                self._made(call, value)
        elif value >= 0:
            self.found += [(number, moment) for moment in self._done(call, value)]
        return True

    def _made(self, call: _Call, child: int) -> None:
        """Note a new thread or process."""
        flags = call.arguments
        thread, borrows = "CLONE_THREAD" in flags, "CLONE_VM" in flags
        waits = "CLONE_VFORK" in flags
        if call.name == "vfork":
            borrows = waits = True
        self.found.append((call.first, what.Created(call.time_us, call.tid, child, thread, borrows, waits)))

    def _done(self, call: _Call, value: int) -> list[Moment]:
        """Return what a call did that succeeded."""
        head = (call.time_us, call.tid)
        if call.name in ("execve", "execveat"):
            path = re.search(r'"((?:[^"\\]|\\.)*)"', call.arguments)
            return [what.Executed(*head, base_name(path[1]) if path else "?")]
        try:
            return self._memory(call, [each.strip() for each in call.arguments.split(",")], value)
        except (ValueError, IndexError):
            return []

    def _memory(self, call: _Call, words: list[str], value: int) -> list[Moment]:
        """Return what a call did to memory; raises ValueError or IndexError if its arguments are cut."""
        head, page = (call.time_us, call.tid), self._page_bytes
        if call.name == "brk":
            return [what.HeapMoved(*head, -(-value // page))]
        if call.name not in _CHANGERS or int(words[1], 0) <= 0:
            return []
        if call.name in ("mmap", "mmap2"):
            return self._mapped(call, words, value)
        return self._changed(call, words, value)

    def _changed(self, call: _Call, words: list[str], value: int) -> list[Moment]:
        """Return what a call did to memory that was mapped before."""
        page = self._page_bytes
        where = (call.time_us, call.tid, int(words[0], 0) // page, -(-int(words[1], 0) // page))
        if call.name == "mprotect":
            return [what.Protected(*where, words[2] != "PROT_NONE", "PROT_WRITE" in words[2])]
        if call.name == "madvise":
            return [what.Discarded(*where)] if words[2] == "MADV_DONTNEED" else []
        if call.name == "mremap":
            return [what.Moved(*where, value // page, max(1, -(-int(words[2], 0) // page)))]
        return [what.Unmapped(*where)]

    def _mapped(self, call: _Call, words: list[str], value: int) -> list[Moment]:
        """Return a mapping; libraries are left out, since the footprint of a program has them."""
        protection, flags, fd = words[2], words[3], ",".join(words[4:-1])
        if _LIBRARY in flags:
            return []
        path = _FD.match(fd)
        shared = "MAP_SHARED" in flags
        file = None if "MAP_ANONYMOUS" in flags else path["path"] if path else ""
        if file is not None and file.startswith(_SHM):
            file = f"shm {file}"
        access = protection != "PROT_NONE", "PROT_WRITE" in protection
        offset = int(words[-1], 0) // self._page_bytes
        mapped = what.Mapped(
            call.time_us, call.tid, value // self._page_bytes, int(words[1], 0), *access, shared, file, offset,
            "MAP_POPULATE" in flags,
        )  # fmt: skip
        return [mapped]
