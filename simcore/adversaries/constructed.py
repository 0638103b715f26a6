"""The worst traces that can be made within a bound, each with the argument why nothing within it is worse.

The bound: so many leaf tables, mapped at the start and never changed; into at most so many vmas a table; so many
processes; so many events behind the mappings; memory is not short, but for ``tlb_reach``. All prices are 0 or more.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from simcore.adversaries.costs import (
    BYTES_COSTS,
    FAULT_COSTS,
    FORK_COSTS,
    REACH_COSTS,
    TOTAL_COSTS,
    VISIT_COSTS,
)
from simcore.adversaries.spaces import first_page, map_all
from simcore.events import TraceBuilder

if TYPE_CHECKING:
    from collections.abc import Callable

    from simcore.adversaries.costs import Cost
    from simcore.designs import Design
    from simcore.events import Trace
    from simcore.geometry import Geometry


class Size(NamedTuple):
    """How large an adversary is made.

    Parameters
    ----------
    tables : int
        Leaf tables, at least 2.
    processes : int
        That are ever made, at least 2.
    vmas : int
        Into how many vmas a table is cut at most.
    """

    tables: int
    processes: int
    vmas: int = 2


class Story:
    """Writes a trace: who touches the whole address space when, and who forks.

    Parameters
    ----------
    size : Size
        How large it is.
    geometry : Geometry
        Page and table sizes.
    ways : list of str
        How the tables are mapped.
    """

    def __init__(self, size: Size, geometry: Geometry, ways: list[str]) -> None:
        self.builder = TraceBuilder()
        self.size = size
        self._first, self._entries = first_page(geometry), geometry.entries
        map_all(self.builder, ways, size.vmas, geometry)
        self.mapped = len(self.builder)

    @property
    def children(self) -> range:
        """The tasks of the children."""
        return range(1, self.size.processes)

    def write(self, task: int, tables: int | None = None) -> None:
        """Write every page, or those of the first so many tables."""
        some = self.size.tables if tables is None else tables
        self.builder.write(task, self._first, some * self._entries)

    def fork(self, child: int) -> None:
        """Let the first process fork."""
        self.builder.fork(0, child)

    def reclaim(self) -> None:
        """Reclaim as many pages as are mapped."""
        self.builder.reclaim(self.size.tables * self._entries)


@dataclass(frozen=True)
class Adversary:
    """A trace that makes some costs as high as they can be.

    Parameters
    ----------
    name, meaning : str
        For studies and lists.
    costs : tuple of Cost
        What it makes worst.
    ways : callable
        Number of tables -> how each is mapped.
    tell : callable
        Tells the story behind the mappings; its docstring is the argument.
    ends, pressed : bool
        Whether the bound has exits and reclaim: what the exhaustive search may do too.
    """

    name: str
    meaning: str
    costs: tuple[Cost, ...]
    ways: Callable[[int], list[str]]
    tell: Callable[[Story, Design], None]
    ends: bool = True
    pressed: bool = False

    @property
    def argument(self) -> str:
        """Why nothing within the bound is worse."""
        return inspect.cleandoc(self.tell.__doc__ or "")

    def story(self, design: Design, size: Size, geometry: Geometry) -> Story:
        """Return the told story; ``mapped`` is how many events of it only map."""
        story = Story(size, geometry, self.ways(size.tables))
        self.tell(story, design)
        return story

    def events(self, design: Design, size: Size, geometry: Geometry) -> int:
        """Return how many events there are behind the mappings."""
        story = self.story(design, size, geometry)
        return len(story.builder) - story.mapped

    def trace(self, design: Design, size: Size, geometry: Geometry) -> Trace:
        """Return the worst trace of a size for a design."""
        return self.story(design, size, geometry).builder.build()


def _all_cut(tables: int) -> list[str]:
    """Map every table in pieces of a private file."""
    return ["private_cut"] * tables


def _all_anon(tables: int) -> list[str]:
    """Map every table as one anonymous vma."""
    return ["anon"] * tables


def _one_anon(tables: int) -> list[str]:
    """Map the second table as an anonymous vma and the others in pieces of a private file."""
    return ["private_cut", "anon", *_all_cut(tables - 2)]


def _fork(story: Story, design: Design) -> None:
    """Write every page, in as many vmas as there may be; fork.

    A fork has a fixed price, and one for each vma, each upper and leaf table, each pte that it looks at, finds present,
    copies, references, maps in reverse or makes read-only. The mappings bound each of these numbers, and here each is
    at its bound: every table has as many vmas as it may, every pte is present, holds a page and is writable, since it
    was written after the last fork. Nothing that could have happened before makes a pte dearer: a pte that was linked
    or copied is read-only already, and a table that is linked is never dearer to link again. Where a design links only
    tables of one anonymous vma, tables that are cut are copied; where one links only for parents with more than so many
    tables, the parent forks first with as many as are copied still, then with all: one of the two is the dearest. The
    writes between them make every pte writable again.
    """
    if design.more_than is not None and story.size.processes > 2:  # each fork needs a child
        story.write(0, min(design.more_than, story.size.tables))
        story.fork(1)
        story.write(0)
        story.fork(2)
        return
    story.write(0)
    story.fork(1)


def _fault(story: Story, _design: Design) -> None:
    """Write every page, fork all children, then let one process after another write every page.

    A fault pays the trap, at most one new page and its copy, and for the table one of three things. The table and the
    tables above it are missing: the first write of all meets that, and as the page is one of a private file it
    is copied besides, which is dearer than to clear one. The table is linked: it is copied, which costs most when every
    pte is present, and writable where the source has to be protected; all ptes were written before the fork, and the
    page is shared, so that it is copied too. Whoever faults copies for all children that have yet to copy, where a
    design defers that: when the parent writes none of them has run. A source that is protected only while two share it
    is met so as well, since the processes write one after another and the last but one finds two. One table is wholly
    anonymous, for designs that link no other. No fault can meet two of the three, and each is here at its dearest.
    """
    story.write(0)
    for child in story.children:
        story.fork(child)
    for task in range(story.size.processes - 1):
        story.write(task)


def _total(story: Story, _design: Design) -> None:
    """Write every page; then for each child fork and let the parent write every page again.

    Of n processes and 2 n - 1 events each fork is one, so that n events are left. A write of every page is the dearest
    other event: it faults once a page, and no event faults more often. After a fork each of its faults copies a page,
    which is the dearest that a fault can do to a page; and in a table that the fork linked the first of them copies the
    table too, with all ptes present. So fork and write alternate: the fork finds every pte written since the last one,
    at its dearest, and the write finds every page shared and every table linked, at its dearest. A second fork without a
    write between finds ptes read-only; a second write without a fork between finds nothing to do. A child's write is
    never dearer than the parent's, which finds as many pages shared. The first write finds every table missing, and
    pages of a private file to be copied.
    """
    story.write(0)
    for child in story.children:
        story.fork(child)
        story.write(0)


def _visits(story: Story, design: Design) -> None:
    """As ``total``: write every page; then for each child fork and let the parent write every page again.

    A fork looks at each pte at most once, and a table that it links is copied at most once for each mm that comes to it:
    n - 1 forks can make n - 1 copies of a table necessary, since the last mm that uses it has no need of one, or takes
    it in place of a copy. Here each of the forks meets every pte, also where marked or shared tables are passed over:
    the parent's tables are its own and written when it forks. And each of its writes copies every table.
    """
    _total(story, design)


def _pgtable_bytes(story: Story, design: Design) -> None:
    """As ``total``: write every page; then for each child fork and let the parent write every page again.

    An mm has at most its pgd, the upper tables over its mappings and one leaf table for each span that it maps: n mms
    have at most n times as many tables, whatever they share. Here that many exist at the end under every design: after
    each fork the parent writes in every table, which leaves no table with two users. Tables are given back only when
    mappings go or a copy has no user left, and nothing here does either.
    """
    _total(story, design)


def _tlb_reach(story: Story, _design: Design) -> None:
    """Write every page, fork all children, then reclaim every page.

    Unmapping a page flushes the TLB of each mm that reaches it, through a pte of its own or a linked table: n mms and p
    pages make n p at most, and no event unmaps more than all pages. Here each of n mms reaches each of p pages, and
    one reclaim takes them all, by scan or through the reverse mapping. Any other event flushes once a table or page of
    one mm, and at most once for the mm itself.
    """
    story.write(0)
    for child in story.children:
        story.fork(child)
    story.reclaim()


ADVERSARIES: dict[str, Adversary] = {
    adversary.name: adversary
    for adversary in (
        Adversary("fork", "the dearest fork", FORK_COSTS, _all_cut, _fork),
        Adversary("fault", "the dearest fault", FAULT_COSTS, _one_anon, _fault),
        Adversary("total", "the dearest run", TOTAL_COSTS, _all_cut, _total),
        Adversary(
            "visits", "most ptes looked at in a run whose processes live on", VISIT_COSTS, _one_anon, _visits,
            ends=False,
        ),
        Adversary("pgtable_bytes", "most memory in page tables", BYTES_COSTS, _all_cut, _pgtable_bytes),
        Adversary(
            "tlb_reach", "most mms reached by the TLB flushes of one event", REACH_COSTS, _all_anon, _tlb_reach,
            pressed=True,
        ),
    )
}  # fmt: skip
