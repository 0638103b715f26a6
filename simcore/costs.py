"""Cost models: nanoseconds per act. Time is a view: ``counts @ costs``.

Every number has a source or is marked ASSUMED, and reports list the assumed ones. One act is not the same work under
every design: a reverse mapping is an element of a chain, or with object rmap a count on the page; so a model may have
other costs for the designs that keep object rmap.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from simcore.acts import ACTS

if TYPE_CHECKING:
    from simcore.events import IntArray

ASSUMED = "ASSUMED"


class Cost(NamedTuple):
    """Nanoseconds of one act, where the number comes from (a source, or a text that starts with ASSUMED), how sure it is.

    ``interval`` is a 95 % interval in ns, None where nobody told.
    """

    ns: float
    source: str
    interval: tuple[float, float] | None = None

    @property
    def assumed(self) -> bool:
        """Whether nothing published supports the number."""
        return self.source.startswith(ASSUMED)


@dataclass(frozen=True)
class CostModel:
    """A named set of costs; acts that are not listed cost nothing by themselves.

    Parameters
    ----------
    name : str
        What a study calls it.
    prose : str
        Which machine it stands for.
    costs : dict of str to Cost
        By name of the act.
    limits : str
        What it leaves out, and how to read ratios therefore.
    object_rmap : dict of str to Cost
        What acts cost instead under designs with ``rmap: object``.
    provenance : dict of str to str
        How it was made, where it was measured: machine, kernel, date; empty for models that ship.

    Raises
    ------
    ValueError
        If a listed act does not exist or a cost is negative.
    """

    name: str
    prose: str
    costs: dict[str, Cost]
    limits: str = ""
    object_rmap: dict[str, Cost] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse unknown acts and negative costs."""
        known = {act.name for act in ACTS}
        for name, cost in [*self.costs.items(), *self.object_rmap.items()]:
            if name not in known:
                raise ValueError(
                    f"cost model {self.name!r}: unknown act {name!r}; simcore.acts lists the known ones"
                )
            if cost.ns < 0:
                raise ValueError(f"cost model {self.name!r}: {name} costs {cost.ns} ns; 0 or more is allowed")

    @property
    def digest(self) -> str:
        """A hash (12 hex digits) of the numbers: equal digests put equal times on equal counts."""
        numbers = "".join(f"{name} {cost.ns!r}\n" for name, cost in sorted(self.listed().items()) if cost.ns)
        return hashlib.blake2b(numbers.encode(), digest_size=6).hexdigest()

    def under(self, rmap: str) -> dict[str, Cost]:
        """Return the costs that hold for designs with these reverse mappings (a value of the axis ``rmap``)."""
        return self.costs | self.object_rmap if rmap == "object" else self.costs

    def listed(self) -> dict[str, Cost]:
        """Return every cost under the name that a table shows."""
        return self.costs | {f"{act} (object rmap)": cost for act, cost in self.object_rmap.items()}

    def vector(self, rmap: str = "none") -> npt.NDArray[np.float64]:
        """Return ns per act under designs with these reverse mappings, float64 [len(ACTS)], in the order of ACTS."""
        costs = self.under(rmap)
        return np.array([costs[act.name].ns if act.name in costs else 0.0 for act in ACTS])

    def ns(self, acts: IntArray, rmap: str = "none") -> npt.NDArray[np.float64]:
        """Return the time in ns of act vectors [..., len(ACTS)] under designs with these reverse mappings."""
        times: npt.NDArray[np.float64] = acts @ self.vector(rmap)
        return times


# What no shipped model prices, and why.
UNPRICED: dict[str, str] = {
    "leaf_tables_unshared": "the table, its ptes and the flush are priced",
    "leaf_tables_reused": "the directory entry is priced",
    "rmap_walked": "the published slopes of pte_chains hold the search; what reclaim looks at is priced as ptes_visited_reclaim",
    "tlb_mms_reached": "how many processors an mm runs on is not modelled",
}

_FORKTIME = "Phillips, linux-kernel 18 Feb 2002, forktime table (2-way Pentium III, 2.4.17)"
_MCCRACKEN = "McCracken, linux-kernel 10 Oct 2002, fork table (2.5.41)"

# What the published tables give, in ns per pte. Their ptes are all present.
_COPY = 421  # forktime old, 10,000 to 100,000 pages: (42777 - 4908) us / 90,000
_VISIT = 192  # forktime new, 10,000 to 100,000 pages: (19400 - 2132) us / 90,000
_UNSHARE = (
    263  # forktime new, 100 to 500 pages: (533 - 351) us / 400 = 455, less the visit: these are unshared too
)
_COPY_AND_CHAIN = 2_539  # McCracken fork, 4 MB to 40 MB with pte_chains: (28.4 - 5.0) ms / 9,216
_ZAP_AND_UNCHAIN = (
    1_725  # McCracken fork and exit, the same rows: (44.2 - 4.9) ms / 9,216 = 4,264, less the fork
)

# What is assumed, for the split of those. A profile by Morton (linux-kernel 20 Dec 2002: 572 ticks of pte_unshare where
# copy_page_range had taken 496) suggests that unsharing costs more than this, on another kernel and machine.
_LOOK = 3  # an empty pte, seen in passing by a loop over a table
_REFERENCE = 114  # half of what copying a pte takes beyond the visit
_ZAP = 200  # clearing a pte and looking at its page
_COUNT = 30  # a locked increment of a warm line

_NO_HUGE = "Linux had no transparent huge pages then;"

PC_2002 = CostModel(
    "pc-2002",
    "A 1 GHz Pentium III of 2002 with Linux 2.4 or 2.5. Slopes per pte come from two published tables; the rest is "
    "assumed and is the size that a 1 GHz machine with PC133 memory suggests.",
    {
        "forks": Cost(90_000, f"{ASSUMED}: a vfork, and the mm; forktime's 325 us at 100 pages bounds it from above"),
        "vforks": Cost(60_000, f"{ASSUMED}: task structure, kernel stack, files and signals"),
        "execs": Cost(300_000, f"{ASSUMED}: opening and reading a cached binary; its vmas apart"),
        "exits": Cost(30_000, f"{ASSUMED}: task teardown without its mm"),
        "mmaps": Cost(3_000, f"{ASSUMED}: one system call, its vma apart"),
        "munmaps": Cost(3_000, f"{ASSUMED}: one system call, its vmas apart"),
        "mprotects": Cost(3_000, f"{ASSUMED}: one system call, its vmas apart"),
        "madvises": Cost(3_000, f"{ASSUMED}: one system call"),
        "stack_grows": Cost(1_000, f"{ASSUMED}: finding the vma below which the fault lies, and extending it"),
        "reclaims": Cost(3_000, f"{ASSUMED}: one call of try_to_free_pages, what it looks at apart"),
        "vmas_mapped": Cost(1_500, f"{ASSUMED}: kmem_cache_alloc and list insertion"),
        "vmas_copied": Cost(1_500, f"{ASSUMED}: kmem_cache_alloc and list insertion"),
        "vmas_split": Cost(1_500, f"{ASSUMED}: as mapping one"),
        "vmas_unmapped": Cost(1_000, f"{ASSUMED}: list removal and kmem_cache_free"),
        "faults_anon": Cost(1_000, f"{ASSUMED}: trap, vma look-up and return; page work is counted apart"),
        "faults_zero_page": Cost(1_000, f"{ASSUMED}: as faults_anon"),
        "faults_file_map": Cost(1_500, f"{ASSUMED}: as faults_anon, and a page-cache look-up"),
        "faults_cow_copy": Cost(1_000, f"{ASSUMED}: as faults_anon"),
        "faults_cow_reuse": Cost(1_000, f"{ASSUMED}: as faults_anon"),
        "faults_table_only": Cost(1_000, f"{ASSUMED}: as faults_anon"),
        "faults_swap": Cost(1_500, f"{ASSUMED}: as faults_anon, and a look-up in the swap cache"),
        "leaf_tables_allocated": Cost(8_000, f"{ASSUMED}: one page allocated and cleared at about 600 MB/s"),
        "leaf_tables_freed": Cost(500, f"{ASSUMED}: one page freed"),
        "leaf_tables_linked": Cost(200, f"{ASSUMED}: one atomic increment on a cold struct page"),
        "leaf_tables_dropped": Cost(200, f"{ASSUMED}: one atomic decrement on a cold struct page"),
        "upper_tables_allocated": Cost(8_000, f"{ASSUMED}: as a leaf table"),
        "upper_tables_freed": Cost(500, f"{ASSUMED}: as a leaf table"),
        "pmds_written": Cost(50, f"{ASSUMED}: one store to a cold line"),
        "ptes_visited_fork": Cost(_LOOK, f"{ASSUMED}: a sequential look at a pte"),
        "ptes_present_fork": Cost(_VISIT - _LOOK, f"{_FORKTIME}: slope of the new design, 10,000 to 100,000 pages, less the look"),
        "ptes_copied_fork": Cost(_COPY - _VISIT - _REFERENCE, f"{_FORKTIME}: slope of the old design less that of the new, 229 ns; the halves for pte and reference are assumed"),
        "ptes_wrprotected_fork": Cost(20, f"{ASSUMED}: one locked store to a warm line"),
        "ptes_visited_unshare": Cost(_LOOK, f"{ASSUMED}: as at fork"),
        "ptes_copied_unshare": Cost(_UNSHARE - _LOOK - _REFERENCE, f"{_FORKTIME}: slope of the new design, 100 to 500 pages, less the visit, the look and the reference"),
        "ptes_wrprotected_unshare": Cost(20, f"{ASSUMED}: as at fork"),
        "ptes_visited_zap": Cost(_LOOK, f"{ASSUMED}: as at fork"),
        "ptes_zapped": Cost(_ZAP, f"{ASSUMED}: clearing a pte and looking at its page"),
        "ptes_mapped_around": Cost(_COPY - _VISIT - _REFERENCE, f"{ASSUMED}: as a pte copied by fork, its reference apart; 2.4 did not map around"),
        "ptes_visited_mprotect": Cost(_LOOK, f"{ASSUMED}: as at fork"),
        "ptes_changed_mprotect": Cost(20, f"{ASSUMED}: as ptes_wrprotected_fork"),
        "ptes_visited_reclaim": Cost(_ZAP, f"{ASSUMED}: a pte, and a look at its page"),
        "ptes_unmapped_reclaim": Cost(_ZAP, f"{ASSUMED}: as ptes_zapped"),
        "pages_allocated": Cost(500, f"{ASSUMED}: a page from the per-processor list"),
        "pages_zeroed": Cost(7_000, f"{ASSUMED}: 4 KiB at about 600 MB/s"),
        "pages_copied": Cost(12_000, f"{ASSUMED}: 4 KiB read and written at about 350 MB/s"),
        "pages_freed": Cost(300, f"{ASSUMED}: a page to the per-processor list"),
        "pages_reclaimed": Cost(500, f"{ASSUMED}: off its LRU list and out of its cache, and to the per-processor list"),
        "pages_swapped_out": Cost(10_000, f"{ASSUMED}: a place in swap and a request to the disk, whose time is none of the processor's"),
        "pages_read_back": Cost(10_000, f"{ASSUMED}: a request to the disk, as for swapping out"),
        "refs_taken": Cost(_REFERENCE, f"{_FORKTIME}: the other half of 229 ns"),
        "refs_dropped": Cost(_REFERENCE, f"{ASSUMED}: as taking one"),
        "rmap_added": Cost(_COPY_AND_CHAIN - _COPY, f"{_MCCRACKEN}: slope with pte_chains less forktime's without, another machine and kernel"),
        "rmap_removed": Cost(_ZAP_AND_UNCHAIN - _ZAP - _LOOK - _REFERENCE, f"{_MCCRACKEN}: 1,725 ns of exit per pte, less zapping it and dropping its reference (assumed)"),
        "faults_huge": Cost(1_000, f"{ASSUMED}: as faults_anon"),
        "faults_huge_zero": Cost(1_000, f"{ASSUMED}: as faults_anon"),
        "faults_huge_reuse": Cost(1_000, f"{ASSUMED}: as faults_anon"),
        "huge_pages_allocated": Cost(512 * 7_000, f"{ASSUMED}: {_NO_HUGE} 2 MiB cleared at about 600 MB/s"),
        "huge_pages_freed": Cost(2_000, f"{ASSUMED}: {_NO_HUGE} a block of pages to the buddy lists"),
        "huge_copied_fork": Cost(_COPY, f"{ASSUMED}: {_NO_HUGE} as copying a pte"),
        "huge_split": Cost(512 * 60, f"{ASSUMED}: {_NO_HUGE} 512 ptes written and their pages counted"),
        "huge_zapped": Cost(_ZAP, f"{ASSUMED}: {_NO_HUGE} as ptes_zapped"),
        "huge_changed_mprotect": Cost(20, f"{ASSUMED}: {_NO_HUGE} as ptes_changed_mprotect"),
        "file_ptes_zapped": Cost(0, f"{ASSUMED}: no more than one of anonymous memory"),
        "shm_pages_freed": Cost(0, f"{ASSUMED}: no more than one of anonymous memory"),
        "tlb_flush_page": Cost(200, f"{ASSUMED}: invlpg and the refill"),
        "tlb_flush_range": Cost(500, f"{ASSUMED}: 2.4 reloads cr3 for a range"),
        "tlb_flush_mm": Cost(500, f"{ASSUMED}: a reload of cr3"),
    },
    limits="Priced are memory management and one fixed amount for each fork, exec, exit and mapping. Not priced are the "
    "programs' other system calls, the time of disks, locks, cache misses beyond those in the published slopes, and the search "
    "along a pte_chain (rmap_walked). For comparison: fork-heavy work of small shells measured in 2002 took 6.1 ms of system time "
    "a fork (Morton, linux-kernel 23 Jul 2002). Where less is priced here, a ratio overstates the effect on a whole system.",
    object_rmap={
        "rmap_added": Cost(_COUNT, f"{ASSUMED}: one locked increment of the page's count; taking the reference has brought the line in"),
        "rmap_removed": Cost(_COUNT, f"{ASSUMED}: one locked decrement, as for adding"),
    },
)  # fmt: skip

_HOST = "measured on one x86-64 host with Linux 6.18"
_INSTRUCTIONS = "instructions counted on two kernels that share page tables, 6.0.6 and 5.6.19"

# What was measured on that host, in ns; its spread is 10 to 20 %. A fork, and more for each table and pte that it
# copies; a fault of each kind, with all that it does; a fault that maps 16 file pages (3 to 4 us); exit, for a page that
# others hold too, and for one that nobody else does; a vfork and exec of a small program.
_FORK, _FORK_TABLE, _FORK_PTE = 67_000, 1_800, 100
_FIRST_WRITE, _COW_COPY, _COW_REUSE, _ZERO_READ = 1_800, 2_500, 800, 650
_AROUND = 3_500
_EXIT_SHARED, _EXIT_OWNED, _EXIT_FILE, _EXIT_SHM = 100, 260, 170, 1_200
_SPAWN = 500_000
_HUGE_WRITE, _HUGE_SPLIT, _HUGE_REUSE, _HUGE_GONE, _HUGE_ZAP = 222_000, 17_300, 1_300, 6_900, 700

# What is assumed, for the split of those into acts.
_LOOK_25, _REFERENCE_25, _COUNT_25, _PROTECT_25 = 1, 50, 15, 5
_PRESENT_25 = 4  # a pte that is not empty, seen by a loop that leaves its page alone
_FLUSH_25 = _COW_REUSE - _ZERO_READ
_PAGE_25 = 300  # a page from the per-processor list, charged to its owner
_FILE_25 = _ZERO_READ + 350  # a fault that looks in the page cache
_PMD_25 = 20
_COPY_25 = _FORK_PTE - _LOOK_25 - _PRESENT_25 - _REFERENCE_25 - _COUNT_25 - _PROTECT_25

X86_64_2025 = CostModel(
    "x86-64-2025",
    "A server of about 2025 with Linux 6.18 and 4 KiB pages. What forks, faults and exits take was measured on one host, "
    "in sums that its costs add up to; how the sums divide into acts is assumed. It is a view on counts, not a fit.",
    {
        "forks": Cost(_FORK - 7_000, f"{_HOST}: 67 us a fork of a small static program, less its own vmas, tables and ptes (assumed: 7 us)"),
        "vforks": Cost(40_000, f"{ASSUMED}: a fork without its mm"),
        "execs": Cost(_SPAWN - 100_000, f"{_HOST}: 0.5 ms for vfork and exec of a small program, less the vfork and the program's about 40 faults (assumed: 0.1 ms)"),
        "exits": Cost(30_000, f"{ASSUMED}: task teardown without its mm"),
        "mmaps": Cost(500, f"{ASSUMED}: one system call, its vma apart"),
        "munmaps": Cost(500, f"{ASSUMED}: one system call, its vmas apart"),
        "mprotects": Cost(500, f"{ASSUMED}: one system call, its vmas apart"),
        "madvises": Cost(500, f"{ASSUMED}: one system call"),
        "stack_grows": Cost(200, f"{ASSUMED}: extending a vma, in a fault"),
        "reclaims": Cost(1_000, f"{ASSUMED}: one call of try_to_free_pages, what it looks at apart"),
        "vmas_mapped": Cost(700, f"{ASSUMED}: an allocation and a place in the maple tree"),
        "vmas_copied": Cost(700, f"{ASSUMED}: as mapping one, and its anon_vma"),
        "vmas_split": Cost(700, f"{ASSUMED}: as mapping one"),
        "vmas_unmapped": Cost(400, f"{ASSUMED}: out of the maple tree, and freed"),
        "faults_anon": Cost(_ZERO_READ, f"{_HOST}: as faults_zero_page; 1.8 us for a first write, with its page and count"),
        "faults_zero_page": Cost(_ZERO_READ, f"{_HOST}: 0.65 us a read of an empty page"),
        "faults_file_map": Cost(_FILE_25, f"{_HOST}: 2.2 us a first write to shared memory, less what a first write to private memory takes beyond its fault (1.15 us)"),
        "faults_cow_copy": Cost(_ZERO_READ, f"{_HOST}: as faults_zero_page; 2.5 us for a copy, with its pages and flush"),
        "faults_cow_reuse": Cost(_ZERO_READ, f"{_HOST}: as faults_zero_page; 0.8 us for a reuse, with its flush"),
        "faults_table_only": Cost(_ZERO_READ, f"{ASSUMED}: as faults_zero_page"),
        "faults_swap": Cost(_FILE_25, f"{ASSUMED}: as faults_file_map"),
        "leaf_tables_allocated": Cost(_FORK_TABLE - _PMD_25, f"{_HOST}: 1.8 us a table at fork, less the directory entry (assumed)"),
        "leaf_tables_freed": Cost(300, f"{ASSUMED}: one page freed behind a flush"),
        "leaf_tables_linked": Cost(60, f"{ASSUMED}: one atomic increment on a cold struct page; {_INSTRUCTIONS}: 121 and 50 a table, where copying takes 11.0 and 9.9 thousand and as many per pte as below"),
        "leaf_tables_dropped": Cost(60, f"{ASSUMED}: as linking one"),
        "upper_tables_allocated": Cost(_FORK_TABLE - _PMD_25, f"{ASSUMED}: as a leaf table"),
        "upper_tables_freed": Cost(300, f"{ASSUMED}: as a leaf table"),
        "pmds_written": Cost(_PMD_25, f"{ASSUMED}: one store to a cold line"),
        "ptes_visited_fork": Cost(_LOOK_25, f"{ASSUMED}: a sequential look at a pte"),
        "ptes_present_fork": Cost(_PRESENT_25, f"{ASSUMED}: part of the 100 ns a pte that a fork takes"),
        "ptes_copied_fork": Cost(_COPY_25, f"{_HOST}: 100 ns a pte at fork, less the look, the reference, the count and the protection (assumed)"),
        "ptes_wrprotected_fork": Cost(_PROTECT_25, f"{ASSUMED}: part of the 100 ns a pte that a fork takes"),
        "ptes_visited_unshare": Cost(_LOOK_25, f"{ASSUMED}: as at fork"),
        "ptes_copied_unshare": Cost(_COPY_25 + _PRESENT_25, f"{ASSUMED}: as at fork; {_INSTRUCTIONS}: a first write in a shared full table 81.4 and 43.5 thousand, that is 133 and 61 a pte beyond table and fault, where a fork takes 114 and 77"),
        "ptes_wrprotected_unshare": Cost(_PROTECT_25, f"{ASSUMED}: as at fork"),
        "ptes_visited_zap": Cost(_LOOK_25, f"{ASSUMED}: as at fork"),
        "ptes_zapped": Cost(_EXIT_SHARED - _LOOK_25 - _REFERENCE_25 - _COUNT_25, f"{_HOST}: 0.1 us of exit for a page that others hold too, less the look, the reference and the count (assumed)"),
        "ptes_mapped_around": Cost((_AROUND - _FILE_25 - 16 * (_REFERENCE_25 + _COUNT_25)) // 15, f"{_HOST}: 3 to 4 us a fault that maps 16 file pages, less the fault, the references and the counts (assumed), by 15"),
        "ptes_visited_mprotect": Cost(_LOOK_25, f"{ASSUMED}: as at fork"),
        "ptes_changed_mprotect": Cost(20, f"{ASSUMED}: a locked exchange"),
        "ptes_visited_reclaim": Cost(50, f"{ASSUMED}: a pte, and a look at its cold struct page"),
        "ptes_unmapped_reclaim": Cost(50, f"{ASSUMED}: as ptes_zapped, and more"),
        "pages_allocated": Cost(_PAGE_25, f"{ASSUMED}: part of the 1.8 us that a first write takes"),
        "pages_zeroed": Cost(_FIRST_WRITE - _ZERO_READ - _PAGE_25 - _COUNT_25, f"{_HOST}: 1.8 us a first write, less the fault (measured), the page and the count (assumed)"),
        "pages_copied": Cost(_COW_COPY - _ZERO_READ - _PAGE_25 - _FLUSH_25 - _REFERENCE_25 - 2 * _COUNT_25, f"{_HOST}: 2.5 us a write that copies, less the fault and flush (measured), the page, the reference and the counts (assumed)"),
        "pages_freed": Cost(_EXIT_OWNED - _EXIT_SHARED, f"{_HOST}: 0.26 us of exit for a page of one's own, 0.1 us for one that others hold too"),
        "pages_reclaimed": Cost(300, f"{ASSUMED}: off its LRU list and out of its cache, and freed"),
        "pages_swapped_out": Cost(5_000, f"{ASSUMED}: a place in swap and a request to the device, whose time is none of the processor's"),
        "pages_read_back": Cost(5_000, f"{ASSUMED}: a request to the device, as for swapping out"),
        "refs_taken": Cost(_REFERENCE_25, f"{ASSUMED}: half of the 100 ns a pte that a fork takes: the first touch of a cold struct page"),
        "refs_dropped": Cost(_REFERENCE_25, f"{ASSUMED}: as taking one"),
        "rmap_added": Cost(200, f"{ASSUMED}: a pte_chain element: one allocation and two cold lines"),
        "rmap_removed": Cost(200, f"{ASSUMED}: a pte_chain element: as adding one"),
        "faults_huge": Cost(_ZERO_READ, f"{_HOST}: as faults_zero_page"),
        "faults_huge_zero": Cost(_ZERO_READ, f"{_HOST}: as faults_zero_page; 2.5 us with its table"),
        "faults_huge_reuse": Cost(_HUGE_REUSE - _FLUSH_25, f"{_HOST}: 1.3 us a reuse of a huge page, less the flush"),
        "huge_pages_allocated": Cost(_HUGE_WRITE - _ZERO_READ - _FORK_TABLE - _COUNT_25, f"{_HOST}: 222 us a first write to a huge page, less the fault, the table and the count"),
        "huge_pages_freed": Cost(_HUGE_GONE - _HUGE_ZAP - 300, f"{_HOST}: 6.9 us a huge page that madvise(DONTNEED) takes away, less entry and table"),
        "huge_copied_fork": Cost(100, f"{_HOST}: 1.9 us a huge page at fork, nearly all of it its table"),
        "huge_split": Cost(_HUGE_SPLIT - _COW_COPY, f"{_HOST}: 17.3 us a first write to a huge page that others map, less the copy of a page"),
        "huge_zapped": Cost(_HUGE_ZAP - _REFERENCE_25 - _COUNT_25, f"{_HOST}: 1 us of exit for a huge page that others hold too, less its table, the reference and the count"),
        "huge_changed_mprotect": Cost(200, f"{_HOST}: 0.2 us a huge page that mprotect changes"),
        "file_ptes_zapped": Cost(_EXIT_FILE - _EXIT_SHARED, f"{_HOST}: 0.17 us of exit for a page of a file that is on the active list, 0.1 us for an anonymous one that others hold too"),
        "shm_pages_freed": Cost(_EXIT_SHM - _EXIT_FILE - (_EXIT_OWNED - _EXIT_SHARED) - _REFERENCE_25, f"{_HOST}: 1.2 us of the last exit for a page of shared memory, less what clearing its pte and freeing an anonymous page take, and the object's reference (assumed)"),
        "tlb_flush_page": Cost(_FLUSH_25, f"{_HOST}: 0.8 us a write that reuses its page, less a fault that flushes nothing"),
        "tlb_flush_range": Cost(300, f"{ASSUMED}: a few invlpg, or a reload of cr3"),
        "tlb_flush_mm": Cost(300, f"{ASSUMED}: a reload of cr3"),
    },
    limits="Priced are memory management and one fixed amount for each fork, exec, exit and mapping. Not priced are the "
    "programs' other system calls, the time of devices, locks, and flushes on other processors. Caches are in the measured "
    "slopes as they were there. One host, whose times spread by 10 to 20 %; forkbench calibrate measures another.",
    object_rmap={
        "rmap_added": Cost(_COUNT_25, f"{ASSUMED}: part of the 100 ns a pte that a fork takes: an atomic increment of a line that the reference has brought in"),
        "rmap_removed": Cost(_COUNT_25, f"{ASSUMED}: part of the 100 ns a page that an exit takes, as for adding"),
    },
)  # fmt: skip

COST_MODELS: dict[str, CostModel] = {model.name: model for model in (PC_2002, X86_64_2025)}
