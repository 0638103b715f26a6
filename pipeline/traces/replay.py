"""A recording told over: what every forked child wrote before it exec'ed or exited, and its parent meanwhile. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simcore.events import Op

if TYPE_CHECKING:
    from simcore.workloads.recording import Recording

ENTRIES = 512  # ptes in a leaf table of the machines that are recorded


@dataclass
class Fork:
    """A fork that made an mm.

    Parameters
    ----------
    parent, child : int
        Tasks.
    generation : int
        Forks since the last exec, this one included: 1 for the child of a program, 2 for that child's.
    sharers : int
        Children of the same parent that live, were forked, and have not exec'ed, this one included.
    execs : bool
        Whether the child exec'ed.
    pages, tables : set of int
        What the child wrote before it exec'ed or exited; tables by their slot.
    parent_copies, parent_reuses : int
        Pages that the parent writes, and had before the fork, up to its next fork, exec or exit: while the child has not
        exec'ed or exited, and after that.
    """

    parent: int
    child: int
    generation: int
    sharers: int
    execs: bool = False
    pages: set[int] = field(default_factory=set)
    parent_copies: int = 0
    parent_reuses: int = 0
    shares: bool = True

    @property
    def tables(self) -> set[int]:
        """The slots of the leaf tables in which the child wrote."""
        return {page // ENTRIES for page in self.pages}


@dataclass
class _Mm:
    """A task's address space: its generation, what it has written, and the forks that it is child and parent of."""

    generation: int = 0
    written: set[int] = field(default_factory=set)
    born: Fork | None = None
    last: Fork | None = None
    unshared: set[int] = field(default_factory=set)


def forks_of(recording: Recording) -> list[Fork]:
    """Return the forks of a recording, in order; vforks make no mm."""
    replay = _Replay()
    rows = recording.rows
    columns = [rows[name].tolist() for name in ("op", "task", "start", "count", "arg")]
    for op, task, start, count, arg in zip(*columns, strict=True):
        if op == Op.WRITE:
            replay.write(task, range(start, start + count))
        elif op == Op.FORK:
            replay.fork(task, arg)
        elif op == Op.VFORK:
            replay.borrow(task, arg)
        elif op == Op.EXEC:
            replay.leave(task, execs=True)
        elif op == Op.EXIT:
            replay.leave(task, execs=False)
    return replay.forks


class _Replay:
    """Follow who writes what."""

    def __init__(self) -> None:
        self.forks: list[Fork] = []
        self._mms: dict[int, _Mm] = {0: _Mm()}
        self._open: dict[int, set[int]] = {}  # parent -> forked children that share with it still

    def write(self, task: int, pages: range) -> None:
        """Note pages written."""
        mm = self._mms[task]
        for page in pages:
            if mm.born is not None:
                mm.born.pages.add(page)
            if mm.last is not None and page in mm.written and page not in mm.unshared:
                mm.last.parent_copies += mm.last.shares
                mm.last.parent_reuses += not mm.last.shares
                mm.unshared.add(page)
            mm.written.add(page)

    def fork(self, task: int, child: int) -> None:
        """Note a fork."""
        mm = self._mms[task]
        sharing = self._open.setdefault(task, set())
        sharing.add(child)
        made = Fork(task, child, mm.generation + 1, len(sharing))
        self.forks.append(made)
        mm.last, mm.unshared = made, set()
        self._mms[child] = _Mm(mm.generation + 1, mm.written.copy(), made)

    def borrow(self, task: int, child: int) -> None:
        """Note a vfork: the child writes where its parent does."""
        self._mms[child] = _Mm(self._mms[task].generation, self._mms[task].written)

    def leave(self, task: int, *, execs: bool) -> None:
        """Note that a task leaves its mm."""
        born = self._mms[task].born
        if born is not None:
            born.execs, born.shares = execs, False
            self._open.get(born.parent, set()).discard(task)
        self._mms[task] = _Mm()
