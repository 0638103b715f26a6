"""The drawing of pstree: ``init-+-apache---8*[apache]``, in ASCII or UTF-8.

The depth of a line is found by counting bars, not columns, so that a listing whose indentation was eaten by HTML
or mail gives the same tree: a process followed by ``-+-`` opens a branch; a line with k bars left of its ``|-``
or ```-`` belongs to the (k+1)-th branch that is still open, and a backquote closes that branch::

    init-+-bash---xinit-+-XFree86        open: init, xinit
    | `-xfwm-+-xfce                      1 bar, so xinit's, and its last child; open: init, xfwm
    | `-xfgnome                          1 bar, so xfwm's, its last; open: init
    `-xchat                              no bar, so init's, its last

Each line is looked at once, from left to right: reading takes linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pipeline.sources.draft import Draft, Drawn

NAME_FOR_MISSING_ROOT = "init"
_COPIES_DIGITS_MAX = 9  # no machine has a thousand million processes

_TO_ASCII = str.maketrans("─├└│┬\N{NO-BREAK SPACE}", "-|`|+ ")
_QUOTING = re.compile(r"^(?:[ \t]*>)+ ?")
# A line of the tree below the root: bars and blanks, then the sign of a branch, then a name.
_BRANCH = re.compile(r"(?P<bars>[\s|]*)(?P<sign>[|`'])-(?P<rest>.*)")
# The root's line: one word, a connector, and something behind it.
_ROOT = re.compile(r"\s*[\w(?/][^\s`]*?(?:-\+-|---)[^\s-]")
_FORK = re.compile(r"\S-\+-")
# A name may end in dashes, so a connector is the last three of them.
_CONNECTOR = re.compile(r"-\+-|---(?!-|\+-)")
_COPIES = re.compile(r"([1-9][0-9]*)\*(?:\[|$)")
_CUT = re.compile(r"(?<![^-+]\+)\+$")  # a lone + at the end, or more of them behind a dash; g++ is a name
_IN_PARENTHESES = re.compile(r"(?<=.)\([^()]*\)$")  # (pid), (user), (pid,user)


def read_pstree(text: str) -> Draft | None:
    """Return the processes that ``text`` draws, None if it draws no tree."""
    lines = [_QUOTING.sub("", line) for line in text.translate(_TO_ASCII).splitlines()]
    lines = [line.rstrip() for line in lines]
    first = _first_line(lines)
    if first is None:
        return None
    reader = _Reader()
    if any(lines[:first]):
        reader.draft.warn(1, f"the text before line {first + 1} draws no tree; left out")
    for number, line in enumerate(lines[first:], start=first + 1):
        if line and not reader.take(number, line):
            reader.draft.warn(number, "the tree ends above this line; what follows was left out")
            break
    if reader.lost and not any(_CONNECTOR.search(line) for line in lines):
        reader.draft.refused = (
            f"line {reader.lost}: one process on each line, as pstree -a draws it; a listing without arguments is "
            "allowed; save one with: pstree -l > FILE"
        )
    return reader.draft if reader.draft.processes else None


def _first_line(lines: list[str]) -> int | None:
    """Return the index of the line where the tree begins: the root's, or a branch if the root is missing.

    A root that forks wins over one that has a single child, because prose may hold three dashes too.
    """
    branch = next((index for index, line in enumerate(lines) if _draws_branch(line)), len(lines))
    lonely = None
    for index, line in enumerate(lines[:branch]):
        if _ROOT.match(line):
            if _FORK.search(line):
                return index
            lonely = index if lonely is None or branch < len(lines) else lonely
    if branch == len(lines):
        return lonely
    return branch if lonely is None or any(lines[lonely + 1 : branch]) else lonely


def _draws_branch(line: str) -> bool:
    """Return whether a line surely is a branch: no rule of a table, no quoted word."""
    found = _BRANCH.fullmatch(line)
    return found is not None and found["sign"] != "'" and re.match(r"[^\s|-]", found["rest"]) is not None


@dataclass
class _Reader:
    """The draft so far, and the branches that are still open, from the root outwards.

    ``groups[i]`` is how many groups ``N*[`` process ``i`` lies in: as many ``]`` may end its name. ``lost`` is the
    first line with more bars than open branches, 0 if there is none.
    """

    draft: Draft = field(default_factory=Draft)
    open: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    lost: int = 0

    def take(self, number: int, line: str) -> bool:
        """Read one line that is not blank; return whether the tree goes on."""
        branch = _BRANCH.fullmatch(line)
        if branch is None:
            return self._take_line_without_branch(number, line)
        if not self.draft.processes:
            self.draft.warn(
                number, f"the root's line is missing; {NAME_FOR_MISSING_ROOT!r} was put in its place"
            )
            self.open.append(self._add(NAME_FOR_MISSING_ROOT, -1, 1, number))
        bars = branch["bars"].count("|")
        parent = self._parent(number, bars)
        if branch["sign"] != "|":
            del self.open[bars:]
        self._chain(number, branch["rest"], parent)
        return True

    def _take_line_without_branch(self, number: int, line: str) -> bool:
        """Read the root's line, or pass over a line that no branch leads to."""
        if not self.draft.processes:
            self._chain(number, line, -1)
            return True
        if not self.open or _ROOT.match(line):
            return False
        self.draft.warn(number, "no branch leads to this line; left out")
        return True

    def _parent(self, number: int, bars: int) -> int:
        """Return whose child a line with so many bars draws; branches further in are closed."""
        if bars < len(self.open):
            del self.open[bars + 1 :]
            return self.open[bars]
        parent = self.open[-1] if self.open else 0
        name = self.draft.processes[parent].name
        self.lost = self.lost or number
        self.draft.warn(
            number, f"{bars} bars but {len(self.open)} open branches; taken as a child of {name!r}"
        )
        return parent

    def _chain(self, number: int, text: str, parent: int) -> None:
        """Read ``a---b-+-c``: each is the child of the one before it."""
        at = 0
        for connector in _CONNECTOR.finditer(text):
            parent = self._one(number, text[at : connector.start()], parent, last=False)
            if connector[0] == "-+-" and parent >= 0:
                self.open.append(parent)
            at = connector.end()
        self._one(number, text[at:], parent, last=True)

    def _one(self, number: int, text: str, parent: int, *, last: bool) -> int:
        """Read one name with its ornaments; return the process, or the parent if it is none."""
        text = text.strip()
        if last and _CUT.search(text):
            self.draft.warn(
                number, "the line is cut at its end (+); the name may be short and children may be missing"
            )
            text = _without_cut(text)
            if not text:
                return parent
        copies = _COPIES.match(text)
        if copies and len(copies[1]) > _COPIES_DIGITS_MAX:
            self.draft.warn(number, f"a group of {copies[1][:12]}... processes is no group; left out")
            return parent
        groups = self.groups[parent] if parent >= 0 else 0
        if copies:
            text, groups = text[copies.end() :], groups + 1
        name = _bare_name(text, groups)
        if not name:
            self.draft.warn(number, "a connector without a name; nothing was added for it")
            return parent
        return self._add(name, parent, int(copies[1]) if copies else 1, number, groups)

    def _add(self, name: str, parent: int, copies: int, line: int, groups: int = 0) -> int:
        """Add a process and return its index, or a thread and return its process."""
        if parent < 0 and copies > 1:
            self.draft.warn(line, f"the root {name!r} is drawn as a group of {copies}; taken once")
            copies = 1
        drawn = Drawn(name, parent, copies, line)
        if name.startswith("{") and parent >= 0:
            self.draft.threads.append(drawn)
            return parent
        self.draft.processes.append(drawn)
        self.groups.append(groups)
        return len(self.groups) - 1


def _without_cut(text: str) -> str:
    """Return a cut text without the mark of the cut; a bare number was the N of a group."""
    text = text.rstrip("+-").rstrip()
    return "" if text.isdigit() else text


def _bare_name(text: str, groups: int) -> str:
    """Return a name without the brackets that close its groups and without (pid) or (user)."""
    closing = len(text) - len(text.rstrip("]"))
    text = text[: len(text) - min(closing, groups)]
    return _IN_PARENTHESES.sub("", text).strip()
