"""Mms, slots, upper tables and files: the records around the leaf tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.arena import give, take
from simcore.engine.count import (
    PAGES_FREED,
    PMDS_WRITTEN,
    READ_BACK,
    REFS_DROPPED,
    SHM_FREED,
    UPPER_ALLOCATED,
    UPPER_FREED,
)
from simcore.heap import (
    CACHED,
    CHARGE,
    CHARGE_EACH,
    EVICTED,
    FILE_CACHED,
    FILE_EVICTED,
    FILE_FIRST,
    FILE_LOW,
    FILE_PAGES,
    FILE_PAGES_AT,
    FILE_VMAS,
    FILE_WORDS,
    FILES_AT,
    MM,
    MM_BUILT,
    MM_KIN,
    MM_LEFT,
    MM_PENDING,
    MM_POPULATED,
    MM_SLOTS,
    MM_STEP,
    NOW_CACHE,
    NOW_CHARGED,
    NOW_MMS,
    NOW_PAGES,
    NOW_UPPERS,
    PLACE_NUMBER,
    PLACE_UPPERS,
    PLACES,
    PLACES_AT,
    SHM,
    TABLE_OWNER,
    TASK_WORDS,
    TASKS_AT,
    UPPER_LEVELS,
    VMA_FILE,
    VMA_KIND,
    VMA_OFFSET,
    VMA_START,
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
def place_of(h: IntArray, number: int) -> int:
    """Return the place of a slot number that some vma of the trace touches."""
    low, high = 0, h[PLACES] - 1
    while low < high:
        middle = (low + high) // 2
        if h[place_record(h, middle) + PLACE_NUMBER] < number:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def take_mm(h: IntArray) -> int:
    """Return a record for an mm with nothing in it; nothing is counted."""
    mm = take(h, MM)
    h[mm] = 0  # the only word that a free mm needs
    return mm


@jit
def new_mm(h: IntArray) -> int:
    """Allocate an mm and its pgd; its slots and upper tables are empty."""
    mm = take_mm(h)
    h[NOW_MMS] += 1
    upper_tables(h, 1)
    return mm


@jit
def free_mm(h: IntArray, mm: int) -> None:
    """Free an mm that has no vma, slot, upper table or step of its children left, and its pgd."""
    h[mm + MM_STEP] = 0
    h[mm + MM_BUILT] = 0
    h[mm + MM_PENDING] = 0
    h[mm + MM_KIN] = 0
    h[NOW_CHARGED] -= h[mm + MM_LEFT]
    h[mm + MM_LEFT] = 0
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
def set_slot(h: IntArray, mm: int, place: int, slot: int) -> None:
    """Write a slot (table * 2 + writable), making the upper tables on the way to it."""
    if h[mm + MM_SLOTS + place] == 0:
        h[mm + MM_POPULATED] += 1
        record = place_record(h, place) + PLACE_UPPERS
        first = mm + MM_SLOTS + h[PLACES]
        for above in range(h[UPPER_LEVELS]):
            upper = first + h[record + above]
            if h[upper] == 0:
                h[upper] = 1
                upper_tables(h, 1)
                h[NOW_CHARGED] += 1
    h[mm + MM_SLOTS + place] = slot
    h[PMDS_WRITTEN] += 1


@jit
def clear_slot(h: IntArray, mm: int, place: int) -> None:
    """Make a slot empty."""
    h[mm + MM_SLOTS + place] = 0
    h[mm + MM_POPULATED] -= 1
    h[PMDS_WRITTEN] += 1


@jit
def charge(h: IntArray, table: int, mm: int) -> None:
    """Charge an mm for a table that nobody is charged for yet."""
    h[NOW_CHARGED] += 1
    h[table + TABLE_OWNER] = mm


@jit
def charge_sharer(h: IntArray, table: int, mm: int) -> None:
    """Charge an mm for a table that it reaches beside others, if the design says so."""
    if h[CHARGE] == CHARGE_EACH:
        charge(h, table, mm)


@jit
def uncharge(h: IntArray, table: int, mm: int) -> None:
    """Note that an mm no longer reaches a table."""
    if h[CHARGE] == CHARGE_EACH or h[table + TABLE_OWNER] == mm:
        h[NOW_CHARGED] -= 1
        h[table + TABLE_OWNER] = 0


@jit
def file_word(h: IntArray, vma: int, vpn: int) -> int:
    """Return where the state of the file or shm page that a vma maps at vpn is."""
    first = h[FILE_PAGES_AT] + h[file_record(h, h[vma + VMA_FILE]) + FILE_FIRST]
    return first + h[vma + VMA_OFFSET] + vpn - h[vma + VMA_START]


@jit
def is_complete(h: IntArray, vma: int) -> bool:
    """Return whether every page of a vma's file is in the page cache, or of its shm object exists."""
    file = file_record(h, h[vma + VMA_FILE])
    return h[file + FILE_CACHED] == h[file + FILE_PAGES]


@jit
def bring_in(h: IntArray, vma: int, word: int) -> None:
    """Put a page in the page cache, reading it back if reclaim has taken it, or make a page of a shm object."""
    file = file_record(h, h[vma + VMA_FILE])
    h[file + FILE_CACHED] += 1
    if h[vma + VMA_KIND] == SHM:
        h[NOW_PAGES] += 1
    else:
        h[NOW_CACHE] += 1
    if h[word] & EVICTED:
        h[word] ^= EVICTED
        h[file + FILE_EVICTED] -= 1
        h[READ_BACK] += 1
    h[word] |= CACHED


@jit
def shm_mapped(h: IntArray, vma: int, change: int) -> None:
    """Count the vmas of a shm object; the object and its pages live as long as a vma maps it."""
    if h[vma + VMA_KIND] != SHM:
        return
    file = file_record(h, h[vma + VMA_FILE])
    h[file + FILE_VMAS] += change
    if h[file + FILE_VMAS] == 0:
        pages = h[file + FILE_CACHED]
        h[REFS_DROPPED] += pages
        h[PAGES_FREED] += pages
        h[SHM_FREED] += pages
        h[NOW_PAGES] -= pages
        h[file + FILE_CACHED] = 0
        first = h[FILE_PAGES_AT] + h[file + FILE_FIRST] + h[file + FILE_LOW]
        for page in range(h[file + FILE_PAGES]):
            h[first + page] = 0
