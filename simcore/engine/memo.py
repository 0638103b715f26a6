"""A parent that forks and forks again while nothing else happens to it: each time costs what the last one did.

A shell starting commands, a daemon starting helpers: fork, and the child execs or exits at once. Such a pair of events
leaves everything as it was, but for what the first fork protects in the parent. So once two pairs in a row have cost
the same, and nothing that could matter happened since, the next one costs that again, and it is enough to count it.

What could matter is any event of an mm that has kin: one that forked, or was forked and has not execed since. Others
share no table and no frame with anybody. Where they do share something (tables through files, counts of ptes on file
pages), every event matters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.engine.arena import take
from simcore.engine.count import sample
from simcore.events import EVENT_DTYPE, Op
from simcore.heap import (
    CHAIN,
    DEFERRED,
    FILE_TABLES,
    FORK,
    LAST_VECTOR,
    MEMO,
    MEMO_FORK,
    MEMO_FORK_LEVELS,
    MEMO_IMAGE,
    MEMO_LEAVE,
    MEMO_LEAVE_LEVELS,
    MEMO_OP,
    MEMO_ROUNDS,
    MEMO_STAMP,
    MEMO_WORDS,
    MM_KIN,
    MM_MEMO,
    N_LEVELS,
    NOW,
    PAIR,
    PAIR_LEVELS,
    RMAP,
    STAMP,
    VECTOR_TIMES,
)
from simcore.jit import jit

if TYPE_CHECKING:
    from simcore.events import IntArray

EVENT_WORDS = EVENT_DTYPE.itemsize >> 3
EXEC, EXIT = Op.EXEC.value, Op.EXIT.value
ENOUGH = 2  # pairs in a row that cost the same


@jit
def is_pair(h: IntArray, fork: IntArray, leave: IntArray) -> bool:
    """Return whether a fork and the event behind it are a pair: the child execs or exits at once."""
    return h[FORK] != DEFERRED and leave[1] == fork[5] and leave[0] in (EXEC, EXIT)


@jit
def is_known(h: IntArray, mm: int, leave: IntArray) -> bool:
    """Return whether it is known what a pair costs a parent now."""
    memo = h[mm + MM_MEMO]
    if memo == 0 or h[memo + MEMO_STAMP] != h[STAMP] or h[memo + MEMO_ROUNDS] < ENOUGH:
        return False
    return h[memo + MEMO_OP] == leave[0] and (leave[0] == EXIT or h[memo + MEMO_IMAGE] == leave[5])


@jit
def begin_pair(h: IntArray, mm: int, leave: IntArray) -> None:
    """Note what there is before the fork of a pair."""
    memo = h[mm + MM_MEMO]
    if memo == 0:
        memo = take(h, MEMO)
        for word in range(MEMO_WORDS):
            h[memo + word] = 0
        h[mm + MM_MEMO] = memo
    same = (
        h[memo + MEMO_STAMP] == h[STAMP]
        and h[memo + MEMO_OP] == leave[0]
        and h[memo + MEMO_IMAGE] == leave[5]
    )
    if not same:
        h[memo + MEMO_ROUNDS] = 0
    h[memo + MEMO_OP] = leave[0]
    h[memo + MEMO_IMAGE] = leave[5]
    h[PAIR] = memo
    _save_levels(h)


@jit
def half_pair(h: IntArray) -> None:
    """Note what the fork of a pair has cost."""
    memo = h[PAIR]
    if _differs(h, memo + MEMO_FORK, memo + MEMO_FORK_LEVELS):
        h[memo + MEMO_ROUNDS] = 0
    _save_levels(h)


@jit
def end_pair(h: IntArray) -> None:
    """Note what the child's exec or exit has cost."""
    memo = h[PAIR]
    if _differs(h, memo + MEMO_LEAVE, memo + MEMO_LEAVE_LEVELS):
        h[memo + MEMO_ROUNDS] = 0
    h[memo + MEMO_ROUNDS] += 1
    h[memo + MEMO_STAMP] = h[STAMP]
    h[PAIR] = 0


@jit
def _save_levels(h: IntArray) -> None:
    """Remember the levels."""
    for level in range(N_LEVELS):
        h[PAIR_LEVELS + level] = h[NOW + level]


@jit
def _differs(h: IntArray, vector: int, levels: int) -> bool:
    """Note the vector recorded last and how the levels changed; returns whether that differs from what was noted."""
    differing = h[vector] ^ h[LAST_VECTOR]
    h[vector] = h[LAST_VECTOR]
    for level in range(N_LEVELS):
        change = h[NOW + level] - h[PAIR_LEVELS + level]
        differing |= h[levels + level] ^ change
        h[levels + level] = change
    return differing != 0


@jit
def count_fork(h: IntArray, mm: int) -> None:
    """Count the fork of a known pair."""
    memo = h[mm + MM_MEMO]
    h[h[memo + MEMO_FORK] + VECTOR_TIMES] += 1
    for level in range(N_LEVELS):
        h[NOW + level] += h[memo + MEMO_FORK_LEVELS + level]
    sample(h)
    _save_levels(h)


@jit
def count_leave(h: IntArray, mm: int) -> None:
    """Count the child's exec or exit of a known pair; the new mm of an exec is there already."""
    memo = h[mm + MM_MEMO]
    h[h[memo + MEMO_LEAVE] + VECTOR_TIMES] += 1
    for level in range(N_LEVELS):
        h[NOW + level] = h[PAIR_LEVELS + level] + h[memo + MEMO_LEAVE_LEVELS + level]


@jit
def note(h: IntArray, mm: int) -> None:
    """Note an event of an mm, unless it cannot matter to anybody else."""
    if mm == 0 or h[mm + MM_KIN] or h[FILE_TABLES] or h[RMAP] == CHAIN:
        h[STAMP] += 1
