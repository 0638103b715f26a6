"""What is fitted: few parameters, each for a sum of acts that go together, each identified by a family of scripts.

Under ``mainline`` some acts always come together: a pte that fork copies is looked at, referenced and counted. Only
their sum can be measured; how it divides is taken from ``x86-64-2025``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simcore.acts import ACT
from simcore.costs import X86_64_2025

if TYPE_CHECKING:
    import numpy.typing as npt

REFERENCE = X86_64_2025
RMAP = "object"  # what mainline keeps
KNOWN = REFERENCE.under(RMAP)


class Parameter(NamedTuple):
    """One number to fit, in ns.

    Parameters
    ----------
    name : str
        What tables call it.
    unit : str
        What it is the time of.
    acts : tuple of str
        The acts that it pays for; the first is done once for each unit.
    families : tuple of str
        The scripts that tell it from the others, by the names of ``pipeline.calibration.scripts``.
    """

    name: str
    unit: str
    acts: tuple[str, ...]
    families: tuple[str, ...]

    @property
    def shares(self) -> dict[str, float]:
        """What each act has of the number; they add up to 1, but flushes, which are multiples of the first."""
        whole = KNOWN[self.acts[0]].ns if self.name == "flush" else sum(KNOWN[act].ns for act in self.acts)
        if self.name == "table":  # two kinds of one thing, either with its directory entry
            whole = KNOWN[self.acts[0]].ns + KNOWN["pmds_written"].ns
        if self.name in ("fault", "table_gone"):  # kinds of one thing
            whole = KNOWN[self.acts[0]].ns
        return {act: KNOWN[act].ns / whole for act in self.acts}


PARAMETERS: tuple[Parameter, ...] = (
    Parameter("fork", "a fork of a process that has nothing", ("forks",), ("bare",)),
    Parameter("fork_vma", "a vma at fork", ("vmas_copied",), ("vmas",)),
    Parameter(
        "table", "a table that is allocated, with its directory entry",
        ("leaf_tables_allocated", "upper_tables_allocated", "pmds_written"), ("narrow",),
    ),
    Parameter("fork_look", "an entry that fork looks at and finds empty", ("ptes_visited_fork",), ("sparse",)),
    Parameter(
        "fork_pte", "a pte that fork copies, with the page's reference and count",
        ("ptes_copied_fork", "ptes_present_fork", "refs_taken", "rmap_added"), ("dense",),
    ),
    Parameter("fork_protect", "a pte that fork makes read-only", ("ptes_wrprotected_fork",), ("dense", "again")),
    Parameter(
        "fault", "a fault on anonymous memory, its page apart",
        ("faults_zero_page", "faults_anon", "faults_cow_copy", "faults_cow_reuse"), ("zero",),
    ),
    Parameter("flush", "a flush of one page, and what else a write to a read-only pte takes",
              ("tlb_flush_page", "tlb_flush_range", "tlb_flush_mm"), ("dense",)),
    Parameter("page_zero", "a page that is allocated and cleared", ("pages_zeroed", "pages_allocated"), ("dense",)),
    Parameter("page_copy", "a page that is copied, its allocation apart", ("pages_copied",), ("dense",)),
    Parameter("fault_file", "a fault on a page of a file or of shared memory", ("faults_file_map",), ("shared",)),
    Parameter("around", "a further pte that a fault on a file fills", ("ptes_mapped_around",), ("file",)),
    Parameter("exit", "an exit of a process that has nothing", ("exits",), ("bare",)),
    Parameter("vma_gone", "a vma that is taken away", ("vmas_unmapped",), ("vmas",)),
    Parameter("table_gone", "a table that is freed", ("leaf_tables_freed", "upper_tables_freed"), ("narrow",)),
    Parameter("zap_look", "an empty entry that is looked at when memory goes", ("ptes_visited_zap",), ("sparse",)),
    Parameter(
        "zap_pte", "a pte that is cleared, with the page's reference and count",
        ("ptes_zapped", "refs_dropped", "rmap_removed"), ("dense",),
    ),
    Parameter("page_gone", "a page that is freed", ("pages_freed",), ("dense",)),
    Parameter("file_gone", "a pte of a file or of shared memory that is cleared, beyond one of anonymous memory",
              ("file_ptes_zapped",), ("file", "shared")),
    Parameter("shm_gone", "a page of shared memory that is freed, beyond one of anonymous memory",
              ("shm_pages_freed",), ("shared",)),
    Parameter("exec", "an exec of a small static program, its memory and faults apart", ("execs",), ("bare",)),
    Parameter("vfork", "a vfork, for its parent", ("vforks",), ("bare",)),
    Parameter("mmap", "an mmap, with its vma", ("mmaps", "vmas_mapped"), ("vmas",)),
    Parameter("munmap", "a munmap, its vmas apart", ("munmaps",), ("vmas", "calls")),
    Parameter("mprotect", "an mprotect, its ptes apart", ("mprotects",), ("calls",)),
    Parameter("protect_pte", "a pte that mprotect changes", ("ptes_changed_mprotect", "ptes_visited_mprotect"),
              ("calls",)),
    Parameter("madvise", "a madvise, its ptes apart", ("madvises",), ("calls",)),
)  # fmt: skip
START = "start"  # what a step that touches or maps takes by itself in the probe; no part of a cost model
NAMES = (*(parameter.name for parameter in PARAMETERS), START)


def share_matrix() -> npt.NDArray[np.float64]:
    """Return what one ns of each parameter makes each act cost, float64 [len(PARAMETERS), len(ACTS)]."""
    shares = np.zeros((len(PARAMETERS), len(ACT)))
    for row, parameter in enumerate(PARAMETERS):
        for act, share in parameter.shares.items():
            shares[row, ACT[act]] = share
    return shares
