"""Why an event cannot happen. Everything is looked at before the first write, so that a refused event leaves no trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.records import task_record
from simcore.engine.vmas import find_vma, is_mapped, overlaps, vma_from
from simcore.errors import Refusal
from simcore.events import STACK_GROWTH_PAGES, Op
from simcore.heap import (
    STACK,
    TASK_LENDER,
    TASK_MM,
    TASK_WAITS,
    THP,
    VMA_END,
    VMA_KIND,
    VMA_START,
    VMA_WRITABLE,
)
from simcore.jit import jit
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray

DONE = 0
READ, WRITE, FORK, VFORK = Op.READ.value, Op.WRITE.value, Op.FORK.value, Op.VFORK.value
EXEC, EXIT, MMAP = Op.EXEC.value, Op.EXIT.value, Op.MMAP.value
MPROTECT, GROW, RECLAIM = Op.MPROTECT.value, Op.GROW.value, Op.RECLAIM.value
NO_SUCH_TASK, TASK_ALIVE = Refusal.NO_SUCH_TASK.value, Refusal.TASK_ALIVE.value
OVERLAP, NOT_MAPPED = Refusal.OVERLAP.value, Refusal.NOT_MAPPED.value
NOT_WRITABLE, NO_STACK = Refusal.NOT_WRITABLE.value, Refusal.NO_STACK.value
BORROWS, WAITS = Refusal.BORROWS.value, Refusal.WAITS.value
HUGE_PAGES = Refusal.HUGE_PAGES.value


@jit
def mm_of(h: IntArray, task: int) -> int:
    """Return a task's mm, 0 if there is no such task."""
    return h[task_record(h, task) + TASK_MM]


@unit
def refusal(h: IntArray, event: IntArray, pages: IntArray) -> int:  # noqa: PLR0911 - one line a reason
    """Return why an event cannot happen, DONE if it can; looks, changes nothing."""
    op = event[0]
    if op == RECLAIM:
        return HUGE_PAGES if h[THP] else DONE
    record = task_record(h, event[1])
    mm = h[record + TASK_MM]
    if mm == 0:
        return NO_SUCH_TASK
    if h[record + TASK_WAITS] == 1:
        return WAITS
    if op in (READ, WRITE):
        return _touch_refusal(h, mm, event, pages)
    if op in (EXEC, EXIT):
        return DONE
    if h[record + TASK_LENDER]:
        return BORROWS
    if op in (FORK, VFORK):
        return TASK_ALIVE if mm_of(h, event[5]) else DONE
    return _change_refusal(h, mm, event)


@jit
def _change_refusal(h: IntArray, mm: int, event: IntArray) -> int:
    """Return why an mm's vmas cannot be changed as an event wants."""
    op, start, end = event[0], event[2], event[2] + event[3]
    if op == MMAP and overlaps(h, mm, start, end):
        return OVERLAP
    if op == MPROTECT and not is_mapped(h, mm, start, end):
        return NOT_MAPPED
    if op == GROW:
        above = vma_from(h, mm, start)
        if above and h[above + VMA_START] <= start:
            return OVERLAP
        near = above and h[above + VMA_START] - start <= STACK_GROWTH_PAGES
        return DONE if near and h[above + VMA_KIND] == STACK else NO_STACK
    return DONE


@jit
def _touch_refusal(h: IntArray, mm: int, event: IntArray, pages: IntArray) -> int:
    """Return why some page of a read or write cannot be touched; the first in order decides."""
    start, count, stride = event[2], event[3], event[4]
    if stride == 0:
        return _list_refusal(h, mm, event, pages)
    vma = vma_from(h, mm, start)
    while count > 0:
        if vma and start >= h[vma + VMA_END]:
            vma = vma_from(h, mm, start)
        if vma == 0 or start < h[vma + VMA_START]:
            return NOT_MAPPED
        if event[0] == WRITE and h[vma + VMA_WRITABLE] == 0:
            return NOT_WRITABLE
        inside = h[vma + VMA_END] - start
        if stride > 1:
            inside = (inside + stride - 1) // stride
        start += inside * stride
        count -= inside
    return DONE


@jit
def _list_refusal(h: IntArray, mm: int, event: IntArray, pages: IntArray) -> int:
    """Return why some listed page cannot be touched."""
    vma = 0
    for at in range(event[2], event[2] + event[3]):
        vpn = pages[at]
        if vma == 0 or vpn < h[vma + VMA_START] or vpn >= h[vma + VMA_END]:
            vma = find_vma(h, mm, vpn)
            if vma == 0:
                return NOT_MAPPED
            if event[0] == WRITE and h[vma + VMA_WRITABLE] == 0:
                return NOT_WRITABLE
    return DONE
