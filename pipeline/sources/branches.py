"""Drawings with one thing on each line: ``pstree -a`` and ``systemd-cgls``. Depth is counted in bars, not in columns.

A line with k bars left of its sign belongs to the (k+1)-th thing that still has branches to come; if all of those
have their bar, it begins the branches of the thing drawn last. ```-`` is the last branch of a thing, ``|-`` is not::

    systemd
    |-cron                  no bar, and nothing has branches to come, so systemd's; more of them come
    | `-sh -c x             1 bar, that of systemd, so a child of what was drawn last: cron's, its last
    | `-sleep 9             1 bar, so again of what was drawn last: sh's
    `-sshd -D               no bar, so systemd's, its last
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pipeline.sources.draft import Line, Warned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A line below the first: bars and blanks, then the sign of a branch, then a name.
BRANCH = re.compile(r"(?P<bars>[\s|]*)(?P<sign>[|`'])-(?P<rest>.*)")
_WRAPPED_FROM = 50  # columns; shorter lines are not wrapped
_BARS_WRAPPED_FROM = 30  # the blanks behind the last bar, where a mail breaks a line, are lost
_JOINED_MAX = 2_000  # characters; nothing is put behind a longer line


def draws_branch(text: str) -> bool:
    """Return whether a line surely is a branch: no rule of a table, no quoted word."""
    found = BRANCH.fullmatch(text)
    return found is not None and found["sign"] != "'" and re.match(r"[^\s|-]", found["rest"]) is not None


class Item(NamedTuple):
    """One thing of a drawing; ``parent`` is an index into the items, -1 for the first."""

    line: int
    text: str
    parent: int


def follow(first: Line, lines: Iterable[Line], warnings: list[Warned]) -> Iterator[Item]:
    """Yield the things of a drawing, the first one first; what does not fit is told in ``warnings``."""
    yield Item(first.number, first.text.strip(), -1)
    open_: list[int] = []
    last = 0
    for number, text in lines:
        branch = BRANCH.fullmatch(text)
        if branch is None:
            warnings.append(
                Warned(number, "no branch leads to this line; taken as the rest of the line above")
            )
            continue
        bars = branch["bars"].count("|")
        if bars > len(open_):
            warnings.append(Warned(number, _too_many(bars, len(open_))))
            bars = len(open_)
        parent = open_[bars] if bars < len(open_) else last
        del open_[bars:]
        if branch["sign"] == "|":
            open_.append(parent)
        last += 1
        yield Item(number, branch["rest"].strip(), parent)


def _too_many(bars: int, branches: int) -> str:
    """Return how a line with too many bars is told."""
    return f"{bars} bars but {branches} open branches; taken as a child of what is drawn above"


def joined(lines: list[Line], warnings: list[Warned]) -> list[Line]:
    """Return a drawing's lines with those put together that were wrapped: a name's rest, or a branch behind its bars."""
    found: list[Line] = []
    width = 0  # of the last line as it was, 0 if a blank line came since
    for line in lines:
        above = found[-1].text if found else ""
        if width >= _BARS_WRAPPED_FROM and _is_rest(above, line.text, width):
            found[-1] = Line(found[-1].number, above + line.text)
            warnings.append(Warned(line.number, "wrapped; put behind the line above"))
        elif line.text:
            found.append(line)
        width = len(line.text)
    return found


def _is_rest(above: str, text: str, width: int) -> bool:
    """Return whether a line goes on where a long one above it ends, of which the last part has this width."""
    if not text or len(above) > _JOINED_MAX or not BRANCH.match(above):
        return bool(text) and _only_bars(above) and draws_branch(text)
    if width < _WRAPPED_FROM:
        return False
    return not BRANCH.fullmatch(text) and not text[0].isspace() and not above.endswith("+")


def _only_bars(text: str) -> bool:
    """Return whether a line holds bars and blanks and nothing else."""
    return "|" in text and len(text) <= _JOINED_MAX and not text.strip(" |")
