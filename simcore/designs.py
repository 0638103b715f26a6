"""Designs: one row of data each, over a few orthogonal axes.

A row says what happens; ``simcore.oracle`` and ``simcore.engine`` know how. The axes that concern linked tables
are None in a design whose fork never links one.

All designs free page tables by one rule, so that differences come from the axes alone: a table is freed when no
vma of the mm is left in its span (what ``free_pgtables`` does in Linux 2.6 and later; 2.4 did it by pgd entry).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

# axis -> value -> what it means. The order of values is their number in the engine.
AXES: dict[str, dict[str, str]] = {
    "fork": {
        "copy": "fork copies tables, pte by pte",
        "link": "the child's slots point to the parent's tables; each table's refcount grows by one",
        "link_if_more_than": "fork links if the parent has more than so many populated tables (more_than), else it copies",
        "deferred": "fork links, and the child copies every table that is still linked before it runs for the first time; who else needs a linked table for itself first gives each such child its copy",
    },
    "inherit": {
        "all": "every vma's ptes reach the child",
        "unfaultable": "only vmas that were privately written (that have an anon_vma): whatever else there is, later faults rebuild",
    },
    "creation": {
        "fork": "a child that will exec is made by fork like any other",
        "vfork": "a child that only reads and writes before it execs borrows its parent's mm instead; others are forked, and so are those whose steps would have to move past others in a trace with writable shared mappings",
    },
    "rmap": {
        "none": "no way from a page to its ptes",
        "pte_chain": "one chain element for each pte that holds a page; a linked table holds a page once",
        "object": "from a page to the vmas that may map it, through its anon_vma or its file; only counts are kept per pte",
    },
    "reclaim": {
        "scan": "reclaim walks the ptes of one mm after another and unmaps those it meets; a page is free once its last pte is unmapped",
        "rmap": "reclaim takes pages one by one and unmaps all their ptes, found through the reverse mapping",
    },
    "fault_around": {
        "none": "a fault fills one pte",
        "64_kib": "a read fault on file pages fills all empty ptes of 64 KiB, from the aligned address on or from where the vma begins if that is later, as far as vma, table and page cache reach",
    },
    "dontneed": {
        "keeps_tables": "madvise(DONTNEED) clears ptes and keeps tables",
        "frees_covered": "a table whose whole span lies in one vma and in the range of one madvise(DONTNEED) is freed",
        "ignored": "madvise(DONTNEED) does nothing",
    },
    "mprotect": {
        "faults": "a page of private memory that becomes writable again stays read-only until it is written, which is a fault",
        "reopens": "so it does unless the page is known to be exclusive to the mm: then its pte becomes writable at once",
    },
    "dirty_tracking": {
        "none": "a shared mapping may write to a page once it is mapped",
        "notify": "where the file system tracks dirty pages, a shared mapping's pages are mapped read-only until they are written, which is a fault",
    },
    "thp": {
        "none": "pages have one size",
        "anon": "where the geometry says so, a fault on anonymous memory gives an empty directory entry a huge page if one vma covers its span, and keeps a table for it; fork copies the entry, a write to a huge page that others map splits it, a page of it is reused once nobody else maps any part",
    },
    "file_tables": {
        "private": "each mm has tables of its own for file mappings",
        "shared": "mms share tables through the file where a shared or read-only mapping covers the whole table with the same pages at the same place in the table",
    },
    "wrprotect": {
        "each_pte": "fork visits the ptes of private vmas in every table it links",
        "each_pte_if_sole": "fork visits only tables whose refcount was 1: in others the ptes are read-only already",
        "each_pte_unless_marked": "a bit per table says that all CoWable ptes are read-only; fork visits only tables without it",
        "pmd": "fork clears write permission in the directory entries of both mms and visits no pte for it",
    },
    "links": {
        "every": "any table may be linked",
        "whole_anon": "only tables wholly inside one private anonymous vma, heap and stack excepted; other tables are copied; mprotect changes ptes of a linked table in place",
        "all_but_stack": "tables in which the stack lies are copied, all others are linked",
    },
    "unshare_on": {
        "write": "a write fault in a linked table unshares it; a read fault fills the table for everybody",
        "write_and_read": "a write or read fault in a linked table unshares it",
        "any_fault": "any fault through a write-protected directory entry makes the table the mm's own: unshares it or, for the last sharer, reopens the entry",
    },
    "shared_writes": {
        "unshare": "a write fault in a shared mapping unshares a linked table as any other",
        "exempt_covered": "where one writable shared mapping covers the whole table, fork does not protect it and writes leave it linked",
    },
    "last_sharer": {
        "reuse": "a table whose refcount came back to 1 is used in place",
        "reuse_protected": "it is used in place, but its CoWable ptes are made read-only first: each page's next write is a fault",
        "copies": "the last sharer copies the table as any other and frees the old one",
    },
    "source": {
        "read_only": "the source of an unsharing copy has read-only CoWable ptes already",
        "wrprotect_if_two": "copying write-protects CoWable ptes in the source only if its refcount is 2: with more sharers the directory entries still protect it, until they have gone",
        "wrprotect": "copying write-protects CoWable ptes in the source that are still writable",
    },
    "zap": {
        "unshare": "munmap, madvise(DONTNEED), exec and exit unshare a linked table before they clear ptes in it",
        "edges": "vma by vma: a linked table that the vanishing part of one vma covers wholly is dropped, others are unshared first",
        "whole": "in one pass over the range: a linked table is dropped if nothing of the mm is left in its span, else it is unshared first",
    },
    "page_refs": {
        "per_table": "a linked table holds one reference to each page, however many mms share it",
        "per_sharer": "each mm that shares a table holds its own reference to each page: fork and dropping visit every pte",
    },
    "charge": {
        "each": "a linked table counts in the VmPTE of each mm that reaches it",
        "owner": "a linked table counts in the VmPTE of the mm that allocated it until that one leaves it; a last sharer who reuses it takes it over",
        "forker": "a linked table counts in the VmPTE of the mm that allocated it until that mm ends, even if it left the table before",
    },
}  # fmt: skip

SHARING_AXES = tuple(list(AXES)[list(AXES).index("wrprotect") :])


@dataclass(frozen=True)
class Design:
    """A row: where it comes from, and a value (or None) on each axis of AXES.

    Parameters
    ----------
    more_than : int or None
        Populated tables from which on ``fork: link_if_more_than`` links; None in other designs.

    Raises
    ------
    ValueError
        A value is unknown, or the combination means nothing; the message says why.
    """

    name: str
    year: int
    merged: bool
    prose: str
    origin: str
    fork: str
    inherit: str = "all"
    creation: str = "fork"
    rmap: str = "none"
    reclaim: str = "scan"
    fault_around: str = "none"
    dontneed: str = "keeps_tables"
    mprotect: str = "faults"
    dirty_tracking: str = "none"
    thp: str = "none"
    file_tables: str = "private"
    wrprotect: str | None = None
    links: str | None = None
    unshare_on: str | None = None
    shared_writes: str | None = None
    last_sharer: str | None = None
    source: str | None = None
    zap: str | None = None
    page_refs: str | None = None
    charge: str | None = None
    more_than: int | None = None

    def __post_init__(self) -> None:
        """Refuse a combination that means nothing."""
        for axis, values in AXES.items():
            value = getattr(self, axis)
            if value is None and axis in SHARING_AXES:
                continue
            if value not in values:
                raise ValueError(
                    f"design {self.name!r}: {axis} is {value!r}; allowed are {', '.join(values)}; choose one of them"
                )
        reasons = [reason for meaningless, reason in self._all_rules() if meaningless]
        if reasons:
            raise ValueError(f"design {self.name!r}: " + "; also: ".join(reasons))

    def _all_rules(self) -> list[tuple[bool, str]]:
        """Return every rule about combinations."""
        return self._rules() + self._rules_of_protection() + self._rules_of_pages() + self._rules_of_copies()

    def _rules(self) -> list[tuple[bool, str]]:
        """Return (whether it is broken, why and what to do) for each rule about combinations."""
        missing = [axis for axis in SHARING_AXES if getattr(self, axis) is None]
        given = [axis for axis in SHARING_AXES if axis not in missing]
        return [
            (
                self.shares_tables and bool(missing),
                f"fork links tables but {', '.join(missing)} is not said; sharing needs a rule for each; set them",
            ),
            (
                not self.shares_tables and bool(given),
                (
                    f"{', '.join(given)} is set but fork never links a table; these axes speak of linked tables; "
                    "leave them out or set fork to 'link'"
                ),
            ),
            (
                (self.fork == "link_if_more_than") != (self.more_than is not None),
                (
                    f"more_than is {self.more_than!r} while fork is {self.fork!r}; a number of tables belongs to "
                    "fork 'link_if_more_than' and to no other; set or remove it"
                ),
            ),
            (
                self.more_than is not None
                and not (type(self.more_than) is int and 0 <= self.more_than <= 1 << 20),
                f"more_than is {self.more_than!r}; whole numbers from 0 to {1 << 20} are allowed; write one",
            ),
            (
                self.wrprotect == "pmd" and self.source == "read_only",
                (
                    "wrprotect 'pmd' leaves ptes writable, so the source of an unsharing copy is not read-only; with "
                    "source 'read_only' a sharer could write to a page it still shares; set source to 'wrprotect'"
                ),
            ),
        ]

    def _rules_of_protection(self) -> list[tuple[bool, str]]:
        """Return the rules about how linked tables are protected, as ``_rules`` does."""
        deferred = (self.wrprotect, self.unshare_on, self.last_sharer, self.zap) == (
            "pmd",
            "write",
            "reuse",
            "unshare",
        )
        by_pte = self.wrprotect is not None and self.wrprotect != "pmd"
        return [
            (
                by_pte and self.source not in (None, "read_only"),
                (
                    f"wrprotect {self.wrprotect!r} has made the CoWable ptes of every linked table read-only, so source "
                    f"{self.source!r} would find nothing to protect; set source to 'read_only'"
                ),
            ),
            (
                by_pte and self.last_sharer not in (None, "reuse"),
                (
                    f"last_sharer {self.last_sharer!r} needs to know that a table was shared before, which only a "
                    "write-protected directory entry tells; set wrprotect to 'pmd' or last_sharer to 'reuse'"
                ),
            ),
            (
                by_pte and self.unshare_on == "any_fault",
                (
                    "unshare_on 'any_fault' speaks of write-protected directory entries; set wrprotect to 'pmd' or "
                    "unshare_on to 'write_and_read'"
                ),
            ),
            (
                self.fork == "deferred" and None not in (self.wrprotect, self.zap) and not deferred,
                (
                    "fork 'deferred' protects what is not copied yet at the directory entry, copies for the child on a "
                    "write or zap and has nobody else to share with; set wrprotect to 'pmd', unshare_on to 'write', "
                    "last_sharer to 'reuse' and zap to 'unshare'"
                ),
            ),
        ]

    def _rules_of_pages(self) -> list[tuple[bool, str]]:
        """Return the rules about references, reverse mappings and files, as ``_rules`` does."""
        return [
            (
                self.reclaim == "rmap" and self.rmap == "none",
                "reclaim 'rmap' needs a reverse mapping; set rmap to 'pte_chain' or 'object', or reclaim to 'scan'",
            ),
            (
                self.page_refs == "per_sharer" and self.rmap == "pte_chain",
                (
                    "a pte_chain has one element for each pte, so a linked table cannot count a page once per sharer; set "
                    "page_refs to 'per_table' or rmap to 'object'"
                ),
            ),
            (
                self.file_tables == "shared" and self.inherit != "unfaultable",
                (
                    "tables shared through the file are found again by faults, so fork has no business with them; set "
                    "inherit to 'unfaultable'"
                ),
            ),
            (
                self.file_tables == "shared" and self.page_refs == "per_sharer",
                (
                    "a table shared through its file is the file's, not its sharers'; set page_refs to 'per_table' or "
                    "file_tables to 'private'"
                ),
            ),
        ]

    def _rules_of_copies(self) -> list[tuple[bool, str]]:
        """Return the rules about what goes with forks that copy only, as ``_rules`` does."""
        return [
            (
                self.mprotect == "reopens" and self.shares_tables,
                (
                    "mprotect 'reopens' pages that are exclusive to an mm, which is known of pages whose ptes fork copied, not "
                    "of those whose table it linked; set mprotect to 'faults' or fork to 'copy'"
                ),
            ),
            (
                self.thp == "anon" and self.shares_tables,
                (
                    "thp 'anon' keeps a table for each huge page of each mm, so fork has none to link; set thp to 'none' or "
                    "fork to 'copy'"
                ),
            ),
            (
                self.thp == "anon" and self.rmap == "pte_chain",
                (
                    "thp 'anon' maps many pages by one entry, which a pte_chain has no element for; set thp to 'none' or rmap "
                    "to 'object'"
                ),
            ),
        ]

    @property
    def shares_tables(self) -> bool:
        """Whether fork ever links a table."""
        return self.fork != "copy"

    @property
    def sound(self) -> bool:
        """Whether every mm is sure to see its own writes only: not where the source of a copy may stay writable."""
        return self.source != "wrprotect_if_two"


# What the designs of the 2002 thread agree on: link, unshare on write, reuse, one reference per table.
_LINK: dict[str, Any] = {
    "fork": "link",
    "links": "every",
    "unshare_on": "write",
    "shared_writes": "unshare",
    "last_sharer": "reuse",
    "source": "read_only",
    "zap": "edges",
    "page_refs": "per_table",
    "charge": "each",
}
_BY_PMD: dict[str, Any] = _LINK | {"wrprotect": "pmd", "source": "wrprotect", "zap": "whole"}
_CHAIN: dict[str, Any] = {"rmap": "pte_chain", "reclaim": "rmap"}
_OBJECT: dict[str, Any] = {"rmap": "object", "reclaim": "rmap"}
# Since 2.6.14 fork leaves out what faults can rebuild, since 2.6.19 shared mappings tell which pages are dirty, since 3.15
# read faults map around.
_MAINLINE: dict[str, Any] = {
    "inherit": "unfaultable",
    "fault_around": "64_kib",
    "dirty_tracking": "notify",
    **_OBJECT,
}
_MCCRACKEN: dict[str, Any] = (
    _BY_PMD | _CHAIN | {"shared_writes": "exempt_covered", "source": "wrprotect_if_two"}
)
_COW_PTE: dict[str, Any] = _BY_PMD | _MAINLINE | {"unshare_on": "any_fault", "charge": "owner"}
_THREAD = "linux-kernel, January and February 2002, thread 'Fix the fork problem with rmap' and '[RFC] Page table sharing'"
_SHPTE = "Dave McCracken, linux-kernel, 10 Oct 2002, shared page table patch for 2.5.41"

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
            fork="copy", **_CHAIN,
        ),
        Design(
            name="linux26", year=2004, merged=True,
            prose="Fork copies every pte; the reverse mapping goes through anon_vmas and files and needs no element per pte.",
            origin="Linux 2.6.7 to 2.6.13, mm/memory.c: copy_page_range, mm/rmap.c",
            fork="copy", **_OBJECT,
        ),
        Design(
            name="phillips", year=2002, merged=False,
            prose="The algorithm as posted: fork links tables and write-protects each CoWable pte, at every fork, whoever shares the table already; at zap whole tables are dropped and edges unshared, so a small process, whose tables are all edges, copies each of them at its end.",
            origin=f"Daniel Phillips, {_THREAD}",
            wrprotect="each_pte", **_LINK,
        ),
        Design(
            name="phillips_drop", year=2002, merged=False,
            prose="The small-process variant of phillips: exec and exit see the address space as one range and drop a linked table even where several vmas share it.",
            origin=f"Daniel Phillips, {_THREAD}; the one-pass zap is that of Dave McCracken's patch, 10 Oct 2002 (unmap_all_pages)",
            wrprotect="each_pte", **(_LINK | {"zap": "whole"}),
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
            **_BY_PMD,
        ),
        Design(
            name="phillips_rmap", year=2002, merged=False,
            prose="phillips with pte_chains: a chain element for each table that holds a page, not for each process.",
            origin=f"Daniel Phillips, {_THREAD}: sharing as the cure for the cost of rmap at fork",
            wrprotect="each_pte", **(_LINK | _CHAIN),
        ),
        Design(
            name="linus_rmap", year=2002, merged=False,
            prose="linus_pmd with pte_chains: a chain element for each table that holds a page, not for each process.",
            origin=f"Combination of linus_pmd and pte_chains, which that thread left open: {_THREAD}",
            **(_BY_PMD | _CHAIN),
        ),
        Design(
            name="mccracken", year=2002, merged=False,
            prose="The patch for 2.5.41: protected at the directory entry, with pte_chains; writable shared mappings that cover a table stay linked. The source of a copy is protected only at refcount 2, so with three sharers a later last sharer may write to a page that another still maps.",
            origin=_SHPTE,
            **_MCCRACKEN,
        ),
        Design(
            name="mccracken_gt3", year=2002, merged=False,
            prose="mccracken for parents with more than three tables; smaller ones are copied as before.",
            origin="Andrew Morton and Dave McCracken, linux-kernel, December 2002, shared page tables in 2.5.52-mm",
            **(_MCCRACKEN | {"fork": "link_if_more_than"}), more_than=3,
        ),
        Design(
            name="mccracken_fixed", year=2002, merged=False,
            prose="mccracken, repaired: the source of a copy is always write-protected.",
            origin=f"{_SHPTE}; the repair is this project's",
            **(_MCCRACKEN | {"source": "wrprotect"}),
        ),
        Design(
            name="shared_mmap", year=2005, merged=False,
            prose="Fork as in mainline; tables of file mappings are shared through the file, between unrelated mms as well.",
            origin="Dave McCracken, linux-kernel, 30 Aug 2005, shared page table patch for 2.6.13; Khalid Aziz, mshare, 2022 to 2026",
            fork="copy", file_tables="shared", dontneed="frees_covered", **(_MAINLINE | {"dirty_tracking": "none"}),
        ),
        Design(
            name="mainline", year=2025, merged=True,
            prose="Fork copies only what a later fault could not rebuild; read faults map around; a madvise(DONTNEED) over a whole table frees it; anonymous memory may have huge pages.",
            origin="Linux 6.18, mm/memory.c: copy_page_range, vma_needs_copy, do_fault_around; mm/pt_reclaim.c; mm/huge_memory.c; mm/mprotect.c",
            fork="copy", dontneed="frees_covered", mprotect="reopens", thp="anon", **_MAINLINE,
        ),
        Design(
            name="odf", year=2021, merged=False,
            prose="On-demand fork in its bug-fixed release: only tables wholly inside one private anonymous mapping are linked; a last sharer still pays one fault for each page it writes.",
            origin="Zhao, Gong, Fonseca: On-demand-fork, EuroSys 2021; counts measured on its kernel, 5.6.19",
            **(_BY_PMD | _MAINLINE | {"links": "whole_anon", "unshare_on": "write_and_read", "last_sharer": "reuse_protected", "charge": "forker", "dontneed": "ignored"}),
        ),
        Design(
            name="odf_paper", year=2021, merged=False,
            prose="On-demand fork as the paper describes it: the tables of every vma are linked, and the last sharer uses a table in place.",
            origin="Zhao, Gong, Fonseca: On-demand-fork, EuroSys 2021, section 3",
            **(_BY_PMD | _MAINLINE | {"inherit": "all", "unshare_on": "write_and_read"}),
        ),
        Design(
            name="cow_pte", year=2022, merged=False,
            prose="COW for page tables, version 2: fork links the tables of vmas that it would copy; any fault through a protected entry unshares the table or, for the last sharer, reopens the entry.",
            origin="Chih-En Lin, linux-kernel, 27 Sep 2022, '[RFC PATCH v2 0/9] Introduce Copy-On-Write to Page Table'; counts measured on 6.0.6",
            **_COW_PTE,
        ),
        Design(
            name="cow_pte_v5", year=2023, merged=False,
            prose="COW for page tables, version 5: as cow_pte, but fork visits every pte, so that each mm holds its own references and is charged for each table.",
            origin="Chih-En Lin, linux-kernel, 14 Apr 2023, '[PATCH v5 00/17] Introduce Copy-On-Write to Page Table'",
            **(_COW_PTE | {"page_refs": "per_sharer", "charge": "each"}),
        ),
        Design(
            name="async_fork", year=2023, merged=False,
            prose="The child copies the tables before it first runs, off the parent's time; a parent that writes to a table not yet copied copies it for the child first.",
            origin="Pang et al.: Async-fork, PVLDB 16(5), 2023",
            **(_BY_PMD | _MAINLINE | {"fork": "deferred", "zap": "unshare"}),
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
    """Return the design's value on each axis, in the order of AXES; ``link_if_more_than`` with its number."""
    named = {field.name for field in fields(design)}
    values = {axis: getattr(design, axis) for axis in AXES if axis in named}
    if design.more_than is not None:
        values["fork"] = f"{design.fork} {design.more_than}"
    return values


def derived(name: str, base: Design, axes: dict[str, Any]) -> Design:
    """Return a design of one's own: a shipped row with some axes changed.

    Parameters
    ----------
    name : str
        Of the new design.
    base : Design
        Where it starts from.
    axes : dict
        Axis of AXES, or ``more_than``, -> its new value; None takes a value away.

    Raises
    ------
    ValueError
        The combination means nothing.
    """
    changed = ", ".join(f"{axis}: {value}" for axis, value in axes.items())
    return replace(
        base,
        name=name,
        merged=False,
        prose=f"{base.name} with {changed}." if axes else f"{base.name} by another name.",
        origin=f"Defined in a study, from {base.name}: {base.origin}",
        **axes,
    )
