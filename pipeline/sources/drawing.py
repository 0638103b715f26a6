"""Reads the drawing of pstree: ``init-+-apache---8*[apache]``, in ASCII.

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

from pipeline.sources.branches import BRANCH
from pipeline.sources.draft import NAME_FOR_MISSING_ROOT, Draft, Drawn, refuse_too_many

_COPIES_DIGITS_MAX = 9  # no machine has a thousand million processes

# The root's line: one word, a connector, and something behind it.
ROOT = re.compile(r"\s*[\w(?/][^\s`]*?(?:-\+-|---)[^\s-]")
# A name may end in dashes, so a connector is the last three of them.
CONNECTOR = re.compile(r"-\+-|---(?!-|\+-)")
# Where the signs of forks are lost any run of dashes may be one, whatever is left of it.
_ANY_DASHES = re.compile(r"-{3,}")
_COPIES = re.compile(r"([1-9][0-9]*)\*(?:\[|$)")
_CUT = re.compile(r"(?<![^-+]\+)\+$")  # a lone + at the end, or more of them behind a dash; g++ is a name
_IN_PARENTHESES = re.compile(r"(?<=.)\([^()]*\)$")  # (pid), (user), (pid,user)


@dataclass
class Reader:
    """The draft so far, and the branches that are still open, from the root outwards.

    ``forks_lost`` says that no fork of the drawing has its sign, so that ``---`` may be one. ``chain`` holds the
    processes of the line read last, ``groups[i]`` how many groups ``N*[`` process ``i`` lies in: as many ``]`` may end
    its name. ``lost`` counts the lines with more bars than open branches.
    """

    forks_lost: bool = False
    draft: Draft = field(default_factory=Draft)
    open: list[int] = field(default_factory=list)
    chain: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    lost: int = 0

    def take(self, number: int, line: str) -> bool:
        """Read one line that is not blank; return whether the tree goes on."""
        branch = BRANCH.fullmatch(line)
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
        if not (self.open or self.forks_lost) or ROOT.match(line):
            return False
        self.draft.warn(number, "no branch leads to this line; left out")
        return True

    def _parent(self, number: int, bars: int) -> int:
        """Return whose child a line with so many bars draws; branches further in are closed."""
        if bars < len(self.open):
            del self.open[bars + 1 :]
            return self.open[bars]
        self.lost += 1
        if self.forks_lost and bars == len(self.open):
            parent = self.chain[-2] if len(self.chain) > 1 else self.chain[-1]
            self.draft.warn(number, f"the sign of a fork is lost; {self._name(parent)!r} was taken for it")
            self.open.append(parent)
            return parent
        parent = self.open[-1] if self.open else 0
        self.draft.warn(
            number,
            f"{bars} bars but {len(self.open)} open branches; taken as a child of {self._name(parent)!r}",
        )
        return parent

    def _name(self, process: int) -> str:
        """Return the name of a process of the draft."""
        return self.draft.processes[process].name

    def _chain(self, number: int, text: str, parent: int) -> None:
        """Read ``a---b-+-c``: each is the child of the one before it."""
        at = 0
        self.chain = [parent] if parent >= 0 else []
        for connector in (_ANY_DASHES if self.forks_lost else CONNECTOR).finditer(text):
            parent = self._one(number, text[at : connector.start()], parent, last=False)
            if connector[0] == "-+-" and parent >= 0:
                self.open.append(parent)
            at = connector.end()
        self._one(number, text[at:], parent, last=True)

    def _one(self, number: int, text: str, parent: int, *, last: bool) -> int:
        """Read one name with its ornaments; return the process, or the parent if it is none."""
        text = text.strip()
        if last and text.endswith("+") and _CUT.search(text):
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
        if name[0] == "{" and parent >= 0:
            self.draft.threads.append(drawn)
            return parent
        self.draft.processes.append(drawn)
        refuse_too_many(len(self.groups) + 1, name, line)
        self.groups.append(groups)
        self.chain.append(len(self.groups) - 1)
        return len(self.groups) - 1


def _without_cut(text: str) -> str:
    """Return a cut text without the mark of the cut; a bare number was the N of a group."""
    text = text.rstrip("+-").rstrip()
    return "" if text.isdigit() else text


def _bare_name(text: str, groups: int) -> str:
    """Return a name without the brackets that close its groups and without (pid) or (user)."""
    if groups and text.endswith("]"):
        closing = len(text) - len(text.rstrip("]"))
        text = text[: len(text) - min(closing, groups)]
    return _IN_PARENTHESES.sub("", text).strip() if text.endswith(")") else text.strip()
