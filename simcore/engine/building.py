"""Building mms that were left unbuilt: their steps are done again, and nothing is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.count import clear_acts
from simcore.engine.forks import fork_mm
from simcore.engine.lives import note_kin, save_levels
from simcore.engine.refusals import DONE
from simcore.engine.room import short_of_room
from simcore.engine.verbs import do_event, do_rarer_event, map_image, run_first
from simcore.events import EVENT_WORDS, Op
from simcore.heap import (
    BUILDING,
    MM_BUILT,
    MM_PENDING,
    MM_STEP,
    N_LEVELS,
    NOW,
    SAVED,
    SILENT,
    STAMP,
    STEP_EVENT,
    STEP_MM,
    STEP_ROOT,
    STEP_SCORE,
    STEP_STAMP,
    STEP_UP,
    STEP_WAY,
    TOUCHES,
    UNBUILT,
)
from simcore.jit import behind
from simcore.units import unit

if TYPE_CHECKING:
    from simcore.events import IntArray

GROW, OVERRUN, RARE = -1, -2, -3  # what the loop returns beside DONE and a Refusal
FIRST_RARE = Op.MPROTECT.value  # operations from here on are done by run_any


@unit
def build(h: IntArray, mm: int, trace: tuple[IntArray, IntArray, IntArray, IntArray]) -> int:
    """Build an unbuilt mm; returns DONE, GROW if the heap is short of room, or RARE.

    With either it is built in part, and can be built on: with more room, or behind a step that ``build_rarer`` does.
    """
    _find_way(h, mm)
    target = h[mm + MM_STEP]
    root = h[target + STEP_ROOT]
    save_levels(h)
    touches = h[TOUCHES]
    h[SILENT] = 0
    status = DONE
    if h[mm + MM_BUILT] == 0:
        event = behind(trace[0], h[root + STEP_EVENT] * EVENT_WORDS)
        parent = h[root + STEP_MM]
        if short_of_room(h, parent or mm, event, trace[3]):
            status = GROW
        elif parent:
            fork_mm(h, parent, mm)
        else:
            map_image(h, mm, (trace[2], trace[3]), event[5])
            h[root + STEP_SCORE] -= 1
        if status == DONE:
            h[mm + MM_BUILT] = root
            clear_acts(h)
    while status == DONE and h[mm + MM_BUILT] != target:
        step = h[h[mm + MM_BUILT] + STEP_WAY]
        event = behind(trace[0], h[step + STEP_EVENT] * EVENT_WORDS)
        if event[0] >= FIRST_RARE:
            h[BUILDING] = mm
            status = RARE
        elif short_of_room(h, mm, event, trace[3]):
            status = GROW
        else:
            if h[mm + MM_PENDING]:
                run_first(h, mm)
            do_event(h, mm, event, trace[1])
            h[mm + MM_BUILT] = step
    _be_heard(h, touches)
    _end_building(h, mm)
    return status


@unit
def build_rarer(h: IntArray, trace: tuple[IntArray, IntArray, IntArray, IntArray]) -> int:
    """Do the one step for which ``build`` returned RARE; returns DONE, or GROW if the heap is short of room."""
    mm = h[BUILDING]
    step = h[h[mm + MM_BUILT] + STEP_WAY]
    event = behind(trace[0], h[step + STEP_EVENT] * EVENT_WORDS)
    if short_of_room(h, mm, event, trace[3]):
        return GROW
    save_levels(h)
    touches = h[TOUCHES]
    h[SILENT] = 0
    if h[mm + MM_PENDING]:
        run_first(h, mm)
    do_rarer_event(h, mm, event)
    h[mm + MM_BUILT] = step
    h[BUILDING] = 0
    _be_heard(h, touches)
    _end_building(h, mm)
    return DONE


@unit
def _end_building(h: IntArray, mm: int) -> None:
    """Let a forked child that is built now be one like others."""
    root = h[h[mm + MM_STEP] + STEP_ROOT]
    if h[root + STEP_MM] and h[mm + MM_BUILT] == h[mm + MM_STEP]:
        h[UNBUILT] = 0
        note_kin(h, mm)
        h[root + STEP_STAMP] = h[STAMP]


@unit
def _be_heard(h: IntArray, touches: int) -> None:
    """End the silence: the levels are those that were counted, and acts begin with zeroes."""
    for level in range(N_LEVELS):
        h[NOW + level] = h[SAVED + level]
    h[TOUCHES] = touches
    h[SILENT] = -1
    clear_acts(h)


@unit
def _find_way(h: IntArray, mm: int) -> None:
    """Let each step from the root on know which one follows on the way that an mm has come."""
    step = h[mm + MM_STEP]
    while h[step + STEP_UP]:
        h[h[step + STEP_UP] + STEP_WAY] = step
        step = h[step + STEP_UP]
