r"""The tables of ps: with PPID (``ps -ef``, ``axjf``, ``alx``), drawn as a forest (``auxf``, ``-H``), or flat (``aux``).

PPID says who started whom, and where it stands the drawing is not needed. In a forest ``\_`` hangs a process below the
nearest one above it that stands further left. Rows of threads (``-L``, ``-T``) are folded into their process.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pipeline.sources.commands import command_name
from pipeline.sources.draft import FLAT, NAME_FOR_MISSING_ROOT, Draft, Drawn
from pipeline.sources.ordering import in_order
from pipeline.sources.ps_rows import RESIDENT, columns_of, usual_columns

if TYPE_CHECKING:
    from pipeline.sources.draft import Line
    from pipeline.sources.ps_rows import Columns, Row

_COMMAND_MAX = 1_000  # characters; nothing is put behind a longer command
_BRANCH = re.compile(r"([\s|]*)\\_ ?")


def read_ps(lines: list[Line]) -> Draft | None:
    """Return the processes of a table of ps, None if the text holds none."""
    draft = Draft()
    found = _table(lines, draft)
    if found is None:
        return None
    columns, rows = found
    if not rows:
        draft.refused = "a header of ps and no row below it; save a listing with: ps -ef > FILE"
        return draft
    processes = _folded(rows, draft)
    forest = any(_BRANCH.match(row.command) for row in processes) or _indented(processes)
    if columns.has("PPID"):
        draft.format, place = f"ps with PPID ({_told(columns)})", _by_parent
    elif forest:
        draft.format, place = f"ps, drawn as a forest ({_told(columns)})", _by_drawing
    elif columns.has(*RESIDENT):
        draft.format, draft.shape, place = f"ps, flat ({_told(columns)})", FLAT, _by_nothing
    else:
        draft.refused = (
            f"line {rows[0].line}: rows of ps without parents and without memory figures ({_told(columns)}); PPID, RSS "
            "or the drawing of ps f is needed; save a listing with: ps -ef > FILE"
        )
        return draft
    if not processes:
        draft.refused = (
            f"line {rows[0].line}: only rows of threads; rows of processes are needed; save one with: ps -eLf"
        )
        return draft
    parents, root = place(processes, draft)
    in_order(draft, list(map(_drawn, processes, parents)), root, NAME_FOR_MISSING_ROOT)
    return draft


def _indented(rows: list[Row]) -> bool:
    """Return whether blanks alone draw the forest, as of ps -H: then few rows have none, by twos."""
    blanks = [len(row.command) - len(row.command.lstrip()) for row in rows]
    return 3 * sum(count > 0 for count in blanks) > len(rows) and not any(count % 2 for count in blanks)


def _told(columns: Columns) -> str:
    """Return the columns as the header has them."""
    return " ".join(columns.names)


def _table(lines: list[Line], draft: Draft) -> tuple[Columns, list[Row]] | None:
    """Return the first table of a text, wrapped rows put together; None if there is none."""
    for index, line in enumerate(lines):
        columns = columns_of(line.text)
        skipped = 1
        if columns is None and "PID" in line.text and index + 1 < len(lines):
            columns = columns_of(f"{line.text} {lines[index + 1].text.strip()}")  # a wrapped header
            skipped = 2
        if columns is not None:
            if any(above.text for above in lines[:index]):
                draft.warn(lines[0].number, f"the text before line {line.number} is no listing; left out")
            return columns, _rows(lines[index + skipped :], columns, draft)
    usual = usual_columns(lines)
    if usual is None:
        return None
    header, columns = usual
    first = next(index for index, line in enumerate(lines) if columns.row(line))
    draft.warn(
        lines[first].number, f"the header is missing; the columns look like {header!r} and were taken so"
    )
    if any(above.text for above in lines[:first]):
        draft.warn(lines[0].number, f"the text before line {lines[first].number} is no listing; left out")
    return columns, _rows(lines[first:], columns, draft)


def _rows(lines: list[Line], columns: Columns, draft: Draft) -> list[Row]:
    """Return the rows of a table up to its end or the next header."""
    rows: list[Row] = []
    strays: list[_Stray] = []
    fitting = [columns.row(line) for line in lines]
    width, above = _wrapped_at(lines, fitting), 0
    for line, row in zip(lines, fitting, strict=True):
        broken = above == width > 0
        rest_of_above = broken and not columns.in_line(line.text)
        above = len(line.text)
        if row is not None and not rest_of_above:
            for stray in strays:
                _take_stray(stray, rows, draft)
            strays = []
            rows.append(row)
        elif columns_of(line.text) is not None:
            draft.warn(line.number, "a second listing begins here; it was left out")
            break
        elif line.text:
            strays.append(_Stray(line, broken=broken))
    if strays and rows and not rows[-1].command.strip():
        _take_stray(strays.pop(0), rows, draft)
    if strays:
        draft.warn(strays[0].line.number, "the listing ends above this line; what follows was left out")
    return rows


def _wrapped_at(lines: list[Line], fitting: list[Row | None]) -> int:
    """Return the width at which a terminal wrapped the rows of a table, 0 if it did not.

    It did if a line of the greatest length goes on in a line that is no row, and the table goes on after that. Then
    a number at the beginning of a rest may look like that of a process.
    """
    width = max((len(line.text) for line in lines), default=0)
    for index in range(1, len(lines) - 1):
        goes_on = len(lines[index - 1].text) == width and lines[index].text and fitting[index] is None
        if goes_on and fitting[index + 1] is not None:
            return width
    return 0


class _Stray(NamedTuple):
    """A line that is no row; ``broken``: a terminal broke the line above, so that nothing stood between the two."""

    line: Line
    broken: bool


def _take_stray(stray: _Stray, rows: list[Row], draft: Draft) -> None:
    """Take a line that is no row as the rest of the command above it."""
    number, text = stray.line
    if not rows:
        draft.warn(number, "no row of the table; left out")
        return
    command = rows[-1].command
    if len(command) < _COMMAND_MAX:
        rows[-1] = rows[-1]._replace(command=command + text if stray.broken else f"{command} {text}")
    draft.warn(number, "no row begins here; taken as the rest of the line above")


def _folded(rows: list[Row], draft: Draft) -> list[Row]:
    """Return the rows of processes; the others of a process are its threads, or the same pid a second time."""
    by_pid: dict[int, Row] = {}
    for row in rows:
        if row.pid is None or (row.pid in by_pid and row.thread is not None):
            if by_pid:
                draft.threads.append(Drawn("{thread}", 0, 1, row.line))
        elif row.pid in by_pid:
            draft.warn(row.line, f"PID {row.pid} stands in line {by_pid[row.pid].line} already; left out")
        else:
            by_pid[row.pid] = row
    return list(by_pid.values())


def _drawn(row: Row, parent: int) -> Drawn:
    """Return the process of a row."""
    command = row.command.strip() if "\\_" not in row.command else _BRANCH.sub("", row.command, count=1)
    name, bracketed, defunct = command_name(command)
    kernel: bool | None = None
    if defunct or row.stat.startswith("Z") or row.virtual or row.rss_kib:
        kernel = False  # a zombie has no memory any more, but it had
    elif bracketed or (row.virtual == 0 and not row.rss_kib):
        kernel = True
    elif command.startswith("/") or " " in command:
        kernel = False  # a path or an argument
    return Drawn(name, parent, 1, row.line, kernel, row.rss_kib or None)


def _by_parent(rows: list[Row], draft: Draft) -> tuple[list[int], int | None]:
    """Return the parent of each row, -1 for those below the root, and the root if it is listed."""
    index_of = {row.pid: index for index, row in enumerate(rows)}
    wanted = [row.ppid or 0 for row in rows]
    root = index_of.get(1)
    if root is None:
        outside = [index for index, ppid in enumerate(wanted) if ppid not in index_of]
        root = outside[0] if len(outside) == 1 else None
    parents = []
    for index, (row, ppid) in enumerate(zip(rows, wanted, strict=True)):
        known = index_of.get(ppid, -1)
        parents.append(known)
        if known < 0 and ppid > 1 and index != root:
            name = command_name(_BRANCH.sub("", row.command, count=1)).name
            draft.warn(
                row.line, f"PID {ppid}, the parent of {name!r}, is not listed; the root was taken for it"
            )
    return parents, root


def _by_drawing(rows: list[Row], draft: Draft) -> tuple[list[int], int | None]:
    """Return the parent of each row by what is drawn before its command, -1 for those below the root; and the root."""
    branches = [_BRANCH.match(row.command) for row in rows]
    indents = [-1 if branch is None else len(branch[1]) for branch in branches]
    if not any(branches):  # ps -H
        indents = [len(row.command) - len(row.command.lstrip()) for row in rows]
    elif 0 in indents:  # ps puts a blank before the first sign
        indents = [-1 if branch is None else branch[1].count("|") for branch in branches]
        draft.warn(rows[0].line, "the indentation is lost; what hangs below what is told by bars alone")
    parents: list[int] = []
    above: list[tuple[int, int]] = []  # indent and row of those that may have children, from the left
    for index, indent in enumerate(indents):
        while above and above[-1][0] >= indent:
            above.pop()
        parents.append(above[-1][1] if above else -1)
        above.append((indent, index))
    root = next((index for index, row in enumerate(rows) if row.pid == 1), None)
    top = [index for index, parent in enumerate(parents) if parent < 0]
    return parents, top[0] if root is None and len(top) == 1 else root


def _by_nothing(rows: list[Row], draft: Draft) -> tuple[list[int], int | None]:
    """Return that every row hangs below the root, and the root if it is listed."""
    del draft  # nothing can be wrong with no order
    root = next((index for index, row in enumerate(rows) if row.pid == 1), None)
    return [-1] * len(rows), root
