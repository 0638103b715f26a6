"""Listings of processes: text in, a process tree out.

A new format is a function from lines to Draft (None if the text is not of its kind) and an entry in FORMATS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.sources.cgls import read_cgls
from pipeline.sources.cleaning import cleaned
from pipeline.sources.draft import (
    CGROUPS,
    FLAT,
    PARENTS,
    Draft,
    Drawn,
    Line,
    ListingError,
    Warned,
    refuse_too_many,
)
from pipeline.sources.kernel_threads import kernel_thread_flags
from pipeline.sources.ps import read_ps
from pipeline.sources.pstree import read_pstree
from pipeline.sources.thread_families import processes_that_may_be_threads
from simcore.workloads.shape import PROCESSES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CGROUPS",
    "FLAT",
    "FORMATS",
    "PARENTS",
    "Listing",
    "ListingError",
    "Node",
    "Warned",
    "read_listing",
]

# Formats in the order in which they are tried.
FORMATS: dict[str, Callable[[list[Line]], Draft | None]] = {
    "ps": read_ps,
    "systemd-cgls": read_cgls,
    "pstree": read_pstree,
}


class Node(NamedTuple):
    """A task of a listing: a user process or a kernel thread.

    ``parent`` is an index into the listing's nodes, -1 for the root; ``rss_kib`` is the resident size in KiB, None
    where the listing does not give it.
    """

    name: str
    parent: int
    kernel_thread: bool
    rss_kib: int | None = None


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
    format : str
        What the listing looks like, in words.
    shape : {"parents", "cgroups", "none"}
        What the tree says: who started whom; which control group lies in which; nothing, all hang below the root.
    perhaps_threads : int
        User processes that may be threads: before about 2005 Linux showed threads as processes (LinuxThreads).
    """

    nodes: tuple[Node, ...]
    threads: int
    warnings: tuple[Warned, ...]
    format: str = ""
    shape: str = PARENTS
    perhaps_threads: int = 0

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

    def resident_kib(self) -> list[int | None]:
        """Return the resident size of each user process in KiB, in their order, None where it is not known."""
        return [node.rss_kib for node in self.nodes if not node.kernel_thread]

    def as_tree(self, label: str, *, sized: bool = False) -> dict[str, Any]:
        """Return the user processes as the measured tree of a study: ``label``, ``parents``, ``names``.

        With ``sized`` it has ``resident_kib`` as well: sizes in KiB, None for each process whose size is not known.
        The label of a tree of control groups says so.

        Raises
        ------
        ListingError
            The listing does not say who started whom.
        """
        if self.shape == FLAT:
            raise ListingError(
                f"{self.format}: memory figures, and nothing about who started whom; a listing with parents is allowed; "
                "save one with: ps -ef > FILE, ps auxf > FILE or pstree -l > FILE"
            )
        parents, names = self.user_processes()
        label = f"{label} (control groups, not parents)" if self.shape == CGROUPS else label
        tree: dict[str, Any] = {"label": label, "parents": parents, "names": names}
        return tree | {"resident_kib": self.resident_kib()} if sized else tree


def read_listing(text: str) -> Listing:
    """Return the processes that ``text`` lists; takes time linear in the text and the processes.

    Raises
    ------
    ListingError
        The text lists no processes in a known format, or more than PROCESSES_MAX, or has more than SHORT_LINES_MAX
        lines that are short.
    """
    lines = cleaned(text)
    for read in FORMATS.values():
        draft = read(lines)
        if draft is not None and draft.refused:
            raise ListingError(draft.refused)
        if draft is not None:
            return _finished(draft)
    shown = next((line.text.strip() for line in lines if line.text.strip()), "")
    found = f"a text that begins with {shown[:40]!r}" if shown else "no text"
    raise ListingError(
        f"{found}; the output of pstree, ps or systemd-cgls is allowed, such as 'init-+-bash---pstree' or a table with "
        "the columns PID, PPID and CMD; save one with: pstree -l > FILE, or ps -ef > FILE"
    )


def _finished(draft: Draft) -> Listing:
    """Return the listing of a draft: groups multiplied, kernel threads told apart."""
    times = _times(draft)
    order, parents = _written_out(draft.processes)
    known = [draft.processes[index] for index in order]
    flags = _kernel_threads(known, parents)
    threads = sum(min(thread.copies * times[thread.parent], PROCESSES_MAX) for thread in draft.threads)
    nodes = tuple(
        Node(drawn.name, parent, flag, drawn.rss_kib)
        for drawn, parent, flag in zip(known, parents, flags, strict=True)
    )
    listing = Listing(nodes, threads, tuple(sorted(draft.warnings)), draft.format, draft.shape)
    return replace(listing, perhaps_threads=processes_that_may_be_threads(listing))


def _kernel_threads(known: list[Drawn], parents: list[int]) -> list[bool]:
    """Return which processes are kernel threads: what the listing says of each, else its name and its parent."""
    inferred = kernel_thread_flags([drawn.name for drawn in known], parents)
    flags = [
        flag if drawn.kernel_thread is None else drawn.kernel_thread
        for drawn, flag in zip(known, inferred, strict=True)
    ]
    return [False, *flags[1:]]  # the root is where everything hangs


def _times(draft: Draft) -> list[int]:
    """Return how often each drawn process is there, groups around it included; refuse too many in all."""
    times: list[int] = []
    total = 0
    for drawn in draft.processes:
        times.append(drawn.copies * (times[drawn.parent] if drawn.parent >= 0 else 1))
        total += times[-1]
        refuse_too_many(total, drawn.name, drawn.line)
    return times


def _written_out(processes: list[Drawn]) -> tuple[list[int], list[int]]:
    """Return for each process which drawn one it is, and its parent; each group written out, depth first."""
    children: list[list[int]] = [[] for _ in processes]
    for index, drawn in enumerate(processes[1:], start=1):
        children[drawn.parent].append(index)
    order: list[int] = []
    parents: list[int] = []
    open_ = [(0, -1)]
    while open_:
        index, parent = open_.pop()
        own = len(order)
        order.append(index)
        parents.append(parent)
        open_ += [(child, own) for child in reversed(children[index]) for _ in range(processes[child].copies)]
    return order, parents
