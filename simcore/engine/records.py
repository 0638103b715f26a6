"""Mms, vmas, tables and frames come and go: records of the heap, the last one freed used first.

Nothing here can fail: before each event ``loop`` makes sure that the heap has room for whatever it may take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.arena import give, take
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
from simcore.heap import (
    FILE_FIRST,
    FILE_PAGES,
    FILE_PAGES_AT,
    FILE_VMAS,
    FILE_WORDS,
    FILES_AT,
    FRAME,
    FRAME_FILE_PAGE,
    MM,
    MM_POPULATED,
    MM_SLOTS,
    NOW_CACHE,
    NOW_CHARGED,
    NOW_LEAVES,
    NOW_MMS,
    NOW_PAGES,
    NOW_UPPERS,
    PLACE_UPPERS,
    PLACES,
    PLACES_AT,
    SHM,
    TABLE,
    TABLE_MARKED,
    TABLE_REFCOUNT,
    TASK_WORDS,
    TASKS_AT,
    UPPER_LEVELS,
    VMA,
    VMA_FILE,
    VMA_KIND,
    VMA_OFFSET,
    VMA_START,
    VMA_WORDS,
)
from simcore.jit import jit

if TYPE_CHECKING:
    from simcore.events import IntArray


@jit
def task_record(h: IntArray, task: int) -> int:
    """Return where a task's words are."""
    return h[TASKS_AT] + task * TASK_WORDS


@jit
def place_record(h: IntArray, place: int) -> int:
    """Return where a place's words are."""
    return h[PLACES_AT] + place * (PLACE_UPPERS + h[UPPER_LEVELS])


@jit
def file_record(h: IntArray, file: int) -> int:
    """Return where a file's words are."""
    return h[FILES_AT] + file * FILE_WORDS


@jit
def upper_word(h: IntArray, mm: int, upper: int) -> int:
    """Return where an mm says whether it has an upper table."""
    return mm + MM_SLOTS + h[PLACES] + upper


@jit
def new_mm(h: IntArray) -> int:
    """Allocate an mm and its pgd; its slots and upper tables are empty already."""
    mm = take(h, MM)
    h[NOW_MMS] += 1
    upper_tables(h, 1)
    return mm


@jit
def free_mm(h: IntArray, mm: int) -> None:
    """Free an mm that has no vma, slot or upper table left, and its pgd."""
    give(h, MM, mm)
    h[NOW_MMS] -= 1
    upper_tables(h, -1)


@jit
def upper_tables(h: IntArray, change: int) -> None:
    """Count upper tables allocated (+) or freed (-)."""
    if change > 0:
        h[UPPER_ALLOCATED] += change
    else:
        h[UPPER_FREED] -= change
    h[NOW_UPPERS] += change


@jit
def new_table(h: IntArray) -> int:
    """Allocate an empty leaf table with one user."""
    table = take(h, TABLE)
    h[table + TABLE_REFCOUNT] = 1
    h[LEAF_ALLOCATED] += 1
    h[NOW_LEAVES] += 1
    return table


@jit
def free_table(h: IntArray, table: int) -> None:
    """Free a leaf table whose ptes have all been zapped."""
    h[table + TABLE_MARKED] = 0
    give(h, TABLE, table)
    h[LEAF_FREED] += 1
    h[NOW_LEAVES] -= 1


@jit
def set_slot(h: IntArray, mm: int, place: int, table: int, writable: int) -> None:
    """Point a slot to a table, making the upper tables on the way to it."""
    for above in range(h[UPPER_LEVELS]):
        upper = upper_word(h, mm, h[place_record(h, place) + PLACE_UPPERS + above])
        if h[upper] == 0:
            h[upper] = 1
            upper_tables(h, 1)
            h[NOW_CHARGED] += 1
    if h[mm + MM_SLOTS + place] == 0:
        h[mm + MM_POPULATED] += 1
        h[NOW_CHARGED] += 1
    h[mm + MM_SLOTS + place] = table * 2 + writable
    h[PMDS_WRITTEN] += 1


@jit
def clear_slot(h: IntArray, mm: int, place: int) -> None:
    """Make a slot empty."""
    h[mm + MM_SLOTS + place] = 0
    h[mm + MM_POPULATED] -= 1
    h[NOW_CHARGED] -= 1
    h[PMDS_WRITTEN] += 1


@jit
def new_page(h: IntArray) -> int:
    """Allocate an anonymous page frame that no pte holds yet."""
    frame = take(h, FRAME)
    h[PAGES_ALLOCATED] += 1
    h[NOW_PAGES] += 1
    return frame


@jit
def free_page(h: IntArray, frame: int) -> None:
    """Free a page frame of anonymous memory or shm that no pte holds."""
    h[frame + FRAME_FILE_PAGE] = 0
    give(h, FRAME, frame)
    h[PAGES_FREED] += 1
    h[NOW_PAGES] -= 1


@jit
def file_page_word(h: IntArray, vma: int, vpn: int) -> int:
    """Return where the frame of the file or shm page that a vma maps at vpn is noted."""
    first = h[FILE_PAGES_AT] + h[file_record(h, h[vma + VMA_FILE]) + FILE_FIRST]
    return first + h[vma + VMA_OFFSET] + vpn - h[vma + VMA_START]


@jit
def file_page(h: IntArray, vma: int, vpn: int) -> int:
    """Return the frame of the cache or shm page that a vma maps at vpn; a new shm page is zeroed."""
    word = file_page_word(h, vma, vpn)
    frame = h[word]
    if frame:
        return frame
    if h[vma + VMA_KIND] == SHM:
        frame = new_page(h)
        h[PAGES_ZEROED] += 1
    else:
        frame = take(h, FRAME)
        h[NOW_CACHE] += 1
    h[frame + FRAME_FILE_PAGE] = word - h[FILE_PAGES_AT] + 1
    h[word] = frame
    return frame


@jit
def shm_mapped(h: IntArray, vma: int, change: int) -> int:
    """Count the vmas of a shm object; returns how many of its pages went with the last one."""
    if h[vma + VMA_KIND] != SHM:
        return 0
    file = file_record(h, h[vma + VMA_FILE])
    h[file + FILE_VMAS] += change
    if h[file + FILE_VMAS] > 0:
        return 0
    freed = 0
    first = h[FILE_PAGES_AT] + h[file + FILE_FIRST]
    for page in range(first, first + h[file + FILE_PAGES]):
        if h[page]:
            free_page(h, h[page])
            h[page] = 0
            freed += 1
    return freed


@jit
def free_vma(h: IntArray, vma: int) -> None:
    """Free a vma that is in no list any more."""
    h[vma : vma + VMA_WORDS] = 0
    give(h, VMA, vma)
