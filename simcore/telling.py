"""What a design does, told moment by moment: sentences composed from its row and from nothing else.

Each axis that applies to a design has its say at some moment, so two designs that differ are told differently. The
words are the kernel's; the rules are those of ``simcore.designs``, in whole sentences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from simcore.designs import Design

_LINKED = "the child's slots point to the parent's leaf tables, and each table's refcount grows by one"
_COPIED = (
    "copies the parent's leaf tables pte by pte, makes CoWable ptes read-only in both mms and takes a reference to "
    "each page"
)
_FORK = {
    "copy": f"Fork duplicates the vmas and {_COPIED}.",
    "link": f"Fork duplicates the vmas and links: {_LINKED}; no pte is copied.",
    "link_if_more_than": f"Fork duplicates the vmas. If the parent has more than {{more_than}} populated leaf tables it "
    f"links: {_LINKED}. Else it {_COPIED}.",
    "deferred": f"Fork duplicates the vmas and links: {_LINKED}. Before the child runs for the first time it copies "
    "every table that is still linked, pte by pte, off the parent's time.",
}
_INHERIT = {
    "all": "That goes for {what} of every vma.",
    "unfaultable": "That goes for {what} of vmas with an anon_vma alone, those that were privately written; faults "
    "rebuild the rest.",
}
_LINKS = {
    "every": "Any table may be linked.",
    "whole_anon": "Only a table wholly inside one private anonymous vma is linked, heap and stack excepted; others are "
    "copied pte by pte.",
    "all_but_stack": "Tables in which the stack lies are copied pte by pte, any other may be linked.",
}
_WRPROTECT = {
    "each_pte": "In every table that it links, fork visits the ptes of private vmas and makes CoWable ones read-only, "
    "whoever shares the table already.",
    "each_pte_if_sole": "In tables whose refcount was 1, fork visits the ptes of private vmas and makes CoWable ones "
    "read-only; in tables that were shared before they are read-only already.",
    "each_pte_unless_marked": "Fork visits the ptes of private vmas, makes CoWable ones read-only and marks the table; "
    "a table that bears the mark is not visited again.",
    "pmd": "Fork clears write permission in the directory entries of both mms; it visits no pte for that.",
}
_SHARED_WRITES_AT_FORK = {
    "unshare": "",
    "exempt_covered": "A table that one writable shared mapping covers wholly is linked without any protection.",
}
_PAGE_REFS_AT_FORK = {
    "per_table": "A linked table holds one reference to each page, however many mms share it, so none is taken.",
    "per_sharer": "Fork visits every pte of a linked table: the child takes a reference of its own to each page.",
}
_CHARGE_AT_FORK = {
    "each": "A linked table counts in the VmPTE of parent and child.",
    "owner": "A linked table goes on counting in the VmPTE of the mm that allocated it, and not in the child's.",
    "forker": "A linked table goes on counting in the VmPTE of the mm that allocated it, and not in the child's.",
}
_RMAP_AT_FORK = {
    "none": "Nothing leads from a page back to its ptes, so no reverse mapping is kept.",
    "pte_chain": "Each pte that fork copies adds an element to its page's pte_chain{linked}.",
    "object": "The child's vmas join the anon_vmas and files of the parent's, and each pte that fork copies adds one to "
    "its page's mapcount{linked}.",
}
_FILE_TABLES_AT_FORK = {
    "private": "",
    "shared": "Tables that are shared through a file are left out: the child's first fault there finds them again.",
}
_CREATION_AT_FORK = {
    "fork": "A child that will exec is forked like any other.",
    "vfork": "A child that only reads and writes before it execs is made by vfork: it borrows the parent's mm, no vma, "
    "table or pte is copied, and the parent waits.",
}

_FAULT_AROUND = {
    "none": "An empty pte is filled, and no other: with the zero page in anonymous memory, else with the page of the "
    "page cache or shm object.",
    "64_kib": "An empty pte of anonymous memory gets the zero page; on file pages every empty pte of the aligned "
    "block of 64 KiB around it is filled, as far as vma, table and page cache reach.",
}
_FILE_TABLES_AT_FAULT = {
    "private": "A leaf table that is missing is allocated, for this mm alone.",
    "shared": "A leaf table that is missing is looked for at the file first, where a shared or read-only mapping "
    "covers the whole table: if another mm has the same pages there, this mm's slot is pointed to its table. In such "
    "a table a fault fills the pte for every mm that shares it, and never unshares.",
}
_UNSHARE_ON = {
    "write": "In a linked table the pte is filled once, for every mm that shares the table{refs}.",
    "write_and_read": "A read of an empty pte in a linked table unshares the table first, as a write fault does.",
    "any_fault": "A fault through a write-protected directory entry makes the table the mm's own first, as a write "
    "fault does.",
}
_REFS_OF_A_READ = {"per_table": "", "per_sharer": ", and each of them takes a reference"}

_COW = (
    "A write to an empty pte of a private mapping gives it a new page, zeroed or copied from the file; a write to a "
    "read-only pte copies the page, or makes the pte writable if no other pte holds the page."
)
_UNSHARE = (
    "In a linked table the same fault first unshares the table: all present ptes are copied to a new table, CoWable "
    "ones read-only, to which the mm's slot then points; the others keep the old one."
)
_UNSHARE_DEFERRED = (
    "In a table that a child has not copied yet, the same fault first gives each such child a copy of all present "
    "ptes, CoWable ones read-only; the writer keeps the old table."
)
_PAGE_REFS_AT_UNSHARE = {
    "per_table": "The copy takes a reference to each page{element}.",
    "per_sharer": "The copy takes over the references that its mm holds already.",
}
_ELEMENT = {
    "none": "",
    "pte_chain": ", and adds an element to its pte_chain",
    "object": ", and adds one to its mapcount",
}
_SOURCE = {
    "read_only": "The CoWable ptes of the source are read-only already.",
    "wrprotect_if_two": "CoWable ptes of the source are write-protected only if its refcount is 2: with more sharers "
    "the directory entries still protect it, until those have gone{hole}.",
    "wrprotect": "CoWable ptes of the source that are still writable are made read-only.",
}
_HOLE = "; its last sharer may then write to a page that a copy still maps, and both see the write"
_LAST_SHARER = {
    "reuse": "A table whose refcount came back to 1 is used in place",
    "reuse_protected": "A table whose refcount came back to 1 is used in place, its directory entry reopened, but its "
    "CoWable ptes are made read-only first: the next write to each page is a fault.",
    "copies": "A last sharer, to whom nothing tells that the others have gone, copies the table like any other and "
    "frees the old one.",
}
_SHARED_WRITES = {
    "unshare": "A write to a shared mapping unshares a linked table like any other.",
    "exempt_covered": "A table that one writable shared mapping covers wholly stays linked, whoever writes.",
}
_CHARGE_AT_UNSHARE = {
    "each": "The copy counts in its mm's VmPTE where the old table did.",
    "owner": "The copy counts in its mm's VmPTE; a last sharer who reuses a table takes it over into its own.",
    "forker": "The copy counts in its mm's VmPTE, beside the old table if that was charged to it; a last sharer who "
    "reuses a table is not charged for it.",
}

_DONTNEED = {
    "keeps_tables": "madvise(DONTNEED) clears ptes and keeps tables, also empty ones.",
    "frees_covered": "madvise(DONTNEED) clears ptes, and frees a table whose whole span one call covers.",
    "ignored": "madvise(DONTNEED) does nothing.",
}
_ZAP = {
    "unshare": "A linked table is unshared first, whatever part of it vanishes, and the mm's own ptes are cleared.",
    "edges": "A linked table that the vanishing part of one vma covers wholly is dropped without a copy; where several "
    "vmas share a table, or part of a vma stays, it is unshared first.",
    "whole": "A linked table in whose span nothing of the mm is left is dropped without a copy, however many vmas lay "
    "there; if something is left, it is unshared first.",
}
_DROP = {
    "per_table": "Dropping a table takes one from its refcount and visits no pte.",
    "per_sharer": "Dropping a table visits every pte, to put the mm's own reference to each page.",
}
_RMAP_AT_ZAP = {
    "none": "",
    "pte_chain": "Each pte that is cleared has its element searched on the page's pte_chain and removed.",
    "object": "Each pte that is cleared takes one from its page's mapcount.",
}
_THP_AT_FORK = {
    "none": "",
    "anon": "The directory entry of a huge page is copied as one, read-only on both sides, and the child gets a table to "
    "keep for it.",
}
_THP_AT_READ = {
    "none": "",
    "anon": "Where huge pages are allowed, an empty directory entry of anonymous memory, whose span one vma covers, gets "
    "the huge zero page.",
}
_THP_AT_WRITE = {
    "none": "",
    "anon": "Where huge pages are allowed, a write to such an entry gives it a huge page. A write to a read-only huge "
    "page reuses it if nobody else maps any part of it; else the entry is split into ptes, and one page is copied.",
}
_THP_AT_ZAP = {
    "none": "",
    "anon": "A huge page in the range goes with its table; one that the range cuts is split first.",
}
_MPROTECT = {
    "faults": "mprotect makes no pte of private memory writable: the next write to it is a fault.",
    "reopens": "mprotect makes ptes of private memory writable again whose pages are known to be exclusive to the mm; "
    "any other's next write is a fault.",
}
_DIRTY_TRACKING = {
    "none": "A page of a shared mapping is writable once it is mapped.",
    "notify": "Where the file system tracks dirty pages, a page of a shared mapping is writable only once written, "
    "so that its first write is a fault of its own.",
}
_FILE_TABLES_AT_ZAP = {
    "private": "",
    "shared": "A table shared through the file stays with the others: it is dropped if nothing of the mm is left in its "
    "span, else unshared first.",
}
_FILE_TABLES_AT_END = {
    "private": "",
    "shared": "A table shared through a file is dropped; the others keep it.",
}
_TEARDOWN = {
    None: "every vma's ptes are cleared, then all leaf and upper tables are freed",
    "unshare": "every linked table is unshared first, then ptes are cleared and all tables freed",
    "edges": "vma by vma; a linked table that one vma covers wholly is dropped, one in which vmas end or begin is "
    "unshared and its copy zapped",
    "whole": "in one pass over the address space; every linked table is dropped, and only tables of the mm's own are "
    "zapped",
}
_CREATION_AT_EXEC = {
    "fork": "A child made only to exec pays for that like any other.",
    "vfork": "A child made by vfork gives the borrowed mm back, and nothing is zapped.",
}
_CHARGE_AT_EXIT = {
    "each": "What it was charged for linked tables ends with it; every other sharer is charged already.",
    "owner": "Linked tables that it allocated count in nobody's VmPTE until a last sharer reuses them.",
    "forker": "Linked tables that it allocated counted in its VmPTE to the end, and count in nobody's from then on.",
}
_RECLAIM = {
    "scan": "Reclaim walks the ptes of one mm after another and unmaps the pages it meets; a page is free once its last "
    "pte is unmapped{rmap}.",
    "rmap": "Reclaim takes pages one by one and unmaps all ptes of each, found through {way}.",
}
_SWAP = "A pte of an anonymous page keeps a swap entry."
_RMAP_KEPT = {
    "none": "",
    "pte_chain": ", and its pte_chain elements go with its ptes",
    "object": ", and its mapcount falls with its ptes",
}
_RMAP_WAY = {
    "none": "",
    "pte_chain": "its pte_chain",
    "object": "the vmas of its anon_vma or file, each of which is looked at",
}


def what_happens(design: Design) -> tuple[tuple[str, str], ...]:
    """Tell what the kernel does under a design.

    Parameters
    ----------
    design : Design
        Any row, shipped or one's own.

    Returns
    -------
    tuple of (moment, sentences)
        One entry for each of ``MOMENTS``, in that order; the sentences are plain text without line ends.
    """
    return tuple((moment, " ".join(filter(None, tell(design)))) for moment, tell in _TELLERS.items())


def _fork(design: Design) -> list[str]:
    """Tell what fork copies, links, protects, counts and charges."""
    what = "the tables" if design.shares_tables else "the ptes"
    said = [
        _FORK[design.fork].format(more_than=design.more_than),
        _INHERIT[design.inherit].format(what=what),
    ]
    if design.shares_tables:
        said += [
            _LINKS[str(design.links)],
            _WRPROTECT[str(design.wrprotect)],
            _SHARED_WRITES_AT_FORK[str(design.shared_writes)],
            _PAGE_REFS_AT_FORK[str(design.page_refs)],
            _CHARGE_AT_FORK[str(design.charge)],
        ]
    said += [_THP_AT_FORK[design.thp], _RMAP_AT_FORK[design.rmap].format(linked=_rmap_of_links(design))]
    return [*said, _FILE_TABLES_AT_FORK[design.file_tables], _CREATION_AT_FORK[design.creation]]


def _rmap_of_links(design: Design) -> str:
    """Tell what linking a table adds to reverse mappings, as the end of a sentence."""
    if not design.shares_tables:
        return ""
    return (
        "; linking a table adds as much"
        if design.page_refs == "per_sharer"
        else "; linking a table adds none"
    )


def _read_fault(design: Design) -> list[str]:
    """Tell what a read of an empty pte fills, and what it does to a linked table."""
    said = [
        _FAULT_AROUND[design.fault_around],
        _FILE_TABLES_AT_FAULT[design.file_tables],
        _THP_AT_READ[design.thp],
    ]
    if design.shares_tables:
        refs = _REFS_OF_A_READ[str(design.page_refs)]
        said.append(_UNSHARE_ON[str(design.unshare_on)].format(refs=refs))
    return [*said, "A read of a present pte is no fault."]


def _write_fault(design: Design) -> list[str]:
    """Tell what a write does to the page, and before that to a linked table."""
    if not design.shares_tables:
        alone = "Every table with private ptes is the mm's own, so that a write fault concerns one pte alone."
        return [
            _COW,
            alone,
            _THP_AT_WRITE[design.thp],
            _MPROTECT[design.mprotect],
            _DIRTY_TRACKING[design.dirty_tracking],
        ]
    refs = _PAGE_REFS_AT_UNSHARE[str(design.page_refs)].format(element=_ELEMENT[design.rmap])
    return [
        _COW,
        _UNSHARE_DEFERRED if design.fork == "deferred" else _UNSHARE,
        refs,
        _SOURCE[str(design.source)].format(hole=_HOLE if design.last_sharer == "reuse" else ""),
        _last_sharer(design),
        _SHARED_WRITES[str(design.shared_writes)],
        _CHARGE_AT_UNSHARE[str(design.charge)],
        "A pte that becomes writable clears its table's mark." if "marked" in str(design.wrprotect) else "",
        _MPROTECT[design.mprotect],
        _DIRTY_TRACKING[design.dirty_tracking],
    ]


def _last_sharer(design: Design) -> str:
    """Tell what becomes of a table of which one sharer is left."""
    said = _LAST_SHARER[str(design.last_sharer)]
    if design.last_sharer != "reuse":
        return said
    if design.wrprotect == "pmd":
        return f"{said}: the directory entry is reopened, one fault a table, and ptes stay as writable as they were."
    return f"{said}, at no cost; its CoWable ptes are still read-only, so the next write to each page is a fault."


def _zap(design: Design) -> list[str]:
    """Tell how part of an address space is taken away."""
    said = [
        "munmap clears the ptes of its range, and frees a leaf table once no vma of the mm is left in its span.",
        _DONTNEED[design.dontneed],
    ]
    if design.shares_tables:
        said += [_ZAP[str(design.zap)], _drop(design)]
    return [
        *said,
        _THP_AT_ZAP[design.thp],
        _RMAP_AT_ZAP[design.rmap],
        _FILE_TABLES_AT_ZAP[design.file_tables],
    ]


def _drop(design: Design) -> str:
    """Tell what leaving a linked table without a copy takes; nothing where that is never done."""
    return "" if design.zap == "unshare" else _DROP[str(design.page_refs)]


def _exec(design: Design) -> list[str]:
    """Tell how a new image replaces an mm."""
    teardown = _TEARDOWN[design.zap]
    return [
        f"Exec makes a new mm with the image's vmas and no ptes, and tears the old one down: {teardown}.",
        _FILE_TABLES_AT_END[design.file_tables],
        _CREATION_AT_EXEC[design.creation],
    ]


def _exit(design: Design) -> list[str]:
    """Tell how an mm ends."""
    said = [f"Exit tears the mm down: {_TEARDOWN[design.zap]}."]
    if design.shares_tables:
        said += [_drop(design), _CHARGE_AT_EXIT[str(design.charge)]]
    return [*said, _RMAP_AT_ZAP[design.rmap], _FILE_TABLES_AT_END[design.file_tables]]


def _reclaim(design: Design) -> list[str]:
    """Tell how pages are taken back."""
    way, kept = _RMAP_WAY[design.rmap], _RMAP_KEPT[design.rmap]
    said = [_RECLAIM[design.reclaim].format(way=way, rmap=kept), _SWAP]
    if design.shares_tables or design.file_tables == "shared":
        said.append(
            "In a shared table one pte is cleared for all its sharers, and the TLB of each of them is flushed."
        )
    return said


_TELLERS: dict[str, Callable[[Design], list[str]]] = {
    "fork": _fork,
    "read fault": _read_fault,
    "write fault": _write_fault,
    "zap": _zap,
    "exec": _exec,
    "exit": _exit,
    "reclaim": _reclaim,
}
MOMENTS: tuple[str, ...] = tuple(_TELLERS)
