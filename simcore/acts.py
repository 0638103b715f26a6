"""Acts and gauges: the data dictionary of everything that is counted.

An *act* is an elementary thing the kernel does; every event and every fault is a vector of acts, and time is
``acts @ costs``. A *gauge* is a level that is sampled after every event.
"""

from __future__ import annotations

from typing import NamedTuple


class Act(NamedTuple):
    """One elementary act: its column name, and what exactly counts as one."""

    name: str
    meaning: str


class Gauge(NamedTuple):
    """One sampled level: its column name, its unit, and what it measures."""

    name: str
    unit: str
    meaning: str


# Order is the order of columns in vectors; append, never reorder (stored data carries the names).
ACTS: tuple[Act, ...] = (
    Act("forks", "fork events that made an mm of their own (dup_mmap)"),
    Act("vforks", "children that borrowed the parent's mm (CLONE_VM | CLONE_VFORK)"),
    Act("execs", "exec events (execve): the old mm is dropped, the image's vmas are mapped"),
    Act("exits", "exit events (exit_mm, exit_mmap)"),
    Act("mmaps", "mmap events"),
    Act("munmaps", "munmap events"),
    Act("vmas_mapped", "vmas made by mmap or exec"),
    Act("vmas_copied", "vmas duplicated by fork"),
    Act("vmas_split", "vmas cut in two by a munmap in their middle"),
    Act("vmas_unmapped", "vmas taken away whole, by munmap, exec or exit"),
    Act("faults_anon", "minor faults that put a new zeroed page in an empty pte of anonymous memory (do_anonymous_page, write)"),
    Act("faults_zero_page", "minor faults that put the zero page in an empty pte (do_anonymous_page, read)"),
    Act("faults_file_map", "minor faults that put a page of the page cache or of a shm object in an empty pte (do_no_page)"),
    Act("faults_cow_copy", "minor faults that gave a private mapping a new page: copied, or cleared if it was the zero page (do_wp_page, do_cow_fault)"),
    Act("faults_cow_reuse", "minor faults that only made a pte writable (do_wp_page)"),
    Act("faults_table_only", "minor faults served wholly by the table: unsharing it or reopening its directory entry, the pte being right already"),
    Act("leaf_tables_allocated", "leaf tables allocated, copies made by unsharing included"),
    Act("leaf_tables_freed", "leaf tables given back"),
    Act("leaf_tables_linked", "slots of a child made to point to a leaf table of the parent at fork"),
    Act("leaf_tables_unshared", "leaf tables copied so that one mm has its own; other sharers keep the old one, and where there are none any more it is freed"),
    Act("leaf_tables_reused", "write-protected directory entries reopened because their leaf table has one user left; where ptes are protected instead there is nothing to reopen"),
    Act("leaf_tables_dropped", "shared leaf tables left without a copy"),
    Act("upper_tables_allocated", "tables above the leaf level allocated, the pgd included"),
    Act("upper_tables_freed", "tables above the leaf level given back, the pgd included"),
    Act("pmds_written", "directory entries that point to leaf tables written: set, cleared, write-protected or reopened"),
    Act("ptes_visited_fork", "ptes looked at by fork, empty ones included"),
    Act("ptes_present_fork", "ptes looked at by fork that are not empty, copied or not"),
    Act("ptes_copied_fork", "ptes that are not empty, copied by fork"),
    Act("ptes_wrprotected_fork", "writable ptes made read-only by fork in the parent's table"),
    Act("ptes_visited_unshare", "ptes looked at while a leaf table was copied to unshare it"),
    Act("ptes_copied_unshare", "ptes that are not empty, copied while unsharing"),
    Act("ptes_wrprotected_unshare", "writable ptes made read-only in the source of an unsharing copy"),
    Act("ptes_visited_zap", "ptes looked at by munmap, madvise, exec or exit"),
    Act("ptes_zapped", "ptes that are not empty, cleared by munmap, madvise, exec or exit"),
    Act("pages_allocated", "page frames allocated for anonymous memory, copies and shm"),
    Act("pages_zeroed", "page frames cleared"),
    Act("pages_copied", "page frames copied"),
    Act("pages_freed", "page frames given back; the page cache keeps its own"),
    Act("refs_taken", "references taken on a page that exists already (get_page)"),
    Act("refs_dropped", "references of ptes dropped (put_page, page_cache_release)"),
    Act("rmap_added", "reverse mappings added (page_add_rmap): chain elements, or with object rmap counts"),
    Act("rmap_removed", "reverse mappings removed (page_remove_rmap)"),
    Act("rmap_walked", "chain elements on the chains from which one was removed, the most that the searches can look at; in reclaim by rmap the elements, or with object rmap the vmas, looked at"),
    Act("tlb_flush_page", "TLB flushes of one page"),
    Act("tlb_flush_range", "TLB flushes of a range"),
    Act("tlb_flush_mm", "TLB flushes of a whole mm"),
    Act("tlb_mms_reached", "mms reached by those flushes, summed: a page of a linked table concerns every mm that uses the table"),
    Act("mprotects", "mprotect events"),
    Act("madvises", "madvise(DONTNEED) events"),
    Act("stack_grows", "stack vmas extended downwards (expand_stack)"),
    Act("reclaims", "reclaim events"),
    Act("faults_swap", "faults that found a swap entry (do_swap_page), whether the page was read back or another mm had it already"),
    Act("ptes_mapped_around", "further ptes filled by a read fault on file pages (do_fault_around)"),
    Act("ptes_visited_mprotect", "ptes looked at by mprotect (change_pte_range)"),
    Act("ptes_changed_mprotect", "ptes made writable or read-only by mprotect"),
    Act("ptes_visited_reclaim", "ptes looked at by reclaim: those passed by a scan, or those that the reverse mapping leads to"),
    Act("ptes_unmapped_reclaim", "ptes cleared or replaced by a swap entry by reclaim (try_to_unmap)"),
    Act("pages_reclaimed", "pages that reclaim freed, anonymous ones and those of the page cache"),
    Act("pages_swapped_out", "anonymous pages that reclaim wrote to swap"),
    Act("pages_read_back", "pages read from swap, or from a file after reclaim had taken them: each is a major fault"),
    Act("faults_huge", "minor faults that gave a directory entry a new huge page: an empty one, or one that held the huge zero page (do_huge_pmd_anonymous_page, do_huge_zero_wp_pmd)"),
    Act("faults_huge_zero", "minor faults that put the huge zero page in an empty directory entry"),
    Act("faults_huge_reuse", "minor faults that only made the directory entry of a huge page writable (do_huge_pmd_wp_page)"),
    Act("huge_pages_allocated", "huge pages allocated and cleared; their pages are in no other act"),
    Act("huge_pages_freed", "huge pages given back, once nothing maps a part of them any more"),
    Act("huge_copied_fork", "directory entries of huge pages copied by fork, both sides made read-only (copy_huge_pmd); the table that each brings along is among leaf_tables_allocated"),
    Act("huge_split", "directory entries of huge pages replaced by the table that was kept for it, with a pte for each page (__split_huge_pmd)"),
    Act("huge_zapped", "directory entries of huge pages cleared by munmap, madvise, exec or exit (zap_huge_pmd)"),
    Act("huge_changed_mprotect", "directory entries of huge pages made writable or read-only by mprotect (change_huge_pmd)"),
    Act("file_ptes_zapped", "those of ptes_zapped that held a page of the page cache or of a shm object"),
    Act("shm_pages_freed", "those of pages_freed that were of a shm object, all at once with its last vma (shmem_evict_inode)"),
)  # fmt: skip

ACT: dict[str, int] = {act.name: index for index, act in enumerate(ACTS)}

# Kinds of event that have act vectors of their own. A read or write event is split into its faults.
EVENT_KINDS: tuple[str, ...] = (
    "mmap",
    "munmap",
    "read_fault",
    "write_fault",
    "fork",
    "vfork",
    "exec",
    "exit",
    "mprotect",
    "madvise",
    "stack_grow",
    "reclaim",
    "deferred_copy",  # what a child of fork: deferred copies before it first runs
)
EVENT_KIND: dict[str, int] = {kind: index for index, kind in enumerate(EVENT_KINDS)}

# The levels behind the gauges; each gives a maximum over all moments between events and a value at the end.
LEVELS: tuple[Gauge, ...] = (
    Gauge("mms", "mms", "address spaces that exist"),
    Gauge("leaf_tables", "tables", "leaf tables that exist"),
    Gauge("upper_tables", "tables", "tables above the leaf level that exist, pgds included"),
    Gauge("pgtable_bytes", "bytes", "memory in page tables as really allocated: leaf and upper tables, pgds included"),
    Gauge("pgtable_charged_bytes", "bytes", "page tables as charged to mms (VmPTE summed): the design says in whose a shared table counts; pgds are not charged"),
    Gauge("rmap_bytes", "bytes", "memory in pte_chain elements; object rmap needs none per pte"),
    Gauge("pages", "pages", "page frames of anonymous memory, copies and shm in use; pages on swap are in none"),
    Gauge("cache_pages", "pages", "page-cache frames that some mm has mapped so far and reclaim has not taken since"),
    Gauge("rss_pages", "pages", "resident pages summed over mms: each mm that reaches a page counts it, the zero page is not counted"),
)  # fmt: skip

GAUGES: tuple[Gauge, ...] = tuple(
    Gauge(f"{level.name}_{suffix}", level.unit, f"{level.meaning}; {when}")
    for suffix, when in (("max", "highest value between two events"), ("end", "value after the last event"))
    for level in LEVELS
)
