"""The vfork schedule keeps each task's program and moves only what nobody can see."""

import numpy as np
from traces import RandomTrace

from simcore import Mapping, TraceBuilder, VmaKind
from simcore.events import Op
from simcore.spawn import as_vfork_runs_it


def program(trace, task):
    """Return a task's own events, forks read as vforks."""
    own = trace.events[trace.events["task"] == task].copy()
    own["op"][own["op"] == Op.VFORK] = Op.FORK
    return own


def test_schedule__keeps_each_tasks_program():
    """For every task the events and their order are the same; only the interleaving changes."""
    for seed in range(20):
        trace = RandomTrace(seed, wild=0.0).build(400)
        moved = as_vfork_runs_it(trace)
        assert len(moved) == len(trace)
        for task in range(trace.tasks):
            np.testing.assert_array_equal(program(moved, task), program(trace, task))


def test_schedule__moves_the_childs_steps_before_the_parents():
    """Parent first: the parent's write waits until the child has execed."""
    builder = TraceBuilder()
    image = builder.image([])
    builder.mmap(0, Mapping(0, 4, VmaKind.ANON))
    builder.fork(0, 1)
    builder.write(0, 0)
    builder.write(1, 1)
    builder.exec(1, image)
    moved = as_vfork_runs_it(builder.build())
    assert moved.events["op"].tolist() == [Op.MMAP, Op.VFORK, Op.WRITE, Op.EXEC, Op.WRITE]
    assert moved.events["task"].tolist() == [0, 0, 1, 1, 0]


def test_schedule__moves_nothing_where_memory_is_shared_and_writable():
    """The parent's write could be to shared memory that the child reads: the fork stays a fork."""
    builder = TraceBuilder()
    image = builder.image([])
    builder.mmap(0, Mapping(0, 4, VmaKind.SHM, writable=True, file=0))
    builder.fork(0, 1)
    builder.write(0, 0)
    builder.read(1, 0)
    builder.exec(1, image)
    trace = builder.build()
    assert as_vfork_runs_it(trace) is trace
