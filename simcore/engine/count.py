"""Acts by number, act vectors with multiplicity, and the sampling of levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.acts import ACTS, EVENT_KIND
from simcore.engine.arena import take
from simcore.heap import (
    ACT_ORDER,
    ACTS_AT,
    BUCKETS,
    HIGH,
    LOG_AT,
    LOG_MOST,
    LOGGED,
    N_BUCKETS,
    N_FAULT_ACTS,
    N_LEVELS,
    NOW,
    NOW_LEAVES,
    NOW_UPPERS,
    SILENT,
    VECTOR,
    VECTOR_ACTS,
    VECTOR_KIND,
    VECTOR_NEXT,
    VECTOR_TIMES,
)
from simcore.jit import jit
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray

N_ACTS = len(ACTS)


def _word(act: str) -> int:
    """Return the word of the heap that counts an act."""
    return ACTS_AT + ACT_ORDER.index(act)


# Globals, which numba freezes into the code.
FORKS, VFORKS, EXECS, EXITS = _word("forks"), _word("vforks"), _word("execs"), _word("exits")
MMAPS, MUNMAPS = _word("mmaps"), _word("munmaps")
VMAS_MAPPED, VMAS_COPIED, VMAS_UNMAPPED = _word("vmas_mapped"), _word("vmas_copied"), _word("vmas_unmapped")
FAULTS_ANON, FAULTS_ZERO_PAGE = _word("faults_anon"), _word("faults_zero_page")
FAULTS_FILE_MAP, FAULTS_COW_COPY = _word("faults_file_map"), _word("faults_cow_copy")
FAULTS_COW_REUSE, FAULTS_TABLE_ONLY = _word("faults_cow_reuse"), _word("faults_table_only")
LEAF_ALLOCATED, LEAF_FREED = _word("leaf_tables_allocated"), _word("leaf_tables_freed")
LEAF_LINKED, LEAF_UNSHARED = _word("leaf_tables_linked"), _word("leaf_tables_unshared")
LEAF_REUSED, LEAF_DROPPED = _word("leaf_tables_reused"), _word("leaf_tables_dropped")
UPPER_ALLOCATED, UPPER_FREED = _word("upper_tables_allocated"), _word("upper_tables_freed")
PMDS_WRITTEN, VMAS_SPLIT = _word("pmds_written"), _word("vmas_split")
PRESENT_FORK, RMAP_WALKED = _word("ptes_present_fork"), _word("rmap_walked")
VISITED_FORK, COPIED_FORK = _word("ptes_visited_fork"), _word("ptes_copied_fork")
WRPROTECTED_FORK = _word("ptes_wrprotected_fork")
VISITED_UNSHARE, COPIED_UNSHARE = _word("ptes_visited_unshare"), _word("ptes_copied_unshare")
WRPROTECTED_UNSHARE = _word("ptes_wrprotected_unshare")
VISITED_ZAP, ZAPPED = _word("ptes_visited_zap"), _word("ptes_zapped")
PAGES_ALLOCATED, PAGES_ZEROED = _word("pages_allocated"), _word("pages_zeroed")
PAGES_COPIED, PAGES_FREED = _word("pages_copied"), _word("pages_freed")
REFS_TAKEN, REFS_DROPPED = _word("refs_taken"), _word("refs_dropped")
RMAP_ADDED, RMAP_REMOVED = _word("rmap_added"), _word("rmap_removed")
TLB_PAGE, TLB_RANGE, TLB_MM = _word("tlb_flush_page"), _word("tlb_flush_range"), _word("tlb_flush_mm")
TLB_REACHED = _word("tlb_mms_reached")
MPROTECTS, MADVISES = _word("mprotects"), _word("madvises")
STACK_GROWS, RECLAIMS = _word("stack_grows"), _word("reclaims")
FAULTS_SWAP, MAPPED_AROUND = _word("faults_swap"), _word("ptes_mapped_around")
VISITED_MPROTECT, CHANGED_MPROTECT = _word("ptes_visited_mprotect"), _word("ptes_changed_mprotect")
VISITED_RECLAIM, UNMAPPED_RECLAIM = _word("ptes_visited_reclaim"), _word("ptes_unmapped_reclaim")
PAGES_RECLAIMED, SWAPPED_OUT = _word("pages_reclaimed"), _word("pages_swapped_out")
READ_BACK = _word("pages_read_back")
FAULTS_HUGE, FAULTS_HUGE_ZERO = _word("faults_huge"), _word("faults_huge_zero")
FAULTS_HUGE_REUSE, HUGE_SPLIT = _word("faults_huge_reuse"), _word("huge_split")
HUGE_ALLOCATED, HUGE_FREED = _word("huge_pages_allocated"), _word("huge_pages_freed")
HUGE_COPIED_FORK, HUGE_ZAPPED = _word("huge_copied_fork"), _word("huge_zapped")
HUGE_CHANGED_MPROTECT = _word("huge_changed_mprotect")
FILES_ZAPPED, SHM_FREED = _word("file_ptes_zapped"), _word("shm_pages_freed")

KIND_MMAP, KIND_MUNMAP = EVENT_KIND["mmap"], EVENT_KIND["munmap"]
KIND_READ_FAULT, KIND_WRITE_FAULT = EVENT_KIND["read_fault"], EVENT_KIND["write_fault"]
KIND_FORK, KIND_VFORK = EVENT_KIND["fork"], EVENT_KIND["vfork"]
KIND_EXEC, KIND_EXIT = EVENT_KIND["exec"], EVENT_KIND["exit"]
KIND_MPROTECT, KIND_MADVISE = EVENT_KIND["mprotect"], EVENT_KIND["madvise"]
KIND_STACK_GROW, KIND_RECLAIM = EVENT_KIND["stack_grow"], EVENT_KIND["reclaim"]
KIND_DEFERRED_COPY = EVENT_KIND["deferred_copy"]


@jit
def flush(h: IntArray, kind: int, reached: int) -> None:
    """Count a TLB flush and the mms that it reaches."""
    h[kind] += 1
    h[TLB_REACHED] += reached


@unit
def record(h: IntArray, kind: int, times: int) -> None:
    """Close the act vector of an event, or of so many equal faults, and start the next with zeroes."""
    acts = N_FAULT_ACTS if kind in (KIND_READ_FAULT, KIND_WRITE_FAULT) else N_ACTS
    link = BUCKETS + _signature(h, kind)
    vector = h[link]
    while vector and (h[vector + VECTOR_KIND] != kind or not _equals(h, vector, acts)):
        link = vector + VECTOR_NEXT
        vector = h[link]
    if vector == 0:
        vector = take(h, VECTOR)
        h[link] = vector
        h[vector + VECTOR_NEXT] = 0
        h[vector + VECTOR_KIND] = kind
        h[vector + VECTOR_TIMES] = 0
        for act in range(N_ACTS):
            h[vector + VECTOR_ACTS + act] = h[ACTS_AT + act]
    h[vector + VECTOR_TIMES] += times & h[SILENT]
    logged = h[LOGGED]
    if logged < LOG_MOST:
        h[LOG_AT + 2 * logged] = vector
        h[LOG_AT + 2 * logged + 1] = times
    h[LOGGED] = logged + 1
    for act in range(acts):
        h[ACTS_AT + act] = 0


@jit
def _signature(h: IntArray, kind: int) -> int:
    """Return the bucket of the current vector, from the acts in which vectors of a kind mostly differ."""
    mixed = (
        kind * 0x9E37 + h[FAULTS_ANON] * 0x85EB + h[FAULTS_COW_COPY] * 0xC2B3 + h[FAULTS_FILE_MAP] * 0x27D5
    )
    mixed += (
        h[LEAF_ALLOCATED] * 0x1657 + h[LEAF_UNSHARED] * 0x2545 + h[LEAF_FREED] * 0x1931 + h[ZAPPED] * 0x6C07
    )
    mixed += (
        h[COPIED_FORK] * 0x5D58
        + h[COPIED_UNSHARE] * 0x7FEB
        + h[WRPROTECTED_FORK] * 0x3C6F
        + h[PAGES_FREED] * 0x4F1B
    )
    mixed += (
        h[MAPPED_AROUND] * 0x68E3
        + h[RMAP_WALKED] * 0x2F0B
        + h[PAGES_ZEROED] * 0x1F35
        + h[VMAS_MAPPED] * 0x7A4D
    )
    return (mixed ^ (mixed >> 11)) & (N_BUCKETS - 1)


@jit
def clear_acts(h: IntArray) -> None:
    """Start an act vector with zeroes."""
    for act in range(N_ACTS):
        h[ACTS_AT + act] = 0


@jit
def _equals(h: IntArray, vector: int, acts: int) -> bool:
    """Return whether a stored vector has the current acts, of which the first so many can be other than zero."""
    differing = 0
    for act in range(acts):  # without a way out, so that it is vectorised
        differing |= h[vector + VECTOR_ACTS + act] ^ h[ACTS_AT + act]
    return differing == 0


@jit
def sample(h: IntArray) -> None:
    """Keep the highest value of each level, and of all tables together."""
    for level in range(N_LEVELS):
        h[HIGH + level] = max(h[HIGH + level], h[NOW + level])
    h[HIGH + N_LEVELS] = max(h[HIGH + N_LEVELS], h[NOW_LEAVES] + h[NOW_UPPERS])
