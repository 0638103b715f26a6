"""Cost models: nanoseconds per act. Time is a view: ``counts @ costs``.

Every number has a source or is marked ASSUMED, and reports list the assumed ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from simcore.acts import ACTS

if TYPE_CHECKING:
    from simcore.events import IntArray

ASSUMED = "ASSUMED"


class Cost(NamedTuple):
    """Nanoseconds of one act, and where the number comes from (a source, or a text that starts with ASSUMED)."""

    ns: float
    source: str

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

    Raises
    ------
    ValueError
        If a listed act does not exist or a cost is negative.
    """

    name: str
    prose: str
    costs: dict[str, Cost]
    limits: str = ""

    def __post_init__(self) -> None:
        """Refuse unknown acts and negative costs."""
        known = {act.name for act in ACTS}
        for name, cost in self.costs.items():
            if name not in known:
                raise ValueError(
                    f"cost model {self.name!r}: unknown act {name!r}; simcore.acts lists the known ones"
                )
            if cost.ns < 0:
                raise ValueError(f"cost model {self.name!r}: {name} costs {cost.ns} ns; 0 or more is allowed")

    def vector(self) -> npt.NDArray[np.float64]:
        """Return ns per act, float64 [len(ACTS)], in the order of ACTS."""
        return np.array([self.costs[act.name].ns if act.name in self.costs else 0.0 for act in ACTS])

    def ns(self, acts: IntArray) -> npt.NDArray[np.float64]:
        """Return the time in ns of act vectors [..., len(ACTS)]."""
        times: npt.NDArray[np.float64] = acts @ self.vector()
        return times


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
        "pages_allocated": Cost(500, f"{ASSUMED}: a page from the per-processor list"),
        "pages_zeroed": Cost(7_000, f"{ASSUMED}: 4 KiB at about 600 MB/s"),
        "pages_copied": Cost(12_000, f"{ASSUMED}: 4 KiB read and written at about 350 MB/s"),
        "pages_freed": Cost(300, f"{ASSUMED}: a page to the per-processor list"),
        "refs_taken": Cost(_REFERENCE, f"{_FORKTIME}: the other half of 229 ns"),
        "refs_dropped": Cost(_REFERENCE, f"{ASSUMED}: as taking one"),
        "rmap_added": Cost(_COPY_AND_CHAIN - _COPY, f"{_MCCRACKEN}: slope with pte_chains less forktime's without, another machine and kernel"),
        "rmap_removed": Cost(_ZAP_AND_UNCHAIN - _ZAP - _LOOK - _REFERENCE, f"{_MCCRACKEN}: 1,725 ns of exit per pte, less zapping it and dropping its reference (assumed)"),
        "tlb_flush_page": Cost(200, f"{ASSUMED}: invlpg and the refill"),
        "tlb_flush_range": Cost(500, f"{ASSUMED}: 2.4 reloads cr3 for a range"),
        "tlb_flush_mm": Cost(500, f"{ASSUMED}: a reload of cr3"),
    },
    limits="Priced are memory management and one fixed amount for each fork, exec, exit and mapping. Not priced are the "
    "programs' other system calls, I/O, locks, cache misses beyond those in the published slopes, and the search along a "
    "pte_chain (rmap_walked). For comparison: fork-heavy work of small shells measured in 2002 took 6.1 ms of system time "
    "a fork (Morton, linux-kernel 23 Jul 2002). Where less is priced here, a ratio overstates the effect on a whole system.",
)  # fmt: skip

COST_MODELS: dict[str, CostModel] = {PC_2002.name: PC_2002}
