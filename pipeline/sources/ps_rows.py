"""The columns of ps: which there are, and what stands in them on each line.

Columns are told by the header and divided at blanks, so that rows which overflow their columns, or whose blanks were
collapsed, are read as well. A listing without a header is tried against the usual ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pipeline.sources.draft import Line

THREADS = ("LWP", "SPID", "TID")
RESIDENT = ("RSS", "RSZ")
VIRTUAL = ("VSZ", "VSIZE", "SZ")
_COMMANDS = ("CMD", "COMMAND", "ARGS", "NAME", "UCMD", "UCOMM")
_COLUMNS_MAX = 40
_HEADING = re.compile(r"[A-Z%+][A-Z0-9%+_-]*")
_NUMBERS = ("PID", "PPID", *THREADS, *RESIDENT, *VIRTUAL)
_DATES = ("START", "STIME", "STARTED", "LSTART")
# Columns that only ps prints, in a pattern of their own; all others are whatever stands between blanks.
_PATTERNS = (
    dict.fromkeys(_NUMBERS, r"([0-9]{1,15}|-)")
    | dict.fromkeys(
        _DATES, r"([A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ [\d:]{8} \d{4}|[A-Z][a-z]{2} +\d{1,2}(?!\S)|\S+)"
    )
    | dict.fromkeys(("STAT", "S"), r"([A-Za-z]\S*(?: [<N](?!\S))?)")
    | {"TIME": r"(?=-|\S*[0-9])(\S+)"}
)
_ANYTHING = r"(\S+)"
_WITHOUT_HEADER = (
    "UID PID PPID C STIME TTY TIME CMD",
    "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND",
    "PPID PID PGID SID TTY TPGID STAT UID TIME COMMAND",
    "PID TTY STAT TIME COMMAND",
)
# Where no header says so, columns have to look the part.
_STRICT = {
    "C": r"(\d+)", "%CPU": r"(\d+[.,]\d)", "%MEM": r"(\d+[.,]\d)", "PGID": r"(\d+)", "SID": r"(\d+)",
    "TPGID": r"(-?\d+)", "TTY": r"(\?|[a-z]+[/a-zA-Z0-9.]*)", "STAT": r"([RSDTtZXIWKP][<NLsl+W]*)",
    "TIME": r"((?:\d+-)?\d+(?::\d\d){1,2})",
}  # fmt: skip
_TRIED_MAX = 3_000  # lines that are tried against the usual headers


class Row(NamedTuple):
    """One line of a table.

    Parameters
    ----------
    line : int
        From 1.
    pid, ppid, thread : int or None
        Numbers of the process, its parent, and the thread; None where there is no column, or nothing in it.
    rss_kib, virtual : int or None
        Resident size in KiB; virtual size in a unit that depends on the column, 0 for what has no address space.
    stat : str
        Its state, "" where there is no column.
    command : str
        With the drawing and the blanks before it.
    """

    line: int
    pid: int | None
    ppid: int | None
    thread: int | None
    rss_kib: int | None
    virtual: int | None
    stat: str
    command: str


@dataclass(frozen=True)
class Columns:
    """How the rows of a table divide.

    Parameters
    ----------
    names : tuple of str
        Headings left of the command.
    behind : int
        Columns right of the command.
    pattern : re.Pattern
        Of a row up to its command: a group for each of ``names``.
    command_at : int or None
        Where the command begins, if the column before it is filled up with blanks; else one blank behind it.
    edges : tuple of (int, int)
        Where each heading begins and ends, () if there is no header.
    """

    names: tuple[str, ...]
    behind: int
    pattern: re.Pattern[str]
    command_at: int | None
    edges: tuple[tuple[int, int], ...] = ()

    def has(self, *headings: str) -> bool:
        """Return whether there is a column with one of these headings."""
        return any(heading in self.names for heading in headings)

    @cached_property
    def _groups(self) -> list[int]:
        """The groups of the pattern that hold PID, PPID, thread, resident and virtual size, and state; 0 if none."""
        wanted = (("PID",), ("PPID",), THREADS, RESIDENT, VIRTUAL, ("STAT", "S"))
        return [next((self.names.index(each) + 1 for each in one if each in self.names), 0) for one in wanted]

    def row(self, line: Line) -> Row | None:
        """Return what stands on a line, None if it is no row."""
        found = self.pattern.match(line.text)
        if found is None:
            return None
        command = line.text[max(found.end(), self.command_at or 0) :]
        if self.behind:
            parts = command.rsplit(None, self.behind)
            command = parts[0] if len(parts) > self.behind else ""
        *numbers, stat = [found[group] if group else "-" for group in self._groups]
        pid, ppid, thread, resident, virtual = [None if text == "-" else int(text) for text in numbers]
        return Row(line.number, pid, ppid, thread, resident, virtual, stat, command)

    def in_line(self, text: str) -> bool:
        """Return whether each cell of a row begins or ends where its heading does; True if there is no header."""
        found = self.pattern.match(text)
        return found is None or all(
            found.start(group) == left or found.end(group) == right
            for group, (left, right) in enumerate(self.edges, start=1)
        )


def columns_of(header: str) -> Columns | None:
    """Return the columns of a table whose header this is, None if it is none."""
    if "PID" not in header:
        return None
    names = header.split(None, _COLUMNS_MAX)
    at = next((index for index, name in enumerate(names) if name in _COMMANDS), None)
    if at is None or "PID" not in names[:at] or not all(_HEADING.fullmatch(name) for name in names):
        return None
    left = names[:at]
    if names[at] == "NAME" and left[-1] == "PC":
        left.append("S")  # Android before 8 has no heading for it
    if len(set(left)) < len(left):
        left = [f"{name}.{index}" if name in left[:index] else name for index, name in enumerate(left)]
    filled = re.search(r"\S {2,}(" + names[at] + r")(?!\S)", header)
    edges = tuple(heading.span() for heading in re.finditer(r"\S+", header))
    return Columns(
        tuple(left),
        len(names) - at - 1,
        _pattern(left, _PATTERNS),
        filled.start(1) if filled else None,
        edges[:at],
    )


def _pattern(names: list[str], patterns: dict[str, str]) -> re.Pattern[str]:
    """Return the pattern of a row up to its command, or up to its end where that is missing."""
    return re.compile(r"\s*" + r"\s+".join(patterns.get(name, _ANYTHING) for name in names) + r"(?:\s|$)")


def usual_columns(lines: list[Line]) -> tuple[str, Columns] | None:
    """Return the usual header that most lines fit, and its columns; None if fewer than two lines fit any."""
    tried = [line.text for line in lines if ":" in line.text][:_TRIED_MAX]
    best: tuple[int, str, Columns] | None = None
    for header in _WITHOUT_HEADER:
        names = header.split()[:-1]
        columns = Columns(tuple(names), 0, _pattern(names, _PATTERNS | _STRICT), None)
        fit = sum(columns.pattern.match(text) is not None for text in tried)
        if fit >= 2 and 2 * fit >= len(tried) and (best is None or fit > best[0]):
            best = (fit, header, columns)
    return None if best is None else best[1:]
