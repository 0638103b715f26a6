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
    TLB_MM,
    TLB_RANGE,
    VFORKS,
    ZAPPED,
    flush,
    record,
    sample,
)
from simcore.engine.faults import touch
from simcore.engine.pools import free_mm, new_mm, upper_tables
from simcore.engine.tables import copy_tables, link_tables
from simcore.engine.vmas import copy_vmas, find_vma, map_vma, overlaps, unmap
from simcore.errors import Refusal
from simcore.events import IntArray, Op
from simcore.jit import jit
from simcore.machine import (
    FRAMES,
    LINKS,
    MM_SLOTS,
    MM_VMAS,
    MMS,
    N_PLACES,
    N_UPPERS,
    NOW_CHARGED,
    POOL_FREE,
    POOL_SIZE,
    POOL_USED,
    TABLES,
    TASK_LENDER,
    TASK_MM,
    TASK_WAITS,
    USER_PAGES,
    VECTORS,
    VMA_END,
    VMA_START,
    VMA_WRITABLE,
    VMAS,
    Machine,
)

DONE, GROW = 0, -1
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
def run(m: Machine, trace: tuple[IntArray, IntArray, IntArray, IntArray], start: int, stop: int) -> tuple[int, int]:
    """Run events [start, stop); returns (status, event): DONE, GROW (a pool is short of room) or a Refusal.

    With GROW nothing of the event has happened yet; ``ask`` says what it needs. With a Refusal nothing of it will.
    """
    events, pages, image_rows, image_starts = trace
    for at in range(start, stop):
        event = events[at]
        status = refusal(m, event, pages)
        if status == DONE and short_of_room(m, event, image_starts):
            status = GROW
        if status != DONE:
            return status, at
        happen(m, event, pages, image_rows, image_starts)
        sample(m)
    return DONE, stop


@jit
def refusal(m: Machine, event: IntArray, pages: IntArray) -> int:
    """Return why an event cannot happen, DONE if it can; looks, changes nothing."""
    op, task = event[0], event[1]
    mm = m.task[task, TASK_MM]
    if mm < 0:
        return NO_SUCH_TASK
    if m.task[task, TASK_WAITS] == 1:
        return WAITS
    if m.task[task, TASK_LENDER] >= 0 and op in (MMAP, MUNMAP, FORK, VFORK):
        return BORROWS
    if op in (FORK, VFORK) and m.task[event[5], TASK_MM] >= 0:
        return TASK_ALIVE
    if op == MMAP and overlaps(m, mm, event[2], event[2] + event[3]):
        return OVERLAP
    if op in (READ, WRITE):
        return touch_refusal(m, mm, event, pages)
    return DONE


@jit
def touch_refusal(m: Machine, mm: int, event: IntArray, pages: IntArray) -> int:
    """Return why some page of a read or write cannot be touched; the first in order decides."""
    start, count, stride = event[2], event[3], event[4]
    vma = -1
    for step in range(count):
        vpn = pages[start + step] if stride == 0 else start + step * stride
        if vma < 0 or vpn < m.vma[vma, VMA_START] or vpn >= m.vma[vma, VMA_END]:
            vma = find_vma(m, mm, vpn)
            if vma < 0:
                return NOT_MAPPED
            if event[0] == WRITE and m.vma[vma, VMA_WRITABLE] == 0:
                return NOT_WRITABLE
    return DONE


@jit
def short_of_room(m: Machine, event: IntArray, image_starts: IntArray) -> bool:
    """Return whether some pool might not hold what an event needs; then ``ask`` says which, and how many."""
    op, count = event[0], event[3]
    mm = m.task[event[1], TASK_MM]
    places = min(count, m.conf[N_PLACES])
    if op in (READ, WRITE):
        # A write may need a page-cache frame and its private copy; each slot a new or an unshared table.
        short = _lacks(m, TABLES, places) or _lacks(m, FRAMES, count * (2 if op == WRITE else 1))
        return short or _lacks(m, VECTORS, _PLAIN_VECTORS + 2 * places)
    if op == FORK:
        copied = 0 if m.conf[LINKS] == 1 else m.mm[mm, MM_SLOTS]
        if _lacks(m, MMS, 1) or _lacks(m, VMAS, m.mm[mm, MM_VMAS]) or _lacks(m, TABLES, copied):
            return True
    if op == EXEC:
        rows = image_starts[event[5] + 1] - image_starts[event[5]]
        if _lacks(m, MMS, 1) or _lacks(m, VMAS, rows):
            return True
    if op in (MMAP, MUNMAP):
        unshared = min(m.mm[mm, MM_SLOTS], count + 1)
        if _lacks(m, VMAS, 1) or _lacks(m, TABLES, unshared):
            return True
    return _lacks(m, VECTORS, 1)


@jit
def _lacks(m: Machine, pool: int, needed: int) -> bool:
    """Return whether a pool has fewer than ``needed`` free numbers, and ask for them."""
    left = m.pool[pool, POOL_SIZE] - m.pool[pool, POOL_USED] + m.pool[pool, POOL_FREE]
    if left >= needed:
        return False
    m.ask[0] = pool
    m.ask[1] = needed
    return True


@jit
def happen(m: Machine, event: IntArray, pages: IntArray, image_rows: IntArray, image_starts: IntArray) -> None:
    """Let an event that was looked at happen."""
    op, task = event[0], event[1]
    mm = m.task[task, TASK_MM]
    if op in (READ, WRITE):
        touch(m, mm, event, pages, op == WRITE)
    elif op == MMAP:
        m.act[MMAPS] += 1
        map_vma(m, mm, event)
        record(m, KIND_MMAP)
    elif op == MUNMAP:
        _munmap(m, mm, event[2], event[2] + event[3])
    elif op == FORK:
        _fork(m, mm, event[5])
    elif op == VFORK:
        _vfork(m, task, event[5])
    elif op == EXEC:
        rows = image_rows[image_starts[event[5]] : image_starts[event[5] + 1]]
        _exec(m, task, rows)
    elif op == EXIT:
        m.act[EXITS] += 1
        m.task[task, TASK_MM] = -1
        _let_go(m, task, mm)
        record(m, KIND_EXIT)


@jit
def _munmap(m: Machine, mm: int, start: int, end: int) -> None:
    """Take away the pages of a range."""
    m.act[MUNMAPS] += 1
    unmap(m, mm, start, end)
    if m.act[ZAPPED] > 0 or m.act[LEAF_DROPPED] > 0:
        flush(m, TLB_RANGE)
    record(m, KIND_MUNMAP)


@jit
def _fork(m: Machine, parent: int, task: int) -> None:
    """Make a child with an mm of its own: vmas, upper tables, then leaf tables copied or linked."""
    m.act[FORKS] += 1
    child = new_mm(m)
    copy_vmas(m, parent, child)
    for upper in range(m.conf[N_UPPERS]):
        if m.upper[parent, upper] == 1:
            m.upper[child, upper] = 1
            upper_tables(m, 1)
            m.level[NOW_CHARGED] += 1
    if m.conf[LINKS] == 1:
        link_tables(m, parent, child)
    else:
        copy_tables(m, parent, child)
    _new_task(m, task, child, -1)
    flush(m, TLB_MM)
    record(m, KIND_FORK)


@jit
def _vfork(m: Machine, parent: int, task: int) -> None:
    """Make a child that borrows the parent's mm; the parent waits."""
    m.act[VFORKS] += 1
    m.task[parent, TASK_WAITS] = 1
    _new_task(m, task, m.task[parent, TASK_MM], parent)
    record(m, KIND_VFORK)


@jit
def _new_task(m: Machine, task: int, mm: int, lender: int) -> None:
    """Give life to a task number."""
    m.task[task, TASK_MM] = mm
    m.task[task, TASK_LENDER] = lender
    m.task[task, TASK_WAITS] = 0


@jit
def _exec(m: Machine, task: int, rows: IntArray) -> None:
    """Give the task a new mm with the image's vmas; the old one is torn down, or given back to its lender."""
    m.act[EXECS] += 1
    old = m.task[task, TASK_MM]
    mm = new_mm(m)
    m.task[task, TASK_MM] = mm
    _let_go(m, task, old)
    for row in range(rows.shape[0]):
        map_vma(m, mm, rows[row])
    record(m, KIND_EXEC)


@jit
def _let_go(m: Machine, task: int, mm: int) -> None:
    """Tear an mm down, or give it back if it was borrowed."""
    lender = m.task[task, TASK_LENDER]
    if lender >= 0:
        m.task[lender, TASK_WAITS] = 0
        m.task[task, TASK_LENDER] = -1
        return
    unmap(m, mm, 0, m.conf[USER_PAGES])
    free_mm(m, mm)
    flush(m, TLB_MM)
