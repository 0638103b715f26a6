"""What processes do again and again is counted, not done: steps, and mms that are not built before they must be.

Shells, builds and servers start the same programs over and over, and most of those do the same as the last time. What
an event costs follows from the state of the mm that it happens to and, but for that, from nothing else as long as the
mm shares no table and no frame with another. So a *step* remembers what an event did to an mm in a known state: its
act vectors and how it changed the levels. Steps make a tree: below each the steps that followed it. A tree begins with

* the exec of an image: an mm like any other that this image was mapped in; or
* a fork by an mm that is as it was: nothing happened to it or its kin since the last child that it forked was gone.
  Here the tree is one branch, the last child's life up to its exec or exit, and one that has come out the same twice.

An mm whose next step is known need not exist: the step is counted, and its tables, frames and vmas are left *unbuilt*.
It is built, by doing its steps in silence, when something happens to it that is not known, or to the kin of a child.

Left out are traces in which others can change what a step costs: with reclaim, with shm objects, with tables shared
through files, or where ptes of file pages are counted. The first read of a file page fills the page cache and is no
step, nor is anything behind it; since pages stay in the cache, what once was a step remains one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.arena import give, take
from simcore.engine.count import sample
from simcore.events import EVENT_WORDS, Op
from simcore.heap import (
    LIVES,
    LOG_AT,
    LOG_MOST,
    LOGGED,
    MM_BUILT,
    MM_KIN,
    MM_ROUND,
    MM_STEP,
    N_LEVELS,
    NOW,
    NOW_CACHE,
    ROOTS_AT,
    SAVED,
    STAMP,
    STEP,
    STEP_BRANCHES,
    STEP_EVENT,
    STEP_FIRST,
    STEP_LEVELS,
    STEP_LOG,
    STEP_LOGGED,
    STEP_MM,
    STEP_NEXT,
    STEP_ROOT,
    STEP_ROUNDS,
    STEP_RUNNER,
    STEP_STAMP,
    STEP_UP,
    STEP_WORDS,
    STEPS,
    VECTOR_TIMES,
)
from simcore.jit import behind, jit
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray

READ, WRITE = Op.READ.value, Op.WRITE.value
MOST_STEPS = 1 << 13  # of all images together; a step has some 40 words
MOST_BRANCHES = 16  # steps that may follow one step, since they are searched one after another
ENOUGH = 2  # lives of children in a row that came out the same


@jit
def note_kin(h: IntArray, mm: int) -> None:
    """Note an event of an mm if it has kin: if it forked, or was forked and has not execed since."""
    if h[mm + MM_KIN]:
        h[STAMP] += 1


@jit
def is_unbuilt(h: IntArray, mm: int) -> bool:
    """Return whether some of what an mm's steps did is not in its tables yet."""
    return h[mm + MM_BUILT] != h[mm + MM_STEP]


@unit
def next_step(h: IntArray, mm: int, event: IntArray, events: IntArray, pages: IntArray) -> int:
    """Return the step that an event is for an mm that has come by known steps, 0 if it is none."""
    step = h[mm + MM_STEP]
    root = h[step + STEP_ROOT]
    if h[root + STEP_MM] and h[root + STEP_STAMP] != h[STAMP]:
        end_life(h, mm)  # something else happened to the kin
        return 0
    step = h[step + STEP_FIRST]
    while step and not _is_same(behind(events, h[step + STEP_EVENT] * EVENT_WORDS), event, pages):
        step = h[step + STEP_NEXT]
    return step


@jit
def _is_same(one: IntArray, other: IntArray, pages: IntArray) -> bool:
    """Return whether two events are the same but for their tasks."""
    differing = (one[0] ^ other[0]) | (one[3] ^ other[3]) | (one[4] ^ other[4])
    differing |= (one[5] ^ other[5]) | (one[6] ^ other[6]) | (one[7] ^ other[7])
    if differing:
        return False
    if one[2] == other[2]:
        return True
    if one[4] or (one[0] != READ and one[0] != WRITE):
        return False
    for page in range(one[3]):  # noqa: SIM110 - numba has no all()
        if pages[one[2] + page] != pages[other[2] + page]:
            return False
    return True


@jit
def count_step(h: IntArray, step: int) -> None:
    """Count what a step costs."""
    log = step + STEP_LOG
    for _ in range(h[step + STEP_LOGGED]):
        h[h[log] + VECTOR_TIMES] += h[log + 1]
        log += 2
    for level in range(N_LEVELS):
        h[NOW + level] += h[step + STEP_LEVELS + level]
    sample(h)


@jit
def save_levels(h: IntArray) -> None:
    """Remember the levels before an event that may become a step."""
    for level in range(N_LEVELS):
        h[SAVED + level] = h[NOW + level]


@jit
def life_of(h: IntArray, image: int, at: int) -> int:
    """Return the step that the exec of an image begins with, 0 if none is to be had. ``at``: an event that execs it."""
    if h[LIVES] == 0:
        return 0
    root = h[h[ROOTS_AT] + image]
    if root == 0 and h[STEPS] < MOST_STEPS:
        root = _new_step(h, 0, at)
        h[STEPS] += 1
        h[h[ROOTS_AT] + image] = root
    return root


@unit
def learn(h: IntArray, mm: int, step: int, found: int, at: int) -> None:
    """Note what an event did to an mm that had come to a step. ``mm``: 0 if it is gone; ``found``: the step, if known."""
    root = h[step + STEP_ROOT]
    if h[root + STEP_MM]:
        found = _learn_round(h, step, found, at)
        if h[root + STEP_RUNNER] and mm == 0:  # its exec or exit
            h[root + STEP_RUNNER] = 0
            h[root + STEP_ROUNDS] = h[root + STEP_ROUNDS] + 1 if found else 0
    elif found == 0 and _is_step(h) and h[STEPS] < MOST_STEPS and h[step + STEP_BRANCHES] < MOST_BRANCHES:
        h[STEPS] += 1
        found = _new_step(h, step, at)
        _write_down(h, found)
    if mm == 0:
        return
    if found:
        h[mm + MM_STEP] = found
        h[mm + MM_BUILT] = found
    else:
        end_life(h, mm)


@jit
def _learn_round(h: IntArray, step: int, found: int, at: int) -> int:
    """Note a step of a forked child; returns it, 0 if it cannot be one."""
    root = h[step + STEP_ROOT]
    h[root + STEP_STAMP] = h[STAMP]
    if not _is_step(h):
        return 0
    if found == 0:
        _free_below(h, step)
        found = _new_step(h, step, at)
        h[root + STEP_ROUNDS] = 0
    if _write_down(h, found):
        h[root + STEP_ROUNDS] = 0
    return found


@jit
def learn_fork(h: IntArray, parent: int, child: int, stamp: int, at: int) -> None:
    """Note what a fork did that was done, not counted. ``stamp``: as it was before the fork."""
    end_life(h, parent)
    if h[LIVES] == 0:
        return
    root = h[parent + MM_ROUND]
    if root == 0:
        root = _new_step(h, 0, at)
        h[root + STEP_MM] = parent
        h[parent + MM_ROUND] = root
    if h[root + STEP_RUNNER]:
        end_life(h, h[root + STEP_RUNNER])
    if not _is_step(h):
        h[root + STEP_ROUNDS] = 0
        return
    if _write_down(h, root) or h[root + STEP_STAMP] != stamp:
        h[root + STEP_ROUNDS] = 0
    h[root + STEP_STAMP] = h[STAMP]
    h[root + STEP_RUNNER] = child
    h[root + STEP_EVENT] = at
    h[child + MM_STEP] = root
    h[child + MM_BUILT] = root


@jit
def is_round(h: IntArray, parent: int) -> bool:
    """Return whether it is known what a fork by an mm costs now, and what its child will do most likely."""
    root = h[parent + MM_ROUND]
    if root == 0 or h[root + STEP_RUNNER]:
        return False
    return h[root + STEP_STAMP] == h[STAMP] and h[root + STEP_ROUNDS] >= ENOUGH


@jit
def end_life(h: IntArray, mm: int) -> None:
    """Follow a built mm no longer."""
    step = h[mm + MM_STEP]
    if step == 0:
        return
    root = h[step + STEP_ROOT]
    if h[root + STEP_MM]:
        h[root + STEP_RUNNER] = 0
        h[root + STEP_ROUNDS] = 0
    h[mm + MM_STEP] = 0
    h[mm + MM_BUILT] = 0


@jit
def forget_round(h: IntArray, mm: int) -> None:
    """Give back the steps of an mm's children; for an mm that is about to be freed."""
    root = h[mm + MM_ROUND]
    if root == 0:
        return
    if h[root + STEP_RUNNER]:
        end_life(h, h[root + STEP_RUNNER])
    _free_below(h, root)
    give(h, STEP, root)
    h[mm + MM_ROUND] = 0


@jit
def _free_below(h: IntArray, step: int) -> None:
    """Give back the one branch of steps that follows a step."""
    below = h[step + STEP_FIRST]
    h[step + STEP_FIRST] = 0
    while below:
        after = h[below + STEP_FIRST]
        give(h, STEP, below)
        below = after


@jit
def _new_step(h: IntArray, before: int, at: int) -> int:
    """Return a step that follows another one, 0 if it begins a tree."""
    step = take(h, STEP)
    for word in range(STEP_WORDS):
        h[step + word] = 0
    h[step + STEP_EVENT] = at
    h[step + STEP_ROOT] = step
    if before:
        h[step + STEP_ROOT] = h[before + STEP_ROOT]
        h[step + STEP_UP] = before
        h[step + STEP_NEXT] = h[before + STEP_FIRST]
        h[before + STEP_FIRST] = step
        h[before + STEP_BRANCHES] += 1
    return step


@jit
def _is_step(h: IntArray) -> bool:
    """Return whether what the current event did can be remembered: few act vectors, and no page new to the cache."""
    return h[LOGGED] <= LOG_MOST and h[NOW_CACHE] == h[SAVED + NOW_CACHE - NOW]


@jit
def _write_down(h: IntArray, step: int) -> bool:
    """Write what the current event did to a step; returns whether the step said otherwise."""
    differing = h[step + STEP_LOGGED] ^ h[LOGGED]
    h[step + STEP_LOGGED] = h[LOGGED]
    for word in range(2 * h[LOGGED]):
        differing |= h[step + STEP_LOG + word] ^ h[LOG_AT + word]
        h[step + STEP_LOG + word] = h[LOG_AT + word]
    for level in range(N_LEVELS):
        change = h[NOW + level] - h[SAVED + level]
        differing |= h[step + STEP_LEVELS + level] ^ change
        h[step + STEP_LEVELS + level] = change
    return differing != 0
