"""Designs: one row of data each, over a few orthogonal axes.

A row says what happens; ``simcore.oracle`` and ``simcore.engine`` know how. The axes that concern shared tables
are None in a design that never links one.

All designs free page tables by one rule, so that differences come from the axes alone: a table is freed when no
vma of the mm is left in its span (what ``free_pgtables`` does in Linux 2.6 and later; 2.4 did it by pgd entry).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

# axis -> value -> what it means. The order of values is their number in the engine.
AXES: dict[str, dict[str, str]] = {
    "fork": {
        "copy": "every populated table of every vma is copied, pte by pte",
        "link": "the child's slots point to the parent's tables; each table's refcount grows by one",
    },
    "creation": {
        "fork": "a child that will exec is made by fork like any other",
        "vfork": "a child that only reads and writes before it execs borrows its parent's mm instead; others are forked, and so are those whose steps would have to move past others in a trace with writable shared mappings",
    },
    "rmap": {
        "none": "no way from a page to its ptes",
        "pte_chain": "one chain element for each pte that holds a page; a linked table holds a page once",
    },
    "wrprotect": {
        "each_pte": "fork visits the ptes of private vmas in every table it links",
        "each_pte_if_sole": "fork visits only tables whose refcount was 1: in others the ptes are read-only already",
        "each_pte_unless_marked": "a bit per table says that all CoWable ptes are read-only; fork visits only tables without it",
        "pmd": "fork clears write permission in the directory entries of both mms and visits no pte",
    },
    "unshare_on": {
        "write": "a write fault in a linked table unshares it; a read fault fills the table for everybody",
    },
    "last_sharer": {
        "reuse": "a table whose refcount came back to 1 is used in place",
    },
    "source": {
        "read_only": "the source of an unsharing copy has read-only CoWable ptes already",
        "wrprotect": "copying write-protects CoWable ptes in the source that are still writable",
    },
    "zap": {
        "drop_covered": "munmap, exec and exit drop a linked table if nothing of the mm is left in its span, else they unshare it first",
    },
    "page_refs": {
        "per_table": "a linked table holds one reference to each page, however many mms share it",
    },
}  # fmt: skip

_SHARING_AXES = ("wrprotect", "unshare_on", "last_sharer", "source", "zap", "page_refs")


@dataclass(frozen=True)
class Design:
    """A row: where it comes from, and a value (or None) on each axis of AXES."""

    name: str
    year: int
    merged: bool
    prose: str
    origin: str
    fork: str
    creation: str = "fork"
    rmap: str = "none"
    wrprotect: str | None = None
    unshare_on: str | None = None
    last_sharer: str | None = None
    source: str | None = None
    zap: str | None = None
    page_refs: str | None = None

    def __post_init__(self) -> None:
        """Refuse a combination that means nothing."""
        for axis, values in AXES.items():
            value = getattr(self, axis)
            if value is not None and value not in values:
                raise ValueError(
                    f"design {self.name!r}: {axis} is {value!r}; allowed are {', '.join(values)}; choose one of them"
                )
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        """Raise for axis values that contradict each other."""
        missing = [axis for axis in _SHARING_AXES if getattr(self, axis) is None]
        if self.fork == "link" and missing:
            raise ValueError(
                f"design {self.name!r}: fork links tables but {', '.join(missing)} is not said; "
                "sharing needs a rule for each; set them"
            )
        if self.fork != "link" and len(missing) < len(_SHARING_AXES):
            given = [axis for axis in _SHARING_AXES if axis not in missing]
            raise ValueError(
                f"design {self.name!r}: {', '.join(given)} is set but fork never links a table; "
                "these axes speak of linked tables; leave them out or set fork to 'link'"
            )
        if self.wrprotect == "pmd" and self.source == "read_only":
            raise ValueError(
                f"design {self.name!r}: wrprotect 'pmd' leaves ptes writable, so the source of an unsharing copy "
                "is not read-only; with source 'read_only' a sharer could write to a page it still shares; "
                "set source to 'wrprotect'"
            )

    @property
    def shares_tables(self) -> bool:
        """Whether fork ever links a table."""
        return self.fork == "link"


# What the designs of the 2002 thread agree on: link, unshare on write, reuse, drop, one reference per table.
_LINK = {
    "fork": "link",
    "unshare_on": "write",
    "last_sharer": "reuse",
    "source": "read_only",
    "zap": "drop_covered",
    "page_refs": "per_table",
}
_THREAD = "linux-kernel, January and February 2002, thread 'Fix the fork problem with rmap' and '[RFC] Page table sharing'"

DESIGNS: dict[str, Design] = {
    row.name: row
    for row in (
        Design(
            name="linux24", year=2001, merged=True,
            prose="Fork copies every pte of every vma; no reverse mapping. The baseline of the proposal.",
            origin="Linux 2.4.17, mm/memory.c: copy_page_range",
            fork="copy",
        ),
        Design(
            name="rmap25", year=2002, merged=True,
            prose="Fork copies every pte and adds a pte_chain element for each: what the thread called the fork problem of rmap.",
            origin="Linux 2.5.27, mm/memory.c: copy_page_range, mm/rmap.c: page_add_rmap",
            fork="copy", rmap="pte_chain",
        ),
        Design(
            name="phillips", year=2002, merged=False,
            prose="Fork links tables and write-protects each CoWable pte, at every fork, whoever shares the table already.",
            origin=f"Daniel Phillips, {_THREAD}",
            wrprotect="each_pte", **_LINK,
        ),
        Design(
            name="phillips_sole", year=2002, merged=False,
            prose="As phillips, but ptes are write-protected only in tables that nobody else shares yet.",
            origin=f"Daniel Phillips, {_THREAD}",
            wrprotect="each_pte_if_sole", **_LINK,
        ),
        Design(
            name="phillips_mark", year=2002, merged=False,
            prose="As phillips, with a bit per table that says its CoWable ptes are read-only, so that the next fork skips it.",
            origin=f"Daniel Phillips, {_THREAD}",
            wrprotect="each_pte_unless_marked", **_LINK,
        ),
        Design(
            name="linus_pmd", year=2002, merged=False,
            prose="Fork write-protects the directory entry, using that x86 ANDs the two write bits; it touches no pte.",
            origin=f"Linus Torvalds, {_THREAD}",
            wrprotect="pmd", **(_LINK | {"source": "wrprotect"}),
        ),
        Design(
            name="phillips_rmap", year=2002, merged=False,
            prose="phillips with pte_chains: a chain element for each table that holds a page, not for each process.",
            origin=f"Daniel Phillips, {_THREAD}: sharing as the cure for the cost of rmap at fork",
            wrprotect="each_pte", rmap="pte_chain", **_LINK,
        ),
        Design(
            name="linus_rmap", year=2002, merged=False,
            prose="linus_pmd with pte_chains: a chain element for each table that holds a page, not for each process.",
            origin=f"Combination of linus_pmd and pte_chains, which that thread left open: {_THREAD}",
            wrprotect="pmd", rmap="pte_chain", **(_LINK | {"source": "wrprotect"}),
        ),
        Design(
            name="vfork", year=1979, merged=True,
            prose="Creation for exec by vfork, which copies nothing; other children by eager copy: the floor for fork and exec.",
            origin="3BSD vfork(2); Linux kernel/fork.c: CLONE_VM | CLONE_VFORK",
            fork="copy", creation="vfork",
        ),
    )
}  # fmt: skip


def axis_values(design: Design) -> dict[str, str | None]:
    """Return the design's value on each axis, in the order of AXES."""
    named = {field.name for field in fields(Design)}
    return {axis: getattr(design, axis) for axis in AXES if axis in named}
