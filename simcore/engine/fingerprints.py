"""Which states are the same for all that may follow: the state of a heap with its records renumbered as they are met.

Words are left out that nothing depends on: act vectors, highest levels, scratch, what lives remember, and where records
lie. Two heaps with equal fingerprints go on alike; two with different ones may too, as equal contents can be stored in
several ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simcore.heap import (
    ANON_VMAS,
    FILE_PAGES_AT,
    FILE_TABLE,
    FILE_WORDS,
    FILES_AT,
    HAND_TASK,
    HAND_VPN,
    MASKS_AT,
    MM_LEFT,
    MM_PENDING,
    MM_POPULATED,
    MM_SLOTS,
    MM_VMA,
    MM_VMAS,
    N_EXTRA_ROWS,
    N_LEVELS,
    N_TABLE_ROWS,
    NOW,
    PLACES,
    ROW,
    SHARE_HOME,
    SHARE_NEXT,
    SHARE_ROW,
    SLICE_NEXT,
    SLICE_ROW,
    SWAPS,
    TABLE_BASE,
    TABLE_COUNT,
    TABLE_EXTRA,
    TABLE_FOLIO,
    TABLE_GUESTS,
    TABLE_HUGE,
    TABLE_KEY,
    TABLE_KEY_NEXT,
    TABLE_KEY_PAGE,
    TABLE_MAPPED,
    TABLE_MARKED,
    TABLE_OWNER,
    TABLE_PTES,
    TABLE_ROWS,
    TABLE_SHARES,
    TABLE_SLICES,
    TABLE_WRITABLE,
    TASK_LENDER,
    TASK_MM,
    TASK_WAITS,
    TASK_WORDS,
    TASKS,
    TASKS_AT,
    TOP,
    UPPERS,
    VMA_ANON,
    VMA_FLAGS,
    VMA_NEXT,
    VMA_START,
)
from simcore.jit import entry, jit, pointer

if TYPE_CHECKING:
    from simcore.events import IntArray

WRITTEN, MET, ANON_MET, _LEADING = range(
    4
)  # leading words: how many words, tables and anon_vmas there are so far
ONLY, TO_WRITE = 0, 1  # what a number is for: itself only; or the table is to be written too


def fingerprint(heap: IntArray) -> bytes:
    """Return bytes that are equal only for heaps of one trace, design and geometry that go on alike."""
    top = int(heap[TOP])
    numbers = np.zeros(top + int(heap[ANON_VMAS]) + 1, np.int64)  # of records by handle, then of anon_vmas
    out = np.zeros(_LEADING + 4 * top, np.int64)  # a record is written at most once, and smaller words thrice
    met = np.zeros(top, np.int64)
    describe(heap, out, numbers, met)
    return out[_LEADING : int(out[WRITTEN])].tobytes()


@entry
def describe(heap: IntArray, written: IntArray, numbered: IntArray, tables: IntArray) -> None:
    """Write the state of a heap behind the leading words of ``written``; the other arrays are zeroes to work with."""
    h, out, numbers, met = pointer(heap), pointer(written), pointer(numbered), pointer(tables)
    out[WRITTEN] = _LEADING
    _put(out, h[SWAPS])
    _put(out, h[HAND_TASK])
    _put(out, h[HAND_VPN])
    for level in range(N_LEVELS):
        _put(out, h[NOW + level])
    for task in range(h[TASKS]):
        at = h[TASKS_AT] + task * TASK_WORDS
        _put(out, _number(out, numbers, met, h[at + TASK_MM], ONLY))
        _put(out, h[at + TASK_LENDER])
        _put(out, h[at + TASK_WAITS])
    for task in range(h[TASKS]):
        at = h[TASKS_AT] + task * TASK_WORDS
        if h[at + TASK_MM] and h[at + TASK_LENDER] == 0:
            _put_mm(h, out, numbers, met, h[at + TASK_MM])
    files = (h[FILE_PAGES_AT] - h[FILES_AT]) // FILE_WORDS
    for file in range(files):
        at = h[FILES_AT] + file * FILE_WORDS
        for word in range(FILE_WORDS):
            value = h[at + word]
            _put(out, _number(out, numbers, met, value, TO_WRITE) if word == FILE_TABLE else value)
    for at in range(h[FILE_PAGES_AT], h[MASKS_AT]):
        _put(out, h[at])
    done = 0
    while done < out[MET]:
        _put_table(h, out, numbers, met, met[done])
        done += 1


@jit
def _put(out: IntArray, value: int) -> None:
    """Write a word."""
    out[out[WRITTEN]] = value
    out[WRITTEN] += 1


@jit
def _number(out: IntArray, numbers: IntArray, met: IntArray, handle: int, more: int) -> int:
    """Return the number of a record, 0 for none; a table to write is, when it is met first, put on the list of them."""
    if handle == 0:
        return 0
    if numbers[handle] == 0:
        numbers[0] += 1
        numbers[handle] = numbers[0]
        if more == TO_WRITE:
            met[out[MET]] = handle
            out[MET] += 1
    return numbers[handle]


@jit
def _put_mm(h: IntArray, out: IntArray, numbers: IntArray, met: IntArray, mm: int) -> None:
    """Write an mm with its vmas and slots."""
    first = h[TOP]
    for word in (MM_VMAS, MM_POPULATED, MM_PENDING, MM_LEFT):
        _put(out, h[mm + word])
    vma = h[mm + MM_VMA]
    while vma:
        for word in range(VMA_START, VMA_ANON):
            _put(out, h[vma + word])
        _put(out, h[vma + VMA_FLAGS])
        number = h[vma + VMA_ANON]
        if number and numbers[first + number] == 0:
            out[ANON_MET] += 1
            numbers[first + number] = out[ANON_MET]
        _put(out, numbers[first + number] if number else 0)
        vma = h[vma + VMA_NEXT]
    for place in range(h[PLACES]):
        slot = h[mm + MM_SLOTS + place]
        _put(out, 2 * _number(out, numbers, met, slot >> 1, TO_WRITE) + (slot & 1))
    for upper in range(h[UPPERS]):
        _put(out, h[mm + MM_SLOTS + h[PLACES] + upper])


@jit
def _put_table(h: IntArray, out: IntArray, numbers: IntArray, met: IntArray, table: int) -> None:
    """Write a table with all that hangs on it."""
    row = h[ROW]
    for word in (
        TABLE_COUNT,
        TABLE_MARKED,
        TABLE_KEY,
        TABLE_KEY_PAGE,
        TABLE_PTES,
        TABLE_MAPPED,
        TABLE_WRITABLE,
        TABLE_GUESTS,
        TABLE_HUGE,
        TABLE_FOLIO,
    ):
        _put(out, h[table + word])
    _put(out, _number(out, numbers, met, h[table + TABLE_OWNER], ONLY))
    _put(out, _number(out, numbers, met, h[table + TABLE_KEY_NEXT], TO_WRITE))
    _put(out, _number(out, numbers, met, h[table + TABLE_BASE], TO_WRITE))
    for word in range(N_TABLE_ROWS * row):
        _put(out, h[table + TABLE_ROWS + word])
    extra = h[table + TABLE_EXTRA]
    _put(out, 1 if extra else 0)
    if extra:
        for word in range(N_EXTRA_ROWS * row):
            _put(out, h[extra + word])
    piece = h[table + TABLE_SLICES]
    while piece:
        _put(out, 1)
        for word in range(row):
            _put(out, h[piece + SLICE_ROW + word])
        piece = h[piece + SLICE_NEXT]
    _put(out, 0)
    share = h[table + TABLE_SHARES]
    while share:
        _put(out, _number(out, numbers, met, h[share + SHARE_HOME], TO_WRITE))
        for word in range(row):
            _put(out, h[share + SHARE_ROW + word])
        share = h[share + SHARE_NEXT]
    _put(out, 0)
