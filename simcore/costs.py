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

    Raises
    ------
    ValueError
        If a listed act does not exist or a cost is negative.
    """

    name: str
    prose: str
    costs: dict[str, Cost]

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
_MORTON = "Morton, linux-kernel 20 Dec 2002, profile of patch scripts (2.5.52, PAE)"

# The slopes used below: forktime old, 10,000 to 100,000 pages: (42777 - 4908) us / 90,000 = 421 ns per pte copied;
# new: (19400 - 2132) us / 90,000 = 192 ns per pte visited. McCracken fork, 4 MB to 40 MB with pte_chains:
# (28.4 - 5.0) ms / 9,216 ptes = 2,539 ns per pte, so 2,118 ns for the chain element; fork and exit:
# (44.2 - 4.9) ms / 9,216 = 4,264 ns, so 1,725 ns for zapping a pte and removing its element. Morton's profile:
# pte_unshare took 572 ticks where copy_page_range had taken 496, 1.15 times as many; for his shell's 222 ptes in three
# tables of 512 entries that leaves (1.15 * 222 * 421 ns - 222 * (421 - 12) ns) / 1,536 = 11 to 12 ns per entry looked at.
PC_2002 = CostModel(
    "pc-2002",
    "A 1 GHz Pentium III of 2002 with Linux 2.4 or 2.5. Slopes come from three published tables; the rest is assumed "
    "and is the size that a 1 GHz machine with PC133 memory suggests.",
    {
        "forks": Cost(90_000, f"{ASSUMED}: task set-up, signals and files; forktime's 325 us at 100 pages bounds it from above"),
        "vforks": Cost(60_000, f"{ASSUMED}: a fork without dup_mmap"),
        "execs": Cost(300_000, f"{ASSUMED}: opening and mapping a cached binary"),
        "exits": Cost(30_000, f"{ASSUMED}: task teardown without its mm"),
        "mmaps": Cost(3_000, f"{ASSUMED}: one system call and one vma"),
        "munmaps": Cost(3_000, f"{ASSUMED}: one system call and one vma"),
        "vmas_mapped": Cost(1_500, f"{ASSUMED}: kmem_cache_alloc and list insertion"),
        "vmas_copied": Cost(1_500, f"{ASSUMED}: kmem_cache_alloc and list insertion"),
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
        "ptes_visited_fork": Cost(192, f"{_FORKTIME}: slope of the new design, 10,000 to 100,000 pages"),
        "ptes_copied_fork": Cost(115, f"{_FORKTIME}: slope of the old design less the visit, 229 ns; {ASSUMED.lower()} to be half the pte, half the reference"),
        "ptes_wrprotected_fork": Cost(20, f"{ASSUMED}: one locked store to a warm line"),
        "ptes_visited_unshare": Cost(12, f"{_MORTON}: unsharing took 1.15 times the copying it replaced, the rest being looks at all entries of a table"),
        "ptes_copied_unshare": Cost(295, f"{_FORKTIME}: as copying at fork (421 ns), less the reference and the look at the pte"),
        "ptes_wrprotected_unshare": Cost(20, f"{ASSUMED}: as at fork"),
        "ptes_visited_zap": Cost(12, f"{ASSUMED}: as a look while unsharing"),
        "ptes_zapped": Cost(200, f"{ASSUMED}: clearing a pte and looking at its page"),
        "pages_allocated": Cost(500, f"{ASSUMED}: a page from the per-processor list"),
        "pages_zeroed": Cost(7_000, f"{ASSUMED}: 4 KiB at about 600 MB/s"),
        "pages_copied": Cost(12_000, f"{ASSUMED}: 4 KiB read and written at about 350 MB/s"),
        "pages_freed": Cost(300, f"{ASSUMED}: a page to the per-processor list"),
        "refs_taken": Cost(114, f"{_FORKTIME}: the other half of 229 ns"),
        "refs_dropped": Cost(114, f"{ASSUMED}: as taking one"),
        "rmap_added": Cost(2_118, f"{_MCCRACKEN}: slope with pte_chains less forktime's slope without"),
        "rmap_removed": Cost(1_391, f"{_MCCRACKEN}: 1,725 ns of exit per pte, less zapping it and dropping its reference"),
        "tlb_flush_page": Cost(200, f"{ASSUMED}: invlpg and the refill"),
        "tlb_flush_range": Cost(500, f"{ASSUMED}: 2.4 reloads cr3 for a range"),
        "tlb_flush_mm": Cost(500, f"{ASSUMED}: a reload of cr3"),
    },
)  # fmt: skip

COST_MODELS: dict[str, CostModel] = {PC_2002.name: PC_2002}
