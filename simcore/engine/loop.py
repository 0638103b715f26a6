"""The loop over events: may it happen, is there room for it, do it, sample the levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import (
    CHANGED_MPROTECT,
    EXECS,
    EXITS,
    FORKS,
    KIND_DEFERRED_COPY,
    KIND_EXEC,
    KIND_EXIT,
    KIND_FORK,
    KIND_MADVISE,
    KIND_MMAP,
    KIND_MPROTECT,
    KIND_MUNMAP,
    KIND_RECLAIM,
    KIND_STACK_GROW,
    KIND_VFORK,
    LEAF_DROPPED,
    LEAF_REUSED,
    LEAF_UNSHARED,
    MADVISES,
    MMAPS,
    MPROTECTS,
    MUNMAPS,
    RECLAIMS,
    STACK_GROWS,
    TLB_MM,
    TLB_RANGE,
    VFORKS,
    ZAPPED,
    clear_acts,
    flush,
    record,
    sample,
)
from simcore.engine.faults import touch
from simcore.engine.forks import fork_mm
from simcore.engine.memo import (
    begin_pair,
    count_fork,
    count_leave,
    end_pair,
    half_pair,
    is_known,
    is_pair,
    note,
)
from simcore.engine.protecting import protect
from simcore.engine.reclaiming import reclaim
from simcore.engine.records import free_mm, new_mm, task_record
from simcore.engine.refusals import DONE, mm_of, refusal
from simcore.engine.room import short_of_room
from simcore.engine.sharing import copy_deferred, separate
from simcore.engine.vmas import insert, move_start, new_vma, number_of, vma_from
from simcore.engine.zap import DISCARD, UNMAP, UNMAP_ALL, take_away
from simcore.events import EVENT_DTYPE, Op
from simcore.heap import (
    LAST_VECTOR,
    MM_KIN,
    MM_PENDING,
    MM_SLOTS,
    PAIR,
    SIZE,
    TABLE_COUNT,
    TASK_LENDER,
    TASK_MM,
    TASK_WAITS,
    TOP,
    TOUCHES,
    USER_PAGES,
    VMA_END,
    VMA_SHIFT,
    VMA_START,
)
from simcore.jit import behind, entry, jit, pointer

if TYPE_CHECKING:
    from simcore.events import IntArray

EVENT_WORDS = EVENT_DTYPE.itemsize >> 3
GROW, OVERRUN, RARE = -1, -2, -3
MMAP, MUNMAP, READ, WRITE = Op.MMAP.value, Op.MUNMAP.value, Op.READ.value, Op.WRITE.value
FORK, VFORK, EXEC, EXIT = Op.FORK.value, Op.VFORK.value, Op.EXEC.value, Op.EXIT.value
MPROTECT, DONTNEED = Op.MPROTECT.value, Op.DONTNEED.value
RECLAIM = Op.RECLAIM.value
FIRST_RARE = MPROTECT  # operations from here on are done by run_any


@entry
def begin(heap: IntArray) -> None:
    """Give task 0 an empty mm; that and its pgd are there before the trace begins, so no act is counted."""
    h = pointer(heap)
    h[task_record(h, 0) + TASK_MM] = new_mm(h)
    clear_acts(h)
    sample(h)


@entry
def run(  # noqa: C901, PLR0912, PLR0915 - one branch an operation
    heap: IntArray, trace: tuple[IntArray, IntArray, IntArray, IntArray], start: int, stop: int
) -> tuple[int, int]:
    """Run events [start, stop); returns (status, event): DONE, GROW, RARE, OVERRUN or a Refusal.

    With GROW the heap is short of room and nothing of the event has happened yet; NEEDED says what it takes. With
    RARE nothing has happened either; ``run_any`` does such events. With a Refusal nothing of the event will happen.
    OVERRUN means that an event took more than NEEDED said: we are wrong, and memory behind the heap was written.
    """
    h, events, pages = pointer(heap), pointer(trace[0]), pointer(trace[1])
    image_rows, image_starts = pointer(trace[2]), pointer(trace[3])
    at = start
    while at < stop:
        event = behind(events, at * EVENT_WORDS)
        op, task = event[0], event[1]
        if op >= FIRST_RARE:
            return RARE, at
        status = refusal(h, event, pages)
        if status == DONE and short_of_room(h, event, image_starts):
            status = GROW
        if status != DONE:
            return status, at
        mm = mm_of(h, task)
        waited = h[mm + MM_PENDING]
        if waited:
            _run_first(h, mm)
        if op != FORK:
            note(h, mm)
        if op in (READ, WRITE):
            h[TOUCHES] += event[3]
            h[LAST_VECTOR] = 0
            touch(h, mm, event, pages)
            if h[LAST_VECTOR] == 0 and not waited:  # no page faulted
                at += 1
                continue
        elif op in (EXEC, EXIT):
            _leave(h, task, op)
            if op == EXEC:
                _exec(h, task, (image_rows, image_starts), event[5])
                record(h, KIND_EXEC, 1)
            if h[PAIR]:
                end_pair(h)
        elif op == FORK:
            leave = behind(event, EVENT_WORDS)
            paired = at + 1 < stop and is_pair(h, event, leave)
            if paired and is_known(h, mm, leave) and not short_of_room(h, leave, image_starts):
                count_fork(h, mm)
                if leave[0] == EXEC:
                    _new_task(h, event[5], new_mm(h), 0)
                    _exec(h, event[5], (image_rows, image_starts), leave[5])
                    clear_acts(h)
                count_leave(h, mm)
                at += 1
            else:
                _fork(h, mm, event, leave, paired)
        elif op == MMAP:
            h[MMAPS] += 1
            _map_vma(h, mm, event)
            record(h, KIND_MMAP, 1)
        elif op == MUNMAP:
            h[MUNMAPS] += 1
            take_away(h, mm, event[2], event[2] + event[3], UNMAP)
            _flush_zapped(h)
            record(h, KIND_MUNMAP, 1)
        else:
            _vfork(h, task, event[5])
        if h[TOP] > h[SIZE]:
            return OVERRUN, at
        sample(h)
        at += 1
    return DONE, stop


@entry
def run_any(
    heap: IntArray, trace: tuple[IntArray, IntArray, IntArray, IntArray], start: int, stop: int
) -> tuple[int, int]:
    """Run events [start, stop) of a trace that holds rarer ones; returns what ``run`` does, never RARE.

    Apart from ``run`` so that traces without such events need not wait for its compilation.
    """
    h, events, at = pointer(heap), pointer(trace[0]), start
    while at < stop:
        status, at = run(heap, trace, at, stop)
        if status != RARE:
            return status, at
        event = behind(events, at * EVENT_WORDS)
        status = refusal(h, event, events)
        if status == DONE and short_of_room(h, event, events):
            status = GROW
        if status != DONE:
            return status, at
        if event[0] == RECLAIM:
            note(h, 0)
            h[RECLAIMS] += 1
            reclaim(h, event[3])
            record(h, KIND_RECLAIM, 1)
        else:
            mm = mm_of(h, event[1])
            note(h, mm)
            if h[mm + MM_PENDING]:
                _run_first(h, mm)
            _change_mm(h, mm, event)
        if h[TOP] > h[SIZE]:
            return OVERRUN, at
        sample(h)
        at += 1
    return DONE, stop


@jit
def _run_first(h: IntArray, mm: int) -> None:
    """Let a child that runs for the first time copy what fork left to it."""
    copy_deferred(h, mm)
    if h[LEAF_UNSHARED] > 0 or h[LEAF_REUSED] > 0:
        record(h, KIND_DEFERRED_COPY, 1)


@jit
def _change_mm(h: IntArray, mm: int, event: IntArray) -> None:
    """Discard, protect, or extend a stack."""
    op, start, end = event[0], event[2], event[2] + event[3]
    if op == DONTNEED:
        h[MADVISES] += 1
        take_away(h, mm, start, end, DISCARD)
        _flush_zapped(h)
        record(h, KIND_MADVISE, 1)
    elif op == MPROTECT:
        h[MPROTECTS] += 1
        protect(h, mm, start, end, event[5])
        if h[CHANGED_MPROTECT] > 0:
            flush(h, TLB_RANGE, 1)
        record(h, KIND_MPROTECT, 1)
    else:
        h[STACK_GROWS] += 1
        vma = vma_from(h, mm, start)
        _separate_span(h, mm, vma, start, h[vma + VMA_START])
        move_start(h, vma, start)
        record(h, KIND_STACK_GROW, 1)


@jit
def _flush_zapped(h: IntArray) -> None:
    """Flush a range if ptes were cleared or a table was left."""
    if h[ZAPPED] > 0 or h[LEAF_DROPPED] > 0:
        flush(h, TLB_RANGE, 1)


@jit
def _map_vma(h: IntArray, mm: int, row: IntArray) -> None:
    """Add the vma of an MMAP row; linked tables it touches are unshared, or its pages would appear in other mms."""
    vma = new_vma(h, row)
    _separate_span(h, mm, vma, h[vma + VMA_START], h[vma + VMA_END])
    insert(h, mm, vma)


@jit
def _separate_span(h: IntArray, mm: int, vma: int, start: int, end: int) -> None:
    """Before pages [start, end) become part of a vma: leave nobody else with the linked tables that hold them."""
    shift = h[vma + VMA_SHIFT]
    for place in range(number_of(h, start) - shift, number_of(h, end - 1) - shift + 1):
        table = h[mm + MM_SLOTS + place] >> 1
        if table and h[table + TABLE_COUNT] > 1:
            separate(h, mm, place)


@jit
def _fork(h: IntArray, parent: int, event: IntArray, leave: IntArray, paired: bool) -> None:  # noqa: FBT001 - numba takes no keywords
    """Make a child with an mm of its own; ``paired`` says that the next event, ``leave``, is its exec or exit."""
    if paired:
        begin_pair(h, parent, leave)
    note(h, 0)
    h[FORKS] += 1
    child = fork_mm(h, parent)
    h[parent + MM_KIN] = 1
    h[child + MM_KIN] = 1
    _new_task(h, event[5], child, 0)
    flush(h, TLB_MM, 1)
    record(h, KIND_FORK, 1)
    if paired:
        half_pair(h)


@jit
def _vfork(h: IntArray, parent: int, task: int) -> None:
    """Make a child that borrows the parent's mm; the parent waits."""
    h[VFORKS] += 1
    h[task_record(h, parent) + TASK_WAITS] = 1
    _new_task(h, task, mm_of(h, parent), parent + 1)
    record(h, KIND_VFORK, 1)


@jit
def _new_task(h: IntArray, task: int, mm: int, lender: int) -> None:
    """Give life to a task number; ``lender`` is one more than the parent's if the mm is borrowed, else 0."""
    h[task_record(h, task) + TASK_MM] = mm
    h[task_record(h, task) + TASK_LENDER] = lender
    h[task_record(h, task) + TASK_WAITS] = 0


@jit
def _leave(h: IntArray, task: int, op: int) -> None:
    """Let an exec or exit tear the task's mm down, or give it back if it was borrowed; exec makes the new one first.

    Until the old mm is gone the task names it, so that it is found when mms are searched.
    """
    record_at = task_record(h, task)
    mm = new_mm(h) if op == EXEC else 0
    lender = h[record_at + TASK_LENDER]
    if lender:
        h[task_record(h, lender - 1) + TASK_WAITS] = 0
        h[record_at + TASK_LENDER] = 0
    else:
        old = h[record_at + TASK_MM]
        take_away(h, old, 0, h[USER_PAGES], UNMAP_ALL)
        free_mm(h, old)
        flush(h, TLB_MM, 1)
    h[record_at + TASK_MM] = mm
    if op == EXIT:
        h[EXITS] += 1
        record(h, KIND_EXIT, 1)


@jit
def _exec(h: IntArray, task: int, images: tuple[IntArray, IntArray], image: int) -> None:
    """Map the vmas of an image into the new mm of a task. ``images``: MMAP rows, and the first row of each image."""
    h[EXECS] += 1
    mm = mm_of(h, task)
    for row in range(images[1][image], images[1][image + 1]):
        insert(h, mm, new_vma(h, behind(images[0], row * EVENT_WORDS)))
