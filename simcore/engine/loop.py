"""The loop over events: may it happen, is there room for it, do it, sample the levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.arena import give
from simcore.engine.building import FIRST_RARE, GROW, OVERRUN, RARE, build, build_rarer
from simcore.engine.count import (
    EXECS,
    EXITS,
    FORKS,
    KIND_EXEC,
    KIND_EXIT,
    KIND_FORK,
    KIND_RECLAIM,
    KIND_VFORK,
    RECLAIMS,
    TLB_MM,
    VFORKS,
    VMAS_MAPPED,
    clear_acts,
    flush,
    record,
    sample,
)
from simcore.engine.forks import fork_mm
from simcore.engine.lives import (
    count_step,
    end_life,
    forget_round,
    is_round,
    is_unbuilt,
    learn,
    learn_fork,
    life_of,
    next_step,
    note_kin,
    save_levels,
)
from simcore.engine.reclaiming import reclaim
from simcore.engine.records import free_mm, new_mm, take_mm, task_record
from simcore.engine.refusals import DONE, mm_of, refusal
from simcore.engine.room import short_of_room
from simcore.engine.verbs import do_event, do_rarer_event, map_image, run_first
from simcore.engine.zap import UNMAP_ALL, take_away
from simcore.events import EVENT_WORDS, Op
from simcore.heap import (
    BUILDING,
    LOGGED,
    MM,
    MM_BUILT,
    MM_KIN,
    MM_PENDING,
    MM_ROUND,
    MM_STEP,
    SIZE,
    STAMP,
    STEP_EVENT,
    STEP_FIRST,
    STEP_MM,
    STEP_ROOT,
    STEP_RUNNER,
    STEP_SCORE,
    TASK_LENDER,
    TASK_MM,
    TASK_WAITS,
    TASKS,
    TOP,
    TOUCHES,
    UNBUILT,
    USER_PAGES,
)
from simcore.jit import behind, entry, jit, pointer
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray

READ, WRITE, FORK, VFORK = Op.READ.value, Op.WRITE.value, Op.FORK.value, Op.VFORK.value
EXEC, EXIT, RECLAIM = Op.EXEC.value, Op.EXIT.value, Op.RECLAIM.value


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
    h, events = pointer(heap), pointer(trace[0])
    parts = (events, pointer(trace[1]), pointer(trace[2]), pointer(trace[3]))
    at = start
    while at < stop:
        event = behind(events, at * EVENT_WORDS)
        op, task = event[0], event[1]
        mm = 0 if op == RECLAIM else mm_of(h, task)
        found = 0
        if mm and h[mm + MM_STEP]:
            found = next_step(h, mm, event, events, parts[1])
            if is_unbuilt(h, mm):
                if found:
                    _count(h, mm, event, found, parts)
                    at += 1
                    continue
                status = build(h, mm, parts)
                if status != DONE:
                    return status, at
        if op >= FIRST_RARE:
            return RARE, at
        status = refusal(h, event, parts[1])
        if status == DONE:
            status = _make_way(h, mm, event, parts)
        if status != DONE:
            return status, at
        step = h[mm + MM_STEP]
        if step or op == FORK:  # what may become a step
            save_levels(h)
        h[LOGGED] = 0
        if h[mm + MM_PENDING]:
            run_first(h, mm)
        if op == FORK:
            if is_round(h, mm):
                _count_fork(h, mm, event[5])
            else:
                _fork(h, mm, event[5], at)
        elif op == VFORK:
            _vfork(h, task, event[5])
        else:
            note_kin(h, mm)
            if op in (EXEC, EXIT):
                _leave(h, task, op)
                if op == EXEC:
                    _begin_life(h, mm_of(h, task), event[5], at, parts)
                    record(h, KIND_EXEC, 1)
                mm = 0
            else:
                do_event(h, mm, event, parts[1])
            if step:
                learn(h, mm, step, found, at)
            if h[LOGGED] == 0:  # no page faulted
                at += 1
                continue
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
    parts = (events, pointer(trace[1]), pointer(trace[2]), pointer(trace[3]))
    while at < stop:
        status, at = run(heap, trace, at, stop)
        if status != RARE:
            return status, at
        event = behind(events, at * EVENT_WORDS)
        if h[BUILDING]:
            status = build_rarer(h, parts)
            if status != DONE:
                return status, at
            continue
        mm = 0 if event[0] == RECLAIM else mm_of(h, event[1])
        status = refusal(h, event, events)
        if status == DONE:
            status = _make_way(h, mm, event, parts)
        if status == RARE:
            continue
        if status != DONE:
            return status, at
        h[LOGGED] = 0
        if event[0] == RECLAIM:
            h[RECLAIMS] += 1
            reclaim(h, event[3])
            record(h, KIND_RECLAIM, 1)
        else:
            _run_rarer(h, mm, event, parts, at)
        if h[TOP] > h[SIZE]:
            return OVERRUN, at
        sample(h)
        at += 1
    return DONE, stop


@jit
def _run_rarer(
    h: IntArray, mm: int, event: IntArray, trace: tuple[IntArray, IntArray, IntArray, IntArray], at: int
) -> None:
    """Discard, protect, or extend a stack, after what a first run of the task takes."""
    step = h[mm + MM_STEP]
    found = next_step(h, mm, event, trace[0], trace[1]) if step else 0
    save_levels(h)
    note_kin(h, mm)
    if h[mm + MM_PENDING]:
        run_first(h, mm)
    do_rarer_event(h, mm, event)
    if step:
        learn(h, mm, step, found, at)


@entry
def settle(heap: IntArray, trace: tuple[IntArray, IntArray, IntArray, IntArray]) -> int:
    """Build every mm that is unbuilt, so that the state can be seen; returns DONE, GROW or RARE as ``build`` does."""
    h = pointer(heap)
    parts = (pointer(trace[0]), pointer(trace[1]), pointer(trace[2]), pointer(trace[3]))
    for task in range(h[TASKS]):
        mm = mm_of(h, task)
        if mm and is_unbuilt(h, mm):
            status = build(h, mm, parts)
            if status != DONE:
                return status
    return DONE


@entry
def settle_any(heap: IntArray, trace: tuple[IntArray, IntArray, IntArray, IntArray]) -> int:
    """Do what ``settle`` does for a trace that holds rarer events; returns DONE or GROW."""
    h = pointer(heap)
    parts = (pointer(trace[0]), pointer(trace[1]), pointer(trace[2]), pointer(trace[3]))
    status = settle(heap, trace)
    while status == RARE:
        status = build_rarer(h, parts)
        if status == DONE:
            status = settle(heap, trace)
    return status


@unit
def _make_way(
    h: IntArray, mm: int, event: IntArray, trace: tuple[IntArray, IntArray, IntArray, IntArray]
) -> int:
    """Before an event of an mm: build the unbuilt child if it is kin, see that there is room; returns DONE or GROW."""
    if h[UNBUILT] and (event[0] == FORK or h[mm + MM_KIN]):
        status = build(h, h[UNBUILT], trace)
        if status != DONE:
            return status
    return GROW if short_of_room(h, mm, event, trace[3]) else DONE


@unit
def _count(
    h: IntArray,
    mm: int,
    event: IntArray,
    step: int,
    trace: tuple[IntArray, IntArray, IntArray, IntArray],
) -> None:
    """Count an event that is a known step of an unbuilt mm."""
    op = event[0]
    count_step(h, step)
    if op in (READ, WRITE):
        h[TOUCHES] += event[3]
    if op not in (EXEC, EXIT):
        h[mm + MM_STEP] = step
        return
    root = h[step + STEP_ROOT]
    if h[root + STEP_MM]:
        h[UNBUILT] = 0
        h[root + STEP_RUNNER] = 0
        h[mm + MM_KIN] = 0
    else:
        h[root + STEP_SCORE] += 1
    h[mm + MM_STEP] = 0
    h[mm + MM_BUILT] = 0
    if op == EXIT:
        give(h, MM, mm)
        h[task_record(h, event[1]) + TASK_MM] = 0
    else:
        _begin_life(h, mm, event[5], h[step + STEP_EVENT], trace)
        clear_acts(h)


@jit
def _begin_life(
    h: IntArray, mm: int, image: int, at: int, trace: tuple[IntArray, IntArray, IntArray, IntArray]
) -> None:
    """Map an image into a new mm, or leave it unbuilt if it is known how lives with the image go on.

    ``at``: an event that execs it.
    """
    root = life_of(h, image, at)
    h[mm + MM_STEP] = root
    if root and h[root + STEP_FIRST] and h[root + STEP_SCORE] >= 0:
        h[EXECS] += 1
        h[VMAS_MAPPED] += trace[3][image + 1] - trace[3][image]
        return
    map_image(h, mm, (trace[2], trace[3]), image)
    h[mm + MM_BUILT] = root
    if root and h[root + STEP_SCORE] < 0:
        h[root + STEP_SCORE] += 1


@jit
def _count_fork(h: IntArray, parent: int, task: int) -> None:
    """Count a fork that costs what the last one did, and leave the child unbuilt."""
    root = h[parent + MM_ROUND]
    count_step(h, root)
    child = take_mm(h)
    h[child + MM_STEP] = root
    h[child + MM_KIN] = 1
    h[root + STEP_RUNNER] = child
    h[UNBUILT] = child
    _new_task(h, task, child, 0)


@jit
def _fork(h: IntArray, parent: int, task: int, at: int) -> None:
    """Make a child with an mm of its own."""
    stamp = h[STAMP]
    h[STAMP] += 1
    h[FORKS] += 1
    child = new_mm(h)
    fork_mm(h, parent, child)
    h[parent + MM_KIN] = 1
    h[child + MM_KIN] = 1
    _new_task(h, task, child, 0)
    flush(h, TLB_MM, 1)
    record(h, KIND_FORK, 1)
    learn_fork(h, parent, child, stamp, at)


@jit
def _vfork(h: IntArray, parent: int, task: int) -> None:
    """Make a child that borrows the parent's mm; the parent waits."""
    h[VFORKS] += 1
    end_life(h, mm_of(h, parent))
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
        forget_round(h, old)
        take_away(h, old, 0, h[USER_PAGES], UNMAP_ALL)
        free_mm(h, old)
        flush(h, TLB_MM, 1)
    h[record_at + TASK_MM] = mm
    if op == EXIT:
        h[EXITS] += 1
        record(h, KIND_EXIT, 1)
