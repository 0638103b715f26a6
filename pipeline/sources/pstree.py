"""Drawings of pstree: with connectors (``init-+-apache---8*[apache]``), or one process on each line (``-a``).

A drawing is read in up to three ways, and the one that fits best is taken: as it should be; one process on each line,
if no line holds a connector; with forks whose sign was lost, if no line holds the sign of one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.sources.branches import BRANCH, draws_branch, follow, joined
from pipeline.sources.draft import NAME_FOR_MISSING_ROOT, Draft, Drawn, Line, Warned
from pipeline.sources.drawing import CONNECTOR, ROOT, Reader

if TYPE_CHECKING:
    from pipeline.sources.branches import Item

_FORK = re.compile(r"\S-\+-")
# What pstree -a puts before the arguments: a name, or name,pid or name,user or name,pid,user; a thread in braces.
_WITH_PID = re.compile(r"([^,]{1,64}),\d+(?:,[\w.+-]+)*(?:\s|$)")
_WITH_USER = re.compile(r"([^\s,]{1,64})(?:,[\w.+-]*)+(?:\s|$)")
_THREAD = re.compile(r"(?:([1-9][0-9]{0,8})\*\[)?(\{[^{}]*\})")
_PROGRAM = re.compile(r"[\w./@(][\w./@()+-]*(?:,\w*)*(?:\s|$)")  # how the first line of pstree -a begins


def read_pstree(text: list[Line]) -> Draft | None:
    """Return the processes that ``text`` draws, None if it draws no tree."""
    warnings: list[Warned] = []
    lines = joined(text, warnings)
    first = _first_line([line.text for line in lines])
    if first is None:
        return None
    rooted = ROOT.match(lines[first].text) is not None
    connected = sum(CONNECTOR.search(line.text) is not None for line in lines[first:])
    draft = Draft()
    if connected:
        reader = _connected(lines[first:])
        draft = reader.draft
    if not connected or (not rooted and reader.lost > connected):
        first -= first > 0 and _is_program(lines[first - 1])
        draft = _arguments(lines[first:])
    if any(line.text for line in lines[:first]):
        draft.warn(lines[0].number, f"the text before line {lines[first].number} draws no tree; left out")
    draft.warnings += warnings
    return draft if draft.processes else None


def _first_line(lines: list[str]) -> int | None:
    """Return the index of the line where the tree begins: the root's, or a branch if the root is missing.

    A root that forks wins over one that has a single child, because prose may hold three dashes too.
    """
    branch = next((index for index, line in enumerate(lines) if draws_branch(line)), len(lines))
    lonely = None
    for index, line in enumerate(lines[:branch]):
        if ROOT.match(line):
            if _FORK.search(line):
                return index
            lonely = index if lonely is None or branch < len(lines) else lonely
    if branch == len(lines):
        return lonely
    return branch if lonely is None or lonely < branch - 1 else lonely


def _connected(lines: list[Line], *, forks_lost: bool = False) -> Reader:
    """Return the reader of a drawing with connectors, at its end."""
    reader = Reader(forks_lost)
    reader.draft.format = "pstree"
    forks = forks_lost or any(_FORK.search(line.text) for line in lines)
    for number, line in lines:
        if reader.lost and not forks:
            return _connected(lines, forks_lost=True)
        if not reader.take(number, line):
            reader.draft.warn(number, "the tree ends above this line; what follows was left out")
            break
    return reader


def _is_program(line: Line) -> bool:
    """Return whether a line may be the root's of pstree -a: a program, its ids, its arguments."""
    return _PROGRAM.match(line.text) is not None and not line.text.endswith(":")


def _arguments(lines: list[Line]) -> Draft:
    """Return the processes of a drawing with one on each line, its first line the root's or a branch."""
    draft = Draft("pstree -a")
    root = lines[0]
    if draws_branch(root.text):
        draft.warn(root.number, f"the root's line is missing; {NAME_FOR_MISSING_ROOT!r} was put in its place")
        root = Line(root.number, NAME_FOR_MISSING_ROOT)
        lines = [root, *lines]
    end = max(index for index, line in enumerate(lines) if index == 0 or BRANCH.fullmatch(line.text))
    if end + 1 < len(lines):
        draft.warn(lines[end + 1].number, "the tree ends above this line; what follows was left out")
    own: list[int] = []  # per item: its process, or that of a thread
    for item in follow(root, lines[1 : end + 1], draft.warnings):
        parent = own[item.parent] if item.parent >= 0 else -1
        own.append(_add(draft, item, parent))
    return draft


def _add(draft: Draft, item: Item, parent: int) -> int:
    """Add a process and return its index, or a thread and return its process."""
    thread = _THREAD.match(item.text)
    if thread and parent >= 0:
        draft.threads.append(Drawn(thread[2], parent, int(thread[1] or 1), item.line))
        return parent
    found = _WITH_PID.match(item.text) or _WITH_USER.match(item.text)
    name = (found[1] if found else item.text.split(None, 1)[0] if item.text else "").strip()
    if not name:
        draft.warn(item.line, "a branch without a name; nothing was added for it")
        return max(parent, 0)
    draft.processes.append(Drawn(name, parent, 1, item.line))
    return len(draft.processes) - 1
