"""The loop over events: may it happen, is there room for it, do it, sample the levels."""

from __future__ import annotations

from simcore.engine.count import (
    EXECS,
    EXITS,
    FORKS,
    KIND_EXEC,
    KIND_EXIT,
    KIND_FORK,
    KIND_MMAP,
    KIND_MUNMAP,
    KIND_VFORK,
    LEAF_DROPPED,
    MMAPS,
    MUNMAPS,
    N_ACTS,
    TLB_MM,
    TLB_RANGE,
    VFORKS,
    ZAPPED,
    flush,
    record,
    sample,
)
from simcore.engine.faults import touch
from simcore.engine.records import free_mm, new_mm, task_record, upper_tables, upper_word
from simcore.engine.tables import copy_tables, link_tables
from simcore.engine.vmas import copy_vmas, find_vma, map_vma, overlaps, unmap
from simcore.errors import Refusal
from simcore.events import IntArray, Op
from simcore.heap import (
    ACTS_AT,
    FRAME,
    LINKS,
    MM,
    MM_POPULATED,
    MM_VMAS,
    NEEDED,
    NOW_CHARGED,
    PLACES,
    SIZE,
    TABLE,
    TASK_LENDER,
    TASK_MM,
    TASK_WAITS,
    TOP,
    UPPERS,
    USER_PAGES,
    VECTOR,
    VMA,
    VMA_END,
    VMA_START,
    VMA_WRITABLE,
    WORDS,
)
from simcore.jit import jit

DONE, GROW, OVERRUN = 0, -1, -2
MMAP, MUNMAP, READ, WRITE = Op.MMAP.value, Op.MUNMAP.value, Op.READ.value, Op.WRITE.value
FORK, VFORK, EXEC, EXIT = Op.FORK.value, Op.VFORK.value, Op.EXEC.value, Op.EXIT.value
NO_SUCH_TASK, TASK_ALIVE = Refusal.NO_SUCH_TASK.value, Refusal.TASK_ALIVE.value
OVERLAP, NOT_MAPPED, NOT_WRITABLE = (
    Refusal.OVERLAP.value,
    Refusal.NOT_MAPPED.value,
    Refusal.NOT_WRITABLE.value,
)
BORROWS, WAITS = Refusal.BORROWS.value, Refusal.WAITS.value
# Distinct act vectors that the faults of one event can have besides one for each table made or unshared:
# fault class x new or known file page x zeroed or copied, generously.
_PLAIN_VECTORS = 32


@jit
def begin(h: IntArray) -> None:
    """Give task 0 an empty mm; that and its pgd are there before the trace begins, so no act is counted."""
    h[task_record(h, 0) + TASK_MM] = new_mm(h)
    h[ACTS_AT : ACTS_AT + N_ACTS] = 0
    sample(h)


@jit
def run(
    h: IntArray, trace: tuple[IntArray, IntArray, IntArray, IntArray], start: int, stop: int
) -> tuple[int, int]:
    """Run events [start, stop); returns (status, event): DONE, GROW (the heap is short of room), OVERRUN or a Refusal.

    With GROW nothing of the event has happened yet; NEEDED says what it takes. With a Refusal nothing of it will.
    OVERRUN means that an event took more than NEEDED said: we are wrong, and memory behind the heap was written.
    """
    events, pages, image_rows, image_starts = trace
    for at in range(start, stop):
        event = events[at]
        status = refusal(h, event, pages)
        if status == DONE and short_of_room(h, event, image_starts):
            status = GROW
        if status != DONE:
            return status, at
        happen(h, event, pages, image_rows, image_starts)
        if h[TOP] > h[SIZE]:
            return OVERRUN, at
        sample(h)
    return DONE, stop


@jit
def refusal(h: IntArray, event: IntArray, pages: IntArray) -> int:  # noqa: PLR0911 - one line a reason
    """Return why an event cannot happen, DONE if it can; looks, changes nothing."""
    op, task = event[0], event[1]
    mm = mm_of(h, task)
    if mm == 0:
        return NO_SUCH_TASK
    if h[task_record(h, task) + TASK_WAITS] == 1:
        return WAITS
    if h[task_record(h, task) + TASK_LENDER] and op in (MMAP, MUNMAP, FORK, VFORK):
        return BORROWS
    if op in (FORK, VFORK) and mm_of(h, event[5]):
        return TASK_ALIVE
    if op == MMAP and overlaps(h, mm, event[2], event[2] + event[3]):
        return OVERLAP
    if op in (READ, WRITE):
        return touch_refusal(h, mm, event, pages)
    return DONE


@jit
def touch_refusal(h: IntArray, mm: int, event: IntArray, pages: IntArray) -> int:
    """Return why some page of a read or write cannot be touched; the first in order decides."""
    start, count, stride = event[2], event[3], event[4]
    vma = 0
    for step in range(count):
        vpn = pages[start + step] if stride == 0 else start + step * stride
        if vma == 0 or vpn < h[vma + VMA_START] or vpn >= h[vma + VMA_END]:
            vma = find_vma(h, mm, vpn)
            if vma == 0:
                return NOT_MAPPED
            if event[0] == WRITE and h[vma + VMA_WRITABLE] == 0:
                return NOT_WRITABLE
    return DONE


@jit
def short_of_room(h: IntArray, event: IntArray, image_starts: IntArray) -> bool:
    """Return whether the heap might not hold what an event takes; then NEEDED says how many words that is.

    Free records are not reckoned with, so the heap keeps at most one event's worst case to spare.
    """
    op, count = event[0], event[3]
    mm = mm_of(h, event[1])
    mms, vmas, tables, frames, vectors = 0, 0, 0, 0, 1
    if op in (READ, WRITE):
        # A write may need a page-cache frame and its private copy; each slot a new or an unshared table.
        tables = min(count, h[PLACES])
        frames = count * (2 if op == WRITE else 1)
        vectors = _PLAIN_VECTORS + 2 * tables
    elif op == FORK:
        mms, vmas = 1, h[mm + MM_VMAS]
        tables = 0 if h[LINKS] == 1 else h[mm + MM_POPULATED]
    elif op == EXEC:
        mms, vmas = 1, image_starts[event[5] + 1] - image_starts[event[5]]
    elif op in (MMAP, MUNMAP):
        vmas, tables = 1, min(h[mm + MM_POPULATED], count + 1)
    needed = mms * h[WORDS + MM] + vmas * h[WORDS + VMA] + tables * h[WORDS + TABLE]
    needed += frames * h[WORDS + FRAME] + vectors * h[WORDS + VECTOR]
    h[NEEDED] = needed
    return h[TOP] + needed > h[SIZE]


@jit
def mm_of(h: IntArray, task: int) -> int:
    """Return a task's mm, 0 if there is no such task."""
    return h[task_record(h, task) + TASK_MM]


@jit
def happen(
    h: IntArray, event: IntArray, pages: IntArray, image_rows: IntArray, image_starts: IntArray
) -> None:
    """Let an event that was looked at happen."""
    op, task = event[0], event[1]
    mm = mm_of(h, task)
    if op in (READ, WRITE):
        touch(h, mm, event, pages, op == WRITE)
    elif op == MMAP:
        h[MMAPS] += 1
        map_vma(h, mm, event)
        record(h, KIND_MMAP, 1)
    elif op == MUNMAP:
        _munmap(h, mm, event[2], event[2] + event[3])
    elif op == FORK:
        _fork(h, mm, event[5])
    elif op == VFORK:
        _vfork(h, task, event[5])
    elif op == EXEC:
        rows = image_rows[image_starts[event[5]] : image_starts[event[5] + 1]]
        _exec(h, task, rows)
    elif op == EXIT:
        h[EXITS] += 1
        h[task_record(h, task) + TASK_MM] = 0
        _let_go(h, task, mm)
        record(h, KIND_EXIT, 1)


@jit
def _munmap(h: IntArray, mm: int, start: int, end: int) -> None:
    """Take away the pages of a range."""
    h[MUNMAPS] += 1
    unmap(h, mm, start, end)
    if h[ZAPPED] > 0 or h[LEAF_DROPPED] > 0:
        flush(h, TLB_RANGE)
    record(h, KIND_MUNMAP, 1)


@jit
def _fork(h: IntArray, parent: int, task: int) -> None:
    """Make a child with an mm of its own: vmas, upper tables, then leaf tables copied or linked."""
    h[FORKS] += 1
    child = new_mm(h)
    copy_vmas(h, parent, child)
    for upper in range(h[UPPERS]):
        if h[upper_word(h, parent, upper)]:
            h[upper_word(h, child, upper)] = 1
            upper_tables(h, 1)
            h[NOW_CHARGED] += 1
    if h[LINKS] == 1:
        link_tables(h, parent, child)
    else:
        copy_tables(h, parent, child)
    _new_task(h, task, child, 0)
    flush(h, TLB_MM)
    record(h, KIND_FORK, 1)


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
def _exec(h: IntArray, task: int, rows: IntArray) -> None:
    """Give the task a new mm with the image's vmas; the old one is torn down, or given back to its lender."""
    h[EXECS] += 1
    old = mm_of(h, task)
    mm = new_mm(h)
    h[task_record(h, task) + TASK_MM] = mm
    _let_go(h, task, old)
    for row in range(rows.shape[0]):
        map_vma(h, mm, rows[row])
    record(h, KIND_EXEC, 1)


@jit
def _let_go(h: IntArray, task: int, mm: int) -> None:
    """Tear an mm down, or give it back if it was borrowed."""
    lender = h[task_record(h, task) + TASK_LENDER]
    if lender:
        h[task_record(h, lender - 1) + TASK_WAITS] = 0
        h[task_record(h, task) + TASK_LENDER] = 0
        return
    unmap(h, mm, 0, h[USER_PAGES])
    free_mm(h, mm)
    flush(h, TLB_MM)
