"""The processes of a recording while its story is told: who uses whose mm, and whose rows have to wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simcore.events import Op

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.traces.areas import AddressSpace

FIRST, FORK, VFORK = "first", "fork", "vfork"
Row = Any  # a tuple in the order of EVENT_DTYPE, or a list of the same while its count may still change


@dataclass
class Process:
    """One process of a recording; its index is its task.

    Parameters
    ----------
    parent : int
        Task that made it, -1 for the first.
    how : {"first", "fork", "vfork"}
        How it was made.
    born_us, ended_us : int, int or None
        From the first exec of the recording; None if it was alive at the end.
    programs : list of [int, str]
        When it exec'ed, and the base name of what.
    threads : int
        Threads that it had in all, the first included.
    faults : int
        Page faults recorded that are touches of the trace.
    left_out : int
        Page faults recorded that are not.
    minor_faults : int or None
        What the kernel counted for it, if that was seen.
    """

    parent: int
    how: str
    born_us: int
    ended_us: int | None = None
    programs: list[list[Any]] = field(default_factory=list)
    threads: int = 1
    faults: int = 0
    left_out: int = 0
    minor_faults: int | None = None


@dataclass(eq=False)
class Actor:
    """A process while its story is told.

    Parameters
    ----------
    task : int
        Its number.
    facts : Process
        What is kept of it.
    space : AddressSpace
        Its mm's; a borrower's is its lender's own.
    sink : list
        Where its rows go.
    tids : set of int
        Its living threads, and others that use its mm and have not exec'ed.
    folded : set of int
        Those others.
    lender : Actor or None
        Whose mm it borrows.
    queue : list or None
        The rows that wait until its borrower has exec'ed or exited.
    """

    task: int
    facts: Process
    space: AddressSpace
    sink: list[Row]
    tids: set[int] = field(default_factory=set)
    folded: set[int] = field(default_factory=set)
    lender: Actor | None = None
    queue: list[Row] | None = None

    @property
    def owner(self) -> Actor:
        """The process whose mm it uses."""
        return self if self.lender is None else self.lender

    def emit(self, op: Op, start: int = 0, count: int = 0, **rest: int) -> list[Any]:
        """Add a row of its own; returns it, so that its count can be changed."""
        stride = int(op in (Op.READ, Op.WRITE))
        arg, file, offset = (rest.get(name, 0) for name in ("arg", "file", "offset"))
        row = [int(op), self.task, start, count, stride, arg, file, offset]
        self.sink.append(row)
        return row

    def borrow_from(self, lender: Actor) -> None:
        """Use the mm of another, which waits from now on."""
        self.lender, self.space, self.sink = lender, lender.space, lender.sink
        lender.queue = []
        lender.sink = lender.queue

    def stop_borrowing(self, everybody: Iterable[Actor]) -> None:
        """Give a borrowed mm back; what had to wait happens now."""
        lender, self.lender = self.lender, None
        if lender is None or lender.queue is None:
            return
        queue, lender.queue = lender.queue, None
        if queue:
            for each in everybody:  # the lender's children that were forked meanwhile wait with it
                if each.sink is queue:
                    each.sink = self.sink
        lender.sink = self.sink
        self.sink.extend(queue)
        if not lender.tids:  # it was killed as it waited; its mm lived on with the borrower
            lender.emit(Op.EXIT)
