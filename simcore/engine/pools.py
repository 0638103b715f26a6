"""Mms, vmas, tables and frames come and go: free numbers from stacks, last freed first used.

Nothing here can fail: before each event ``loop`` makes sure that every pool has what the event may need.
"""

from __future__ import annotations

from simcore.engine.count import (
    LEAF_ALLOCATED,
    LEAF_FREED,
    PAGES_ALLOCATED,
    PAGES_FREED,
    PAGES_ZEROED,
    PMDS_WRITTEN,
    UPPER_ALLOCATED,
    UPPER_FREED,
)
from simcore.jit import jit
from simcore.machine import (
    ENTRIES,
    FILE_FIRST,
    FILE_PAGES,
    FILE_VMAS,
    FRAME_FILE_PAGE,
    FRAME_MAPCOUNT,
    FRAMES,
    MM_SLOTS,
    MM_VMA,
    MM_VMAS,
    MMS,
    NOW_CACHE,
    NOW_CHARGED,
    NOW_LEAVES,
    NOW_MMS,
    NOW_PAGES,
    NOW_UPPERS,
    POOL_FREE,
    POOL_USED,
    SHM_KIND,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_REFCOUNT,
    TABLES,
    UPPER_LEVELS,
    VMA_FILE,
    VMA_KIND,
    VMA_OFFSET,
    VMA_START,
    VMAS,
    Machine,
)


@jit
def take(m: Machine, pool: int) -> int:
    """Return a free number of a pool."""
    height = m.pool[pool, POOL_FREE]
    if height > 0:
        m.pool[pool, POOL_FREE] = height - 1
        return m.free[pool, height - 1]
    number = m.pool[pool, POOL_USED]
    m.pool[pool, POOL_USED] = number + 1
    return number


@jit
def give(m: Machine, pool: int, number: int) -> None:
    """Give a number back to its pool."""
    m.free[pool, m.pool[pool, POOL_FREE]] = number
    m.pool[pool, POOL_FREE] += 1


@jit
def new_mm(m: Machine) -> int:
    """Allocate an mm and its pgd; its slots and upper tables are empty already."""
    mm = take(m, MMS)
    m.mm[mm, MM_VMA] = -1
    m.mm[mm, MM_VMAS] = 0
    m.mm[mm, MM_SLOTS] = 0
    m.level[NOW_MMS] += 1
    upper_tables(m, 1)
    return mm


@jit
def free_mm(m: Machine, mm: int) -> None:
    """Free an mm that has no vma, slot or upper table left, and its pgd."""
    give(m, MMS, mm)
    m.level[NOW_MMS] -= 1
    upper_tables(m, -1)


@jit
def upper_tables(m: Machine, change: int) -> None:
    """Count upper tables allocated (+) or freed (-)."""
    if change > 0:
        m.act[UPPER_ALLOCATED] += change
    else:
        m.act[UPPER_FREED] -= change
    m.level[NOW_UPPERS] += change


@jit
def new_table(m: Machine) -> int:
    """Allocate an empty leaf table with one user."""
    table = take(m, TABLES)
    m.table[table, TABLE_REFCOUNT] = 1
    m.table[table, TABLE_MARKED] = 0
    m.table[table, TABLE_MAPPED] = 0
    entries = m.conf[ENTRIES]
    m.pte[table * entries : (table + 1) * entries] = 0
    m.act[LEAF_ALLOCATED] += 1
    m.level[NOW_LEAVES] += 1
    return table


@jit
def free_table(m: Machine, table: int) -> None:
    """Free a leaf table."""
    give(m, TABLES, table)
    m.act[LEAF_FREED] += 1
    m.level[NOW_LEAVES] -= 1


@jit
def set_slot(m: Machine, mm: int, place: int, table: int, writable: int) -> None:
    """Point a slot to a table, making the upper tables on the way to it."""
    for above in range(m.conf[UPPER_LEVELS]):
        upper = m.place[place, 1 + above]
        if m.upper[mm, upper] == 0:
            m.upper[mm, upper] = 1
            upper_tables(m, 1)
            m.level[NOW_CHARGED] += 1
    if m.slot[mm, place] < 0:
        m.mm[mm, MM_SLOTS] += 1
        m.level[NOW_CHARGED] += 1
    m.slot[mm, place] = table * 2 + writable
    m.act[PMDS_WRITTEN] += 1


@jit
def clear_slot(m: Machine, mm: int, place: int) -> None:
    """Make a slot empty."""
    m.slot[mm, place] = -1
    m.mm[mm, MM_SLOTS] -= 1
    m.level[NOW_CHARGED] -= 1
    m.act[PMDS_WRITTEN] += 1


@jit
def new_page(m: Machine) -> int:
    """Allocate an anonymous page frame that no pte holds yet."""
    frame = take(m, FRAMES)
    m.frame[frame, FRAME_MAPCOUNT] = 0
    m.frame[frame, FRAME_FILE_PAGE] = -1
    m.act[PAGES_ALLOCATED] += 1
    m.level[NOW_PAGES] += 1
    return frame


@jit
def free_page(m: Machine, frame: int) -> None:
    """Free a page frame of anonymous memory or shm."""
    give(m, FRAMES, frame)
    m.act[PAGES_FREED] += 1
    m.level[NOW_PAGES] -= 1


@jit
def file_page(m: Machine, vma: int, vpn: int) -> int:
    """Return the frame of the cache or shm page that a vma maps at vpn; a new shm page is zeroed."""
    page = m.file[m.vma[vma, VMA_FILE], FILE_FIRST] + m.vma[vma, VMA_OFFSET] + vpn - m.vma[vma, VMA_START]
    frame = m.file_page[page]
    if frame >= 0:
        return frame
    if m.vma[vma, VMA_KIND] == SHM_KIND:
        frame = new_page(m)
        m.act[PAGES_ZEROED] += 1
    else:
        frame = take(m, FRAMES)
        m.frame[frame, FRAME_MAPCOUNT] = 0
        m.level[NOW_CACHE] += 1
    m.frame[frame, FRAME_FILE_PAGE] = page
    m.file_page[page] = frame
    return frame


@jit
def shm_mapped(m: Machine, vma: int, change: int) -> int:
    """Count the vmas of a shm object; returns how many of its pages went with the last one."""
    if m.vma[vma, VMA_KIND] != SHM_KIND:
        return 0
    file = m.vma[vma, VMA_FILE]
    m.file[file, FILE_VMAS] += change
    if m.file[file, FILE_VMAS] > 0:
        return 0
    freed = 0
    first = m.file[file, FILE_FIRST]
    for page in range(first, first + m.file[file, FILE_PAGES]):
        if m.file_page[page] >= 0:
            free_page(m, m.file_page[page])
            m.file_page[page] = -1
            freed += 1
    return freed


@jit
def new_vma(m: Machine) -> int:
    """Return the number of a vma to fill in."""
    return take(m, VMAS)
