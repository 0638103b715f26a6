"""Listings of processes: text in, a process tree out.

A new format is a function from text to Draft (None if the text is not of its kind) and an entry in FORMATS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.sources.draft import Draft, Drawn, ListingError, Warned
from pipeline.sources.kernel_threads import kernel_thread_flags
from pipeline.sources.pstree import read_pstree
from simcore.workloads.shape import PROCESSES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FORMATS", "Listing", "ListingError", "Node", "Warned", "read_listing"]

# Formats in the order in which they are tried.
FORMATS: dict[str, Callable[[str], Draft | None]] = {"pstree": read_pstree}


class Node(NamedTuple):
    """A task of a listing: a user process or a kernel thread.

    ``parent`` is an index into the listing's nodes, -1 for the root.
    """

    name: str
    parent: int
    kernel_thread: bool


@dataclass(frozen=True)
class Listing:
    """What a listing shows.

    Parameters
    ----------
    nodes : tuple of Node
        Root first, every parent before its children, groups written out.
    threads : int
        Threads of processes that the listing shows; they are no nodes.
    warnings : tuple of Warned
        What was repaired or could not be read, in the order of lines.
    """

    nodes: tuple[Node, ...]
    threads: int
    warnings: tuple[Warned, ...]

    def user_processes(self) -> tuple[list[int], list[str]]:
        """Return parents and names of the user processes only, the root first with parent -1.

        A user process that a kernel thread started belongs to its nearest ancestor that is a user process.
        """
        number: list[int] = []  # per node: its own number, or that of the nearest user process above
        parents: list[int] = []
        names: list[str] = []
        for node in self.nodes:
            parent = number[node.parent] if node.parent >= 0 else -1
            number.append(parent if node.kernel_thread else len(names))
            if not node.kernel_thread:
                parents.append(parent)
                names.append(node.name)
        return parents, names

    def as_tree(self, label: str) -> dict[str, Any]:
        """Return the user processes as the measured tree of a study: ``label``, ``parents``, ``names``."""
        parents, names = self.user_processes()
        return {"label": label, "parents": parents, "names": names}


def read_listing(text: str) -> Listing:
    """Return the processes that ``text`` lists; takes time linear in the text and the processes.

    Raises
    ------
    ListingError
        The text lists no processes in a known format, or more than PROCESSES_MAX.
    """
    for read in FORMATS.values():
        draft = read(text)
        if draft is not None and draft.refused:
            raise ListingError(draft.refused)
        if draft is not None:
            return _finished(draft)
    shown = next((line.strip() for line in text.splitlines() if line.strip()), "")
    found = f"a text that begins with {shown[:40]!r}" if shown else "no text"
    raise ListingError(
        f"{found}; the output of pstree is allowed, such as 'init-+-bash---pstree'; "
        "save one with: pstree -l > FILE"
    )


def _finished(draft: Draft) -> Listing:
    """Return the listing of a draft: groups multiplied, kernel threads told apart."""
    times = _times(draft)
    names, parents = _written_out(draft.processes)
    flags = kernel_thread_flags(names, parents)
    threads = sum(min(thread.copies * times[thread.parent], PROCESSES_MAX) for thread in draft.threads)
    nodes = tuple(map(Node, names, parents, flags))
    return Listing(nodes, threads, tuple(sorted(draft.warnings)))


def _times(draft: Draft) -> list[int]:
    """Return how often each drawn process is there, groups around it included; refuse too many in all."""
    times: list[int] = []
    total = 0
    for drawn in draft.processes:
        times.append(drawn.copies * (times[drawn.parent] if drawn.parent >= 0 else 1))
        total += times[-1]
        if total > PROCESSES_MAX:
            raise ListingError(
                f"line {drawn.line}: with {drawn.name!r} there are {total} processes; at most "
                f"{PROCESSES_MAX} are allowed; check the groups N*[...] or take a part of the listing"
            )
    return times


def _written_out(processes: list[Drawn]) -> tuple[list[str], list[int]]:
    """Return names and parents of all processes, each group written out, depth first."""
    children: list[list[int]] = [[] for _ in processes]
    for index, drawn in enumerate(processes[1:], start=1):
        children[drawn.parent].append(index)
    names: list[str] = []
    parents: list[int] = []
    open_ = [(0, -1)]
    while open_:
        index, parent = open_.pop()
        own = len(names)
        names.append(processes[index].name)
        parents.append(parent)
        open_ += [(child, own) for child in reversed(children[index]) for _ in range(processes[child].copies)]
    return names, parents
