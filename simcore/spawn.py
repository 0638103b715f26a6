"""The same programs, scheduled as vfork would schedule them.

Under the design ``vfork`` a child that will exec is not forked: it borrows its parent's mm, and the parent waits.
So the child's few steps up to its exec come right behind the fork. That changes what no task sees, because
those steps only read and write, and memory is private; where a trace has writable shared mappings, a step is
moved over nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from simcore.events import KIND_MASK, WRITABLE, Op, Trace, VmaKind

if TYPE_CHECKING:
    import numpy.typing as npt


def as_vfork_runs_it(trace: Trace) -> Trace:
    """Return the trace with each fork for exec made a vfork and the child's steps moved up to it.

    A fork is for exec if the child, from its birth on, only reads and writes before it execs. Other forks stay.
    So does a fork whose child's steps do not follow it directly, in a trace that maps shared memory writable:
    whether such a step could be moved is not looked into.
    The events keep their content; only their order and the forks' ``op`` change.
    """
    blocks = _blocks(trace)
    if not blocks:
        return trace
    moved = {index for block in blocks.values() for index in block}
    order: list[int] = []
    for index in range(len(trace)):
        if index not in moved:
            order += [index, *blocks.get(index, [])]
    events = trace.events[order].copy()
    is_spawn = [index in blocks for index in order]
    events["op"][is_spawn] = Op.VFORK
    origin = np.array(order, np.int64)
    return Trace(events, trace.pages, trace.image_rows, trace.image_starts, origin)


def _blocks(trace: Trace) -> dict[int, list[int]]:
    """Return for each fork for exec the indices of the child's events up to its exec."""
    ops, tasks = trace.events["op"].tolist(), trace.events["task"].tolist()
    children = trace.events["arg"].tolist()
    by_task: dict[int, list[int]] = defaultdict(list)
    for index, task in enumerate(tasks):
        by_task[task].append(index)
    pinned = _writes_shared(trace.events) or _writes_shared(trace.image_rows)
    blocks: dict[int, list[int]] = {}
    claimed: set[int] = set()  # a second fork of a living child is refused when it comes up; it has no block
    for index, op in enumerate(ops):
        if op == Op.FORK:
            block = _until_exec(by_task[children[index]], index, ops)
            in_place = block == list(range(index + 1, index + 1 + len(block)))
            if block and (in_place or not pinned) and claimed.isdisjoint(block):
                blocks[index] = block
                claimed.update(block)
    return blocks


def _until_exec(own: list[int], fork: int, ops: list[int]) -> list[int]:
    """Return a child's events after its fork, up to its exec; empty if it does anything else than touch before."""
    block = []
    for at in range(bisect_right(own, fork), len(own)):  # no slice: it would copy the rest at every fork
        index = own[at]
        block.append(index)
        if ops[index] == Op.EXEC:
            return block
        if ops[index] not in (Op.READ, Op.WRITE):
            return []
    return []


def _writes_shared(rows: npt.NDArray[np.void]) -> bool:
    """Return whether some MMAP row is a writable shared mapping."""
    kind = rows["arg"] & KIND_MASK
    shared = (kind == VmaKind.FILE_SHARED) | (kind == VmaKind.SHM)
    return bool(((rows["op"] == Op.MMAP) & shared & ((rows["arg"] & WRITABLE) != 0)).any())
