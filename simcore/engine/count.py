"""Acts by number, act vectors with multiplicity, and the sampling of levels."""

from __future__ import annotations

from simcore.acts import ACT, ACTS, EVENT_KIND
from simcore.jit import jit
from simcore.machine import (
    NOW_CACHE,
    NOW_CHAINS,
    NOW_CHARGED,
    NOW_LEAVES,
    NOW_MMS,
    NOW_PAGES,
    NOW_RSS,
    NOW_UPPERS,
    PAGE_BYTES,
    POOL_USED,
    RMAP_BYTES,
    VECTORS,
    Machine,
)

N_ACTS = len(ACTS)

# The numbers of acts and kinds as globals, which numba freezes into the code.
FORKS, VFORKS, EXECS, EXITS = ACT["forks"], ACT["vforks"], ACT["execs"], ACT["exits"]
MMAPS, MUNMAPS = ACT["mmaps"], ACT["munmaps"]
VMAS_MAPPED, VMAS_COPIED, VMAS_UNMAPPED = ACT["vmas_mapped"], ACT["vmas_copied"], ACT["vmas_unmapped"]
FAULTS_ANON, FAULTS_ZERO_PAGE = ACT["faults_anon"], ACT["faults_zero_page"]
FAULTS_FILE_MAP, FAULTS_COW_COPY = ACT["faults_file_map"], ACT["faults_cow_copy"]
FAULTS_COW_REUSE, FAULTS_TABLE_ONLY = ACT["faults_cow_reuse"], ACT["faults_table_only"]
LEAF_ALLOCATED, LEAF_FREED = ACT["leaf_tables_allocated"], ACT["leaf_tables_freed"]
LEAF_LINKED, LEAF_UNSHARED = ACT["leaf_tables_linked"], ACT["leaf_tables_unshared"]
LEAF_REUSED, LEAF_DROPPED = ACT["leaf_tables_reused"], ACT["leaf_tables_dropped"]
UPPER_ALLOCATED, UPPER_FREED = ACT["upper_tables_allocated"], ACT["upper_tables_freed"]
PMDS_WRITTEN = ACT["pmds_written"]
VISITED_FORK, COPIED_FORK = ACT["ptes_visited_fork"], ACT["ptes_copied_fork"]
WRPROTECTED_FORK = ACT["ptes_wrprotected_fork"]
VISITED_UNSHARE, COPIED_UNSHARE = ACT["ptes_visited_unshare"], ACT["ptes_copied_unshare"]
WRPROTECTED_UNSHARE = ACT["ptes_wrprotected_unshare"]
VISITED_ZAP, ZAPPED = ACT["ptes_visited_zap"], ACT["ptes_zapped"]
PAGES_ALLOCATED, PAGES_ZEROED = ACT["pages_allocated"], ACT["pages_zeroed"]
PAGES_COPIED, PAGES_FREED = ACT["pages_copied"], ACT["pages_freed"]
REFS_TAKEN, REFS_DROPPED = ACT["refs_taken"], ACT["refs_dropped"]
RMAP_ADDED, RMAP_REMOVED = ACT["rmap_added"], ACT["rmap_removed"]
TLB_PAGE, TLB_RANGE, TLB_MM = ACT["tlb_flush_page"], ACT["tlb_flush_range"], ACT["tlb_flush_mm"]
TLB_REACHED = ACT["tlb_mms_reached"]

KIND_MMAP, KIND_MUNMAP = EVENT_KIND["mmap"], EVENT_KIND["munmap"]
KIND_READ_FAULT, KIND_WRITE_FAULT = EVENT_KIND["read_fault"], EVENT_KIND["write_fault"]
KIND_FORK, KIND_VFORK = EVENT_KIND["fork"], EVENT_KIND["vfork"]
KIND_EXEC, KIND_EXIT = EVENT_KIND["exec"], EVENT_KIND["exit"]

_MULTIPLIER = 16777619  # FNV-1a's 32-bit prime
_MASK = 0x7FFFFFFF  # 31 bits: the product below stays within int64, compiled or not


@jit
def flush(m: Machine, kind: int) -> None:
    """Count a TLB flush that reaches the one mm it is for."""
    m.act[kind] += 1
    m.act[TLB_REACHED] += 1


@jit
def record(m: Machine, kind: int) -> None:
    """Close the act vector of an event or fault, and start the next with zeroes."""
    row = m.latest[kind]
    if row < 0 or not _equals(m, row, kind):
        row = find_vector(m, kind)
        m.latest[kind] = row
    m.vector[row, 1] += 1
    for act in range(N_ACTS):
        m.act[act] = 0


@jit
def _equals(m: Machine, row: int, kind: int) -> bool:
    """Return whether a stored vector is the current one."""
    if m.vector[row, 0] != kind:
        return False
    for act in range(N_ACTS):
        if m.vector[row, 2 + act] != m.act[act]:
            return False
    return True


@jit
def find_vector(m: Machine, kind: int) -> int:
    """Return the row of the current vector, adding it with multiplicity 0 if it is new."""
    hashed = kind + 1
    for act in range(N_ACTS):
        hashed = ((hashed ^ (m.act[act] & _MASK)) * _MULTIPLIER) & _MASK
    place = (hashed ^ (hashed >> 15)) % m.bucket.shape[0]
    while m.bucket[place] != 0:
        if _equals(m, m.bucket[place] - 1, kind):
            return m.bucket[place] - 1
        place = (place + 1) % m.bucket.shape[0]
    row = m.pool[VECTORS, POOL_USED]
    m.pool[VECTORS, POOL_USED] += 1
    m.bucket[place] = row + 1
    m.vector[row, 0] = kind
    m.vector[row, 1] = 0
    for act in range(N_ACTS):
        m.vector[row, 2 + act] = m.act[act]
    return row


@jit
def sample(m: Machine) -> None:
    """Keep the highest value of each level; the order is that of simcore.acts.LEVELS."""
    now, page = m.level, m.conf[PAGE_BYTES]
    _keep(m, 0, now[NOW_MMS])
    _keep(m, 1, now[NOW_LEAVES])
    _keep(m, 2, now[NOW_UPPERS])
    _keep(m, 3, (now[NOW_LEAVES] + now[NOW_UPPERS]) * page)
    _keep(m, 4, now[NOW_CHARGED] * page)
    _keep(m, 5, now[NOW_CHAINS] * m.conf[RMAP_BYTES])
    _keep(m, 6, now[NOW_PAGES])
    _keep(m, 7, now[NOW_CACHE])
    _keep(m, 8, now[NOW_RSS])


@jit
def _keep(m: Machine, level: int, value: int) -> None:
    """Keep the higher of a level's highest value and this one."""
    m.high[level] = max(m.high[level], value)
