"""Acts by number, act vectors with multiplicity, and the sampling of levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.acts import ACT, ACTS, EVENT_KIND
from simcore.engine.arena import take
from simcore.heap import (
    ACTS_AT,
    BUCKETS,
    CHAIN,
    HIGH,
    LATEST,
    N_BUCKETS,
    NOW_CACHE,
    NOW_CHARGED,
    NOW_LEAVES,
    NOW_MMS,
    NOW_PAGES,
    NOW_RMAP,
    NOW_RSS,
    NOW_UPPERS,
    PAGE_BYTES,
    RMAP,
    RMAP_BYTES,
    VECTOR,
    VECTOR_ACTS,
    VECTOR_KIND,
    VECTOR_NEXT,
    VECTOR_TIMES,
)
from simcore.jit import jit

if TYPE_CHECKING:
    from simcore.events import IntArray

N_ACTS = len(ACTS)


def _word(act: str) -> int:
    """Return the word of the heap that counts an act."""
    return ACTS_AT + ACT[act]


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

KIND_MMAP, KIND_MUNMAP = EVENT_KIND["mmap"], EVENT_KIND["munmap"]
KIND_READ_FAULT, KIND_WRITE_FAULT = EVENT_KIND["read_fault"], EVENT_KIND["write_fault"]
KIND_FORK, KIND_VFORK = EVENT_KIND["fork"], EVENT_KIND["vfork"]
KIND_EXEC, KIND_EXIT = EVENT_KIND["exec"], EVENT_KIND["exit"]
KIND_MPROTECT, KIND_MADVISE = EVENT_KIND["mprotect"], EVENT_KIND["madvise"]
KIND_STACK_GROW, KIND_RECLAIM = EVENT_KIND["stack_grow"], EVENT_KIND["reclaim"]
KIND_DEFERRED_COPY = EVENT_KIND["deferred_copy"]

_MULTIPLIER = 16777619  # FNV-1a's 32-bit prime
_MASK = 0x7FFFFFFF  # 31 bits: the product below stays within int64, compiled or not


@jit
def flush(h: IntArray, kind: int, reached: int) -> None:
    """Count a TLB flush and the mms that it reaches."""
    h[kind] += 1
    h[TLB_REACHED] += reached


@jit
def record(h: IntArray, kind: int, times: int) -> None:
    """Close the act vector of an event, or of so many equal faults, and start the next with zeroes."""
    vector = h[LATEST + kind]
    if vector == 0 or not _equals(h, vector):
        vector = _find_vector(h, kind)
        h[LATEST + kind] = vector
    h[vector + VECTOR_TIMES] += times
    clear_acts(h)


@jit
def clear_acts(h: IntArray) -> None:
    """Start an act vector with zeroes."""
    for act in range(N_ACTS):
        h[ACTS_AT + act] = 0


@jit
def _equals(h: IntArray, vector: int) -> bool:
    """Return whether a stored vector has the current acts."""
    differing = 0
    for act in range(N_ACTS):  # without a way out, so that it is vectorised
        differing |= h[vector + VECTOR_ACTS + act] ^ h[ACTS_AT + act]
    return differing == 0


@jit
def _find_vector(h: IntArray, kind: int) -> int:
    """Return the record of the current vector, adding it with multiplicity 0 if it is new."""
    hashed = kind + 1
    for act in range(N_ACTS):
        hashed = ((hashed ^ (h[ACTS_AT + act] & _MASK)) * _MULTIPLIER) & _MASK
    bucket = BUCKETS + (hashed ^ (hashed >> 15)) % N_BUCKETS
    vector = h[bucket]
    while vector:
        if h[vector + VECTOR_KIND] == kind and _equals(h, vector):
            return vector
        vector = h[vector + VECTOR_NEXT]
    vector = take(h, VECTOR)
    h[vector + VECTOR_NEXT] = h[bucket]
    h[bucket] = vector
    h[vector + VECTOR_KIND] = kind
    for act in range(N_ACTS):
        h[vector + VECTOR_ACTS + act] = h[ACTS_AT + act]
    return vector


@jit
def sample(h: IntArray) -> None:
    """Keep the highest value of each level; the order is that of simcore.acts.LEVELS."""
    tables = h[NOW_LEAVES] + h[NOW_UPPERS]
    elements = h[NOW_RMAP] if h[RMAP] == CHAIN else 0
    h[HIGH] = max(h[HIGH], h[NOW_MMS])
    h[HIGH + 1] = max(h[HIGH + 1], h[NOW_LEAVES])
    h[HIGH + 2] = max(h[HIGH + 2], h[NOW_UPPERS])
    h[HIGH + 3] = max(h[HIGH + 3], tables * h[PAGE_BYTES])
    h[HIGH + 4] = max(h[HIGH + 4], h[NOW_CHARGED] * h[PAGE_BYTES])
    h[HIGH + 5] = max(h[HIGH + 5], elements * h[RMAP_BYTES])
    h[HIGH + 6] = max(h[HIGH + 6], h[NOW_PAGES])
    h[HIGH + 7] = max(h[HIGH + 7], h[NOW_CACHE])
    h[HIGH + 8] = max(h[HIGH + 8], h[NOW_RSS])
