"""The tree of control groups that ``systemd-cgls`` draws: groups, and processes as ``PID command``.

It says which group a process is in, not who started it. To hang the processes somewhere, the one that is listed first
in a group stands for the group: the others of the group, and the first ones of groups within, hang below it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pipeline.sources.branches import BRANCH, draws_branch, follow
from pipeline.sources.commands import command_name
from pipeline.sources.draft import CGROUPS, NAME_FOR_MISSING_ROOT, Draft, Drawn, Line
from pipeline.sources.ordering import in_order

_HEADER = re.compile(r"\s*(?:Control group |CGroup:? ?)/?\S*", re.IGNORECASE)
_GROUP = re.compile(r"\S*\.(?:slice|service|scope|socket|mount|swap)(?:\s.*)?")
_PROCESS = re.compile(r"([0-9]{1,10}) (.*)")


class _Group(NamedTuple):
    """A control group or a process of the drawing: the process that stands for it, -1 if none; and its own group."""

    head: int
    group: int


def read_cgls(lines: list[Line]) -> Draft | None:
    """Return the processes of a tree of control groups, None if the text draws none."""
    branches = [index for index, line in enumerate(lines) if draws_branch(line.text)]
    texts = [BRANCH.sub(r"\g<rest>", lines[index].text) for index in branches]
    groups = sum(_GROUP.fullmatch(text) is not None for text in texts)
    processes = sum(_PROCESS.fullmatch(text) is not None for text in texts)
    if not groups or not processes or 2 * (groups + processes) < len(branches):
        return None
    draft = Draft("systemd-cgls", CGROUPS)
    first, end = branches[0], branches[-1]
    head = next((index for index in range(first) if _HEADER.fullmatch(lines[index].text)), first)
    if any(line.text for line in lines[:head]):
        draft.warn(lines[0].number, f"the text before line {lines[head].number} draws no groups; left out")
    if any(line.text for line in lines[end + 1 :]):
        draft.warn(lines[end].number, "the tree ends with this line; what follows was left out")
    _place(draft, [line for line in lines[first : end + 1] if line.text])
    return draft


def _place(draft: Draft, lines: list[Line]) -> None:
    """Add the processes to the draft, PID 1 as the root."""
    found: list[Drawn] = []
    pids: list[int] = []
    known: list[_Group] = []
    heads: dict[int, int] = {}  # group -> the process that stands for it
    for item in follow(Line(lines[0].number, "/"), lines, draft.warnings):
        process = _PROCESS.fullmatch(item.text)
        within = item.parent if item.parent < 0 or known[item.parent].head < 0 else known[item.parent].group
        if process is None:
            known.append(_Group(-1, within))
            continue
        parent = _nearest_head(known, heads, within)
        heads.setdefault(within, len(found))
        known.append(_Group(len(found), within))
        pids.append(int(process[1]))
        found.append(Drawn(command_name(process[2]).name, parent, 1, item.line))
    in_order(draft, found, pids.index(1) if 1 in pids else None, NAME_FOR_MISSING_ROOT)


def _nearest_head(known: list[_Group], heads: dict[int, int], group: int) -> int:
    """Return the process that stands for a group or for the nearest one around it, -1 if there is none."""
    while group >= 0 and group not in heads:
        group = known[group].group
    return heads.get(group, -1)
